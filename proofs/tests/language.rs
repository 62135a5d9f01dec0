//! Claim: what the language of scenarios says of budgets and clients is what the world does.

use slotproof_model::check::scenario::Scenario;
use slotproof_proofs::{Explored, explore};

/// A file laid over a built-in scenario, explored.
fn over(like: &str, tail: &str) -> Explored {
    let text = format!("like = \"{like}\"\nname = \"x\"\nabout = \"y\"\n{tail}");
    explore(Scenario::parse(&text).expect("a scenario"))
}

fn states(e: &Explored) -> (usize, usize) {
    (e.report.states, e.report.depth)
}

#[test]
fn a_budget_as_a_number_a_table_and_a_list_is_one() {
    let plain = over("fd-3-cut-out", "d = 0");
    let table =
        over("fd-3-cut-out", "d = 0\n[faults]\ncuts_out = { times = 1, nodes = [\"A\"] }\nnodes = []");
    let list =
        over("fd-3-cut-out", "d = 0\n[faults]\ncuts_out = [{ times = 1, nodes = [\"A\"] }]\nnodes = [\"B\"]");
    assert_eq!(states(&plain), states(&table));
    assert_eq!(states(&plain), states(&list));
}

#[test]
fn budgets_of_one_kind_are_counted_apart() {
    let resets =
        |tail: &str| over("gossip-2-reset", &format!("d = 0\n[faults]\nresets = {tail}")).report.states;
    let there = resets("{ times = 1, links = [\"A -> B\"] }");
    let back = resets("{ times = 1, links = [\"B -> A\"] }");
    let either = resets("{ times = 1, links = [\"A -> B\", \"B -> A\"] }");
    let each = resets("[{ times = 1, links = [\"A -> B\"] }, { times = 1, links = [\"B -> A\"] }]");
    let both = resets("{ times = 2, links = [\"A -> B\", \"B -> A\"] }");
    assert!(there < either && back < either && either < each, "{there} {back} {either} {each}");
    assert!(each != both, "the same connection twice is in the one, not in the other: {each} {both}");
}

#[test]
fn a_connection_breaks_only_where_it_may() {
    let resets = |links: &str| {
        over("gossip-2-reset", &format!("[faults]\nresets = {{ times = 1, links = [{links}] }}"))
    };
    let (there, back) = (resets("\"A -> B\""), resets("\"B -> A\""));
    assert_eq!(there.violated(), ["L2"], "the MEET of A is lost with A's connection");
    assert_eq!(back.violated(), [""; 0], "what B opened to A is none that carries the MEET");
    assert_eq!(states(&resets("\"A -> B\", \"B -> A\"")), states(&over("gossip-2-reset", "")));
}

#[test]
fn only_named_nodes_suspect_early() {
    let early = |tail: &str| over("fd-3-early", &format!("[faults]\nearly_pfail = {tail}"));
    let one = early("{ times = 3, links = [\"A -> C\"] }");
    let two = early("{ times = 2, links = [\"A -> C\", \"B -> C\"] }");
    // One node alone never makes a majority, however often it errs.
    assert!(one.report.states < two.report.states);
    let fails = |e: &Explored| e.world.content_counts().2 > 0;
    assert!(!fails(&one) && fails(&two), "a FAIL is sent where two of three may err, and else not");
}

#[test]
fn a_cut_of_one_direction_is_between_two_nodes() {
    let cut = |what: &str| over("fd-3-crash", &format!("d = 0\n[faults]\ndeaths = 0\nnodes = []\n{what}"));
    let link = cut("link_cuts = { times = 1, links = [\"A -> B\"] }");
    assert!(link.report.complete());
    assert_eq!(link.world.content_counts().2, 0, "nobody sends a FAIL: C hears both");
    assert_eq!(link.violated(), [""; 0]);
    // All that A sends and all that B is sent hold more.
    let out = cut("cuts_out = { times = 1, nodes = [\"A\"] }");
    assert!(link.report.states < out.report.states, "{} {}", link.report.states, out.report.states);
    let anywhere = cut("link_cuts = 1");
    assert!(anywhere.report.states > link.report.states);
}

#[test]
fn a_client_without_limits_is_a_client() {
    let plain = over("migration-h12", "clients = 2");
    let table = over("migration-h12", "clients = 1\n[[client]]\n");
    let same = over(
        "migration-h12",
        "clients = 0\n[[client]]\ncount = 2\ndoes = [\"write\", \"delete\"]\nkeys = [\"k\"]\nat = [\"A\", \"B\"]\nfollows = [\"ask\", \"moved\"]",
    );
    assert_eq!(states(&plain), states(&table));
    assert_eq!(states(&plain), states(&same));
}

#[test]
fn a_client_does_what_its_table_says() {
    let client = |tail: &str| {
        over(
            "migration-h12",
            &format!("clients = 0\n[[client]]\n{tail}\n[expect]\nS6 = \"holds\"\nS7 = \"holds\""),
        )
    };
    // H12 needs a write that follows an ASK.
    assert_eq!(client("at = [\"A\"]").steps("S6"), Some(6));
    assert_eq!(client("follows = [\"moved\"]").violated(), [""; 0]);
    assert_eq!(client("does = [\"delete\"]").violated(), [""; 0]);
    assert_eq!(client("at = [\"B\"]\nfollows = [\"ask\"]").violated(), [""; 0]);
    // B sends it to A, and A to B.
    let sent_on = client("at = [\"B\"]");
    assert_eq!(sent_on.steps("S6"), Some(7));
    assert!(sent_on.transcript("S6").contains("is sent on -> ASK B"), "{}", sent_on.transcript("S6"));
}

#[test]
fn clients_that_differ_are_told_apart() {
    let both = over(
        "migration-h12",
        "clients = 0\n[[client]]\ndoes = [\"write\"]\nat = [\"A\"]\n[[client]]\ndoes = [\"delete\"]\nat = [\"A\"]",
    );
    let alike = over("migration-h12", "clients = 0\n[[client]]\ncount = 2\nat = [\"A\"]");
    assert!(both.report.complete() && alike.report.complete());
    assert_eq!(both.steps("S6"), alike.steps("S6"));
    assert!(both.transcript("S6").contains("client 1 follows its ASK to B: SET k"));
    // What the two may do is one set of node states and labels; who is pending differs.
    assert!(both.report.states > alike.report.states, "{} {}", both.report.states, alike.report.states);
}
