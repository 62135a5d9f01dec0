//! The part of a state that nodes.conf keeps, and how a node comes back from it.

use std::collections::BTreeMap;

use crate::address::{Address, Flags};
use crate::config::Config;
use crate::id::{Epoch, NodeId};
use crate::slot::{Slot, SlotSet};

use super::{NodeState, Peer};

/// What nodes.conf keeps (cluster.c `clusterSaveConfig`). Nodes in handshake are left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Saved {
    /// Whose file it is.
    pub me: NodeId,
    /// `vars currentEpoch`.
    pub current_epoch: Epoch,
    /// `vars lastVoteEpoch`.
    pub last_vote_epoch: Epoch,
    /// The nodes, sorted by name, the node itself included.
    pub nodes: Vec<SavedNode>,
    /// `[slot->-node]`.
    pub migrating: BTreeMap<Slot, NodeId>,
    /// `[slot-<-node]`.
    pub importing: BTreeMap<Slot, NodeId>,
}

/// One line of nodes.conf, stamps and link state aside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SavedNode {
    /// Its name.
    pub id: NodeId,
    /// Its address (pport is not kept).
    pub address: Address,
    /// Its hostname.
    pub hostname: Option<Box<str>>,
    /// The flags that have a name.
    pub flags: Flags,
    /// Its master.
    pub master: Option<NodeId>,
    /// Its config epoch; of a replica with a known master, the master's.
    pub config_epoch: Epoch,
    /// Its slots.
    pub slots: SlotSet,
}

impl NodeState {
    /// What is to be written to nodes.conf now.
    pub fn saved(&self) -> Saved {
        let named = Flags::NAMES.iter().fold(Flags::NONE, |all, (f, _)| all.with(*f));
        let nodes = self
            .peers
            .iter()
            .filter(|p| !p.in_handshake())
            .map(|p| SavedNode {
                id: p.id,
                address: Address { pport: 0, ..p.address.clone() },
                hostname: p.hostname.clone(),
                flags: Flags(p.flags.0 & named.0),
                master: p.master.filter(|_| p.is_replica()),
                config_epoch: self.shown_epoch(p),
                slots: p.slots.clone(),
            })
            .collect();
        Saved {
            me: self.me,
            current_epoch: self.current_epoch,
            last_vote_epoch: self.last_vote_epoch,
            nodes,
            migrating: self.migrating.clone(),
            // The file has one of the two for a slot (cluster.c `clusterGenNodeDescription`).
            importing: self
                .importing
                .iter()
                .filter(|(s, _)| !self.migrating.contains_key(s))
                .map(|(s, n)| (*s, *n))
                .collect(),
        }
    }

    /// The config epoch shown for a node: of a replica with a known master, the master's.
    pub fn shown_epoch(&self, p: &Peer) -> Epoch {
        let of = p.master.filter(|_| p.is_replica()).and_then(|m| self.peer(&m)).unwrap_or(p);
        of.config_epoch
    }

    /// A node that starts with this nodes.conf (cluster.c `clusterLoadConfig`, 7.0:138): its own ports are those of the
    /// configuration, replicas' epochs are 0, a slot listed twice belongs to the first line, currentEpoch is at least every epoch.
    pub fn from_saved(saved: &Saved, config: &Config) -> Self {
        let mut state = Self::new(saved.me, config);
        for n in &saved.nodes {
            if n.id == saved.me {
                let me = state.myself_mut();
                me.flags = n.flags.with(Flags::MYSELF);
                me.address.ip = if config.announce.ip.is_empty() {
                    n.address.ip.clone()
                } else {
                    config.announce.ip.clone()
                };
                me.master = n.master;
            } else {
                let mut peer =
                    Peer::new(n.id, n.address.clone(), n.flags.without(Flags::MYSELF), config.slots);
                peer.hostname.clone_from(&n.hostname);
                peer.master = n.master;
                state.insert_peer(peer);
            }
            let epoch = if n.master.is_some() { Epoch::ZERO } else { n.config_epoch };
            if let Some(p) = state.peer_mut(&n.id) {
                p.config_epoch = epoch;
            }
        }
        // A master that is named but has no line of its own is created (clusterLoadConfig does so too).
        let missing: Vec<NodeId> =
            saved.nodes.iter().filter_map(|n| n.master).filter(|m| state.index(m).is_none()).collect();
        for m in missing {
            state.insert_peer(Peer::new(m, Address::default(), Flags::NONE, config.slots));
        }
        for n in &saved.nodes {
            let i = state.index(&n.id).expect("inserted above");
            for slot in n.slots.iter().filter(|s| s.index() < usize::from(config.slots)) {
                if state.owner_index(slot).is_none() {
                    state.bind(slot, i);
                }
            }
        }
        for i in 0..state.peers.len() {
            let id = state.peers[i].id;
            let has = state.has_replica(&id);
            let p = state.peer_at(i);
            p.flags = p.flags.set(Flags::MIGRATE_TO, has && p.is_master());
        }
        for (&slot, &id) in &saved.migrating {
            state.set_migrating(slot, Some(id));
        }
        for (&slot, &id) in &saved.importing {
            state.set_importing(slot, Some(id));
        }
        let highest = saved.nodes.iter().map(|n| n.config_epoch).max().unwrap_or_default();
        state.current_epoch = saved.current_epoch.max(highest);
        state.last_vote_epoch = saved.last_vote_epoch;
        state.scratch.routes_changed = false;
        state
    }
}
