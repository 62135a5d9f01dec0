//! `fix`: open slots are finished or closed, keys brought to the owner, slots of nobody given to somebody, and differing views made equal.
//!
//! The order matters: slots with several owners first (who hears of a better claim deletes the keys), then nodes that do not know each other
//! (no command names an unknown node), then slots of nobody (while there are any, the cluster is down and moves no key), then open slots, then
//! views.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use slotproof_model::{NodeId, SLOTS};

use super::create::left_unfinished;
use super::health::{Health, OpenSlot, Way, holders, report, seen_owner, settled};
use super::moves::{look_again, operator, run, step, stopped};
use super::survey::{Survey, ranges_text, set_of};
use super::{AGREEMENT, Console, JOINING, Moving, accepted, failed, within};
use crate::reshard::{Access, Move};
use crate::resp::Value;

/// What may be repaired.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fix {
    /// Also slots that several nodes call their own and that no move explains.
    pub search_multiple_owners: bool,
    /// Also while masters do not answer: their slots are given to others.
    pub with_unreachable_masters: bool,
}

/// Repairs what can be.
///
/// # Errors
/// When something is left that is not in order.
pub fn fix(
    console: &mut dyn Console,
    entry: &str,
    access: &Access,
    wanted: Fix,
    how: &Moving,
) -> io::Result<()> {
    let (mut survey, mut health) = settled(entry, access)?;
    report(console, &survey, &health, wanted.search_multiple_owners);
    if let Some(text) = left_unfinished(&mut survey)? {
        let other = "To make these nodes a cluster without others, give them the other slots by CLUSTER ADDSLOTSRANGE";
        return Err(failed(format!("{text}. {other}")));
    }
    let away: Vec<&str> = survey.absent.iter().filter(|a| a.is_master).map(|a| a.why.as_str()).collect();
    if !away.is_empty() && !health.is_good() && !wanted.with_unreachable_masters {
        return Err(failed(format!(
            "*** Fixing slots while {} masters do not answer is dangerous: their slots would be given to others, and their keys \
             lost when they come back. If that is what you want, say --fix-with-unreachable-masters ({})",
            away.len(),
            away.join("; ")
        )));
    }
    let unexplained = health.shared.iter().filter(|(slot, _)| !health.open.iter().any(|o| o.slot == **slot));
    let unexplained: Vec<(u16, Vec<NodeId>)> =
        unexplained.map(|(slot, owners)| (*slot, owners.clone())).collect();
    if let ([(slot, owners), ..], false) = (&unexplained[..], wanted.search_multiple_owners) {
        let owners = owners.iter().map(|id| survey.called(id)).collect::<Vec<_>>().join(" and ");
        return Err(failed(format!(
            "{} slots have several owners, as slot {slot}: {owners}. As soon as they hear of each other, all but one delete its keys. \
             Say --search-multiple-owners to have the keys brought to one of them first",
            unexplained.len()
        )));
    }
    if !unexplained.is_empty() {
        several_owners(console, &mut survey, &unexplained, how)?;
        (survey, health) = look_again(&survey)?;
    }
    if !health.strangers.is_empty() {
        introduce(console, &mut survey, &health)?;
        (survey, health) = look_again(&survey)?;
    }
    if !health.uncovered.is_empty() {
        cover(console, &mut survey, &health, how.yes)?;
        (survey, health) = look_again(&survey)?;
    }
    if !health.open.is_empty() {
        open_slots(console, &mut survey, &health, how)?;
        (survey, health) = look_again(&survey)?;
    }
    if !health.disagreements.is_empty() {
        views(console, &mut survey)?;
        (survey, health) = look_again(&survey)?;
    }
    console.say(format_args!(">>> Checking the result."));
    report(console, &survey, &health, wanted.search_multiple_owners);
    if !health.is_good() {
        return Err(failed("the cluster is still not in order: see above"));
    }
    match &survey.absent[..] {
        [first, ..] if !wanted.with_unreachable_masters => {
            return Err(failed(format!("a node does not answer: {}", first.why)));
        }
        _ => {}
    }
    Ok(())
}

/// Of several owners the one with most keys gets all of them, and stays.
fn several_owners(
    console: &mut dyn Console,
    survey: &mut Survey,
    slots: &[(u16, Vec<NodeId>)],
    how: &Moving,
) -> io::Result<()> {
    for (done, (slot, owners)) in slots.iter().enumerate() {
        console.say(format_args!(">>> Fixing multiple owners for slot {slot}..."));
        let keys = holders(survey, *slot)?;
        let open =
            OpenSlot { slot: *slot, owners: owners.clone(), migrating: vec![], importing: vec![], keys };
        gather(console, survey, &open, how, (done, slots.len()))?;
    }
    Ok(())
}

/// Nodes that do not know each other meet.
fn introduce(console: &mut dyn Console, survey: &mut Survey, health: &Health) -> io::Result<()> {
    for (who, whom) in &health.strangers {
        let (ip, port) = survey.peer(whom)?.for_nodes()?;
        let address = survey.called(whom);
        console.say(format_args!(
            ">>> Send CLUSTER MEET to node {}: it does not know {address}.",
            survey.called(who)
        ));
        let bus = bus_port(survey, whom);
        survey.peer(who)?.command(&["CLUSTER", "MEET", &ip, &port.to_string(), &bus.to_string()])?;
    }
    let known = within(JOINING, || Ok(Health::of(&mut survey.again()?)?.strangers.is_empty()))?;
    if known { Ok(()) } else { Err(failed("nodes met and still do not know each other")) }
}

/// The bus port that a node names as its own.
fn bus_port(survey: &Survey, id: &NodeId) -> u16 {
    let member = survey.member(id);
    let own = member.and_then(|m| m.view.iter().find(|n| n.id == *id));
    own.map(|n| n.address.cport)
        .filter(|&p| p != 0)
        .unwrap_or_else(|| member.map_or(0, |m| m.peer.port.saturating_add(10_000)))
}

fn open_slots(
    console: &mut dyn Console,
    survey: &mut Survey,
    health: &Health,
    how: &Moving,
) -> io::Result<()> {
    let all = health.open.len();
    for (done, open) in health.open.iter().enumerate() {
        let slot = open.slot;
        console.say(format_args!(">>> Fixing open slot {slot}"));
        let called = |ids: &[(NodeId, NodeId)]| {
            ids.iter().map(|(id, _)| survey.called(id)).collect::<Vec<_>>().join(",")
        };
        console.say(format_args!("Set as migrating in: {}", called(&open.migrating)));
        console.say(format_args!("Set as importing in: {}", called(&open.importing)));
        match open.way() {
            Way::Finish(it) => run(console, survey, how, &[it])?,
            // Nothing has moved: taken back at the one node that was told.
            Way::Begun(it) if open.importing.is_empty() => {
                console.say(format_args!(
                    "Closing slot {slot} at {}: no key has left it.",
                    survey.called(&it.from)
                ));
                stable(survey, &it.from, slot)?;
            }
            Way::Begun(_) | Way::Gather => gather(console, survey, open, how, (done, all))?,
        }
    }
    Ok(())
}

/// Decides on an owner, brings it all keys, and closes the slot at all others.
fn gather(
    console: &mut dyn Console,
    survey: &mut Survey,
    open: &OpenSlot,
    how: &Moving,
    at: (usize, usize),
) -> io::Result<()> {
    let slot = open.slot;
    let count = |id: &NodeId| open.keys.iter().find(|(n, _)| n == id).map_or(0, |(_, n)| *n);
    let epoch = |id: &NodeId| survey.member(id).map_or(0, |m| m.epoch);
    let owner = open.owners.iter().copied().max_by_key(|id| (count(id), epoch(id)));
    let owner = owner.ok_or_else(|| failed(format!("slot {slot} has lost its owner meanwhile")))?;
    let name = survey.called(&owner);
    let several = open.owners.len() > 1;
    if several {
        let (n, keys) = (open.owners.len(), count(&owner));
        console
            .say(format_args!(">>> Slot {slot} has {n} owners. {name} stays: it holds {keys} keys of it."));
    }
    open_at_holders(survey, &open.keys, &owner, slot)?;
    // An owner that gives the slot away would send the keys on.
    stable(survey, &owner, slot)?;
    let mut operator = operator(survey, how)?;
    for (from, keys) in open.keys.iter().filter(|(id, _)| *id != owner) {
        console.say(format_args!(
            ">>> Moving all the {keys} keys of slot {slot} from {} to its owner {name}",
            survey.called(from)
        ));
        let it = Move { slot, from: *from, to: owner };
        let mut moved = 0;
        let ended =
            step(console, survey, &it, at, &mut |observer| operator.gather(&it, &mut moved, observer))?;
        if let Some(last) = ended {
            return Err(stopped(survey, &it, &last, at));
        }
    }
    for (id, _) in open.migrating.iter().chain(&open.importing).filter(|(id, _)| *id != owner) {
        stable(survey, id, slot)?;
    }
    if several {
        // Who does not know the new owner can still give the slot up.
        for id in open.owners.iter().filter(|id| **id != owner) {
            survey.peer(id)?.command(&["CLUSTER", "DELSLOTS", &slot.to_string()])?;
        }
        bump(survey, &owner)?;
        told(survey, &owner, slot)?;
    }
    Ok(())
}

fn master(survey: &Survey, id: &NodeId) -> bool {
    survey.member(id).is_some_and(super::Member::is_master)
}

/// SETSLOT STABLE; a replica has nothing to close.
fn stable(survey: &mut Survey, at: &NodeId, slot: u16) -> io::Result<()> {
    if !master(survey, at) {
        return Ok(());
    }
    survey.peer(at)?.command(&["CLUSTER", "SETSLOT", &slot.to_string(), "STABLE"])
}

/// Whoever holds keys and is not to be the owner has the slot open: should this operator die, the next one sees where keys are.
fn open_at_holders(
    survey: &mut Survey,
    held: &[(NodeId, usize)],
    owner: &NodeId,
    slot: u16,
) -> io::Result<()> {
    for (id, _) in held.iter().filter(|(id, _)| id != owner) {
        let peer = survey.peer(id)?;
        match peer.setslot(slot, "IMPORTING", Some(owner))? {
            Value::Status(s) if s == "OK" => {}
            // One of several owners is seen as that.
            Value::Error(e) if e.starts_with("ERR I'm already the owner") => {}
            other => {
                return Err(peer.unexpected(&["CLUSTER", "SETSLOT", &slot.to_string(), "IMPORTING"], &other));
            }
        }
    }
    Ok(())
}

/// The node owns the slot, in its own eyes.
fn assign(survey: &mut Survey, owner: &NodeId, slot: u16) -> io::Result<()> {
    survey.peer(owner)?.command(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", owner.as_str()])
}

/// Its claims are the newest.
fn bump(survey: &mut Survey, owner: &NodeId) -> io::Result<()> {
    let peer = survey.peer(owner)?;
    let words = ["CLUSTER", "BUMPEPOCH"];
    let said = peer.call(&words)?;
    match &said {
        Value::Status(s) if s.starts_with("BUMPED") || s.starts_with("STILL") => Ok(()),
        other => Err(peer.unexpected(&words, other)),
    }
}

/// All other masters that know the owner hear that it is his.
fn told(survey: &mut Survey, owner: &NodeId, slot: u16) -> io::Result<()> {
    let knows = |m: &super::Member| m.view.iter().any(|n| n.id == *owner);
    let others: Vec<NodeId> = survey.masters().filter(|m| m.id != *owner && knows(m)).map(|m| m.id).collect();
    for id in others {
        let peer = survey.peer(&id)?;
        match peer.setslot(slot, "NODE", Some(owner))? {
            Value::Status(s) if s == "OK" => {}
            // It lost its last slot, and has become a replica.
            Value::Error(e) if e == "ERR Please use SETSLOT only with masters." => {}
            other => return Err(peer.unexpected(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE"], &other)),
        }
    }
    Ok(())
}

/// Slots of nobody: to who holds most keys of them, else to who was giving or taking them, else to who has the fewest slots.
fn cover(console: &mut dyn Console, survey: &mut Survey, health: &Health, yes: bool) -> io::Result<()> {
    console.say(format_args!(">>> Fixing slots coverage..."));
    let (mut none, mut one, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for slot in health.uncovered.iter().map(u16::from) {
        let held = holders(survey, slot)?;
        let group = match held.len() {
            0 => &mut none,
            1 => &mut one,
            _ => &mut many,
        };
        group.push((slot, held));
    }
    let mut sizes: BTreeMap<NodeId, usize> = survey.masters().map(|m| (m.id, m.slots.len())).collect();
    let (mut owners, mut declined) = (Vec::new(), false);
    for (group, what, remedy) in [
        (none, "have no keys across the cluster", "covering with a random node"),
        (one, "have keys in just one node", "covering with those nodes"),
        (many, "have keys in multiple nodes", "moving keys into a single node"),
    ] {
        if group.is_empty() {
            continue;
        }
        let set = set_of(group.iter().map(|g| g.0));
        console.say(format_args!("The following uncovered slots {what}:\n{}", ranges_text(&set)));
        if !accepted(console, yes, &format!("Fix these slots by {remedy}? (type 'yes' to accept): "))? {
            declined = true;
            continue;
        }
        let mut spare =
            shared_out(&mut sizes, group.iter().filter(|(_, held)| held.is_empty()).count()).into_iter();
        let mut covered: BTreeMap<NodeId, Vec<u16>> = BTreeMap::new();
        for (slot, held) in group {
            let sides = health.open.iter().find(|o| o.slot == slot);
            let side = sides.and_then(|o| {
                o.migrating.iter().chain(&o.importing).map(|s| s.0).find(|id| master(survey, id))
            });
            let owner =
                held.iter().max_by_key(|(_, n)| *n).map(|(id, _)| *id).or(side).or_else(|| spare.next());
            let owner = owner.ok_or_else(|| failed("no master answers"))?;
            open_at_holders(survey, &held, &owner, slot)?;
            assign(survey, &owner, slot)?;
            owners.push((owner, slot));
            covered.entry(owner).or_default().push(slot);
        }
        for (owner, slots) in covered {
            let slots = match &slots[..] {
                [slot] => format!("slot {slot}"),
                _ => format!("slots {}", ranges_text(&set_of(slots))),
            };
            console.say(format_args!(">>> Covering {slots} with {}", survey.called(&owner)));
        }
    }
    let bumped: BTreeSet<NodeId> = owners.iter().map(|o| o.0).collect();
    for owner in &bumped {
        bump(survey, owner)?;
    }
    for (owner, slot) in owners {
        told(survey, &owner, slot)?;
    }
    // Where it is down all the same, moving keys will say so.
    within(AGREEMENT, || {
        for member in survey.members.iter_mut().filter(|m| m.is_master()) {
            let info = member.peer.text(&["CLUSTER", "INFO"])?;
            if !info.lines().any(|l| l.trim() == "cluster_state:ok") {
                return Ok(false);
            }
        }
        Ok(true)
    })?;
    if declined { Err(failed("some slots stay without an owner")) } else { Ok(()) }
}

/// Owners for `n` slots, each time the one with the fewest; the slots of one owner are neighbours.
fn shared_out(sizes: &mut BTreeMap<NodeId, usize>, n: usize) -> Vec<NodeId> {
    let mut owners = Vec::with_capacity(n);
    for _ in 0..n {
        if let Some((id, size)) = sizes.iter_mut().min_by_key(|(_, size)| **size) {
            *size += 1;
            owners.push(*id);
        }
    }
    owners.sort_unstable();
    owners
}

/// Each master hears of each slot that it sees with somebody else than the one who says it is his. Gossip would have done it, if it could.
fn views(console: &mut dyn Console, survey: &mut Survey) -> io::Result<()> {
    let masters: Vec<NodeId> = survey.masters().map(|m| m.id).collect();
    let mut wrong = Vec::new();
    for slot in 0..SLOTS {
        let &[owner] = &survey.claimants(slot)[..] else { continue };
        wrong.extend(
            masters
                .iter()
                .filter(|id| **id != owner && seen_owner(survey, id, slot) != Some(owner))
                .map(|id| (*id, owner, slot)),
        );
    }
    for (at, owner, slot) in wrong {
        console.say(format_args!(
            ">>> Telling {} that {} owns slot {slot}",
            survey.called(&at),
            survey.called(&owner)
        ));
        let peer = survey.peer(&at)?;
        peer.command(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", owner.as_str()])?;
    }
    within(AGREEMENT, || Ok(Health::of(&mut survey.again()?)?.agree())).map(drop)
}
