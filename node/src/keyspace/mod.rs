//! The keyspace: one map for each slot, so that counting, listing or dropping a slot never visits another.
//!
//! It has no globals and no clock: the time (Unix, in milliseconds) is handed in. Several single-threaded
//! workers could each own the maps of their slots.

mod chunk;
mod dict;
mod events;
mod garbage;
mod glob;
mod hash;
mod list;
mod random;
mod rank_list;
mod set;
mod slot_map;
mod snapshot;
mod usage;
mod value;
mod watch;
mod zset;

use std::rc::Rc;

use ahash::RandomState;
use slotproof_model::{SLOTS, Slot, SlotSet, key_slot};

pub use dict::Dict;
pub use events::{EventKind, Notices};
pub use garbage::{Garbage, Lazy};
pub use glob::glob_match;
pub use hash::Hash;
pub use list::{End, List};
pub use random::{random, random_below};
pub use set::Set;
pub use snapshot::{Keep, Progress};
pub use usage::{Pick, Usage, UseNote};
pub use value::{Packing, Str, Typed, Value, WrongType, typed};
pub use zset::Zset;

use events::Events;
use slot_map::{Entry, SlotMap};
use snapshot::Snapshot;
use watch::Watched;

/// What a write does to the expiry that a key may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// None from now on.
    Never,
    /// As it was.
    Keep,
    /// At this Unix time in milliseconds.
    At(i64),
}

/// What a key takes beside its name and its value, in bytes.
pub const ENTRY_SIZE: usize = size_of::<Entry>() + 8;

/// All keys of one database.
#[derive(Debug)]
pub struct Keyspace {
    /// Empty until the first key comes, then one for each slot.
    slots: Vec<SlotMap>,
    occupied: SlotSet,
    /// Slots that hold keys with an expiry.
    volatile: SlotSet,
    len: usize,
    expires: usize,
    /// How many keys have been dropped because their time had come.
    expired: u64,
    hasher: RandomState,
    /// The slot where the next active expiry cycle goes on.
    cycle_slot: usize,
    /// How the use of keys is noted.
    usage: Usage,
    /// The use of keys is not noted for now: a client said CLIENT NO-TOUCH.
    pub unnoted: bool,
    /// Keys that clients watch.
    watched: Watched,
    /// How many changes there have been.
    changes: u64,
    /// Who is being handed all keys as they were at one moment.
    snapshots: Vec<Snapshot>,
    /// What happened, for those who want to know.
    events: Events,
    /// Where values go that are thrown away, and which of them.
    garbage: Rc<Garbage>,
    lazy: Lazy,
}

impl Default for Keyspace {
    fn default() -> Self {
        Self::new()
    }
}

impl Keyspace {
    /// An empty one, whose hash functions nobody outside can predict.
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            occupied: SlotSet::new(SLOTS),
            volatile: SlotSet::new(SLOTS),
            len: 0,
            expires: 0,
            expired: 0,
            hasher: RandomState::new(),
            cycle_slot: 0,
            usage: Usage::default(),
            unnoted: false,
            watched: Watched::default(),
            changes: 0,
            snapshots: Vec::new(),
            events: Events::default(),
            garbage: Rc::default(),
            lazy: Lazy::default(),
        }
    }

    /// How many keys there are, those included whose time has come but which nobody has met since.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many keys have an expiry.
    pub fn expires(&self) -> usize {
        self.expires
    }

    /// How long keys with an expiry have left on the average, in milliseconds.
    pub fn mean_ttl(&self, now: i64) -> i64 {
        let times: i128 = self.volatile.iter().map(|slot| self.slots[slot.index()].times()).sum();
        let count = self.expires as i128;
        let mean = times.checked_div(count).map_or(0, |mean| mean - i128::from(now));
        i64::try_from(mean.max(0)).unwrap_or(i64::MAX)
    }

    /// How many keys have expired so far.
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// Starts the count of expired keys anew.
    pub fn reset_stats(&mut self) {
        self.expired = 0;
    }

    /// How many keys a slot holds.
    pub fn slot_len(&self, slot: Slot) -> usize {
        self.slots.get(slot.index()).map_or(0, SlotMap::len)
    }

    /// The slots that hold keys.
    pub fn occupied(&self) -> &SlotSet {
        &self.occupied
    }

    /// The keys of a slot, the last added first (cluster.c `getKeysInSlot`).
    pub fn keys_in_slot(&self, slot: Slot) -> impl Iterator<Item = &[u8]> {
        self.slots.get(slot.index()).into_iter().flat_map(|map| map.newest_first().map(|e| &*e.key))
    }

    /// Whether a key exists now. One whose time has come counts as missing, and stays where it is.
    pub fn exists(&self, key: &[u8], now: i64) -> bool {
        self.peek(key, now).is_some()
    }

    /// The value of a key; one whose time has come counts as missing, and stays where it is.
    pub fn peek(&self, key: &[u8], now: i64) -> Option<&Value> {
        self.entry(key).filter(|e| !e.is_due(now)).map(|e| &e.value)
    }

    /// A key's value and expiry, whether its time has come or not.
    pub fn entry_of(&self, key: &[u8]) -> Option<(&Value, Option<i64>)> {
        self.entry(key).map(|e| (&e.value, e.expiry()))
    }

    /// The value of a key. A key whose time has come is dropped.
    pub fn get(&mut self, key: &[u8], now: i64) -> Option<&Value> {
        let (slot, at) = self.live(key, now)?;
        self.slots[slot.index()].entry(at).map(|e| &e.value)
    }

    /// The value of a key, to be changed in place: whoever watches the key is told. A key whose time has come is dropped.
    pub fn get_mut(&mut self, key: &[u8], now: i64) -> Option<&mut Value> {
        let (slot, at) = self.live(key, now)?;
        self.preserve(slot);
        self.changed(key);
        self.slots[slot.index()].entry_mut(at).map(|e| &mut e.value)
    }

    /// The same; if it was changed, that is to be told with [`Keyspace::changed`].
    pub fn get_mut_untold(&mut self, key: &[u8], now: i64) -> Option<&mut Value> {
        let (slot, at) = self.live(key, now)?;
        self.preserve(slot);
        self.slots[slot.index()].entry_mut(at).map(|e| &mut e.value)
    }

    /// The same as [`Keyspace::get`] where this is no use of the key.
    pub fn look(&mut self, key: &[u8], now: i64) -> Option<&Value> {
        let (slot, at) = self.met(key, now)?;
        self.slots[slot.index()].entry(at).map(|e| &e.value)
    }

    /// The place of a key, noted as used. A key whose time has come is dropped.
    fn live(&mut self, key: &[u8], now: i64) -> Option<(Slot, u32)> {
        let (slot, at) = self.met(key, now)?;
        if !self.unnoted {
            let entry = self.slots[slot.index()].entry_mut(at)?;
            entry.used = self.usage.used(entry.used, now);
        }
        Some((slot, at))
    }

    /// The place of a key. A key whose time has come is dropped.
    fn met(&mut self, key: &[u8], now: i64) -> Option<(Slot, u32)> {
        let slot = key_slot(key);
        let hash = self.hasher.hash_one(key);
        let at = self.slots.get(slot.index())?.find(hash, key)?;
        if self.slots[slot.index()].entry(at)?.is_due(now) {
            self.expire(slot, hash, at);
            return None;
        }
        Some((slot, at))
    }

    /// A key is changed: it counts, and breaks the transactions of those who watch it.
    pub fn changed(&mut self, key: &[u8]) {
        self.changes += 1;
        self.watched.changed(key);
    }

    /// The value of a key that should be of type `T`. A key whose time has come is dropped.
    pub fn typed<T: Typed>(&mut self, key: &[u8], now: i64) -> Result<Option<&T>, WrongType> {
        typed(self.get(key, now))
    }

    /// The same, to be changed in place; whoever calls this is about to change it.
    pub fn typed_mut<T: Typed>(&mut self, key: &[u8], now: i64) -> Result<Option<&mut T>, WrongType> {
        self.get_mut(key, now).map(|value| T::of_mut(value).ok_or(WrongType)).transpose()
    }

    /// When a key expires: `None` if it is missing, `Some(None)` if never.
    pub fn expiry(&mut self, key: &[u8], now: i64) -> Option<Option<i64>> {
        let (slot, at) = self.met(key, now)?;
        self.slots[slot.index()].entry(at).map(|e| e.expiry())
    }

    /// Gives an existing key another expiry, or none. A time in the past is kept as it is; whoever wants the
    /// key dropped calls [`Keyspace::remove`].
    pub fn set_expiry(&mut self, key: &[u8], expiry: Option<i64>) {
        let slot = key_slot(key);
        let hash = self.hasher.hash_one(key);
        self.preserve(slot);
        if let Some(map) = self.slots.get_mut(slot.index())
            && let Some(at) = map.find(hash, key)
        {
            let before = map.volatile_len();
            map.set_expiry(at, expiry);
            self.count_volatile(slot, before);
            self.changed(key);
        }
    }

    /// Stores a value, new or in place of another.
    pub fn set(&mut self, key: &[u8], value: Value, expiry: Expiry, now: i64) {
        let slot = key_slot(key);
        let hash = self.hasher.hash_one(key);
        if self.slots.is_empty() {
            self.slots.resize_with(usize::from(SLOTS), SlotMap::default);
        }
        let mut found = self.slots[slot.index()].find(hash, key);
        if let Some(at) = found
            && self.slots[slot.index()].entry(at).is_some_and(|e| e.is_due(now))
        {
            self.expire(slot, hash, at);
            found = None;
        }
        self.changed(key);
        self.preserve(slot);
        let map = &mut self.slots[slot.index()];
        let volatile_before = map.volatile_len();
        let usage = self.usage;
        let mut old = None;
        let at = match found {
            Some(at) => {
                if let Some(entry) = map.entry_mut(at) {
                    old = Some(std::mem::replace(&mut entry.value, value));
                    entry.used = usage.used(entry.used, now);
                }
                at
            }
            None => {
                let hasher = &self.hasher;
                let at = map.insert(hash, key, value, |key| hasher.hash_one(key));
                if let Some(entry) = map.entry_mut(at) {
                    entry.used = usage.new_key(now);
                }
                self.len += 1;
                self.occupied.insert(slot);
                self.events.note(EventKind::New, "new", key);
                at
            }
        };
        match expiry {
            Expiry::Keep => {}
            Expiry::Never => map.set_expiry(at, None),
            Expiry::At(when) => map.set_expiry(at, Some(when)),
        }
        self.count_volatile(slot, volatile_before);
        if let Some(old) = old {
            self.garbage.throw(old, self.lazy.replaced);
        }
    }

    /// Takes a key out. `None` if it was missing or its time had come.
    pub fn remove(&mut self, key: &[u8], now: i64) -> Option<Value> {
        let slot = key_slot(key);
        let hash = self.hasher.hash_one(key);
        let at = self.slots.get(slot.index())?.find(hash, key)?;
        if self.slots[slot.index()].entry(at)?.is_due(now) {
            self.expire(slot, hash, at);
            return None;
        }
        self.changes += 1;
        self.remove_at(slot, hash, at).map(|entry| entry.value)
    }

    /// Drops a key: its value is freed at once, or with `lazy`, if it is large, by another thread. Whether there was one.
    pub fn delete(&mut self, key: &[u8], now: i64, lazy: bool) -> bool {
        match self.remove(key, now) {
            Some(value) => {
                self.garbage.throw(value, lazy);
                true
            }
            None => false,
        }
    }

    /// Drops a key whose time has just been set to one that has come.
    pub fn delete_due(&mut self, key: &[u8], now: i64) -> bool {
        self.delete(key, now, self.lazy.expired)
    }

    /// Drops a key on the way to something else.
    pub fn delete_on_the_way(&mut self, key: &[u8], now: i64) -> bool {
        self.delete(key, now, self.lazy.replaced)
    }

    /// Where values go that are thrown away, and which of them.
    pub fn set_disposal(&mut self, garbage: Rc<Garbage>, lazy: Lazy) {
        self.garbage = garbage;
        self.lazy = lazy;
    }

    /// Drops all keys of a slot and says how many there were.
    pub fn drop_slot(&mut self, slot: Slot) -> usize {
        self.preserve(slot);
        let Some(map) = self.slots.get_mut(slot.index()) else { return 0 };
        let dropped = std::mem::take(map);
        self.len -= dropped.len();
        self.changes += dropped.len() as u64;
        self.expires -= dropped.volatile_len();
        self.occupied.remove(slot);
        self.volatile.remove(slot);
        let count = dropped.len();
        if self.lazy.replaced {
            self.garbage.throw_slots(vec![dropped]);
        }
        count
    }

    /// Drops everything; with `lazy` the memory is freed by another thread. Snapshots end here, as in Redis, where FLUSHALL ends what is being saved.
    pub fn clear(&mut self, lazy: bool) {
        if lazy {
            self.garbage.throw_slots(std::mem::take(&mut self.slots));
        }
        let (garbage, lazy) = (Rc::clone(&self.garbage), self.lazy);
        let (expired, hasher, usage) = (self.expired, self.hasher.clone(), self.usage);
        let events = std::mem::take(&mut self.events);
        let (watched, changes) = (std::mem::take(&mut self.watched), self.changes + self.len as u64);
        *self = Self { expired, hasher, usage, watched, changes, events, garbage, lazy, ..Self::new() };
    }

    /// Every key and value, slot by slot, whether its time has come or not.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Value, Option<i64>)> {
        self.occupied
            .iter()
            .flat_map(|slot| self.slots[slot.index()].newest_first().map(|e| (&*e.key, &e.value, e.expiry())))
    }

    /// Goes on with a scan at `cursor` (0 starts it) and gives the cursor to go on with, 0 at the end.
    /// `visit` is called with each key met, at least `count` of them if there are, until ten times as many
    /// places were looked at.
    ///
    /// A key that exists from the start of a scan to its end is met exactly once: it never changes its place
    /// within the map of its slot, and the slots come in order. A cursor that no scan gave out is harmless.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], &Value, Option<i64>)) -> u64 {
        let mut left = count.max(1);
        let mut looks = left.saturating_mul(10);
        let first = (cursor >> 32) as usize;
        let mut place = (cursor & 0xffff_ffff) as usize;
        for slot in self.occupied.iter().skip_while(|s| s.index() < first) {
            if slot.index() != first {
                place = 0;
            }
            let map = &self.slots[slot.index()];
            while place < map.places() {
                if left == 0 || looks == 0 {
                    return (slot.index() as u64) << 32 | place as u64;
                }
                if let Some(e) = map.entry(place as u32) {
                    visit(&e.key, &e.value, e.expiry());
                    left -= 1;
                }
                looks -= 1;
                place += 1;
            }
        }
        0
    }

    /// Some key, picked by a random number; not evenly so among the slots.
    pub fn some_key(&self, random: u64) -> Option<&[u8]> {
        let slots = self.occupied.len();
        if slots == 0 {
            return None;
        }
        let slot = self.occupied.iter().nth((random as u32 as usize) % slots)?;
        let map = &self.slots[slot.index()];
        let start = (random >> 32) as usize % map.places();
        (0..map.places())
            .find_map(|i| map.entry(((start + i) % map.places()) as u32))
            .map(|entry| &*entry.key)
    }

    /// Drops keys whose time has come, at most `limit` of them, and says how many; the slots take turns.
    /// Each slot knows its next key to expire, so that nothing else is visited.
    pub fn expire_cycle(&mut self, now: i64, limit: usize) -> usize {
        let mut dropped = 0;
        let start = self.cycle_slot;
        let ahead: Vec<Slot> = self.volatile.iter().collect();
        let (before, after) = ahead.split_at(ahead.partition_point(|s| s.index() < start));
        for &slot in after.iter().chain(before) {
            self.cycle_slot = slot.index();
            while let Some(at) = self.slots[slot.index()].due(now) {
                if dropped == limit {
                    return dropped;
                }
                let Some(entry) = self.slots[slot.index()].entry(at) else { break };
                let hash = self.hasher.hash_one(&*entry.key);
                self.expire(slot, hash, at);
                dropped += 1;
            }
        }
        self.cycle_slot = 0;
        dropped
    }

    fn entry(&self, key: &[u8]) -> Option<&Entry> {
        let map = self.slots.get(key_slot(key).index())?;
        if map.len() == 0 {
            return None;
        }
        map.entry(map.find(self.hasher.hash_one(key), key)?)
    }

    /// Drops a key whose time has come.
    fn expire(&mut self, slot: Slot, hash: u64, at: u32) {
        if let Some(entry) = self.remove_at(slot, hash, at) {
            self.expired += 1;
            self.events.note(EventKind::Expired, "expired", &entry.key);
            self.garbage.throw(entry.value, self.lazy.expired);
        }
    }

    fn remove_at(&mut self, slot: Slot, hash: u64, at: u32) -> Option<Entry> {
        self.preserve(slot);
        let map = &mut self.slots[slot.index()];
        let before = map.volatile_len();
        let entry = map.remove(hash, at)?;
        self.len -= 1;
        if map.len() == 0 {
            self.occupied.remove(slot);
        }
        self.count_volatile(slot, before);
        Some(entry)
    }

    fn count_volatile(&mut self, slot: Slot, before: usize) {
        let after = self.slots[slot.index()].volatile_len();
        if after == before {
            return;
        }
        self.expires = self.expires + after - before;
        if after == 0 {
            self.volatile.remove(slot);
        } else {
            self.volatile.insert(slot);
        }
    }
}

/// What a step of the protocol may ask.
impl slotproof_model::Keyspace for Keyspace {
    fn keys_in_slot(&self, slot: Slot) -> u64 {
        self.slot_len(slot) as u64
    }

    fn total_keys(&self) -> u64 {
        self.len() as u64
    }
}

#[cfg(test)]
mod tests;
