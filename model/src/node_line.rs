//! One line about a node: that of nodes.conf is that of CLUSTER NODES (cluster.c `clusterGenNodeDescription`, 7.0:4675).

use core::fmt::Write;
use std::collections::BTreeMap;

use crate::address::Flags;
use crate::id::{Epoch, NodeId};
use crate::slot::{Slot, SlotSet};

/// What such a line tells and the core does not know: it is the shell's. Asked for each node by its name in the table.
pub trait Stamps {
    /// When the ping that is pending was sent, in ms; 0 = none is pending.
    fn ping_sent_ms(&self, node: &NodeId) -> u64;
    /// When the last PONG was received, in ms; 0 = never.
    fn pong_received_ms(&self, node: &NodeId) -> u64;
    /// Whether there is a connection of mine to this node, established or not.
    fn connected(&self, node: &NodeId) -> bool;
}

/// No ping was ever sent, and there are no links.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStamps;

impl Stamps for NoStamps {
    fn ping_sent_ms(&self, _: &NodeId) -> u64 {
        0
    }

    fn pong_received_ms(&self, _: &NodeId) -> u64 {
        0
    }

    fn connected(&self, _: &NodeId) -> bool {
        false
    }
}

/// The slots that a node gives away, and that it takes over.
pub(crate) type OpenSlots<'a> = (&'a BTreeMap<Slot, NodeId>, &'a BTreeMap<Slot, NodeId>);

/// What a line tells.
pub(crate) struct NodeLine<'a> {
    pub(crate) id: &'a NodeId,
    pub(crate) ip: &'a str,
    pub(crate) port: u16,
    pub(crate) cport: u16,
    pub(crate) hostname: Option<&'a str>,
    pub(crate) flags: Flags,
    pub(crate) master: Option<&'a NodeId>,
    /// Of a replica with a known master, the master's.
    pub(crate) epoch: Epoch,
    pub(crate) slots: &'a SlotSet,
    /// Migrating and importing, of myself only.
    pub(crate) open: Option<OpenSlots<'a>>,
}

impl NodeLine<'_> {
    /// Appends the line, without its end.
    pub(crate) fn write(&self, stamps: &impl Stamps, out: &mut String) {
        self.try_write(stamps, out).expect("a string takes every write");
    }

    fn try_write(&self, stamps: &impl Stamps, out: &mut String) -> core::fmt::Result {
        write!(out, "{} {}:{}@{}", self.id, self.ip, self.port, self.cport)?;
        if let Some(hostname) = self.hostname.filter(|h| !h.is_empty()) {
            write!(out, ",{hostname}")?;
        }
        write!(out, " {} ", self.flags)?;
        match self.master {
            Some(master) => out.push_str(master.as_str()),
            None => out.push('-'),
        }
        let connected = self.flags.any(Flags::MYSELF) || stamps.connected(self.id);
        let link = if connected { "connected" } else { "disconnected" };
        let (ping, pong) = (stamps.ping_sent_ms(self.id), stamps.pong_received_ms(self.id));
        write!(out, " {ping} {pong} {} {link}", self.epoch)?;
        for (first, last) in self.slots.ranges() {
            if first == last { write!(out, " {first}")? } else { write!(out, " {first}-{last}")? }
        }
        match self.open {
            Some(open) => write_open(open, out),
            None => Ok(()),
        }
    }
}

/// Ascending; a slot that is both is shown as migrating.
fn write_open((migrating, importing): OpenSlots<'_>, out: &mut String) -> core::fmt::Result {
    let mut all: BTreeMap<Slot, (&str, &NodeId)> =
        importing.iter().map(|(&slot, from)| (slot, ("-<-", from))).collect();
    all.extend(migrating.iter().map(|(&slot, to)| (slot, ("->-", to))));
    for (slot, (arrow, node)) in all {
        write!(out, " [{slot}{arrow}{node}]")?;
    }
    Ok(())
}
