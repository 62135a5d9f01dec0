//! Shared by the claims in `proofs/tests`: running a scenario to its end by both explorers, the tables that pages show of the code, and what must hold of any
//! bytes that a node is sent.

pub mod bad_input;
pub mod pages;
pub mod worlds;

use std::sync::Arc;

use slotproof_model::check::explore::{Explorable, Explorer, Outcome, Report, spawn_bfs_counts};
use slotproof_model::check::scenario::Scenario;
use slotproof_model::check::world::World;

/// A row of the ledger: name, d, unique states, depth, and the properties that are violated (known hazards of the rules) with the
/// steps of their shortest counterexamples.
pub type Row = (&'static str, u8, usize, usize, &'static str);

/// A built-in scenario, explored to the end.
pub struct Explored {
    /// The world.
    pub world: Arc<World>,
    /// What was found.
    pub report: Report<World>,
}

/// Whether comparisons that take long are wanted too: with `SLOTPROOF_LONG` in the environment. The full tests are to end within 40 minutes without it.
pub fn long() -> bool {
    let wanted = std::env::var_os("SLOTPROOF_LONG").is_some();
    eprintln!("SLOTPROOF_LONG is {}", if wanted { "set" } else { "not set: the largest are left out" });
    wanted
}

/// Explores a scenario to its end.
///
/// # Panics
/// If the scenario is wrong.
pub fn explore(scenario: Scenario) -> Explored {
    let world = Arc::new(World::new(scenario).expect("a scenario that can be built"));
    let report = Explorer::new(&*world).claims(world.claims()).run();
    Explored { world, report }
}

/// A scenario explored to its end violates the property, and its shortest counterexample reads so: what happens, and what is then. Breadth
/// first: no path that violates it is shorter.
///
/// # Panics
/// If it is otherwise.
pub fn found(scenario: Scenario, property: &str, story: &str, end: &str) {
    let e = explore(scenario);
    assert!(e.report.complete(), "explored to the end: {:?}", e.report.bounds);
    let path = &e.report.counterexample(property).expect("violated").path;
    let mut from = &path.start;
    let mut told = Vec::new();
    for step in &path.steps {
        told.push(e.world.tell_step(from, &step.action));
        from = &step.state;
    }
    assert_eq!(told.join("\n"), story.trim(), "{}", e.transcript(property));
    assert_eq!(e.world.format_state(path.end()), end.trim(), "{}", e.transcript(property));
}

impl Explored {
    /// The properties that are violated, in their order.
    pub fn violated(&self) -> Vec<&str> {
        let names = self.world.scenario().expect.keys();
        let violated = |name: &&String| matches!(self.report.outcome(name), Some(Outcome::Violated(_)));
        names.filter(violated).map(String::as_str).collect()
    }

    /// Steps of the shortest counterexample to a property.
    pub fn steps(&self, property: &str) -> Option<usize> {
        self.report.counterexample(property).map(|c| c.path.steps.len())
    }

    /// The counterexample as people read it.
    pub fn transcript(&self, property: &str) -> String {
        self.report.counterexample(property).map_or(String::new(), |c| c.display(&*self.world).to_string())
    }

    /// Unique states by Stateright's own search.
    pub fn states_by_stateright(&self, threads: usize) -> usize {
        spawn_bfs_counts(Arc::clone(&self.world), threads).states
    }
}

/// The built-in scenario with this name.
///
/// # Panics
/// If there is none.
pub fn built_in(name: &str) -> Scenario {
    Scenario::built_in(name).expect("a built-in scenario")
}
