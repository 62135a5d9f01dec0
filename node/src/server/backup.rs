//! A dump of the whole data set to a client that asked for it with SYNC, as an RDB file.
//!
//! The file shows the databases at one moment (see [`crate::keyspace::Keep`]) and is written while others are served. Nothing waits in memory
//! but the next piece, and what had to be written because it was about to be changed; that counts as the output of a replica
//! (`client-output-buffer-limit`). Who takes nothing for `repl-timeout` is closed. When all is sent the connection ends: there is no stream of commands behind it.

use std::cell::RefCell;
use std::rc::Rc;

use super::{Client, Close, Server, random_hex, unix_micros};
use crate::commands::REDIS_VERSION;
use crate::dump::RdbFile;
use crate::keyspace::{Keep, Progress, UseNote, Value};

/// So much is made ready at once, in bytes; then others get their turn.
const PIECE: usize = 256 * 1024;

/// A dump that is being sent.
#[derive(Debug)]
pub struct Backup {
    file: Rc<RefCell<RdbFile>>,
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
        self.file.borrow().ready()
    }
}

/// Writes the keys of a database.
#[derive(Debug)]
struct Database {
    number: usize,
    file: Rc<RefCell<RdbFile>>,
}

impl Keep for Database {
    fn keep(&mut self, key: &[u8], value: &Value, expiry: Option<i64>, used: Option<UseNote>) {
        self.file.borrow_mut().key(self.number, key, value, expiry, used);
    }

    fn is_full(&self) -> bool {
        self.file.borrow().ready() >= PIECE
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
        let file = Rc::new(RefCell::new(file));
        // As in Redis, the use of keys goes into the file where the policy looks at it.
        let policy = self.config.bytes("maxmemory-policy");
        let began = (policy.ends_with(b"lru") || policy.ends_with(b"lfu")).then_some(self.now_ms);
        let mut left = Vec::new();
        for (number, db) in self.dbs.iter_mut().enumerate().filter(|(_, db)| !db.is_empty()) {
            left.insert(0, number);
            file.borrow_mut().sizes(number, db.len(), db.expires());
            db.start_snapshot(
                client.id,
                Rc::new(RefCell::new(Database { number, file: Rc::clone(&file) })),
                began,
            );
        }
        let mark = random_hex();
        client.reply.raw(format!("$EOF:{mark}\r\n").as_bytes());
        client.backup = Some(Backup { file, mark, left, whole: false, taken_ms: self.now_ms });
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
        let mut file = backup.file.borrow_mut();
        let ended = backup.left.is_empty();
        if ended {
            file.finish();
        }
        client.reply.raw(&file.take());
        drop(file);
        if ended {
            client.reply.raw(backup.mark.as_bytes());
            backup.whole = true;
            client.close = Close::AfterReply;
            self.log.notice(&format!("The dump for client {} is written", client.peer));
        }
    }
}
