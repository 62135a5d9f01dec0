//! Draws that a seed repeats (splitmix64).

/// A source of draws.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The source of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, or 0 when there is none.
    pub fn below(&mut self, n: u64) -> u64 {
        // The high half of a product: as even as makes no difference for the small numbers drawn here.
        ((u128::from(self.bits()) * u128::from(n)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_and_stay_below() {
        let mut one = Random::new(7);
        let mut other = one.clone();
        let drawn: Vec<u64> = (0..100).map(|_| one.below(10)).collect();
        assert!(drawn.iter().all(|&n| n < 10) && (0..10).all(|n| drawn.contains(&n)));
        assert!(drawn.iter().all(|&n| n == other.below(10)));
        assert_eq!(one.below(0), 0);
    }
}
