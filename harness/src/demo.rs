//! The whole story in one run: a real cluster, a load, a reshard whose operator is killed and resumed, and what became of it.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use slotproof_model::key_slot;

use crate::client::Detours;
use crate::cluster::{Cluster, Process, Program};
use crate::history::{Verdict, check};
use crate::load::{Load, Plan as LoadPlan, key_name};
use crate::reshard::ranges;

/// The bytes of a value.
const VALUE_BYTES: usize = 64;

/// The sizes of a run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Keys that are loaded first.
    pub keys: u32,
    /// Slots that move to the empty node.
    pub slots: u16,
    /// Clients.
    pub clients: u32,
    /// What the clients do is drawn from this.
    pub seed: u64,
}

/// What a run came to.
#[derive(Debug)]
pub struct Story {
    /// The cluster, its nodes ended in good order; its traces are still there.
    pub cluster: Cluster,
    /// Keys a second while loading.
    pub fill_rate: f64,
    /// Seconds from the operator's start to the end of his second life.
    pub reshard_seconds: f64,
    /// Slots that were done when the operator was killed.
    pub slots_before_kill: usize,
    /// Slots that he found open, and those that he moved in his second life; keys moved in it.
    pub resumed: String,
    /// Keys that moved with the slots that were done; those that left the slot at which the operator was killed before that are not known.
    pub keys_moved: usize,
    /// Operations a second while the slots moved.
    pub load_rate: f64,
    /// How often clients were sent elsewhere, or had to wait.
    pub detours: Detours,
    /// What the clients did and saw, judged.
    pub verdict: Verdict,
    /// The new node's slots in the end.
    pub slots_at_target: usize,
}

/// Runs `tool` (`slotproof`) as nodes and as operator.
pub fn run(tool: &Path, plan: Plan, mut told: impl FnMut(&str)) -> io::Result<Story> {
    let program = Program::Slotproof(tool.to_path_buf(), vec!["node".into()]);
    let mut cluster = Cluster::start(4, &program, &["--cluster-node-timeout", "5000"], true)?;
    told("4 nodes started; 3 masters share the slots, the fourth is empty");
    cluster.form(3)?;
    let seeds: Vec<String> = cluster.nodes[..3].iter().map(crate::cluster::Node::address).collect();

    let target = cluster.nodes[3].id()?;
    let slots = share(plan.slots);
    let moving = ranges(&slots).unwrap_or_default();
    let moves = |key: &u32| moving.contains(&key_slot(key_name(*key).as_bytes()).into());
    let load_plan = LoadPlan {
        keys: plan.keys,
        clients: plan.clients,
        value_bytes: VALUE_BYTES,
        hot: (0..plan.keys).filter(moves).collect(),
        seed: plan.seed,
    };
    let load = Load::new(load_plan, seeds.clone());
    let filled = load.fill()?;
    let fill_rate = f64::from(plan.keys) / filled.elapsed.as_secs_f64();
    told(&format!("{} keys loaded", plan.keys));

    let running = load.start()?;
    let busy = |more: u64| {
        let enough = running.operations() + more;
        crate::cluster::wait_for("operations of the load", || Ok(running.operations() >= enough))
    };
    busy(1000)?;
    let (begun, before) = (Instant::now(), running.operations());
    let (slots_before_kill, keys_before_kill) =
        first_life(tool, &seeds[0], &target, &slots, usize::from(plan.slots) / 2)?;
    told(&format!("the operator was killed after {slots_before_kill} slots"));
    busy(1000)?;
    let (resumed, keys_after_kill) = second_life(tool, &seeds[0], &target, &slots)?;
    let reshard_seconds = begun.elapsed().as_secs_f64();
    let load_rate = (running.operations() - before) as f64 / reshard_seconds;
    told(&format!("and came back: {resumed}"));
    busy(1000)?;
    let mut record = running.finish()?;
    if let Some(refusal) = record.refusal {
        return Err(io::Error::other(format!("{} operations were refused: {refusal}", record.refused)));
    }
    cluster.wait_settled()?;
    record.operations.extend(filled.operations);
    record.operations.extend(load.read_all()?.operations);
    let verdict = check(record.operations);
    let owners = cluster.nodes[0].view()?;
    let of_target = owners.iter().filter(|n| n.id == target).flat_map(|n| &n.slots);
    let slots_at_target = of_target.map(|range| width(range)).sum();
    for node in &mut cluster.nodes {
        node.terminate()?;
    }
    Ok(Story {
        cluster,
        fill_rate,
        reshard_seconds,
        slots_before_kill,
        resumed,
        keys_moved: keys_before_kill + keys_after_kill,
        load_rate,
        detours: record.detours,
        verdict,
        slots_at_target,
    })
}

/// `n` slots, a third from each master.
fn share(n: u16) -> String {
    let third = n / 3;
    let rest = n - 2 * third;
    format!("0-{},5461-{},10923-{}", third - 1, 5461 + third - 1, 10923 + rest - 1)
}

fn width(range: &str) -> usize {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => last + 1 - first,
        _ => 0,
    }
}

fn operator(tool: &Path, entry: &str, to: &str, slots: &str) -> io::Result<Process> {
    let child = Command::new(tool)
        .args(["reshard", entry, "--to", to, "--slots", slots])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(Process(child))
}

/// The operator works until `enough` slots are done, and is killed. The slots that were done, and the keys in them.
fn first_life(tool: &Path, entry: &str, to: &str, slots: &str, enough: usize) -> io::Result<(usize, usize)> {
    let mut operator = operator(tool, entry, to, slots)?;
    let out = operator.0.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    let (mut done, mut keys) = (0, 0);
    for line in BufReader::new(out).lines() {
        let line = line?;
        done += usize::from(line.starts_with("slot "));
        keys += keys_of(&line);
        if done >= enough {
            // In the middle of a slot, whose step depends on timing alone.
            std::thread::park_timeout(Duration::from_micros(500));
            operator.0.kill()?;
            operator.0.wait()?;
            return Ok((done, keys));
        }
    }
    Err(io::Error::other(format!("the operator ended after {done} slots")))
}

/// What stands behind `keys=` in a line of the operator.
fn keys_of(line: &str) -> usize {
    line.split_once("keys=").and_then(|(_, n)| n.parse().ok()).unwrap_or(0)
}

/// He comes back and finishes; his last line, and the keys that he moved.
fn second_life(tool: &Path, entry: &str, to: &str, slots: &str) -> io::Result<(String, usize)> {
    let mut operator = operator(tool, entry, to, slots)?;
    let out = operator.0.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    let mut last = String::new();
    for line in BufReader::new(out).lines() {
        last = line?;
    }
    let status = operator.0.wait()?;
    match last.strip_prefix("done ") {
        Some(text) if status.success() => Ok((text.to_string(), keys_of(text))),
        _ => Err(io::Error::other(format!("the operator failed: {status}, {last}"))),
    }
}

/// Where the traces of a story are.
pub fn traces(story: &Story) -> io::Result<Vec<PathBuf>> {
    story.cluster.traces()
}
