//! Claim: every built-in scenario, explored to its end, has exactly these states, and its properties come out as it expects.
//!
//! A count that moves is explained in the commit that moves it. Both explorers count the same.

use slotproof_model::check::explore::Explorable;
use slotproof_model::check::scenario::{BUILT_IN, Expect};
use slotproof_proofs::{Explored, built_in, explore};

/// Name, d, unique states, depth, properties that are violated (known hazards of the rules).
type Row = (&'static str, u8, usize, usize, &'static str);

/// Each row is a test of its own, so that they run side by side.
macro_rules! ledger {
    ($($test:ident: $row:expr,)*) => {
        const LEDGER: &[Row] = &[$($row),*];
        $(#[test]
        fn $test() {
            compare($row);
        })*
    };
}

ledger! {
    gossip_2: ("gossip-2", 1, 1_631, 17, ""),
    gossip_2_reset: ("gossip-2-reset", 1, 3_655, 18, "L2"),
    gossip_3_chain: ("gossip-3-chain", 1, 444_871, 31, "L2"),
    gossip_3_chain_late: ("gossip-3-chain-late", 0, 578_059, 34, "L2"),
    gossip_collision: ("gossip-collision", 2, 11_685, 8, ""),
    gossip_contend: ("gossip-contend", 2, 7_127_284, 28, "L1 L2"),
    fd_3_crash: ("fd-3-crash", 1, 968, 15, ""),
    fd_3_cut_in: ("fd-3-cut-in", 1, 54_021, 17, ""),
    fd_3_cut_out: ("fd-3-cut-out", 1, 48_521, 17, ""),
    fd_3_early: ("fd-3-early", 1, 123_307, 13, ""),
    fd_5_crash: ("fd-5-crash", 0, 21_870, 23, ""),
    fd_5_2_crashes: ("fd-5-2-crashes", 0, 12_139_957, 29, ""),
    fd_3_crash_pause: ("fd-3-crash-pause", 1, 6_973_447, 32, ""),
    fd_3_pause: ("fd-3-pause", 1, 443_964, 23, ""),
    migration_last_slot: ("migration-last-slot", 0, 5_775, 19, ""),
    migration_crash: ("migration-crash", 0, 22_418, 23, "S6 S7 S8"),
    migration_power: ("migration-power", 0, 48_076, 26, "S10 S6 S7 S8 S9"),
    migration_h09: ("migration-h09", 1, 2_392, 13, "L1 L2 S9"),
    migration_h12: ("migration-h12", 1, 23, 8, "S6 S7"),
    migration_retry: ("migration-retry", 1, 1_406_069, 29, "S6 S7 S8"),
    migration_no_replace: ("migration-no-replace", 1, 1_240_307, 29, "S7 S8"),
    migration_abort: ("migration-abort", 1, 3_037_757, 30, "S6 S7 S8"),
    migration_resume: ("migration-resume", 2, 1_869_156, 25, ""),
}

/// Above 20 million states: `slotproof check --all` explores them.
const FURTHER: [Row; 1] = [("gossip-3-chain-late", 1, 25_894_644, 39, "L2")];

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
#[ignore = "takes minutes and gigabytes"]
fn further_bounds() {
    for row in FURTHER {
        compare(row);
    }
}

#[test]
fn stateright_counts_the_same() {
    for row in LEDGER.iter().filter(|r| r.2 < 250_000) {
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
        let scenario = built_in(name);
        assert_eq!(scenario.name, *name);
        let mut rows = LEDGER.iter().chain(&FURTHER).filter(|r| r.0 == *name).map(|r| r.1);
        assert_eq!(rows.next(), Some(scenario.d), "{name}: the bound that ships is in the ledger");
        assert_eq!(rows.collect::<Vec<u8>>(), scenario.further_d, "{name}: further bounds");
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
