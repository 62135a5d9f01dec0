//! The properties, as claims of the explorer.

use std::sync::Arc;

use super::super::explore::Claim;
use super::super::properties::{self as named, Cluster, Copy, KeyView, NodeStep, NodeView, Violation};
use super::contents::{Facts, In, Outcome};
use super::links::{is_reply, source, target};
use super::state::{Label, Life, What, WorldState};
use super::{Move, Step, World};
use crate::input::Timer;
use crate::slot::Slot;

/// A property over a whole cluster.
type OfCluster = fn(&Cluster<'_>) -> Violation;

/// Properties asked of every state of every bottom of the fair graph.
const SETTLED: [(&str, OfCluster); 9] = [
    ("S1", named::s1_epoch_owner_unique),
    ("S6", named::s6_acked_key_reachable),
    ("S7", named::s7_key_on_one_side),
    ("S8", named::s8_no_resurrection),
    ("L1", named::l1_slot_owned),
    ("L2", named::l2_views_converge),
    ("L3", named::l3_epochs_distinct),
    ("L5", named::l5_migration_clears),
    ("L6", named::l6_fail_clears),
];

impl World {
    /// The claims that its scenario asks for.
    pub fn claims(&self) -> Vec<Claim<Self>> {
        self.scenario.expect.keys().filter_map(|name| self.claim(name)).collect()
    }

    fn claim(&self, name: &str) -> Option<Claim<Self>> {
        if let Some((name, property)) = SETTLED.iter().copied().find(|(n, _)| *n == name) {
            return Some(Claim::settled(name, move |w: &Self, s: &WorldState| {
                w.with_cluster(s, property).is_none()
            }));
        }
        let judge: fn(&Self, &WorldState, &Step, &WorldState) -> bool = match name {
            "S4" => |w, from, step, to| w.each_node(from, step, to, named::s4_epoch_monotone).is_none(),
            "S5" => |w, from, step, to| {
                w.each_node(from, step, to, |s| named::s5_fail_quorum(s, |_, _| false)).is_none()
            },
            "S9" => |w, from, step, to| w.each_node(from, step, to, named::s9_no_stale_owner_serve).is_none(),
            "S10" => |w, from, step, to| w.s10(from, step, to).is_none(),
            _ => return None,
        };
        let name = ["S4", "S5", "S9", "S10"].into_iter().find(|n| *n == name)?;
        Some(Claim::each_step(name, judge))
    }

    /// What is wrong with a state by a property that is asked at the end; for people.
    pub fn complaint(&self, name: &str, s: &WorldState) -> Violation {
        let (_, property) = SETTLED.iter().find(|(n, _)| *n == name)?;
        self.with_cluster(s, property)
    }

    /// What is wrong with a step by a property that is asked of steps; for people.
    pub fn step_complaint(&self, name: &str, from: &WorldState, step: &Step, to: &WorldState) -> Violation {
        match name {
            "S4" => self.each_node(from, step, to, named::s4_epoch_monotone),
            "S5" => self.each_node(from, step, to, |s| named::s5_fail_quorum(s, |_, _| false)),
            "S9" => self.each_node(from, step, to, named::s9_no_stale_owner_serve),
            "S10" => self.s10(from, step, to),
            _ => None,
        }
    }

    /// Looks at a state as a cluster.
    pub(super) fn with_cluster<T>(&self, s: &WorldState, f: impl FnOnce(&Cluster<'_>) -> T) -> T {
        let facts: Vec<Arc<Facts>> = self.cells(s).map(|c| self.contents.facts(c)).collect();
        let nodes: Vec<NodeView<'_>> = facts
            .iter()
            .enumerate()
            .map(|(i, facts)| NodeView {
                name: &self.scenario.nodes[i].name,
                state: &facts.state,
                routes: &facts.routes,
                live: s.nodes[i].life == Life::Up,
            })
            .collect();
        let keys = self.scenario.keys.iter().enumerate().map(|(k, spec)| KeyView {
            name: spec.name.clone(),
            slot: Slot::new(spec.slot),
            written: s.keys[k].written,
            copies: s.keys[k].memory[..self.shape.nodes].iter().map(|l| copy(*l)).collect(),
        });
        // Slots of nodes that are down for good, and that nobody else took over.
        let dead = (0..self.shape.nodes).filter(|&i| s.nodes[i].life == Life::Dead);
        let lost_slots =
            dead.flat_map(|i| facts[i].state.myself().slots.iter().collect::<Vec<_>>()).collect();
        f(&Cluster { nodes, keys: keys.collect(), lost_slots })
    }

    fn cells<'a>(&'a self, s: &'a WorldState) -> impl Iterator<Item = u32> + 'a {
        s.nodes[..self.shape.nodes].iter().map(|c| c.state)
    }

    /// Judges the nodes that took this step.
    fn each_node(
        &self,
        from: &WorldState,
        step: &Step,
        to: &WorldState,
        judge: impl Fn(&NodeStep<'_>) -> Violation,
    ) -> Violation {
        let changed = (0..self.shape.nodes).any(|i| from.nodes[i].state != to.nodes[i].state);
        if !changed {
            return None;
        }
        self.steps_in(from, to, step.what).into_iter().find_map(|(at, before, outcome)| {
            let (before, after) = (self.contents.facts(before), self.contents.facts(outcome.to));
            judge(&self.node_step(at, &before, &after, &outcome))
        })
    }

    /// The steps of nodes that a step of the world is made of: the one of [`Self::outcome_of`], then those of the nodes for which an UPDATE was
    /// settled in it. No other node changes.
    fn steps_in(&self, from: &WorldState, to: &WorldState, what: Move) -> Vec<(usize, u32, Arc<Outcome>)> {
        let Some(first) = self.outcome_of(from, to, what) else { return Vec::new() };
        let actor = first.0;
        let updates: Vec<_> = self.updates(&first.2.sent).filter(|(there, _)| *there != actor).collect();
        let mut steps = vec![first];
        for (there, id) in updates {
            let before = from.nodes[there].state;
            let outcome = self.contents.step(there, before, from.key_mask(there), In::Shot(id));
            if before != to.nodes[there].state && outcome.to == to.nodes[there].state {
                steps.push((there, before, outcome));
            }
        }
        steps
    }

    fn node_step<'a>(
        &'a self,
        at: usize,
        before: &'a Facts,
        after: &'a Facts,
        outcome: &'a Outcome,
    ) -> NodeStep<'a> {
        NodeStep {
            name: &self.scenario.nodes[at].name,
            config: &self.contents.configs[at],
            before: &before.state,
            input: outcome.input.as_ref(),
            after: &after.state,
            effects: &outcome.effects,
        }
    }

    fn s10(&self, from: &WorldState, step: &Step, to: &WorldState) -> Violation {
        if (0..self.shape.keys).all(|k| from.keys[k].memory == to.keys[k].memory) {
            return None;
        }
        self.steps_in(from, to, step.what).into_iter().filter(|(.., outcome)| outcome.drops != 0).find_map(
            |(at, before, outcome)| {
                let (before, after) = (self.contents.facts(before), self.contents.facts(outcome.to));
                let node = self.node_step(at, &before, &after, &outcome);
                self.with_cluster(from, |a| {
                    self.with_cluster(to, |b| named::s10_delete_only_if_handed_over(&node, a, b, at))
                })
            },
        )
    }

    /// The node that took a step, its content before, and what followed.
    pub(super) fn outcome_of(
        &self,
        s: &WorldState,
        to: &WorldState,
        what: Move,
    ) -> Option<(usize, u32, Arc<Outcome>)> {
        let first = |l: u8| s.first(l).map(|i| i.what);
        let (at, input) = match what {
            Move::Heartbeat { from, to, reply, pick, expired } => {
                let header = self.contents.facts(s.nodes[usize::from(from)].state).header;
                (usize::from(to), In::Header { header, reply, pick, expired })
            }
            Move::Parked { link, pick, expired, .. } => {
                let Some(What::Parked(header)) = first(link) else { return None };
                (target(link), In::Header { header, reply: is_reply(link), pick, expired })
            }
            Move::Message { link, .. } => match first(link)? {
                What::Shot(id) => (target(link), In::Shot(id)),
                What::Ask(id, of) => (target(link), In::Ask(id, of)),
                What::Answer(id, of) => (target(link), In::Answer(id, of)),
                What::Parked(_) => return None,
            },
            Move::Timer { node, timer } => (usize::from(node), In::Timer(timer)),
            Move::Pfail { node, peer } => {
                (usize::from(node), In::Timer(Timer::PongOverdue(super::node_id(usize::from(peer)))))
            }
            Move::LinkUp { node, placeholder } => (usize::from(node), In::LinkUp(placeholder)),
            Move::BeforeSleep { node } => (usize::from(node), In::BeforeSleep),
            Move::Command { operator } => {
                let who = usize::from(operator);
                let step = usize::from(s.operators[who].at);
                let before: usize = self.scripts[..who].iter().map(Vec::len).sum();
                match self.scripts[who].get(step)? {
                    Some(crate::check::scenario::ScriptStep::Command { at, .. }) => {
                        (*at, In::Command((before + step) as u16))
                    }
                    _ => return None,
                }
            }
            Move::Restart { node } => (usize::from(node), In::Restart(s.nodes[usize::from(node)].saved)),
            _ => return None,
        };
        let restarted = matches!(what, Move::Restart { .. });
        let mask = if restarted { to.key_mask(at) } else { s.key_mask(at) };
        let before = s.nodes[at].state;
        Some((at, before, self.contents.step(at, before, mask, input)))
    }

    /// The sender of a link and its receiver, by name.
    pub(super) fn ends(&self, link: u8) -> (&str, &str) {
        (&self.scenario.nodes[source(link)].name, &self.scenario.nodes[target(link)].name)
    }
}

fn copy(label: Label) -> Option<Copy> {
    match label {
        Label::None => None,
        Label::Latest => Some(Copy::Latest),
        Label::Old => Some(Copy::Old),
        Label::Foreign => Some(Copy::Foreign),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use stateright::Model;

    use super::*;
    use crate::check::explore::Explorable;
    use crate::check::scenario::Scenario;

    /// Properties of steps are asked of `steps_in`: a node that changes without being there would never be judged.
    #[test]
    fn whoever_changes_in_a_step_is_judged() {
        let mut scenario = Scenario::built_in("gossip-contend").expect("it ships");
        scenario.d = 0;
        scenario.options.update_at_once = true;
        let world = World::new(scenario).expect("a world");
        let mut seen: HashSet<WorldState> = world.init_states().into_iter().collect();
        let mut open: Vec<WorldState> = seen.iter().cloned().collect();
        let mut settled_at_once = 0;
        while let Some(state) = open.pop() {
            let mut actions = Vec::new();
            world.actions(&state, &mut actions);
            for step in actions {
                let Some(to) = world.take(&state, &step).to else { continue };
                let changed: Vec<usize> =
                    (0..world.shape.nodes).filter(|&i| state.nodes[i].state != to.nodes[i].state).collect();
                let steps = world.steps_in(&state, &to, step.what);
                for node in &changed {
                    let after = steps.iter().find(|(at, ..)| at == node).map(|(.., o)| o.to);
                    assert_eq!(after, Some(to.nodes[*node].state), "{}", world.tell(&state, step.what));
                }
                settled_at_once += usize::from(steps.len() > 1);
                if seen.insert(to.clone()) {
                    open.push(to);
                }
            }
        }
        assert!(settled_at_once > 0, "an UPDATE was settled at once");
    }
}
