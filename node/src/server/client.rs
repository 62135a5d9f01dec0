//! What the server knows of a client.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tokio::sync::Notify;

use super::Backup;
use crate::resp::{OwnedArgs, Protocol, Reply};

/// The names that a client has subscribed to or watches may take so much memory, in bytes.
const MAX_NAMES: usize = 1 << 30;

/// Whether a connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// It does.
    Open,
    /// It ends once its replies are sent.
    AfterReply,
    /// It ends at once.
    Now,
}

/// What CLIENT REPLY has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyMode {
    /// Replies are sent.
    On,
    /// No replies are sent.
    Off,
    /// The reply to the next command is not sent.
    SkipNext,
    /// The reply to the running command is not sent.
    Skip,
}

/// Commands queued since MULTI.
#[derive(Debug, Default)]
pub struct Transaction {
    /// In order.
    pub queue: Vec<(&'static crate::commands::Command, OwnedArgs)>,
    /// A command was refused while queuing: EXEC will abort.
    pub doomed: bool,
    /// One of its commands writes.
    pub writes: bool,
    /// One of its commands is refused where memory is short.
    pub needs_memory: bool,
    /// The memory that the queue takes, in bytes.
    pub size: usize,
}

/// What is known of a key that a client watches.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Its version when that began.
    pub version: u64,
    /// Whether it existed then.
    pub existed: bool,
}

/// Why a client waits, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Why.
    pub why: Waiting,
    /// Unix time in milliseconds; none to wait for ever.
    pub until_ms: Option<i64>,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The end of CLIENT PAUSE: the request runs then.
    Pause,
    /// Replicas, in WAIT; how many have acknowledged.
    Replicas(i64),
}

/// What a client has said of itself with REPLCONF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    /// Something that only a replica says.
    pub as_replica: bool,
    /// It wants a dump, and no stream of commands behind it.
    pub rdb_only: bool,
}

/// What a client has subscribed to.
#[derive(Clone, Debug, Default)]
pub struct Subscriptions {
    /// Channels.
    pub channels: BTreeSet<Box<[u8]>>,
    /// Patterns of channels.
    pub patterns: BTreeSet<Box<[u8]>>,
    /// Shard channels.
    pub shard: BTreeSet<Box<[u8]>>,
}

impl Subscriptions {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty() && self.patterns.is_empty() && self.shard.is_empty()
    }
}

/// A connected client.
#[derive(Debug)]
pub struct Client {
    /// Its id, never given twice.
    pub id: u64,
    /// Its address.
    pub peer: String,
    /// The address that it connected to.
    pub local: String,
    /// The number of its socket; -1 without one.
    pub fd: i32,
    /// What CLIENT SETNAME gave it.
    pub name: Vec<u8>,
    /// Its output.
    pub reply: Reply,
    /// The selected database.
    pub db: usize,
    /// Whether it may run commands.
    pub authenticated: bool,
    /// Present between MULTI and EXEC.
    pub multi: Option<Transaction>,
    /// A transaction of it is running.
    pub in_exec: bool,
    /// Keys that EXEC asks for, with their databases.
    pub watching: BTreeMap<(usize, Box<[u8]>), Watch>,
    /// What it has subscribed to.
    pub subscriptions: Subscriptions,
    /// About how much the names of both take, in bytes.
    pub names: usize,
    /// It said MONITOR.
    pub monitor: bool,
    /// What it has said with REPLCONF.
    pub handshake: Handshake,
    /// Present while a dump is sent to it; it runs no commands then.
    pub backup: Option<Backup>,
    /// Present while it waits.
    pub blocked: Option<Blocked>,
    /// Since when its output has been above the soft limit, Unix time in milliseconds.
    pub soft_limit_since: Option<i64>,
    /// It said ASKING just before.
    pub asking: bool,
    /// It said READONLY.
    pub readonly: bool,
    /// What CLIENT REPLY has asked for.
    pub reply_mode: ReplyMode,
    /// What CLIENT NO-EVICT has asked for.
    pub no_evict: bool,
    /// What CLIENT NO-TOUCH has asked for: its commands, but TOUCH, are no use of keys.
    pub no_touch: bool,
    /// Name and version of its library, as CLIENT SETINFO told them.
    pub library: [Vec<u8>; 2],
    /// Whether the connection stays.
    pub close: Close,
    /// When it connected, Unix time in milliseconds.
    pub created_ms: i64,
    /// When it last sent something, Unix time in milliseconds.
    pub active_ms: i64,
    /// The full name of its last command.
    pub last_command: &'static str,
    /// Bytes that it sent and that are not executed yet.
    pub queued_input: usize,
    /// Room that its input buffer has beside them, in bytes.
    pub input_room: usize,
    /// Rung when somebody else has changed `close` or written to `reply`.
    pub wake: Rc<Notify>,
}

impl Client {
    /// A client that has just connected.
    pub fn new(id: u64, peer: String, local: String, now_ms: i64, authenticated: bool) -> Self {
        Self {
            id,
            peer,
            local,
            fd: -1,
            name: Vec::new(),
            reply: Reply::default(),
            db: 0,
            authenticated,
            multi: None,
            in_exec: false,
            watching: BTreeMap::new(),
            subscriptions: Subscriptions::default(),
            names: 0,
            monitor: false,
            handshake: Handshake::default(),
            backup: None,
            blocked: None,
            soft_limit_since: None,
            asking: false,
            readonly: false,
            reply_mode: ReplyMode::On,
            no_evict: false,
            no_touch: false,
            library: Default::default(),
            close: Close::Open,
            created_ms: now_ms,
            active_ms: now_ms,
            last_command: "",
            queued_input: 0,
            input_room: 0,
            wake: Rc::new(Notify::new()),
        }
    }

    /// The memory that it takes, in bytes.
    pub fn memory(&self) -> usize {
        let queue = self.multi.as_ref().map_or(0, |m| m.size);
        let backup = self.backup.as_ref().map_or(0, Backup::ready);
        size_of::<Self>()
            + self.queued_input
            + self.input_room
            + self.reply.capacity()
            + queue
            + self.names
            + self.name.capacity()
            + self.library.iter().map(Vec::capacity).sum::<usize>()
            + backup
    }

    /// Notes that it has subscribed to a name, or watches it. Whoever wants more than anybody needs is let go.
    pub fn add_name(&mut self, name: &[u8]) {
        self.names += Self::name_size(name);
        if self.names > MAX_NAMES {
            self.kill();
        }
    }

    /// Notes that this is over.
    pub fn drop_name(&mut self, name: &[u8]) {
        self.names = self.names.saturating_sub(Self::name_size(name));
    }

    /// A name is kept with the client and in the table of all.
    fn name_size(name: &[u8]) -> usize {
        const OVERHEAD: usize = 128;
        2 * name.len() + OVERHEAD
    }

    /// Ends the connection at once.
    pub fn kill(&mut self) {
        self.close = Close::Now;
        self.wake.notify_one();
    }

    /// Whether it may only change its subscriptions.
    pub fn in_subscriber_mode(&self) -> bool {
        self.reply.protocol == Protocol::Resp2 && !self.subscriptions.is_empty()
    }

    /// As it was when it connected (RESET), but for what the server knows of it: subscriptions and watched keys.
    pub fn reset(&mut self, authenticated: bool) {
        self.name.clear();
        self.reply.protocol = Protocol::Resp2;
        self.db = 0;
        self.authenticated = authenticated;
        self.multi = None;
        self.monitor = false;
        self.asking = false;
        self.readonly = false;
        self.reply_mode = ReplyMode::On;
        self.no_evict = false;
        self.handshake = Handshake::default();
        self.no_touch = false;
    }

    /// Its line in CLIENT LIST (networking.c `catClientInfoString`), without the line end.
    pub fn describe(&self, now_ms: i64) -> String {
        let marks = [
            ('O', self.monitor),
            ('S', self.backup.is_some()),
            ('P', !self.subscriptions.is_empty()),
            ('x', self.multi.is_some()),
            ('b', self.blocked.is_some()),
            ('c', self.close == Close::AfterReply),
            ('r', self.readonly),
            ('e', self.no_evict),
            ('T', self.no_touch),
        ];
        let mut flags: String = marks.iter().filter(|(_, on)| *on).map(|(mark, _)| mark).collect();
        if flags.is_empty() {
            flags.push('N');
        }
        // Redis keeps the first 16 KiB in a buffer of each client's own, and the rest in a list.
        let output = self.reply.pending().len();
        let first = output.min(16 * 1024);
        let (rest, listed) = (output - first, usize::from(output > first));
        let [library, version] = &self.library;
        // 7.0 has no such field.
        let told = match (library.as_slice(), version.as_slice()) {
            (b"", b"") => String::new(),
            (name, version) => {
                format!(
                    " lib-name={} lib-ver={}",
                    String::from_utf8_lossy(name),
                    String::from_utf8_lossy(version)
                )
            }
        };
        format!(
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={flags} db={} sub={} psub={} ssub={} multi={} \
             qbuf={} qbuf-free={} argv-mem=0 multi-mem={} rbs={} rbp={} obl={first} oll={listed} omem={rest} tot-mem={} events=r{} \
             cmd={} user=default redir=-1 resp={}{told}",
            self.id,
            self.peer,
            self.local,
            self.fd,
            String::from_utf8_lossy(&self.name),
            (now_ms - self.created_ms) / 1000,
            (now_ms - self.active_ms) / 1000,
            self.db,
            self.subscriptions.channels.len(),
            self.subscriptions.patterns.len(),
            self.subscriptions.shard.len(),
            self.multi.as_ref().map_or(-1, |m| m.queue.len() as i64),
            self.queued_input,
            self.input_room,
            self.multi.as_ref().map_or(0, |m| m.size),
            self.reply.capacity(),
            self.reply.capacity(),
            self.memory(),
            if output > 0 { "w" } else { "" },
            if self.last_command.is_empty() { "NULL" } else { self.last_command },
            match self.reply.protocol {
                Protocol::Resp2 => 2,
                Protocol::Resp3 => 3,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_keeps_too_many_names_is_let_go() {
        let mut client = Client::new(1, String::new(), String::new(), 0, true);
        let name = vec![b'x'; 1 << 20];
        for _ in 0..511 {
            client.add_name(&name);
        }
        let most = client.memory();
        assert_eq!(client.close, Close::Open);
        client.drop_name(&name);
        assert!(client.memory() < most);
        (0..2).for_each(|_| client.add_name(&name));
        assert_eq!(client.close, Close::Now);
    }
}
