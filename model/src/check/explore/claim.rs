//! What is claimed of a model: invariants, properties of steps, and what holds in the end.

use stateright::Model;

type StateTest<M> = Box<dyn Fn(&M, &<M as Model>::State) -> bool + Send + Sync>;
type StepTest<M> =
    Box<dyn Fn(&M, &<M as Model>::State, &<M as Model>::Action, &<M as Model>::State) -> bool + Send + Sync>;

/// A named property of a model.
pub struct Claim<M: Model> {
    pub(super) name: String,
    pub(super) test: Test<M>,
}

pub(super) enum Test<M: Model> {
    Always(StateTest<M>),
    EachStep(StepTest<M>),
    Settled(StateTest<M>),
}

impl<M: Model> Claim<M> {
    /// Holds in every state that can be reached.
    pub fn always(
        name: impl Into<String>,
        test: impl Fn(&M, &M::State) -> bool + Send + Sync + 'static,
    ) -> Self {
        Claim { name: name.into(), test: Test::Always(Box::new(test)) }
    }

    /// Holds of every step `(from, action, to)` that can be taken, of those that change nothing too.
    pub fn each_step(
        name: impl Into<String>,
        test: impl Fn(&M, &M::State, &M::Action, &M::State) -> bool + Send + Sync + 'static,
    ) -> Self {
        Claim { name: name.into(), test: Test::EachStep(Box::new(test)) }
    }

    /// Holds, under strong fairness, eventually for ever: in every state of every bottom strongly connected
    /// component of the fair graph. For what is asked "at quiescence" and for liveness goals.
    pub fn settled(
        name: impl Into<String>,
        test: impl Fn(&M, &M::State) -> bool + Send + Sync + 'static,
    ) -> Self {
        Claim { name: name.into(), test: Test::Settled(Box::new(test)) }
    }

    /// The name it is reported under.
    pub fn name(&self) -> &str {
        &self.name
    }
}
