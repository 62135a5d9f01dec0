//! The shape of a command's entry in its family's table.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use ahash::RandomState;

use crate::resp::{Args, parse_i64};
use crate::server::{Client, Server};

/// Runs a command whose arity is right, and writes exactly one reply.
pub type Handler = fn(&mut Server, &mut Client, Args<'_>);

/// An entry of a table. Lists are words with blanks between.
#[derive(Debug)]
pub struct Spec {
    /// In lower case; of a subcommand, its own name only.
    pub name: &'static str,
    /// The number of arguments with the name, or at least so many if negative.
    pub arity: i32,
    /// As COMMAND shows them.
    pub flags: &'static str,
    /// First key, last key (negative: from the end) and step.
    pub keys: (i32, i32, i32),
    /// ACL categories without their `@`.
    pub acl: &'static str,
    /// Hints for clients.
    pub tips: &'static str,
    /// What is done with its keys; empty if it has none.
    pub key_flags: &'static str,
    /// Where within that range keys begin with which something else is done, and what; 0 if nowhere.
    pub second: (i32, &'static str),
    /// Where a number of keys stands that follow it, and what is done with them; 0 if nowhere.
    pub counted: (i32, &'static str),
    /// What is done with keys that stand anywhere.
    pub elsewhere: &'static [&'static str],
    /// The group in the documentation.
    pub group: &'static str,
    /// The first version of Redis that had it.
    pub since: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// Its subcommands.
    pub subs: &'static [Spec],
    /// How it runs.
    pub run: Handler,
}

impl Spec {
    /// A command without keys.
    pub const fn new(
        name: &'static str,
        arity: i32,
        flags: &'static str,
        acl: &'static str,
        run: Handler,
    ) -> Self {
        let (tips, key_flags, group, since, summary) = ("", "", "", "", "");
        Self {
            name,
            arity,
            flags,
            keys: (0, 0, 0),
            acl,
            tips,
            key_flags,
            second: (0, ""),
            counted: (0, ""),
            elsewhere: &[],
            group,
            since,
            summary,
            subs: &[],
            run,
        }
    }

    /// Where its keys are and what is done with them.
    pub const fn keys(mut self, first: i32, last: i32, step: i32, flags: &'static str) -> Self {
        self.keys = (first, last, step);
        self.key_flags = flags;
        self
    }

    /// From key `first` on something else is done.
    pub const fn second(mut self, first: i32, flags: &'static str) -> Self {
        self.second = (first, flags);
        self
    }

    /// Argument `at` says how many keys follow it.
    pub const fn counted(mut self, at: i32, flags: &'static str) -> Self {
        self.counted = (at, flags);
        self
    }

    /// Keys that stand anywhere.
    pub const fn elsewhere(mut self, flags: &'static [&'static str]) -> Self {
        self.elsewhere = flags;
        self
    }

    /// Hints for clients.
    pub const fn tips(mut self, tips: &'static str) -> Self {
        self.tips = tips;
        self
    }

    /// What COMMAND DOCS says.
    pub const fn about(mut self, group: &'static str, since: &'static str, summary: &'static str) -> Self {
        self.group = group;
        self.since = since;
        self.summary = summary;
        self
    }

    /// Its subcommands.
    pub const fn subs(mut self, subs: &'static [Self]) -> Self {
        self.subs = subs;
        self
    }
}

/// A property of a command that is asked often.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Flag {
    /// It may change keys.
    Write = 1,
    /// It runs before the client has authenticated itself.
    NoAuth = 2,
    /// It counts as if the client had said ASKING.
    Asking = 4,
    /// It is refused inside MULTI.
    NoMulti = 8,
    /// It runs inside MULTI instead of being queued.
    RunsInMulti = 16,
    /// It is EXEC.
    IsExec = 32,
    /// It is ASKING.
    IsAsking = 64,
    /// It is MIGRATE.
    IsMigrate = 128,
    /// It is refused where memory is short.
    DenyOom = 256,
    /// It is promised to take little time.
    Fast = 512,
    /// It does not show up in the slow log.
    SkipsSlowLog = 1024,
    /// It is for administrators, and not shown by MONITOR.
    Admin = 2048,
    /// It is allowed to a client that has subscriptions, in RESP2.
    Subscribes = 4096,
    /// It is SPUBLISH, SSUBSCRIBE or SUNSUBSCRIBE.
    IsShardPubSub = 8192,
    /// It is PUBLISH or SPUBLISH.
    Publishes = 16384,
    /// It is SORT.
    IsSort = 32768,
}

/// What a client with subscriptions may run in RESP2.
const SUBSCRIBER_MODE: [&str; 9] = [
    "ping",
    "subscribe",
    "ssubscribe",
    "psubscribe",
    "unsubscribe",
    "sunsubscribe",
    "punsubscribe",
    "quit",
    "reset",
];

static NEXT_ID: AtomicUsize = AtomicUsize::new(0);

/// A command, ready to be looked up.
#[derive(Debug)]
pub struct Command {
    /// Its entry.
    pub spec: &'static Spec,
    /// Its name, after that of its container and a `|` if it is a subcommand.
    pub full_name: &'static str,
    /// Its subcommands by their names in lower case.
    pub subs: HashMap<&'static [u8], Command, RandomState>,
    /// Its number, for statistics.
    pub id: usize,
    flags: u32,
}

impl Command {
    pub(super) fn new(spec: &'static Spec) -> Self {
        Self::within(spec, spec.name)
    }

    fn within(spec: &'static Spec, full_name: &'static str) -> Self {
        let listed = |name: &str| spec.flags.split(' ').any(|f| f == name);
        let flags = [
            (Flag::Write, listed("write")),
            (Flag::NoAuth, listed("no_auth")),
            (Flag::Asking, listed("asking")),
            (Flag::NoMulti, listed("no_multi")),
            (
                Flag::RunsInMulti,
                matches!(full_name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset"),
            ),
            (Flag::IsExec, full_name == "exec"),
            (Flag::IsAsking, full_name == "asking"),
            (Flag::IsMigrate, full_name == "migrate"),
            (Flag::DenyOom, listed("denyoom")),
            (Flag::Fast, listed("fast")),
            (Flag::SkipsSlowLog, listed("skip_slowlog")),
            (Flag::Admin, listed("admin") || listed("skip_monitor")),
            (Flag::Subscribes, SUBSCRIBER_MODE.contains(&full_name)),
            (Flag::IsShardPubSub, matches!(full_name, "spublish" | "ssubscribe" | "sunsubscribe")),
            (Flag::Publishes, matches!(full_name, "publish" | "spublish")),
            (Flag::IsSort, full_name == "sort"),
        ];
        let flags = flags.iter().filter(|(_, on)| *on).fold(0, |bits, (flag, _)| bits | *flag as u32);
        let subs = spec.subs.iter().map(|sub| {
            // Made once for each subcommand, when the table is first used, and kept for ever.
            let full: &'static str = Box::leak(format!("{}|{}", spec.name, sub.name).into_boxed_str());
            (sub.name.as_bytes(), Self::within(sub, full))
        });
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self { spec, full_name, subs: subs.collect(), id, flags }
    }

    /// Whether it has a property.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags & flag as u32 != 0
    }

    /// Whether a request of `n` arguments has as many as it needs.
    pub fn fits(&self, n: usize) -> bool {
        let wanted = self.spec.arity.unsigned_abs() as usize;
        if self.spec.arity < 0 { n >= wanted } else { n == wanted }
    }

    /// Whether its requests can have keys.
    pub fn takes_keys(&self) -> bool {
        self.spec.keys.0 > 0 || self.spec.counted.0 > 0
    }

    /// A subcommand by its name in any case.
    pub fn sub(&self, name: &[u8]) -> Option<&Self> {
        self.subs.get(name.to_ascii_lowercase().as_slice())
    }

    /// The positions of the keys of a request. Nothing is there beyond its end. A request whose number of keys is none
    /// has no keys (db.c `genericGetKeys`).
    pub fn key_positions(&self, args: Args<'_>) -> impl Iterator<Item = usize> + use<> {
        let (first, last, step) = self.spec.keys;
        let (mut first, mut last, step) = (first as usize, last, (step as usize).max(1));
        if self.has(Flag::IsMigrate)
            && let Some(at) = super::migrate::keys_option(args)
        {
            // MIGRATE host port "" db timeout ... KEYS key ...: all behind that word. With a key in the place
            // of "" it is an error, and has none.
            (first, last) = if args.get(3).is_some_and(<[u8]>::is_empty) { (at + 1, -1) } else { (0, 0) };
        }
        let end = match last {
            0.. => args.len().min(last as usize + 1),
            _ => (args.len() + 1).saturating_sub(last.unsigned_abs() as usize),
        };
        let mut range = if first == 0 { 0..0 } else { first..end };
        let mut others = 0..0;
        if self.spec.counted.0 > 0 {
            let at = self.spec.counted.0 as usize;
            let count = args.get(at).and_then(parse_i64).and_then(|n| usize::try_from(n).ok());
            match count.filter(|&n| n > 0 && n < args.len() - at) {
                Some(count) => others = at + 1..at + 1 + count,
                None => range = 0..0,
            }
        } else if self.has(Flag::IsSort)
            && let Some(at) = super::sort::store_option(args)
        {
            others = at..at + 1;
        }
        range.step_by(step).chain(others)
    }

    /// The keys of a request.
    pub fn keys<'a>(&self, args: Args<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.key_positions(args).filter_map(move |i| args.get(i))
    }
}
