//! The Redis Cluster protocol without I/O.
//!
//! This crate never touches a clock, a socket, a file, a thread or a source of randomness. A shell (the
//! node of `slotproof-node`, or the world under the feature `check`) turns what happens into [`Input`]s,
//! calls [`NodeState::step`], and executes the [`Effect`]s in order.
//!
//! # Who does what
//!
//! | part | is | made by |
//! |---|---|---|
//! | [`Config`] | what an administrator sets, as far as the protocol reads it, and which [`Rules`] it runs by | the shell; a change is told by [`Input::Reconfigured`] |
//! | [`NodeState`] | all that the protocol remembers: the table of nodes, who owns each slot, epochs, open slots, failure reports | [`NodeState::new`] at a node's birth, [`NodeState::from_saved`] from its nodes.conf |
//! | [`Input`] | one thing that happened: a message, a connection that is up, a timer, an operator's command | the shell |
//! | [`Keyspace`] | two questions that a step may ask: how many keys are in a slot, and in all | the shell, which keeps the data |
//! | [`Effects`] | what is to be done about it, in order | the step |
//! | [`RouteTable`] | where a client's request is served; requests look at nothing else | [`NodeState::route_table`], after [`Effect::RoutesChanged`] |
//! | [`migrate::Transfer`] | what MIGRATE deletes when, and what it answers | the shell, one for each MIGRATE |
//! | [`wire`], [`nodes_conf`], [`view`] | messages as bytes, nodes.conf as text, what CLUSTER NODES, SLOTS, SHARDS and INFO show | |
//!
//! A step reads nothing but the state, the configuration, its input and the keyspace. So the same inputs give the same states and
//! effects, bit for bit, wherever they are taken.
//!
//! ```
//! use slotproof_model::{
//!     Command, Config, Dice, Effect, Effects, Input, NoKeys, NodeId, NodeState, Reply, RequestKind, Route, Timer,
//!     key_slot, nodes_conf, NoStamps,
//! };
//!
//! let mut config = Config::default();
//! config.announce.port = 7000;
//! config.announce.cport = 17000;
//! let mut node = NodeState::new(NodeId::from_seed(1), &config);
//!
//! // The first input of every life. A master waits two seconds before it serves; the shell keeps the time.
//! let mut effects = Effects::new();
//! node.step(&config, Input::Start, &NoKeys, &mut effects);
//! assert!(effects.0.iter().any(|e| matches!(e, Effect::Arm { timer: Timer::StartupDelay, .. })));
//!
//! // An operator's command. What it changes is in nodes.conf before it is answered.
//! let args: Vec<&[u8]> = vec![b"ADDSLOTSRANGE", b"0", b"16383"];
//! let command = Command::parse(&args, &config.rules).expect("well formed");
//! let mut effects = Effects::new();
//! node.step(&config, Input::Command { command, dice: Dice::Least }, &NoKeys, &mut effects);
//! assert_eq!(effects.0.first(), Some(&Effect::Persist { fsync: false }));
//! assert_eq!(effects.reply(), Some(&Reply::Ok));
//! let file = nodes_conf::render(&node.saved(), &NoStamps);
//! assert!(file.contains("myself,master - 0 0 0 connected 0-16383"));
//!
//! // The two seconds are over: clients are served.
//! let mut effects = Effects::new();
//! node.step(&config, Input::Timer(Timer::StartupDelay), &NoKeys, &mut effects);
//! assert!(node.state_ok() && effects.0.contains(&Effect::RoutesChanged));
//! let routes = node.route_table(&config);
//! let route = routes.route(RequestKind::default(), [b"foo"], |k| key_slot(*k), |_| false);
//! assert_eq!(route, Route::Serve);
//! ```
//!
//! A whole cluster on these parts, in one process and in virtual time, is the example `cluster`
//! (`cargo run -p slotproof-model --example cluster`): nodes meet, share the slots, serve clients, move a slot, lose a node and get it
//! back from its nodes.conf. With sockets, a file and a clock in the place of its `net.rs` it is a node.
//!
//! # What a shell must promise
//!
//! What is checked of this crate holds of a node only if its shell keeps these.
//!
//! - **One input at a time, its effects in order.** All effects of a step are executed before the next input is taken; nobody sees
//!   the state in between. A request of a client is routed on the newest table, and its whole run counts as between two inputs.
//! - **Persist first.** At most one [`Effect::Persist`] comes out of a step, ahead of its other effects. What it writes is the state
//!   after the step ([`NodeState::saved`], [`nodes_conf::render`]). With `fsync` it is durable, its directory too, before any later
//!   effect is executed: a vote or a claim that is sent could otherwise be forgotten. The file is replaced as a whole, by a rename. If
//!   it cannot be written the node ends: it must not speak. One process has one nodes.conf, which it locks. At its birth a node is saved
//!   before anything else.
//! - **Links.** A connection that the node opened is [`Link::Outbound`] under the name of its peer in the table (a placeholder during a
//!   handshake; [`Effect::Rename`] says when it bears the real one); one that was opened to it is [`Link::Inbound`], tied to a node by
//!   [`Effect::TieInbound`]. The shell opens a connection to every node of the table that has an address and none, again and again,
//!   and tells of it by [`Input::LinkUp`]. On one connection messages arrive in the order in which they were sent, or not at all: it
//!   breaks, and [`Effect::Send`] on a link that is not there does nothing. A frame is cut by [`wire::frame_length`], read by
//!   [`wire::decode`], and a link with a wrong frame is closed.
//! - **Stamps.** When a ping was sent and a pong received is the shell's to know: [`Effect::Stamp`] says when to take one over, a PING
//!   that is sent on an outbound link begins the wait for its PONG, and each [`GossipEntry`] that is sent gets its two stamps filled in.
//! - **Receipts.** What the core would need a clock for comes with the message, answered by the shell: [`Receipt`]. It asks
//!   [`NodeState::speaker`] and [`Message::tells_slots_of`] whose stamps it is to look at.
//! - **Timers.** [`Effect::Arm`] starts one, or starts it anew, for [`Delay::millis`]; it fires once, as [`Input::Timer`], not before its
//!   time and not after an [`Effect::Cancel`]. [`Timer::PongOverdue`] is armed by nobody: it fires at each cron, about ten a second, at
//!   which a ping is pending and nothing has been heard from the peer, both for longer than the node timeout, unless it is suspected
//!   already. Late is allowed; that is what the world explores.
//! - **Pace.** Whom [`Input::HeartbeatDue`] names is the shell's choice, as long as nobody waits for longer than half the node timeout.
//! - **Dice.** Each input that has [`Dice`] gets 128 fresh bits that nobody can guess or repeat: names of nodes come from them. A run
//!   that is to be repeated records them; `Dice::Least` is for tests and worlds.
//! - **Keys.** Between an input and the end of its effects no key comes or goes but by [`Effect::DropKeys`] and [`Effect::FlushAll`].
//!   At [`Input::Start`] the data set is loaded.
//! - **Bounds.** A message's size and what waits to be sent on a link are bounded by the shell. The table of nodes is bounded here.
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
