//! `slotproof cluster create` and `add-node`, stopped after any step: the next run detects it, explains it, and finishes it.

mod support;

use std::fmt;
use std::io;

use slotproof::cluster::{Cluster, Node};
use slotproof::manager::{Console, Create, Progress, create};
use slotproof::reshard::Access;
use support::{Kinds, checked, done, mixed, operate, ours, refused, says, slotproof, started, theirs};

/// Somebody who stops the work after so many steps, and remembers what was said.
struct Stopping {
    steps: usize,
    said: String,
}

impl Console for Stopping {
    fn say(&mut self, text: fmt::Arguments<'_>) {
        self.said += &format!("{text}\n");
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        unreachable!("{question}")
    }

    fn progress(&mut self, _: &Progress<'_>) {}

    fn stopped(&mut self) -> bool {
        self.steps = self.steps.saturating_sub(1);
        self.steps == 0
    }
}

fn addresses(cluster: &Cluster) -> Vec<String> {
    cluster.nodes.iter().map(Node::address).collect()
}

/// Runs `create` until it is stopped at the `steps`-th time that it asks; whether it was.
fn stop_create(nodes: &[String], replicas: usize, steps: usize) -> io::Result<bool> {
    let mut console = Stopping { steps, said: String::new() };
    let wanted = Create { nodes: nodes.to_vec(), replicas, yes: true };
    match create(&mut console, &wanted, &Access::default()) {
        Ok(()) => Ok(false),
        Err(e) => {
            assert_eq!(e.kind(), io::ErrorKind::Interrupted, "{e}\n{}", console.said);
            assert!(e.to_string().contains("To go on: the same command again"), "{e}");
            Ok(true)
        }
    }
}

/// Each node alone and empty again.
fn reset(cluster: &Cluster) -> io::Result<()> {
    for node in &cluster.nodes {
        node.ask("CLUSTER RESET HARD")?;
    }
    cluster.wait("each is alone", |c| c.all(|node| Ok(node.view()?.len() == 1)))
}

/// Before anything, after ADDSLOTS and SET-CONFIG-EPOCH at each of three nodes, after two times MEET, and in the first look at who knows whom.
const STEPS: usize = 1 + 3 + 3 + 2 + 1;

fn finished_by_the_same_command(kinds: &Kinds, after: impl Iterator<Item = usize>) -> io::Result<()> {
    let cluster = started(kinds)?;
    let nodes = addresses(&cluster);
    let words = ["create", &nodes[0], &nodes[1], &nodes[2], "--yes"];
    for steps in after {
        assert!(stop_create(&nodes, 0, steps)?, "{steps} steps were too many");
        let out = done(&words)?;
        if (2..STEPS).contains(&steps) {
            let begun = (steps - 1).min(3);
            says(&out, &[&format!(">>> {begun} of these nodes are part of this configuration already")]);
        }
        checked(&cluster, 0)?;
        let mut epochs: Vec<u64> = cluster.nodes[0].view()?.iter().map(|n| n.epoch).collect();
        epochs.sort_unstable();
        assert_eq!(epochs, [1, 2, 3], "after {steps} steps");
        reset(&cluster)?;
    }
    Ok(())
}

#[test]
fn a_create_stopped_at_any_step_is_finished_by_the_same_command() -> io::Result<()> {
    finished_by_the_same_command(&ours(), 1..=STEPS)
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn a_create_of_redis_that_was_stopped_is_finished_by_the_same_command() -> io::Result<()> {
    finished_by_the_same_command(&theirs(), [2, 6, STEPS - 2].into_iter())?;
    finished_by_the_same_command(&mixed(), [3, STEPS - 1].into_iter())
}

#[test]
fn a_create_with_replicas_is_finished() -> io::Result<()> {
    let cluster = Cluster::start(6, &slotproof(), &[], false)?;
    let nodes = addresses(&cluster);
    // After the second of five MEETs; then with one that is to replicate still.
    assert!(stop_create(&nodes, 1, 1 + 3 + 6 + 2)?);
    let words: Vec<&str> =
        ["create", "--replicas", "1", "--yes"].into_iter().chain(nodes.iter().map(String::as_str)).collect();
    done(&words)?;
    let replica = &cluster.nodes[4];
    replica.ask("CLUSTER RESET SOFT")?;
    let out = done(&words)?;
    says(&out, &[">>> 5 of these nodes are part of this configuration already"]);
    let master = cluster.nodes[1].id()?;
    assert!(replica.view()?.iter().any(|n| n.flags.contains("myself") && n.master == master));
    checked(&cluster, 0)
}

#[test]
fn what_another_run_left_is_not_taken_for_this_one_s() -> io::Result<()> {
    let mut cluster = started(&ours())?;
    let nodes = addresses(&cluster);
    assert!(stop_create(&nodes, 0, 1 + 3)?);
    // Nobody but the same command can finish it: to give one of them all slots would make clusters that exclude each other.
    let explained = "as an interrupted create leaves it";
    refused(&["check", &nodes[1]], explained);
    refused(&["check", &nodes[1]], "1 of 3 masters have their slots");
    let out = refused(&["fix", &nodes[1], "--yes"], explained);
    assert!(out.text().contains("CLUSTER ADDSLOTSRANGE"), "{}", out.text());
    // The same of two that have met.
    cluster.nodes[1].ask(&format!("CLUSTER MEET 127.0.0.1 {}", cluster.nodes[0].port))?;
    cluster.wait("two know each other", |c| {
        Ok(c.nodes[0].owners()?.len() == 2 && c.nodes[1].owners()?.len() == 2)
    })?;
    refused(&["fix", &nodes[0], "--yes"], "2 of 3 masters have their slots");
    // In another order each would have other slots.
    let other = ["create", &nodes[1], &nodes[0], &nodes[2], "--yes"];
    let out = refused(&other, &format!("[ERR] Node {} is not empty.", nodes[1]));
    assert!(
        out.text().contains("Nor is it what an interrupted run of this command leaves"),
        "{}",
        out.text()
    );
    // One more makes other shares.
    cluster.add(&slotproof())?;
    let fourth = cluster.nodes[3].address();
    refused(&["create", &nodes[0], &nodes[1], &nodes[2], &fourth, "--yes"], "is not empty.");
    done(&["create", &nodes[0], &nodes[1], &nodes[2], "--yes"])?;
    // What is whole is left as it is; what has keys, or knows others, is no matter of create.
    let whole = operate(&["create", &nodes[0], &nodes[1], &nodes[2]], "yes\n")?.success()?;
    says(&whole, &[">>> 3 of these nodes are part of this configuration already"]);
    done(&["add-node", &fourth, &nodes[0]])?;
    refused(&["create", &nodes[0], &nodes[1], &nodes[2], "--yes"], "is not empty.");
    done(&["del-node", &nodes[0], &cluster.nodes[3].id()?])?;
    let key = support::key_of(0, 0);
    cluster.nodes[0].ask(&format!("SET {key} v"))?;
    refused(&["create", &nodes[0], &nodes[1], &nodes[2], "--yes"], "is not empty.");
    Ok(())
}

#[test]
fn a_node_that_was_added_is_not_added_again() -> io::Result<()> {
    let mut cluster = started(&ours())?;
    let nodes = addresses(&cluster);
    done(&["create", &nodes[0], &nodes[1], &nodes[2], "--yes"])?;
    cluster.add(&slotproof())?;
    let fourth = cluster.nodes[3].address();
    // Stopped behind MEET.
    cluster.nodes[3].ask(&format!("CLUSTER MEET 127.0.0.1 {}", cluster.nodes[0].port))?;
    cluster.wait("all know it", |c| c.all(|node| Ok(node.view()?.len() == 4)))?;
    says(&done(&["add-node", &fourth, &nodes[1]])?, &["[OK] Nothing was left to do."]);
    checked(&cluster, 0)?;
    // Stopped ahead of REPLICATE.
    let out = done(&["add-node", &fourth, &nodes[1], "--slave"])?;
    says(
        &out,
        &[&format!(">>> {fourth} is part of this cluster already."), ">>> Configure node as replica of"],
    );
    cluster.wait("it is a replica", |c| {
        Ok(c.nodes[0].view()?.iter().any(|n| n.address.starts_with(&fourth) && n.flags.contains("slave")))
    })?;
    let out = done(&["add-node", &fourth, &nodes[1], "--slave"])?;
    says(&out, &["[OK] Nothing was left to do."]);
    let replica = cluster.nodes[3].view()?.into_iter().find(|n| n.flags.contains("myself"));
    let master = replica.map(|n| n.master).unwrap_or_default();
    let ids = cluster.nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    let other = ids[..3].iter().find(|id| **id != master).expect("there are three");
    let words = ["add-node", &fourth, &nodes[1], "--slave", "--master-id", other];
    refused(&words, "is part of this cluster already, as a replica of");
    Ok(())
}
