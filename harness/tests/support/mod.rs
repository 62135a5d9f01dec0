//! What the tests of real clusters share.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod gate;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slotproof::cluster::{Cluster, Program};
use slotproof::tools::{Output, run};
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

/// Three nodes of one kind, or one that differs.
pub(crate) type Kinds = [Program; 3];

/// Three Slotproof nodes.
pub(crate) fn ours() -> Kinds {
    [slotproof(), slotproof(), slotproof()]
}

/// Three of redis-server.
pub(crate) fn theirs() -> Kinds {
    [Program::Redis, Program::Redis, Program::Redis]
}

/// Two of one and one of the other, the one in the middle.
pub(crate) fn mixed() -> Kinds {
    [slotproof(), Program::Redis, slotproof()]
}

/// Nodes that know nobody.
pub(crate) fn started(kinds: &[Program]) -> io::Result<Cluster> {
    let mut cluster = Cluster::new(&["--cluster-node-timeout", "5000"], false)?;
    for kind in kinds {
        cluster.add(kind)?;
    }
    Ok(cluster)
}

/// `slotproof cluster WORDS...` with this input.
pub(crate) fn operate(words: &[&str], input: &str) -> io::Result<Output> {
    let tool = tool().to_string_lossy();
    run(&tool, &[&["cluster"], words].concat(), input, Duration::from_secs(120))
}

/// The same, which must succeed.
pub(crate) fn done(words: &[&str]) -> io::Result<Output> {
    operate(words, "")?.success()
}

/// The same, which must fail and say this.
#[track_caller]
pub(crate) fn refused(words: &[&str], text: &str) -> Output {
    let out = operate(words, "").expect("it ran");
    assert_eq!(out.status.code(), Some(1), "{}", out.text());
    assert!(out.text().contains(text), "no {text:?} in {}", out.text());
    out
}

#[track_caller]
pub(crate) fn says(out: &Output, lines: &[&str]) {
    for line in lines {
        assert!(out.stdout.contains(line), "no {line:?} in {}", out.text());
    }
}

/// `check` finds everything in order, and so many keys.
pub(crate) fn checked(cluster: &Cluster, keys: usize) -> io::Result<()> {
    for node in cluster.live() {
        let out = done(&["check", &node.address(), "--search-multiple-owners"]).map_err(|e| {
            let views = cluster
                .live()
                .map(|n| n.ask("CLUSTER NODES").ok().and_then(|v| v.text()).unwrap_or_default());
            io::Error::other(format!("{e}\n{}", views.collect::<Vec<_>>().join("\n")))
        })?;
        says(
            &out,
            &[
                &format!("[OK] {keys} keys in"),
                "[OK] All nodes agree about slots configuration.",
                "[OK] All 16384 slots covered.",
                "[OK] No multiple owners found.",
            ],
        );
    }
    Ok(())
}
