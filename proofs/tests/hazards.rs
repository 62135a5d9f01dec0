//! Claim: the rules of redis 7.0 have these hazards, and these are their shortest counterexamples.

use slotproof_model::check::scenario::Scenario;
use slotproof_proofs::{built_in, explore, found};

/// A built-in world without what its hazard does not need.
fn reduced(name: &str, change: impl FnOnce(&mut Scenario)) -> Scenario {
    let mut scenario = built_in(name);
    scenario.d = 0;
    change(&mut scenario);
    scenario
}

/// One client, and an operator who lives, whose MIGRATE may hear no answer.
fn lost_answers() -> Scenario {
    reduced("migration-retry", |s| {
        s.clients = 1;
        s.operators[0].deaths = 0;
    })
}

/// H06: SETSLOT NODE at the source first. The operator never gets to the target, and nobody owns the slot.
#[test]
fn h06_the_source_lets_go_before_the_target_takes() {
    found(
        built_in("migration-source-first"),
        "L1",
        "
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at A: CLUSTER SETSLOT 1 MIGRATING B
operator: no key is left to move
operator at A: CLUSTER SETSLOT 1 NODE B
B hears a PING of A
C hears a PING of A
A hears a PING of B
operator dies, and never comes back
",
        "
A: current epoch 3, ok; self epoch 1 {0}; B epoch 2 {1-2}; C epoch 3 {3}; not claimed {1}
B: current epoch 3, ok; A epoch 1 {0-1}; self epoch 2 {2}; C epoch 3 {3}; [1<-A]; not claimed {1}
C: current epoch 3, ok; A epoch 1 {0-1}; B epoch 2 {2}; self epoch 3 {3}; not claimed {1}
k (slot 1, not there for clients):
operator: gone for good
",
    );
}

/// H09: without IMPORTING the target does not raise its epoch. Its claim is never believed; in the shortest run not even by itself.
#[test]
fn h09_without_importing_the_observer_never_believes_the_new_owner() {
    found(
        built_in("migration-h09"),
        "L2",
        "
operator at B: CLUSTER SETSLOT 1 NODE B
B hears a PING of A
operator at A: CLUSTER SETSLOT 1 NODE B
B hears a PING of A
C hears a PING of A
A hears a PING of B
",
        "
A: current epoch 3, ok; self epoch 3 {0}; B epoch 1 {1-2}; C epoch 2 {3}; not claimed {1}
B: current epoch 3, ok; A epoch 3 {0-1}; self epoch 1 {2}; C epoch 2 {3}; not claimed {1}
C: current epoch 3, ok; A epoch 3 {0-1}; B epoch 1 {2}; self epoch 2 {3}; not claimed {1}
operator: done
",
    );
}

/// H12: a client follows its ASK while the operator aborts.
#[test]
fn h12_an_asked_write_and_an_abort_lose_an_acknowledged_key() {
    found(
        built_in("migration-h12"),
        "S6",
        "
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at A: CLUSTER SETSLOT 1 MIGRATING B
a client wants to change k at A -> ASK B
operator at A: CLUSTER SETSLOT 1 STABLE
a client follows its ASK to B: SET k
operator at B: CLUSTER SETSLOT 1 STABLE
",
        "
A: current epoch 2, ok; self epoch 1 {0-1}; B epoch 2 {2}
B: current epoch 2, ok; A epoch 1 {0-1}; self epoch 2 {2}
k (slot 1, written for clients): Latest at B
operator: done
",
    );
}

/// H13: the answer of a MIGRATE is lost, the key is on both sides and deleted on one. The move goes on, and the key is back.
#[test]
fn h13_a_lost_answer_of_migrate_brings_a_deleted_key_back() {
    found(
        lost_answers(),
        "S8",
        "
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at A: CLUSTER SETSLOT 1 MIGRATING B
operator: MIGRATE, A sends k to B
B executes RESTORE-ASKING of k
MIGRATE of k at A hears no answer in time
a client: DEL k at A
operator: no key is left to move
operator at B: CLUSTER SETSLOT 1 NODE B
A hears a PING of B
C hears a PING of B
operator at A: CLUSTER SETSLOT 1 NODE B
operator at C: CLUSTER SETSLOT 1 NODE B
",
        "
A: current epoch 4, ok; self epoch 1 {0}; B epoch 4 {1-2}; C epoch 3 {3}
B: current epoch 4, ok; A epoch 1 {0}; self epoch 4 {1-2}; C epoch 3 {3}
C: current epoch 4, ok; A epoch 1 {0}; B epoch 4 {1-2}; self epoch 3 {3}
k (slot 1, not there for clients): Old at B
operator: done
",
    );
}

/// H13: the request of a MIGRATE that was given up is executed when the slot has its new owner: with REPLACE, over a newer value.
#[test]
fn h13_a_late_request_overwrites_a_newer_value() {
    found(
        lost_answers(),
        "S6",
        "
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at A: CLUSTER SETSLOT 1 MIGRATING B
operator: MIGRATE, A sends k to B
MIGRATE of k at A hears no answer in time
a client: DEL k at A
operator: no key is left to move
operator at B: CLUSTER SETSLOT 1 NODE B
A hears a PING of B
C hears a PING of B
operator at A: CLUSTER SETSLOT 1 NODE B
operator at C: CLUSTER SETSLOT 1 NODE B
a client: SET k at B
B executes RESTORE-ASKING of k
",
        "
A: current epoch 4, ok; self epoch 1 {0}; B epoch 4 {1-2}; C epoch 3 {3}
B: current epoch 4, ok; A epoch 1 {0}; self epoch 4 {1-2}; C epoch 3 {3}
C: current epoch 4, ok; A epoch 1 {0}; B epoch 4 {1-2}; self epoch 3 {3}
k (slot 1, written for clients): Old at B
operator: done
",
    );
}

/// H15: a slot is taken from a master that holds its keys.
#[test]
fn h15_whoever_loses_a_slot_deletes_its_keys() {
    found(
        built_in("migration-stolen"),
        "S10",
        "
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at B: CLUSTER SETSLOT 1 NODE B
A hears a PING of B
",
        "
A: current epoch 4, ok; self epoch 1 {0}; B epoch 4 {1-2}; C epoch 3 {3}
B: current epoch 4, ok; A epoch 1 {0}; self epoch 4 {1-2}; C epoch 3 {3}
C: current epoch 3, ok; A epoch 1 {0-1}; B epoch 2 {2}; self epoch 3 {3}
k (slot 1, written for clients):
operator: done
",
    );
}

/// H16: the deletion was not durable. The loser starts with keys of a slot that is another's, opens it as importing, and nothing closes it.
#[test]
fn h16_a_restart_with_keys_of_a_lost_slot_opens_it_for_ever() {
    found(
        built_in("migration-stolen-crash"),
        "L5",
        "
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at B: CLUSTER SETSLOT 1 NODE B
A hears a PING of B
C hears a PING of B
A crashes
A starts from its nodes.conf
at A, the first two seconds are over
",
        "
A: current epoch 4, ok; self epoch 1 {0}; B epoch 4 {1-2}; C epoch 3 {3}; [1<-B]
B: current epoch 4, ok; A epoch 1 {0}; self epoch 4 {1-2}; C epoch 3 {3}
C: current epoch 4, ok; A epoch 1 {0}; B epoch 4 {1-2}; self epoch 3 {3}
k (slot 1, written for clients): Latest at A
operator: done
",
    );
}

/// H19, without replicas: a node imports a slot that went elsewhere. While it does no packet moves the slot there, so it never learns.
#[test]
fn h19_a_slot_opened_at_a_third_node_stays_open() {
    found(
        reduced("migration-stuck", |_| ()),
        "L5",
        "
operator at C: CLUSTER SETSLOT 1 IMPORTING A
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at A: CLUSTER SETSLOT 1 MIGRATING B
operator: no key is left to move
operator at B: CLUSTER SETSLOT 1 NODE B
A hears a PING of B
C hears a PING of A
C hears a PING of B
operator at A: CLUSTER SETSLOT 1 NODE B
",
        "
A: current epoch 4, ok; self epoch 1 {0}; B epoch 4 {1-2}; C epoch 3 {3}
B: current epoch 4, ok; A epoch 1 {0}; self epoch 4 {1-2}; C epoch 3 {3}
C: current epoch 4, ok; A epoch 1 {0-1}; B epoch 4 {2}; self epoch 3 {3}; [1<-A]; not claimed {1}
k (slot 1, not there for clients):
operator: done
",
    );
}

/// H21: the epoch of the target is the greatest already, so nothing is fsynced when it takes the slot. It forgets, the source does not: nobody
/// owns the slot.
#[test]
fn h21_a_power_failure_takes_a_slot_from_its_new_owner() {
    found(
        built_in("migration-h21"),
        "L1",
        "
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at A: CLUSTER SETSLOT 1 MIGRATING B
operator: no key is left to move
operator at B: CLUSTER SETSLOT 1 NODE B
operator at A: CLUSTER SETSLOT 1 NODE B
C hears a PING of A
what A wrote becomes durable
B crashes (power)
B starts from its nodes.conf
B hears a PING of A
A hears a PING of B
at B, the first two seconds are over
",
        "
A: current epoch 3, ok; self epoch 1 {0}; B epoch 3 {1-2}; C epoch 2 {3}; not claimed {1}
B: current epoch 3, ok; A epoch 1 {0-1}; self epoch 3 {2}; C epoch 2 {3}; not claimed {1}
C: current epoch 3, ok; A epoch 1 {0-1}; B epoch 3 {2}; self epoch 2 {3}; not claimed {1}
k (slot 1, not there for clients):
operator: done
",
    );
    assert_eq!(
        explore(built_in("hardened-h21")).steps("L1"),
        None,
        "where SETSLOT is fsynced the slot keeps its owner"
    );
}

/// H21 at the source: it claims again, at its old epoch, what it gave away.
#[test]
fn h21_a_power_failure_gives_a_slot_back_to_its_old_owner() {
    found(
        built_in("migration-power"),
        "S9",
        "
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at A: CLUSTER SETSLOT 1 MIGRATING B
operator: no key is left to move
operator at B: CLUSTER SETSLOT 1 NODE B
operator at A: CLUSTER SETSLOT 1 NODE B
A crashes (power)
A starts from its nodes.conf
",
        "
A: current epoch 3, fail; self epoch 1 {0-1}; B epoch 2 {2}; C epoch 3 {3}
B: current epoch 4, ok; A epoch 1 {0}; self epoch 4 {1-2}; C epoch 3 {3}
C: current epoch 3, ok; A epoch 1 {0-1}; B epoch 2 {2}; self epoch 3 {3}
k (slot 1, not there for clients):
operator: at step 5
",
    );
}

/// H22: the operator dies and begins anew with another target. Two nodes took the slot, and it ends with none.
#[test]
fn h22_another_target_and_nobody_owns_the_slot() {
    found(
        reduced("migration-two-targets", |s| s.clients = 0),
        "L1",
        "
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at A: CLUSTER SETSLOT 1 MIGRATING B
operator: no key is left to move
operator at B: CLUSTER SETSLOT 1 NODE B
operator dies
operator comes back and begins at step 7
operator at C: CLUSTER SETSLOT 1 IMPORTING A
operator at A: CLUSTER SETSLOT 1 MIGRATING C
A hears a PING of B
operator: no key is left to move
operator at C: CLUSTER SETSLOT 1 NODE C
C hears a PING of B
operator at A: CLUSTER SETSLOT 1 NODE C
A hears a PING of C
operator at B: CLUSTER SETSLOT 1 NODE C
C hears a PING of B
B hears a PING of C
",
        "
A: current epoch 4, ok; self epoch 1 {0}; B epoch 4 {2}; C epoch 3 {1,3}; not claimed {1}
B: current epoch 4, ok; A epoch 1 {0}; self epoch 4 {2}; C epoch 3 {1,3}; not claimed {1}
C: current epoch 4, ok; A epoch 1 {0}; B epoch 4 {1-2}; self epoch 3 {3}; not claimed {1}
k (slot 1, not there for clients):
operator: done
",
    );
}

/// H22: the key went to the first target, the slot to the second.
#[test]
fn h22_another_target_and_the_key_stays_at_the_first() {
    found(
        reduced("migration-two-targets", |s| s.clients = 0),
        "S6",
        "
operator at B: CLUSTER SETSLOT 1 IMPORTING A
operator at A: CLUSTER SETSLOT 1 MIGRATING B
operator: MIGRATE, A sends k to B
operator dies
operator comes back and begins at step 7
operator at C: CLUSTER SETSLOT 1 IMPORTING A
B executes RESTORE-ASKING of k
A hears the answer about k
operator at A: CLUSTER SETSLOT 1 MIGRATING C
operator: no key is left to move
operator at C: CLUSTER SETSLOT 1 NODE C
operator at A: CLUSTER SETSLOT 1 NODE C
operator at B: CLUSTER SETSLOT 1 NODE C
",
        "
A: current epoch 3, ok; self epoch 1 {0}; B epoch 2 {2}; C epoch 3 {1,3}
B: current epoch 3, ok; A epoch 1 {0}; self epoch 2 {2}; C epoch 3 {1,3}; [1<-A]
C: current epoch 3, ok; A epoch 1 {0}; B epoch 2 {2}; self epoch 3 {1,3}
k (slot 1, written for clients): Latest at B
operator: done
",
    );
}

/// H23: the rule from before 7.0.3 answers ASK as soon as one of several keys is missing. The target answers TRYAGAIN then, and S14 holds.
#[test]
fn h23_the_old_rule_runs_no_command_with_keys_missing() {
    let old = explore(built_in("migration-2-keys-old"));
    assert!(old.report.complete());
    assert!(old.world.scenario().switches.get("migrating_tryagain") == Some(&false));
    assert_eq!(old.steps("S14"), None);
}

/// H40b: a heartbeat from before the removal arrives when the blacklist's time is over.
#[test]
fn h40b_an_old_heartbeat_brings_a_forgotten_node_back() {
    found(
        built_in("gossip-forget-late"),
        "L7",
        "
operator at A: CLUSTER FORGET C
operator at B: CLUSTER FORGET C
at A, C may be learned again
A hears an old PING of B, with gossip about C
A hears a PING of C
operator at C: CLUSTER RESET SOFT
",
        "
A: current epoch 3, ok; self epoch 1 {0}; B epoch 2 {1}; C epoch 3 {}
B: current epoch 3, ok; A epoch 1 {0}; self epoch 2 {1}
C: current epoch 3, fail; self epoch 3 {}; InMinority
operator: done
",
    );
}
