//! Large values are freed by a thread of their own, where the configuration asks for it (lazyfree.c): to give back the memory of a
//! million members takes longer than any client should wait.
//!
//! The thread frees and does nothing else. It is started by the first value that it gets.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicIsize, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::slot_map::SlotMap;
use super::value::Value;
use crate::memory;

/// A value of more pieces than this is large.
const LARGE: usize = 64;

/// What is thrown away implicitly, and whether that is left to the thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lazy {
    /// Values whose time has come (`lazyfree-lazy-expire`).
    pub expired: bool,
    /// Values that are overwritten or dropped on the way (`lazyfree-lazy-server-del`).
    pub replaced: bool,
}

#[derive(Debug)]
enum Trash {
    Value(Value),
    Slots(Vec<SlotMap>),
}

/// What is handed to the thread, and how far it is.
#[derive(Debug, Default)]
pub struct Garbage {
    thread: RefCell<Option<Sender<(Trash, usize)>>>,
    done: Arc<Done>,
}

#[derive(Debug, Default)]
struct Done {
    /// Objects that wait.
    pending: AtomicUsize,
    /// Objects that are freed.
    freed: AtomicUsize,
    /// Bytes that are freed and not reported yet.
    bytes: AtomicIsize,
}

impl Garbage {
    /// How many objects wait to be freed. What is freed of the others has been reported by then: [`Garbage::settle`] takes all of it into
    /// account if it is called afterwards.
    pub fn pending(&self) -> usize {
        self.done.pending.load(Acquire)
    }

    /// How many objects the thread has freed.
    pub fn freed(&self) -> usize {
        self.done.freed.load(Relaxed)
    }

    /// Starts that count anew.
    pub fn reset_stats(&self) {
        self.done.freed.store(0, Relaxed);
    }

    /// Takes the memory that the thread has freed since the last call off this thread's account. To be called by the thread that has
    /// allocated it.
    pub fn settle(&self) {
        // Mostly there is nothing, and to look costs less than to exchange. What comes in between is taken at the next call.
        if self.done.bytes.load(Relaxed) != 0 {
            memory::freed_elsewhere(self.done.bytes.swap(0, Relaxed));
        }
    }

    /// Something waits and is never freed.
    #[cfg(test)]
    pub(crate) fn hold(&self) {
        self.done.pending.fetch_add(1, Relaxed);
    }

    /// Throws a value away: here, or if it is large and `lazy`, by the thread.
    pub(super) fn throw(&self, value: Value, lazy: bool) {
        if lazy && value.pieces() > LARGE {
            self.hand_over(Trash::Value(value), 1);
        }
    }

    /// Throws the keys of slots away by the thread.
    pub(super) fn throw_slots(&self, slots: Vec<SlotMap>) {
        let keys = slots.iter().map(SlotMap::len).sum();
        if keys > 0 {
            self.hand_over(Trash::Slots(slots), keys);
        }
    }

    fn hand_over(&self, trash: Trash, objects: usize) {
        let mut thread = self.thread.borrow_mut();
        if thread.is_none() {
            let (sender, receiver) = channel();
            let done = Arc::clone(&self.done);
            let started =
                std::thread::Builder::new().name("lazyfree".into()).spawn(move || free(&receiver, &done));
            *thread = started.is_ok().then_some(sender);
        }
        let Some(sender) = &*thread else { return };
        self.done.pending.fetch_add(objects, Relaxed);
        // If the thread were gone, what it should have got would be freed here.
        if sender.send((trash, objects)).is_err() {
            self.done.pending.fetch_sub(objects, Relaxed);
        }
    }
}

/// Frees until nobody is left who could send more.
fn free(receiver: &Receiver<(Trash, usize)>, done: &Done) {
    // All that happens here is counted: the queue's own memory too, which the sender has allocated.
    let mut before = memory::balance();
    let mut report = || {
        let now = memory::balance();
        done.bytes.fetch_add(std::mem::replace(&mut before, now) - now, Relaxed);
    };
    for (trash, objects) in receiver {
        match trash {
            Trash::Value(value) => drop(value),
            // Bit by bit: what is free may be used.
            Trash::Slots(slots) => slots.into_iter().for_each(|slot| {
                drop(slot);
                report();
            }),
        }
        report();
        done.freed.fetch_add(objects, Relaxed);
        // Behind the bytes: whoever sees that nothing waits sees them too.
        done.pending.fetch_sub(objects, Release);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::{End, Expiry, Hash, Keyspace, List, Packing, Typed};
    use super::*;

    fn hash(len: usize) -> Value {
        let mut hash = Hash::default();
        hash.spread();
        for i in 0..len {
            hash.set(i.to_string().as_bytes(), b"", &Packing::default());
        }
        hash.into_value()
    }

    #[test]
    fn the_pieces_of_a_list_are_its_chunks() {
        let mut list = List::default();
        (0..100_000).for_each(|_| list.push(End::Right, b"12345"));
        assert!((100_000 / 600..100_000 / 500).contains(&list.into_value().pieces()));
    }

    /// Waits for the thread, and reports what it has freed.
    fn settled(garbage: &Garbage) -> isize {
        while garbage.pending() > 0 {
            std::thread::yield_now();
        }
        garbage.settle();
        memory::balance()
    }

    #[test]
    fn what_the_thread_frees_is_accounted_for() {
        let garbage = Rc::new(Garbage::default());
        let lazy = Lazy { expired: true, replaced: true };
        let mut keys = Keyspace::new();
        keys.set_disposal(Rc::clone(&garbage), lazy);
        // The thread and all tables are there.
        keys.set(b"k", hash(65), Expiry::Never, 0);
        keys.delete(b"k", 0, true);
        settled(&garbage);
        let before = memory::balance();
        keys.set(b"k", hash(100_000), Expiry::Never, 0);
        assert!(memory::balance() - before > 1_000_000);
        keys.set(b"k", hash(64), Expiry::Never, 0);
        keys.set(b"k", hash(100_000), Expiry::At(5), 0);
        assert_eq!(keys.expire_cycle(6, 10), 1);
        (0..100u8).for_each(|i| keys.set(&[i], hash(70), Expiry::Never, 0));
        keys.clear(true);
        assert!(settled(&garbage) - before < 100_000, "all but the table of slots");
        assert_eq!((garbage.freed(), garbage.pending()), (1 + 1 + 1 + 100, 0), "64 pieces are not large");
    }
}
