//! Everything that can happen to a node.

use crate::command::Command;
use crate::id::NodeId;
use crate::message::Message;

/// One thing that happened. [`crate::NodeState::step`] takes it, together with what the shell knows and the
/// core does not: answers to comparisons of clocks, and rolled dice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Input {
    /// The node starts, its configuration read and its data set loaded. The first input of every life.
    Start,
    /// A bus message arrived.
    Receive {
        /// On which connection.
        link: Link,
        /// The message, well formed.
        message: Box<Message>,
        /// What the shell knows about its arrival.
        receipt: Receipt,
        /// For the gossip of an answer, and the placeholder name of a stranger.
        dice: Dice,
    },
    /// My connection to this peer (a placeholder name during a handshake) is established.
    LinkUp {
        /// The peer.
        peer: NodeId,
        /// For the gossip of the first PING or MEET.
        dice: Dice,
    },
    /// This peer is due for a PING on my connection to it (by the pace of cluster.c `clusterCron`).
    HeartbeatDue {
        /// The peer.
        to: NodeId,
        /// For the gossip.
        dice: Dice,
    },
    /// A timer that was armed ran out.
    Timer(Timer),
    /// An operator's CLUSTER command.
    Command {
        /// The command, parsed.
        command: Command,
        /// For broadcasts, placeholder names and the new name of RESET HARD.
        dice: Dice,
    },
    /// The configuration is another one from this step on.
    Reconfigured,
    /// Work put off by earlier inputs, as an input of its own. Only where [`crate::Config`] asks for the
    /// split; else every step ends with this work.
    BeforeSleep,
    /// A client publishes a message, which the nodes that are to have it get.
    Publish {
        /// To a shard channel.
        sharded: bool,
        /// Channel name.
        channel: Box<[u8]>,
        /// Payload.
        message: Box<[u8]>,
    },
}

/// The connection on which a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Link {
    /// The one I opened to this peer (a placeholder name during a handshake).
    Outbound(NodeId),
    /// One that was opened to me, and the node it is tied to: the first known sender on it.
    Inbound(Option<NodeId>),
}

/// What the shell knows about the arrival of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Receipt {
    /// The peer's address on this connection.
    pub from_ip: Box<str>,
    /// My address on this connection.
    pub local_ip: Box<str>,
    /// Whether the sender, if FAIL here, has been so for more than 2 x node timeout (a node learned as
    /// FAIL by gossip counts as such for ever).
    pub fail_expired: bool,
    /// Whether it is longer than the node timeout ago that I finished an import from the node whose slots are told: the sender, or the
    /// subject of an UPDATE.
    pub import_settled: bool,
    /// For each gossip entry: no ping of mine to that node is pending, and the entry's pong is newer than
    /// mine and at most 500 ms in the future. Missing entries count as no.
    pub pong_news: Vec<bool>,
}

/// A random choice, made by the shell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Dice {
    /// 128 bits that the shell rolled; picks and names are expanded from them.
    Roll(u128),
    /// The least choice: no random gossip entry, and the smallest free name of the reserved range
    /// (`hhh...00`, which no hex name can equal). The world adds its own picks at delivery.
    #[default]
    Least,
}

/// A named timer. The core arms and cancels it by an effect; the shell keeps the time. Arming one that is
/// armed starts it anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Timer {
    /// A ping of mine to this peer is pending and nothing was heard from it, both for longer than the node
    /// timeout. Never armed by an effect: the shell has the stamps, and fires it at each cron for which
    /// this holds.
    PongOverdue(NodeId),
    /// The handshake with this placeholder is too old.
    HandshakeExpires(NodeId),
    /// A failure report is too old.
    ReportExpires {
        /// The suspected node.
        subject: NodeId,
        /// Who reported it.
        reporter: NodeId,
    },
    /// A forgotten node may be learned again.
    BlacklistExpires(NodeId),
    /// The first two seconds, in which a master does not leave the state FAIL.
    StartupDelay,
    /// The time for which a master that was in the minority stays in the state FAIL.
    RejoinDelay,
}

/// How long a timer runs, in terms of the node timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Delay {
    /// max(node timeout, 1000 ms).
    Handshake,
    /// 2 x node timeout (`CLUSTER_FAIL_REPORT_VALIDITY_MULT`).
    ReportValidity,
    /// 60 s (`CLUSTER_BLACKLIST_TTL`).
    Blacklist,
    /// 2000 ms (`CLUSTER_WRITABLE_DELAY`).
    Startup,
    /// Node timeout, at least 500 and at most 5000 ms.
    Rejoin,
}

impl Delay {
    /// In milliseconds, for a node timeout in milliseconds.
    pub fn millis(self, node_timeout_ms: u64) -> u64 {
        match self {
            Self::Handshake => node_timeout_ms.max(1000),
            Self::ReportValidity => node_timeout_ms.saturating_mul(2),
            Self::Blacklist => 60_000,
            Self::Startup => 2_000,
            Self::Rejoin => node_timeout_ms.clamp(500, 5_000),
        }
    }
}
