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
    Spec::new("rewrite", 2, "admin noscript loading stale", "admin slow dangerous", rewrite).about(
        "server",
        "2.8.0",
        "Writes the values of now to the configuration file.",
    ),
    Spec::new("set", -4, "admin noscript loading stale", "admin slow dangerous", set)
        .tips("request_policy:all_nodes response_policy:all_succeeded")
        .about("server", "2.0.0", "Changes directives, all or none."),
];

fn config_help(_: &mut Server, client: &mut Client, args: Args<'_>) {
    help(client, "config", args);
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
    server.stats = Stats { peak_memory: server.used_memory(), ..Stats::default() };
    server.garbage.reset_stats();
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
            try_set(&mut new, directive, &args[i + 1], is_local(client))
        };
        if let Err(why) = result {
            return client.reply.error(failed(&given, &why));
        }
        changed.push(directive.name);
    }
    if new.bytes("requirepass") != old.bytes("requirepass") {
        new.user = None;
    }
    server.config = new;
    if let Err((name, why)) = apply(server, &changed) {
        server.config = old;
        server.refresh();
        if changed.iter().any(|name| matches!(*name, "port" | "bind")) {
            // What was listened on before is free, unless somebody was faster.
            let _ = server.relisten();
        }
        return client.reply.error(failed(name, &why));
    }
    client.reply.ok();
}

fn is_local(client: &Client) -> bool {
    client.peer.starts_with("127.") || client.peer.starts_with("[::1]")
}

fn rewrite(server: &mut Server, client: &mut Client, _: Args<'_>) {
    let Some(path) = &server.config.file else {
        return client.reply.error("The server is running without a config file");
    };
    match crate::config::rewrite(&server.config, path) {
        Ok(()) => {
            server.log.warning("CONFIG REWRITE executed with success.");
            client.reply.ok();
        }
        Err(e) => {
            server.log.warning(&format!("CONFIG REWRITE failed: {e}"));
            let text = e.to_string();
            let why = text.split(" (os error").next().unwrap_or(&text);
            client.reply.error(format!("Rewriting config file: {why}"));
        }
    }
}

fn failed(name: &str, why: &str) -> String {
    format!("CONFIG SET failed (possibly related to argument '{name}') - {why}")
}

fn try_set(
    config: &mut crate::config::Config,
    directive: &'static Directive,
    value: &[u8],
    local: bool,
) -> Result<(), String> {
    if !directive.mutable {
        return Err("can't set immutable config".to_owned());
    }
    let protected = match config.bytes("enable-protected-configs") {
        b"yes" => false,
        b"local" => !local,
        _ => true,
    };
    if matches!(directive.name, "dir" | "dbfilename") && protected {
        return Err("can't set protected config".to_owned());
    }
    if directive.name == "replicaof" {
        return Err("can't be changed while the server runs".to_owned());
    }
    config.set(directive, &[value]).map_err(|e| e.to_string())
}

/// Makes the new values take effect.
fn apply(server: &mut Server, changed: &[&'static str]) -> Result<(), (&'static str, String)> {
    server.refresh();
    if changed.contains(&"dir") {
        let dir = server.config.text("dir").into_owned();
        std::env::set_current_dir(&dir).map_err(|e| {
            let text = e.to_string();
            ("dir", text.split(" (os error").next().unwrap_or(&text).to_owned())
        })?;
    }
    if changed.contains(&"maxmemory") && server.used_memory() > server.limits.max_memory {
        server.log.warning("maxmemory is below the memory in use: keys will be evicted, or writes refused");
        server.make_room();
    }
    if changed.contains(&"port") {
        server.relisten().map_err(|e| ("port", format!("Unable to listen on this port. {e}")))?;
    } else if changed.contains(&"bind") {
        server.relisten().map_err(|e| {
            server.log.warning(&e.to_string());
            ("bind", "Failed to bind to specified addresses.".to_owned())
        })?;
    }
    if changed.contains(&"loglevel") {
        server.log.set_level(Level::named(&server.config.text("loglevel")));
    }
    match server.with_cluster(|cluster, server| cluster.config_changed(server, changed)) {
        Some(Err(why)) => Err((changed.first().copied().unwrap_or(""), why)),
        _ => Ok(()),
    }
}
