//! From a scenario to its initial worlds.

use super::contents::Contents;
use super::state::{Budgets, Cell, Label, Life, OperatorCell, Shape, WorldState};
use super::symmetry::Alike;
use super::{World, node_id};
use crate::address::{Address, Flags};
use crate::check::scenario::{Initially, NodeSpec, Scenario, ScenarioError, ScriptStep, address_of};
use crate::config::{Config, NoKeys};
use crate::effect::Effects;
use crate::id::Epoch;
use crate::input::Input;
use crate::slot::{Slot, SlotSet};
use crate::state::{NodeState, Saved, SavedNode};

pub(super) fn build(scenario: Scenario, identity: u64) -> Result<World, ScenarioError> {
    let configs = (0..scenario.nodes.len()).map(|i| config(&scenario, i)).collect::<Result<Vec<_>, _>>()?;
    let mut contents = Contents::new(&scenario, configs);
    let mut scripts = Vec::new();
    let mut resumes = Vec::new();
    for spec in &scenario.operators {
        let mut steps: Vec<Option<ScriptStep>> =
            scenario.script(&spec.script)?.into_iter().map(Some).collect();
        steps.push(None);
        let mut entries = Vec::new();
        for lines in &spec.resume {
            entries.push(steps.len() as u8);
            steps.extend(scenario.script(lines)?.into_iter().map(Some));
            steps.push(None);
        }
        if steps.len() > 255 {
            return Err(ScenarioError("an operator's scripts have at most 250 steps".into()));
        }
        scripts.push(steps);
        resumes.push(entries);
    }
    contents.commands = scripts
        .iter()
        .flatten()
        .map(|step| match step {
            Some(ScriptStep::Command { command, .. }) => command.clone(),
            _ => crate::command::Command::SaveConfig,
        })
        .collect();
    let f = &scenario.faults;
    let disks = f.crashes > 0 || f.power_failures > 0;
    let faults = [
        f.crashes,
        f.power_failures,
        f.deaths,
        f.pauses,
        f.cuts_out,
        f.cuts_in,
        f.resets,
        f.early_pfail,
        f.lost_replies,
        f.handshake_timeouts,
        f.lost_pings,
    ];
    let shape = Shape {
        nodes: scenario.nodes.len(),
        keys: scenario.keys.len(),
        clients: scenario.clients,
        operators: scenario.operators.len(),
        disks,
        pings: f.lost_pings > 0,
        faults: faults.iter().any(|&n| n > 0) || scenario.nodes.iter().any(|n| n.down),
    };
    let fallible = if f.nodes.is_empty() {
        u8::MAX
    } else {
        let positions = f.nodes.iter().map(|n| scenario.position(n)).collect::<Result<Vec<_>, _>>()?;
        positions.iter().fold(0, |m, p| m | 1 << p)
    };
    if !scenario.options.idle_reports {
        contents.suspectable = suspectable(&scenario, fallible);
    }
    let forgotten =
        scenario.forgotten.iter().map(|n| scenario.position(n).map(node_id)).collect::<Result<_, _>>()?;
    let initial_worlds = Vec::new();
    let alike = Alike::new(&scenario)?;
    let mut world = World {
        scenario,
        contents,
        scripts,
        resumes,
        shape,
        alike,
        fallible,
        forgotten,
        initial: initial_worlds,
        identity,
    };
    world.initial = initial(&world, Budgets(faults))?;
    if let Some(alike) = &world.alike
        && !world.initial.iter().all(|s| alike.keeps(&world.contents, s, world.fallible))
    {
        return Err(ScenarioError("`alike`: these nodes are not alike".into()));
    }
    Ok(world)
}

/// For each node those that it may ever mark PFAIL: who may be away or cut off, all others if that may happen to itself, and everybody where healthy
/// nodes may be suspected, or are in the beginning. FAIL needs a PFAIL of one's own, and only then reports are read.
fn suspectable(scenario: &Scenario, fallible: u8) -> Vec<u8> {
    let anybody = scenario.faults.early_pfail > 0
        || scenario
            .nodes
            .iter()
            .flat_map(|n| &n.believes)
            .any(|b| b.flag.is_some() || b.address_of.is_some());
    let down = (0..).zip(&scenario.nodes).fold(0, |m, (i, n)| m | u8::from(n.down) << i);
    let mask = |i: usize| if anybody || fallible >> i & 1 == 1 { u8::MAX } else { fallible | down };
    (0..scenario.nodes.len()).map(mask).collect()
}

fn config(scenario: &Scenario, i: usize) -> Result<Config, ScenarioError> {
    let (ip, port) = address_of(i);
    Ok(Config {
        rules: scenario.rules_of(scenario.nodes[i].rules.as_deref())?,
        slots: scenario.slots,
        announce: Address { ip: ip.into(), port, pport: 0, cport: port + 10_000 },
        allow_replica_migration: scenario.options.allow_replica_migration,
        require_full_coverage: scenario.options.require_full_coverage,
        split_before_sleep: scenario.options.split_before_sleep,
        fault: scenario.fault,
        ..Config::default()
    })
}

fn initial(world: &World, budgets: Budgets) -> Result<Vec<WorldState>, ScenarioError> {
    let scenario = &world.scenario;
    let mut first = WorldState { budgets, ..WorldState::default() };
    for (i, spec) in scenario.nodes.iter().enumerate() {
        let node = believes(scenario, i, &world.contents.configs[i])?;
        let saved = if world.shape.disks { world.contents.saved.id(node.saved()) } else { 0 };
        let life = if spec.down { Life::Dead } else { Life::Up };
        first.nodes[i] = Cell { state: world.contents.intern(node), saved, synced: saved, life, drowsy: 0 };
    }
    for (i, spec) in scenario.operators.iter().enumerate() {
        first.operators[i] = OperatorCell { deaths: spec.deaths, ..OperatorCell::default() };
        world.goes_to(&mut first, i, 0);
    }
    first.tidy(world.shape);
    let mut worlds = vec![first];
    for (k, spec) in scenario.keys.iter().enumerate() {
        let at = scenario.position(&spec.at)?;
        let there: &[bool] = match spec.exists {
            Initially::Yes => &[true],
            Initially::No => &[false],
            Initially::Either => &[true, false],
        };
        worlds = there
            .iter()
            .flat_map(|&exists| {
                worlds.iter().map(move |w| {
                    let mut w = w.clone();
                    if exists {
                        w.keys[k].written = true;
                        world.put(&mut w, at, k, Label::Latest);
                    }
                    w
                })
            })
            .collect();
    }
    Ok(worlds)
}

/// A node's state as the scenario describes it: it knows who it knows, and has settled on what it believes.
fn believes(scenario: &Scenario, i: usize, config: &Config) -> Result<NodeState, ScenarioError> {
    let me = &scenario.nodes[i];
    let mut nodes = Vec::new();
    for (j, spec) in scenario.nodes.iter().enumerate() {
        if i == j || me.knows.as_ref().is_none_or(|k| k.contains(&spec.name)) {
            nodes.push(known(scenario, me, i, j, spec)?);
        }
    }
    let open = |list: &[(u16, String)]| {
        list.iter()
            .map(|(s, n)| Ok((Slot::new(*s), node_id(scenario.position(n)?))))
            .collect::<Result<_, ScenarioError>>()
    };
    let highest = nodes.iter().map(|n| n.config_epoch).max().unwrap_or_default();
    let saved = Saved {
        me: node_id(i),
        current_epoch: me.current_epoch.map_or(highest, Epoch),
        last_vote_epoch: Epoch::ZERO,
        nodes,
        migrating: open(&me.migrating)?,
        importing: open(&me.importing)?,
    };
    let mut state = NodeState::from_saved(&saved, config);
    state.started = true;
    state.todo.update_state = true;
    let mut settle = config.clone();
    settle.split_before_sleep = false;
    state.step(&settle, Input::BeforeSleep, &NoKeys, &mut Effects::new());
    Ok(state)
}

fn known(
    scenario: &Scenario,
    me: &NodeSpec,
    i: usize,
    j: usize,
    spec: &NodeSpec,
) -> Result<SavedNode, ScenarioError> {
    let belief = me.believes.iter().find(|b| b.node == spec.name);
    let mut slots = SlotSet::new(scenario.slots);
    for &slot in belief.and_then(|b| b.slots.as_ref()).unwrap_or(&spec.slots) {
        slots.insert(Slot::new(slot));
    }
    let role = if spec.replica_of.is_some() { Flags::REPLICA } else { Flags::MASTER };
    let flag = match belief.and_then(|b| b.flag.as_deref()) {
        None => Flags::NONE,
        Some("pfail") => Flags::PFAIL,
        Some("fail") => Flags::FAIL,
        Some(other) => return Err(ScenarioError(format!("flag {other:?}: pfail or fail"))),
    };
    let there = belief.and_then(|b| b.address_of.as_deref()).map(|n| scenario.position(n)).transpose()?;
    let (ip, port) = address_of(there.unwrap_or(j));
    Ok(SavedNode {
        id: node_id(j),
        address: Address { ip: ip.into(), port, pport: 0, cport: port + 10_000 },
        hostname: None,
        flags: role.with(flag).set(Flags::MYSELF, i == j),
        master: spec.replica_of.as_ref().map(|m| scenario.position(m)).transpose()?.map(node_id),
        config_epoch: Epoch(belief.and_then(|b| b.epoch).unwrap_or(spec.epoch)),
        slots,
    })
}
