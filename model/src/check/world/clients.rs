//! Clients: any operation on any key at any node at any moment, which covers every stale table of routes. Only a pending ASK is state.
//!
//! What is written has no value. A write or deletion that a *legitimate* node acknowledges makes every other copy old, in memory, on disk and
//! in requests under way; what another node writes is foreign. So writes need no bound.

use super::super::explore::StepKind;
use super::state::{Ask, Label, Life, Op, WorldState};
use super::{Move, Steps, World};
use crate::route::{RequestKind, Route};
use crate::slot::Slot;

impl World {
    /// Where node `at` routes a request for a key.
    pub(super) fn route(&self, s: &WorldState, at: usize, key: usize, kind: RequestKind) -> Route {
        let facts = self.contents.facts(s.nodes[at].state);
        let slot = Slot::new(self.scenario.keys[key].slot);
        facts.routes.route(kind, [key], |_| slot, |&k| s.keys[k].memory[at] != Label::None)
    }

    /// The running self-claimer of a slot with the greatest config epoch.
    pub(super) fn legitimate(&self, s: &WorldState, slot: Slot) -> Option<usize> {
        let claims = |n: &usize| {
            let facts = self.contents.facts(s.nodes[*n].state);
            let runs = matches!(s.nodes[*n].life, Life::Up | Life::Paused);
            runs && facts.state.owner(slot).is_some_and(|p| p.id == facts.state.me())
        };
        let rank = |n: &usize| {
            let facts = self.contents.facts(s.nodes[*n].state);
            (facts.state.myself().config_epoch, *n)
        };
        (0..self.shape.nodes).filter(claims).max_by_key(rank)
    }

    /// Clients are alike: of those with nothing pending one acts for all, and those with the same ASK act as one.
    pub(super) fn client_moves(&self, s: &WorldState, steps: &mut Steps<'_>) {
        let asks = &s.asks[..self.shape.clients];
        for (client, ask) in asks.iter().enumerate() {
            if client > 0 && asks[client - 1] == *ask {
                continue;
            }
            match ask {
                Some(ask) => self.asked(s, client, *ask, steps),
                None => self.fresh(s, client, steps),
            }
        }
    }

    fn fresh(&self, s: &WorldState, client: usize, steps: &mut Steps<'_>) {
        let kind = RequestKind { write: true, ..RequestKind::default() };
        for key in 0..self.shape.keys {
            let slot = Slot::new(self.scenario.keys[key].slot);
            for at in (0..self.shape.nodes).filter(|&n| s.runs(n)) {
                let what = |op| Move::Client { op, key: key as u8, node: at as u8 };
                match self.route(s, at, key, kind) {
                    Route::Serve => {
                        let legitimate = self.legitimate(s, slot) == Some(at);
                        for op in Op::ALL {
                            let mut next = self.served(s, at, key, op, legitimate);
                            steps.add(what(Some(op)), StepKind::Neither, &mut next);
                        }
                    }
                    Route::Ask(_, to) => {
                        let Some(to) = (0..self.shape.nodes).find(|&n| super::node_id(n) == to) else {
                            continue;
                        };
                        let legitimate = self.legitimate(s, slot) == Some(at);
                        let mut next = s.clone();
                        next.asks[client] = Some(Ask { to: to as u8, key: key as u8, legitimate });
                        steps.add(what(None), StepKind::Neither, &mut next);
                    }
                    _ => {}
                }
            }
        }
    }

    /// A client that was sent elsewhere asks there, or does not.
    fn asked(&self, s: &WorldState, client: usize, ask: Ask, steps: &mut Steps<'_>) {
        let (at, key) = (usize::from(ask.to), usize::from(ask.key));
        let what = |op| Move::Asks { client: client as u8, op };
        let kind = RequestKind { write: true, asking: true, ..RequestKind::default() };
        if s.runs(at) && self.route(s, at, key, kind) == Route::Serve {
            let slot = Slot::new(self.scenario.keys[key].slot);
            let legitimate = ask.legitimate || self.legitimate(s, slot) == Some(at);
            for op in Op::ALL {
                let mut next = self.served(s, at, key, op, legitimate);
                next.asks[client] = None;
                steps.add(what(Some(op)), StepKind::Neither, &mut next);
            }
        } else {
            let mut next = s.clone();
            next.asks[client] = None;
            steps.add(what(None), StepKind::Neither, &mut next);
        }
    }

    /// The operation is executed and acknowledged.
    fn served(&self, s: &WorldState, at: usize, key: usize, op: Op, legitimate: bool) -> WorldState {
        let mut next = s.clone();
        let cell = &mut next.keys[key];
        if legitimate {
            cell.written = op == Op::Write;
            let old = |l: &mut Label| {
                if *l != Label::None {
                    *l = Label::Old;
                }
            };
            cell.memory.iter_mut().for_each(old);
            cell.disk.iter_mut().for_each(old);
            next.transfers.iter_mut().filter(|t| usize::from(t.key) == key).for_each(|t| old(&mut t.label));
        }
        let own = match (op, legitimate) {
            (Op::Delete, _) => Label::None,
            (Op::Write, true) => Label::Latest,
            (Op::Write, false) => Label::Foreign,
        };
        self.put(&mut next, at, key, own);
        next
    }

    /// A copy as it is now at a node, durable at once.
    pub(super) fn put(&self, s: &mut WorldState, at: usize, key: usize, label: Label) {
        s.keys[key].memory[at] = label;
        if self.shape.disks {
            s.keys[key].disk[at] = label;
        }
    }
}
