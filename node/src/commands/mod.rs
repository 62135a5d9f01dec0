//! Commands: how a request finds the one it names, what is checked before it runs, and its run.
//!
//! There is one file for each family; its table gives names, arities, flags and keys, and everything that
//! COMMAND answers comes from there. The values are those of Redis 7.0.

mod arguments;
mod bitfield;
mod bits;
mod client;
mod cluster;
#[macro_use]
mod collections;
mod config;
mod connection;
mod debug;
mod expire;
mod hashes;
mod info;
mod introspect;
mod keys;
mod latency;
mod lcs;
mod lists;
mod lookup;
mod memory;
pub mod migrate;
mod monitor;
mod pubsub;
mod renamed;
mod replication;
mod server;
mod set_algebra;
mod sets;
mod slowlog;
mod sort;
mod sorted_sets;
mod spec;
mod strings;
mod transaction;
mod transfer;

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Instant;

use ahash::RandomState;
use slotproof_model::{RequestKind, RouteTable, key_slot};

use crate::resp::Args;
use crate::server::{Blocked, Client, ReplyMode, Server, Waiting};

pub(crate) use info::REDIS_VERSION;
pub use renamed::Renamed;
pub use spec::{Command, Flag, Handler, Spec};

/// Every command by its name in lower case.
static COMMANDS: LazyLock<HashMap<&'static [u8], Command, RandomState>> = LazyLock::new(|| {
    [
        bitfield::SPECS,
        bits::SPECS,
        client::SPECS,
        cluster::SPECS,
        config::SPECS,
        connection::SPECS,
        debug::SPECS,
        expire::SPECS,
        hashes::SPECS,
        info::SPECS,
        introspect::SPECS,
        keys::SPECS,
        latency::SPECS,
        lcs::SPECS,
        memory::SPECS,
        lists::SPECS,
        migrate::SPECS,
        monitor::SPECS,
        pubsub::SPECS,
        replication::SPECS,
        server::SPECS,
        slowlog::SPECS,
        set_algebra::SPECS,
        sets::SPECS,
        sort::SPECS,
        sorted_sets::SPECS,
        sorted_sets::RANGE_SPECS,
        sorted_sets::ALGEBRA_SPECS,
        strings::SPECS,
        transaction::SPECS,
        transfer::SPECS,
    ]
    .into_iter()
    .flatten()
    .map(|spec| (spec.name.as_bytes(), Command::new(spec)))
    .collect()
});

/// Every command by name, without the subcommands, which each holds.
pub fn all() -> Vec<&'static Command> {
    introspect::sorted()
}

/// No command has a longer name.
const MAX_NAME: usize = 32;

/// A command by its name in any case, without its subcommands.
pub(crate) fn find(name: &[u8]) -> Option<&'static Command> {
    let mut lower = [0; MAX_NAME];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    COMMANDS.get(&*lower)
}

/// Runs a request of a client (server.c `processCommand`). Every check before the command itself is here. Gives false if the
/// request has to wait: it is to be given here again when the client goes on.
pub(crate) fn dispatch(server: &mut Server, client: &mut Client, args: Args<'_>) -> bool {
    let mark = client.reply.mark();
    if client.reply_mode == ReplyMode::SkipNext {
        client.reply_mode = ReplyMode::Skip;
    }
    match accept(server, client, args) {
        Some(command) if postpone(server, client, command) => return false,
        Some(command) => {
            let queues = client.multi.is_some() && !command.has(Flag::RunsInMulti);
            if queues {
                transaction::enqueue(client, command, args);
            } else {
                call(server, client, command, args);
            }
            // ASKING holds for the next command, and for all of a transaction.
            if client.multi.is_none() && !command.has(Flag::IsAsking) {
                client.asking = false;
            }
        }
        None if client.multi.is_none() => client.asking = false,
        None => {}
    }
    match client.reply_mode {
        ReplyMode::On | ReplyMode::SkipNext => {}
        ReplyMode::Off => client.reply.truncate(mark),
        ReplyMode::Skip => {
            client.reply.truncate(mark);
            client.reply_mode = ReplyMode::On;
        }
    }
    server.end_own_shards(client);
    server.release_held(client);
    true
}

/// Whether a command waits for the end of CLIENT PAUSE.
fn postpone(server: &mut Server, client: &mut Client, command: &'static Command) -> bool {
    if server.pause.is_none() {
        return false;
    }
    let Some(pause) = server.paused() else { return false };
    let queued = client.multi.as_ref().is_some_and(|m| m.writes && command.has(Flag::IsExec));
    let writes = command.has(Flag::Write) || command.has(Flag::Publishes) || queued;
    // A command that is only queued changes nothing yet.
    let runs = client.multi.is_none() || command.has(Flag::RunsInMulti);
    if pause.all || writes && runs {
        client.blocked = Some(Blocked { why: Waiting::Pause, until_ms: Some(pause.until_ms) });
        return true;
    }
    false
}

/// Runs a command that has passed all checks.
pub(crate) fn call(server: &mut Server, client: &mut Client, command: &'static Command, args: Args<'_>) {
    let begun = Instant::now();
    server.stats.commands += 1;
    if !client.in_exec {
        client.last_command = command.full_name;
    }
    if client.no_touch {
        // Within EXEC it is said for each command anew.
        server.dbs[client.db].unnoted = command.full_name != "touch";
        (command.spec.run)(server, client, args);
        server.dbs.iter_mut().for_each(|db| db.unnoted = false);
    } else {
        (command.spec.run)(server, client, args);
    }
    server.publish_events();
    if server.monitors > 0 && !command.has(Flag::Admin) {
        monitor::feed(server, client, command, args);
    }
    let took = begun.elapsed();
    let failure = client.reply.take_failure();
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let track = server.limits.track_times;
    let stats = server.stats.of(command.id);
    stats.calls += 1;
    stats.micros += micros;
    stats.failed += u64::from(failure.is_some());
    if track {
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        stats.times.get_or_insert_default().add(ns);
    }
    if let Some(code) = failure {
        server.stats.failed(code);
    }
    if micros >= server.limits.slow_micros && !command.has(Flag::SkipsSlowLog) {
        slowlog::note(server, client, command, args, micros);
    }
    if server.limits.spike_ms > 0 {
        let event = if command.has(Flag::Fast) { "fast-command" } else { "command" };
        server.spike(event, begun);
    }
}

/// Checks a request. Writes the error and gives nothing if it may not run.
fn accept(server: &mut Server, client: &mut Client, args: Args<'_>) -> Option<&'static Command> {
    let Some(base) = server.renamed.find(&args[0]) else {
        if args.is(0, "post") || args.is(0, "host:") {
            server.attacked(client);
            return None;
        }
        return refuse(server, client, None, unknown(args));
    };
    let command = match args.get(1) {
        Some(word) if !base.subs.is_empty() => match base.sub(word) {
            Some(sub) => sub,
            None => {
                let (word, name) = (&word[..word.len().min(128)], args[0].to_ascii_uppercase());
                let text = [b"unknown subcommand '", word, b"'. Try ", &name, b" HELP."].concat();
                return refuse(server, client, None, text);
            }
        },
        _ => base,
    };
    if !command.fits(args.len()) {
        return refuse(server, client, Some(command), wrong_arity(command));
    }
    if !client.authenticated && !command.has(Flag::NoAuth) {
        return refuse(server, client, Some(command), "-NOAUTH Authentication required.");
    }
    if let Some(routes) = &server.routes
        && (command.takes_keys() || command.has(Flag::IsExec))
    {
        let refusal = refusal(&std::rc::Rc::clone(routes), server, client, command, args);
        if let Some(text) = refusal {
            if command.has(Flag::IsExec) {
                client.multi = None;
                server.unwatch(client);
            } else if let Some(multi) = &mut client.multi {
                multi.doomed = true;
            }
            client.reply.error(format!("-{text}"));
            note_refusal(server, client, Some(command));
            return None;
        }
    }
    if server.limits.max_memory != usize::MAX && !server.make_room() {
        let queued = match &client.multi {
            Some(multi) if command.has(Flag::IsExec) => multi.needs_memory,
            // What is queued takes memory.
            Some(_) => !command.has(Flag::RunsInMulti),
            None => false,
        };
        if queued || command.has(Flag::DenyOom) {
            const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.";
            return refuse(server, client, Some(command), OOM);
        }
    }
    if client.in_subscriber_mode() && !command.has(Flag::Subscribes) {
        let name = command.full_name;
        let text = format!(
            "Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
             context"
        );
        return refuse(server, client, Some(command), text);
    }
    if client.multi.is_some() && command.has(Flag::NoMulti) {
        return refuse(server, client, Some(command), "Command not allowed inside a transaction");
    }
    Some(command)
}

/// Refuses a request; in a transaction it is then refused as a whole.
fn refuse(
    server: &mut Server,
    client: &mut Client,
    command: Option<&'static Command>,
    text: impl AsRef<[u8]>,
) -> Option<&'static Command> {
    let text = text.as_ref();
    if command.is_some_and(|command| command.has(Flag::IsExec)) {
        // EXEC that may not run ends the transaction.
        client.multi = None;
        server.unwatch(client);
        let why = text.strip_prefix(b"-").unwrap_or(text);
        client.reply.error([b"-EXECABORT Transaction discarded because of: ", why].concat());
    } else {
        if let Some(multi) = &mut client.multi {
            multi.doomed = true;
        }
        client.reply.error(text);
    }
    note_refusal(server, client, command);
    None
}

/// Counts a refusal.
fn note_refusal(server: &mut Server, client: &mut Client, command: Option<&'static Command>) {
    if let Some(command) = command {
        server.stats.of(command.id).rejected += 1;
    }
    if let Some(code) = client.reply.take_failure() {
        server.stats.failed(code);
    }
}

/// The text of the redirection or refusal if the cluster does not serve this request here.
fn refusal(
    routes: &RouteTable,
    server: &Server,
    client: &Client,
    command: &'static Command,
    args: Args<'_>,
) -> Option<String> {
    let (now, db) = (server.now_ms, &server.dbs[0]);
    let mut kind = RequestKind {
        write: command.has(Flag::Write),
        migrate: command.has(Flag::IsMigrate),
        shard_pubsub: command.has(Flag::IsShardPubSub),
        asking: client.asking || command.has(Flag::Asking),
        readonly: client.readonly,
    };
    let slot_of = |key: &&[u8]| key_slot(key);
    let exists = |key: &&[u8]| db.exists(key, now);
    let route = match &client.multi {
        Some(multi) if command.has(Flag::IsExec) => {
            // What else its commands are does not count (cluster.c asks EXEC's own flags).
            kind.write = multi.writes;
            let keys = multi.queue.iter().flat_map(|(command, args)| command.keys(args.args()));
            routes.route(kind, keys, slot_of, exists)
        }
        _ if command.has(Flag::IsExec) => return None,
        _ => routes.route(kind, command.keys(args), slot_of, exists),
    };
    routes.error_text(route, false)
}

/// What Redis answers to an unknown command: its name and the first arguments, 128 bytes of each at most.
fn unknown(args: Args<'_>) -> Vec<u8> {
    let mut first = Vec::new();
    for arg in args.from(1).iter() {
        if first.len() >= 128 {
            break;
        }
        let most = arg.len().min(128 - first.len());
        first.extend_from_slice(&[b"'", &arg[..most], b"' "].concat());
    }
    let name = &args[0][..args[0].len().min(128)];
    [b"unknown command '", name, b"', with args beginning with: ", &first].concat()
}

/// What Redis answers to a wrong number of arguments.
pub(crate) fn wrong_arity(command: &Command) -> String {
    format!("wrong number of arguments for '{}' command", command.full_name)
}

/// Error texts that many commands share.
pub(crate) mod text {
    pub(crate) const SYNTAX: &str = "syntax error";
    pub(crate) const NOT_INT: &str = "value is not an integer or out of range";
    pub(crate) const NOT_I32: &str = "value is out of range, value must between -2147483648 and 2147483647";
    pub(crate) const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    pub(crate) const NO_CLUSTER: &str = "This instance has cluster support disabled";
}

/// What Redis answers where a subcommand is none, or has too many arguments.
pub(crate) fn wrong_subcommand(args: Args<'_>) -> Vec<u8> {
    let word = &args[1][..args[1].len().min(128)];
    let name = args[0].to_ascii_uppercase();
    [b"unknown subcommand or wrong number of arguments for '", word, b"'. Try ", &name, b" HELP."].concat()
}

/// The lines of a HELP subcommand, from the table, under the name that was asked for.
pub(crate) fn help(client: &mut Client, container: &str, args: Args<'_>) {
    let Some(command) = find(container.as_bytes()) else { return };
    let upper = String::from_utf8_lossy(&args[0]).to_ascii_uppercase();
    let mut subs: Vec<&Command> = command.subs.values().filter(|s| !s.full_name.ends_with("|help")).collect();
    subs.sort_unstable_by_key(|s| s.full_name);
    let reply = &mut client.reply;
    reply.array(subs.len() * 2 + 3);
    reply.status(&format!("{upper} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for sub in subs {
        reply.status(&sub.spec.name.to_ascii_uppercase());
        reply.status(&format!("    {}", sub.spec.summary));
    }
    reply.status("HELP");
    reply.status("    Prints this help.");
}

#[cfg(test)]
mod tests;
