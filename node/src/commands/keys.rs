//! Keys of any type (db.c, object.c).

use super::{Spec, help, text};
use crate::keyspace::{Value, glob_match};
use crate::resp::{Args, parse_i64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[
    Spec::new("del", -2, "write", "keyspace write slow", del)
        .keys(1, -1, 1, "RM delete")
        .tips("request_policy:multi_shard response_policy:agg_sum")
        .about("generic", "1.0.0", "Deletes keys."),
    Spec::new("unlink", -2, "write fast", "keyspace write fast", del)
        .keys(1, -1, 1, "RM delete")
        .tips("request_policy:multi_shard response_policy:agg_sum")
        .about("generic", "4.0.0", "Deletes keys; their memory may be freed later."),
    Spec::new("exists", -2, "readonly fast", "keyspace read fast", exists)
        .keys(1, -1, 1, "RO")
        .tips("request_policy:multi_shard response_policy:agg_sum")
        .about("generic", "1.0.0", "Counts which of the keys exist."),
    Spec::new("touch", -2, "readonly fast", "keyspace read fast", exists)
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
    Spec::new("refcount", 3, "readonly", "keyspace read slow", refcount)
        .keys(2, 2, 1, "RO")
        .tips("nondeterministic_output")
        .about("generic", "2.2.3", "Answers how many references a value has."),
];

fn del(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    let db = server.db(client);
    let deleted = args.from(1).iter().filter(|key| db.remove(key, now).is_some()).count();
    client.reply.len(deleted);
}

fn exists(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    let db = server.db(client);
    let found = args.from(1).iter().filter(|key| db.get(key, now).is_some()).count();
    server.stats.hits += found as u64;
    server.stats.misses += (args.len() - 1 - found) as u64;
    client.reply.len(found);
}

fn type_of(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    client.reply.status(server.db(client).get(&args[1], now).map_or("none", Value::type_name));
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
    // A cursor is an unsigned number; a sign or blanks make it invalid.
    let cursor = std::str::from_utf8(&args[1]).ok().filter(|s| !s.starts_with('+'));
    let Some(cursor) = cursor.and_then(|s| s.parse::<u64>().ok()) else {
        return client.reply.error("invalid cursor");
    };
    let (mut pattern, mut count, mut kind) = (None, 10, None);
    let mut i = 2;
    while i < args.len() {
        let Some(value) = args.get(i + 1) else {
            return client.reply.error(text::SYNTAX);
        };
        if args.is(i, "match") {
            pattern = (value != b"*").then_some(value);
        } else if args.is(i, "count") {
            count = match parse_i64(value) {
                None => return client.reply.error(text::NOT_INT),
                Some(..1) => return client.reply.error(text::SYNTAX),
                Some(n) => n as usize,
            };
        } else if args.is(i, "type") {
            kind = Some(value);
        } else {
            return client.reply.error(text::SYNTAX);
        }
        i += 2;
    }
    let now = server.now_ms;
    let mut found: Vec<Vec<u8>> = Vec::new();
    let next = server.dbs[client.db].scan(cursor, count, |key, value, expiry| {
        let wanted = expiry.is_none_or(|t| t >= now)
            && pattern.is_none_or(|p| glob_match(p, key))
            && kind.is_none_or(|k| k.eq_ignore_ascii_case(value.type_name().as_bytes()));
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
        Some(_) => client.reply.int(1),
        None => client.reply.null(),
    }
}

fn object_help(_: &mut Server, client: &mut Client, _: Args<'_>) {
    help(client, "object");
}
