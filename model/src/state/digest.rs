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
    Settling,
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
            self.rejoin == super::Rejoin::InMinority,
            self.rejoin == super::Rejoin::Waiting,
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
    #[cfg(any(test, feature = "serde"))]
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
        for (&slot, id) in &self.settling {
            all ^= slot_digest(SlotFact::Settling, slot, Some(id));
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

#[cfg(test)]
mod tests {
    use crate::{Config, Dice, Effects, Epoch, Flags, Input, NoKeys, NodeId, NodeState, Peer, Rejoin, Slot};

    fn state() -> (NodeState, NodeId) {
        let config = Config { slots: 8, ..Config::default() };
        let mut state = NodeState::new(NodeId::from_seed(1), &config);
        let other = NodeId::from_seed(2);
        state.insert_peer(Peer::new(other, crate::Address::default(), Flags::MASTER, 8));
        let at = state.index(&other).unwrap();
        state.bind(Slot::new(1), at);
        (state, other)
    }

    #[test]
    fn every_field_moves_the_digest() {
        type Change = fn(&mut NodeState, NodeId);
        let changes: &[(&str, Change)] = &[
            ("me", |s, o| s.me = o),
            ("current_epoch", |s, _| s.current_epoch = Epoch(9)),
            ("last_vote_epoch", |s, _| s.last_vote_epoch = Epoch(9)),
            ("state_ok", |s, _| s.state_ok = true),
            ("size", |s, _| s.size = 7),
            ("started", |s, _| s.started = true),
            ("startup_hold", |s, _| s.startup_hold = true),
            ("in minority", |s, _| s.rejoin = Rejoin::InMinority),
            ("waiting", |s, _| s.rejoin = Rejoin::Waiting),
            ("todo.save", |s, _| s.todo.save = true),
            ("todo.fsync", |s, _| s.todo.fsync = true),
            ("todo.update_state", |s, _| s.todo.update_state = true),
            ("blacklist", |s, o| s.blacklist.extend([o])),
            ("unbind", |s, _| assert!(s.unbind(Slot::new(1)))),
            ("bind", |s, _| {
                let me = s.my_index();
                s.bind(Slot::new(2), me);
            }),
            ("not claiming", |s, _| s.set_not_claiming(Slot::new(1), true)),
            ("migrating", |s, o| s.set_migrating(Slot::new(3), Some(o))),
            ("importing", |s, o| s.set_importing(Slot::new(3), Some(o))),
            ("settling", |s, o| s.set_settling(Slot::new(3), Some(o))),
            ("peer", |s, _| {
                s.insert_peer(Peer::new(NodeId::from_seed(3), crate::Address::default(), Flags::NONE, 8));
            }),
            ("ip", |s, o| s.peer_mut(&o).unwrap().address.ip = "::1".into()),
            ("port", |s, o| s.peer_mut(&o).unwrap().address.port = 1),
            ("pport", |s, o| s.peer_mut(&o).unwrap().address.pport = 1),
            ("cport", |s, o| s.peer_mut(&o).unwrap().address.cport = 1),
            ("hostname", |s, o| s.peer_mut(&o).unwrap().hostname = Some("h".into())),
            ("flags", |s, o| s.peer_mut(&o).unwrap().flags = Flags::REPLICA),
            ("master", |s, o| s.peer_mut(&o).unwrap().master = Some(o)),
            ("config_epoch", |s, o| s.peer_mut(&o).unwrap().config_epoch = Epoch(3)),
            ("offset", |s, o| s.peer_mut(&o).unwrap().offset = 3),
            ("report", |s, o| {
                let reports = &mut s.peer_mut(&o).unwrap().reports;
                reports.push(crate::Report { reporter: o, before_fail: false });
            }),
        ];
        let mut seen = vec![state().0.digest()];
        for (name, change) in changes {
            let (mut s, other) = state();
            s.digest();
            change(&mut s, other);
            let digest = s.digest();
            assert!(!seen.contains(&digest), "{name} does not move the digest, or as another change does");
            seen.push(digest);
            s.rebuild_digest();
            assert_eq!(s.digest(), digest, "{name}: kept up is not the same as computed anew");
        }
    }

    #[test]
    fn a_report_s_age_moves_the_digest_and_undoing_restores_it() {
        let (mut s, other) = state();
        let before = s.digest();
        s.set_migrating(Slot::new(3), Some(other));
        s.set_migrating(Slot::new(3), None);
        s.peer_mut(&other).unwrap().reports.push(crate::Report { reporter: other, before_fail: false });
        let young = s.digest();
        s.peer_mut(&other).unwrap().reports[0].before_fail = true;
        assert_ne!(s.digest(), young);
        s.peer_mut(&other).unwrap().reports.clear();
        assert_eq!(s.digest(), before);
    }

    #[test]
    fn the_digest_follows_a_run() {
        let (mut s, other) = state();
        let config = Config { slots: 8, ..Config::default() };
        let mut out = Effects::new();
        s.step(&config, Input::Start, &NoKeys, &mut out);
        for peer in [other, NodeId::from_seed(5)] {
            s.step(&config, Input::HeartbeatDue { to: peer, dice: Dice::Roll(7) }, &NoKeys, &mut out);
        }
        let kept = s.digest();
        s.rebuild_digest();
        assert_eq!(kept, s.digest());
    }
}
