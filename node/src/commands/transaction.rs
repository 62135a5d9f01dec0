//! MULTI, EXEC and DISCARD (multi.c).

use super::{Command, Flag, Spec, call};
use crate::resp::Args;
use crate::server::{Client, Server, Transaction};

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
];

/// Queues a command that has passed all checks.
pub(super) fn enqueue(client: &mut Client, command: &'static Command, args: Args<'_>) {
    let Some(multi) = &mut client.multi else { return };
    // A doomed transaction will not run: there is no need to keep it.
    if !multi.doomed {
        let args = args.to_owned();
        multi.size += args.size();
        multi.kind.write |= command.has(Flag::Write);
        multi.kind.migrate |= command.has(Flag::IsMigrate);
        multi.kind.asking |= command.has(Flag::Asking);
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

fn discard(_: &mut Server, client: &mut Client, _: Args<'_>) {
    match client.multi.take() {
        Some(_) => client.reply.ok(),
        None => client.reply.error("DISCARD without MULTI"),
    }
}

fn exec(server: &mut Server, client: &mut Client, _: Args<'_>) {
    let Some(multi) = client.multi.take() else {
        return client.reply.error("EXEC without MULTI");
    };
    if multi.doomed {
        return client.reply.error("-EXECABORT Transaction discarded because of previous errors.");
    }
    client.reply.array(multi.queue.len());
    for (command, args) in &multi.queue {
        call(server, client, command, args.args());
    }
}
