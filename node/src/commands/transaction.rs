//! MULTI, EXEC and DISCARD (multi.c).

use std::collections::btree_map::Entry;

use super::{Command, Flag, Spec, call};
use crate::resp::Args;
use crate::server::{Client, Server, Transaction, Watch};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[
    Spec::new("multi", 1, "noscript loading stale fast allow_busy", "fast transaction", multi).about(
        "transactions",
        "1.2.0",
        "Begins a transaction.",
    ),
    Spec::new("exec", 1, "noscript loading stale skip_slowlog", "slow transaction", exec).about(
        "transactions",
        "1.2.0",
        "Runs the queued commands.",
    ),
    Spec::new("discard", 1, "noscript loading stale fast allow_busy", "fast transaction", discard).about(
        "transactions",
        "2.0.0",
        "Drops the queued commands.",
    ),
    Spec::new("watch", -2, "noscript loading stale fast allow_busy", "fast transaction", watch)
        .keys(1, -1, 1, "RO")
        .about("transactions", "2.2.0", "Lets the next EXEC run only if keys have not changed by then."),
    Spec::new("unwatch", 1, "noscript loading stale fast allow_busy", "fast transaction", unwatch).about(
        "transactions",
        "2.2.0",
        "Forgets the watched keys.",
    ),
];

/// Queues a command that has passed all checks.
pub(super) fn enqueue(client: &mut Client, command: &'static Command, args: Args<'_>) {
    let Some(multi) = &mut client.multi else { return };
    // A doomed transaction will not run: there is no need to keep it.
    if !multi.doomed {
        let args = args.to_owned();
        multi.size += args.size();
        multi.writes |= command.has(Flag::Write) || command.has(Flag::Publishes);
        multi.needs_memory |= command.has(Flag::DenyOom);
        multi.queue.push((command, args));
        if multi.size > MAX_QUEUED {
            multi.doomed = true;
            multi.queue = Vec::new();
            client.reply.error("transaction is too large");
            return;
        }
    }
    client.reply.status("QUEUED");
}

/// A transaction may take this much memory, in bytes.
const MAX_QUEUED: usize = 1 << 30;

fn multi(_: &mut Server, client: &mut Client, _: Args<'_>) {
    if client.multi.is_some() {
        return client.reply.error("MULTI calls can not be nested");
    }
    client.multi = Some(Transaction::default());
    client.reply.ok();
}

fn watch(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if client.multi.is_some() {
        return client.reply.error("WATCH inside MULTI is not allowed");
    }
    let (now, db) = (server.now_ms, client.db);
    for key in args.from(1).iter() {
        let Entry::Vacant(new) = client.watching.entry((db, key.into())) else { continue };
        let version = server.dbs[db].watch(key);
        let existed = server.dbs[db].exists(key, now);
        new.insert(Watch { version, existed });
        client.add_name(key);
    }
    client.reply.ok();
}

fn unwatch(server: &mut Server, client: &mut Client, _: Args<'_>) {
    server.unwatch(client);
    client.reply.ok();
}

/// Whether every watched key is as it was: not changed, not gone, not expired.
fn as_watched(server: &Server, client: &Client) -> bool {
    client.watching.iter().all(|((db, key), watch)| {
        let Some(db) = server.dbs.get(*db) else { return false };
        db.version(key) == Some(watch.version) && (!watch.existed || db.exists(key, server.now_ms))
    })
}

fn discard(server: &mut Server, client: &mut Client, _: Args<'_>) {
    match client.multi.take() {
        Some(_) => {
            server.unwatch(client);
            client.reply.ok();
        }
        None => client.reply.error("DISCARD without MULTI"),
    }
}

fn exec(server: &mut Server, client: &mut Client, _: Args<'_>) {
    let Some(multi) = client.multi.take() else {
        return client.reply.error("EXEC without MULTI");
    };
    let as_watched = as_watched(server, client);
    server.unwatch(client);
    if multi.doomed {
        return client.reply.error("-EXECABORT Transaction discarded because of previous errors.");
    }
    if !as_watched {
        return client.reply.null_array();
    }
    client.reply.array(multi.queue.len());
    client.in_exec = true;
    for (command, args) in &multi.queue {
        call(server, client, command, args.args());
    }
    client.in_exec = false;
}
