//! Bottom strongly connected components of the fair graph (Tarjan's algorithm, without recursion).

use super::search::FairGraph;

/// Not visited yet.
const UNSEEN: u32 = u32::MAX;
/// Belongs to a component that is complete.
const DONE: u32 = u32::MAX;

/// Visits the states of each component that no fair step leaves, in no order.
pub(super) fn for_each_bottom(graph: &FairGraph, mut visit: impl FnMut(&[u32])) {
    let states = graph.starts.len() - 1;
    let mut tarjan = Tarjan {
        graph,
        order: vec![UNSEEN; states],
        low: vec![0; states],
        next: 0,
        stack: Vec::new(),
        calls: Vec::new(),
    };
    for root in 0..states as u32 {
        if tarjan.order[root as usize] == UNSEEN {
            tarjan.visit_from(root, &mut visit);
        }
    }
}

struct Tarjan<'a> {
    graph: &'a FairGraph,
    /// When each state was first visited.
    order: Vec<u32>,
    /// The earliest visited state of its open component that each state is known to reach.
    low: Vec<u32>,
    next: u32,
    /// Visited states whose component is not complete.
    stack: Vec<u32>,
    /// States whose targets are being followed, and how many were.
    calls: Vec<(u32, u32)>,
}

impl Tarjan<'_> {
    fn visit_from(&mut self, root: u32, visit: &mut impl FnMut(&[u32])) {
        self.enter(root);
        while let Some((state, followed)) = self.calls.last_mut() {
            let state = *state;
            if let Some(&target) = self.graph.of(state).get(*followed as usize) {
                *followed += 1;
                if self.order[target as usize] == UNSEEN {
                    self.enter(target);
                } else if self.low[target as usize] != DONE {
                    self.lower(state, self.order[target as usize]);
                }
            } else {
                self.calls.pop();
                let low = self.low[state as usize];
                if let Some(&(caller, _)) = self.calls.last() {
                    self.lower(caller, low);
                }
                if low == self.order[state as usize] {
                    self.complete(state, visit);
                }
            }
        }
    }

    fn enter(&mut self, state: u32) {
        self.order[state as usize] = self.next;
        self.low[state as usize] = self.next;
        self.next += 1;
        self.stack.push(state);
        self.calls.push((state, 0));
    }

    fn lower(&mut self, state: u32, low: u32) {
        let old = &mut self.low[state as usize];
        *old = low.min(*old);
    }

    /// Takes the component that was entered at `first` from the stack.
    fn complete(&mut self, first: u32, visit: &mut impl FnMut(&[u32])) {
        let entered = self.order[first as usize];
        let mut start = self.stack.len();
        while start > 0 && self.order[self.stack[start - 1] as usize] >= entered {
            start -= 1;
        }
        let members = &self.stack[start..];
        let inside =
            |target: &u32| self.low[*target as usize] != DONE && self.order[*target as usize] >= entered;
        if members.iter().all(|&member| self.graph.of(member).iter().all(inside)) {
            visit(members);
        }
        for &member in members {
            self.low[member as usize] = DONE;
        }
        self.stack.truncate(start);
    }
}
