//! A dump of the whole data set to a client that asked for it with SYNC, as an RDB file.
//!
//! The file shows the databases at one moment (see [`crate::keyspace::Keep`]) and is written while others are served. Nothing waits in memory
//! but the next piece, and what had to be written because it was about to be changed; that counts as the output of a replica
//! (`client-output-buffer-limit`), and is given up as soon as it is more than that. Who takes nothing for `repl-timeout` is closed. When all is sent the connection ends: there is no stream of commands behind it.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::sync::Notify;

use super::{Client, Close, Server, random_hex, unix_micros};
use crate::commands::REDIS_VERSION;
use crate::dump::RdbFile;
use crate::keyspace::{Keep, Progress, UseNote, Value};

/// So much is made ready at once, in bytes; then all sockets are looked at, and others get their turn. Whoever sends one request after the
/// other is served once between two pieces: with 16 KiB ten times as often as with 256 KiB, while a dump takes a tenth longer.
const PIECE: usize = 16 * 1024;

/// A dump that is being sent.
#[derive(Debug)]
pub struct Backup {
    output: Rc<RefCell<Output>>,
    /// What stands in front of the file and behind it.
    mark: String,
    /// The databases that are not written yet, the next one last.
    left: Vec<usize>,
    /// All of it is in the client's output.
    whole: bool,
    /// When the client last took some of it, Unix time in milliseconds.
    pub taken_ms: i64,
}

impl Backup {
    /// Bytes that are ready and not in the client's output yet.
    pub fn ready(&self) -> usize {
        self.output.borrow().file.ready()
    }

    /// Whether more was ready than the client may leave unread: its end is lost.
    pub fn is_cut(&self) -> bool {
        self.output.borrow().cut
    }

    /// The client has taken some of it; so many bytes of its output are still unread.
    pub(super) fn taken(&mut self, unread: usize, now_ms: i64) {
        self.taken_ms = now_ms;
        self.output.borrow_mut().unread = unread;
    }

    /// The client's output has so many bytes that are unread, and may have `most`.
    pub(super) fn bound(&self, unread: usize, most: usize) {
        let mut output = self.output.borrow_mut();
        (output.unread, output.most) = (unread, most);
    }
}

/// What is ready, and how much of it there may be.
#[derive(Debug)]
struct Output {
    file: RdbFile,
    /// Bytes of the client's output.
    unread: usize,
    /// Bytes that may wait there and here.
    most: usize,
    cut: bool,
    wake: Rc<Notify>,
}

/// Writes the keys of a database.
#[derive(Debug)]
struct Database {
    number: usize,
    output: Rc<RefCell<Output>>,
}

impl Keep for Database {
    fn keep(&mut self, key: &[u8], value: &Value, expiry: Option<i64>, used: Option<UseNote>) {
        let mut output = self.output.borrow_mut();
        if output.cut {
            return;
        }
        output.file.key(self.number, key, value, expiry, used);
        if output.unread + output.file.ready() > output.most {
            // Nobody will read it; the client is closed when it is looked at next.
            output.cut = true;
            output.file.take();
            output.wake.notify_one();
        }
    }

    fn is_full(&self) -> bool {
        self.output.borrow().file.ready() >= PIECE
    }

    fn is_cut(&self) -> bool {
        self.output.borrow().cut
    }
}

impl Server {
    /// Begins to send a client all that there is now.
    pub(crate) fn start_backup(&mut self, client: &mut Client) {
        let yes = |name| self.config.yes(name);
        let mut file = RdbFile::new(yes("rdbcompression"), yes("rdbchecksum"), self.limits.packing);
        file.field("redis-ver", REDIS_VERSION.as_bytes());
        file.field("redis-bits", usize::BITS.to_string().as_bytes());
        file.field("ctime", (unix_micros() / 1_000_000).to_string().as_bytes());
        file.field("used-mem", self.used_memory().to_string().as_bytes());
        file.field("aof-base", b"0");
        let wake = Rc::clone(&client.wake);
        let output = Output { file, unread: 0, most: usize::MAX, cut: false, wake };
        let output = Rc::new(RefCell::new(output));
        // As in Redis, the use of keys goes into the file where the policy looks at it.
        let policy = self.config.bytes("maxmemory-policy");
        let began = (policy.ends_with(b"lru") || policy.ends_with(b"lfu")).then_some(self.now_ms);
        let mut left = Vec::new();
        for (number, db) in self.dbs.iter_mut().enumerate().filter(|(_, db)| !db.is_empty()) {
            left.insert(0, number);
            output.borrow_mut().file.sizes(number, db.len(), db.expires());
            db.start_snapshot(
                client.id,
                Rc::new(RefCell::new(Database { number, output: Rc::clone(&output) })),
                began,
            );
        }
        let mark = random_hex();
        client.reply.raw(format!("$EOF:{mark}\r\n").as_bytes());
        client.backup = Some(Backup { output, mark, left, whole: false, taken_ms: self.now_ms });
        // From now on the limits of replicas hold.
        self.bound_output(client);
        self.stats.full_dumps += 1;
        let peer = &client.peer;
        self.log.notice(&format!("Client {peer} asks for a dump of all keys"));
    }

    /// Closes a client that does not take its dump.
    pub(crate) fn check_backup(&self, client: &mut Client) {
        let limit = self.config.int("repl-timeout").saturating_mul(1000);
        if client.backup.as_ref().is_some_and(|b| self.now_ms - b.taken_ms > limit)
            && client.close != Close::Now
        {
            self.log.warning(&format!("Client {} does not take its dump: closed", client.peer));
            client.kill();
        }
    }

    /// Makes the next piece of a client's dump ready.
    pub(crate) fn go_on_with_backup(&mut self, client: &mut Client) {
        self.check_output(client);
        self.bound_output(client);
        let Some(backup) = &mut client.backup else { return };
        if client.close != Close::Open || backup.whole || client.reply.pending().len() >= PIECE {
            return;
        }
        while let Some(&number) = backup.left.last() {
            match self.dbs[number].go_on_with_snapshot(client.id) {
                Progress::More => break,
                Progress::Done => drop(backup.left.pop()),
                Progress::Lost => {
                    self.log
                        .warning("All keys were dropped or exchanged while they were dumped: the dump ends");
                    return client.kill();
                }
            }
        }
        let ended = backup.left.is_empty();
        let mut output = backup.output.borrow_mut();
        if ended {
            output.file.finish();
        }
        client.reply.raw(&output.file.take());
        output.unread = client.reply.pending().len();
        drop(output);
        if ended {
            client.reply.raw(backup.mark.as_bytes());
            backup.whole = true;
            client.close = Close::AfterReply;
            self.log.notice(&format!("The dump for client {} is written", client.peer));
        }
    }
}
