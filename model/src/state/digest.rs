//! A 64-bit digest of a node's state, kept up as the state changes.
//!
//! It is the xor of independent parts: one for each fact about a slot (kept running), one for each entry of
//! the node table (computed anew only after the entry changed), one for the scalars. It guards a trace
//! against divergence, not against an adversary.

use crate::id::{NodeId, mix64};
use crate::slot::Slot;

use super::{NodeState, Peer};

/// The kinds of facts about a slot.
#[derive(Clone, Copy)]
pub(super) enum SlotFact {
    Owner = 1,
    NotClaiming,
    Migrating,
    Importing,
}

/// The digest of one fact about a slot.
pub(super) fn slot_digest(fact: SlotFact, slot: Slot, node: Option<&NodeId>) -> u64 {
    let mut h = Hash::new(fact as u64);
    h.word(slot.index() as u64);
    if let Some(id) = node {
        h.id(id);
    }
    h.end()
}

/// The digest of one entry, remembered until the entry changes. Not part of the state: all are equal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PeerDigest(Option<u64>);

impl PeerDigest {
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

impl PartialEq for PeerDigest {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for PeerDigest {}

impl core::hash::Hash for PeerDigest {
    fn hash<H: core::hash::Hasher>(&self, _: &mut H) {}
}

impl NodeState {
    /// The digest of this state. Takes time for entries that changed since it was last asked for, and a
    /// constant for each node in the table; the number of slots plays no part.
    pub fn digest(&mut self) -> u64 {
        let mut all = self.scratch.slots_digest;
        for peer in &mut self.peers {
            let part = peer.digest.0.unwrap_or_else(|| peer_digest(peer));
            peer.digest.0 = Some(part);
            all ^= part;
        }
        let mut h = Hash::new(16);
        h.id(&self.me);
        for epoch in [self.current_epoch, self.last_vote_epoch] {
            h.word(epoch.0);
        }
        h.word(u64::from(self.size));
        let bits = [
            self.state_ok,
            self.started,
            self.startup_hold,
            self.rejoin_hold,
            self.todo.save,
            self.todo.fsync,
            self.todo.update_state,
        ];
        h.word(bits.iter().fold(0, |w, &b| w << 1 | u64::from(b)));
        for id in &self.blacklist {
            h.id(id);
        }
        all ^ h.end()
    }

    /// Computes the running part of the digest from nothing, for a state that was read from outside.
    pub(crate) fn rebuild_digest(&mut self) {
        let mut all = 0;
        for peer in &mut self.peers {
            peer.digest.forget();
            for slot in peer.slots.iter() {
                all ^= slot_digest(SlotFact::Owner, slot, Some(&peer.id));
            }
        }
        for slot in self.not_claiming.iter() {
            all ^= slot_digest(SlotFact::NotClaiming, slot, None);
        }
        for (&slot, id) in &self.migrating {
            all ^= slot_digest(SlotFact::Migrating, slot, Some(id));
        }
        for (&slot, id) in &self.importing {
            all ^= slot_digest(SlotFact::Importing, slot, Some(id));
        }
        self.scratch.slots_digest = all;
    }
}

fn peer_digest(p: &Peer) -> u64 {
    let mut h = Hash::new(32);
    h.id(&p.id);
    h.bytes(p.address.ip.as_bytes());
    h.word(u64::from(p.address.port) << 32 | u64::from(p.address.pport) << 16 | u64::from(p.address.cport));
    h.bytes(p.hostname.as_deref().unwrap_or("\0").as_bytes());
    h.word(u64::from(p.flags.0));
    match &p.master {
        Some(id) => h.id(id),
        None => h.word(0),
    }
    h.word(p.config_epoch.0);
    h.word(p.offset);
    h.word(u64::from(p.slot_count));
    for r in &p.reports {
        h.id(&r.reporter);
        h.word(u64::from(r.before_fail));
    }
    h.end()
}

/// A small streaming hash of words.
struct Hash(u64);

impl Hash {
    fn new(domain: u64) -> Self {
        Self(mix64(domain.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    fn word(&mut self, w: u64) {
        self.0 = mix64(self.0.rotate_left(5) ^ w).wrapping_add(0x9e37_79b9_7f4a_7c15);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn id(&mut self, id: &NodeId) {
        for chunk in id.as_bytes().as_chunks::<8>().0 {
            self.word(u64::from_le_bytes(*chunk));
        }
    }

    fn end(self) -> u64 {
        mix64(self.0)
    }
}
