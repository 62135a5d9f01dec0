//! What the server knows of a client.

use std::rc::Rc;

use slotproof_model::RequestKind;
use tokio::sync::Notify;

use crate::resp::{OwnedArgs, Protocol, Reply};

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
}

/// Commands queued since MULTI.
#[derive(Debug, Default)]
pub struct Transaction {
    /// In order.
    pub queue: Vec<(&'static crate::commands::Command, OwnedArgs)>,
    /// A command was refused while queuing: EXEC will abort.
    pub doomed: bool,
    /// What its commands are together, for routing.
    pub kind: RequestKind,
    /// The memory that the queue takes, in bytes.
    pub size: usize,
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
    /// It said ASKING just before.
    pub asking: bool,
    /// It said READONLY.
    pub readonly: bool,
    /// What CLIENT REPLY has asked for.
    pub reply_mode: ReplyMode,
    /// What CLIENT NO-EVICT has asked for.
    pub no_evict: bool,
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
            name: Vec::new(),
            reply: Reply::default(),
            db: 0,
            authenticated,
            multi: None,
            asking: false,
            readonly: false,
            reply_mode: ReplyMode::On,
            no_evict: false,
            close: Close::Open,
            created_ms: now_ms,
            active_ms: now_ms,
            last_command: "",
            queued_input: 0,
            wake: Rc::new(Notify::new()),
        }
    }

    /// Ends the connection at once.
    pub fn kill(&mut self) {
        self.close = Close::Now;
        self.wake.notify_one();
    }

    /// As it was when it connected (RESET).
    pub fn reset(&mut self, authenticated: bool) {
        self.name.clear();
        self.reply.protocol = Protocol::Resp2;
        self.db = 0;
        self.authenticated = authenticated;
        self.multi = None;
        self.asking = false;
        self.readonly = false;
        self.reply_mode = ReplyMode::On;
        self.no_evict = false;
    }

    /// Its line in CLIENT LIST (networking.c `catClientInfoString`), without the line end.
    pub fn describe(&self, now_ms: i64) -> String {
        let mut flags = String::new();
        if self.multi.is_some() {
            flags.push('x');
        }
        if self.multi.as_ref().is_some_and(|m| m.doomed) {
            flags.push('d');
        }
        if self.close == Close::AfterReply {
            flags.push('c');
        }
        if self.readonly {
            flags.push('r');
        }
        if self.no_evict {
            flags.push('e');
        }
        if flags.is_empty() {
            flags.push('N');
        }
        let output = self.reply.pending().len();
        format!(
            "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db={} sub=0 psub=0 ssub=0 multi={} \
             qbuf={} qbuf-free=0 argv-mem=0 multi-mem={} rbs=0 rbp=0 obl={output} oll=0 omem=0 tot-mem={} events=r \
             cmd={} user=default redir=-1 resp={}",
            self.id,
            self.peer,
            self.local,
            String::from_utf8_lossy(&self.name),
            (now_ms - self.created_ms) / 1000,
            (now_ms - self.active_ms) / 1000,
            self.db,
            self.multi.as_ref().map_or(-1, |m| m.queue.len() as i64),
            self.queued_input,
            self.multi.as_ref().map_or(0, |m| m.size),
            size_of::<Self>() + self.queued_input + output,
            if self.last_command.is_empty() { "NULL" } else { self.last_command },
            match self.reply.protocol {
                Protocol::Resp2 => 2,
                Protocol::Resp3 => 3,
            },
        )
    }
}
