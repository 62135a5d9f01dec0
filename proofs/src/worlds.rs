//! The built-in worlds as tables, with the counts of the ledger.

use slotproof_model::check::scenario::{Budgets, Expect, Family, Faults, Scenario};

use crate::pages::{grouped, table};
use crate::{Row, built_in};

const FAMILIES: [(Family, &str); 3] = [
    (Family::Gossip, "gossip: membership, heartbeats, epochs, ownership"),
    (Family::FailureDetection, "majority failure detection: from suspicion to agreement, and back"),
    (Family::SlotMigration, "slot migration: SETSLOT, MIGRATE, redirections"),
];

/// A world and its row.
struct World {
    row: Row,
    scenario: Scenario,
}

fn worlds(rows: &[Row]) -> Vec<World> {
    rows.iter().map(|&row| World { row, scenario: built_in(row.0) }).collect()
}

/// One row for each family, and their sum; `further` are explored by `slotproof check --all` alone.
pub fn by_family(rows: &[Row], further: &[Row]) -> String {
    let all = worlds(rows);
    let lines = FAMILIES.iter().map(|(family, about)| {
        let of: Vec<&World> = all.iter().filter(|w| w.scenario.family == *family).collect();
        let largest = of.iter().max_by_key(|w| w.row.2).map_or(String::new(), |w| {
            let (name, d, states, ..) = w.row;
            format!("`{name}`, {} at d={d}", grouped(states))
        });
        let violated = of.iter().filter(|w| !w.row.4.is_empty()).count();
        [(*about).to_string(), of.len().to_string(), grouped(states(&of)), largest, violated.to_string()]
    });
    let columns =
        ["family", "worlds", "states", "the largest", "worlds with a property that is violated, as expected"];
    let (long, deeper): (Vec<World>, Vec<World>) = worlds(further).into_iter().partition(|w| w.scenario.long);
    let deeper = deeper.iter().map(|World { row: (name, d, states, ..), .. }| {
        format!("`{name}` at d={d}, {} states", grouped(*states))
    });
    format!(
        "{}\n{} worlds, {} states in all, each explored to its end by `cargo test`. `slotproof check --all` explores {} more, {} states, and {}.",
        table(columns, lines),
        all.len(),
        grouped(states(&all.iter().collect::<Vec<_>>())),
        long.len(),
        grouped(states(&long.iter().collect::<Vec<_>>())),
        deeper.collect::<Vec<_>>().join("; ")
    )
}

fn states(worlds: &[&World]) -> usize {
    worlds.iter().map(|w| w.row.2).sum()
}

/// Every world of every family, and those that are explored at further bounds.
pub fn in_full(rows: &[Row], further: &[Row]) -> String {
    let mut text = String::new();
    let all = worlds(rows);
    let more = worlds(further);
    let columns = [
        "world",
        "what it is about",
        "nodes",
        "what happens in it",
        "d",
        "states",
        "depth",
        "hold",
        "violated, in so many steps",
    ];
    for (family, about) in FAMILIES {
        let lines = all.iter().filter(|w| w.scenario.family == family).flat_map(|w| {
            let at_further = more.iter().filter(|m| m.row.0 == w.row.0);
            std::iter::once(line(w)).chain(at_further.map(line))
        });
        let long = more.iter().filter(|w| w.scenario.long && w.scenario.family == family);
        let lines = lines.chain(long.map(|w| {
            let mut line = line(w);
            line[1].push_str(" (only with `--all`)");
            line
        }));
        text.push_str(&format!("## {about}\n\n{}\n", table(columns, lines)));
    }
    text
}

fn line(world: &World) -> [String; 9] {
    let (name, d, states, depth, violated) = world.row;
    let s = &world.scenario;
    let holds: Vec<&str> =
        s.expect.iter().filter(|(_, e)| **e == Expect::Holds).map(|(name, _)| name.as_str()).collect();
    let about = match s.rules.as_str() {
        "redis_7_0" => s.about.clone(),
        rules => format!("{} (rules: `{rules}`)", s.about),
    };
    [
        format!("`{name}`"),
        about,
        s.nodes.len().to_string(),
        moves(s),
        d.to_string(),
        grouped(states),
        depth.to_string(),
        holds.join(" "),
        violated.to_string(),
    ]
}

/// Who does what, and what may go wrong, beside messages. A new budget has to be told here too.
fn moves(s: &Scenario) -> String {
    let Faults {
        crashes,
        power_failures,
        deaths,
        pauses,
        cuts_out,
        cuts_in,
        resets,
        early_pfail,
        lost_replies,
        handshake_timeouts,
        lost_pings,
        link_cuts,
        nodes: _,
    } = &s.faults;
    let of_operators: usize = s.operators.iter().map(|o| usize::from(o.deaths)).sum();
    let budget = |b: &Budgets| b.0.iter().map(|spec| usize::from(spec.times)).sum::<usize>();
    let counts = [
        (s.operators.len(), "operator", "operators"),
        (s.operators.iter().map(|o| o.script.len()).sum(), "line of a script", "lines of scripts"),
        (of_operators, "death of an operator", "deaths of an operator"),
        (s.clients + s.client_kinds.iter().map(|c| c.count).sum::<usize>(), "client", "clients"),
        (s.keys.len(), "key", "keys"),
        (budget(crashes), "crash", "crashes"),
        (budget(power_failures), "power failure", "power failures"),
        (budget(deaths), "death", "deaths"),
        (budget(pauses), "pause", "pauses"),
        (budget(cuts_out), "cut out", "cuts out"),
        (budget(cuts_in), "cut in", "cuts in"),
        (budget(link_cuts), "cut of a link", "cuts of links"),
        (budget(lost_pings), "PING lost", "PINGs lost"),
        (budget(resets), "connection lost", "connections lost"),
        (budget(early_pfail), "early PFAIL", "early PFAILs"),
        (budget(lost_replies), "MIGRATE reply lost", "MIGRATE replies lost"),
        (budget(handshake_timeouts), "handshake timed out", "handshakes timed out"),
    ];
    let told = counts.iter().filter(|(n, ..)| *n > 0).map(|(n, one, many)| match n {
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    });
    told.collect::<Vec<String>>().join(", ")
}
