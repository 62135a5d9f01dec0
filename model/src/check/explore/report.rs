//! What a run found, and how a path is printed.

use std::collections::BTreeSet;
use std::fmt;

use super::{Explorable, StepKind};

/// The result of [`Explorer::run`](super::Explorer::run).
pub struct Report<M: Explorable> {
    /// Unique states.
    pub states: usize,
    /// Initial states and steps taken within the boundary, those that change nothing included (Stateright's
    /// `state_count`).
    pub generated: u64,
    /// Levels of the breadth-first search: the number of states on the longest of all shortest paths
    /// (Stateright's `max_depth` with one thread).
    pub depth: usize,
    /// The names of the capacities that were hit. Empty if the run is complete.
    pub bounds: BTreeSet<&'static str>,
    /// One for each claim, in the order in which they were made.
    pub findings: Vec<Finding<M>>,
    /// The shortest path whose last step is a fair step from a quiescent state to another state: an error of
    /// the model.
    pub quiescent_not_bottom: Option<Path<M>>,
    /// The bottom components of the fair graph.
    pub bottoms: Bottoms<M>,
}

/// What became of one claim.
pub struct Finding<M: Explorable> {
    /// The claim's name.
    pub name: String,
    /// The result.
    pub outcome: Outcome<M>,
}

/// Whether a claim holds.
pub enum Outcome<M: Explorable> {
    /// It was not violated by anything that was explored. Only a complete run verifies it.
    Holds,
    /// It is violated.
    Violated(Counterexample<M>),
}

/// How a claim is violated.
pub struct Counterexample<M: Explorable> {
    /// A shortest path: to a bad state, to the end of a bad step, or to the nearest bad state of a bottom
    /// component.
    pub path: Path<M>,
    /// For a bad state of a bottom component of several states: a shortest cycle of fair steps through it
    /// within the component, from the end of `path` back to it.
    pub lasso: Option<Path<M>>,
}

/// The bottom strongly connected components of the fair graph that were judged. Not judged are components with
/// a state that was not expanded, or with a fair step that hit a capacity.
pub struct Bottoms<M: Explorable> {
    /// Components of one quiescent state.
    pub quiescent: usize,
    /// Components of one state that is not quiescent: something is missing there, or it is stuck.
    pub stuck: usize,
    /// A shortest path to the nearest stuck state.
    pub nearest_stuck: Option<Path<M>>,
    /// Components of several states, the nearest first.
    pub larger: Vec<LargerBottom<M>>,
    /// How many components of several states there are beyond those in `larger`.
    pub larger_left_out: usize,
    /// Bottom components that were not judged.
    pub unjudged: usize,
}

/// A bottom component of several states.
pub struct LargerBottom<M: Explorable> {
    /// Its number of states.
    pub size: usize,
    /// A shortest path to its nearest state.
    pub path: Path<M>,
}

/// The result of a run in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Explored to the end, and every claim holds.
    Verified,
    /// A claim is violated, or a quiescent state is no bottom.
    Violated,
    /// No claim is violated by what was explored, but a capacity was hit.
    CutOff,
}

/// A run of the model from an initial state (or, as a lasso, from any state).
pub struct Path<M: Explorable> {
    /// Where it begins.
    pub start: M::State,
    /// What happens then, in order.
    pub steps: Vec<Step<M>>,
}

/// One step of a [`Path`].
pub struct Step<M: Explorable> {
    /// What was done.
    pub action: M::Action,
    /// What the step is worth for liveness.
    pub kind: StepKind,
    /// The state after it.
    pub state: M::State,
}

impl<M: Explorable> Report<M> {
    /// Whether everything was explored: no capacity was hit.
    pub fn complete(&self) -> bool {
        self.bounds.is_empty()
    }

    /// The result in one word.
    pub fn verdict(&self) -> Verdict {
        let violated = |finding: &Finding<M>| matches!(finding.outcome, Outcome::Violated(_));
        if self.quiescent_not_bottom.is_some() || self.findings.iter().any(violated) {
            Verdict::Violated
        } else if self.complete() {
            Verdict::Verified
        } else {
            Verdict::CutOff
        }
    }

    /// What became of the claim of this name.
    pub fn outcome(&self, name: &str) -> Option<&Outcome<M>> {
        self.findings.iter().find(|finding| finding.name == name).map(|finding| &finding.outcome)
    }

    /// The counterexample of the claim of this name, if it is violated.
    pub fn counterexample(&self, name: &str) -> Option<&Counterexample<M>> {
        match self.outcome(name)? {
            Outcome::Holds => None,
            Outcome::Violated(found) => Some(found),
        }
    }
}

impl<M: Explorable> Report<M> {
    /// The figures, the outcome of each claim, and every counterexample as numbered steps.
    pub fn display<'a>(&'a self, model: &'a M) -> impl fmt::Display + 'a {
        Shown(move |f: &mut fmt::Formatter<'_>| self.print(model, f))
    }

    fn print(&self, model: &M, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:?}: {} states, {} generated, depth {}",
            self.verdict(),
            self.states,
            self.generated,
            self.depth
        )?;
        if !self.complete() {
            writeln!(f, "cut off by: {}", self.bounds.iter().copied().collect::<Vec<_>>().join(", "))?;
        }
        let Bottoms { quiescent, stuck, larger, larger_left_out, unjudged, .. } = &self.bottoms;
        let several = larger.len() + larger_left_out;
        write!(
            f,
            "bottoms: {quiescent} quiescent, {stuck} stuck, {several} of several states, {unjudged} not judged"
        )?;
        writeln!(f)?;
        for finding in &self.findings {
            match &finding.outcome {
                Outcome::Holds => writeln!(f, "{}: holds", finding.name)?,
                Outcome::Violated(found) => {
                    write!(f, "{}: violated\n{}", finding.name, found.display(model))?
                }
            }
        }
        if let Some(path) = &self.quiescent_not_bottom {
            write!(f, "the last step leaves a quiescent state:\n{}", path.display(model))?;
        }
        if let Some(path) = &self.bottoms.nearest_stuck {
            write!(f, "stuck:\n{}", path.display(model))?;
        }
        for bottom in larger {
            write!(f, "a bottom of {} states:\n{}", bottom.size, bottom.path.display(model))?;
        }
        Ok(())
    }
}

impl<M: Explorable> Counterexample<M> {
    /// The counterexample as numbered steps.
    pub fn display<'a>(&'a self, model: &'a M) -> impl fmt::Display + 'a {
        Shown(move |f: &mut fmt::Formatter<'_>| self.print(model, f))
    }

    fn print(&self, model: &M, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.print(model, f)?;
        if let Some(lasso) = &self.lasso {
            let first = self.path.steps.len();
            writeln!(f, "then for ever:")?;
            lasso.print_steps(model, first, f)?;
            writeln!(f, "which is the state after step {first}.")?;
        }
        Ok(())
    }
}

impl<M: Explorable> Path<M> {
    /// The state in which it ends.
    pub fn end(&self) -> &M::State {
        self.steps.last().map_or(&self.start, |step| &step.state)
    }

    /// The actions, in order.
    pub fn actions(&self) -> Vec<M::Action> {
        self.steps.iter().map(|step| step.action.clone()).collect()
    }

    /// The path as numbered steps, each with the lines of [`Explorable::format_state`] that it changed.
    pub fn display<'a>(&'a self, model: &'a M) -> impl fmt::Display + 'a {
        Shown(move |f: &mut fmt::Formatter<'_>| self.print(model, f))
    }

    fn print(&self, model: &M, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>4}  start", 0)?;
        for line in model.format_state(&self.start).lines() {
            writeln!(f, "      {line}")?;
        }
        self.print_steps(model, 0, f)
    }

    /// Prints the steps, numbered from `before + 1`.
    fn print_steps(&self, model: &M, before: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut previous = model.format_state(&self.start);
        let mut from = &self.start;
        for (index, step) in self.steps.iter().enumerate() {
            let fault = if step.kind == StepKind::Fault { "  (fault)" } else { "" };
            writeln!(f, "{:>4}  {}{fault}", before + index + 1, model.tell_step(from, &step.action))?;
            let state = model.format_state(&step.state);
            for line in state.lines().filter(|line| !previous.lines().any(|old| old == *line)) {
                writeln!(f, "      {line}")?;
            }
            previous = state;
            from = &step.state;
        }
        Ok(())
    }
}

/// Something that is printed by a closure.
struct Shown<F>(F);

impl<F: Fn(&mut fmt::Formatter<'_>) -> fmt::Result> fmt::Display for Shown<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}
