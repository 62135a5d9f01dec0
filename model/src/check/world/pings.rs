//! PINGs that are lost on a connection that stays (H39): from then on the connection carries neither PING nor PONG, until its owner drops it.

use super::super::explore::StepKind;
use super::state::{Life, WorldState};
use super::{Move, Steps, World};
use crate::check::scenario::FaultKind;

impl World {
    /// A PING is lost, or its PONG; and what its sender does about it: it opens the connection anew once nothing at all is heard of the peer, or, by
    /// other rules, whatever is heard. How long a peer is silent that still sends is a matter of clocks: it may be long enough, or never.
    pub(super) fn unanswered(&self, s: &WorldState, steps: &mut Steps<'_>) {
        for from in (0..self.shape.nodes).filter(|&n| s.runs(n)) {
            for to in (0..self.shape.nodes).filter(|&to| to != from) {
                let (at, there) = (from as u8, to as u8);
                let mut next = s.clone();
                if s.ping_lost(from, to) {
                    let rules = &self.contents.configs[from].rules;
                    let drops = rules.drops_connection(true, !self.is_heard(s, to, from));
                    let kind = if drops { StepKind::Fair } else { StepKind::Neither };
                    next.set_ping_lost(from, to, false);
                    self.connection(from, to).into_iter().for_each(|l| next.truncate(l, 0));
                    steps.add(Move::Redial { from: at, to: there }, kind, &mut next);
                } else if self.pings(s, from, to) {
                    for mut next in self.spend_on_link(s, FaultKind::LostPing, from, to) {
                        next.set_ping_lost(from, to, true);
                        steps.add(Move::LosePing { from: at, to: there }, StepKind::Fault, &mut next);
                    }
                }
            }
        }
    }

    fn pings(&self, s: &WorldState, from: usize, to: usize) -> bool {
        self.contents.facts(s.nodes[from].state).knows >> to & 1 == 1
    }

    /// Whether a node's own PINGs reach another again and again.
    fn is_heard(&self, s: &WorldState, from: usize, at: usize) -> bool {
        let up = s.nodes[from].life == Life::Up;
        up && self.pings(s, from, at) && self.open_both(s, from, at) && !s.ping_lost(from, at)
    }
}
