//! All nodes of a cluster, each asked for itself: what it says of itself counts, what others say of it is compared.

use std::collections::BTreeMap;
use std::io;

use slotproof_model::{Flags, NodeId, SLOTS, SavedNode, Slot, SlotSet};

use crate::reshard::{Access, Operator, Peer};
use crate::resp::split_address;

/// A node that answers.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub id: NodeId,
    /// Its flags, as it says.
    pub flags: Flags,
    /// Its master, as it says.
    pub master: Option<NodeId>,
    /// Its config epoch.
    pub epoch: u64,
    /// The slots that it says are its own.
    pub slots: SlotSet,
    /// The slots that it gives away, and to whom.
    pub migrating: BTreeMap<u16, NodeId>,
    /// The slots that it takes over, and from whom.
    pub importing: BTreeMap<u16, NodeId>,
    /// All nodes that it knows, itself too.
    pub view: Vec<SavedNode>,
    /// The connection to it.
    pub peer: Peer,
}

/// A node that others name and that does not answer.
#[derive(Debug)]
pub struct Absent {
    /// Its name.
    pub id: NodeId,
    /// Where it should be.
    pub address: String,
    /// Whether it is a master, as is said.
    pub is_master: bool,
    /// Whether others say that it owns slots.
    pub has_slots: bool,
    /// Why it is not here.
    pub why: String,
}

/// A cluster as it was a moment ago.
#[derive(Debug)]
pub struct Survey {
    /// Where it was entered, `host:port`.
    pub entry: String,
    /// How its nodes are reached.
    pub access: Access,
    /// Those that answer, the entry first, then by address.
    pub members: Vec<Member>,
    /// Those that do not.
    pub absent: Vec<Absent>,
}

impl Member {
    /// Asks a node about itself.
    fn read(mut peer: Peer) -> io::Result<Self> {
        let seen = peer.view()?.saved;
        let me = seen.nodes.iter().find(|n| n.id == seen.me).cloned();
        let me = me.ok_or_else(|| io::Error::other(format!("{}: does not list itself", peer.address())))?;
        if !me.address.ip.is_empty() && me.address.port != 0 {
            peer.known_as = Some((me.address.ip.to_string(), me.address.port));
        }
        let plain = |slots: BTreeMap<Slot, NodeId>| slots.into_iter().map(|(s, id)| (s.into(), id)).collect();
        Ok(Self {
            id: me.id,
            flags: me.flags,
            master: me.master,
            epoch: me.config_epoch.0,
            slots: me.slots,
            migrating: plain(seen.migrating),
            importing: plain(seen.importing),
            view: seen.nodes,
            peer,
        })
    }

    /// Whether it is a master.
    pub fn is_master(&self) -> bool {
        self.flags.any(Flags::MASTER)
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        self.peer.address()
    }

    /// Who owns a slot, as it says.
    pub fn owner_of(&self, slot: u16) -> Option<NodeId> {
        self.view.iter().find(|n| n.slots.contains(Slot::new(slot))).map(|n| n.id)
    }

    /// The lines that describe it, as `redis-cli` does.
    pub fn described(&self, replicas: usize) -> String {
        let role = if self.is_master() { 'M' } else { 'S' };
        let mut text = format!("{role}: {} {}\n", self.id, self.address());
        let kind = if self.is_master() { "master" } else { "slave" };
        let slots = format!("({} slots) {kind}", self.slots.len());
        if self.slots.is_empty() {
            text += &format!("   slots: {slots}");
        } else {
            text += &format!("   slots:{} {slots}", ranges_text(&self.slots));
        }
        if let Some(master) = self.master {
            text += &format!("\n   replicates {master}");
        } else if replicas > 0 {
            text += &format!("\n   {replicas} additional replica(s)");
        }
        text
    }
}

impl Survey {
    /// Looks at the whole cluster from the node at `entry` (`host:port`).
    ///
    /// # Errors
    /// When that node cannot be asked. Others that cannot are among the absent.
    pub fn take(entry: &str, access: &Access) -> io::Result<Self> {
        let first = Member::read(enter(entry, access)?)?;
        let mut survey = Self {
            entry: entry.to_string(),
            access: access.clone(),
            members: Vec::new(),
            absent: Vec::new(),
        };
        for node in &first.view {
            if node.id == first.id {
                continue;
            }
            let address = format!("{}:{}", node.address.ip, node.address.port);
            let reached = if node.address.ip.is_empty() || node.flags.any(Flags::NOADDR) {
                Err(io::Error::other("its address is not known"))
            } else {
                Peer::open(&node.address.ip, node.address.port, access).and_then(Member::read)
            };
            match reached {
                Ok(member) if member.id == node.id => survey.members.push(member),
                other => {
                    let why = match other {
                        Ok(stranger) => format!("{address}: another node answers there, {}", stranger.id),
                        Err(e) => e.to_string(),
                    };
                    survey.absent.push(Absent {
                        id: node.id,
                        address,
                        is_master: !node.flags.any(Flags::REPLICA),
                        has_slots: !node.slots.is_empty(),
                        why,
                    });
                }
            }
        }
        survey.members.sort_by_key(|m| (m.peer.host.clone(), m.peer.port));
        survey.members.insert(0, first);
        Ok(survey)
    }

    /// The same cluster as it is now.
    ///
    /// # Errors
    /// As [`Survey::take`].
    pub fn again(&self) -> io::Result<Self> {
        Self::take(&self.entry, &self.access)
    }

    /// The masters that answer.
    pub fn masters(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|m| m.is_master())
    }

    /// A member by its name.
    pub fn member(&self, id: &NodeId) -> Option<&Member> {
        self.members.iter().find(|m| m.id == *id)
    }

    /// A member by its name, to be talked to.
    ///
    /// # Errors
    /// When there is none of that name that answers.
    pub fn peer(&mut self, id: &NodeId) -> io::Result<&mut Peer> {
        let found = self.members.iter_mut().find(|m| m.id == *id);
        found.map(|m| &mut m.peer).ok_or_else(|| io::Error::other(format!("{id} does not answer")))
    }

    /// A member by its name, the beginning of it if only one begins so, or its address.
    pub fn find(&self, text: &str) -> Option<&Member> {
        let text = text.to_lowercase();
        let exact = self.members.iter().find(|m| m.id.as_str() == text || m.address() == text);
        exact.or_else(|| {
            let mut some =
                self.members.iter().filter(|m| !text.is_empty() && m.id.as_str().starts_with(&text));
            some.next().filter(|_| some.next().is_none())
        })
    }

    /// The address of a node, or its name if it is not among the members.
    pub fn called(&self, id: &NodeId) -> String {
        self.member(id).map_or_else(|| id.to_string(), Member::address)
    }

    /// How many members replicate this master.
    pub fn replicas_of(&self, master: &NodeId) -> usize {
        self.members.iter().filter(|m| m.master == Some(*master)).count()
    }

    /// The members that say they own a slot.
    pub fn claimants(&self, slot: u16) -> Vec<NodeId> {
        self.masters().filter(|m| m.slots.contains(Slot::new(slot))).map(|m| m.id).collect()
    }

    /// Slots that nobody who answers says are his own.
    pub fn uncovered(&self) -> SlotSet {
        let mut open = set_of(0..SLOTS);
        for slot in self.members.iter().flat_map(|m| m.slots.iter()) {
            open.remove(slot);
        }
        open
    }

    /// Somebody who moves slots between its masters, with connections of his own.
    ///
    /// # Errors
    /// When one of the masters cannot be reached any more.
    pub fn operator(&self) -> io::Result<Operator> {
        let masters = self.masters().map(|m| {
            let mut peer = Peer::open(&m.peer.host, m.peer.port, &self.access)?;
            peer.known_as.clone_from(&m.peer.known_as);
            Ok((m.id, peer))
        });
        Ok(Operator::of(masters.collect::<io::Result<_>>()?, &self.access))
    }
}

/// A connection to `host:port`.
///
/// # Errors
/// When that is none, or nobody answers there.
pub(super) fn enter(entry: &str, access: &Access) -> io::Result<Peer> {
    let (host, port) = split_address(entry)
        .ok_or_else(|| io::Error::other(format!("{entry:?} is no address: host:port is one")))?;
    Peer::open(host, port, access)
}

/// `[0-5,7]`
pub(super) fn ranges_text(slots: &SlotSet) -> String {
    let one = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    slots.ranges().map(|range| format!("[{}]", one(range))).collect::<Vec<_>>().join(",")
}

/// The set of these slots.
pub(super) fn set_of(slots: impl IntoIterator<Item = u16>) -> SlotSet {
    let mut set = SlotSet::new(SLOTS);
    for slot in slots {
        set.insert(Slot::new(slot));
    }
    set
}
