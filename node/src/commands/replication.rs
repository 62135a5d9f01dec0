//! SYNC, PSYNC and REPLCONF (replication.c): a dump of all keys for backups. Replicas are refused, until there is replication.

use super::{Spec, text};
use crate::resp::{Args, parse_i64};
use crate::server::{Client, ReplyMode, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[
    Spec::new("sync", 1, "admin noscript no_async_loading no_multi", "admin slow dangerous", sync).about(
        "server",
        "1.0.0",
        "Sends all keys as an RDB file.",
    ),
    Spec::new("psync", -3, "admin noscript no_async_loading no_multi", "admin slow dangerous", psync).about(
        "server",
        "2.8.0",
        "Begins replication: refused.",
    ),
    Spec::new("replconf", -1, "admin noscript loading stale allow_busy", "admin slow dangerous", replconf)
        .about("server", "3.0.0", "Tells what kind of dump a client wants."),
];

const NO_REPLICAS: &str = "replication is not supported: SYNC gives one dump to a client that has sent no REPLCONF but \
                           'rdb-only 1', and ends the connection";

/// `redis-cli --cluster backup` sends SYNC and nothing before, `redis-cli --rdb` says `capa eof` and `rdb-only 1`. Whoever has told of himself
/// like a replica, or wants PSYNC, would wait for a stream of commands behind the dump.
fn sync(server: &mut Server, client: &mut Client, _: Args<'_>) {
    if server.master().is_some() {
        return client.reply.error("-NOMASTERLINK Can't SYNC while not connected with my master");
    }
    if client.handshake.as_replica && !client.handshake.rdb_only {
        return client.reply.error(NO_REPLICAS);
    }
    if !client.reply.pending().is_empty() {
        return client.reply.error("SYNC and PSYNC are invalid with pending output");
    }
    // From now on nothing else is sent to this client.
    server.forget(client);
    client.reply_mode = ReplyMode::On;
    server.start_backup(client);
}

fn psync(_: &mut Server, client: &mut Client, _: Args<'_>) {
    client.handshake.as_replica = true;
    client.reply.error(NO_REPLICAS);
}

fn replconf(_: &mut Server, client: &mut Client, args: Args<'_>) {
    if args.len().is_multiple_of(2) {
        return client.reply.error(text::SYNTAX);
    }
    for i in (1..args.len()).step_by(2) {
        match () {
            () if args.is(i, "rdb-only") => match parse_i64(&args[i + 1]) {
                Some(n @ 0..=1) => client.handshake.rdb_only = n == 1,
                Some(_) => {
                    return client.reply.error("value is out of range, value must between 0 and 1");
                }
                None => return client.reply.error(text::NOT_INT),
            },
            // `redis-cli --replica` says no more than this, and waits for a stream.
            () if args.is(i, "capa") => client.handshake.as_replica = true,
            () if args.is(i, "listening-port") => match parse_i64(&args[i + 1]) {
                Some(_) => client.handshake.as_replica = true,
                None => return client.reply.error(text::NOT_INT),
            },
            () if args.is(i, "ip-address") => client.handshake.as_replica = true,
            () => {
                let option = String::from_utf8_lossy(&args[i]);
                return client.reply.error(format!("Unrecognized REPLCONF option: {option}"));
            }
        }
    }
    client.reply.ok();
}
