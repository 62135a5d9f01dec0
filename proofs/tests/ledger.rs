//! Claim: every built-in scenario, explored to its end, has exactly these states, and its properties come out as it expects.
//!
//! A count that moves is explained in the commit that moves it. Both explorers count the same.

use slotproof_model::check::explore::Explorable;
use slotproof_model::check::scenario::{BUILT_IN, Expect};
use slotproof_proofs::{Explored, Row, built_in, explore, long, pages, worlds};

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
    gossip_2_reset: ("gossip-2-reset", 1, 3_655, 18, "L2 11"),
    gossip_3_chain: ("gossip-3-chain", 1, 444_871, 31, "L2 22"),
    gossip_3_chain_late: ("gossip-3-chain-late", 0, 578_059, 34, "L2 22"),
    gossip_collision: ("gossip-collision", 2, 11_685, 8, ""),
    gossip_contend: ("gossip-contend", 2, 7_127_284, 28, "L1 10, L2 10"),
    gossip_3_hub: ("gossip-3-hub", 0, 29_575, 31, "L2 22"),
    gossip_3_ring: ("gossip-3-ring", 0, 7_806_219, 36, ""),
    gossip_3_in: ("gossip-3-in", 0, 37_799, 31, "L2 22"),
    gossip_3_restart: ("gossip-3-restart", 0, 6_495_420, 40, "L2 11"),
    gossip_4_chain: ("gossip-4-chain", 0, 3_272_532, 41, ""),
    gossip_same_slot: ("gossip-same-slot", 1, 919, 14, ""),
    gossip_collision_2: ("gossip-collision-2", 2, 15, 3, ""),
    gossip_collision_4: ("gossip-collision-4", 1, 2_082_021, 17, ""),
    gossip_forget: ("gossip-forget", 1, 34, 6, ""),
    gossip_forget_missed: ("gossip-forget-missed", 1, 15, 5, "L7 1"),
    gossip_forget_late: ("gossip-forget-late", 1, 278, 10, "L7 6"),
    gossip_reset_soft: ("gossip-reset-soft", 1, 17, 4, ""),
    gossip_reset_hard: ("gossip-reset-hard", 1, 6, 2, ""),
    gossip_recycled: ("gossip-recycled", 1, 65_112, 16, ""),
    gossip_moved: ("gossip-moved", 1, 63, 7, "L2 3"),
    fd_3_crash: ("fd-3-crash", 1, 968, 15, ""),
    fd_3_pause: ("fd-3-pause", 1, 443_964, 23, ""),
    fd_3_cut_out: ("fd-3-cut-out", 1, 48_521, 17, ""),
    fd_3_cut_in: ("fd-3-cut-in", 1, 54_021, 17, ""),
    fd_3_crash_pause: ("fd-3-crash-pause", 1, 689_169, 24, ""),
    fd_3_early: ("fd-3-early", 1, 123_307, 13, ""),
    fd_3_2_deaths: ("fd-3-2-deaths", 1, 3_951, 15, ""),
    fd_3_2_pauses: ("fd-3-2-pauses", 0, 651_987, 26, ""),
    fd_3_death_cut: ("fd-3-death-cut", 0, 23_727, 19, ""),
    fd_3_death_cut_in: ("fd-3-death-cut-in", 0, 4_210, 18, ""),
    fd_3_cut_both: ("fd-3-cut-both", 0, 204_158, 26, ""),
    fd_3_pause_cut_out: ("fd-3-pause-cut-out", 0, 563_927, 26, ""),
    fd_3_pause_cut_in: ("fd-3-pause-cut-in", 0, 555_639, 26, ""),
    fd_3_2_cuts_out: ("fd-3-2-cuts-out", 0, 150_635, 26, ""),
    fd_3_2_cuts_in: ("fd-3-2-cuts-in", 0, 156_847, 26, ""),
    fd_3_cut_pair: ("fd-3-cut-pair", 1, 275, 9, ""),
    fd_3_cut_pairs: ("fd-3-cut-pairs", 1, 244_699, 21, ""),
    fd_2_lost_ping: ("fd-2-lost-ping", 0, 104, 9, "L6 5"),
    fd_3_lost_ping: ("fd-3-lost-ping", 0, 32_432, 17, "L6 7"),
    fd_5_crash: ("fd-5-crash", 0, 1_099, 23, ""),
    fd_5_pause: ("fd-5-pause", 0, 4_207, 20, ""),
    fd_5_cut_out: ("fd-5-cut-out", 0, 4_207, 20, ""),
    fd_5_cut_in: ("fd-5-cut-in", 0, 4_207, 20, ""),
    fd_5_healthy: ("fd-5-healthy", 0, 16_013, 19, ""),
    fd_5_minority: ("fd-5-minority", 2, 70_519, 13, ""),
    fd_5_2_crashes: ("fd-5-2-crashes", 0, 2_039_340, 29, ""),
    migration_resume: ("migration-resume", 2, 1_869_156, 25, ""),
    migration_retry: ("migration-retry", 1, 1_406_069, 29, "S6 9, S7 6, S8 7"),
    migration_no_replace: ("migration-no-replace", 1, 1_240_307, 29, "S7 6, S8 7"),
    migration_abort: ("migration-abort", 1, 3_037_757, 30, "S6 8, S7 6, S8 7"),
    migration_crash: ("migration-crash", 0, 22_418, 23, "S6 12, S7 9, S8 10"),
    migration_power: ("migration-power", 0, 48_076, 26, "S10 9, S6 11, S7 9, S8 11, S9 7"),
    migration_last_slot: ("migration-last-slot", 0, 5_775, 19, ""),
    migration_h09: ("migration-h09", 1, 2_392, 13, "L1 6, L2 6, S9 1"),
    migration_h12: ("migration-h12", 1, 23, 8, "S6 6, S7 7"),
    migration_2_keys: ("migration-2-keys", 0, 9_252, 20, ""),
    migration_2_keys_old: ("migration-2-keys-old", 0, 9_252, 20, ""),
    migration_target_first: ("migration-target-first", 0, 1_224, 19, "S10 4, S14 3, S6 8"),
    migration_source_first: ("migration-source-first", 1, 43_714, 22, "L1 8, L2 8, S10 8, S6 10"),
    migration_migrating_first: ("migration-migrating-first", 1, 117_190, 22, ""),
    migration_two_targets: ("migration-two-targets", 0, 1_121_320, 36, "L1 17, L2 11, L5 2, S10 13, S6 12, S7 13, S8 16"),
    migration_two_operators: ("migration-two-operators", 0, 3_179_954, 33, "L1 18, L2 8, L5 8, S10 10, S6 13, S8 15"),
    migration_to_and_fro: ("migration-to-and-fro", 0, 55_876, 46, "L1 33, L2 33, S10 27, S6 33, S9 26"),
    migration_again: ("migration-again", 0, 5_418, 21, ""),
    migration_roll_back: ("migration-roll-back", 0, 96, 16, "S6 9, S7 10, S8 13"),
    migration_clients: ("migration-clients", 0, 21_018, 21, ""),
    migration_2_slots: ("migration-2-slots", 0, 552_872, 32, ""),
    migration_ring: ("migration-ring", 0, 65_807, 29, "L1 14, L2 14, S10 12, S6 16"),
    migration_crash_2_keys: ("migration-crash-2-keys", 0, 100_856, 26, "S6 12, S7 9, S8 10"),
    migration_crash_2_slots: ("migration-crash-2-slots", 0, 205_222, 36, "S7 9"),
    migration_power_2_keys: ("migration-power-2-keys", 0, 302_295, 29, "S10 10, S14 7, S6 9, S7 9, S8 11, S9 8"),
    migration_power_2_slots: ("migration-power-2-slots", 0, 412_503, 38, "L1 23, L2 23, S6 23, S7 9, S9 10"),
    migration_h21: ("migration-h21", 0, 6_535, 23, "L1 12, L2 12, L5 9, S6 15, S7 12"),
    migration_stuck: ("migration-stuck", 1, 2_987, 17, "L2 9, L5 9"),
    migration_stolen: ("migration-stolen", 0, 382, 12, "S10 3, S6 4"),
    migration_stolen_crash: ("migration-stolen-crash", 0, 376, 13, "L5 7, S10 3, S6 4"),
    hardened_meet: ("hardened-meet", 1, 22_299, 22, ""),
    hardened_h09: ("hardened-h09", 1, 4_016, 14, ""),
    hardened_power: ("hardened-power", 0, 10_997, 22, "S6 11, S7 8, S8 9"),
    hardened_moved: ("hardened-moved", 1, 24, 5, ""),
    hardened_lost_ping: ("hardened-lost-ping", 0, 104, 9, ""),
    hardened_h21: ("hardened-h21", 0, 560, 17, "L5 8, S7 11"),
    hardened_power_2_slots: ("hardened-power-2-slots", 0, 20_724, 33, "S7 8"),
    hardened_ring: ("hardened-ring", 0, 178_013, 29, "S6 16"),
    hardened_to_and_fro: ("hardened-to-and-fro", 0, 238_519, 52, ""),
    hardened_tug: ("hardened-tug", 0, 355_036, 35, ""),
    mixed_h09_source: ("mixed-h09-source", 1, 2_392, 13, "L1 6, L2 6, S9 1"),
    mixed_h09_target: ("mixed-h09-target", 1, 4_016, 14, ""),
    mixed_meet_first: ("mixed-meet-first", 1, 22_299, 22, ""),
    mixed_meet_second: ("mixed-meet-second", 1, 3_655, 18, "L2 11"),
    mixed_power_source: ("mixed-power-source", 0, 11_191, 22, "S6 12, S7 9, S8 10"),
    mixed_power_target: ("mixed-power-target", 0, 50_863, 26, "S10 9, S6 11, S7 8, S8 10, S9 7"),
    mixed_ring_source: ("mixed-ring-source", 0, 65_807, 29, "L1 14, L2 14, S10 12, S6 16"),
    mixed_ring_target: ("mixed-ring-target", 0, 178_013, 29, "S6 16"),
}

/// Above 20 million states, or too long for every day: `slotproof check --all` explores them.
const FURTHER: [Row; 13] = [
    ("gossip-3-chain-late", 1, 25_894_644, 39, "L2 22"),
    ("fd-5-crash-late", 1, 609_849, 24, ""),
    ("fd-5-death-pause", 0, 433_077, 30, ""),
    ("fd-5-death-cut-out", 0, 433_075, 30, ""),
    ("fd-5-death-cut-in", 0, 433_078, 30, ""),
    ("fd-5-2-pauses", 0, 493_870, 31, ""),
    ("fd-5-pause-cut-out", 0, 939_171, 31, ""),
    ("fd-5-pause-cut-in", 0, 939_174, 31, ""),
    ("fd-5-2-cuts-out", 0, 466_547, 31, ""),
    ("fd-5-2-cuts-in", 0, 466_550, 31, ""),
    ("fd-5-cut-both", 0, 911_851, 31, ""),
    ("migration-crash-2-slots-client", 0, 6_176_164, 38, "S6 12, S7 9, S8 10"),
    ("migration-power-2-slots-client", 0, 15_810_605, 39, "L1 19, L2 19, S10 10, S6 12, S7 9, S8 11, S9 8"),
];

fn compare((name, d, states, depth, violated): Row) -> Explored {
    let mut scenario = built_in(name);
    scenario.d = d;
    let e = explore(scenario);
    assert!(e.report.complete(), "{name}: explored to the end, {:?}", e.report.bounds);
    assert_eq!((e.report.states, e.report.depth), (states, depth), "{name}: states and depth");
    let found: Vec<String> =
        e.violated().iter().map(|p| format!("{p} {}", e.steps(p).unwrap_or_default())).collect();
    assert_eq!(found.join(", "), violated, "{name}: violated, in so many steps");
    assert!(e.report.quiescent_not_bottom.is_none(), "{name}: every quiescent state is a bottom");
    assert_eq!(e.report.bottoms.larger.len(), 0, "{name}: no bottom is larger than one state");
    // Of a world the above is so by definition; this is not: where no fair step is left, nobody waits and nothing is under way.
    assert_eq!(
        (e.report.bottoms.stuck, e.report.bottoms.unjudged),
        (0, 0),
        "{name}: every bottom is at rest"
    );
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
    let rows = if long() { FURTHER.len() } else { 3 };
    for row in FURTHER.iter().take(rows) {
        compare(*row);
    }
}

/// Counts the worlds whose states are so many with Stateright's own search.
fn by_stateright(sizes: std::ops::Range<usize>, threads: usize) {
    for (name, d, states, ..) in LEDGER.iter().filter(|row| sizes.contains(&row.2)) {
        let mut scenario = built_in(name);
        scenario.d = *d;
        let world = slotproof_model::check::world::World::new(scenario).expect("a world");
        let counts = slotproof_model::check::explore::spawn_bfs_counts(std::sync::Arc::new(world), threads);
        assert_eq!(counts.states, *states, "{name}");
    }
}

#[test]
fn stateright_counts_the_same() {
    by_stateright(0..250_000, 1);
}

/// Without `SLOTPROOF_LONG` the eight larger worlds are left out, for the minutes that they take.
#[test]
#[ignore = "takes minutes"]
fn stateright_counts_the_same_of_large_worlds() {
    by_stateright(250_000..if long() { usize::MAX } else { 2_000_000 }, 2);
}

#[test]
fn every_built_in_scenario_is_in_the_ledger() {
    for (name, _) in BUILT_IN {
        let scenario = built_in(name);
        assert_eq!(scenario.name, *name);
        assert_eq!(scenario.long, !LEDGER.iter().any(|r| r.0 == *name), "{name}: every day, or not");
        let mut rows = LEDGER.iter().chain(&FURTHER).filter(|r| r.0 == *name).map(|r| r.1);
        assert_eq!(rows.next(), Some(scenario.d), "{name}: the bound that ships is in the ledger");
        assert_eq!(rows.collect::<Vec<u8>>(), scenario.further_d, "{name}: further bounds");
    }
}

#[test]
fn tables_of_worlds_are_current() {
    pages::compare("README.md", &[("worlds", worlds::by_family(LEDGER, &FURTHER))]);
    pages::compare("docs/worlds.md", &[("worlds", worlds::in_full(LEDGER, &FURTHER))]);
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
