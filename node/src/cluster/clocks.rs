//! Time stamps about other nodes, by name. They belong to the shell: the core says when one is to be taken over.

use std::collections::HashMap;

use slotproof_model::{GossipEntry, NodeId, Stamps};

/// Milliseconds of a clock that never goes back and agrees with the wall clock at the start of the process.
pub(super) type Millis = u64;

/// What is known of a peer's clockwork; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PeerClock {
    /// When the ping was sent whose pong is awaited; 0 if none is.
    pub(super) ping_sent: Millis,
    /// When its last pong came, or was heard of.
    pub(super) pong_received: Millis,
    /// When anything last came from it.
    pub(super) data_received: Millis,
    /// When it became FAIL.
    pub(super) failed: Millis,
    /// When the last import from it ended here.
    pub(super) took_over: Millis,
}

/// The stamps of all peers.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    pub(super) peers: HashMap<NodeId, PeerClock>,
}

impl Clocks {
    pub(super) fn of(&self, id: &NodeId) -> PeerClock {
        self.peers.get(id).copied().unwrap_or_default()
    }

    pub(super) fn at(&mut self, id: NodeId) -> &mut PeerClock {
        self.peers.entry(id).or_default()
    }

    /// A gossiped pong is news if none of mine is awaited, it is newer than mine, and not from the future by more than
    /// 500 ms (cluster.c `clusterProcessGossipSection`).
    pub(super) fn pong_is_news(&self, entry: &GossipEntry, now: Millis) -> bool {
        let mine = self.of(&entry.node);
        let theirs = u64::from(entry.pong_received) * 1000;
        mine.ping_sent == 0 && theirs > mine.pong_received && theirs <= now + 500
    }
}

/// Stamps as CLUSTER NODES and nodes.conf show them.
pub(super) struct Shown<'a> {
    pub(super) clocks: &'a Clocks,
    pub(super) connected: &'a dyn Fn(&NodeId) -> bool,
}

impl Stamps for Shown<'_> {
    fn ping_sent_ms(&self, id: &NodeId) -> u64 {
        self.clocks.of(id).ping_sent
    }

    fn pong_received_ms(&self, id: &NodeId) -> u64 {
        self.clocks.of(id).pong_received
    }

    fn connected(&self, id: &NodeId) -> bool {
        (self.connected)(id)
    }
}
