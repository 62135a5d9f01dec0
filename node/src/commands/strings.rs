//! Strings (t_string.c).

use super::expire::{Unit, absolute};
use super::lookup::read;
use super::{Spec, text};
use crate::keyspace::{EventKind, Expiry, Keyspace, Str, Value};
use crate::resp::{Args, LongDouble, Reply, parse_i64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] =
    &[
        Spec::new("get", 2, "readonly fast", "read string fast", get).keys(1, 1, 1, "RO access").about(
            "string",
            "1.0.0",
            "Answers the string of a key.",
        ),
        Spec::new("set", -3, "write denyoom", "write string slow", set)
            .keys(1, 1, 1, "RW access update variable_flags")
            .about("string", "1.0.0", "Stores a string, if asked with conditions and an expiry."),
        Spec::new("setnx", 3, "write denyoom fast", "write string fast", setnx)
            .keys(1, 1, 1, "OW insert")
            .about("string", "1.0.0", "Stores a string if the key is missing."),
        Spec::new("setex", 4, "write denyoom", "write string slow", setex).keys(1, 1, 1, "OW update").about(
            "string",
            "2.0.0",
            "Stores a string with an expiry in seconds.",
        ),
        Spec::new("psetex", 4, "write denyoom", "write string slow", psetex)
            .keys(1, 1, 1, "OW update")
            .about("string", "2.6.0", "Stores a string with an expiry in milliseconds."),
        Spec::new("getset", 3, "write denyoom fast", "write string fast", getset)
            .keys(1, 1, 1, "RW access update")
            .about("string", "1.0.0", "Stores a string and answers the one before."),
        Spec::new("getdel", 2, "write fast", "write string fast", getdel)
            .keys(1, 1, 1, "RW access delete")
            .about("string", "6.2.0", "Answers the string of a key and deletes the key."),
        Spec::new("getex", -2, "write fast", "write string fast", getex)
            .keys(1, 1, 1, "RW access update")
            .about("string", "6.2.0", "Answers the string of a key and changes its expiry."),
        Spec::new("strlen", 2, "readonly fast", "read string fast", strlen).keys(1, 1, 1, "RO").about(
            "string",
            "2.2.0",
            "Answers the length of a string.",
        ),
        Spec::new("incr", 2, "write denyoom fast", "write string fast", incr)
            .keys(1, 1, 1, "RW access update")
            .about("string", "1.0.0", "Adds one to a number."),
        Spec::new("decr", 2, "write denyoom fast", "write string fast", decr)
            .keys(1, 1, 1, "RW access update")
            .about("string", "1.0.0", "Takes one from a number."),
        Spec::new("incrby", 3, "write denyoom fast", "write string fast", incrby)
            .keys(1, 1, 1, "RW access update")
            .about("string", "1.0.0", "Adds to a number."),
        Spec::new("decrby", 3, "write denyoom fast", "write string fast", decrby)
            .keys(1, 1, 1, "RW access update")
            .about("string", "1.0.0", "Takes from a number."),
        Spec::new("append", 3, "write denyoom fast", "write string fast", append)
            .keys(1, 1, 1, "RW insert")
            .about("string", "2.0.0", "Adds to the end of a string."),
        Spec::new("mget", -2, "readonly fast", "read string fast", mget)
            .keys(1, -1, 1, "RO access")
            .tips("request_policy:multi_shard")
            .about("string", "1.0.0", "Answers the strings of several keys."),
        Spec::new("mset", -3, "write denyoom", "write string slow", mset)
            .keys(1, -1, 2, "OW update")
            .tips("request_policy:multi_shard response_policy:all_succeeded")
            .about("string", "1.0.1", "Stores several strings."),
        Spec::new("msetnx", -3, "write denyoom", "write string slow", msetnx)
            .keys(1, -1, 2, "OW insert")
            .tips("request_policy:multi_shard response_policy:agg_min")
            .about("string", "1.0.1", "Stores several strings if all keys are missing."),
        Spec::new("incrbyfloat", 3, "write denyoom fast", "write string fast", incrbyfloat)
            .keys(1, 1, 1, "RW access update")
            .about("string", "2.6.0", "Adds to a floating point number."),
        Spec::new("substr", 4, "readonly", "read string slow", getrange).keys(1, 1, 1, "RO access").about(
            "string",
            "1.0.0",
            "Answers a part of a string (GETRANGE by its old name).",
        ),
        Spec::new("getrange", 4, "readonly", "read string slow", getrange).keys(1, 1, 1, "RO access").about(
            "string",
            "2.4.0",
            "Answers a part of a string.",
        ),
        Spec::new("setrange", 4, "write denyoom", "write string slow", setrange)
            .keys(1, 1, 1, "RW update")
            .about("string", "2.2.0", "Overwrites a part of a string."),
    ];

/// Writes a string.
fn reply_str(reply: &mut Reply, s: &Str) {
    match s {
        Str::Int(n) => reply.bulk_int(*n),
        Str::Fixed(b) => reply.bulk(b),
        Str::Grown(b) => reply.bulk(b),
    }
}

/// The string in a value, if there is one; an error if the value is of another type.
pub(super) fn as_string(value: Option<&Value>) -> Result<Option<&Str>, &'static str> {
    match value {
        None => Ok(None),
        Some(Value::Str(s)) => Ok(Some(s)),
        #[allow(unreachable_patterns)]
        Some(_) => Err(text::WRONG_TYPE),
    }
}

/// Writes the string of a key, or null; whether no error had to be written instead.
fn reply_get(server: &mut Server, client: &mut Client, key: &[u8]) -> bool {
    match as_string(read(server, client, key)) {
        Ok(Some(s)) => reply_str(&mut client.reply, s),
        Ok(None) => client.reply.null(),
        Err(e) => {
            client.reply.error(e);
            return false;
        }
    }
    true
}

fn get(server: &mut Server, client: &mut Client, args: Args<'_>) {
    reply_get(server, client, &args[1]);
}

/// An expiry that a command was given.
struct Asked {
    time: i64,
    unit: Unit,
    relative: bool,
}

impl Asked {
    /// The option at `i`, if it is one of EX, PX, EXAT and PXAT and a time follows.
    fn option(args: Args<'_>, i: usize) -> Option<(Unit, bool, &[u8])> {
        let (unit, relative) = match () {
            () if args.is(i, "ex") => (Unit::Seconds, true),
            () if args.is(i, "px") => (Unit::Millis, true),
            () if args.is(i, "exat") => (Unit::Seconds, false),
            () if args.is(i, "pxat") => (Unit::Millis, false),
            () => return None,
        };
        args.get(i + 1).map(|time| (unit, relative, time))
    }

    /// The same behind what was asked `before`: of one kind of option, the last one counts; two kinds do not go together.
    fn next<'a>(
        args: Args<'a>,
        i: usize,
        before: Option<(Unit, bool, &[u8])>,
    ) -> Option<(Unit, bool, &'a [u8])> {
        let option = Self::option(args, i)?;
        let goes_with = before.is_none_or(|(unit, relative, _)| (unit, relative) == (option.0, option.1));
        goes_with.then_some(option)
    }

    /// A time must be a positive number and must not overflow.
    fn parse(unit: Unit, relative: bool, time: &[u8], now: i64, name: &str) -> Result<i64, String> {
        let time = parse_i64(time).ok_or(text::NOT_INT)?;
        let asked = Self { time, unit, relative };
        asked.when(now).ok_or_else(|| format!("invalid expire time in '{name}' command"))
    }

    fn when(&self, now: i64) -> Option<i64> {
        if self.time <= 0 {
            return None;
        }
        absolute(self.time, self.unit, if self.relative { now } else { 0 })
    }
}

fn set(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let (mut nx, mut xx, mut get, mut keep, mut asked) = (false, false, false, false, None);
    let mut i = 3;
    while i < args.len() {
        if args.is(i, "nx") && !xx {
            nx = true;
        } else if args.is(i, "xx") && !nx {
            xx = true;
        } else if args.is(i, "get") {
            get = true;
        } else if args.is(i, "keepttl") && asked.is_none() {
            keep = true;
        } else if let Some(option) = Asked::next(args, i, asked).filter(|_| !keep) {
            asked = Some(option);
            i += 1;
        } else {
            return client.reply.error(text::SYNTAX);
        }
        i += 1;
    }
    let now = server.now_ms;
    let expiry = match asked {
        None if keep => Expiry::Keep,
        None => Expiry::Never,
        Some((unit, relative, time)) => match Asked::parse(unit, relative, time, now, "set") {
            Ok(when) => Expiry::At(when),
            Err(e) => return client.reply.error(e),
        },
    };
    if get && !reply_get(server, client, &args[1]) {
        return;
    }
    let db = server.db(client);
    if (nx || xx) && db.get(&args[1], now).is_some() != xx {
        if !get {
            client.reply.null();
        }
        return;
    }
    store(db, &args[1], Value::string(&args[2]), expiry, now);
    if !get {
        client.reply.ok();
    }
}

/// Stores a value.
fn store(db: &mut Keyspace, key: &[u8], value: Value, expiry: Expiry, now: i64) {
    db.set(key, value, expiry, now);
    db.note(EventKind::String, "set", key);
    if matches!(expiry, Expiry::At(_)) {
        db.note(EventKind::Generic, "expire", key);
    }
}

fn setnx(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    let db = server.db(client);
    let missing = db.get(&args[1], now).is_none();
    if missing {
        store(db, &args[1], Value::string(&args[2]), Expiry::Never, now);
    }
    client.reply.int(i64::from(missing));
}

fn setex(server: &mut Server, client: &mut Client, args: Args<'_>) {
    set_with_expiry(server, client, args, Unit::Seconds, "setex");
}

fn psetex(server: &mut Server, client: &mut Client, args: Args<'_>) {
    set_with_expiry(server, client, args, Unit::Millis, "psetex");
}

fn set_with_expiry(server: &mut Server, client: &mut Client, args: Args<'_>, unit: Unit, name: &str) {
    let now = server.now_ms;
    match Asked::parse(unit, true, &args[2], now, name) {
        Ok(when) => {
            store(server.db(client), &args[1], Value::string(&args[3]), Expiry::At(when), now);
            client.reply.ok();
        }
        Err(e) => client.reply.error(e),
    }
}

fn getset(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if !reply_get(server, client, &args[1]) {
        return;
    }
    let now = server.now_ms;
    store(server.db(client), &args[1], Value::string(&args[2]), Expiry::Never, now);
}

fn getdel(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if reply_get(server, client, &args[1]) {
        let now = server.now_ms;
        let db = server.db(client);
        if db.remove(&args[1], now).is_some() {
            db.note(EventKind::Generic, "del", &args[1]);
        }
    }
}

fn getex(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    let (mut persist, mut asked) = (false, None);
    let mut i = 2;
    while i < args.len() {
        if args.is(i, "persist") && asked.is_none() {
            persist = true;
        } else if let Some(option) = Asked::next(args, i, asked).filter(|_| !persist) {
            asked = Some(option);
            i += 1;
        } else {
            return client.reply.error(text::SYNTAX);
        }
        i += 1;
    }
    let found = match as_string(read(server, client, &args[1])) {
        Ok(Some(found)) => found,
        Ok(None) => return client.reply.null(),
        Err(e) => return client.reply.error(e),
    };
    // A time is looked at only where there is a string for it.
    let expiry = match asked {
        Some((unit, relative, time)) => match Asked::parse(unit, relative, time, now, "getex") {
            Ok(when) => Some(Expiry::At(when)),
            Err(e) => return client.reply.error(e),
        },
        None => persist.then_some(Expiry::Never),
    };
    reply_str(&mut client.reply, found);
    let db = server.db(client);
    let Some(old) = db.expiry(&args[1], now) else { return };
    let event = match expiry {
        Some(Expiry::At(when)) if when <= now => {
            db.remove(&args[1], now);
            "del"
        }
        Some(Expiry::At(when)) => {
            db.set_expiry(&args[1], Some(when));
            "expire"
        }
        Some(_) if old.is_some() => {
            db.set_expiry(&args[1], None);
            "persist"
        }
        Some(_) | None => return,
    };
    db.note(EventKind::Generic, event, &args[1]);
}

fn strlen(server: &mut Server, client: &mut Client, args: Args<'_>) {
    match as_string(read(server, client, &args[1])) {
        Ok(found) => client.reply.len(found.map_or(0, Str::len)),
        Err(e) => client.reply.error(e),
    }
}

fn incr(server: &mut Server, client: &mut Client, args: Args<'_>) {
    add(server, client, &args[1], 1);
}

fn decr(server: &mut Server, client: &mut Client, args: Args<'_>) {
    add(server, client, &args[1], -1);
}

fn incrby(server: &mut Server, client: &mut Client, args: Args<'_>) {
    match parse_i64(&args[2]) {
        Some(n) => add(server, client, &args[1], n),
        None => client.reply.error(text::NOT_INT),
    }
}

fn decrby(server: &mut Server, client: &mut Client, args: Args<'_>) {
    match parse_i64(&args[2]) {
        Some(i64::MIN) => client.reply.error("decrement would overflow"),
        Some(n) => add(server, client, &args[1], -n),
        None => client.reply.error(text::NOT_INT),
    }
}

fn add(server: &mut Server, client: &mut Client, key: &[u8], n: i64) {
    let now = server.now_ms;
    let db = server.db(client);
    let old = match as_string(db.get(key, now)) {
        Ok(None) => 0,
        Ok(Some(s)) => match s.as_int() {
            Some(old) => old,
            None => return client.reply.error(text::NOT_INT),
        },
        Err(e) => return client.reply.error(e),
    };
    let Some(sum) = old.checked_add(n) else {
        return client.reply.error("increment or decrement would overflow");
    };
    replace(db, key, Str::Int(sum), now);
    db.note(EventKind::String, "incrby", key);
    client.reply.int(sum);
}

/// Another string in place of a key's value; its expiry stays.
fn replace(db: &mut Keyspace, key: &[u8], string: Str, now: i64) {
    match db.get_mut(key, now) {
        Some(value) => *value = Value::Str(string),
        None => db.set(key, Value::Str(string), Expiry::Never, now),
    }
}

fn incrbyfloat(server: &mut Server, client: &mut Client, args: Args<'_>) {
    const NOT_FLOAT: &str = "value is not a valid float";
    let now = server.now_ms;
    let db = server.db(client);
    let old = match as_string(db.get(&args[1], now)) {
        Ok(None) => Some(LongDouble::ZERO),
        Ok(Some(s)) => LongDouble::parse(&s.bytes()),
        Err(e) => return client.reply.error(e),
    };
    let (Some(old), Some(step)) = (old, LongDouble::parse(&args[2])) else {
        return client.reply.error(NOT_FLOAT);
    };
    let sum = old + step;
    if !sum.is_finite() {
        return client.reply.error("increment would produce NaN or Infinity");
    }
    let sum = sum.to_text();
    replace(db, &args[1], Str::Fixed(sum.as_bytes().into()), now);
    db.note(EventKind::String, "incrbyfloat", &args[1]);
    client.reply.bulk(sum);
}

const TOO_LONG: &str = "string exceeds maximum allowed size (proto-max-bulk-len)";

fn append(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let (now, most) = (server.now_ms, server.limits.max_bulk);
    let db = server.db(client);
    match as_string(db.get(&args[1], now)).map(|found| found.map(Str::len)) {
        Err(e) => client.reply.error(e),
        Ok(None) => {
            db.set(&args[1], Value::string(&args[2]), Expiry::Never, now);
            db.note(EventKind::String, "append", &args[1]);
            client.reply.len(args[2].len());
        }
        Ok(Some(len)) if (len + args[2].len()) as i64 > most => client.reply.error(TOO_LONG),
        Ok(Some(len)) => {
            if let Some(Value::Str(s)) = db.get_mut(&args[1], now) {
                s.grow().extend_from_slice(&args[2]);
            }
            db.note(EventKind::String, "append", &args[1]);
            client.reply.len(len + args[2].len());
        }
    }
}

fn mget(server: &mut Server, client: &mut Client, args: Args<'_>) {
    client.reply.array(args.len() - 1);
    for key in args.from(1).iter() {
        // A value of another type counts as none here.
        match as_string(read(server, client, key)).unwrap_or(None) {
            Some(s) => reply_str(&mut client.reply, s),
            None => client.reply.null(),
        }
    }
}

/// The keys and values of MSET and MSETNX; the error is written if a value is missing.
fn pairs<'a>(client: &mut Client, args: Args<'a>, name: &str) -> Option<Vec<(&'a [u8], &'a [u8])>> {
    if args.len().is_multiple_of(2) {
        client.reply.error(format!("wrong number of arguments for '{name}' command"));
        return None;
    }
    let all = args.from(1);
    Some(all.iter().step_by(2).zip(all.from(1).iter().step_by(2)).collect())
}

fn mset(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let Some(pairs) = pairs(client, args, "mset") else { return };
    let now = server.now_ms;
    let db = server.db(client);
    for (key, value) in pairs {
        store(db, key, Value::string(value), Expiry::Never, now);
    }
    client.reply.ok();
}

fn msetnx(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let Some(pairs) = pairs(client, args, "msetnx") else { return };
    let now = server.now_ms;
    let db = server.db(client);
    if pairs.iter().any(|(key, _)| db.get(key, now).is_some()) {
        return client.reply.int(0);
    }
    for (key, value) in pairs {
        store(db, key, Value::string(value), Expiry::Never, now);
    }
    client.reply.int(1);
}

fn getrange(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let (Some(start), Some(end)) = (parse_i64(&args[2]), parse_i64(&args[3])) else {
        return client.reply.error(text::NOT_INT);
    };
    match as_string(read(server, client, &args[1])) {
        Ok(Some(s)) => {
            let bytes = s.bytes();
            client.reply.bulk(part(&bytes, start, end));
        }
        Ok(None) => client.reply.bulk(b""),
        Err(e) => client.reply.error(e),
    }
}

/// Bytes `start` to `end`, both included, negative ones from the end.
fn part(bytes: &[u8], start: i64, end: i64) -> &[u8] {
    let len = bytes.len() as i64;
    if start < 0 && end < 0 && start > end {
        return b"";
    }
    let from_end = |i: i64| if i < 0 { (len + i).max(0) } else { i };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    if start > end || len == 0 {
        return b"";
    }
    &bytes[start as usize..=end as usize]
}

fn setrange(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let Some(offset) = parse_i64(&args[2]) else {
        return client.reply.error(text::NOT_INT);
    };
    let Ok(offset) = usize::try_from(offset) else {
        return client.reply.error("offset is out of range");
    };
    let (now, most) = (server.now_ms, server.limits.max_bulk);
    let (key, bytes) = (&args[1], &args[3]);
    let db = server.db(client);
    let old = match as_string(db.get(key, now)) {
        Ok(found) => found.map(Str::len),
        Err(e) => return client.reply.error(e),
    };
    if bytes.is_empty() {
        return client.reply.len(old.unwrap_or(0));
    }
    let end = offset.saturating_add(bytes.len());
    if end as u64 > most as u64 {
        return client.reply.error(TOO_LONG);
    }
    if old.is_none() {
        db.set(key, Value::Str(Str::Grown(Vec::new())), Expiry::Never, now);
    }
    if let Some(Value::Str(s)) = db.get_mut(key, now) {
        let string = s.grow();
        if string.len() < end {
            string.resize(end, 0);
        }
        string[offset..end].copy_from_slice(bytes);
        client.reply.len(string.len());
    }
    db.note(EventKind::String, "setrange", key);
}
