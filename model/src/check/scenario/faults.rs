//! Fault budgets: how often each kind of fault may happen, and where.

use core::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{Scenario, ScenarioError};

/// Fault budgets: for each kind how often it may happen; or a table that says where too (see `times`); or a list of such tables, each a budget
/// of its own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Process crashes of nodes, with restart from what was written.
    pub crashes: Budgets,
    /// Power failures of nodes, with restart from what was fsynced.
    pub power_failures: Budgets,
    /// Crashes of nodes for good.
    pub deaths: Budgets,
    /// Pauses of nodes, each ended by a resume.
    pub pauses: Budgets,
    /// Cuts of everything that a node sends, each healed in the end.
    pub cuts_out: Budgets,
    /// Cuts of everything that a node is sent.
    pub cuts_in: Budgets,
    /// Cuts of what one node sends to one other, each healed in the end.
    pub link_cuts: Budgets,
    /// Connections lost: the link `A -> B` is the one that A opened to B.
    pub resets: Budgets,
    /// Healthy peers marked PFAIL: with the link `A -> B`, A marks B.
    pub early_pfail: Budgets,
    /// MIGRATE replies lost, or its time up: the link `A -> B` leads from source to target.
    pub lost_replies: Budgets,
    /// Handshakes that run out of time: with the link `A -> B`, the one that A began with B.
    pub handshake_timeouts: Budgets,
    /// PINGs lost, or their PONGs, on a connection that stays: no other is sent until it is opened anew; with the link `A -> B`, those of A. Only with
    /// `d = 0`: of stale headers nobody knows which PING they were.
    pub lost_pings: Budgets,
    /// The nodes that may crash, die, pause or be cut off where a budget does not name its own; all if empty.
    pub nodes: Vec<String>,
}

/// The budgets of one kind of fault: a number, a table, or a list of tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budgets(pub Vec<BudgetSpec>);

/// A budget as a table: how often, and where.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetSpec {
    /// How often, in all the places together.
    pub times: u8,
    /// The nodes that it may strike, for kinds that strike nodes; those of `[faults]` if not given.
    pub nodes: Option<Vec<String>>,
    /// The links that it may strike, for kinds that strike links, each as `A -> B`; all if not given.
    pub links: Option<Vec<String>>,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Crash,
    Power,
    Death,
    Pause,
    CutOut,
    CutIn,
    LinkCut,
    Reset,
    EarlyPfail,
    LostReply,
    HandshakeTimeout,
    LostPing,
}

/// Budgets of one world at most, all kinds together.
pub const MAX_BUDGETS: usize = 16;

impl From<u8> for Budgets {
    fn from(times: u8) -> Self {
        let anywhere = BudgetSpec { times, nodes: None, links: None };
        Self(if times == 0 { Vec::new() } else { vec![anywhere] })
    }
}

impl<'de> Deserialize<'de> for Budgets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Reads each of the three forms.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Budgets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a number up to 255, a table like { times = 1, nodes = [\"A\"] }, or a list of such tables",
        )
    }

    fn visit_i64<E: Error>(self, n: i64) -> Result<Budgets, E> {
        u8::try_from(n)
            .map(Budgets::from)
            .map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(n), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Budgets, A::Error> {
        BudgetSpec::deserialize(MapAccessDeserializer::new(map)).map(|spec| Budgets(vec![spec]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Budgets, A::Error> {
        let mut all = Vec::new();
        while let Some(spec) = seq.next_element()? {
            all.push(spec);
        }
        Ok(Budgets(all))
    }
}

/// Where a budget may be spent: nodes as bits, and links as bits by [`link_bit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) kind: FaultKind,
    pub(crate) nodes: u8,
    pub(crate) links: u64,
}

/// The bit of an ordered pair of nodes.
pub(crate) fn link_bit(from: usize, to: usize) -> u64 {
    1 << (from * super::MAX_NODES + to)
}

impl FaultKind {
    /// Whether it strikes links, not nodes.
    fn is_of_links(self) -> bool {
        use FaultKind::{EarlyPfail, HandshakeTimeout, LinkCut, LostPing, LostReply, Reset};
        matches!(self, LinkCut | Reset | EarlyPfail | LostReply | HandshakeTimeout | LostPing)
    }
}

impl Faults {
    fn kinds(&self) -> [(&'static str, FaultKind, &Budgets); 12] {
        [
            ("crashes", FaultKind::Crash, &self.crashes),
            ("power_failures", FaultKind::Power, &self.power_failures),
            ("deaths", FaultKind::Death, &self.deaths),
            ("pauses", FaultKind::Pause, &self.pauses),
            ("cuts_out", FaultKind::CutOut, &self.cuts_out),
            ("cuts_in", FaultKind::CutIn, &self.cuts_in),
            ("link_cuts", FaultKind::LinkCut, &self.link_cuts),
            ("resets", FaultKind::Reset, &self.resets),
            ("early_pfail", FaultKind::EarlyPfail, &self.early_pfail),
            ("lost_replies", FaultKind::LostReply, &self.lost_replies),
            ("handshake_timeouts", FaultKind::HandshakeTimeout, &self.handshake_timeouts),
            ("lost_pings", FaultKind::LostPing, &self.lost_pings),
        ]
    }
}

impl Scenario {
    /// Its fault budgets: where each may be spent, and how often.
    pub(crate) fn accounts(&self) -> Result<Vec<(Account, u8)>, ScenarioError> {
        let anyone = self.nodes_as_bits(&self.faults.nodes)?;
        let anyone = if self.faults.nodes.is_empty() { u8::MAX } else { anyone };
        let mut all = Vec::new();
        for (name, kind, budgets) in self.faults.kinds() {
            for spec in &budgets.0 {
                let account = self.account(name, kind, spec, anyone)?;
                all.extend((spec.times > 0).then_some((account, spec.times)));
            }
        }
        if all.len() > MAX_BUDGETS {
            return Err(ScenarioError(format!("{} fault budgets: at most {MAX_BUDGETS}", all.len())));
        }
        Ok(all)
    }

    fn account(
        &self,
        name: &str,
        kind: FaultKind,
        spec: &BudgetSpec,
        anyone: u8,
    ) -> Result<Account, ScenarioError> {
        let wrong = |why: &str| Err(ScenarioError(format!("`{name}`: {why}")));
        match (kind.is_of_links(), &spec.nodes, &spec.links) {
            (true, Some(_), _) => wrong("it strikes links: links = [\"A -> B\"] says which"),
            (false, _, Some(_)) => wrong("it strikes nodes: nodes = [\"A\"] says which"),
            (true, None, links) => {
                let named = links.as_ref().map_or(Ok(u64::MAX), |l| self.links_as_bits(l))?;
                Ok(Account { kind, nodes: 0, links: named })
            }
            (false, nodes, None) => {
                let named = nodes.as_ref().map_or(Ok(anyone), |n| self.nodes_as_bits(n))?;
                Ok(Account { kind, nodes: named, links: 0 })
            }
        }
    }

    /// The nodes with these names, as bits.
    pub(crate) fn nodes_as_bits(&self, names: &[String]) -> Result<u8, ScenarioError> {
        names.iter().try_fold(0, |bits, name| Ok(bits | 1 << self.position(name)?))
    }

    fn links_as_bits(&self, links: &[String]) -> Result<u64, ScenarioError> {
        links.iter().try_fold(0, |bits, link| {
            let Some((from, to)) = link.split_once(" -> ").filter(|(from, to)| from != to) else {
                return Err(ScenarioError(format!("link {link:?}: it reads `A -> B`")));
            };
            let end = |name| {
                self.position(name)
                    .map_err(|ScenarioError(why)| ScenarioError(format!("link {link:?}: {why}")))
            };
            Ok(bits | link_bit(end(from)?, end(to)?))
        })
    }
}
