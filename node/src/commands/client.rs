//! CLIENT and its subcommands (networking.c `clientCommand`).

use super::connection::{BAD_NAME, valid_name};
use super::{Spec, help, text};
use crate::resp::{Args, parse_i64};
use crate::server::{Client, Close, ReplyMode, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[Spec::new("client", -2, "", "slow", client_help)
    .about("connection", "2.4.0", "Looks at clients and sets up the own connection.")
    .subs(CLIENT_SUBS)];

static CLIENT_SUBS: &[Spec] = &[
    Spec::new("getname", 2, "noscript loading stale", "slow connection", getname).about(
        "connection",
        "2.6.9",
        "Answers the name of this client.",
    ),
    Spec::new("help", 2, "loading stale", "slow connection", client_help).about(
        "connection",
        "5.0.0",
        "Lists the subcommands.",
    ),
    Spec::new("id", 2, "noscript loading stale", "slow connection", id).about(
        "connection",
        "5.0.0",
        "Answers the id of this client.",
    ),
    Spec::new("info", 2, "noscript loading stale", "slow connection", info)
        .tips("nondeterministic_output")
        .about("connection", "6.2.0", "Describes this client."),
    Spec::new("kill", -3, "admin noscript loading stale", "admin slow dangerous connection", kill).about(
        "connection",
        "2.4.0",
        "Ends connections.",
    ),
    Spec::new("list", -2, "admin noscript loading stale", "admin slow dangerous connection", list)
        .tips("nondeterministic_output")
        .about("connection", "2.4.0", "Describes all clients, or those selected."),
    Spec::new("no-evict", 3, "admin noscript loading stale", "admin slow dangerous connection", no_evict)
        .about("connection", "7.0.0", "Keeps this client from being evicted."),
    Spec::new("reply", 3, "noscript loading stale", "slow connection", reply).about(
        "connection",
        "3.2.0",
        "Turns replies on or off, or skips one.",
    ),
    Spec::new("setname", 3, "noscript loading stale", "slow connection", setname).about(
        "connection",
        "2.6.9",
        "Names this client.",
    ),
    Spec::new("tracking", -3, "noscript loading stale", "slow connection", tracking).about(
        "connection",
        "6.0.0",
        "Is refused: no server-assisted caching here.",
    ),
];

fn client_help(_: &mut Server, client: &mut Client, _: Args<'_>) {
    help(client, "client");
}

fn id(_: &mut Server, client: &mut Client, _: Args<'_>) {
    client.reply.int(client.id as i64);
}

fn getname(_: &mut Server, client: &mut Client, _: Args<'_>) {
    if client.name.is_empty() {
        client.reply.null();
    } else {
        client.reply.bulk(&client.name);
    }
}

fn setname(_: &mut Server, client: &mut Client, args: Args<'_>) {
    if !valid_name(&args[2]) {
        return client.reply.error(BAD_NAME);
    }
    client.name = args[2].to_vec();
    client.reply.ok();
}

fn info(server: &mut Server, client: &mut Client, _: Args<'_>) {
    let line = client.describe(server.now_ms) + "\n";
    client.reply.verbatim(line);
}

fn no_evict(_: &mut Server, client: &mut Client, args: Args<'_>) {
    match () {
        () if args.is(2, "on") => client.no_evict = true,
        () if args.is(2, "off") => client.no_evict = false,
        () => return client.reply.error(text::SYNTAX),
    }
    client.reply.ok();
}

fn reply(_: &mut Server, client: &mut Client, args: Args<'_>) {
    match () {
        () if args.is(2, "on") => {
            client.reply_mode = ReplyMode::On;
            client.reply.ok();
        }
        () if args.is(2, "off") => client.reply_mode = ReplyMode::Off,
        () if args.is(2, "skip") => {
            if client.reply_mode != ReplyMode::Off {
                client.reply_mode = ReplyMode::SkipNext;
            }
        }
        () => client.reply.error(text::SYNTAX),
    }
}

fn tracking(_: &mut Server, client: &mut Client, _: Args<'_>) {
    client.reply.error("Client tracking is not supported by this server");
}

/// The types of client that Redis knows; all clients here are `normal`.
fn known_type(client: &mut Client, word: &[u8]) -> Option<bool> {
    let is = |name: &[u8]| name.eq_ignore_ascii_case(word);
    if is(b"normal") {
        return Some(true);
    }
    if [&b"master"[..], b"replica", b"slave", b"pubsub"].into_iter().any(is) {
        return Some(false);
    }
    let word = String::from_utf8_lossy(word);
    client.reply.error(format!("Unknown client type '{word}'"));
    None
}

fn list(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let mut ids = None;
    let mut normal = true;
    match args.len() {
        2 => {}
        4 if args.is(2, "type") => match known_type(client, &args[3]) {
            Some(is_normal) => normal = is_normal,
            None => return,
        },
        4.. if args.is(2, "id") => {
            let wanted: Option<Vec<u64>> = args
                .from(3)
                .iter()
                .map(|id| parse_i64(id).and_then(|n| u64::try_from(n).ok()).filter(|&n| n > 0))
                .collect();
            match wanted {
                Some(wanted) => ids = Some(wanted),
                None => return client.reply.error("Invalid client ID"),
            }
        }
        _ => return client.reply.error(text::SYNTAX),
    }
    let now = server.now_ms;
    let mut lines = String::new();
    for (id, other) in &server.clients {
        if !normal || ids.as_ref().is_some_and(|ids| !ids.contains(id)) {
            continue;
        }
        // All but the client that asks can be borrowed.
        let line = match other.try_borrow() {
            Ok(other) => other.describe(now),
            Err(_) => client.describe(now),
        };
        lines.push_str(&line);
        lines.push('\n');
    }
    client.reply.verbatim(lines);
}

/// What CLIENT KILL selects by.
#[derive(Default)]
struct Filter<'a> {
    id: Option<u64>,
    peer: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    other_type: bool,
    skip_me: bool,
}

impl Filter<'_> {
    fn selects(&self, client: &Client, me: bool) -> bool {
        !(self.other_type || me && self.skip_me)
            && self.id.is_none_or(|id| id == client.id)
            && self.peer.is_none_or(|a| a == client.peer.as_bytes())
            && self.local.is_none_or(|a| a == client.local.as_bytes())
    }
}

fn kill(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let mut filter = Filter { skip_me: true, ..Filter::default() };
    let old_form = args.len() == 3;
    if old_form {
        filter.peer = args.get(2);
        filter.skip_me = false;
    } else {
        if !args.len().is_multiple_of(2) {
            return client.reply.error(text::SYNTAX);
        }
        for i in (2..args.len()).step_by(2) {
            let value = &args[i + 1];
            if args.is(i, "id") {
                match parse_i64(value).and_then(|n| u64::try_from(n).ok()).filter(|&n| n > 0) {
                    Some(id) => filter.id = Some(id),
                    None => return client.reply.error("client-id should be greater than 0"),
                }
            } else if args.is(i, "addr") {
                filter.peer = args.get(i + 1);
            } else if args.is(i, "laddr") {
                filter.local = args.get(i + 1);
            } else if args.is(i, "type") {
                match known_type(client, value) {
                    Some(normal) => filter.other_type = !normal,
                    None => return,
                }
            } else if args.is(i, "user") {
                if value != b"default" {
                    let user = String::from_utf8_lossy(value);
                    return client.reply.error(format!("No such user '{user}'"));
                }
            } else if args.is(i, "skipme") && args.is(i + 1, "yes") {
                filter.skip_me = true;
            } else if args.is(i, "skipme") && args.is(i + 1, "no") {
                filter.skip_me = false;
            } else {
                return client.reply.error(text::SYNTAX);
            }
        }
    }
    let mut killed = 0;
    for other in server.clients.values() {
        match other.try_borrow_mut() {
            Ok(mut other) => {
                if filter.selects(&other, false) {
                    other.kill();
                    killed += 1;
                }
            }
            Err(_) => {
                if filter.selects(client, true) {
                    client.close = Close::AfterReply;
                    killed += 1;
                }
            }
        }
    }
    match (old_form, killed) {
        (true, 0) => client.reply.error("No such client"),
        (true, _) => client.reply.ok(),
        (false, n) => client.reply.int(n),
    }
}
