//! Keys that are watched: for each a version that goes up with every change, so that nobody has to look for who watches.
//!
//! Only what makes or changes a key counts here. A key that is gone is seen to be gone at EXEC.

use std::collections::HashMap;

use super::Keyspace;

/// The versions of the keys that somebody watches.
#[derive(Debug, Default)]
pub(super) struct Watched {
    keys: HashMap<Box<[u8]>, Version, ahash::RandomState>,
    /// Versions are never given twice.
    last: u64,
}

#[derive(Debug)]
struct Version {
    number: u64,
    watchers: usize,
}

impl Watched {
    /// Where nobody watches anything, this is one comparison.
    pub(super) fn changed(&mut self, key: &[u8]) {
        if self.keys.is_empty() {
            return;
        }
        if let Some(version) = self.keys.get_mut(key) {
            self.last += 1;
            version.number = self.last;
        }
    }
}

impl Keyspace {
    /// Somebody watches a key: its version, which is another one after each change.
    pub fn watch(&mut self, key: &[u8]) -> u64 {
        if let Some(version) = self.watched.keys.get_mut(key) {
            version.watchers += 1;
            return version.number;
        }
        self.watched.last += 1;
        let number = self.watched.last;
        self.watched.keys.insert(key.into(), Version { number, watchers: 1 });
        number
    }

    /// One who watched a key does so no more.
    pub fn unwatch(&mut self, key: &[u8]) {
        if let Some(version) = self.watched.keys.get_mut(key) {
            version.watchers -= 1;
            if version.watchers == 0 {
                self.watched.keys.remove(key);
            }
        }
    }

    /// The version of a watched key; nothing where it is not watched (any more).
    pub fn version(&self, key: &[u8]) -> Option<u64> {
        self.watched.keys.get(key).map(|v| v.number)
    }

    /// Exchanges all keys of two databases. Those who watch stay with the number of the database; keys that exist on either side count as
    /// changed. Snapshots of both end.
    pub fn swap(&mut self, other: &mut Self, now: i64) {
        std::mem::swap(self, other);
        std::mem::swap(&mut self.events, &mut other.events);
        self.snapshots.clear();
        other.snapshots.clear();
        std::mem::swap(&mut self.watched, &mut other.watched);
        let all = self.watched.keys.keys().chain(other.watched.keys.keys());
        let there = |key: &[u8]| self.exists(key, now) || other.exists(key, now);
        let touched: Vec<Box<[u8]>> = all.filter(|key| there(key)).cloned().collect();
        for key in touched {
            self.watched.changed(&key);
            other.watched.changed(&key);
        }
    }

    /// How many changes there have been since the start.
    pub fn changes(&self) -> u64 {
        self.changes
    }
}
