//! Moving slots from master to master, in the order that operators use (`redis-cli`'s `clusterManagerMoveSlot`): IMPORTING at the target,
//! MIGRATING at the source, the keys, NODE at the target, NODE at the source, NODE at the other masters.
//!
//! Every step can be taken again. So an operator who died at any step is followed by one who looks for open slots and takes all the
//! steps of each from the first one on.
//!
//! **The target gets the slot only when its epoch will beat the source's.** NODE makes the target's config epoch the newest of all that it has
//! heard of. If it has not heard of the source's yet (redis 7.0.15, after a slot went to and fro within tens of milliseconds), a packet of the
//! source that is still on its way takes the slot back at the target, which deletes the keys that it has just received.
//!
//! A MIGRATE whose answer was lost may have left a copy of a key at the target, which refuses the key then (BUSYKEY). **Nothing is replaced
//! before both values were compared**, and nothing that differs without [`Operator::replace`].

mod compare;
mod peer;

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use slotproof_model::{Flags, NodeId, SLOTS, Slot};

pub use self::peer::{Access, Peer};
use crate::resp::{Value, split_address};
use compare::{Compared, compare};

/// How often a MIGRATE that failed with IOERR or met copies is sent again before the operator gives up.
const MAX_RETRIES: usize = 5;
/// How long a node that holds the cluster for down is asked again to move keys, and how often.
const DOWN_LIMIT: Duration = Duration::from_secs(5);
const DOWN_PAUSE: Duration = Duration::from_millis(50);
/// How long the target of a move may take to hear of its source's epoch, and how often it is asked.
const EPOCH_LIMIT: Duration = Duration::from_secs(15);
const EPOCH_PAUSE: Duration = Duration::from_millis(10);
/// How often a node may list the same keys again after they were moved.
const MAX_SAME: usize = 3;

/// A slot that is to go, or is going, from one master to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The slot.
    pub slot: u16,
    /// The name of the node that gives it away.
    pub from: NodeId,
    /// The name of the node that takes it.
    pub to: NodeId,
}

/// A step that is done, or something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// SETSLOT IMPORTING at the target.
    Importing,
    /// SETSLOT MIGRATING at the source.
    Migrating,
    /// Keys are at both nodes. So many of them are equal; the others are described, and will be replaced all the same.
    Copies(usize, Vec<String>),
    /// A MIGRATE of so many keys.
    Keys(usize),
    /// SETSLOT NODE at the target: it owns the slot now.
    NodeAtTarget,
    /// SETSLOT NODE at the source.
    NodeAtSource,
    /// SETSLOT NODE at all other masters: the slot is done.
    NodeAtOthers,
    /// SETSLOT STABLE at a node whose keys were brought to the owner ([`Operator::gather`]).
    Closed,
}

/// Hears of every step; can stop the operator after it.
pub type Observer<'a> = &'a mut dyn FnMut(&Move, Step) -> ControlFlow<()>;

/// What an operator did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Slots that were open when it began, and are closed.
    pub resumed: usize,
    /// Slots that it moved from the first step to the last.
    pub slots: usize,
    /// Keys that MIGRATE was asked to move.
    pub keys: usize,
    /// Whether the observer stopped it.
    pub stopped: bool,
}

/// Somebody who moves slots.
#[derive(Debug)]
pub struct Operator {
    masters: BTreeMap<NodeId, Peer>,
    access: Access,
    /// Keys for one MIGRATE.
    pub batch: usize,
    /// The timeout given to MIGRATE, in ms. Its reply is waited for longer than that.
    pub migrate_timeout_ms: u64,
    /// Whether a key that has another value at the node it goes to may be replaced there.
    pub replace: bool,
}

/// Whether a SETSLOT did something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Now,
    /// Refused, because the slot was further already.
    Already,
}

/// Finishes slots that are open, then moves those of `slots` that `to` does not own (`from` given: of these only those that it owns).
/// A copy that a lost answer left behind is replaced. `told` hears of each slot that is done, and of how many keys moved with it.
///
/// # Errors
/// As [`Operator::connect`], [`Operator::resume`] and [`Operator::bring`].
pub fn reshard(
    entry: &str,
    from: Option<&str>,
    to: &str,
    slots: &[u16],
    mut told: impl FnMut(u16, usize),
) -> io::Result<Moved> {
    let mut operator = Operator::connect(entry, &Access::default())?;
    operator.replace = true;
    let name = |text: &str| {
        text.parse::<NodeId>()
            .map_err(|_| io::Error::other(format!("{text} is no master that can be reached")))
    };
    let (from, to) = (from.map(name).transpose()?, name(to)?);
    let mut keys = 0;
    let mut observer = |it: &Move, step| {
        match step {
            Step::Keys(n) => keys += n,
            Step::NodeAtOthers => told(it.slot, std::mem::take(&mut keys)),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    let resumed = operator.resume(&mut observer)?;
    let moved = operator.bring(slots, from, to, &mut observer)?;
    Ok(Moved { resumed: resumed.resumed, keys: resumed.keys + moved.keys, ..moved })
}

impl Operator {
    /// An operator with connections to all masters that this node (`host:port`) knows and does not hold for failed.
    ///
    /// # Errors
    /// When one of them cannot be reached.
    pub fn connect(entry: &str, access: &Access) -> io::Result<Self> {
        let (host, port) = split_address(entry)
            .ok_or_else(|| io::Error::other(format!("{entry:?} is no address: host:port is one")))?;
        let mut first = Peer::open(host, port, access)?;
        let mut masters = BTreeMap::new();
        for node in first.view()?.saved.nodes {
            if !node.flags.any(Flags::MASTER) || node.flags.any(Flags::FAIL.with(Flags::NOADDR)) {
                continue;
            }
            // A node that met nobody yet does not know its own address.
            let host = if node.address.ip.is_empty() { first.ip()? } else { node.address.ip.to_string() };
            masters.insert(node.id, Peer::open(&host, node.address.port, access)?);
        }
        Ok(Self::of(masters, access))
    }

    /// An operator who knows these masters.
    pub fn of(masters: BTreeMap<NodeId, Peer>, access: &Access) -> Self {
        Self { masters, access: access.clone(), batch: 100, migrate_timeout_ms: 5000, replace: false }
    }

    /// The slots that some master has open.
    ///
    /// # Errors
    /// When masters name different ways for one slot: that is for a person to decide.
    pub fn open_slots(&mut self) -> io::Result<Vec<Move>> {
        let mut open: BTreeMap<u16, Move> = BTreeMap::new();
        for (&id, master) in &mut self.masters {
            let seen = master.view()?.saved;
            let given = seen.migrating.iter().map(|(&s, &to)| Move { slot: s.into(), from: id, to });
            let taken = seen.importing.iter().map(|(&s, &from)| Move { slot: s.into(), from, to: id });
            for found in given.chain(taken) {
                let slot = found.slot;
                if *open.entry(slot).or_insert_with(|| found.clone()) != found {
                    return Err(io::Error::other(format!("slot {slot} is open in more than one way")));
                }
            }
        }
        Ok(open.into_values().collect())
    }

    /// Finishes what an earlier operator left open.
    ///
    /// # Errors
    /// As [`Operator::open_slots`] and [`Operator::move_slot`].
    pub fn resume(&mut self, observer: Observer<'_>) -> io::Result<Moved> {
        let mut moved = Moved::default();
        for it in self.open_slots()? {
            moved.stopped = self.move_slot(&it, &mut moved.keys, observer)?.is_break();
            if moved.stopped {
                break;
            }
            moved.resumed += 1;
        }
        Ok(moved)
    }

    /// Moves these slots to `to` from whoever owns them now, or only those that `from` owns. What `to` has already is left alone. Open slots
    /// are to be finished first.
    ///
    /// # Errors
    /// When nobody owns a slot, and as [`Operator::move_slot`].
    pub fn bring(
        &mut self,
        slots: &[u16],
        from: Option<NodeId>,
        to: NodeId,
        observer: Observer<'_>,
    ) -> io::Result<Moved> {
        // The target is the first to know what it owns.
        let seen = self.master(&to)?.view()?.saved.nodes;
        let mut moved = Moved::default();
        for &slot in slots {
            let owner = seen.iter().find(|n| n.slots.contains(Slot::new(slot))).map(|n| n.id);
            let owner = owner.ok_or_else(|| io::Error::other(format!("nobody owns slot {slot}")))?;
            if owner == to || from.is_some_and(|f| f != owner) {
                continue;
            }
            let it = Move { slot, from: owner, to };
            moved.stopped = self.move_slot(&it, &mut moved.keys, observer)?.is_break();
            if moved.stopped {
                break;
            }
            moved.slots += 1;
        }
        Ok(moved)
    }

    /// Takes all the steps for one slot, from wherever an earlier operator may have left it; `keys` counts on.
    ///
    /// # Errors
    /// The first refusal that is not a sign of a step taken earlier, with the slot.
    pub fn move_slot(
        &mut self,
        it: &Move,
        keys: &mut usize,
        observer: Observer<'_>,
    ) -> io::Result<ControlFlow<()>> {
        self.steps(it, keys, observer)
            .map_err(|e| io::Error::new(e.kind(), format!("moving slot {}: {e}", it.slot)))
    }

    /// Brings the keys that `from` holds of a slot back to its owner `to`, and closes the slot at `from`. The owner must not have it open.
    ///
    /// # Errors
    /// The first refusal, with the slot.
    pub fn gather(
        &mut self,
        it: &Move,
        keys: &mut usize,
        observer: Observer<'_>,
    ) -> io::Result<ControlFlow<()>> {
        let mut work = |me: &mut Self| {
            // Only an open slot's keys can be migrated by who does not own it.
            let owner = format!("ERR I'm already the owner of hash slot {}", it.slot);
            me.setslot(&it.from, it.slot, "IMPORTING", Some(&it.to), &owner)?;
            if me.all_keys(it, it.to, keys, &mut *observer)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            me.setslot(&it.from, it.slot, "STABLE", None, "")?;
            Ok(observer(it, Step::Closed))
        };
        work(self).map_err(|e: io::Error| {
            io::Error::new(e.kind(), format!("bringing the keys of slot {} to its owner: {e}", it.slot))
        })
    }

    fn steps(&mut self, it: &Move, keys: &mut usize, observer: Observer<'_>) -> io::Result<ControlFlow<()>> {
        macro_rules! done {
            ($step:expr) => {
                if observer(it, $step).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            };
        }
        let Move { slot, from, to } = it;
        // Refused where the earlier operator got further: then the slot has changed hands already.
        let owner = format!("ERR I'm already the owner of hash slot {slot}");
        let taken = self.setslot(to, *slot, "IMPORTING", Some(from), &owner)?;
        done!(Step::Importing);
        let not_owner = format!("ERR I'm not the owner of hash slot {slot}");
        let given = self.setslot(from, *slot, "MIGRATING", Some(to), &not_owner)?;
        if given == Taken::Already && taken == Taken::Now {
            self.setslot(to, *slot, "STABLE", None, "")?;
            return Err(io::Error::other(format!("{from} does not own it, nor does {to}")));
        }
        done!(Step::Migrating);
        if self.all_keys(it, *from, keys, observer)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if given == Taken::Now {
            self.wait_epochs(from, to)?;
        }
        // Who gave away its last slot has become a replica as soon as it heard of it.
        let replica = "ERR Please use SETSLOT only with masters.";
        self.setslot(to, *slot, "NODE", Some(to), "")?;
        done!(Step::NodeAtTarget);
        self.setslot(from, *slot, "NODE", Some(to), replica)?;
        done!(Step::NodeAtSource);
        let others: Vec<NodeId> =
            self.masters.keys().filter(|id| *id != from && *id != to).copied().collect();
        for other in others {
            self.setslot(&other, *slot, "NODE", Some(to), replica)?;
        }
        done!(Step::NodeAtOthers);
        Ok(ControlFlow::Continue(()))
    }

    /// Waits until the target's claim will be newer than the source's. NODE at the target makes it the newest of those that the target
    /// knows of: if it has not heard of the source's own, or has the same, the source would take the slot back, and the target would delete
    /// the keys that it has just received.
    fn wait_epochs(&mut self, from: &NodeId, to: &NodeId) -> io::Result<()> {
        let until = Instant::now() + EPOCH_LIMIT;
        loop {
            let [source, _] = self.master(from)?.epochs()?;
            let [target, current] = self.master(to)?.epochs()?;
            if current >= source && (target != source || target == 0) {
                return Ok(());
            }
            if Instant::now() >= until {
                let (from, to) = (self.master(from)?.address(), self.master(to)?.address());
                return Err(io::Error::other(format!(
                    "{to} (config epoch {target}, current epoch {current}) does not hear of the config epoch {source} of {from}: it \
                     would not keep the slot. The keys are at {to}, clients are sent to them by ASK"
                )));
            }
            std::thread::park_timeout(EPOCH_PAUSE);
        }
    }

    fn setslot(
        &mut self,
        at: &NodeId,
        slot: u16,
        verb: &str,
        node: Option<&NodeId>,
        tolerated: &str,
    ) -> io::Result<Taken> {
        let master = self.master(at)?;
        match master.setslot(slot, verb, node)? {
            Value::Error(e) if e == tolerated => Ok(Taken::Already),
            reply => master.is_ok(&peer::setslot_words(slot, verb, node), &reply).map(|()| Taken::Now),
        }
    }

    /// Moves keys until the source has none. Clients are served the values of `served`.
    fn all_keys(
        &mut self,
        it: &Move,
        served: NodeId,
        keys: &mut usize,
        observer: Observer<'_>,
    ) -> io::Result<ControlFlow<()>> {
        let (mut last, mut same) = (Vec::new(), 0);
        loop {
            let batch = self.batch;
            let source = self.master(&it.from)?;
            let found = source.some_keys(it.slot, batch)?;
            if found.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            same = if found == last { same + 1 } else { 0 };
            if same >= MAX_SAME {
                return Err(
                    source.wrong("CLUSTER GETKEYSINSLOT", &"lists the same keys after they were moved")
                );
            }
            if self.migrate(it, served, &found, observer)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            *keys += found.len();
            if observer(it, Step::Keys(found.len())).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            last = found;
        }
    }

    fn migrate(
        &mut self,
        it: &Move,
        served: NodeId,
        keys: &[Vec<u8>],
        observer: Observer<'_>,
    ) -> io::Result<ControlFlow<()>> {
        let (mut retries, until) = (0, Instant::now() + DOWN_LIMIT);
        loop {
            let Err(reply) = self.send(it, keys, false)? else { return Ok(ControlFlow::Continue(())) };
            retries += 1;
            match &reply {
                // A node that has just joined holds the cluster for down for a while.
                Value::Error(e) if e.contains("CLUSTERDOWN") && Instant::now() < until => {
                    retries -= 1;
                    std::thread::park_timeout(DOWN_PAUSE);
                }
                Value::Error(e) if e.contains("BUSYKEY") && retries <= MAX_RETRIES => {
                    if self.settle(it, served, keys, observer)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                // Whether the keys arrived is not known: the next attempt will tell.
                Value::Error(e) if e.starts_with("IOERR") && retries <= MAX_RETRIES => {}
                _ => return Err(self.master(&it.from)?.unexpected(&["MIGRATE"], &reply)),
            }
        }
    }

    /// Of these keys some are at both nodes: compares them, and lets the value that is served win where that destroys nothing, or may.
    fn settle(
        &mut self,
        it: &Move,
        served: NodeId,
        keys: &[Vec<u8>],
        observer: Observer<'_>,
    ) -> io::Result<ControlFlow<()>> {
        let (mut equal, mut different, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            let (source, target) = self.two(&it.from, &it.to)?;
            match compare(source, target, key)? {
                Compared::Alone => {}
                Compared::Equal => equal.push(key.clone()),
                Compared::Different(mine, its) => {
                    let (source, target) = (source.address(), target.address());
                    let key_text = peer::short(&key.escape_ascii().to_string());
                    texts.push(format!("key \"{key_text}\": {source} holds {mine}, {target} holds {its}"));
                    different.push(key.clone());
                }
            }
        }
        if let ([first, ..], false) = (&texts[..], self.replace) {
            let served = self.master(&served)?.address();
            let (n, all) = (different.len(), keys.len());
            return Err(io::Error::other(format!(
                "{n} of {all} keys are at both nodes with different values, {} with equal ones. {first}. Nothing was replaced. \
                 Clients are served the value at {served}; with --replace it stays, and the other one is lost",
                equal.len()
            )));
        }
        if observer(it, Step::Copies(equal.len(), texts)).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        if served == it.from {
            equal.append(&mut different);
        }
        for key in different {
            let words: [&[u8]; 2] = [b"DEL", &key];
            let source = self.master(&it.from)?;
            let reply = source.call_asking(&words)?;
            if !matches!(reply, Value::Int(_)) {
                return Err(source.unexpected(&words, &reply));
            }
        }
        if equal.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        match self.send(it, &equal, true)? {
            Ok(()) => Ok(ControlFlow::Continue(())),
            Err(Value::Error(e)) if e.starts_with("IOERR") => Ok(ControlFlow::Continue(())),
            Err(reply) => Err(self.master(&it.from)?.unexpected(&["MIGRATE"], &reply)),
        }
    }

    /// One MIGRATE; the reply if it is none of success.
    fn send(&mut self, it: &Move, keys: &[Vec<u8>], replace: bool) -> io::Result<Result<(), Value>> {
        let (host, port) = self.master(&it.to)?.for_nodes()?;
        let port = port.to_string();
        let timeout = self.migrate_timeout_ms.to_string();
        let login = self.access.clone();
        let mut words: Vec<&[u8]> =
            vec![b"MIGRATE", host.as_bytes(), port.as_bytes(), b"", b"0", timeout.as_bytes()];
        if replace {
            words.push(b"REPLACE");
        }
        words.extend(login.for_migrate());
        words.push(b"KEYS");
        words.extend(keys.iter().map(Vec::as_slice));
        // It connects, writes and reads, and does so twice if the connection was an old one.
        let longer = Duration::from_millis(self.migrate_timeout_ms.saturating_mul(6));
        match self.master(&it.from)?.call_slow(&words, longer)? {
            Value::Status(s) if s == "OK" || s == "NOKEY" => Ok(Ok(())),
            reply => Ok(Err(reply)),
        }
    }

    /// A master's connection.
    ///
    /// # Errors
    /// When it is none of those that this operator knows.
    pub fn master(&mut self, id: &NodeId) -> io::Result<&mut Peer> {
        self.masters
            .get_mut(id)
            .ok_or_else(|| io::Error::other(format!("{id} is no master that can be reached")))
    }

    fn two(&mut self, one: &NodeId, other: &NodeId) -> io::Result<(&mut Peer, &mut Peer)> {
        let missing = |id| io::Error::other(format!("{id} is no master that can be reached"));
        let (mut first, mut second) = (None, None);
        for (id, peer) in &mut self.masters {
            if id == one {
                first = Some(peer);
            } else if id == other {
                second = Some(peer);
            }
        }
        Ok((first.ok_or_else(|| missing(one))?, second.ok_or_else(|| missing(other))?))
    }
}

/// The slots of a list of ranges: `0-99,5461-5560,7000`. `None` if it is not one.
pub fn ranges(text: &str) -> Option<Vec<u16>> {
    let mut slots = Vec::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= SLOTS {
            return None;
        }
        slots.extend(first..=last);
    }
    Some(slots)
}
