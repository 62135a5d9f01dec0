//! The world: every node with its keys and its disk, two FIFO links for each ordered pair, clients that follow
//! redirections, operators who run scripts and may die, and faults by budgets. It implements
//! `stateright::Model` around the very step that the node runs.
//!
//! What keeps it small, and exact:
//! - **Parked headers.** There is no send action for heartbeats. A heartbeat delivers its sender's *current* header in one step, while its link
//!   holds nothing. Only a header that became stale can wait on a link, and how many may is the bound `d` of the scenario (`links.rs`).
//! - **Interned contents, memoised steps** (`contents.rs`). A state is numbers.
//! - **Labels instead of values** for the copies of a key: the last acknowledged one, an older one, one of a node that was not legitimate (`clients.rs`).
//!
//! No rule of the protocol is written here: clients route with [`crate::RouteTable::route`], MIGRATE decides with [`crate::migrate::Transfer`].

mod claims;
mod clients;
mod contents;
mod fails;
mod faults;
mod idle;
mod init;
mod links;
mod operators;
mod pings;
mod print;
mod renaming;
mod state;
mod symmetry;
mod tables;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stateright::{Model, Property};

use super::explore::{Explorable, StepKind, Taken, Visit};
use super::scenario::{Account, Client, FaultKind, MAX_NODES, Scenario, ScenarioError, ScriptStep};
use crate::input::Timer;

pub(crate) use contents::node_id;
use contents::{Contents, In, Outcome, Sent};
pub use state::WorldState;
use state::{Life, Mood, Shape, What};

/// A scenario, ready to be explored.
pub struct World {
    scenario: Scenario,
    contents: Contents,
    /// The scripts of each operator, end to end; none ends one.
    scripts: Vec<Vec<Option<ScriptStep>>>,
    /// Where the ways to resume begin, in the above.
    resumes: Vec<Vec<u8>>,
    shape: Shape,
    /// The nodes that may be suspected, as bits.
    suspectable: u8,
    /// Some node is looked for at the address of another.
    recycled: bool,
    /// The ways in which alike nodes may change places.
    alike: Option<symmetry::Alike>,
    /// Where each fault budget may be spent.
    accounts: Vec<Account>,
    clients: Vec<Client>,
    /// Nodes that are to stay out once they are forgotten.
    forgotten: Vec<crate::NodeId>,
    initial: Vec<WorldState>,
    /// Tells worlds apart where expansions are remembered.
    identity: u64,
}

/// A step of the world. The index tells alternatives of one kind apart (which headers are left behind, what a crash leaves on a link).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    index: u16,
    what: Move,
    /// Which properties of steps it violates ([`contents::WRONG`]).
    wrong: u8,
}

/// What happens in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Move {
    Heartbeat {
        from: u8,
        to: u8,
        reply: bool,
        pick: u8,
        expired: bool,
    },
    Parked {
        link: u8,
        stays: bool,
        pick: u8,
        expired: bool,
    },
    Message {
        link: u8,
        stays: bool,
    },
    SendHeader {
        link: u8,
    },
    Lose {
        link: u8,
        keep: u8,
    },
    LinkUp {
        node: u8,
        placeholder: u8,
    },
    /// A timer by its position among those armed.
    Timer {
        node: u8,
        timer: u8,
    },
    Pfail {
        node: u8,
        peer: u8,
    },
    BeforeSleep {
        node: u8,
    },
    Command {
        operator: u8,
    },
    Migrate {
        operator: u8,
        key: u8,
    },
    Restore {
        transfer: u8,
    },
    Answer {
        transfer: u8,
    },
    BreaksOff {
        transfer: u8,
        timed_out: bool,
    },
    OperatorDies {
        operator: u8,
        returns: bool,
    },
    OperatorReturns {
        operator: u8,
        at: u8,
    },
    /// A client's operation, or none if the node sends it elsewhere.
    Client {
        client: u8,
        op: Option<state::Op>,
        key: u8,
        node: u8,
    },
    /// The operation of the client at this position; none if it gives up.
    Asks {
        client: u8,
        op: Option<state::Op>,
    },
    /// The client at this position asks there, and is sent on.
    AskedOn {
        client: u8,
    },
    Crash {
        node: u8,
        power: bool,
        for_good: bool,
    },
    Restart {
        node: u8,
    },
    WriteBack {
        node: u8,
    },
    Pause {
        node: u8,
    },
    Resume {
        node: u8,
    },
    Cut {
        node: u8,
        out: bool,
    },
    Heal {
        node: u8,
        out: bool,
    },
    CutLink {
        from: u8,
        to: u8,
    },
    HealLink {
        from: u8,
        to: u8,
    },
    Reset {
        from: u8,
        to: u8,
    },
    Resync {
        node: u8,
    },
    /// A FAIL about `subject` arrives, of nobody in particular.
    Fail {
        node: u8,
        subject: u8,
        stays: bool,
    },
    /// It is lost.
    LoseFail {
        node: u8,
        subject: u8,
    },
    /// A PING is lost, or its PONG.
    LosePing {
        from: u8,
        to: u8,
    },
    /// A connection whose PING was not answered is opened anew.
    Redial {
        from: u8,
        to: u8,
    },
    /// A node hears a PONG of `there` where it looks for `peer`.
    WrongName {
        node: u8,
        peer: u8,
        there: u8,
    },
}

/// What happens, and whether that is fair.
type Doing = (Move, StepKind);

/// Receives the steps of one state, as they are found.
struct Steps<'a> {
    world: &'a World,
    from: &'a WorldState,
    count: u16,
    /// What the steps of nodes violate that the next steps are made of.
    wrong: u8,
    visit: &'a mut Visit<'a, World>,
}

impl Steps<'_> {
    /// A step to `to`, unless nothing changes.
    fn add(&mut self, what: Move, kind: StepKind, to: &mut WorldState) {
        to.tidy(self.world.shape);
        if !self.world.scenario.options.idle_reports {
            self.leave_out_idle(to);
        }
        if to != self.from {
            if let Some(alike) = &self.world.alike {
                alike.settle(&self.world.contents, to);
            }
            self.hand_over(what, Taken::to(kind, to));
        }
    }

    /// A step that a bound of the world forbids.
    fn cut(&mut self, what: Move, kind: StepKind, bound: &'static str) {
        self.hand_over(what, Taken::cut_off(kind, bound));
    }

    fn hand_over(&mut self, what: Move, taken: Taken<&WorldState>) {
        (self.visit)(Step { index: self.count, what, wrong: self.wrong }, taken);
        self.count += 1;
    }
}

/// The expansion of one state of one world.
type Expansion = (u64, WorldState, Arc<Vec<(Step, Taken<WorldState>)>>);

thread_local! {
    /// The last expansion of this thread: Stateright's checker asks for the actions of a state and then takes each of them.
    static LAST: RefCell<Option<Expansion>> = const { RefCell::new(None) };
}

impl World {
    /// The world of a scenario.
    pub fn new(scenario: Scenario) -> Result<Self, ScenarioError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        init::build(scenario, NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// What it was made from.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// How many different nodes, headers and other messages its states are made of, so far.
    pub fn content_counts(&self) -> (usize, usize, usize) {
        (self.contents.node_count(), self.contents.headers.len(), self.contents.shots.len())
    }

    /// The nodes alone, as numbers: what comparisons of abstractions look at. Of two worlds they are compared by
    /// [`Self::node_states`].
    pub fn node_states(&self, state: &WorldState) -> Vec<(Arc<crate::NodeState>, u8)> {
        let cells = state.nodes[..self.shape.nodes].iter().enumerate();
        cells.map(|(i, c)| (Arc::clone(&self.contents.facts(c.state).state), state.key_mask(i))).collect()
    }

    /// How many worlds an explored one stands for: those in which alike nodes have changed places.
    pub fn worlds_behind(&self, state: &WorldState) -> usize {
        self.alike.as_ref().map_or(1, |alike| alike.behind(&self.contents, state))
    }

    /// Whether the node at a position runs.
    pub fn is_up(&self, state: &WorldState, node: usize) -> bool {
        state.nodes[node].life == Life::Up
    }

    fn expand(&self, s: &WorldState) -> Arc<Vec<(Step, Taken<WorldState>)>> {
        let known = LAST.with_borrow(|last| match last {
            Some((world, state, all)) if *world == self.identity && state == s => Some(Arc::clone(all)),
            _ => None,
        });
        known.unwrap_or_else(|| {
            let mut all = Vec::new();
            self.for_each_step(s, &mut |step, Taken { to, kind, cut_off }| {
                all.push((step, Taken { to: to.cloned(), kind, cut_off }));
            });
            let all = Arc::new(all);
            LAST.set(Some((self.identity, s.clone(), Arc::clone(&all))));
            all
        })
    }

    /// Timers, suspicion, connections of handshakes, work put off.
    fn node_moves(&self, s: &WorldState, steps: &mut Steps<'_>) {
        for node in (0..self.shape.nodes).filter(|&n| s.runs(n)) {
            let cell = s.nodes[node];
            let facts = self.contents.facts(cell.state);
            let at = node as u8;
            for (n, &timer) in (0..).zip(&facts.timers) {
                for (kind, next) in self.timer_kinds(s, node, timer) {
                    let doing = (Move::Timer { node: at, timer: n }, kind);
                    self.take_step(s, next, node, In::Timer(n), doing, steps);
                }
            }
            for peer in 0..self.shape.nodes {
                let bit = 1 << peer;
                let misled = facts.misled.iter().any(|(p, _)| usize::from(*p) == peer);
                if self.scenario.options.patient
                    || self.suspectable & bit == 0
                    || peer == node
                    || facts.knows & bit == 0 && !misled
                    || facts.suspects & bit != 0
                {
                    continue;
                }
                let away = misled || s.nodes[peer].life != Life::Up || !self.open_both(s, node, peer);
                let ways = if away {
                    vec![(StepKind::Fair, s.clone())]
                } else if cell.drowsy & bit != 0 {
                    vec![(StepKind::Neither, s.clone())]
                } else {
                    let early = self.spend_on_link(s, FaultKind::EarlyPfail, node, peer);
                    early.map(|next| (StepKind::Fault, next)).collect()
                };
                let what = Move::Pfail { node: at, peer: peer as u8 };
                for (kind, next) in ways {
                    self.take_step(s, next, node, In::Overdue(peer as u8), (what, kind), steps);
                }
            }
            for &(placeholder, to) in &facts.handshakes {
                let to = usize::from(to);
                let under_way = self.connection(node, to).into_iter().any(|l| {
                    s.on_link(l).any(|m| match m.what {
                        What::Ask(_, p) | What::Answer(_, p) => p == placeholder,
                        _ => false,
                    })
                });
                if s.nodes[to].life == Life::Up && self.open_both(s, node, to) && !under_way {
                    let what = Move::LinkUp { node: at, placeholder };
                    self.take_step(
                        s,
                        s.clone(),
                        node,
                        In::LinkUp(placeholder),
                        (what, StepKind::Fair),
                        steps,
                    );
                }
            }
            if facts.has_todo {
                let what = Move::BeforeSleep { node: at };
                self.take_step(s, s.clone(), node, In::BeforeSleep, (what, StepKind::Fair), steps);
            }
            if cell.saved != cell.synced {
                let mut next = s.clone();
                next.nodes[node].synced = cell.saved;
                steps.add(Move::WriteBack { node: at }, StepKind::Fair, &mut next);
            }
            if let Some(master) = facts.replica_of.filter(|&m| s.runs(usize::from(m))) {
                let mut next = s.clone();
                for key in &mut next.keys {
                    key.memory[node] = key.memory[usize::from(master)];
                    if self.shape.disks {
                        key.disk[node] = key.memory[node];
                    }
                }
                steps.add(Move::Resync { node: at }, StepKind::Fair, &mut next);
            }
        }
    }

    /// As what a timer of a node may fire, and the world with that paid for.
    fn timer_kinds(&self, s: &WorldState, node: usize, timer: Timer) -> Vec<(StepKind, WorldState)> {
        match timer {
            Timer::StartupDelay | Timer::RejoinDelay => vec![(StepKind::Fair, s.clone())],
            Timer::ReportExpires { .. } => vec![(StepKind::Neither, s.clone())],
            // All FORGETs of one removal come within the minute.
            Timer::BlacklistExpires(id) => {
                let early = self.scenario.options.blacklist_outlasts_messages && !s.messages.is_empty();
                let expires = !early && !self.still_forgets(s, &id);
                expires.then(|| (StepKind::Neither, s.clone())).into_iter().collect()
            }
            Timer::HandshakeExpires(id) => {
                let facts = self.contents.facts(s.nodes[node].state);
                let to = facts
                    .state
                    .peer(&id)
                    .and_then(|p| p.address.ip.strip_prefix("10.0.0.")?.parse::<usize>().ok());
                let there = to.filter(|&to| to <= self.shape.nodes && s.nodes[to - 1].life != Life::Dead);
                match there {
                    None => vec![(StepKind::Fair, s.clone())],
                    Some(to) => {
                        let late = self.spend_on_link(s, FaultKind::HandshakeTimeout, node, to - 1);
                        late.map(|next| (StepKind::Fault, next)).collect()
                    }
                }
            }
            // Never armed by the core: see the moves of suspicion.
            Timer::PongOverdue(_) => Vec::new(),
        }
    }

    /// A node takes an input: `next` is the world with everything beside that step done already.
    fn take_step(
        &self,
        s: &WorldState,
        next: WorldState,
        node: usize,
        input: In,
        doing: Doing,
        steps: &mut Steps<'_>,
    ) {
        let outcome = self.contents.step(node, s.nodes[node].state, s.key_mask(node), input);
        self.apply(s, next, node, outcome, doing, steps);
    }

    /// What follows from an outcome: what it does to its node, messages, and the headers that are left behind.
    fn apply(
        &self,
        s: &WorldState,
        mut next: WorldState,
        node: usize,
        outcome: &Outcome,
        doing: Doing,
        steps: &mut Steps<'_>,
    ) {
        if !self.land(&mut next, node, outcome) {
            return steps.cut(doing.0, doing.1, "epoch");
        }
        steps.wrong = outcome.wrong;
        if self.scenario.options.update_at_once {
            self.settle_updates(s, next, node, outcome, doing, steps);
        } else {
            self.settle(s, next, &[node], &outcome.sent, doing, steps);
        }
        steps.wrong = 0;
    }

    /// The same where an UPDATE may be settled in the step that provokes it: each that can be is applied, or dropped; of two to one node the
    /// second has to wait.
    fn settle_updates(
        &self,
        s: &WorldState,
        next: WorldState,
        node: usize,
        outcome: &Outcome,
        doing: Doing,
        steps: &mut Steps<'_>,
    ) {
        let mut now: Vec<(usize, u32)> = Vec::new();
        for (to, id) in self.updates(&outcome.sent) {
            if self.settles(&next, node, to) && now.iter().all(|(other, _)| *other != to) {
                now.push((to, id));
            }
        }
        let is_now =
            |sent: &Sent| matches!(*sent, Sent::Shot { to, id } if now.contains(&(usize::from(to), id)));
        let later: Vec<Sent> = outcome.sent.iter().filter(|sent| !is_now(sent)).copied().collect();
        for set in 0u32..1 << now.len() {
            let (mut next, mut actors) = (next.clone(), vec![node]);
            steps.wrong = outcome.wrong;
            for (i, &(to, id)) in now.iter().enumerate() {
                if set >> i & 1 == 0 {
                    continue;
                }
                let answer = self.contents.step(to, next.nodes[to].state, next.key_mask(to), In::Shot(id));
                if !answer.sent.is_empty() {
                    return steps.cut(doing.0, doing.1, "an answer to an UPDATE that is settled at once");
                }
                next.nodes[to].drowsy &= !(1 << node);
                steps.wrong |= answer.wrong;
                if !self.land(&mut next, to, answer) {
                    return steps.cut(doing.0, doing.1, "epoch");
                }
                actors.push(to);
            }
            self.settle(s, next, &actors, &later, doing, steps);
        }
    }

    /// What an outcome does to its node: content, disk, keys, connections. False if an epoch is beyond what the world holds.
    fn land(&self, next: &mut WorldState, node: usize, outcome: &Outcome) -> bool {
        next.nodes[node].state = outcome.to;
        let facts = self.contents.facts(outcome.to);
        if facts.epoch_beyond {
            return false;
        }
        if let Some(fsync) = outcome.persist.filter(|_| self.shape.disks) {
            let saved = self.contents.saved_of(facts);
            next.nodes[node].saved = saved;
            if fsync {
                next.nodes[node].synced = saved;
            }
        }
        for (k, spec) in self.scenario.keys.iter().enumerate() {
            if outcome.drops >> spec.slot & 1 == 1 || outcome.flushes {
                // What delKeysInSlot deletes is back after a restart.
                next.keys[k].memory[node] = state::Label::None;
                if outcome.flushes {
                    next.keys[k].disk[node] = state::Label::None;
                }
            }
        }
        for peer in (0..self.shape.nodes).filter(|p| outcome.closed >> p & 1 == 1) {
            next.set_ping_lost(node, peer, false);
            for link in self.connection(node, peer).into_iter().chain(self.connection(peer, node)) {
                if links::target(link) == node {
                    next.truncate(link, 0);
                }
            }
        }
        true
    }
}

impl Model for World {
    type State = WorldState;
    type Action = Step;

    fn init_states(&self) -> Vec<WorldState> {
        self.initial.clone()
    }

    fn actions(&self, state: &WorldState, actions: &mut Vec<Step>) {
        actions.extend(self.expand(state).iter().map(|(step, _)| *step));
    }

    fn next_state(&self, state: &WorldState, step: Step) -> Option<WorldState> {
        self.take(state, &step).to
    }

    fn properties(&self) -> Vec<Property<Self>> {
        Vec::new()
    }
}

impl Explorable for World {
    fn take(&self, from: &WorldState, step: &Step) -> Taken<WorldState> {
        self.expand(from)[usize::from(step.index)].1.clone()
    }

    fn for_each_step(&self, s: &WorldState, visit: &mut Visit<'_, Self>) {
        let mut steps = Steps { world: self, from: s, count: 0, wrong: 0, visit };
        self.deliveries(s, &mut steps);
        self.node_moves(s, &mut steps);
        self.operator_moves(s, &mut steps);
        self.client_moves(s, &mut steps);
        self.fault_moves(s, &mut steps);
    }

    /// No message under way, nobody asleep, cut off, blocked or to be restarted, each operator done or gone for good, and no fair step.
    fn is_quiescent(&self, s: &WorldState, moves: bool) -> bool {
        !moves
            && s.messages.is_empty()
            && s.cut_in == 0
            && s.cut_out == 0
            && s.fails == [0; MAX_NODES]
            && s.cut_links == 0
            && s.nodes[..self.shape.nodes].iter().all(|c| matches!(c.life, Life::Up | Life::Dead))
            && s.transfers.iter().all(|t| t.stage == state::Stage::Astray)
            && s.operators[..self.shape.operators]
                .iter()
                .all(|o| o.mood != Mood::Dead && o.mood != Mood::Waits)
    }

    fn encode(&self, state: &WorldState, out: &mut Vec<u8>) {
        state.encode(self.shape, out);
    }

    fn decode(&self, bytes: &[u8]) -> WorldState {
        WorldState::decode(bytes, self.shape)
    }

    fn format_state(&self, state: &WorldState) -> String {
        self.describe(state)
    }

    fn tell_step(&self, from: &WorldState, step: &Step) -> String {
        self.tell(from, step.what)
    }
}
