//! MONITOR: every command of every client, as it is run (replication.c `replicationFeedMonitors`).

use super::slowlog::redacted;
use super::{Command, Spec};
use crate::resp::{Args, Reply, quote};
use crate::server::{Client, Server, unix_micros};

/// The commands of this family.
pub(super) static SPECS: &[Spec] =
    &[Spec::new("monitor", 1, "admin noscript loading stale", "admin slow dangerous", monitor).about(
        "server",
        "1.0.0",
        "Shows all commands that the server runs.",
    )];

fn monitor(server: &mut Server, client: &mut Client, _: Args<'_>) {
    if client.in_exec {
        return client.reply.error("MONITOR isn't allowed for DENY BLOCKING client");
    }
    if !client.monitor {
        client.monitor = true;
        server.monitors += 1;
    }
    client.reply.ok();
}

/// Shows a command to all who said MONITOR.
pub(super) fn feed(server: &mut Server, client: &mut Client, command: &'static Command, args: Args<'_>) {
    let micros = unix_micros();
    let mut line =
        format!("{}.{:06} [{} {}]", micros / 1_000_000, micros % 1_000_000, client.db, client.peer)
            .into_bytes();
    for (i, arg) in args.iter().enumerate() {
        line.push(b' ');
        quote(&mut line, if redacted(command, args, i) { b"(redacted)" } else { arg });
    }
    let mut reply = Reply::default();
    reply.status_bytes(&line);
    let bytes = reply.into_bytes();
    let others: Vec<_> = server.clients.values().cloned().collect();
    for other in others {
        match other.try_borrow_mut() {
            Ok(mut other) if other.monitor => {
                other.reply.raw(&bytes);
                other.wake.notify_one();
                server.check_output(&mut other);
            }
            Ok(_) => {}
            Err(_) if client.monitor => client.reply.raw(&bytes),
            Err(_) => {}
        }
    }
}
