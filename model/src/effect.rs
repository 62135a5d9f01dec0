//! Everything a node can ask its shell to do.

use crate::id::NodeId;
use crate::input::{Delay, Timer};
use crate::message::Message;
use crate::slot::Slot;

/// One thing to do. Effects are executed in order, before the next input is taken.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Effect {
    /// Write nodes.conf ([`crate::NodeState::saved`] as it is after the step). With `fsync` it is durable before any
    /// later effect is executed. At most one a step, ahead of all others.
    Persist {
        /// Durable against power loss, or only against the end of the process.
        fsync: bool,
    },
    /// Queue a message. Where there is no such link, it is silently not sent. A PING on an outbound link starts the wait for its PONG.
    Send {
        /// On which link.
        to: To,
        /// What.
        message: Box<Message>,
    },
    /// Close my connection to this peer, if there is one. It is opened again by the cron while the peer is in the table.
    Disconnect(NodeId),
    /// The inbound connection of this input belongs to this node from now on; an older inbound connection of it is closed.
    TieInbound(NodeId),
    /// The node in handshake under the first name bears the second from now on: its link and stamps move.
    Rename {
        /// The placeholder.
        from: NodeId,
        /// The name.
        to: NodeId,
    },
    /// The node left the table: drop its links and stamps.
    Removed(NodeId),
    /// Start a timer, or start it anew.
    Arm {
        /// Which.
        timer: Timer,
        /// For how long.
        delay: Delay,
    },
    /// Stop a timer.
    Cancel(Timer),
    /// Take over a time stamp about a node.
    Stamp {
        /// About which node.
        node: NodeId,
        /// Which.
        stamp: Stamp,
    },
    /// Delete all keys of a slot that was lost to another node (cluster.c `delKeysInSlot`). The first answer of the
    /// keyspace said that there are some.
    DropKeys(Slot),
    /// Delete the whole data set (RESET of a replica).
    FlushAll,
    /// Follow this master's data set, or nobody's.
    Replicate(Option<NodeId>),
    /// What [`crate::RouteTable`] is built from changed.
    RoutesChanged,
    /// The cluster state, as this node sees it, changed.
    StateChanged {
        /// To ok, or to fail.
        ok: bool,
    },
    /// A message of another node for the local subscribers.
    Deliver {
        /// Of a shard channel.
        sharded: bool,
        /// Channel name.
        channel: Box<[u8]>,
        /// Payload.
        message: Box<[u8]>,
    },
    /// Answer the command of this input.
    Reply(Reply),
}

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum To {
    /// My connection to this peer.
    Outbound(NodeId),
    /// The connection on which the message of this input came.
    SameLink,
}

/// A time stamp that lives in the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Stamp {
    /// A PONG came: pong_received = now, and no ping is pending.
    PongReceived,
    /// Adopt a pong time told by gossip, in seconds.
    PongAdopted(u32),
    /// It is FAIL since now.
    Failed,
    /// I finished an import from it now.
    TookOver,
}

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Reply {
    /// `+OK`.
    Ok,
    /// A status line, without the `+`.
    Status(Box<str>),
    /// An error, without `-ERR `.
    Error(Box<str>),
}

/// The effects of one step, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Effects(pub Vec<Effect>);

impl Effects {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The answer among them, if the input was a command.
    pub fn reply(&self) -> Option<&Reply> {
        self.0.iter().find_map(|e| if let Effect::Reply(r) = e { Some(r) } else { None })
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.0.push(effect);
    }
}
