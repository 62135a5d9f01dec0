//! Messages of the cluster bus, as values. How they look in bytes is [`crate::wire`].

use crate::address::{Address, Flags};
use crate::id::{Epoch, NodeId};
use crate::slot::SlotSet;

/// A bus message: the header that every type carries, and what follows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Message {
    /// What every message says of its sender.
    pub header: Header,
    /// What follows.
    pub body: Body,
}

/// What every message says of its sender at the moment it was queued (cluster.c
/// `clusterBuildMessageHdr`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Header {
    /// The sender's name.
    pub sender: NodeId,
    /// Its currentEpoch.
    pub current_epoch: Epoch,
    /// Its own configEpoch; of a replica with a known master, the one it has recorded for that master.
    pub config_epoch: Epoch,
    /// Its replication offset in bytes.
    pub offset: u64,
    /// Its slots; of a replica with a known master, that master's as it sees them.
    pub slots: SlotSet,
    /// The master it follows. This, and not `flags`, tells the receiver its role.
    pub master: Option<NodeId>,
    /// The announced address: `ip` is empty unless configured (the receiver then takes the connection's).
    pub address: Address,
    /// Its own flags, MYSELF included.
    pub flags: Flags,
    /// Whether it sees the cluster as ok.
    pub state_ok: bool,
    /// mflags: it is a master that paused its clients for a manual failover.
    pub paused: bool,
    /// mflags: vote even though the master is up.
    pub force_ack: bool,
}

/// What follows the header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Body {
    /// PING, PONG or MEET.
    Heartbeat {
        /// Which of the three.
        kind: Heartbeat,
        /// What the sender tells of others.
        gossip: Vec<GossipEntry>,
        /// The sender's hostname extension.
        hostname: Option<Box<str>>,
    },
    /// This node is FAIL.
    Fail(NodeId),
    /// PUBLISH or PUBLISHSHARD.
    Publish {
        /// PUBLISHSHARD.
        sharded: bool,
        /// Channel name.
        channel: Box<[u8]>,
        /// Payload.
        message: Box<[u8]>,
    },
    /// A replica asks for a vote.
    AuthRequest,
    /// A vote.
    AuthAck,
    /// Ownership of another node, told to one whose claim is outdated.
    Update {
        /// The owner.
        node: NodeId,
        /// Its config epoch as the sender has it.
        config_epoch: Epoch,
        /// Its slots as the sender has them, without those it stopped claiming.
        slots: SlotSet,
    },
    /// A replica asks its master to pause for a manual failover.
    ManualFailoverStart,
    /// A message between modules. Delivered to nobody here: only the header is used.
    Module {
        /// The module's id, as its API has it (no byte order of the wire).
        id: [u8; 8],
        /// The module's own type of message.
        kind: u8,
        /// What it says.
        payload: Box<[u8]>,
    },
    /// A type of a later version, above those that are known. Only the header is used, and what follows it is not kept.
    Other(u16),
}

/// The three heartbeats. They differ in what the receiver answers, and in nothing that they carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Heartbeat {
    /// Asks for a PONG.
    Ping,
    /// The answer, or a broadcast.
    Pong,
    /// Asks for a PONG, and to be taken into the table.
    Meet,
}

/// One entry of a gossip section: what the sender says of a third node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GossipEntry {
    /// The node it is about.
    pub node: NodeId,
    /// Its address.
    pub address: Address,
    /// Its flags as the sender has them.
    pub flags: Flags,
    /// When the sender last pinged it, in seconds of the sender's clock. Opaque to the core, which writes 0; the shell fills it in.
    pub ping_sent: u32,
    /// When the sender last heard its PONG, in seconds. Opaque as above.
    pub pong_received: u32,
}

impl Message {
    /// Whose slots it tells, if `speaker` is who it comes from: the subject's of an UPDATE, else the speaker's.
    pub fn tells_slots_of(&self, speaker: Option<NodeId>) -> Option<NodeId> {
        match &self.body {
            Body::Update { node, .. } => Some(*node),
            _ => speaker,
        }
    }

    /// Whether this is a PING, PONG or MEET of kind `kind`.
    pub fn is_heartbeat(&self, kind: Heartbeat) -> bool {
        matches!(&self.body, Body::Heartbeat { kind: k, .. } if *k == kind)
    }
}
