//! Claim: every property can fail. For each, a rule broken inside the step is caught, in a world where the property holds without it
//! (or, for S7 and S8, with a longer counterexample).

use slotproof_model::check::explore::Explorer;
use slotproof_model::check::scenario::{Expect, Initially, Scenario};
use slotproof_model::check::world::World;
use slotproof_model::fault::Fault;
use slotproof_proofs::{Explored, built_in, explore};

/// The scenario with a fault, and only the property that is to catch it.
fn faulty(mut scenario: Scenario, fault: Option<Fault>, property: &str) -> Explored {
    scenario.fault = fault;
    scenario.expect = [(property.to_string(), Expect::Violated)].into();
    explore(scenario)
}

/// Holds without the fault, is violated with it.
fn caught(scenario: &Scenario, fault: Fault, property: &str) {
    let sound = faulty(scenario.clone(), None, property);
    assert_eq!(sound.violated(), [""; 0], "{property} holds without {fault:?}");
    let broken = faulty(scenario.clone(), Some(fault), property);
    assert_eq!(broken.violated(), [property], "{fault:?} is caught");
}

/// A migration without anything that goes wrong, small.
fn migration() -> Scenario {
    let mut s = built_in("migration-resume");
    s.d = 0;
    s.operators[0].deaths = 0;
    s.operators[0].script = s.operators[0].script.clone();
    s
}

fn deaths(mut s: Scenario, n: u8) -> Scenario {
    s.operators[0].deaths = n;
    s
}

/// Failure detection with two early suspicions, and a heartbeat's memory.
fn suspicion() -> Scenario {
    let mut s = built_in("fd-3-early");
    s.d = 0;
    s.faults.early_pfail = 2.into();
    s
}

#[test]
fn s1_when_collisions_are_not_resolved() {
    let mut s = built_in("gossip-contend");
    s.d = 0;
    let broken = faulty(s, Some(Fault::NoCollisionResolution), "S1");
    assert_eq!(broken.violated(), ["S1"]);
}

#[test]
fn l3_when_collisions_are_not_resolved() {
    caught(&built_in("gossip-collision"), Fault::NoCollisionResolution, "L3");
}

#[test]
fn s4_when_a_recorded_epoch_goes_back() {
    let mut s = migration();
    s.d = 1;
    s.clients = 0;
    caught(&s, Fault::EpochGoesBack, "S4");
}

#[test]
fn s5_when_one_report_less_than_a_majority_is_enough() {
    // With three voters the report that is read and the reader itself are a majority already.
    caught(&built_in("fd-5-crash"), Fault::QuorumOneLess, "S5");
}

/// The world with the fault has no end that is near: the search stops at the violation.
#[test]
fn s13_when_gossip_introduces_whoever_lives_there() {
    let mut s = built_in("gossip-recycled");
    s.d = 0;
    s.fault = Some(Fault::GossipMeetsUnknown);
    let world = World::new(s).expect("a world");
    let report = Explorer::new(&world).claims(world.claims()).stop_at_violation().run();
    let found = report.counterexample("S13").expect("violated");
    let last = found.path.steps.last().expect("a step");
    let complaint = world.complaint("S13", &last.state).expect("what is wrong");
    assert!(complaint.ends_with("which belongs to another cluster"), "{complaint}");
}

#[test]
fn s6_when_the_keys_go_too_early() {
    for fault in [Fault::DropKeysOnMigrating, Fault::MigrateDeletesOnError] {
        let mut s = migration();
        if fault == Fault::MigrateDeletesOnError {
            // The target refuses what it does not import.
            s.operators[0].script = vec!["A: SETSLOT 1 MIGRATING B".into(), "A -> B: MOVE 1".into()];
            s.keys[0].exists = Initially::Yes;
            s.clients = 0;
        }
        caught(&s, fault, "S6");
    }
}

#[test]
fn s6_and_l1_when_set_slot_node_does_not_ask_for_keys() {
    let mut s = migration();
    s.operators[0].script = vec!["A: SETSLOT 1 MIGRATING B".into(), "A?: SETSLOT 1 NODE B".into()];
    s.keys[0].exists = Initially::Yes;
    s.clients = 0;
    caught(&s, Fault::SetSlotNodeIgnoresKeys, "S6");
    // The source lets go, and the target does not know: nobody claims the slot.
    caught(&s, Fault::SetSlotNodeIgnoresKeys, "L1");
}

#[test]
fn s7_when_migrate_keeps_the_key() {
    let mut s = migration();
    s.keys[0].exists = Initially::Yes;
    s.clients = 0;
    caught(&s, Fault::MigrateKeepsKey, "S7");
}

#[test]
fn s8_when_an_importing_node_serves_without_asking() {
    let mut s = migration();
    s.keys[0].exists = Initially::Yes;
    s.operators[0].script = vec![
        "B: SETSLOT 1 IMPORTING A".into(),
        "A: SETSLOT 1 MIGRATING B".into(),
        "A?: SETSLOT 1 STABLE".into(),
    ];
    s.faults.lost_replies = 0.into();
    let broken = faulty(s, Some(Fault::ImportingServesWithoutAsking), "S6");
    assert_eq!(broken.violated(), ["S6"], "a write where the key is not served");
    // A deleted key that is back: MIGRATE keeps the source's copy, and the abort shows it.
    let mut s = migration();
    s.keys[0].exists = Initially::Yes;
    s.operators[0].script.truncate(3);
    s.operators[0].script.push("A: SETSLOT 1 STABLE".into());
    caught(&s, Fault::MigrateKeepsKey, "S8");
}

#[test]
fn s9_when_a_new_owner_does_not_rise_above_the_old_one() {
    let mut s = migration();
    s.nodes[0].epoch = 3;
    s.nodes[1].epoch = 1;
    s.nodes[2].epoch = 2;
    s.clients = 0;
    caught(&s, Fault::BumpToSameEpoch, "S9");
}

#[test]
fn s10_when_any_claim_takes_a_slot() {
    let mut s = built_in("gossip-contend");
    s.d = 0;
    s.keys = built_in("migration-resume").keys;
    s.keys[0].slot = 3;
    s.keys[0].at = "A".into();
    s.keys[0].exists = Initially::Yes;
    s.nodes[0].epoch = 5;
    s.nodes[1].epoch = 1;
    s.nodes[2].epoch = 2;
    s.nodes[2].believes = vec![];
    s.nodes[2].believes.clear();
    s.nodes[1].slots = vec![1];
    s.nodes[0].believes.clear();
    s.nodes[1].believes.clear();
    // B believes that slot 3 is its own, at a lower epoch; A is right.
    s.nodes[1].slots = vec![1, 3];
    for i in [0, 2] {
        s.nodes[i].believes = vec![slotproof_model::check::scenario::Belief {
            node: "B".into(),
            epoch: None,
            slots: Some(vec![1]),
            flag: None,
            address_of: None,
        }];
    }
    s.nodes[1].believes = vec![slotproof_model::check::scenario::Belief {
        node: "A".into(),
        epoch: None,
        slots: Some(vec![0]),
        flag: None,
        address_of: None,
    }];
    caught(&s, Fault::ClaimAtAnyEpoch, "S10");
}

#[test]
fn l2_when_a_rebound_slot_is_lost() {
    let mut s = migration();
    s.clients = 0;
    s.operators[0].script.truncate(4);
    s.keys[0].exists = Initially::No;
    caught(&s, Fault::RebindLosesSlot, "L2");
    let mut s = deaths(migration(), 0);
    s.clients = 0;
    s.keys[0].exists = Initially::No;
    s.operators[0].script = vec!["A: DELSLOTS 1".into(), "B: DELSLOTS 1".into(), "B: ADDSLOTS 1".into()];
    caught(&s, Fault::RebindLosesSlot, "L2");
}

#[test]
fn l2_when_updates_are_ignored() {
    // B holds a slot that A took at a greater epoch, and cannot hear of it from A alone: A's own header says so too, so
    // the claim is what an UPDATE about a third node settles.
    let mut s = migration();
    s.clients = 0;
    s.keys[0].exists = Initially::No;
    s.operators[0].script.clear();
    s.nodes[0].slots = vec![0];
    s.nodes[1].slots = vec![1, 2];
    s.nodes[1].epoch = 5;
    s.nodes[2].epoch = 3;
    s.nodes[1].down = true;
    s.nodes[2].slots = vec![1, 3];
    s.nodes[0].believes = vec![slotproof_model::check::scenario::Belief {
        node: "C".into(),
        epoch: None,
        slots: Some(vec![3]),
        flag: None,
        address_of: None,
    }];
    s.nodes[2].believes = vec![slotproof_model::check::scenario::Belief {
        node: "B".into(),
        epoch: Some(2),
        slots: Some(vec![2]),
        flag: None,
        address_of: None,
    }];
    s.options.patient = true;
    caught(&s, Fault::IgnoreUpdates, "L2");
}

#[test]
fn l5_when_stable_closes_nothing() {
    let mut s = migration();
    s.clients = 0;
    s.operators[0].script = vec!["A: SETSLOT 1 MIGRATING B".into(), "A: SETSLOT 1 STABLE".into()];
    caught(&s, Fault::StableKeepsOpen, "L5");
}

#[test]
fn l6_when_fail_or_pfail_stay_for_ever() {
    caught(&suspicion(), Fault::FailForever, "L6");
    caught(&suspicion(), Fault::PfailForever, "L6");
}

/// What those worlds leave out is not what would show it.
#[test]
fn s5_and_l6_with_five_voters() {
    caught(&built_in("fd-5-pause"), Fault::QuorumOneLess, "S5");
    let mut healthy = built_in("fd-5-healthy");
    healthy.faults.deaths = 0.into();
    healthy.faults.pauses = 0.into();
    healthy.faults.cuts_out = 0.into();
    caught(&healthy, Fault::QuorumOneLess, "S5");
    caught(&built_in("fd-5-cut-in"), Fault::FailForever, "L6");
}

#[test]
fn s5_when_reports_never_expire() {
    caught(&suspicion(), Fault::ReportsNeverExpire, "S5");
}

#[test]
fn s14_when_a_command_runs_with_keys_missing() {
    caught(&built_in("migration-2-keys"), Fault::ServesWithMissingKeys, "S14");
}

#[test]
fn l7_when_forget_keeps_no_blacklist() {
    caught(&built_in("gossip-forget"), Fault::ForgetsTheBlacklist, "L7");
}
