//! What goes wrong, by budgets: crashes, pauses, cuts, lost connections.

use super::super::explore::StepKind;
use super::contents::In;
use super::links::{source, target};
use super::state::{Budget, Life, Mood, Stage, WorldState};
use super::{Move, Steps, World};

impl World {
    pub(super) fn fault_moves(&self, s: &WorldState, steps: &mut Steps<'_>) {
        for node in (0..self.shape.nodes).filter(|n| self.fallible >> n & 1 == 1) {
            let at = node as u8;
            match s.nodes[node].life {
                Life::Up => {
                    for (budget, power, for_good) in [
                        (Budget::Crash, false, false),
                        (Budget::Power, true, false),
                        (Budget::Death, false, true),
                    ] {
                        if s.budgets.left(budget) {
                            self.crash(s, node, budget, power, for_good, steps);
                        }
                    }
                    if s.budgets.left(Budget::Pause) {
                        let mut next = s.clone();
                        next.budgets.spend(Budget::Pause);
                        next.nodes[node].life = Life::Paused;
                        self.settle(
                            s,
                            next,
                            &[node],
                            &[],
                            (Move::Pause { node: at }, StepKind::Fault),
                            steps,
                        );
                    }
                }
                Life::Paused => {
                    let mut next = s.clone();
                    next.nodes[node].life = Life::Up;
                    next.nodes[node].drowsy = self.others(node);
                    steps.add(Move::Resume { node: at }, StepKind::Fair, &mut next);
                }
                Life::Down => self.restart(s, node, steps),
                Life::Dead => {}
            }
            self.cuts(s, node, steps);
        }
        self.resets(s, steps);
    }

    fn others(&self, node: usize) -> u8 {
        ((1u16 << self.shape.nodes) - 1) as u8 & !(1 << node)
    }

    /// The process ends: every link to it is emptied; of what it sent, any prefix of each link may still arrive.
    fn crash(
        &self,
        s: &WorldState,
        node: usize,
        budget: Budget,
        power: bool,
        for_good: bool,
        steps: &mut Steps<'_>,
    ) {
        let mut base = s.clone();
        base.budgets.spend(budget);
        let cell = &mut base.nodes[node];
        cell.life = if for_good { Life::Dead } else { Life::Down };
        cell.drowsy = 0;
        base.forget_pings(node);
        let cell = &mut base.nodes[node];
        if power {
            cell.saved = cell.synced;
        } else {
            // Only what a power failure takes needs to be told apart later.
            cell.synced = if s.budgets.left(Budget::Power) { cell.synced } else { cell.saved };
        }
        base.messages.retain(|m| target(m.link) != node);
        base.transfers.retain_mut(|t| {
            if usize::from(t.from) == node {
                if let Some(who) = t.operator.take() {
                    base.operators[usize::from(who)].mood = Mood::Works;
                }
                let astray = matches!(t.stage, Stage::Sent | Stage::Astray);
                t.stage = Stage::Astray;
                return astray;
            }
            let lost = usize::from(t.to) == node && matches!(t.stage, Stage::Sent | Stage::Astray);
            if lost && let Some(who) = t.operator {
                base.operators[usize::from(who)].mood = Mood::Works;
            }
            !lost
        });
        let what = Move::Crash { node: node as u8, power, for_good };
        if base.transfers.iter().filter(|t| t.stage == Stage::Astray).count() > 1 {
            return steps.cut(what, StepKind::Fault, "requests astray");
        }
        let mut worlds = vec![base];
        let mut links: Vec<u8> = s.messages.iter().map(|m| m.link).filter(|&l| source(l) == node).collect();
        links.dedup();
        for l in links {
            let whole = s.on_link(l).count();
            worlds = worlds
                .into_iter()
                .flat_map(|w| {
                    (0..=whole).map(move |keep| {
                        let mut w = w.clone();
                        w.truncate(l, keep);
                        w
                    })
                })
                .collect();
        }
        for next in worlds {
            self.settle(s, next, &[node], &[], (what, StepKind::Fault), steps);
        }
    }

    /// It starts again, from its nodes.conf, with its data.
    fn restart(&self, s: &WorldState, node: usize, steps: &mut Steps<'_>) {
        let mut next = s.clone();
        for key in &mut next.keys[..self.shape.keys] {
            key.memory[node] = key.disk[node];
        }
        next.nodes[node].life = Life::Up;
        let input = In::Restart(s.nodes[node].saved);
        let outcome = self.contents.step(node, s.nodes[node].state, next.key_mask(node), input);
        // Nothing of its former life is left to send.
        let mut quiet = s.clone();
        quiet.nodes[node].life = Life::Down;
        self.apply(&quiet, next, node, outcome, (Move::Restart { node: node as u8 }, StepKind::Fair), steps);
    }

    fn cuts(&self, s: &WorldState, node: usize, steps: &mut Steps<'_>) {
        let bit = 1 << node;
        for out in [true, false] {
            let cut = if out { s.cut_out } else { s.cut_in } & bit != 0;
            let budget = if out { Budget::CutOut } else { Budget::CutIn };
            let mut next = s.clone();
            let field = if out { &mut next.cut_out } else { &mut next.cut_in };
            *field ^= bit;
            if cut {
                steps.add(Move::Heal { node: node as u8, out }, StepKind::Fair, &mut next);
            } else if s.budgets.left(budget) {
                next.budgets.spend(budget);
                let actors: Vec<usize> = (0..self.shape.nodes).collect();
                self.settle(
                    s,
                    next,
                    &actors,
                    &[],
                    (Move::Cut { node: node as u8, out }, StepKind::Fault),
                    steps,
                );
            }
        }
    }

    /// A connection breaks: what is on it is lost, in both directions.
    fn resets(&self, s: &WorldState, steps: &mut Steps<'_>) {
        if !s.budgets.left(Budget::Reset) {
            return;
        }
        for from in 0..self.shape.nodes {
            for to in (0..self.shape.nodes).filter(|&to| to != from) {
                let both = self.connection(from, to);
                if both.into_iter().all(|l| s.first(l).is_none()) {
                    continue;
                }
                let mut next = s.clone();
                next.budgets.spend(Budget::Reset);
                both.into_iter().for_each(|l| next.truncate(l, 0));
                next.set_ping_lost(from, to, false);
                steps.add(Move::Reset { from: from as u8, to: to as u8 }, StepKind::Fault, &mut next);
            }
        }
    }
}
