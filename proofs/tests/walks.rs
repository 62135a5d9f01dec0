//! Claim: far beyond the exhaustive bounds nothing new goes wrong: seeded random walks through a world of five masters and eight slots, with
//! all properties on that have something to look at there. A walk takes any step, then only fair ones until nothing is left to happen.
//!
//! Many walks are short, and some have thousands of steps. Of the properties that a world can judge they leave out L5 alone: an operator may die
//! for good, or be refused while a node is FAIL, and then a slot stays open. So there are long walks too in which all that goes wrong goes wrong at
//! a node which is no part of a migration: those leave out none.
//! In long walks nodes that are given keys are not paused: a MIGRATE to a node that sleeps may run out of time, which is H13.
#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;

use quickcheck::{Arbitrary, Gen};
use slotproof_model::check::explore::{Explorable, StepKind, Taken};
use slotproof_model::check::scenario::{BudgetSpec, Budgets, PROPERTIES, Scenario};
use slotproof_model::check::world::{Step, World, WorldState};
use stateright::Model;

const WORLD: &str = r#"
name = "walk"
family = "slot-migration"
about = "five masters, two operators who move slots in the recommended order, clients, suspicion, pauses"
slots = 8
d = 3
clients = 2
[[node]]
name = "A"
epoch = 1
slots = [0, 1, 2]
[[node]]
name = "B"
epoch = 2
slots = [3]
[[node]]
name = "C"
epoch = 3
slots = [4]
[[node]]
name = "D"
epoch = 4
slots = [5, 6]
[[node]]
name = "E"
epoch = 5
slots = [7]
[[key]]
name = "k"
slot = 1
at = "A"
exists = "either"
[[key]]
name = "l"
slot = 1
at = "A"
exists = "either"
[[key]]
name = "m"
slot = 6
at = "D"
exists = "either"
[[operator]]
script = ["B: SETSLOT 1 IMPORTING A", "A: SETSLOT 1 MIGRATING B", "A -> B: MOVE 1", "B: SETSLOT 1 NODE B", "A: SETSLOT 1 NODE B", "C: SETSLOT 1 NODE B", "D: SETSLOT 1 NODE B", "E: SETSLOT 1 NODE B"]
deaths = 1
[[operator]]
script = ["C: SETSLOT 6 IMPORTING D", "D: SETSLOT 6 MIGRATING C", "D -> C: MOVE 6", "C: SETSLOT 6 NODE C", "D: SETSLOT 6 NODE C", "A: SETSLOT 6 NODE C", "B: SETSLOT 6 NODE C", "E: SETSLOT 6 NODE C"]
[faults]
pauses = 2
early_pfail = 4
resets = 2
[options]
link_capacity = 30
[expect]
"#;

/// Asked of every step, of every state, and where nothing is left to happen.
const OF_STEPS: [&str; 4] = ["S4", "S5", "S9", "S10"];
const OF_STATES: [&str; 1] = ["S14"];
const IN_THE_END: [&str; 8] = ["S1", "S6", "S7", "S8", "L1", "L2", "L3", "L6"];
/// Asked there too where no operator dies.
const OF_OPERATORS: [&str; 1] = ["L5"];
/// With one cluster and nobody to be forgotten there is nothing that these could find.
const ELSEWHERE: [&str; 2] = ["S13", "L7"];

const WALKS: u64 = 1_000;
/// Of the first part; each walk draws how many it takes.
const STEPS: usize = 300;
const LONG_WALKS: u64 = 10;
/// Of the first part of each.
const LONG_STEPS: usize = 3_000;
/// Nobody walks on for so long without coming to rest.
const TO_REST: usize = 5_000;

/// The steps that can be taken, and whether a capacity of the world forbids a fair one.
fn steps(world: &World, from: &WorldState) -> (Vec<(Step, StepKind, WorldState)>, bool) {
    let mut all = Vec::new();
    let mut cut = false;
    world.for_each_step(from, &mut |step, Taken { to, kind, cut_off }| {
        cut |= cut_off.is_some() && kind == StepKind::Fair;
        all.extend(to.map(|to| (step, kind, to.clone())));
    });
    (all, cut)
}

struct Walk<'a> {
    world: &'a World,
    at: WorldState,
    told: Vec<String>,
    random: Gen,
}

impl Walk<'_> {
    fn pick(&mut self, n: usize) -> usize {
        u64::arbitrary(&mut self.random) as usize % n
    }

    fn go(&mut self, (step, _, to): (Step, StepKind, WorldState)) {
        self.told.push(self.world.tell_step(&self.at, &step));
        for name in OF_STEPS {
            let wrong = self.world.step_complaint(name, &self.at, &step, &to);
            assert_eq!(wrong, None, "{name}\n{}", self.told.join("\n"));
        }
        self.at = to;
        self.holds(&OF_STATES);
    }

    fn holds(&self, names: &[&str]) {
        for name in names {
            let wrong = self.world.complaint(name, &self.at);
            assert_eq!(
                wrong,
                None,
                "{name}\n{}\n{}",
                self.told.join("\n"),
                self.world.format_state(&self.at)
            );
        }
    }
}

/// One walk: how many steps it took, and whether it came to rest.
fn walk(world: &World, seed: u64, steps_of: impl Fn(&mut Walk<'_>) -> usize, end: &[&str]) -> (usize, bool) {
    let starts = world.init_states();
    let at = starts[seed as usize % starts.len()].clone();
    let told = vec![format!("seed {seed}")];
    let mut walk = Walk { world, at, told, random: Gen::from_size_and_seed(64, seed) };
    for _ in 0..steps_of(&mut walk) {
        let (mut all, _) = steps(world, &walk.at);
        // Clients can do something everywhere: half of the steps are left to the others.
        if walk.pick(2) == 0 && all.iter().any(|(_, kind, _)| *kind != StepKind::Neither) {
            all.retain(|(_, kind, _)| *kind != StepKind::Neither);
        }
        if all.is_empty() {
            break;
        }
        let next = walk.pick(all.len());
        walk.go(all.swap_remove(next));
    }
    let mut rest = 0;
    let at_rest = loop {
        let (mut fair, cut) = steps(world, &walk.at);
        fair.retain(|(_, kind, _)| *kind == StepKind::Fair);
        if fair.is_empty() {
            break !cut;
        }
        rest += 1;
        assert!(rest < TO_REST, "seed {seed}: it comes to rest\n{}", walk.told.join("\n"));
        let next = walk.pick(fair.len());
        walk.go(fair.swap_remove(next));
    };
    // Where a capacity is in the way, the end is not reached.
    if at_rest {
        walk.holds(end);
    }
    (walk.told.len() - 1, at_rest)
}

#[test]
fn random_walks_violate_nothing() {
    let world = World::new(Scenario::parse(WORLD).expect("a scenario")).expect("a world");
    let (mut taken, mut rested) = (0, 0);
    for seed in 1..=WALKS {
        let (steps, at_rest) = walk(&world, seed, |w| w.pick(STEPS), &IN_THE_END);
        taken += steps;
        rested += u64::from(at_rest);
    }
    println!("seeds 1 to {WALKS}: {taken} steps, contents {:?}", world.content_counts());
    assert!(rested > WALKS * 9 / 10, "nearly all come to rest: {rested}");
    assert!(taken > 100_000, "the walks are long: {taken}");
}

/// Walks of thousands of steps, in which no operator dies: `strikes` says what goes wrong instead.
fn long_walks(strikes: impl FnOnce(&mut Scenario), end: &[&str]) {
    let mut scenario = Scenario::parse(WORLD).expect("a scenario");
    scenario.operators.iter_mut().for_each(|o| o.deaths = 0);
    scenario.faults.resets = 60.into();
    strikes(&mut scenario);
    let world = World::new(scenario).expect("a world");
    let (mut taken, mut rested) = (0, 0);
    for seed in 1..=LONG_WALKS {
        let (steps, at_rest) = walk(&world, seed, |_| LONG_STEPS, end);
        assert!(steps >= LONG_STEPS, "seed {seed}: {steps} steps");
        taken += steps;
        rested += u64::from(at_rest);
    }
    println!("seeds 1 to {LONG_WALKS}: {taken} steps, contents {:?}", world.content_counts());
    assert!(rested > LONG_WALKS * 7 / 10, "most come to rest: {rested}");
}

fn budget(times: u8, nodes: Option<&[&str]>, links: Option<&[&str]>) -> Budgets {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    Budgets(vec![BudgetSpec { times, nodes: nodes.map(owned), links: links.map(owned) }])
}

#[test]
fn walks_of_thousands_of_steps_violate_nothing() {
    let strikes = |s: &mut Scenario| {
        s.faults.pauses = budget(250, Some(&["A", "D", "E"]), None);
        s.faults.early_pfail = 250.into();
    };
    long_walks(strikes, &IN_THE_END);
}

#[test]
fn walks_of_thousands_of_steps_with_every_property_on() {
    let all = [&OF_STEPS[..], &OF_STATES, &IN_THE_END, &OF_OPERATORS, &ELSEWHERE].concat();
    assert_eq!(BTreeSet::from_iter(all), BTreeSet::from(PROPERTIES), "every property that a world can judge");
    let strikes = |s: &mut Scenario| {
        s.faults.pauses = budget(250, Some(&["E"]), None);
        s.faults.early_pfail = budget(250, None, Some(&["E -> A", "E -> B", "E -> C", "E -> D"]));
        // While E is FAIL its slots are not covered, and keys of others could not be moved.
        s.options.require_full_coverage = false;
    };
    long_walks(strikes, &[&IN_THE_END[..], &OF_OPERATORS].concat());
}
