//! Hashes (t_hash.c): fields with values.

use super::dict::Dict;
use super::value::Packing;

/// Fields with values. OBJECT ENCODING calls it `listpack` until it outgrows the limits, then `hashtable`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hash(Dict<Box<[u8]>>);

impl Hash {
    /// How many fields.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is in its compact form.
    pub fn is_packed(&self) -> bool {
        !self.0.is_indexed()
    }

    /// The value of a field.
    pub fn get(&self, field: &[u8]) -> Option<&[u8]> {
        self.0.get(field).map(|v| &**v)
    }

    /// The field at a place, in no order, with its value.
    pub fn at(&self, place: usize) -> Option<(&[u8], &[u8])> {
        self.0.at(place).map(|(f, v)| (f, &**v))
    }

    /// All fields with their values.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(f, v)| (f, &**v))
    }

    /// Leaves the compact form.
    pub fn spread(&mut self) {
        self.0.make_index();
    }

    /// Leaves the compact form if any of these is too long for it (t_hash.c `hashTypeTryConversion`).
    pub fn make_room<'a>(&mut self, mut words: impl Iterator<Item = &'a [u8]>, packing: &Packing) {
        if self.is_packed() && words.any(|w| w.len() > packing.hash_value) {
            self.0.make_index();
        }
    }

    /// Sets a field; whether it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], packing: &Packing) -> bool {
        self.make_room([field, value].into_iter(), packing);
        let new = self.0.insert(field, value.into()).is_none();
        if self.len() > packing.hash_entries {
            self.0.make_index();
        }
        new
    }

    /// Takes a field out; whether it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        self.0.remove(field).is_some()
    }

    /// See [`Dict::scan`].
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], &[u8])) -> u64 {
        self.0.scan(cursor, count, |f, v| visit(f, v))
    }
}
