//! Safety over one moment. S1, S6, S7 and S8 are asked at quiescence.

use crate::route::{RequestKind, Route};
use crate::slot::Slot;

use super::{Cluster, Copy, Found, KeyView, Violation};

/// S1 EpochOwnerUnique: no two masters both claim a slot for themselves under one config epoch.
pub fn s1_epoch_owner_unique(c: &Cluster<'_>) -> Violation {
    let claims = |i: usize, slot: Slot| {
        let n = &c.nodes[i];
        let mine = n.live
            && n.state.myself().is_master()
            && n.state.owner(slot).is_some_and(|p| p.id == n.state.me());
        mine.then(|| n.state.myself().config_epoch)
    };
    let slots = c.nodes.first().map_or(0, |n| n.state.slot_count());
    (0..slots).map(Slot::new).find_map(|slot| {
        (0..c.nodes.len()).find_map(|a| {
            let epoch = claims(a, slot)?;
            let b = (a + 1..c.nodes.len()).find(|&b| claims(b, slot) == Some(epoch))?;
            let (a, b) = (c.nodes[a].name, c.nodes[b].name);
            Some(format!("{a} and {b} both claim slot {slot} at epoch {epoch}"))
        })
    })
}

/// S6 AckedKeyReachable: a key that was written, and not deleted since, is found from every live node, with its last value.
pub fn s6_acked_key_reachable(c: &Cluster<'_>) -> Violation {
    c.keys.iter().filter(|k| k.written).find_map(|key| {
        live(c).find_map(|start| match c.get(start, key) {
            Found::Value(Copy::Latest) => None,
            found => Some(told(c, start, key, found)),
        })
    })
}

/// S7 KeyOnOneSide: a key is on at most one master.
pub fn s7_key_on_one_side(c: &Cluster<'_>) -> Violation {
    c.keys.iter().find_map(|key| {
        let holders: Vec<&str> = live(c)
            .filter(|&i| key.copies[i].is_some() && c.nodes[i].state.myself().is_master())
            .map(|i| c.nodes[i].name)
            .collect();
        (holders.len() > 1).then(|| format!("{} is on {}", key.name, holders.join(" and ")))
    })
}

/// S8 NoResurrection: a key whose deletion was acknowledged is not found again without a later write.
pub fn s8_no_resurrection(c: &Cluster<'_>) -> Violation {
    c.keys.iter().filter(|k| !k.written).find_map(|key| {
        live(c).find_map(|start| match c.get(start, key) {
            Found::Value(Copy::Old) => {
                Some(format!("{} was deleted, and a GET at {} finds it again", key.name, c.nodes[start].name))
            }
            _ => None,
        })
    })
}

/// S13 NoForeignMerge: no node has a node of another cluster in its table. (Who is only being shaken hands with has no name yet.) Asked of every
/// state; no operator may have introduced them.
pub fn s13_no_foreign_merge(c: &Cluster<'_>) -> Violation {
    c.live().find_map(|n| {
        let known = n.state.peers().iter().filter(|p| !p.in_handshake());
        let foreign = |i: &usize| c.nodes[*i].cluster != n.cluster;
        let stranger = known.filter_map(|p| c.position(&p.id)).find(foreign)?;
        Some(format!("{} knows {}, which belongs to another cluster", n.name, c.nodes[stranger].name))
    })
}

/// S14 MultiKeyAtomic: no node runs a command on several keys of a slot, asked or not, while one that it does not have is on the other side
/// of a migration: at a node where the slot is open, with its last value. Asked of every state.
pub fn s14_multi_key_atomic(c: &Cluster<'_>) -> Violation {
    let slots: std::collections::BTreeSet<Slot> = c.keys.iter().map(|k| k.slot).collect();
    let open = |n: &super::NodeView<'_>, slot: Slot| {
        n.state.migrating().contains_key(&slot) || n.state.importing().contains_key(&slot)
    };
    slots.into_iter().find_map(|slot| {
        let keys: Vec<&KeyView> = c.keys.iter().filter(|k| k.slot == slot).collect();
        live(c).find_map(|i| {
            let missing = keys.iter().find(|k| {
                let there = |j: usize| k.copies[j] == Some(Copy::Latest) && open(&c.nodes[j], slot);
                k.copies[i].is_none() && live(c).any(there)
            })?;
            let serves = |asking: bool| {
                let kind = RequestKind { write: true, asking, ..RequestKind::default() };
                let exists = |k: &usize| keys[*k].copies[i].is_some();
                c.nodes[i].routes.route(kind, 0..keys.len(), |_| slot, exists) == Route::Serve
            };
            (keys.len() > 1 && (serves(false) || serves(true))).then(|| {
                format!(
                    "{} runs commands on all keys of slot {slot}, and {} is on the other side",
                    c.nodes[i].name, missing.name
                )
            })
        })
    })
}

fn live<'a>(c: &'a Cluster<'_>) -> impl Iterator<Item = usize> + 'a {
    (0..c.nodes.len()).filter(|&i| c.nodes[i].live)
}

fn told(c: &Cluster<'_>, start: usize, key: &KeyView, found: Found) -> String {
    let what = match found {
        Found::Value(Copy::Latest) => "its last value".to_string(),
        Found::Value(Copy::Old) => "an older value".to_string(),
        Found::Value(Copy::Foreign) => "a value of a node that was not legitimate".to_string(),
        Found::Nil => "nil".to_string(),
        Found::Nowhere(Route::Moved(..) | Route::Ask(..)) => "redirections that lead nowhere".to_string(),
        Found::Nowhere(route) => format!("no answer ({route:?})"),
    };
    format!("{} was written; a GET at {} finds {what}", key.name, c.nodes[start].name)
}
