//! Commands: how a request finds the one it names, what is checked before it runs, and its run.
//!
//! There is one file for each family; its table gives names, arities, flags and keys, and everything that
//! COMMAND answers comes from there. The values are those of Redis 7.0.

mod client;
mod cluster;
mod config;
mod connection;
mod expire;
mod info;
mod introspect;
mod keys;
pub mod migrate;
mod server;
mod spec;
mod strings;
mod transaction;
mod transfer;

use std::collections::HashMap;
use std::sync::LazyLock;

use ahash::RandomState;
use slotproof_model::{RequestKind, RouteTable, key_slot};

use crate::resp::Args;
use crate::server::{Client, ReplyMode, Server};

pub(crate) use info::REDIS_VERSION;
pub use spec::{Command, Flag, Handler, Spec};

/// Every command by its name in lower case.
static COMMANDS: LazyLock<HashMap<&'static [u8], Command, RandomState>> = LazyLock::new(|| {
    [
        client::SPECS,
        cluster::SPECS,
        config::SPECS,
        connection::SPECS,
        expire::SPECS,
        info::SPECS,
        introspect::SPECS,
        keys::SPECS,
        migrate::SPECS,
        server::SPECS,
        strings::SPECS,
        transaction::SPECS,
        transfer::SPECS,
    ]
    .into_iter()
    .flatten()
    .map(|spec| (spec.name.as_bytes(), Command::new(spec)))
    .collect()
});

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

/// The command or subcommand that a request names.
pub(crate) fn lookup(args: Args<'_>) -> Option<&'static Command> {
    let command = find(&args[0])?;
    match args.get(1) {
        Some(word) if !command.subs.is_empty() => command.sub(word),
        _ => Some(command),
    }
}

/// Runs a request of a client (server.c `processCommand`). Every check before the command itself is here.
pub(crate) fn dispatch(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let mark = client.reply.mark();
    if client.reply_mode == ReplyMode::SkipNext {
        client.reply_mode = ReplyMode::Skip;
    }
    if let Some(command) = accept(server, client, args) {
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
    } else if client.multi.is_none() {
        client.asking = false;
    }
    match client.reply_mode {
        ReplyMode::On | ReplyMode::SkipNext => {}
        ReplyMode::Off => client.reply.truncate(mark),
        ReplyMode::Skip => {
            client.reply.truncate(mark);
            client.reply_mode = ReplyMode::On;
        }
    }
}

/// Runs a command that has passed all checks.
pub(crate) fn call(server: &mut Server, client: &mut Client, command: &'static Command, args: Args<'_>) {
    server.stats.commands += 1;
    client.last_command = command.full_name;
    (command.spec.run)(server, client, args);
}

/// Checks a request. Writes the error and gives nothing if it may not run.
fn accept(server: &mut Server, client: &mut Client, args: Args<'_>) -> Option<&'static Command> {
    let Some(base) = find(&args[0]) else {
        return refuse(server, client, &unknown(args));
    };
    let command = match args.get(1) {
        Some(word) if !base.subs.is_empty() => match base.sub(word) {
            Some(sub) => sub,
            None => {
                let word = String::from_utf8_lossy(&word[..word.len().min(128)]);
                let name = base.spec.name.to_ascii_uppercase();
                return refuse(server, client, &format!("unknown subcommand '{word}'. Try {name} HELP."));
            }
        },
        _ => base,
    };
    if !command.fits(args.len()) {
        return refuse(server, client, &wrong_arity(command));
    }
    if !client.authenticated && !command.has(Flag::NoAuth) {
        return refuse(server, client, "-NOAUTH Authentication required.");
    }
    if let Some(routes) = &server.routes
        && (command.takes_keys() || command.has(Flag::IsExec))
    {
        let refusal = refusal(&std::rc::Rc::clone(routes), server, client, command, args);
        if let Some(text) = refusal {
            if command.has(Flag::IsExec) {
                client.multi = None;
            }
            return refuse(server, client, &format!("-{text}"));
        }
    }
    if client.multi.is_some() && command.has(Flag::NoMulti) {
        return refuse(server, client, "Command not allowed inside a transaction");
    }
    Some(command)
}

fn refuse(server: &mut Server, client: &mut Client, text: &str) -> Option<&'static Command> {
    server.stats.errors += 1;
    if let Some(multi) = &mut client.multi {
        multi.doomed = true;
    }
    client.reply.error(text);
    None
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
        shard_pubsub: false,
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
fn unknown(args: Args<'_>) -> String {
    let cut =
        |bytes: &[u8], most: usize| String::from_utf8_lossy(&bytes[..bytes.len().min(most)]).into_owned();
    let mut first = String::new();
    for arg in args.from(1).iter() {
        if first.len() >= 128 {
            break;
        }
        first.push_str(&format!("'{}' ", cut(arg, 128 - first.len())));
    }
    format!("unknown command '{}', with args beginning with: {first}", cut(&args[0], 128))
}

/// What Redis answers to a wrong number of arguments.
pub(crate) fn wrong_arity(command: &Command) -> String {
    format!("wrong number of arguments for '{}' command", command.full_name)
}

/// Error texts that many commands share.
pub(crate) mod text {
    pub(crate) const SYNTAX: &str = "syntax error";
    pub(crate) const NOT_INT: &str = "value is not an integer or out of range";
    pub(crate) const NO_CLUSTER: &str = "This instance has cluster support disabled";
}

/// The lines of a HELP subcommand, from the table.
pub(crate) fn help(client: &mut Client, container: &str) {
    let Some(command) = find(container.as_bytes()) else { return };
    let upper = container.to_ascii_uppercase();
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
