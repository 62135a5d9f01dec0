//! Whether two nodes hold the same value of a key, and what they hold if not.
//!
//! Equal DUMPs are equal values. Different ones may still be: the encoding depends on the server, its version and the history of the
//! value. Then the contents are compared, type by type.

use std::fmt;
use std::io;

use super::peer::{Peer, short};
use crate::resp::Value;

/// What a node holds of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Its type.
    kind: String,
    /// The text of a string, or how many bytes the DUMP of another type has.
    shown: String,
    /// How long it lives on, in ms; negative: for ever.
    ttl_ms: i64,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} {}", self.kind, self.shown)?;
        if self.ttl_ms >= 0 { write!(f, " that expires in {} ms", self.ttl_ms) } else { Ok(()) }
    }
}

/// A key on two nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// At least one of them has no such key any more.
    Alone,
    Equal,
    /// What each holds.
    Different(Held, Held),
}

pub(super) fn compare(here: &mut Peer, there: &mut Peer, key: &[u8]) -> io::Result<Compared> {
    let (Some(mine), Some(its)) = (dump(here, key)?, dump(there, key)?) else { return Ok(Compared::Alone) };
    if mine == its {
        return Ok(Compared::Equal);
    }
    let kinds = [kind(here, key)?, kind(there, key)?];
    if kinds[0] == kinds[1]
        && let Some(content) = content(here, &kinds[0], key)?
        && Some(content) == self::content(there, &kinds[1], key)?
    {
        return Ok(Compared::Equal);
    }
    let [first, second] = kinds;
    Ok(Compared::Different(held(here, first, key, &mine)?, held(there, second, key, &its)?))
}

/// The RDB version and checksum at the end differ between versions of servers; the value ahead of them counts.
fn dump(node: &mut Peer, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let words: [&[u8]; 2] = [b"DUMP", key];
    match node.call_asking(&words)? {
        Value::Nil => Ok(None),
        // It is gone from a source that still gives its slot away.
        Value::Error(e) if e.starts_with("ASK ") => Ok(None),
        Value::Bulk(mut bytes) if bytes.len() > 10 => {
            bytes.truncate(bytes.len() - 10);
            Ok(Some(bytes))
        }
        other => Err(node.unexpected(&words, &other)),
    }
}

fn kind(node: &mut Peer, key: &[u8]) -> io::Result<String> {
    let words: [&[u8]; 2] = [b"TYPE", key];
    match node.call_asking(&words)? {
        Value::Status(kind) => Ok(short(&kind)),
        other => Err(node.unexpected(&words, &other)),
    }
}

/// The content in an order that does not depend on the encoding. None of a type that has more to it than its elements.
fn content(node: &mut Peer, kind: &str, key: &[u8]) -> io::Result<Option<Vec<Vec<u8>>>> {
    let (words, pairs, ordered): (Vec<&[u8]>, bool, bool) = match kind {
        "string" => (vec![b"GET", key], false, true),
        "list" => (vec![b"LRANGE", key, b"0", b"-1"], false, true),
        "set" => (vec![b"SMEMBERS", key], false, false),
        "hash" => (vec![b"HGETALL", key], true, false),
        "zset" => (vec![b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"], true, true),
        _ => return Ok(None),
    };
    let values = match node.call_asking(&words)? {
        Value::Array(values) => values,
        one @ Value::Bulk(_) => vec![one],
        other => return Err(node.unexpected(&words, &other)),
    };
    let mut parts = Vec::with_capacity(values.len());
    for value in values {
        match value {
            Value::Bulk(bytes) => parts.push(bytes),
            other => return Err(node.unexpected(&words, &other)),
        }
    }
    if ordered {
        return Ok(Some(parts));
    }
    let step = if pairs { 2 } else { 1 };
    let mut groups: Vec<&[Vec<u8>]> = parts.chunks(step).collect();
    groups.sort_unstable();
    Ok(Some(groups.concat()))
}

fn held(node: &mut Peer, kind: String, key: &[u8], dump: &[u8]) -> io::Result<Held> {
    let words: [&[u8]; 2] = [b"PTTL", key];
    let ttl_ms = match node.call_asking(&words)? {
        Value::Int(ms) => ms,
        other => return Err(node.unexpected(&words, &other)),
    };
    let shown = match content(node, &kind, key)?.as_deref() {
        Some([text]) if kind == "string" => {
            let cut = &text[..text.len().min(40)];
            let more = if cut.len() < text.len() { "..." } else { "" };
            format!("of {} bytes (\"{}\"{more})", text.len(), cut.escape_ascii())
        }
        _ => format!("of {} bytes when dumped", dump.len()),
    };
    Ok(Held { kind, shown, ttl_ms })
}
