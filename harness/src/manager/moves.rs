//! `reshard` and `rebalance`: what is asked, what is planned, and the moves. What an earlier run left open is finished first.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;

use slotproof_model::{NodeId, SLOTS, SlotSet};

use super::health::{Health, Way, report, settled};
use super::plan::{balance, portions, take_lowest};
use super::survey::{Member, Survey};
use super::{Console, Moving, Progress, accepted, failed};
use crate::reshard::{Access, Move, Operator, Step};

/// What to move, as far as it is known without asking.
#[derive(Clone, Debug, Default)]
pub struct Reshard {
    /// Names of the sources, or `all`.
    pub from: Option<String>,
    /// The name of the target.
    pub to: Option<String>,
    /// How many slots.
    pub slots: Option<usize>,
}

/// How to share slots anew.
#[derive(Clone, Debug)]
pub struct Rebalance {
    /// Weights of nodes, by name; 1 for the others.
    pub weights: Vec<(String, f64)>,
    /// Whether masters without slots get some.
    pub use_empty_masters: bool,
    /// How far from its share a node may be, in percent.
    pub threshold: f64,
    /// Whether to print only what would be done.
    pub simulate: bool,
}

/// `reshard`: asks for what it was not told.
///
/// # Errors
/// When the cluster is not in order, the plan is not accepted, or a move fails.
pub fn reshard(
    console: &mut dyn Console,
    entry: &str,
    access: &Access,
    wanted: &Reshard,
    how: &Moving,
) -> io::Result<()> {
    let survey = in_order(console, entry, access, how, "resharding")?;
    let slots = match wanted.slots {
        Some(n) => n,
        None => ask_number(console)?,
    };
    if slots == 0 || slots > usize::from(SLOTS) {
        return Err(failed(format!("{slots} slots cannot be moved: from 1 to {SLOTS} can")));
    }
    let to = target(console, &survey, wanted.to.as_deref())?;
    let from = sources(console, &survey, wanted.from.as_deref(), to)?;
    console.say(format_args!("\nReady to move {slots} slots.\n  Source nodes:"));
    let masters: Vec<&Member> = from.iter().filter_map(|id| survey.member(id)).collect();
    let show = |console: &mut dyn Console, m: &Member| {
        let text = m.described(survey.replicas_of(&m.id)).replace('\n', "\n    ");
        console.say(format_args!("    {text}"));
    };
    masters.iter().for_each(|m| show(console, m));
    console.say(format_args!("  Destination node:"));
    survey.member(&to).into_iter().for_each(|m| show(console, m));
    console.say(format_args!("  Resharding plan:"));
    let sets: Vec<&SlotSet> = masters.iter().map(|m| &m.slots).collect();
    let plan: Vec<Move> =
        portions(&sets, slots).into_iter().map(|(i, slot)| Move { slot, from: masters[i].id, to }).collect();
    for it in &plan {
        console.say(format_args!("    Moving slot {} from {}", it.slot, it.from));
    }
    if plan.is_empty() {
        return Err(failed("the source nodes have no slots"));
    }
    if plan.len() < slots {
        console.say(format_args!("[WARNING] The source nodes have {} slots only.", plan.len()));
    }
    if !accepted(console, how.yes, "Do you want to proceed with the proposed reshard plan (yes/no)? ")? {
        return Err(failed("the plan was not accepted: nothing was done"));
    }
    run(console, &survey, how, &plan)
}

/// `rebalance`.
///
/// # Errors
/// As [`reshard`].
pub fn rebalance(
    console: &mut dyn Console,
    entry: &str,
    access: &Access,
    wanted: &Rebalance,
    how: &Moving,
) -> io::Result<()> {
    let survey = in_order(console, entry, access, how, "rebalancing")?;
    let mut weights: BTreeMap<NodeId, f64> = BTreeMap::new();
    for (name, weight) in &wanted.weights {
        let node = survey.find(name).filter(|m| m.is_master());
        let node = node.ok_or_else(|| failed(format!("*** No such master node {name}")))?;
        if !weight.is_finite() || *weight < 0.0 {
            return Err(failed(format!("the weight of {name} is {weight}: a number from 0 on is one")));
        }
        weights.insert(node.id, *weight);
    }
    let involved: Vec<&Member> =
        survey.masters().filter(|m| wanted.use_empty_masters || !m.slots.is_empty()).collect();
    let nodes: Vec<(usize, f64)> =
        involved.iter().map(|m| (m.slots.len(), weights.get(&m.id).copied().unwrap_or(1.0))).collect();
    let total: f64 = nodes.iter().map(|n| n.1).sum();
    if total <= 0.0 {
        return Err(failed("no node has a weight above 0: somebody has to own the slots"));
    }
    let transfers = balance(&nodes, wanted.threshold);
    if transfers.is_empty() {
        console.say(format_args!(
            "*** No rebalancing needed! All nodes are within the {:.2}% threshold.",
            wanted.threshold
        ));
        return Ok(());
    }
    console.say(format_args!(">>> Rebalancing across {} nodes. Total weight = {total:.2}", involved.len()));
    let mut sets: Vec<SlotSet> = involved.iter().map(|m| m.slots.clone()).collect();
    let mut plan = Vec::new();
    for t in transfers {
        let (from, to) = (involved[t.from], involved[t.to]);
        console.say(format_args!("Moving {} slots from {} to {}", t.slots, from.address(), to.address()));
        let slots = take_lowest(&mut sets[t.from], t.slots);
        plan.extend(slots.into_iter().map(|slot| Move { slot, from: from.id, to: to.id }));
    }
    if wanted.simulate {
        return Ok(());
    }
    run(console, &survey, how, &plan)
}

/// A cluster that is in order, after what was left halfway was finished.
fn in_order(
    console: &mut dyn Console,
    entry: &str,
    access: &Access,
    how: &Moving,
    what: &str,
) -> io::Result<Survey> {
    let (mut survey, mut health) = settled(entry, access)?;
    report(console, &survey, &health, false);
    let unfinished: Vec<Move> = health.open.iter().filter_map(finishable).collect();
    if !unfinished.is_empty() && unfinished.len() == health.open.len() {
        console.say(format_args!(">>> {} slots are to be finished before {what} begins.", unfinished.len()));
        let question = "Do you want to finish these moves (yes/no)? ";
        if !accepted(console, how.yes, question)? {
            return Err(failed("the open slots were not finished: nothing was done"));
        }
        run(console, &survey, how, &unfinished)?;
        (survey, health) = settled(entry, access)?;
    }
    let good = health.agree() && health.open.is_empty() && health.uncovered.is_empty();
    match survey.absent.iter().find(|a| a.is_master) {
        Some(absent) => {
            Err(failed(format!("*** Please fix your cluster problems before {what}: {}", absent.why)))
        }
        None if !good => Err(failed(format!(
            "*** Please fix your cluster problems before {what}: slotproof cluster fix {entry}"
        ))),
        None => Ok(survey),
    }
}

/// The move that an open slot is in the middle of.
fn finishable(open: &super::OpenSlot) -> Option<Move> {
    match open.way() {
        Way::Finish(it) | Way::Begun(it) => Some(it),
        Way::Gather => None,
    }
}

/// Makes moves, one after the other. Stopped in between, it says how to go on.
pub(super) fn run(console: &mut dyn Console, survey: &Survey, how: &Moving, plan: &[Move]) -> io::Result<()> {
    let mut operator = operator(survey, how)?;
    let mut keys = 0;
    for (done, it) in plan.iter().enumerate() {
        let at = (done, plan.len());
        let ended =
            step(console, survey, it, at, &mut |observer| operator.move_slot(it, &mut keys, observer));
        match ended {
            Ok(None) => {}
            Ok(Some(last)) if last == Step::NodeAtOthers && done + 1 == plan.len() => {}
            Ok(Some(last)) => return Err(stopped(survey, it, &last, at)),
            Err(e) => {
                let entry = &survey.entry;
                let hint =
                    format!("slotproof cluster check {entry} says what is open, fix {entry} finishes it");
                return Err(io::Error::new(
                    e.kind(),
                    format!("{e}\n{done} of {} slots are moved. {hint}", plan.len()),
                ));
            }
        }
    }
    Ok(())
}

/// Somebody who moves slots as is wanted.
pub(super) fn operator(survey: &Survey, how: &Moving) -> io::Result<Operator> {
    let mut operator = survey.operator()?;
    operator.batch = how.pipeline.max(1);
    operator.migrate_timeout_ms = how.timeout_ms;
    operator.replace = how.replace;
    Ok(operator)
}

/// An observer's work: what the operator calls after each step.
type Observe<'a> = &'a mut dyn FnMut(&Move, Step) -> ControlFlow<()>;

/// One piece of work on a slot, told to the console. The last step that was done, if it was stopped.
pub(super) fn step(
    console: &mut dyn Console,
    survey: &Survey,
    it: &Move,
    slots: (usize, usize),
    work: &mut dyn FnMut(Observe<'_>) -> io::Result<ControlFlow<()>>,
) -> io::Result<Option<Step>> {
    let (from, to) = (survey.called(&it.from), survey.called(&it.to));
    let (mut keys, mut last) = (0, None);
    let mut observer = |_: &Move, step: Step| {
        match &step {
            Step::Keys(n) => keys += n,
            Step::Copies(equal, different) => {
                console.say(format_args!(
                    "Slot {}: {equal} keys are at {from} and at {to} with equal values; one copy of each stays.",
                    it.slot
                ));
                different.iter().for_each(|text| {
                    console.say(format_args!(
                        "Slot {}: {text}. The value that clients are served stays.",
                        it.slot
                    ));
                });
            }
            _ => {}
        }
        let done = matches!(step, Step::NodeAtOthers | Step::Closed);
        let slots = (slots.0 + usize::from(done), slots.1);
        console.progress(&Progress { slot: it.slot, from: &from, to: &to, keys, done, slots });
        if console.stopped() {
            last = Some(step);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    Ok(if work(&mut observer)?.is_break() { last } else { None })
}

/// The end of a run that was stopped, with how to go on.
pub(super) fn stopped(survey: &Survey, it: &Move, last: &Step, (done, all): (usize, usize)) -> io::Error {
    let (from, to, entry) = (survey.called(&it.from), survey.called(&it.to), &survey.entry);
    let whole = matches!(last, Step::NodeAtOthers | Step::Closed);
    let state = match last {
        Step::NodeAtOthers | Step::Closed => "no slot is open".to_string(),
        Step::Importing => format!("slot {} is IMPORTING at {to}, no key has moved", it.slot),
        Step::Migrating | Step::Keys(_) | Step::Copies(..) => format!(
            "slot {} is open between {from} and {to}; clients find every key of it, at the source or by ASK",
            it.slot
        ),
        Step::NodeAtTarget => format!("{to} owns slot {}, {from} has still to close it", it.slot),
        Step::NodeAtSource => format!("{to} owns slot {}, other masters will hear of it by gossip", it.slot),
    };
    io::Error::new(
        io::ErrorKind::Interrupted,
        format!(
            "stopped: {} of {all} slots are done, {state}.\nTo go on: slotproof cluster fix {entry}, or the same command again, \
             which finishes first what is open",
            done + usize::from(whole)
        ),
    )
}

fn ask_number(console: &mut dyn Console) -> io::Result<usize> {
    loop {
        let answer = console.ask(&format!("How many slots do you want to move (from 1 to {SLOTS})? "))?;
        match answer.trim().parse() {
            Ok(n) if (1..=usize::from(SLOTS)).contains(&n) => return Ok(n),
            _ => {}
        }
    }
}

fn unknown(name: &str) -> String {
    format!("*** The specified node ({name}) is not known or not a master, please retry.")
}

fn master(survey: &Survey, name: &str) -> Option<NodeId> {
    survey.find(name).filter(|m| m.is_master()).map(|m| m.id)
}

fn target(console: &mut dyn Console, survey: &Survey, given: Option<&str>) -> io::Result<NodeId> {
    if let Some(name) = given {
        return master(survey, name).ok_or_else(|| failed(unknown(name)));
    }
    loop {
        let name = console.ask("What is the receiving node ID? ")?;
        match master(survey, name.trim()) {
            Some(id) => return Ok(id),
            None => console.say(format_args!("{}", unknown(name.trim()))),
        }
    }
}

fn sources(
    console: &mut dyn Console,
    survey: &Survey,
    given: Option<&str>,
    to: NodeId,
) -> io::Result<Vec<NodeId>> {
    let all = || survey.masters().filter(|m| m.id != to && !m.slots.is_empty()).map(|m| m.id).collect();
    let mut chosen: Vec<NodeId> = Vec::new();
    if let Some(given) = given {
        for name in given.split(',') {
            if name == "all" {
                return Ok(all());
            }
            let id = master(survey, name).ok_or_else(|| failed(unknown(name)))?;
            if id == to {
                return Err(failed("*** It is not possible to use the target node as source node."));
            }
            if !chosen.contains(&id) {
                chosen.push(id);
            }
        }
        return Ok(chosen);
    }
    console.say(format_args!(
        "Please enter all the source node IDs.\n  Type 'all' to use all the nodes as source nodes for the hash slots.\n  Type \
         'done' once you entered all the source nodes IDs."
    ));
    loop {
        let name = console.ask(&format!("Source node #{}: ", chosen.len() + 1))?;
        match name.trim() {
            "all" => return Ok(all()),
            "done" if chosen.is_empty() => {
                console.say(format_args!("*** No source node was given."));
            }
            "done" => return Ok(chosen),
            name => match master(survey, name) {
                None => console.say(format_args!("{}", unknown(name))),
                Some(id) if id == to => {
                    console
                        .say(format_args!("*** It is not possible to use the target node as source node."));
                }
                Some(id) if chosen.contains(&id) => {}
                Some(id) => chosen.push(id),
            },
        }
    }
}

/// What `fix` asks of a survey after it did something.
pub(super) fn look_again(survey: &Survey) -> io::Result<(Survey, Health)> {
    settled(&survey.entry, &survey.access)
}
