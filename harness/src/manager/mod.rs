//! What an operator does to a cluster, with the words and questions of `redis-cli --cluster`: look, form, grow, shrink, move slots, repair.
//!
//! Nodes may be Slotproof or Redis, and may lie: every reply is parsed into what it should be, or is an error that names the node.
//! Nothing here moves a key: that is [`Operator`](crate::reshard::Operator)'s.

mod create;
mod fix;
mod health;
mod layout;
mod members;
mod moves;
mod plan;
mod survey;

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

pub use create::{Create, create};
pub use fix::{Fix, fix};
pub use health::{Health, OpenSlot, check, info};
pub use members::{Add, Which, add_node, call, del_node};
pub use moves::{Rebalance, Reshard, rebalance, reshard};
pub use plan::{Transfer, balance, portions};
pub use survey::{Absent, Member, Survey};

/// How long nodes are given to agree before it is said that they do not.
const AGREEMENT: Duration = Duration::from_secs(3);
/// How long nodes are given to hear of each other after MEET.
const JOINING: Duration = Duration::from_secs(60);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// Who is talked to while work is done.
pub trait Console {
    /// A line, or several.
    fn say(&mut self, text: fmt::Arguments<'_>);

    /// The answer to a question, without its line end.
    ///
    /// # Errors
    /// When there is nobody to answer.
    fn ask(&mut self, question: &str) -> io::Result<String>;

    /// Something was done for a slot that moves.
    fn progress(&mut self, at: &Progress<'_>);

    /// Whether the work is to end after the step that is being done. From the first time this is asked, somebody who wants to stop it waits
    /// for that.
    fn stopped(&mut self) -> bool;
}

/// How far a move of slots is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The slot.
    pub slot: u16,
    /// The address of the node that gives it away.
    pub from: &'a str,
    /// The address of the node that takes it.
    pub to: &'a str,
    /// Keys that left with it so far.
    pub keys: usize,
    /// Whether it is done.
    pub done: bool,
    /// Slots that are done, and slots that are to be done.
    pub slots: (usize, usize),
}

/// How slots are moved.
#[derive(Clone, Copy, Debug)]
pub struct Moving {
    /// The timeout of one MIGRATE, in ms.
    pub timeout_ms: u64,
    /// The keys of one MIGRATE.
    pub pipeline: usize,
    /// Whether a key with another value may be replaced at the node to which it goes.
    pub replace: bool,
    /// Whether all questions are answered with yes.
    pub yes: bool,
}

impl Default for Moving {
    fn default() -> Self {
        Self { timeout_ms: 60_000, pipeline: 10, replace: false, yes: false }
    }
}

/// Asks a question whose answer is yes or no.
fn accepted(console: &mut dyn Console, yes: bool, question: &str) -> io::Result<bool> {
    Ok(yes || console.ask(question)?.trim().eq_ignore_ascii_case("yes"))
}

/// The end of an operation, with its reason.
fn failed(text: impl Into<String>) -> io::Error {
    io::Error::other(text.into())
}

/// Looks again and again until it is so. False if it is not in time.
fn within(limit: Duration, mut so: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
    let until = Instant::now() + limit;
    loop {
        if so()? {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        std::thread::park_timeout(PAUSE);
    }
}
