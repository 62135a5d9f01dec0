//! Virtual time, connections, frames: what tokio, TCP and the system's clock are to a real shell.
//!
//! Everything that happens is in one queue, ordered by time and then by number, so a run is always the same.

use std::collections::BTreeMap;

use slotproof_model::{
    Body, Dice, Effect, Effects, Heartbeat, Input, Link, Message, NodeId, Receipt, Reply, Stamp, Timer, To,
    wire,
};

use crate::node::Node;

/// Milliseconds of virtual time.
pub type Millis = u64;

/// `cluster-node-timeout`.
pub const NODE_TIMEOUT: Millis = 1000;
const CRON: Millis = 100;
const LATENCY: Millis = 1;
/// The longest frame that a node reads.
const MAX_FRAME: usize = 1 << 20;

enum Event {
    /// Ten times a second.
    Cron(usize),
    /// A connection is established, or refused.
    Connected(u64),
    /// Bytes arrive at one end of a connection.
    Bytes { link: u64, at: usize, bytes: Vec<u8> },
}

/// A connection: its opener knows from the start whose it is, its acceptor is told by `Effect::TieInbound`.
struct Connection {
    from: usize,
    to: usize,
    /// The peer, in the opener's table.
    peer: NodeId,
    /// The opener, in the acceptor's table.
    tied: Option<NodeId>,
    opened: Millis,
    up: bool,
    /// Frames that wait for it to be up.
    queued: Vec<Vec<u8>>,
}

pub struct Net {
    pub now: Millis,
    pub nodes: Vec<Node>,
    events: BTreeMap<(Millis, u64), Event>,
    links: BTreeMap<u64, Connection>,
    numbers: u64,
    dice: u64,
    /// What happened, in lines for people.
    pub story: Vec<String>,
}

impl Net {
    /// Nodes at `10.0.0.1:7000`, `10.0.0.2:7000` ..., which know nobody yet.
    pub fn new(names: &[&'static str]) -> Self {
        let nodes =
            names.iter().enumerate().map(|(i, name)| Node::born(name, NodeId::from_seed(i as u128 + 1)));
        let (events, links) = (BTreeMap::new(), BTreeMap::new());
        let mut net = Self {
            now: 1_000_000,
            nodes: nodes.collect(),
            events,
            links,
            numbers: 0,
            dice: 7,
            story: Vec::new(),
        };
        (0..names.len()).for_each(|at| net.start(at));
        net
    }

    pub fn tell(&mut self, line: impl AsRef<str>) {
        let since = self.now - 1_000_000;
        self.story.push(format!("{since:>6} ms  {}", line.as_ref()));
    }

    fn start(&mut self, at: usize) {
        self.input(at, Input::Start, None);
        self.later(CRON, Event::Cron(at));
    }

    /// The process of a node ends: its connections break.
    pub fn crash(&mut self, at: usize) {
        self.nodes[at].runs = false;
        self.links.retain(|_, link| link.from != at && link.to != at);
        self.events.retain(|_, event| !matches!(event, Event::Cron(node) if *node == at));
    }

    /// It starts again.
    pub fn restart(&mut self, at: usize) {
        self.nodes[at].restart();
        self.start(at);
    }

    /// An operator's CLUSTER command.
    pub fn command(&mut self, at: usize, words: &str) -> Reply {
        let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let command =
            slotproof_model::Command::parse(&args, &self.nodes[at].config.rules).expect("well formed");
        let dice = self.roll();
        let reply = self.input(at, Input::Command { command, dice }, None).expect("a command is answered");
        self.tell(format!("{}: CLUSTER {words} -> {reply:?}", self.nodes[at].name));
        reply
    }

    /// Lets time pass until something is so.
    pub fn wait(&mut self, what: &str, is_so: impl Fn(&[Node]) -> bool) {
        let end = self.now + 60_000;
        while !is_so(&self.nodes) {
            assert!(self.now < end, "{what}: not within a minute\n{}", self.story.join("\n"));
            let ((time, _), event) = self.events.pop_first().expect("a running node has a cron");
            self.now = time;
            self.happen(event);
        }
        self.tell(what);
    }

    fn later(&mut self, delay: Millis, event: Event) {
        self.numbers += 1;
        self.events.insert((self.now + delay, self.numbers), event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Cron(at) => self.cron(at),
            Event::Connected(number) => self.connected(number),
            Event::Bytes { link, at, bytes } => self.arrive(link, at, &bytes),
        }
    }

    /// 128 bits; a real shell asks its system for them.
    fn roll(&mut self) -> Dice {
        let mut word = || {
            // splitmix64.
            self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.dice;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            u128::from(z ^ (z >> 31))
        };
        Dice::Roll(word() << 64 | word())
    }

    /// **The heart of a shell**: one input, one step, and then its effects, in order, before any other input is taken.
    fn input(&mut self, at: usize, input: Input, link: Option<u64>) -> Option<Reply> {
        let node = &mut self.nodes[at];
        let mut out = Effects::new();
        node.core.step(&node.config, input, &node.keys, &mut out);
        let mut reply = None;
        for effect in out.0 {
            match effect {
                Effect::Reply(r) => reply = Some(r),
                other => self.execute(at, other, link),
            }
        }
        reply
    }

    fn execute(&mut self, at: usize, effect: Effect, link: Option<u64>) {
        let now = self.now;
        let node = &mut self.nodes[at];
        match effect {
            // Ahead of all others: what is sent below is on disk now.
            Effect::Persist { fsync } => node.persist(fsync),
            Effect::Send { to, message } => self.send(at, to, *message, link),
            Effect::Disconnect(id) => self.close(self.outbound(at, &id)),
            Effect::TieInbound(id) => {
                let tied = |l: &Connection| l.to == at && l.tied == Some(id);
                self.links.retain(|number, l| !tied(l) || Some(*number) == link);
                if let Some(l) = link.and_then(|number| self.links.get_mut(&number)) {
                    l.tied = Some(id);
                }
            }
            Effect::Rename { from, to } => {
                node.clocks.rename(&from, to);
                self.links.values_mut().filter(|l| l.from == at && l.peer == from).for_each(|l| l.peer = to);
            }
            Effect::Removed(id) => {
                node.clocks.forget(&id);
                let of = |l: &Connection| l.from == at && l.peer == id || l.to == at && l.tied == Some(id);
                self.links.retain(|_, l| !of(l));
            }
            Effect::Arm { timer, delay } => {
                node.timers.insert(timer, now + delay.millis(NODE_TIMEOUT));
            }
            Effect::Cancel(timer) => {
                node.timers.remove(&timer);
            }
            Effect::Stamp { node: of, stamp } => {
                let clock = node.clocks.at(of);
                match stamp {
                    Stamp::PongReceived => (clock.pong_received, clock.ping_sent) = (now, 0),
                    Stamp::PongAdopted(seconds) => clock.pong_received = Millis::from(seconds) * 1000,
                    Stamp::Failed => clock.failed = now,
                    Stamp::TookOver => clock.took_over = now,
                }
            }
            Effect::DropKeys(slot) => node.keys.drop_slot(slot),
            Effect::FlushAll => node.keys.clear(),
            // A shell with replication begins or ends to copy a master's data set here.
            Effect::Replicate(_) => {}
            Effect::RoutesChanged => node.routes = node.core.route_table(&node.config),
            Effect::StateChanged { ok } => {
                let line =
                    format!("{}: the cluster is {}", node.name, if ok { "ok" } else { "in the state fail" });
                self.tell(line);
            }
            Effect::Deliver { .. } => {}
            Effect::Reply(_) => unreachable!("kept apart by the caller"),
        }
    }

    fn send(&mut self, at: usize, to: To, mut message: Message, link: Option<u64>) {
        let number = match to {
            To::SameLink => link,
            To::Outbound(id) => self.outbound(at, &id),
        };
        // Where there is no such link, the message is silently not sent.
        let Some(link) = number.and_then(|n| self.links.get_mut(&n)) else { return };
        let clocks = &mut self.nodes[at].clocks;
        if let Body::Heartbeat { kind, gossip, .. } = &mut message.body {
            // Stamps are the shell's: it fills them in as the message leaves.
            for entry in gossip {
                let clock = clocks.of(&entry.node);
                entry.ping_sent = (clock.ping_sent / 1000) as u32;
                entry.pong_received = (clock.pong_received / 1000) as u32;
            }
            if let (Heartbeat::Ping, To::Outbound(id)) = (*kind, to)
                && clocks.of(&id).ping_sent == 0
            {
                clocks.at(id).ping_sent = self.now;
            }
        }
        let bytes = wire::encode(&message);
        if !link.up {
            return link.queued.push(bytes);
        }
        let there = if link.from == at { link.to } else { link.from };
        let event = Event::Bytes { link: number.expect("it is there"), at: there, bytes };
        self.later(LATENCY, event);
    }

    fn outbound(&self, at: usize, id: &NodeId) -> Option<u64> {
        self.links.iter().find(|(_, l)| l.from == at && l.peer == *id).map(|(number, _)| *number)
    }

    fn close(&mut self, number: Option<u64>) {
        if let Some(number) = number {
            self.links.remove(&number);
        }
    }

    /// A connection is established: the opener's first words on it are the core's.
    fn connected(&mut self, number: u64) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let (from, to, peer) = (link.from, link.to, link.peer);
        if !self.nodes[to].runs {
            return self.close(Some(number));
        }
        link.up = true;
        for bytes in std::mem::take(&mut link.queued) {
            self.later(LATENCY, Event::Bytes { link: number, at: to, bytes });
        }
        let dice = self.roll();
        self.input(from, Input::LinkUp { peer, dice }, Some(number));
    }

    /// Bytes arrived. Here every frame comes whole; a stream is cut into frames by `wire::frame_length`.
    fn arrive(&mut self, number: u64, at: usize, bytes: &[u8]) {
        let Some(link) = self.links.get(&number) else { return };
        assert_eq!(wire::frame_length(bytes, MAX_FRAME), Ok(Some(bytes.len())));
        let message = wire::decode(bytes).expect("nobody here sends anything else");
        let outbound = link.from == at;
        let on = if outbound { Link::Outbound(link.peer) } else { Link::Inbound(link.tied) };
        let there = if outbound { link.to } else { link.from };
        let (now, node) = (self.now, &mut self.nodes[at]);
        let speaker = node.core.speaker(on, &message.header.sender, &node.config.rules);
        let failed = speaker.map_or(0, |id| node.clocks.of(&id).failed);
        let took_over = message.tells_slots_of(speaker).map_or(0, |id| node.clocks.of(&id).took_over);
        let pong_news = match &message.body {
            Body::Heartbeat { gossip, .. } => {
                gossip.iter().map(|e| node.clocks.pong_is_news(e, now)).collect()
            }
            _ => Vec::new(),
        };
        let receipt = Receipt {
            from_ip: ip(there).into(),
            local_ip: ip(at).into(),
            fail_expired: now - failed > 2 * NODE_TIMEOUT,
            import_settled: now - took_over > NODE_TIMEOUT,
            pong_news,
        };
        if let Some(id) = speaker {
            node.clocks.at(id).data_received = now;
        }
        let dice = self.roll();
        self.input(at, Input::Receive { link: on, message: Box::new(message), receipt, dice }, Some(number));
    }

    /// Connections that are missing, timers that ran out, heartbeats that are due, answers that are overdue.
    fn cron(&mut self, at: usize) {
        self.later(CRON, Event::Cron(at));
        let now = self.now;
        let node = &mut self.nodes[at];
        node.crons += 1;
        let each_second = node.crons.is_multiple_of(10);
        let me = node.core.me();
        let peers: Vec<(NodeId, usize)> = node
            .core
            .peers()
            .iter()
            .filter(|p| p.id != me && !p.no_address())
            .filter_map(|p| Some((p.id, at_ip(&p.address.ip)?)))
            .collect();
        let due: Vec<Timer> =
            node.timers.iter().filter(|(_, end)| **end <= now).map(|(timer, _)| *timer).collect();
        for timer in due {
            // What ran before may have cancelled it, or armed it anew.
            if self.nodes[at].timers.get(&timer).is_some_and(|end| *end <= now) {
                self.nodes[at].timers.remove(&timer);
                self.input(at, Input::Timer(timer), None);
            }
        }
        for (id, to) in peers {
            if self.outbound(at, &id).is_none() && self.nodes[at].core.peer(&id).is_some() {
                self.numbers += 1;
                let (tied, opened, up, queued) = (None, now, false, Vec::new());
                let link = Connection { from: at, to, peer: id, tied, opened, up, queued };
                self.links.insert(self.numbers, link);
                self.later(LATENCY, Event::Connected(self.numbers));
            }
            self.pace(at, id, each_second);
        }
    }

    /// Who is pinged when is the shell's; a simple pace does: everybody once a second, or when the last PONG is old.
    fn pace(&mut self, at: usize, id: NodeId, each_second: bool) {
        let Some(peer) = self.nodes[at].core.peer(&id).filter(|p| !p.in_handshake()) else { return };
        let suspected = peer.is_pfail() || peer.is_fail();
        let clock = self.nodes[at].clocks.of(&id);
        let now = self.now;
        let since = |t: Millis| now - t;
        let waits = clock.ping_sent != 0;
        let link = self.outbound(at, &id);
        let opened = link.and_then(|n| self.links.get(&n)).map_or(0, |l| l.opened);
        if waits
            && since(opened) > NODE_TIMEOUT
            && since(clock.ping_sent.max(clock.data_received)) > NODE_TIMEOUT / 2
        {
            self.close(link);
        }
        if !waits && (each_second || since(clock.pong_received) > NODE_TIMEOUT / 2) {
            let dice = self.roll();
            self.input(at, Input::HeartbeatDue { to: id, dice }, None);
        } else if waits && !suspected && since(clock.ping_sent.max(clock.data_received)) > NODE_TIMEOUT {
            self.input(at, Input::Timer(Timer::PongOverdue(id)), None);
        }
    }
}

fn ip(at: usize) -> String {
    format!("10.0.0.{}", at + 1)
}

/// The node at an address.
pub fn at_ip(ip: &str) -> Option<usize> {
    ip.strip_prefix("10.0.0.")?.parse::<usize>().ok()?.checked_sub(1)
}
