//! Moving slots from master to master, in the order that operators use (`redis-cli`'s `clusterManagerMoveSlot`): IMPORTING at the target,
//! MIGRATING at the source, the keys, NODE at the target, NODE at the source, NODE at the other masters.
//!
//! Every step can be taken again. So an operator who died at any step is followed by one who looks for open slots and takes all the
//! steps of each from the first one on.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use slotproof_model::SLOTS;

use crate::cluster::{Seen, parse_view};
use crate::resp::{Connection, Value};

/// For one reply; a MIGRATE may take up to [`Operator::migrate_timeout_ms`] for each of its reads and writes.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// How often a MIGRATE that failed with IOERR is sent again before the operator gives up.
const MAX_RETRIES: usize = 5;

/// A slot that is to go, or is going, from one master to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The slot.
    pub slot: u16,
    /// The name of the node that gives it away.
    pub from: String,
    /// The name of the node that takes it.
    pub to: String,
}

/// A step that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// SETSLOT IMPORTING at the target.
    Importing,
    /// SETSLOT MIGRATING at the source.
    Migrating,
    /// A MIGRATE of so many keys.
    Keys(usize),
    /// SETSLOT NODE at the target: it owns the slot now.
    NodeAtTarget,
    /// SETSLOT NODE at the source.
    NodeAtSource,
    /// SETSLOT NODE at all other masters: the slot is done.
    NodeAtOthers,
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
    masters: BTreeMap<String, Master>,
    /// Keys for one MIGRATE.
    pub batch: usize,
    /// The timeout given to MIGRATE.
    pub migrate_timeout_ms: u64,
}

#[derive(Debug)]
struct Master {
    host: String,
    port: String,
    connection: Connection,
}

/// Whether a SETSLOT did something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    Now,
    /// Refused, because the slot was further already.
    Already,
}

/// Finishes slots that are open, then moves those of `slots` that `to` does not own (`from` given: of these only those that it owns).
/// `told` hears of each slot that is done, and of how many keys moved with it.
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
    let mut operator = Operator::connect(entry)?;
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
    pub fn connect(entry: &str) -> io::Result<Self> {
        let mut masters = BTreeMap::new();
        for node in view(&mut Connection::open(entry, CALL_LIMIT)?)? {
            let has = |flag| node.flags.split(',').any(|f| f == flag);
            if !has("master") || has("fail") || has("noaddr") || has("handshake") {
                continue;
            }
            let address = node.address.split('@').next().unwrap_or_default();
            let (host, port) = address.rsplit_once(':').unwrap_or_default();
            // A node that met nobody yet does not know its own address.
            let host = if host.is_empty() { entry.rsplit_once(':').unwrap_or_default().0 } else { host };
            let connection = Connection::open(&format!("{host}:{port}"), CALL_LIMIT)?;
            masters.insert(node.id, Master { host: host.into(), port: port.into(), connection });
        }
        Ok(Self { masters, batch: 100, migrate_timeout_ms: 5000 })
    }

    /// The slots that some master has open.
    ///
    /// # Errors
    /// When masters name different ways for one slot: that is for a person to decide.
    pub fn open_slots(&mut self) -> io::Result<Vec<Move>> {
        let mut open: BTreeMap<u16, Move> = BTreeMap::new();
        for (id, master) in &mut self.masters {
            let seen = view(&mut master.connection)?;
            let Some(me) = seen.into_iter().find(|n| n.id == *id) else { continue };
            for entry in me.slots.iter().filter_map(|s| s.strip_prefix('[')?.strip_suffix(']')) {
                let found = if let Some((slot, to)) = entry.split_once("->-") {
                    Move { slot: number(slot)?, from: id.clone(), to: to.into() }
                } else if let Some((slot, from)) = entry.split_once("-<-") {
                    Move { slot: number(slot)?, from: from.into(), to: id.clone() }
                } else {
                    return Err(io::Error::other(format!("CLUSTER NODES shows [{entry}]")));
                };
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
        from: Option<&str>,
        to: &str,
        observer: Observer<'_>,
    ) -> io::Result<Moved> {
        // The target is the first to know what it owns.
        let owners = owners(&view(&mut self.master(to)?.connection)?)?;
        let mut moved = Moved::default();
        for &slot in slots {
            let owner =
                owners.get(&slot).ok_or_else(|| io::Error::other(format!("nobody owns slot {slot}")))?;
            if owner == to || from.is_some_and(|f| f != owner) {
                continue;
            }
            let it = Move { slot, from: owner.clone(), to: to.into() };
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
        let taken = self.setslot(to, *slot, "IMPORTING", from, &owner)?;
        done!(Step::Importing);
        let not_owner = format!("ERR I'm not the owner of hash slot {slot}");
        let given = self.setslot(from, *slot, "MIGRATING", to, &not_owner)?;
        if given == Taken::Already && taken == Taken::Now {
            self.master(to)?.connection.ask(&["CLUSTER", "SETSLOT", &slot.to_string(), "STABLE"])?;
            return Err(io::Error::other(format!("{from} does not own it, nor does {to}")));
        }
        done!(Step::Migrating);
        loop {
            let batch = self.keys(from, *slot)?;
            if batch.is_empty() {
                break;
            }
            self.migrate(from, to, &batch)?;
            *keys += batch.len();
            done!(Step::Keys(batch.len()));
        }
        // Who gave away its last slot has become a replica as soon as it heard of it.
        let replica = "ERR Please use SETSLOT only with masters.";
        self.setslot(to, *slot, "NODE", to, "")?;
        done!(Step::NodeAtTarget);
        self.setslot(from, *slot, "NODE", to, replica)?;
        done!(Step::NodeAtSource);
        let others: Vec<String> =
            self.masters.keys().filter(|id| *id != from && *id != to).cloned().collect();
        for other in others {
            self.setslot(&other, *slot, "NODE", to, replica)?;
        }
        done!(Step::NodeAtOthers);
        Ok(ControlFlow::Continue(()))
    }

    fn setslot(&mut self, at: &str, slot: u16, verb: &str, node: &str, tolerated: &str) -> io::Result<Taken> {
        match self.master(at)?.connection.call(&["CLUSTER", "SETSLOT", &slot.to_string(), verb, node])? {
            Value::Error(e) if e == tolerated => Ok(Taken::Already),
            reply => reply.ok().map(|_| Taken::Now),
        }
    }

    fn keys(&mut self, from: &str, slot: u16) -> io::Result<Vec<Vec<u8>>> {
        let batch = self.batch.to_string();
        let reply =
            self.master(from)?.connection.ask(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &batch])?;
        let wrong = |other: &Value| io::Error::other(format!("GETKEYSINSLOT: {other:?}"));
        let Value::Array(keys) = reply else { return Err(wrong(&reply)) };
        let key = |value| if let Value::Bulk(key) = value { Ok(key) } else { Err(wrong(&value)) };
        keys.into_iter().map(key).collect()
    }

    fn migrate(&mut self, from: &str, to: &str, keys: &[Vec<u8>]) -> io::Result<()> {
        let target = self.master(to)?;
        let (host, port) = (target.host.clone(), target.port.clone());
        let timeout = self.migrate_timeout_ms.to_string();
        let (mut replace, mut retries) = (false, 0);
        loop {
            let mut words: Vec<&[u8]> =
                vec![b"MIGRATE", host.as_bytes(), port.as_bytes(), b"", b"0", timeout.as_bytes()];
            if replace {
                words.push(b"REPLACE");
            }
            words.push(b"KEYS");
            words.extend(keys.iter().map(Vec::as_slice));
            match self.master(from)?.connection.call(&words)? {
                // An earlier transfer whose answer was lost has left a copy; the source's is served, so it is the latest.
                Value::Error(e) if e.contains("BUSYKEY") && !replace => replace = true,
                Value::Error(e) if e.starts_with("IOERR") && retries < MAX_RETRIES => retries += 1,
                reply => return reply.ok().map(drop),
            }
        }
    }

    fn master(&mut self, id: &str) -> io::Result<&mut Master> {
        self.masters
            .get_mut(id)
            .ok_or_else(|| io::Error::other(format!("{id} is no master that can be reached")))
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

fn view(connection: &mut Connection) -> io::Result<Vec<Seen>> {
    parse_view(&connection.ask(&["CLUSTER", "NODES"])?.text().unwrap_or_default())
}

fn owners(seen: &[Seen]) -> io::Result<BTreeMap<u16, String>> {
    let mut owners = BTreeMap::new();
    for node in seen {
        for range in node.slots.iter().filter(|s| !s.starts_with('[')) {
            let slots = ranges(range).ok_or_else(|| io::Error::other(format!("{range:?} are no slots")))?;
            owners.extend(slots.into_iter().map(|slot| (slot, node.id.clone())));
        }
    }
    Ok(owners)
}

fn number(text: &str) -> io::Result<u16> {
    text.parse().map_err(|_| io::Error::other(format!("{text:?} is no slot")))
}
