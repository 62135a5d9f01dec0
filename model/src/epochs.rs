//! Epochs that a node takes without a vote.

use crate::config::{Config, Keyspace};
use crate::id::{Epoch, NodeId};
use crate::state::NodeState;
use crate::step::{Step, fault};

impl NodeState {
    /// The greatest epoch in sight: of the cluster, and of every node.
    pub(crate) fn max_epoch(&self) -> Epoch {
        self.peers.iter().map(|p| p.config_epoch).fold(self.current_epoch, Epoch::max)
    }

    /// Takes a new config epoch unless mine is already the greatest (cluster.c
    /// `clusterBumpConfigEpochWithoutConsensus`, 7.0:1324); whether it did.
    pub(crate) fn bump_epoch(&mut self, config: &Config) -> bool {
        let own = self.myself().config_epoch;
        if own != Epoch::ZERO && own == self.max_epoch() {
            return false;
        }
        if fault!(config, BumpToSameEpoch) {
            let max = self.max_epoch();
            self.myself_mut().config_epoch = max;
            self.save_fsync();
            return true;
        }
        self.take_next_epoch()
    }

    /// Takes a new config epoch if one of these others has mine (a greater one than mine is none).
    pub(crate) fn rise_above(&mut self, rivals: &[Option<NodeId>]) {
        let own = self.myself().config_epoch;
        let others = rivals.iter().flatten().filter(|id| **id != self.me);
        if others.filter_map(|id| self.peer(id)).any(|p| p.config_epoch == own) {
            self.take_next_epoch();
        }
    }

    /// Equal config epochs of two masters: the one with the smaller name moves (cluster.c
    /// `clusterHandleConfigEpochCollision`, 7.0:1389). Saved and fsynced, not broadcast.
    pub(crate) fn resolve_collision(&mut self, sender: usize, cx: &mut Step<'_, impl Keyspace>) {
        let (me, other) = (self.myself(), &self.peers[sender]);
        let collide = me.config_epoch == other.config_epoch && me.is_master() && other.is_master();
        if collide && other.id > me.id && !fault!(cx.config, NoCollisionResolution) {
            self.take_next_epoch();
        }
    }

    /// `currentEpoch + 1` becomes mine, unless there is none.
    fn take_next_epoch(&mut self) -> bool {
        let Some(next) = self.current_epoch.next() else { return false };
        self.current_epoch = next;
        self.myself_mut().config_epoch = next;
        self.save_fsync();
        true
    }
}
