//! One trace through the model.

use std::cell::RefCell;
use std::collections::VecDeque;

use slotproof_model::{Body, Config, Effect, Effects, Input, Keyspace, NodeId, NodeState, Slot, wire};
use slotproof_node::trace::{Answer, Beginning, Event, Record, frame_hash};

use super::Difference;
use super::coverage::Coverage;

/// A node's run, as far as it was replayed.
pub struct Replay {
    name: String,
    config: Config,
    state: NodeState,
    /// The state ahead of the last step that changed it.
    before: NodeState,
    digest: u64,
    record: u64,
    steps: u64,
    /// What the shell still has to do for the last step, in order.
    duties: VecDeque<Duty>,
    /// The encoding of the last effects, to be written over.
    encoded: Vec<u8>,
    /// The same for frames.
    frame: Vec<u8>,
    /// The frame that the next step takes.
    arrived: Option<u64>,
    ended: bool,
    /// What the run exercised.
    pub coverage: Coverage,
}

/// Something the shell was told to do.
enum Duty {
    Write,
    Sync,
    Send(Box<slotproof_model::Message>),
    Drop(Slot),
}

/// What one record was.
pub enum Replayed {
    /// A step that changed nothing but clocks.
    Quiet,
    /// A step that changed the state: what it took and what it asked for.
    Step(Box<Input>, Effects),
    /// A frame was queued.
    Sent(u64),
    /// A frame arrived from this node.
    Received(NodeId, u64),
    /// Keys were deleted with their slot.
    Dropped(Slot, u64),
    /// Keys left by MIGRATE.
    Migrated(Slot, u64),
    /// A key came by RESTORE.
    Restored(Slot),
    /// Nothing that concerns others.
    Nothing,
}

impl Replay {
    /// Ahead of the first record.
    pub fn new(name: String, beginning: Beginning) -> Self {
        let mut state = beginning.state;
        let digest = state.digest();
        Self {
            name,
            config: beginning.config,
            before: state.clone(),
            state,
            digest,
            record: 0,
            steps: 0,
            duties: VecDeque::new(),
            encoded: Vec::new(),
            frame: Vec::new(),
            arrived: None,
            ended: false,
            coverage: Coverage::default(),
        }
    }

    /// The state now.
    pub fn state(&self) -> &NodeState {
        &self.state
    }

    /// The state ahead of the last step that changed it.
    pub fn before(&self) -> &NodeState {
        &self.before
    }

    /// The configuration now.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What people call the trace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether the node ended in good order.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// A difference at this place.
    pub fn difference(
        &self,
        problem: impl Into<String>,
        model: Option<String>,
        trace: Option<String>,
    ) -> Box<Difference> {
        Box::new(Difference {
            trace: self.name.clone(),
            record: self.record,
            step: self.steps,
            problem: problem.into(),
            model,
            trace_says: trace,
        })
    }

    /// Takes the next record.
    pub fn take(&mut self, record: Record) -> Result<Replayed, Box<Difference>> {
        self.record += 1;
        if self.ended {
            return Err(self.difference("a record behind the end", None, Some(format!("{:?}", record.what))));
        }
        match record.what {
            Event::Step { input, answers, effects, digest } => self.step(input, &answers, &effects, digest),
            Event::Sent { frame, stamps, .. } => match self.duty()? {
                Some(Duty::Send(message)) => self.sent(*message, frame, &stamps),
                _ => Err(self.difference("the shell sent what nobody asked for", None, None)),
            },
            Event::Unsent => match self.duty()? {
                Some(Duty::Send(_)) => Ok(Replayed::Nothing),
                _ => Err(self.difference("the shell did not send what nobody asked for", None, None)),
            },
            Event::Written => match self.duty()? {
                Some(Duty::Write) => Ok(Replayed::Nothing),
                _ => {
                    Err(self.difference("the shell wrote nodes.conf, and that was not its turn", None, None))
                }
            },
            // The fsync is void with it.
            Event::Unwritten => match (self.duty()?, self.duties.front()) {
                (Some(Duty::Write), Some(Duty::Sync)) => self.duty().map(|_| Replayed::Nothing),
                (Some(Duty::Write), _) => Ok(Replayed::Nothing),
                _ => Err(self.difference(
                    "the shell failed to write nodes.conf, and that was not its turn",
                    None,
                    None,
                )),
            },
            Event::Synced => match self.duty()? {
                Some(Duty::Sync) => Ok(Replayed::Nothing),
                _ => Err(self.difference(
                    "the shell made nodes.conf durable, and that was not its turn",
                    None,
                    None,
                )),
            },
            Event::Dropped { slot, keys } => match self.duty()? {
                Some(Duty::Drop(s)) if s == slot => Ok(Replayed::Dropped(slot, keys)),
                _ => Err(self.difference(
                    format!("the shell deleted the keys of slot {slot}, and that was not its turn"),
                    None,
                    None,
                )),
            },
            Event::Received { from, frame, .. } => {
                self.nothing_left()?;
                self.arrived = Some(frame);
                Ok(Replayed::Received(from, frame))
            }
            Event::Migrated { slot, keys } => self.nothing_left().map(|()| Replayed::Migrated(slot, keys)),
            Event::Restored { slot } => self.nothing_left().map(|()| Replayed::Restored(slot)),
            Event::Config(config) => {
                self.nothing_left()?;
                self.config = *config;
                Ok(Replayed::Nothing)
            }
            Event::NodeTimeout(_) => Ok(Replayed::Nothing),
            Event::End => {
                self.nothing_left()?;
                self.ended = true;
                Ok(Replayed::Nothing)
            }
        }
    }

    fn duty(&mut self) -> Result<Option<Duty>, Box<Difference>> {
        Ok(self.duties.pop_front())
    }

    /// The shell did all it was told.
    fn nothing_left(&self) -> Result<(), Box<Difference>> {
        match self.duties.front() {
            None => Ok(()),
            Some(duty) => {
                let text = match duty {
                    Duty::Write => "write nodes.conf".to_string(),
                    Duty::Sync => "make nodes.conf durable (fsync)".to_string(),
                    Duty::Send(m) => format!("send {:?}", m.body),
                    Duty::Drop(slot) => format!("delete the keys of slot {slot}"),
                };
                Err(self.difference(format!("the shell was told to {text}, and did not"), None, None))
            }
        }
    }

    fn step(
        &mut self,
        input: Input,
        answers: &[Answer],
        effects: &[u8],
        digest: u64,
    ) -> Result<Replayed, Box<Difference>> {
        self.nothing_left()?;
        self.steps += 1;
        if let Some(frame) = self.arrived.take() {
            let Input::Receive { message, .. } = &input else {
                return Err(self.difference(
                    "a frame arrived, and the step takes something else",
                    None,
                    Some(format!("{input:?}")),
                ));
            };
            // A frame of another program may hold what a message does not keep.
            if hash_of(message, &mut self.frame) != frame {
                self.coverage.note("frame that this codec would write otherwise");
            }
        } else if matches!(input, Input::Receive { .. }) {
            return Err(self.difference(
                "the step takes a message that did not arrive",
                None,
                Some(format!("{input:?}")),
            ));
        }
        let keys = Recorded { answers, next: RefCell::new(Asked { at: 0, other: None }) };
        let mut out = Effects::new();
        self.state.step(&self.config, input.clone(), &keys, &mut out);
        let asked = keys.next.into_inner();
        if let Some((asked, told)) = asked.other {
            return Err(self.difference(
                "the model asks the keyspace something else",
                Some(asked),
                Some(told),
            ));
        }
        if asked.at != answers.len() {
            let told = format!("{:?}", &answers[asked.at..]);
            return Err(self.difference("the model asks the keyspace less", None, Some(told)));
        }
        let mut mine = std::mem::take(&mut self.encoded);
        mine.clear();
        self.encoded =
            postcard::to_extend(&out.0, mine).map_err(|e| self.difference(e.to_string(), None, None))?;
        if self.encoded != effects {
            return Err(self.other_effects(&out, effects, &input));
        }
        let now = self.state.digest();
        if now != digest {
            let (model, trace) =
                (format!("digest {now:016x}, {:?}", self.state), format!("digest {digest:016x}"));
            return Err(self.difference(
                format!("the state after {} differs", brief(&input)),
                Some(model),
                Some(trace),
            ));
        }
        for effect in &out.0 {
            match effect {
                Effect::Persist { fsync } => {
                    self.duties.push_back(Duty::Write);
                    if *fsync {
                        self.duties.push_back(Duty::Sync);
                    }
                }
                Effect::Send { message, .. } => self.duties.push_back(Duty::Send(message.clone())),
                Effect::DropKeys(slot) => self.duties.push_back(Duty::Drop(*slot)),
                _ => {}
            }
        }
        let moved = now != self.digest;
        self.digest = now;
        self.coverage.step(&input, &out, &self.before, &self.state, moved);
        Ok(if moved { Replayed::Step(Box::new(input), out) } else { Replayed::Quiet })
    }

    /// To be called once a changed state has been looked at.
    pub fn looked(&mut self) {
        self.before.clone_from(&self.state);
    }

    fn other_effects(&self, out: &Effects, effects: &[u8], input: &Input) -> Box<Difference> {
        let after = brief(input);
        match postcard::from_bytes::<Vec<Effect>>(effects) {
            Err(e) => self.difference(format!("the effects of {after} can't be read: {e}"), None, None),
            Ok(theirs) => {
                let at = out
                    .0
                    .iter()
                    .zip(&theirs)
                    .position(|(a, b)| a != b)
                    .unwrap_or(out.0.len().min(theirs.len()));
                let show =
                    |list: &[Effect]| list.get(at).map_or("nothing more".to_string(), |e| format!("{e:?}"));
                let problem = format!("effect {} of {after} differs", at + 1);
                self.difference(problem, Some(show(&out.0)), Some(show(&theirs)))
            }
        }
    }

    /// A frame is what its message says, with the stamps that the shell filled in.
    fn sent(
        &mut self,
        mut message: slotproof_model::Message,
        frame: u64,
        stamps: &[(u32, u32)],
    ) -> Result<Replayed, Box<Difference>> {
        if let Body::Heartbeat { gossip, .. } = &mut message.body {
            if gossip.len() != stamps.len() {
                return Err(self.difference(
                    "a frame with another number of gossip entries than its message",
                    None,
                    None,
                ));
            }
            for (entry, (ping, pong)) in gossip.iter_mut().zip(stamps) {
                entry.ping_sent = *ping;
                entry.pong_received = *pong;
            }
        }
        let told = hash_of(&message, &mut self.frame);
        if told != frame {
            let (model, trace) = (format!("{told:016x} for {message:?}"), format!("{frame:016x}"));
            return Err(self.difference(
                "the shell sent other bytes than it was told",
                Some(model),
                Some(trace),
            ));
        }
        Ok(Replayed::Sent(frame))
    }
}

/// The hash of a message's frame, which is written over what `frame` holds.
fn hash_of(message: &slotproof_model::Message, frame: &mut Vec<u8>) -> u64 {
    frame.clear();
    wire::encode_into(message, frame);
    frame_hash(frame)
}

/// An input in a few words.
fn brief(input: &Input) -> String {
    match input {
        Input::Receive { message, .. } => {
            let kind = match &message.body {
                Body::Heartbeat { kind, .. } => format!("{kind:?}"),
                other => format!("{other:?}"),
            };
            format!("a message ({kind}) of {}", message.header.sender.short())
        }
        other => format!("{other:?}"),
    }
}

/// The keyspace, as the trace has it.
struct Recorded<'a> {
    answers: &'a [Answer],
    next: RefCell<Asked>,
}

struct Asked {
    at: usize,
    /// The first question that the trace does not have, and what it has.
    other: Option<(String, String)>,
}

impl Recorded<'_> {
    fn next(&self, asked: &str, fits: impl Fn(Answer) -> Option<u64>) -> u64 {
        let mut next = self.next.borrow_mut();
        let told = self.answers.get(next.at).copied();
        next.at += 1;
        told.and_then(fits).unwrap_or_else(|| {
            let _ = next.other.get_or_insert_with(|| (asked.to_string(), format!("{told:?}")));
            0
        })
    }
}

impl Keyspace for Recorded<'_> {
    fn keys_in_slot(&self, slot: Slot) -> u64 {
        self.next(&format!("keys in slot {slot}"), |a| match a {
            Answer::InSlot(s, n) if s == slot => Some(n),
            _ => None,
        })
    }

    fn total_keys(&self) -> u64 {
        self.next("all keys", |a| match a {
            Answer::Total(n) => Some(n),
            Answer::InSlot(..) => None,
        })
    }
}
