//! Running scenarios: to the end, timed, compared with what they expect.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde::Serialize;
use slotproof_model::check::explore::{Explorer, Outcome, Report, Verdict};
use slotproof_model::check::scenario::{Expect, Scenario, ScenarioError};
use slotproof_model::check::world::World;

/// What a scenario came to.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Its name.
    pub scenario: String,
    /// Its rules.
    pub rules: String,
    /// Unique states.
    pub states: usize,
    /// Steps of the longest shortest path.
    pub depth: usize,
    /// Stale headers that may be parked at once.
    pub d: u8,
    /// Whether the whole space was explored.
    pub complete: bool,
    /// The bounds that were hit, if it was not.
    pub bounds: Vec<String>,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The most memory of the process that was resident while it ran, in bytes.
    pub rss_bytes: u64,
    /// `as expected`, `not as expected` or `cut off`.
    pub verdict: String,
    /// Each property that was checked.
    pub properties: Vec<Property>,
    /// Bottoms of the fair graph that are larger than one state.
    pub larger_bottoms: usize,
}

/// What became of a property.
#[derive(Clone, Debug, Serialize)]
pub struct Property {
    /// `S1`, `L2`, ...
    pub name: String,
    /// `holds` or `violated`.
    pub outcome: String,
    /// Whether that was expected.
    pub expected: bool,
    /// Steps of the shortest counterexample.
    pub steps: Option<usize>,
    /// The counterexample, as people read it.
    #[serde(skip)]
    pub transcript: Option<String>,
}

impl Checked {
    /// Whether everything came as the scenario expects, in a space explored to the end.
    pub fn as_expected(&self) -> bool {
        self.verdict == "as expected"
    }
}

/// Explores a scenario; `progress` hears of states, frontier and depth now and then.
pub fn check(
    scenario: &Scenario,
    threads: usize,
    mut progress: impl FnMut(usize, usize, usize, Duration),
) -> Result<Checked, ScenarioError> {
    forget_peak_memory();
    let world = World::new(scenario.clone())?;
    let begun = Instant::now();
    let mut last = begun;
    let explorer = Explorer::new(&world).claims(world.claims()).on_progress(|p| {
        if last.elapsed() > Duration::from_millis(200) {
            last = Instant::now();
            progress(p.states, p.frontier, p.depth, begun.elapsed());
        }
        ControlFlow::Continue(())
    });
    let report = if threads > 1 { explorer.run_threads(threads) } else { explorer.run() };
    Ok(told(&world, &report, begun.elapsed()))
}

fn told(world: &World, report: &Report<World>, took: Duration) -> Checked {
    let scenario = world.scenario();
    let properties: Vec<Property> = scenario
        .expect
        .iter()
        .map(|(name, expect)| {
            let violated = match report.outcome(name) {
                Some(Outcome::Violated(c)) => Some(c),
                _ => None,
            };
            let transcript = violated.map(|c| {
                let complaint = complaint(world, name, c);
                format!("{name} is violated: {complaint}\n{}", c.display(world))
            });
            Property {
                name: name.clone(),
                outcome: if violated.is_some() { "violated" } else { "holds" }.into(),
                expected: violated.is_some() == (*expect == Expect::Violated),
                steps: violated.map(|c| c.path.steps.len()),
                transcript,
            }
        })
        .collect();
    let complete = report.complete() && report.verdict() != Verdict::CutOff;
    let verdict =
        match (complete, report.quiescent_not_bottom.is_none() && properties.iter().all(|p| p.expected)) {
            (false, _) => "cut off",
            (true, true) => "as expected",
            (true, false) => "not as expected",
        };
    Checked {
        scenario: scenario.name.clone(),
        rules: scenario.rules.clone(),
        states: report.states,
        depth: report.depth,
        d: scenario.d,
        complete,
        bounds: report.bounds.iter().map(ToString::to_string).collect(),
        seconds: took.as_secs_f64(),
        rss_bytes: peak_memory(),
        verdict: verdict.into(),
        properties,
        larger_bottoms: report.bottoms.larger.len(),
    }
}

fn complaint(
    world: &World,
    name: &str,
    c: &slotproof_model::check::explore::Counterexample<World>,
) -> String {
    let by_step = c.path.steps.last().and_then(|last| {
        let from = c.path.steps.len().checked_sub(2).map_or(&c.path.start, |i| &c.path.steps[i].state);
        world.step_complaint(name, from, &last.action, &last.state)
    });
    by_step.or_else(|| world.complaint(name, c.path.end())).unwrap_or_default()
}

/// From now on [`peak_memory`] tells what comes; where the system can't do that, it tells of the whole life of the process.
fn forget_peak_memory() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that was resident since [`forget_peak_memory`], in bytes; 0 where the system does not say.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
