//! What the commands of all collections share: how they find their values, read their arguments and refuse.

use std::borrow::Cow;
use std::collections::HashSet;

use ahash::RandomState;

use super::{lookup, text};
use crate::keyspace::{EventKind, Expiry, Packing, Typed, Value, WrongType, glob_match, random_below, typed};
use crate::resp::{Args, Protocol, Reply, parse_f64, parse_i64};
use crate::server::{Client, Server};

/// Why a command was not run: what is answered, as [`Reply::error`] takes it.
#[derive(Debug)]
pub(super) struct Refusal(Cow<'static, str>);

impl Refusal {
    /// What is answered.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Refusal {
    fn from(text: &'static str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Refusal {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<WrongType> for Refusal {
    fn from(_: WrongType) -> Self {
        text::WRONG_TYPE.into()
    }
}

/// What a command gives that has written its reply, or not if it is refused.
pub(super) type Outcome = Result<(), Refusal>;

/// A handler that writes the refusal of a command.
macro_rules! checked {
    ($command:path) => {
        |server, client, args| {
            if let Err(refusal) = $command(server, client, args) {
                client.reply.error(refusal.text());
            }
        }
    };
}

/// The value of a key, to be read.
pub(super) fn find<'s, T: Typed>(
    server: &'s mut Server,
    client: &Client,
    key: &[u8],
) -> Result<Option<&'s T>, Refusal> {
    Ok(typed(lookup::read(server, client, key))?)
}

/// The value of a key that is changed if it turns out so.
pub(super) fn find_to_change<'s, T: Typed>(
    server: &'s mut Server,
    client: &Client,
    key: &[u8],
) -> Result<Option<&'s T>, Refusal> {
    Ok(server.dbs[client.db].typed(key, server.now_ms)?)
}

/// Several values, one after the other; all must be of the type.
pub(super) fn find_all<'s, T: Typed>(
    server: &'s mut Server,
    client: &Client,
    keys: Args<'_>,
) -> Result<Vec<Option<&'s T>>, Refusal> {
    for key in keys.iter() {
        find::<T>(server, client, key)?;
    }
    let db = &server.dbs[client.db];
    Ok(keys.iter().map(|key| db.peek(key, server.now_ms).and_then(T::of)).collect())
}

/// The value of a key that is about to be changed.
pub(super) fn change<'s, T: Typed>(
    server: &'s mut Server,
    client: &Client,
    key: &[u8],
) -> Result<Option<&'s mut T>, Refusal> {
    // Of another type: it is not changed.
    server.dbs[client.db].typed::<T>(key, server.now_ms)?;
    Ok(server.dbs[client.db].typed_mut(key, server.now_ms)?)
}

/// The same; a key that is missing gets an empty value, to which the caller adds something.
pub(super) fn change_or_new<'s, T: Typed>(
    server: &'s mut Server,
    client: &Client,
    key: &[u8],
) -> Result<&'s mut T, Refusal> {
    let (db, now) = (&mut server.dbs[client.db], server.now_ms);
    let value = if db.typed::<T>(key, now)?.is_none() {
        // That is the change: what is added to it is no second one.
        db.set(key, T::default().into_value(), Expiry::Never, now);
        db.get_mut_untold(key, now)
    } else {
        db.get_mut(key, now)
    };
    value.and_then(T::of_mut).ok_or_else(|| text::WRONG_TYPE.into())
}

/// Removes a key whose last member has gone.
pub(super) fn drop_if_empty(server: &mut Server, client: &Client, key: &[u8]) {
    let (db, now) = (&mut server.dbs[client.db], server.now_ms);
    if db.peek(key, now).is_some_and(is_empty) {
        db.remove(key, now);
        db.note(EventKind::Generic, "del", key);
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Str(_) => false,
        Value::Hash(v) => v.is_empty(),
        Value::List(v) => v.is_empty(),
        Value::Set(v) => v.is_empty(),
        Value::Zset(v) => v.is_empty(),
    }
}

/// Stores a result in place of whatever the key holds; an empty one removes the key. `event` is what storing is called.
pub(super) fn store(
    server: &mut Server,
    client: &Client,
    key: &[u8],
    value: impl Typed,
    event: (EventKind, &'static str),
) {
    let (db, now) = (&mut server.dbs[client.db], server.now_ms);
    let value = value.into_value();
    if !is_empty(&value) {
        db.set(key, value, Expiry::Never, now);
        db.note(event.0, event.1, key);
    } else if db.delete_on_the_way(key, now) {
        db.note(EventKind::Generic, "del", key);
    }
}

/// Notes what happened to a key.
pub(super) fn note(server: &mut Server, client: &Client, kind: EventKind, event: &'static str, key: &[u8]) {
    server.dbs[client.db].note(kind, event, key);
}

pub(super) fn packing(server: &Server) -> Packing {
    server.limits.packing
}

/// An integer.
pub(super) fn int(arg: &[u8]) -> Result<i64, Refusal> {
    parse_i64(arg).ok_or_else(|| text::NOT_INT.into())
}

/// A number of things, from `least` on; `text` is what is answered to anything else.
pub(super) fn number(arg: &[u8], least: i64, text: &'static str) -> Result<usize, Refusal> {
    parse_i64(arg).filter(|&n| n >= least).and_then(|n| usize::try_from(n).ok()).ok_or_else(|| text.into())
}

/// How many are to be popped.
pub(super) fn pop_count(arg: &[u8]) -> Result<usize, Refusal> {
    number(arg, 0, "value is out of range, must be positive")
}

/// A floating point number.
pub(super) fn float(arg: &[u8]) -> Result<f64, Refusal> {
    parse_f64(arg).ok_or_else(|| "value is not a valid float".into())
}

/// The indexes `start` to `end` of `len`, negative ones from the end, as a range without its end.
pub(super) fn span(start: i64, end: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_end = |i: i64| if i < 0 { i.saturating_add(len) } else { i };
    let (start, end) = (from_end(start).max(0), from_end(end).min(len - 1));
    if start > end || start >= len { (0, 0) } else { (start as usize, end as usize + 1) }
}

/// How many members were asked for: so many different ones, or so many with repetitions.
#[derive(Clone, Copy)]
pub(super) enum Picks {
    Different(usize),
    Repeated(usize),
}

/// More repetitions than anybody asks for: their reply would fill the memory.
const MAX_REPEATED: usize = 1 << 24;

impl Picks {
    /// The count of SRANDMEMBER and its like: a negative one allows repetitions. With `pairs` it may be half as
    /// large.
    pub(super) fn parse(arg: &[u8], pairs: bool) -> Result<Self, Refusal> {
        let n = int(arg)?;
        if n == i64::MIN {
            let max = i64::MAX;
            return Err(format!("value is out of range, value must between -{max} and {max}").into());
        }
        if pairs && n.unsigned_abs() > i64::MAX as u64 / 2 {
            return Err("value is out of range".into());
        }
        Ok(if n < 0 {
            Self::Repeated(n.unsigned_abs() as usize)
        } else {
            Self::Different(usize::try_from(n).unwrap_or(usize::MAX))
        })
    }

    /// Places below `len`.
    pub(super) fn places(self, len: usize) -> Result<Vec<usize>, Refusal> {
        Ok(match self {
            _ if len == 0 => Vec::new(),
            Self::Repeated(n) if n > MAX_REPEATED => return Err("value is out of range".into()),
            Self::Repeated(n) => (0..n).map(|_| random_below(len)).collect(),
            Self::Different(n) if n >= len => (0..len).collect(),
            Self::Different(n) => {
                // Floyd's choice: one step for each place that is picked.
                let mut picked = HashSet::with_capacity_and_hasher(n, RandomState::new());
                let mut places = Vec::with_capacity(n);
                for last in len - n..len {
                    let place = random_below(last + 1);
                    let place = if picked.insert(place) { place } else { last };
                    picked.insert(place);
                    places.push(place);
                }
                places
            }
        })
    }
}

/// Members with something beside: in RESP3 an array of pairs, in RESP2 of all in a row.
pub(super) fn pairs_head(reply: &mut Reply, n: usize) {
    reply.array(if reply.protocol == Protocol::Resp3 { n } else { 2 * n });
}

/// The head of one of these pairs.
pub(super) fn pair_head(reply: &mut Reply) {
    if reply.protocol == Protocol::Resp3 {
        reply.array(2);
    }
}

/// The options of SCAN and its like.
pub(super) struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    pub(super) count: usize,
    /// The type of the values.
    pub(super) kind: Option<&'a [u8]>,
}

/// A cursor is an unsigned number as C reads it: `-` counts from the end of all numbers, no text is zero, blanks make it invalid.
pub(super) fn scan_cursor(args: Args<'_>, at: usize) -> Result<u64, Refusal> {
    let text = args.get(at).unwrap_or_default();
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let number =
        std::str::from_utf8(digits).ok().filter(|s| !s.starts_with('+')).and_then(|s| s.parse::<u64>().ok());
    let cursor = match number {
        Some(number) if text.starts_with(b"-") => Some(number.wrapping_neg()),
        None if text.is_empty() => Some(0),
        number => number,
    };
    cursor.ok_or_else(|| "invalid cursor".into())
}

impl<'a> ScanOptions<'a> {
    pub(super) fn parse(args: Args<'a>, first: usize, typed: bool) -> Result<Self, Refusal> {
        let mut options = Self { pattern: None, count: 10, kind: None };
        let mut i = first;
        while i < args.len() {
            let value = args.get(i + 1).ok_or(text::SYNTAX)?;
            if args.is(i, "match") {
                options.pattern = (value != b"*").then_some(value);
            } else if args.is(i, "count") {
                options.count = match int(value)? {
                    ..1 => return Err(text::SYNTAX.into()),
                    n => n as usize,
                };
            } else if typed && args.is(i, "type") {
                options.kind = Some(value);
            } else {
                return Err(text::SYNTAX.into());
            }
            i += 2;
        }
        Ok(options)
    }

    /// Whether a key or member is wanted.
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|p| glob_match(p, name))
    }
}

/// HSCAN, SSCAN and ZSCAN: `scan` goes on in a value and collects the words of the reply.
pub(super) fn scan_members<T: Typed>(
    server: &mut Server,
    client: &mut Client,
    args: Args<'_>,
    scan: impl FnOnce(&T, u64, &ScanOptions<'_>, &mut Vec<Vec<u8>>) -> u64,
) -> Outcome {
    let cursor = scan_cursor(args, 2)?;
    let mut words = Vec::new();
    let next = match find::<T>(server, client, &args[1])? {
        Some(value) => scan(value, cursor, &ScanOptions::parse(args, 3, false)?, &mut words),
        None => 0,
    };
    let reply = &mut client.reply;
    reply.array(2);
    reply.bulk(next.to_string());
    reply.array(words.len());
    words.iter().for_each(|word| reply.bulk(word));
    Ok(())
}

/// The keys of a request like LMPOP's: how many, and then they themselves; and where it goes on.
pub(super) fn counted_keys(args: Args<'_>, at: usize) -> Result<(Args<'_>, usize), Refusal> {
    let count = number(&args[at], 1, "numkeys should be greater than 0")?;
    let rest = at.saturating_add(1).saturating_add(count);
    Ok((args.slice(at + 1, count), rest))
}
