//! Bytes of the cluster bus, protocol version 1 (bus-format.md; Redis `cluster.h` `clusterMsg`).
//!
//! Apart from the rest because nothing else knows offsets: here a frame becomes a [`Message`] once, with every check that
//! Redis and Debian's patched builds make on receipt (cluster.c `clusterProcessPacket`, 7.0:2120), and is not questioned again.
//! No length that a peer claims is believed before the bytes are there, and nothing is allocated on its word.
//!
//! What a value keeps of a packet is all that any receiver reads. Lost on the way from bytes to bytes are: unknown extensions,
//! the body of an unknown type, bytes behind the end of a text, gossip entries that no node can have sent
//! (see [`decode`]), the bit "extensions present" where there are none, and mflags that mean nothing.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use core::fmt;

pub use decode::{PacketError, decode};
pub use encode::{encode, encode_into};

use crate::message::{Body, Heartbeat, Message};

/// Bytes of the header, which every message has in full.
pub const HEADER_LEN: usize = 2256;

/// Bytes of one gossip entry.
pub const GOSSIP_LEN: usize = 104;

/// How many message types the statistics know: types `0..MESSAGE_TYPES`.
pub const MESSAGE_TYPES: usize = 11;

/// What CLUSTER INFO calls the types, by number (`cluster_stats_messages_NAME_sent`).
pub const TYPE_NAMES: [&str; MESSAGE_TYPES] = [
    "ping",
    "pong",
    "meet",
    "fail",
    "publish",
    "auth-req",
    "auth-ack",
    "update",
    "mfstart",
    "module",
    "publishshard",
];

const SIGNATURE: [u8; 4] = *b"RCmb";
const VERSION: u16 = 1;

/// Where the fields of the header are.
mod at {
    pub(super) const TOTLEN: usize = 4;
    pub(super) const VERSION: usize = 8;
    pub(super) const PORT: usize = 10;
    pub(super) const TYPE: usize = 12;
    pub(super) const COUNT: usize = 14;
    pub(super) const CURRENT_EPOCH: usize = 16;
    pub(super) const CONFIG_EPOCH: usize = 24;
    pub(super) const OFFSET: usize = 32;
    pub(super) const SENDER: usize = 40;
    pub(super) const SLOTS: usize = 80;
    pub(super) const MASTER: usize = 2128;
    pub(super) const IP: usize = 2168;
    pub(super) const EXTENSIONS: usize = 2214;
    pub(super) const PPORT: usize = 2246;
    pub(super) const CPORT: usize = 2248;
    pub(super) const FLAGS: usize = 2250;
    pub(super) const STATE: usize = 2252;
    pub(super) const MFLAGS: usize = 2253;
}

/// Where the fields of a gossip entry are; its name comes first.
mod gossip_at {
    pub(super) const PING_SENT: usize = 40;
    pub(super) const PONG_RECEIVED: usize = 44;
    pub(super) const IP: usize = 48;
    pub(super) const PORT: usize = 94;
    pub(super) const CPORT: usize = 96;
    pub(super) const FLAGS: usize = 98;
    pub(super) const PPORT: usize = 100;
}

const ID_LEN: usize = 40;
const IP_LEN: usize = 46;
const BITMAP_LEN: usize = 2048;
const EXTENSION_HEADER_LEN: usize = 8;
const EXTENSION_HOSTNAME: u16 = 0;

const MFLAG_PAUSED: u8 = 1;
const MFLAG_FORCE_ACK: u8 = 2;
const MFLAG_EXTENSIONS: u8 = 4;

/// The types, by number.
mod kind {
    pub(super) const PING: u16 = 0;
    pub(super) const PONG: u16 = 1;
    pub(super) const MEET: u16 = 2;
    pub(super) const FAIL: u16 = 3;
    pub(super) const PUBLISH: u16 = 4;
    pub(super) const AUTH_REQUEST: u16 = 5;
    pub(super) const AUTH_ACK: u16 = 6;
    pub(super) const UPDATE: u16 = 7;
    pub(super) const MFSTART: u16 = 8;
    pub(super) const MODULE: u16 = 9;
    pub(super) const PUBLISH_SHARD: u16 = 10;
}

/// How long the frame is that begins with `bytes`: nothing before its first 8 bytes are there, else its length, at least
/// [`HEADER_LEN`] and at most `maximum`. The link of a peer that gets this wrong is closed (cluster.c `clusterReadHandler`,
/// 7.0:2718, which has no maximum).
pub fn frame_length(bytes: &[u8], maximum: usize) -> Result<Option<usize>, FrameError> {
    let Some((signature, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let Some(totlen) = rest.first_chunk::<4>() else { return Ok(None) };
    if *signature != SIGNATURE {
        return Err(FrameError::Signature(*signature));
    }
    let totlen = u32::from_be_bytes(*totlen);
    match usize::try_from(totlen) {
        Ok(length) if length < HEADER_LEN => Err(FrameError::TooShort(totlen)),
        Ok(length) if length <= maximum => Ok(Some(length)),
        _ => Err(FrameError::TooLong { totlen, maximum }),
    }
}

/// The type of the message in `bytes`, for statistics: they count a message before it is checked, where the type is below
/// [`MESSAGE_TYPES`]. Nothing if `bytes` is no whole header.
pub fn packet_type(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk::<HEADER_LEN>().map(|header| u16::from_be_bytes(take(header, at::TYPE)))
}

impl Message {
    /// The number of its type on the wire, an index into [`TYPE_NAMES`] where it is below [`MESSAGE_TYPES`].
    pub fn type_number(&self) -> u16 {
        match &self.body {
            Body::Heartbeat { kind: Heartbeat::Ping, .. } => kind::PING,
            Body::Heartbeat { kind: Heartbeat::Pong, .. } => kind::PONG,
            Body::Heartbeat { kind: Heartbeat::Meet, .. } => kind::MEET,
            Body::Fail(_) => kind::FAIL,
            Body::Publish { sharded: false, .. } => kind::PUBLISH,
            Body::AuthRequest => kind::AUTH_REQUEST,
            Body::AuthAck => kind::AUTH_ACK,
            Body::Update { .. } => kind::UPDATE,
            Body::ManualFailoverStart => kind::MFSTART,
            Body::Module { .. } => kind::MODULE,
            Body::Publish { sharded: true, .. } => kind::PUBLISH_SHARD,
            Body::Other(number) => *number,
        }
    }
}

/// Why a stream of bytes is not one of the cluster bus. The link is to be closed: no later byte can be made sense of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The first four bytes are not `RCmb`.
    Signature([u8; 4]),
    /// `totlen` is less than a header.
    TooShort(u32),
    /// `totlen` is more than the caller takes.
    TooLong {
        /// What the frame claims, in bytes.
        totlen: u32,
        /// What the caller allows, in bytes.
        maximum: usize,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature(bytes) => {
                write!(
                    f,
                    "not a cluster bus message: it begins with \"{}\" instead of \"RCmb\"",
                    bytes.escape_ascii()
                )
            }
            Self::TooShort(totlen) => {
                write!(f, "a cluster bus message of {totlen} bytes, less than its header of {HEADER_LEN}")
            }
            Self::TooLong { totlen, maximum } => {
                write!(f, "a cluster bus message of {totlen} bytes, more than the {maximum} that are taken")
            }
        }
    }
}

impl core::error::Error for FrameError {}

/// The `N` bytes at `from`. The caller knows that they are there.
fn take<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[from..from + N]);
    out
}
