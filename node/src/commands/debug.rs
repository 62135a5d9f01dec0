//! DEBUG: what tests of a server need, and only where `enable-debug-command` allows it (debug.c).

use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use super::{Spec, wrong_subcommand};
use crate::dump;
use crate::keyspace::{Expiry, Keyspace, Str, Value};
use crate::resp::{Args, Protocol, Reply, parse_f64, parse_i64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] =
    &[Spec::new("debug", -2, "admin noscript loading stale", "admin slow dangerous", debug).about(
        "server",
        "1.0.0",
        "Helps with tests of the server, if enabled.",
    )];

fn debug(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let local = client.peer.starts_with("127.") || client.peer.starts_with("[::1]");
    let allowed = match server.config.bytes("enable-debug-command") {
        b"yes" => true,
        b"local" => local,
        _ => false,
    };
    if !allowed {
        return client.reply.error(
            "DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from \
             a local connection, otherwise you need to set this option in the configuration file, and then restart \
             the server.",
        );
    }
    let word = args[1].to_ascii_lowercase();
    match (word.as_slice(), args.len()) {
        (b"help", 2) => debug_help(client),
        (b"sleep", 3) => sleep(server, client, args),
        (b"set-active-expire", 3) => {
            server.active_expire = parse_i64(&args[2]).unwrap_or(0) != 0;
            client.reply.ok();
        }
        (b"reload", _) => {
            let words = ["noflush", "nosave", "merge"];
            if !(2..args.len()).all(|i| words.iter().any(|w| args.is(i, w))) {
                return client
                    .reply
                    .error("DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
            }
            reload(server, client);
        }
        (b"loadaof", 2) => reload(server, client),
        (b"change-repl-id", 2) => {
            server.replication_id = crate::server::random_hex();
            client.reply.ok();
        }
        (b"object", 3 | 4) => object(server, client, args),
        (b"listpack", 3) => listpack(server, client, args),
        (b"quicklist-packed-threshold", 3) => match crate::config::memory(&args[2]) {
            // How lists are cut into nodes is not observable here.
            Some(n) if n >> 32 == 0 => client.reply.ok(),
            _ => client.reply.error("argument must be a memory value bigger than 1 and smaller than 4gb"),
        },
        (b"digest", 2) => {
            let mut sum = [0; 3];
            for (i, db) in server.dbs.iter().enumerate() {
                for (key, value, expiry) in db.iter() {
                    let mut parts = vec![i.to_le_bytes().to_vec(), key.to_vec(), digest(value).concat()];
                    parts.push(vec![u8::from(expiry.is_some())]);
                    let one = hash(&parts);
                    sum.iter_mut().zip(one).for_each(|(s, o)| *s ^= u64::from_le_bytes(o));
                }
            }
            client.reply.status(&hex(sum.map(u64::to_le_bytes)));
        }
        (b"digest-value", _) => {
            let now = server.now_ms;
            client.reply.array(args.len() - 2);
            for key in args.from(2).iter() {
                let value = server.dbs[client.db].peek(key, now);
                client.reply.status(&hex(value.map_or([[0; 8]; 3], digest)));
            }
        }
        (b"protocol", 3) => protocol(&mut client.reply, &args[2]),
        (b"error", 3) => client.reply.error([b"-", &args[2]].concat()),
        (b"log", 3) => {
            server.log.warning(&format!("DEBUG LOG: {}", String::from_utf8_lossy(&args[2])));
            client.reply.ok();
        }
        _ => client.reply.error(wrong_subcommand(args)),
    }
}

fn debug_help(client: &mut Client) {
    const LINES: [&str; 13] = [
        "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CHANGE-REPL-ID: gives the data set another replication id.",
        "DIGEST, DIGEST-VALUE <key> ...: equal data has equal digests.",
        "ERROR <text>: answers this error.",
        "LISTPACK <key>: describes a value that is stored as a listpack.",
        "LOADAOF, RELOAD [MERGE] [NOFLUSH] [NOSAVE]: takes every value through its serialized form and back.",
        "LOG <text>: writes to the log.",
        "OBJECT <key>: describes how a value is stored.",
        "PROTOCOL <type>: answers an example of a type of RESP.",
        "QUICKLIST-PACKED-THRESHOLD <bytes>: is accepted, and changes nothing.",
        "SET-ACTIVE-EXPIRE <0|1>: lets keys expire although nobody meets them, or not.",
        "SLEEP <seconds>: stops the whole server for so long.",
        "HELP: lists this.",
    ];
    client.reply.array(LINES.len());
    LINES.iter().for_each(|line| client.reply.status(line));
}

fn sleep(server: &mut Server, client: &mut Client, args: Args<'_>) {
    match parse_f64(&args[2]).filter(|s| (0.0..=3600.0).contains(s)) {
        Some(seconds) => {
            // The whole server sleeps: that is what it is for.
            std::thread::sleep(Duration::from_secs_f64(seconds));
            server.tick();
            client.reply.ok();
        }
        None => client.reply.error("value is not a valid float"),
    }
}

/// Nothing is on disk to be loaded from: what is done instead is what saving and loading would do to the values, and keys whose
/// time has come are left out, as they are when a file is loaded.
fn reload(server: &mut Server, client: &mut Client) {
    let (now, compress) = (server.now_ms, server.config.yes("rdbcompression"));
    let packing = server.limits.packing;
    // All of it is there before anything is dropped: nothing is lost if something cannot be read.
    let anew = |db: &Keyspace| {
        db.iter()
            .filter(|(_, _, expiry)| expiry.is_none_or(|when| when >= now))
            .map(|(key, value, expiry)| {
                let value = dump::restore(&dump::dump(value, compress, &packing), &packing)?;
                Ok((key.to_vec(), value, expiry))
            })
            .collect::<Result<Vec<_>, dump::BadPayload>>()
    };
    let all: Result<Vec<_>, _> = server.dbs.iter().map(anew).collect();
    match all {
        Ok(all) => {
            for (db, keys) in server.dbs.iter_mut().zip(all) {
                db.clear(false);
                // The newest of a slot came first.
                keys.into_iter().rev().for_each(|(key, value, expiry)| put(db, &key, value, expiry, now));
            }
            client.reply.ok();
        }
        Err(e) => client.reply.error(format!("Error trying to load the value of a key: {e}")),
    }
}

fn put(db: &mut Keyspace, key: &[u8], value: Value, expiry: Option<i64>, now: i64) {
    db.set(key, value, expiry.map_or(Expiry::Never, Expiry::At), now);
}

const NO_KEY: &str = "no such key";

fn object(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    let db = &server.dbs[client.db];
    let Some(value) = db.peek(&args[2], now) else { return client.reply.error(NO_KEY) };
    let length = dump::dump(value, true, &server.limits.packing).len();
    let idle = db.idle_seconds(&args[2], now).unwrap_or(0);
    // A payload is the type, the value, two bytes of version and eight of checksum.
    let length = length.saturating_sub(11);
    client.reply.status(&format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{length} lru:{} lru_seconds_idle:{idle}",
        std::ptr::from_ref(value),
        value.encoding(),
        (now / 1000).wrapping_sub(idle as i64) & 0xff_ffff,
    ));
}

fn listpack(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    match server.dbs[client.db].peek(&args[2], now) {
        None => client.reply.error(NO_KEY),
        Some(value) if value.encoding() == "listpack" => {
            client.reply.status("Listpack structure: see OBJECT ENCODING and DUMP");
        }
        Some(_) => client.reply.error("Not a listpack encoded object."),
    }
}

/// Equal values have equal digests, in every process.
fn digest(value: &Value) -> [[u8; 8]; 3] {
    let kind = value.type_name().as_bytes().to_vec();
    let mut sum = [[0; 8]; 3];
    // What has no order is summed up, so that the order of a table does not matter.
    let mut add = |parts: &[Vec<u8>]| {
        for (word, more) in sum.iter_mut().zip(hash(parts)) {
            *word = u64::from_le_bytes(*word).wrapping_add(u64::from_le_bytes(more)).to_le_bytes();
        }
    };
    match value {
        Value::Str(s) => add(&[Str::bytes(s).into_owned()]),
        Value::List(list) => add(&list.iter().map(<[u8]>::to_vec).collect::<Vec<_>>()),
        Value::Set(set) => set.iter().for_each(|member| add(&[member.into_owned()])),
        Value::Hash(hash) => hash.iter().for_each(|(field, value)| add(&[field.to_vec(), value.to_vec()])),
        Value::Zset(zset) => {
            zset.iter().for_each(|(member, score)| add(&[member.to_vec(), score.to_le_bytes().to_vec()]));
        }
    }
    hash(&[kind, sum.concat()])
}

fn hash(parts: &[Vec<u8>]) -> [[u8; 8]; 3] {
    [0u8, 1, 2].map(|round| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(round);
        for part in parts {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish().to_le_bytes()
    })
}

/// 40 digits.
fn hex(words: [[u8; 8]; 3]) -> String {
    words.concat()[..20].iter().map(|b| format!("{b:02x}")).collect()
}

fn protocol(reply: &mut Reply, kind: &[u8]) {
    let new = reply.protocol == Protocol::Resp3;
    match kind.to_ascii_lowercase().as_slice() {
        b"string" => reply.bulk("Hello World"),
        b"integer" => reply.int(12345),
        b"double" => reply.double(3141.0 / 1000.0),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|i| reply.int(i));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|i| reply.int(i));
        }
        b"map" => {
            reply.map(3);
            (0..3).for_each(|i| {
                reply.int(i);
                reply.boolean(i == 1);
            });
        }
        b"attrib" => {
            if new {
                reply.raw(b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n");
            }
            reply.bulk("Some real reply following the attribute");
        }
        b"push" if !new => reply.error("RESP2 is not supported by this command"),
        b"push" => {
            reply.push(2);
            reply.bulk("server-cpu-usage");
            reply.int(42);
            // A client that only looks for replies waits for one.
            reply.bulk("Some real reply following the push reply");
        }
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        b"verbatim" => reply.verbatim("This is a verbatim\nstring"),
        b"bignum" => {
            const NUMBER: &[u8] = b"1234567999999999999999999999999999999";
            match new {
                true => reply.raw(&[b"(", NUMBER, b"\r\n"].concat()),
                false => reply.bulk(NUMBER),
            }
        }
        _ => reply.error("Wrong protocol type name. Please use one of the following: string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"),
    }
}
