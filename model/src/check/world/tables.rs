//! Interned contents and memoised steps: the real core is explored unchanged, at the speed of a table look-up.
//!
//! A table only ever grows, and nothing in it moves. So readers need no lock and count no references: threads that
//! look up what is there write to no memory that they share.

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use crate::id::mix64;

/// The capacity of the first segment, as a power of two; each further one is twice as long.
const FIRST: u32 = 6;
/// Segments, and sizes of the index, that there are at most.
const SIZES: usize = 32 - FIRST as usize;
/// A free place of the index.
const FREE: u64 = u64::MAX;
/// The bits of a hash that the index keeps above a number.
const TAG: u64 = 0xffff_ffff_0000_0000;

/// Values by number, in segments that never move.
struct Segments<T>([OnceLock<Box<[OnceLock<T>]>>; SIZES]);

impl<T> Segments<T> {
    fn new() -> Self {
        Self([const { OnceLock::new() }; SIZES])
    }

    fn place(number: u32) -> (usize, usize) {
        let n = u64::from(number) + (1 << FIRST);
        let segment = n.ilog2() - FIRST;
        (segment as usize, (n - (1 << (segment + FIRST))) as usize)
    }

    fn get(&self, number: u32) -> Option<&T> {
        let (segment, at) = Self::place(number);
        self.0[segment].get()?[at].get()
    }

    fn put(&self, number: u32, value: T) {
        let (segment, at) = Self::place(number);
        let values = self.0[segment].get_or_init(|| {
            let capacity = 1usize << (segment as u32 + FIRST);
            (0..capacity).map(|_| OnceLock::new()).collect()
        });
        assert!(values[at].set(value).is_ok(), "a number is given once");
    }
}

/// Values by key, in the order of their arrival.
pub(super) struct Table<K, V, H = std::hash::DefaultHasher> {
    entries: Segments<(K, V)>,
    /// Open addressing: a place holds 32 bits of the hash above the number, the number's home is in those bits.
    /// Of each size there is one; a search in a smaller one may miss what came later.
    indexes: [OnceLock<Box<[AtomicU64]>>; SIZES],
    size: AtomicUsize,
    /// How many entries there are; whoever holds it may add one.
    len: Mutex<u32>,
    hasher: BuildHasherDefault<H>,
}

impl<K: Eq + Hash, V, H: Hasher + Default> Table<K, V, H> {
    pub(super) fn new() -> Self {
        let table = Self {
            entries: Segments::new(),
            indexes: [const { OnceLock::new() }; SIZES],
            size: AtomicUsize::new(0),
            len: Mutex::new(0),
            hasher: BuildHasherDefault::new(),
        };
        table.indexes[0].get_or_init(|| free(1 << FIRST));
        table
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        *self.len.lock().expect("no panic while held") as usize
    }

    /// The entry with this number.
    pub(super) fn entry(&self, number: u32) -> &(K, V) {
        self.entries.get(number).expect("a number that was given")
    }

    /// The number of a key's entry; a new one gets the value that is made for it. `make` may use this table too.
    pub(super) fn number(&self, key: K, make: impl FnOnce(&K) -> V) -> u32 {
        let hash = self.hasher.hash_one(&key);
        if let Some(number) = self.search(&key, hash) {
            return number;
        }
        let value = make(&key);
        let mut len = self.len.lock().expect("no panic while held");
        if let Some(number) = self.search(&key, hash) {
            return number;
        }
        let number = *len;
        self.entries.put(number, (key, value));
        self.index(number, hash);
        *len += 1;
        number
    }

    fn search(&self, key: &K, hash: u64) -> Option<u32> {
        let index = self.indexes[self.size.load(Ordering::Acquire)].get()?;
        let mut at = home(hash, index.len());
        loop {
            let place = index[at].load(Ordering::Acquire);
            if place == FREE {
                return None;
            }
            if place & TAG == hash & TAG && self.entry(place as u32).0 == *key {
                return Some(place as u32);
            }
            at = (at + 1) & (index.len() - 1);
        }
    }

    /// Makes an entry findable. Only whoever holds `len` gets here.
    fn index(&self, number: u32, hash: u64) {
        let mut size = self.size.load(Ordering::Relaxed);
        let mut index = self.indexes[size].get().expect("made with the table");
        if (number as usize + 1) * 2 > index.len() {
            let larger = free(index.len() * 2);
            for place in index.iter().map(|p| p.load(Ordering::Relaxed)).filter(|p| *p != FREE) {
                larger[vacancy(&larger, place)].store(place, Ordering::Relaxed);
            }
            size += 1;
            index = self.indexes[size].get_or_init(|| larger);
            self.size.store(size, Ordering::Release);
        }
        index[vacancy(index, hash)].store((hash & TAG) | u64::from(number), Ordering::Release);
    }

    /// The answer to `key`, computed once.
    pub(super) fn answer(&self, key: K, compute: impl FnOnce(&K) -> V) -> &V {
        &self.entry(self.number(key, compute)).1
    }
}

/// Contents by number, numbers by content.
pub(super) type Interner<T> = Table<T, ()>;

impl<T: Eq + Hash> Interner<T> {
    /// The number of this content.
    pub(super) fn id(&self, content: T) -> u32 {
        self.number(content, |_| ())
    }

    /// The content with this number.
    pub(super) fn get(&self, id: u32) -> &T {
        &self.entry(id).0
    }
}

fn free(len: usize) -> Box<[AtomicU64]> {
    (0..len).map(|_| AtomicU64::new(FREE)).collect()
}

/// The first place to look at in an index of `len` places, a power of two.
fn home(hash: u64, len: usize) -> usize {
    ((hash & TAG) >> (64 - len.trailing_zeros())) as usize
}

fn vacancy(index: &[AtomicU64], hash: u64) -> usize {
    let mut at = home(hash, index.len());
    while index[at].load(Ordering::Relaxed) != FREE {
        at = (at + 1) & (index.len() - 1);
    }
    at
}

/// A quick hash of small keys.
#[derive(Clone, Copy, Default)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        mix64(self.0)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hasher under which all keys collide.
    #[derive(Default)]
    struct Same;

    impl Hasher for Same {
        fn finish(&self) -> u64 {
            7
        }

        fn write(&mut self, _: &[u8]) {}
    }

    fn find(table: &Table<u64, u64, Mix>, key: u64) -> Option<u32> {
        table.search(&key, table.hasher.hash_one(key))
    }

    #[test]
    fn numbers_are_given_in_order_and_found_again() {
        let table: Table<u64, u64, Mix> = Table::new();
        for n in 0..5_000 {
            assert_eq!(u64::from(table.number(n * 3, |k| k + 1)), n);
        }
        for n in 0..5_000 {
            assert_eq!(find(&table, n * 3).map(u64::from), Some(n));
            assert_eq!(table.entry(n as u32), &(n * 3, n * 3 + 1));
            assert_eq!(find(&table, n * 3 + 1), None);
        }
        assert_eq!(table.len(), 5_000);
    }

    #[test]
    fn keys_of_equal_hash_are_told_apart() {
        let table: Table<u64, (), Same> = Table::new();
        for n in 0..300 {
            assert_eq!(u64::from(table.number(n, |_| ())), n);
            assert_eq!(u64::from(table.number(n, |_| ())), n);
        }
    }

    #[test]
    fn threads_agree_on_numbers() {
        let table: Table<u64, u64, Mix> = Table::new();
        let numbers = |salt: u64| -> Vec<(u64, u32)> {
            (0..20_000).map(|n| (n * 7 + salt) % 9_001).map(|k| (k, table.number(k, |k| !k))).collect()
        };
        let all = std::thread::scope(|scope| {
            let other = scope.spawn(|| numbers(3));
            let mut all = numbers(11);
            all.extend(other.join().expect("no panic"));
            all
        });
        assert_eq!(table.len(), 9_001);
        for (key, number) in all {
            assert_eq!(table.entry(number), &(key, !key));
            assert_eq!(find(&table, key), Some(number));
        }
    }
}
