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
pub const VERSION: u32 = 1;

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
}

/// An answer of the keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// So many keys in this slot.
    InSlot(Slot, u64),
    /// So many keys.
    Total(u64),
}

/// A quick hash of a frame's bytes.
pub fn frame_hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64 ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut add = |w: u64| {
        hash = (hash.rotate_left(5) ^ w).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    };
    words.iter().for_each(|w| add(u64::from_le_bytes(*w)));
    rest.iter().for_each(|&b| add(u64::from(b) + 256));
    hash
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
        let mut bytes = Vec::new();
        let want = len as u64;
        (&mut self.input).take(want).read_to_end(&mut bytes).map_err(|e| self.error(e.to_string()))?;
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
