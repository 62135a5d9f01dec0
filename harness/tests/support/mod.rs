//! What the tests of real clusters share.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::{Path, PathBuf};

use slotproof::cluster::Program;
use slotproof_model::key_slot;

/// The tool that was built with the tests.
pub(crate) fn tool() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_slotproof"))
}

/// A node of that tool.
pub(crate) fn slotproof() -> Program {
    Program::Slotproof(PathBuf::from(tool()), vec!["node".into()])
}

/// The `n`-th of the keys that are in a slot.
pub(crate) fn key_of(slot: u16, n: usize) -> String {
    let mut keys = (0..).map(|i| format!("key-{i}")).filter(|k| u16::from(key_slot(k.as_bytes())) == slot);
    keys.nth(n).unwrap_or_default()
}
