//! Whether the cluster is ok, as a node sees it (cluster.c `clusterUpdateState`, 7.0:4429).

use crate::config::Keyspace;
use crate::effect::Effect;
use crate::input::{Delay, Timer};
use crate::state::{NodeState, Rejoin};
use crate::step::Step;

impl NodeState {
    /// Judges the state anew. A master that starts, or that comes back from the minority, waits before it
    /// goes to ok.
    pub(crate) fn update_cluster_state(&mut self, cx: &mut Step<'_, impl Keyspace>) {
        if !self.started {
            self.started = true;
            self.startup_hold = true;
            self.arm(Timer::StartupDelay, Delay::Startup, cx.out);
        }
        if self.is_master() && !self.state_ok && self.startup_hold {
            return;
        }
        let mut ok = !cx.config.require_full_coverage || self.covered();
        let voting = self.peers.iter().filter(|p| p.is_voting());
        let (mut size, mut reachable) = (0u32, 0u32);
        for p in voting {
            size += 1;
            reachable += u32::from(!p.is_pfail() && !p.is_fail());
        }
        self.size = size;
        if reachable < size / 2 + 1 {
            ok = false;
            if self.rejoin == Rejoin::Waiting {
                cx.out.push(Effect::Cancel(Timer::RejoinDelay));
            }
            self.rejoin = Rejoin::InMinority;
        } else if self.rejoin == Rejoin::InMinority {
            // Redis notes the time at every look while it is in the minority, and looks at every cron: the wait
            // begins when the minority ends.
            self.rejoin = Rejoin::Waiting;
            self.arm(Timer::RejoinDelay, Delay::Rejoin, cx.out);
        }
        if ok == self.state_ok || (ok && self.is_master() && self.rejoin == Rejoin::Waiting) {
            return;
        }
        self.state_ok = ok;
        self.routes_changed();
        cx.out.push(Effect::StateChanged { ok });
    }

    pub(crate) fn rejoin_delay_over(&mut self) {
        if self.rejoin == Rejoin::Waiting {
            self.rejoin = Rejoin::No;
            self.todo.update_state = true;
        }
    }

    /// Each slot has an owner that is not FAIL.
    fn covered(&self) -> bool {
        let owned: usize =
            self.peers.iter().filter(|p| !p.is_fail()).map(|p| usize::from(p.slot_count)).sum();
        owned == self.owners.len()
    }
}
