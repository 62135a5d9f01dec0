//! The `slotproof` command-line tool.

fn main() {}
