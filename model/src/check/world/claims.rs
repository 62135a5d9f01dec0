//! The properties, as claims of the explorer.

use std::collections::BTreeSet;

use super::super::explore::Claim;
use super::super::properties::{self as named, Cluster, Copy, KeyView, NodeStep, NodeView, Violation};
use super::contents::{Facts, In, Outcome, Taken, WRONG};
use super::links::{is_reply, source, target};
use super::state::{Label, Life, What, WorldState};
use super::{Move, Step, World};
use crate::check::scenario::ScriptStep;
use crate::slot::Slot;

/// A property over a whole cluster.
type OfCluster = fn(&Cluster<'_>) -> Violation;

/// Properties asked of every state of every bottom of the fair graph.
const SETTLED: [(&str, OfCluster); 10] = [
    ("S1", named::s1_epoch_owner_unique),
    ("S6", named::s6_acked_key_reachable),
    ("S7", named::s7_key_on_one_side),
    ("S8", named::s8_no_resurrection),
    ("L1", named::l1_slot_owned),
    ("L2", named::l2_views_converge),
    ("L3", named::l3_epochs_distinct),
    ("L5", named::l5_migration_clears),
    ("L6", named::l6_fail_clears),
    ("L7", named::l7_forgotten_stays_out),
];

/// Properties asked of every state.
const ALWAYS: [(&str, OfCluster); 2] =
    [(FOREIGN, named::s13_no_foreign_merge), ("S14", named::s14_multi_key_atomic)];

/// The property that is about several clusters; each other one is about one.
const FOREIGN: &str = "S13";

impl World {
    /// The claims that its scenario asks for.
    pub fn claims(&self) -> Vec<Claim<Self>> {
        self.scenario.expect.keys().filter_map(|name| self.claim(name)).collect()
    }

    fn claim(&self, name: &str) -> Option<Claim<Self>> {
        if let Some((name, property)) = SETTLED.iter().copied().find(|(n, _)| *n == name) {
            return Some(Claim::settled(name, move |w: &Self, s: &WorldState| {
                w.judge(s, name, property).is_none()
            }));
        }
        if let Some((name, property)) = ALWAYS.into_iter().find(|(n, _)| *n == name) {
            return Some(Claim::always(name, move |w: &Self, s: &WorldState| {
                w.judge(s, name, property).is_none()
            }));
        }
        if let Some((name, bit)) = WRONG.into_iter().find(|(n, _)| *n == name) {
            // Judged when the node's step was computed.
            return Some(Claim::each_step(name, move |_: &Self, _, step: &Step, _| step.wrong & bit == 0));
        }
        (name == "S10").then(|| {
            Claim::each_step("S10", |w: &Self, from, step: &Step, to| w.s10(from, step, to).is_none())
        })
    }

    /// What is wrong with a state by a property that is asked at the end or of every state; for people.
    pub fn complaint(&self, name: &str, s: &WorldState) -> Violation {
        let (name, property) = SETTLED.iter().chain(&ALWAYS).find(|(n, _)| *n == name)?;
        self.judge(s, name, *property)
    }

    /// A property of a state: of each cluster that there is, but for the one that is about all of them.
    fn judge(&self, s: &WorldState, name: &str, property: OfCluster) -> Violation {
        let names: BTreeSet<&str> = self.scenario.nodes.iter().map(|n| n.cluster.as_str()).collect();
        if names.len() < 2 || name == FOREIGN {
            return self.with_cluster(s, property);
        }
        names.into_iter().find_map(|name| self.with_cluster(s, |all| property(&all.only(name))))
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
        let facts: Vec<&Facts> = self.cells(s).map(|c| self.contents.facts(c)).collect();
        let nodes: Vec<NodeView<'_>> = facts
            .iter()
            .enumerate()
            .map(|(i, facts)| NodeView {
                name: &self.scenario.nodes[i].name,
                cluster: &self.scenario.nodes[i].cluster,
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
        let forgotten = self.forgotten.clone();
        f(&Cluster { nodes, keys: keys.collect(), lost_slots, forgotten })
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
        let all = self.acted_in(from, to, step.what);
        all.into_iter().find_map(|acted| judge(&self.node_step(acted.at, &self.retake(acted))))
    }

    /// The steps of nodes that a step of the world is made of: the one of [`Self::acted`], then those of the nodes for which an UPDATE was
    /// settled in it. No other node changes.
    fn acted_in(&self, from: &WorldState, to: &WorldState, what: Move) -> Vec<Acted> {
        let Some(first) = self.acted(from, to, what) else { return Vec::new() };
        let mut all = vec![first];
        for (there, id) in self.updates(&self.outcome(first).sent).filter(|(there, _)| *there != first.at) {
            let (before, mask) = (from.nodes[there].state, from.key_mask(there));
            let acted = Acted { at: there, before, mask, input: In::Shot(id) };
            if before != to.nodes[there].state && self.outcome(acted).to == to.nodes[there].state {
                all.push(acted);
            }
        }
        all
    }

    /// What a node's step led to.
    pub(super) fn outcome(&self, acted: Acted) -> &Outcome {
        self.contents.step(acted.at, acted.before, acted.mask, acted.input)
    }

    fn retake(&self, acted: Acted) -> Taken {
        self.contents.take(acted.at, acted.before, acted.mask, acted.input)
    }

    fn node_step<'a>(&'a self, at: usize, taken: &'a Taken) -> NodeStep<'a> {
        taken.as_step(&self.scenario.nodes[at].name, &self.contents.configs[at])
    }

    fn s10(&self, from: &WorldState, step: &Step, to: &WorldState) -> Violation {
        if (0..self.shape.keys).all(|k| from.keys[k].memory == to.keys[k].memory) {
            return None;
        }
        let drops = |acted: &Acted| self.outcome(*acted).drops != 0;
        self.acted_in(from, to, step.what).into_iter().filter(drops).find_map(|acted| {
            let taken = self.retake(acted);
            let node = self.node_step(acted.at, &taken);
            self.with_cluster(from, |a| {
                self.with_cluster(to, |b| named::s10_delete_only_if_handed_over(&node, a, b, acted.at))
            })
        })
    }

    /// The node that took a step, and what it took.
    pub(super) fn acted(&self, s: &WorldState, to: &WorldState, what: Move) -> Option<Acted> {
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
            Move::Pfail { node, peer } => (usize::from(node), In::Overdue(peer)),
            Move::WrongName { node, peer, there } => {
                let header = self.contents.facts(s.nodes[usize::from(there)].state).header;
                (usize::from(node), In::WrongName(header, peer))
            }
            Move::LinkUp { node, placeholder } => (usize::from(node), In::LinkUp(placeholder)),
            Move::BeforeSleep { node } => (usize::from(node), In::BeforeSleep),
            Move::Command { operator } => {
                let who = usize::from(operator);
                let step = usize::from(s.operators[who].at);
                match self.scripts[who].get(step)? {
                    Some(ScriptStep::Command { at, .. }) => {
                        (*at, In::Command(self.command_number(who, step)))
                    }
                    _ => return None,
                }
            }
            Move::Restart { node } => (usize::from(node), In::Restart(s.nodes[usize::from(node)].saved)),
            _ => return None,
        };
        let restarted = matches!(what, Move::Restart { .. });
        let mask = if restarted { to.key_mask(at) } else { s.key_mask(at) };
        Some(Acted { at, before: s.nodes[at].state, mask, input })
    }

    /// The sender of a link and its receiver, by name.
    pub(super) fn ends(&self, link: u8) -> (&str, &str) {
        (&self.scenario.nodes[source(link)].name, &self.scenario.nodes[target(link)].name)
    }
}

/// A step of one node: who took what, with which content and keys.
#[derive(Clone, Copy)]
pub(super) struct Acted {
    pub(super) at: usize,
    before: u32,
    mask: u8,
    input: In,
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

    /// Properties of steps are asked of `acted_in`: a node that changes without being there would never be judged.
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
                let steps = world.acted_in(&state, &to, step.what);
                let wrong = steps.iter().fold(0, |w, acted| w | world.outcome(*acted).wrong);
                assert_eq!(step.wrong, wrong, "{}", world.tell(&state, step.what));
                for node in &changed {
                    let after = steps.iter().find(|a| a.at == *node).map(|a| world.outcome(*a).to);
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
