//! Who owns which slot: claims in headers and UPDATEs, and the roles that follow from them.

use crate::address::Flags;
use crate::config::Keyspace;
use crate::effect::{Effect, To};
use crate::id::{Epoch, NodeId};
use crate::input::{Dice, Receipt};
use crate::message::{Body, Header, Message};
use crate::slot::{Slot, SlotSet};
use crate::state::NodeState;
use crate::step::{Step, fault};

impl NodeState {
    /// A node claims `claimed` at `epoch` (cluster.c `clusterUpdateSlotsConfigWith`, 7.0:1867): slots of owners with a lower epoch, or
    /// that nobody claims, become its own. Keys of a slot that I lose are deleted; a master that loses its last slot follows the claimer.
    pub(crate) fn claim(
        &mut self,
        sender: NodeId,
        epoch: Epoch,
        claimed: &SlotSet,
        receipt: (&Receipt, Dice),
        cx: &mut Step<'_, impl Keyspace>,
    ) {
        let rules = cx.config.rules;
        let Some(from) = self.index(&sender).filter(|_| sender != self.me) else { return };
        self.outbid(&sender, epoch, claimed, receipt, cx);
        let me = self.my_index();
        let current = if self.peers[me].is_master() {
            Some(me)
        } else {
            self.peers[me].master.and_then(|m| self.index(&m))
        };
        let mut lost_with_keys = Vec::new();
        let mut came_from_us = 0;
        for slot in self.disputed(claimed, from) {
            let owner = self.owner_index(slot);
            if !claimed.contains(slot) {
                if rules.not_claiming {
                    self.set_not_claiming(slot, true);
                }
                continue;
            }
            if owner == Some(from) {
                self.set_not_claiming(slot, false);
                continue;
            }
            if rules.importing_ignores_claims && self.importing.contains_key(&slot) {
                continue;
            }
            let older = owner.is_none_or(|o| self.peers[o].config_epoch < epoch);
            if !(self.unclaimed(slot) || older || fault!(cx.config, ClaimAtAnyEpoch)) {
                continue;
            }
            if owner == Some(me) && cx.keys.keys_in_slot(slot) > 0 {
                lost_with_keys.push(slot);
            }
            came_from_us += usize::from(owner.is_some() && owner == current);
            self.del_slot(slot, cx);
            if !fault!(cx.config, RebindLosesSlot) {
                self.bind(slot, from);
            }
            self.set_not_claiming(slot, false);
            self.save_fsync();
            self.todo.update_state = true;
        }
        let none_left = current.is_some_and(|c| self.peers[c].slot_count == 0);
        let all_came = || rules.follow_if_all_slots_came && claimed.len() == came_from_us;
        let above = self.masters_master().filter(|m| rules.follow_masters_master && *m != self.me);
        if came_from_us > 0 && none_left && (cx.config.allow_replica_migration || all_came()) {
            self.set_master(sender, cx);
            self.save_fsync();
            self.todo.update_state = true;
        } else if let Some(above) = above {
            self.set_master(above, cx);
            self.save_fsync();
            self.todo.update_state = true;
        } else {
            lost_with_keys.into_iter().for_each(|slot| cx.out.push(Effect::DropKeys(slot)));
        }
    }

    /// The source of slots that I took over claims them at a greater epoch than mine: I had not heard of that epoch when I took them, so I
    /// rise above it before the claim is looked at. Each import permits this once, for as long as the claim may be one of before it.
    fn outbid(
        &mut self,
        source: &NodeId,
        epoch: Epoch,
        claimed: &SlotSet,
        (receipt, dice): (&Receipt, Dice),
        cx: &mut Step<'_, impl Keyspace>,
    ) {
        if self.settling.is_empty() || epoch <= self.myself().config_epoch {
            return;
        }
        let from_it = self.settling.iter().filter(|(slot, from)| *from == source && claimed.contains(**slot));
        let slots: Vec<Slot> = from_it.map(|(&slot, _)| slot).collect();
        for &slot in &slots {
            self.set_settling(slot, None);
        }
        if slots.is_empty() || receipt.import_settled {
            return;
        }
        self.current_epoch = self.current_epoch.max(epoch);
        if self.bump_epoch(cx.config) {
            self.broadcast_pong(dice, cx);
        }
    }

    /// The sender claims a slot that, for me, another node owns at a greater epoch: tell it about that owner, one only
    /// (7.0:2120, "reverse check").
    pub(crate) fn answer_outdated_claim(
        &mut self,
        sender: NodeId,
        header: &Header,
        cx: &mut Step<'_, impl Keyspace>,
    ) {
        let Some(recorded) = self.peer(&sender).map(|p| &p.slots) else { return };
        let others = header.slots.iter_beyond(recorded).filter(|s| s.index() < self.owners.len());
        let mut owners = others.filter(|s| !self.unclaimed(*s)).filter_map(|s| self.owner(s));
        let owner = owners.find(|o| o.config_epoch > header.config_epoch);
        let Some(owner) = owner else { return };
        let mut slots = owner.slots.clone();
        for slot in self.not_claiming.iter() {
            slots.remove(slot);
        }
        let body = Body::Update { node: owner.id, config_epoch: owner.config_epoch, slots };
        let message = Box::new(Message { header: self.header(cx.config), body });
        cx.out.push(Effect::Send { to: To::Outbound(sender), message });
    }

    /// An UPDATE about a node (7.0:2120): ignored unless its epoch is greater than the recorded one. currentEpoch does not follow.
    pub(crate) fn update_message(
        &mut self,
        node: &NodeId,
        epoch: Epoch,
        slots: &SlotSet,
        receipt: (&Receipt, Dice),
        cx: &mut Step<'_, impl Keyspace>,
    ) {
        let Some(i) = self.index(node) else { return };
        if self.peers[i].config_epoch >= epoch || fault!(cx.config, IgnoreUpdates) {
            return;
        }
        if self.peers[i].is_replica() {
            self.set_node_as_master(i);
        }
        self.peer_at(i).config_epoch = epoch;
        self.save_fsync();
        self.claim(*node, epoch, slots, receipt, cx);
    }

    /// DelSlot, with the not-claiming bit as the rules have it.
    pub(crate) fn del_slot(&mut self, slot: Slot, cx: &Step<'_, impl Keyspace>) {
        self.unbind(slot);
        if cx.config.rules.del_slot_clears_not_claiming {
            self.set_not_claiming(slot, false);
        }
    }

    /// A node turned out to be a master (cluster.c `clusterSetNodeAsMaster`, 7.0:1840).
    pub(crate) fn set_node_as_master(&mut self, i: usize) {
        if self.peers[i].is_master() {
            return;
        }
        let (id, me) = (self.peers[i].id, self.me);
        let left = self.peer_at(i).master.take();
        let peer = self.peer_at(i);
        peer.flags = peer.flags.without(Flags::REPLICA).with(Flags::MASTER);
        if left.is_some() {
            if id != me {
                peer.flags = peer.flags.with(Flags::MIGRATE_TO);
            }
            self.left_master(left);
        }
        self.routes_changed();
        self.save_update();
    }

    /// I follow `master` from now on (cluster.c `clusterSetMaster`, 7.0:4602). Never myself, and not while I own slots: where Redis would
    /// end the process, nothing happens.
    pub(crate) fn set_master(&mut self, master: NodeId, cx: &mut Step<'_, impl Keyspace>) {
        if master == self.me || self.myself().slot_count > 0 {
            return;
        }
        if self.is_master() {
            let me = self.myself_mut();
            me.flags = me.flags.without(Flags::MASTER.with(Flags::MIGRATE_TO)).with(Flags::REPLICA);
            self.close_all_slots();
        }
        let left = self.myself_mut().master.replace(master);
        self.left_master(left.filter(|m| *m != master));
        self.joined_master(&master);
        self.routes_changed();
        cx.out.push(Effect::Replicate(Some(master)));
    }

    /// What a header says of its sender's role (7.0:2120).
    pub(crate) fn sender_role(&mut self, sender: usize, header: &Header, cx: &Step<'_, impl Keyspace>) {
        let Some(master) = header.master else {
            self.set_node_as_master(sender);
            return;
        };
        let id = self.peers[sender].id;
        if self.peers[sender].is_master() {
            if cx.config.rules.demotion_unbinds_slots {
                for slot in self.peers[sender].slots.iter().collect::<Vec<_>>() {
                    self.del_slot(slot, cx);
                }
            }
            let peer = self.peer_at(sender);
            peer.flags = peer.flags.without(Flags::MASTER.with(Flags::MIGRATE_TO)).with(Flags::REPLICA);
            self.routes_changed();
            self.save_update();
        }
        // A node that names itself, or one that I do not know, moves nothing.
        if master != id && self.index(&master).is_some() && self.peers[sender].master != Some(master) {
            let left = self.peer_at(sender).master.replace(master);
            self.left_master(left);
            self.joined_master(&master);
            self.routes_changed();
            self.save();
        }
    }

    /// The slots that a claim can change, ascending: those that are claimed or recorded but not both, and those that are
    /// both and were not claimed before. A heartbeat that says nothing new costs a few words.
    fn disputed(&self, claimed: &SlotSet, from: usize) -> Vec<Slot> {
        let (recorded, unclaimed) = (self.peers[from].slots.words(), self.not_claiming.words());
        let words = claimed.words().iter().zip(recorded).zip(unclaimed);
        let disputed = words.map(|((c, r), u)| (c ^ r) | (c & r & u)).collect();
        let slots = SlotSet::from_words(disputed);
        slots.iter().filter(|s| s.index() < self.owners.len()).collect()
    }

    /// My master's master, if it has one.
    fn masters_master(&self) -> Option<NodeId> {
        let me = self.myself();
        let master = self.peer(&me.master.filter(|_| me.is_replica())?)?;
        master.master.filter(|_| master.is_replica())
    }
}

#[cfg(test)]
mod tests;
