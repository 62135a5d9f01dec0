//! MIGRATE: keys to another server (cluster.c `migrateCommand`).
//!
//! The whole server waits while this runs, as Redis does: the model's source is blocked until the answer. What
//! is written, deleted, tried again and answered is decided by [`slotproof_model::migrate::Transfer`]; here
//! are the bytes.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use slotproof_model::key_slot;
use slotproof_model::migrate::{AfterFailure, AfterReply, Failure, Request, Transfer};

use super::{Spec, text};
use crate::dump::dump;
use crate::keyspace::EventKind;
use crate::resp::{Args, Reply, parse_i64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] =
    &[Spec::new("migrate", -6, "write movablekeys", "keyspace write slow dangerous", migrate)
        .keys(3, 3, 1, "RW access delete")
        .tips("nondeterministic_output")
        .about("generic", "2.6.0", "Moves keys to another server.")];

/// Connections kept for the next MIGRATE.
const MAX_SOCKETS: usize = 64;
/// How long they are kept without use.
const MAX_IDLE: Duration = Duration::from_secs(10);
/// Requests are written in pieces of this size, each within the timeout.
const PIECE: usize = 64 * 1024;
/// A longer line is no reply to RESTORE.
const MAX_LINE: usize = 64 * 1024;
/// So much of the target's error is told.
const MAX_TOLD: usize = 512;

/// Connections to the targets of earlier MIGRATEs.
#[derive(Debug, Default)]
pub struct SocketCache {
    sockets: BTreeMap<(String, u16), CachedSocket>,
}

#[derive(Debug)]
struct CachedSocket {
    stream: TcpStream,
    /// The database that the connection is on, if that is known.
    db: Option<i64>,
    used: Instant,
}

impl SocketCache {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Closes those that nobody has used for long.
    pub fn drop_idle(&mut self) {
        self.sockets.retain(|_, s| s.used.elapsed() <= MAX_IDLE);
    }

    /// A kept connection, or a new one.
    fn take(&mut self, host: &str, port: u16, timeout: Duration) -> io::Result<CachedSocket> {
        if let Some(socket) = self.sockets.remove(&(host.to_owned(), port)) {
            return Ok(socket);
        }
        let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(CachedSocket { stream, db: None, used: Instant::now() });
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    fn put(&mut self, host: &str, port: u16, mut socket: CachedSocket) {
        if self.sockets.len() >= MAX_SOCKETS
            && let Some(oldest) = self.sockets.iter().min_by_key(|(_, s)| s.used).map(|(key, _)| key.clone())
        {
            self.sockets.remove(&oldest);
        }
        socket.used = Instant::now();
        self.sockets.insert((host.to_owned(), port), socket);
    }
}

/// Where the word KEYS is among the options of a request: what follows it are keys.
pub(super) fn keys_option(args: Args<'_>) -> Option<usize> {
    let mut i = 6;
    while i < args.len() {
        i += match () {
            () if args.is(i, "keys") => return Some(i),
            () if args.is(i, "auth") => 2,
            () if args.is(i, "auth2") => 3,
            () => 1,
        };
    }
    None
}

/// A request that makes sense.
struct Order<'a> {
    host: String,
    port: u16,
    db: i64,
    timeout: Duration,
    copy: bool,
    replace: bool,
    /// AUTH with a password, or with a user and a password.
    auth: Vec<&'a [u8]>,
    keys: Vec<&'a [u8]>,
}

fn migrate(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let mut order = match parse(args) {
        Ok(order) => order,
        Err(e) => return client.reply.error(e),
    };
    order.keys.retain(|key| super::lookup::read(server, client, key).is_some());
    if order.keys.is_empty() {
        return client.reply.status("NOKEY");
    }
    let result = transfer(server, client, &order);
    server.tick();
    match result {
        Ok(()) => client.reply.ok(),
        Err(text) => client.reply.error(format!("-{text}")),
    }
}

fn parse(args: Args<'_>) -> Result<Order<'_>, &'static str> {
    let (mut copy, mut replace, mut auth, mut keys) = (false, false, Vec::new(), None);
    let mut i = 6;
    while i < args.len() {
        let more = args.len() - 1 - i;
        if args.is(i, "copy") {
            copy = true;
        } else if args.is(i, "replace") {
            replace = true;
        } else if args.is(i, "auth") && more >= 1 {
            auth = args.from(i + 1).iter().take(1).collect();
            i += 1;
        } else if args.is(i, "auth2") && more >= 2 {
            auth = args.from(i + 1).iter().take(2).collect();
            i += 2;
        } else if args.is(i, "keys") {
            if !args[3].is_empty() {
                return Err(
                    "When using MIGRATE KEYS option, the key argument must be set to the empty string",
                );
            }
            keys = Some(args.from(i + 1).iter().collect());
            break;
        } else {
            return Err(text::SYNTAX);
        }
        i += 1;
    }
    let (Some(timeout), Some(db)) = (parse_i64(&args[5]), parse_i64(&args[4])) else {
        return Err(text::NOT_INT);
    };
    let timeout = if timeout <= 0 { 1000 } else { timeout as u64 };
    Ok(Order {
        host: String::from_utf8_lossy(&args[1]).into_owned(),
        // A port that is none cannot be connected to, which is what the caller is told.
        port: parse_i64(&args[2]).and_then(|p| u16::try_from(p).ok()).unwrap_or(0),
        db,
        timeout: Duration::from_millis(timeout),
        copy,
        replace,
        auth,
        keys: keys.unwrap_or_else(|| args.from(3).iter().take(1).collect()),
    })
}

/// Tries, once more if the model says so, until there is an answer.
fn transfer(server: &mut Server, client: &Client, order: &Order<'_>) -> Result<(), Box<str>> {
    let mut transfer = Transfer::new(order.keys.len(), order.copy, !order.auth.is_empty());
    loop {
        let failure = match server.sockets.take(&order.host, order.port, order.timeout) {
            Err(_) => Failure::Connect,
            Ok(mut socket) => match attempt(server, client, order, &mut transfer, &mut socket) {
                Err(failure) => failure,
                Ok(()) => {
                    let result = transfer.finish();
                    // After an error nobody knows which database the connection is on.
                    socket.db = result.is_ok().then_some(order.db);
                    server.sockets.put(&order.host, order.port, socket);
                    return result;
                }
            },
        };
        match transfer.on_failure(failure) {
            AfterFailure::Retry => {}
            AfterFailure::GiveUp(text) => return Err(text),
        }
    }
}

/// Writes everything, then reads the replies one by one and does what each asks for.
fn attempt(
    server: &mut Server,
    client: &Client,
    order: &Order<'_>,
    transfer: &mut Transfer,
    socket: &mut CachedSocket,
) -> Result<(), Failure> {
    let timed_out = |e: &io::Error| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    let requests = transfer.requests(socket.db != Some(order.db));
    let bytes = encode(server, client, order, &requests);
    let write = |e: io::Error| Failure::Write { timed_out: timed_out(&e) };
    let read = |e: io::Error| Failure::Read { timed_out: timed_out(&e) };
    let stream = &mut socket.stream;
    for piece in bytes.chunks(PIECE) {
        write_within(stream, piece, order.timeout).map_err(write)?;
    }
    drop(bytes);
    let mut lines = Lines { stream, timeout: order.timeout, buf: vec![0; 16 * 1024], start: 0, end: 0 };
    for _ in 0..requests.len() {
        let (reply, speaks_resp) = match lines.next().map_err(read)? {
            [b'+', ..] => (Ok(()), true),
            [b'-', text @ ..] => (Err(told(text)), true),
            line => (Err(told(line)), false),
        };
        let after = transfer.on_reply(reply.as_ref().copied().map_err(String::as_str));
        if !speaks_resp {
            // Something else than Redis is there: what it says next means nothing either.
            return Err(Failure::Read { timed_out: false });
        }
        match after {
            AfterReply::Nothing => {}
            AfterReply::Delete(i) => {
                let now = server.now_ms;
                let db = server.db(client);
                if db.delete_on_the_way(order.keys[i], now) {
                    db.note(EventKind::Generic, "del", order.keys[i]);
                }
                let slot = key_slot(order.keys[i]);
                server.with_cluster(|cluster, _| cluster.keys_migrated(slot, 1));
            }
        }
    }
    Ok(())
}

/// The target's error as the caller is told it.
fn told(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(MAX_TOLD)]).into_owned()
}

fn encode(server: &mut Server, client: &Client, order: &Order<'_>, requests: &[Request]) -> Vec<u8> {
    // The writer of replies writes requests as well: they are arrays of bulk strings.
    let mut out = Reply::default();
    let restore = if server.cluster_enabled() { "RESTORE-ASKING" } else { "RESTORE" };
    let (compress, packing) = (server.config.yes("rdbcompression"), server.limits.packing);
    server.tick();
    let now = server.now_ms;
    let db = server.db(client);
    for request in requests {
        match request {
            Request::Auth => {
                out.array(1 + order.auth.len());
                out.bulk("AUTH");
                order.auth.iter().for_each(|word| out.bulk(word));
            }
            Request::Select => {
                out.array(2);
                out.bulk("SELECT");
                out.bulk_int(order.db);
            }
            Request::Restore(i) => {
                let key = order.keys[*i];
                // The keys existed when the command began, and nothing else has run since. One whose time
                // has come in between goes with its last millisecond.
                let Some((value, expiry)) = db.entry_of(key) else { continue };
                let ttl = expiry.map_or(0, |when| (when - now).max(1));
                out.array(4 + usize::from(order.replace));
                out.bulk(restore);
                out.bulk(key);
                out.bulk_int(ttl);
                out.bulk(dump(value, compress, &packing));
                if order.replace {
                    out.bulk("REPLACE");
                }
            }
        }
    }
    out.into_bytes()
}

/// What is left of a time that began then; an error if that is nothing.
fn left(begun: Instant, timeout: Duration) -> io::Result<Option<Duration>> {
    match timeout.checked_sub(begun.elapsed()) {
        Some(left) if !left.is_zero() => Ok(Some(left)),
        _ => Err(ErrorKind::TimedOut.into()),
    }
}

/// Writes all of it in this time, however slowly the other side takes it.
fn write_within(stream: &mut TcpStream, mut bytes: &[u8], timeout: Duration) -> io::Result<()> {
    let begun = Instant::now();
    while !bytes.is_empty() {
        stream.set_write_timeout(left(begun, timeout)?)?;
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => bytes = &bytes[n..],
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Lines of a stream, each within the timeout.
struct Lines<'a> {
    stream: &'a mut TcpStream,
    timeout: Duration,
    buf: Vec<u8>,
    start: usize,
    end: usize,
}

impl Lines<'_> {
    /// The next one, without its end.
    fn next(&mut self) -> io::Result<&[u8]> {
        let begun = Instant::now();
        let mut from = self.start;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buf[from..self.end]) {
                let line = &self.buf[self.start..from + at];
                self.start = from + at + 1;
                return Ok(line.strip_suffix(b"\r").unwrap_or(line));
            }
            if self.start > 0 {
                self.buf.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            from = self.end;
            if self.end == self.buf.len() {
                if self.end >= MAX_LINE {
                    return Err(ErrorKind::InvalidData.into());
                }
                self.buf.resize(self.end * 2, 0);
            }
            self.stream.set_read_timeout(left(begun, self.timeout)?)?;
            match self.stream.read(&mut self.buf[self.end..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.end += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}
