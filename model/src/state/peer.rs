//! One entry of the node table.

use crate::address::{Address, Flags};
use crate::id::{Epoch, NodeId};
use crate::slot::SlotSet;

use super::digest::PeerDigest;

/// What a node knows of a node (itself included).
#[derive(Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Peer {
    /// Its name; a placeholder while it is in handshake.
    pub id: NodeId,
    /// Where it is.
    pub address: Address,
    /// Its announced hostname.
    pub hostname: Option<Box<str>>,
    /// Its flags as I see them.
    pub flags: Flags,
    /// The master it follows, if it is a replica and that is known.
    pub master: Option<NodeId>,
    /// Its config epoch as recorded here.
    pub config_epoch: Epoch,
    /// Its replication offset as last heard, in bytes.
    pub offset: u64,
    /// The slots it is recorded to own. The slot table says the same.
    pub slots: SlotSet,
    /// How many slots that are.
    pub slot_count: u16,
    /// Who reported it as failing, sorted by reporter.
    pub reports: Vec<Report>,
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(super) digest: PeerDigest,
}

clone_in_place!(Peer {
    id,
    address,
    hostname,
    flags,
    master,
    config_epoch,
    offset,
    slots,
    slot_count,
    reports,
    digest
});

/// A failure report that has not run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Report {
    /// Who reported.
    pub reporter: NodeId,
    /// Not refreshed since the node became FAIL here: it runs out before FAIL can be undone.
    pub before_fail: bool,
}

impl Peer {
    /// A node of which nothing more is known.
    pub(crate) fn new(id: NodeId, address: Address, flags: Flags, slots: u16) -> Self {
        Self {
            id,
            address,
            hostname: None,
            flags,
            master: None,
            config_epoch: Epoch::ZERO,
            offset: 0,
            slots: SlotSet::new(slots),
            slot_count: 0,
            reports: Vec::new(),
            digest: PeerDigest::default(),
        }
    }

    /// A master.
    pub fn is_master(&self) -> bool {
        self.flags.any(Flags::MASTER)
    }

    /// A replica.
    pub fn is_replica(&self) -> bool {
        self.flags.any(Flags::REPLICA)
    }

    /// Suspected by me alone.
    pub fn is_pfail(&self) -> bool {
        self.flags.any(Flags::PFAIL)
    }

    /// Failing by agreement.
    pub fn is_fail(&self) -> bool {
        self.flags.any(Flags::FAIL)
    }

    /// Its name is a placeholder.
    pub fn in_handshake(&self) -> bool {
        self.flags.any(Flags::HANDSHAKE)
    }

    /// Its address is unknown.
    pub fn no_address(&self) -> bool {
        self.flags.any(Flags::NOADDR)
    }

    /// A master with at least one slot.
    pub fn is_voting(&self) -> bool {
        self.is_master() && self.slot_count > 0
    }
}
