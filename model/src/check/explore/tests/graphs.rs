//! Graphs drawn by hand, each for one answer.

use std::ops::ControlFlow;

use stateright::{Checker, Model};

use super::super::{Claim, Explorer, Outcome, Report, StepKind, Verdict};
use super::{Drawn, Edge, drawn, fair, fault, neither};

/// Every node on the way from the start to the end of the counterexample.
fn nodes(report: &Report<Drawn>, claim: &str) -> Vec<u32> {
    let found = report.counterexample(claim).expect("a violation");
    let steps = found.path.steps.iter().map(|step| step.state);
    [found.path.start].into_iter().chain(steps).collect()
}

/// Whether Stateright's `eventually` claims that the goal is reached on every path.
fn stateright_is_content(graph: &Drawn, goal: fn(&Drawn, &u32) -> bool) -> bool {
    let asked = Drawn { eventually: Some(goal), ..graph.clone() };
    asked.checker().spawn_bfs().join().discovery("goal").is_none()
}

#[test]
fn a_cycle_that_never_reaches_the_goal() {
    let graph = drawn(vec![vec![fair(1)], vec![fair(2)], vec![fair(1)]]);
    assert!(stateright_is_content(&graph, |_, node| *node == 3), "Stateright has learned of cycles");

    let report = Explorer::new(&graph).claim(Claim::settled("goal", |_, node| *node == 3)).run();
    assert_eq!(report.verdict(), Verdict::Violated);
    assert_eq!(nodes(&report, "goal"), [0, 1]);
    let found = report.counterexample("goal").expect("a violation");
    let lasso: Vec<u32> = found.lasso.iter().flat_map(|lasso| &lasso.steps).map(|step| step.state).collect();
    assert_eq!(lasso, [2, 1]);
    assert_eq!(report.bottoms.larger.len(), 1);
    assert_eq!((report.bottoms.larger[0].size, report.bottoms.larger[0].path.end()), (2, &1));
    assert_eq!(
        found.display(&graph).to_string(),
        "   0  start\n      at node 0\n      of 3\n   1  0\n      at node 1\nthen for ever:\n   2  0\n      \
         at node 2\n   3  0\n      at node 1\nwhich is the state after step 1.\n"
    );
}

/// The goal is met on one arm only, and not afterwards. Stateright carries the first arm's success across the
/// join.
#[test]
fn a_diamond_whose_arms_differ() {
    let graph = drawn(vec![vec![fair(1), fair(2)], vec![fair(3)], vec![fair(3)], vec![]]);
    assert!(stateright_is_content(&graph, |_, node| *node == 1), "Stateright has learned of joins");

    let report = Explorer::new(&graph).claim(Claim::settled("goal", |_, node| *node == 1)).run();
    assert_eq!(nodes(&report, "goal"), [0, 1, 3]);

    // With "has met the goal" in the state, 4 is 3 after the other arm, and that arm is shown.
    let graph = drawn(vec![vec![fair(1), fair(2)], vec![fair(3)], vec![fair(4)], vec![], vec![]]);
    let report = Explorer::new(&graph).claim(Claim::settled("goal", |_, node| [1, 3].contains(node))).run();
    assert_eq!(nodes(&report, "goal"), [0, 2, 4]);
    assert!(report.counterexample("goal").is_some_and(|found| found.lasso.is_none()));
}

#[test]
fn a_cycle_with_a_fair_way_out_is_left() {
    let graph = drawn(vec![vec![fair(1)], vec![fair(0), fair(2)], vec![fair(2)]]);
    let goal = || Claim::settled("goal", |_: &Drawn, node: &u32| *node == 2);
    let report = Explorer::new(&graph).claim(goal()).run();
    assert_eq!(report.verdict(), Verdict::Verified);
    assert_eq!((report.bottoms.stuck, report.bottoms.larger.len()), (1, 0), "a self-loop is no cycle");

    // A way out that nobody has to take does not help, be it a fault or a client's.
    for way_out in [fault(2), neither(2)] {
        let graph = drawn(vec![vec![fair(1)], vec![fair(0), way_out], vec![]]);
        let report = Explorer::new(&graph).claim(goal()).run();
        assert_eq!(nodes(&report, "goal"), [0]);
        let lasso = report.counterexample("goal").and_then(|found| found.lasso.as_ref()).expect("a lasso");
        assert!(lasso.steps.iter().all(|step| step.kind == StepKind::Fair));
        assert_eq!((lasso.steps.len(), lasso.end()), (2, &0));
    }
}

/// The component's nearest state is good; the counterexample goes on to the bad one.
#[test]
fn the_lasso_goes_through_the_bad_state() {
    let graph = drawn(vec![vec![fair(1)], vec![fair(2)], vec![fair(3), fair(1)], vec![fair(1)]]);
    let report = Explorer::new(&graph).claim(Claim::settled("goal", |_, node| *node != 3)).run();
    assert_eq!(nodes(&report, "goal"), [0, 1, 2, 3]);
    let lasso = report.counterexample("goal").and_then(|found| found.lasso.as_ref()).expect("a lasso");
    assert_eq!(lasso.start, 3);
    assert_eq!(lasso.steps.iter().map(|step| step.state).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_quiescent_state_that_is_left_is_an_error() {
    let edges = vec![vec![fault(1)], vec![neither(0), fair(1), fair(2)], vec![]];
    let graph = Drawn { quiescent: vec![1, 2], ..drawn(edges) };
    let report = Explorer::new(&graph).run();
    assert_eq!(report.verdict(), Verdict::Violated);
    let path = report.quiescent_not_bottom.expect("an error");
    assert_eq!(path.actions(), [0, 2]);
    assert_eq!(*path.end(), 2);
    assert_eq!(
        path.display(&graph).to_string(),
        "   0  start\n      at node 0\n      of 3\n   1  0  (fault)\n      at node 1\n   2  2\n      at node 2\n"
    );

    let graph = Drawn { quiescent: vec![2], ..graph };
    let report = Explorer::new(&graph).run();
    assert!(report.quiescent_not_bottom.is_none());
    assert_eq!((report.bottoms.quiescent, report.bottoms.stuck), (1, 1));
    assert_eq!(report.bottoms.nearest_stuck.map(|path| path.steps.len()), Some(0));
}

#[test]
fn steps_are_judged_on_edges() {
    // 3 is reached by a good step first, and by a bad one from 2, which is further away.
    let edges = vec![vec![fair(1), fair(2)], vec![fair(3)], vec![neither(2), fair(3)], vec![fair(2)]];
    let graph = drawn(edges);
    let report = Explorer::new(&graph)
        .claim(Claim::each_step("not 2 to 3", |_, from, _, to| (*from, *to) != (2, 3)))
        .claim(Claim::each_step("no self-loop", |_, from, _, to| from != to))
        .claim(Claim::each_step("not 3 to 1", |_, from, _, to| (*from, *to) != (3, 1)))
        .claim(Claim::always("not 3", |_, node| *node != 3))
        .run();
    assert_eq!(nodes(&report, "not 2 to 3"), [0, 2, 3]);
    assert_eq!(nodes(&report, "no self-loop"), [0, 2, 2]);
    assert!(matches!(report.outcome("not 3 to 1"), Some(Outcome::Holds)));
    assert_eq!(nodes(&report, "not 3"), [0, 1, 3]);
    assert_eq!(
        (report.states, report.generated, report.depth),
        (4, 7, 3),
        "explored to the end all the same"
    );
}

#[test]
fn the_run_may_end_at_a_violation() {
    let chain = drawn((1..5_000).map(|next| vec![fair(next)]).chain([vec![]]).collect());
    let claim = || Claim::always("below 3", |_: &Drawn, node: &u32| *node < 3);
    let report = Explorer::new(&chain).claim(claim()).stop_at_violation().run();
    assert_eq!(nodes(&report, "below 3"), [0, 1, 2, 3]);
    assert!(report.states < 10);
    assert_eq!(Vec::from_iter(report.bounds), ["stopped"]);

    let report = Explorer::new(&chain)
        .on_progress(|now| if now.states < 7 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        .run();
    assert_eq!((report.states, report.verdict()), (7, Verdict::CutOff));
    assert_eq!(report.bottoms.unjudged, 1);
}

#[test]
fn a_run_that_hits_a_capacity_is_cut_off() {
    let goal = || Claim::settled("goal", |_: &Drawn, node: &u32| *node == 1);
    // Node 1 would have a further fair step, so it is no bottom to be judged; 2 is.
    let cut = Edge::Cut(StepKind::Fair, "queue");
    let graph = drawn(vec![vec![fair(1), neither(2)], vec![cut.clone()], vec![fair(1)]]);
    let report = Explorer::new(&graph).claim(goal()).run();
    assert_eq!(report.verdict(), Verdict::CutOff);
    assert_eq!(Vec::from_iter(report.bounds), ["queue"]);
    assert_eq!((report.bottoms.unjudged, report.bottoms.stuck), (1, 0));

    // What is violated in spite of it stays violated.
    let graph = drawn(vec![vec![fair(1), neither(2)], vec![cut], vec![]]);
    let report = Explorer::new(&graph).claim(goal()).run();
    assert_eq!(report.verdict(), Verdict::Violated);
    assert_eq!(nodes(&report, "goal"), [0, 2]);

    // A fault that is cut off takes nothing from the fair graph.
    let graph = drawn(vec![vec![Edge::Cut(StepKind::Fault, "epoch"), fair(1)], vec![]]);
    let report = Explorer::new(&graph).claim(goal()).run();
    assert_eq!((report.verdict(), report.bottoms.unjudged), (Verdict::CutOff, 0));

    // The boundary of the model and the explorer's own limit are capacities too.
    let chain = drawn(vec![vec![fair(1)], vec![fair(2)], vec![]]);
    let report = Explorer::new(&Drawn { outside: vec![2], ..chain.clone() }).claim(goal()).run();
    assert_eq!((report.states, report.generated, report.verdict()), (2, 2, Verdict::CutOff));
    assert_eq!(Vec::from_iter(report.bounds), ["within_boundary"]);
    let report = Explorer::new(&chain).max_states(2).run();
    assert_eq!((report.states, report.verdict(), report.bottoms.unjudged), (2, Verdict::CutOff, 1));
    assert_eq!(Vec::from_iter(report.bounds), ["states"]);
}

#[test]
fn a_report_shows_all_of_it() {
    let graph = drawn(vec![vec![fair(1)], vec![fair(2)], vec![fair(1)]]);
    let report = Explorer::new(&graph)
        .claim(Claim::always("below 3", |_, node| *node < 3))
        .claim(Claim::settled("goal", |_, node| *node == 2))
        .run();
    let shown = report.display(&graph).to_string();
    assert!(
        shown.starts_with("Violated: 3 states, 4 generated, depth 3\nbottoms: 0 quiescent, 0 stuck, 1 of")
    );
    assert!(shown.contains("below 3: holds\ngoal: violated\n   0  start\n"));
    assert!(shown.contains("a bottom of 2 states:\n"));
}

#[test]
fn a_model_without_states_is_verified() {
    let report = Explorer::new(&Drawn::default()).claim(Claim::always("never", |_, _| false)).run();
    assert_eq!((report.states, report.depth, report.verdict()), (0, 0, Verdict::Verified));
}

/// Neither a long chain nor a large cycle costs stack.
#[test]
fn depth_is_not_recursion() {
    let length = 300_000;
    let last = |to: Vec<Edge>| drawn((1..length).map(|next| vec![fair(next)]).chain([to]).collect());
    let claim = || Claim::settled("goal", |_: &Drawn, node: &u32| *node != 7);
    let report = Explorer::new(&last(vec![])).claim(claim()).run();
    assert_eq!((report.verdict(), report.bottoms.stuck), (Verdict::Verified, 1));
    let report = Explorer::new(&last(vec![fair(0)])).claim(claim()).run();
    assert_eq!(report.bottoms.larger[0].size, 300_000);
    let found = report.counterexample("goal").expect("a violation");
    assert_eq!(found.path.steps.len(), 7);
    assert_eq!(found.lasso.as_ref().map(|lasso| lasso.steps.len()), Some(300_000));
}
