//! A scenario: a starting world, what may go wrong in it, and what is expected of each property. It is data, written in TOML;
//! the built-in ones ship in `model/scenarios`, in the language that everybody may write.

mod clients;
mod faults;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::language;
use crate::command::Command;
use crate::fault::Fault;
use crate::rules::Rules;

pub(crate) use clients::Client;
pub use clients::{ClientSpec, Does, Follows};
pub(crate) use faults::{Account, FaultKind, link_bit};
pub use faults::{BudgetSpec, Budgets, Faults, MAX_BUDGETS};

macro_rules! built_in {
    ($name:literal) => {
        ($name, include_str!(concat!("../../scenarios/", $name, ".toml")))
    };
}

/// The most nodes, keys, clients and operators of one world: its states are small arrays.
pub const MAX_NODES: usize = 6;
/// See [`MAX_NODES`].
pub const MAX_KEYS: usize = 4;
/// See [`MAX_NODES`].
pub const MAX_CLIENTS: usize = 3;
/// See [`MAX_NODES`].
pub const MAX_OPERATORS: usize = 3;

/// A world as a researcher describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// A name: lower case letters, digits and dashes.
    pub name: String,
    /// The family it belongs to.
    pub family: Family,
    /// One sentence: what it is about.
    pub about: String,
    /// How many slots the cluster has.
    pub slots: u16,
    /// How many stale headers may be parked at once in the whole world.
    pub d: u8,
    /// Greater bounds at which `slotproof check --all` explores it too: too large for everyday tests.
    #[serde(default)]
    pub further_d: Vec<u8>,
    /// `slotproof check` explores it only with `--all`, or if it is named: too long for everyday tests.
    #[serde(default)]
    pub long: bool,
    /// The rules of every node that does not name its own.
    #[serde(default = "redis_7_0")]
    pub rules: String,
    /// Switches of the rules that differ from the named set.
    #[serde(default)]
    pub switches: BTreeMap<String, bool>,
    /// The nodes, in the order of their names in the protocol.
    #[serde(rename = "node")]
    pub nodes: Vec<NodeSpec>,
    /// Groups of nodes that are alike but for name, slots and epoch: worlds in which they have changed places are explored as one, and in a
    /// counterexample their names may change from line to line. Only where nobody gives commands.
    #[serde(default)]
    pub alike: Vec<Vec<String>>,
    /// The keys that are watched.
    #[serde(default, rename = "key")]
    pub keys: Vec<KeySpec>,
    /// Clients that write and delete any key at any node at any moment.
    #[serde(default)]
    pub clients: usize,
    /// Clients that do less than that.
    #[serde(default, rename = "client")]
    pub client_kinds: Vec<ClientSpec>,
    /// Operators with their scripts.
    #[serde(default, rename = "operator")]
    pub operators: Vec<OperatorSpec>,
    /// What may go wrong, and how often.
    #[serde(default)]
    pub faults: Faults,
    /// Abstractions and capacities.
    #[serde(default)]
    pub options: Options,
    /// Nodes that operators forget: L7 asks that no other node knows them in the end.
    #[serde(default)]
    pub forgotten: Vec<String>,
    /// For each property by its short name (`S1`, `L2`): `holds` or `violated`. Those not named are not checked.
    pub expect: BTreeMap<String, Expect>,
    /// A rule that is broken on purpose.
    #[serde(default)]
    pub fault: Option<Fault>,
}

fn redis_7_0() -> String {
    "redis_7_0".into()
}

/// What a scenario is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Membership, heartbeats, epochs, ownership.
    Gossip,
    /// From suspicion to agreement, and back.
    FailureDetection,
    /// SETSLOT, MIGRATE, redirections.
    SlotMigration,
}

/// A node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// What it is called here. Its name in the protocol follows the order of the nodes.
    pub name: String,
    /// The cluster it belongs to, where there are several: S13 asks that they stay apart.
    #[serde(default)]
    pub cluster: String,
    /// Its config epoch.
    #[serde(default)]
    pub epoch: u64,
    /// Its currentEpoch; the greatest config epoch in its view if not given.
    pub current_epoch: Option<u64>,
    /// Its slots.
    #[serde(default)]
    pub slots: Vec<u16>,
    /// The nodes it knows; all if not given.
    pub knows: Option<Vec<String>>,
    /// Its master, if it is a replica.
    pub replica_of: Option<String>,
    /// What it believes of others where that is not so.
    #[serde(default)]
    pub believes: Vec<Belief>,
    /// Slots it gives away: slot and target.
    #[serde(default)]
    pub migrating: Vec<(u16, String)>,
    /// Slots it takes over: slot and source.
    #[serde(default)]
    pub importing: Vec<(u16, String)>,
    /// It is not there: down from the start, for good.
    #[serde(default)]
    pub down: bool,
    /// Its own rules, if they differ.
    pub rules: Option<String>,
}

/// What a node believes of another.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Belief {
    /// Of which node.
    pub node: String,
    /// Its config epoch.
    pub epoch: Option<u64>,
    /// Its slots.
    pub slots: Option<Vec<u16>>,
    /// `pfail` or `fail`.
    pub flag: Option<String>,
    /// The node at whose address it looks for it: the address was given to another machine.
    pub address_of: Option<String>,
}

/// A key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySpec {
    /// What it is called.
    pub name: String,
    /// Its slot.
    pub slot: u16,
    /// Where it is in the beginning.
    pub at: String,
    /// Whether it is there in the beginning: `yes`, `no`, or `either` (two initial states).
    #[serde(default)]
    pub exists: Initially,
}

/// Whether something is there in the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Initially {
    /// It is.
    #[default]
    Yes,
    /// It is not.
    No,
    /// Both are explored.
    Either,
}

/// An operator.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorSpec {
    /// What he does, a line a step; see [`ScriptStep`].
    pub script: Vec<String>,
    /// What he may do when he comes back after his death instead of going on where he was: each a script of its own.
    #[serde(default)]
    pub resume: Vec<Vec<String>>,
    /// Whether he may go on where he was.
    #[serde(default = "yes")]
    pub goes_on: bool,
    /// How often he may die between two steps.
    #[serde(default)]
    pub deaths: u8,
}

fn yes() -> bool {
    true
}

/// Abstractions and capacities of a world.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Two links for each ordered pair; one is unsound and only for a test that shows so.
    pub two_links: bool,
    /// A delivered parked header may stay.
    pub leave_it_there: bool,
    /// Plain queues with real sends instead of parked headers, each of at most this many messages (a test compares).
    pub queues: Option<u8>,
    /// Messages that a link holds at most.
    pub link_capacity: u8,
    /// The greatest epoch.
    pub epoch_capacity: u64,
    /// Entries of gossip beside those of PFAIL nodes are delivered too, one at a time.
    pub gossip: bool,
    /// The work before sleeping is a step of its own.
    pub split_before_sleep: bool,
    /// Steps are computed each time instead of looked up (a test compares).
    pub direct: bool,
    /// Whoever is away is away for less than the node timeout: nobody is marked PFAIL for it.
    pub patient: bool,
    /// Reports about a master with slots that is FAIL are forgotten (a test compares).
    pub clear_reports: bool,
    /// Reports about nodes that their holder does not suspect, and from here on never can, are kept, though nobody reads them (a test compares).
    pub idle_reports: bool,
    /// The nodes that may be suspected; all, if not given. What is thought and said of one node never depends on what is thought and said of another, so
    /// a world of failure detection may be explored node by node (a test compares); only `state` sums up, and is not to be asked for then.
    pub suspicion_of: Option<Vec<String>>,
    /// A FAIL is sent to the node that it is about too, as Redis does. That node ignores it, so it may be left out (a test compares).
    pub fail_to_subject: bool,
    /// A FAIL on its way is one bit for each receiver and subject, whoever sent it and how many did, without its place among other messages: what
    /// holds its sender up does not hold it up, and while anybody is away or cut off it may be lost (a test compares).
    pub fail_bits: bool,
    /// An UPDATE is settled in the step that provokes it, applied or dropped, if its receiver runs and the link is open and empty (a test
    /// compares).
    pub update_at_once: bool,
    /// A heartbeat names any set of the nodes that gossip may pick, instead of none or one (a test compares).
    pub gossip_sets: bool,
    /// What was sent before a node was forgotten has arrived or is lost when a blacklist's minute is over.
    pub blacklist_outlasts_messages: bool,
    /// `cluster-allow-replica-migration`.
    pub allow_replica_migration: bool,
    /// `cluster-require-full-coverage`.
    pub require_full_coverage: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            two_links: true,
            leave_it_there: true,
            queues: None,
            link_capacity: 6,
            epoch_capacity: 200,
            gossip: true,
            split_before_sleep: false,
            direct: false,
            patient: false,
            clear_reports: false,
            idle_reports: true,
            suspicion_of: None,
            fail_to_subject: true,
            fail_bits: false,
            update_at_once: false,
            gossip_sets: false,
            blacklist_outlasts_messages: false,
            allow_replica_migration: true,
            require_full_coverage: true,
        }
    }
}

/// What is expected of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// It holds in the whole space.
    Holds,
    /// It is violated.
    Violated,
}

/// One step of a script.
///
/// - `B: SETSLOT 0 IMPORTING A` sends a CLUSTER command to a node; names of nodes stand for their names in the protocol. A refusal
///   stops the operator; with `B?: ...` it is tolerated; with `B~: ...` he tries again until it is not refused.
/// - `A -> B: MOVE 0` and `A -> B: MOVE 0 REPLACE` repeats GETKEYSINSLOT and MIGRATE until the slot is empty at A.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptStep {
    /// A CLUSTER command.
    Command {
        /// At which node.
        at: usize,
        /// The command.
        command: Command,
        /// As written, for people.
        text: String,
        /// What a refusal means.
        refusal: Refusal,
    },
    /// Moves the keys of a slot.
    Move {
        /// From which node.
        from: usize,
        /// To which.
        to: usize,
        /// Which slot.
        slot: u16,
        /// With REPLACE.
        replace: bool,
    },
}

/// What a refusal means to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// He stops.
    Stops,
    /// He goes on.
    Tolerated,
    /// He waits until it is possible.
    Waits,
}

/// A mistake in a scenario, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError(pub String);

impl core::fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for ScenarioError {}

/// The names of the properties that a world can judge.
pub const PROPERTIES: [&str; 16] =
    ["S1", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S13", "S14", "L1", "L2", "L3", "L5", "L6", "L7"];

impl Scenario {
    /// Reads a scenario, and checks that what it names is there.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let wrong = |e: toml::de::Error| ScenarioError(e.to_string());
        let own: toml::Table = toml::from_str(text).map_err(wrong)?;
        let located = |e: ScenarioError| match language::line_of(text, &e.0) {
            Some(line) => ScenarioError(format!("line {line}: {e}")),
            None => e,
        };
        let scenario: Self = match own.get("like") {
            None => toml::from_str(text).map_err(wrong)?,
            Some(_) => Self::whole(own, 0).and_then(|t| t.try_into().map_err(wrong)).map_err(located)?,
        };
        scenario.check().map_err(located)?;
        Ok(scenario)
    }

    /// What a file says, laid over the built-in scenario that it names as `like`: tables are merged key by key, all else is replaced.
    fn whole(mut own: toml::Table, depth: usize) -> Result<toml::Table, ScenarioError> {
        let Some(like) = own.remove("like") else { return Ok(own) };
        let name = like.as_str().unwrap_or_default();
        if depth > BUILT_IN.len() {
            return Err(ScenarioError(format!("like = {name:?} leads back to itself")));
        }
        let text = Self::built_in_text(name)?;
        let other: toml::Table = toml::from_str(text).map_err(|e| ScenarioError(e.to_string()))?;
        let mut whole = Self::whole(other, depth + 1)?;
        // Bounds beyond its own, and how long it takes, are the other's alone.
        whole.remove("further_d");
        whole.remove("long");
        lay_over(&mut whole, own);
        Ok(whole)
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let wrong = |text: String| Err(ScenarioError(text));
        let bounded = [
            ("nodes", self.nodes.len(), MAX_NODES),
            ("keys", self.keys.len(), MAX_KEYS),
            ("operators", self.operators.len(), MAX_OPERATORS),
        ];
        for (what, count, most) in bounded {
            if count > most {
                return wrong(format!("{count} {what}: at most {most}"));
            }
        }
        if self.nodes.is_empty() || self.slots == 0 || self.slots > 64 {
            return wrong("at least one node, and 1 to 64 slots".into());
        }
        if !self.faults.lost_pings.0.is_empty()
            && (self.d > 0 || !self.further_d.is_empty() || self.options.queues.is_some())
        {
            return wrong("`lost_pings` wants d = 0, and no queues".into());
        }
        let recycled = self.nodes.iter().flat_map(|n| &n.believes).any(|b| b.address_of.is_some());
        let broken = !self.faults.resets.0.is_empty() || !self.faults.lost_pings.0.is_empty();
        if self.options.fail_bits && (broken || recycled || !self.operators.is_empty()) {
            return wrong(
                "the option `fail_bits` wants no resets, no lost_pings, no address_of and no operators"
                    .into(),
            );
        }
        let clusters: BTreeSet<&str> = self.nodes.iter().map(|n| n.cluster.as_str()).collect();
        if clusters.len() > 1 && !self.keys.is_empty() {
            return wrong("keys of which `cluster`? Where there are several, there are no keys".into());
        }
        let names: BTreeSet<&str> = self.nodes.iter().map(|n| n.name.as_str()).collect();
        if names.len() < self.nodes.len() {
            return wrong("two nodes have the same name".into());
        }
        self.rules_of(None)?;
        for node in &self.nodes {
            self.rules_of(node.rules.as_deref())?;
            let named = node.knows.iter().flatten().chain(node.replica_of.iter());
            let open = node.migrating.iter().chain(&node.importing);
            let beliefs = node.believes.iter().flat_map(|b| std::iter::once(&b.node).chain(&b.address_of));
            for name in named.chain(open.clone().map(|(_, n)| n)).chain(beliefs) {
                self.position(name)?;
            }
            let believed = node.believes.iter().filter_map(|b| b.slots.as_ref()).flatten();
            for slot in node.slots.iter().chain(open.map(|(s, _)| s)).chain(believed) {
                self.slot(*slot)?;
            }
        }
        for key in &self.keys {
            self.position(&key.at)?;
            self.slot(key.slot)?;
        }
        self.forgotten.iter().try_for_each(|n| self.position(n).map(drop))?;
        self.accounts()?;
        self.all_clients()?;
        for operator in &self.operators {
            for script in std::iter::once(&operator.script).chain(&operator.resume) {
                self.script(script)?;
            }
        }
        match self.expect.keys().find(|name| !PROPERTIES.contains(&name.as_str())) {
            Some(name) => wrong(format!("expect: no property {name:?}; there are {}", PROPERTIES.join(", "))),
            None => Ok(()),
        }
    }

    fn slot(&self, slot: u16) -> Result<(), ScenarioError> {
        if slot < self.slots {
            Ok(())
        } else {
            Err(ScenarioError(format!("slot {slot} of {} slots", self.slots)))
        }
    }

    /// The position of the node with this name.
    pub fn position(&self, name: &str) -> Result<usize, ScenarioError> {
        self.nodes.iter().position(|n| n.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.nodes.iter().map(|n| n.name.as_str()).collect();
            ScenarioError(format!("no node {name:?}; there are {}", names.join(", ")))
        })
    }

    /// The rules with this name, or those of the scenario, with its switches.
    pub fn rules_of(&self, name: Option<&str>) -> Result<Rules, ScenarioError> {
        let name = name.unwrap_or(&self.rules);
        let rules = Rules::named(name).ok_or_else(|| {
            ScenarioError(format!("no rules {name:?}; there are {}", Rules::NAMES.join(", ")))
        })?;
        let mut table = toml::Table::try_from(rules).map_err(|e| ScenarioError(e.to_string()))?;
        for (switch, on) in &self.switches {
            if table.insert(switch.clone(), (*on).into()).is_none() {
                let known: Vec<String> = table.keys().filter(|k| *k != switch).cloned().collect();
                return Err(ScenarioError(format!("no switch {switch:?}; there are {}", known.join(", "))));
            }
        }
        table.try_into().map_err(|e| ScenarioError(e.to_string()))
    }

    /// Reads the lines of a script.
    pub fn script(&self, lines: &[String]) -> Result<Vec<ScriptStep>, ScenarioError> {
        lines.iter().map(|line| self.script_step(line)).collect()
    }

    fn script_step(&self, line: &str) -> Result<ScriptStep, ScenarioError> {
        let wrong = |why: &str| ScenarioError(format!("script line {line:?}: {why}"));
        let (to, what) = line
            .split_once(": ")
            .ok_or_else(|| wrong("it reads `NODE: COMMAND` or `NODE -> NODE: MOVE SLOT`"))?;
        let words: Vec<&str> = what.split_whitespace().collect();
        if let Some((from, to)) = to.split_once(" -> ") {
            let (slot, replace) = match words.as_slice() {
                ["MOVE", slot] => (slot, false),
                ["MOVE", slot, "REPLACE"] => (slot, true),
                _ => return Err(wrong("it reads `A -> B: MOVE 0` or `A -> B: MOVE 0 REPLACE`")),
            };
            let slot = slot.parse().map_err(|_| wrong("MOVE wants a slot"))?;
            self.slot(slot)?;
            return Ok(ScriptStep::Move {
                from: self.position(from)?,
                to: self.position(to)?,
                slot,
                replace,
            });
        }
        let (name, refusal) = match (to.strip_suffix('?'), to.strip_suffix('~')) {
            (Some(name), _) => (name, Refusal::Tolerated),
            (_, Some(name)) => (name, Refusal::Waits),
            _ => (to, Refusal::Stops),
        };
        let at = self.position(name)?;
        let args: Vec<String> = words
            .iter()
            .flat_map(|w| match self.position(w) {
                Ok(i) if words[0].eq_ignore_ascii_case("meet") => {
                    vec![address_of(i).0, address_of(i).1.to_string()]
                }
                Ok(i) => vec![crate::check::world::node_id(i).to_string()],
                Err(_) => vec![(*w).to_string()],
            })
            .collect();
        let args: Vec<&[u8]> = args.iter().map(String::as_bytes).collect();
        let rules = self.rules_of(self.nodes[at].rules.as_deref())?;
        let command = Command::parse(&args, &rules).map_err(|e| wrong(&format!("{e:?}")))?;
        Ok(ScriptStep::Command { at, command, text: what.to_string(), refusal })
    }
}

fn lay_over(below: &mut toml::Table, above: toml::Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => lay_over(old, new),
            (_, value) => drop(below.insert(key, value)),
        }
    }
}

/// The address of the node at a position: IP and port.
pub(crate) fn address_of(position: usize) -> (String, u16) {
    (format!("10.0.0.{}", position + 1), 7000)
}

/// The scenarios that ship with the crate: name and text, by family.
pub const BUILT_IN: &[(&str, &str)] = &[
    built_in!("gossip-2"),
    built_in!("gossip-2-reset"),
    built_in!("gossip-3-chain"),
    built_in!("gossip-3-chain-late"),
    built_in!("gossip-collision"),
    built_in!("gossip-contend"),
    built_in!("gossip-3-hub"),
    built_in!("gossip-3-ring"),
    built_in!("gossip-3-in"),
    built_in!("gossip-3-restart"),
    built_in!("gossip-4-chain"),
    built_in!("gossip-same-slot"),
    built_in!("gossip-collision-2"),
    built_in!("gossip-collision-4"),
    built_in!("gossip-forget"),
    built_in!("gossip-forget-missed"),
    built_in!("gossip-forget-late"),
    built_in!("gossip-reset-soft"),
    built_in!("gossip-reset-hard"),
    built_in!("gossip-recycled"),
    built_in!("gossip-moved"),
    built_in!("fd-3-crash"),
    built_in!("fd-3-pause"),
    built_in!("fd-3-cut-out"),
    built_in!("fd-3-cut-in"),
    built_in!("fd-3-crash-pause"),
    built_in!("fd-3-early"),
    built_in!("fd-3-2-deaths"),
    built_in!("fd-3-2-pauses"),
    built_in!("fd-3-death-cut"),
    built_in!("fd-3-death-cut-in"),
    built_in!("fd-3-cut-both"),
    built_in!("fd-3-pause-cut-out"),
    built_in!("fd-3-pause-cut-in"),
    built_in!("fd-3-2-cuts-out"),
    built_in!("fd-3-2-cuts-in"),
    built_in!("fd-2-lost-ping"),
    built_in!("fd-3-lost-ping"),
    built_in!("fd-3-cut-pair"),
    built_in!("fd-3-cut-pairs"),
    built_in!("fd-5-crash"),
    built_in!("fd-5-crash-late"),
    built_in!("fd-5-pause"),
    built_in!("fd-5-cut-out"),
    built_in!("fd-5-cut-in"),
    built_in!("fd-5-healthy"),
    built_in!("fd-5-minority"),
    built_in!("fd-5-2-crashes"),
    built_in!("fd-5-death-pause"),
    built_in!("fd-5-death-cut-out"),
    built_in!("fd-5-death-cut-in"),
    built_in!("fd-5-2-pauses"),
    built_in!("fd-5-pause-cut-out"),
    built_in!("fd-5-pause-cut-in"),
    built_in!("fd-5-2-cuts-out"),
    built_in!("fd-5-2-cuts-in"),
    built_in!("fd-5-cut-both"),
    built_in!("migration-resume"),
    built_in!("migration-retry"),
    built_in!("migration-no-replace"),
    built_in!("migration-abort"),
    built_in!("migration-crash"),
    built_in!("migration-power"),
    built_in!("migration-last-slot"),
    built_in!("migration-h09"),
    built_in!("migration-h12"),
    built_in!("migration-2-keys"),
    built_in!("migration-2-keys-old"),
    built_in!("migration-target-first"),
    built_in!("migration-source-first"),
    built_in!("migration-migrating-first"),
    built_in!("migration-two-targets"),
    built_in!("migration-two-operators"),
    built_in!("migration-to-and-fro"),
    built_in!("migration-again"),
    built_in!("migration-roll-back"),
    built_in!("migration-clients"),
    built_in!("migration-2-slots"),
    built_in!("migration-ring"),
    built_in!("migration-crash-2-keys"),
    built_in!("migration-crash-2-slots"),
    built_in!("migration-crash-2-slots-client"),
    built_in!("migration-power-2-keys"),
    built_in!("migration-power-2-slots"),
    built_in!("migration-power-2-slots-client"),
    built_in!("migration-h21"),
    built_in!("migration-stuck"),
    built_in!("migration-stolen"),
    built_in!("migration-stolen-crash"),
    built_in!("hardened-meet"),
    built_in!("hardened-h09"),
    built_in!("hardened-power"),
    built_in!("hardened-moved"),
    built_in!("hardened-lost-ping"),
    built_in!("hardened-h21"),
    built_in!("hardened-power-2-slots"),
    built_in!("hardened-ring"),
    built_in!("hardened-to-and-fro"),
    built_in!("hardened-tug"),
    built_in!("mixed-h09-source"),
    built_in!("mixed-h09-target"),
    built_in!("mixed-meet-first"),
    built_in!("mixed-meet-second"),
    built_in!("mixed-power-source"),
    built_in!("mixed-power-target"),
    built_in!("mixed-ring-source"),
    built_in!("mixed-ring-target"),
];

impl Scenario {
    /// The built-in scenario with this name.
    pub fn built_in(name: &str) -> Result<Self, ScenarioError> {
        Self::parse(Self::built_in_text(name)?)
    }

    fn built_in_text(name: &str) -> Result<&'static str, ScenarioError> {
        match BUILT_IN.iter().find(|(n, _)| *n == name) {
            Some((_, text)) => Ok(text),
            None => {
                let names: Vec<&str> = BUILT_IN.iter().map(|(n, _)| *n).collect();
                Err(ScenarioError(format!("no scenario {name:?}; there are {}", names.join(", "))))
            }
        }
    }
}
