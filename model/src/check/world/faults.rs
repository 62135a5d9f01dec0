//! What goes wrong, by budgets: crashes, pauses, cuts, lost connections.

use super::super::explore::StepKind;
use super::contents::In;
use super::links::{FORMER_LIFE, source, target};
use super::state::{Life, Mood, Stage, What, WorldState};
use super::{Move, Steps, World};
use crate::check::scenario::{Account, FaultKind, link_bit};

impl World {
    pub(super) fn fault_moves(&self, s: &WorldState, steps: &mut Steps<'_>) {
        for node in 0..self.shape.nodes {
            let at = node as u8;
            match s.nodes[node].life {
                Life::Up => {
                    for (kind, power, for_good) in [
                        (FaultKind::Crash, false, false),
                        (FaultKind::Power, true, false),
                        (FaultKind::Death, false, true),
                    ] {
                        for base in self.spend_on_node(s, kind, node) {
                            self.crash(s, base, node, power, for_good, steps);
                        }
                    }
                    for mut next in self.spend_on_node(s, FaultKind::Pause, node) {
                        next.nodes[node].life = Life::Paused;
                        let doing = (Move::Pause { node: at }, StepKind::Fault);
                        self.settle(s, next, &[node], &[], doing, steps);
                    }
                }
                Life::Paused => {
                    let mut next = s.clone();
                    next.nodes[node].life = Life::Up;
                    next.nodes[node].drowsy = self.others(node) & self.suspectable;
                    steps.add(Move::Resume { node: at }, StepKind::Fair, &mut next);
                }
                Life::Down => self.restart(s, node, steps),
                Life::Dead => {}
            }
            self.cuts(s, node, steps);
        }
        self.link_cuts(s, steps);
        self.resets(s, steps);
    }

    /// The world with a fault at a node paid for, once for each budget that has something left for it.
    fn spend_on_node(
        &self,
        s: &WorldState,
        kind: FaultKind,
        node: usize,
    ) -> impl Iterator<Item = WorldState> {
        self.spend(s, move |a| a.kind == kind && a.nodes >> node & 1 == 1)
    }

    /// The same for a fault on a link.
    pub(super) fn spend_on_link(
        &self,
        s: &WorldState,
        kind: FaultKind,
        from: usize,
        to: usize,
    ) -> impl Iterator<Item = WorldState> {
        self.spend(s, move |a| a.kind == kind && a.links & link_bit(from, to) != 0)
    }

    fn spend(&self, s: &WorldState, pays: impl Fn(&Account) -> bool) -> impl Iterator<Item = WorldState> {
        let left = self.accounts.iter().zip(s.budgets).enumerate();
        left.filter(move |(_, (account, left))| *left > 0 && pays(account)).map(move |(n, _)| {
            let mut next = s.clone();
            next.budgets[n] -= 1;
            next
        })
    }

    fn others(&self, node: usize) -> u8 {
        ((1u16 << self.shape.nodes) - 1) as u8 & !(1 << node)
    }

    /// The process ends: every link to it is emptied; of what it sent, any prefix of each link may still arrive.
    fn crash(
        &self,
        s: &WorldState,
        mut base: WorldState,
        node: usize,
        power: bool,
        for_good: bool,
        steps: &mut Steps<'_>,
    ) {
        let cell = &mut base.nodes[node];
        cell.life = if for_good { Life::Dead } else { Life::Down };
        cell.drowsy = 0;
        base.forget_pings(node);
        base.fails[node] = 0;
        let cell = &mut base.nodes[node];
        if power {
            cell.saved = cell.synced;
        } else {
            // Only what a power failure takes needs to be told apart later.
            let fears_power = self.spend_on_node(s, FaultKind::Power, node).next().is_some();
            cell.synced = if fears_power { cell.synced } else { cell.saved };
        }
        base.messages.retain(|m| target(m.link) != node);
        for item in base.messages.iter_mut().filter(|m| source(m.link) == node) {
            if let What::Ask(_, of) = &mut item.what {
                *of = FORMER_LIFE;
            }
        }
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
            let kind = if out { FaultKind::CutOut } else { FaultKind::CutIn };
            if cut {
                let mut next = s.clone();
                *field(&mut next, out) ^= bit;
                steps.add(Move::Heal { node: node as u8, out }, StepKind::Fair, &mut next);
                continue;
            }
            for mut next in self.spend_on_node(s, kind, node) {
                *field(&mut next, out) ^= bit;
                let actors: Vec<usize> = (0..self.shape.nodes).collect();
                let doing = (Move::Cut { node: node as u8, out }, StepKind::Fault);
                self.settle(s, next, &actors, &[], doing, steps);
            }
        }
    }

    /// What one node sends to one other is held up, and heard again.
    fn link_cuts(&self, s: &WorldState, steps: &mut Steps<'_>) {
        if !self.shape.link_cuts {
            return;
        }
        for from in 0..self.shape.nodes {
            for to in (0..self.shape.nodes).filter(|&to| to != from) {
                let (bit, ends) = (link_bit(from, to), (from as u8, to as u8));
                if s.cut_links & bit != 0 {
                    let mut next = s.clone();
                    next.cut_links ^= bit;
                    steps.add(Move::HealLink { from: ends.0, to: ends.1 }, StepKind::Fair, &mut next);
                    continue;
                }
                for mut next in self.spend_on_link(s, FaultKind::LinkCut, from, to) {
                    next.cut_links |= bit;
                    let doing = (Move::CutLink { from: ends.0, to: ends.1 }, StepKind::Fault);
                    self.settle(s, next, &[from, to], &[], doing, steps);
                }
            }
        }
    }

    /// A connection breaks: what is on it is lost, in both directions.
    fn resets(&self, s: &WorldState, steps: &mut Steps<'_>) {
        for from in 0..self.shape.nodes {
            for to in (0..self.shape.nodes).filter(|&to| to != from) {
                let both = self.connection(from, to);
                if both.into_iter().all(|l| s.first(l).is_none()) {
                    continue;
                }
                for mut next in self.spend_on_link(s, FaultKind::Reset, from, to) {
                    both.into_iter().for_each(|l| next.truncate(l, 0));
                    next.set_ping_lost(from, to, false);
                    let what = Move::Reset { from: from as u8, to: to as u8 };
                    steps.add(what, StepKind::Fault, &mut next);
                }
            }
        }
    }
}

fn field(s: &mut WorldState, out: bool) -> &mut u8 {
    if out { &mut s.cut_out } else { &mut s.cut_in }
}
