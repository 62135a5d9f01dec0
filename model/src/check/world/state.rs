//! The state of a world: small numbers. Node and message contents are interned ([`super::tables`]).

use smallvec::SmallVec;

use super::super::scenario::{MAX_BUDGETS, MAX_CLIENTS, MAX_KEYS, MAX_NODES, MAX_OPERATORS, link_bit};

/// A world at one moment. Arrays are as long as a world may be; what is beyond its nodes, keys, clients and operators is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorldState {
    pub(super) nodes: [Cell; MAX_NODES],
    /// Everything under way, by link, and on a link in order.
    pub(super) messages: SmallVec<[Item; 8]>,
    pub(super) keys: [KeyCell; MAX_KEYS],
    pub(super) asks: [Option<Ask>; MAX_CLIENTS],
    pub(super) transfers: SmallVec<[TransferCell; 2]>,
    pub(super) operators: [OperatorCell; MAX_OPERATORS],
    /// What is left of each budget of the scenario.
    pub(super) budgets: [u8; MAX_BUDGETS],
    /// Nodes all of whose messages out (in) are held up.
    pub(super) cut_out: u8,
    pub(super) cut_in: u8,
    /// For each node, about whom FAILs are on their way to it, where they are not told apart by sender.
    pub(super) fails: [u8; MAX_NODES],
    /// Own links whose last PING is lost, by their bits.
    pub(super) lost_pings: u64,
    /// Ordered pairs between which messages are held up, by their bits.
    pub(super) cut_links: u64,
}

/// A node in a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    /// Its content.
    pub(super) state: u32,
    /// What is written to its nodes.conf, and what of it is durable; 0 where no crash can come.
    pub(super) saved: u32,
    pub(super) synced: u32,
    pub(super) life: Life,
    /// Peers that it may hold for PFAIL for free, having slept: until their next message.
    pub(super) drowsy: u8,
}

/// Whether a node runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Life {
    #[default]
    Up,
    /// It will resume.
    Paused,
    /// It will be started again.
    Down,
    /// Down for good.
    Dead,
}

/// Something under way on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Item {
    pub(super) link: u8,
    pub(super) what: What,
    /// It was coalesced with one like it: it may stay once when it is delivered.
    pub(super) twice: bool,
}

/// What is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum What {
    /// A header that has become stale.
    Parked(u32),
    /// FAIL or UPDATE.
    Shot(u32),
    /// The MEET or PING of a handshake, and the placeholder whose connection it came on.
    Ask(u32, u8),
    /// The PONG that answers it.
    Answer(u32, u8),
}

/// A key: what clients were told, and its copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyCell {
    pub(super) written: bool,
    pub(super) memory: [Label; MAX_NODES],
    pub(super) disk: [Label; MAX_NODES],
}

/// What a copy is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(super) enum Label {
    #[default]
    None,
    Latest,
    Old,
    Foreign,
}

/// A client that was told to ask elsewhere. What it wants there is open until it does it: nothing depends on it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ask {
    pub(super) to: u8,
    pub(super) key: u8,
    /// The node that sent it was legitimate.
    pub(super) legitimate: bool,
    /// It was told so by MOVED: it does not say ASKING.
    pub(super) moved: bool,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Op {
    Write,
    Delete,
}

impl Op {
    pub(super) const ALL: [Self; 2] = [Self::Write, Self::Delete];
}

/// A MIGRATE of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TransferCell {
    pub(super) from: u8,
    pub(super) to: u8,
    pub(super) key: u8,
    pub(super) label: Label,
    pub(super) replace: bool,
    /// Whose command it is; none once he is dead.
    pub(super) operator: Option<u8>,
    /// It is its second attempt, on a fresh connection.
    pub(super) retried: bool,
    pub(super) stage: Stage,
}

/// How far a MIGRATE is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Stage {
    /// The request is under way; the source is blocked.
    Sent,
    /// It was executed; the answer is under way; the source is blocked.
    Taken,
    /// It was refused; the answer is under way; the source is blocked.
    Refused,
    /// The source gave up; the request may still be executed.
    Astray,
}

/// Where an operator is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OperatorCell {
    /// The next step, in the scripts laid end to end; 0 for one who takes none any more.
    pub(super) at: u8,
    pub(super) mood: Mood,
    pub(super) deaths: u8,
}

/// What an operator does next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mood {
    #[default]
    Works,
    /// He waits for the answer of a MIGRATE.
    Waits,
    /// He died, and will come back or not.
    Dead,
    /// He never comes back.
    Gone,
    /// He was refused, and stopped.
    Stopped,
    /// He came to the end of a script.
    Done,
}

impl Mood {
    /// Whether he may still do something.
    pub(super) fn is_busy(self) -> bool {
        matches!(self, Self::Works | Self::Waits | Self::Dead)
    }
}

impl OperatorCell {
    /// He takes no step any more: where he was, and how often he might have died, counts no longer.
    pub(super) fn ends(&mut self, mood: Mood) {
        *self = Self { at: 0, mood, deaths: 0 };
    }
}

/// Sizes that the encoding depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) nodes: usize,
    pub(super) keys: usize,
    pub(super) clients: usize,
    /// Clients that are like the one before, as bits.
    pub(super) alike: u8,
    pub(super) operators: usize,
    pub(super) disks: bool,
    pub(super) faults: bool,
    /// FAILs are told apart by receiver and subject alone.
    pub(super) fails: bool,
    /// PINGs may be lost.
    pub(super) pings: bool,
    /// How many fault budgets there are.
    pub(super) budgets: usize,
    /// Those for lost replies, as bits.
    pub(super) lost_replies: u16,
    /// Single links may be cut.
    pub(super) link_cuts: bool,
}

impl WorldState {
    /// Its canonical bytes.
    pub(super) fn encode(&self, shape: Shape, out: &mut Vec<u8>) {
        let mut lives = 0u16;
        for cell in &self.nodes[..shape.nodes] {
            number(cell.state, out);
            if shape.disks {
                number(cell.saved, out);
                number(cell.synced, out);
            }
            lives = lives << 2 | cell.life as u16;
        }
        if shape.faults {
            out.extend(lives.to_le_bytes());
            out.extend(self.nodes[..shape.nodes].iter().map(|c| c.drowsy));
            out.extend(&self.budgets[..shape.budgets]);
            out.extend([self.cut_out, self.cut_in]);
            if shape.link_cuts {
                out.extend(&self.cut_links.to_le_bytes()[..LINK_BYTES]);
            }
        }
        if shape.fails {
            out.extend(&self.fails[..shape.nodes]);
        }
        if shape.pings {
            out.extend(&self.lost_pings.to_le_bytes()[..LINK_BYTES]);
        }
        for key in &self.keys[..shape.keys] {
            let pack = |labels: &[Label]| labels.iter().fold(0u16, |w, l| w << 2 | *l as u16);
            out.extend((pack(&key.memory[..shape.nodes]) << 1 | u16::from(key.written)).to_le_bytes());
            if shape.disks {
                out.extend(pack(&key.disk[..shape.nodes]).to_le_bytes());
            }
        }
        for ask in &self.asks[..shape.clients] {
            let bits =
                |a: Ask| 1 | a.to << 1 | a.key << 4 | u8::from(a.moved) << 6 | u8::from(a.legitimate) << 7;
            out.push(ask.map_or(0, bits));
        }
        for op in &self.operators[..shape.operators] {
            out.extend([op.at, op.mood as u8 | op.deaths << 4]);
        }
        if shape.operators > 0 {
            out.push(self.transfers.len() as u8);
            for t in &self.transfers {
                out.push(t.from | t.to << 3 | (t.stage as u8) << 6);
                out.push(
                    t.key
                        | (t.label as u8) << 2
                        | u8::from(t.replace) << 4
                        | t.operator.map_or(7, |o| o) << 5,
                );
                out.push(u8::from(t.retried));
            }
        }
        for item in &self.messages {
            let (kind, id, of) = match item.what {
                What::Parked(id) => (0, id, None),
                What::Shot(id) => (1, id, None),
                What::Ask(id, of) => (2, id, Some(of)),
                What::Answer(id, of) => (3, id, Some(of)),
            };
            out.extend([item.link, kind | u8::from(item.twice) << 2]);
            number(id, out);
            out.extend(of);
        }
    }

    /// The state with these bytes.
    pub(super) fn decode(bytes: &[u8], shape: Shape) -> Self {
        let mut state = Self::default();
        let mut r = Reader(bytes);
        for cell in &mut state.nodes[..shape.nodes] {
            cell.state = r.number();
            if shape.disks {
                cell.saved = r.number();
                cell.synced = r.number();
            }
        }
        if shape.faults {
            let lives = r.short();
            for (i, cell) in state.nodes[..shape.nodes].iter_mut().enumerate() {
                cell.life = [Life::Up, Life::Paused, Life::Down, Life::Dead]
                    [usize::from(lives >> (2 * (shape.nodes - 1 - i)) & 3)];
                cell.drowsy = r.byte();
            }
            state.budgets[..shape.budgets].iter_mut().for_each(|b| *b = r.byte());
            state.cut_out = r.byte();
            state.cut_in = r.byte();
            if shape.link_cuts {
                state.cut_links = r.links();
            }
        }
        if shape.fails {
            state.fails[..shape.nodes].iter_mut().for_each(|f| *f = r.byte());
        }
        if shape.pings {
            state.lost_pings = r.links();
        }
        const LABELS: [Label; 4] = [Label::None, Label::Latest, Label::Old, Label::Foreign];
        let unpack = |packed: u16, labels: &mut [Label]| {
            let n = labels.len();
            for (i, l) in labels.iter_mut().enumerate() {
                *l = LABELS[usize::from(packed >> (2 * (n - 1 - i)) & 3)];
            }
        };
        for key in &mut state.keys[..shape.keys] {
            let memory = r.short();
            key.written = memory & 1 == 1;
            unpack(memory >> 1, &mut key.memory[..shape.nodes]);
            if shape.disks {
                unpack(r.short(), &mut key.disk[..shape.nodes]);
            }
        }
        for ask in &mut state.asks[..shape.clients] {
            let b = r.byte();
            let (legitimate, moved) = (b >> 7 == 1, b >> 6 & 1 == 1);
            *ask = (b & 1 == 1).then_some(Ask { to: b >> 1 & 7, key: b >> 4 & 3, legitimate, moved });
        }
        for op in &mut state.operators[..shape.operators] {
            op.at = r.byte();
            let b = r.byte();
            op.mood = [Mood::Works, Mood::Waits, Mood::Dead, Mood::Gone, Mood::Stopped, Mood::Done]
                [usize::from(b & 15)];
            op.deaths = b >> 4;
        }
        if shape.operators > 0 {
            for _ in 0..r.byte() {
                let (a, b, retried) = (r.byte(), r.byte(), r.byte() == 1);
                state.transfers.push(TransferCell {
                    from: a & 7,
                    to: a >> 3 & 7,
                    stage: [Stage::Sent, Stage::Taken, Stage::Refused, Stage::Astray][usize::from(a >> 6)],
                    key: b & 3,
                    label: LABELS[usize::from(b >> 2 & 3)],
                    replace: b >> 4 & 1 == 1,
                    operator: Some(b >> 5).filter(|o| *o != 7),
                    retried,
                });
            }
        }
        while !r.0.is_empty() {
            let (link, kind) = (r.byte(), r.byte());
            let id = r.number();
            let what = match kind & 3 {
                0 => What::Parked(id),
                1 => What::Shot(id),
                2 => What::Ask(id, r.byte()),
                _ => What::Answer(id, r.byte()),
            };
            state.messages.push(Item { link, what, twice: kind & 4 != 0 });
        }
        state
    }

    /// All of its bytes, whatever its world has.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let shape = Shape {
            nodes: MAX_NODES,
            keys: MAX_KEYS,
            clients: MAX_CLIENTS,
            alike: 0,
            operators: MAX_OPERATORS,
            disks: true,
            faults: true,
            budgets: MAX_BUDGETS,
            lost_replies: 0,
            link_cuts: true,
            fails: true,
            pings: true,
        };
        let mut bytes = Vec::with_capacity(128);
        self.encode(shape, &mut bytes);
        bytes
    }

    /// Brings what no further step can tell apart to one form: the order of clients that are alike is nothing; a budget that nobody can spend
    /// any more is empty.
    pub(super) fn tidy(&mut self, shape: Shape) {
        let mut first = 0;
        for next in 1..=shape.clients {
            if next == shape.clients || shape.alike >> next & 1 == 0 {
                self.asks[first..next].sort_unstable();
                first = next;
            }
        }
        let busy = self.operators[..shape.operators].iter().any(|o| o.mood.is_busy());
        if !busy && self.transfers.iter().all(|t| t.stage == Stage::Astray) {
            let lost = self.budgets.iter_mut().enumerate().filter(|(n, _)| shape.lost_replies >> n & 1 == 1);
            lost.for_each(|(_, left)| *left = 0);
        }
    }

    /// What is under way on a link, first in first.
    pub(super) fn on_link(&self, link: u8) -> impl Iterator<Item = &Item> {
        self.messages.iter().filter(move |m| m.link == link)
    }

    /// The next item of a link.
    pub(super) fn first(&self, link: u8) -> Option<&Item> {
        self.messages.iter().find(|m| m.link == link)
    }

    /// Queues an item behind what is on its link.
    pub(super) fn push(&mut self, item: Item) {
        let at = self.messages.iter().position(|m| m.link > item.link).unwrap_or(self.messages.len());
        self.messages.insert(at, item);
    }

    /// Takes the first item of a link off.
    pub(super) fn pop(&mut self, link: u8) {
        if let Some(at) = self.messages.iter().position(|m| m.link == link) {
            self.messages.remove(at);
        }
    }

    /// Loses what is on a link behind its first `keep` items.
    pub(super) fn truncate(&mut self, link: u8, keep: usize) {
        let mut seen = 0;
        self.messages.retain(|m| {
            seen += usize::from(m.link == link);
            m.link != link || seen <= keep
        });
    }

    /// Whether the PING from one node to another, or its PONG, is lost.
    pub(super) fn ping_lost(&self, from: usize, to: usize) -> bool {
        self.lost_pings & link_bit(from, to) != 0
    }

    pub(super) fn set_ping_lost(&mut self, from: usize, to: usize, lost: bool) {
        let bit = link_bit(from, to);
        self.lost_pings = if lost { self.lost_pings | bit } else { self.lost_pings & !bit };
    }

    /// A node's connections are gone, in both directions.
    pub(super) fn forget_pings(&mut self, node: usize) {
        for other in 0..MAX_NODES {
            self.set_ping_lost(node, other, false);
            self.set_ping_lost(other, node, false);
        }
    }

    /// How many stale headers are parked.
    pub(super) fn parked(&self) -> usize {
        self.messages.iter().filter(|m| matches!(m.what, What::Parked(_))).count()
    }

    /// Whether a node waits for the answer of a MIGRATE.
    pub(super) fn blocked(&self, node: usize) -> bool {
        self.transfers.iter().any(|t| usize::from(t.from) == node && t.stage != Stage::Astray)
    }

    /// Whether a node takes steps.
    pub(super) fn runs(&self, node: usize) -> bool {
        self.nodes[node].life == Life::Up && !self.blocked(node)
    }

    /// The keys in a node's memory, as a mask.
    pub(super) fn key_mask(&self, node: usize) -> u8 {
        self.keys.iter().enumerate().fold(0, |m, (k, key)| m | u8::from(key.memory[node] != Label::None) << k)
    }
}

/// The bytes of a set of ordered pairs.
const LINK_BYTES: usize = (MAX_NODES * MAX_NODES).div_ceil(8);

/// Written at once, so that a hasher sees one slice.
impl core::hash::Hash for WorldState {
    fn hash<H: core::hash::Hasher>(&self, hasher: &mut H) {
        hasher.write(&self.bytes());
    }
}

/// Seven bits a byte, the last with its high bit clear.
fn number(mut n: u32, out: &mut Vec<u8>) {
    while n >= 128 {
        out.push(n as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().expect("a whole state");
        self.0 = rest;
        *first
    }

    fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// A set of ordered pairs of nodes.
    fn links(&mut self) -> u64 {
        let mut bytes = [0; 8];
        bytes[..LINK_BYTES].iter_mut().for_each(|b| *b = self.byte());
        u64::from_le_bytes(bytes)
    }

    fn number(&mut self) -> u32 {
        let mut n = 0;
        for shift in (0..).step_by(7) {
            let b = self.byte();
            n |= u32::from(b & 127) << shift;
            if b < 128 {
                break;
            }
        }
        n
    }
}
