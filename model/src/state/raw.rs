//! A state as a trace has it. It comes from outside: it is held against everything that the rest of this crate takes for
//! granted before it becomes a [`NodeState`].

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{NO_OWNER, NodeState, Peer, Rejoin, Scratch, Todo};
use crate::address::Flags;
use crate::id::{Epoch, NodeId};
use crate::slot::{SLOTS, Slot, SlotSet};

/// The fields of [`NodeState`], in the same order.
#[derive(Deserialize)]
pub(super) struct RawState {
    me: NodeId,
    current_epoch: Epoch,
    last_vote_epoch: Epoch,
    state_ok: bool,
    size: u32,
    peers: Vec<Peer>,
    owners: Box<[u16]>,
    not_claiming: SlotSet,
    migrating: BTreeMap<Slot, NodeId>,
    importing: BTreeMap<Slot, NodeId>,
    settling: BTreeMap<Slot, NodeId>,
    blacklist: BTreeSet<NodeId>,
    started: bool,
    startup_hold: bool,
    rejoin: Rejoin,
    todo: Todo,
}

impl TryFrom<RawState> for NodeState {
    type Error = String;

    fn try_from(raw: RawState) -> Result<Self, String> {
        raw.check()?;
        let mut state = Self {
            me: raw.me,
            current_epoch: raw.current_epoch,
            last_vote_epoch: raw.last_vote_epoch,
            state_ok: raw.state_ok,
            size: raw.size,
            peers: raw.peers,
            owners: raw.owners,
            not_claiming: raw.not_claiming,
            migrating: raw.migrating,
            importing: raw.importing,
            settling: raw.settling,
            blacklist: raw.blacklist,
            started: raw.started,
            startup_hold: raw.startup_hold,
            rejoin: raw.rejoin,
            todo: raw.todo,
            scratch: Scratch::default(),
        };
        state.rebuild_digest();
        Ok(state)
    }
}

impl RawState {
    fn check(&self) -> Result<(), String> {
        self.check_capacity()?;
        if !self.peers.is_sorted_by(|a, b| a.id < b.id) {
            return Err("a node state whose nodes are not sorted by name, each once".into());
        }
        if !self.peers.iter().any(|p| p.id == self.me) {
            return Err(format!("a node state without the node itself, {}", self.me));
        }
        for (i, peer) in self.peers.iter().enumerate() {
            self.check_peer(i as u16, peer).map_err(|e| format!("a node state in which {} {e}", peer.id))?;
        }
        let mine = |s: &Slot| self.owners.get(s.index()).and_then(|&o| self.peers.get(usize::from(o)));
        if self.settling.keys().any(|s| mine(s).is_none_or(|p| p.id != self.me)) {
            return Err("a node state with a slot that was taken over and is not its own".into());
        }
        let owned: usize = self.peers.iter().map(|p| usize::from(p.slot_count)).sum();
        if owned != self.owners.iter().filter(|&&o| o != NO_OWNER).count() {
            return Err("a node state in which a slot's owner does not have the slot".into());
        }
        Ok(())
    }

    fn check_capacity(&self) -> Result<(), String> {
        if self.owners.is_empty() || self.owners.len() > usize::from(SLOTS) {
            return Err(format!("a node state of {} slots", self.owners.len()));
        }
        if self.peers.len() >= usize::from(NO_OWNER) {
            return Err(format!("a node state of {} nodes", self.peers.len()));
        }
        let mut open = self.migrating.keys().chain(self.importing.keys());
        if !self.fits(&self.not_claiming) || open.any(|s| s.index() >= self.owners.len()) {
            return Err("a node state with a slot beyond its last one".into());
        }
        Ok(())
    }

    fn check_peer(&self, position: u16, peer: &Peer) -> Result<(), &'static str> {
        if !self.fits(&peer.slots) {
            return Err("has a slot beyond the last one");
        }
        if peer.slots.iter().any(|s| self.owners[s.index()] != position) {
            return Err("has a slot of which it is not the owner");
        }
        if usize::from(peer.slot_count) != peer.slots.len() {
            return Err("has another number of slots than it says");
        }
        if peer.flags.any(Flags::MYSELF) != (peer.id == self.me) {
            return Err("has the flag myself wrong");
        }
        if peer.master == Some(peer.id) {
            return Err("follows itself");
        }
        if peer.id == self.me && peer.is_master() && peer.is_replica() {
            return Err("has two roles");
        }
        if !peer.reports.is_sorted_by(|a, b| a.reporter < b.reporter) {
            return Err("has failure reports that are not sorted by reporter, each once");
        }
        Ok(())
    }

    /// Whether a set has the capacity of this cluster, and nothing beyond its last slot.
    fn fits(&self, set: &SlotSet) -> bool {
        let slots = self.owners.len();
        set.words().len() == slots.div_ceil(64) && set.iter().last().is_none_or(|s| s.index() < slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, Config, Keyspace, Report};

    const SLOT_COUNT: u16 = 70;

    fn id(n: u8) -> NodeId {
        NodeId::parse(&[b'a' + n; 40]).expect("a name")
    }

    /// Node 1 of three, with something in every field.
    fn state() -> NodeState {
        let config = Config { slots: SLOT_COUNT, ..Config::default() };
        let mut state = NodeState::new(id(1), &config);
        for n in [0, 2] {
            state.insert_peer(Peer::new(id(n), Address::default(), Flags::MASTER, SLOT_COUNT));
        }
        for (slot, owner) in [(0, 0), (1, 1), (2, 1), (69, 2)] {
            state.bind(Slot::new(slot), owner);
        }
        state.set_not_claiming(Slot::new(69), true);
        state.set_migrating(Slot::new(1), Some(id(0)));
        state.set_importing(Slot::new(0), Some(id(0)));
        state.set_settling(Slot::new(2), Some(id(2)));
        state.blacklist.insert(id(9));
        let reports = [0, 1].map(|n| Report { reporter: id(n), before_fail: n == 0 });
        state.peer_mut(&id(2)).expect("known").reports = reports.into();
        state.current_epoch = Epoch(5);
        state
    }

    fn bytes(state: &NodeState) -> Vec<u8> {
        postcard::to_stdvec(state).expect("a state can be written")
    }

    fn read(bytes: &[u8]) -> Result<NodeState, postcard::Error> {
        postcard::from_bytes(bytes)
    }

    #[test]
    fn a_state_round_trips_with_its_digest() {
        let mut state = state();
        let mut again = read(&bytes(&state)).expect("consistent");
        assert_eq!(again, state);
        assert_eq!(again.digest(), state.digest());
        // And goes on in step with it.
        for s in [&mut state, &mut again] {
            s.unbind(Slot::new(69));
            s.set_migrating(Slot::new(2), Some(id(2)));
            s.unbind(Slot::new(2));
        }
        assert_eq!(again.digest(), state.digest());
    }

    type Change = fn(&mut NodeState);

    #[test]
    fn every_inconsistency_is_named() {
        let wrong: [(&str, Change); 18] = [
            ("a node state of 0 slots", |s| s.owners = Box::new([])),
            ("a node state of 16385 slots", |s| s.owners = vec![NO_OWNER; 16385].into()),
            ("a slot beyond its last one", |s| s.not_claiming = SlotSet::new(64)),
            ("a slot beyond its last one", |s| {
                s.not_claiming.insert(Slot::new(70));
            }),
            ("a slot beyond its last one", |s| {
                s.migrating.insert(Slot::new(70), id(0));
            }),
            ("a slot beyond its last one", |s| {
                s.importing.insert(Slot::new(70), id(0));
            }),
            ("taken over and is not its own", |s| {
                s.settling.insert(Slot::new(0), id(0));
            }),
            ("taken over and is not its own", |s| {
                s.settling.insert(Slot::new(70), id(0));
            }),
            ("not sorted by name", |s| s.peers.swap(0, 2)),
            ("not sorted by name", |s| s.peers[0].id = id(1)),
            ("without the node itself", |s| s.me = id(7)),
            ("is not the owner", |s| s.owners[1] = 2),
            ("does not have the slot", |s| s.owners[5] = 9),
            ("another number of slots", |s| s.peers[0].slot_count = 2),
            ("the flag myself wrong", |s| s.peers[0].flags = Flags::MYSELF),
            ("follows itself", |s| s.peers[0].master = Some(id(0))),
            ("has two roles", |s| s.peers[1].flags = Flags(3).with(Flags::MYSELF)),
            ("not sorted by reporter", |s| s.peers[2].reports.swap(0, 1)),
        ];
        for (says, change) in wrong {
            let mut bad = state();
            change(&mut bad);
            assert!(read(&bytes(&bad)).is_err(), "{says}");
            let error = raw(bad).check().expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn any_byte_may_be_wrong() {
        struct Some;
        impl Keyspace for Some {
            fn keys_in_slot(&self, _: Slot) -> u64 {
                1
            }

            fn total_keys(&self) -> u64 {
                1
            }
        }
        let config = Config { slots: SLOT_COUNT, ..Config::default() };
        let whole = bytes(&state());
        for n in 0..whole.len() {
            assert!(read(&whole[..n]).is_err());
            for value in [0, 1, 2, 0x7f, 0x80, 0xff, whole[n] ^ 1] {
                let mut bytes = whole.clone();
                bytes[n] = value;
                if let Ok(mut read) = read(&bytes) {
                    let command = crate::Command::Reset { hard: true };
                    let input = crate::Input::Command { command, dice: crate::Dice::Roll(1) };
                    read.step(&config, input, &Some, &mut crate::Effects::new());
                    read.digest();
                }
            }
        }
    }

    fn raw(state: NodeState) -> RawState {
        RawState {
            me: state.me,
            current_epoch: state.current_epoch,
            last_vote_epoch: state.last_vote_epoch,
            state_ok: state.state_ok,
            size: state.size,
            peers: state.peers,
            owners: state.owners,
            not_claiming: state.not_claiming,
            migrating: state.migrating,
            importing: state.importing,
            settling: state.settling,
            blacklist: state.blacklist,
            started: state.started,
            startup_hold: state.startup_hold,
            rejoin: state.rejoin,
            todo: state.todo,
        }
    }
}
