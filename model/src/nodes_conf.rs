//! nodes.conf as text: written in the format of Redis 7.0, read in that of 7.0 and later (bus-format.md "nodes.conf";
//! cluster.c `clusterLoadConfig`, 7.0:138, `clusterSaveConfig`, 7.0:414).
//!
//! Files and locks are the shell's. What a node becomes that starts with what was read is
//! [`NodeState::from_saved`](crate::NodeState::from_saved).

use core::fmt;
use std::collections::BTreeMap;

use crate::address::{Address, Flags, MAX_IP_LEN, is_host_text};
use crate::id::{Epoch, NodeId};
use crate::node_line::{NodeLine, Stamps};
use crate::slot::{SLOTS, Slot, SlotSet};
use crate::state::{Saved, SavedNode};
use crate::words::split_words;

/// The text of the file.
pub fn render(saved: &Saved, stamps: &impl Stamps) -> String {
    let mut out = String::new();
    for node in &saved.nodes {
        let is_me = node.id == saved.me;
        let line = NodeLine {
            id: &node.id,
            ip: &node.address.ip,
            port: node.address.port,
            cport: node.address.cport,
            hostname: node.hostname.as_deref(),
            flags: node.flags.set(Flags::MYSELF, is_me),
            master: node.master.as_ref(),
            epoch: node.config_epoch,
            slots: &node.slots,
            open: is_me.then_some((&saved.migrating, &saved.importing)),
        };
        line.write(stamps, &mut out);
        out.push('\n');
    }
    let (current, vote) = (saved.current_epoch, saved.last_vote_epoch);
    out.push_str(&format!("vars currentEpoch {current} lastVoteEpoch {vote}\n"));
    out
}

/// Reads a file; nothing from an empty one, which makes a new node.
///
/// As the loader of 7.0, with these differences: numbers must be numbers; a node listed twice, a node that is its own master and
/// one that is master and replica are errors; a line of a node in handshake, which Redis never writes, is checked and left out; addresses and hostnames
/// are such as a message can carry. Of the address field since 7.2, the auxiliary values behind the hostname are skipped. A slot
/// listed twice belongs to the first line, a master without a line of its own is left to be made.
pub fn parse(text: &[u8]) -> Result<Option<Loaded>, LoadError> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut loader = Loader {
        nodes: BTreeMap::new(),
        me: None,
        taken: SlotSet::new(SLOTS),
        current_epoch: Epoch::ZERO,
        last_vote_epoch: Epoch::ZERO,
        migrating: BTreeMap::new(),
        importing: BTreeMap::new(),
    };
    for (i, line) in text.split(|&b| b == b'\n').enumerate() {
        loader.line(line).map_err(|problem| LoadError { line: Some(i + 1), problem })?;
    }
    loader.finish().map(Some)
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What the core starts with.
    pub saved: Saved,
    /// What stood there beside it, for each node of `saved`.
    pub beside: BTreeMap<NodeId, Beside>,
}

/// What a line tells beside the saved state. On loading, Redis makes a stamp that is not 0 the current time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// PING-SENT in ms.
    pub ping_sent_ms: u64,
    /// PONG-RECEIVED in ms.
    pub pong_received_ms: u64,
    /// LINK-STATE was `connected`. The loader of Redis does not look at it.
    pub connected: bool,
}

impl Stamps for Loaded {
    fn ping_sent_ms(&self, node: &NodeId) -> u64 {
        self.beside.get(node).map_or(0, |b| b.ping_sent_ms)
    }

    fn pong_received_ms(&self, node: &NodeId) -> u64 {
        self.beside.get(node).map_or(0, |b| b.pong_received_ms)
    }

    fn connected(&self, node: &NodeId) -> bool {
        self.beside.get(node).is_some_and(|b| b.connected)
    }
}

/// What is wrong with a file. Redis then logs "Unrecoverable error: corrupted cluster config file" and exits with status 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// The line, from 1, if it is one.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

impl core::error::Error for LoadError {}

struct Loader {
    nodes: BTreeMap<NodeId, (SavedNode, Beside)>,
    me: Option<NodeId>,
    taken: SlotSet,
    current_epoch: Epoch,
    last_vote_epoch: Epoch,
    migrating: BTreeMap<Slot, NodeId>,
    importing: BTreeMap<Slot, NodeId>,
}

impl Loader {
    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let words = split_words(line).ok_or("a quote that is not closed, or ends within a word")?;
        match words.split_first() {
            None => Ok(()),
            Some((first, rest)) if first.eq_ignore_ascii_case(b"vars") => self.vars(rest),
            Some(_) => self.node(&words),
        }
    }

    fn vars(&mut self, words: &[Vec<u8>]) -> Result<(), String> {
        for pair in words.chunks(2) {
            let [name, value] = pair else {
                return Err(format!("vars: {} has no value", shown(&pair[0])));
            };
            if name.eq_ignore_ascii_case(b"currentEpoch") {
                self.current_epoch = Epoch(number(value, "currentEpoch")?);
            } else if name.eq_ignore_ascii_case(b"lastVoteEpoch") {
                self.last_vote_epoch = Epoch(number(value, "lastVoteEpoch")?);
            }
        }
        Ok(())
    }

    fn node(&mut self, words: &[Vec<u8>]) -> Result<(), String> {
        let [id, address, flags, master, ping, pong, epoch, link, slots @ ..] = words else {
            return Err(format!("{} words, a node takes at least 8", words.len()));
        };
        let id = node_id(id)?;
        let (address, hostname) = parse_address(address)?;
        let flags = parse_flags(flags)?;
        let master = if master == b"-" { None } else { Some(node_id(master)?) };
        if master == Some(id) {
            return Err(format!("node {id} is its own master"));
        }
        if flags.any(Flags::MYSELF) && self.me.replace(id).is_some() {
            return Err("a second node with the flag myself".into());
        }
        let beside = Beside {
            ping_sent_ms: number(ping, "ping time")?,
            pong_received_ms: number(pong, "pong time")?,
            connected: link == b"connected",
        };
        let config_epoch = Epoch(number(epoch, "config epoch")?);
        let slots = self.slots(slots)?;
        let in_handshake = flags.any(Flags::HANDSHAKE) && !flags.any(Flags::MYSELF);
        let flags = flags.without(Flags::HANDSHAKE);
        let node = SavedNode { id, address, hostname, flags, master, config_epoch, slots };
        if !in_handshake && self.nodes.insert(id, (node, beside)).is_some() {
            return Err(format!("node {id} is listed twice"));
        }
        Ok(())
    }

    /// The slots of a line that no earlier line has; open slots are noted.
    fn slots(&mut self, words: &[Vec<u8>]) -> Result<SlotSet, String> {
        let mut slots = SlotSet::new(SLOTS);
        for word in words {
            if let Some(open) = word.strip_prefix(b"[") {
                self.open_slot(open).ok_or_else(|| format!("bad open slot {}", shown(word)))?;
                continue;
            }
            let (first, last) = range(word).ok_or_else(|| format!("bad slots {}", shown(word)))?;
            for s in first..=last {
                if self.taken.insert(Slot::new(s)) {
                    slots.insert(Slot::new(s));
                }
            }
        }
        Ok(slots)
    }

    /// What follows the bracket of `[slot->-node]` or `[slot-<-node]`.
    fn open_slot(&mut self, text: &[u8]) -> Option<()> {
        let dash = text.iter().position(|&b| b == b'-')?;
        let (slot, rest) = text.split_at(dash);
        let slot = Slot::new(slot_number(slot)?);
        let id = |bytes| NodeId::parse(bytes).ok();
        match rest.strip_suffix(b"]")? {
            [b'-', b'>', b'-', node @ ..] => self.migrating.insert(slot, id(node)?),
            [b'-', b'<', b'-', node @ ..] => self.importing.insert(slot, id(node)?),
            _ => return None,
        };
        Some(())
    }

    fn finish(self) -> Result<Loaded, LoadError> {
        let me =
            self.me.ok_or_else(|| LoadError { line: None, problem: "no node has the flag myself".into() })?;
        let beside = self.nodes.iter().map(|(&id, (_, beside))| (id, *beside)).collect();
        let saved = Saved {
            me,
            current_epoch: self.current_epoch,
            last_vote_epoch: self.last_vote_epoch,
            nodes: self.nodes.into_values().map(|(node, _)| node).collect(),
            migrating: self.migrating,
            importing: self.importing,
        };
        Ok(Loaded { saved, beside })
    }
}

/// `IP:PORT[@CPORT][,HOSTNAME][,AUX=VALUE]...`
fn parse_address(word: &[u8]) -> Result<(Address, Option<Box<str>>), String> {
    let bad = || format!("bad address {}", shown(word));
    let mut parts = word.split(|&b| b == b',');
    let place = parts.next().ok_or_else(bad)?;
    let hostname = host_text(parts.next().unwrap_or_default()).ok_or_else(bad)?;
    let colon = place.iter().rposition(|&b| b == b':').ok_or_else(bad)?;
    let ip = host_text(&place[..colon]).filter(|ip| ip.len() <= MAX_IP_LEN).ok_or_else(bad)?;
    let mut ports = place[colon + 1..].splitn(2, |&b| b == b'@');
    let port: u16 = decimal(ports.next().unwrap_or_default()).ok_or_else(bad)?;
    let cport = match ports.next() {
        Some(cport) => decimal(cport),
        None => port.checked_add(10_000),
    };
    let address = Address { ip: ip.into(), port, pport: 0, cport: cport.ok_or_else(bad)? };
    Ok((address, if hostname.is_empty() { None } else { Some(hostname.into()) }))
}

fn parse_flags(word: &[u8]) -> Result<Flags, String> {
    let mut all = Flags::NONE;
    for name in word.split(|&b| b == b',') {
        let known = Flags::NAMES.iter().find(|(_, n)| name.eq_ignore_ascii_case(n.as_bytes()));
        match known {
            Some((flag, _)) => all = all.with(*flag),
            None if name.eq_ignore_ascii_case(b"noflags") => {}
            None => return Err(format!("unknown flag {}", shown(name))),
        }
    }
    if all.has_two_roles() {
        return Err("a node that is both master and slave".into());
    }
    Ok(all)
}

/// `a` or `a-b`, ascending.
fn range(word: &[u8]) -> Option<(u16, u16)> {
    let mut ends = word.splitn(2, |&b| b == b'-');
    let first = slot_number(ends.next()?)?;
    let last = ends.next().map_or(Some(first), slot_number)?;
    (first <= last).then_some((first, last))
}

fn slot_number(text: &[u8]) -> Option<u16> {
    decimal(text).filter(|&s| s < SLOTS)
}

fn host_text(text: &[u8]) -> Option<&str> {
    if is_host_text(text) { core::str::from_utf8(text).ok() } else { None }
}

fn node_id(word: &[u8]) -> Result<NodeId, String> {
    NodeId::parse(word).map_err(|e| format!("{}: {e}", shown(word)))
}

fn number(word: &[u8], what: &str) -> Result<u64, String> {
    decimal(word).ok_or_else(|| format!("bad {what} {}", shown(word)))
}

/// Digits only: no sign, no space.
fn decimal<N: core::str::FromStr>(text: &[u8]) -> Option<N> {
    let digits = core::str::from_utf8(text).ok()?;
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// A word of the file for an error text, cut where it is long.
fn shown(word: &[u8]) -> String {
    let cut = &word[..word.len().min(100)];
    format!("\"{}\"{}", cut.escape_ascii(), if cut.len() < word.len() { "..." } else { "" })
}

#[cfg(test)]
mod tests;
