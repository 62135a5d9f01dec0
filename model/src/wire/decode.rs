//! From bytes to a message, with every check on receipt (bus-format.md "Checks on receipt").

use core::fmt;

use super::{
    BITMAP_LEN, EXTENSION_HEADER_LEN, EXTENSION_HOSTNAME, GOSSIP_LEN, HEADER_LEN, ID_LEN, IP_LEN,
    MFLAG_EXTENSIONS, MFLAG_FORCE_ACK, MFLAG_PAUSED, VERSION, at, gossip_at, kind, take,
};
use crate::address::{Address, Flags, MAX_HOSTNAME_LEN, MAX_IP_LEN, is_host_text};
use crate::id::{Epoch, NodeId};
use crate::message::{Body, GossipEntry, Header, Heartbeat, Message};
use crate::slot::SlotSet;

/// The message in `bytes`, which is one whole frame as [`frame_length`](super::frame_length) found it.
///
/// Where Redis 7.0 as tagged looks at less than this, no well-formed packet is treated differently:
/// - Everything that is counted must be there: gossip entries, extension headers, extensions; sums are of 64 bits.
/// - Names must be names. A wrong one in the header (sender, master), a FAIL or an UPDATE drops the packet. A gossip entry with
///   a wrong name or address, or with the flag `myself`, is left out, and the rest is used: it may be another node's lie that an
///   honest peer passes on (7.0 takes it in as it is, and could not read its own nodes.conf again).
/// - Nobody is master and replica: a header that says so drops the packet, such a gossip entry is left out. (7.0 takes both in.)
/// - An announced address and a hostname are visible ASCII that nodes.conf can hold, the hostname of at most 255 bytes, as
///   the directive has it, or the packet is dropped.
/// - `extensions` means nothing without its bit in mflags. Unknown extensions are skipped; of several hostnames the last counts.
/// - An unknown type is well formed whatever follows its header.
pub fn decode(bytes: &[u8]) -> Result<Message, PacketError> {
    let Some((header, body)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return Err(PacketError::NoHeader { given: bytes.len() });
    };
    let totlen = u32::from_be_bytes(take(header, at::TOTLEN));
    if usize::try_from(totlen) != Ok(bytes.len()) {
        return Err(PacketError::Framing { totlen, given: bytes.len() });
    }
    let version = u16::from_be_bytes(take(header, at::VERSION));
    if version != VERSION {
        return Err(PacketError::Version(version));
    }
    let number = u16::from_be_bytes(take(header, at::TYPE));
    let body = read_body(number, header, body)?;
    Ok(Message { header: read_header(header)?, body })
}

fn read_header(header: &[u8; HEADER_LEN]) -> Result<Header, PacketError> {
    let master: [u8; ID_LEN] = take(header, at::MASTER);
    let flags = Flags(u16::from_be_bytes(take(header, at::FLAGS)));
    if flags.has_two_roles() {
        return Err(PacketError::TwoRoles);
    }
    Ok(Header {
        sender: name(&header[at::SENDER..at::SENDER + ID_LEN], "sender")?,
        current_epoch: Epoch(u64::from_be_bytes(take(header, at::CURRENT_EPOCH))),
        config_epoch: Epoch(u64::from_be_bytes(take(header, at::CONFIG_EPOCH))),
        offset: u64::from_be_bytes(take(header, at::OFFSET)),
        slots: slots(&header[at::SLOTS..at::SLOTS + BITMAP_LEN]),
        master: if master == [0; ID_LEN] { None } else { Some(name(&master, "master")?) },
        address: Address {
            ip: ip(&header[at::IP..at::IP + IP_LEN]).ok_or(PacketError::Address)?.into(),
            port: u16::from_be_bytes(take(header, at::PORT)),
            pport: u16::from_be_bytes(take(header, at::PPORT)),
            cport: u16::from_be_bytes(take(header, at::CPORT)),
        },
        flags,
        state_ok: header[at::STATE] == 0,
        paused: header[at::MFLAGS] & MFLAG_PAUSED != 0,
        force_ack: header[at::MFLAGS] & MFLAG_FORCE_ACK != 0,
    })
}

fn read_body(number: u16, header: &[u8; HEADER_LEN], body: &[u8]) -> Result<Body, PacketError> {
    let whole = |expected: u64| {
        if expected == body.len() as u64 {
            Ok(())
        } else {
            Err(PacketError::Length { number, expected, given: body.len() })
        }
    };
    match number {
        kind::PING => read_heartbeat(Heartbeat::Ping, header, body),
        kind::PONG => read_heartbeat(Heartbeat::Pong, header, body),
        kind::MEET => read_heartbeat(Heartbeat::Meet, header, body),
        kind::FAIL => {
            whole(ID_LEN as u64)?;
            Ok(Body::Fail(name(body, "failing node")?))
        }
        kind::PUBLISH | kind::PUBLISH_SHARD => {
            let Some((lengths, text)) = body.split_first_chunk::<8>() else {
                return Err(PacketError::Length { number, expected: 8, given: body.len() });
            };
            let channel = u32::from_be_bytes(take(lengths, 0));
            let message = u32::from_be_bytes(take(lengths, 4));
            whole(8 + u64::from(channel) + u64::from(message))?;
            let (channel, message) = text.split_at(channel as usize);
            let sharded = number == kind::PUBLISH_SHARD;
            Ok(Body::Publish { sharded, channel: channel.into(), message: message.into() })
        }
        kind::AUTH_REQUEST => whole(0).map(|()| Body::AuthRequest),
        kind::AUTH_ACK => whole(0).map(|()| Body::AuthAck),
        kind::MFSTART => whole(0).map(|()| Body::ManualFailoverStart),
        kind::UPDATE => {
            whole((8 + ID_LEN + BITMAP_LEN) as u64)?;
            let (epoch, rest) = body.split_at(8);
            let (node, bitmap) = rest.split_at(ID_LEN);
            Ok(Body::Update {
                node: name(node, "owner")?,
                config_epoch: Epoch(u64::from_be_bytes(take(epoch, 0))),
                slots: slots(bitmap),
            })
        }
        kind::MODULE => {
            let Some((fixed, payload)) = body.split_first_chunk::<13>() else {
                return Err(PacketError::Length { number, expected: 13, given: body.len() });
            };
            whole(13 + u64::from(u32::from_be_bytes(take(fixed, 8))))?;
            Ok(Body::Module { id: take(fixed, 0), kind: fixed[12], payload: payload.into() })
        }
        _ => Ok(Body::Other(number)),
    }
}

fn read_heartbeat(kind: Heartbeat, header: &[u8; HEADER_LEN], body: &[u8]) -> Result<Body, PacketError> {
    let count = u16::from_be_bytes(take(header, at::COUNT));
    let Some((entries, mut rest)) = body.split_at_checked(usize::from(count) * GOSSIP_LEN) else {
        return Err(PacketError::Gossip { count, room: body.len() });
    };
    let announced = header[at::MFLAGS] & MFLAG_EXTENSIONS != 0;
    let extensions = if announced { u16::from_be_bytes(take(header, at::EXTENSIONS)) } else { 0 };
    let mut hostname = None;
    for _ in 0..extensions {
        let (extension, data, behind) = read_extension(rest)?;
        if extension == EXTENSION_HOSTNAME {
            hostname = read_hostname(data)?;
        }
        rest = behind;
    }
    if !rest.is_empty() {
        return Err(PacketError::Trailing(rest.len()));
    }
    let gossip = entries.as_chunks::<GOSSIP_LEN>().0.iter().filter_map(read_gossip).collect();
    Ok(Body::Heartbeat { kind, gossip, hostname })
}

/// The type and the data of the first extension in `bytes`, and what is behind it.
fn read_extension(bytes: &[u8]) -> Result<(u16, &[u8], &[u8]), PacketError> {
    let Some(head) = bytes.first_chunk::<EXTENSION_HEADER_LEN>() else {
        return Err(PacketError::ExtensionHeader { room: bytes.len() });
    };
    let length = u32::from_be_bytes(take(head, 0));
    if length % 8 != 0 || (length as usize) < EXTENSION_HEADER_LEN {
        return Err(PacketError::ExtensionLength(length));
    }
    let Some((extension, behind)) = bytes.split_at_checked(length as usize) else {
        return Err(PacketError::ExtensionRoom { length, room: bytes.len() });
    };
    Ok((u16::from_be_bytes(take(head, 4)), &extension[EXTENSION_HEADER_LEN..], behind))
}

/// The text up to the first zero byte; the last byte must be one. An empty one is none.
fn read_hostname(data: &[u8]) -> Result<Option<Box<str>>, PacketError> {
    if data.last() != Some(&0) {
        return Err(PacketError::Hostname);
    }
    let text = until_zero(data);
    if !is_host_text(text) || text.len() > MAX_HOSTNAME_LEN {
        return Err(PacketError::Hostname);
    }
    let text = core::str::from_utf8(text).map_err(|_| PacketError::Hostname)?;
    Ok(if text.is_empty() { None } else { Some(text.into()) })
}

/// An entry, or nothing if no node can have meant it.
fn read_gossip(entry: &[u8; GOSSIP_LEN]) -> Option<GossipEntry> {
    let flags = Flags(u16::from_be_bytes(take(entry, gossip_at::FLAGS)));
    if flags.any(Flags::MYSELF) || flags.has_two_roles() {
        return None;
    }
    Some(GossipEntry {
        node: NodeId::parse(&entry[..ID_LEN]).ok()?,
        address: Address {
            ip: ip(&entry[gossip_at::IP..gossip_at::IP + IP_LEN])?.into(),
            port: u16::from_be_bytes(take(entry, gossip_at::PORT)),
            pport: u16::from_be_bytes(take(entry, gossip_at::PPORT)),
            cport: u16::from_be_bytes(take(entry, gossip_at::CPORT)),
        },
        flags,
        ping_sent: u32::from_be_bytes(take(entry, gossip_at::PING_SENT)),
        pong_received: u32::from_be_bytes(take(entry, gossip_at::PONG_RECEIVED)),
    })
}

fn name(bytes: &[u8], field: &'static str) -> Result<NodeId, PacketError> {
    NodeId::parse(bytes).map_err(|_| PacketError::Name(field))
}

/// The address up to the first zero byte; the last of the 46 bytes is taken for one, as Redis does.
fn ip(bytes: &[u8]) -> Option<&str> {
    let text = until_zero(&bytes[..MAX_IP_LEN]);
    if is_host_text(text) { core::str::from_utf8(text).ok() } else { None }
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}

fn slots(bitmap: &[u8]) -> SlotSet {
    SlotSet::from_words(bitmap.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect())
}

/// Why a packet is dropped. The link stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// Fewer bytes than a header.
    NoHeader {
        /// Bytes there.
        given: usize,
    },
    /// These bytes are not one frame.
    Framing {
        /// What the header claims, in bytes.
        totlen: u32,
        /// Bytes there.
        given: usize,
    },
    /// Another version of the protocol. Redis says nothing about it (see [`PacketError::is_silent`]).
    Version(u16),
    /// The body is not as long as its type, or a length in it, asks for.
    Length {
        /// The type.
        number: u16,
        /// Bytes of the body that were expected (at least, where a length in it could not be read).
        expected: u64,
        /// Bytes there.
        given: usize,
    },
    /// The gossip entries do not fit.
    Gossip {
        /// Entries claimed.
        count: u16,
        /// Bytes behind the header.
        room: usize,
    },
    /// The header of an extension does not fit.
    ExtensionHeader {
        /// Bytes left.
        room: usize,
    },
    /// The length of an extension is below 8, or no multiple of 8.
    ExtensionLength(u32),
    /// An extension does not fit.
    ExtensionRoom {
        /// Bytes claimed.
        length: u32,
        /// Bytes left.
        room: usize,
    },
    /// A hostname that is not ended by a zero byte, is not a text, or is longer than one can be.
    Hostname,
    /// So many bytes are left behind the last extension.
    Trailing(usize),
    /// A field that should hold a node's name does not.
    Name(&'static str),
    /// The announced address is no text.
    Address,
    /// The sender says that it is a master and a replica.
    TwoRoles,
}

impl PacketError {
    /// Whether the packet is dropped without a line in the log.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Version(_))
    }
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader { given } => write!(f, "{given} bytes, less than a header of {HEADER_LEN}"),
            Self::Framing { totlen, given } => {
                write!(f, "the packet claims {totlen} bytes, and there are {given}")
            }
            Self::Version(version) => write!(f, "protocol version {version}, not {VERSION}"),
            Self::Length { number, expected, given } => {
                write!(
                    f,
                    "a packet of type {number} with {given} bytes behind its header, {expected} expected"
                )
            }
            Self::Gossip { count, room } => {
                write!(f, "{count} gossip entries do not fit the {room} bytes behind the header")
            }
            Self::ExtensionHeader { room } => {
                write!(f, "a ping extension is announced, and only {room} bytes are left")
            }
            Self::ExtensionLength(length) => {
                write!(f, "a ping extension of {length} bytes, which is below 8 or no multiple of 8")
            }
            Self::ExtensionRoom { length, room } => {
                write!(f, "a ping extension of {length} bytes, and only {room} are left")
            }
            Self::Hostname => {
                write!(
                    f,
                    "a hostname extension without a text of at most {MAX_HOSTNAME_LEN} bytes that a zero byte ends"
                )
            }
            Self::Trailing(bytes) => write!(f, "{bytes} bytes behind the last gossip entry and extension"),
            Self::Name(field) => write!(f, "the name of the {field} is not 40 characters of a-z and 0-9"),
            Self::Address => f.write_str("the announced address is no text"),
            Self::TwoRoles => f.write_str("the sender says that it is both master and replica"),
        }
    }
}

impl core::error::Error for PacketError {}
