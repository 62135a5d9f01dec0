//! CLIENT and its subcommands (networking.c `clientCommand`).

use super::connection::{BAD_NAME, valid_name};
use super::{Spec, help, text};
use crate::resp::{Args, parse_i64};
use crate::server::{Blocked, Client, Close, Pause, ReplyMode, Server, Waiting};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[Spec::new("client", -2, "", "slow", client_help)
    .about("connection", "2.4.0", "Looks at clients and sets up the own connection.")
    .subs(CLIENT_SUBS)];

static CLIENT_SUBS: &[Spec] =
    &[
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
        Spec::new("caching", 3, "noscript loading stale", "slow connection", caching).about(
            "connection",
            "6.0.0",
            "Is refused: no server-assisted caching here.",
        ),
        Spec::new("getredir", 2, "noscript loading stale", "slow connection", getredir).about(
            "connection",
            "6.0.0",
            "Answers -1: no server-assisted caching here.",
        ),
        Spec::new("pause", -3, "admin noscript loading stale", "admin slow dangerous connection", pause)
            .about("connection", "2.9.50", "<milliseconds> [WRITE|ALL]: lets commands wait."),
        Spec::new("trackinginfo", 2, "noscript loading stale", "slow connection", trackinginfo).about(
            "connection",
            "6.2.0",
            "Tells that tracking is off.",
        ),
        Spec::new("unblock", -3, "admin noscript loading stale", "admin slow dangerous connection", unblock)
            .about("connection", "5.0.0", "<id> [TIMEOUT|ERROR]: ends the waiting of a client."),
        Spec::new("unpause", 2, "admin noscript loading stale", "admin slow dangerous connection", unpause)
            .about("connection", "6.2.0", "Ends a pause."),
        Spec::new("reply", 3, "noscript loading stale", "slow connection", reply).about(
            "connection",
            "3.2.0",
            "Turns replies on or off, or skips one.",
        ),
        Spec::new("no-touch", 3, "noscript loading stale", "slow connection", no_touch).about(
            "connection",
            "7.2.0",
            "Keeps the commands of this client from counting as use of keys.",
        ),
        Spec::new("setinfo", 4, "noscript loading stale", "slow connection", setinfo)
            .tips("request_policy:all_nodes response_policy:all_succeeded")
            .about("connection", "7.2.0", "Notes the name or the version of this client's library."),
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

fn client_help(_: &mut Server, client: &mut Client, args: Args<'_>) {
    help(client, "client", args);
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

/// The name of a library and its version have at most so many bytes each: clients tell them unasked, with each connection.
const MAX_LIBRARY: usize = 1024;

fn setinfo(_: &mut Server, client: &mut Client, args: Args<'_>) {
    let attribute = match () {
        () if args.is(2, "lib-name") => 0,
        () if args.is(2, "lib-ver") => 1,
        () => {
            return client
                .reply
                .error(format!("Unrecognized option '{}'", String::from_utf8_lossy(&args[2])));
        }
    };
    if !valid_name(&args[3]) {
        let name = ["lib-name", "lib-ver"][attribute];
        return client.reply.error(format!("{name} cannot contain spaces, newlines or special characters."));
    }
    if args[3].len() > MAX_LIBRARY {
        let name = ["lib-name", "lib-ver"][attribute];
        return client.reply.error(format!("{name} is longer than {MAX_LIBRARY} bytes."));
    }
    client.library[attribute] = args[3].to_vec();
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

fn no_touch(_: &mut Server, client: &mut Client, args: Args<'_>) {
    match () {
        () if args.is(2, "on") => client.no_touch = true,
        () if args.is(2, "off") => client.no_touch = false,
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

fn tracking(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let mut i = 3;
    while i < args.len() {
        let more = i + 1 < args.len();
        i += match () {
            () if args.is(i, "redirect") && more => {
                let id = match parse_i64(&args[i + 1]) {
                    Some(id) => u64::try_from(id).unwrap_or(0),
                    None => return client.reply.error(text::NOT_INT),
                };
                if id != client.id && !server.clients.contains_key(&id) {
                    return client.reply.error("The client ID you want redirect to does not exist");
                }
                2
            }
            () if args.is(i, "prefix") && more => 2,
            () if ["bcast", "optin", "optout", "noloop"].iter().any(|word| args.is(i, word)) => 1,
            () => return client.reply.error(text::SYNTAX),
        };
    }
    match () {
        () if args.is(2, "off") => client.reply.ok(),
        () if args.is(2, "on") => client.reply.error("Client tracking is not supported by this server"),
        () => client.reply.error(text::SYNTAX),
    }
}

fn caching(_: &mut Server, client: &mut Client, _: Args<'_>) {
    client.reply.error(
        "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
    );
}

fn getredir(_: &mut Server, client: &mut Client, _: Args<'_>) {
    client.reply.int(-1);
}

fn trackinginfo(_: &mut Server, client: &mut Client, _: Args<'_>) {
    let reply = &mut client.reply;
    reply.map(3);
    reply.bulk("flags");
    reply.set(1);
    reply.bulk("off");
    reply.bulk("redirect");
    reply.int(-1);
    reply.bulk("prefixes");
    reply.array(0);
}

fn pause(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let all = match args.len() {
        3 => true,
        4 if args.is(3, "all") => true,
        4 if args.is(3, "write") => false,
        4 => return client.reply.error("CLIENT PAUSE mode must be WRITE or ALL"),
        _ => return client.reply.error(text::SYNTAX),
    };
    let ms = match parse_i64(&args[2]) {
        None => return client.reply.error("timeout is not an integer or out of range"),
        Some(..0) => return client.reply.error("timeout is negative"),
        Some(ms) => ms,
    };
    let Some(until_ms) = server.now_ms.checked_add(ms) else {
        return client.reply.error("timeout is out of range");
    };
    // A pause that is in force is only made longer and stricter.
    let old = server.paused();
    server.pause = Some(Pause {
        until_ms: old.map_or(until_ms, |old| old.until_ms.max(until_ms)),
        all: all || old.is_some_and(|old| old.all),
    });
    client.reply.ok();
}

fn unpause(server: &mut Server, client: &mut Client, _: Args<'_>) {
    server.end_pause();
    client.reply.ok();
}

fn unblock(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let with_error = match args.len() {
        3 => false,
        4 if args.is(3, "timeout") => false,
        4 if args.is(3, "error") => true,
        4 => return client.reply.error("CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
        _ => return client.reply.error(text::SYNTAX),
    };
    let Some(id) = parse_i64(&args[2]) else { return client.reply.error(text::NOT_INT) };
    let other = u64::try_from(id).ok().and_then(|id| server.clients.get(&id));
    let done = other.and_then(|other| other.try_borrow_mut().ok()).is_some_and(|mut other| {
        let Some(Blocked { why: Waiting::Replicas(acknowledged), .. }) = other.blocked else { return false };
        if with_error {
            other.reply.error("-UNBLOCKED client unblocked via CLIENT UNBLOCK");
        } else {
            other.reply.int(acknowledged);
        }
        other.blocked = None;
        other.wake.notify_one();
        true
    });
    client.reply.int(i64::from(done));
}

/// A type of client that Redis knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    PubSub,
    /// One who takes a dump.
    Replica,
    /// None here, yet.
    Master,
}

impl Kind {
    fn of(client: &Client) -> Self {
        match () {
            () if client.backup.is_some() => Self::Replica,
            () if client.subscriptions.is_empty() => Self::Normal,
            () => Self::PubSub,
        }
    }
}

/// The type of this name; the error is written if there is no such.
fn known_type(client: &mut Client, word: &[u8]) -> Option<Kind> {
    let is = |name: &[u8]| name.eq_ignore_ascii_case(word);
    match () {
        () if is(b"normal") => Some(Kind::Normal),
        () if is(b"pubsub") => Some(Kind::PubSub),
        () if is(b"replica") || is(b"slave") => Some(Kind::Replica),
        () if is(b"master") => Some(Kind::Master),
        () => {
            let word = String::from_utf8_lossy(word);
            client.reply.error(format!("Unknown client type '{word}'"));
            None
        }
    }
}

fn list(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let mut ids = None;
    let mut kind = None;
    match args.len() {
        2 => {}
        4 if args.is(2, "type") => match known_type(client, &args[3]) {
            Some(wanted) => kind = Some(wanted),
            None => return,
        },
        4.. if args.is(2, "id") => {
            let wanted: Option<Vec<u64>> = args
                .from(3)
                .iter()
                // Nobody has a negative one.
                .map(|id| parse_i64(id).map(|n| u64::try_from(n).unwrap_or(0)))
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
        if ids.as_ref().is_some_and(|ids| !ids.contains(id)) {
            continue;
        }
        // All but the client that asks can be borrowed.
        let other = other.try_borrow();
        let other = other.as_deref().unwrap_or(client);
        if kind.is_none_or(|kind| kind == Kind::of(other)) {
            lines.push_str(&other.describe(now));
            lines.push('\n');
        }
    }
    client.reply.verbatim(lines);
}

/// What CLIENT KILL selects by.
#[derive(Default)]
struct Filter<'a> {
    id: Option<u64>,
    peer: Option<&'a [u8]>,
    local: Option<&'a [u8]>,
    kind: Option<Kind>,
    skip_me: bool,
}

impl Filter<'_> {
    fn selects(&self, client: &Client, me: bool) -> bool {
        !(me && self.skip_me)
            && self.kind.is_none_or(|kind| kind == Kind::of(client))
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
                    Some(kind) => filter.kind = Some(kind),
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
