//! The same model under Stateright's own breadth-first search, for its counts.

use std::hash::Hash;
use std::sync::Arc;

use stateright::{Checker, Model, Property};

/// What Stateright counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Unique states, by 64-bit fingerprint. The same for every number of threads.
    pub states: usize,
    /// Initial states and steps taken within the boundary. The same for every number of threads, as long as
    /// no initial state is listed twice.
    pub generated: usize,
    /// States on the longest shortest path. Exact with one thread only: several threads leave the order of
    /// levels, and race when they note the maximum.
    pub depth: usize,
}

/// Explores the model to the end with Stateright's `spawn_bfs` and returns its counts.
///
/// The model's own properties are replaced by one that always holds: `spawn_bfs` ends early once it has a
/// discovery for each of its properties, and at once if it has none.
pub fn spawn_bfs_counts<M>(model: Arc<M>, threads: usize) -> Counts
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + PartialEq + Hash + Send + Sync + 'static,
    M::Action: Clone + PartialEq,
{
    let checker = Endless(model).checker().threads(threads).spawn_bfs().join();
    Counts {
        states: checker.unique_state_count(),
        generated: checker.state_count(),
        depth: checker.max_depth(),
    }
}

/// A model whose only property is never discovered to be wrong.
struct Endless<M>(Arc<M>);

impl<M: Model> Model for Endless<M> {
    type State = M::State;
    type Action = M::Action;

    fn init_states(&self) -> Vec<M::State> {
        self.0.init_states()
    }

    fn actions(&self, state: &M::State, actions: &mut Vec<M::Action>) {
        self.0.actions(state, actions);
    }

    fn next_state(&self, from: &M::State, action: M::Action) -> Option<M::State> {
        self.0.next_state(from, action)
    }

    fn within_boundary(&self, state: &M::State) -> bool {
        self.0.within_boundary(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("sentinel", |_, _| true)]
    }
}
