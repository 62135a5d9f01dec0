//! Which rules a run exercised, and which it did not.

use std::collections::BTreeMap;

use slotproof_model::{Body, Command, Effect, Effects, Heartbeat, Input, NodeState, SetSlot, Timer};

/// The rules that a run can be seen to exercise.
pub const RULES: [&str; 38] = [
    "handshake: a MEET was sent",
    "handshake: a stranger's MEET was taken in",
    "handshake: completed",
    "handshake: ran out of time",
    "heartbeat: PING",
    "heartbeat: PONG",
    "gossip: a node was learned",
    "gossip: a pong time was adopted",
    "failure: PFAIL set",
    "failure: PFAIL cleared",
    "failure: report noted",
    "failure: report ran out",
    "failure: FAIL by own count",
    "failure: FAIL by message",
    "failure: FAIL undone",
    "ownership: a slot was rebound by a claim",
    "ownership: a slot is no longer claimed",
    "ownership: an UPDATE was sent",
    "ownership: an UPDATE was received",
    "ownership: keys deleted with a lost slot",
    "ownership: followed the new owner of the last slot",
    "ownership: a source was outbid",
    "epochs: own epoch raised",
    "epochs: another's epoch learned",
    "state: ok",
    "state: fail",
    "state: rejoin delay",
    "command: MEET",
    "command: ADDSLOTS",
    "command: DELSLOTS",
    "command: SETSLOT MIGRATING",
    "command: SETSLOT IMPORTING",
    "command: SETSLOT STABLE",
    "command: SETSLOT NODE",
    "command: FORGET",
    "command: SET-CONFIG-EPOCH",
    "command: BUMPEPOCH",
    "command: RESET",
];

/// How often each rule was exercised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(pub BTreeMap<&'static str, u64>);

impl Coverage {
    /// Once more.
    pub fn note(&mut self, rule: &'static str) {
        *self.0.entry(rule).or_default() += 1;
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (rule, n) in &other.0 {
            *self.0.entry(rule).or_default() += n;
        }
    }

    /// The rules that were not exercised.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> + '_ {
        RULES.into_iter().filter(|r| !self.0.contains_key(r))
    }

    /// What a step exercised.
    pub fn step(&mut self, input: &Input, out: &Effects, before: &NodeState, after: &NodeState, moved: bool) {
        for effect in &out.0 {
            match effect {
                Effect::Send { message, .. } => match &message.body {
                    Body::Heartbeat { kind: Heartbeat::Meet, .. } => self.note("handshake: a MEET was sent"),
                    Body::Heartbeat { kind: Heartbeat::Ping, .. } => self.note("heartbeat: PING"),
                    Body::Heartbeat { kind: Heartbeat::Pong, .. } => self.note("heartbeat: PONG"),
                    Body::Update { .. } => self.note("ownership: an UPDATE was sent"),
                    _ => {}
                },
                Effect::Rename { .. } => self.note("handshake: completed"),
                Effect::Stamp { stamp: slotproof_model::Stamp::PongAdopted(_), .. } => {
                    self.note("gossip: a pong time was adopted")
                }
                Effect::DropKeys(_) => self.note("ownership: keys deleted with a lost slot"),
                Effect::Replicate(Some(_)) => self.note("ownership: followed the new owner of the last slot"),
                Effect::StateChanged { ok: true } => self.note("state: ok"),
                Effect::StateChanged { ok: false } => self.note("state: fail"),
                Effect::Arm { timer: Timer::ReportExpires { .. }, .. } => self.note("failure: report noted"),
                _ => {}
            }
        }
        match input {
            Input::Command { command, .. } => self.command(command),
            Input::Timer(Timer::ReportExpires { .. }) => self.note("failure: report ran out"),
            Input::Timer(Timer::RejoinDelay) => self.note("state: rejoin delay"),
            Input::Timer(Timer::HandshakeExpires(_)) => self.note("handshake: ran out of time"),
            Input::Receive { message, .. } if matches!(message.body, Body::Update { .. }) => {
                self.note("ownership: an UPDATE was received");
            }
            _ => {}
        }
        if moved {
            self.changes(input, before, after);
        }
    }

    fn changes(&mut self, input: &Input, before: &NodeState, after: &NodeState) {
        let told_fail =
            matches!(input, Input::Receive { message, .. } if matches!(message.body, Body::Fail(_)));
        let received = matches!(input, Input::Receive { .. });
        let meet = matches!(input, Input::Receive { message, .. } if message.is_heartbeat(Heartbeat::Meet));
        for now in after.peers() {
            let Some(old) = before.peer(&now.id) else {
                match (now.in_handshake(), meet) {
                    (true, true) => self.note("handshake: a stranger's MEET was taken in"),
                    (false, _) if received => self.note("gossip: a node was learned"),
                    _ => {}
                }
                continue;
            };
            match (old.is_fail(), now.is_fail()) {
                (false, true) if told_fail => self.note("failure: FAIL by message"),
                (false, true) => self.note("failure: FAIL by own count"),
                (true, false) => self.note("failure: FAIL undone"),
                _ => {}
            }
            match (old.is_pfail(), now.is_pfail()) {
                (false, true) => self.note("failure: PFAIL set"),
                (true, false) if !now.is_fail() => self.note("failure: PFAIL cleared"),
                _ => {}
            }
            if now.config_epoch > old.config_epoch {
                let own = now.id == after.me();
                self.note(if own { "epochs: own epoch raised" } else { "epochs: another's epoch learned" });
            }
            if received && now.slots != old.slots {
                self.note("ownership: a slot was rebound by a claim");
            }
        }
        let own = |s: &NodeState| s.peer(&s.me()).map(|p| p.config_epoch);
        let kept = |slot| after.owner(slot).is_some_and(|p| p.id == after.me());
        let rose = received && own(after) > own(before);
        if rose && before.settling().keys().any(|s| !after.settling().contains_key(s) && kept(*s)) {
            self.note("ownership: a source was outbid");
        }
        if after.not_claiming() != before.not_claiming() {
            self.note("ownership: a slot is no longer claimed");
        }
    }

    fn command(&mut self, command: &Command) {
        let rule = match command {
            Command::Meet { .. } => "command: MEET",
            Command::AddSlots(_) => "command: ADDSLOTS",
            Command::DelSlots(_) => "command: DELSLOTS",
            Command::SetSlot { action: SetSlot::Migrating(_), .. } => "command: SETSLOT MIGRATING",
            Command::SetSlot { action: SetSlot::Importing(_), .. } => "command: SETSLOT IMPORTING",
            Command::SetSlot { action: SetSlot::Stable, .. } => "command: SETSLOT STABLE",
            Command::SetSlot { action: SetSlot::Node(_), .. } => "command: SETSLOT NODE",
            Command::Forget(_) => "command: FORGET",
            Command::SetConfigEpoch(_) => "command: SET-CONFIG-EPOCH",
            Command::BumpEpoch => "command: BUMPEPOCH",
            Command::Reset { .. } => "command: RESET",
            _ => return,
        };
        self.note(rule);
    }
}
