//! What travels: two links for each ordered pair, deliveries, and the headers that stay behind.
//!
//! The *own* link from X to Y is the connection that X opened; the *reply* link from X to Y is the one that Y opened, on which X's PONGs come
//! back. So the own link from X to Y and the reply link from Y to X are one connection, and end together.

use super::super::explore::StepKind;
use super::contents::{In, Sent};
use super::state::{Item, Life, What, WorldState};
use super::{Doing, Move, Steps, World};
use crate::check::scenario::{MAX_NODES, link_bit};
use crate::message::Body;

/// The placeholder of a MEET or PING whose sender has crashed since: its connection is gone, and an answer finds nobody.
pub(super) const FORMER_LIFE: u8 = u8::MAX;

/// The number of a link.
pub(super) fn link(from: usize, to: usize, reply: bool) -> u8 {
    ((from * MAX_NODES + to) * 2 + usize::from(reply)) as u8
}

pub(super) fn source(link: u8) -> usize {
    usize::from(link) / 2 / MAX_NODES
}

pub(super) fn target(link: u8) -> usize {
    usize::from(link) / 2 % MAX_NODES
}

pub(super) fn is_reply(link: u8) -> bool {
    link & 1 == 1
}

impl World {
    /// Both directions of the connection that `from` opened to `to`.
    pub(super) fn connection(&self, from: usize, to: usize) -> [u8; 2] {
        [link(from, to, false), link(to, from, true)]
    }

    /// Whether messages get from one node to the other.
    fn open(&self, s: &WorldState, from: usize, to: usize) -> bool {
        s.cut_out >> from & 1 == 0 && s.cut_in >> to & 1 == 0 && s.cut_links & link_bit(from, to) == 0
    }

    pub(super) fn open_both(&self, s: &WorldState, a: usize, b: usize) -> bool {
        self.open(s, a, b) && self.open(s, b, a)
    }

    /// A PONG needs both directions, a request one.
    fn link_open(&self, s: &WorldState, link: u8) -> bool {
        let (from, to) = (source(link), target(link));
        if is_reply(link) { self.open_both(s, from, to) } else { self.open(s, from, to) }
    }

    /// Whether the sender may put its header on this link, whatever is there: it runs, the connection exists and the receiver's machine is there.
    fn may_send(&self, s: &WorldState, l: u8) -> bool {
        let (from, to) = (source(l), target(l));
        let there = matches!(s.nodes[to].life, Life::Up | Life::Paused);
        let (opener, other) = if is_reply(l) { (to, from) } else { (from, to) };
        let unanswered = self.shape.pings && s.ping_lost(opener, other);
        s.runs(from) && there && self.link_open(s, l) && self.connected(s, l) && !unanswered
    }

    /// The one who opened the connection knows the other.
    fn connected(&self, s: &WorldState, l: u8) -> bool {
        let (from, to) = (source(l), target(l));
        let (opener, other) = if is_reply(l) { (to, from) } else { (from, to) };
        self.contents.facts(s.nodes[opener].state).knows >> other & 1 == 1
    }

    /// The links that `from` sends on.
    fn links_of(&self, from: usize) -> impl Iterator<Item = u8> + '_ {
        let kinds: &[bool] = if self.scenario.options.two_links { &[false, true] } else { &[false] };
        let others = (0..self.shape.nodes).filter(move |&to| to != from);
        others.flat_map(move |to| kinds.iter().map(move |&reply| link(from, to, reply)))
    }

    /// Everything that can arrive.
    pub(super) fn deliveries(&self, s: &WorldState, steps: &mut Steps<'_>) {
        for from in 0..self.shape.nodes {
            for l in self.links_of(from) {
                let first = s.first(l).copied();
                if self.scenario.options.queues.is_some() {
                    self.send_header(s, l, steps);
                } else if first.is_none() && self.may_send(s, l) && s.runs(target(l)) {
                    self.heartbeat(s, l, steps);
                }
                if let Some(item) = first
                    && s.runs(target(l))
                    && self.link_open(s, l)
                {
                    self.arrive(s, item, steps);
                }
            }
        }
        self.losses(s, steps);
        if self.shape.fails {
            self.fails(s, steps);
        }
        if self.shape.pings {
            self.unanswered(s, steps);
        }
        self.astray(s, steps);
    }

    /// Who looks for a node at the address of another pings that one, and hears its PONG. Both are of the moment, never stale: the PING means nothing
    /// to one who does not know its sender, and of the PONG only epochs are read before its name ends the connection, so an old one could teach
    /// no more than one of the moment does unless the epochs of whoever lives there rise meanwhile.
    fn astray(&self, s: &WorldState, steps: &mut Steps<'_>) {
        for node in (0..self.shape.nodes).filter(|&n| s.runs(n)) {
            for &(peer, there) in &self.contents.facts(s.nodes[node].state).misled {
                let to = usize::from(there);
                if to >= self.shape.nodes || !s.runs(to) || to != node && !self.open_both(s, node, to) {
                    continue;
                }
                let header = self.contents.facts(s.nodes[node].state).header;
                let (state, mask) = (s.nodes[to].state, s.key_mask(to));
                let pings = if to == node {
                    Vec::new()
                } else {
                    self.contents.all_beats(to, state, mask, header, false, node)
                };
                for (pick, expired, beat) in pings {
                    let what = Move::Heartbeat { from: node as u8, to: there, reply: false, pick, expired };
                    let outcome = self.contents.outcome(beat);
                    self.apply(s, s.clone(), to, outcome, (what, StepKind::Fair), steps);
                }
                let answer = In::WrongName(self.contents.facts(state).header, peer);
                let what = Move::WrongName { node: node as u8, peer, there };
                self.take_step(s, s.clone(), node, answer, (what, StepKind::Fair), steps);
            }
        }
    }

    /// The sender's current header arrives.
    fn heartbeat(&self, s: &WorldState, l: u8, steps: &mut Steps<'_>) {
        let (from, to, reply) = (source(l), target(l), is_reply(l));
        let header = self.contents.facts(s.nodes[from].state).header;
        let (state, mask) = (s.nodes[to].state, s.key_mask(to));
        let what = |pick, expired| Move::Heartbeat { from: from as u8, to: to as u8, reply, pick, expired };
        let awake = s.nodes[to].drowsy >> from & 1 == 0;
        if awake {
            for &(pick, expired, beat) in self.contents.beats(to, state, mask, header, reply, from).iter() {
                let outcome = self.contents.outcome(beat);
                self.apply(s, s.clone(), to, outcome, (what(pick, expired), StepKind::Fair), steps);
            }
        } else {
            for (pick, expired, beat) in self.contents.all_beats(to, state, mask, header, reply, from) {
                let outcome = self.contents.outcome(beat);
                let mut next = s.clone();
                next.nodes[to].drowsy &= !(1 << from);
                self.apply(s, next, to, outcome, (what(pick, expired), StepKind::Fair), steps);
            }
        }
    }

    /// What is first on a link arrives.
    fn arrive(&self, s: &WorldState, item: Item, steps: &mut Steps<'_>) {
        let l = item.link;
        let (from, to) = (source(l), target(l));
        let mut next = s.clone();
        next.pop(l);
        next.nodes[to].drowsy &= !(1 << from);
        let (state, mask) = (s.nodes[to].state, s.key_mask(to));
        match item.what {
            What::Parked(header) => {
                let stay = self.scenario.options.leave_it_there && self.scenario.options.queues.is_none();
                for (pick, expired, beat) in
                    self.contents.all_beats(to, state, mask, header, is_reply(l), from)
                {
                    let outcome = self.contents.outcome(beat);
                    let what = |stays| Move::Parked { link: l, stays, pick, expired };
                    self.apply(s, next.clone(), to, outcome, (what(false), StepKind::Fair), steps);
                    if stay {
                        let mut kept = s.clone();
                        kept.nodes[to].drowsy &= !(1 << from);
                        self.apply(s, kept, to, outcome, (what(true), StepKind::Neither), steps);
                    }
                }
            }
            What::Shot(id) => {
                let what = |stays| Move::Message { link: l, stays };
                self.take_step(s, next, to, In::Shot(id), (what(false), StepKind::Fair), steps);
                if item.twice {
                    let mut kept = s.clone();
                    kept.nodes[to].drowsy &= !(1 << from);
                    if let Some(m) = kept.messages.iter_mut().find(|m| m.link == l) {
                        m.twice = false;
                    }
                    self.take_step(s, kept, to, In::Shot(id), (what(true), StepKind::Neither), steps);
                }
            }
            What::Ask(id, of) => {
                let what = Move::Message { link: l, stays: false };
                self.take_step(s, next, to, In::Ask(id, of), (what, StepKind::Fair), steps);
            }
            What::Answer(id, of) => {
                let what = Move::Message { link: l, stays: false };
                if self.contents.in_handshake(state, of, from) {
                    self.take_step(s, next, to, In::Answer(id, of), (what, StepKind::Fair), steps);
                } else {
                    // The connection it came on is gone.
                    steps.add(what, StepKind::Fair, &mut next);
                }
            }
        }
    }

    /// In the plain form: a header is queued.
    fn send_header(&self, s: &WorldState, l: u8, steps: &mut Steps<'_>) {
        let capacity = usize::from(self.scenario.options.queues.unwrap_or(0));
        if self.may_send(s, l) && s.on_link(l).count() < capacity {
            let mut next = s.clone();
            let what = What::Parked(self.contents.facts(s.nodes[source(l)].state).header);
            next.push(Item { link: l, what, twice: false });
            steps.add(Move::SendHeader { link: l }, StepKind::Fair, &mut next);
        }
    }

    /// While a node sleeps or is cut off, any suffix of its links may be lost.
    fn losses(&self, s: &WorldState, steps: &mut Steps<'_>) {
        let mut last = None;
        for item in &s.messages {
            let (from, to) = (source(item.link), target(item.link));
            let asleep = [from, to].iter().any(|&n| s.nodes[n].life == Life::Paused);
            if last == Some(item.link) || !asleep && self.open_both(s, from, to) {
                continue;
            }
            last = Some(item.link);
            for keep in 0..s.on_link(item.link).count() {
                let mut next = s.clone();
                next.truncate(item.link, keep);
                steps.add(Move::Lose { link: item.link, keep: keep as u8 }, StepKind::Neither, &mut next);
            }
        }
    }

    /// Ends a step: queues what was sent, and leaves behind old headers of the nodes that acted: on any set of the links on which the step shuts
    /// their heartbeat, or on which it queues something, up to the bound `d`.
    pub(super) fn settle(
        &self,
        s: &WorldState,
        mut next: WorldState,
        actors: &[usize],
        sent: &[Sent],
        doing: Doing,
        steps: &mut Steps<'_>,
    ) {
        let rest = self.shape.fails.then(|| self.take_fails(&mut next, sent));
        let sent = rest.as_deref().unwrap_or(sent);
        let actor = actors.first().copied().unwrap_or(0);
        let (shots, full) = self.queued(&next, actor, sent);
        if full {
            return steps.cut(doing.0, doing.1, "link capacity");
        }
        let mut shut: Vec<Item> = Vec::new();
        let room = usize::from(self.scenario.d).saturating_sub(next.parked());
        if self.scenario.options.queues.is_none() && room > 0 {
            for &from in actors {
                let old = self.contents.facts(s.nodes[from].state).header;
                let changed = self.contents.facts(next.nodes[from].state).header != old || !next.runs(from);
                for l in self.links_of(from) {
                    let queues = shots.iter().any(|i| i.link == l);
                    let closed = changed || queues || !self.may_send(&next, l);
                    let again = next.on_link(l).last().is_some_and(|i| i.what == What::Parked(old));
                    let there = matches!(next.nodes[target(l)].life, Life::Up | Life::Paused);
                    let lost = is_reply(l) && !self.connected(&next, l);
                    if closed && self.may_send(s, l) && !again && there && !lost {
                        shut.push(Item { link: l, what: What::Parked(old), twice: false });
                    }
                }
            }
        }
        if shut.is_empty() {
            return self.queue(next, &shots, doing, steps);
        }
        self.queue(next.clone(), &shots, doing, steps);
        for set in (1u32..1 << shut.len()).filter(|set| set.count_ones() as usize <= room) {
            let mut to = next.clone();
            for (n, item) in shut.iter().enumerate() {
                if set >> n & 1 == 1 {
                    to.push(*item);
                }
            }
            self.queue(to, &shots, doing, steps);
        }
    }

    fn queue(&self, mut to: WorldState, shots: &[Item], doing: Doing, steps: &mut Steps<'_>) {
        for item in shots {
            self.coalesce(&mut to, *item);
        }
        steps.add(doing.0, doing.1, &mut to);
    }

    /// The one-shot messages of a step, as items; whether one finds no room.
    fn queued(&self, next: &WorldState, from: usize, sent: &[Sent]) -> (Vec<Item>, bool) {
        let mut items = Vec::new();
        let mut full = false;
        for message in sent {
            let (to, reply, what) = match *message {
                Sent::Shot { to, id } => (to, false, What::Shot(id)),
                Sent::Ask { to, id, placeholder } => (to, false, What::Ask(id, placeholder)),
                Sent::Answer { to, id, placeholder } => (to, true, What::Answer(id, placeholder)),
            };
            let to = usize::from(to);
            if !self.scenario.options.fail_to_subject && self.is_about(what, to) {
                continue;
            }
            let named = matches!(message, Sent::Shot { .. });
            let tenant = if named { self.contents.tenant(next.nodes[from].state, to) } else { None };
            let to = tenant.unwrap_or(to);
            // Nobody listens to himself, or on a connection of a former life.
            let unheard = matches!(message, Sent::Answer { placeholder: FORMER_LIFE, .. });
            if to == from || unheard {
                continue;
            }
            // Nobody is there: there is no connection, and the message is not sent.
            if to >= self.shape.nodes || !matches!(next.nodes[to].life, Life::Up | Life::Paused) {
                continue;
            }
            let l = link(from, to, reply && self.scenario.options.two_links);
            let waiting = next.on_link(l).count() + items.iter().filter(|i: &&Item| i.link == l).count();
            full |= waiting >= usize::from(self.scenario.options.link_capacity);
            items.push(Item { link: l, what, twice: false });
        }
        (items, full)
    }

    /// Whether it is a FAIL about this node.
    fn is_about(&self, what: What, node: usize) -> bool {
        match what {
            What::Shot(id) => {
                matches!(self.contents.shots.get(id).body, Body::Fail(who) if who == super::node_id(node))
            }
            _ => false,
        }
    }

    /// The UPDATEs among messages that a node sends: the receiver of each, and its number.
    pub(super) fn updates<'a>(&'a self, sent: &'a [Sent]) -> impl Iterator<Item = (usize, u32)> + 'a {
        sent.iter().filter_map(|sent| match *sent {
            Sent::Shot { to, id } if matches!(self.contents.shots.get(id).body, Body::Update { .. }) => {
                Some((usize::from(to), id))
            }
            _ => None,
        })
    }

    /// Whether an UPDATE from one node to another may be settled in the step that provokes it.
    pub(super) fn settles(&self, next: &WorldState, from: usize, to: usize) -> bool {
        let l = link(from, to, false);
        to < self.shape.nodes && next.runs(to) && self.link_open(next, l) && next.first(l).is_none()
    }

    /// FAIL and UPDATE melt into an equal last message of their link, which may then stay once.
    fn coalesce(&self, to: &mut WorldState, item: Item) {
        let last = to.messages.iter().rposition(|m| m.link == item.link);
        let mergeable = |what| match what {
            What::Shot(id) => matches!(self.contents.shots.get(id).body, Body::Fail(_) | Body::Update { .. }),
            _ => false,
        };
        match last {
            Some(at) if to.messages[at].what == item.what && mergeable(item.what) => {
                to.messages[at].twice = true
            }
            _ => to.push(item),
        }
    }
}
