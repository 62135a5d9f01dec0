//! Moving slots in the recommended order: IMPORTING at the target, MIGRATING at the source, the keys, NODE at the target, at the
//! source, at the other masters. Ended anywhere, the next run finds the open slots and finishes them.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use slotproof_model::SLOTS;

use crate::cluster::Seen;
use crate::resp::{Connection, Value};

/// Keys that one MIGRATE moves.
const BATCH: usize = 100;

/// What a reshard did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Slots that were open when it began, and are closed.
    pub resumed: usize,
    /// Slots that it moved.
    pub slots: usize,
    /// Keys that it moved.
    pub keys: usize,
}

/// A cluster as an operator sees it: its masters and connections to them.
struct Masters {
    seen: Vec<Seen>,
    connections: BTreeMap<String, Connection>,
}

impl Masters {
    fn look(address: &str) -> io::Result<Self> {
        let mut first = Connection::open(address, Duration::from_secs(30))?;
        let text = first.ask(&["CLUSTER", "NODES"])?.text().unwrap_or_default();
        let seen: Vec<Seen> = parse(&text)?;
        let mut connections = BTreeMap::new();
        for node in seen.iter().filter(|n| n.flags.contains("master") && !n.flags.contains("noaddr")) {
            let address = node.address.split('@').next().unwrap_or_default();
            connections.insert(node.id.clone(), Connection::open(address, Duration::from_secs(30))?);
        }
        Ok(Self { seen, connections })
    }

    fn at(&mut self, id: &str) -> io::Result<&mut Connection> {
        self.connections.get_mut(id).ok_or_else(|| io::Error::other(format!("no master {id}")))
    }

    fn address(&self, id: &str) -> io::Result<(String, String)> {
        let node =
            self.seen.iter().find(|n| n.id == id).ok_or_else(|| io::Error::other(format!("no node {id}")))?;
        let address = node.address.split('@').next().unwrap_or_default();
        let (host, port) =
            address.rsplit_once(':').ok_or_else(|| io::Error::other("an address without port"))?;
        Ok((host.to_string(), port.to_string()))
    }

    /// Slots that are open somewhere: slot, source, target.
    fn open(&mut self) -> io::Result<Vec<(u16, String, String)>> {
        let mut open = BTreeMap::new();
        let ids: Vec<String> = self.connections.keys().cloned().collect();
        for id in ids {
            let text = self.at(&id)?.ask(&["CLUSTER", "NODES"])?.text().unwrap_or_default();
            let Some(me) = parse(&text)?.into_iter().find(|n| n.flags.contains("myself")) else { continue };
            for entry in me.slots.iter().filter_map(|s| s.strip_prefix('[')?.strip_suffix(']')) {
                if let Some((slot, to)) = entry.split_once("->-") {
                    open.insert(number(slot)?, (id.clone(), to.to_string()));
                } else if let Some((slot, from)) = entry.split_once("-<-") {
                    open.entry(number(slot)?).or_insert((from.to_string(), id.clone()));
                }
            }
        }
        Ok(open.into_iter().map(|(slot, (from, to))| (slot, from, to)).collect())
    }

    /// Moves one slot, from wherever it stands.
    fn move_slot(&mut self, slot: u16, from: &str, to: &str) -> io::Result<usize> {
        let s = slot.to_string();
        let tolerate = |reply: Value, allowed: &str| match reply {
            Value::Error(e) if !e.contains(allowed) => Err(io::Error::other(format!("slot {slot}: {e}"))),
            _ => Ok(()),
        };
        // The target may own it already, and the source may have let go: a former run got that far.
        tolerate(self.at(to)?.call(&["CLUSTER", "SETSLOT", &s, "IMPORTING", from])?, "already the owner")?;
        tolerate(self.at(from)?.call(&["CLUSTER", "SETSLOT", &s, "MIGRATING", to])?, "not the owner")?;
        let mut keys = 0;
        let (host, port) = self.address(to)?;
        loop {
            let batch = match self.at(from)?.ask(&["CLUSTER", "GETKEYSINSLOT", &s, &BATCH.to_string()])? {
                Value::Array(batch) => batch,
                other => return Err(io::Error::other(format!("GETKEYSINSLOT: {other:?}"))),
            };
            if batch.is_empty() {
                break;
            }
            let mut words: Vec<Vec<u8>> = ["MIGRATE", &host, &port, "", "0", "20000", "REPLACE", "KEYS"]
                .iter()
                .map(|w| w.as_bytes().to_vec())
                .collect();
            words.extend(
                batch.iter().filter_map(|k| if let Value::Bulk(k) = k { Some(k.clone()) } else { None }),
            );
            self.at(from)?.ask(&words)?;
            keys += batch.len();
        }
        self.at(to)?.ask(&["CLUSTER", "SETSLOT", &s, "NODE", to])?;
        tolerate(self.at(from)?.call(&["CLUSTER", "SETSLOT", &s, "NODE", to])?, "only with masters")?;
        let others: Vec<String> =
            self.connections.keys().filter(|id| *id != from && *id != to).cloned().collect();
        for id in others {
            tolerate(self.at(&id)?.call(&["CLUSTER", "SETSLOT", &s, "NODE", to])?, "only with masters")?;
        }
        Ok(keys)
    }
}

/// Finishes slots that are open, then moves slots to `to` until it owns `count` of those that `from` had (`from` none: of every other
/// master in turn). `told` hears of each slot that is done.
pub fn reshard(
    entry: &str,
    from: Option<&str>,
    to: &str,
    slots: &[u16],
    mut told: impl FnMut(u16),
) -> io::Result<Moved> {
    let mut masters = Masters::look(entry)?;
    let mut moved = Moved::default();
    for (slot, source, target) in masters.open()? {
        moved.keys += masters.move_slot(slot, &source, &target)?;
        moved.resumed += 1;
        told(slot);
    }
    let owners = owners(&Masters::look(entry)?.seen)?;
    for &slot in slots {
        let Some(owner) = owners.get(&slot).filter(|o| *o != to && from.is_none_or(|f| f == o.as_str()))
        else {
            continue;
        };
        moved.keys += masters.move_slot(slot, owner, to)?;
        moved.slots += 1;
        told(slot);
    }
    Ok(moved)
}

/// The slots of a list of ranges: `0-99,5461-5560,7000`. `None` if it is not one.
pub fn ranges(text: &str) -> Option<Vec<u16>> {
    let mut slots = Vec::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= SLOTS {
            return None;
        }
        slots.extend(first..=last);
    }
    Some(slots)
}

fn owners(seen: &[Seen]) -> io::Result<BTreeMap<u16, String>> {
    let mut owners = BTreeMap::new();
    for node in seen {
        for range in node.slots.iter().filter(|s| !s.starts_with('[')) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            for slot in number(first)?..=number(last)? {
                owners.insert(slot, node.id.clone());
            }
        }
    }
    Ok(owners)
}

fn number(text: &str) -> io::Result<u16> {
    text.parse().map_err(|_| io::Error::other(format!("{text:?} is no slot")))
}

fn parse(text: &str) -> io::Result<Vec<Seen>> {
    crate::cluster::parse_view(text)
}
