//! When or how often keys are used, as OBJECT IDLETIME and FREQ show it and as eviction asks (evict.c), and the picking of keys to
//! be evicted.

use slotproof_model::{Slot, SlotSet};

use super::Keyspace;
use super::slot_map::Entry;

/// How the use of a key is noted in its 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Usage {
    /// The Unix time of the last use, in seconds.
    #[default]
    Recent,
    /// In the lowest 8 bits a counter that grows with the logarithm of the uses; above it the time in minutes when it was
    /// last looked at (evict.c `LFULogIncr`, `LFUDecrAndReturn`).
    Frequent {
        /// `lfu-log-factor`.
        log_factor: u32,
        /// `lfu-decay-time`, in minutes; 0 for no decay.
        decay_minutes: u32,
    },
}

/// What is told of the use of a key in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseNote {
    /// For how many seconds it was not used.
    IdleSeconds(u64),
    /// How often it was used, on a logarithmic scale.
    Frequency(u8),
}

/// What a new key counts with `Frequent`.
const FIRST_COUNT: u32 = 5;

impl Usage {
    pub(super) fn new_key(self, now: i64) -> u32 {
        match self {
            Self::Recent => seconds(now),
            Self::Frequent { .. } => minutes(now) << 8 | FIRST_COUNT,
        }
    }

    /// What a key notes after one more use.
    pub(super) fn used(self, before: u32, now: i64) -> u32 {
        match self {
            Self::Recent => seconds(now),
            Self::Frequent { log_factor, .. } => {
                let count = self.count(before, now);
                let base = f64::from(count.saturating_sub(FIRST_COUNT));
                let chance = 1.0 / (base * f64::from(log_factor) + 1.0);
                let drawn =
                    f64::from(ahash::RandomState::new().hash_one(before) as u32) / f64::from(u32::MAX);
                minutes(now) << 8 | (count + u32::from(count < 255 && drawn < chance))
            }
        }
    }

    /// The counter of a key by now.
    fn count(self, noted: u32, now: i64) -> u32 {
        let (since, count) = (minutes(now).wrapping_sub(noted >> 8) & 0xff_ffff, noted & 0xff);
        match self {
            Self::Frequent { decay_minutes: 1.., .. } if since > 1 << 23 => count,
            Self::Frequent { decay_minutes: decay @ 1.., .. } => count.saturating_sub(since / decay),
            _ => count,
        }
    }

    pub(super) fn note(self, noted: u32, now: i64) -> UseNote {
        match self {
            Self::Recent => UseNote::IdleSeconds(self.age(noted, now)),
            Self::Frequent { .. } => UseNote::Frequency(self.count(noted, now) as u8),
        }
    }

    /// The greater, the sooner a key is evicted.
    fn age(self, noted: u32, now: i64) -> u64 {
        match self {
            Self::Recent => seconds(now).saturating_sub(noted).into(),
            Self::Frequent { .. } => (255 - self.count(noted, now)).into(),
        }
    }
}

fn seconds(now: i64) -> u32 {
    (now / 1000) as u32
}

fn minutes(now: i64) -> u32 {
    (now / 60_000) as u32 & 0xff_ffff
}

/// What decides among the keys that were drawn for eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The one that was not used for longest, or least often.
    Unused,
    /// The one that expires first.
    SoonestExpiry,
    /// Chance.
    Random,
}

impl Keyspace {
    /// How the use of keys is noted from now on. What was noted in another way is forgotten, key by key, as keys are used.
    pub fn set_usage(&mut self, usage: Usage) {
        self.usage = usage;
    }

    /// For how many seconds a key was not used. It does not count as used by this.
    pub fn idle_seconds(&self, key: &[u8], now: i64) -> Option<u64> {
        self.entry(key).filter(|e| !e.is_due(now)).map(|e| Usage::Recent.age(e.used, now))
    }

    /// How often a key was used, on a logarithmic scale to 255.
    pub fn frequency(&self, key: &[u8], now: i64) -> Option<u32> {
        self.entry(key).filter(|e| !e.is_due(now)).map(|e| self.usage.count(e.used, now))
    }

    /// Sets what RESTORE was told: for how many seconds a key was idle, or its counter. What is not noted is left.
    pub fn set_used(&mut self, key: &[u8], idle_seconds: Option<i64>, count: Option<u8>, now: i64) {
        let used = match (self.usage, idle_seconds, count) {
            (Usage::Recent, Some(idle), _) => {
                seconds(now).saturating_sub(u32::try_from(idle).unwrap_or(u32::MAX))
            }
            (Usage::Frequent { .. }, _, Some(count)) => minutes(now) << 8 | u32::from(count),
            _ => return,
        };
        let slot = slotproof_model::key_slot(key);
        let hash = self.hasher.hash_one(key);
        if let Some(map) = self.slots.get_mut(slot.index())
            && let Some(at) = map.find(hash, key)
            && let Some(entry) = map.entry_mut(at)
        {
            entry.used = used;
        }
    }

    /// The key to evict among some that are drawn, with how much it deserves it.
    pub fn evictable(&self, pick: Pick, volatile: bool, samples: usize, now: i64) -> Option<(u64, Vec<u8>)> {
        let mut best: Option<(u64, &Entry)> = None;
        for i in 0..samples.max(1) {
            let Some(entry) = self.draw(volatile, pick, i) else { continue };
            let merit = match pick {
                Pick::Unused => self.usage.age(entry.used, now),
                Pick::SoonestExpiry => u64::MAX - entry.expiry().unwrap_or(i64::MAX).unsigned_abs(),
                Pick::Random => 0,
            };
            if best.is_none_or(|(most, _)| merit > most) {
                best = Some((merit, entry));
            }
        }
        best.map(|(merit, entry)| (merit, entry.key.to_vec()))
    }

    /// An entry, of those with an expiry only if asked so: from a random slot, at a random place.
    fn draw(&self, volatile: bool, pick: Pick, nonce: usize) -> Option<&Entry> {
        /// Places that are tried before the next key to expire has to do.
        const TRIES: usize = 16;
        let random = ahash::RandomState::new().hash_one(nonce);
        let slots = if volatile { &self.volatile } else { &self.occupied };
        let slot = nth(slots, (random as u32 as usize).checked_rem(slots.len())?)?;
        let map = &self.slots[slot.index()];
        if pick == Pick::SoonestExpiry {
            return map.next_to_expire();
        }
        let first = (random >> 32) as usize % map.places();
        let place = |i: usize| map.entry(((first + i) % map.places()) as u32);
        if !volatile {
            return (0..map.places()).find_map(place);
        }
        let tried = (0..TRIES.min(map.places())).filter_map(place).find(|e| e.expiry().is_some());
        tried.or_else(|| map.next_to_expire())
    }
}

/// A slot by its rank in a set.
fn nth(slots: &SlotSet, mut rank: usize) -> Option<Slot> {
    for (i, &word) in slots.words().iter().enumerate() {
        let here = word.count_ones() as usize;
        if rank < here {
            let lower = |word: u64, _| word & (word - 1);
            let bit = (0..rank).fold(word, lower).trailing_zeros();
            return Some(Slot::new((i * 64) as u16 + bit as u16));
        }
        rank -= here;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{Expiry, Value};
    use super::*;

    #[test]
    fn idle_keys_go_first_and_looking_is_no_use() {
        let mut keys = Keyspace::new();
        keys.set(b"old", Value::string(b"v"), Expiry::Never, 1_000_000);
        keys.set(b"new", Value::string(b"v"), Expiry::At(1 << 40), 2_000_000);
        assert_eq!(keys.idle_seconds(b"old", 2_000_000), Some(1000));
        assert_eq!(keys.idle_seconds(b"old", 2_000_000), Some(1000));
        let pick =
            |keys: &Keyspace, volatile, now| keys.evictable(Pick::Unused, volatile, 64, now).map(|(_, k)| k);
        assert_eq!(pick(&keys, false, 2_000_000).as_deref(), Some(&b"old"[..]));
        assert_eq!(pick(&keys, true, 2_000_000).as_deref(), Some(&b"new"[..]), "the only one with an expiry");
        assert!(keys.get(b"old", 2_500_000).is_some());
        assert_eq!(
            pick(&keys, false, 3_000_000).as_deref(),
            Some(&b"new"[..]),
            "of two, the one idle for longer"
        );
    }

    #[test]
    fn slots_are_found_by_their_rank() {
        let mut slots = SlotSet::new(slotproof_model::SLOTS);
        let all = [0, 1, 63, 64, 700, 16383];
        all.iter().for_each(|&s| assert!(slots.insert(Slot::new(s))));
        let found: Vec<_> = (0..7).map(|rank| nth(&slots, rank).map(u16::from)).collect();
        assert_eq!(found, [Some(0), Some(1), Some(63), Some(64), Some(700), Some(16383), None]);
    }

    #[test]
    fn counters_grow_slowly_and_decay() {
        let usage = Usage::Frequent { log_factor: 10, decay_minutes: 1 };
        let mut noted = usage.new_key(0);
        for _ in 0..10_000 {
            noted = usage.used(noted, 0);
        }
        let count = usage.count(noted, 0);
        assert!((10..100).contains(&count), "{count}");
        assert_eq!(usage.count(noted, 5 * 60_000), count - 5);
        assert_eq!(usage.count(noted, 1000 * 60_000), 0);
    }
}
