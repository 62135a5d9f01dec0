//! FAILs as bits: who marks a node FAIL tells everybody, so with five voters a dozen of them are on their way, which say the same. Where a scenario asks
//! for it, they are told apart by receiver and subject alone, and have no place among other messages. How many there are is not told either: there may
//! always be another.

use super::super::explore::StepKind;
use super::contents::{In, Sent};
use super::state::{Life, WorldState};
use super::{Move, Steps, World};
use crate::message::Body;

impl World {
    /// About whom a message is, if it is a FAIL that is kept as a bit.
    fn fail_about(&self, id: u32) -> Option<usize> {
        match self.contents.shots.get(id).body {
            Body::Fail(who) => (0..self.shape.nodes).find(|&i| super::node_id(i) == who),
            _ => None,
        }
    }

    /// Notes the FAILs among messages that a node sends; what is left.
    pub(super) fn take_fails(&self, next: &mut WorldState, sent: &[Sent]) -> Vec<Sent> {
        let mut rest = Vec::new();
        for message in sent {
            let subject = match *message {
                Sent::Shot { id, .. } => self.fail_about(id),
                _ => None,
            };
            let (Sent::Shot { to, .. }, Some(subject)) = (*message, subject) else {
                rest.push(*message);
                continue;
            };
            let to = usize::from(to);
            let own = to == subject && !self.scenario.options.fail_to_subject;
            if own || to >= self.shape.nodes || !matches!(next.nodes[to].life, Life::Up | Life::Paused) {
                continue;
            }
            next.fails[to] |= 1 << subject;
        }
        rest
    }

    /// FAILs that arrive, and, while somebody sleeps, is down or cut off, FAILs that do not.
    pub(super) fn fails(&self, s: &WorldState, steps: &mut Steps<'_>) {
        let calm = s.cut_links == 0
            && s.cut_in == 0
            && s.cut_out == 0
            && s.nodes[..self.shape.nodes].iter().all(|c| c.life == Life::Up);
        for to in 0..self.shape.nodes {
            for subject in (0..self.shape.nodes).filter(|i| s.fails[to] >> i & 1 == 1) {
                let (bit, node) = (1 << subject, to as u8);
                let mut gone = s.clone();
                gone.fails[to] &= !bit;
                let what = |stays| Move::Fail { node, subject: subject as u8, stays };
                if s.runs(to) && s.cut_in >> to & 1 == 0 {
                    let input = In::Fail(subject as u8);
                    self.take_step(s, gone.clone(), to, input, (what(false), StepKind::Fair), steps);
                    self.take_step(s, s.clone(), to, input, (what(true), StepKind::Neither), steps);
                }
                if !calm {
                    let lost = Move::LoseFail { node, subject: subject as u8 };
                    steps.add(lost, StepKind::Neither, &mut gone);
                }
            }
        }
    }
}
