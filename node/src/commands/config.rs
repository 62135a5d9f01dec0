//! CONFIG (config.c `configGetCommand`, `configSetCommand`).

use super::{Spec, help};
use crate::config::{Directive, find};
use crate::resp::Args;
use crate::server::{Client, Level, Server, Stats};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[Spec::new("config", -2, "", "slow", config_help)
    .about("server", "2.0.0", "Reads and changes the configuration.")
    .subs(CONFIG_SUBS)];

static CONFIG_SUBS: &[Spec] = &[
    Spec::new("get", -3, "admin noscript loading stale", "admin slow dangerous", get).about(
        "server",
        "2.0.0",
        "Answers directives whose names match.",
    ),
    Spec::new("help", 2, "loading stale", "slow", config_help).about(
        "server",
        "5.0.0",
        "Lists the subcommands.",
    ),
    Spec::new("resetstat", 2, "admin noscript loading stale", "admin slow dangerous", resetstat).about(
        "server",
        "2.0.0",
        "Starts the statistics anew.",
    ),
    Spec::new("set", -4, "admin noscript loading stale", "admin slow dangerous", set)
        .tips("request_policy:all_nodes response_policy:all_succeeded")
        .about("server", "2.0.0", "Changes directives, all or none."),
];

fn config_help(_: &mut Server, client: &mut Client, _: Args<'_>) {
    help(client, "config");
}

fn get(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let patterns: Vec<&[u8]> = args.from(2).iter().collect();
    let found = server.config.matching(&patterns);
    client.reply.map(found.len());
    for (name, value) in found {
        client.reply.bulk(name);
        client.reply.bulk(value);
    }
}

fn resetstat(server: &mut Server, client: &mut Client, _: Args<'_>) {
    server.stats = Stats::default();
    server.dbs.iter_mut().for_each(|db| db.reset_stats());
    client.reply.ok();
}

/// All pairs or none: they are tried on a copy first.
fn set(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if !args.len().is_multiple_of(2) {
        return client.reply.error("wrong number of arguments for 'config|set' command");
    }
    let old = server.config.clone();
    let mut new = old.clone();
    let mut changed: Vec<&'static str> = Vec::new();
    for i in (2..args.len()).step_by(2) {
        let given = String::from_utf8_lossy(&args[i]).into_owned();
        let Some(directive) = find(&args[i]) else {
            return client
                .reply
                .error(format!("Unknown option or number of arguments for CONFIG SET - '{given}'"));
        };
        let result = if changed.contains(&directive.name) {
            Err("duplicate parameter".to_owned())
        } else {
            try_set(&mut new, directive, &args[i + 1])
        };
        if let Err(why) = result {
            return client.reply.error(failed(&given, &why));
        }
        changed.push(directive.name);
    }
    server.config = new;
    if let Err((name, why)) = apply(server, &changed) {
        server.config = old;
        server.refresh();
        return client.reply.error(failed(name, &why));
    }
    client.reply.ok();
}

fn failed(name: &str, why: &str) -> String {
    format!("CONFIG SET failed (possibly related to argument '{name}') - {why}")
}

fn try_set(
    config: &mut crate::config::Config,
    directive: &'static Directive,
    value: &[u8],
) -> Result<(), String> {
    if !directive.mutable {
        return Err("can't set immutable config".to_owned());
    }
    if matches!(directive.name, "dir" | "dbfilename") && config.bytes("enable-protected-configs") == b"no" {
        return Err("can't set protected config".to_owned());
    }
    if matches!(directive.name, "port" | "bind" | "replicaof") {
        return Err("can't be changed while the server runs".to_owned());
    }
    config.set(directive, &[value]).map_err(|e| e.to_string())
}

/// Makes the new values take effect.
fn apply(server: &mut Server, changed: &[&'static str]) -> Result<(), (&'static str, String)> {
    server.refresh();
    if changed.contains(&"loglevel") {
        server.log.set_level(Level::named(&server.config.text("loglevel")));
    }
    match server.with_cluster(|cluster, server| cluster.config_changed(server, changed)) {
        Some(Err(why)) => Err((changed.first().copied().unwrap_or(""), why)),
        _ => Ok(()),
    }
}
