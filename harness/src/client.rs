//! A cluster client that follows MOVED and ASK, and says when it does not know what became of a request.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use slotproof_model::key_slot;

use crate::resp::{Connection, Value};

/// Redirections and refusals that one request bears.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of a cluster.
#[derive(Debug)]
pub struct Client {
    seeds: Vec<String>,
    /// First slot, last slot, address.
    slots: Vec<(u16, u16, String)>,
    connections: BTreeMap<String, Connection>,
    /// MOVED answers it followed.
    pub moved: u64,
    /// ASK answers it followed.
    pub asked: u64,
}

/// What became of a request.
#[derive(Debug)]
pub enum Answer {
    /// A reply of the node that serves the key; an error reply is one.
    Value(Value),
    /// The connection broke: it was executed, or was not, or may be still.
    Unknown(io::Error),
}

impl Client {
    /// A client that knows these addresses.
    pub fn new(seeds: &[String]) -> io::Result<Self> {
        let mut client = Self {
            seeds: seeds.to_vec(),
            slots: Vec::new(),
            connections: BTreeMap::new(),
            moved: 0,
            asked: 0,
        };
        client.refresh()?;
        Ok(client)
    }

    /// Reads the slots anew.
    pub fn refresh(&mut self) -> io::Result<()> {
        let mut last = io::Error::other("no address to ask");
        for seed in self.seeds.clone() {
            match self.connection(&seed).and_then(|c| c.ask(&["CLUSTER", "SLOTS"])) {
                Ok(Value::Array(ranges)) => {
                    self.slots = ranges.iter().filter_map(range).collect();
                    return Ok(());
                }
                Ok(other) => last = io::Error::other(format!("CLUSTER SLOTS: {other:?}")),
                Err(e) => {
                    self.connections.remove(&seed);
                    last = e;
                }
            }
        }
        Err(last)
    }

    /// The address that serves a slot, as far as is known.
    pub fn home(&self, slot: u16) -> Option<&str> {
        self.slots
            .iter()
            .find(|(first, last, _)| (*first..=*last).contains(&slot))
            .map(|(_, _, a)| a.as_str())
    }

    fn connection(&mut self, address: &str) -> io::Result<&mut Connection> {
        if !self.connections.contains_key(address) {
            let connection = Connection::open(address, Duration::from_secs(20))?;
            self.connections.insert(address.to_string(), connection);
        }
        self.connections.get_mut(address).ok_or_else(|| io::Error::other("no connection"))
    }

    /// Sends a request about `key` to where it is served.
    pub fn call(&mut self, key: &[u8], words: &[&[u8]]) -> Answer {
        let slot = u16::from(key_slot(key));
        let until = Instant::now() + PATIENCE;
        let mut at = self.home(slot).map_or_else(|| self.seeds[0].clone(), str::to_string);
        let mut asking = false;
        loop {
            let reply = self.connection(&at).and_then(|c| {
                if asking {
                    c.push(&["ASKING"]);
                }
                c.push(words);
                c.flush()?;
                if asking {
                    c.read()?;
                }
                c.read()
            });
            asking = false;
            let error = match reply {
                Err(e) => {
                    self.connections.remove(&at);
                    return Answer::Unknown(e);
                }
                Ok(Value::Error(error)) => error,
                Ok(value) => return Answer::Value(value),
            };
            let mut parts = error.split(' ');
            match (parts.next(), parts.nth(1)) {
                _ if Instant::now() > until => return Answer::Value(Value::Error(error)),
                (Some("MOVED"), Some(to)) => {
                    self.moved += 1;
                    at = to.to_string();
                    self.slots.insert(0, (slot, slot, at.clone()));
                    if self.slots.len() > 4096 {
                        let _ = self.refresh();
                    }
                }
                (Some("ASK"), Some(to)) => {
                    self.asked += 1;
                    at = to.to_string();
                    asking = true;
                }
                (Some("TRYAGAIN" | "CLUSTERDOWN" | "LOADING"), _) => {
                    std::thread::park_timeout(Duration::from_millis(5));
                    at = self.home(slot).map_or_else(|| self.seeds[0].clone(), str::to_string);
                }
                _ => return Answer::Value(Value::Error(error)),
            }
        }
    }

    /// Sends many requests, in batches to each node; only for keys whose slots do not move meanwhile.
    pub fn pipeline(&mut self, requests: &[(Vec<u8>, Vec<Vec<u8>>)]) -> io::Result<()> {
        let mut by_node: BTreeMap<String, Vec<&Vec<Vec<u8>>>> = BTreeMap::new();
        for (key, words) in requests {
            let home =
                self.home(u16::from(key_slot(key))).ok_or_else(|| io::Error::other("a slot without node"))?;
            by_node.entry(home.to_string()).or_default().push(words);
        }
        for (address, all) in by_node {
            let connection = self.connection(&address)?;
            for batch in all.chunks(500) {
                batch.iter().for_each(|words| connection.push(words));
                connection.flush()?;
                for _ in batch {
                    connection.read()?.ok()?;
                }
            }
        }
        Ok(())
    }
}

fn range(value: &Value) -> Option<(u16, u16, String)> {
    let Value::Array(parts) = value else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(owner), ..] = parts.as_slice() else {
        return None;
    };
    let [host, Value::Int(port), ..] = owner.as_slice() else { return None };
    Some((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, format!("{}:{port}", host.text()?)))
}
