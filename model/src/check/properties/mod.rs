//! The named properties: one function each, over a whole cluster, or over one step of one of its nodes.
//!
//! They know nothing of the world: the checker, a simulator and the auditor of traces make a [`Cluster`] or a
//! [`NodeStep`] of what they have, and ask. A violation is told as a sentence.

mod liveness;
mod safety;
mod steps;

use crate::config::Config;
use crate::effect::Effects;
use crate::id::NodeId;
use crate::input::Input;
use crate::route::{RequestKind, Route, RouteTable};
use crate::slot::Slot;
use crate::state::NodeState;

pub use liveness::{
    l1_slot_owned, l2_views_converge, l3_epochs_distinct, l5_migration_clears, l6_fail_clears,
    l7_forgotten_stays_out,
};
pub use safety::{
    s1_epoch_owner_unique, s6_acked_key_reachable, s7_key_on_one_side, s8_no_resurrection,
    s13_no_foreign_merge, s14_multi_key_atomic,
};
pub use steps::{s4_epoch_monotone, s5_fail_quorum, s9_no_stale_owner_serve, s10_delete_only_if_handed_over};

/// A cluster at one moment.
#[derive(Clone, Debug)]
pub struct Cluster<'a> {
    /// Its nodes, in an order of the caller's.
    pub nodes: Vec<NodeView<'a>>,
    /// The keys that are watched.
    pub keys: Vec<KeyView>,
    /// Slots whose owner is down for good (L1 excuses them).
    pub lost_slots: Vec<Slot>,
    /// Nodes that operators have removed, or mean to, from every table (L7).
    pub forgotten: Vec<NodeId>,
}

/// One node of a cluster.
#[derive(Clone, Debug)]
pub struct NodeView<'a> {
    /// What people call it.
    pub name: &'a str,
    /// The cluster it belongs to, by an operator's will (S13); all of one may have the empty name.
    pub cluster: &'a str,
    /// Its state; of a node that is down, the last one.
    pub state: &'a NodeState,
    /// What its readers route on.
    pub routes: &'a RouteTable,
    /// It runs.
    pub live: bool,
}

/// One watched key: what clients were told of it, and where copies are.
#[derive(Clone, Debug)]
pub struct KeyView {
    /// What people call it.
    pub name: String,
    /// Its slot.
    pub slot: Slot,
    /// Whether the last write or deletion that a legitimate node acknowledged was a write.
    pub written: bool,
    /// For each node, in the cluster's order, its copy.
    pub copies: Vec<Option<Copy>>,
}

/// What a copy of a key is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Copy {
    /// The last acknowledged value.
    Latest,
    /// An earlier value, or one that was deleted since.
    Old,
    /// A value that a node wrote which was not legitimate.
    Foreign,
}

/// One step of one node.
#[derive(Clone, Debug)]
pub struct NodeStep<'a> {
    /// What people call the node.
    pub name: &'a str,
    /// Its configuration.
    pub config: &'a Config,
    /// Its state before.
    pub before: &'a NodeState,
    /// What it took; none for a restart from disk.
    pub input: Option<&'a Input>,
    /// Its state after.
    pub after: &'a NodeState,
    /// What it asked for.
    pub effects: &'a Effects,
}

/// What is wrong, as a sentence; nothing if the property holds.
pub type Violation = Option<String>;

/// What a GET found that started somewhere and followed redirections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A copy.
    Value(Copy),
    /// No such key.
    Nil,
    /// A refusal, a node that is down, or redirections without end.
    Nowhere(Route),
}

impl Cluster<'_> {
    /// The position of the node with this name in the protocol.
    pub fn position(&self, id: &NodeId) -> Option<usize> {
        self.nodes.iter().position(|n| n.state.me() == *id)
    }

    /// The nodes of one cluster alone, with their copies of keys.
    pub fn only(&self, cluster: &str) -> Self {
        let here = |i: &usize| self.nodes[*i].cluster == cluster;
        let keys = self.keys.iter().map(|key| {
            let copies = (0..self.nodes.len()).filter(here).map(|i| key.copies[i]).collect();
            KeyView { copies, ..key.clone() }
        });
        let nodes: Vec<NodeView<'_>> = self.nodes.iter().filter(|n| n.cluster == cluster).cloned().collect();
        let down = |slot: &Slot| nodes.iter().any(|n| !n.live && n.state.myself().slots.contains(*slot));
        let lost_slots = self.lost_slots.iter().copied().filter(down).collect();
        Self { keys: keys.collect(), lost_slots, nodes, forgotten: self.forgotten.clone() }
    }

    /// The names of the live nodes' states.
    pub fn live(&self) -> impl Iterator<Item = &NodeView<'_>> {
        self.nodes.iter().filter(|n| n.live)
    }

    /// The running self-claimer of `slot` with the greatest config epoch (of equals, the one with the smaller name moves on, so the
    /// greater stays).
    pub fn legitimate(&self, slot: Slot) -> Option<usize> {
        let claims = |n: &NodeView<'_>| n.live && n.state.owner(slot).is_some_and(|p| p.id == n.state.me());
        let rank = |i: &usize| (self.nodes[*i].state.myself().config_epoch, self.nodes[*i].state.me());
        (0..self.nodes.len()).filter(|&i| claims(&self.nodes[i])).max_by_key(rank)
    }

    /// Where a GET of a key goes that starts at `start`.
    pub fn get(&self, start: usize, key: &KeyView) -> Found {
        let (mut at, mut asking) = (start, false);
        let mut last = Route::Down;
        for _ in 0..=2 * self.nodes.len() {
            if !self.nodes[at].live {
                return Found::Nowhere(last);
            }
            let kind = RequestKind { asking, ..RequestKind::default() };
            let exists = |_: &()| key.copies[at].is_some();
            last = self.nodes[at].routes.route(kind, [()], |()| key.slot, exists);
            match last {
                Route::Serve => return key.copies[at].map_or(Found::Nil, Found::Value),
                Route::Moved(_, to) | Route::Ask(_, to) => {
                    let Some(next) = self.position(&to) else { return Found::Nowhere(last) };
                    (at, asking) = (next, matches!(last, Route::Ask(..)));
                }
                _ => return Found::Nowhere(last),
            }
        }
        Found::Nowhere(last)
    }
}
