//! The one entry point: an input goes in, effects come out.

use crate::config::{Config, Keyspace};
use crate::effect::{Effect, Effects};
use crate::input::{Delay, Input, Timer};
use crate::state::NodeState;

/// Whether a seeded fault is set. Without the feature `check` there are none, and this is a constant.
macro_rules! fault {
    ($config:expr, $fault:ident) => {{
        #[cfg(feature = "check")]
        {
            $config.fault == Some(crate::fault::Fault::$fault)
        }
        #[cfg(not(feature = "check"))]
        {
            let _ = &$config;
            false
        }
    }};
}
pub(crate) use fault;

/// What the rules of one step work with, beside the state.
pub(crate) struct Step<'a, K> {
    pub(crate) config: &'a Config,
    pub(crate) keys: &'a K,
    pub(crate) out: &'a mut Effects,
}

impl NodeState {
    /// Takes one input: changes this state, and appends to `out` what the shell is to do, in order.
    ///
    /// A step is the input and then what the node does before it sleeps (cluster.c `clusterBeforeSleep`,
    /// 7.0:4246), unless the configuration makes the latter an input of its own. At most one
    /// [`Effect::Persist`] is emitted, ahead of the others.
    pub fn step(&mut self, config: &Config, input: Input, keys: &impl Keyspace, out: &mut Effects) {
        let start = out.0.len();
        let mut cx = Step { config, keys, out };
        let sleeps = !config.split_before_sleep || matches!(input, Input::BeforeSleep);
        match input {
            Input::Start => self.start(&mut cx),
            Input::Receive { link, message, receipt, dice } => {
                self.receive(link, &message, &receipt, dice, &mut cx);
            }
            Input::LinkUp { peer, dice } => self.link_up(&peer, dice, &mut cx),
            Input::HeartbeatDue { to, dice } => self.heartbeat_due(&to, dice, &mut cx),
            Input::Timer(timer) => self.timer(timer, &mut cx),
            Input::Command { command, dice } => {
                let reply = self.command(command, dice, &mut cx);
                cx.out.push(Effect::Reply(reply));
            }
            Input::Reconfigured => self.reconfigured(config),
            Input::BeforeSleep => {}
            Input::Publish { sharded: false, channel, message } => self.publish(&channel, &message, &mut cx),
            Input::Publish { sharded: true, channel, message } => {
                self.publish_to_shard(&channel, &message, &mut cx);
            }
        }
        if sleeps {
            self.before_sleep(start, &mut cx);
        }
        if core::mem::take(&mut self.scratch.routes_changed) {
            out.push(Effect::RoutesChanged);
        }
    }

    fn before_sleep(&mut self, start: usize, cx: &mut Step<'_, impl Keyspace>) {
        let todo = core::mem::take(&mut self.todo);
        if todo.update_state {
            self.update_cluster_state(cx);
        }
        if todo.save {
            let at = if cx.config.rules.persist_first { start } else { cx.out.0.len() };
            cx.out.0.insert(at, Effect::Persist { fsync: todo.fsync });
        }
    }

    fn timer(&mut self, timer: Timer, cx: &mut Step<'_, impl Keyspace>) {
        match timer {
            Timer::PongOverdue(id) => self.pong_overdue(&id, cx),
            Timer::HandshakeExpires(id) => {
                if self.peer(&id).is_some_and(|p| p.in_handshake()) {
                    self.remove_peer(&id, cx.out);
                }
            }
            Timer::ReportExpires { subject, reporter } => {
                if fault!(cx.config, ReportsNeverExpire) {
                    self.age_report(&subject, &reporter);
                } else {
                    self.remove_report(&subject, &reporter);
                }
            }
            Timer::BlacklistExpires(id) => {
                self.blacklist.remove(&id);
            }
            Timer::StartupDelay => {
                self.startup_hold = false;
                self.todo.update_state = true;
            }
            Timer::RejoinDelay => self.rejoin_delay_over(),
        }
    }

    /// The node starts, with what nodes.conf says and with its data set loaded (cluster.c
    /// `verifyClusterConfigWithData`, 7.0:4547; masters only): slots with keys that nobody owns become its own,
    /// without a bump; those that others own are imported from them.
    fn start(&mut self, cx: &mut Step<'_, impl Keyspace>) {
        for p in self.peers.iter().filter(|p| p.is_fail()) {
            cx.out.push(Effect::Stamp { node: p.id, stamp: crate::effect::Stamp::Failed });
        }
        if self.is_master() && cx.keys.total_keys() > 0 {
            let me = self.my_index();
            for slot in (0..self.slot_count()).map(crate::slot::Slot::new) {
                let owner = self.owner_index(slot);
                if owner == Some(me) || self.importing.contains_key(&slot) || cx.keys.keys_in_slot(slot) == 0
                {
                    continue;
                }
                match owner {
                    None => self.bind(slot, me),
                    Some(other) => self.set_importing(slot, Some(self.peers[other].id)),
                }
                self.save_fsync();
            }
        }
        if let Some(master) = self.myself().master
            && !self.is_master()
        {
            cx.out.push(Effect::Replicate(Some(master)));
        }
        self.todo.update_state = true;
        self.routes_changed();
    }

    /// What I announce of myself, and what the cluster state and routing ask of the configuration, may be other than before.
    fn reconfigured(&mut self, config: &Config) {
        let mut address = config.announce.clone();
        if address.ip.is_empty() {
            address.ip = self.myself().address.ip.clone();
        }
        let me = self.myself_mut();
        me.address = address;
        me.hostname.clone_from(&config.hostname);
        me.flags = me.flags.set(crate::address::Flags::NOFAILOVER, config.replica_no_failover);
        self.routes_changed();
        self.save_update();
    }

    pub(crate) fn arm(&self, timer: Timer, delay: Delay, out: &mut Effects) {
        out.push(Effect::Arm { timer, delay });
    }
}
