//! Commands about the connection itself.

use super::{Spec, text};
use crate::resp::{Args, Protocol, parse_i64};
use crate::server::{Client, Close, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] =
    &[
        Spec::new("ping", -1, "fast", "fast connection", ping)
            .tips("request_policy:all_shards response_policy:all_succeeded")
            .about("connection", "1.0.0", "Answers PONG, or the argument."),
        Spec::new("echo", 2, "loading stale fast", "fast connection", echo).about(
            "connection",
            "1.0.0",
            "Answers the argument.",
        ),
        Spec::new("hello", -1, "noscript loading stale fast no_auth allow_busy", "fast connection", hello)
            .about(
                "connection",
                "6.0.0",
                "Chooses the version of the protocol; may authenticate and name the client.",
            ),
        Spec::new("auth", -2, "noscript loading stale fast no_auth allow_busy", "fast connection", auth)
            .about("connection", "1.0.0", "Authenticates the client."),
        Spec::new("reset", 1, "noscript loading stale fast no_auth allow_busy", "fast connection", reset)
            .about("connection", "6.2.0", "Puts the connection back to how it began."),
        Spec::new("quit", -1, "noscript loading stale fast no_auth allow_busy", "fast connection", quit)
            .about("connection", "1.0.0", "Closes the connection."),
        Spec::new("select", 2, "loading stale fast", "fast connection", select).about(
            "connection",
            "1.0.0",
            "Selects a database.",
        ),
    ];

fn ping(_: &mut Server, client: &mut Client, args: Args<'_>) {
    match args.len() {
        1 | 2 if super::pubsub::ping(client, args.get(1).unwrap_or_default()) => {}
        1 => client.reply.status("PONG"),
        2 => client.reply.bulk(&args[1]),
        _ => client.reply.error("wrong number of arguments for 'ping' command"),
    }
}

fn echo(_: &mut Server, client: &mut Client, args: Args<'_>) {
    client.reply.bulk(&args[1]);
}

/// networking.c `helloCommand`: options are checked before anything changes.
fn hello(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let mut protocol = client.reply.protocol;
    if let Some(version) = args.get(1) {
        protocol = match parse_i64(version) {
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            Some(_) => return client.reply.error("-NOPROTO unsupported protocol version"),
            None => return client.reply.error("Protocol version is not an integer or out of range"),
        };
    }
    let mut name = None;
    let mut rest = args.from(2);
    while let Some(option) = rest.get(0) {
        match (rest.get(1), rest.get(2)) {
            (Some(user), Some(password)) if rest.is(0, "auth") => {
                if !authenticate(server, client, Some(user), password) {
                    return;
                }
                rest = rest.from(3);
            }
            (Some(wanted), _) if rest.is(0, "setname") => {
                if !valid_name(wanted) {
                    return client.reply.error(BAD_NAME);
                }
                name = Some(wanted);
                rest = rest.from(2);
            }
            _ => {
                let option = String::from_utf8_lossy(option);
                return client.reply.error(format!("Syntax error in HELLO option '{option}'"));
            }
        }
    }
    if !client.authenticated {
        return client.reply.error(
            "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH \
             <user> <pass> option can be used to authenticate the client and select the RESP protocol version at \
             the same time",
        );
    }
    if let Some(name) = name {
        client.name = name.to_vec();
    }
    let reply = &mut client.reply;
    reply.protocol = protocol;
    reply.map(7);
    reply.bulk("server");
    reply.bulk("redis");
    reply.bulk("version");
    reply.bulk(super::info::REDIS_VERSION);
    reply.bulk("proto");
    reply.int(if protocol == Protocol::Resp3 { 3 } else { 2 });
    reply.bulk("id");
    reply.int(client.id as i64);
    reply.bulk("mode");
    reply.bulk(if server.cluster_enabled() { "cluster" } else { "standalone" });
    reply.bulk("role");
    reply.bulk(if server.master().is_some() { "replica" } else { "master" });
    reply.bulk("modules");
    reply.array(0);
}

pub(super) const BAD_NAME: &str = "Client names cannot contain spaces, newlines or special characters.";

/// Whether a client may be called this.
pub(super) fn valid_name(name: &[u8]) -> bool {
    name.iter().all(|b| (b'!'..=b'~').contains(b))
}

fn auth(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let authenticated = match args.len() {
        2 if !server.limits.password => {
            return client.reply.error(
                "AUTH <password> called without any password configured for the default user. Are you sure your \
                 configuration is correct?",
            );
        }
        2 => authenticate(server, client, None, &args[1]),
        3 => authenticate(server, client, Some(&args[1]), &args[2]),
        _ => return client.reply.error(text::SYNTAX),
    };
    if authenticated {
        client.reply.ok();
    }
}

/// Checks a password; there is one user, `default`. Writes the error if it is wrong.
fn authenticate(server: &Server, client: &mut Client, user: Option<&[u8]>, password: &[u8]) -> bool {
    let right = !server.config.has_password() || server.config.is_password(password);
    if user.is_none_or(|u| u == b"default") && right {
        client.authenticated = true;
        return true;
    }
    client.reply.error("-WRONGPASS invalid username-password pair or user is disabled.");
    false
}

fn reset(server: &mut Server, client: &mut Client, _: Args<'_>) {
    server.forget(client);
    client.reset(!server.limits.password);
    client.reply.status("RESET");
}

fn quit(_: &mut Server, client: &mut Client, _: Args<'_>) {
    client.reply.ok();
    client.close = Close::AfterReply;
}

fn select(server: &mut Server, client: &mut Client, args: Args<'_>) {
    match parse_i64(&args[1]) {
        None => client.reply.error(text::NOT_INT),
        Some(n) if i32::try_from(n).is_err() => client.reply.error(text::NOT_I32),
        Some(n) if n != 0 && server.cluster_enabled() => {
            client.reply.error("SELECT is not allowed in cluster mode");
        }
        Some(n) => match usize::try_from(n).ok().filter(|&n| n < server.dbs.len()) {
            Some(n) => {
                client.db = n;
                client.reply.ok();
            }
            None => client.reply.error("DB index is out of range"),
        },
    }
}
