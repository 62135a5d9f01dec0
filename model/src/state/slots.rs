//! The slot table, the two sets of open slots, and the slots that were taken over lately.

use std::collections::BTreeMap;

use crate::address::Flags;
use crate::id::NodeId;
use crate::slot::Slot;

use super::digest::{SlotFact, slot_digest};
use super::{NO_OWNER, NodeState};

impl NodeState {
    pub(crate) fn owner_index(&self, slot: Slot) -> Option<usize> {
        self.owners.get(slot.index()).filter(|&&o| o != NO_OWNER).map(|&o| usize::from(o))
    }

    /// Makes the slot table that of `from`, whose nodes are not copied yet: where both know the same nodes only what their slots differ in is
    /// visited.
    pub(super) fn follow_owners(&mut self, from: &Self) {
        let same = self.owners.len() == from.owners.len()
            && self.peers.len() == from.peers.len()
            && self.peers.iter().zip(&from.peers).all(|(a, b)| a.id == b.id);
        if !same {
            return self.owners.clone_from(&from.owners);
        }
        for (old, new) in self.peers.iter().zip(&from.peers) {
            for slot in new.slots.iter_differing(&old.slots) {
                self.owners[slot.index()] = from.owners[slot.index()];
            }
        }
    }

    /// No owner, or one that stopped claiming it.
    pub(crate) fn unclaimed(&self, slot: Slot) -> bool {
        self.owner_index(slot).is_none() || self.not_claiming.contains(slot)
    }

    /// Gives a slot that nobody owns to the node at `i` (cluster.c `clusterAddSlot`, `clusterNodeSetSlotBit`, 7.0:4326).
    pub(crate) fn bind(&mut self, slot: Slot, i: usize) {
        debug_assert!(self.owner_index(slot).is_none(), "a slot is unbound before it is bound");
        let id = self.peers[i].id;
        self.owners[slot.index()] = i as u16;
        self.peers[i].slots.insert(slot);
        self.peers[i].slot_count += 1;
        if self.peers[i].slot_count == 1 {
            let any_replica = self.peers.iter().any(|p| p.is_replica() && p.master.is_some());
            let peer = self.peer_at(i);
            peer.flags = if any_replica { peer.flags.with(Flags::MIGRATE_TO) } else { peer.flags };
        }
        self.scratch.slots_digest ^= slot_digest(SlotFact::Owner, slot, Some(&id));
        self.peers[i].digest.forget();
        self.routes_changed();
    }

    /// Takes a slot from its owner; whether it had one (cluster.c `clusterDelSlot`). Leaves the not-claiming bit alone. A slot that is not
    /// mine is not kept from anybody.
    pub(crate) fn unbind(&mut self, slot: Slot) -> bool {
        let Some(i) = self.owner_index(slot) else { return false };
        let id = self.peers[i].id;
        self.set_settling(slot, None);
        self.owners[slot.index()] = NO_OWNER;
        self.peers[i].slots.remove(slot);
        self.peers[i].slot_count -= 1;
        self.scratch.slots_digest ^= slot_digest(SlotFact::Owner, slot, Some(&id));
        self.peers[i].digest.forget();
        self.routes_changed();
        true
    }

    pub(crate) fn set_not_claiming(&mut self, slot: Slot, on: bool) {
        let changed = if on { self.not_claiming.insert(slot) } else { self.not_claiming.remove(slot) };
        if changed {
            self.scratch.slots_digest ^= slot_digest(SlotFact::NotClaiming, slot, None);
        }
    }

    pub(crate) fn set_migrating(&mut self, slot: Slot, to: Option<NodeId>) {
        self.scratch.slots_digest ^= set_open(&mut self.migrating, SlotFact::Migrating, slot, to);
        self.routes_changed();
    }

    pub(crate) fn set_importing(&mut self, slot: Slot, from: Option<NodeId>) {
        self.scratch.slots_digest ^= set_open(&mut self.importing, SlotFact::Importing, slot, from);
        self.routes_changed();
    }

    pub(crate) fn set_settling(&mut self, slot: Slot, from: Option<NodeId>) {
        self.scratch.slots_digest ^= set_open(&mut self.settling, SlotFact::Settling, slot, from);
    }

    /// Closes every open slot (cluster.c `clusterCloseAllSlots`).
    pub(crate) fn close_all_slots(&mut self) {
        for slot in self.migrating.keys().copied().collect::<Vec<_>>() {
            self.set_migrating(slot, None);
        }
        for slot in self.importing.keys().copied().collect::<Vec<_>>() {
            self.set_importing(slot, None);
        }
    }
}

/// Sets or clears an entry; what that changes in the digest.
fn set_open(map: &mut BTreeMap<Slot, NodeId>, fact: SlotFact, slot: Slot, to: Option<NodeId>) -> u64 {
    let old = match to {
        Some(id) => map.insert(slot, id),
        None => map.remove(&slot),
    };
    let one = |id: Option<NodeId>| id.map_or(0, |id| slot_digest(fact, slot, Some(&id)));
    one(old) ^ one(to)
}
