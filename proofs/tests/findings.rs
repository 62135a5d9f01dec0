//! Claim: what `docs/findings.md` tells of beside the listed hazards is found, with these shortest counterexamples.

use slotproof_proofs::{built_in, explore, found};

/// The target of a slot has not heard of its owner's newest epoch, so it does not raise its own enough. No fault is needed.
#[test]
fn epochs_that_gossip_has_not_brought_lose_a_slot() {
    found(
        built_in("migration-ring"),
        "L1",
        "
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at A: CLUSTER SETSLOT 1 MIGRATING B
operator at C: CLUSTER SETSLOT 4 IMPORTING B
operator at B: CLUSTER SETSLOT 4 MIGRATING C
operator: no key is left to move
operator: no key is left to move
operator at B: CLUSTER SETSLOT 1 NODE B
operator at A: CLUSTER SETSLOT 1 NODE B
operator at C: CLUSTER SETSLOT 4 NODE C
C hears a PING of B
operator at B: CLUSTER SETSLOT 4 NODE C
A hears a PING of B
C hears a PING of B
B hears a PING of C
",
        "
A: current epoch 4, ok; self epoch 1 {0}; B epoch 4 {1-2,4}; C epoch 3 {3}; not claimed {4}
B: current epoch 4, ok; A epoch 1 {0}; self epoch 4 {1-2}; C epoch 3 {3-4}; not claimed {4}
C: current epoch 4, ok; A epoch 1 {0}; B epoch 4 {1-2,4}; self epoch 3 {3}; not claimed {4}
k (slot 1, not there for clients):
l (slot 4, not there for clients):
operator: done
",
    );
}

/// The source forgets that it gives the slot away, and serves commands on two keys of which it has one.
#[test]
fn a_power_failure_lets_a_command_run_with_a_key_missing() {
    found(
        built_in("migration-power-2-keys"),
        "S14",
        "
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at A: CLUSTER SETSLOT 1 MIGRATING B
a client wants to change k at A -> ASK B
a client follows its ASK to B: SET k
A crashes (power)
A starts from its nodes.conf
at A, the first two seconds are over
",
        "
A: current epoch 3, ok; self epoch 1 {0-1}; B epoch 2 {2}; C epoch 3 {3}
B: current epoch 3, ok; A epoch 1 {0-1}; self epoch 2 {2}; C epoch 3 {3}; [1<-A]
C: current epoch 3, ok; A epoch 1 {0-1}; B epoch 2 {2}; self epoch 3 {3}
k (slot 1, written for clients): Latest at B
l (slot 1, written for clients): Latest at A
operator: at step 2
",
    );
}

/// After an abort at the source keys are moved back; what is deleted at the source meanwhile comes back with them.
#[test]
fn a_roll_back_brings_a_deleted_key_back() {
    found(
        built_in("migration-roll-back"),
        "S8",
        "
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at A: CLUSTER SETSLOT 1 MIGRATING B
operator dies
operator comes back and begins at step 4
a client wants to change k at A -> ASK B
operator at A: CLUSTER SETSLOT 1 STABLE
a client follows its ASK to B: SET k
operator: MIGRATE, B sends k to A
a client: DEL k at A
A executes RESTORE-ASKING of k
B hears the answer about k
operator: no key is left to move
operator at B: CLUSTER SETSLOT 1 STABLE
",
        "
A: current epoch 3, ok; self epoch 1 {0-1}; B epoch 2 {2}; C epoch 3 {3}
B: current epoch 3, ok; A epoch 1 {0-1}; self epoch 2 {2}; C epoch 3 {3}
C: current epoch 3, ok; A epoch 1 {0-1}; B epoch 2 {2}; self epoch 3 {3}
k (slot 1, not there for clients): Old at A
operator: done
",
    );
}

/// A target that outbids its source keeps the slot; of the hardened rules it is this one alone that does it. What stays of S6 in the ring is
/// that a write of C does not count while B is thought to own the slot by a greater epoch: no key goes.
#[test]
fn a_target_that_outbids_its_source_keeps_the_slot() {
    let worlds = [("ring", "S6", "L1, L2, S10, S6"), ("to-and-fro", "", "L1, L2, S10, S6, S9")];
    for (name, with, without) in worlds {
        for (on, violated) in [(true, with), (false, without)] {
            let mut scenario = built_in(&format!("hardened-{name}"));
            scenario.switches.insert("target_outbids_source".into(), on);
            let e = explore(scenario);
            assert!(e.report.complete());
            assert_eq!(e.violated().join(", "), violated, "{name}, with that rule: {on}");
        }
    }
    let mut unwritten = built_in("hardened-ring");
    unwritten.clients = 0;
    assert_eq!(explore(unwritten).violated(), [""; 0], "without clients S6 holds");
}
