//! The traces of a cluster, as one run.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use slotproof_model::check::properties::{
    NodeStep, s4_epoch_monotone, s5_fail_quorum, s9_no_stale_owner_serve,
};
use slotproof_model::{Effects, Input, NodeId, Slot};
use slotproof_node::trace::{Event, Record, TraceReader};

use super::{Coverage, Difference, Replay, Replayed, open};

/// What a run showed.
#[derive(Debug)]
pub struct Report {
    /// Traces replayed.
    pub traces: usize,
    /// Steps of the core.
    pub steps: u64,
    /// Frames that were received and that a traced peer sent.
    pub frames: u64,
    /// Frames received from nodes without a trace, or behind the end of a trace that was cut off.
    pub untraced: u64,
    /// Traces that end without the node's end (it was killed).
    pub cut_off: Vec<String>,
    /// What the run exercised.
    pub coverage: Coverage,
    /// Properties that were violated along the run, with where.
    pub violations: Vec<String>,
    /// How long the replay took.
    pub took: Duration,
}

/// How many frames with this hash a node has sent that were not received yet.
type Sent = HashMap<(NodeId, u64), i64, ahash::RandomState>;

/// A trace that is being merged.
struct Lane {
    replay: Replay,
    reader: TraceReader<BufReader<File>>,
    next: Option<Record>,
    /// Microseconds of the wall clock at stamp 0.
    wall_us: u64,
    /// Reports by (subject, reporter): when they were last refreshed.
    reported: HashMap<(NodeId, NodeId), u64>,
    validity_us: u64,
    /// Keys by slot, as RESTORE and MIGRATE changed their number.
    keys: BTreeMap<Slot, i64>,
    last_us: u64,
    done: bool,
}

impl Lane {
    fn open(path: &std::path::Path) -> Result<Self, Box<Difference>> {
        let (name, beginning, reader) = open(path).map_err(Box::new)?;
        let (wall_us, timeout) = (beginning.wall_us, beginning.node_timeout_ms);
        let mut lane = Self {
            replay: Replay::new(name, beginning),
            reader,
            next: None,
            wall_us,
            reported: HashMap::new(),
            validity_us: 0,
            keys: BTreeMap::new(),
            last_us: wall_us,
            done: false,
        };
        lane.timeout(timeout);
        lane.advance()?;
        Ok(lane)
    }

    /// Reports are valid for 2 x node timeout; timers are looked at ten times a second, and a machine may be busy.
    fn timeout(&mut self, ms: u64) {
        self.validity_us = ms.saturating_mul(2000).saturating_add(1_000_000);
    }

    fn advance(&mut self) -> Result<(), Box<Difference>> {
        self.next = match self.reader.next() {
            None => {
                self.done = true;
                None
            }
            // A node that was killed leaves a last record that is not whole.
            Some(Err(e)) if e.problem.contains("ends inside") => {
                self.done = true;
                None
            }
            Some(Err(e)) => {
                let mut d = self.replay.difference(e.problem.clone(), None, None);
                d.record = e.record;
                return Err(d);
            }
            Some(Ok(record)) => Some(record),
        };
        Ok(())
    }

    fn time(&self) -> u64 {
        self.next.as_ref().map_or(u64::MAX, |r| self.wall_us.saturating_add(r.at_us))
    }
}

/// Replays traces, merged: a frame is received behind its sending, else records go by their stamps.
pub fn conform(paths: &[PathBuf]) -> Result<Report, Box<Difference>> {
    let begun = Instant::now();
    let mut lanes = paths.iter().map(|p| Lane::open(p)).collect::<Result<Vec<_>, _>>()?;
    let mut sent = Sent::default();
    let mut report = Report {
        traces: lanes.len(),
        steps: 0,
        frames: 0,
        untraced: 0,
        cut_off: Vec::new(),
        coverage: Coverage::default(),
        violations: Vec::new(),
        took: Duration::ZERO,
    };
    while let Some(at) = next_lane(&lanes, &sent)? {
        take(&mut lanes, at, &mut sent, &mut report)?;
    }
    for lane in &lanes {
        report.steps += lane.replay.steps();
        report.coverage.add(&lane.replay.coverage);
        if !lane.replay.ended() {
            report.cut_off.push(lane.replay.name().to_string());
        }
    }
    if let Some(text) = epochs_of_owners(&lanes) {
        report.violations.push(format!("S1: {text}"));
    }
    report.took = begun.elapsed();
    Ok(report)
}

/// The lane whose next record comes first, of those that may go on.
fn next_lane(lanes: &[Lane], sent: &Sent) -> Result<Option<usize>, Box<Difference>> {
    let open = || (0..lanes.len()).filter(|&i| lanes[i].next.is_some());
    let waits = |i: &usize| match lanes[*i].next.as_ref().map(|r| &r.what) {
        Some(Event::Received { from, frame, .. }) => {
            sent.get(&(*from, *frame)).copied().unwrap_or(0) <= 0 && sender_goes_on(lanes, from)
        }
        _ => false,
    };
    let earliest = |lanes_left: &mut dyn Iterator<Item = usize>| lanes_left.min_by_key(|&i| lanes[i].time());
    if let Some(next) = earliest(&mut open().filter(|i| !waits(i))) {
        return Ok(Some(next));
    }
    match earliest(&mut open()) {
        None => Ok(None),
        Some(stuck) => {
            Err(lanes[stuck].replay.difference("a frame was received that its peer never sent", None, None))
        }
    }
}

/// Whether a trace of this sender has records left, or ended in good order: what it sent must be in it.
fn sender_goes_on(lanes: &[Lane], sender: &NodeId) -> bool {
    let of: Vec<&Lane> = lanes.iter().filter(|l| l.replay.state().me() == *sender).collect();
    !of.is_empty() && of.iter().all(|l| !l.done || l.replay.ended())
}

fn take(lanes: &mut [Lane], at: usize, sent: &mut Sent, report: &mut Report) -> Result<(), Box<Difference>> {
    let lane = &mut lanes[at];
    let Some(record) = lane.next.take() else { return Ok(()) };
    let now = lane.wall_us.saturating_add(record.at_us);
    lane.last_us = now;
    if let Event::NodeTimeout(ms) = &record.what {
        lane.timeout(*ms);
    }
    match lane.replay.take(record)? {
        Replayed::Step(input, out) => {
            let text = judge(lane, &input, &out, now);
            report
                .violations
                .extend(text.map(|t| format!("{}, step {}: {t}", lane.replay.name(), lane.replay.steps())));
            lane.replay.looked();
        }
        Replayed::Sent(frame) => *sent.entry((lane.replay.state().me(), frame)).or_default() += 1,
        Replayed::Received(from, frame) => match sent.get_mut(&(from, frame)) {
            Some(n) if *n > 0 => {
                *n -= 1;
                report.frames += 1;
            }
            _ => report.untraced += 1,
        },
        Replayed::Restored(slot) => *lane.keys.entry(slot).or_default() += 1,
        Replayed::Migrated(slot, keys) => {
            *lane.keys.entry(slot).or_default() -= i64::try_from(keys).unwrap_or(i64::MAX)
        }
        Replayed::Dropped(slot, keys) => {
            let step = lane.replay.steps();
            let name = lane.replay.name().to_string();
            if keys > 0 && !handed_over(lanes, slot, keys) {
                report.violations.push(format!("{name}, step {step}: S10: {keys} keys of slot {slot} are deleted, and its owner did not get them"));
            }
        }
        Replayed::Quiet | Replayed::Nothing => {}
    }
    lanes[at].advance()
}

/// S4, S5 and S9 of a step.
fn judge(lane: &mut Lane, input: &Input, out: &Effects, now: u64) -> Option<String> {
    for peer in lane.replay.state().peers() {
        for r in &peer.reports {
            let fresh = out.0.iter().any(|e| {
                matches!(e, slotproof_model::Effect::Arm { timer: slotproof_model::Timer::ReportExpires { subject, reporter }, .. }
                    if *subject == peer.id && *reporter == r.reporter)
            });
            if fresh || !lane.reported.contains_key(&(peer.id, r.reporter)) {
                lane.reported.insert((peer.id, r.reporter), now);
            }
        }
    }
    let step = NodeStep {
        name: lane.replay.name(),
        config: lane.replay.config(),
        before: lane.replay.before(),
        input: Some(input),
        after: lane.replay.state(),
        effects: out,
    };
    let expired = |subject: &NodeId, reporter: &NodeId| {
        let since = lane.reported.get(&(*subject, *reporter)).map_or(0, |t| now.saturating_sub(*t));
        since > lane.validity_us
    };
    s4_epoch_monotone(&step)
        .map(|t| format!("S4: {t}"))
        .or_else(|| s5_fail_quorum(&step, expired).map(|t| format!("S5: {t}")))
        .or_else(|| s9_no_stale_owner_serve(&step).map(|t| format!("S9: {t}")))
}

/// S10 by key counts: the node that owns the slot with the greatest epoch was given at least as many keys.
fn handed_over(lanes: &[Lane], slot: Slot, keys: u64) -> bool {
    let owns = |l: &&Lane| l.replay.state().owner(slot).is_some_and(|p| p.id == l.replay.state().me());
    let owner = lanes.iter().filter(owns).max_by_key(|l| l.replay.state().myself().config_epoch);
    owner.is_some_and(|l| l.keys.get(&slot).is_some_and(|&n| n >= i64::try_from(keys).unwrap_or(i64::MAX)))
}

/// S1 in the end: no two nodes own a slot at one epoch. Of a node with several lives the last counts.
fn epochs_of_owners(lanes: &[Lane]) -> Option<String> {
    let mut last: BTreeMap<NodeId, &Lane> = BTreeMap::new();
    for lane in lanes.iter().filter(|l| l.replay.ended()) {
        let id = lane.replay.state().me();
        if last.get(&id).is_none_or(|l| l.last_us < lane.last_us) {
            last.insert(id, lane);
        }
    }
    let mut seen: BTreeMap<(u64, Slot), &str> = BTreeMap::new();
    for lane in last.values() {
        let me = lane.replay.state().myself();
        for slot in me.slots.iter() {
            if let Some(other) = seen.insert((me.config_epoch.0, slot), lane.replay.name()) {
                return Some(format!(
                    "{other} and {} both own slot {slot} at epoch {}",
                    lane.replay.name(),
                    me.config_epoch
                ));
            }
        }
    }
    None
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.steps as f64 / self.took.as_secs_f64().max(1e-9);
        writeln!(
            f,
            "{} traces, {} steps replayed in {:.2} s ({rate:.0} steps/s): every effect and digest as the model says",
            self.traces,
            self.steps,
            self.took.as_secs_f64()
        )?;
        writeln!(
            f,
            "{} frames received that a peer sent, {} from nodes without a trace or behind its end",
            self.frames, self.untraced
        )?;
        if !self.cut_off.is_empty() {
            writeln!(f, "ended without the node's end: {}", self.cut_off.join(", "))?;
        }
        if self.violations.is_empty() {
            writeln!(f, "S1, S4, S5, S9 and S10 (by key counts) hold along the run")?;
        }
        for v in &self.violations {
            writeln!(f, "violated: {v}")?;
        }
        writeln!(f, "rules exercised:")?;
        for (rule, n) in &self.coverage.0 {
            writeln!(f, "  {n:>9}  {rule}")?;
        }
        let missing: Vec<&str> = self.coverage.missing().collect();
        writeln!(
            f,
            "rules not exercised: {}",
            if missing.is_empty() { "none".into() } else { missing.join("; ") }
        )
    }
}
