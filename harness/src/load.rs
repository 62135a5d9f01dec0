//! A load on a cluster: keys written at once, then read, written and deleted by several clients, every operation on record.
//!
//! Key `k` is written by client `k % clients` only, and no more once an outcome is unknown; everybody reads everything. See [`crate::history`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::{Answer, Client, Detours, Request};
use crate::history::{Operation, What};
use crate::random::Random;
use crate::resp::Value;

/// Requests given to a client's pipeline at a time.
const CHUNK: usize = 5000;
/// What one client records at most; then it ends.
const MAX_RECORD: usize = 8 << 20;

/// What the load consists of.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The number of keys.
    pub keys: u32,
    /// The number of clients, each a thread.
    pub clients: u32,
    /// The bytes of a value, about.
    pub value_bytes: usize,
    /// Keys that are drawn in two of three operations: those whose slots move, say.
    pub hot: Vec<u32>,
    /// The seed of all draws.
    pub seed: u64,
}

/// The name of a key.
pub fn key_name(key: u32) -> String {
    format!("key:{key}")
}

/// What clients have done.
#[derive(Debug, Default)]
pub struct Record {
    /// All operations that were not refused.
    pub operations: Vec<Operation>,
    /// Operations that were refused in the end.
    pub refused: u64,
    /// One of the refusals.
    pub refusal: Option<String>,
    /// How often clients were sent elsewhere.
    pub detours: Detours,
    /// How long it took.
    pub elapsed: Duration,
}

impl Record {
    fn add(&mut self, other: Self) {
        self.operations.extend(other.operations);
        self.refused += other.refused;
        self.refusal = self.refusal.take().or(other.refusal);
        self.detours.moved += other.detours.moved;
        self.detours.asked += other.detours.asked;
        self.detours.waited += other.detours.waited;
    }
}

/// A load on a cluster.
#[derive(Debug)]
pub struct Load {
    plan: Plan,
    seeds: Vec<String>,
    epoch: Instant,
}

impl Load {
    /// A load on the cluster of these nodes (`host:port`).
    pub fn new(plan: Plan, seeds: Vec<String>) -> Self {
        Self { plan: Plan { clients: plan.clients.max(1), ..plan }, seeds, epoch: Instant::now() }
    }

    /// Writes every key once, pipelined: change 1 of each.
    ///
    /// # Errors
    /// When a key cannot be written.
    pub fn fill(&self) -> io::Result<Record> {
        let value = |key| value_of(key, 1, self.plan.value_bytes);
        self.everything(
            |key, name| vec![b"SET".to_vec(), name, value(key)],
            |_, reply| matches!(reply, Value::Status(_)).then_some(What::Write(1)),
        )
    }

    /// Reads every key once, pipelined.
    ///
    /// # Errors
    /// When a key cannot be read.
    pub fn read_all(&self) -> io::Result<Record> {
        self.everything(|_, name| vec![b"GET".to_vec(), name], |key, reply| Some(seen(key, reply)))
    }

    /// Starts the clients. Every key is to have been filled by [`Load::fill`].
    ///
    /// # Errors
    /// When the cluster cannot be reached.
    pub fn start(&self) -> io::Result<Running> {
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicU64::new(0));
        // Whatever fails below ends those that are at work already.
        let mut running = Running { stop, count, threads: Vec::new(), since: Instant::now() };
        for number in 0..self.plan.clients {
            let mine = |keys: &mut dyn Iterator<Item = u32>| -> Vec<u32> {
                keys.filter(|k| k % self.plan.clients == number).collect()
            };
            let worker = Worker {
                client: Client::new(&self.seeds)?,
                versions: vec![Some(1); self.plan.keys as usize],
                own: mine(&mut (0..self.plan.keys)),
                own_hot: mine(&mut self.plan.hot.iter().copied()),
                plan: self.plan.clone(),
                random: Random::new(self.plan.seed ^ ((u64::from(number) + 1) << 32)),
                epoch: self.epoch,
                record: Record::default(),
            };
            let (stop, count) = (Arc::clone(&running.stop), Arc::clone(&running.count));
            running.threads.push(thread::spawn(move || worker.run(&stop, &count)));
        }
        Ok(running)
    }

    fn everything(
        &self,
        request: impl Fn(u32, Vec<u8>) -> Vec<Vec<u8>>,
        judge: impl Fn(u32, &Value) -> Option<What>,
    ) -> io::Result<Record> {
        let begun = Instant::now();
        let mut client = Client::new(&self.seeds)?;
        let mut record = Record::default();
        let keys: Vec<u32> = (0..self.plan.keys).collect();
        for chunk in keys.chunks(CHUNK) {
            let of = |&key: &u32| -> Request {
                let name = key_name(key).into_bytes();
                (name.clone(), request(key, name))
            };
            let requests: Vec<Request> = chunk.iter().map(of).collect();
            let start_ns = nanos(self.epoch);
            let replies = client.pipeline(&requests)?;
            let end_ns = Some(nanos(self.epoch));
            for (&key, reply) in chunk.iter().zip(&replies) {
                let what = judge(key, reply)
                    .ok_or_else(|| io::Error::other(format!("{}: {reply:?}", key_name(key))))?;
                record.operations.push(Operation { key, what, start_ns, end_ns });
            }
        }
        record.detours = client.detours;
        record.elapsed = begun.elapsed();
        Ok(record)
    }
}

/// Clients at work; they end with it.
#[derive(Debug)]
pub struct Running {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Record>>,
    since: Instant,
}

impl Running {
    /// Operations that have ended so far.
    pub fn operations(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Ends the clients after their current operations. What they did.
    ///
    /// # Errors
    /// When a client panicked.
    pub fn finish(mut self) -> io::Result<Record> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Record::default();
        for thread in self.threads.drain(..) {
            all.add(thread.join().map_err(|_| io::Error::other("a client of the load panicked"))?);
        }
        all.elapsed = self.since.elapsed();
        Ok(all)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // Whoever drops it is failing already.
            let _ = thread.join();
        }
    }
}

/// One client of the load.
struct Worker {
    client: Client,
    /// The number of each key's last change; `None` where nothing may be written any more.
    versions: Vec<Option<u32>>,
    own: Vec<u32>,
    own_hot: Vec<u32>,
    plan: Plan,
    random: Random,
    epoch: Instant,
    record: Record,
}

impl Worker {
    fn run(mut self, stop: &AtomicBool, count: &AtomicU64) -> Record {
        while !stop.load(Ordering::Relaxed) && self.record.operations.len() < MAX_RECORD {
            match self.random.below(100) {
                0..50 => self.read(),
                50..85 => self.change(true),
                _ => self.change(false),
            }
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.record.detours = self.client.detours;
        self.record
    }

    fn read(&mut self) {
        let hot = !self.plan.hot.is_empty() && self.random.below(3) < 2;
        let key = match hot {
            true => self.plan.hot[self.random.below(self.plan.hot.len() as u64) as usize],
            false => self.random.below(u64::from(self.plan.keys.max(1))) as u32,
        };
        let name = key_name(key);
        let start_ns = nanos(self.epoch);
        match self.client.call(name.as_bytes(), &["GET", &name]) {
            Answer::Done(value) => self.note(key, seen(key, &value), start_ns, true),
            Answer::Refused(text) => self.refused(text),
            // Whether a read was executed does not matter to anybody.
            Answer::Unknown(_) => {}
        }
    }

    fn change(&mut self, write: bool) {
        let hot = !self.own_hot.is_empty() && self.random.below(3) < 2;
        let from = if hot { &self.own_hot } else { &self.own };
        if from.is_empty() {
            return;
        }
        let key = from[self.random.below(from.len() as u64) as usize];
        let Some(last) = self.versions[key as usize] else { return };
        let number = last + 1;
        let name = key_name(key);
        let start_ns = nanos(self.epoch);
        let answer = if write {
            let value = value_of(key, number, self.plan.value_bytes);
            self.client.call(name.as_bytes(), &[b"SET", name.as_bytes(), &value])
        } else {
            self.client.call(name.as_bytes(), &["DEL", &name])
        };
        let what = |found| if write { What::Write(number) } else { What::Delete { number, found } };
        match answer {
            Answer::Done(value) => {
                let found = if let Value::Int(n) = value { Some(n > 0) } else { None };
                self.versions[key as usize] = Some(number);
                self.note(key, what(found), start_ns, true);
            }
            Answer::Refused(text) => self.refused(text),
            Answer::Unknown(_) => {
                self.versions[key as usize] = None;
                self.note(key, what(None), start_ns, false);
            }
        }
    }

    fn note(&mut self, key: u32, what: What, start_ns: u64, answered: bool) {
        let end_ns = answered.then(|| nanos(self.epoch));
        self.record.operations.push(Operation { key, what, start_ns, end_ns });
    }

    fn refused(&mut self, text: String) {
        self.record.refused += 1;
        self.record.refusal.get_or_insert(text);
    }
}

fn nanos(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The value of a key's change, which names both: `KEY:NUMBER:` and filling.
fn value_of(key: u32, number: u32, bytes: usize) -> Vec<u8> {
    let mut value = format!("{key}:{number}:").into_bytes();
    value.resize(bytes.max(value.len()), b'x');
    value
}

/// What the reply to a GET of a key shows.
fn seen(key: u32, value: &Value) -> What {
    let number = |bytes: &[u8]| {
        let mut parts = std::str::from_utf8(bytes).ok()?.split(':');
        let of = parts.next()?.parse::<u32>().ok()?;
        parts.next()?.parse::<u32>().ok().filter(|_| of == key)
    };
    match value {
        Value::Nil => What::Read(None),
        Value::Bulk(bytes) => number(bytes).map_or(What::ReadForeign, |n| What::Read(Some(n))),
        _ => What::ReadForeign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_names_its_key_and_number() {
        let value = |bytes: Vec<u8>| Value::Bulk(bytes);
        assert_eq!(seen(7, &value(value_of(7, 12, 64))), What::Read(Some(12)));
        assert_eq!(seen(8, &value(value_of(7, 12, 64))), What::ReadForeign);
        assert_eq!(seen(7, &value(b"junk".to_vec())), What::ReadForeign);
        assert_eq!(seen(7, &Value::Nil), What::Read(None));
        assert_eq!(value_of(7, 12, 64).len(), 64);
    }
}
