//! Steps and states as people read them.

use std::fmt::Write;

use super::state::{Label, Life, Mood, Op, What, WorldState};
use super::{Move, World};
use crate::check::scenario::ScriptStep;
use crate::input::Timer;
use crate::message::{Body, Heartbeat};
use crate::route::{RequestKind, Route};
use crate::slot::Slot;
use crate::state::{NodeState, Rejoin};

fn verb(op: Op) -> &'static str {
    match op {
        Op::Write => "SET",
        Op::Delete => "DEL",
    }
}

impl World {
    fn name(&self, node: u8) -> &str {
        self.scenario.nodes.get(usize::from(node)).map_or("?", |n| &n.name)
    }

    fn named(&self, id: &crate::NodeId) -> String {
        match (0..self.shape.nodes).find(|&i| super::node_id(i) == *id) {
            Some(i) => self.scenario.nodes[i].name.clone(),
            None => format!("placeholder {}", id.as_str().trim_start_matches('h').trim_start_matches('0')),
        }
    }

    fn key(&self, key: u8) -> &str {
        self.scenario.keys.get(usize::from(key)).map_or("no key left", |k| &k.name)
    }

    /// A step, told in the state in which it is taken.
    pub(super) fn tell(&self, s: &WorldState, what: Move) -> String {
        let n = |node: u8| self.name(node);
        let about = |header: u32, pick: u8| {
            let content = self.contents.headers.get(header);
            let picked = content.picks.iter().enumerate().filter(|(n, _)| self.contents.is_picked(pick, *n));
            let names: Vec<String> = picked.map(|(_, e)| self.named(&e.node).to_string()).collect();
            if names.is_empty() {
                String::new()
            } else {
                format!(", with gossip about {}", names.join(" and "))
            }
        };
        let undo = |expired: bool| if expired { "" } else { " (too soon to undo FAIL)" };
        let word = |reply: bool| if reply { "PONG" } else { "PING" };
        match what {
            Move::Heartbeat { from, to, reply, pick, expired } => {
                let header = self.contents.facts(s.nodes[usize::from(from)].state).header;
                let kind = word(reply);
                format!("{} hears a {kind} of {}{}{}", n(to), n(from), about(header, pick), undo(expired))
            }
            Move::Parked { link, stays, pick, expired } => {
                let header = match s.first(link).map(|i| i.what) {
                    Some(What::Parked(h)) => h,
                    _ => return "?".into(),
                };
                let (from, to) = self.ends(link);
                let kind = word(super::links::is_reply(link));
                let stays = if stays { "; one like it follows" } else { "" };
                format!("{to} hears an old {kind} of {from}{}{}{stays}", about(header, pick), undo(expired))
            }
            Move::Message { link, stays } => {
                let (from, to) = self.ends(link);
                let what = s.first(link).map_or("?".into(), |i| self.tell_item(i.what));
                let stays = if stays { "; one like it follows" } else { "" };
                format!("{to} receives {what} of {from}{stays}")
            }
            Move::SendHeader { link } => {
                let (from, to) = self.ends(link);
                format!("{from} sends its header to {to}")
            }
            Move::Lose { link, keep } => {
                let (from, to) = self.ends(link);
                format!("what {from} sent to {to} is lost but for {keep}")
            }
            Move::LinkUp { node, placeholder } => {
                let facts = self.contents.facts(s.nodes[usize::from(node)].state);
                let to = facts.handshakes.iter().find(|(p, _)| *p == placeholder).map_or(255, |(_, to)| *to);
                format!("{} connects to the address of {}", n(node), n(to))
            }
            Move::Timer { node, timer } => {
                let timers = &self.contents.facts(s.nodes[usize::from(node)].state).timers;
                format!("at {}, {}", n(node), self.tell_timer(timers[usize::from(timer)]))
            }
            Move::Pfail { node, peer } => format!("{} marks {} PFAIL", n(node), n(peer)),
            Move::BeforeSleep { node } => format!("{} does what it put off", n(node)),
            Move::Command { operator } => self.tell_command(s, operator),
            Move::Migrate { operator, key: 255 } => {
                format!("{}: no key is left to move", self.operator(operator))
            }
            Move::Migrate { operator, key } => {
                let to = match self.script_step(s, operator) {
                    Some(ScriptStep::Move { from, to, .. }) => {
                        format!(
                            "{} sends {} to {}",
                            self.scenario.nodes[*from].name,
                            self.key(key),
                            self.scenario.nodes[*to].name
                        )
                    }
                    _ => "?".into(),
                };
                format!("{}: MIGRATE, {to}", self.operator(operator))
            }
            Move::Restore { transfer } => {
                let t = s.transfers[usize::from(transfer)];
                format!("{} executes RESTORE-ASKING of {}", n(t.to), self.key(t.key))
            }
            Move::Answer { transfer } => {
                let t = s.transfers[usize::from(transfer)];
                format!("{} hears the answer about {}", n(t.from), self.key(t.key))
            }
            Move::BreaksOff { transfer, timed_out } => {
                let t = s.transfers[usize::from(transfer)];
                let why = if timed_out { "hears no answer in time" } else { "loses its connection" };
                let again = if timed_out || t.retried { "" } else { ", and tries again on a fresh one" };
                format!("MIGRATE of {} at {} {why}{again}", self.key(t.key), n(t.from))
            }
            Move::OperatorDies { operator, returns: true } => format!("{} dies", self.operator(operator)),
            Move::OperatorDies { operator, .. } => {
                format!("{} dies, and never comes back", self.operator(operator))
            }
            Move::OperatorReturns { operator, at } => {
                let same = s.operators[usize::from(operator)].at == at;
                let how =
                    if same { "goes on where he was".to_string() } else { format!("begins at step {at}") };
                format!("{} comes back and {how}", self.operator(operator))
            }
            Move::Client { client, op: Some(op), key, node } => {
                format!("{}: {} {} at {}", self.client(client), verb(op), self.key(key), n(node))
            }
            Move::Client { client, op: None, key, node } => {
                let request = RequestKind { write: true, ..RequestKind::default() };
                let to = self.told_to_ask(s, node, key, request);
                format!("{} wants to change {} at {} -> {to}", self.client(client), self.key(key), n(node))
            }
            Move::Asks { client, op } => {
                let Some(ask) = s.asks[usize::from(client)] else { return "?".into() };
                let (who, word) = (self.client(client), if ask.moved { "MOVED" } else { "ASK" });
                match op {
                    Some(op) => format!(
                        "{who} follows its {word} to {}: {} {}",
                        n(ask.to),
                        verb(op),
                        self.key(ask.key)
                    ),
                    None => format!("{who} does not get through with its {word} at {}", n(ask.to)),
                }
            }
            Move::AskedOn { client } => {
                let Some(ask) = s.asks[usize::from(client)] else { return "?".into() };
                let request = RequestKind { write: true, asking: !ask.moved, ..RequestKind::default() };
                let (who, word) = (self.client(client), if ask.moved { "MOVED" } else { "ASK" });
                let to = self.told_to_ask(s, ask.to, ask.key, request);
                format!("{who} follows its {word} to {}, and is sent on -> {to}", n(ask.to))
            }
            Move::Crash { node, power, for_good } => {
                let how = if power { " (power)" } else { "" };
                let end = if for_good { ", for good" } else { "" };
                format!("{} crashes{how}{end}", n(node))
            }
            Move::Restart { node } => format!("{} starts from its nodes.conf", n(node)),
            Move::WriteBack { node } => format!("what {} wrote becomes durable", n(node)),
            Move::Pause { node } => format!("{} is paused", n(node)),
            Move::Resume { node } => format!("{} resumes", n(node)),
            Move::Cut { node, out } => {
                format!(
                    "{} {} hold{} up",
                    if out { "what" } else { "what is sent to" },
                    n(node),
                    if out { " sends is" } else { " is" }
                )
            }
            Move::Heal { node, out } => {
                format!(
                    "{} {} is heard again",
                    if out { "what" } else { "what is sent to" },
                    if out { format!("{} sends", n(node)) } else { n(node).to_string() }
                )
            }
            Move::CutLink { from, to } => format!("what {} sends to {} is held up", n(from), n(to)),
            Move::HealLink { from, to } => format!("what {} sends to {} is heard again", n(from), n(to)),
            Move::Reset { from, to } => format!("the connection from {} to {} breaks", n(from), n(to)),
            Move::Fail { node, subject, stays } => {
                let stays = if stays { "; one like it follows" } else { "" };
                format!("{} receives a FAIL about {}{stays}", n(node), n(subject))
            }
            Move::LoseFail { node, subject } => {
                format!("the FAILs about {} to {} are lost", n(subject), n(node))
            }
            Move::LosePing { from, to } => {
                format!("the PING of {} to {} is lost, or its PONG", n(from), n(to))
            }
            Move::Redial { from, to } => {
                format!(
                    "{} drops its connection to {}, whose PONG never came, and opens it anew",
                    n(from),
                    n(to)
                )
            }
            Move::WrongName { node, peer, there } => {
                format!("{} hears a PONG of {} where it looks for {}", n(node), n(there), n(peer))
            }
            Move::Resync { node } => format!("{} takes over its master's data", n(node)),
        }
    }

    /// A client; by number where not all are alike.
    fn client(&self, client: u8) -> String {
        let alike = self.clients.windows(2).all(|two| two[0] == two[1]);
        if alike { "a client".into() } else { format!("client {}", client + 1) }
    }

    /// Where a node sends a client.
    fn told_to_ask(&self, s: &WorldState, node: u8, key: u8, request: RequestKind) -> String {
        match self.route(s, node.into(), key.into(), request) {
            Route::Ask(_, to) => format!("ASK {}", self.named(&to)),
            Route::Moved(_, to) => format!("MOVED {}", self.named(&to)),
            _ => "?".into(),
        }
    }

    fn operator(&self, operator: u8) -> String {
        if self.shape.operators == 1 { "operator".into() } else { format!("operator {}", operator + 1) }
    }

    fn script_step(&self, s: &WorldState, operator: u8) -> Option<&ScriptStep> {
        let who = usize::from(operator);
        self.scripts[who].get(usize::from(s.operators[who].at))?.as_ref()
    }

    fn tell_command(&self, s: &WorldState, operator: u8) -> String {
        let Some(ScriptStep::Command { at, text, .. }) = self.script_step(s, operator) else {
            return "?".into();
        };
        let refused = self
            .acted(s, s, Move::Command { operator })
            .and_then(|acted| self.outcome(acted).refused.clone())
            .map_or(String::new(), |why| format!(" -> refused: {why}"));
        format!("{} at {}: CLUSTER {text}{refused}", self.operator(operator), self.scenario.nodes[*at].name)
    }

    fn tell_item(&self, what: What) -> String {
        let message = |id: u32| match &self.contents.shots.get(id).body {
            Body::Fail(id) => format!("FAIL about {}", self.named(id)),
            Body::Update { node, config_epoch, slots } => {
                format!("UPDATE about {} (epoch {config_epoch}, slots {slots:?})", self.named(node))
            }
            Body::Heartbeat { kind: Heartbeat::Meet, .. } => "MEET".into(),
            Body::Heartbeat { kind: Heartbeat::Ping, .. } => "the first PING".into(),
            Body::Heartbeat { kind: Heartbeat::Pong, .. } => "the first PONG".into(),
            other => format!("{other:?}"),
        };
        match what {
            What::Parked(id) => {
                let h = self.contents.headers.get(id);
                format!("header (epoch {}, slots {:?})", h.header.config_epoch, h.header.slots)
            }
            What::Shot(id) | What::Ask(id, _) | What::Answer(id, _) => message(id),
        }
    }

    fn tell_timer(&self, timer: Timer) -> String {
        match timer {
            Timer::PongOverdue(id) => format!("the PONG of {} is overdue", self.named(&id)),
            Timer::HandshakeExpires(id) => format!("the handshake of {} runs out", self.named(&id)),
            Timer::ReportExpires { subject, reporter } => {
                format!("the report of {} about {} runs out", self.named(&reporter), self.named(&subject))
            }
            Timer::BlacklistExpires(id) => format!("{} may be learned again", self.named(&id)),
            Timer::StartupDelay => "the first two seconds are over".into(),
            Timer::RejoinDelay => "the delay after the minority is over".into(),
        }
    }

    /// One line a node, key, message and operator.
    pub(super) fn describe(&self, s: &WorldState) -> String {
        let mut text = String::new();
        for (i, spec) in self.scenario.nodes.iter().enumerate() {
            let facts = self.contents.facts(s.nodes[i].state);
            let life = match s.nodes[i].life {
                Life::Up => "",
                Life::Paused => " PAUSED",
                Life::Down => " DOWN",
                Life::Dead => " DEAD",
            };
            let blocked = if s.blocked(i) { " BLOCKED" } else { "" };
            let _ = writeln!(text, "{}{life}{blocked}: {}", spec.name, self.describe_node(&facts.state));
        }
        for (k, spec) in self.scenario.keys.iter().enumerate() {
            let cell = &s.keys[k];
            let told = if cell.written { "written" } else { "not there" };
            let _ = write!(text, "{} (slot {}, {told} for clients):", spec.name, spec.slot);
            for (i, label) in cell.memory[..self.shape.nodes].iter().enumerate() {
                if *label != Label::None {
                    let _ = write!(text, " {label:?} at {}", self.scenario.nodes[i].name);
                }
            }
            text.push('\n');
        }
        for (i, subjects) in s.fails[..self.shape.nodes].iter().enumerate() {
            for subject in (0..self.shape.nodes as u8).filter(|n| subjects >> n & 1 == 1) {
                let _ =
                    writeln!(text, "on its way to {}: FAIL about {}", self.name(i as u8), self.name(subject));
            }
        }
        for item in &s.messages {
            let (from, to) = self.ends(item.link);
            let link = if super::links::is_reply(item.link) { "reply link" } else { "link" };
            let _ = writeln!(text, "on the {link} from {from} to {to}: {}", self.tell_item(item.what));
        }
        for (i, t) in s.transfers.iter().enumerate() {
            let _ = writeln!(
                text,
                "transfer {i}: {} from {} to {}, {:?}",
                self.key(t.key),
                self.name(t.from),
                self.name(t.to),
                t.stage
            );
        }
        for (i, op) in s.operators[..self.shape.operators].iter().enumerate() {
            let mood = match op.mood {
                Mood::Works => format!("at step {}", op.at),
                Mood::Waits => "waits for MIGRATE".to_string(),
                Mood::Dead => format!("dead at step {}", op.at),
                Mood::Gone => "gone for good".to_string(),
                Mood::Stopped => "stopped by a refusal".to_string(),
                Mood::Done => "done".to_string(),
            };
            let _ = writeln!(text, "{}: {mood}", self.operator(i as u8));
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn describe_node(&self, state: &NodeState) -> String {
        let mut text = format!(
            "current epoch {}, {}",
            state.current_epoch(),
            if state.state_ok() { "ok" } else { "fail" }
        );
        for p in state.peers() {
            let who = if p.id == state.me() { "self".to_string() } else { self.named(&p.id) };
            let role = match p.master {
                Some(m) if p.is_replica() => format!(" replica of {}", self.named(&m)),
                _ => String::new(),
            };
            let down = if p.is_fail() {
                " FAIL"
            } else if p.is_pfail() {
                " PFAIL"
            } else {
                ""
            };
            let _ = write!(text, "; {who}{role} epoch {} {:?}{down}", p.config_epoch, p.slots);
            if !p.reports.is_empty() {
                let by: Vec<String> = p.reports.iter().map(|r| self.named(&r.reporter)).collect();
                let _ = write!(text, " reported by {}", by.join(","));
            }
        }
        let arrows = |map: &std::collections::BTreeMap<Slot, crate::NodeId>, arrow: &str| {
            map.iter().map(|(s, n)| format!("; [{s}{arrow}{}]", self.named(n))).collect::<String>()
        };
        text.push_str(&arrows(state.migrating(), "->"));
        text.push_str(&arrows(state.importing(), "<-"));
        text.push_str(&arrows(state.settling(), " from "));
        if !state.not_claiming().is_empty() {
            let _ = write!(text, "; not claimed {:?}", state.not_claiming());
        }
        if state.rejoin != Rejoin::No {
            let _ = write!(text, "; {:?}", state.rejoin);
        }
        text
    }
}
