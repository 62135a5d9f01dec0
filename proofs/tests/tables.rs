//! Claim: the tables of commands and directives in the pages are those of the code. Those of the worlds are compared by `ledger.rs`.

use slotproof_node::commands::{self, Command};
use slotproof_node::config::{DIRECTIVES, Directive, Kind};
use slotproof_proofs::pages::{compare, table};

#[test]
fn tables_of_commands_are_current() {
    compare("docs/commands.md", &[("commands", commands_in_full())]);
}

#[test]
fn tables_of_directives_are_current() {
    compare("docs/directives.md", &[("directives", directives_in_full())]);
}

#[test]
fn tables_of_the_readme_are_current() {
    compare("README.md", &[("commands", commands_by_group()), ("directives", directives_by_area())]);
}

/// Groups as COMMAND DOCS names them, in the order in which they are shown.
const GROUPS: [&str; 12] = [
    "connection",
    "server",
    "cluster",
    "generic",
    "string",
    "bitmap",
    "hash",
    "list",
    "set",
    "sorted-set",
    "pubsub",
    "transactions",
];

fn of_group(group: &str) -> Vec<&'static Command> {
    commands::all().into_iter().filter(|c| c.spec.group == group).collect()
}

#[test]
fn every_command_is_in_a_group() {
    let missing: Vec<&str> =
        commands::all().iter().filter(|c| !GROUPS.contains(&c.spec.group)).map(|c| c.full_name).collect();
    assert!(missing.is_empty(), "in no group of the tables: {missing:?}");
}

fn commands_by_group() -> String {
    let lines = GROUPS.map(|group| {
        let names: Vec<String> = of_group(group)
            .iter()
            .map(|c| match c.subs.len() {
                0 => c.full_name.to_ascii_uppercase(),
                n => format!("{} (with {n} subcommands)", c.full_name.to_ascii_uppercase()),
            })
            .collect();
        [group.to_string(), names.join(", ")]
    });
    let all = commands::all();
    let subs: usize = all.iter().map(|c| c.subs.len()).sum();
    format!("{}\n{} commands and {subs} subcommands.", table(["group", "commands"], lines), all.len())
}

fn commands_in_full() -> String {
    let mut text = String::new();
    for group in GROUPS {
        let lines = of_group(group).into_iter().flat_map(|c| {
            let mut subs: Vec<&Command> = c.subs.values().collect();
            subs.sort_unstable_by_key(|sub| sub.full_name);
            std::iter::once(c).chain(subs).map(command)
        });
        let columns = ["command", "arity", "flags", "keys", "since", "what it does"];
        text.push_str(&format!("## {group}\n\n{}\n", table(columns, lines)));
    }
    text
}

fn command(c: &Command) -> [String; 6] {
    let spec = c.spec;
    let (first, last, step) = spec.keys;
    let mut keys = if first == 0 { String::new() } else { format!("{first} {last} {step}") };
    if spec.counted.0 > 0 {
        keys = format!("{keys} counted at {}", spec.counted.0).trim().to_string();
    }
    [
        c.full_name.to_ascii_uppercase().replace('|', " "),
        spec.arity.to_string(),
        spec.flags.to_string(),
        keys,
        spec.since.to_string(),
        spec.summary.to_string(),
    ]
}

/// Areas of directives, each with the names, or the beginnings of names (with `*`), that belong to it; the first one that fits
/// counts.
const AREAS: [(&str, &[&str]); 12] = [
    ("cluster", &["cluster-*"]),
    (
        "network and clients",
        &[
            "bind",
            "port",
            "protected-mode",
            "tcp-*",
            "timeout",
            "maxclients",
            "client-*",
            "proto-max-bulk-len",
            "tracking-*",
        ],
    ),
    (
        "process and log",
        &[
            "daemonize",
            "supervised",
            "pidfile",
            "logfile",
            "loglevel",
            "dir",
            "databases",
            "hz",
            "dynamic-hz",
            "syslog-*",
            "trace",
            "shutdown-*",
            "crash-*",
            "always-show-logo",
            "set-proc-title",
            "proc-title-template",
            "ignore-warnings",
        ],
    ),
    ("access", &["requirepass", "acl*", "enable-*"]),
    (
        "memory",
        &["maxmemory*", "lazyfree-*", "lfu-*", "activedefrag", "active-defrag-*", "active-expire-effort"],
    ),
    (
        "form of values",
        &[
            "hash-max-*",
            "list-*",
            "set-max-*",
            "zset-max-*",
            "stream-*",
            "hll-*",
            "activerehashing",
            "sanitize-dump-payload",
        ],
    ),
    ("slow log, latency, events", &["slowlog-*", "latency-*", "notify-*"]),
    (
        "persistence",
        &[
            "rdb*",
            "save",
            "dbfilename",
            "stop-writes-*",
            "aof*",
            "append*",
            "auto-aof-*",
            "no-appendfsync-*",
            "key-load-delay",
            "loading-*",
        ],
    ),
    ("replication", &["repl*", "min-replicas-*", "masterauth", "masteruser", "propagation-*"]),
    ("scripts", &["busy-reply-threshold"]),
    ("TLS", &["tls-*"]),
    (
        "system",
        &[
            "unixsocket*",
            "bind-source-addr",
            "socket-mark-id",
            "io-threads*",
            "*_cpulist",
            "oom-*",
            "disable-thp",
            "jemalloc-*",
        ],
    ),
];

fn area(directive: &Directive) -> &'static str {
    let fits = |pattern: &str| match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(start), _) => directive.name.starts_with(start),
        (_, Some(end)) => directive.name.ends_with(end),
        _ => directive.name == pattern,
    };
    // Ends of names win over beginnings: `aof_rewrite_cpulist` is about the system.
    let ends = |pattern: &str| pattern.starts_with('*') && fits(pattern);
    let by =
        |fits: &dyn Fn(&str) -> bool| AREAS.iter().find(|(_, patterns)| patterns.iter().any(|p| fits(p)));
    by(&ends)
        .or_else(|| by(&fits))
        .unwrap_or_else(|| panic!("{} is in no area of the tables", directive.name))
        .0
}

fn of_area(name: &str) -> Vec<&'static Directive> {
    DIRECTIVES.iter().filter(|d| area(d) == name).collect()
}

fn directives_by_area() -> String {
    let names = |area: &str, used: bool| {
        let names: Vec<&str> = of_area(area).iter().filter(|d| d.used == used).map(|d| d.name).collect();
        names.join(", ")
    };
    let lines = AREAS.map(|(area, _)| {
        let idle = of_area(area).iter().filter(|d| !d.used).count();
        [area.to_string(), names(area, true), idle.to_string()]
    });
    let used = DIRECTIVES.iter().filter(|d| d.used).count();
    format!(
        "{}\n{used} directives have an effect; {} are accepted, kept and shown, and warned about once at the start.",
        table(["area", "directives with an effect", "accepted without"], lines),
        DIRECTIVES.len() - used
    )
}

fn directives_in_full() -> String {
    let mut text = String::new();
    for (name, _) in AREAS {
        let columns = ["directive", "older name", "value", "default", "CONFIG SET", "effect"];
        text.push_str(&format!(
            "## {name}\n\n{}\n",
            table(columns, of_area(name).into_iter().map(directive))
        ));
    }
    text
}

fn directive(d: &Directive) -> [String; 6] {
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    [
        code(d.name),
        code(d.alias),
        value(d.kind),
        code(d.default),
        if d.mutable { "yes" } else { "no" }.into(),
        if d.used { "yes" } else { "accepted without" }.into(),
    ]
}

fn value(kind: Kind) -> String {
    let range = |what: &str, min: i64, max: i64| match max {
        i64::MAX => format!("{what} from {min}"),
        _ => format!("{what}, {min} to {max}"),
    };
    match kind {
        Kind::YesNo => "yes, no".into(),
        Kind::Int(min, max) => range("number", min, max),
        Kind::Memory(min, max) => range("bytes", min, max),
        Kind::Word(words) => words.join(", "),
        Kind::Words(words) => format!("some of {}", words.join(", ")),
        Kind::Text => "text".into(),
        Kind::Hostname => "name of a host".into(),
        Kind::Address => "address".into(),
        Kind::List => "words".into(),
    }
}
