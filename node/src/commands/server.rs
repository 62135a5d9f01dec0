//! Commands about the server as a whole.

use std::time::Duration;

use super::{Spec, text};
use crate::resp::{Args, parse_f64, parse_i64};
use crate::server::{Client, Close, Server, unix_micros};

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
    Spec::new("debug", -2, "admin noscript loading stale", "admin slow dangerous", debug).about(
        "server",
        "1.0.0",
        "Helps with tests of the server, if enabled.",
    ),
];

fn dbsize(server: &mut Server, client: &mut Client, _: Args<'_>) {
    client.reply.len(server.db(client).len());
}

/// Whether FLUSHALL and FLUSHDB have a right option, or none; the error is written otherwise.
fn flush_option(client: &mut Client, args: Args<'_>) -> bool {
    let right = match args.len() {
        1 => true,
        2 => args.is(1, "async") || args.is(1, "sync"),
        _ => false,
    };
    if !right {
        client.reply.error(text::SYNTAX);
    }
    right
}

fn flushall(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if flush_option(client, args) {
        server.dbs.iter_mut().for_each(|db| db.clear());
        client.reply.ok();
    }
}

fn flushdb(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if flush_option(client, args) {
        server.db(client).clear();
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

/// There are no replicas that could acknowledge anything.
fn wait(_: &mut Server, client: &mut Client, args: Args<'_>) {
    if parse_i64(&args[1]).is_none() {
        return client.reply.error(text::NOT_INT);
    }
    match parse_i64(&args[2]) {
        None => client.reply.error("timeout is not an integer or out of range"),
        Some(..0) => client.reply.error("timeout is negative"),
        Some(_) => client.reply.int(0),
    }
}

/// Only what tests of the server need, and only where `enable-debug-command` allows it.
fn debug(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let local = client.peer.starts_with("127.") || client.peer.starts_with("[::1]");
    let allowed = match server.config.bytes("enable-debug-command") {
        b"yes" => true,
        b"local" => local,
        _ => false,
    };
    if !allowed {
        return client.reply.error(
            "DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from \
             a local connection, otherwise you need to set this option in the configuration file, and then restart \
             the server.",
        );
    }
    if args.is(1, "sleep")
        && let Some(seconds) = args.get(2).and_then(parse_f64).filter(|s| (0.0..=3600.0).contains(s))
    {
        // The whole server sleeps: that is what it is for.
        std::thread::sleep(Duration::from_secs_f64(seconds));
        server.tick();
        return client.reply.ok();
    }
    let word = String::from_utf8_lossy(&args[1]).into_owned();
    client
        .reply
        .error(format!("unknown subcommand or wrong number of arguments for '{word}'. Try DEBUG HELP."));
}
