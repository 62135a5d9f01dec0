//! The search: breadth first, level by level, in an order that does not depend on the number of threads.
//!
//! Batches of states are expanded, by one thread or by several that only read ([`expand`](super::expand));
//! what they found is then merged in the order of the states, so numbers, counts and paths are the same for
//! every number of threads.

use std::collections::{BTreeSet, HashSet};
use std::hash::Hash;
use std::ops::{ControlFlow, Range};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::Explorable;
use super::claim::Claim;
use super::expand::{Context, Expanded, Failure, Target};
use super::report::Report;
use super::store::{self, MAX_STATES, Store};

/// Reported as a bound when no further state may be stored.
const STATES: &str = "states";
/// Reported as a bound when the caller or a violation ended the run.
const STOPPED: &str = "stopped";

/// States that one thread expands at a time.
const CHUNK: u32 = 256;
/// Chunks that are expanded before their results are merged, for each thread.
const CHUNKS_PER_THREAD: u32 = 16;
/// The parent of an initial state.
pub(super) const NO_PARENT: u32 = u32::MAX;

type OnProgress<'a> = Box<dyn FnMut(&Progress) -> ControlFlow<()> + 'a>;

/// A run of a model, before it is run.
pub struct Explorer<'a, M: Explorable> {
    pub(super) model: &'a M,
    pub(super) claims: Vec<Claim<M>>,
    max_states: usize,
    pub(super) larger_bottoms: usize,
    stop_at_violation: bool,
    on_progress: OnProgress<'a>,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Unique states so far.
    pub states: usize,
    /// States that are not expanded yet.
    pub frontier: usize,
    /// Steps taken so far, and initial states.
    pub generated: u64,
    /// The level that is being expanded; initial states are level 1.
    pub depth: usize,
}

impl<'a, M: Explorable> Explorer<'a, M> {
    /// A run with no claims, to the end.
    pub fn new(model: &'a M) -> Self {
        Explorer {
            model,
            claims: Vec::new(),
            max_states: MAX_STATES,
            larger_bottoms: 16,
            stop_at_violation: false,
            on_progress: Box::new(|_| ControlFlow::Continue(())),
        }
    }

    /// Claims something of the model.
    pub fn claim(mut self, claim: Claim<M>) -> Self {
        self.claims.push(claim);
        self
    }

    /// Claims several things of the model.
    pub fn claims(mut self, claims: impl IntoIterator<Item = Claim<M>>) -> Self {
        self.claims.extend(claims);
        self
    }

    /// Stores at most so many states. A run that meets more is cut off by the bound `states`.
    pub fn max_states(mut self, states: usize) -> Self {
        self.max_states = states.min(MAX_STATES);
        self
    }

    /// How many of the bottom components of several states are reported with a path (16 unless said).
    pub fn larger_bottoms(mut self, examples: usize) -> Self {
        self.larger_bottoms = examples;
        self
    }

    /// Ends the run soon after the first violated invariant or step instead of at the end of the state space.
    /// Its bound is `stopped`.
    pub fn stop_at_violation(mut self) -> Self {
        self.stop_at_violation = true;
        self
    }

    /// Calls back after each batch of states (256 of them, or some thousand for each of several threads). A
    /// break ends the run: its bound is `stopped`.
    pub fn on_progress(mut self, callback: impl FnMut(&Progress) -> ControlFlow<()> + 'a) -> Self {
        self.on_progress = Box::new(callback);
        self
    }

    /// Explores the model in this thread.
    ///
    /// # Panics
    /// If the model breaks the contract of [`Explorable`].
    pub fn run(self) -> Report<M> {
        self.search(CHUNK, expand_here).report()
    }

    /// Explores the model with so many threads (at least one). The report is the same as that of
    /// [`Explorer::run`], unless a violation or the callback stops the run: that is noticed between batches,
    /// whose size depends on the threads.
    pub fn run_threads(self, threads: usize) -> Report<M>
    where
        M: Sync,
    {
        if threads <= 1 {
            return self.run();
        }
        let batch = CHUNK * CHUNKS_PER_THREAD * threads.min(1 << 10) as u32;
        self.search(batch, |context, range| expand_with(threads, context, range)).report()
    }

    /// Explores the model in this thread and collects what a projection makes of its states. To compare the
    /// states that two abstractions reach.
    pub fn project<P: Eq + Hash>(self, projection: impl Fn(&M::State) -> P) -> (Report<M>, HashSet<P>) {
        let search = self.search(CHUNK, expand_here);
        let projected =
            (0..search.store.len() as u32).map(|number| projection(&search.state(number))).collect();
        (search.report(), projected)
    }

    fn search(
        self,
        batch: u32,
        expand: impl Fn(Context<'_, M>, Range<u32>) -> Vec<Expanded>,
    ) -> Search<'a, M> {
        let mut search = Search::new(self);
        search.explore(batch, expand);
        search
    }
}

fn expand_here<M: Explorable>(context: Context<'_, M>, range: Range<u32>) -> Vec<Expanded> {
    vec![context.expand(range)]
}

fn expand_with<M: Explorable + Sync>(
    threads: usize,
    context: Context<'_, M>,
    range: Range<u32>,
) -> Vec<Expanded> {
    let chunks = range.len().div_ceil(CHUNK as usize);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            if chunk >= chunks {
                return done;
            }
            let start = range.start + chunk as u32 * CHUNK;
            done.push((chunk, context.expand(start..range.end.min(start.saturating_add(CHUNK)))));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(chunks)).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|&(chunk, _)| chunk);
    done.into_iter().map(|(_, expanded)| expanded).collect()
}

/// The states and the graph of a run.
pub(super) struct Search<'a, M: Explorable> {
    pub(super) explorer: Explorer<'a, M>,
    pub(super) store: Store,
    /// The state from which each state was reached first.
    pub(super) parents: Vec<u32>,
    pub(super) fair: FairGraph,
    /// States with a fair step that leads nobody knows where, ascending; so are all that were not expanded.
    pub(super) open: Vec<u32>,
    pub(super) expanded: u32,
    pub(super) depth: usize,
    pub(super) generated: u64,
    pub(super) bounds: BTreeSet<&'static str>,
    pub(super) failures: Vec<Option<Failure>>,
    pub(super) quiescent_not_bottom: Option<(u32, usize)>,
}

/// The fair steps that lead to another state, by number, each target once.
pub(super) struct FairGraph {
    /// The targets of state `n` are `targets[starts[n]..starts[n + 1]]`.
    pub(super) starts: Vec<u64>,
    pub(super) targets: Vec<u32>,
}

impl FairGraph {
    pub(super) fn of(&self, number: u32) -> &[u32] {
        let number = number as usize;
        &self.targets[self.starts[number] as usize..self.starts[number + 1] as usize]
    }

    /// Ends the targets of the next state.
    fn close(&mut self) {
        let start = self.starts.last().map_or(0, |&start| start as usize);
        self.targets[start..].sort_unstable();
        let mut kept = start;
        for read in start..self.targets.len() {
            if kept == start || self.targets[kept - 1] != self.targets[read] {
                self.targets[kept] = self.targets[read];
                kept += 1;
            }
        }
        self.targets.truncate(kept);
        self.starts.push(kept as u64);
    }
}

impl<'a, M: Explorable> Search<'a, M> {
    fn new(explorer: Explorer<'a, M>) -> Self {
        let failures = vec![None; explorer.claims.len()];
        Search {
            explorer,
            store: Store::new(),
            parents: Vec::new(),
            fair: FairGraph { starts: vec![0], targets: Vec::new() },
            open: Vec::new(),
            expanded: 0,
            depth: 0,
            generated: 0,
            bounds: BTreeSet::new(),
            failures,
            quiescent_not_bottom: None,
        }
    }

    fn explore(&mut self, batch: u32, expand: impl Fn(Context<'_, M>, Range<u32>) -> Vec<Expanded>) {
        self.add_initial_states();
        while (self.expanded as usize) < self.store.len() {
            self.depth += 1;
            let level_end = self.store.len() as u32;
            while self.expanded < level_end {
                let range = self.expanded..level_end.min(self.expanded.saturating_add(batch));
                let pending: Vec<bool> = self.failures.iter().map(Option::is_none).collect();
                let context = Context {
                    model: self.explorer.model,
                    claims: &self.explorer.claims,
                    pending: &pending,
                    store: &self.store,
                };
                for expanded in expand(context, range) {
                    self.merge(expanded);
                }
                if self.report_progress().is_break() {
                    self.bounds.insert(STOPPED);
                    break;
                }
            }
            if self.bounds.contains(STOPPED) {
                break;
            }
        }
        while self.fair.starts.len() <= self.store.len() {
            self.fair.close();
        }
        self.store.drop_table();
    }

    fn add_initial_states(&mut self) {
        let mut bytes = Vec::new();
        for state in self.explorer.model.init_states() {
            if !self.explorer.model.within_boundary(&state) {
                continue;
            }
            self.generated += 1;
            bytes.clear();
            self.explorer.model.encode(&state, &mut bytes);
            self.find_or_add(&bytes, store::hash(&bytes), NO_PARENT);
        }
    }

    /// The state's number, or `None` if no further state may be stored.
    fn find_or_add(&mut self, bytes: &[u8], hash: u64, parent: u32) -> Option<u32> {
        if let Some(known) = self.store.find(bytes, hash) {
            return Some(known);
        }
        if self.store.len() >= self.explorer.max_states {
            self.bounds.insert(STATES);
            return None;
        }
        self.parents.push(parent);
        Some(self.store.add(bytes, hash))
    }

    fn merge(&mut self, expanded: Expanded) {
        let mut open = expanded.open;
        let mut start = 0;
        for end in expanded.ends {
            let from = self.expanded;
            for successor in &expanded.successors[start..end] {
                let to = match successor.to {
                    Target::Known(number) => Some(number),
                    Target::New { hash, start, end } => {
                        self.find_or_add(&expanded.bytes[start..end], hash, from)
                    }
                };
                match to {
                    Some(to) if successor.fair => self.fair.targets.push(to),
                    None if successor.fair => open.push(from),
                    Some(_) | None => {}
                }
            }
            self.fair.close();
            self.expanded += 1;
            start = end;
        }
        open.sort_unstable();
        open.dedup();
        self.open.extend(open);
        self.generated += expanded.generated;
        self.bounds.extend(expanded.bounds);
        for failure in expanded.failures {
            self.failures[failure.claim].get_or_insert(failure);
        }
        self.quiescent_not_bottom = self.quiescent_not_bottom.or(expanded.quiescent_not_bottom);
    }

    fn report_progress(&mut self) -> ControlFlow<()> {
        let progress = Progress {
            states: self.store.len(),
            frontier: self.store.len() - self.expanded as usize,
            generated: self.generated,
            depth: self.depth,
        };
        let wanted = (self.explorer.on_progress)(&progress);
        let violated = self.failures.iter().any(Option::is_some) || self.quiescent_not_bottom.is_some();
        if progress.frontier == 0 {
            ControlFlow::Continue(())
        } else if self.explorer.stop_at_violation && violated {
            ControlFlow::Break(())
        } else {
            wanted
        }
    }
}
