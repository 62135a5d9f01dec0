//! The map of one slot: entries in places that never change, an index over them, and the order in which
//! they came.

use std::collections::BTreeSet;

use hashbrown::HashTable;

use super::value::Value;

const NONE: u32 = u32::MAX;
const NEVER: i64 = i64::MAX;

/// A key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Box<[u8]>,
    pub(super) value: Value,
    /// Unix time in milliseconds; `NEVER` if none.
    expiry: i64,
    /// When or how often it was used: see [`super::usage`].
    pub(super) used: u32,
    newer: u32,
    older: u32,
}

impl Entry {
    pub(super) fn expiry(&self) -> Option<i64> {
        (self.expiry != NEVER).then_some(self.expiry)
    }

    /// Whether its time has come.
    pub(super) fn is_due(&self, now: i64) -> bool {
        self.expiry < now
    }
}

#[derive(Debug)]
enum Place {
    Taken(Entry),
    /// Free, with the next free place.
    Free(u32),
}

/// Keys and values of one slot.
#[derive(Debug)]
pub(super) struct SlotMap {
    index: HashTable<u32>,
    places: Vec<Place>,
    free: u32,
    newest: u32,
    /// Entries with an expiry, the next to expire first.
    volatile: BTreeSet<(i64, u32)>,
    /// The sum of their times.
    times: i128,
}

impl Default for SlotMap {
    fn default() -> Self {
        Self {
            index: HashTable::new(),
            places: Vec::new(),
            free: NONE,
            newest: NONE,
            volatile: BTreeSet::new(),
            times: 0,
        }
    }
}

impl SlotMap {
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// How many entries have an expiry.
    pub(super) fn volatile_len(&self) -> usize {
        self.volatile.len()
    }

    /// The sum of the times when entries expire.
    pub(super) fn times(&self) -> i128 {
        self.times
    }

    /// Places are numbered from 0; some may be free.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    pub(super) fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        let places = &self.places;
        self.index
            .find(hash, |&at| matches!(&places[at as usize], Place::Taken(e) if &*e.key == key))
            .copied()
    }

    pub(super) fn entry(&self, at: u32) -> Option<&Entry> {
        match self.places.get(at as usize) {
            Some(Place::Taken(entry)) => Some(entry),
            _ => None,
        }
    }

    pub(super) fn entry_mut(&mut self, at: u32) -> Option<&mut Entry> {
        match self.places.get_mut(at as usize) {
            Some(Place::Taken(entry)) => Some(entry),
            _ => None,
        }
    }

    /// Adds a key that is not there yet, without expiry.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        key: &[u8],
        value: Value,
        rehash: impl Fn(&[u8]) -> u64,
    ) -> u32 {
        let entry = Entry { key: key.into(), value, expiry: NEVER, used: 0, newer: NONE, older: self.newest };
        let at = match self.places.get(self.free as usize) {
            Some(&Place::Free(next)) => {
                let at = std::mem::replace(&mut self.free, next);
                self.places[at as usize] = Place::Taken(entry);
                at
            }
            _ => {
                assert!(self.places.len() < NONE as usize, "a slot holds less than 2^32 keys");
                self.places.push(Place::Taken(entry));
                self.places.len() as u32 - 1
            }
        };
        if let Some(older) = self.entry_mut(self.newest) {
            older.newer = at;
        }
        self.newest = at;
        let places = &self.places;
        self.index.insert_unique(hash, at, |&at| match &places[at as usize] {
            Place::Taken(e) => rehash(&e.key),
            Place::Free(_) => 0,
        });
        at
    }

    pub(super) fn remove(&mut self, hash: u64, at: u32) -> Option<Entry> {
        self.set_expiry(at, None);
        let found = self.index.find_entry(hash, |&i| i == at).ok()?;
        found.remove();
        let place = std::mem::replace(&mut self.places[at as usize], Place::Free(self.free));
        let Place::Taken(entry) = place else { return None };
        self.free = at;
        match entry.newer {
            NONE => self.newest = entry.older,
            newer => {
                if let Some(e) = self.entry_mut(newer) {
                    e.older = entry.older;
                }
            }
        }
        if let Some(e) = self.entry_mut(entry.older) {
            e.newer = entry.newer;
        }
        if self.index.is_empty() {
            // Nothing is here that a running scan could miss: give the memory back.
            *self = Self::default();
        }
        Some(entry)
    }

    pub(super) fn set_expiry(&mut self, at: u32, expiry: Option<i64>) {
        // The largest time stands for never; a millisecond less makes no difference.
        let new = expiry.map_or(NEVER, |t| t.min(NEVER - 1));
        let Some(entry) = self.entry_mut(at) else { return };
        let old = std::mem::replace(&mut entry.expiry, new);
        if old == new {
            return;
        }
        if old != NEVER {
            self.volatile.remove(&(old, at));
            self.times -= i128::from(old);
        }
        if new != NEVER {
            self.volatile.insert((new, at));
            self.times += i128::from(new);
        }
    }

    /// An entry whose time has come.
    pub(super) fn due(&self, now: i64) -> Option<u32> {
        self.volatile.first().filter(|(when, _)| *when < now).map(|&(_, at)| at)
    }

    /// The entry that expires next.
    pub(super) fn next_to_expire(&self) -> Option<&Entry> {
        self.volatile.first().and_then(|&(_, at)| self.entry(at))
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &Entry> {
        std::iter::successors(self.entry(self.newest), |e| self.entry(e.older))
    }
}
