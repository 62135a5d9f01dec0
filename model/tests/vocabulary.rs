//! Slots of keys and sets of slots, compared with what is written here from the specification alone. quickcheck prints the input of a
//! failure.

use std::collections::BTreeSet;

use quickcheck::{Arbitrary, Gen, QuickCheck};
use slotproof_model::{SLOTS, Slot, SlotSet, crc16, hash_tag, key_slot};

/// CRC16 by long division of polynomials: the bits of the message with sixteen zeros behind them, and what is left of it.
fn remainder(bytes: &[u8]) -> u16 {
    const POLYNOMIAL: u32 = 0x1_1021;
    let bits = bytes.iter().chain(&[0, 0]).flat_map(|byte| (0..8).rev().map(move |i| byte >> i & 1));
    let left = bits.fold(0u32, |register, bit| {
        let shifted = register << 1 | u32::from(bit);
        if shifted & 0x1_0000 != 0 { shifted ^ POLYNOMIAL } else { shifted }
    });
    left as u16
}

/// The rule in the words of the specification: if the key has a `{`, and there is a `}` to the right of it, and there are one or more
/// characters between the first `{` and the first `}` to the right of it, then only these are hashed.
fn hashed(key: &[u8]) -> Vec<u8> {
    let mut before = true;
    let mut tag = Vec::new();
    for &byte in key {
        match byte {
            b'{' if before => before = false,
            b'}' if !before => return if tag.is_empty() { key.to_vec() } else { tag },
            byte if !before => tag.push(byte),
            _ => {}
        }
    }
    key.to_vec()
}

/// A key in which braces are as frequent as letters.
#[derive(Clone, Debug)]
struct Braced(Vec<u8>);

impl Arbitrary for Braced {
    fn arbitrary(g: &mut Gen) -> Self {
        let length = usize::arbitrary(g) % 12;
        Self((0..length).map(|_| *g.choose(b"{}{}ab\0\xff").expect("not empty")).collect())
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        Box::new(self.0.shrink().map(Self))
    }
}

#[test]
fn the_checksum_is_the_remainder_of_a_division() {
    assert_eq!(remainder(b"123456789"), 0x31c3, "the check value of CRC16/XMODEM");
    fn agrees(bytes: Vec<u8>) -> bool {
        crc16(&bytes) == remainder(&bytes)
    }
    QuickCheck::new().tests(2_000).quickcheck(agrees as fn(Vec<u8>) -> bool);
    let long: Vec<u8> = (0..100_000u32).map(|i| ((i * 31) >> 3) as u8).collect();
    assert!(agrees(long));
}

#[test]
fn a_slot_is_that_of_the_hash_tag() {
    fn agrees(key: Braced) -> bool {
        let tag = hashed(&key.0);
        hash_tag(&key.0) == tag && key_slot(&key.0).index() == usize::from(remainder(&tag) % SLOTS)
    }
    QuickCheck::new().tests(20_000).quickcheck(agrees as fn(Braced) -> bool);
    fn agrees_on_any(key: Vec<u8>) -> bool {
        agrees(Braced(key))
    }
    QuickCheck::new().tests(2_000).quickcheck(agrees_on_any as fn(Vec<u8>) -> bool);
}

/// What is done to a set.
#[derive(Clone, Debug)]
enum Change {
    Insert(u16),
    Remove(u16),
    /// Neighbours, so that runs are long and join.
    InsertAll(u16, u16),
}

impl Arbitrary for Change {
    fn arbitrary(g: &mut Gen) -> Self {
        // Half of them meet within two words.
        let slot = u16::arbitrary(g) % if bool::arbitrary(g) { 130 } else { SLOTS };
        match u8::arbitrary(g) % 4 {
            0 => Self::InsertAll(slot, (slot + u16::arbitrary(g) % 200).min(SLOTS - 1)),
            1 => Self::Remove(slot),
            _ => Self::Insert(slot),
        }
    }
}

/// A set by these changes, and the same as a tree; panics where a change answers otherwise.
fn changed(changes: &[Change]) -> (SlotSet, BTreeSet<u16>) {
    let (mut set, mut tree) = (SlotSet::new(SLOTS), BTreeSet::new());
    for change in changes {
        match *change {
            Change::Insert(slot) => {
                assert_eq!(set.insert(Slot::new(slot)), tree.insert(slot), "insert {slot}")
            }
            Change::Remove(slot) => {
                assert_eq!(set.remove(Slot::new(slot)), tree.remove(&slot), "remove {slot}")
            }
            Change::InsertAll(first, last) => {
                for slot in first..=last {
                    assert_eq!(set.insert(Slot::new(slot)), tree.insert(slot), "insert {slot}");
                }
            }
        }
    }
    (set, tree)
}

fn numbers(slots: impl Iterator<Item = Slot>) -> Vec<u16> {
    slots.map(u16::from).collect()
}

#[test]
fn a_set_of_slots_is_a_set() {
    fn agrees(changes: Vec<Change>, asked: Vec<u16>) -> bool {
        let (set, tree) = changed(&changes);
        let mut runs: Vec<(u16, u16)> = Vec::new();
        for &slot in &tree {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == slot => *last = slot,
                _ => runs.push((slot, slot)),
            }
        }
        let ranges: Vec<(u16, u16)> = set.ranges().map(|(first, last)| (first.into(), last.into())).collect();
        numbers(set.iter()) == Vec::from_iter(tree.iter().copied())
            && ranges == runs
            && (set.len(), set.is_empty()) == (tree.len(), tree.is_empty())
            && asked.iter().map(|s| s % SLOTS).all(|s| set.contains(Slot::new(s)) == tree.contains(&s))
            && SlotSet::from_words(set.words().into()) == set
    }
    QuickCheck::new().tests(1_000).quickcheck(agrees as fn(Vec<Change>, Vec<u16>) -> bool);
}

#[test]
fn differences_of_two_sets_are_those_of_trees() {
    fn agrees(common: Vec<Change>, mine: Vec<Change>, yours: Vec<Change>) -> bool {
        let with = |more: &[Change]| changed(&[&common, more].concat());
        let ((a, tree_a), (b, tree_b)) = (with(&mine), with(&yours));
        let differing: Vec<u16> = tree_a.symmetric_difference(&tree_b).copied().collect();
        let mut copy = SlotSet::new(0);
        copy.clone_from(&a);
        numbers(a.iter_beyond(&b)) == Vec::from_iter(tree_a.difference(&tree_b).copied())
            && numbers(b.iter_beyond(&a)) == Vec::from_iter(tree_b.difference(&tree_a).copied())
            && numbers(a.iter_differing(&b)) == differing
            && (a == b) == differing.is_empty()
            && copy == a
    }
    QuickCheck::new().tests(1_000).quickcheck(agrees as fn(Vec<Change>, Vec<Change>, Vec<Change>) -> bool);
}
