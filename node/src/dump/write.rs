//! Values as Redis 7.0 writes them (rdb.c `rdbSaveObjectType`, `rdbSaveObject`).

use super::listpack::Writer;
use super::read::{ELEMENT, LIST_ELEMENT};
use super::{UNFOLDED, kind, lzf, ziplist};
use crate::keyspace::{Hash, List, Packing, Set, Str, Value, Zset};
use crate::resp::{parse_i64, score_text};

/// Shorter strings are never compressed.
const MIN_COMPRESSED: usize = 20;

/// Whether pairs of these sizes fit into a listpack: beyond this, where no limit of the configuration has kept them
/// out, Redis has left it (listpack.c `lpSafeToAdd`).
fn fits_listpack(sizes: impl Iterator<Item = usize>) -> bool {
    const LARGEST: usize = 1 << 30;
    /// What a pair takes besides its bytes at most, a score included.
    const OVERHEAD: usize = 48;
    sizes.fold(0usize, |sum, size| sum.saturating_add(size + OVERHEAD)) < LARGEST
}

/// Where a value is written, and how.
pub(super) struct Output<'a> {
    pub(super) bytes: Vec<u8>,
    pub(super) compress: bool,
    pub(super) packing: &'a Packing,
    /// Written behind the byte of the next value's type.
    pub(super) key: Option<&'a [u8]>,
    /// A value that unfolds to no more than this may be folded as tightly as it can be; a larger one only as far as it is read
    /// again ([`super::unfolded`]).
    pub(super) folded: usize,
}

/// What elements take when they are read, as the reader counts it.
fn charge<'a>(elements: impl Iterator<Item = &'a [u8]>) -> usize {
    elements.map(|e| e.len() + ELEMENT).sum()
}

impl Output<'_> {
    fn kind(&mut self, kind: u8) {
        self.bytes.push(kind);
        if let Some(key) = self.key.take() {
            self.string(key);
        }
    }

    /// The byte of the type, the key if there is one, and the value.
    pub(super) fn value(&mut self, value: &Value) {
        match value {
            Value::Str(s) => {
                self.kind(kind::STRING);
                self.str(s);
            }
            Value::Hash(hash) => self.hash(hash),
            Value::List(list) => self.list(list),
            Value::Set(set) => self.set(set),
            Value::Zset(zset) => self.zset(zset),
        }
    }

    fn hash(&mut self, hash: &Hash) {
        if hash.is_packed() && fits_listpack(hash.iter().map(|(f, v)| f.len() + v.len())) {
            self.kind(kind::HASH_LISTPACK);
            let elements = || hash.iter().flat_map(|(f, v)| [f, v]);
            let mut writer = Writer::new();
            elements().for_each(|e| writer.push(e));
            let charge = charge(elements());
            return self.packed(&writer.finish(), charge, charge);
        }
        self.kind(kind::HASH);
        self.len(hash.len());
        for (field, value) in hash.iter() {
            self.string(field);
            self.string(value);
        }
    }

    fn set(&mut self, set: &Set) {
        match set {
            Set::Ints(ints, width) => {
                self.kind(kind::SET_INTSET);
                let charge = ints.len() * ELEMENT;
                self.packed(&ziplist::write_ints(ints, *width), charge, charge);
            }
            Set::Members(members) => {
                self.kind(kind::SET);
                self.len(members.len());
                members.iter().for_each(|(m, ())| self.string(m));
            }
        }
    }

    /// Redis writes a large sorted set from the top down, which is quicker to read in.
    fn zset(&mut self, zset: &Zset) {
        if zset.is_packed() && fits_listpack(zset.iter().map(|(m, _)| m.len())) {
            self.kind(kind::ZSET_LISTPACK);
            let (mut writer, mut charge) = (Writer::new(), 0);
            for (member, score) in zset.iter() {
                let score = score_text(score);
                writer.push(member);
                writer.push(score.as_bytes());
                charge += member.len() + score.len() + 2 * ELEMENT;
            }
            return self.packed(&writer.finish(), charge, charge);
        }
        self.kind(kind::ZSET_2);
        self.len(zset.len());
        for (member, score) in zset.range(0, zset.len(), true) {
            self.string(member);
            self.bytes.extend_from_slice(&score.to_le_bytes());
        }
    }

    /// Nodes are filled from the head on as far as Redis would.
    fn list(&mut self, list: &List) {
        self.kind(kind::LIST_QUICKLIST_2);
        let mut nodes: Vec<(Vec<u8>, usize)> = Vec::new();
        let (mut node, mut charge) = (Writer::new(), 0);
        for element in list.iter() {
            if node.count() > 0 && !self.fits(&node, element.len()) {
                let full = std::mem::replace(&mut node, Writer::new());
                nodes.push((full.finish(), std::mem::take(&mut charge)));
            }
            node.push(element);
            charge += element.len() + LIST_ELEMENT;
        }
        nodes.push((node.finish(), charge));
        let whole = nodes.iter().map(|(_, charge)| charge).sum();
        self.len(nodes.len());
        for (node, charge) in nodes {
            self.len(kind::NODE_PACKED as usize);
            self.packed(&node, charge, whole);
        }
    }

    /// Whether a node of a list takes another element (quicklist.c `_quicklistNodeAllowInsert`).
    fn fits(&self, node: &Writer, len: usize) -> bool {
        const CLASSES: [usize; 5] = [4096, 8192, 16384, 32768, 65536];
        const SAFE: usize = 8192;
        /// What an element takes besides its bytes, as Redis guesses it.
        const OVERHEAD: usize = 8;
        let size = node.size() + len + OVERHEAD;
        match self.packing.list_size {
            ..0 => {
                let class = self.packing.list_size.unsigned_abs().min(5) as usize;
                size <= CLASSES[class - 1]
            }
            most => size <= SAFE && (node.count() as i64) < most.min(i64::from(i16::MAX)),
        }
    }

    /// Packed elements, for which the reader counts `charge` bytes; `whole` is what it counts for all of the value. The smallest elements
    /// take two bytes when they are packed, so that they are within its budget at least where they are not compressed.
    fn packed(&mut self, bytes: &[u8], charge: usize, whole: usize) {
        match self
            .by_lzf(bytes)
            .filter(|p| whole <= self.folded || charge <= p.len().saturating_mul(UNFOLDED))
        {
            Some(packed) => self.compressed(&packed, bytes.len()),
            None => self.plain(bytes),
        }
    }

    fn str(&mut self, s: &Str) {
        self.string(&s.bytes());
    }

    /// An integer of 1, 2 or 4 bytes where it is one, compressed where that helps, or plain.
    pub(super) fn string(&mut self, bytes: &[u8]) {
        // Canonical decimal numbers of at most 11 characters are tried as integers.
        if bytes.len() <= 11
            && let Some(n) = parse_i64(bytes)
            && let Ok(n) = i32::try_from(n)
        {
            let out = &mut self.bytes;
            if let Ok(n) = i8::try_from(n) {
                out.extend_from_slice(&[kind::ENCODED_INT8, n as u8]);
            } else if let Ok(n) = i16::try_from(n) {
                out.push(kind::ENCODED_INT16);
                out.extend_from_slice(&n.to_le_bytes());
            } else {
                out.push(kind::ENCODED_INT32);
                out.extend_from_slice(&n.to_le_bytes());
            }
            return;
        }
        match self.by_lzf(bytes) {
            Some(packed) => self.compressed(&packed, bytes.len()),
            None => self.plain(bytes),
        }
    }

    /// The same, compressed, if that is asked for and helps.
    fn by_lzf(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.compress && bytes.len() > MIN_COMPRESSED { lzf::compress(bytes) } else { None }
    }

    fn compressed(&mut self, packed: &[u8], len: usize) {
        self.bytes.push(kind::ENCODED_LZF);
        self.len(packed.len());
        self.len(len);
        self.bytes.extend_from_slice(packed);
    }

    fn plain(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// A length in 6, 14, 32 or 64 bits (rdb.c `rdbSaveLen`).
    pub(super) fn len(&mut self, len: usize) {
        let out = &mut self.bytes;
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
}
