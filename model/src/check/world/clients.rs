//! Clients: any operation on any key at any node at any moment, which covers every stale table of routes. Only a pending ASK is state.
//!
//! What is written has no value. A write or deletion that a *legitimate* node acknowledges makes every other copy old, in memory, on disk and
//! in requests under way; what another node writes is foreign. So writes need no bound.

use super::super::explore::StepKind;
use super::state::{Ask, Label, Life, Op, WorldState};
use super::{Move, Steps, World};
use crate::check::scenario::Client;
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

    /// Of clients that are alike, one acts for all with nothing pending, and those with the same ASK act as one.
    pub(super) fn client_moves(&self, s: &WorldState, steps: &mut Steps<'_>) {
        let asks = &s.asks[..self.shape.clients];
        for (client, ask) in asks.iter().enumerate() {
            if self.shape.alike >> client & 1 == 1 && asks[client - 1] == *ask {
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
        let who = &self.clients[client];
        for key in (0..self.shape.keys).filter(|k| who.keys >> k & 1 == 1) {
            let slot = Slot::new(self.scenario.keys[key].slot);
            for at in (0..self.shape.nodes).filter(|&n| who.at >> n & 1 == 1 && s.runs(n)) {
                let what = |op| Move::Client { client: client as u8, op, key: key as u8, node: at as u8 };
                let route = self.route(s, at, key, kind);
                if route == Route::Serve {
                    let legitimate = self.legitimate(s, slot) == Some(at);
                    for op in who.does() {
                        let mut next = self.served(s, at, key, op, legitimate);
                        steps.add(what(Some(op)), StepKind::Neither, &mut next);
                    }
                } else if let Some(ask) = self.sent_on(s, at, key, route, who) {
                    let mut next = s.clone();
                    next.asks[client] = Some(ask);
                    steps.add(what(None), StepKind::Neither, &mut next);
                }
            }
        }
    }

    /// Where a client goes that was sent on from node `at`, if it follows.
    fn sent_on(&self, s: &WorldState, at: usize, key: usize, route: Route, who: &Client) -> Option<Ask> {
        let (to, moved) = match route {
            Route::Ask(_, to) if who.follows_ask => (to, false),
            Route::Moved(_, to) if who.follows_moved => (to, true),
            _ => return None,
        };
        let to = (0..self.shape.nodes).find(|&n| super::node_id(n) == to)?;
        let slot = Slot::new(self.scenario.keys[key].slot);
        let legitimate = !moved && self.legitimate(s, slot) == Some(at);
        Some(Ask { to: to as u8, key: key as u8, legitimate, moved })
    }

    /// A client that was sent elsewhere asks there, or does not.
    fn asked(&self, s: &WorldState, client: usize, ask: Ask, steps: &mut Steps<'_>) {
        let (at, key) = (usize::from(ask.to), usize::from(ask.key));
        let who = &self.clients[client];
        let what = |op| Move::Asks { client: client as u8, op };
        let kind = RequestKind { write: true, asking: !ask.moved, ..RequestKind::default() };
        let route = if s.runs(at) { self.route(s, at, key, kind) } else { Route::Down };
        if route == Route::Serve {
            let slot = Slot::new(self.scenario.keys[key].slot);
            let legitimate = ask.legitimate || self.legitimate(s, slot) == Some(at);
            for op in who.does() {
                let mut next = self.served(s, at, key, op, legitimate);
                next.asks[client] = None;
                steps.add(what(Some(op)), StepKind::Neither, &mut next);
            }
            return;
        }
        // From one who asks first at any node an ASK that leads on is another's.
        let on = self.sent_on(s, at, key, route, who).filter(|_| !who.anywhere);
        let mut next = s.clone();
        next.asks[client] = on;
        let what = if on.is_some() { Move::AskedOn { client: client as u8 } } else { what(None) };
        steps.add(what, StepKind::Neither, &mut next);
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

impl Client {
    /// What it does with a key.
    fn does(&self) -> impl Iterator<Item = Op> {
        let (writes, deletes) = (self.writes, self.deletes);
        Op::ALL.into_iter().filter(move |op| if *op == Op::Write { writes } else { deletes })
    }
}
