//! The Redis Cluster protocol without I/O.
//!
//! This crate never touches a clock, a socket, a file, a thread or a source of randomness. A shell (the
//! node of `slotproof-node`, or the world under the feature `check`) turns what happens into [`Input`]s,
//! calls [`NodeState::step`], and executes the [`Effect`]s in order.
#![forbid(unsafe_code)]

#[cfg(feature = "check")]
pub mod check;
mod id;
mod key_slot;
mod slot;

pub use id::{Epoch, NodeId, ParseNodeIdError};
pub use key_slot::{crc16, hash_tag, key_slot};
pub use slot::{SLOTS, Slot, SlotSet};
