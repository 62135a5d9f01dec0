//! What is wrong with a cluster, in words, and the commands `check` and `info` that print it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use slotproof_model::{NodeId, SLOTS, Slot, SlotSet};

use super::create::left_unfinished;
use super::survey::{Survey, ranges_text, set_of};
use super::{AGREEMENT, Console, failed, within};
use crate::reshard::{Access, Move};

/// What is wrong with a cluster.
#[derive(Debug)]
pub struct Health {
    /// How views differ, one sentence each.
    pub disagreements: Vec<String>,
    /// Nodes that do not know a node: who, and whom.
    pub strangers: Vec<(NodeId, NodeId)>,
    /// Slots that are being moved, or were left so.
    pub open: Vec<OpenSlot>,
    /// Slots that several nodes call their own.
    pub shared: BTreeMap<u16, Vec<NodeId>>,
    /// Slots that nobody calls his own.
    pub uncovered: SlotSet,
}

/// A slot that is being moved, or was left so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSlot {
    /// The slot.
    pub slot: u16,
    /// Who calls it his own.
    pub owners: Vec<NodeId>,
    /// Who gives it away, and to whom.
    pub migrating: Vec<(NodeId, NodeId)>,
    /// Who takes it over, and from whom.
    pub importing: Vec<(NodeId, NodeId)>,
    /// Who holds keys of it, and how many.
    pub keys: Vec<(NodeId, usize)>,
}

/// What can be done about an open slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It is a move that stopped halfway.
    Finish(Move),
    /// It is a move of which only one side was told.
    Begun(Move),
    /// Its keys have to be brought together.
    Gather,
}

impl OpenSlot {
    /// What it looks like.
    pub(super) fn way(&self) -> Way {
        let it = |from, to| Move { slot: self.slot, from, to };
        let strays = |allowed: &[NodeId]| self.keys.iter().any(|(id, _)| !allowed.contains(id));
        match (&self.migrating[..], &self.importing[..], &self.owners[..]) {
            (&[(from, to)], &[(taker, giver)], &[owner])
                if owner == from && taker == to && giver == from && !strays(&[from, to]) =>
            {
                Way::Finish(it(from, to))
            }
            (&[(from, to)], &[], owners)
                if from != to && owners.contains(&to) && owners.iter().all(|&o| o == to || o == from) =>
            {
                if strays(&[from, to]) {
                    Way::Gather
                } else {
                    Way::Finish(it(from, to))
                }
            }
            (&[(from, to)], &[], &[owner]) if owner == from && !strays(&[from]) && from != to => {
                Way::Begun(it(from, to))
            }
            (&[], &[(to, from)], &[owner]) if owner == from && !strays(&[from, to]) => {
                Way::Begun(it(from, to))
            }
            _ => Way::Gather,
        }
    }

    /// What happened, as far as can be seen.
    fn story(&self, survey: &Survey) -> String {
        let called = |id: &NodeId| survey.called(id);
        let count = |id: &NodeId| self.keys.iter().find(|(n, _)| n == id).map_or(0, |(_, count)| *count);
        let held = self.keys.iter().map(|(id, n)| format!("{n} keys at {}", called(id))).collect::<Vec<_>>();
        let held = if held.is_empty() { "no keys anywhere".to_string() } else { held.join(", ") };
        match self.way() {
            Way::Finish(it) if self.owners.contains(&it.to) => format!(
                "a move from {} to {} stopped after the new owner was told: it owns the slot, {} has still to close it",
                called(&it.from),
                called(&it.to),
                called(&it.from),
            ),
            Way::Finish(it) => format!(
                "a move from {} to {} stopped halfway: {} keys are at the source, {} at the target. Clients find them all: \
                 those at the source at once, the others by ASK",
                called(&it.from),
                called(&it.to),
                count(&it.from),
                count(&it.to),
            ),
            Way::Begun(it) if self.importing.is_empty() => format!(
                "{} is giving it to {}, which does not take it: no key has moved",
                called(&it.from),
                called(&it.to),
            ),
            Way::Begun(it) => format!(
                "{} is taking it from its owner {}, which does not give it: a move stopped after its first step, or the \
                 owner forgot it ({held})",
                called(&it.to),
                called(&it.from),
            ),
            Way::Gather => {
                let owners = match &self.owners[..] {
                    [] => "nobody owns it".to_string(),
                    some => format!("{} owns it", some.iter().map(called).collect::<Vec<_>>().join(" and ")),
                };
                format!("this is no single move that stopped: {owners}; {held}")
            }
        }
    }
}

impl Health {
    /// Judges a survey; asks for the number of keys of slots that are open.
    ///
    /// # Errors
    /// When a node cannot be asked.
    pub fn of(survey: &mut Survey) -> io::Result<Self> {
        let open = open_slots(survey)?;
        let mut shared = BTreeMap::new();
        for slot in 0..SLOTS {
            let owners = survey.claimants(slot);
            if owners.len() > 1 {
                shared.insert(slot, owners);
            }
        }
        let (mut disagreements, mut strangers) = (Vec::new(), Vec::new());
        for viewer in &survey.members {
            for node in &survey.members {
                match viewer.view.iter().find(|n| n.id == node.id) {
                    None => {
                        strangers.push((viewer.id, node.id));
                        disagreements.push(format!("{} does not know {}", viewer.address(), node.address()));
                    }
                    Some(seen) if node.is_master() => {
                        differ(
                            &mut disagreements,
                            viewer.address(),
                            &node.address(),
                            &seen.slots,
                            &node.slots,
                        );
                    }
                    Some(_) => {}
                }
            }
        }
        // Of nodes that do not answer there is no word but that of others.
        for absent in &survey.absent {
            let words: Vec<_> = survey
                .members
                .iter()
                .map(|m| (m, m.view.iter().find(|n| n.id == absent.id).map(|n| ranges_text(&n.slots))))
                .collect();
            let spread: BTreeSet<_> =
                words.iter().map(|(_, slots)| slots.clone().unwrap_or_default()).collect();
            if spread.len() > 1 {
                for (viewer, slots) in words {
                    let slots = slots.filter(|s| !s.is_empty()).unwrap_or_else(|| "no slots".into());
                    disagreements.push(format!(
                        "{} believes that {} owns {slots}",
                        viewer.address(),
                        absent.address
                    ));
                }
            }
        }
        Ok(Self { disagreements, strangers, open, shared, uncovered: survey.uncovered() })
    }

    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.agree() && self.open.is_empty() && self.uncovered.is_empty() && self.shared.is_empty()
    }

    /// Whether all views are equal.
    pub fn agree(&self) -> bool {
        self.disagreements.is_empty() && self.strangers.is_empty()
    }
}

fn differ(all: &mut Vec<String>, viewer: String, node: &str, seen: &SlotSet, own: &SlotSet) {
    let beyond = |a: &SlotSet, b: &SlotSet| {
        let set = set_of(a.iter_beyond(b).map(u16::from));
        (!set.is_empty()).then(|| ranges_text(&set))
    };
    if let Some(slots) = beyond(own, seen) {
        all.push(format!("{viewer} does not see that {node} owns {slots}"));
    }
    if let Some(slots) = beyond(seen, own) {
        all.push(format!("{viewer} believes that {node} owns {slots}, which {node} does not say"));
    }
}

fn open_slots(survey: &mut Survey) -> io::Result<Vec<OpenSlot>> {
    let slots: BTreeSet<u16> =
        survey.members.iter().flat_map(|m| m.migrating.keys().chain(m.importing.keys()).copied()).collect();
    let mut open = Vec::with_capacity(slots.len());
    for slot in slots {
        let side = |of: fn(&super::Member) -> &BTreeMap<u16, NodeId>| {
            survey.members.iter().filter_map(|m| Some((m.id, *of(m).get(&slot)?))).collect()
        };
        let (migrating, importing) = (side(|m| &m.migrating), side(|m| &m.importing));
        let owners = survey.claimants(slot);
        open.push(OpenSlot { slot, owners, migrating, importing, keys: holders(survey, slot)? });
    }
    Ok(open)
}

/// The masters that hold keys of a slot, and how many.
pub(super) fn holders(survey: &mut Survey, slot: u16) -> io::Result<Vec<(NodeId, usize)>> {
    let mut holders = Vec::new();
    for member in survey.members.iter_mut().filter(|m| m.is_master()) {
        let keys = member.peer.keys_in_slot(slot)?;
        if keys > 0 {
            holders.push((member.id, keys));
        }
    }
    Ok(holders)
}

/// A survey that shows agreement, if there is one in time; else the last one.
pub(super) fn settled(entry: &str, access: &Access) -> io::Result<(Survey, Health)> {
    let mut last = None;
    within(AGREEMENT, || {
        let mut survey = Survey::take(entry, access)?;
        let health = Health::of(&mut survey)?;
        let agree = health.agree();
        last = Some((survey, health));
        Ok(agree)
    })?;
    last.ok_or_else(|| failed("nobody was asked"))
}

/// `check`: prints what there is and what is wrong with it.
///
/// # Errors
/// When something is.
pub fn check(console: &mut dyn Console, entry: &str, access: &Access, owners: bool) -> io::Result<()> {
    let (mut survey, health) = settled(entry, access)?;
    summary(console, &mut survey)?;
    report(console, &survey, &health, owners);
    if let [first, ..] = &survey.absent[..] {
        let n = survey.absent.len();
        return Err(failed(format!("{n} nodes of the cluster do not answer, as {}", first.why)));
    }
    let good = health.is_good()
        || (!owners && health.agree() && health.open.is_empty() && health.uncovered.is_empty());
    if good {
        return Ok(());
    }
    let remedy = left_unfinished(&mut survey)?.unwrap_or_else(|| format!("slotproof cluster fix {entry}"));
    Err(failed(format!("the cluster is not in order: {remedy}")))
}

/// `info`: keys, slots and replicas of each master.
///
/// # Errors
/// When a node does not answer.
pub fn info(console: &mut dyn Console, entry: &str, access: &Access) -> io::Result<()> {
    let mut survey = Survey::take(entry, access)?;
    summary(console, &mut survey)?;
    match &survey.absent[..] {
        [] => Ok(()),
        [first, ..] => Err(failed(format!("a node does not answer: {}", first.why))),
    }
}

fn summary(console: &mut dyn Console, survey: &mut Survey) -> io::Result<()> {
    let (mut keys, mut masters) = (0, 0);
    for i in 0..survey.members.len() {
        let replicas = survey.replicas_of(&survey.members[i].id);
        let member = &mut survey.members[i];
        if member.is_master() {
            let own = member.peer.count(&["DBSIZE"])?;
            (keys, masters) = (keys + own, masters + 1);
            let (address, short, slots) = (member.address(), &member.id.as_str()[..8], member.slots.len());
            console.say(format_args!(
                "{address} ({short}...) -> {own} keys | {slots} slots | {replicas} slaves."
            ));
        }
    }
    console.say(format_args!("[OK] {keys} keys in {masters} masters."));
    console.say(format_args!("{:.2} keys per slot on average.", keys as f64 / f64::from(SLOTS)));
    Ok(())
}

/// What `redis-cli` prints of a cluster and its state; under what it says stands what that means.
pub(super) fn report(console: &mut dyn Console, survey: &Survey, health: &Health, owners: bool) {
    console.say(format_args!(">>> Performing Cluster Check (using node {})", survey.entry));
    for member in &survey.members {
        console.say(format_args!("{}", member.described(survey.replicas_of(&member.id))));
    }
    for absent in &survey.absent {
        let role = if absent.is_master { "master" } else { "slave" };
        console.say(format_args!("[WARNING] The {role} {} does not answer: {}", absent.id, absent.why));
    }
    if health.agree() {
        console.say(format_args!("[OK] All nodes agree about slots configuration."));
    } else {
        console.say(format_args!("[ERR] Nodes don't agree about configuration!"));
        health.disagreements.iter().for_each(|d| console.say(format_args!("    {d}.")));
    }
    console.say(format_args!(">>> Check for open slots..."));
    for member in &survey.members {
        for (state, slots) in [("migrating", &member.migrating), ("importing", &member.importing)] {
            if !slots.is_empty() {
                let (node, slots) = (member.address(), list(slots.keys()));
                console.say(format_args!("[WARNING] Node {node} has slots in {state} state {slots}."));
            }
        }
    }
    if !health.open.is_empty() {
        let slots = list(health.open.iter().map(|o| &o.slot));
        console.say(format_args!("[WARNING] The following slots are open: {slots}."));
        for open in &health.open {
            console.say(format_args!("    slot {}: {}.", open.slot, open.story(survey)));
        }
    }
    console.say(format_args!(">>> Check slots coverage..."));
    if health.uncovered.is_empty() {
        console.say(format_args!("[OK] All {SLOTS} slots covered."));
    } else {
        console.say(format_args!("[ERR] Not all {SLOTS} slots are covered by nodes."));
        console.say(format_args!("    nobody who answers owns {}.", ranges_text(&health.uncovered)));
    }
    if !owners {
        return;
    }
    console.say(format_args!(">>> Check for multiple slot owners..."));
    if health.shared.is_empty() {
        console.say(format_args!("[OK] No multiple owners found."));
    }
    for (slot, owners) in &health.shared {
        console.say(format_args!("[WARNING] Slot {slot} has {} owners:", owners.len()));
        owners.iter().for_each(|id| console.say(format_args!("    {}", survey.called(id))));
    }
}

fn list<'a>(slots: impl Iterator<Item = &'a u16>) -> String {
    slots.map(u16::to_string).collect::<Vec<_>>().join(",")
}

/// The nodes that own slots of a set, in the view of each member.
pub(super) fn seen_owner(survey: &Survey, viewer: &NodeId, slot: u16) -> Option<NodeId> {
    survey.member(viewer)?.view.iter().find(|n| n.slots.contains(Slot::new(slot))).map(|n| n.id)
}
