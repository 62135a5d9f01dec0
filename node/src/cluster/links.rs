//! Connections of the cluster bus, as the node sees them: by number, and by the node they belong to.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use slotproof_model::NodeId;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;

use super::clocks::Millis;

/// A frame queued for a link that a peer does not read is kept up to this many bytes; then the link is closed.
pub(super) const MAX_QUEUED: usize = 64 << 20;

/// A connection, or one that is being made.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) outbound: bool,
    /// Whose it is; of an inbound one none until somebody known has spoken on it.
    pub(super) peer: Option<NodeId>,
    pub(super) opened: Millis,
    pub(super) from_ip: Box<str>,
    pub(super) local_ip: Box<str>,
    /// Frames for the task that writes.
    pub(super) frames: UnboundedSender<Vec<u8>>,
    /// Bytes that wait for it.
    pub(super) queued: Rc<Cell<usize>>,
    /// The task that reads and writes.
    pub(super) task: Option<AbortHandle>,
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Links {
    all: BTreeMap<u64, Link>,
    outbound: HashMap<NodeId, u64>,
    inbound: HashMap<NodeId, u64>,
    next: u64,
    /// Links that were closed because their peer did not read.
    pub(super) over_limit: u64,
}

impl Links {
    pub(super) fn add(&mut self, link: Link) -> u64 {
        self.next += 1;
        if let (true, Some(id)) = (link.outbound, link.peer) {
            self.outbound.insert(id, self.next);
        }
        self.all.insert(self.next, link);
        self.next
    }

    pub(super) fn get(&self, number: u64) -> Option<&Link> {
        self.all.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Link> {
        self.all.get_mut(&number)
    }

    pub(super) fn outbound(&self, id: &NodeId) -> Option<u64> {
        self.outbound.get(id).copied()
    }

    pub(super) fn inbound(&self, id: &NodeId) -> Option<u64> {
        self.inbound.get(id).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Ends a connection.
    pub(super) fn close(&mut self, number: u64) {
        let Some(link) = self.all.remove(&number) else { return };
        if let Some(id) = link.peer {
            let side = if link.outbound { &mut self.outbound } else { &mut self.inbound };
            if side.get(&id) == Some(&number) {
                side.remove(&id);
            }
        }
        if let Some(task) = link.task {
            task.abort();
        }
    }

    /// An inbound connection belongs to this node from now on; an older one of it ends.
    pub(super) fn tie(&mut self, number: u64, id: NodeId) {
        if let Some(old) = self.inbound.insert(id, number)
            && old != number
        {
            self.all.remove(&old).and_then(|l| l.task).inspect(AbortHandle::abort);
        }
        if let Some(link) = self.all.get_mut(&number) {
            link.peer = Some(id);
        }
    }

    /// A handshake ended: the connection bears the node's name.
    pub(super) fn rename(&mut self, from: &NodeId, to: NodeId) {
        if let Some(number) = self.outbound.remove(from) {
            self.outbound.insert(to, number);
            if let Some(link) = self.all.get_mut(&number) {
                link.peer = Some(to);
            }
        }
    }

    /// Both connections of a node end.
    pub(super) fn forget(&mut self, id: &NodeId) {
        for number in [self.outbound(id), self.inbound(id)].into_iter().flatten() {
            self.close(number);
        }
    }

    /// Hands a frame to the task of a link; false if there is no such link any more.
    pub(super) fn send(&mut self, number: u64, frame: Vec<u8>, limit: usize) -> bool {
        let Some(link) = self.all.get(&number) else { return false };
        let waiting = link.queued.get() + frame.len();
        if waiting > MAX_QUEUED.min(limit) {
            self.over_limit += 1;
            self.close(number);
            return false;
        }
        link.queued.set(waiting);
        link.frames.send(frame).is_ok()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&u64, &Link)> {
        self.all.iter()
    }
}
