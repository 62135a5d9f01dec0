//! Slots and sets of slots.

use core::fmt;

/// The number of slots on the wire. A small world has fewer (1 to 64).
pub const SLOTS: u16 = 16384;

/// A hash slot, below [`SLOTS`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "u16", into = "u16"))]
pub struct Slot(u16);

impl Slot {
    /// The slot with this number.
    ///
    /// # Panics
    /// When `index` is not below [`SLOTS`]; use [`Slot::try_from`] for numbers from outside.
    pub const fn new(index: u16) -> Self {
        assert!(index < SLOTS, "a slot is below 16384");
        Self(index)
    }

    /// Its number.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A number that is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotOutOfRange(pub u16);

impl fmt::Display for SlotOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slot {} is not below {SLOTS}", self.0)
    }
}

impl core::error::Error for SlotOutOfRange {}

impl TryFrom<u16> for Slot {
    type Error = SlotOutOfRange;

    fn try_from(index: u16) -> Result<Self, SlotOutOfRange> {
        if index < SLOTS { Ok(Self(index)) } else { Err(SlotOutOfRange(index)) }
    }
}

impl From<Slot> for u16 {
    fn from(slot: Slot) -> Self {
        slot.0
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// A set of slots: a bitmap of 64-bit words, slot `s` at bit `s % 64` of word `s / 64`. Its capacity is
/// fixed when it is made: 16384 on the wire, fewer in a small world. Sets of one cluster have one capacity.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotSet {
    words: Box<[u64]>,
}

clone_in_place!(SlotSet { words });

impl SlotSet {
    /// The empty set in a cluster of `slots` slots.
    pub fn new(slots: u16) -> Self {
        Self { words: vec![0; usize::from(slots).div_ceil(64)].into_boxed_slice() }
    }

    /// A set from its words; the wire has `SLOTS / 64` of them.
    pub fn from_words(words: Box<[u64]>) -> Self {
        Self { words }
    }

    /// Its words.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Whether `slot` is in the set. A slot beyond the capacity is not.
    pub fn contains(&self, slot: Slot) -> bool {
        let i = slot.index();
        self.words.get(i / 64).is_some_and(|w| w >> (i % 64) & 1 == 1)
    }

    /// Adds `slot`; whether it was absent.
    pub fn insert(&mut self, slot: Slot) -> bool {
        let i = slot.index();
        let word = &mut self.words[i / 64];
        let absent = *word >> (i % 64) & 1 == 0;
        *word |= 1 << (i % 64);
        absent
    }

    /// Removes `slot`; whether it was present.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let i = slot.index();
        let word = &mut self.words[i / 64];
        let present = *word >> (i % 64) & 1 == 1;
        *word &= !(1 << (i % 64));
        present
    }

    /// How many slots are in the set.
    pub fn len(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether no slot is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&w| w == 0)
    }

    /// The slots, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        slots_where(&self.words, &[], |word, _| word)
    }

    /// The slots that are in this set and not in `other`, ascending.
    pub fn iter_beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Slot> + 'a {
        slots_where(&self.words, &other.words, |word, other| word & !other)
    }

    /// The slots that are in one of two sets of equal capacity, ascending.
    pub fn iter_differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Slot> + 'a {
        slots_where(&self.words, &other.words, |word, other| word ^ other)
    }

    /// The maximal runs `(first, last)` of neighbouring slots, ascending, both ends included. Takes a word at a time: a heartbeat of a
    /// node with thousands of slots costs what its runs cost.
    pub fn ranges(&self) -> impl Iterator<Item = (Slot, Slot)> + '_ {
        let mut at = 0;
        core::iter::from_fn(move || {
            let first = self.seek(at, true)?;
            let end = self.seek(first, false).unwrap_or(self.words.len() * 64);
            at = end;
            Some((Slot(first as u16), Slot((end - 1) as u16)))
        })
    }

    /// The first position from `from` on that is in the set (`present`), or that is not.
    fn seek(&self, from: usize, present: bool) -> Option<usize> {
        let look = |i: usize| if present { self.words[i] } else { !self.words[i] };
        let mut i = from / 64;
        if i >= self.words.len() {
            return None;
        }
        let mut word = look(i) & (u64::MAX << (from % 64));
        while word == 0 {
            i += 1;
            if i == self.words.len() {
                return None;
            }
            word = look(i);
        }
        Some(i * 64 + word.trailing_zeros() as usize)
    }

    /// Adds the slots from `first` to `last`, both included.
    #[cfg(feature = "serde")]
    fn insert_run(&mut self, first: usize, last: usize) {
        for i in first / 64..=last / 64 {
            let from = if i == first / 64 { u64::MAX << (first % 64) } else { u64::MAX };
            let to = if i == last / 64 { u64::MAX >> (63 - last % 64) } else { u64::MAX };
            self.words[i] |= from & to;
        }
    }
}

/// The slots of what `combine` makes of each word and the one beside it (0 beyond the end), ascending. Blocks of words with nothing in
/// them are passed over at once.
fn slots_where<'a>(
    words: &'a [u64],
    others: &'a [u64],
    combine: impl Fn(u64, u64) -> u64 + 'a,
) -> impl Iterator<Item = Slot> + 'a {
    const BLOCK: usize = 8;
    let mut next = 0;
    let mut left = 0;
    core::iter::from_fn(move || {
        while left == 0 {
            if let (Some(a), Some(b)) = (words.get(next..next + BLOCK), others.get(next..next + BLOCK))
                && a.iter().zip(b).fold(0, |any, (a, b)| any | combine(*a, *b)) == 0
            {
                next += BLOCK;
                continue;
            }
            left = combine(*words.get(next)?, others.get(next).copied().unwrap_or(0));
            next += 1;
        }
        let bit = left.trailing_zeros() as usize;
        left &= left - 1;
        Some(Slot(((next - 1) * 64 + bit) as u16))
    })
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (a, b)) in self.ranges().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if a == b { write!(f, "{comma}{a}")? } else { write!(f, "{comma}{a}-{b}")? }
        }
        f.write_str("}")
    }
}

/// Written as its capacity in words and its runs, so that a trace stays small.
#[cfg(feature = "serde")]
impl serde::Serialize for SlotSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let runs: Vec<(Slot, Slot)> = self.ranges().collect();
        (self.words.len() as u16, runs).serialize(serializer)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for SlotSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let (words, runs) = <(u16, Vec<(Slot, Slot)>)>::deserialize(deserializer)?;
        if words > SLOTS / 64 {
            return Err(D::Error::custom("a slot set has at most 256 words"));
        }
        let mut set = Self { words: vec![0; usize::from(words)].into_boxed_slice() };
        for (first, last) in runs {
            if last.index() / 64 >= usize::from(words) {
                return Err(D::Error::custom("a slot beyond the capacity of its set"));
            }
            if first <= last {
                set.insert_run(first.index(), last.index());
            }
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_across_words() {
        let mut set = SlotSet::new(SLOTS);
        for s in [0, 1, 2, 63, 64, 65, 200] {
            assert!(set.insert(Slot::new(s)));
        }
        assert_eq!(format!("{set:?}"), "{0-2,63-65,200}");
        assert_eq!(set.len(), 7);
        assert!(set.remove(Slot::new(64)) && !set.remove(Slot::new(64)));
        assert!(!set.contains(Slot::new(64)) && set.contains(Slot::new(65)));
    }

    quickcheck::quickcheck! {
        fn runs_are_maximal_and_cover_the_set(slots: Vec<(u16, u8)>) -> bool {
            let mut set = SlotSet::new(SLOTS);
            for (first, len) in slots {
                let first = first % SLOTS;
                (first..(first + u16::from(len)).min(SLOTS)).for_each(|s| { set.insert(Slot(s)); });
            }
            let runs: Vec<(Slot, Slot)> = set.ranges().collect();
            let listed: Vec<Slot> = runs.iter().flat_map(|(a, b)| (a.0..=b.0).map(Slot)).collect();
            runs.windows(2).all(|w| w[0].1.0 + 1 < w[1].0.0) && listed == set.iter().collect::<Vec<_>>()
        }

        fn a_set_is_its_slots_ascending(slots: Vec<u16>) -> bool {
            let mut set = SlotSet::new(SLOTS);
            let mut want: Vec<u16> = slots.iter().map(|s| s % SLOTS).collect();
            want.iter().for_each(|&s| { set.insert(Slot::new(s)); });
            want.sort_unstable();
            want.dedup();
            set.iter().map(u16::from).collect::<Vec<_>>() == want && set.len() == want.len()
        }
    }

    #[test]
    fn what_two_sets_differ_in() {
        fn agrees(one: Vec<u16>, other: Vec<u16>) -> bool {
            let set = |slots: &[u16]| {
                let mut set = SlotSet::new(SLOTS);
                for s in slots {
                    set.insert(Slot(s % SLOTS));
                }
                set
            };
            let (one, other) = (set(&one), set(&other));
            let all = || (0..SLOTS).map(Slot);
            let beyond: Vec<Slot> = all().filter(|&s| one.contains(s) && !other.contains(s)).collect();
            let differing: Vec<Slot> = all().filter(|&s| one.contains(s) != other.contains(s)).collect();
            one.iter_beyond(&other).eq(beyond) && one.iter_differing(&other).eq(differing)
        }
        quickcheck::quickcheck(agrees as fn(Vec<u16>, Vec<u16>) -> bool);
        let mut small = SlotSet::new(3);
        small.insert(Slot(2));
        assert!(
            small.iter_beyond(&SlotSet::new(0)).eq([Slot(2)]),
            "beyond the end of the other there is nothing"
        );
    }
}
