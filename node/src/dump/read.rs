//! Values as Redis has written them since its first versions (rdb.c `rdbLoadObject`).
//!
//! What was written in another form is taken into the one that suits its size. Every length is checked against
//! what is there; a member that comes twice, a score that is no number or an empty collection is an error, and so is a
//! value that unfolds beyond its budget.

use super::cursor::Cursor;
use super::{kind, listpack, lzf, ziplist};
use crate::keyspace::{End, Hash, List, Packing, Set, Typed, Value, Zset};
use crate::resp::parse_f64;

/// The longest string there is; a length beyond it is a lie.
const MAX_STRING: u64 = 512 * 1024 * 1024;

/// What an element of a collection takes beside its bytes, in bytes, counted roughly.
pub(super) const ELEMENT: usize = 64;
/// The same of a list, which is packed.
pub(super) const LIST_ELEMENT: usize = 4;

enum Length {
    Plain(u64),
    Encoded(u8),
}

/// Reads one value.
pub(super) struct Reader<'a> {
    cursor: Cursor<'a>,
    packing: &'a Packing,
    /// Bytes that the value may still take.
    budget: usize,
}

type Elements = Vec<Box<[u8]>>;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], packing: &'a Packing, budget: usize) -> Self {
        Self { cursor: Cursor::new(bytes), packing, budget }
    }

    /// The byte of the type, and the value.
    pub(super) fn value(&mut self) -> Option<Value> {
        let form = self.cursor.byte()?;
        Some(match form {
            kind::STRING => Value::string(&self.string()?),
            kind::LIST | kind::LIST_ZIPLIST | kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => {
                self.list(form)?.into_value()
            }
            kind::SET => self.set()?.into_value(),
            kind::SET_INTSET => self.ints()?.into_value(),
            kind::HASH => self.hash()?.into_value(),
            kind::HASH_ZIPMAP => self.packed_hash(ziplist::read_zipmap)?.into_value(),
            kind::HASH_ZIPLIST => self.packed_hash(ziplist::read_ziplist)?.into_value(),
            kind::HASH_LISTPACK => self.packed_hash(listpack::read)?.into_value(),
            kind::ZSET => self.zset(Self::old_score)?.into_value(),
            kind::ZSET_2 => self.zset(Self::score)?.into_value(),
            kind::ZSET_ZIPLIST => self.packed_zset(ziplist::read_ziplist)?.into_value(),
            kind::ZSET_LISTPACK => self.packed_zset(listpack::read)?.into_value(),
            _ => return None,
        })
    }

    fn list(&mut self, form: u8) -> Option<List> {
        let mut list = List::default();
        let mut add = |elements: Elements| elements.into_iter().for_each(|e| list.push(End::Right, e));
        if form == kind::LIST_ZIPLIST {
            add(self.packed(ziplist::read_ziplist, LIST_ELEMENT)?);
        } else {
            for _ in 0..self.plain_length()? {
                match form {
                    kind::LIST => add(vec![self.element(LIST_ELEMENT)?.into()]),
                    kind::LIST_QUICKLIST => add(self.packed(ziplist::read_ziplist, LIST_ELEMENT)?),
                    _ => match self.plain_length()? {
                        kind::NODE_PLAIN => add(vec![self.element(LIST_ELEMENT)?.into()]),
                        kind::NODE_PACKED => add(self.packed(listpack::read, LIST_ELEMENT)?),
                        _ => return None,
                    },
                }
            }
        }
        (!list.is_empty()).then_some(list)
    }

    fn set(&mut self) -> Option<Set> {
        let mut set = Set::default();
        let count = self.plain_length()?;
        if count > self.packing.set_ints as u64 {
            set.spread();
        }
        for _ in 0..count {
            if !set.add(&self.string()?, self.packing) {
                return None;
            }
        }
        (!set.is_empty()).then_some(set)
    }

    fn ints(&mut self) -> Option<Set> {
        let (ints, width) = ziplist::read_ints(&self.bytes()?)?;
        let many = ints.len() > self.packing.set_ints;
        self.charge(ints.len().checked_mul(ELEMENT)?)?;
        let mut set = Set::Ints(ints, width);
        if many {
            set.spread();
        }
        (!set.is_empty()).then_some(set)
    }

    fn hash(&mut self) -> Option<Hash> {
        let mut hash = Hash::default();
        let count = self.plain_length()?;
        if count > self.packing.hash_entries as u64 {
            hash.spread();
        }
        for _ in 0..count {
            let (field, value) = (self.string()?, self.string()?);
            if !hash.set(&field, &value, self.packing) {
                return None;
            }
        }
        (!hash.is_empty()).then_some(hash)
    }

    fn packed_hash(&mut self, read: fn(&[u8]) -> Option<Elements>) -> Option<Hash> {
        let elements = self.packed(read, ELEMENT)?;
        let mut hash = Hash::default();
        if elements.len() / 2 > self.packing.hash_entries {
            hash.spread();
        }
        let (pairs, rest) = elements.as_chunks::<2>();
        let fits = pairs.iter().all(|[field, value]| hash.set(field, value, self.packing));
        (fits && rest.is_empty() && !hash.is_empty()).then_some(hash)
    }

    /// The form is chosen when all is known.
    fn zset(&mut self, score: fn(&mut Self) -> Option<f64>) -> Option<Zset> {
        let count = self.plain_length()?;
        let mut members: Vec<(Vec<u8>, f64)> = Vec::new();
        for _ in 0..count {
            members.push((self.string()?, score(self)?));
        }
        self.sorted(members.iter().map(|(m, s)| (&**m, *s)), members.len())
    }

    fn packed_zset(&mut self, read: fn(&[u8]) -> Option<Elements>) -> Option<Zset> {
        let elements = self.packed(read, ELEMENT)?;
        let (pairs, rest) = elements.as_chunks::<2>();
        if !rest.is_empty() {
            return None;
        }
        let scores: Vec<f64> = pairs.iter().map(|[_, score]| parse_f64(score)).collect::<Option<_>>()?;
        self.sorted(pairs.iter().zip(scores).map(|([m, _], s)| (&**m, s)), pairs.len())
    }

    fn sorted<'b>(&self, members: impl Iterator<Item = (&'b [u8], f64)>, count: usize) -> Option<Zset> {
        let mut zset = Zset::default();
        if count > self.packing.zset_entries {
            zset.spread();
        }
        for (member, score) in members {
            if score.is_nan() || zset.insert(member, score, self.packing).is_some() {
                return None;
            }
        }
        (!zset.is_empty()).then_some(zset)
    }

    fn score(&mut self) -> Option<f64> {
        self.cursor.array().map(f64::from_le_bytes)
    }

    /// A score as text with its length in front, of which the highest stand for infinities and NaN.
    fn old_score(&mut self) -> Option<f64> {
        match self.cursor.byte()? {
            255 => Some(f64::NEG_INFINITY),
            254 => Some(f64::INFINITY),
            253 => None,
            len => parse_f64(self.cursor.bytes(usize::from(len))?),
        }
    }

    fn length(&mut self) -> Option<Length> {
        let first = self.cursor.byte()?;
        Some(match first >> 6 {
            0 => Length::Plain(u64::from(first & 0x3f)),
            1 => Length::Plain(u64::from(first & 0x3f) << 8 | u64::from(self.cursor.byte()?)),
            2 if first == 0x80 => Length::Plain(u64::from(u32::from_be_bytes(self.cursor.array()?))),
            2 if first == 0x81 => Length::Plain(u64::from_be_bytes(self.cursor.array()?)),
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

    /// Elements that are packed into a string; each takes so much beside its bytes.
    fn packed(&mut self, read: fn(&[u8]) -> Option<Elements>, beside: usize) -> Option<Elements> {
        let elements = read(&self.bytes()?)?;
        self.charge(elements.iter().map(|e| e.len() + beside).sum())?;
        Some(elements)
    }

    /// A string that is part of the value.
    fn string(&mut self) -> Option<Vec<u8>> {
        self.element(ELEMENT)
    }

    /// The same, which takes so much beside its bytes.
    fn element(&mut self, beside: usize) -> Option<Vec<u8>> {
        let bytes = self.bytes()?;
        self.charge(bytes.len() + beside)?;
        Some(bytes)
    }

    fn charge(&mut self, bytes: usize) -> Option<()> {
        self.budget = self.budget.checked_sub(bytes)?;
        Some(())
    }

    /// A string, of which no more is unfolded than the budget has.
    fn bytes(&mut self) -> Option<Vec<u8>> {
        let number = |n: i64| listpack::text(n).into_vec();
        Some(match self.length()? {
            Length::Plain(len) => self.cursor.bytes(usize::try_from(len).ok()?)?.to_vec(),
            Length::Encoded(kind::ENCODED_INT8) => number(self.cursor.int_le(1)?),
            Length::Encoded(kind::ENCODED_INT16) => number(self.cursor.int_le(2)?),
            Length::Encoded(kind::ENCODED_INT32) => number(self.cursor.int_le(4)?),
            Length::Encoded(kind::ENCODED_LZF) => {
                let packed = self.plain_length()?;
                let most = MAX_STRING.min(self.budget as u64);
                let len = self.plain_length().filter(|&len| len <= most)?;
                lzf::decompress(self.cursor.bytes(usize::try_from(packed).ok()?)?, len as usize)?
            }
            Length::Encoded(_) => return None,
        })
    }
}
