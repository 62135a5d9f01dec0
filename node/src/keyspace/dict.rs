//! Members in places, for hashes and sets: while there are few they stay in the order in which they came and are looked
//! through one by one, later an index finds them.
//!
//! Places have no gaps, so that any member can be picked with equal chance. Scans go from the last place down
//! to the first: when a member is removed the last one takes its place, which never moves a member out of the way of
//! a scan that has not met it yet.

use std::sync::LazyLock;

use ahash::RandomState;
use hashbrown::HashTable;

/// The hash function of all collections; nobody outside can predict it.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

pub(super) fn hash(member: &[u8]) -> u64 {
    HASHER.hash_one(member)
}

/// Members, each with something that belongs to it.
#[derive(Clone, Debug)]
pub struct Dict<V> {
    entries: Vec<(Box<[u8]>, V)>,
    /// Absent while the members are few.
    index: Option<HashTable<u32>>,
}

impl<V> Default for Dict<V> {
    fn default() -> Self {
        Self { entries: Vec::new(), index: None }
    }
}

impl<V> Dict<V> {
    /// An empty one with an index.
    pub fn indexed() -> Self {
        Self { entries: Vec::new(), index: Some(HashTable::new()) }
    }

    /// How many members.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is an index.
    pub fn is_indexed(&self) -> bool {
        self.index.is_some()
    }

    /// Makes the index; it stays.
    pub fn make_index(&mut self) {
        if self.index.is_none() {
            let mut index = HashTable::with_capacity(self.entries.len());
            let entries = &self.entries;
            for (at, (member, _)) in entries.iter().enumerate() {
                index.insert_unique(hash(member), at as u32, |&i| hash(&entries[i as usize].0));
            }
            self.index = Some(index);
        }
    }

    fn find(&self, member: &[u8]) -> Option<usize> {
        match &self.index {
            Some(index) => {
                index.find(hash(member), |&i| *self.entries[i as usize].0 == *member).map(|&at| at as usize)
            }
            None => self.entries.iter().position(|(m, _)| **m == *member),
        }
    }

    /// What belongs to a member.
    pub fn get(&self, member: &[u8]) -> Option<&V> {
        self.find(member).map(|at| &self.entries[at].1)
    }

    /// Whether a member is there.
    pub fn contains(&self, member: &[u8]) -> bool {
        self.find(member).is_some()
    }

    /// The member at a place.
    pub fn at(&self, place: usize) -> Option<(&[u8], &V)> {
        self.entries.get(place).map(|(m, v)| (&**m, v))
    }

    /// All members.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &V)> {
        self.entries.iter().map(|(m, v)| (&**m, v))
    }

    /// Adds a member, or replaces what belongs to it; gives what that was.
    pub fn insert(&mut self, member: &[u8], value: V) -> Option<V> {
        if let Some(at) = self.find(member) {
            return Some(std::mem::replace(&mut self.entries[at].1, value));
        }
        let at = self.entries.len();
        assert!(at < u32::MAX as usize, "a collection holds less than 2^32 members");
        self.entries.push((member.into(), value));
        let entries = &self.entries;
        if let Some(index) = &mut self.index {
            index.insert_unique(hash(member), at as u32, |&i| hash(&entries[i as usize].0));
        }
        None
    }

    /// Takes a member out.
    pub fn remove(&mut self, member: &[u8]) -> Option<V> {
        let at = self.find(member)?;
        Some(self.remove_at(at).1)
    }

    /// Takes out what is at a place.
    ///
    /// # Panics
    /// When there is none.
    pub fn remove_at(&mut self, at: usize) -> (Box<[u8]>, V) {
        let Some(index) = &mut self.index else { return self.entries.remove(at) };
        let last = self.entries.len() - 1;
        if let Ok(found) = index.find_entry(hash(&self.entries[at].0), |&i| i as usize == at) {
            found.remove();
        }
        if at != last
            && let Some(moved) = index.find_mut(hash(&self.entries[last].0), |&i| i as usize == last)
        {
            *moved = at as u32;
        }
        let removed = self.entries.swap_remove(at);
        let entries = &mut self.entries;
        if entries.capacity() > 1024 && entries.len() < entries.capacity() / 8 {
            entries.shrink_to(entries.len() * 2);
            index.shrink_to(entries.len() * 2, |&i| hash(&entries[i as usize].0));
        }
        removed
    }

    /// Goes on with a scan at `cursor` (0 starts it): visits at most `count` members and gives the cursor to go
    /// on with, 0 at the end. Without an index all are visited at once.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], &V)) -> u64 {
        if self.index.is_none() {
            self.iter().for_each(|(m, v)| visit(m, v));
            return 0;
        }
        let (from, to) = scan_places(self.len(), cursor, count);
        for (member, value) in self.entries[to..from].iter().rev() {
            visit(member, value);
        }
        to as u64
    }
}

/// The places that a step of a scan visits, from below the first down to the second.
pub(super) fn scan_places(len: usize, cursor: u64, count: usize) -> (usize, usize) {
    let from = match usize::try_from(cursor) {
        Ok(at @ 1..) => at.min(len),
        _ => len,
    };
    (from, from.saturating_sub(count.max(1)))
}

/// Equal members with equal values, in whatever order.
impl<V: PartialEq> PartialEq for Dict<V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(m, v)| other.get(m) == Some(v))
    }
}

impl<V: Eq> Eq for Dict<V> {}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    quickcheck::quickcheck! {
        fn does_as_a_map(steps: Vec<(bool, u8, u8)>, indexed_after: usize) -> bool {
            let (mut dict, mut map) = (Dict::default(), BTreeMap::new());
            for (i, &(add, member, value)) in steps.iter().enumerate() {
                if i == indexed_after % 20 {
                    dict.make_index();
                }
                let member = [b'm', member % 32];
                let same = if add {
                    dict.insert(&member, value) == map.insert(member, value)
                } else {
                    dict.remove(&member) == map.remove(&member)
                };
                if !same || dict.len() != map.len() {
                    return false;
                }
            }
            map.iter().all(|(m, v)| dict.get(m) == Some(v)) && dict.iter().all(|(m, v)| map.get(m) == Some(v))
        }

        /// Members that are there all the time are met, whatever comes and goes in between.
        fn a_scan_misses_nothing(steps: Vec<(bool, u8)>, count: usize) -> bool {
            let mut dict = Dict::indexed();
            for i in 0..100u8 {
                dict.insert(&[i], ());
            }
            let (mut met, mut cursor, mut steps) = (BTreeSet::new(), 0, steps.into_iter());
            loop {
                cursor = dict.scan(cursor, count % 7, |m, ()| {
                    met.insert(m[0]);
                });
                if cursor == 0 {
                    break;
                }
                // Only members from 50 on come and go.
                for (add, member) in steps.by_ref().take(5) {
                    let member = [member | 128];
                    match add {
                        true => dict.insert(&member, ()),
                        false => dict.remove(&member),
                    };
                    dict.remove(&[50 + member[0] % 50]);
                }
            }
            (0..50).all(|i| met.contains(&i))
        }
    }
}
