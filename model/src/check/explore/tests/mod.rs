//! Small models with known answers.

mod counts;
mod graphs;
mod random;

use stateright::{Model, Property};

use super::{Explorable, StepKind, Taken};

/// A graph that is drawn by hand. States are its nodes, actions the indices of a node's edges.
#[derive(Clone, Debug, Default)]
struct Drawn {
    starts: Vec<u32>,
    /// For each node, its edges.
    edges: Vec<Vec<Edge>>,
    quiescent: Vec<u32>,
    outside: Vec<u32>,
    /// What Stateright is asked.
    eventually: Option<fn(&Drawn, &u32) -> bool>,
}

#[derive(Clone, Debug, PartialEq)]
enum Edge {
    To(StepKind, u32),
    /// Hits the named capacity.
    Cut(StepKind, &'static str),
}

/// A fair edge.
fn fair(to: u32) -> Edge {
    Edge::To(StepKind::Fair, to)
}

fn fault(to: u32) -> Edge {
    Edge::To(StepKind::Fault, to)
}

fn neither(to: u32) -> Edge {
    Edge::To(StepKind::Neither, to)
}

/// The graph with these edges, from node 0.
fn drawn(edges: Vec<Vec<Edge>>) -> Drawn {
    Drawn { starts: vec![0], edges, ..Drawn::default() }
}

impl Model for Drawn {
    type State = u32;
    type Action = usize;

    fn init_states(&self) -> Vec<u32> {
        self.starts.clone()
    }

    fn actions(&self, from: &u32, actions: &mut Vec<usize>) {
        actions.extend(0..self.edges[*from as usize].len());
    }

    fn next_state(&self, from: &u32, action: usize) -> Option<u32> {
        self.take(from, &action).to
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let eventually = self.eventually.map(|goal| Property::eventually("goal", goal));
        eventually.into_iter().chain([Property::always("sentinel", |_, _| true)]).collect()
    }

    fn within_boundary(&self, state: &u32) -> bool {
        !self.outside.contains(state)
    }
}

impl Explorable for Drawn {
    fn take(&self, from: &u32, action: &usize) -> Taken<u32> {
        match self.edges[*from as usize][*action] {
            Edge::To(kind, to) => Taken::to(kind, to),
            Edge::Cut(kind, bound) => Taken::cut_off(kind, bound),
        }
    }

    fn is_quiescent(&self, state: &u32, _: bool) -> bool {
        self.quiescent.contains(state)
    }

    fn encode(&self, state: &u32, out: &mut Vec<u8>) {
        out.extend(state.to_le_bytes());
    }

    fn decode(&self, bytes: &[u8]) -> u32 {
        u32::from_le_bytes(bytes.try_into().expect("four bytes"))
    }

    fn format_state(&self, state: &u32) -> String {
        format!("at node {state}\nof {}", self.edges.len())
    }
}
