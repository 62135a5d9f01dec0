//! Clients that read, write and delete, each its own keys, until they are told to stop; and what they were told.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use crate::client::{Answer, Client};
use crate::history::{Did, Op, Told, violations};
use crate::resp::Value;

/// What a client did, or why it could not go on.
type Worked = io::Result<(Vec<Op>, Client)>;

/// A load that runs.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Worked>>,
    keys: u32,
}

/// What a load came to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Operations with an answer.
    pub answered: u64,
    /// Operations without.
    pub unknown: u64,
    /// MOVED and ASK answers that were followed.
    pub moved: u64,
    /// See above.
    pub asked: u64,
    /// What is wrong with what was found.
    pub violations: Vec<String>,
}

/// The name of a key.
pub fn key_name(key: u32) -> String {
    format!("key:{key}")
}

/// Writes `keys` keys, all with the value 0.
pub fn fill(seeds: &[String], keys: u32) -> io::Result<()> {
    let mut client = Client::new(seeds)?;
    let request = |k: u32| {
        let name = key_name(k).into_bytes();
        (name.clone(), vec![b"SET".to_vec(), name, b"0".to_vec()])
    };
    let all: Vec<_> = (0..keys).map(request).collect();
    client.pipeline(&all)
}

impl Load {
    /// Starts `clients` clients over `keys` keys; client c owns the keys whose number is c modulo `clients`. `seed` decides what they do.
    pub fn start(seeds: &[String], clients: u32, keys: u32, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let handles = (0..clients).map(|c| {
            let (stop, done, seeds) = (Arc::clone(&stop), Arc::clone(&done), seeds.to_vec());
            std::thread::spawn(move || work(&seeds, c, clients, keys, seed, &stop, &done))
        });
        Self { clients: handles.collect(), stop, done, keys }
    }

    /// Operations so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Stops the clients, reads every key once more, and judges.
    pub fn finish(self, seeds: &[String]) -> io::Result<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        let mut outcome = Outcome::default();
        let mut ops = Vec::new();
        for handle in self.clients {
            let (more, client) = handle.join().map_err(|_| io::Error::other("a client panicked"))??;
            outcome.moved += client.moved;
            outcome.asked += client.asked;
            ops.extend(more);
        }
        outcome.unknown = ops.iter().filter(|o| o.told == Told::Unknown).count() as u64;
        outcome.answered = ops.len() as u64 - outcome.unknown;
        let mut client = Client::new(seeds)?;
        let mut last = BTreeMap::new();
        for key in 0..self.keys {
            let name = key_name(key);
            match client.call(name.as_bytes(), &[b"GET", name.as_bytes()]) {
                Answer::Value(value) => last.insert(key, number(&value)?),
                Answer::Unknown(e) => return Err(e),
            };
        }
        let initial = (0..self.keys).map(|k| (k, 0)).collect();
        outcome.violations = violations(&initial, &ops, &last);
        Ok(outcome)
    }
}

fn work(
    seeds: &[String],
    me: u32,
    clients: u32,
    keys: u32,
    seed: u64,
    stop: &AtomicBool,
    done: &AtomicU64,
) -> Worked {
    let mut client = Client::new(seeds)?;
    let mut ops = Vec::new();
    let mut random = seed ^ u64::from(me).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ (z >> 27)
    };
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        let roll = next();
        let key = (roll >> 8) as u32 % (keys / clients) * clients + me;
        let did = match roll % 10 {
            0..=3 => Did::Read,
            4..=7 => {
                written += 1;
                Did::Write(written * u64::from(clients) + u64::from(me) + 1)
            }
            _ => Did::Delete,
        };
        let name = key_name(key);
        let name = name.as_bytes();
        let answer = match did {
            Did::Read => client.call(name, &[b"GET", name]),
            Did::Write(v) => client.call(name, &[b"SET", name, v.to_string().as_bytes()]),
            Did::Delete => client.call(name, &[b"DEL", name]),
        };
        let told = match answer {
            Answer::Value(Value::Error(e)) => {
                return Err(io::Error::other(format!("{did:?} of key {key}: {e}")));
            }
            Answer::Value(value) if did == Did::Read => Told::Found(number(&value)?),
            Answer::Value(_) => Told::Done,
            Answer::Unknown(_) => Told::Unknown,
        };
        ops.push(Op { key, did, told });
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok((ops, client))
}

fn number(value: &Value) -> io::Result<Option<u64>> {
    match value {
        Value::Nil => Ok(None),
        other => {
            let text = other.text().and_then(|t| t.parse().ok());
            text.map(Some).ok_or_else(|| io::Error::other(format!("a GET found {other:?}")))
        }
    }
}
