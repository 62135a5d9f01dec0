//! All keys of a database as they were at one moment, handed over bit by bit while clients go on.
//!
//! Nothing is copied at the start. A slot that is about to be changed is handed over first, as far as that was not done yet: what
//! is handed over is exactly what was there at the start. A write pays for what is left of its slot, and for no other; if that is more than
//! whoever takes the keys may hold, the snapshot ends.

use std::cell::RefCell;
use std::rc::Rc;

use slotproof_model::{Slot, SlotSet};

use super::slot_map::SlotMap;
use super::{Keyspace, Usage, UseNote, Value};

/// Who takes the keys of a snapshot.
pub trait Keep: std::fmt::Debug {
    /// Takes a key with its value, its expiry (Unix time in milliseconds, past ones too), and what is noted of its use.
    fn keep(&mut self, key: &[u8], value: &Value, expiry: Option<i64>, used: Option<UseNote>);

    /// Whether it has taken enough for now.
    fn is_full(&self) -> bool;

    /// Whether it has been given more than it may hold: it takes nothing any more, and the snapshot ends.
    fn is_cut(&self) -> bool;
}

/// How far a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more.
    More,
    /// All keys have been handed over.
    Done,
    /// The keys were dropped or exchanged as a whole meanwhile, or whoever takes them was given too much: the rest cannot be had.
    Lost,
}

/// One who is being handed all keys.
#[derive(Debug)]
pub(super) struct Snapshot {
    id: u64,
    /// Slots that are not handed over, or not wholly.
    pending: SlotSet,
    /// The slot that is being handed over, and the place where that goes on.
    current: Option<(Slot, usize)>,
    /// When it began, if the use of keys is to be told.
    began: Option<i64>,
    to: Rc<RefCell<dyn Keep>>,
}

impl Snapshot {
    /// Hands over what is left of a slot; with `bounded`, until that is enough for now. False if it cannot be had at all.
    fn hand_over(&mut self, slot: Slot, map: &SlotMap, usage: Usage, bounded: bool) -> bool {
        let mut to = self.to.borrow_mut();
        let first = self.current.filter(|(current, _)| *current == slot).map_or(0, |(_, place)| place);
        for place in first..map.places() {
            if to.is_cut() {
                return false;
            }
            if bounded && to.is_full() {
                self.current = Some((slot, place));
                return true;
            }
            if let Some(entry) = map.entry(place as u32) {
                let used = self.began.map(|began| usage.note(entry.used, began));
                to.keep(&entry.key, &entry.value, entry.expiry(), used);
            }
        }
        self.current = self.current.filter(|(current, _)| *current != slot);
        self.pending.remove(slot);
        true
    }
}

impl Keyspace {
    /// Begins to hand over all keys as they are now. `id` names the snapshot; with `began` (the time) the use of keys is told too.
    pub fn start_snapshot(&mut self, id: u64, to: Rc<RefCell<dyn Keep>>, began: Option<i64>) {
        let pending = self.occupied.clone();
        self.snapshots.push(Snapshot { id, pending, current: None, began, to });
    }

    /// Hands over more, until whoever takes it has enough for now.
    pub fn go_on_with_snapshot(&mut self, id: u64) -> Progress {
        let Some(i) = self.snapshots.iter().position(|s| s.id == id) else { return Progress::Lost };
        let snapshot = &mut self.snapshots[i];
        while let Some(slot) =
            snapshot.current.map(|(slot, _)| slot).or_else(|| snapshot.pending.iter().next())
        {
            if snapshot.to.borrow().is_full() {
                return Progress::More;
            }
            if !snapshot.hand_over(slot, &self.slots[slot.index()], self.usage, true) {
                self.snapshots.swap_remove(i);
                return Progress::Lost;
            }
        }
        self.snapshots.swap_remove(i);
        Progress::Done
    }

    /// Ends a snapshot before it is done.
    pub fn end_snapshot(&mut self, id: u64) {
        self.snapshots.retain(|s| s.id != id);
    }

    /// A slot is about to be changed. Without snapshots this is one comparison.
    pub(super) fn preserve(&mut self, slot: Slot) {
        self.snapshots.retain_mut(|snapshot| {
            !snapshot.pending.contains(slot)
                || snapshot.hand_over(slot, &self.slots[slot.index()], self.usage, false)
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Expiry;
    use super::*;

    #[derive(Debug)]
    struct Taken {
        keys: BTreeMap<Vec<u8>, (Value, Option<i64>)>,
        room: usize,
        most: usize,
    }

    impl Default for Taken {
        fn default() -> Self {
            Self { keys: BTreeMap::new(), room: 0, most: usize::MAX }
        }
    }

    impl Keep for Taken {
        fn keep(&mut self, key: &[u8], value: &Value, expiry: Option<i64>, used: Option<UseNote>) {
            assert_eq!(used, Some(UseNote::IdleSeconds(0)));
            assert_eq!(self.keys.insert(key.to_vec(), (value.clone(), expiry)), None, "each key once");
            self.room = self.room.saturating_sub(1);
        }

        fn is_full(&self) -> bool {
            self.room == 0
        }

        fn is_cut(&self) -> bool {
            self.keys.len() > self.most
        }
    }

    fn all(keys: &Keyspace) -> BTreeMap<Vec<u8>, (Value, Option<i64>)> {
        keys.iter().map(|(key, value, expiry)| (key.to_vec(), (value.clone(), expiry))).collect()
    }

    quickcheck::quickcheck! {
        /// Whatever is changed meanwhile, in slots of one and of many keys.
        fn what_is_handed_over_is_what_there_was(changes: Vec<(u8, u8, u8)>, steps: u8) -> bool {
            let name = |n: u8| if n < 128 { format!("{{tag}}{n}") } else { n.to_string() }.into_bytes();
            let mut keys = Keyspace::new();
            for n in 0..=250 {
                let expiry = if n % 3 == 0 { Expiry::At(i64::from(n)) } else { Expiry::Never };
                keys.set(&name(n), Value::string(&[n]), expiry, 0);
            }
            let before = all(&keys);
            let taken = Rc::new(RefCell::new(Taken::default()));
            keys.start_snapshot(7, taken.clone(), Some(0));
            for (what, key, value) in changes {
                let (key, now) = (name(key), i64::from(value));
                match what % 8 {
                    0 | 1 => keys.set(&key, Value::string(&[value]), Expiry::At(200), now),
                    2 => drop(keys.remove(&key, now)),
                    3 => keys.set_expiry(&key, Some(500)),
                    4 => drop(keys.expire_cycle(now, 3)),
                    5 => drop(keys.drop_slot(slotproof_model::key_slot(&key))),
                    6 => drop(keys.get_mut(&key, now).map(|v| *v = Value::string(b"other"))),
                    _ => drop(keys.get(&key, now)),
                }
                taken.borrow_mut().room = usize::from(steps % 5);
                if keys.go_on_with_snapshot(7) != Progress::More {
                    break;
                }
            }
            taken.borrow_mut().room = usize::MAX;
            let ended = keys.go_on_with_snapshot(7);
            matches!(ended, Progress::Done | Progress::Lost) && taken.borrow().keys == before
        }
    }

    #[test]
    fn a_write_hands_over_no_more_than_may_be_held() {
        let mut keys = Keyspace::new();
        (0..100u8).for_each(|n| {
            keys.set(format!("{{tag}}{n}").as_bytes(), Value::string(&[n]), Expiry::Never, 0);
        });
        let few = Rc::new(RefCell::new(Taken { most: 10, ..Taken::default() }));
        let many = Rc::new(RefCell::new(Taken { most: 100, ..Taken::default() }));
        keys.start_snapshot(1, few.clone(), Some(0));
        keys.start_snapshot(2, many.clone(), Some(0));
        keys.set(b"other", Value::string(b""), Expiry::Never, 0);
        assert_eq!((few.borrow().keys.len(), many.borrow().keys.len()), (0, 0));
        keys.set(b"{tag}0", Value::string(b""), Expiry::Never, 0);
        assert_eq!((few.borrow().keys.len(), many.borrow().keys.len()), (11, 100));
        assert_eq!(keys.go_on_with_snapshot(1), Progress::Lost);
        assert_eq!(keys.go_on_with_snapshot(2), Progress::Done);
    }

    #[test]
    fn what_is_dropped_as_a_whole_is_lost() {
        let mut keys = Keyspace::new();
        keys.set(b"k", Value::string(b"v"), Expiry::Never, 0);
        keys.start_snapshot(1, Rc::new(RefCell::new(Taken::default())), Some(0));
        assert_eq!(keys.go_on_with_snapshot(1), Progress::More);
        keys.clear(false);
        assert_eq!(keys.go_on_with_snapshot(1), Progress::Lost);
    }
}
