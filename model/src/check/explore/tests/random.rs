//! Random graphs against a naive reference: distances by relaxation, bottoms by transitive closure.

use std::sync::Arc;

use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::super::{Claim, Counterexample, Explorer, Path, Report, StepKind, spawn_bfs_counts};
use super::{Drawn, Edge};

/// A graph of a few nodes, and which nodes and edges are bad.
#[derive(Clone, Debug)]
struct Case {
    graph: Drawn,
    bad: Vec<u32>,
    bad_edge: (u32, u32),
}

impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Self {
        let nodes = u32::arbitrary(g) % 12 + 1;
        let fair_only = bool::arbitrary(g);
        let degree = usize::arbitrary(g) % 3 + 1;
        let edges = (0..nodes)
            .map(|_| (0..usize::arbitrary(g) % (degree + 1)).map(|_| edge(g, nodes, fair_only)).collect())
            .collect();
        let some = |g: &mut Gen| (0..nodes).filter(|_| u8::arbitrary(g) % 4 == 0).collect::<Vec<_>>();
        let starts = (0..u32::arbitrary(g) % 2 + 1).map(|_| u32::arbitrary(g) % nodes).collect();
        let (quiescent, outside, bad) = (some(g), some(g), some(g));
        let outside = if bool::arbitrary(g) { outside } else { Vec::new() };
        Case {
            graph: Drawn { starts, edges, quiescent, outside, eventually: None },
            bad,
            bad_edge: (u32::arbitrary(g) % nodes, u32::arbitrary(g) % nodes),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let case = self.clone();
        let places = self.graph.edges.iter().enumerate();
        let places: Vec<_> =
            places.flat_map(|(node, edges)| (0..edges.len()).map(move |edge| (node, edge))).collect();
        Box::new(places.into_iter().map(move |(node, edge)| {
            let mut smaller = case.clone();
            smaller.graph.edges[node].remove(edge);
            smaller
        }))
    }
}

fn edge(g: &mut Gen, nodes: u32, fair_only: bool) -> Edge {
    let kinds = [StepKind::Fair, StepKind::Fair, StepKind::Fault, StepKind::Neither];
    let kind = if fair_only { StepKind::Fair } else { kinds[usize::arbitrary(g) % 4] };
    match u8::arbitrary(g) % 16 {
        0 => Edge::Cut(kind, "capacity"),
        _ => Edge::To(kind, u32::arbitrary(g) % nodes),
    }
}

/// What the report must say, computed in the plainest way.
struct Reference {
    distance: Vec<Option<usize>>,
    /// Whether one node reaches another by fair edges, itself by none.
    fair_reach: Vec<Vec<bool>>,
    open: Vec<bool>,
}

impl Reference {
    fn new(graph: &Drawn) -> Self {
        let nodes = graph.edges.len();
        let inside = |node: u32| !graph.outside.contains(&node);
        let mut distance = vec![None; nodes];
        for &start in graph.starts.iter().filter(|&&start| inside(start)) {
            distance[start as usize] = Some(0);
        }
        let mut fair_reach: Vec<Vec<bool>> =
            (0..nodes).map(|from| (0..nodes).map(|to| from == to).collect()).collect();
        let mut open = vec![false; nodes];
        for (from, edge) in all_edges(graph) {
            match *edge {
                Edge::Cut(kind, _) => open[from] |= kind == StepKind::Fair,
                Edge::To(StepKind::Fair, to) if !inside(to) => open[from] = true,
                Edge::To(StepKind::Fair, to) => fair_reach[from][to as usize] = true,
                Edge::To(..) => {}
            }
        }
        for _ in 0..nodes {
            for (from, edge) in all_edges(graph) {
                if let (Edge::To(_, to), Some(so_far)) = (edge, distance[from])
                    && inside(*to)
                {
                    let old = &mut distance[*to as usize];
                    *old = Some(old.map_or(so_far + 1, |old: usize| old.min(so_far + 1)));
                }
            }
        }
        for via in 0..nodes {
            for from in 0..nodes {
                for to in 0..nodes {
                    fair_reach[from][to] |= fair_reach[from][via] && fair_reach[via][to];
                }
            }
        }
        Reference { distance, fair_reach, open }
    }

    fn component(&self, node: usize) -> Vec<usize> {
        (0..self.distance.len())
            .filter(|&other| self.fair_reach[node][other] && self.fair_reach[other][node])
            .collect()
    }

    /// Whether the node is reached, lies in a bottom, and the bottom can be judged.
    fn in_judged_bottom(&self, node: usize) -> bool {
        let closed = (0..self.distance.len())
            .all(|other| !self.fair_reach[node][other] || self.fair_reach[other][node]);
        self.distance[node].is_some()
            && closed
            && self.component(node).iter().all(|&member| !self.open[member])
    }

    fn reached(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.distance.len()).filter(|&node| self.distance[node].is_some())
    }
}

fn all_edges(graph: &Drawn) -> impl Iterator<Item = (usize, &Edge)> {
    graph.edges.iter().enumerate().flat_map(|(from, edges)| edges.iter().map(move |edge| (from, edge)))
}

fn length(found: Option<&Counterexample<Drawn>>) -> Option<usize> {
    found.map(|found| found.path.steps.len())
}

/// Asserts that the path is one of the graph.
fn check_path(graph: &Drawn, path: &Path<Drawn>) {
    let mut at = path.start;
    for step in &path.steps {
        assert_eq!(graph.edges[at as usize][step.action], Edge::To(step.kind, step.state));
        assert!(!graph.outside.contains(&step.state));
        at = step.state;
    }
}

fn agrees(case: Case) -> bool {
    let (bad, bad_settled, bad_edge) = (case.bad.clone(), case.bad.clone(), case.bad_edge);
    let report = Explorer::new(&case.graph)
        .claim(Claim::always("state", move |_, node| !bad.contains(node)))
        .claim(Claim::each_step("step", move |_, from, _, to| (*from, *to) != bad_edge))
        .claim(Claim::settled("settled", move |_, node| !bad_settled.contains(node)))
        .run();
    let reference = Reference::new(&case.graph);
    check_counts(&case, &reference, &report);
    check_shortest(&case, &reference, &report);
    check_bottoms(&case, &reference, &report);
    true
}

fn check_counts(case: &Case, reference: &Reference, report: &Report<Drawn>) {
    let inside = |node: &u32| !case.graph.outside.contains(node);
    assert_eq!(report.states, reference.reached().count());
    let steps = all_edges(&case.graph).filter(|(from, edge)| {
        reference.distance[*from].is_some() && matches!(edge, Edge::To(_, to) if inside(to))
    });
    let starts = case.graph.starts.iter().filter(|start| inside(start)).count();
    assert_eq!(report.generated as usize, starts + steps.count());
    let deepest = reference.distance.iter().flatten().max();
    assert_eq!(report.depth, deepest.map_or(0, |deepest| deepest + 1));
    let cut = all_edges(&case.graph).any(|(from, edge)| {
        reference.distance[from].is_some() && !matches!(edge, Edge::To(_, to) if inside(to))
    });
    assert_eq!(report.complete(), !cut);
}

fn check_shortest(case: &Case, reference: &Reference, report: &Report<Drawn>) {
    let nearest =
        |nodes: &mut dyn Iterator<Item = usize>| nodes.filter_map(|node| reference.distance[node]).min();
    let bad = |node: &usize| case.bad.contains(&(*node as u32));
    let state = report.counterexample("state");
    assert_eq!(length(state), nearest(&mut reference.reached().filter(bad)));

    let inside = |node: &u32| !case.graph.outside.contains(node);
    let steps = all_edges(&case.graph).filter(
        |(from, edge)| matches!(edge, Edge::To(_, to) if inside(to) && (*from as u32, *to) == case.bad_edge),
    );
    let step = report.counterexample("step");
    assert_eq!(length(step), nearest(&mut steps.map(|(from, _)| from)).map(|distance| distance + 1));

    let mut settled_nodes = reference.reached().filter(bad).filter(|&node| reference.in_judged_bottom(node));
    let settled = report.counterexample("settled");
    assert_eq!(length(settled), nearest(&mut settled_nodes));

    let left = all_edges(&case.graph).filter(|(from, edge)| {
        case.graph.quiescent.contains(&(*from as u32))
            && matches!(edge, Edge::To(StepKind::Fair, to) if inside(to) && *to as usize != *from)
    });
    let not_bottom = report.quiescent_not_bottom.as_ref();
    let expected = nearest(&mut left.map(|(from, _)| from)).map(|distance| distance + 1);
    assert_eq!(not_bottom.map(|path| path.steps.len()), expected);

    let found = [state, step, settled];
    for path in found.into_iter().flatten().map(|found| &found.path).chain(not_bottom) {
        assert!(case.graph.starts.contains(&path.start));
        check_path(&case.graph, path);
    }
    if let Some(found) = settled {
        check_lasso(case, reference, found);
    }
}

/// The lasso goes round through the bad state by fair steps, and no shorter way round exists.
fn check_lasso(case: &Case, reference: &Reference, found: &Counterexample<Drawn>) {
    let end = *found.path.end();
    let component = reference.component(end as usize);
    assert_eq!(found.lasso.is_some(), component.len() > 1);
    let Some(lasso) = &found.lasso else { return };
    check_path(&case.graph, lasso);
    assert_eq!((lasso.start, *lasso.end()), (end, end));
    assert!(lasso.steps.iter().all(|step| step.kind == StepKind::Fair));
    let mut reached = vec![end];
    for _ in 1..lasso.steps.len() {
        reached = all_edges(&case.graph)
            .filter_map(|(from, edge)| match edge {
                Edge::To(StepKind::Fair, to) if reached.contains(&(from as u32)) && *to as usize != from => {
                    Some(*to)
                }
                _ => None,
            })
            .collect();
        assert!(!reached.contains(&end), "there is a shorter way round");
    }
}

fn check_bottoms(case: &Case, reference: &Reference, report: &Report<Drawn>) {
    let bottoms: Vec<usize> = reference.reached().filter(|&node| reference.in_judged_bottom(node)).collect();
    let (single, several): (Vec<usize>, Vec<usize>) =
        bottoms.iter().partition(|&&node| reference.component(node).len() == 1);
    let quiescent = single.iter().filter(|&&node| case.graph.quiescent.contains(&(node as u32))).count();
    assert_eq!((report.bottoms.quiescent, report.bottoms.stuck), (quiescent, single.len() - quiescent));
    assert_eq!(report.bottoms.larger.iter().map(|bottom| bottom.size).sum::<usize>(), several.len());
    assert_eq!(report.bottoms.larger_left_out, 0);
    for bottom in &report.bottoms.larger {
        let component = reference.component(*bottom.path.end() as usize);
        assert_eq!(bottom.size, component.len());
        let nearest = component.iter().filter_map(|&node| reference.distance[node]).min();
        assert_eq!(Some(bottom.path.steps.len()), nearest);
    }
}

#[test]
fn random_graphs_agree_with_a_naive_reference() {
    QuickCheck::new().tests(20_000).max_tests(20_000).quickcheck(agrees as fn(Case) -> bool);
}

/// (Stateright counts an initial state that is listed twice, and its steps, twice.)
#[test]
fn random_graphs_have_the_counts_of_stateright() {
    fn agrees(case: Case) -> bool {
        let mut graph = case.graph;
        graph.starts.dedup();
        let report = Explorer::new(&graph).run();
        let counts = spawn_bfs_counts(Arc::new(graph), 1);
        (counts.states, counts.generated as u64, counts.depth)
            == (report.states, report.generated, report.depth)
    }
    QuickCheck::new().tests(1_000).max_tests(1_000).quickcheck(agrees as fn(Case) -> bool);
}
