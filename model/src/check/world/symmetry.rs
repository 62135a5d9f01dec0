//! Nodes that are alike: worlds in which they have changed places are one. Of the worlds that become each other when alike nodes change
//! places, one is explored: the one whose numbers come first.
//!
//! This is exact if a step of the renamed world is the renamed step. A node's step treats all peers alike but for three comparisons: of names (which
//! of two nodes with one epoch moves on), of epochs of two claims to one slot, and of epochs with currentEpoch. Alike nodes own different slots at
//! epochs of their own, and nobody else claims one: in a world where no epoch is raised and no slot moves, the first two are never made between
//! them, and the third comes out the same. What one step sends about two nodes comes in the order of their names: so of nodes that may become FAIL not
//! two are alike, unless FAILs are bits (`fail_bits`), which have no order. [`Alike::new`] asks that nobody gives commands, and that each initial world stays the same when alike nodes change places; a
//! test counts the worlds behind those that are explored, and finds as many as there are without (`proofs/tests/abstraction.rs`).

use std::cmp::Ordering;
use std::collections::BTreeSet;

use super::contents::Contents;
use super::links::{is_reply, link, source, target};
use super::renaming::Renaming;
use super::state::{Item, What, WorldState};
use super::tables::{Mix, Table};
use crate::check::scenario::{Account, MAX_NODES, Scenario, ScenarioError, link_bit};

/// The ways in which alike nodes may change places.
pub(super) struct Alike {
    ways: Vec<Renaming>,
    nodes: usize,
    /// What contents, headers and messages are called after each.
    contents: Table<u64, u32, Mix>,
    headers: Table<u64, u32, Mix>,
    shots: Table<u64, u32, Mix>,
    orbits: Table<u64, u32, Mix>,
    /// Pairs of alike nodes of which no third is between.
    next_to: Vec<(usize, usize)>,
    /// The nodes that are alike to some other, as bits.
    moves: u8,
}

/// See [`Alike::mark`].
type Mark = (u32, u32, u32);

impl Alike {
    /// None if all nodes differ.
    pub(super) fn new(scenario: &Scenario) -> Result<Option<Self>, ScenarioError> {
        let wrong = |text: &str| Err(ScenarioError(format!("`alike`: {text}")));
        let mut ways = vec![identity()];
        let mut seen = 0u8;
        let mut next_to = Vec::new();
        for group in &scenario.alike {
            let places = group.iter().map(|n| scenario.position(n)).collect::<Result<Vec<_>, _>>()?;
            for &p in &places {
                if seen >> p & 1 == 1 {
                    return wrong("a node is in it twice");
                }
                seen |= 1 << p;
            }
            let mut ascending = places.clone();
            ascending.sort_unstable();
            next_to.extend(ascending.windows(2).map(|pair| (pair[0], pair[1])));
            ways = ways
                .iter()
                .flat_map(|way| orders(&places).map(|order| placed(way, &places, &order)))
                .collect();
        }
        if ways.len() < 2 {
            return Ok(None);
        }
        for group in &scenario.alike {
            let specs = scenario.nodes.iter().filter(|n| group.contains(&n.name));
            let kinds = specs.map(|n| (&n.rules, &n.cluster, scenario.forgotten.contains(&n.name)));
            if kinds.collect::<BTreeSet<_>>().len() > 1 {
                return wrong(
                    "such nodes are of one cluster, with the same rules, and all to be forgotten or none",
                );
            }
        }
        let f = &scenario.faults;
        if !scenario.all_clients()?.is_empty() || !scenario.operators.is_empty() || !scenario.keys.is_empty()
        {
            return wrong("nobody gives commands in a world whose nodes are alike, and there are no keys");
        }
        let disks = !f.crashes.0.is_empty() || !f.power_failures.0.is_empty();
        if disks || scenario.options.queues.is_some() {
            return wrong("no restarts from disk, and no queues");
        }
        let renamings = ways.into_iter().filter(|w| *w != identity()).map(|w| Renaming::new(scenario, w));
        let Some(ways) = renamings.collect::<Option<Vec<_>>>() else {
            return wrong("such nodes have as many slots each, and epochs that differ");
        };
        let nodes = scenario.nodes.len();
        let moves = next_to.iter().fold(0, |m, (a, b)| m | 1 << a | 1 << b);
        let (contents, headers, shots, orbits) = (Table::new(), Table::new(), Table::new(), Table::new());
        Ok(Some(Self { ways, nodes, contents, headers, shots, orbits, next_to, moves }))
    }

    /// Whether a state stays the same whoever changes places.
    pub(super) fn keeps(&self, contents: &Contents, s: &WorldState) -> bool {
        (0..self.ways.len()).all(|n| self.renamed(contents, s, n) == *s)
    }

    /// Whether each fault may strike the same places whoever changes them.
    pub(super) fn keeps_places(&self, accounts: &[Account]) -> bool {
        self.ways.iter().all(|way| {
            accounts.iter().all(|a| {
                let (nodes, links) = (a.nodes & self.all(), self.links(way, a.links, false));
                self.mask(way, nodes) == nodes && self.links(way, a.links, true) == links
            })
        })
    }

    /// Whether a set of nodes stays the same whoever changes places.
    pub(super) fn keeps_nodes(&self, nodes: u8) -> bool {
        self.ways.iter().all(|way| self.mask(way, nodes) == nodes & self.all())
    }

    /// Bits of ordered pairs of different nodes, after a change or before it.
    fn links(&self, way: &Renaming, bits: u64, after: bool) -> u64 {
        let place = |n: usize| if after { usize::from(way.to[n]) } else { n };
        let named = pairs(self.nodes).filter(|&(a, b)| a != b && bits & link_bit(a, b) != 0);
        named.fold(0, |m, (a, b)| m | link_bit(place(a), place(b)))
    }

    fn all(&self) -> u8 {
        ((1u16 << self.nodes) - 1) as u8
    }

    /// How many worlds there are behind one.
    pub(super) fn behind(&self, contents: &Contents, s: &WorldState) -> usize {
        let mut all: Vec<Vec<u8>> = (0..self.ways.len())
            .map(|n| self.renamed(contents, s, n))
            .chain(std::iter::once(s.clone()))
            .map(|w| w.bytes())
            .collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }

    /// Puts alike nodes into the places that come first: in the order of their marks, and where those are equal, so that the state itself is least.
    pub(super) fn settle(&self, contents: &Contents, s: &mut WorldState) {
        let marks: [Mark; MAX_NODES] = core::array::from_fn(|i| {
            if self.moves >> i & 1 == 1 { self.mark(contents, s, i) } else { Mark::default() }
        });
        let ordered = |from: &dyn Fn(usize) -> usize| {
            self.next_to.iter().all(|&(a, b)| marks[from(a)] <= marks[from(b)])
        };
        let mut best: Option<WorldState> = ordered(&|place| place).then(|| s.clone());
        for (n, way) in self.ways.iter().enumerate() {
            if !ordered(&|place| usize::from(way.from[place])) {
                continue;
            }
            let Some(against) = &best else {
                best = Some(self.renamed(contents, s, n));
                continue;
            };
            match self.nodes_compared(contents, s, n, against) {
                Ordering::Greater => {}
                Ordering::Less => best = Some(self.renamed(contents, s, n)),
                Ordering::Equal => {
                    let renamed = self.renamed(contents, s, n);
                    if renamed.bytes() < against.bytes() {
                        best = Some(renamed);
                    }
                }
            }
        }
        *s = best.expect("some order of the marks is ascending");
    }

    /// What of a node is the same wherever it and others alike are.
    fn mark(&self, contents: &Contents, s: &WorldState, node: usize) -> Mark {
        let cell = s.nodes[node];
        let bit = |mask: u8| u32::from(mask >> node & 1);
        let fails = s.fails.iter().fold(0, |n, &f| n + bit(f));
        let flags = (cell.life as u32) << 2 | bit(s.cut_in) << 1 | bit(s.cut_out);
        let counts = s.fails[node].count_ones() << 8 | cell.drowsy.count_ones() << 4 | fails;
        (self.orbit(contents, cell.state), flags, counts)
    }

    /// The first of the contents that a content becomes when nodes change places.
    fn orbit(&self, contents: &Contents, id: u32) -> u32 {
        let first =
            |_: &u64| (0..self.ways.len()).fold(id, |first, n| first.min(self.content(contents, id, n)));
        *self.orbits.answer(u64::from(id), first)
    }

    /// Compares the nodes of a renamed state with those of another, looking at no more of them than it takes.
    fn nodes_compared(&self, contents: &Contents, s: &WorldState, n: usize, other: &WorldState) -> Ordering {
        let way = &self.ways[n];
        for place in 0..self.nodes {
            let cell = s.nodes[usize::from(way.from[place])];
            let there = other.nodes[place];
            let key = (cell.life as u8, self.content(contents, cell.state, n), self.mask(way, cell.drowsy));
            let order = key.cmp(&(there.life as u8, there.state, there.drowsy));
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }

    fn renamed(&self, contents: &Contents, s: &WorldState, n: usize) -> WorldState {
        let way = &self.ways[n];
        let mut to = s.clone();
        for place in 0..self.nodes {
            let mut cell = s.nodes[usize::from(way.from[place])];
            cell.state = self.content(contents, cell.state, n);
            cell.drowsy = self.mask(way, cell.drowsy);
            to.nodes[place] = cell;
        }
        to.cut_in = self.mask(way, s.cut_in);
        to.cut_out = self.mask(way, s.cut_out);
        for place in 0..self.nodes {
            let before = usize::from(way.from[place]);
            to.fails[place] = self.mask(way, s.fails[before]);
        }
        to.lost_pings = self.links(way, s.lost_pings, true);
        to.cut_links = self.links(way, s.cut_links, true);
        to.messages.clear();
        for item in &s.messages {
            let (a, b) = (way.to[source(item.link)], way.to[target(item.link)]);
            let what = match item.what {
                What::Parked(id) => What::Parked(self.header(contents, id, n)),
                What::Shot(id) => What::Shot(self.shot(contents, id, n)),
                What::Ask(id, of) => What::Ask(self.shot(contents, id, n), of),
                What::Answer(id, of) => What::Answer(self.shot(contents, id, n), of),
            };
            to.push(Item { link: link(a.into(), b.into(), is_reply(item.link)), what, twice: item.twice });
        }
        to
    }

    fn mask(&self, way: &Renaming, mask: u8) -> u8 {
        (0..self.nodes).fold(0, |m, i| m | (mask >> i & 1) << way.to[i])
    }

    fn content(&self, contents: &Contents, id: u32, n: usize) -> u32 {
        let make = |_: &u64| contents.intern(self.ways[n].node(&contents.facts(id).state));
        *self.contents.answer(key(id, n), make)
    }

    fn header(&self, contents: &Contents, id: u32, n: usize) -> u32 {
        let make = |_: &u64| contents.headers.id(self.ways[n].content(contents.headers.get(id)));
        *self.headers.answer(key(id, n), make)
    }

    fn shot(&self, contents: &Contents, id: u32, n: usize) -> u32 {
        let make = |_: &u64| contents.shots.id(self.ways[n].message(contents.shots.get(id)));
        *self.shots.answer(key(id, n), make)
    }
}

fn key(id: u32, n: usize) -> u64 {
    u64::from(id) << 16 | n as u64
}

fn identity() -> [u8; MAX_NODES] {
    core::array::from_fn(|i| i as u8)
}

fn pairs(nodes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..nodes).flat_map(move |a| (0..nodes).map(move |b| (a, b)))
}

/// Every order of some places.
fn orders(places: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in places {
        all = all
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                let rest = places.iter().filter(|p| !order.contains(p)).copied().collect::<Vec<_>>();
                rest.into_iter().map(move |p| [order.as_slice(), &[p]].concat())
            })
            .collect();
    }
    all.into_iter()
}

fn placed(way: &[u8; MAX_NODES], places: &[usize], order: &[usize]) -> [u8; MAX_NODES] {
    let mut way = *way;
    for (&from, &to) in places.iter().zip(order) {
        way[from] = to as u8;
    }
    way
}
