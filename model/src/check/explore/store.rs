//! The states of a run: one arena of encodings, numbered in the order of their arrival, and a table that finds
//! the number of an encoding.

/// The largest number of states: numbers are 32 bits wide, and one value stands for "none".
pub(super) const MAX_STATES: usize = u32::MAX as usize;

const EMPTY: u64 = u64::MAX;

/// Encoded states by number. A slot of the table holds 32 bits of the hash above the state's number; the hash
/// bits are the slot's home too, so the table grows without reading the states.
pub(super) struct Store {
    bytes: Vec<u8>,
    /// State `n` is `bytes[starts[n]..starts[n + 1]]`.
    starts: Vec<u64>,
    slots: Vec<u64>,
}

impl Store {
    pub(super) fn new() -> Self {
        Store { bytes: Vec::new(), starts: vec![0], slots: vec![EMPTY; 1 << 10] }
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn get(&self, number: u32) -> &[u8] {
        let number = number as usize;
        &self.bytes[self.starts[number] as usize..self.starts[number + 1] as usize]
    }

    pub(super) fn find(&self, bytes: &[u8], hash: u64) -> Option<u32> {
        let slot = self.slots[self.probe(bytes, hash)];
        (slot != EMPTY).then_some(slot as u32)
    }

    /// Adds a state that [`Store::find`] does not find. The caller has made sure that there are fewer than
    /// [`MAX_STATES`].
    pub(super) fn add(&mut self, bytes: &[u8], hash: u64) -> u32 {
        assert!(self.len() < MAX_STATES, "no state number is left");
        if (self.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let at = self.probe(bytes, hash);
        assert_eq!(self.slots[at], EMPTY, "the state is stored already");
        let number = self.len() as u32;
        self.slots[at] = (hash & TAG) | u64::from(number);
        self.bytes.extend_from_slice(bytes);
        self.starts.push(self.bytes.len() as u64);
        number
    }

    /// Gives back the table once nothing has to be found any more.
    pub(super) fn drop_table(&mut self) {
        self.slots = Vec::new();
    }

    /// The slot that holds these bytes, or the empty one where they belong.
    fn probe(&self, bytes: &[u8], hash: u64) -> usize {
        let mut at = home(hash, self.slots.len());
        loop {
            let slot = self.slots[at];
            if slot == EMPTY || (slot & TAG == hash & TAG && self.get(slot as u32) == bytes) {
                return at;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    fn grow(&mut self) {
        let mut slots = vec![EMPTY; self.slots.len() * 2];
        for &slot in self.slots.iter().filter(|&&slot| slot != EMPTY) {
            let mut at = home(slot, slots.len());
            while slots[at] != EMPTY {
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = slot;
        }
        self.slots = slots;
    }
}

/// The hash bits that a slot keeps.
const TAG: u64 = 0xffff_ffff_0000_0000;

/// The first slot to look at in a table of `len` slots, a power of two; of the hash only the kept bits count.
fn home(hash: u64, len: usize) -> usize {
    ((hash & TAG) >> (64 - len.trailing_zeros())) as usize
}

/// A hash of an encoding: words of eight bytes, folded by multiplication. It decides speed and nothing else.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        hash = fold(hash ^ u64::from_le_bytes(eight));
    }
    let mut eight = [0; 8];
    eight[..words.remainder().len()].copy_from_slice(words.remainder());
    fold(fold(hash ^ u64::from_le_bytes(eight)) ^ 0xd6e8_feb8_6659_fd93)
}

fn fold(word: u64) -> u64 {
    let wide = u128::from(word) * 0xa076_1d64_78bd_642f_u128;
    (wide as u64) ^ ((wide >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_equal_hash_are_told_apart() {
        let mut store = Store::new();
        for number in 0..3_000_u32 {
            let bytes = number.to_le_bytes();
            let shared = u64::from(number % 7) << 61;
            assert_eq!(store.find(&bytes, shared), None);
            assert_eq!(store.add(&bytes, shared), number);
        }
        for number in 0..3_000_u32 {
            let bytes = number.to_le_bytes();
            assert_eq!(store.find(&bytes, u64::from(number % 7) << 61), Some(number));
            assert_eq!(store.get(number), bytes);
        }
    }

    #[test]
    fn encodings_may_be_empty_and_of_any_length() {
        let mut store = Store::new();
        let longest = [0; 40];
        for length in 0..=longest.len() {
            let bytes = &longest[..length];
            assert_eq!(store.add(bytes, hash(bytes)), length as u32);
        }
        for length in 0..=longest.len() {
            let bytes = &longest[..length];
            assert_eq!(store.find(bytes, hash(bytes)), Some(length as u32));
        }
    }
}
