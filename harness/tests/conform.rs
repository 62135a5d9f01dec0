//! What conformance finds, and where: an altered effect, a dropped input, other rules, a shell that skips an fsync, a damaged byte.

use std::path::{Path, PathBuf};

use slotproof::conform::{Difference, conform};
use slotproof_model::{
    Address, Command, Config, Dice, Effect, Effects, Input, NoKeys, NodeId, NodeState, Timer, wire,
};
use slotproof_node::trace::{Answer, Event, TraceWriter, frame_hash};

/// What is done to a run on its way into the trace.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    AlteredEffect,
    DroppedInput,
    OtherRules,
    SkippedFsync,
}

/// A node alone: it starts, takes slots and a new epoch.
fn inputs(config: &Config) -> Vec<Input> {
    let command = |line: &str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        Input::Command { command: Command::parse(&words, &config.rules).unwrap(), dice: Dice::Roll(1) }
    };
    let peer = NodeId::from_seed(2);
    let me = NodeId::from_seed(1);
    vec![
        Input::Start,
        Input::Timer(Timer::StartupDelay),
        command("ADDSLOTSRANGE 0 99"),
        command("BUMPEPOCH"),
        command(&format!("SETSLOT 5 IMPORTING {me}")),
        command(&format!("FORGET {peer}")),
        command("SETSLOT 200 STABLE"),
    ]
}

fn record(path: &Path, wrong: Wrong) {
    let config = Config { announce: Address { port: 7000, ..Address::default() }, ..Config::default() };
    let mut state = NodeState::new(NodeId::from_seed(1), &config);
    let mut told = config.clone();
    told.rules.size_starts_at_one = true;
    told.rules.setslot_fsyncs = wrong == Wrong::OtherRules;
    let mut trace = TraceWriter::create(path.to_str().unwrap(), 0, 1000, &told, &state).unwrap();
    for (n, input) in inputs(&config).into_iter().enumerate() {
        let mut out = Effects::new();
        state.step(&config, input.clone(), &NoKeys, &mut out);
        let digest = state.digest();
        if wrong == Wrong::DroppedInput && n == 2 {
            continue;
        }
        let mut effects = out.0.clone();
        if wrong == Wrong::AlteredEffect && n == 3 {
            effects.push(Effect::FlushAll);
        }
        let answers = if input == Input::Start { vec![Answer::Total(0)] } else { Vec::new() };
        trace.step(input, answers, &effects, digest).unwrap();
        for effect in &out.0 {
            match effect {
                Effect::Persist { fsync } => {
                    trace.write(Event::Written).unwrap();
                    if *fsync && !(wrong == Wrong::SkippedFsync && n == 3) {
                        trace.write(Event::Synced).unwrap();
                    }
                }
                Effect::Send { message, .. } => {
                    let frame = frame_hash(&wire::encode(message));
                    trace.write(Event::Sent { link: 1, frame, stamps: Vec::new() }).unwrap();
                }
                _ => {}
            }
        }
    }
    trace.write(Event::End).unwrap();
    trace.flush().unwrap();
}

fn replay(wrong: Wrong, damage: impl Fn(&Path)) -> Result<u64, Box<Difference>> {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("a.trace");
    record(&path, wrong);
    damage(&path);
    conform(&[path]).map(|r| r.steps)
}

#[test]
fn a_run_as_it_was_conforms() {
    assert_eq!(replay(Wrong::Nothing, |_| {}).unwrap(), 7);
}

#[test]
fn an_altered_effect_is_named_at_its_step() {
    let d = replay(Wrong::AlteredEffect, |_| {}).unwrap_err();
    assert_eq!(d.step, 4, "{d}");
    assert!(d.problem.contains("effect") && d.trace_says.as_deref() == Some("FlushAll"), "{d}");
}

#[test]
fn a_dropped_input_is_noticed_at_the_next_step() {
    let d = replay(Wrong::DroppedInput, |_| {}).unwrap_err();
    assert_eq!(d.step, 3, "{d}");
}

#[test]
fn a_trace_made_under_other_rules_differs_where_they_do() {
    let d = replay(Wrong::OtherRules, |_| {}).unwrap_err();
    assert_eq!(d.step, 7, "SETSLOT asks for fsync by the rules that the trace claims: {d}");
    assert!(d.model.as_deref().is_some_and(|m| m.contains("fsync: true")), "{d}");
}

#[test]
fn a_shell_that_skips_an_fsync_is_named() {
    let d = replay(Wrong::SkippedFsync, |_| {}).unwrap_err();
    assert_eq!(d.step, 4, "{d}");
    assert!(d.problem.contains("fsync"), "{d}");
}

#[test]
fn a_damaged_byte_is_named_at_its_record() {
    let flip = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        let at = bytes.len() - 3;
        bytes[at] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    let d = replay(Wrong::Nothing, flip).unwrap_err();
    assert!(d.problem.contains("damaged"), "{d}");
    assert!(d.record > 7, "{d}");
}
