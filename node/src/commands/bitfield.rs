//! BITFIELD: integers of any width at any place of a string (bitops.c `bitfieldGeneric`).

use super::bits::{Grown, changed, grown, offset};
use super::lookup::read;
use super::{Spec, strings::as_string, text};
use crate::resp::{Args, parse_i64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[
    Spec::new("bitfield", -2, "write denyoom", "write bitmap slow", bitfield)
        .keys(1, 1, 1, "RW access update variable_flags")
        .about("bitmap", "3.2.0", "Reads and changes integers within a string."),
    Spec::new("bitfield_ro", -2, "readonly fast", "read bitmap fast", bitfield_ro)
        .keys(1, 1, 1, "RO access")
        .about("bitmap", "6.0.0", "Reads integers within a string."),
];

/// What a value that does not fit becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

/// One operation: on an integer of `bits` at bit `at`.
#[derive(Clone, Copy, Debug)]
struct Operation {
    action: Action,
    signed: bool,
    bits: u32,
    at: u64,
    overflow: Overflow,
}

fn bitfield(server: &mut Server, client: &mut Client, args: Args<'_>) {
    run(server, client, args, false);
}

fn bitfield_ro(server: &mut Server, client: &mut Client, args: Args<'_>) {
    run(server, client, args, true);
}

/// All operations are read before the first one runs.
fn run(server: &mut Server, client: &mut Client, args: Args<'_>, read_only: bool) {
    let operations = match parse(args, server.limits.max_bulk) {
        Ok(operations) => operations,
        Err(e) => return client.reply.error(e),
    };
    let end = operations.iter().filter(|o| o.action != Action::Get).map(|o| o.at + u64::from(o.bits)).max();
    if read_only && end.is_some() {
        return client.reply.error("BITFIELD_RO only supports the GET subcommand");
    }
    match end {
        None => {
            let found = match as_string(read(server, client, &args[1])) {
                Ok(found) => found.map(|s| s.bytes()).unwrap_or_default(),
                Err(e) => return client.reply.error(e),
            };
            client.reply.array(operations.len());
            operations.iter().for_each(|o| client.reply.int(o.read(&found) as i64));
        }
        Some(end) => match grown(server, client, &args[1], end.div_ceil(8) as usize) {
            Ok(Grown { bytes, made, longer }) => {
                client.reply.array(operations.len());
                let mut differs = longer;
                for operation in &operations {
                    let old = operation.read(bytes);
                    match operation.apply(bytes) {
                        Some(n) => client.reply.int(n),
                        None => client.reply.null(),
                    }
                    differs |= operation.read(bytes) != old;
                }
                changed(server.db(client), &args[1], made, differs);
            }
            Err(e) => client.reply.error(e),
        },
    }
}

const BAD_TYPE: &str =
    "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";

fn parse(args: Args<'_>, most: i64) -> Result<Vec<Operation>, &'static str> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut rest = args.from(2);
    while !rest.is_empty() {
        if rest.is(0, "overflow") && rest.len() >= 2 {
            overflow = match () {
                () if rest.is(1, "wrap") => Overflow::Wrap,
                () if rest.is(1, "sat") => Overflow::Saturate,
                () if rest.is(1, "fail") => Overflow::Fail,
                () => return Err("Invalid OVERFLOW type specified"),
            };
            rest = rest.from(2);
            continue;
        }
        let words = match () {
            () if rest.is(0, "get") => 3,
            () if rest.is(0, "set") || rest.is(0, "incrby") => 4,
            () => return Err(text::SYNTAX),
        };
        if rest.len() < words {
            return Err(text::SYNTAX);
        }
        let (signed, bits) = kind(&rest[1]).ok_or(BAD_TYPE)?;
        let at = place(&rest[2], bits, most).ok_or("bit offset is not an integer or out of range")?;
        let value = || parse_i64(&rest[3]).ok_or(text::NOT_INT);
        let action = match words {
            3 => Action::Get,
            _ if rest.is(0, "set") => Action::Set(value()?),
            _ => Action::Add(value()?),
        };
        operations.push(Operation { action, signed, bits, at, overflow });
        rest = rest.from(words);
    }
    Ok(operations)
}

/// `i1` to `i64`, `u1` to `u63`.
fn kind(word: &[u8]) -> Option<(bool, u32)> {
    let (signed, most) = match word.first()? {
        b'i' => (true, 64),
        b'u' => (false, 63),
        _ => return None,
    };
    let bits = parse_i64(&word[1..]).filter(|n| (1..=most).contains(n))?;
    Some((signed, bits as u32))
}

/// A place in bits, or with a `#` in front in units of the type's width.
fn place(word: &[u8], bits: u32, most: i64) -> Option<u64> {
    match word.strip_prefix(b"#") {
        None => offset(word, most),
        Some(word) => {
            let at = u64::try_from(parse_i64(word)?).ok()?.checked_mul(bits.into())?;
            ((at >> 3) < most as u64).then_some(at)
        }
    }
}

impl Operation {
    /// The integer that is there; zeros lie behind the string.
    fn read(&self, bytes: &[u8]) -> i128 {
        let mut value = 0u128;
        for at in self.at..self.at + u64::from(self.bits) {
            let byte = bytes.get((at / 8) as usize).copied().unwrap_or(0);
            value = value << 1 | u128::from(byte >> (7 - at % 8) & 1);
        }
        self.within(value as i128)
    }

    /// The lowest bits of a value, as this type reads them.
    fn within(&self, value: i128) -> i128 {
        let unused = 128 - self.bits;
        if self.signed { value << unused >> unused } else { ((value as u128) << unused >> unused) as i128 }
    }

    fn write(&self, bytes: &mut [u8], value: i128) {
        for i in 0..u64::from(self.bits) {
            let at = self.at + i;
            let on = value >> (u64::from(self.bits) - 1 - i) & 1 == 1;
            let mask = 1 << (7 - at % 8);
            let byte = &mut bytes[(at / 8) as usize];
            if on { *byte |= mask } else { *byte &= !mask }
        }
    }

    /// What the operation answers: the old value, or the new one of INCRBY; nothing where it fails.
    fn apply(&self, bytes: &mut [u8]) -> Option<i64> {
        let old = self.read(bytes);
        let new = match self.action {
            Action::Get => return Some(old as i64),
            // A negative number for an unsigned field is a very large one.
            Action::Set(value) if !self.signed => i128::from(value as u64),
            Action::Set(value) => value.into(),
            Action::Add(value) => old + i128::from(value),
        };
        let (least, most) = match self.signed {
            true => (-1i128 << (self.bits - 1), (1i128 << (self.bits - 1)) - 1),
            false => (0, (1i128 << self.bits) - 1),
        };
        let new = match self.overflow {
            _ if (least..=most).contains(&new) => new,
            Overflow::Wrap => self.within(new),
            Overflow::Saturate => new.clamp(least, most),
            Overflow::Fail => return None,
        };
        self.write(bytes, new);
        Some(if matches!(self.action, Action::Add(_)) { new } else { old } as i64)
    }
}
