//! Safety of one step.

use crate::effect::Effect;
use crate::input::Input;
use crate::message::Body;

use super::{Cluster, Copy, NodeStep, Violation};

/// S4 EpochMonotone: a master's own config epoch, and the one recorded of another master, never decrease while the node stays in the
/// table, also over a restart. RESET HARD starts a new life under a new name.
pub fn s4_epoch_monotone(s: &NodeStep<'_>) -> Violation {
    if s.before.me() != s.after.me() {
        return None;
    }
    s.before.peers().iter().filter(|p| p.is_master()).find_map(|old| {
        let new = s.after.peer(&old.id).filter(|p| p.is_master() && p.config_epoch < old.config_epoch)?;
        let who =
            if new.id == s.after.me() { "its own".to_string() } else { format!("{}'s", new.id.short()) };
        Some(format!("{}: {who} config epoch goes from {} to {}", s.name, old.config_epoch, new.config_epoch))
    })
}

/// S5 FailQuorum: who turns PFAIL into FAIL by its own count holds reports of enough distinct *voting* masters, itself included if it
/// votes: at least size/2 + 1. `expired` tells of a report (subject, reporter) whether it is too old by the reader's own clock.
pub fn s5_fail_quorum(
    s: &NodeStep<'_>,
    mut expired: impl FnMut(&crate::NodeId, &crate::NodeId) -> bool,
) -> Violation {
    let told =
        matches!(s.input, Some(Input::Receive { message, .. }) if matches!(message.body, Body::Fail(_)));
    if told || s.input.is_none() {
        return None;
    }
    if let Some(Input::Timer(crate::Timer::ReportExpires { subject, reporter })) = s.input {
        let kept = s.after.peer(subject).is_some_and(|p| p.reports.iter().any(|r| r.reporter == *reporter));
        return kept.then(|| format!("{} keeps a report about {} that ran out", s.name, subject.short()));
    }
    s.after.peers().iter().filter(|p| p.is_fail()).find_map(|now| {
        s.before.peer(&now.id).filter(|p| !p.is_fail())?;
        let votes = |id: &crate::NodeId| s.after.peer(id).is_some_and(|p| p.is_voting());
        let fresh = speaker(s, &now.id);
        let known = s.before.peer(&now.id).map_or(&[][..], |p| &p.reports);
        let old = known.iter().map(|r| r.reporter).filter(|r| Some(*r) != fresh && !expired(&now.id, r));
        let voters = fresh.into_iter().chain(old).filter(|r| votes(r)).count() as u32
            + u32::from(s.after.myself().is_voting());
        let needed = s.before.size() / 2 + 1;
        (voters < needed).then(|| {
            format!(
                "{} marks {} FAIL on the word of {voters} voting masters of {needed}",
                s.name,
                now.id.short()
            )
        })
    })
}

/// The sender of the message of this step, if it reports `subject`.
fn speaker(s: &NodeStep<'_>, subject: &crate::NodeId) -> Option<crate::NodeId> {
    let Some(Input::Receive { message, link, .. }) = s.input else { return None };
    let Body::Heartbeat { gossip, .. } = &message.body else { return None };
    let down = crate::Flags::PFAIL.with(crate::Flags::FAIL);
    let sender = match link {
        crate::Link::Outbound(id) | crate::Link::Inbound(Some(id)) => *id,
        crate::Link::Inbound(None) => message.header.sender,
    };
    gossip.iter().any(|e| e.node == *subject && e.flags.any(down)).then_some(sender)
}

/// S9 NoStaleOwnerServe: a slot that becomes mine and was another's is mine at a greater config epoch than the one recorded for that one.
pub fn s9_no_stale_owner_serve(s: &NodeStep<'_>) -> Violation {
    let me = s.after.me();
    if s.before.me() != me {
        return None;
    }
    let (old, new) = (&s.before.myself().slots, &s.after.myself().slots);
    new.iter_beyond(old).find_map(|slot| {
        let other = s.before.owner(slot)?;
        let theirs =
            s.after.peer(&other.id).map_or(other.config_epoch, |p| p.config_epoch.max(other.config_epoch));
        let mine = s.after.myself().config_epoch;
        (mine <= theirs).then(|| {
            format!(
                "{} takes slot {slot} at epoch {mine} from {}, who has {theirs}",
                s.name,
                other.id.short()
            )
        })
    })
}

/// S10 DeleteOnlyIfHandedOver: a key that is deleted because its slot was lost has its latest value at the node that is legitimate for the
/// slot, or where that node's ASK leads, or what was deleted is not its latest value. `before` is the cluster ahead of the step,
/// `after` the one behind it; `at` the node's position.
pub fn s10_delete_only_if_handed_over(
    s: &NodeStep<'_>,
    before: &Cluster<'_>,
    after: &Cluster<'_>,
    at: usize,
) -> Violation {
    s.effects.0.iter().find_map(|e| {
        let Effect::DropKeys(slot) = e else { return None };
        let lost = before.keys.iter().zip(&after.keys).filter(|(k, _)| k.slot == *slot && k.written);
        lost.filter(|(k, _)| k.copies[at] == Some(Copy::Latest)).find_map(|(_, now)| {
            let owner = after.legitimate(*slot);
            let asked = owner.and_then(|o| {
                let to = after.nodes[o].state.migrating().get(slot)?;
                after.position(to)
            });
            let kept = owner.into_iter().chain(asked).any(|i| now.copies[i] == Some(Copy::Latest));
            (!kept).then(|| {
                format!(
                    "{} deletes {}, whose latest value is not where slot {slot} is served",
                    s.name, now.name
                )
            })
        })
    })
}
