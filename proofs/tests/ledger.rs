//! Claim: every built-in scenario, explored to its end, has exactly these states, and its properties come out as it expects.
//!
//! A count that moves is explained in the commit that moves it. Both explorers count the same.

use slotproof_model::check::explore::Explorable;
use slotproof_model::check::scenario::{BUILT_IN, Expect};
use slotproof_proofs::{Explored, built_in, explore};

/// Name, d, unique states, depth, properties that are violated (known hazards of the rules).
type Row = (&'static str, u8, usize, usize, &'static str);

const LEDGER: [Row; 21] = [
    ("gossip-2", 1, 1631, 17, ""),
    ("gossip-2-reset", 1, 3655, 18, "L2"),
    ("gossip-3-chain", 0, 578059, 34, "L2"),
    ("gossip-collision", 2, 11685, 8, ""),
    ("gossip-contend", 1, 207387, 22, "L1 L2"),
    ("fd-3-crash", 1, 968, 15, ""),
    ("fd-3-cut-in", 1, 54021, 17, ""),
    ("fd-3-cut-out", 1, 48521, 17, ""),
    ("fd-3-early", 1, 123307, 13, ""),
    ("fd-5-crash", 0, 21870, 23, ""),
    ("fd-3-crash-pause", 0, 41581, 19, ""),
    ("fd-3-pause", 1, 443964, 23, ""),
    ("migration-last-slot", 0, 8947, 19, ""),
    ("migration-crash", 0, 37075, 23, "S6 S7 S8"),
    ("migration-power", 0, 74263, 26, "S10 S6 S7 S8 S9"),
    ("migration-h09", 1, 2392, 13, "L1 L2 S9"),
    ("migration-h12", 1, 29, 8, "S6 S7"),
    ("migration-retry", 0, 193662, 25, "S6 S7 S8"),
    ("migration-no-replace", 0, 172257, 25, "S7 S8"),
    ("migration-abort", 0, 440091, 26, "S6 S7 S8"),
    ("migration-resume", 1, 227710, 24, ""),
];

/// Minutes each: greater bounds, and the scenario that is only run here.
const SLOW: [Row; 5] = [
    ("gossip-contend", 2, 7_127_284, 28, "L1 L2"),
    ("fd-3-crash-pause", 1, 6_973_447, 32, ""),
    ("migration-resume", 2, 3_919_198, 27, ""),
    ("migration-no-replace", 1, 7_640_745, 31, "S7 S8"),
    ("migration-retry", 1, 8_595_220, 31, "S6 S7 S8"),
];

/// The greatest of them, beside the others on a second core.
const GREATEST: Row = ("migration-abort", 1, 17_982_755, 31, "S6 S7 S8");

/// Scenarios that are run by hand (`slotproof check fd-5-2-crashes`): 12,139,957 states, six and a half minutes.
const BY_HAND: [&str; 1] = ["fd-5-2-crashes"];

fn compare((name, d, states, depth, violated): Row) -> Explored {
    let mut scenario = built_in(name);
    scenario.d = d;
    let e = explore(scenario);
    assert!(e.report.complete(), "{name}: explored to the end, {:?}", e.report.bounds);
    assert_eq!((e.report.states, e.report.depth), (states, depth), "{name}: states and depth");
    assert_eq!(e.violated().join(" "), violated, "{name}: violated");
    assert!(e.report.quiescent_not_bottom.is_none(), "{name}: every quiescent state is a bottom");
    assert_eq!(e.report.bottoms.larger.len(), 0, "{name}: no bottom is larger than one state");
    for (property, expect) in &e.world.scenario().expect {
        assert_eq!(
            e.steps(property).is_some(),
            *expect == Expect::Violated,
            "{name}: {property} as it expects"
        );
    }
    e
}

#[test]
fn exact_states_and_verdicts() {
    for row in LEDGER {
        compare(row);
    }
}

#[test]
#[ignore = "takes minutes"]
fn exact_states_and_verdicts_at_greater_bounds() {
    for row in SLOW {
        compare(row);
    }
}

#[test]
#[ignore = "takes minutes"]
fn exact_states_and_verdicts_of_the_greatest_world() {
    compare(GREATEST);
}

#[test]
fn stateright_counts_the_same() {
    for row in LEDGER.into_iter().filter(|r| r.2 < 250_000) {
        let mut scenario = built_in(row.0);
        scenario.d = row.1;
        let world = slotproof_model::check::world::World::new(scenario).expect("a world");
        let counts = slotproof_model::check::explore::spawn_bfs_counts(std::sync::Arc::new(world), 1);
        assert_eq!(counts.states, row.2, "{}", row.0);
    }
}

#[test]
fn every_built_in_scenario_is_in_the_ledger() {
    for (name, _) in BUILT_IN {
        let here = LEDGER.iter().chain(&SLOW).any(|r| r.0 == *name) || BY_HAND.contains(name);
        assert!(here, "{name}");
        assert_eq!(built_in(name).name, *name);
    }
}

#[test]
fn an_encoded_state_is_the_state() {
    let e = compare(LEDGER[0]);
    let c = explore(built_in("gossip-2-reset"));
    let path = &c.report.counterexample("L2").expect("violated").path;
    for step in &path.steps {
        let mut bytes = Vec::new();
        c.world.encode(&step.state, &mut bytes);
        assert_eq!(c.world.decode(&bytes), step.state);
    }
    drop(e);
}
