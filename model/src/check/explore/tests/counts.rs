//! Counts: equal to Stateright's, to published ones, and for every number of threads.

use std::collections::HashSet;
use std::sync::Arc;

use stateright::Model;

use super::super::{Claim, Explorable, Explorer, Report, StepKind, Taken, Verdict, spawn_bfs_counts};

/// Philosophers at a round table, each of whom takes the left fork, then the right one, then puts both back.
#[derive(Clone, Copy)]
struct Philosophers(u8);

/// For each philosopher how many forks are held.
type Held = Vec<u8>;

impl Model for Philosophers {
    type State = Held;
    type Action = u8;

    fn init_states(&self) -> Vec<Held> {
        vec![vec![0; usize::from(self.0)]]
    }

    fn actions(&self, _: &Held, actions: &mut Vec<u8>) {
        actions.extend(0..self.0);
    }

    fn next_state(&self, held: &Held, who: u8) -> Option<Held> {
        self.take(held, &who).to
    }
}

impl Explorable for Philosophers {
    fn take(&self, held: &Held, &who: &u8) -> Taken<Held> {
        let right = usize::from((who + 1) % self.0);
        let left = usize::from((who + self.0 - 1) % self.0);
        let who = usize::from(who);
        let next = match held[who] {
            0 if held[left] < 2 => 1,
            1 if held[right] == 0 => 2,
            2 => 0,
            _ => return Taken::nowhere(StepKind::Fair),
        };
        let mut after = held.clone();
        after[who] = next;
        Taken::to(StepKind::Fair, after)
    }

    fn is_quiescent(&self, _: &Held, _: bool) -> bool {
        false
    }

    fn encode(&self, held: &Held, out: &mut Vec<u8>) {
        out.extend(held);
    }

    fn decode(&self, bytes: &[u8]) -> Held {
        bytes.to_vec()
    }
}

/// Two-phase commit, after the specification that comes with TLA+. Stateright publishes its counts.
#[derive(Clone, Copy)]
struct TwoPhase {
    managers: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Commit {
    /// Each resource manager: working, prepared, committed, aborted.
    managers: Vec<u8>,
    /// The transaction manager: deciding, committed, aborted. Decisions are its messages, too.
    decision: u8,
    /// Who has told that it is prepared, as bits; of whom the transaction manager knows.
    told: u8,
    known: u8,
}

#[derive(Clone, Debug, PartialEq)]
enum Act {
    Learn(u8),
    DecideCommit,
    DecideAbort,
    Prepare(u8),
    GiveUp(u8),
    Commit(u8),
    Abort(u8),
}

impl Model for TwoPhase {
    type State = Commit;
    type Action = Act;

    fn init_states(&self) -> Vec<Commit> {
        vec![Commit { managers: vec![0; usize::from(self.managers)], decision: 0, told: 0, known: 0 }]
    }

    fn actions(&self, state: &Commit, actions: &mut Vec<Act>) {
        let all = (1 << self.managers) - 1;
        actions.extend((state.decision == 0 && state.known == all).then_some(Act::DecideCommit));
        actions.extend((state.decision == 0).then_some(Act::DecideAbort));
        for who in 0..self.managers {
            let working = state.managers[usize::from(who)] == 0;
            let told = state.told & 1 << who != 0;
            actions.extend((state.decision == 0 && told).then_some(Act::Learn(who)));
            actions.extend(working.then_some(Act::Prepare(who)));
            actions.extend(working.then_some(Act::GiveUp(who)));
            actions.extend((state.decision == 1).then_some(Act::Commit(who)));
            actions.extend((state.decision == 2).then_some(Act::Abort(who)));
        }
    }

    fn next_state(&self, state: &Commit, act: Act) -> Option<Commit> {
        self.take(state, &act).to
    }
}

impl Explorable for TwoPhase {
    fn take(&self, state: &Commit, act: &Act) -> Taken<Commit> {
        let mut after = state.clone();
        match *act {
            Act::Learn(who) => after.known |= 1 << who,
            Act::DecideCommit => after.decision = 1,
            Act::DecideAbort => after.decision = 2,
            Act::Prepare(who) => {
                after.managers[usize::from(who)] = 1;
                after.told |= 1 << who;
            }
            Act::GiveUp(who) => after.managers[usize::from(who)] = 3,
            Act::Commit(who) => after.managers[usize::from(who)] = 2,
            Act::Abort(who) => after.managers[usize::from(who)] = 3,
        }
        let kind =
            if matches!(act, Act::GiveUp(_) | Act::DecideAbort) { StepKind::Neither } else { StepKind::Fair };
        Taken::to(kind, after)
    }

    fn is_quiescent(&self, state: &Commit, _: bool) -> bool {
        state.managers.iter().all(|&manager| manager == state.decision + 1)
    }

    fn encode(&self, state: &Commit, out: &mut Vec<u8>) {
        out.extend([state.decision, state.told, state.known]);
        out.extend(&state.managers);
    }

    fn decode(&self, bytes: &[u8]) -> Commit {
        Commit { decision: bytes[0], told: bytes[1], known: bytes[2], managers: bytes[3..].to_vec() }
    }
}

/// Two counters; the first may be increased by one or by two. Wide levels, so that threads share them.
#[derive(Clone, Copy)]
struct Grid(u16);

impl Model for Grid {
    type State = (u16, u16);
    type Action = (u16, u16);

    fn init_states(&self) -> Vec<(u16, u16)> {
        vec![(0, 0), (0, 1)]
    }

    fn actions(&self, _: &(u16, u16), actions: &mut Vec<(u16, u16)>) {
        actions.extend([(2, 0), (1, 0), (0, 1), (0, 0)]);
    }

    fn next_state(&self, from: &(u16, u16), by: (u16, u16)) -> Option<(u16, u16)> {
        self.take(from, &by).to
    }

    fn within_boundary(&self, at: &(u16, u16)) -> bool {
        at.0 < self.0 && at.1 < self.0
    }
}

impl Explorable for Grid {
    fn take(&self, from: &(u16, u16), by: &(u16, u16)) -> Taken<(u16, u16)> {
        let kind = if by.0 == 2 { StepKind::Fault } else { StepKind::Fair };
        Taken::to(kind, (from.0 + by.0, from.1 + by.1))
    }

    fn is_quiescent(&self, _: &(u16, u16), _: bool) -> bool {
        false
    }

    fn encode(&self, at: &(u16, u16), out: &mut Vec<u8>) {
        out.extend(at.0.to_le_bytes());
        out.extend(at.1.to_le_bytes());
    }

    fn decode(&self, bytes: &[u8]) -> (u16, u16) {
        (u16::from_le_bytes([bytes[0], bytes[1]]), u16::from_le_bytes([bytes[2], bytes[3]]))
    }
}

fn counts<M: Explorable>(report: &Report<M>) -> (usize, u64, usize) {
    (report.states, report.generated, report.depth)
}

/// Runs the model with 1, 2 and 3 threads of ours and 1 and 2 of Stateright's, and returns our report.
fn run_all_ways<M>(model: M, claims: fn() -> Vec<Claim<M>>) -> Report<M>
where
    M: Explorable + Copy + Send + Sync + 'static,
    M::State: std::hash::Hash + Send + Sync,
    M::Action: PartialEq,
{
    let alone = Explorer::new(&model).claims(claims()).run();
    let shown = alone.display(&model).to_string();
    for threads in [2, 3] {
        let shared = Explorer::new(&model).claims(claims()).run_threads(threads);
        assert_eq!(shared.display(&model).to_string(), shown, "with {threads} threads");
    }
    let one = spawn_bfs_counts(Arc::new(model), 1);
    assert_eq!((one.states, one.generated as u64, one.depth), counts(&alone));
    let two = spawn_bfs_counts(Arc::new(model), 2);
    assert_eq!((two.states, two.generated), (one.states, one.generated));
    alone
}

#[test]
fn two_phase_commit_has_its_published_counts() {
    let claims = || {
        vec![
            Claim::always("consistent", |_: &TwoPhase, state: &Commit| {
                !(state.managers.contains(&2) && state.managers.contains(&3))
            }),
            Claim::settled("agreed", |_: &TwoPhase, state: &Commit| {
                state.managers.iter().all(|&manager| manager == state.managers[0])
            }),
        ]
    };
    for (managers, states) in [(3, 288), (5, 8_832)] {
        let report = run_all_ways(TwoPhase { managers }, claims);
        assert_eq!((report.states, report.complete()), (states, true));
        // Nobody has to decide for abort: all but one give up, and the last one's word is heard and unanswered.
        assert!(report.counterexample("consistent").is_none());
        let found = report.counterexample("agreed").expect("a violation");
        assert_eq!(found.path.steps.len(), usize::from(managers) + 1);
    }
}

#[test]
fn philosophers_starve_on_the_shortest_way() {
    let claims = || {
        vec![Claim::always("somebody can go on", |_: &Philosophers, held: &Held| {
            held.contains(&0) || held.contains(&2)
        })]
    };
    for seats in 2..=9 {
        let report = run_all_ways(Philosophers(seats), claims);
        let found = report.counterexample("somebody can go on").expect("a deadlock");
        assert_eq!(found.path.steps.len(), usize::from(seats));
        // The deadlock can be reached from everywhere: it is the only bottom.
        assert_eq!((report.bottoms.stuck, report.bottoms.larger.len()), (1, 0));
    }
}

#[test]
fn threads_share_wide_levels_and_change_nothing() {
    let claims = || {
        vec![
            Claim::always("not there", |_: &Grid, at: &(u16, u16)| at.0 + at.1 < 700),
            Claim::each_step("no fault up there", |_: &Grid, from: &(u16, u16), by: &(u16, u16), _| {
                from.1 < 300 || by.0 != 2
            }),
            Claim::settled("at the corner", |model: &Grid, at: &(u16, u16)| {
                *at == (model.0 - 1, model.0 - 1)
            }),
        ]
    };
    let report = run_all_ways(Grid(400), claims);
    assert_eq!(report.states, 160_000);
    assert_eq!(Vec::from_iter(report.bounds.iter().copied()), ["within_boundary"]);
    assert_eq!(report.verdict(), Verdict::Violated);
    assert_eq!(report.bottoms.unjudged, 1);
}

#[test]
fn progress_is_reported_until_the_end() {
    let mut seen = Vec::new();
    let report = Explorer::new(&Grid(100))
        .on_progress(|now| {
            seen.push(*now);
            std::ops::ControlFlow::Continue(())
        })
        .run();
    assert!(seen.is_sorted_by_key(|now| (now.states, now.generated, now.depth)));
    let last = seen.last().expect("progress");
    assert_eq!((last.states, last.frontier, last.generated), (report.states, 0, report.generated));
    assert_eq!(last.depth, report.depth);
}

#[test]
fn projections_are_collected_from_every_state() {
    let (report, rows) = Explorer::new(&Grid(20)).project(|at| at.1);
    assert_eq!(report.states, 400);
    assert_eq!(rows, HashSet::from_iter(0..20));
}

/// An encoding that forgets something is not believed, even if it takes every new state for a known one. (In a
/// release build only new states are compared.)
#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "encoding lost something")]
fn a_lossy_encoding_is_noticed() {
    use super::{Drawn, drawn, fair};

    struct Lossy(Drawn);
    impl Model for Lossy {
        type State = u32;
        type Action = usize;
        fn init_states(&self) -> Vec<u32> {
            self.0.init_states()
        }
        fn actions(&self, from: &u32, actions: &mut Vec<usize>) {
            self.0.actions(from, actions);
        }
        fn next_state(&self, from: &u32, action: usize) -> Option<u32> {
            self.0.next_state(from, action)
        }
    }
    impl Explorable for Lossy {
        fn take(&self, from: &u32, action: &usize) -> Taken<u32> {
            self.0.take(from, action)
        }
        fn is_quiescent(&self, _: &u32, _: bool) -> bool {
            false
        }
        fn encode(&self, state: &u32, out: &mut Vec<u8>) {
            out.push(*state as u8);
        }
        fn decode(&self, bytes: &[u8]) -> u32 {
            u32::from(bytes[0])
        }
    }
    let chain = drawn((1..300).map(|next| vec![fair(next)]).chain([vec![]]).collect());
    Explorer::new(&Lossy(chain)).run();
}
