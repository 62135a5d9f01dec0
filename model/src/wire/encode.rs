//! From a message to its bytes (cluster.c `clusterBuildMessageHdr`, 7.0:2834, and the senders of each type).

use super::{
    EXTENSION_HEADER_LEN, EXTENSION_HOSTNAME, GOSSIP_LEN, HEADER_LEN, IP_LEN, MFLAG_EXTENSIONS,
    MFLAG_FORCE_ACK, MFLAG_PAUSED, SIGNATURE, VERSION, at, gossip_at,
};
use crate::address::MAX_IP_LEN;
use crate::message::{Body, GossipEntry, Header, Message};
use crate::slot::{SLOTS, SlotSet};

/// The bytes of `message`.
///
/// # Panics
/// When a published message is so long that its length does not fit 32 bits; no client's request is.
pub fn encode(message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN + body_room(&message.body));
    encode_into(message, &mut out);
    out
}

/// Appends the bytes of `message` to `out`. Never more than 65535 gossip entries, or 45 bytes of an `ip`, are written: the
/// wire has no room for more.
///
/// # Panics
/// As [`encode`].
pub fn encode_into(message: &Message, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + HEADER_LEN, 0);
    let (mut count, mut extensions) = (0u16, 0u16);
    match &message.body {
        Body::Heartbeat { gossip, hostname, .. } => {
            for entry in gossip.iter().take(usize::from(u16::MAX)) {
                write_gossip(out, entry);
                count += 1;
            }
            if let Some(hostname) = hostname {
                write_hostname(out, hostname);
                extensions = 1;
            }
        }
        Body::Fail(node) => out.extend(node.as_bytes()),
        Body::Publish { channel, message, .. } => {
            out.extend(length_of(channel).to_be_bytes());
            out.extend(length_of(message).to_be_bytes());
            out.extend(channel);
            out.extend(message);
        }
        Body::Update { node, config_epoch, slots } => {
            out.extend(config_epoch.0.to_be_bytes());
            out.extend(node.as_bytes());
            write_slots(out, slots);
        }
        Body::Module { id, kind, payload } => {
            out.extend(id);
            out.extend(length_of(payload).to_be_bytes());
            out.push(*kind);
            out.extend(payload);
        }
        Body::AuthRequest | Body::AuthAck | Body::ManualFailoverStart | Body::Other(_) => {}
    }
    let totlen = length_of(&out[start..]);
    let header = &mut out[start..start + HEADER_LEN];
    write_header(header, &message.header);
    put(header, 0, &SIGNATURE);
    put(header, at::TOTLEN, &totlen.to_be_bytes());
    put(header, at::VERSION, &VERSION.to_be_bytes());
    put(header, at::TYPE, &message.type_number().to_be_bytes());
    put(header, at::COUNT, &count.to_be_bytes());
    put(header, at::EXTENSIONS, &extensions.to_be_bytes());
    if extensions > 0 {
        header[at::MFLAGS] |= MFLAG_EXTENSIONS;
    }
}

fn write_header(out: &mut [u8], header: &Header) {
    put(out, at::PORT, &header.address.port.to_be_bytes());
    put(out, at::CURRENT_EPOCH, &header.current_epoch.0.to_be_bytes());
    put(out, at::CONFIG_EPOCH, &header.config_epoch.0.to_be_bytes());
    put(out, at::OFFSET, &header.offset.to_be_bytes());
    put(out, at::SENDER, header.sender.as_bytes());
    for (bytes, word) in out[at::SLOTS..at::MASTER].chunks_exact_mut(8).zip(header.slots.words()) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    if let Some(master) = &header.master {
        put(out, at::MASTER, master.as_bytes());
    }
    put(out, at::IP, ip_bytes(&header.address.ip));
    put(out, at::PPORT, &header.address.pport.to_be_bytes());
    put(out, at::CPORT, &header.address.cport.to_be_bytes());
    put(out, at::FLAGS, &header.flags.0.to_be_bytes());
    out[at::STATE] = u8::from(!header.state_ok);
    out[at::MFLAGS] =
        if header.paused { MFLAG_PAUSED } else { 0 } | if header.force_ack { MFLAG_FORCE_ACK } else { 0 };
}

fn write_gossip(out: &mut Vec<u8>, entry: &GossipEntry) {
    let mut bytes = [0; GOSSIP_LEN];
    put(&mut bytes, 0, entry.node.as_bytes());
    put(&mut bytes, gossip_at::PING_SENT, &entry.ping_sent.to_be_bytes());
    put(&mut bytes, gossip_at::PONG_RECEIVED, &entry.pong_received.to_be_bytes());
    put(&mut bytes, gossip_at::IP, ip_bytes(&entry.address.ip));
    put(&mut bytes, gossip_at::PORT, &entry.address.port.to_be_bytes());
    put(&mut bytes, gossip_at::CPORT, &entry.address.cport.to_be_bytes());
    put(&mut bytes, gossip_at::FLAGS, &entry.flags.0.to_be_bytes());
    put(&mut bytes, gossip_at::PPORT, &entry.address.pport.to_be_bytes());
    out.extend(bytes);
}

/// The extension with the hostname: at least one zero byte behind it, and up to a multiple of 8.
fn write_hostname(out: &mut Vec<u8>, hostname: &str) {
    let padded = (hostname.len() + 1).next_multiple_of(8);
    let length = u32::try_from(EXTENSION_HEADER_LEN + padded).expect("a hostname is short");
    out.extend(length.to_be_bytes());
    out.extend(EXTENSION_HOSTNAME.to_be_bytes());
    out.extend([0; 2]);
    out.extend(hostname.as_bytes());
    out.resize(out.len() + padded - hostname.len(), 0);
}

/// The bitmap of the wire: slot `s` at bit `s % 8` of byte `s / 8`, which is a little-endian word. A small world's set is
/// filled up with zeros.
fn write_slots(out: &mut Vec<u8>, slots: &SlotSet) {
    let words = slots.words().iter().copied().chain(core::iter::repeat(0));
    for word in words.take(usize::from(SLOTS) / 64) {
        out.extend(word.to_le_bytes());
    }
}

/// At most 45 bytes, so that one of the 46 stays zero.
fn ip_bytes(ip: &str) -> &[u8] {
    const { assert!(MAX_IP_LEN < IP_LEN, "an address ends in a zero byte") };
    &ip.as_bytes()[..ip.len().min(MAX_IP_LEN)]
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("a bus message is shorter than 4 GiB")
}

/// About as many bytes as the body takes.
fn body_room(body: &Body) -> usize {
    match body {
        Body::Heartbeat { gossip, hostname, .. } => {
            GOSSIP_LEN * gossip.len() + hostname.as_ref().map_or(0, |h| h.len() + 16)
        }
        Body::Publish { channel, message, .. } => 8 + channel.len() + message.len(),
        Body::Update { .. } => 8 + 40 + 2048,
        Body::Module { payload, .. } => 13 + payload.len(),
        Body::Fail(_) => 40,
        Body::AuthRequest | Body::AuthAck | Body::ManualFailoverStart | Body::Other(_) => 0,
    }
}
