//! The payload of DUMP, RESTORE and MIGRATE: a value in RDB encoding, the RDB version and a checksum
//! (cluster.c `createDumpPayload`, `verifyDumpPayload`; rdb.c `rdbSaveStringObject`).
//!
//! Shape: type byte, value, RDB version (2 bytes, little-endian), CRC64 of all before it (8 bytes,
//! little-endian). Strings are written as Redis writes them: an integer of 1, 2 or 4 bytes, LZF where it
//! helps, or plain.

mod crc64;
mod lzf;

use std::fmt;

use crate::keyspace::{Str, Value};
use crate::resp::parse_i64;

pub use crc64::crc64;

/// The version that is written, and the highest that is read: that of Redis 7.0.
pub const RDB_VERSION: u16 = 10;

const TYPE_STRING: u8 = 0;
const FOOTER: usize = 10;
/// Shorter strings are never compressed (rdb.c).
const MIN_COMPRESSED: usize = 20;
/// The longest string there is; a length beyond it is a lie.
const MAX_STRING: u64 = 512 * 1024 * 1024;

const ENCODED_INT8: u8 = 0xc0;
const ENCODED_INT16: u8 = 0xc1;
const ENCODED_INT32: u8 = 0xc2;
const ENCODED_LZF: u8 = 0xc3;

/// A payload that cannot be restored. The text is what RESTORE answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPayload {
    /// Too short, of a later version, or damaged.
    VersionOrChecksum,
    /// No value that is known here.
    Format,
}

impl fmt::Display for BadPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::VersionOrChecksum => "DUMP payload version or checksum are wrong",
            Self::Format => "Bad data format",
        })
    }
}

impl std::error::Error for BadPayload {}

/// The payload of a value; `compress` is `rdbcompression`.
pub fn dump(value: &Value, compress: bool) -> Vec<u8> {
    let mut out = Vec::new();
    match value {
        Value::Str(s) => {
            out.push(TYPE_STRING);
            write_str(&mut out, s, compress);
        }
    }
    out.extend_from_slice(&RDB_VERSION.to_le_bytes());
    let crc = crc64(0, &out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// Whether a payload is whole and of a version that is known. A checksum of 0 stands for none.
pub fn verify(payload: &[u8]) -> Result<&[u8], BadPayload> {
    let Some((body, crc)) = payload.split_last_chunk::<8>() else {
        return Err(BadPayload::VersionOrChecksum);
    };
    let Some((value, version)) = body.split_last_chunk::<2>() else {
        return Err(BadPayload::VersionOrChecksum);
    };
    debug_assert_eq!(payload.len() - value.len(), FOOTER);
    let crc = u64::from_le_bytes(*crc);
    if u16::from_le_bytes(*version) > RDB_VERSION || crc != 0 && crc64(0, body) != crc {
        return Err(BadPayload::VersionOrChecksum);
    }
    Ok(value)
}

/// The value of a payload.
pub fn restore(payload: &[u8]) -> Result<Value, BadPayload> {
    let body = verify(payload)?;
    let mut reader = Reader { rest: body };
    match reader.byte() {
        Some(TYPE_STRING) => reader.string().map(|s| Value::string(&s)).ok_or(BadPayload::Format),
        _ => Err(BadPayload::Format),
    }
}

fn write_str(out: &mut Vec<u8>, s: &Str, compress: bool) {
    let bytes = s.bytes();
    // Canonical decimal numbers of at most 11 characters are tried as integers.
    if bytes.len() <= 11
        && let Some(n) = parse_i64(&bytes)
        && let Ok(n) = i32::try_from(n)
    {
        if let Ok(n) = i8::try_from(n) {
            out.extend_from_slice(&[ENCODED_INT8, n as u8]);
        } else if let Ok(n) = i16::try_from(n) {
            out.push(ENCODED_INT16);
            out.extend_from_slice(&n.to_le_bytes());
        } else {
            out.push(ENCODED_INT32);
            out.extend_from_slice(&n.to_le_bytes());
        }
        return;
    }
    if compress
        && bytes.len() > MIN_COMPRESSED
        && let Some(packed) = lzf::compress(&bytes)
    {
        out.push(ENCODED_LZF);
        write_len(out, packed.len());
        write_len(out, bytes.len());
        out.extend_from_slice(&packed);
        return;
    }
    write_len(out, bytes.len());
    out.extend_from_slice(&bytes);
}

/// A length in 6, 14, 32 or 64 bits (rdb.c `rdbSaveLen`).
fn write_len(out: &mut Vec<u8>, len: usize) {
    if len < 1 << 6 {
        out.push(len as u8);
    } else if len < 1 << 14 {
        out.extend_from_slice(&[0x40 | (len >> 8) as u8, len as u8]);
    } else if let Ok(len) = u32::try_from(len) {
        out.push(0x80);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(0x81);
        out.extend_from_slice(&(len as u64).to_be_bytes());
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

enum Length {
    Plain(u64),
    Encoded(u8),
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    fn bytes(&mut self, len: u64) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(usize::try_from(len).ok()?)?;
        self.rest = rest;
        Some(head)
    }

    fn length(&mut self) -> Option<Length> {
        let first = self.byte()?;
        Some(match first >> 6 {
            0 => Length::Plain(u64::from(first & 0x3f)),
            1 => Length::Plain(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            2 if first == 0x80 => Length::Plain(u64::from(u32::from_be_bytes(self.array()?))),
            2 if first == 0x81 => Length::Plain(u64::from_be_bytes(self.array()?)),
            2 => return None,
            _ => Length::Encoded(first),
        })
    }

    fn plain_length(&mut self) -> Option<u64> {
        match self.length()? {
            Length::Plain(n) => Some(n),
            Length::Encoded(_) => None,
        }
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        let number = |n: i64| n.to_string().into_bytes();
        Some(match self.length()? {
            Length::Plain(len) => self.bytes(len)?.to_vec(),
            Length::Encoded(ENCODED_INT8) => number(i64::from(i8::from_le_bytes(self.array()?))),
            Length::Encoded(ENCODED_INT16) => number(i64::from(i16::from_le_bytes(self.array()?))),
            Length::Encoded(ENCODED_INT32) => number(i64::from(i32::from_le_bytes(self.array()?))),
            Length::Encoded(ENCODED_LZF) => {
                let packed = self.plain_length()?;
                let len = self.plain_length().filter(|&len| len <= MAX_STRING)?;
                lzf::decompress(self.bytes(packed)?, len as usize)?
            }
            Length::Encoded(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        text.as_bytes()
            .chunks(2)
            .filter_map(|c| u8::from_str_radix(std::str::from_utf8(c).ok()?, 16).ok())
            .collect()
    }

    /// What redis-server 7.0.15 answers to DUMP.
    #[test]
    fn payloads_of_redis() {
        for (value, payload) in PAYLOADS {
            let value = Value::string(value.as_bytes());
            assert_eq!(restore(&hex(payload)), Ok(value.clone()));
            // Where Redis compresses, other references into the past may be chosen here.
            if hex(payload)[1] != ENCODED_LZF {
                assert_eq!(dump(&value, true), hex(payload));
            }
        }
    }

    const PAYLOADS: &[(&str, &str)] = &[
        ("", "00000a005d9b5c400f7fa2da"),
        ("a", "0001610a00bffeef9b8f367db4"),
        ("0", "00c0000a009840a778f8500308"),
        ("-1", "00c0ff0a000c937e2485089dc5"),
        ("127", "00c07f0a000db5eb315254c514"),
        ("128", "00c180000a00eb7ab3b510cf4b65"),
        ("-128", "00c0800a009966326d2f0c5bd9"),
        ("-129", "00c17fff0a001760822854808480"),
        ("32767", "00c1ff7f0a00495a37da17f4d52b"),
        ("32768", "00c2008000000a0045d82eedd5bda910"),
        ("-32769", "00c2ff7fffff0a00aee34c4d06c68536"),
        ("2147483647", "00c2ffffff7f0a002c74e59ee02eada1"),
        ("2147483648", "000a323134373438333634380a00e7b129a34c1d76ee"),
        ("-2147483648", "00c2000000800a00c74f873e33558187"),
        ("12345678901234567890", "001431323334353637383930313233343536373839300a00bd37243ee83df2b1"),
        ("01", "000230310a006cddc441144c7da4"),
        ("hello world", "000b68656c6c6f20776f726c640a000bfc49b9a6c7a034"),
        ("aaaaaaaaaaaaaaaaaaaa", "001461616161616161616161616161616161616161610a0083b46b5e1b11acf1"),
        ("aaaaaaaaaaaaaaaaaaaaa", "00c30615016161e00a000a00fd0cb36807413f68"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "00c3091e016161e011000161610a0045737cbb2b647bbb"),
        (
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "00c3094040016161e033000161610a00c3659612ce1cc46c",
        ),
        ("abcabcabcabcabcabcabcabcabc", "00c30b1b0361626361e00c020162630a0028b67f7fba109493"),
        (
            "the quick brown fox the quick brown fox jumps",
            "00c31f2d1474686520717569636b2062726f776e20666f782074e00a13046a756d70730a0083513eaf1f4db8d5",
        ),
        (
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "00c30c4190016161e0ff00e07b000161610a00a19144f5f59c255d",
        ),
        (
            "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
            "00c315412c0a3031323334353637383930e0ff09e10e0d0138390a00f1e9827c1e55e49a",
        ),
    ];

    #[test]
    fn every_damaged_byte_and_every_cut_is_noticed() {
        let payload = dump(&Value::string(b"some value"), true);
        for i in 0..payload.len() {
            let mut damaged = payload.clone();
            damaged[i] ^= 0x10;
            assert!(restore(&damaged).is_err(), "byte {i}");
            assert_eq!(restore(&payload[..i]), Err(BadPayload::VersionOrChecksum), "cut at {i}");
        }
    }

    #[test]
    fn versions_up_to_that_of_redis_7_0() {
        for version in 1..=12u16 {
            let mut payload = vec![TYPE_STRING, 1, b'a'];
            payload.extend_from_slice(&version.to_le_bytes());
            let crc = crc64(0, &payload);
            payload.extend_from_slice(&crc.to_le_bytes());
            assert_eq!(restore(&payload).is_ok(), version <= RDB_VERSION, "{version}");
        }
    }

    #[test]
    fn lengths_that_lie() {
        for body in [
            &[TYPE_STRING][..],
            &[TYPE_STRING, 5, b'a'],
            &[TYPE_STRING, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[TYPE_STRING, 0xc3, 1, 0x80, 0xff, 0xff, 0xff, 0xff, 0],
            &[TYPE_STRING, 0xc3, 0xc0, 1, 1],
            &[TYPE_STRING, 0xc4, 1],
            &[TYPE_STRING, 0x82, 1],
            &[99, 1, b'a'],
        ] {
            let mut payload = body.to_vec();
            payload.extend_from_slice(&RDB_VERSION.to_le_bytes());
            payload.extend_from_slice(&[0; 8]);
            assert_eq!(restore(&payload), Err(BadPayload::Format), "{body:?}");
        }
    }

    quickcheck::quickcheck! {
        fn what_is_dumped_is_restored(bytes: Vec<u8>, times: u8, compress: bool) -> bool {
            let value = Value::string(&bytes.repeat(usize::from(times) % 20 + 1));
            restore(&dump(&value, compress)) == Ok(value)
        }

        fn any_payload_is_read_or_refused(body: Vec<u8>) -> bool {
            let mut payload = [&[TYPE_STRING][..], &body].concat();
            payload.extend_from_slice(&RDB_VERSION.to_le_bytes());
            payload.extend_from_slice(&[0; 8]);
            restore(&payload).is_ok_and(|v| v.type_name() == "string") || restore(&payload).is_err()
        }
    }
}
