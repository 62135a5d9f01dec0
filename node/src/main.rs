//! The `slotproof-node` server.

fn main() {}
