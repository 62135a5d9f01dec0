//! One node in a world: what its content says, and its steps, taken once and remembered.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use crate::address::{Address, Flags};
use crate::check::properties::{NodeStep, s4_epoch_monotone, s5_fail_quorum, s9_no_stale_owner_serve};
use crate::check::scenario::{Scenario, address_of};
use crate::command::Command;
use crate::config::{Config, Keyspace};
use crate::effect::{Effect, Effects, Reply, To};
use crate::id::{Epoch, NODE_ID_LEN, NodeId};
use crate::input::{Dice, Input, Link, Receipt, Timer};
use crate::message::{Body, GossipEntry, Header, Heartbeat, Message};
use crate::route::RouteTable;
use crate::slot::{Slot, SlotSet};
use crate::state::{NodeState, Saved};

use super::tables::{Interner, Mix, Table};

/// The name of the node at a position: names are ordered as the nodes are.
pub(crate) fn node_id(position: usize) -> NodeId {
    let mut name = [b'0'; NODE_ID_LEN];
    let mut rest = position;
    for digit in name.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    NodeId::parse(&name).expect("forty digits")
}

/// The placeholder with this number, as the core names them.
fn placeholder(n: u8) -> NodeId {
    NodeId::parse(format!("{}{n:04}", "h".repeat(36)).as_bytes()).expect("letters and digits")
}

fn placeholder_number(id: &NodeId) -> Option<u8> {
    id.as_str().strip_prefix(&"h".repeat(36))?.parse().ok()
}

fn position_of(id: &NodeId) -> Option<u8> {
    id.as_str().parse().ok()
}

fn by_ip(address: &Address) -> Option<u8> {
    address.ip.strip_prefix("10.0.0.")?.parse::<u8>().ok().map(|n| n - 1)
}

/// What a content says, looked up once.
pub(super) struct Facts {
    pub(super) state: Arc<NodeState>,
    /// What a heartbeat of this moment carries.
    pub(super) header: u32,
    /// Nodes that it pings: known, at their address, not in handshake.
    pub(super) knows: u8,
    /// Nodes that it looks for at the address of another: their positions, and who is there.
    pub(super) misled: Vec<(u8, u8)>,
    /// Placeholders, where they lead, and whether they are to hear a MEET.
    pub(super) handshakes: Vec<(u8, u8)>,
    pub(super) timers: Vec<Timer>,
    /// Peers that are PFAIL or FAIL.
    pub(super) suspects: u8,
    /// Peers that there are reports about.
    pub(super) reported: u8,
    /// Peers whose FAIL is not undone at once: masters with slots.
    pub(super) held_fail: u8,
    pub(super) routes: RouteTable,
    /// It is a replica, of this node.
    pub(super) replica_of: Option<u8>,
    /// A greater epoch than the world allows is in it.
    pub(super) epoch_beyond: bool,
    pub(super) has_todo: bool,
    /// What its nodes.conf holds, once somebody asked.
    saved: OnceLock<u32>,
}

/// What a heartbeat can carry: the header without what no receiver reads, and what gossip may name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct HeaderContent {
    pub(super) header: Header,
    /// Entries of which each heartbeat has one, or none.
    pub(super) picks: Vec<GossipEntry>,
    /// Entries that always travel: those of PFAIL nodes.
    pub(super) always: Vec<GossipEntry>,
}

/// A step of a node, as a small key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum In {
    /// A heartbeat with this header; `pick` 255 is none, else an entry, or with `gossip_sets` a set of them.
    Header { header: u32, reply: bool, pick: u8, expired: bool },
    /// FAIL or UPDATE.
    Shot(u32),
    /// A FAIL about the node at this position, of nobody in particular.
    Fail(u8),
    /// The MEET or PING of a handshake, with the sender's placeholder.
    Ask(u32, u8),
    /// The PONG on a placeholder's connection.
    Answer(u32, u8),
    /// The PONG of somebody else, with this header, on the connection to the node at this position.
    WrongName(u32, u8),
    /// A placeholder's connection is up.
    LinkUp(u8),
    /// A timer, by its position in [`Facts::timers`].
    Timer(u8),
    /// The PONG of the node at this position is overdue.
    Overdue(u8),
    /// The command with this number.
    Command(u16),
    /// It starts from this nodes.conf.
    Restart(u32),
    /// The work put off.
    BeforeSleep,
}

impl In {
    /// The same as one number: what a table is searched for.
    fn packed(self) -> u64 {
        let (kind, id, of) = match self {
            Self::Header { header, reply, pick, expired } => {
                (0, header, u64::from(pick) | u64::from(reply) << 8 | u64::from(expired) << 9)
            }
            Self::Shot(id) => (1, id, 0),
            Self::Ask(id, of) => (2, id, of.into()),
            Self::Answer(id, of) => (3, id, of.into()),
            Self::LinkUp(of) => (4, 0, of.into()),
            Self::Timer(n) => (5, 0, n.into()),
            Self::Overdue(peer) => (6, 0, peer.into()),
            Self::Command(n) => (7, 0, n.into()),
            Self::Restart(saved) => (8, saved, 0),
            Self::BeforeSleep => (9, 0, 0),
            Self::WrongName(header, peer) => (10, header, peer.into()),
            Self::Fail(subject) => (11, 0, subject.into()),
        };
        u64::from(id) << 32 | kind << 16 | of
    }
}

/// Properties of steps that a node's own step decides, as bits of [`Outcome::wrong`].
pub(super) const WRONG: [(&str, u8); 3] = [("S4", 1), ("S5", 2), ("S9", 4)];

/// What a step leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) to: u32,
    pub(super) persist: Option<bool>,
    /// Sent, in order; heartbeats are not (they are steps of their own).
    pub(super) sent: Vec<Sent>,
    /// Slots whose keys are deleted.
    pub(super) drops: u64,
    pub(super) flushes: bool,
    /// Nodes that left the table, or whose connection is closed.
    pub(super) closed: u8,
    /// Refused, and why.
    pub(super) refused: Option<Box<str>>,
    /// Which of the properties [`WRONG`] the step violates.
    pub(super) wrong: u8,
}

/// A step of a node in full: what the properties of steps look at.
pub(super) struct Taken {
    pub(super) before: Arc<NodeState>,
    /// None for a restart from disk.
    pub(super) input: Option<Input>,
    pub(super) after: NodeState,
    pub(super) effects: Effects,
    asked_by: Option<(u8, u8)>,
}

impl Taken {
    /// As the properties want it.
    pub(super) fn as_step<'a>(&'a self, name: &'a str, config: &'a Config) -> NodeStep<'a> {
        let Self { before, input, after, effects, .. } = self;
        NodeStep { name, config, before, input: input.as_ref(), after, effects }
    }
}

/// A message of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Shot { to: u8, id: u32 },
    Ask { to: u8, id: u32, placeholder: u8 },
    Answer { to: u8, id: u32, placeholder: u8 },
}

/// Keys of a node, as a mask over the world's keys.
struct Mask<'a> {
    slots: &'a [u16],
    mask: u8,
}

impl Keyspace for Mask<'_> {
    fn keys_in_slot(&self, slot: Slot) -> u64 {
        let here = |k: usize| self.mask >> k & 1 == 1 && self.slots[k] == u16::from(slot);
        (0..self.slots.len()).filter(|&k| here(k)).count() as u64
    }

    fn total_keys(&self) -> u64 {
        self.mask.count_ones().into()
    }
}

/// A node content and its keys, and what comes to it.
type StepKey = (u64, u64);

fn step_key(state: u32, mask: u8, what: u64) -> StepKey {
    (u64::from(state) << 8 | u64::from(mask), what)
}

/// Picks of a heartbeat, whether the FAIL was old enough, and the number of what follows.
pub(super) type Beats = Vec<(u8, bool, u32)>;

/// All contents of a world, and what follows from what.
pub(super) struct Contents {
    pub(super) configs: Vec<Config>,
    key_slots: Vec<u16>,
    pub(super) commands: Vec<Command>,
    epoch_capacity: u64,
    gossip: bool,
    gossip_sets: bool,
    direct: bool,
    clear_reports: bool,
    nodes: Table<Arc<NodeState>, Facts>,
    pub(super) headers: Interner<HeaderContent>,
    pub(super) shots: Interner<Message>,
    pub(super) saved: Interner<Saved>,
    steps: Table<StepKey, Outcome, Mix>,
    beats: Table<StepKey, Beats, Mix>,
    bare: Table<StepKey, u32, Mix>,
}

impl Contents {
    pub(super) fn new(scenario: &Scenario, configs: Vec<Config>) -> Self {
        Self {
            configs,
            key_slots: scenario.keys.iter().map(|k| k.slot).collect(),
            commands: Vec::new(),
            epoch_capacity: scenario.options.epoch_capacity,
            gossip: scenario.options.gossip,
            gossip_sets: scenario.options.gossip_sets,
            direct: scenario.options.direct,
            clear_reports: scenario.options.clear_reports,
            nodes: Table::new(),
            headers: Interner::new(),
            shots: Interner::new(),
            saved: Interner::new(),
            steps: Table::new(),
            beats: Table::new(),
            bare: Table::new(),
        }
    }

    /// The facts of a content.
    pub(super) fn facts(&self, id: u32) -> &Facts {
        &self.nodes.entry(id).1
    }

    /// What the nodes.conf of a content holds.
    pub(super) fn saved_of(&self, facts: &Facts) -> u32 {
        *facts.saved.get_or_init(|| self.saved.id(facts.state.saved()))
    }

    /// How many different nodes there were.
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The number of a content.
    pub(super) fn intern(&self, mut state: NodeState) -> u32 {
        if self.clear_reports {
            state = state.without_reports_of_failed();
        }
        self.nodes.number(Arc::new(state), |state| self.look(Arc::clone(state)))
    }

    /// A content without reports about others than these.
    pub(super) fn with_reports_about(&self, id: u32, these: u8) -> u32 {
        *self.bare.answer(step_key(id, these, 0), |_| {
            let mut state = NodeState::clone(&self.facts(id).state);
            state.forget_reports(|of| position_of(of).is_some_and(|i| these >> i & 1 == 0));
            self.intern(state)
        })
    }

    fn look(&self, state: Arc<NodeState>) -> Facts {
        let me = position_of(&state.me()).map_or(0, usize::from);
        let config = &self.configs[me];
        let mask = |wanted: &dyn Fn(&crate::state::Peer) -> bool| {
            state
                .peers()
                .iter()
                .filter(|p| p.id != state.me() && wanted(p))
                .fold(0u8, |m, p| m | position_of(&p.id).map_or(0, |i| 1 << i))
        };
        let usable = |p: &crate::state::Peer| !p.in_handshake() && !p.no_address();
        let there = |p: &crate::state::Peer| by_ip(&p.address) == position_of(&p.id);
        let lost = state.peers().iter().filter(|p| p.id != state.me() && usable(p) && !there(p));
        let handshakes = state.peers().iter().filter(|p| p.in_handshake());
        let myself = state.myself();
        Facts {
            header: self.headers.id(self.header_of(&state, config)),
            knows: mask(&|p| usable(p) && there(p)),
            misled: lost.filter_map(|p| Some((position_of(&p.id)?, by_ip(&p.address)?))).collect(),
            handshakes: handshakes
                .filter_map(|p| Some((placeholder_number(&p.id)?, by_ip(&p.address)?)))
                .collect(),
            timers: state.armed_timers().collect(),
            suspects: mask(&|p| p.is_pfail() || p.is_fail()),
            reported: mask(&|p| !p.reports.is_empty()),
            held_fail: mask(&|p| p.is_fail() && p.is_master() && p.slot_count > 0),
            routes: state.route_table(config),
            replica_of: myself.master.filter(|_| myself.is_replica()).and_then(|m| position_of(&m)),
            epoch_beyond: state.max_epoch().0 > self.epoch_capacity,
            has_todo: state.todo() != crate::state::Todo::default(),
            saved: OnceLock::new(),
            state,
        }
    }

    fn header_of(&self, state: &NodeState, config: &Config) -> HeaderContent {
        let candidates = state.gossip_candidates().filter(|_| self.gossip);
        let mut header = state.header(config);
        header.flags = Flags(header.flags.0 & Flags::MASTER.with(Flags::REPLICA).with(Flags::NOFAILOVER).0);
        header.state_ok = false;
        HeaderContent {
            header,
            picks: candidates.filter_map(|id| state.gossip_entry(&id)).collect(),
            always: state.gossip_pfail().collect(),
        }
    }

    /// The step of node `at` with content `state` and keys `mask`.
    pub(super) fn step(&self, at: usize, state: u32, mask: u8, input: In) -> &Outcome {
        self.outcome(self.step_number(at, state, mask, input))
    }

    /// A step that was taken.
    pub(super) fn outcome(&self, number: u32) -> &Outcome {
        &self.steps.entry(number).1
    }

    fn step_number(&self, at: usize, state: u32, mask: u8, input: In) -> u32 {
        let key = step_key(state, mask, input.packed());
        let number = self.steps.number(key, |_| self.compute(at, state, mask, input));
        if self.direct {
            let now = self.compute(at, state, mask, input);
            assert_eq!(now, *self.outcome(number), "a step depends on what the table does not know");
        }
        number
    }

    /// The heartbeats with this header that change something at their receiver.
    pub(super) fn beats(
        &self,
        at: usize,
        state: u32,
        mask: u8,
        header: u32,
        reply: bool,
        from: usize,
    ) -> Cow<'_, Beats> {
        let telling = || {
            let mut beats = self.all_beats(at, state, mask, header, reply, from);
            beats.retain(|&(_, _, number)| {
                let outcome = self.outcome(number);
                outcome.changes(state) || outcome.persist.is_some()
            });
            beats
        };
        if self.direct {
            return Cow::Owned(telling());
        }
        let key = step_key(state, mask, u64::from(header) << 1 | u64::from(reply));
        Cow::Borrowed(self.beats.answer(key, |_| telling()))
    }

    /// Every heartbeat with this header: with each pick or none, and for a FAIL sender with each answer of the clock.
    pub(super) fn all_beats(
        &self,
        at: usize,
        state: u32,
        mask: u8,
        header: u32,
        reply: bool,
        from: usize,
    ) -> Beats {
        let candidates = self.headers.get(header).picks.len() as u8;
        let picks = if self.gossip_sets {
            (1..1 << candidates).collect::<Vec<u8>>()
        } else {
            (0..candidates).collect()
        };
        let held = reply && self.facts(state).held_fail >> from & 1 == 1;
        let expired: &[bool] = if held { &[false, true] } else { &[true] };
        let mut beats = Vec::new();
        for pick in std::iter::once(255).chain(picks) {
            for &expired in expired {
                let input = In::Header { header, reply, pick, expired };
                beats.push((pick, expired, self.step_number(at, state, mask, input)));
            }
        }
        beats
    }

    /// Whether a heartbeat's pick names the candidate at this position.
    pub(super) fn is_picked(&self, pick: u8, candidate: usize) -> bool {
        if self.gossip_sets {
            pick != 255 && pick >> candidate & 1 == 1
        } else {
            usize::from(pick) == candidate
        }
    }

    /// The step itself, by the core.
    pub(super) fn take(&self, at: usize, state: u32, mask: u8, key: In) -> Taken {
        let config = &self.configs[at];
        let keys = Mask { slots: &self.key_slots, mask };
        let before = Arc::clone(&self.facts(state).state);
        let mut after = match key {
            In::Restart(saved) => NodeState::from_saved(self.saved.get(saved), config),
            _ => NodeState::clone(&before),
        };
        let input = self.input(at, state, key);
        let mut effects = Effects::new();
        after.step(config, input.clone(), &keys, &mut effects);
        let asked_by = match (&input, key) {
            (Input::Receive { message, .. }, In::Ask(_, of)) => {
                position_of(&message.header.sender).map(|from| (from, of))
            }
            _ => None,
        };
        let input = (!matches!(key, In::Restart(_))).then_some(input);
        Taken { before, input, after, effects, asked_by }
    }

    fn compute(&self, at: usize, state: u32, mask: u8, key: In) -> Outcome {
        let taken = self.take(at, state, mask, key);
        let step = taken.as_step("", &self.configs[at]);
        let violated =
            [s4_epoch_monotone(&step), s5_fail_quorum(&step, |_, _| false), s9_no_stale_owner_serve(&step)];
        let mut outcome = Outcome {
            to: 0,
            persist: None,
            sent: Vec::new(),
            drops: 0,
            flushes: false,
            closed: 0,
            refused: None,
            wrong: WRONG
                .iter()
                .zip(&violated)
                .fold(0, |w, ((_, bit), v)| if v.is_some() { w | bit } else { w }),
        };
        for effect in &taken.effects.0 {
            match effect {
                Effect::Persist { fsync } => outcome.persist = Some(*fsync),
                Effect::Send { to, message } => {
                    outcome.sent.extend(self.sent(&taken.after, *to, message, taken.asked_by));
                }
                Effect::DropKeys(slot) => outcome.drops |= 1 << slot.index(),
                Effect::FlushAll => outcome.flushes = true,
                Effect::Disconnect(id) | Effect::Removed(id) => {
                    outcome.closed |= position_of(id).map_or(0, |i| 1 << i);
                }
                Effect::Reply(Reply::Error(text)) => outcome.refused = Some(text.clone()),
                _ => {}
            }
        }
        outcome.to = self.intern(taken.after);
        outcome
    }

    fn sent(&self, node: &NodeState, to: To, message: &Message, asked_by: Option<(u8, u8)>) -> Option<Sent> {
        let beat = matches!(message.body, Body::Heartbeat { .. });
        let mut message = message.clone();
        message.header.flags = Flags(message.header.flags.0 & Flags::MASTER.with(Flags::REPLICA).0);
        message.header.state_ok = false;
        if !beat {
            // Of other messages nobody reads more of the header than its epochs.
            message.header.slots = SlotSet::new(node.slot_count());
            message.header.flags = Flags::NONE;
        }
        match to {
            To::SameLink => {
                let (to, placeholder) = asked_by?;
                Some(Sent::Answer { to, id: self.shots.id(message), placeholder })
            }
            To::Outbound(id) => match (placeholder_number(&id), position_of(&id)) {
                (Some(placeholder), _) => {
                    let to = by_ip(&node.peer(&id)?.address)?;
                    Some(Sent::Ask { to, id: self.shots.id(message), placeholder })
                }
                (None, Some(to)) if !beat => Some(Sent::Shot { to, id: self.shots.id(message) }),
                _ => None,
            },
        }
    }

    fn input(&self, at: usize, state: u32, key: In) -> Input {
        let receive = |link: Link, message: Message, expired: bool| {
            let from = position_of(&message.header.sender).map_or(0, usize::from);
            let receipt = Receipt {
                from_ip: address_of(from).0.into(),
                local_ip: address_of(at).0.into(),
                fail_expired: expired,
                // Within the node timeout gossip has told of every epoch.
                import_settled: false,
                pong_news: Vec::new(),
            };
            Input::Receive { link, message: Box::new(message), receipt, dice: Dice::Least }
        };
        match key {
            In::Header { header, reply, pick, expired } => {
                let content = self.headers.get(header);
                let sender = content.header.sender;
                let picked = content.picks.iter().enumerate().filter(|(n, _)| self.is_picked(pick, *n));
                let mut gossip: Vec<GossipEntry> = picked.map(|(_, entry)| entry.clone()).collect();
                gossip.extend(content.always.iter().cloned());
                let kind = if reply { Heartbeat::Pong } else { Heartbeat::Ping };
                let body = Body::Heartbeat { kind, gossip, hostname: None };
                let link = if reply { Link::Outbound(sender) } else { Link::Inbound(Some(sender)) };
                receive(link, Message { header: content.header.clone(), body }, expired)
            }
            In::Shot(id) | In::Ask(id, _) => {
                let message = self.shots.get(id).clone();
                receive(Link::Inbound(Some(message.header.sender)), message, true)
            }
            In::Fail(subject) => {
                // Its sender is somebody whom the receiver knows, and its epochs teach nothing.
                let node = &self.facts(state).state;
                let known = node.peers().iter().find(|p| p.id != node.me() && !p.in_handshake());
                let mut header = self.headers.get(self.facts(state).header).header.clone();
                header.sender = known.map_or(node.me(), |p| p.id);
                (header.current_epoch, header.config_epoch) = (Epoch::ZERO, Epoch::ZERO);
                let message = Message { header, body: Body::Fail(node_id(subject.into())) };
                receive(Link::Inbound(Some(message.header.sender)), message, true)
            }
            In::Answer(id, of) => receive(Link::Outbound(placeholder(of)), self.shots.get(id).clone(), true),
            In::WrongName(header, peer) => {
                let header = self.headers.get(header).header.clone();
                let body = Body::Heartbeat { kind: Heartbeat::Pong, gossip: Vec::new(), hostname: None };
                receive(Link::Outbound(node_id(peer.into())), Message { header, body }, true)
            }
            In::LinkUp(of) => Input::LinkUp { peer: placeholder(of), dice: Dice::Least },
            In::Timer(n) => Input::Timer(self.facts(state).timers[usize::from(n)]),
            In::Overdue(peer) => Input::Timer(Timer::PongOverdue(node_id(peer.into()))),
            In::Command(n) => {
                Input::Command { command: self.commands[usize::from(n)].clone(), dice: Dice::Least }
            }
            In::Restart(_) => Input::Start,
            In::BeforeSleep => Input::BeforeSleep,
        }
    }

    /// Whose machine answers where `state` looks for the node at this position, if that is another's.
    pub(super) fn tenant(&self, state: u32, peer: usize) -> Option<usize> {
        let misled = self.facts(state).misled.iter().find(|(p, _)| usize::from(*p) == peer)?;
        Some(misled.1.into())
    }

    /// Whether `state` has a handshake under this placeholder with the node at this position. (Another may have got the number since.)
    pub(super) fn in_handshake(&self, state: u32, of: u8, with: usize) -> bool {
        self.facts(state).handshakes.contains(&(of, with as u8))
    }
}

impl Outcome {
    /// Whether anything but a clock moved.
    pub(super) fn changes(&self, from: u32) -> bool {
        self.to != from || !self.sent.is_empty() || self.drops != 0 || self.closed != 0
    }
}
