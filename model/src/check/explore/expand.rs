//! Expanding states: the part of the search that reads and never writes, so that threads can share it.

use std::collections::BTreeSet;
use std::ops::Range;

use super::claim::{Claim, Test};
use super::store::{self, Store};
use super::{Explorable, StepKind};

/// The name under which a state outside of `Model::within_boundary` is reported.
const BOUNDARY: &str = "within_boundary";

/// What expansion reads.
pub(super) struct Context<'a, M: Explorable> {
    pub(super) model: &'a M,
    pub(super) claims: &'a [Claim<M>],
    /// The claims that are still to be judged, by index.
    pub(super) pending: &'a [bool],
    pub(super) store: &'a Store,
}

/// What became of a range of states.
#[derive(Default)]
pub(super) struct Expanded {
    /// For each state of the range, where its successors end.
    pub(super) ends: Vec<usize>,
    /// Successors that matter: those not stored yet, and those that a fair step reaches.
    pub(super) successors: Vec<Successor>,
    /// Encodings of the successors that were not stored yet.
    pub(super) bytes: Vec<u8>,
    /// Steps taken within the boundary.
    pub(super) generated: u64,
    /// First failure of each claim, in no order.
    pub(super) failures: Vec<Failure>,
    /// Capacities that were hit.
    pub(super) bounds: BTreeSet<&'static str>,
    /// States with a fair step that hit a capacity, ascending.
    pub(super) open: Vec<u32>,
    /// The first quiescent state with a fair step to another state, and that step's action.
    pub(super) quiescent_not_bottom: Option<(u32, usize)>,
}

#[derive(Clone, Copy)]
pub(super) struct Successor {
    pub(super) to: Target,
    pub(super) fair: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Target {
    Known(u32),
    /// Not stored when it was looked up; its hash and where its encoding is in [`Expanded::bytes`].
    New {
        hash: u64,
        start: usize,
        end: usize,
    },
}

/// A claim that does not hold in `state`, or of the step from it by the action of that index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Failure {
    pub(super) claim: usize,
    pub(super) state: u32,
    pub(super) action: Option<usize>,
}

impl<M: Explorable> Context<'_, M> {
    pub(super) fn expand(&self, range: Range<u32>) -> Expanded {
        let mut out = Expanded::default();
        let mut pending = self.pending.to_vec();
        for number in range {
            let from = self.model.decode(self.store.get(number));
            self.judge_state(number, &from, &mut pending, &mut out);
            self.take_steps(number, &from, &mut pending, &mut out);
            out.ends.push(out.successors.len());
        }
        out
    }

    fn judge_state(&self, number: u32, state: &M::State, pending: &mut [bool], out: &mut Expanded) {
        for (index, claim) in self.claims.iter().enumerate() {
            if let Test::Always(test) = &claim.test
                && pending[index]
                && !test(self.model, state)
            {
                pending[index] = false;
                out.failures.push(Failure { claim: index, state: number, action: None });
            }
        }
    }

    fn take_steps(&self, number: u32, from: &M::State, pending: &mut [bool], out: &mut Expanded) {
        let mut fair_way_out = None;
        let mut open = false;
        let mut next = 0;
        self.model.for_each_step(from, &mut |action, taken| {
            let index = next;
            next += 1;
            let fair = taken.kind == StepKind::Fair;
            if let Some(bound) = taken.cut_off {
                out.bounds.insert(bound);
                open |= fair;
            }
            let Some(to) = taken.to else { return };
            if !self.model.within_boundary(to) {
                out.bounds.insert(BOUNDARY);
                open |= fair;
                return;
            }
            out.generated += 1;
            self.judge_step(number, from, (index, &action), to, pending, out);
            if self.add_successor(number, to, fair, out) && fair && fair_way_out.is_none() {
                fair_way_out = Some(index);
            }
        });
        if open {
            out.open.push(number);
        }
        if let Some(action) = fair_way_out
            && out.quiescent_not_bottom.is_none()
            && self.model.is_quiescent(from, true)
        {
            out.quiescent_not_bottom = Some((number, action));
        }
    }

    fn judge_step(
        &self,
        number: u32,
        from: &M::State,
        (index, action): (usize, &M::Action),
        to: &M::State,
        pending: &mut [bool],
        out: &mut Expanded,
    ) {
        for (claim_index, claim) in self.claims.iter().enumerate() {
            if let Test::EachStep(test) = &claim.test
                && pending[claim_index]
                && !test(self.model, from, action, to)
            {
                pending[claim_index] = false;
                out.failures.push(Failure { claim: claim_index, state: number, action: Some(index) });
            }
        }
    }

    /// Notes the successor if it matters. Says whether it is another state than `from`.
    fn add_successor(&self, from: u32, to: &M::State, fair: bool, out: &mut Expanded) -> bool {
        let start = out.bytes.len();
        self.model.encode(to, &mut out.bytes);
        let bytes = &out.bytes[start..];
        if bytes == self.store.get(from) {
            self.debug_assert_exact(to, bytes);
            out.bytes.truncate(start);
            return false;
        }
        let hash = store::hash(bytes);
        match self.store.find(bytes, hash) {
            Some(known) => {
                self.debug_assert_exact(to, bytes);
                out.bytes.truncate(start);
                if fair {
                    out.successors.push(Successor { to: Target::Known(known), fair });
                }
            }
            None => {
                self.assert_exact(to, bytes);
                let end = out.bytes.len();
                out.successors.push(Successor { to: Target::New { hash, start, end }, fair });
            }
        }
        true
    }

    /// An encoding that forgets something would merge states. What it forgets may show only in states that it
    /// takes for known ones; decoding those too costs a decoding for each step instead of each state.
    fn debug_assert_exact(&self, state: &M::State, bytes: &[u8]) {
        if cfg!(test) {
            self.assert_exact(state, bytes);
        }
    }

    fn assert_exact(&self, state: &M::State, bytes: &[u8]) {
        let decoded = self.model.decode(bytes);
        assert!(decoded == *state, "encoding lost something: {state:?} came back as {decoded:?}");
    }
}
