//! SLOWLOG: commands that took long (slowlog.c).

use super::{Command, Spec, help, wrong_subcommand};
use crate::resp::{Args, parse_i64};
use crate::server::{Client, Server, Slow, unix_micros};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[Spec::new("slowlog", -2, "", "slow", slowlog_help)
    .about("server", "2.2.12", "Looks at commands that took long.")
    .subs(SLOWLOG_SUBS)];

static SLOWLOG_SUBS: &[Spec] = &[
    Spec::new("get", -2, "admin loading stale", "admin slow dangerous", get)
        .tips("request_policy:all_nodes nondeterministic_output")
        .about("server", "2.2.12", "[<count>]: answers the newest entries, 10 unless told; -1 for all."),
    Spec::new("help", 2, "loading stale", "slow", slowlog_help).about(
        "server",
        "6.2.0",
        "Lists the subcommands.",
    ),
    Spec::new("len", 2, "admin loading stale", "admin slow dangerous", len)
        .tips("request_policy:all_nodes response_policy:agg_sum nondeterministic_output")
        .about("server", "2.2.12", "Counts the entries."),
    Spec::new("reset", 2, "admin loading stale", "admin slow dangerous", reset)
        .tips("request_policy:all_nodes response_policy:all_succeeded")
        .about("server", "2.2.12", "Drops all entries."),
];

fn slowlog_help(_: &mut Server, client: &mut Client, args: Args<'_>) {
    help(client, "slowlog", args);
}

fn get(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let all = server.slowlog.entries.len();
    let count = match args.len() {
        2 => 10,
        3 => match parse_i64(&args[2]) {
            Some(-1) => all,
            None | Some(..-1) => return client.reply.error("count should be greater than or equal to -1"),
            Some(n) => n as usize,
        },
        _ => return client.reply.error(wrong_subcommand(args)),
    };
    let reply = &mut client.reply;
    reply.array(count.min(all));
    for entry in server.slowlog.entries.iter().take(count) {
        reply.array(6);
        reply.int(entry.id as i64);
        reply.int(entry.time);
        reply.int(i64::try_from(entry.micros).unwrap_or(i64::MAX));
        reply.array(entry.args.len());
        entry.args.iter().for_each(|arg| reply.bulk(arg));
        reply.bulk(&entry.peer);
        reply.bulk(&entry.name);
    }
}

fn len(server: &mut Server, client: &mut Client, _: Args<'_>) {
    client.reply.len(server.slowlog.entries.len());
}

fn reset(server: &mut Server, client: &mut Client, _: Args<'_>) {
    server.slowlog.entries.clear();
    client.reply.ok();
}

/// An entry keeps so many arguments ...
const MAX_ARGS: usize = 32;
/// ... and so many bytes of each.
const MAX_BYTES: usize = 128;

/// Notes a command that took long.
pub(super) fn note(
    server: &mut Server,
    client: &Client,
    command: &'static Command,
    args: Args<'_>,
    micros: u64,
) {
    let kept = if args.len() > MAX_ARGS { MAX_ARGS - 1 } else { args.len() };
    let mut shown: Vec<Vec<u8>> = args
        .iter()
        .take(kept)
        .enumerate()
        .map(|(i, arg)| match arg {
            _ if redacted(command, args, i) => b"(redacted)".to_vec(),
            arg if arg.len() > MAX_BYTES => {
                let more = format!("... ({} more bytes)", arg.len() - MAX_BYTES);
                [&arg[..MAX_BYTES], more.as_bytes()].concat()
            }
            arg => arg.to_vec(),
        })
        .collect();
    if args.len() > kept {
        shown.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
    }
    let most = usize::try_from(server.config.int("slowlog-max-len")).unwrap_or(0);
    let entry = Slow {
        id: 0,
        time: unix_micros() / 1_000_000,
        micros,
        args: shown,
        peer: client.peer.clone(),
        name: client.name.clone(),
    };
    server.slowlog.add(entry, most);
}

/// Whether an argument is a secret, which no log may show.
pub(super) fn redacted(command: &Command, args: Args<'_>, i: usize) -> bool {
    let after = |word: &str, most: usize| {
        let at = (1..i).find(|&at| args.is(at, word));
        at.is_some_and(|at| i - at <= most)
    };
    match command.full_name {
        "auth" => i > 0,
        "hello" => after("auth", 2),
        "migrate" => i > 5 && (after("auth", 1) || after("auth2", 2)),
        "config|set" => {
            const SECRETS: [&str; 5] =
                ["requirepass", "masterauth", "masteruser", "tls-key-file-pass", "tls-client-key-file-pass"];
            i >= 3 && i % 2 == 1 && SECRETS.iter().any(|secret| args.is(i - 1, secret))
        }
        _ => false,
    }
}
