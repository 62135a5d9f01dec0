//! One node: the core, and what a shell keeps for it.

use std::collections::BTreeMap;

use slotproof_model::{
    Config, GossipEntry, Keyspace, NodeId, NodeState, RequestKind, Route, RouteTable, Slot, Stamps, Timer,
    key_slot, nodes_conf,
};

use crate::net::Millis;

/// Stamps about one peer; 0 is never.
#[derive(Clone, Copy, Default)]
pub struct Clock {
    /// When the PING was sent whose PONG is awaited; 0 if none is.
    pub ping_sent: Millis,
    /// When its last PONG came, or was heard of.
    pub pong_received: Millis,
    /// When anything last came from it.
    pub data_received: Millis,
    /// When it became FAIL.
    pub failed: Millis,
    /// When the last import from it ended here.
    pub took_over: Millis,
}

/// Stamps about all peers: the core orders them to be taken, and never reads them.
#[derive(Default)]
pub struct Clocks(BTreeMap<NodeId, Clock>);

impl Clocks {
    pub fn of(&self, id: &NodeId) -> Clock {
        self.0.get(id).copied().unwrap_or_default()
    }

    pub fn at(&mut self, id: NodeId) -> &mut Clock {
        self.0.entry(id).or_default()
    }

    pub fn rename(&mut self, from: &NodeId, to: NodeId) {
        if let Some(clock) = self.0.remove(from) {
            self.0.insert(to, clock);
        }
    }

    pub fn forget(&mut self, id: &NodeId) {
        self.0.remove(id);
    }

    /// The comparison of clocks that an input carries for each entry of gossip.
    pub fn pong_is_news(&self, entry: &GossipEntry, now: Millis) -> bool {
        let mine = self.of(&entry.node);
        let theirs = Millis::from(entry.pong_received) * 1000;
        mine.ping_sent == 0 && theirs > mine.pong_received && theirs <= now + 500
    }
}

impl Stamps for Clocks {
    fn ping_sent_ms(&self, id: &NodeId) -> u64 {
        self.of(id).ping_sent
    }

    fn pong_received_ms(&self, id: &NodeId) -> u64 {
        self.of(id).pong_received
    }

    fn connected(&self, _: &NodeId) -> bool {
        true
    }
}

/// Keys and values, by slot: what a step asks is answered without a look at any other slot.
#[derive(Default)]
pub struct Keys(BTreeMap<Slot, BTreeMap<String, String>>);

impl Keyspace for Keys {
    fn keys_in_slot(&self, slot: Slot) -> u64 {
        self.0.get(&slot).map_or(0, |keys| keys.len() as u64)
    }

    fn total_keys(&self) -> u64 {
        self.0.values().map(|keys| keys.len() as u64).sum()
    }
}

impl Keys {
    pub fn get(&self, key: &str) -> Option<&String> {
        self.0.get(&key_slot(key.as_bytes()))?.get(key)
    }

    pub fn set(&mut self, key: &str, value: &str) {
        self.0.entry(key_slot(key.as_bytes())).or_default().insert(key.into(), value.into());
    }

    pub fn remove(&mut self, key: &str) {
        if let Some(keys) = self.0.get_mut(&key_slot(key.as_bytes())) {
            keys.remove(key);
        }
    }

    pub fn of_slot(&self, slot: Slot) -> Vec<(String, String)> {
        self.0.get(&slot).into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    pub fn drop_slot(&mut self, slot: Slot) {
        self.0.remove(&slot);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// What survives the end of the process: the text of nodes.conf. (This machine's disk keeps keys too.)
#[derive(Default)]
pub struct Disk {
    /// What a reader would find.
    pub written: String,
    /// What a power failure would leave.
    pub durable: String,
    pub writes: usize,
}

pub struct Node {
    /// What the story calls it.
    pub name: &'static str,
    pub config: Config,
    pub core: NodeState,
    /// Published by `Effect::RoutesChanged`; requests of clients look at nothing else.
    pub routes: RouteTable,
    pub keys: Keys,
    pub clocks: Clocks,
    /// Armed timers, and when they run out.
    pub timers: BTreeMap<Timer, Millis>,
    pub disk: Disk,
    /// Its process runs.
    pub runs: bool,
    pub crons: u64,
}

impl Node {
    /// A node that was just born, with its first nodes.conf on disk.
    pub fn born(name: &'static str, id: NodeId) -> Self {
        let mut config = Config::default();
        config.announce.port = 7000;
        config.announce.cport = 17000;
        let core = NodeState::new(id, &config);
        let mut node = Self {
            name,
            routes: core.route_table(&config),
            config,
            core,
            keys: Keys::default(),
            clocks: Clocks::default(),
            timers: BTreeMap::new(),
            disk: Disk::default(),
            runs: true,
            crons: 0,
        };
        node.persist(true);
        node
    }

    /// `Effect::Persist`: a real shell writes a temporary file, syncs it, renames it and syncs its directory; when this returns, it
    /// is done.
    pub fn persist(&mut self, fsync: bool) {
        self.disk.written = nodes_conf::render(&self.core.saved(), &self.clocks);
        self.disk.writes += 1;
        if fsync {
            self.disk.durable.clone_from(&self.disk.written);
        }
    }

    /// The process starts again: nothing is left but what is on disk.
    pub fn restart(&mut self) {
        let loaded = nodes_conf::parse(self.disk.written.as_bytes()).expect("it was rendered by a node");
        let loaded = loaded.expect("a node saves at its birth");
        self.core = NodeState::from_saved(&loaded.saved, &self.config);
        self.routes = self.core.route_table(&self.config);
        (self.clocks, self.timers) = (Clocks::default(), BTreeMap::new());
        (self.runs, self.crons) = (true, 0);
    }

    /// GET, or SET if there is a value. The routing is the core's; an error is the line that a client gets.
    pub fn request(
        &mut self,
        key: &str,
        value: Option<&str>,
        asking: bool,
    ) -> Result<Option<String>, (Route, String)> {
        let kind = RequestKind { write: value.is_some(), asking, ..RequestKind::default() };
        let keys = &self.keys;
        let route = self.routes.route(kind, [key], |k| key_slot(k.as_bytes()), |k| keys.get(k).is_some());
        if let Some(refusal) = self.routes.error_text(route, false) {
            return Err((route, refusal));
        }
        if let Some(value) = value {
            self.keys.set(key, value);
        }
        Ok(self.keys.get(key).cloned())
    }
}
