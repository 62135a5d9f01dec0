//! What must hold in the end: asked of every state of every bottom of the graph of fair steps.

use std::collections::BTreeMap;

use crate::id::{Epoch, NodeId};
use crate::slot::Slot;

use super::{Cluster, Violation};

/// L1 SlotEventuallyOwned: every slot has exactly one owner that claims it, unless its owner is down for good. A slot that no node of the
/// cluster, live or not, claims for itself is without owner.
pub fn l1_slot_owned(c: &Cluster<'_>) -> Violation {
    let slots = c.nodes.first().map_or(0, |n| n.state.slot_count());
    (0..slots).map(Slot::new).filter(|s| !c.lost_slots.contains(s)).find_map(|slot| {
        let owners: Vec<&str> = c
            .live()
            .filter(|n| {
                n.state.owner(slot).is_some_and(|p| p.id == n.state.me()) && n.state.myself().is_master()
            })
            .map(|n| n.name)
            .collect();
        match owners.as_slice() {
            [_] => None,
            [] => Some(format!("nobody claims slot {slot}")),
            several => Some(format!("slot {slot} is claimed by {}", several.join(" and "))),
        }
    })
}

/// L2 ViewConvergence: all nodes have the same owners of slots, and the same config epochs of nodes.
pub fn l2_views_converge(c: &Cluster<'_>) -> Violation {
    let first = c.live().next()?;
    c.live().find_map(|other| {
        let slots = (0..first.state.slot_count()).map(Slot::new);
        let owner = |n: &super::NodeView<'_>, s| n.state.owner(s).map(|p| p.id);
        if let Some(slot) = slots.into_iter().find(|&s| owner(first, s) != owner(other, s)) {
            let named = |n: &super::NodeView<'_>| match owner(n, slot).map(|id| c.position(&id)) {
                Some(Some(i)) => c.nodes[i].name.to_string(),
                Some(None) => "a stranger".to_string(),
                None => "nobody".to_string(),
            };
            let (a, b) = (named(first), named(other));
            return Some(format!("slot {slot} is {a}'s for {}, {b}'s for {}", first.name, other.name));
        }
        let (mine, theirs) = (epochs(first), epochs(other));
        (mine != theirs).then(|| {
            let id = mine
                .iter()
                .chain(&theirs)
                .find(|(id, _)| mine.get(*id) != theirs.get(*id))
                .map(|(id, _)| *id);
            let name = id.and_then(|id| c.position(&id)).map_or("a stranger", |i| c.nodes[i].name);
            format!("{} and {} disagree about the epoch of {name}", first.name, other.name)
        })
    })
}

/// L3 EpochsDistinct: all masters have different config epochs.
pub fn l3_epochs_distinct(c: &Cluster<'_>) -> Violation {
    let mut seen: BTreeMap<Epoch, &str> = BTreeMap::new();
    c.live().filter(|n| n.state.myself().is_master()).find_map(|n| {
        let epoch = n.state.myself().config_epoch;
        seen.insert(epoch, n.name).map(|other| format!("{other} and {} both have epoch {epoch}", n.name))
    })
}

/// L5 MigrationStateClears: no slot is open at any node whose owner is settled: exactly one live node claims it. (What others believe does not
/// count: who imports a slot for ever may for ever believe the wrong owner.)
pub fn l5_migration_clears(c: &Cluster<'_>) -> Violation {
    c.live().find_map(|n| {
        let settled = |slot: Slot| {
            c.live().filter(|m| m.state.owner(slot).is_some_and(|p| p.id == m.state.me())).count() == 1
        };
        let open = n.state.migrating().keys().chain(n.state.importing().keys());
        open.copied()
            .find(|&slot| settled(slot))
            .map(|slot| format!("slot {slot} is still open at {}, and one node alone claims it", n.name))
    })
}

/// L6 FailClears: no live node holds a live node for failing.
pub fn l6_fail_clears(c: &Cluster<'_>) -> Violation {
    c.live().find_map(|n| {
        let down =
            n.state.peers().iter().find(|p| {
                (p.is_fail() || p.is_pfail()) && c.position(&p.id).is_some_and(|i| c.nodes[i].live)
            })?;
        let flag = if down.is_fail() { "FAIL" } else { "PFAIL" };
        let name = c.nodes[c.position(&down.id)?].name;
        Some(format!("{name} runs, and is {flag} for {}", n.name))
    })
}

/// L7 ForgottenStaysOut: a node that was removed from every table stays out: no other live node knows it.
pub fn l7_forgotten_stays_out(c: &Cluster<'_>) -> Violation {
    c.live().find_map(|n| {
        let gone = c.forgotten.iter().find(|id| **id != n.state.me() && n.state.peer(id).is_some())?;
        let name = c.position(gone).map_or("a node", |i| c.nodes[i].name);
        Some(format!("{} knows {name}, which was to be forgotten", n.name))
    })
}

/// The config epochs of the masters that a node knows. (Of a replica each node records what the last header said of its master.)
fn epochs(n: &super::NodeView<'_>) -> BTreeMap<NodeId, Epoch> {
    let known = n.state.peers().iter().filter(|p| !p.in_handshake() && p.is_master());
    known.map(|p| (p.id, p.config_epoch)).collect()
}
