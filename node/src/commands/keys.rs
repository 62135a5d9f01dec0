//! Keys of any type (db.c, object.c).

use super::collections::{ScanOptions, scan_cursor};
use super::{Spec, help, lookup, text};
use crate::keyspace::{EventKind, Expiry, Str, Value, glob_match};
use crate::resp::{Args, parse_i64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[
    Spec::new("del", -2, "write", "keyspace write slow", del)
        .keys(1, -1, 1, "RM delete")
        .tips("request_policy:multi_shard response_policy:agg_sum")
        .about("generic", "1.0.0", "Deletes keys."),
    Spec::new("unlink", -2, "write fast", "keyspace write fast", unlink)
        .keys(1, -1, 1, "RM delete")
        .tips("request_policy:multi_shard response_policy:agg_sum")
        .about("generic", "4.0.0", "Deletes keys; large values are freed by another thread."),
    Spec::new("exists", -2, "readonly fast", "keyspace read fast", exists)
        .keys(1, -1, 1, "RO")
        .tips("request_policy:multi_shard response_policy:agg_sum")
        .about("generic", "1.0.0", "Counts which of the keys exist."),
    Spec::new("touch", -2, "readonly fast", "keyspace read fast", touch)
        .keys(1, -1, 1, "RO")
        .tips("request_policy:multi_shard response_policy:agg_sum")
        .about("generic", "3.2.1", "Counts which of the keys exist, and notes that they were used."),
    Spec::new("type", 2, "readonly fast", "keyspace read fast", type_of).keys(1, 1, 1, "RO").about(
        "generic",
        "1.0.0",
        "Answers the type of a key's value.",
    ),
    Spec::new("keys", 2, "readonly", "keyspace read slow dangerous", keys)
        .tips("request_policy:all_shards nondeterministic_output_order")
        .about("generic", "1.0.0", "Lists the keys that match a pattern."),
    Spec::new("scan", -2, "readonly", "keyspace read slow", scan)
        .tips("nondeterministic_output request_policy:special")
        .about("generic", "2.8.0", "Goes through the keys step by step."),
    Spec::new("randomkey", 1, "readonly", "keyspace read slow", randomkey)
        .tips("request_policy:all_shards nondeterministic_output")
        .about("generic", "1.0.0", "Answers some key."),
    Spec::new("rename", 3, "write", "keyspace write slow", rename)
        .keys(1, 2, 1, "RW access delete")
        .second(2, "OW update")
        .about("generic", "1.0.0", "Gives a key another name; one that had it goes."),
    Spec::new("renamenx", 3, "write fast", "keyspace write fast", renamenx)
        .keys(1, 2, 1, "RW access delete")
        .second(2, "OW insert")
        .about("generic", "1.0.0", "Gives a key another name, unless one has it."),
    Spec::new("copy", -3, "write denyoom", "keyspace write slow", copy)
        .keys(1, 2, 1, "RO access")
        .second(2, "OW update")
        .about("generic", "6.2.0", "Copies a value to another key."),
    Spec::new("move", 3, "write fast", "keyspace write fast", move_key)
        .keys(1, 1, 1, "RW access update")
        .about("generic", "1.0.0", "Moves a key to another database."),
    Spec::new("object", -2, "", "slow", object_help)
        .about("generic", "2.2.3", "Looks at how a value is stored.")
        .subs(OBJECT_SUBS),
];

static OBJECT_SUBS: &[Spec] = &[
    Spec::new("encoding", 3, "readonly", "keyspace read slow", encoding)
        .keys(2, 2, 1, "RO")
        .tips("nondeterministic_output")
        .about("generic", "2.2.3", "Answers how a value is stored."),
    Spec::new("help", 2, "loading stale", "keyspace slow", object_help).about(
        "generic",
        "6.2.0",
        "Lists the subcommands.",
    ),
    Spec::new("freq", 3, "readonly", "keyspace read slow", freq)
        .keys(2, 2, 1, "RO")
        .tips("nondeterministic_output")
        .about("generic", "4.0.0", "Answers how often a value was used, on a logarithmic scale."),
    Spec::new("idletime", 3, "readonly", "keyspace read slow", idletime)
        .keys(2, 2, 1, "RO")
        .tips("nondeterministic_output")
        .about("generic", "2.2.3", "Answers for how many seconds a value was not used."),
    Spec::new("refcount", 3, "readonly", "keyspace read slow", refcount)
        .keys(2, 2, 1, "RO")
        .tips("nondeterministic_output")
        .about("generic", "2.2.3", "Answers how many references a value has."),
];

fn del(server: &mut Server, client: &mut Client, args: Args<'_>) {
    delete(server, client, args, server.limits.lazy_del);
}

fn unlink(server: &mut Server, client: &mut Client, args: Args<'_>) {
    delete(server, client, args, true);
}

fn delete(server: &mut Server, client: &mut Client, args: Args<'_>, lazy: bool) {
    let now = server.now_ms;
    let db = server.db(client);
    let mut deleted = 0;
    for key in args.from(1).iter() {
        if db.delete(key, now, lazy) {
            db.note(EventKind::Generic, "del", key);
            deleted += 1;
        }
    }
    client.reply.len(deleted);
}

fn exists(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let found = args.from(1).iter().filter(|key| lookup::look(server, client, key).is_some()).count();
    client.reply.len(found);
}

fn touch(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let found = args.from(1).iter().filter(|key| lookup::read(server, client, key).is_some()).count();
    client.reply.len(found);
}

fn type_of(server: &mut Server, client: &mut Client, args: Args<'_>) {
    client.reply.status(lookup::look(server, client, &args[1]).map_or("none", Value::type_name));
}

fn keys(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let (now, pattern) = (server.now_ms, &args[1]);
    let all = pattern == b"*";
    let found: Vec<&[u8]> = server.dbs[client.db]
        .iter()
        .filter(|(key, _, expiry)| expiry.is_none_or(|t| t >= now) && (all || glob_match(pattern, key)))
        .map(|(key, _, _)| key)
        .collect();
    client.reply.array(found.len());
    for key in found {
        client.reply.bulk(key);
    }
}

fn scan(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let parsed = scan_cursor(args, 1).and_then(|cursor| Ok((cursor, ScanOptions::parse(args, 2, true)?)));
    let (cursor, options) = match parsed {
        Ok(parsed) => parsed,
        Err(refusal) => return client.reply.error(refusal.text()),
    };
    let now = server.now_ms;
    let mut found: Vec<Vec<u8>> = Vec::new();
    let next = server.dbs[client.db].scan(cursor, options.count, |key, value, expiry| {
        let wanted = expiry.is_none_or(|t| t >= now)
            && options.matches(key)
            && options.kind.is_none_or(|k| k.eq_ignore_ascii_case(value.type_name().as_bytes()));
        if wanted {
            found.push(key.to_vec());
        }
    });
    let reply = &mut client.reply;
    reply.array(2);
    reply.bulk(next.to_string());
    reply.array(found.len());
    for key in found {
        reply.bulk(key);
    }
}

fn randomkey(server: &mut Server, client: &mut Client, _: Args<'_>) {
    let now = server.now_ms;
    // A key whose time has come is dropped, and another one is tried.
    loop {
        let random = ahash::RandomState::new().hash_one(now);
        let db = &mut server.dbs[client.db];
        let Some(key) = db.some_key(random).map(<[u8]>::to_vec) else {
            return client.reply.null();
        };
        if db.get(&key, now).is_some() {
            return client.reply.bulk(key);
        }
    }
}

fn encoding(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    match server.dbs[client.db].peek(&args[2], now) {
        Some(value) => client.reply.bulk(value.encoding()),
        None => client.reply.null(),
    }
}

fn refcount(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    match server.dbs[client.db].peek(&args[2], now) {
        // Redis keeps small numbers once for all keys, and tells so.
        Some(Value::Str(Str::Int(0..=9999))) => client.reply.int(i32::MAX.into()),
        Some(_) => client.reply.int(1),
        None => client.reply.null(),
    }
}

/// Whether the use of keys is noted as counters.
fn counts_use(server: &Server) -> bool {
    server.config.bytes("maxmemory-policy").ends_with(b"lfu")
}

fn freq(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    match server.dbs[client.db].frequency(&args[2], now) {
        None => client.reply.null(),
        Some(_) if !counts_use(server) => client.reply.error(
            "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
             between policies at runtime LRU and LFU data will take some time to adjust.",
        ),
        Some(n) => client.reply.int(n.into()),
    }
}

fn idletime(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    match server.dbs[client.db].idle_seconds(&args[2], now) {
        None => client.reply.null(),
        Some(_) if counts_use(server) => client.reply.error(
            "An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
             policies at runtime LRU and LFU data will take some time to adjust.",
        ),
        Some(seconds) => client.reply.int(i64::try_from(seconds).unwrap_or(i64::MAX)),
    }
}

fn rename(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if rename_key(server, client, args, true).is_some() {
        client.reply.ok();
    }
}

fn renamenx(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if let Some(renamed) = rename_key(server, client, args, false) {
        client.reply.int(i64::from(renamed));
    }
}

/// Whether the key was renamed; nothing if an error was written.
fn rename_key(server: &mut Server, client: &mut Client, args: Args<'_>, replace: bool) -> Option<bool> {
    let now = server.now_ms;
    let (from, to) = (&args[1], &args[2]);
    let db = server.db(client);
    let Some(expiry) = db.expiry(from, now) else {
        client.reply.error("no such key");
        return None;
    };
    if from == to {
        return Some(replace);
    }
    if !replace && db.exists(to, now) {
        return Some(false);
    }
    if let Some(value) = db.remove(from, now) {
        db.delete_on_the_way(to, now);
        db.set(to, value, expiry.map_or(Expiry::Never, Expiry::At), now);
        db.note(EventKind::Generic, "rename_from", from);
        db.note(EventKind::Generic, "rename_to", to);
    }
    Some(true)
}

/// A database that a client names; the error is written if there is no such.
fn database(server: &Server, client: &mut Client, word: &[u8]) -> Option<usize> {
    // A cluster node has one, and knows of as many as are configured.
    let all = server.config.int("databases");
    let (error, found) = match parse_i64(word) {
        None => (text::NOT_INT, None),
        Some(n) if i32::try_from(n).is_err() => (text::NOT_I32, None),
        Some(n) => ("DB index is out of range", usize::try_from(n).ok().filter(|_| n < all)),
    };
    if found.is_none() {
        client.reply.error(error);
    }
    found
}

fn copy(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let (mut target, mut replace) = (client.db, false);
    let mut i = 3;
    while i < args.len() {
        if args.is(i, "replace") {
            replace = true;
        } else if args.is(i, "db") && i + 1 < args.len() {
            match database(server, client, &args[i + 1]) {
                Some(db) => target = db,
                None => return,
            }
            i += 1;
        } else {
            return client.reply.error(text::SYNTAX);
        }
        i += 1;
    }
    if server.cluster_enabled() && target > 0 {
        return client.reply.error("Copying to another database is not allowed in cluster mode");
    }
    let (now, from, to) = (server.now_ms, &args[1], &args[2]);
    if target == client.db && from == to {
        return client.reply.error("source and destination objects are the same");
    }
    if lookup::read(server, client, from).is_none() {
        return client.reply.int(0);
    }
    let source = server.db(client);
    let Some(expiry) = source.expiry(from, now) else { return client.reply.int(0) };
    let Some(value) = source.peek(from, now).cloned() else { return client.reply.int(0) };
    let target = &mut server.dbs[target];
    if !replace && target.exists(to, now) {
        return client.reply.int(0);
    }
    target.delete_on_the_way(to, now);
    target.set(to, value, expiry.map_or(Expiry::Never, Expiry::At), now);
    target.note(EventKind::Generic, "copy_to", to);
    client.reply.int(1);
}

fn move_key(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if server.cluster_enabled() {
        return client.reply.error("MOVE is not allowed in cluster mode");
    }
    let Some(target) = database(server, client, &args[2]) else { return };
    if target == client.db {
        return client.reply.error("source and destination objects are the same");
    }
    let (now, key) = (server.now_ms, &args[1]);
    let Some(expiry) = server.db(client).expiry(key, now) else { return client.reply.int(0) };
    if server.dbs[target].exists(key, now) {
        return client.reply.int(0);
    }
    if let Some(value) = server.db(client).remove(key, now) {
        server.dbs[target].set(key, value, expiry.map_or(Expiry::Never, Expiry::At), now);
        // Events of two databases are published in the order in which they came.
        server.publish_events();
        server.db(client).note(EventKind::Generic, "move_from", key);
        server.publish_events();
        server.dbs[target].note(EventKind::Generic, "move_to", key);
    }
    client.reply.int(1);
}

fn object_help(_: &mut Server, client: &mut Client, args: Args<'_>) {
    help(client, "object", args);
}
