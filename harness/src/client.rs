//! A cluster client for one thread: it knows who owns which slot, follows MOVED and ASK, has patience with TRYAGAIN, CLUSTERDOWN and
//! nodes that cannot be reached, and says of each request whether it was executed, was not, or may have been.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use slotproof_model::{SLOTS, Slot, key_slot};

use crate::resp::{Connection, Value};

/// How long one request is sent from node to node, or again, before it counts as refused.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one reply is waited for.
const REPLY_LIMIT: Duration = Duration::from_secs(20);
/// Between two attempts, when the cluster asks for patience.
const PAUSE: Duration = Duration::from_millis(2);
/// The most nodes that a client keeps in mind.
const MAX_NODES: usize = 4096;
/// Requests on their way to one node at a time in [`Client::pipeline`].
const MAX_IN_FLIGHT: usize = 500;

/// A client of a cluster.
#[derive(Debug)]
pub struct Client {
    /// Addresses (`host:port`): the seeds first, then those that it heard of.
    nodes: Vec<String>,
    /// The owner of each slot, as a position in `nodes`.
    owners: Vec<Option<usize>>,
    connections: BTreeMap<usize, Connection>,
    /// How often it was sent elsewhere, or had to wait.
    pub detours: Detours,
}

/// How often clients were sent elsewhere, or had to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detours {
    /// MOVED answers that were followed.
    pub moved: u64,
    /// ASK answers that were followed.
    pub asked: u64,
    /// TRYAGAIN, CLUSTERDOWN, LOADING, and nodes that could not be reached.
    pub waited: u64,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was executed, with this reply.
    Done(Value),
    /// It was not executed: the error of the node that serves the key, or the last one when patience ran out.
    Refused(String),
    /// It was sent and no reply came: it was executed, or was not, or may be still.
    Unknown(String),
}

impl Answer {
    /// The reply of a request that was executed.
    ///
    /// # Errors
    /// What was said instead.
    pub fn done(self) -> io::Result<Value> {
        match self {
            Self::Done(value) => Ok(value),
            Self::Refused(e) | Self::Unknown(e) => Err(io::Error::other(e)),
        }
    }
}

/// A request: its key, and its words.
pub type Request = (Vec<u8>, Vec<Vec<u8>>);

/// Where a refused request goes next.
enum Next {
    Elsewhere { node: usize, asking: bool },
    Later,
    Nowhere,
}

impl Client {
    /// A client that knows these addresses (`host:port`).
    ///
    /// # Errors
    /// When none of them says who owns which slot.
    pub fn new(seeds: &[String]) -> io::Result<Self> {
        let mut client = Self {
            nodes: Vec::new(),
            owners: vec![None; usize::from(SLOTS)],
            connections: BTreeMap::new(),
            detours: Detours::default(),
        };
        for seed in seeds {
            client.number_of(seed)?;
        }
        client.refresh()?;
        Ok(client)
    }

    /// Asks the nodes, one after the other until one answers, who owns which slot.
    ///
    /// # Errors
    /// The last node's, when none answers.
    pub fn refresh(&mut self) -> io::Result<()> {
        let mut last = io::Error::other("a client without nodes");
        for node in 0..self.nodes.len() {
            match self.connection(node).and_then(|c| c.ask(&["CLUSTER", "SLOTS"])) {
                Ok(reply) => return self.take_slots(&reply),
                Err(e) => {
                    self.connections.remove(&node);
                    last = e;
                }
            }
        }
        Err(last)
    }

    /// The address of a slot's owner, as far as is known.
    pub fn home(&self, slot: Slot) -> Option<&str> {
        self.owners[slot.index()].map(|node| self.nodes[node].as_str())
    }

    /// Executes a request about `key` wherever that key is.
    pub fn call<A: AsRef<[u8]>>(&mut self, key: &[u8], words: &[A]) -> Answer {
        let slot = key_slot(key).index();
        let until = Instant::now() + PATIENCE;
        let (mut node, mut asking) = (self.owners[slot].unwrap_or(0), false);
        loop {
            let (error, next) = match self.connection(node) {
                Err(e) => (e.to_string(), Next::Later),
                Ok(connection) => match exchange(connection, words, asking) {
                    Err(e) => {
                        self.connections.remove(&node);
                        return Answer::Unknown(e.to_string());
                    }
                    Ok(Value::Error(error)) => {
                        let next = self.next(&error, slot);
                        (error, next)
                    }
                    Ok(value) => return Answer::Done(value),
                },
            };
            if Instant::now() > until {
                return Answer::Refused(error);
            }
            match next {
                Next::Nowhere => return Answer::Refused(error),
                Next::Elsewhere { node: there, asking: so } => (node, asking) = (there, so),
                Next::Later => {
                    self.detours.waited += 1;
                    std::thread::park_timeout(PAUSE);
                    // Should nobody answer, the next attempt will say so.
                    let _ = self.refresh();
                    (node, asking) = (self.owners[slot].unwrap_or(0), false);
                }
            }
        }
    }

    /// Sends many requests, each node's in a pipeline; the replies, in the order of the requests. Only for keys whose slots do not move
    /// meanwhile: a redirect is an error.
    ///
    /// # Errors
    /// The first error reply, or the first connection that broke.
    pub fn pipeline(&mut self, requests: &[Request]) -> io::Result<Vec<Value>> {
        let mut of_node: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (i, (key, _)) in requests.iter().enumerate() {
            of_node.entry(self.owners[key_slot(key).index()].unwrap_or(0)).or_default().push(i);
        }
        let mut replies = vec![Value::Nil; requests.len()];
        for (node, wanted) in of_node {
            let connection = self.connection(node)?;
            for batch in wanted.chunks(MAX_IN_FLIGHT) {
                batch.iter().for_each(|&i| connection.push(&requests[i].1));
                connection.flush()?;
                for &i in batch {
                    replies[i] = connection.read()?.ok()?;
                }
            }
        }
        Ok(replies)
    }

    fn next(&mut self, error: &str, slot: usize) -> Next {
        let mut words = error.split(' ');
        let kind = words.next().unwrap_or_default();
        let node = words.nth(1).and_then(|address| self.number_of(address).ok());
        match (kind, node) {
            ("MOVED", Some(node)) => {
                self.detours.moved += 1;
                self.owners[slot] = Some(node);
                Next::Elsewhere { node, asking: false }
            }
            ("ASK", Some(node)) => {
                self.detours.asked += 1;
                Next::Elsewhere { node, asking: true }
            }
            ("TRYAGAIN" | "CLUSTERDOWN" | "LOADING", _) => Next::Later,
            _ => Next::Nowhere,
        }
    }

    fn take_slots(&mut self, reply: &Value) -> io::Result<()> {
        let Value::Array(ranges) = reply else {
            return Err(io::Error::other(format!("CLUSTER SLOTS: {reply:?}")));
        };
        self.owners.fill(None);
        for (first, last, address) in ranges.iter().filter_map(range) {
            let node = self.number_of(&address)?;
            self.owners[first..=last].fill(Some(node));
        }
        Ok(())
    }

    fn number_of(&mut self, address: &str) -> io::Result<usize> {
        if let Some(node) = self.nodes.iter().position(|n| n == address) {
            return Ok(node);
        }
        if self.nodes.len() >= MAX_NODES || !address.contains(':') {
            return Err(io::Error::other(format!("{address:?}: not an address, or one too many")));
        }
        self.nodes.push(address.to_string());
        Ok(self.nodes.len() - 1)
    }

    fn connection(&mut self, node: usize) -> io::Result<&mut Connection> {
        let address = self.nodes.get(node).ok_or_else(|| io::Error::other("a client without nodes"))?;
        match self.connections.entry(node) {
            std::collections::btree_map::Entry::Occupied(open) => Ok(open.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => {
                Ok(place.insert(Connection::open(address, REPLY_LIMIT)?))
            }
        }
    }
}

/// One request and its reply; ASKING ahead of it if so.
fn exchange<A: AsRef<[u8]>>(connection: &mut Connection, words: &[A], asking: bool) -> io::Result<Value> {
    if asking {
        connection.push(&["ASKING"]);
    }
    connection.push(words);
    connection.flush()?;
    if asking {
        connection.read()?;
    }
    connection.read()
}

/// First and last slot and the owner's address, of one range of CLUSTER SLOTS.
fn range(value: &Value) -> Option<(usize, usize, String)> {
    let Value::Array(parts) = value else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(owner), ..] = parts.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), ..] = owner.as_slice() else { return None };
    let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
    let sane = first <= last && last < usize::from(SLOTS);
    sane.then_some((first, last, format!("{}:{port}", host.text()?)))
}
