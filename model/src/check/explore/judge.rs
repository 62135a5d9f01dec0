//! From a finished search to its report: what holds in the bottom components, and the shortest paths.

use std::collections::{HashMap, VecDeque};

use super::bottom::for_each_bottom;
use super::claim::Test;
use super::report::{Bottoms, Counterexample, Finding, LargerBottom, Outcome, Path, Report, Step};
use super::search::{NO_PARENT, Search};
use super::{Explorable, StepKind};

/// The bottom components, by state numbers.
#[derive(Default)]
struct Numbers {
    quiescent: usize,
    stuck: usize,
    nearest_stuck: Option<u32>,
    /// The nearest state and the size of each component of several states.
    larger: Vec<(u32, usize)>,
    unjudged: usize,
    /// For each claim, the nearest state in which it does not hold in the end, and the size of its component.
    bad: Vec<Option<(u32, usize)>>,
}

impl<M: Explorable> Search<'_, M> {
    pub(super) fn report(self) -> Report<M> {
        let bottoms = self.judge_bottoms();
        let findings = (0..self.explorer.claims.len())
            .map(|claim| Finding {
                name: self.explorer.claims[claim].name.clone(),
                outcome: self.outcome(claim, bottoms.bad[claim]),
            })
            .collect();
        let examples = bottoms.larger.len().min(self.explorer.larger_bottoms);
        Report {
            states: self.store.len(),
            generated: self.generated,
            depth: self.depth,
            findings,
            quiescent_not_bottom: self
                .quiescent_not_bottom
                .map(|(state, action)| self.path_through(state, action)),
            bottoms: Bottoms {
                quiescent: bottoms.quiescent,
                stuck: bottoms.stuck,
                nearest_stuck: bottoms.nearest_stuck.map(|number| self.path_to(number)),
                larger: bottoms.larger[..examples]
                    .iter()
                    .map(|&(number, size)| LargerBottom { size, path: self.path_to(number) })
                    .collect(),
                larger_left_out: bottoms.larger.len() - examples,
                unjudged: bottoms.unjudged,
            },
            bounds: self.bounds,
        }
    }

    pub(super) fn state(&self, number: u32) -> M::State {
        self.explorer.model.decode(self.store.get(number))
    }

    fn judge_bottoms(&self) -> Numbers {
        let mut found = Numbers { bad: vec![None; self.explorer.claims.len()], ..Numbers::default() };
        for_each_bottom(&self.fair, |members| {
            if members.iter().any(|&member| self.is_open(member)) {
                found.unjudged += 1;
                return;
            }
            for &member in members {
                let state = self.state(member);
                self.judge_settled(member, members.len(), &state, &mut found.bad);
                if members.len() > 1 {
                    continue;
                }
                if self.explorer.model.is_quiescent(&state, false) {
                    found.quiescent += 1;
                } else {
                    found.stuck += 1;
                    found.nearest_stuck = Some(found.nearest_stuck.map_or(member, |old| old.min(member)));
                }
            }
            if members.len() > 1 {
                let nearest = members.iter().fold(u32::MAX, |nearest, &member| nearest.min(member));
                found.larger.push((nearest, members.len()));
            }
        });
        found.larger.sort_unstable();
        found
    }

    fn judge_settled(&self, number: u32, size: usize, state: &M::State, bad: &mut [Option<(u32, usize)>]) {
        for (claim, bad) in self.explorer.claims.iter().zip(bad) {
            if let Test::Settled(test) = &claim.test
                && bad.is_none_or(|(nearest, _)| number < nearest)
                && !test(self.explorer.model, state)
            {
                *bad = Some((number, size));
            }
        }
    }

    /// Whether not all fair steps of the state are known.
    fn is_open(&self, number: u32) -> bool {
        number >= self.expanded || self.open.binary_search(&number).is_ok()
    }

    fn outcome(&self, claim: usize, bad_in_the_end: Option<(u32, usize)>) -> Outcome<M> {
        if let Some(failure) = self.failures[claim] {
            let path = match failure.action {
                None => self.path_to(failure.state),
                Some(action) => self.path_through(failure.state, action),
            };
            return Outcome::Violated(Counterexample { path, lasso: None });
        }
        match bad_in_the_end {
            None => Outcome::Holds,
            Some((number, size)) => Outcome::Violated(Counterexample {
                path: self.path_to(number),
                lasso: (size > 1).then(|| self.cycle_through(number)),
            }),
        }
    }

    /// A shortest path to a state.
    fn path_to(&self, number: u32) -> Path<M> {
        let mut numbers = vec![number];
        let mut first = number;
        while self.parents[first as usize] != NO_PARENT {
            first = self.parents[first as usize];
            numbers.push(first);
        }
        numbers.reverse();
        self.path_along(&numbers, false)
    }

    /// A shortest path to a state, and then the step by its action of that index.
    fn path_through(&self, number: u32, action: usize) -> Path<M> {
        let mut path = self.path_to(number);
        let mut actions = Vec::new();
        self.explorer.model.actions(path.end(), &mut actions);
        let action = actions.swap_remove(action);
        let taken = self.explorer.model.take(path.end(), &action);
        if let Some(state) = taken.to {
            path.steps.push(Step { action, kind: taken.kind, state });
        }
        path
    }

    /// The path along these states, by fair steps only or by any.
    fn path_along(&self, numbers: &[u32], fair_only: bool) -> Path<M> {
        let steps = numbers.windows(2).map(|pair| self.step_between(pair[0], pair[1], fair_only)).collect();
        Path { start: self.state(numbers[0]), steps }
    }

    /// The first step that leads from one state to the other. The search met one; a model that does not offer
    /// it again breaks the contract.
    fn step_between(&self, from: u32, to: u32, fair_only: bool) -> Step<M> {
        let (from, to) = (self.state(from), self.state(to));
        let mut actions = Vec::new();
        self.explorer.model.actions(&from, &mut actions);
        for action in actions {
            let taken = self.explorer.model.take(&from, &action);
            if taken.to.as_ref() == Some(&to) && (taken.kind == StepKind::Fair || !fair_only) {
                return Step { action, kind: taken.kind, state: to };
            }
        }
        panic!("the model does not repeat its step from {from:?} to {to:?}");
    }

    /// A shortest cycle of fair steps through a state of a bottom component of several states.
    fn cycle_through(&self, number: u32) -> Path<M> {
        let mut reached_from = HashMap::new();
        let mut queue = VecDeque::from([number]);
        let mut last = number;
        'search: while let Some(from) = queue.pop_front() {
            for &to in self.fair.of(from) {
                if to == number {
                    last = from;
                    break 'search;
                }
                reached_from.entry(to).or_insert_with(|| {
                    queue.push_back(to);
                    from
                });
            }
        }
        let mut numbers = vec![number, last];
        while last != number {
            last = reached_from[&last];
            numbers.push(last);
        }
        numbers.reverse();
        self.path_along(&numbers, true)
    }
}
