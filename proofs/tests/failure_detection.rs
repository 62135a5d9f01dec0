//! Claim: who is dead ends as FAIL wherever a majority is left, a minority goes to the state fail, and who only slept, was cut off or was suspected ends
//! as healthy (that last one is L6, in the ledger).

use slotproof_model::NodeState;
use slotproof_model::check::explore::{Claim, Explorer};
use slotproof_model::check::world::{World, WorldState};
use slotproof_proofs::built_in;

/// The nodes that run and those that are down, by position.
fn lives(w: &World, s: &WorldState) -> (Vec<usize>, Vec<usize>) {
    (0..w.scenario().nodes.len()).partition(|&n| w.is_up(s, n))
}

fn state(w: &World, s: &WorldState, node: usize) -> std::sync::Arc<NodeState> {
    std::sync::Arc::clone(&w.node_states(s)[node].0)
}

/// Explores a world and asks something of the end.
fn in_the_end(name: &str, what: &str, claim: fn(&World, &WorldState) -> bool) -> bool {
    let world = World::new(built_in(name)).expect("a world");
    let report = Explorer::new(&world).claim(Claim::settled(what, claim)).run();
    assert!(report.complete(), "{name}: explored to the end");
    assert_eq!((report.bottoms.stuck, report.bottoms.unjudged), (0, 0), "{name}");
    report.counterexample(what).is_none()
}

/// Whoever is down is FAIL for all that run, if they are a majority.
fn the_dead_are_fail(w: &World, s: &WorldState) -> bool {
    let (up, down) = lives(w, s);
    let majority = up.len() > w.scenario().nodes.len() / 2;
    !majority
        || up.iter().all(|&n| {
            let node = state(w, s, n);
            down.iter().all(|&d| {
                let id = state(w, s, d).me();
                node.peer(&id).is_some_and(slotproof_model::Peer::is_fail)
            })
        })
}

/// Without a majority all that run are in the state fail.
fn a_minority_is_in_state_fail(w: &World, s: &WorldState) -> bool {
    let (up, _) = lives(w, s);
    let majority = up.len() > w.scenario().nodes.len() / 2;
    majority || up.iter().all(|&n| !state(w, s, n).state_ok())
}

fn nobody_is_fail(w: &World, s: &WorldState) -> bool {
    lives(w, s).0.iter().all(|&n| state(w, s, n).peers().iter().all(|p| !p.is_fail()))
}

#[test]
fn the_dead_end_as_fail() {
    for name in ["fd-3-crash", "fd-3-2-deaths", "fd-3-death-cut", "fd-3-death-cut-in", "fd-5-crash"] {
        assert!(in_the_end(name, "the dead are FAIL", the_dead_are_fail), "{name}");
    }
}

#[test]
#[ignore = "takes minutes"]
fn the_dead_end_as_fail_in_larger_worlds() {
    for name in ["fd-5-2-crashes", "fd-3-crash-pause"] {
        assert!(in_the_end(name, "the dead are FAIL", the_dead_are_fail), "{name}");
    }
}

#[test]
fn a_minority_ends_in_state_fail() {
    let majority = |w: &World, s: &WorldState| lives(w, s).0.len() > w.scenario().nodes.len() / 2;
    assert!(!in_the_end("fd-3-2-deaths", "a majority is left", majority), "a minority there is");
    for name in ["fd-3-2-deaths", "fd-5-minority"] {
        assert!(in_the_end(name, "state fail", a_minority_is_in_state_fail), "{name}");
    }
}

/// Of two that are dead at once, the third marks none FAIL; of two that die one after the other, it may have marked the first with the second's help.
#[test]
fn alone_nobody_is_marked_fail() {
    assert!(in_the_end("fd-5-minority", "nobody is FAIL", nobody_is_fail));
    let alone_with_two_fails = |w: &World, s: &WorldState| {
        let (up, _) = lives(w, s);
        up.iter().all(|&n| state(w, s, n).peers().iter().filter(|p| p.is_fail()).count() < 2)
    };
    assert!(in_the_end("fd-3-2-deaths", "at most one FAIL", alone_with_two_fails));
}

/// The questions can be answered with no.
#[test]
fn what_is_asked_can_fail() {
    assert!(!in_the_end("fd-3-crash", "nobody is FAIL", nobody_is_fail));
    let all_is_ok = |w: &World, s: &WorldState| lives(w, s).0.iter().all(|&n| state(w, s, n).state_ok());
    assert!(!in_the_end("fd-3-2-deaths", "all is ok", all_is_ok));
}
