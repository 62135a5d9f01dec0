//! The record of a run: what came in, what the core asked for, and what the shell really did.
//!
//! A trace is self-contained: its first record holds the configuration (rules included) and the state in which the node began. Each record is
//! framed as its length and its CRC-32 (4 bytes each, little-endian), then postcard, so that a damaged byte is named at its record.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use slotproof_model::{Config, Effect, Input, NodeId, NodeState, Slot};

/// The version of the format.
pub const VERSION: u32 = 3;

/// A record larger than this is damage, not data.
const MAX_RECORD: usize = 64 << 20;

/// How a run began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Beginning {
    /// [`VERSION`].
    pub version: u32,
    /// Unix time in microseconds at stamp 0.
    pub wall_us: u64,
    /// `cluster-node-timeout` in milliseconds.
    pub node_timeout_ms: u64,
    /// The configuration, rules included.
    pub config: Config,
    /// The state ahead of the first input.
    pub state: NodeState,
}

/// Something that happened, and when: microseconds since the beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Microseconds since the beginning, never going back.
    pub at_us: u64,
    /// What happened.
    pub what: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A step of the core.
    Step {
        /// What it took.
        input: Input,
        /// What the keyspace answered, in the order of the questions.
        answers: Vec<Answer>,
        /// Its effects, a postcard `Vec<Effect>`.
        effects: Vec<u8>,
        /// The digest of the state after it.
        digest: u64,
    },
    /// A frame was queued on a link, for a `Send` of the last step.
    Sent {
        /// The link.
        link: u64,
        /// The hash of its bytes.
        frame: u64,
        /// The stamps that the shell filled into its gossip entries: ping sent, pong received, in seconds.
        stamps: Vec<(u32, u32)>,
    },
    /// A `Send` of the last step found no link.
    Unsent,
    /// A well-formed frame arrived; the next step takes it.
    Received {
        /// The link.
        link: u64,
        /// The name in its header.
        from: NodeId,
        /// The hash of its bytes.
        frame: u64,
    },
    /// nodes.conf was replaced, for the `Persist` of the last step.
    Written,
    /// And is durable.
    Synced,
    /// Keys were deleted, for a `DropKeys` of the last step.
    Dropped {
        /// Of this slot.
        slot: Slot,
        /// So many.
        keys: u64,
    },
    /// MIGRATE deleted keys that the target took.
    Migrated {
        /// Of this slot.
        slot: Slot,
        /// So many.
        keys: u64,
    },
    /// RESTORE took a key of this slot from elsewhere.
    Restored {
        /// The slot.
        slot: Slot,
    },
    /// The configuration changed.
    Config(Box<Config>),
    /// `cluster-node-timeout` changed, in milliseconds.
    NodeTimeout(u64),
    /// The node ended in good order.
    End,
    /// nodes.conf could not be replaced for the `Persist` of the last step, a SAVECONFIG, whose answer says so.
    Unwritten,
}

/// An answer of the keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// So many keys in this slot.
    InSlot(Slot, u64),
    /// So many keys.
    Total(u64),
}

/// A quick hash of a frame's bytes: four chains side by side, each word of eight bytes in the next one.
pub fn frame_hash(bytes: &[u8]) -> u64 {
    fn add(hash: u64, word: u64) -> u64 {
        let mixed = (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ mixed >> 29
    }
    let mut chains = [0xcbf2_9ce4_8422_2325u64; 4];
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (chain, word) in chains.iter_mut().zip(words) {
            *chain = add(*chain, u64::from_le_bytes(*word));
        }
    }
    let whole = chains.into_iter().fold(bytes.len() as u64, add);
    rest.iter().fold(whole, |hash, &b| add(hash, u64::from(b) + 256))
}

/// Writes a trace.
#[derive(Debug)]
pub struct TraceWriter {
    file: BufWriter<File>,
    begun: Instant,
}

impl TraceWriter {
    /// Begins a trace in a new file; what the file held is gone.
    pub fn create(
        path: &str,
        wall_us: u64,
        node_timeout_ms: u64,
        config: &Config,
        state: &NodeState,
    ) -> io::Result<Self> {
        let file = BufWriter::with_capacity(64 << 10, File::create(path)?);
        let mut writer = Self { file, begun: Instant::now() };
        let beginning = Beginning {
            version: VERSION,
            wall_us,
            node_timeout_ms,
            config: config.clone(),
            state: state.clone(),
        };
        writer.frame(&beginning)?;
        writer.flush()?;
        Ok(writer)
    }

    /// Appends a record.
    pub fn write(&mut self, what: Event) -> io::Result<()> {
        let at_us = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.frame(&Record { at_us, what })
    }

    /// Appends the record of a step.
    pub fn step(
        &mut self,
        input: Input,
        answers: Vec<Answer>,
        effects: &Vec<Effect>,
        digest: u64,
    ) -> io::Result<()> {
        let effects = postcard::to_stdvec(effects).map_err(io::Error::other)?;
        self.write(Event::Step { input, answers, effects, digest })
    }

    /// Hands everything to the system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn frame(&mut self, value: &impl Serialize) -> io::Result<()> {
        let bytes = postcard::to_stdvec(value).map_err(io::Error::other)?;
        self.file.write_all(&u32::try_from(bytes.len()).map_err(io::Error::other)?.to_le_bytes())?;
        self.file.write_all(&crc32fast::hash(&bytes).to_le_bytes())?;
        self.file.write_all(&bytes)
    }
}

/// What is wrong with a trace, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// The number of the record; the beginning is 0.
    pub record: u64,
    /// The byte at which it begins.
    pub offset: u64,
    /// What is wrong.
    pub problem: String,
}

impl std::fmt::Display for TraceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "record {} (byte {}): {}", self.record, self.offset, self.problem)
    }
}

impl std::error::Error for TraceError {}

/// Reads a trace.
#[derive(Debug)]
pub struct TraceReader<R> {
    input: R,
    record: u64,
    offset: u64,
    ended: bool,
}

impl<R: Read> TraceReader<R> {
    /// Reads how the run began.
    pub fn new(input: R) -> Result<(Beginning, Self), TraceError> {
        let mut reader = Self { input, record: 0, offset: 0, ended: false };
        let bytes = reader.frame()?.ok_or_else(|| reader.error("the file is empty"))?;
        let beginning: Beginning = postcard::from_bytes(&bytes)
            .map_err(|e| reader.error(format!("not the beginning of a trace: {e}")))?;
        if beginning.version != VERSION {
            return Err(reader.error(format!("format {}; this program reads {VERSION}", beginning.version)));
        }
        if usize::from(beginning.config.slots) != usize::from(beginning.state.slot_count()) {
            return Err(reader.error("the configuration and the state have different numbers of slots"));
        }
        reader.advance(bytes.len());
        Ok((beginning, reader))
    }

    /// The number of the next record.
    pub fn position(&self) -> u64 {
        self.record
    }

    fn error(&self, problem: impl Into<String>) -> TraceError {
        TraceError { record: self.record, offset: self.offset, problem: problem.into() }
    }

    fn advance(&mut self, bytes: usize) {
        self.record += 1;
        self.offset += 8 + bytes as u64;
    }

    /// The bytes of the next record, checked; none at the end of the file.
    fn frame(&mut self) -> Result<Option<Vec<u8>>, TraceError> {
        let mut head = [0; 8];
        let got = read_some(&mut self.input, &mut head).map_err(|e| self.error(e.to_string()))?;
        if got == 0 {
            return Ok(None);
        }
        if got < head.len() {
            return Err(self.error("the file ends inside a record"));
        }
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let crc = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        if len > MAX_RECORD {
            return Err(self.error(format!("a length of {len} bytes: damaged")));
        }
        // Memory comes with the bytes that are there, not on the word of a length.
        let mut bytes = vec![0; len.min(64 << 10)];
        let got = read_some(&mut self.input, &mut bytes).map_err(|e| self.error(e.to_string()))?;
        bytes.truncate(got);
        let rest = (len - got) as u64;
        (&mut self.input).take(rest).read_to_end(&mut bytes).map_err(|e| self.error(e.to_string()))?;
        if bytes.len() < len {
            return Err(self.error("the file ends inside a record"));
        }
        if crc32fast::hash(&bytes) != crc {
            return Err(self.error("the checksum is wrong: damaged"));
        }
        Ok(Some(bytes))
    }
}

impl<R: Read> Iterator for TraceReader<R> {
    type Item = Result<Record, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = match self.frame() {
            Ok(None) => return None,
            Err(e) => Err(e),
            Ok(Some(bytes)) => match postcard::from_bytes(&bytes) {
                Ok(record) => {
                    self.advance(bytes.len());
                    Ok(record)
                }
                Err(e) => Err(self.error(format!("not a record: {e}"))),
            },
        };
        self.ended = record.is_err();
        Some(record)
    }
}

/// Reads until the buffer is full or the input ends; how much it got.
fn read_some(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match input.read(&mut buffer[got..])? {
            0 => break,
            n => got += n,
        }
    }
    Ok(got)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slotproof_model::{Effects, NoKeys};

    /// A trace of a start and a few facts, as bytes, and the offsets at which its records begin.
    fn sample() -> (Vec<u8>, Vec<usize>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.trace");
        let config = Config::default();
        let mut state = NodeState::new(NodeId::from_seed(7), &config);
        let mut writer = TraceWriter::create(path.to_str().unwrap(), 5, 15_000, &config, &state).unwrap();
        let mut out = Effects::new();
        state.step(&config, Input::Start, &NoKeys, &mut out);
        writer.step(Input::Start, vec![Answer::Total(0)], &out.0, state.digest()).unwrap();
        writer.write(Event::Dropped { slot: Slot::new(9), keys: 3 }).unwrap();
        writer.write(Event::End).unwrap();
        writer.flush().unwrap();
        let bytes = std::fs::read(path).unwrap();
        let mut offsets = vec![];
        let mut at = 0;
        while at < bytes.len() {
            offsets.push(at);
            at += 8 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        }
        (bytes, offsets)
    }

    /// How many records are read, and the error that ends them.
    fn read(bytes: &[u8]) -> (u64, Option<TraceError>) {
        let mut reader = match TraceReader::new(bytes) {
            Ok((_, reader)) => reader,
            Err(e) => return (0, Some(e)),
        };
        let error = reader.by_ref().find_map(Result::err);
        (reader.position(), error)
    }

    #[test]
    fn what_was_written_is_read() {
        let (bytes, offsets) = sample();
        let (beginning, reader) = TraceReader::new(&bytes[..]).unwrap();
        assert_eq!((beginning.wall_us, beginning.node_timeout_ms), (5, 15_000));
        assert_eq!(beginning.state.me(), NodeId::from_seed(7));
        let records: Vec<Record> = reader.map(Result::unwrap).collect();
        assert_eq!(records.len() + 1, offsets.len());
        let Event::Step { input: Input::Start, answers, effects, .. } = &records[0].what else { panic!() };
        assert_eq!(answers, &[Answer::Total(0)]);
        assert!(!postcard::from_bytes::<Vec<Effect>>(effects).unwrap().is_empty());
        assert_eq!(records[2].what, Event::End);
        assert!(records.is_sorted_by_key(|r| r.at_us));
    }

    #[test]
    fn each_damaged_byte_is_named_at_its_record() {
        let (bytes, offsets) = sample();
        for at in (0..bytes.len()).filter(|at| at % 7 == 0 || *at > offsets[1]) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            let record = offsets.iter().rposition(|o| *o <= at).unwrap();
            let (read, error) = read(&damaged);
            let error = error.unwrap_or_else(|| panic!("byte {at} passed"));
            assert_eq!(
                (read, error.record, error.offset),
                (record as u64, record as u64, offsets[record] as u64)
            );
        }
    }

    #[test]
    fn a_cut_is_named_unless_it_falls_between_two_records() {
        let (bytes, offsets) = sample();
        for cut in offsets[1]..bytes.len() {
            let (_, error) = read(&bytes[..cut]);
            let whole = offsets.contains(&cut);
            assert_eq!(error.is_none(), whole, "cut at {cut}");
            assert!(error.is_none_or(|e| e.problem.contains("ends inside a record")));
        }
        assert_eq!(read(&[]).1.unwrap().problem, "the file is empty");
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        let (_, error) = read(b"*1\r\n$4\r\nPING\r\n and more of the same");
        assert!(error.unwrap().problem.contains("damaged"));
        assert!(
            TraceWriter::create(
                "/no/such/dir/t",
                0,
                1,
                &Config::default(),
                &NodeState::new(NodeId::from_seed(1), &Config::default())
            )
            .is_err()
        );
    }
}
