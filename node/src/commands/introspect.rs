//! COMMAND: what the tables say, as clients ask for it (server.c `commandCommand`).

use super::arguments::{self, Docs};
use super::{COMMANDS, Command, Flag, Spec, help, text};
use crate::keyspace::glob_match;
use crate::resp::{Args, Reply};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[Spec::new("command", -1, "loading stale", "slow connection", all)
    .tips("nondeterministic_output_order")
    .about("server", "2.8.13", "Describes commands.")
    .subs(COMMAND_SUBS)];

static COMMAND_SUBS: &[Spec] = &[
    Spec::new("count", 2, "loading stale", "slow connection", count).about(
        "server",
        "2.8.13",
        "Counts the commands.",
    ),
    Spec::new("docs", -2, "loading stale", "slow connection", docs)
        .tips("nondeterministic_output_order")
        .about("server", "7.0.0", "Documents commands."),
    Spec::new("getkeys", -4, "loading stale", "slow connection", getkeys).about(
        "server",
        "2.8.13",
        "Picks the keys out of a request.",
    ),
    Spec::new("getkeysandflags", -4, "loading stale", "slow connection", getkeysandflags).about(
        "server",
        "7.0.0",
        "Picks the keys out of a request, and what is done with them.",
    ),
    Spec::new("help", 2, "loading stale", "slow connection", command_help).about(
        "server",
        "5.0.0",
        "Lists the subcommands.",
    ),
    Spec::new("info", -2, "loading stale", "slow connection", info)
        .tips("nondeterministic_output_order")
        .about("server", "2.8.13", "Describes some commands."),
    Spec::new("list", -2, "loading stale", "slow connection", list)
        .tips("nondeterministic_output_order")
        .about("server", "7.0.0", "Lists the names of commands."),
];

/// All commands by name.
pub(super) fn sorted() -> Vec<&'static Command> {
    let mut all: Vec<_> = COMMANDS.values().collect();
    all.sort_unstable_by_key(|c| c.full_name);
    all
}

/// All commands and their subcommands by name.
pub(super) fn everything() -> impl Iterator<Item = &'static Command> {
    with_subs(sorted())
}

fn with_subs(commands: Vec<&'static Command>) -> impl Iterator<Item = &'static Command> {
    commands.into_iter().flat_map(|c| std::iter::once(c).chain(subs_of(c)))
}

pub(super) fn subs_of(command: &'static Command) -> Vec<&'static Command> {
    let mut all: Vec<_> = command.subs.values().collect();
    all.sort_unstable_by_key(|c| c.full_name);
    all
}

fn all(server: &mut Server, client: &mut Client, _: Args<'_>) {
    let all = server.renamed.sorted();
    client.reply.array(all.len());
    all.into_iter().for_each(|command| describe(&mut client.reply, command));
}

fn count(server: &mut Server, client: &mut Client, _: Args<'_>) {
    client.reply.len(server.renamed.sorted().len());
}

fn command_help(_: &mut Server, client: &mut Client, args: Args<'_>) {
    help(client, "command", args);
}

fn info(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if args.len() == 2 {
        return all(server, client, args);
    }
    client.reply.array(args.len() - 2);
    for name in args.from(2).iter() {
        match server.renamed.named(name) {
            Some(command) => describe(&mut client.reply, command),
            None => client.reply.null(),
        }
    }
}

fn words(list: &'static str) -> impl Iterator<Item = &'static str> + Clone {
    list.split(' ').filter(|w| !w.is_empty())
}

fn describe(reply: &mut Reply, command: &'static Command) {
    let spec = command.spec;
    let (first, last, step) = spec.keys;
    reply.array(10);
    reply.bulk(command.full_name);
    reply.int(spec.arity.into());
    reply.set(words(spec.flags).count());
    words(spec.flags).for_each(|flag| reply.status(flag));
    reply.int(first.into());
    reply.int(last.into());
    reply.int(step.into());
    reply.set(words(spec.acl).count());
    words(spec.acl).for_each(|category| reply.status(&format!("@{category}")));
    reply.set(words(spec.tips).count());
    words(spec.tips).for_each(|tip| reply.bulk(tip));
    key_specs(reply, command);
    let subs = subs_of(command);
    if subs.is_empty() {
        return reply.set(0);
    }
    reply.array(subs.len());
    subs.into_iter().for_each(|sub| describe(reply, sub));
}

/// Where keys are, in the form since Redis 7: a place to begin, and how to go on from there.
fn key_specs(reply: &mut Reply, command: &'static Command) {
    let spec = command.spec;
    let (first, last, step) = spec.keys;
    let (second, second_flags) = spec.second;
    let (counted, counted_flags) = spec.counted;
    let by_word = command.has(Flag::IsMigrate);
    let ranges = usize::from(first > 0) + usize::from(second > 0) + usize::from(counted > 0);
    reply.set(ranges + usize::from(by_word) + spec.elsewhere.len());
    // Counted from the first, except from the end.
    let last_of = |from: i32| if last < 0 { last } else { last - from };
    if first > 0 {
        key_spec_head(reply, words(spec.key_flags), "index");
        reply.map(1);
        reply.bulk("index");
        reply.int(first.into());
        key_range(reply, if second > 0 { 0 } else { last_of(first) }, step);
    }
    if second > 0 {
        key_spec_head(reply, words(second_flags), "index");
        reply.map(1);
        reply.bulk("index");
        reply.int(second.into());
        key_range(reply, last_of(second), step);
    }
    if counted > 0 {
        key_spec_head(reply, words(counted_flags), "index");
        reply.map(1);
        reply.bulk("index");
        reply.int(counted.into());
        reply.bulk("find_keys");
        reply.map(2);
        reply.bulk("type");
        reply.bulk("keynum");
        reply.bulk("spec");
        reply.map(3);
        for (name, value) in [("keynumidx", 0), ("firstkey", 1), ("keystep", 1)] {
            reply.bulk(name);
            reply.int(value);
        }
    }
    for flags in spec.elsewhere {
        key_spec_head(reply, words(flags), "unknown");
        reply.map(0);
        reply.bulk("find_keys");
        reply.map(2);
        reply.bulk("type");
        reply.bulk("unknown");
        reply.bulk("spec");
        reply.map(0);
    }
    if by_word {
        // MIGRATE's keys can also follow the word KEYS, searched from the end but one backwards.
        key_spec_head(reply, words(spec.key_flags).chain(["incomplete"]), "keyword");
        reply.map(2);
        reply.bulk("keyword");
        reply.bulk("KEYS");
        reply.bulk("startfrom");
        reply.int(-2);
        key_range(reply, -1, 1);
    }
}

fn key_spec_head(reply: &mut Reply, flags: impl Iterator<Item = &'static str> + Clone, kind: &str) {
    reply.map(3);
    reply.bulk("flags");
    reply.set(flags.clone().count());
    flags.for_each(|flag| reply.status(flag));
    reply.bulk("begin_search");
    reply.map(2);
    reply.bulk("type");
    reply.bulk(kind);
    reply.bulk("spec");
}

fn key_range(reply: &mut Reply, last: i32, step: i32) {
    reply.bulk("find_keys");
    reply.map(2);
    reply.bulk("type");
    reply.bulk("range");
    reply.bulk("spec");
    reply.map(3);
    reply.bulk("lastkey");
    reply.int(last.into());
    reply.bulk("keystep");
    reply.int(step.into());
    reply.bulk("limit");
    reply.int(0);
}

fn docs(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let asked: Vec<&'static Command> = match args.len() {
        2 => server.renamed.sorted(),
        _ => args.from(2).iter().filter_map(|name| server.renamed.named(name)).collect(),
    };
    client.reply.map(asked.len());
    asked.into_iter().for_each(|command| document(&mut client.reply, command));
}

fn document(reply: &mut Reply, command: &'static Command) {
    let subs = subs_of(command);
    let docs = arguments::docs(command.full_name);
    reply.bulk(command.full_name);
    reply.map(3 + docs.map_or(0, Docs::fields) + usize::from(!subs.is_empty()));
    reply.bulk("summary");
    reply.bulk(command.spec.summary);
    reply.bulk("since");
    reply.bulk(command.spec.since);
    reply.bulk("group");
    reply.bulk(command.spec.group);
    if let Some(docs) = docs {
        docs.reply_flags(reply);
        docs.reply_arguments(reply);
    }
    if !subs.is_empty() {
        reply.bulk("subcommands");
        reply.map(subs.len());
        subs.into_iter().for_each(|sub| document(reply, sub));
    }
}

fn getkeys(server: &mut Server, client: &mut Client, args: Args<'_>) {
    reply_keys(server, client, args.from(2), false);
}

fn getkeysandflags(server: &mut Server, client: &mut Client, args: Args<'_>) {
    reply_keys(server, client, args.from(2), true);
}

/// Whether BITFIELD is asked for nothing but GET (db.c `bitfieldGetKeys`).
fn bitfield_reads(request: Args<'_>) -> bool {
    let mut i = 2;
    while i < request.len() {
        let rest = request.len() - i - 1;
        i += match () {
            () if request.is(i, "get") && rest >= 2 => 3,
            () if request.is(i, "overflow") && rest >= 1 => 2,
            () => return false,
        };
    }
    true
}

fn reply_keys(server: &Server, client: &mut Client, request: Args<'_>, with_flags: bool) {
    let Some(command) = server.renamed.lookup(request) else {
        return client.reply.error("Invalid command specified");
    };
    if !command.takes_keys() || command.spec.key_flags == "not_key" {
        return client.reply.error("The command has no key arguments");
    }
    if !command.fits(request.len()) {
        return client.reply.error("Invalid number of arguments specified for command");
    }
    let keys: Vec<usize> = command.key_positions(request).collect();
    if keys.is_empty() {
        return client.reply.error("Invalid arguments specified for command");
    }
    client.reply.array(keys.len());
    for (i, key) in keys.into_iter().enumerate() {
        let spec = command.spec;
        let flags = match command.full_name {
            // SET reads the key only where it is asked to.
            "set" if (3..request.len()).any(|i| request.is(i, "get")) => "RW access update",
            "set" => "OW update",
            "bitfield" if bitfield_reads(request) => "RO access",
            "bitfield" => "RW access update",
            "sort" if i > 0 => "OW update",
            _ if spec.second.0 > 0 && key as i32 >= spec.second.0 => spec.second.1,
            _ if spec.counted.0 > 0 && key as i32 > spec.counted.0 => spec.counted.1,
            _ => spec.key_flags,
        };
        if with_flags {
            client.reply.array(2);
        }
        client.reply.bulk(&request[key]);
        if with_flags {
            client.reply.set(words(flags).count());
            words(flags).for_each(|flag| client.reply.status(flag));
        }
    }
}

fn list(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let everything = || with_subs(server.renamed.sorted());
    let names: Vec<&str> = match args.len() {
        2 => everything().map(|c| c.full_name).collect(),
        5 if args.is(2, "filterby") && args.is(3, "module") => Vec::new(),
        5 if args.is(2, "filterby") && args.is(3, "aclcat") => {
            everything().filter(|c| words(c.spec.acl).any(|w| args.is(4, w))).map(|c| c.full_name).collect()
        }
        5 if args.is(2, "filterby") && args.is(3, "pattern") => {
            let pattern = args[4].to_ascii_lowercase();
            everything().map(|c| c.full_name).filter(|name| glob_match(&pattern, name.as_bytes())).collect()
        }
        _ => return client.reply.error(text::SYNTAX),
    };
    client.reply.array(names.len());
    names.into_iter().for_each(|name| client.reply.bulk(name));
}
