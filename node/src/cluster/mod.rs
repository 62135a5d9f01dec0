//! The shell around the protocol: it turns bytes and timers into inputs of the core, and executes effects in order.
//!
//! No decision of the protocol is taken here. Clocks, dice, connections and time stamps live here; a `Persist` is
//! on disk (and durable, if it asks for that) before the effects behind it are executed.

mod bus;
mod clocks;
mod hook;
mod links;
mod pace;
mod persist;
mod settings;
mod show;
mod timers;

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use slotproof_model::view::Statistics;
use slotproof_model::{
    Body, Config, Dice, Effect, Effects, Input, Keyspace as Keys, Link, Message, NodeId, NodeState, Receipt,
    Reply, Slot, Stamp, Timer, To, nodes_conf, wire,
};
use tokio::task::spawn_local;

use crate::config::StartError;
use crate::keyspace::Keyspace;
use crate::server::{Server, Shared, bind_listener, bind_names, unix_micros};
use crate::trace::{Answer, Event, TraceWriter, frame_hash};
use clocks::{Clocks, Millis, Shown};
use hook::Hook;
use links::Links;
use pace::LinkAge;
use persist::NodesConf;
use settings::{bus_port, core_config};
use timers::Timers;

/// A cluster node: the core, and what the shell keeps for it.
pub(crate) struct Cluster {
    core: NodeState,
    config: Config,
    clocks: Clocks,
    links: Links,
    timers: Timers,
    file: NodesConf,
    trace: Option<TraceWriter>,
    statistics: Statistics,
    node_timeout: Millis,
    link_limit: usize,
    /// The data of a former life as a master, kept aside while the node is a replica.
    aside: Option<Keyspace>,
    begun: Instant,
    begun_wall: Millis,
    crons: u64,
    log: Rc<crate::server::Log>,
    /// SAVECONFIG answers a failed write instead of ending the process.
    save_failed: Option<String>,
    saving_by_command: bool,
}

/// Makes the server a cluster node: nodes.conf, the bus, the cron.
pub(crate) fn start(shared: &Shared) -> Result<(), StartError> {
    let mut server = shared.borrow_mut();
    let cluster = Cluster::new(&mut server)?;
    let port = bus_port(&server).ok_or_else(|| {
        StartError(
            "Redis port number too high for cluster mode: the bus port is the port + 10000; set cluster-port"
                .into(),
        )
    })?;
    let bind = server.config.text("bind").into_owned();
    let mut listeners = Vec::new();
    for (name, optional) in bind_names(&bind) {
        match bind_listener(name, port, 511) {
            Ok(listener) => listeners.push(listener),
            Err(_) if optional => {}
            Err(e) => {
                return Err(StartError(format!(
                    "Failed listening on port {port} (cluster), aborting: {name}: {e}"
                )));
            }
        }
    }
    if listeners.is_empty() {
        return Err(StartError(format!("Failed listening on port {port} (cluster, bind {bind}), aborting.")));
    }
    let node: bus::Node = Rc::new(RefCell::new(cluster));
    server.cluster = Some(Box::new(Hook(Rc::clone(&node))));
    node.borrow_mut().input(&mut server, Input::Start, None);
    drop(server);
    for listener in listeners {
        spawn_local(bus::accept(Rc::clone(shared), Rc::clone(&node), listener));
    }
    spawn_local(bus::cron(Rc::clone(shared), node));
    Ok(())
}

/// 128 rolled bits.
fn roll() -> u128 {
    let word = || u128::from(ahash::RandomState::new().hash_one(0u8));
    word() << 64 | word()
}

impl Cluster {
    fn new(server: &mut Server) -> Result<Self, StartError> {
        let config = core_config(server);
        let path = server.config.text("cluster-config-file").into_owned();
        let busy = |e| StartError(format!("Sorry, the cluster configuration file {path} can't be used: {e}"));
        let (file, bytes) = NodesConf::open(&path).map_err(busy)?;
        let loaded = nodes_conf::parse(&bytes).map_err(|e| {
            StartError(format!("Unrecoverable error: corrupted cluster config file {path}: {e}"))
        })?;
        let wall_us = u64::try_from(unix_micros()).unwrap_or(0);
        let (core, fresh) = match &loaded {
            Some(loaded) => (NodeState::from_saved(&loaded.saved, &config), false),
            None => (NodeState::new(NodeId::from_seed(roll()), &config), true),
        };
        let mut cluster = Self {
            core,
            config,
            clocks: Clocks::default(),
            links: Links::default(),
            timers: Timers::default(),
            file,
            trace: None,
            statistics: Statistics::default(),
            node_timeout: server.config.int("cluster-node-timeout").unsigned_abs(),
            link_limit: usize::MAX,
            aside: None,
            begun: Instant::now(),
            begun_wall: wall_us / 1000,
            crons: 0,
            log: Rc::clone(&server.log),
            save_failed: None,
            saving_by_command: false,
        };
        cluster.read_limits(server);
        if let Some(loaded) = &loaded {
            for (id, beside) in &loaded.beside {
                let now = cluster.now();
                let clock = cluster.clocks.at(*id);
                clock.ping_sent = if beside.ping_sent_ms != 0 { now } else { 0 };
                clock.pong_received = if beside.pong_received_ms != 0 { now } else { 0 };
            }
            cluster.log.notice(&format!("Node configuration loaded, I'm {}", cluster.core.me()));
        } else {
            cluster.log.notice(&format!("No cluster configuration found, I'm {}", cluster.core.me()));
        }
        if fresh {
            cluster.write_file(true);
        }
        let trace = server.config.text("trace").into_owned();
        if !trace.is_empty() {
            let writer =
                TraceWriter::create(&trace, wall_us, cluster.node_timeout, &cluster.config, &cluster.core)
                    .map_err(|e| StartError(format!("trace {trace}: {e}")))?;
            cluster.trace = Some(writer);
        }
        Ok(cluster)
    }

    fn read_limits(&mut self, server: &Server) {
        self.node_timeout = server.config.int("cluster-node-timeout").unsigned_abs();
        let limit = usize::try_from(server.config.int("cluster-link-sendbuf-limit")).unwrap_or(0);
        self.link_limit = if limit == 0 { usize::MAX } else { limit };
    }

    /// Milliseconds that never go back, and agree with the wall clock of the start.
    fn now(&self) -> Millis {
        self.begun_wall + u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(0)
    }

    fn roll(&self) -> Dice {
        Dice::Roll(roll())
    }

    /// One input: a step of the core, and then its effects, in order. `link` is the connection that it came on.
    fn input(&mut self, server: &mut Server, input: Input, link: Option<u64>) -> Option<Reply> {
        let mut out = Effects::new();
        if self.trace.is_some() {
            let keys = Recorded { keyspace: &server.dbs[0], answers: RefCell::default() };
            self.core.step(&self.config, input.clone(), &keys, &mut out);
            let digest = self.core.digest();
            let answers = keys.answers.into_inner();
            self.traced(|t| t.step(input, answers, &out.0, digest));
        } else {
            self.core.step(&self.config, input, &server.dbs[0], &mut out);
        }
        let mut reply = None;
        for effect in out.0 {
            if let Effect::Reply(r) = effect {
                reply = Some(r);
            } else {
                self.execute(server, effect, link);
            }
        }
        match self.save_failed.take() {
            Some(e) => Some(Reply::Error(format!("error saving the cluster node config: {e}").into())),
            None => reply,
        }
    }

    fn execute(&mut self, server: &mut Server, effect: Effect, link: Option<u64>) {
        match effect {
            Effect::Persist { fsync } => self.write_file(fsync),
            Effect::Send { to, message } => self.send(to, *message, link),
            Effect::Disconnect(id) => {
                if let Some(number) = self.links.outbound(&id) {
                    self.links.close(number);
                }
            }
            Effect::TieInbound(id) => {
                if let Some(number) = link {
                    self.links.tie(number, id);
                }
            }
            Effect::Rename { from, to } => {
                self.links.rename(&from, to);
                if let Some(clock) = self.clocks.peers.remove(&from) {
                    self.clocks.peers.insert(to, clock);
                }
            }
            Effect::Removed(id) => {
                self.links.forget(&id);
                self.clocks.peers.remove(&id);
            }
            Effect::Arm { timer, delay } => {
                let deadline = self.now().saturating_add(delay.millis(self.node_timeout));
                self.timers.arm(timer, deadline);
            }
            Effect::Cancel(timer) => self.timers.cancel(timer),
            Effect::Stamp { node, stamp } => self.stamp(node, stamp),
            Effect::DropKeys(slot) => {
                let keys = server.keyspace().drop_slot(slot) as u64;
                self.traced(|t| t.write(Event::Dropped { slot, keys }));
            }
            Effect::FlushAll => {
                self.aside = None;
                server.keyspace().clear(false);
            }
            Effect::Replicate(Some(master)) => {
                self.log.notice(&format!(
                    "I follow {master} now; my data is kept aside until it is replaced by its"
                ));
                if self.aside.is_none() {
                    self.aside = Some(std::mem::take(server.keyspace()));
                }
            }
            // It never became a copy of its master: what it served before is its data set again.
            Effect::Replicate(None) => {
                if let Some(data) = self.aside.take() {
                    *server.keyspace() = data;
                }
            }
            Effect::RoutesChanged => {
                server.routes = Some(Rc::new(self.core.route_table(&self.config)));
                server.drop_foreign_shards();
            }
            Effect::StateChanged { ok } => {
                self.log.notice(&format!("Cluster state changed: {}", if ok { "ok" } else { "fail" }));
            }
            Effect::Deliver { sharded, channel, message } => {
                server.deliver(sharded, &channel, &message, None);
            }
            Effect::Reply(_) => {}
        }
    }

    fn stamp(&mut self, node: NodeId, stamp: Stamp) {
        let now = self.now();
        let clock = self.clocks.at(node);
        match stamp {
            Stamp::PongReceived => {
                clock.pong_received = now;
                clock.ping_sent = 0;
            }
            Stamp::PongAdopted(seconds) => clock.pong_received = u64::from(seconds) * 1000,
            Stamp::Failed => clock.failed = now,
            Stamp::TookOver => clock.took_over = now,
        }
    }

    /// Writes nodes.conf. A failure ends the process, except where SAVECONFIG can answer it.
    fn write_file(&mut self, fsync: bool) {
        let links = &self.links;
        let connected = |id: &NodeId| links.outbound(id).is_some();
        let shown = Shown { clocks: &self.clocks, connected: &connected };
        let text = nodes_conf::render(&self.core.saved(), &shown);
        if let Err(e) = self.file.replace(&text, fsync) {
            if self.saving_by_command {
                let text = e.to_string();
                let system = text.split(" (os error").next().unwrap_or(&text);
                self.save_failed = Some(system.into());
                return self.traced(|t| t.write(Event::Unwritten));
            }
            self.log.warning(&format!("Fatal: can't update cluster config file: {e}"));
            self.end_trace(false);
            std::process::exit(1);
        }
        self.traced(|t| t.write(Event::Written));
        if fsync {
            self.traced(|t| t.write(Event::Synced));
        }
    }

    fn send(&mut self, to: To, mut message: Message, link: Option<u64>) {
        let number = match to {
            To::SameLink => link,
            To::Outbound(id) => self.links.outbound(&id),
        };
        let Some(number) = number.filter(|&n| self.links.get(n).is_some()) else {
            return self.traced(|t| t.write(Event::Unsent));
        };
        let mut stamps = Vec::new();
        let mut pings = false;
        if let Body::Heartbeat { kind, gossip, .. } = &mut message.body {
            for entry in gossip {
                let clock = self.clocks.of(&entry.node);
                let seconds = |ms: Millis| u32::try_from(ms / 1000).unwrap_or(u32::MAX);
                entry.ping_sent = seconds(clock.ping_sent);
                entry.pong_received = seconds(clock.pong_received);
                stamps.push((entry.ping_sent, entry.pong_received));
            }
            pings = *kind == slotproof_model::Heartbeat::Ping;
        }
        let bytes = wire::encode(&message);
        let frame = if self.trace.is_some() { frame_hash(&bytes) } else { 0 };
        if !self.links.send(number, bytes, self.link_limit) {
            return self.traced(|t| t.write(Event::Unsent));
        }
        self.traced(|t| t.write(Event::Sent { link: number, frame, stamps }));
        if let Some(count) = self.statistics.sent.get_mut(usize::from(message.type_number())) {
            *count += 1;
        }
        if let (true, To::Outbound(id)) = (pings, to) {
            let now = self.now();
            let clock = self.clocks.at(id);
            if clock.ping_sent == 0 {
                clock.ping_sent = now;
            }
        }
    }

    /// A frame arrived; whether its link is still there.
    fn frame(&mut self, server: &mut Server, number: u64, bytes: &[u8]) -> bool {
        if let Some(kind) = wire::packet_type(bytes)
            && let Some(count) = self.statistics.received.get_mut(usize::from(kind))
        {
            *count += 1;
        }
        let message = match wire::decode(bytes) {
            Ok(message) => message,
            Err(e) => {
                if !e.is_silent() {
                    self.log.warning(&format!("Bad packet on the cluster bus, dropped: {e}"));
                }
                return true;
            }
        };
        let now = self.now();
        let Some(link) = self.links.get(number) else { return false };
        let at = match (link.outbound, link.peer) {
            (true, Some(id)) => Link::Outbound(id),
            (_, peer) => Link::Inbound(peer),
        };
        let speaker = self.core.speaker(at, &message.header.sender, &self.config.rules);
        let pong_news = match &message.body {
            Body::Heartbeat { gossip, .. } => {
                gossip.iter().map(|e| self.clocks.pong_is_news(e, now)).collect()
            }
            _ => Vec::new(),
        };
        let took_over = message.tells_slots_of(speaker).map_or(0, |id| self.clocks.of(&id).took_over);
        let failed = speaker.map_or(0, |id| self.clocks.of(&id).failed);
        let receipt = Receipt {
            from_ip: link.from_ip.clone(),
            local_ip: link.local_ip.clone(),
            fail_expired: now.saturating_sub(failed) > self.node_timeout.saturating_mul(2),
            import_settled: now.saturating_sub(took_over) > self.node_timeout,
            pong_news,
        };
        if let Some(id) = speaker {
            self.clocks.at(id).data_received = now;
        }
        if self.trace.is_some() {
            let (frame, from) = (frame_hash(bytes), message.header.sender);
            self.traced(|t| t.write(Event::Received { link: number, from, frame }));
        }
        let dice = self.roll();
        self.input(
            server,
            Input::Receive { link: at, message: Box::new(message), receipt, dice },
            Some(number),
        );
        self.links.get(number).is_some()
    }

    /// My connection to a peer is established.
    fn link_up(&mut self, server: &mut Server, number: u64) {
        let Some(peer) = self.links.get(number).and_then(|l| l.peer) else { return };
        let dice = self.roll();
        self.input(server, Input::LinkUp { peer, dice }, Some(number));
    }

    /// A connection was not made. If it could not even be begun, the wait for an answer begins, so that the peer can be suspected:
    /// no PING will ever be queued on it.
    fn connect_failed(&mut self, number: u64, begun: bool) {
        let now = self.now();
        if !begun
            && let Some(peer) = self.links.get(number).and_then(|l| l.peer)
            && self.core.peer(&peer).is_some()
        {
            let clock = self.clocks.at(peer);
            if clock.ping_sent == 0 {
                clock.ping_sent = now;
            }
        }
        self.links.close(number);
    }

    /// Peers to which a connection is to be opened.
    fn unlinked(&self) -> Vec<NodeId> {
        let wanted = |p: &&slotproof_model::Peer| {
            p.id != self.core.me()
                && !p.no_address()
                && p.address.cport != 0
                && self.links.outbound(&p.id).is_none()
        };
        self.core.peers().iter().filter(wanted).map(|p| p.id).collect()
    }

    /// Timers, the pace of heartbeats, overdue pongs.
    fn cron(&mut self, server: &mut Server) {
        let now = self.now();
        self.crons += 1;
        for timer in self.timers.due(now) {
            // What ran before may have cancelled it, or armed it anew.
            if self.timers.take(timer, now) {
                self.input(server, Input::Timer(timer), None);
            }
        }
        let me = self.core.me();
        let pinged = |p: &&slotproof_model::Peer| p.id != me && !p.in_handshake() && !p.no_address();
        let peers: Vec<NodeId> = self.core.peers().iter().filter(pinged).map(|p| p.id).collect();
        if self.crons.is_multiple_of(10) {
            let table = self.core.peers();
            let draws = (0..pace::DRAWN).filter_map(|_| table.get((roll() % table.len() as u128) as usize));
            let drawn: Vec<_> = draws
                .filter(pinged)
                .map(|p| (p.id, self.clocks.of(&p.id), self.links.outbound(&p.id).is_some()))
                .collect();
            if let Some(to) = pace::oldest(drawn) {
                self.ping(server, to);
            }
        }
        for id in peers {
            let link = self
                .links
                .outbound(&id)
                .and_then(|n| self.links.get(n))
                .map(|l| LinkAge { opened: l.opened });
            let due = pace::due(self.clocks.of(&id), link, now, self.node_timeout, &self.config.rules);
            if due.drop_link
                && let Some(number) = self.links.outbound(&id)
            {
                self.links.close(number);
            }
            if due.ping {
                self.ping(server, id);
            }
            let suspected = self.core.peer(&id).is_none_or(|p| p.is_pfail() || p.is_fail());
            if due.overdue && !suspected {
                self.input(server, Input::Timer(Timer::PongOverdue(id)), None);
            }
        }
        if self.crons.is_multiple_of(10) {
            self.traced(TraceWriter::flush);
        }
    }

    fn ping(&mut self, server: &mut Server, to: NodeId) {
        let dice = self.roll();
        self.input(server, Input::HeartbeatDue { to, dice }, None);
    }

    /// Writes to the trace. A trace that can't be written ends; the node goes on.
    fn traced(&mut self, write: impl FnOnce(&mut TraceWriter) -> std::io::Result<()>) {
        if let Some(trace) = &mut self.trace
            && let Err(e) = write(trace)
        {
            self.log.warning(&format!("The trace ends here, it can't be written: {e}"));
            self.trace = None;
        }
    }

    fn end_trace(&mut self, well: bool) {
        if well {
            self.traced(|t| t.write(Event::End));
        }
        self.traced(TraceWriter::flush);
    }
}

/// Notes what the keyspace was asked and what it answered.
struct Recorded<'a> {
    keyspace: &'a Keyspace,
    answers: RefCell<Vec<Answer>>,
}

impl Keys for Recorded<'_> {
    fn keys_in_slot(&self, slot: Slot) -> u64 {
        let keys = Keys::keys_in_slot(self.keyspace, slot);
        self.answers.borrow_mut().push(Answer::InSlot(slot, keys));
        keys
    }

    fn total_keys(&self) -> u64 {
        let keys = Keys::total_keys(self.keyspace);
        self.answers.borrow_mut().push(Answer::Total(keys));
        keys
    }
}

/// Runs a node with the arguments after the program's name, to its end.
pub fn run(args: &[String]) -> ExitCode {
    crate::server::run_with(args, start)
}
