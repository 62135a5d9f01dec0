//! Nodes that change places: the same world with other names. What a node is called, where it is, its slots and its config epoch go with it.

use std::collections::BTreeMap;

use crate::address::Address;
use crate::check::scenario::{MAX_NODES, Scenario, address_of};
use crate::id::{Epoch, NodeId};
use crate::message::{Body, GossipEntry, Header, Message};
use crate::slot::{Slot, SlotSet};
use crate::state::{NodeState, Peer, Report};

use super::contents::{HeaderContent, node_id};

/// One way for nodes to change places.
pub(super) struct Renaming {
    /// Who is at a position afterwards.
    pub(super) to: [u8; MAX_NODES],
    /// Who was there before.
    pub(super) from: [u8; MAX_NODES],
    slots: Vec<Slot>,
    epochs: BTreeMap<Epoch, Epoch>,
    names: BTreeMap<NodeId, NodeId>,
    places: BTreeMap<Box<str>, Address>,
}

impl Renaming {
    /// The node at position `i` goes to position `to[i]`. None if the nodes are not alike: they have slots in different numbers, or two
    /// of them one epoch (of two nodes with one epoch the name decides who moves on).
    pub(super) fn new(scenario: &Scenario, to: [u8; MAX_NODES]) -> Option<Self> {
        let mut from = [0; MAX_NODES];
        (0u8..).zip(&to).for_each(|(i, &j)| from[usize::from(j)] = i);
        let mut slots: Vec<Slot> = (0..scenario.slots).map(Slot::new).collect();
        let mut epochs = BTreeMap::new();
        let mut names = BTreeMap::new();
        let mut places = BTreeMap::new();
        for (i, spec) in scenario.nodes.iter().enumerate() {
            let j = usize::from(to[i]);
            let other = &scenario.nodes[j];
            if spec.slots.len() != other.slots.len() {
                return None;
            }
            for (&s, &t) in spec.slots.iter().zip(&other.slots) {
                slots[usize::from(s)] = Slot::new(t);
            }
            if epochs.insert(Epoch(spec.epoch), Epoch(other.epoch)).is_some() && i != j {
                return None;
            }
            names.insert(node_id(i), node_id(j));
            let (ip, port) = address_of(j);
            places.insert(
                address_of(i).0.into(),
                Address { ip: ip.into(), port, pport: 0, cport: port + 10_000 },
            );
        }
        Some(Self { to, from, slots, epochs, names, places })
    }

    fn name(&self, id: NodeId) -> NodeId {
        self.names.get(&id).copied().unwrap_or(id)
    }

    fn epoch(&self, epoch: Epoch) -> Epoch {
        self.epochs.get(&epoch).copied().unwrap_or(epoch)
    }

    fn address(&self, address: &Address) -> Address {
        self.places.get(&address.ip).unwrap_or(address).clone()
    }

    fn slots(&self, slots: &SlotSet, capacity: u16) -> SlotSet {
        let mut renamed = SlotSet::new(capacity);
        for slot in slots.iter() {
            renamed.insert(self.slots[slot.index()]);
        }
        renamed
    }

    /// A node's state after the change.
    pub(super) fn node(&self, s: &NodeState) -> NodeState {
        let count = s.slot_count();
        let mut peers: Vec<Peer> = s.peers().iter().map(|p| self.peer(p, count)).collect();
        peers.sort_unstable_by_key(|p| p.id);
        let mut renamed = s.clone();
        renamed.owners.iter_mut().for_each(|o| *o = crate::state::NO_OWNER);
        for (i, p) in (0u16..).zip(&peers) {
            for slot in p.slots.iter() {
                renamed.owners[slot.index()] = i;
            }
        }
        renamed.me = self.name(s.me);
        renamed.peers = peers;
        renamed.not_claiming = self.slots(&s.not_claiming, count);
        let open = |map: &BTreeMap<Slot, NodeId>| {
            map.iter().map(|(slot, id)| (self.slots[slot.index()], self.name(*id))).collect()
        };
        renamed.migrating = open(&s.migrating);
        renamed.importing = open(&s.importing);
        renamed.settling = open(&s.settling);
        renamed.blacklist = s.blacklist.iter().map(|id| self.name(*id)).collect();
        renamed.rebuild_digest();
        renamed
    }

    fn peer(&self, p: &Peer, slots: u16) -> Peer {
        let mut reports: Vec<Report> =
            p.reports.iter().map(|r| Report { reporter: self.name(r.reporter), ..*r }).collect();
        reports.sort_unstable();
        let mut renamed = p.clone();
        renamed.id = self.name(p.id);
        renamed.address = self.address(&p.address);
        renamed.master = p.master.map(|m| self.name(m));
        renamed.config_epoch = self.epoch(p.config_epoch);
        renamed.slots = self.slots(&p.slots, slots);
        renamed.reports = reports;
        renamed
    }

    fn header(&self, h: &Header) -> Header {
        Header {
            sender: self.name(h.sender),
            config_epoch: self.epoch(h.config_epoch),
            slots: self.slots(&h.slots, self.slots.len() as u16),
            master: h.master.map(|m| self.name(m)),
            address: self.address(&h.address),
            ..h.clone()
        }
    }

    fn entries(&self, entries: &[GossipEntry]) -> Vec<GossipEntry> {
        let renamed = entries.iter().map(|e| GossipEntry {
            node: self.name(e.node),
            address: self.address(&e.address),
            ..e.clone()
        });
        let mut renamed: Vec<GossipEntry> = renamed.collect();
        renamed.sort_by_key(|e| e.node);
        renamed
    }

    /// What a heartbeat can carry, after the change.
    pub(super) fn content(&self, c: &HeaderContent) -> HeaderContent {
        HeaderContent {
            header: self.header(&c.header),
            picks: self.entries(&c.picks),
            always: self.entries(&c.always),
        }
    }

    /// FAIL or UPDATE after the change.
    pub(super) fn message(&self, m: &Message) -> Message {
        let body = match &m.body {
            Body::Fail(id) => Body::Fail(self.name(*id)),
            Body::Update { node, config_epoch, slots } => Body::Update {
                node: self.name(*node),
                config_epoch: self.epoch(*config_epoch),
                slots: self.slots(slots, self.slots.len() as u16),
            },
            Body::Heartbeat { kind, gossip, hostname } => {
                Body::Heartbeat { kind: *kind, gossip: self.entries(gossip), hostname: hostname.clone() }
            }
            other => other.clone(),
        };
        Message { header: self.header(&m.header), body }
    }
}
