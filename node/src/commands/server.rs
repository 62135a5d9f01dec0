//! Commands about the server as a whole.

use super::{Spec, text};
use crate::resp::{Args, parse_i64};
use crate::server::{Blocked, Client, Close, Server, Waiting, unix_micros};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[
    Spec::new("dbsize", 1, "readonly fast", "keyspace read fast", dbsize)
        .tips("request_policy:all_shards response_policy:agg_sum")
        .about("server", "1.0.0", "Counts the keys of the selected database."),
    Spec::new("flushall", -1, "write", "keyspace write slow dangerous", flushall)
        .tips("request_policy:all_shards response_policy:all_succeeded")
        .about("server", "1.0.0", "Drops all keys of all databases."),
    Spec::new("flushdb", -1, "write", "keyspace write slow dangerous", flushdb)
        .tips("request_policy:all_shards response_policy:all_succeeded")
        .about("server", "1.0.0", "Drops all keys of the selected database."),
    Spec::new(
        "shutdown",
        -1,
        "admin noscript loading stale no_multi allow_busy",
        "admin slow dangerous",
        shutdown,
    )
    .about("server", "1.0.0", "Ends the server."),
    Spec::new("time", 1, "loading stale fast", "fast", time).tips("nondeterministic_output").about(
        "server",
        "2.6.0",
        "Answers the time of the server.",
    ),
    Spec::new("wait", 3, "noscript", "slow connection", wait)
        .tips("request_policy:all_shards response_policy:agg_min")
        .about("generic", "3.0.0", "Waits for replicas to acknowledge writes."),
    Spec::new("swapdb", 3, "write fast", "keyspace write fast dangerous", swapdb).about(
        "server",
        "4.0.0",
        "Exchanges two databases.",
    ),
    Spec::new("role", 1, "noscript loading stale fast", "admin fast dangerous", role).about(
        "server",
        "2.8.12",
        "Answers the role in replication.",
    ),
    Spec::new("lolwut", -1, "readonly fast", "read fast", lolwut).about(
        "server",
        "5.0.0",
        "Answers the version, for no reason.",
    ),
];

fn dbsize(server: &mut Server, client: &mut Client, _: Args<'_>) {
    client.reply.len(server.db(client).len());
}

/// Whether FLUSHALL and FLUSHDB leave the freeing to another thread; the error is written if they have a wrong option.
fn flush_option(server: &Server, client: &mut Client, args: Args<'_>) -> Option<bool> {
    match args.len() {
        1 => Some(server.limits.lazy_flush),
        2 if args.is(1, "async") => Some(true),
        2 if args.is(1, "sync") => Some(false),
        _ => {
            client.reply.error(text::SYNTAX);
            None
        }
    }
}

fn flushall(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if let Some(lazy) = flush_option(server, client, args) {
        server.dbs.iter_mut().for_each(|db| db.clear(lazy));
        client.reply.ok();
    }
}

fn flushdb(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if let Some(lazy) = flush_option(server, client, args) {
        server.db(client).clear(lazy);
        client.reply.ok();
    }
}

/// Without replicas and without persistence there is nothing to wait for and nothing to save.
fn shutdown(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let (mut save, mut nosave, mut now, mut abort) = (false, false, false, false);
    for i in 1..args.len() {
        match () {
            () if args.is(i, "save") => save = true,
            () if args.is(i, "nosave") => nosave = true,
            () if args.is(i, "now") || args.is(i, "force") => now = true,
            () if args.is(i, "abort") => abort = true,
            () => return client.reply.error(text::SYNTAX),
        }
    }
    if abort && (save || nosave || now) || save && nosave {
        return client.reply.error(text::SYNTAX);
    }
    if abort {
        return client.reply.error("No shutdown in progress.");
    }
    server.log.warning("User requested shutdown...");
    server.shut_down();
    client.close = Close::Now;
}

fn time(_: &mut Server, client: &mut Client, _: Args<'_>) {
    let micros = unix_micros();
    client.reply.array(2);
    client.reply.bulk_int(micros / 1_000_000);
    client.reply.bulk_int(micros % 1_000_000);
}

/// There are no replicas yet that could acknowledge anything: who wants some waits until the time is over.
fn wait(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if server.master().is_some() {
        return client.reply.error(
            "WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is \
             configured to be writable (which is not the default) writes to replicas are just local and are not \
             propagated.",
        );
    }
    let Some(wanted) = parse_i64(&args[1]) else {
        return client.reply.error(text::NOT_INT);
    };
    let timeout = match parse_i64(&args[2]) {
        None => return client.reply.error("timeout is not an integer or out of range"),
        Some(..0) => return client.reply.error("timeout is negative"),
        Some(ms) => ms,
    };
    let Some(until_ms) = server.now_ms.checked_add(timeout) else {
        return client.reply.error("timeout is out of range");
    };
    if wanted <= 0 || client.multi.is_some() || client.in_exec {
        return client.reply.int(0);
    }
    let until_ms = (timeout > 0).then_some(until_ms);
    client.blocked = Some(Blocked { why: Waiting::Replicas(0), until_ms });
}

fn swapdb(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if server.cluster_enabled() {
        return client.reply.error("SWAPDB is not allowed in cluster mode");
    }
    let number = |i: usize| parse_i64(&args[i]).and_then(|n| i32::try_from(n).ok());
    let Some(first) = number(1) else { return client.reply.error("invalid first DB index") };
    let Some(second) = number(2) else { return client.reply.error("invalid second DB index") };
    let known = |n: i32| usize::try_from(n).ok().filter(|&n| n < server.dbs.len());
    let (Some(first), Some(second)) = (known(first), known(second)) else {
        return client.reply.error("DB index is out of range");
    };
    let (low, high) = (first.min(second), first.max(second));
    if low != high {
        let now = server.now_ms;
        let (left, right) = server.dbs.split_at_mut(high);
        left[low].swap(&mut right[0], now);
    }
    client.reply.ok();
}

fn role(server: &mut Server, client: &mut Client, _: Args<'_>) {
    let reply = &mut client.reply;
    match server.master() {
        None => {
            reply.array(3);
            reply.bulk("master");
            reply.int(0);
            reply.array(0);
        }
        Some((host, port)) => {
            reply.array(5);
            reply.bulk("slave");
            reply.bulk(host);
            reply.int(port.into());
            reply.bulk("connect");
            reply.int(-1);
        }
    }
}

fn lolwut(_: &mut Server, client: &mut Client, _: Args<'_>) {
    let line = format!("Slotproof {}, as Redis ver. {}\n", env!("CARGO_PKG_VERSION"), super::REDIS_VERSION);
    client.reply.verbatim(line);
}
