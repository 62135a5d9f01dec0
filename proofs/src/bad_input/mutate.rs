//! Small changes to bytes, the same for the same seed.

/// Changes of bytes, one after the other: bits and bytes become others, ends are cut, parts are repeated, moved, left out, or come
/// from another input.
pub struct Mutations(u64);

/// Values at the edges of what a length can be.
const EDGES: [u64; 12] =
    [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 63, u64::MAX];

impl Mutations {
    /// Those of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// splitmix64
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// A changed copy of `input`, into which parts of `other` may come.
    pub fn change(&mut self, input: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = input.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let len = self.below(bytes.len() - at).min(64);
            match self.below(9) {
                0 => bytes.truncate(at),
                1 => bytes.splice(at..at, std::iter::repeat_n(self.next() as u8, len)).for_each(drop),
                2 => bytes.drain(at..at + len).for_each(drop),
                3 => {
                    let from = self.below(other.len());
                    let part = &other[from..other.len().min(from + 64)];
                    bytes.splice(at..at + len, part.iter().copied()).for_each(drop);
                }
                4 => {
                    let edge = EDGES[self.below(EDGES.len())].to_le_bytes();
                    let width = 1 << self.below(4);
                    let edge = if self.next() & 1 == 0 { edge } else { reversed(edge, width) };
                    let end = bytes.len().min(at + width);
                    bytes[at..end].copy_from_slice(&edge[..end - at]);
                }
                5 => {
                    let digits = EDGES[self.below(EDGES.len())].to_string();
                    bytes.splice(at..at + len.min(3), digits.bytes()).for_each(drop);
                }
                6 if !bytes.is_empty() => bytes[at] = self.next() as u8,
                _ if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                _ => bytes.push(self.next() as u8),
            }
        }
        bytes
    }
}

/// The first `width` bytes in the other order, as on a wire.
fn reversed(mut bytes: [u8; 8], width: usize) -> [u8; 8] {
    bytes[..width].reverse();
    bytes
}
