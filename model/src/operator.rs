//! CLUSTER commands: what they are refused for, and what they do (cluster.c `clusterCommand`; rules of 7.0).

use core::net::IpAddr;

use crate::address::{Address, Flags};
use crate::command::{Command, SetSlot, SlotList};
use crate::config::Keyspace;
use crate::effect::{Effect, Reply, Stamp};
use crate::id::{Epoch, NodeId};
use crate::input::{Delay, Dice, Timer};
use crate::slot::{Slot, SlotSet};
use crate::state::{NodeState, Peer};
use crate::step::{Step, fault};

/// A refusal, without `-ERR `.
type Refusal = Box<str>;

impl NodeState {
    pub(crate) fn command(
        &mut self,
        command: Command,
        dice: Dice,
        cx: &mut Step<'_, impl Keyspace>,
    ) -> Reply {
        let done = match command {
            Command::Meet { ip, port, cport } => self.meet(&ip, port, cport, dice, cx),
            Command::AddSlots(list) => self.add_or_del_slots(&list, true, cx),
            Command::DelSlots(list) => self.add_or_del_slots(&list, false, cx),
            Command::FlushSlots => self.flush_slots(cx),
            Command::SetSlot { slot, action } => self.set_slot(slot, &action, dice, cx),
            Command::BadSetSlot(text) => self.bad_set_slot(text),
            Command::Forget(node) => self.forget(&node, cx),
            Command::Replicate(node) => self.replicate(&node, cx),
            Command::BumpEpoch => {
                let word = if self.bump_epoch(cx.config) { "BUMPED" } else { "STILL" };
                return Reply::Status(format!("{word} {}", self.myself().config_epoch).into());
            }
            Command::SetConfigEpoch(n) => self.set_config_epoch(n),
            Command::Reset { hard } => self.reset(hard, dice, cx),
            Command::SaveConfig => {
                self.save_fsync();
                Ok(())
            }
        };
        match done {
            Ok(()) => Reply::Ok,
            Err(text) => Reply::Error(text),
        }
    }

    /// CLUSTER MEET (`clusterStartHandshake`, 7.0:1596). A handshake with the same address that goes on already is enough.
    fn meet(
        &mut self,
        ip: &str,
        port: i64,
        cport: i64,
        dice: Dice,
        cx: &mut Step<'_, impl Keyspace>,
    ) -> Result<(), Refusal> {
        let number = |n: i64| u16::try_from(n).ok().filter(|&n| n != 0);
        let (Ok(addr), Some(port), Some(cport)) = (ip.parse::<IpAddr>(), number(port), number(cport)) else {
            return Err(format!("Invalid node address specified: {ip}:{port}").into());
        };
        let address = Address { ip: addr.to_string().into(), port, pport: 0, cport };
        let going_on = self.peers.iter().any(|p| {
            p.in_handshake()
                && p.address.ip == address.ip
                && p.address.port == port
                && p.address.cport == cport
        });
        if !going_on && self.peers.len() < crate::gossip::MAX_NODES {
            self.start_handshake(address, Flags::MEET, dice, cx);
        }
        Ok(())
    }

    /// ADDSLOTS and DELSLOTS with their ranges: all or nothing.
    fn add_or_del_slots(
        &mut self,
        list: &SlotList,
        add: bool,
        cx: &Step<'_, impl Keyspace>,
    ) -> Result<(), Refusal> {
        let mut seen = SlotSet::new(self.slot_count());
        for &slot in &list.slots {
            if slot.index() >= self.owners.len() {
                return Err("Invalid or out of range slot".into());
            }
            match (add, self.owner_index(slot)) {
                (true, Some(_)) => return Err(format!("Slot {slot} is already busy").into()),
                (false, None) => return Err(format!("Slot {slot} is already unassigned").into()),
                _ if !seen.insert(slot) => return Err(format!("Slot {slot} specified multiple times").into()),
                _ => {}
            }
        }
        if let Some(text) = &list.then {
            return Err(text.clone());
        }
        let me = self.my_index();
        for slot in seen.iter() {
            if self.importing.contains_key(&slot) {
                self.set_importing(slot, None);
            }
            if add { self.bind(slot, me) } else { self.del_slot(slot, cx) }
        }
        self.save_update();
        Ok(())
    }

    fn flush_slots(&mut self, cx: &Step<'_, impl Keyspace>) -> Result<(), Refusal> {
        if cx.keys.total_keys() > 0 {
            return Err("DB must be empty to perform CLUSTER FLUSHSLOTS.".into());
        }
        for slot in self.myself().slots.iter().collect::<Vec<_>>() {
            self.del_slot(slot, cx);
        }
        self.save_update();
        Ok(())
    }

    fn bad_set_slot(&self, text: Refusal) -> Result<(), Refusal> {
        Err(if self.is_master() { text } else { "Please use SETSLOT only with masters.".into() })
    }

    /// CLUSTER SETSLOT (7.0:5428).
    fn set_slot(
        &mut self,
        slot: Slot,
        action: &SetSlot,
        dice: Dice,
        cx: &mut Step<'_, impl Keyspace>,
    ) -> Result<(), Refusal> {
        if !self.is_master() {
            return Err("Please use SETSLOT only with masters.".into());
        }
        if slot.index() >= self.owners.len() {
            return Err("Invalid or out of range slot".into());
        }
        let mine = self.owner_index(slot) == Some(self.my_index());
        match action {
            SetSlot::Migrating(_) if !mine => {
                return Err(format!("I'm not the owner of hash slot {slot}").into());
            }
            SetSlot::Importing(_) if mine => {
                return Err(format!("I'm already the owner of hash slot {slot}").into());
            }
            SetSlot::Migrating(node) => {
                let target = self.master_named(node, "I don't know about node")?;
                self.set_migrating(slot, Some(target));
                self.set_settling(slot, None);
                if fault!(cx.config, DropKeysOnMigrating) && cx.keys.keys_in_slot(slot) > 0 {
                    cx.out.push(Effect::DropKeys(slot));
                }
            }
            SetSlot::Importing(node) => {
                let source = self.master_named(node, "I don't know about node")?;
                self.set_importing(slot, Some(source));
            }
            SetSlot::Stable if fault!(cx.config, StableKeepsOpen) => {}
            SetSlot::Stable => {
                self.set_migrating(slot, None);
                self.set_importing(slot, None);
            }
            SetSlot::Node(node) => self.set_slot_node(slot, mine, node, dice, cx)?,
        }
        self.save_update();
        if cx.config.rules.setslot_fsyncs {
            self.todo.fsync = true;
        }
        Ok(())
    }

    /// SETSLOT NODE: the slot is bound to the node; the importing node takes a new epoch and tells everybody.
    fn set_slot_node(
        &mut self,
        slot: Slot,
        mine: bool,
        node: &Result<NodeId, Box<str>>,
        dice: Dice,
        cx: &mut Step<'_, impl Keyspace>,
    ) -> Result<(), Refusal> {
        let rules = cx.config.rules;
        let node = self.master_named(node, "Unknown node")?;
        let to_me = node == self.me;
        let empty = cx.keys.keys_in_slot(slot) == 0;
        if mine && !to_me && !empty && !fault!(cx.config, SetSlotNodeIgnoresKeys) {
            let text = "to a different node while I still hold keys for this hash slot.";
            return Err(format!("Can't assign hashslot {slot} {text}").into());
        }
        if empty {
            self.set_migrating(slot, None);
        }
        let source = self.importing.get(&slot).or(self.settling.get(&slot)).copied();
        let rivals = [source, self.owner(slot).map(|o| o.id)];
        self.del_slot(slot, cx);
        if let Some(i) = self.index(&node) {
            self.bind(slot, i);
        }
        let none_left = self.myself().slot_count == 0 && cx.config.allow_replica_migration;
        if mine && !to_me && none_left && rules.setslot_last_slot_follows {
            self.set_master(node, cx);
            self.save_fsync();
        }
        let importing = self.importing.contains_key(&slot);
        if to_me && rules.target_outbids_source {
            let known = rivals.iter().flatten().filter_map(|id| self.peer(id)).map(|p| p.config_epoch).max();
            self.current_epoch = self.current_epoch.max(known.unwrap_or_default());
        }
        if to_me && (importing || !rules.setslot_bumps_only_if_importing) {
            if !self.bump_epoch(cx.config) && rules.target_outbids_source {
                self.rise_above(&rivals);
            }
            self.set_importing(slot, None);
            self.broadcast_pong(dice, cx);
        }
        if to_me && rules.target_outbids_source {
            self.set_settling(slot, source);
            if let Some(node) = source.filter(|_| importing) {
                cx.out.push(Effect::Stamp { node, stamp: Stamp::TookOver });
            }
            // What the former owner said does not make the slot nobody's.
            self.set_not_claiming(slot, false);
        }
        Ok(())
    }

    fn forget(
        &mut self,
        node: &Result<NodeId, Box<str>>,
        cx: &mut Step<'_, impl Keyspace>,
    ) -> Result<(), Refusal> {
        let blacklisted = node.as_ref().is_ok_and(|id| self.blacklist.contains(id));
        let id = match self.named(node, "Unknown node") {
            Err(_) if blacklisted && cx.config.rules.forget_tolerates_blacklisted => return Ok(()),
            found => found?,
        };
        if id == self.me {
            return Err("I tried hard but I can't forget myself...".into());
        }
        if self.myself().is_replica() && self.myself().master == Some(id) {
            return Err("Can't forget my master!".into());
        }
        if !fault!(cx.config, ForgetsTheBlacklist) {
            self.blacklist.insert(id);
            self.arm(Timer::BlacklistExpires(id), Delay::Blacklist, cx.out);
        }
        self.remove_peer(&id, cx.out);
        self.save_update();
        Ok(())
    }

    fn replicate(
        &mut self,
        node: &Result<NodeId, Box<str>>,
        cx: &mut Step<'_, impl Keyspace>,
    ) -> Result<(), Refusal> {
        let id = self.named(node, "Unknown node")?;
        if id == self.me {
            return Err("Can't replicate myself".into());
        }
        if self.peer(&id).is_some_and(Peer::is_replica) {
            return Err("I can only replicate a master, not a replica.".into());
        }
        if self.myself().slot_count > 0 || (self.is_master() && cx.keys.total_keys() > 0) {
            return Err("To set a master the node must be empty and without assigned slots.".into());
        }
        self.set_master(id, cx);
        self.save_update();
        Ok(())
    }

    fn set_config_epoch(&mut self, n: i64) -> Result<(), Refusal> {
        let epoch = u64::try_from(n).map_err(|_| format!("Invalid config epoch specified: {n}"))?;
        if self.peers.len() > 1 {
            return Err(
                "The user can assign a config epoch only when the node does not know any other node.".into(),
            );
        }
        if self.myself().config_epoch != Epoch::ZERO {
            return Err("Node config epoch is already non-zero".into());
        }
        self.myself_mut().config_epoch = Epoch(epoch);
        self.current_epoch = self.current_epoch.max(Epoch(epoch));
        self.save_update();
        Ok(())
    }

    /// CLUSTER RESET (`clusterReset`, 7.0:727).
    fn reset(&mut self, hard: bool, dice: Dice, cx: &mut Step<'_, impl Keyspace>) -> Result<(), Refusal> {
        if self.is_master() && cx.keys.total_keys() > 0 {
            return Err("CLUSTER RESET can't be called with master nodes containing keys".into());
        }
        if !self.is_master() {
            let me = self.my_index();
            self.set_node_as_master(me);
            cx.out.push(Effect::Replicate(None));
            cx.out.push(Effect::FlushAll);
        }
        self.close_all_slots();
        for slot in (0..self.slot_count()).map(Slot::new) {
            self.del_slot(slot, cx);
        }
        for id in self.peers.iter().map(|p| p.id).filter(|id| *id != self.me).collect::<Vec<_>>() {
            self.remove_peer(&id, cx.out);
        }
        if hard {
            let name = self.fresh_name(dice);
            self.me = name;
            let me = self.peer_at(0);
            me.id = name;
            me.config_epoch = Epoch::ZERO;
            self.current_epoch = Epoch::ZERO;
            self.last_vote_epoch = Epoch::ZERO;
        }
        if cx.config.rules.reset_clears_blacklist {
            for id in core::mem::take(&mut self.blacklist) {
                cx.out.push(Effect::Cancel(Timer::BlacklistExpires(id)));
            }
        }
        self.routes_changed();
        self.save_fsync();
        self.todo.update_state = true;
        Ok(())
    }

    fn named(&self, node: &Result<NodeId, Box<str>>, unknown: &str) -> Result<NodeId, Refusal> {
        match node {
            Ok(id) if self.index(id).is_some() => Ok(*id),
            Ok(id) => Err(format!("{unknown} {id}").into()),
            Err(text) => Err(format!("{unknown} {text}").into()),
        }
    }

    fn master_named(&self, node: &Result<NodeId, Box<str>>, unknown: &str) -> Result<NodeId, Refusal> {
        let id = self.named(node, unknown)?;
        match self.peer(&id) {
            Some(p) if p.is_replica() => Err("Target node is not a master".into()),
            _ => Ok(id),
        }
    }
}
