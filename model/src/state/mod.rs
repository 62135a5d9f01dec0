//! The state of one node, and the primitives that change it.
//!
//! The node table is sorted by name, and the slot table refers to it by position, so that equal states are
//! equal bit for bit (a world interns them). Nothing that only a shell needs (time stamps, connections) is here.
//! Every primitive keeps up the digest ([`digest`]).

mod digest;
mod peer;
#[cfg(feature = "serde")]
mod raw;
mod saved;
mod slots;

use std::collections::{BTreeMap, BTreeSet};

pub use peer::{Peer, Report};
pub use saved::{Saved, SavedNode};

use crate::address::Flags;
use crate::config::Config;
use crate::effect::{Effect, Effects};
use crate::id::{Epoch, NodeId};
use crate::input::{Dice, Timer};
use crate::slot::{Slot, SlotSet};

/// "No node" in the slot table.
pub(crate) const NO_OWNER: u16 = u16::MAX;

/// Everything a node knows of its cluster.
#[derive(Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "raw::RawState"))]
pub struct NodeState {
    pub(crate) me: NodeId,
    pub(crate) current_epoch: Epoch,
    pub(crate) last_vote_epoch: Epoch,
    /// The cluster state as I see it: ok, or fail.
    pub(crate) state_ok: bool,
    /// Voting masters, as of the last cluster state update that counted them.
    pub(crate) size: u32,
    /// Sorted by name; I am in it.
    pub(crate) peers: Vec<Peer>,
    /// For each slot the position of its owner in `peers`.
    pub(crate) owners: Box<[u16]>,
    pub(crate) not_claiming: SlotSet,
    pub(crate) migrating: BTreeMap<Slot, NodeId>,
    pub(crate) importing: BTreeMap<Slot, NodeId>,
    /// Slots of mine that I finished importing, each with its source, which I have not outbid yet.
    pub(crate) settling: BTreeMap<Slot, NodeId>,
    pub(crate) blacklist: BTreeSet<NodeId>,
    /// Whether the first cluster state update has happened.
    pub(crate) started: bool,
    /// The first two seconds are not over.
    pub(crate) startup_hold: bool,
    /// Whether I was in the minority, and the delay after that.
    pub(crate) rejoin: Rejoin,
    /// Work put off to the end of the step.
    pub(crate) todo: Todo,
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(crate) scratch: Scratch,
}

clone_in_place!(NodeState {
    me,
    current_epoch,
    last_vote_epoch,
    state_ok,
    size,
    peers,
    not_claiming,
    migrating,
    importing,
    settling,
    blacklist,
    started,
    startup_hold,
    rejoin,
    todo,
    scratch
} but owners by follow_owners);

/// Where a node stands after it was in the minority (it is held in the state fail for a while).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Rejoin {
    /// It was not, or that is over.
    #[default]
    No,
    /// It is in the minority.
    InMinority,
    /// It waits for [`Timer::RejoinDelay`].
    Waiting,
}

/// Work put off until the node sleeps (cluster.c `todo_before_sleep`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Todo {
    /// nodes.conf is to be written.
    pub save: bool,
    /// And made durable.
    pub fsync: bool,
    /// The cluster state is to be judged anew.
    pub update_state: bool,
}

/// What is kept beside the state and is not part of it: running digests and a flag of the current step.
/// All scratches are equal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) slots_digest: u64,
    pub(crate) routes_changed: bool,
}

impl PartialEq for Scratch {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Scratch {}

impl core::hash::Hash for Scratch {
    fn hash<H: core::hash::Hasher>(&self, _: &mut H) {}
}

impl NodeState {
    /// A node that was just born: a master named `me` that knows nobody (`clusterInit` without a nodes.conf; the shell
    /// saves it with fsync at once).
    pub fn new(me: NodeId, config: &Config) -> Self {
        let mut myself =
            Peer::new(me, config.announce.clone(), Flags::MYSELF.with(Flags::MASTER), config.slots);
        myself.hostname.clone_from(&config.hostname);
        Self {
            me,
            current_epoch: Epoch::ZERO,
            last_vote_epoch: Epoch::ZERO,
            state_ok: false,
            size: u32::from(config.rules.size_starts_at_one),
            peers: vec![myself],
            owners: vec![NO_OWNER; usize::from(config.slots)].into_boxed_slice(),
            not_claiming: SlotSet::new(config.slots),
            migrating: BTreeMap::new(),
            importing: BTreeMap::new(),
            settling: BTreeMap::new(),
            blacklist: BTreeSet::new(),
            started: false,
            startup_hold: false,
            rejoin: Rejoin::No,
            todo: Todo::default(),
            scratch: Scratch::default(),
        }
    }

    /// My name.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// My currentEpoch.
    pub fn current_epoch(&self) -> Epoch {
        self.current_epoch
    }

    /// The epoch of my last vote.
    pub fn last_vote_epoch(&self) -> Epoch {
        self.last_vote_epoch
    }

    /// Whether I see the cluster as ok.
    pub fn state_ok(&self) -> bool {
        self.state_ok
    }

    /// Voting masters as of the last count.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// All nodes I know, myself and those in handshake included, sorted by name.
    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// A node I know.
    pub fn peer(&self, id: &NodeId) -> Option<&Peer> {
        self.index(id).map(|i| &self.peers[i])
    }

    /// Myself.
    pub fn myself(&self) -> &Peer {
        &self.peers[self.my_index()]
    }

    /// The recorded owner of a slot.
    pub fn owner(&self, slot: Slot) -> Option<&Peer> {
        self.owner_index(slot).map(|i| &self.peers[i])
    }

    /// The number of slots of this cluster.
    pub fn slot_count(&self) -> u16 {
        self.owners.len() as u16
    }

    /// Slots whose owner stopped claiming them.
    pub fn not_claiming(&self) -> &SlotSet {
        &self.not_claiming
    }

    /// Slots that I give away, and to whom.
    pub fn migrating(&self) -> &BTreeMap<Slot, NodeId> {
        &self.migrating
    }

    /// Slots that I take over, and from whom.
    pub fn importing(&self) -> &BTreeMap<Slot, NodeId> {
        &self.importing
    }

    /// Slots of mine that I took over, and from whom, by the rule [`crate::Rules::target_outbids_source`].
    pub fn settling(&self) -> &BTreeMap<Slot, NodeId> {
        &self.settling
    }

    /// Forgotten nodes that are not learned again for now.
    pub fn blacklist(&self) -> &BTreeSet<NodeId> {
        &self.blacklist
    }

    /// Work that waits for the next [`crate::Input::BeforeSleep`]; nothing, unless the configuration splits it off.
    pub fn todo(&self) -> Todo {
        self.todo
    }

    /// The timers that are armed in this state, save [`Timer::PongOverdue`], which depends on the shell's stamps.
    pub fn armed_timers(&self) -> impl Iterator<Item = Timer> + '_ {
        let handshakes =
            self.peers.iter().filter(|p| p.in_handshake()).map(|p| Timer::HandshakeExpires(p.id));
        let reports = self.peers.iter().flat_map(|p| {
            p.reports.iter().map(|r| Timer::ReportExpires { subject: p.id, reporter: r.reporter })
        });
        handshakes
            .chain(reports)
            .chain(self.blacklist.iter().map(|&id| Timer::BlacklistExpires(id)))
            .chain(self.startup_hold.then_some(Timer::StartupDelay))
            .chain((self.rejoin == Rejoin::Waiting).then_some(Timer::RejoinDelay))
    }

    pub(crate) fn index(&self, id: &NodeId) -> Option<usize> {
        self.peers.binary_search_by(|p| p.id.cmp(id)).ok()
    }

    pub(crate) fn my_index(&self) -> usize {
        self.index(&self.me).expect("a node is in its own table")
    }

    /// The entry at `i`, for changing. Its digest is computed anew when it is next asked for.
    pub(crate) fn peer_at(&mut self, i: usize) -> &mut Peer {
        self.peers[i].digest.forget();
        &mut self.peers[i]
    }

    /// The entry of `id`, for changing.
    pub(crate) fn peer_mut(&mut self, id: &NodeId) -> Option<&mut Peer> {
        let i = self.index(id)?;
        Some(self.peer_at(i))
    }

    pub(crate) fn myself_mut(&mut self) -> &mut Peer {
        let i = self.my_index();
        self.peer_at(i)
    }

    pub(crate) fn is_master(&self) -> bool {
        self.myself().is_master()
    }

    pub(crate) fn save(&mut self) {
        self.todo.save = true;
    }

    pub(crate) fn save_fsync(&mut self) {
        self.todo.save = true;
        self.todo.fsync = true;
    }

    pub(crate) fn save_update(&mut self) {
        self.todo.save = true;
        self.todo.update_state = true;
    }

    pub(crate) fn routes_changed(&mut self) {
        self.scratch.routes_changed = true;
    }

    /// Takes a node into the table (cluster.c `clusterAddNode`). A node with this name must not be there.
    pub(crate) fn insert_peer(&mut self, peer: Peer) {
        let Err(at) = self.peers.binary_search_by(|p| p.id.cmp(&peer.id)) else { return };
        for owner in &mut self.owners {
            if *owner != NO_OWNER && usize::from(*owner) >= at {
                *owner += 1;
            }
        }
        self.peers.insert(at, peer);
        self.routes_changed();
    }

    /// Takes a node out of the table (cluster.c `clusterDelNode`, 7.0:1200): entries that name it are cleared, its slots
    /// unbound, reports that it made removed, its replicas orphaned, its links closed.
    pub(crate) fn remove_peer(&mut self, id: &NodeId, out: &mut Effects) {
        let Some(at) = self.index(id) else { return };
        let open = |map: &BTreeMap<Slot, NodeId>| -> Vec<Slot> {
            map.iter().filter(|(_, n)| *n == id).map(|(&s, _)| s).collect()
        };
        for slot in open(&self.migrating) {
            self.set_migrating(slot, None);
        }
        for slot in open(&self.importing) {
            self.set_importing(slot, None);
        }
        for slot in open(&self.settling) {
            self.set_settling(slot, None);
        }
        for slot in self.peers[at].slots.iter().collect::<Vec<_>>() {
            self.unbind(slot);
        }
        for report in &self.peers[at].reports {
            out.push(Effect::Cancel(Timer::ReportExpires { subject: *id, reporter: report.reporter }));
        }
        for i in 0..self.peers.len() {
            if self.peers[i].reports.iter().any(|r| r.reporter == *id) {
                self.peer_at(i).reports.retain(|r| r.reporter != *id);
                let subject = self.peers[i].id;
                out.push(Effect::Cancel(Timer::ReportExpires { subject, reporter: *id }));
            }
            if self.peers[i].master == Some(*id) {
                self.peer_at(i).master = None;
            }
        }
        if self.peers[at].in_handshake() {
            out.push(Effect::Cancel(Timer::HandshakeExpires(*id)));
        }
        self.peers.remove(at);
        for owner in &mut self.owners {
            if *owner != NO_OWNER && usize::from(*owner) > at {
                *owner -= 1;
            }
        }
        out.push(Effect::Removed(*id));
        self.routes_changed();
    }

    /// Gives a node in handshake its name (cluster.c `clusterRenameNode`); none must have it. Entries that an operator made
    /// for the placeholder follow; reports about it, which nobody honest makes, do not.
    pub(crate) fn rename_peer(&mut self, from: &NodeId, to: NodeId, out: &mut Effects) {
        let Some(at) = self.index(from).filter(|_| self.index(&to).is_none()) else { return };
        let slots: Vec<Slot> = self.peers[at].slots.iter().collect();
        for &slot in &slots {
            self.unbind(slot);
        }
        let mut peer = self.peers.remove(at);
        for owner in &mut self.owners {
            if *owner != NO_OWNER && usize::from(*owner) > at {
                *owner -= 1;
            }
        }
        for report in core::mem::take(&mut peer.reports) {
            out.push(Effect::Cancel(Timer::ReportExpires { subject: *from, reporter: report.reporter }));
        }
        let flags = peer.flags;
        peer.id = to;
        peer.digest.forget();
        self.insert_peer(peer);
        let now = self.index(&to).expect("just inserted");
        slots.iter().for_each(|&slot| self.bind(slot, now));
        self.peer_at(now).flags = flags;
        let named = |map: &BTreeMap<Slot, NodeId>| -> Vec<Slot> {
            map.iter().filter(|(_, n)| *n == from).map(|(&s, _)| s).collect()
        };
        for slot in named(&self.migrating) {
            self.set_migrating(slot, Some(to));
        }
        for slot in named(&self.importing) {
            self.set_importing(slot, Some(to));
        }
        for slot in named(&self.settling) {
            self.set_settling(slot, Some(to));
        }
        for i in 0..self.peers.len() {
            if self.peers[i].master == Some(*from) {
                self.peer_at(i).master = Some(to);
            }
        }
        out.push(Effect::Cancel(Timer::HandshakeExpires(*from)));
        out.push(Effect::Rename { from: *from, to });
    }

    /// A name that no node in the table has: rolled, or the smallest free one of the reserved range.
    pub(crate) fn fresh_name(&self, dice: Dice) -> NodeId {
        match dice {
            Dice::Roll(bits) => (0u128..)
                .map(|n| NodeId::from_seed(bits.wrapping_add(n)))
                .find(|id| self.index(id).is_none())
                .expect("a table has fewer than 2^128 nodes"),
            Dice::Least => (0..10_000u16)
                .map(|n| {
                    let mut name = [b'h'; 40];
                    let mut rest = n;
                    for b in name[36..].iter_mut().rev() {
                        *b = b'0' + (rest % 10) as u8;
                        rest /= 10;
                    }
                    NodeId::parse(&name).expect("letters and digits")
                })
                .find(|id| self.index(id).is_none())
                .expect("fewer than 10,000 placeholders"),
        }
    }

    /// A master, as seen here, has at least one replica in my table.
    pub(crate) fn has_replica(&self, id: &NodeId) -> bool {
        self.peers.iter().any(|p| p.is_replica() && p.master == Some(*id))
    }

    /// The links between masters and replicas changed: masters carry MIGRATE_TO by whether they have replicas
    /// (cluster.c `clusterNodeAddSlave`, `clusterNodeRemoveSlave`).
    pub(crate) fn left_master(&mut self, master: Option<NodeId>) {
        if let Some(m) = master
            && !self.has_replica(&m)
            && let Some(p) = self.peer_mut(&m)
        {
            p.flags = p.flags.without(Flags::MIGRATE_TO);
        }
    }

    /// See [`Self::left_master`].
    pub(crate) fn joined_master(&mut self, master: &NodeId) {
        if let Some(p) = self.peer_mut(master) {
            p.flags = p.flags.with(Flags::MIGRATE_TO);
        }
    }
}

#[cfg(feature = "check")]
impl NodeState {
    /// The same without reports about masters with slots that are FAIL: what a comparison of worlds with and without such reports looks at.
    pub fn without_reports_of_failed(&self) -> Self {
        let mut bare = self.clone();
        for p in bare.peers.iter_mut().filter(|p| p.is_fail() && p.is_voting()) {
            p.reports.clear();
        }
        bare
    }

    /// The same without reports about nodes that are neither PFAIL nor FAIL, which nobody reads before they are: for such a comparison too.
    pub fn without_reports_of_unsuspected(&self) -> Self {
        let mut bare = self.clone();
        for p in bare.peers.iter_mut().filter(|p| !p.is_pfail() && !p.is_fail()) {
            p.reports.clear();
        }
        bare
    }

    /// Forgets the reports about the nodes of which that is said.
    pub(crate) fn forget_reports(&mut self, about: impl Fn(&NodeId) -> bool) {
        self.peers.iter_mut().filter(|p| about(&p.id)).for_each(|p| p.reports.clear());
    }
}
