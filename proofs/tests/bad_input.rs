//! Claim: no bytes that a node is sent or finds in its file break it. The seeds of the fuzz targets, and small changes to them.
//!
//! What must hold is said by each function of `bad_input`; `scripts/fuzz` looks for more.

mod bad_input_seeds;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use slotproof_proofs::bad_input::{Mutations, TARGETS, Target};

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target)
}

/// The seeds of a target, by their names.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(folder(target)).expect("a folder of seeds");
    let mut all: Vec<(String, Vec<u8>)> = files
        .map(|file| {
            let path = file.expect("an entry").path();
            (path.display().to_string(), std::fs::read(&path).expect("a seed"))
        })
        .collect();
    all.sort();
    assert!(all.len() >= 5, "{target} has {} seeds", all.len());
    all
}

/// Calls a target, and shows the input that it fails on.
fn call(target: Target, what: &str, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        eprintln!("failed on {what}: \"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

#[test]
fn seeds_are_taken_or_refused() {
    for (name, target) in TARGETS {
        target(&[]);
        for (file, input) in seeds(name) {
            call(target, &file, &input);
        }
    }
}

#[test]
fn every_seed_may_be_cut_anywhere() {
    for (name, target) in TARGETS {
        for (file, input) in seeds(name) {
            // A frame has thousands of bytes that mean nothing: its ends matter.
            let dense = input.len() <= 600;
            let cuts = (0..input.len()).filter(|n| dense || n % 17 == 0 || input.len() - n < 150);
            cuts.for_each(|n| call(target, &format!("{file}, {n} bytes of it"), &input[..n]));
        }
    }
}

#[test]
fn changed_seeds_are_taken_or_refused() {
    const SEED: u64 = 20_261_126;
    for ((name, target), rounds) in TARGETS.into_iter().zip([5_000, 4_000, 20_000, 5_000]) {
        eprintln!("{name}: {rounds} changes of seed {SEED}");
        let seeds = seeds(name);
        let mut changes = Mutations::new(SEED);
        for round in 0..rounds {
            let (input, other) = (&seeds[round % seeds.len()].1, &seeds[round * 7 % seeds.len()].1);
            let changed = changes.change(input, other);
            call(target, &format!("round {round} of seed {SEED}"), &changed);
        }
    }
}

/// Writes the seeds that encoders give; those that the fuzzer found stay.
#[test]
#[ignore = "needs redis-server, and writes proofs/fuzz/seeds anew"]
fn write_the_seeds() {
    let mut written = 0;
    for (target, name, bytes) in bad_input_seeds::all() {
        std::fs::create_dir_all(folder(target)).expect("a folder");
        std::fs::write(folder(target).join(name), bytes).expect("written");
        written += 1;
    }
    assert!(written > 40);
}
