//! Claim: the rules of redis 7.0 have H09 and H12, and these are their shortest counterexamples.
#![allow(clippy::print_stdout)]

use slotproof_proofs::{built_in, explore};

/// The last state of a transcript's nodes and keys, as the explorer shows it.
fn end(e: &slotproof_proofs::Explored, property: &str) -> String {
    use slotproof_model::check::explore::Explorable;
    let c = e.report.counterexample(property).expect("violated");
    e.world.format_state(c.path.end())
}

#[test]
fn h09_without_importing_the_observer_never_believes_the_new_owner() {
    let e = explore(built_in("migration-h09"));
    println!("{}", e.transcript("L2"));
    assert!(e.report.complete());
    assert_eq!(e.steps("L2"), Some(H09_STEPS));
    // Breadth first: no path to such an end is shorter. The final views:
    assert_eq!(end(&e, "L2"), H09_END.trim());
}

const H09_STEPS: usize = 6;
const H09_END: &str = "
A: current epoch 3, ok; self epoch 3 {0}; B epoch 1 {1-2}; C epoch 2 {3}; not claimed {1}
B: current epoch 3, ok; A epoch 3 {0-1}; self epoch 1 {2}; C epoch 2 {3}; not claimed {1}
C: current epoch 3, ok; A epoch 3 {0-1}; B epoch 1 {2}; self epoch 2 {3}; not claimed {1}
operator: done";

#[test]
fn h12_an_asked_write_and_an_abort_lose_an_acknowledged_key() {
    let e = explore(built_in("migration-h12"));
    println!("{}", e.transcript("S6"));
    assert!(e.report.complete());
    assert_eq!(e.steps("S6"), Some(H12_STEPS));
    assert_eq!(end(&e, "S6"), H12_END.trim());
}

const H12_STEPS: usize = 6;
const H12_END: &str = "
A: current epoch 2, ok; self epoch 1 {0-1}; B epoch 2 {2}
B: current epoch 2, ok; A epoch 1 {0-1}; self epoch 2 {2}
k (slot 1, written for clients): Latest at B
operator: done";
