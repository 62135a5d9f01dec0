//! The Redis Cluster protocol without I/O.
//!
//! This crate never touches a clock, a socket, a file, a thread or a source of randomness. A shell (the
//! node of `slotproof-node`, or the world under the feature `check`) turns what happens into [`Input`]s,
//! calls [`NodeState::step`], and executes the [`Effect`]s in order.
#![forbid(unsafe_code)]

#[macro_use]
mod clone_in_place;

mod address;
#[cfg(feature = "check")]
pub mod check;
mod cluster_state;
mod command;
mod config;
mod effect;
mod epochs;
mod failure;
mod gossip;
mod id;
mod input;
mod key_slot;
mod message;
pub mod migrate;
mod node_line;
pub mod nodes_conf;
mod operator;
mod ownership;
mod publish;
mod receive;
mod route;
mod rules;
mod slot;
mod state;
mod step;
pub mod view;
pub mod wire;
mod words;

pub use address::{Address, Flags, MAX_IP_LEN};
pub use command::{Command, CommandError, SetSlot, SlotList, integer, parse_slot};
pub use config::{Config, EndpointType, Keyspace, NoKeys};
pub use effect::{Effect, Effects, Reply, Stamp, To};
pub use id::{Epoch, NodeId, ParseNodeIdError};
pub use input::{Delay, Dice, Input, Link, Receipt, Timer};
pub use key_slot::{crc16, hash_tag, key_slot};
pub use message::{Body, GossipEntry, Header, Heartbeat, Message};
pub use node_line::{NoStamps, Stamps};
pub use route::{RequestKind, Route, RouteNode, RouteTable};
pub use rules::Rules;
pub use slot::{SLOTS, Slot, SlotOutOfRange, SlotSet};
pub use state::{NodeState, Peer, Rejoin, Report, Saved, SavedNode, Todo};
pub use words::split_words;

#[cfg(feature = "check")]
pub mod fault;
