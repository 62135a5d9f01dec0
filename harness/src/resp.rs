//! A small blocking RESP2 client: one connection, typed replies, limits on what a peer may claim.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `+...`
    Status(String),
    /// `-...`
    Error(String),
    /// `:...`
    Int(i64),
    /// `$...`
    Bulk(Vec<u8>),
    /// `$-1` or `*-1`
    Nil,
    /// `*...`
    Array(Vec<Value>),
}

impl Value {
    /// The text of a status or bulk.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Status(s) => Some(s.clone()),
            Self::Bulk(b) => Some(String::from_utf8_lossy(b).into_owned()),
            _ => None,
        }
    }

    /// The error, as an error.
    pub fn ok(self) -> io::Result<Self> {
        match self {
            Self::Error(e) => Err(io::Error::other(e)),
            other => Ok(other),
        }
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    out: Vec<u8>,
    /// What the reply that is being read may still bring, in bytes.
    left: usize,
}

/// The longest line, bulk and nesting that is believed, and the longest reply as a whole, in bytes.
const MAX_LINE: usize = 64 << 10;
const MAX_BULK: usize = 512 << 20;
const MAX_DEPTH: usize = 16;
const MAX_REPLY: usize = 1 << 30;
/// Who does not take a connection in this time is not there.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// What an element of an array costs at least: it may be as short as four bytes on the wire.
const ELEMENT: usize = 64;

impl Connection {
    /// Connects to `address` (`host:port`, where the host may be a name, and an IPv6 address may stand in brackets); each read and
    /// write waits at most `patience`.
    pub fn open(address: &str, patience: Duration) -> io::Result<Self> {
        let (host, port) = split_address(address)
            .ok_or_else(|| io::Error::other(format!("{address:?} is no address: host:port is one")))?;
        let mut last = io::Error::other(format!("{host:?} has no address"));
        for target in (host, port).to_socket_addrs()? {
            match Self::connect(target, patience) {
                Ok(connection) => return Ok(connection),
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    fn connect(target: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&target, patience.min(CONNECT_LIMIT))?;
        stream.set_nodelay(true)?;
        let it = Self { stream: BufReader::with_capacity(64 << 10, stream), out: Vec::new(), left: 0 };
        it.set_patience(patience)?;
        Ok(it)
    }

    /// From now on each read and write waits at most so long.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        let stream = self.stream.get_ref();
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))
    }

    /// The address at the other end.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.get_ref().peer_addr()
    }

    /// Queues a request.
    pub fn push<A: AsRef<[u8]>>(&mut self, words: &[A]) {
        let _ = write!(self.out, "*{}\r\n", words.len());
        for word in words {
            let word = word.as_ref();
            let _ = write!(self.out, "${}\r\n", word.len());
            self.out.extend_from_slice(word);
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// Sends what is queued.
    pub fn flush(&mut self) -> io::Result<()> {
        self.stream.get_mut().write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// One request, one reply; an error reply is a value.
    pub fn call<A: AsRef<[u8]>>(&mut self, words: &[A]) -> io::Result<Value> {
        self.push(words);
        self.flush()?;
        self.read()
    }

    /// One request whose error reply is an error.
    pub fn ask<A: AsRef<[u8]>>(&mut self, words: &[A]) -> io::Result<Value> {
        self.call(words)?.ok()
    }

    /// The next reply.
    pub fn read(&mut self) -> io::Result<Value> {
        self.left = MAX_REPLY;
        self.value(0)
    }

    fn value(&mut self, depth: usize) -> io::Result<Value> {
        let line = self.line()?;
        self.spend(ELEMENT + line.len())?;
        let (kind, rest) = line.split_at_checked(1).ok_or_else(|| bad("an empty line"))?;
        let number = || rest.parse::<i64>().map_err(|_| bad("a bad number"));
        match kind {
            "+" => Ok(Value::Status(rest.to_string())),
            "-" => Ok(Value::Error(rest.to_string())),
            ":" => Ok(Value::Int(number()?)),
            "$" => match usize::try_from(number()?) {
                Err(_) => Ok(Value::Nil),
                Ok(len) if len > MAX_BULK => Err(bad("a bulk too long")),
                Ok(len) => {
                    self.spend(len)?;
                    let mut bytes = Vec::new();
                    (&mut self.stream).take(len as u64 + 2).read_to_end(&mut bytes)?;
                    if bytes.len() != len + 2 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    if !bytes.ends_with(b"\r\n") {
                        return Err(bad("a bulk of another length than it said"));
                    }
                    bytes.truncate(len);
                    Ok(Value::Bulk(bytes))
                }
            },
            "*" if depth >= MAX_DEPTH => Err(bad("a reply nested too deep")),
            "*" => match usize::try_from(number()?) {
                Err(_) => Ok(Value::Nil),
                Ok(len) => {
                    (0..len).map(|_| self.value(depth + 1)).collect::<io::Result<_>>().map(Value::Array)
                }
            },
            _ => Err(bad("a reply of an unknown kind")),
        }
    }

    fn spend(&mut self, bytes: usize) -> io::Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| bad("a reply too long"))?;
        Ok(())
    }

    fn line(&mut self) -> io::Result<String> {
        use std::io::BufRead;
        let mut line = Vec::new();
        (&mut self.stream).take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(text) => Ok(String::from_utf8_lossy(text).into_owned()),
            None if line.len() >= MAX_LINE => Err(bad("a line too long")),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Host and port of `host:port`; of an IPv6 address in brackets, the address.
pub fn split_address(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|&p| p != 0)?;
    (!host.is_empty()).then_some((host, port))
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the server sent {what}"))
}
