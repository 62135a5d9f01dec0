//! Operators: scripts of CLUSTER commands and of MIGRATE, in steps between which they may die.

use super::super::explore::StepKind;
use super::contents::In;
use super::state::{Label, Life, Mood, Stage, TransferCell, WorldState};
use super::{Move, Steps, World};
use crate::check::scenario::{FaultKind, Refusal, ScriptStep};
use crate::command::Command;
use crate::id::NodeId;
use crate::migrate::{AfterFailure, AfterReply, Failure, Transfer};
use crate::route::{RequestKind, Route};

impl World {
    pub(super) fn operator_moves(&self, s: &WorldState, steps: &mut Steps<'_>) {
        for who in 0..self.shape.operators {
            match s.operators[who].mood {
                Mood::Works => {
                    self.works(s, who, steps);
                    self.dies(s, who, steps);
                }
                Mood::Waits => self.dies(s, who, steps),
                Mood::Dead => self.returns(s, who, steps),
                Mood::Gone | Mood::Stopped | Mood::Done => {}
            }
        }
        for n in 0..s.transfers.len() {
            self.transfer_moves(s, n, steps);
        }
    }

    fn works(&self, s: &WorldState, who: usize, steps: &mut Steps<'_>) {
        let at = usize::from(s.operators[who].at);
        match &self.scripts[who][at] {
            None => {}
            Some(ScriptStep::Command { at: node, refusal, .. }) => {
                let number = self.command_number(who, at);
                if !s.runs(*node) {
                    return;
                }
                let outcome =
                    self.contents.step(*node, s.nodes[*node].state, s.key_mask(*node), In::Command(number));
                let mut next = s.clone();
                match (&outcome.refused, refusal) {
                    (Some(_), Refusal::Waits) => return,
                    (Some(_), Refusal::Stops) => next.operators[who].ends(Mood::Stopped),
                    (Some(_), Refusal::Tolerated) | (None, _) => self.goes_to(&mut next, who, at + 1),
                }
                self.apply(
                    s,
                    next,
                    *node,
                    outcome,
                    (Move::Command { operator: who as u8 }, StepKind::Fair),
                    steps,
                );
            }
            Some(ScriptStep::Move { from, to, slot, replace }) => {
                let (from, to) = (*from, *to);
                if !s.runs(from) {
                    return;
                }
                let in_slot = |k: &usize| self.scenario.keys[*k].slot == *slot;
                let keys: Vec<usize> = (0..self.shape.keys)
                    .filter(in_slot)
                    .filter(|&k| s.keys[k].memory[from] != Label::None)
                    .collect();
                let what = |key: usize| Move::Migrate { operator: who as u8, key: key as u8 };
                let mut next = s.clone();
                if keys.is_empty() {
                    self.goes_to(&mut next, who, at + 1);
                    steps.add(what(255), StepKind::Fair, &mut next);
                    return;
                }
                for key in keys {
                    let kind = RequestKind { write: true, migrate: true, ..RequestKind::default() };
                    let mut next = s.clone();
                    if self.route(s, from, key, kind) != Route::Serve {
                        next.operators[who].ends(Mood::Stopped);
                        steps.add(what(key), StepKind::Fair, &mut next);
                    } else if matches!(s.nodes[to].life, Life::Up | Life::Paused)
                        && self.open_both(s, from, to)
                    {
                        let label = s.keys[key].memory[from];
                        let (operator, stage) = (Some(who as u8), Stage::Sent);
                        let cell = TransferCell {
                            from: from as u8,
                            to: to as u8,
                            key: key as u8,
                            label,
                            replace: *replace,
                            operator,
                            retried: false,
                            stage,
                        };
                        next.transfers.push(cell);
                        next.operators[who].mood = Mood::Waits;
                        self.settle(s, next, &[from], &[], (what(key), StepKind::Fair), steps);
                    }
                }
            }
        }
    }

    /// His next step, or his end if none is there.
    pub(super) fn goes_to(&self, s: &mut WorldState, who: usize, at: usize) {
        let operator = &mut s.operators[who];
        if self.scripts[who][at].is_none() {
            return operator.ends(Mood::Done);
        }
        operator.at = at as u8;
        operator.mood = Mood::Works;
    }

    /// Whether some operator may still tell a node to forget this one.
    pub(super) fn still_forgets(&self, s: &WorldState, id: &NodeId) -> bool {
        let forgets = |step: &Option<ScriptStep>| matches!(step, Some(ScriptStep::Command { command: Command::Forget(Ok(node)), .. }) if node == id);
        (0..self.shape.operators).any(|who| {
            let (operator, script) = (s.operators[who], &self.scripts[who]);
            match operator.mood {
                Mood::Works | Mood::Waits => {
                    script[usize::from(operator.at)..].iter().take_while(|step| step.is_some()).any(forgets)
                }
                Mood::Dead => script.iter().any(forgets),
                Mood::Gone | Mood::Stopped | Mood::Done => false,
            }
        })
    }

    fn dies(&self, s: &WorldState, who: usize, steps: &mut Steps<'_>) {
        let operator = &s.operators[who];
        if operator.deaths == 0 {
            return;
        }
        for returns in [true, false] {
            let mut next = s.clone();
            if returns {
                next.operators[who].deaths -= 1;
                next.operators[who].mood = Mood::Dead;
            } else {
                next.operators[who].ends(Mood::Gone);
            }
            next.transfers
                .iter_mut()
                .filter(|t| t.operator == Some(who as u8))
                .for_each(|t| t.operator = None);
            steps.add(Move::OperatorDies { operator: who as u8, returns }, StepKind::Fault, &mut next);
        }
    }

    fn returns(&self, s: &WorldState, who: usize, steps: &mut Steps<'_>) {
        let spec = &self.scenario.operators[who];
        let here = spec.goes_on.then_some(s.operators[who].at);
        for at in here.into_iter().chain(self.resumes[who].iter().copied()) {
            let mut next = s.clone();
            self.goes_to(&mut next, who, at.into());
            steps.add(Move::OperatorReturns { operator: who as u8, at }, StepKind::Fair, &mut next);
        }
    }

    fn transfer_moves(&self, s: &WorldState, n: usize, steps: &mut Steps<'_>) {
        let t = s.transfers[n];
        let (from, to, key) = (usize::from(t.from), usize::from(t.to), usize::from(t.key));
        let what = n as u8;
        match t.stage {
            Stage::Sent | Stage::Astray => {
                if s.runs(to) && self.open_both(s, from, to) {
                    let mut next = s.clone();
                    let taken = self.restore(&mut next, to, key, t);
                    if t.stage == Stage::Astray {
                        next.transfers.remove(n);
                        steps.add(Move::Restore { transfer: what }, StepKind::Neither, &mut next);
                    } else {
                        next.transfers[n].stage = if taken { Stage::Taken } else { Stage::Refused };
                        steps.add(Move::Restore { transfer: what }, StepKind::Fair, &mut next);
                    }
                }
            }
            Stage::Taken | Stage::Refused => {
                let refused = if t.stage == Stage::Refused { Err("refused") } else { Ok(()) };
                let mut transfer = Transfer::new(1, false, false).with_fault(self.scenario.fault);
                transfer.requests(false);
                let mut next = s.clone();
                if let AfterReply::Delete(_) = transfer.on_reply(refused) {
                    self.put(&mut next, from, key, Label::None);
                }
                let answer = transfer.finish();
                next.transfers.remove(n);
                if let Some(who) = t.operator {
                    let operator = &mut next.operators[usize::from(who)];
                    match answer {
                        Ok(_) => operator.mood = Mood::Works,
                        Err(_) => operator.ends(Mood::Stopped),
                    }
                }
                self.settle(s, next, &[], &[], (Move::Answer { transfer: what }, StepKind::Fair), steps);
            }
        }
        if t.stage != Stage::Astray {
            self.breaks_off(s, n, true, steps);
            self.breaks_off(s, n, false, steps);
        }
    }

    /// The time of the attempt is up, or its connection broke. The request may still be executed later. The source tries once more on a fresh
    /// connection, or it is unblocked and its key stays.
    fn breaks_off(&self, s: &WorldState, n: usize, timed_out: bool, steps: &mut Steps<'_>) {
        let t = s.transfers[n];
        let (from, to) = (usize::from(t.from), usize::from(t.to));
        // Of a target that is away nothing but the end of the time is heard; that its host refuses a connection comes to the same.
        let away = s.nodes[to].life != Life::Up || !self.open_both(s, from, to);
        if !away {
            for next in self.spend_on_link(s, FaultKind::LostReply, from, to) {
                self.gives_up(s, next, n, timed_out, StepKind::Fault, steps);
            }
        } else if timed_out {
            self.gives_up(s, s.clone(), n, timed_out, StepKind::Fair, steps);
        }
    }

    /// What the source of a transfer does then.
    fn gives_up(
        &self,
        s: &WorldState,
        mut next: WorldState,
        n: usize,
        timed_out: bool,
        kind: StepKind,
        steps: &mut Steps<'_>,
    ) {
        let t = s.transfers[n];
        let to = usize::from(t.to);
        let what = Move::BreaksOff { transfer: n as u8, timed_out };
        let gone = matches!(s.nodes[to].life, Life::Down | Life::Dead);
        if t.stage == Stage::Sent && !gone {
            if s.transfers.iter().any(|t| t.stage == Stage::Astray) {
                return steps.cut(what, kind, "requests astray");
            }
            next.transfers.push(TransferCell { stage: Stage::Astray, operator: None, retried: false, ..t });
        }
        let mut transfer = Transfer::new(1, false, false);
        transfer.requests(false);
        if t.retried {
            transfer.on_failure(Failure::Read { timed_out: false });
            transfer.requests(false);
        }
        match transfer.on_failure(Failure::Read { timed_out }) {
            AfterFailure::Retry => {
                next.transfers[n] = TransferCell { stage: Stage::Sent, retried: true, ..t };
                steps.add(what, kind, &mut next);
            }
            AfterFailure::GiveUp(_) => {
                if let Some(who) = t.operator {
                    next.operators[usize::from(who)].mood = Mood::Works;
                }
                next.transfers.remove(n);
                self.settle(s, next, &[], &[], (what, kind), steps);
            }
        }
    }

    /// RESTORE-ASKING at the target; whether it took the key.
    fn restore(&self, next: &mut WorldState, to: usize, key: usize, t: TransferCell) -> bool {
        let kind = RequestKind { write: true, asking: true, ..RequestKind::default() };
        let served = self.route(next, to, key, kind) == Route::Serve;
        let busy = next.keys[key].memory[to] != Label::None && !t.replace;
        if served && !busy {
            // Over a newer value an older one may come: the last one is then nowhere.
            self.put(next, to, key, t.label);
        }
        served && !busy
    }

    pub(super) fn command_number(&self, who: usize, at: usize) -> u16 {
        let before: usize = self.scripts[..who].iter().map(Vec::len).sum();
        (before + at) as u16
    }
}
