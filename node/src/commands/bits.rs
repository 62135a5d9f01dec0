//! Strings as arrays of bits (bitops.c). Bit 0 is the highest bit of the first byte.

use super::lookup::read;
use super::{Spec, strings::as_string, text};
use crate::keyspace::{EventKind, Expiry, Keyspace, Str, Value};
use crate::resp::{Args, parse_i64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[
    Spec::new("getbit", 3, "readonly fast", "read bitmap fast", getbit).keys(1, 1, 1, "RO access").about(
        "bitmap",
        "2.2.0",
        "Answers one bit of a string.",
    ),
    Spec::new("setbit", 4, "write denyoom", "write bitmap slow", setbit)
        .keys(1, 1, 1, "RW access update")
        .about("bitmap", "2.2.0", "Sets one bit of a string and answers what it was."),
    Spec::new("bitcount", -2, "readonly", "read bitmap slow", bitcount).keys(1, 1, 1, "RO access").about(
        "bitmap",
        "2.6.0",
        "Counts the bits that are set.",
    ),
    Spec::new("bitpos", -3, "readonly", "read bitmap slow", bitpos).keys(1, 1, 1, "RO access").about(
        "bitmap",
        "2.8.7",
        "Finds the first bit that is set, or clear.",
    ),
    Spec::new("bitop", -4, "write denyoom", "write bitmap slow", bitop)
        .keys(2, -1, 1, "OW update")
        .second(3, "RO access")
        .about("bitmap", "2.6.0", "Combines strings bit by bit into another."),
];

const BAD_OFFSET: &str = "bit offset is not an integer or out of range";

/// A bit's place in a string that may grow up to `most` bytes.
pub(super) fn offset(text: &[u8], most: i64) -> Option<u64> {
    parse_i64(text).and_then(|n| u64::try_from(n).ok()).filter(|n| ((n >> 3) as i64) < most)
}

fn getbit(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let Some(at) = offset(&args[2], server.limits.max_bulk) else { return client.reply.error(BAD_OFFSET) };
    match as_string(read(server, client, &args[1])) {
        Ok(found) => client.reply.int(found.map_or(0, |s| i64::from(bit(&s.bytes(), at)))),
        Err(e) => client.reply.error(e),
    }
}

fn bit(bytes: &[u8], at: u64) -> bool {
    bytes.get((at / 8) as usize).is_some_and(|b| b >> (7 - at % 8) & 1 == 1)
}

fn setbit(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let Some(at) = offset(&args[2], server.limits.max_bulk) else { return client.reply.error(BAD_OFFSET) };
    let on = match &args[3] {
        b"0" => false,
        b"1" => true,
        _ => return client.reply.error("bit is not an integer or out of range"),
    };
    match grown(server, client, &args[1], (at / 8) as usize + 1) {
        Ok(Grown { bytes, made, longer }) => {
            let old = bit(bytes, at);
            let mask = 1 << (7 - at % 8);
            let byte = &mut bytes[(at / 8) as usize];
            if on {
                *byte |= mask
            } else {
                *byte &= !mask
            }
            client.reply.int(i64::from(old));
            changed(server.db(client), &args[1], made, longer || old != on);
        }
        Err(e) => client.reply.error(e),
    }
}

/// A string that may be changed.
pub(super) struct Grown<'a> {
    pub(super) bytes: &'a mut Vec<u8>,
    /// The key was made.
    pub(super) made: bool,
    /// The string has become longer.
    pub(super) longer: bool,
}

/// Tells what has become of a [`Grown`] string: only what differs from before is a change.
pub(super) fn changed(db: &mut Keyspace, key: &[u8], made: bool, differs: bool) {
    if differs && !made {
        db.changed(key);
    }
    if differs || made {
        db.note(EventKind::String, "setbit", key);
    }
}

/// The bytes of a key's string, at least `len` of them, to be changed; the key is made if it is missing.
pub(super) fn grown<'a>(
    server: &'a mut Server,
    client: &Client,
    key: &[u8],
    len: usize,
) -> Result<Grown<'a>, &'static str> {
    let now = server.now_ms;
    let db = server.db(client);
    let made = as_string(db.get(key, now))?.is_none();
    if made {
        db.set(key, Value::Str(Str::Grown(Vec::new())), Expiry::Never, now);
    }
    let Some(Value::Str(string)) = db.get_mut_untold(key, now) else { return Err(text::WRONG_TYPE) };
    let bytes = string.grow();
    let longer = bytes.len() < len;
    if longer {
        bytes.resize(len, 0);
    }
    Ok(Grown { bytes, made, longer })
}

/// A range of bytes or bits as BITCOUNT and BITPOS take it, in bits: first and last. Nothing if it is empty.
fn range(start: i64, end: i64, in_bits: bool, len: usize) -> Option<(u64, u64)> {
    let total = len as i64 * if in_bits { 8 } else { 1 };
    if start < 0 && end < 0 && start > end {
        return None;
    }
    let place = |i: i64| if i < 0 { (total + i).max(0) } else { i };
    let (start, end) = (place(start), place(end).min(total - 1));
    if start > end {
        return None;
    }
    Some(if in_bits { (start as u64, end as u64) } else { (start as u64 * 8, end as u64 * 8 + 7) })
}

/// Whether a word says that a range is in bits.
fn unit(args: Args<'_>, i: usize) -> Result<bool, &'static str> {
    match () {
        () if args.get(i).is_none() || args.is(i, "byte") => Ok(false),
        () if args.is(i, "bit") => Ok(true),
        () => Err(text::SYNTAX),
    }
}

fn bitcount(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let result = as_string(read(server, client, &args[1])).and_then(|found| {
        let Some(s) = found else { return Ok(0) };
        let bytes = s.bytes();
        let (start, end, in_bits) = match args.len() {
            2 => (0, -1, false),
            4 | 5 => {
                let in_bits = unit(args, 4);
                let start = parse_i64(&args[2]).ok_or(text::NOT_INT)?;
                (start, parse_i64(&args[3]).ok_or(text::NOT_INT)?, in_bits?)
            }
            _ => return Err(text::SYNTAX),
        };
        Ok(range(start, end, in_bits, bytes.len()).map_or(0, |(first, last)| ones(&bytes, first, last)))
    });
    match result {
        Ok(n) => client.reply.int(n),
        Err(e) => client.reply.error(e),
    }
}

/// How many bits are set from `first` to `last`, which lie in `bytes`.
fn ones(bytes: &[u8], first: u64, last: u64) -> i64 {
    let part = &bytes[(first / 8) as usize..=(last / 8) as usize];
    let (words, rest) = part.as_chunks::<8>();
    let all = words.iter().map(|w| u64::from_ne_bytes(*w).count_ones()).map(i64::from).sum::<i64>()
        + rest.iter().map(|b| i64::from(b.count_ones())).sum::<i64>();
    let before = part[0] & !(0xff >> (first % 8));
    let after = part[part.len() - 1] & (0x7f >> (last % 8));
    all - i64::from(before.count_ones()) - i64::from(after.count_ones())
}

fn bitpos(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let wanted = match parse_i64(&args[2]) {
        None => return client.reply.error(text::NOT_INT),
        Some(0) => false,
        Some(1) => true,
        Some(_) => return client.reply.error("The bit argument must be 1 or 0."),
    };
    let result = as_string(read(server, client, &args[1])).and_then(|found| {
        // A missing key is an endless row of zeros.
        let Some(s) = found else { return Ok(if wanted { -1 } else { 0 }) };
        let bytes = s.bytes();
        let number = |i: usize| parse_i64(&args[i]).ok_or(text::NOT_INT);
        let (start, end, in_bits) = match args.len() {
            3 => (0, -1, false),
            4 => (number(3)?, -1, false),
            5 | 6 => {
                let start = number(3)?;
                let in_bits = unit(args, 5)?;
                (start, number(4)?, in_bits)
            }
            _ => return Err(text::SYNTAX),
        };
        let Some((first, last)) = range(start, end, in_bits, bytes.len()) else { return Ok(-1) };
        match first_bit(&bytes, wanted, first, last) {
            Some(at) => Ok(at as i64),
            // Behind the string there are zeros, unless the end was given.
            None if !wanted && args.len() < 5 => Ok(last as i64 + 1),
            None => Ok(-1),
        }
    });
    match result {
        Ok(n) => client.reply.int(n),
        Err(e) => client.reply.error(e),
    }
}

fn first_bit(bytes: &[u8], wanted: bool, first: u64, last: u64) -> Option<u64> {
    let dull = if wanted { 0 } else { 0xff };
    let mut at = first;
    while at <= last {
        if at.is_multiple_of(8) && bytes[(at / 8) as usize] == dull {
            let rest = &bytes[(at / 8) as usize..=(last / 8) as usize];
            at += 8 * rest.iter().take_while(|&&b| b == dull).count() as u64;
        } else if bit(bytes, at) == wanted {
            return Some(at);
        } else {
            at += 1;
        }
    }
    None
}

fn bitop(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let combine: fn(u8, u8) -> u8 = match () {
        () if args.is(1, "and") => |a, b| a & b,
        () if args.is(1, "or") => |a, b| a | b,
        () if args.is(1, "xor") => |a, b| a ^ b,
        () if args.is(1, "not") => |a, _| !a,
        () => return client.reply.error(text::SYNTAX),
    };
    if args.is(1, "not") && args.len() != 4 {
        return client.reply.error("BITOP NOT must be called with a single source key.");
    }
    let now = server.now_ms;
    let mut sources: Vec<Vec<u8>> = Vec::new();
    for key in args.from(3).iter() {
        match as_string(read(server, client, key)) {
            Ok(found) => sources.push(found.map(|s| s.bytes().into_owned()).unwrap_or_default()),
            Err(e) => return client.reply.error(e),
        }
    }
    let len = sources.iter().map(Vec::len).max().unwrap_or(0);
    let mut sources = sources.into_iter();
    let mut result = sources.next().unwrap_or_default();
    result.resize(len, 0);
    if args.is(1, "not") {
        result.iter_mut().for_each(|b| *b = !*b);
    }
    for source in sources {
        for (i, byte) in result.iter_mut().enumerate() {
            *byte = combine(*byte, source.get(i).copied().unwrap_or(0));
        }
    }
    let db = server.db(client);
    if len > 0 {
        db.set(&args[2], Value::Str(Str::Grown(result)), Expiry::Never, now);
        db.note(EventKind::String, "set", &args[2]);
    } else if db.delete_on_the_way(&args[2], now) {
        db.note(EventKind::Generic, "del", &args[2]);
    }
    client.reply.len(len);
}

#[cfg(test)]
mod tests {
    use super::*;

    quickcheck::quickcheck! {
        fn counts_and_finds_as_bit_by_bit(bytes: Vec<u8>, start: i8, end: i8, in_bits: bool, wanted: bool) -> bool {
            let Some((first, last)) = range(start.into(), end.into(), in_bits, bytes.len()) else { return true };
            let count = (first..=last).filter(|&i| bit(&bytes, i)).count() as i64;
            ones(&bytes, first, last) == count
                && first_bit(&bytes, wanted, first, last) == (first..=last).find(|&i| bit(&bytes, i) == wanted)
        }
    }
}
