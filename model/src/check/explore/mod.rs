//! A graph explorer, generic over [`stateright::Model`].
//!
//! Stateright's own checkers count states well, but they keep fingerprints instead of states, judge states
//! and never steps, hand out no graph, and their `eventually` is wrong on cycles and on joins (their
//! documentation says so; the tests of this module show it). This explorer keeps every state, exactly, and
//! the graph of the fair steps, and gives
//! - the shortest counterexample of an invariant ([`Claim::always`]) or of a property of steps
//!   ([`Claim::each_step`]);
//! - liveness as "under strong fairness, eventually for ever" ([`Claim::settled`]): the goal is asked of every
//!   state of every bottom strongly connected component of the fair graph that can be reached, which is also
//!   what is asked "at quiescence"; a counterexample is a shortest path to a bad state and, if its component
//!   is larger than one state, a cycle through it;
//! - the names of the capacities that were hit: a run that hit one is cut off and verifies nothing.
//!
//! A model implements [`Explorable`] on top of `stateright::Model`; [`Explorer`] runs it and returns a
//! [`Report`]; [`spawn_bfs_counts`] has the same model counted by Stateright, so that a test can assert that
//! both agree.
//!
//! ```
//! use slotproof_model::check::explore::{Claim, Explorable, Explorer, Outcome, StepKind, Taken, Verdict};
//! use stateright::Model;
//!
//! /// A lamp that may be switched on, once; as long as it is off somebody may knock at the door.
//! struct Lamp;
//! #[derive(Clone, Debug, PartialEq)]
//! enum Act { SwitchOn, Knock }
//!
//! impl Model for Lamp {
//!     type State = bool;
//!     type Action = Act;
//!     fn init_states(&self) -> Vec<bool> { vec![false] }
//!     fn actions(&self, on: &bool, actions: &mut Vec<Act>) {
//!         if !on { actions.extend([Act::SwitchOn, Act::Knock]) }
//!     }
//!     fn next_state(&self, on: &bool, act: Act) -> Option<bool> { self.take(on, &act).to }
//! }
//!
//! impl Explorable for Lamp {
//!     fn take(&self, on: &bool, act: &Act) -> Taken<bool> {
//!         match act {
//!             Act::SwitchOn => Taken::to(StepKind::Neither, true),
//!             Act::Knock => Taken::to(StepKind::Fair, *on),
//!         }
//!     }
//!     fn is_quiescent(&self, _: &bool, _: bool) -> bool { true }
//!     fn encode(&self, on: &bool, out: &mut Vec<u8>) { out.push(u8::from(*on)) }
//!     fn decode(&self, bytes: &[u8]) -> bool { bytes == [1] }
//! }
//!
//! let report = Explorer::new(&Lamp)
//!     .claim(Claim::each_step("a lamp stays on", |_: &Lamp, from: &bool, _, to| *to || !*from))
//!     .claim(Claim::settled("the lamp is on in the end", |_, on| *on))
//!     .run();
//! assert_eq!((report.states, report.generated, report.depth), (2, 3, 2));
//! assert!(matches!(report.outcome("a lamp stays on"), Some(Outcome::Holds)));
//! // Nobody is bound to switch it on: it may stay off for ever.
//! assert_eq!(report.verdict(), Verdict::Violated);
//! let Some(Outcome::Violated(found)) = report.outcome("the lamp is on in the end") else { panic!() };
//! assert!(found.path.steps.is_empty());
//! ```

mod bottom;
mod bridge;
mod claim;
mod expand;
mod judge;
mod report;
mod search;
mod store;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

use stateright::Model;

pub use bridge::{Counts, spawn_bfs_counts};
pub use claim::Claim;
pub use report::{Bottoms, Counterexample, Finding, LargerBottom, Outcome, Path, Report, Step, Verdict};
pub use search::{Explorer, Progress};

/// A model that [`Explorer`] can explore: what a step is worth for fairness, when the world is at rest, which
/// capacities were hit, and how a state is stored.
///
/// **Contract:** `take(s, a).to` is what `next_state(s, a)` returns (write `next_state` in terms of `take`), and
/// for one state `actions`, `take` and `for_each_step` always give the same, in the same order.
pub trait Explorable: Model<State: Clone + Eq + Debug, Action: Clone + Debug> {
    /// Takes one of the steps that `actions` listed for this state.
    fn take(&self, from: &Self::State, action: &Self::Action) -> Taken<Self::State>;

    /// Takes every step of a state, in the order of `actions`. By default each is asked for by itself; a model that
    /// finds all steps of a state at once hands them over here.
    fn for_each_step(&self, from: &Self::State, visit: &mut Visit<'_, Self>) {
        let mut actions = Vec::new();
        self.actions(from, &mut actions);
        for action in actions {
            let Taken { to, kind, cut_off } = self.take(from, &action);
            visit(action, Taken { to: to.as_ref(), kind, cut_off });
        }
    }

    /// Whether nothing that must happen is left to happen in this state. `moves` says whether a fair step leads to
    /// another state, for a model that would have to try its steps to know. A quiescent state with such a step is an
    /// error of the model ([`Report::quiescent_not_bottom`]).
    fn is_quiescent(&self, state: &Self::State, moves: bool) -> bool;

    /// Appends the canonical encoding: two states are equal exactly if their encodings are. States are
    /// stored, hashed and compared in this form; 30 to 60 bytes are a good length.
    fn encode(&self, state: &Self::State, out: &mut Vec<u8>);

    /// The state that [`Explorable::encode`] wrote. The explorer asserts for each new state that it
    /// is the same, and, with debug assertions, for each step.
    fn decode(&self, bytes: &[u8]) -> Self::State;

    /// A step as people read it, told in the state in which it is taken. Defaults to [`Model::format_action`].
    fn tell_step(&self, from: &Self::State, action: &Self::Action) -> String {
        let _ = from;
        self.format_action(action)
    }

    /// The state as lines for a person. A printed path shows all lines of its first state and then, for each
    /// step, the lines that the step changed.
    fn format_state(&self, state: &Self::State) -> String {
        format!("{state:?}")
    }
}

/// What [`Explorable::for_each_step`] hands the steps of a state to.
pub type Visit<'a, M> = dyn FnMut(<M as Model>::Action, Taken<&<M as Model>::State>) + 'a;

/// What a step is worth for liveness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StepKind {
    /// It happens in the end if it is possible again and again.
    Fair,
    /// A fault, which may or may not happen.
    Fault,
    /// May happen, need not, and is no fault: a client's operation, a timer that is not relied upon.
    Neither,
}

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken<S> {
    /// The state after it; `None` if the step is impossible or ignored.
    pub to: Option<S>,
    /// What it is worth for liveness.
    pub kind: StepKind,
    /// The capacity of the model that the step has hit, if it has hit one: its effect was dropped or
    /// shortened. The run is then cut off, and if the step is fair, the component of the state it
    /// starts from is not judged as a bottom.
    pub cut_off: Option<&'static str>,
}

impl<S> Taken<S> {
    /// A step to a state.
    pub fn to(kind: StepKind, state: S) -> Self {
        Taken { to: Some(state), kind, cut_off: None }
    }

    /// No step.
    pub fn nowhere(kind: StepKind) -> Self {
        Taken { to: None, kind, cut_off: None }
    }

    /// A step that could not be taken because the named capacity was hit.
    pub fn cut_off(kind: StepKind, bound: &'static str) -> Self {
        Taken { to: None, kind, cut_off: Some(bound) }
    }
}
