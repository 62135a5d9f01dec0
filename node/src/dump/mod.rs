//! The payload of DUMP, RESTORE and MIGRATE: a value in RDB encoding, the RDB version and a checksum
//! (cluster.c `createDumpPayload`, `verifyDumpPayload`; rdb.c `rdbSaveStringObject`).
//!
//! Shape: type byte, value, RDB version (2 bytes, little-endian), CRC64 of all before it (8 bytes,
//! little-endian). Values are written as Redis 7.0 writes them, and read as any version up to it did.

mod crc64;
mod cursor;
mod listpack;
mod lzf;
mod rdb;
mod read;
mod write;
mod ziplist;

use std::fmt;

use crate::keyspace::{Packing, Value};

pub use crc64::crc64;
pub use rdb::RdbFile;

/// The version that is written, and the highest that is read: that of Redis 7.0.
pub const RDB_VERSION: u16 = 10;

const FOOTER: usize = 10;

/// The types and forms of values (rdb.h).
mod kind {
    pub(super) const STRING: u8 = 0;
    pub(super) const LIST: u8 = 1;
    pub(super) const SET: u8 = 2;
    pub(super) const ZSET: u8 = 3;
    pub(super) const HASH: u8 = 4;
    pub(super) const ZSET_2: u8 = 5;
    pub(super) const HASH_ZIPMAP: u8 = 9;
    pub(super) const LIST_ZIPLIST: u8 = 10;
    pub(super) const SET_INTSET: u8 = 11;
    pub(super) const ZSET_ZIPLIST: u8 = 12;
    pub(super) const HASH_ZIPLIST: u8 = 13;
    pub(super) const LIST_QUICKLIST: u8 = 14;
    pub(super) const HASH_LISTPACK: u8 = 16;
    pub(super) const ZSET_LISTPACK: u8 = 17;
    pub(super) const LIST_QUICKLIST_2: u8 = 18;

    /// A node of a list that is one element.
    pub(super) const NODE_PLAIN: u64 = 1;
    /// A node of a list that is a listpack.
    pub(super) const NODE_PACKED: u64 = 2;

    pub(super) const ENCODED_INT8: u8 = 0xc0;
    pub(super) const ENCODED_INT16: u8 = 0xc1;
    pub(super) const ENCODED_INT32: u8 = 0xc2;
    pub(super) const ENCODED_LZF: u8 = 0xc3;
}

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

/// The payload of a value; `compress` is `rdbcompression`. What it unfolds to is within what [`restore`] allows, so that any value that is
/// here can be moved.
pub fn dump(value: &Value, compress: bool, packing: &Packing) -> Vec<u8> {
    dump_folded(value, compress, packing, UNFOLDED_LEAST)
}

/// The same, with another amount that any payload may unfold to.
fn dump_folded(value: &Value, compress: bool, packing: &Packing, folded: usize) -> Vec<u8> {
    let mut output = write::Output { bytes: Vec::new(), compress, packing, key: None, folded };
    output.value(value);
    let mut out = output.bytes;
    out.extend_from_slice(&RDB_VERSION.to_le_bytes());
    let crc = crc64(0, &out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

/// Whether a payload is whole and of a version that is known.
pub fn verify(payload: &[u8]) -> Result<&[u8], BadPayload> {
    let Some((body, crc)) = payload.split_last_chunk::<8>() else {
        return Err(BadPayload::VersionOrChecksum);
    };
    let Some((value, version)) = body.split_last_chunk::<2>() else {
        return Err(BadPayload::VersionOrChecksum);
    };
    debug_assert_eq!(payload.len() - value.len(), FOOTER);
    let crc = u64::from_le_bytes(*crc);
    if u16::from_le_bytes(*version) > RDB_VERSION || crc64(0, body) != crc {
        return Err(BadPayload::VersionOrChecksum);
    }
    Ok(value)
}

/// The value of a payload, in the form that `packing` gives it.
pub fn restore(payload: &[u8], packing: &Packing) -> Result<Value, BadPayload> {
    restore_within(payload, packing, usize::MAX)
}

/// The same for a value of at most so many bytes. Compressed listpacks of the smallest elements unfold to some 3,000 times
/// their size; whatever `most` is, a value takes no more than [`unfolded`] allows its payload.
pub fn restore_within(payload: &[u8], packing: &Packing, most: usize) -> Result<Value, BadPayload> {
    let value = verify(payload)?;
    let budget = unfolded(payload.len()).min(most);
    read::Reader::new(value, packing, budget).value().ok_or(BadPayload::Format)
}

/// What a payload of so many bytes may unfold to, in bytes: 128 times its size, which no compressed text exceeds, or 1 GiB
/// where that is more. Redis has no limit but the memory.
pub fn unfolded(payload: usize) -> usize {
    payload.saturating_mul(UNFOLDED).max(UNFOLDED_LEAST)
}

const UNFOLDED: usize = 128;
const UNFOLDED_LEAST: usize = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::{End, Hash, List, Set, Typed, Zset};

    fn restore(payload: &[u8]) -> Result<Value, BadPayload> {
        super::restore(payload, &Packing::default())
    }

    fn dump(value: &Value, compress: bool) -> Vec<u8> {
        super::dump(value, compress, &Packing::default())
    }

    /// A payload with its checksum.
    fn sealed(body: &[u8]) -> Vec<u8> {
        let all = [body, &RDB_VERSION.to_le_bytes()].concat();
        let crc = crc64(0, &all);
        [all, crc.to_le_bytes().to_vec()].concat()
    }

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
            if hex(payload)[1] != kind::ENCODED_LZF {
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
            let mut payload = vec![kind::STRING, 1, b'a'];
            payload.extend_from_slice(&version.to_le_bytes());
            let crc = crc64(0, &payload);
            payload.extend_from_slice(&crc.to_le_bytes());
            assert_eq!(restore(&payload).is_ok(), version <= RDB_VERSION, "{version}");
        }
    }

    #[test]
    fn lengths_that_lie() {
        for body in [
            &[kind::STRING][..],
            &[kind::STRING, 5, b'a'],
            &[kind::STRING, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[kind::STRING, 0xc3, 1, 0x80, 0xff, 0xff, 0xff, 0xff, 0],
            &[kind::STRING, 0xc3, 0xc0, 1, 1],
            &[kind::STRING, 0xc4, 1],
            &[kind::STRING, 0x82, 1],
            &[99, 1, b'a'],
        ] {
            assert_eq!(restore(&sealed(body)), Err(BadPayload::Format), "{body:?}");
        }
    }

    /// A list of so many nodes of 4,000 elements each, all equal.
    fn folded_list(nodes: u8) -> Vec<u8> {
        let mut writer = listpack::Writer::new();
        (0..4000).for_each(|_| writer.push(b"1"));
        let node = writer.finish();
        let packed = lzf::compress(&node).expect("it repeats");
        let len = |n: usize| [0x40 | (n >> 8) as u8, n as u8];
        let mut body = vec![kind::LIST_QUICKLIST_2, 0x40, nodes];
        for _ in 0..nodes {
            body.extend_from_slice(&[kind::NODE_PACKED as u8, kind::ENCODED_LZF]);
            body.extend_from_slice(&len(packed.len()));
            body.extend_from_slice(&len(node.len()));
            body.extend_from_slice(&packed);
        }
        sealed(&body)
    }

    #[test]
    fn what_is_folded_unfolds_within_a_budget() {
        let payload = folded_list(200);
        assert!(payload.len() < 30_000, "{}", payload.len());
        let packing = Packing::default();
        let before = crate::memory::used();
        let value = restore(&payload).expect("800,000 elements");
        let held = crate::memory::used() - before;
        let counted = 800_000 * (read::LIST_ELEMENT + 1);
        assert!(held < counted, "{held} bytes of {}, counted as {counted}", payload.len());
        assert_eq!(restore_within(&payload, &packing, counted), Ok(value));
        let few = restore_within(&payload, &packing, counted - 1);
        assert_eq!(few, Err(BadPayload::Format));
        assert_eq!((unfolded(100), unfolded(1 << 30)), (1 << 30, 128 << 30));
        // A string that announces more than it may be is not unfolded at all.
        let string = sealed(&[kind::STRING, kind::ENCODED_LZF, 3, 0x40, 0x50, 0, b'a', 0]);
        assert_eq!(restore_within(&string, &packing, 50), Err(BadPayload::Format));
    }

    #[test]
    fn what_is_folded_here_unfolds_within_the_budget() {
        let packing =
            Packing { hash_entries: 1000, set_ints: 1000, zset_entries: 1000, ..Packing::default() };
        let (mut hash, mut list) = (Hash::default(), List::default());
        let (mut set, mut zset) = (Set::default(), Zset::default());
        for i in 0..1000 {
            hash.set(i.to_string().as_bytes(), b"", &packing);
            set.add(i.to_string().as_bytes(), &packing);
            zset.insert(i.to_string().as_bytes(), 0.0, &packing);
        }
        (0..20_000).for_each(|i| list.push(End::Right, if i < 10_000 { &b"1"[..] } else { b"" }));
        let values = [hash.into_value(), list.into_value(), set.into_value(), zset.into_value()];
        for value in values {
            let large = dump_folded(&value, true, &packing, 0);
            let budget = UNFOLDED * large.len();
            assert_eq!(
                restore_within(&large, &packing, budget).as_ref(),
                Ok(&value),
                "{}",
                value.type_name()
            );
            let small = super::dump(&value, true, &packing);
            assert!(small.len() <= large.len());
            assert_eq!(super::restore(&small, &packing), Ok(value));
        }
        // As tight as ever where there is no need.
        let mut list = List::default();
        (0..4000).for_each(|_| list.push(End::Right, &b"1"[..]));
        assert!(dump(&list.into_value(), true).len() < 200);
    }

    quickcheck::quickcheck! {
        fn what_is_dumped_is_restored(bytes: Vec<u8>, times: u8, compress: bool) -> bool {
            let value = Value::string(&bytes.repeat(usize::from(times) % 20 + 1));
            restore(&dump(&value, compress)) == Ok(value)
        }

        fn collections_are_restored(members: Vec<(Vec<u8>, i16, f32)>, many: bool, compress: bool) -> bool {
            let packing = Packing::default();
            let (mut hash, mut list) = (Hash::default(), List::default());
            let (mut set, mut ints, mut zset) = (Set::default(), Set::default(), Zset::default());
            for i in 0..if many { 600 } else { 5 } {
                for (bytes, n, score) in &members {
                    let member = [bytes, &i.to_string().into_bytes()[..]].concat();
                    let score = if score.is_nan() { 0.5 } else { f64::from(*score) + f64::from(i) };
                    hash.set(&member, &n.to_string().into_bytes(), &packing);
                    list.push(End::Left, member.as_slice());
                    set.add(&member, &packing);
                    ints.add(n.to_string().as_bytes(), &packing);
                    zset.insert(&member, score, &packing);
                }
            }
            let all = [hash.into_value(), list.into_value(), set.into_value(), ints.into_value(), zset.into_value()];
            members.is_empty() || all.iter().all(|value| {
                let there = restore(&dump(value, compress));
                there.as_ref().map(|there| there.encoding()) == Ok(value.encoding()) && there.as_ref() == Ok(value)
            })
        }

        /// Damaged, but with the right checksum: it is read as something or refused, never more than that.
        fn damaged_values_are_read_or_refused(members: Vec<(String, i32)>, damage: Vec<(usize, u8)>) -> bool {
            let packing = Packing::default();
            let (mut hash, mut list, mut set, mut zset) =
                (Hash::default(), List::default(), Set::default(), Zset::default());
            for (name, n) in &members {
                hash.set(name.as_bytes(), n.to_string().as_bytes(), &packing);
                list.push(End::Left, name.as_bytes());
                set.add(n.to_string().as_bytes(), &packing);
                zset.insert(name.as_bytes(), f64::from(*n) / 8.0, &packing);
            }
            [hash.into_value(), list.into_value(), set.into_value(), zset.into_value()].iter().all(|value| {
                let mut payload = dump(value, false);
                payload.truncate(payload.len() - FOOTER);
                let len = payload.len();
                damage.iter().for_each(|(at, byte)| payload[at % len] = *byte);
                restore(&sealed(&payload)).map_or_else(|e| e == BadPayload::Format, |v| !v.encoding().is_empty())
            })
        }

        fn any_payload_is_read_or_refused(kind: u8, body: Vec<u8>, wrap: bool) -> bool {
            // What is wrapped into a string of the right length gets past the first check.
            let len = [body.len() as u8 & 0x3f];
            let body = if wrap { [&len[..], &body].concat() } else { body };
            let payload = sealed(&[&[kind % 20][..], &body].concat());
            restore(&payload).map_or_else(|e| e == BadPayload::Format, |value| !value.encoding().is_empty())
        }
    }
}
