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

/// Connections of strangers that are open at once; one more, and the oldest is closed. Whoever is known is no stranger from its
/// first message on.
pub(super) const MAX_STRANGERS: usize = 1024;

/// A stranger may leave so many bytes unfinished, whatever others do ...
const STRANGER_SHARE: usize = 64 << 10;

/// ... and all of them together so many.
const STRANGERS_UNREAD: usize = 256 << 20;

/// A stranger may leave answers of so many bytes unread, or one answer of any length.
const STRANGER_UNSENT: usize = 256 << 10;

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
    /// Bytes that came and are no whole frame yet.
    pub(super) unread: Rc<Cell<usize>>,
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

    /// The memory that they take, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.all.values().map(|l| size_of::<Link>() + l.queued.get() + l.unread.get()).sum()
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

    /// Makes room for one more stranger.
    pub(super) fn drop_old_strangers(&mut self) {
        let strangers: Vec<u64> = self.strangers().map(|(number, _)| number).collect();
        let surplus = (strangers.len() + 1).saturating_sub(MAX_STRANGERS);
        strangers.into_iter().take(surplus).for_each(|number| self.close(number));
    }

    /// Whether a connection may keep this many bytes that are no whole frame yet.
    pub(super) fn may_hold(&self, number: u64, bytes: usize) -> bool {
        let stranger = self.all.get(&number).is_some_and(|l| !l.outbound && l.peer.is_none());
        !stranger
            || bytes <= STRANGER_SHARE
            || self.strangers().map(|(_, l)| l.unread.get()).sum::<usize>() <= STRANGERS_UNREAD
    }

    /// Connections that nobody known has spoken on, the oldest first.
    fn strangers(&self) -> impl Iterator<Item = (u64, &Link)> {
        self.all.iter().filter(|(_, l)| !l.outbound && l.peer.is_none()).map(|(number, l)| (*number, l))
    }

    /// An inbound connection belongs to this node from now on; an older one of it ends.
    pub(super) fn tie(&mut self, number: u64, id: NodeId) {
        let Some(link) = self.all.get_mut(&number) else { return };
        link.peer = Some(id);
        if let Some(old) = self.inbound.insert(id, number)
            && old != number
        {
            self.all.remove(&old).and_then(|l| l.task).inspect(AbortHandle::abort);
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
        let queued = link.queued.get();
        let waiting = queued + frame.len();
        let stranger = !link.outbound && link.peer.is_none();
        if waiting > MAX_QUEUED.min(limit) || stranger && queued > 0 && waiting > STRANGER_UNSENT {
            self.over_limit += 1;
            self.close(number);
            return false;
        }
        link.queued.set(waiting);
        link.frames.send(frame).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(outbound: bool, peer: Option<NodeId>) -> Link {
        let (frames, receiver) = tokio::sync::mpsc::unbounded_channel();
        // Whoever writes is as slow as can be.
        std::mem::forget(receiver);
        Link {
            outbound,
            peer,
            opened: 0,
            from_ip: Box::default(),
            local_ip: Box::default(),
            frames,
            queued: Rc::default(),
            unread: Rc::default(),
            task: None,
        }
    }

    #[test]
    fn a_link_that_is_not_read_is_closed_at_its_limit() {
        let id = NodeId::from_seed(1);
        let mut links = Links::default();
        let number = links.add(link(true, Some(id)));
        assert!(links.send(number, vec![0; 60], 100));
        assert_eq!(links.memory(), size_of::<Link>() + 60);
        assert!(!links.send(number, vec![0; 60], 100));
        assert_eq!((links.len(), links.outbound(&id), links.over_limit), (0, None, 1));
        assert!(!links.send(number, vec![0; 1], 100), "it is gone");
        let number = links.add(link(true, Some(id)));
        assert!(!links.send(number, vec![0; MAX_QUEUED + 1], usize::MAX), "no limit is a limit too");
    }

    #[test]
    fn a_new_inbound_link_of_a_node_closes_the_old_one() {
        let id = NodeId::from_seed(1);
        let mut links = Links::default();
        let (old, new) = (links.add(link(false, None)), links.add(link(false, None)));
        links.tie(old, id);
        links.tie(new, id);
        assert_eq!((links.inbound(&id), links.len()), (Some(new), 1));
        links.tie(old, id);
        assert_eq!(links.inbound(&id), Some(new), "a closed one is not tied");
        let out = links.add(link(true, Some(id)));
        links.forget(&id);
        assert_eq!((links.len(), links.get(out).is_none()), (0, true));
    }

    #[test]
    fn a_link_follows_its_node_to_a_new_name() {
        let (from, to) = (NodeId::from_seed(1), NodeId::from_seed(2));
        let mut links = Links::default();
        let number = links.add(link(true, Some(from)));
        links.rename(&from, to);
        assert_eq!((links.outbound(&from), links.outbound(&to)), (None, Some(number)));
        assert_eq!(links.get(number).and_then(|l| l.peer), Some(to));
    }

    #[test]
    fn a_stranger_that_does_not_read_is_closed_early() {
        let mut links = Links::default();
        let number = links.add(link(false, None));
        assert!(links.send(number, vec![0; STRANGER_UNSENT + 1], usize::MAX), "one answer may be long");
        assert!(!links.send(number, vec![0; 1], usize::MAX));
        let number = links.add(link(false, None));
        assert!(links.send(number, vec![0; STRANGER_UNSENT], usize::MAX));
        links.tie(number, NodeId::from_seed(1));
        assert!(links.send(number, vec![0; 1], usize::MAX), "it is no stranger any more");
    }

    #[test]
    fn strangers_are_bounded_in_number_and_memory() {
        let mut links = Links::default();
        let known = links.add(link(false, None));
        links.tie(known, NodeId::from_seed(1));
        let first = links.add(link(false, None));
        for _ in 0..MAX_STRANGERS {
            links.drop_old_strangers();
            links.add(link(false, None));
        }
        assert_eq!(links.len(), MAX_STRANGERS + 1);
        assert!(links.get(first).is_none() && links.get(known).is_some());
        let last = links.add(link(false, None));
        links.strangers().for_each(|(_, l)| l.unread.set(STRANGERS_UNREAD / MAX_STRANGERS));
        assert!(links.may_hold(last, STRANGER_SHARE), "a whole heartbeat fits at any time");
        assert!(!links.may_hold(last, STRANGER_SHARE + 1));
        assert!(links.may_hold(known, STRANGER_SHARE + 1));
    }
}
