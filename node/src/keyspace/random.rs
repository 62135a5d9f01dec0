//! Random numbers for picking members: quick, evenly spread, and seeded anew in each process.

use std::cell::Cell;

use ahash::RandomState;

thread_local! {
    static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0u8));
}

/// 64 random bits (splitmix64).
pub fn random() -> u64 {
    STATE.with(|state| {
        let s = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        state.set(s);
        let z = (s ^ s >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    })
}

/// A random number below `n`, or 0 if that is 0.
pub fn random_below(n: usize) -> usize {
    ((u128::from(random()) * n as u128) >> 64) as usize
}
