//! From a scenario to its initial worlds.

use super::contents::Contents;
use super::state::{Cell, Label, Life, OperatorCell, Shape, WorldState};
use super::symmetry::Alike;
use super::{World, node_id};
use crate::address::{Address, Flags};
use crate::check::scenario::{
    FaultKind, Initially, MAX_BUDGETS, NodeSpec, Scenario, ScenarioError, ScriptStep, address_of,
};
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
    let accounts = scenario.accounts()?;
    let clients = scenario.all_clients()?;
    let has = |kind| accounts.iter().any(|(a, _)| a.kind == kind);
    let bits =
        |set: &mut dyn Iterator<Item = bool>| (0..).zip(set).fold(0, |b, (n, is)| b | u16::from(is) << n);
    let shape = Shape {
        nodes: scenario.nodes.len(),
        keys: scenario.keys.len(),
        clients: clients.len(),
        alike: bits(&mut (0..clients.len()).map(|n| n > 0 && clients[n - 1] == clients[n])) as u8,
        operators: scenario.operators.len(),
        disks: has(FaultKind::Crash) || has(FaultKind::Power),
        faults: !accounts.is_empty() || scenario.nodes.iter().any(|n| n.down),
        budgets: accounts.len(),
        lost_replies: bits(&mut accounts.iter().map(|(a, _)| a.kind == FaultKind::LostReply)),
        link_cuts: has(FaultKind::LinkCut),
        fails: scenario.options.fail_bits,
        pings: has(FaultKind::LostPing),
    };
    let mut budgets = [0; MAX_BUDGETS];
    budgets.iter_mut().zip(&accounts).for_each(|(left, (_, times))| *left = *times);
    let forgotten =
        scenario.forgotten.iter().map(|n| scenario.position(n).map(node_id)).collect::<Result<_, _>>()?;
    let initial_worlds = Vec::new();
    let alike = Alike::new(&scenario)?;
    let suspectable =
        scenario.options.suspicion_of.as_ref().map_or(Ok(u8::MAX), |names| scenario.nodes_as_bits(names))?;
    let recycled = scenario.nodes.iter().flat_map(|n| &n.believes).any(|b| b.address_of.is_some());
    let mut world = World {
        scenario,
        contents,
        scripts,
        resumes,
        shape,
        suspectable,
        recycled,
        alike,
        accounts: accounts.into_iter().map(|(account, _)| account).collect(),
        clients,
        forgotten,
        initial: initial_worlds,
        identity,
    };
    world.initial = initial(&world, budgets)?;
    let may_fail = world.initial.iter().fold(0, |m, s| m | may_fail(&world, s));
    for group in world.scenario.alike.iter().filter(|_| !world.scenario.options.fail_bits) {
        if (world.scenario.nodes_as_bits(group)? & may_fail).count_ones() > 1 {
            let why = "of nodes that may become FAIL no two are alike, unless with the option fail_bits";
            return Err(ScenarioError(format!("`alike`: {why}")));
        }
    }
    if let Some(alike) = &world.alike
        && !(alike.keeps_places(&world.accounts)
            && alike.keeps_nodes(world.suspectable)
            && world.initial.iter().all(|s| alike.keeps(&world.contents, s)))
    {
        return Err(ScenarioError("`alike`: these nodes are not alike".into()));
    }
    Ok(world)
}

/// The nodes that a majority may ever suspect.
fn may_fail(world: &World, s: &WorldState) -> u8 {
    let voters = world.scenario.nodes.iter().filter(|n| !n.slots.is_empty()).count();
    let nodes = 0..world.shape.nodes;
    let suspects = |i: usize, j: usize| i != j && world.may_suspect(s, i) >> j & 1 == 1;
    let by = |j: usize| nodes.clone().filter(|&i| suspects(i, j)).count();
    nodes.clone().filter(|&j| by(j) > voters / 2).fold(0, |m, j| m | 1 << j)
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

fn initial(world: &World, budgets: [u8; MAX_BUDGETS]) -> Result<Vec<WorldState>, ScenarioError> {
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
