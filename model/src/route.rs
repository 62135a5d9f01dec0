//! Where a client's request is served (cluster.c `getNodeByQuery`, 7.0:6656).
//!
//! Readers never look at a [`NodeState`]: they route on a [`RouteTable`] that was published when the state
//! changed, and the world calls the same function on the same table.

use std::collections::BTreeMap;

use crate::address::Address;
use crate::config::{Config, EndpointType};
use crate::id::NodeId;
use crate::slot::{Slot, SlotSet};
use crate::state::{NO_OWNER, NodeState};

/// What routing needs of a node's state, frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTable {
    owners: Box<[u16]>,
    me: u16,
    /// The position of my master, if I am a replica with a known one.
    my_master: Option<u16>,
    nodes: Vec<RouteNode>,
    /// Slots that are migrating or importing: one look tells the common case.
    open: SlotSet,
    migrating: BTreeMap<Slot, NodeId>,
    importing: BTreeMap<Slot, NodeId>,
    state_ok: bool,
    allow_reads_when_down: bool,
    allow_pubsubshard_when_down: bool,
    migrating_tryagain: bool,
    endpoint: EndpointType,
    #[cfg(feature = "check")]
    fault: Option<crate::fault::Fault>,
}

/// A node as a redirection names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteNode {
    /// Its name.
    pub id: NodeId,
    /// Its address.
    pub address: Address,
    /// Its hostname.
    pub hostname: Option<Box<str>>,
}

/// What a request is, as far as routing asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RequestKind {
    /// The command (or one queued by MULTI) writes.
    pub write: bool,
    /// It is MIGRATE.
    pub migrate: bool,
    /// It is SPUBLISH, SSUBSCRIBE or SUNSUBSCRIBE.
    pub shard_pubsub: bool,
    /// The client said ASKING, or the command is RESTORE-ASKING.
    pub asking: bool,
    /// The client said READONLY.
    pub readonly: bool,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// Here.
    Serve,
    /// `-MOVED`: the slot is this node's.
    Moved(Slot, NodeId),
    /// `-ASK`: this once, ask this node.
    Ask(Slot, NodeId),
    /// `-TRYAGAIN`.
    TryAgain,
    /// `-CROSSSLOT`.
    CrossSlot,
    /// `-CLUSTERDOWN Hash slot not served`.
    SlotNotServed,
    /// `-CLUSTERDOWN The cluster is down`.
    Down,
    /// `-CLUSTERDOWN The cluster is down and only accepts read commands`.
    DownForWrites,
}

impl NodeState {
    /// The table of this state.
    pub fn route_table(&self, config: &Config) -> RouteTable {
        let mut open = SlotSet::new(self.slot_count());
        for &slot in self.migrating.keys().chain(self.importing.keys()) {
            open.insert(slot);
        }
        let me = self.myself();
        let position = |id: &NodeId| self.index(id).map(|i| i as u16);
        RouteTable {
            owners: self.owners.clone(),
            me: self.my_index() as u16,
            my_master: me.master.filter(|_| me.is_replica()).and_then(|m| position(&m)),
            nodes: self
                .peers
                .iter()
                .map(|p| RouteNode { id: p.id, address: p.address.clone(), hostname: p.hostname.clone() })
                .collect(),
            open,
            migrating: self.migrating.clone(),
            importing: self.importing.clone(),
            state_ok: self.state_ok,
            allow_reads_when_down: config.allow_reads_when_down,
            allow_pubsubshard_when_down: config.allow_pubsubshard_when_down,
            migrating_tryagain: config.rules.migrating_tryagain,
            endpoint: config.endpoint,
            #[cfg(feature = "check")]
            fault: config.fault,
        }
    }
}

impl RouteTable {
    /// Decides where a request on `keys` goes. `slot_of` tells a key's slot, and is asked once a key; `exists` whether the key
    /// exists here (a logically expired one does not), and is asked only while its slot is open.
    pub fn route<K: PartialEq>(
        &self,
        kind: RequestKind,
        keys: impl IntoIterator<Item = K>,
        mut slot_of: impl FnMut(&K) -> Slot,
        mut exists: impl FnMut(&K) -> bool,
    ) -> Route {
        let mut keys = keys.into_iter();
        let Some(first) = keys.next() else { return Route::Serve };
        let slot = slot_of(&first);
        let owner = self.owners.get(slot.index()).copied().unwrap_or(NO_OWNER);
        if owner == NO_OWNER {
            return Route::SlotNotServed;
        }
        let mine = owner == self.me;
        let open = self.open.contains(slot);
        let migrating = if open && mine { self.migrating.get(&slot) } else { None };
        let importing = open && migrating.is_none() && self.importing.contains_key(&slot);
        let count = (migrating.is_some() || importing) && !kind.shard_pubsub;
        let (mut missing, mut existing, mut multi) = (0u64, 0u64, false);
        let mut tally = |key: &K| {
            if count {
                if exists(key) { existing += 1 } else { missing += 1 }
            }
        };
        tally(&first);
        for key in keys {
            if slot_of(&key) != slot {
                return Route::CrossSlot;
            }
            multi |= key != first;
            tally(&key);
        }
        if !self.state_ok {
            if kind.shard_pubsub {
                if !self.allow_pubsubshard_when_down {
                    return Route::Down;
                }
            } else if !self.allow_reads_when_down {
                return Route::Down;
            } else if kind.write {
                return Route::DownForWrites;
            }
        }
        if kind.migrate && (migrating.is_some() || importing) {
            return Route::Serve;
        }
        if let Some(target) = migrating
            && missing > 0
        {
            let some_here = existing > 0 && self.migrating_tryagain;
            return if some_here { Route::TryAgain } else { Route::Ask(slot, *target) };
        }
        #[cfg(feature = "check")]
        let asking = kind.asking || self.fault == Some(crate::fault::Fault::ImportingServesWithoutAsking);
        #[cfg(not(feature = "check"))]
        let asking = kind.asking;
        if importing && asking {
            #[cfg(feature = "check")]
            let missing =
                if self.fault == Some(crate::fault::Fault::ServesWithMissingKeys) { 0 } else { missing };
            return if multi && missing > 0 { Route::TryAgain } else { Route::Serve };
        }
        if !mine && self.my_master == Some(owner) && (kind.readonly || kind.shard_pubsub) && !kind.write {
            return Route::Serve;
        }
        if mine { Route::Serve } else { Route::Moved(slot, self.nodes[usize::from(owner)].id) }
    }

    /// The node that owns a slot, if one does.
    pub fn owner(&self, slot: Slot) -> Option<&RouteNode> {
        self.owners.get(slot.index()).filter(|&&o| o != NO_OWNER).map(|&o| &self.nodes[usize::from(o)])
    }

    /// Whether a slot is recorded as mine.
    pub fn is_mine(&self, slot: Slot) -> bool {
        self.owners.get(slot.index()).is_some_and(|&o| o == self.me)
    }

    /// Whether shard channels of a slot are served here: it is mine, or my master's.
    pub fn serves_shard(&self, slot: Slot) -> bool {
        let owner = self.owners.get(slot.index()).copied().unwrap_or(NO_OWNER);
        owner != NO_OWNER && (owner == self.me || self.my_master == Some(owner))
    }

    /// Myself.
    pub fn me(&self) -> &RouteNode {
        &self.nodes[usize::from(self.me)]
    }

    /// A node by name.
    pub fn node(&self, id: &NodeId) -> Option<&RouteNode> {
        self.nodes.binary_search_by(|n| n.id.cmp(id)).ok().map(|i| &self.nodes[i])
    }

    /// Whether the node saw the cluster as ok.
    pub fn state_ok(&self) -> bool {
        self.state_ok
    }

    /// The error line of a redirection or refusal, without the leading `-`; nothing for [`Route::Serve`]. A plain-text client of
    /// a TLS cluster (`tls` false) is told the plain-text port.
    pub fn error_text(&self, route: Route, tls: bool) -> Option<String> {
        let at = |word: &str, slot: Slot, id: &NodeId| {
            let Some(node) = self.node(id) else { return "CLUSTERDOWN Hash slot not served".to_string() };
            let host = self.endpoint.endpoint(&node.address.ip, node.hostname.as_deref()).unwrap_or("");
            format!("{word} {slot} {host}:{}", node.client_port(tls))
        };
        match route {
            Route::Serve => None,
            Route::Moved(slot, id) => Some(at("MOVED", slot, &id)),
            Route::Ask(slot, id) => Some(at("ASK", slot, &id)),
            Route::TryAgain => Some("TRYAGAIN Multiple keys request during rehashing of slot".into()),
            Route::CrossSlot => Some("CROSSSLOT Keys in request don't hash to the same slot".into()),
            Route::SlotNotServed => Some("CLUSTERDOWN Hash slot not served".into()),
            Route::Down => Some("CLUSTERDOWN The cluster is down".into()),
            Route::DownForWrites => {
                Some("CLUSTERDOWN The cluster is down and only accepts read commands".into())
            }
        }
    }
}

impl RouteNode {
    /// The port a client is told.
    pub fn client_port(&self, tls: bool) -> u16 {
        self.address.client_port(tls)
    }
}
