//! Slots that move between Slotproof nodes while the operator dies after any step: the next one finishes, and no key is lost.

mod support;

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;

use slotproof::cluster::{Cluster, Node};
use slotproof::conform::conform;
use slotproof::reshard::{Access, Move, Operator, Step, ranges, reshard};
use slotproof::resp::Value;
use slotproof_model::NodeId;
use support::{key_of, slotproof};

const SLOT: u16 = 4242;
const GO_ON: ControlFlow<()> = ControlFlow::Continue(());

fn name(text: &str) -> io::Result<NodeId> {
    text.parse().map_err(io::Error::other)
}

/// The keys' values at one node.
fn values(node: &Node, keys: &[String]) -> io::Result<BTreeMap<String, Option<String>>> {
    keys.iter().map(|k| Ok((k.clone(), node.ask(&format!("GET {k}"))?.text()))).collect()
}

#[test]
fn an_operator_may_die_after_any_step_and_the_next_one_finishes() -> io::Result<()> {
    let mut cluster = Cluster::start(3, &slotproof(), &[], true)?;
    cluster.form(3)?;
    let ids = cluster.nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    let keys: Vec<String> = (0..3).map(|n| key_of(SLOT, n)).collect();
    let mut owner = 0;
    for key in &keys {
        cluster.nodes[owner].ask(&format!("SET {key} {key}"))?;
    }
    // One key for each MIGRATE: seven steps before the last.
    for deaths in [vec![1], vec![2], vec![3], vec![4], vec![5], vec![6], vec![7], vec![1, 1, 2, 3, 1, 4]] {
        let target = (owner + 1) % 3;
        let planned = Move { slot: SLOT, from: name(&ids[owner])?, to: name(&ids[target])? };
        for (life, &steps) in deaths.iter().enumerate() {
            let mut left = steps;
            let mut stop = |_: &Move, _: Step| {
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { GO_ON }
            };
            let mut operator = Operator::connect(&cluster.nodes[life % 3].address(), &Access::default())?;
            operator.batch = 1;
            let stopped = match life {
                0 => operator.move_slot(&planned, &mut 0, &mut stop)?.is_break(),
                _ => operator.resume(&mut stop)?.stopped,
            };
            assert!(stopped, "death {life} of {deaths:?}");
        }
        let mut operator = Operator::connect(&cluster.nodes[0].address(), &Access::default())?;
        operator.resume(&mut |_, _| GO_ON)?;
        assert_eq!(operator.open_slots()?, [], "after {deaths:?}");
        cluster.wait_settled()?;
        let count = |node: usize| cluster.nodes[node].ask(&format!("CLUSTER COUNTKEYSINSLOT {SLOT}"));
        assert_eq!(count(owner)?, Value::Int(0), "after {deaths:?}");
        assert_eq!(count(target)?, Value::Int(3), "after {deaths:?}");
        let expected: BTreeMap<_, _> = keys.iter().map(|k| (k.clone(), Some(k.clone()))).collect();
        assert_eq!(values(&cluster.nodes[target], &keys)?, expected, "after {deaths:?}");
        owner = target;
    }
    for node in &mut cluster.nodes {
        node.terminate()?;
    }
    let report = conform(&cluster.traces()?).map_err(|d| io::Error::other(d.to_string()))?;
    assert_eq!(report.violations, Vec::<String>::new());
    Ok(())
}

#[test]
fn what_cannot_be_finished_is_said() -> io::Result<()> {
    let cluster = Cluster::start(3, &slotproof(), &[], false)?;
    cluster.form(3)?;
    let ids = cluster.nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    let entry = cluster.nodes[0].address();
    let failure = |from, to| reshard(&entry, from, to, &[SLOT], |_, _| {}).unwrap_err().to_string();
    assert_eq!(failure(None, "nobody"), "nobody is no master that can be reached");
    // An import from a node that never had the slot, left by somebody: refused, and taken back.
    cluster.nodes[1].ask(&format!("CLUSTER SETSLOT {SLOT} IMPORTING {}", ids[2]))?;
    let text = failure(None, &ids[1]);
    assert_eq!(text, format!("moving slot {SLOT}: {} does not own it, nor does {}", ids[2], ids[1]));
    let mut operator = Operator::connect(&entry, &Access::default())?;
    assert_eq!(operator.open_slots()?, []);
    // Two masters that see two ways for one slot.
    cluster.nodes[0].ask(&format!("CLUSTER SETSLOT {SLOT} MIGRATING {}", ids[1]))?;
    cluster.nodes[2].ask(&format!("CLUSTER SETSLOT {SLOT} IMPORTING {}", ids[0]))?;
    assert_eq!(failure(None, &ids[1]), format!("slot {SLOT} is open in more than one way"));
    Ok(())
}

#[test]
fn a_copy_that_a_lost_answer_left_behind_is_replaced() -> io::Result<()> {
    let cluster = Cluster::start(3, &slotproof(), &[], false)?;
    cluster.form(3)?;
    let (from, to) = (cluster.nodes[0].id()?, cluster.nodes[1].id()?);
    let (key, port) = (key_of(SLOT, 0), cluster.nodes[1].port);
    cluster.nodes[0].ask(&format!("SET {key} old"))?;
    cluster.nodes[1].ask(&format!("CLUSTER SETSLOT {SLOT} IMPORTING {from}"))?;
    cluster.nodes[0].ask(&format!("CLUSTER SETSLOT {SLOT} MIGRATING {to}"))?;
    cluster.nodes[0].ask(&format!("MIGRATE 127.0.0.1 {port} {key} 0 5000 COPY"))?;
    cluster.nodes[0].ask(&format!("SET {key} new"))?;
    // Who may not destroy anything says what there is, and leaves both.
    let mut operator = Operator::connect(&cluster.nodes[2].address(), &Access::default())?;
    let text = operator.resume(&mut |_, _| GO_ON).unwrap_err().to_string();
    for part in
        ["holds a string of 3 bytes (\"new\")", "holds a string of 3 bytes (\"old\")", "Nothing was replaced"]
    {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert_eq!(values(&cluster.nodes[0], std::slice::from_ref(&key))?[&key].as_deref(), Some("new"));
    let moved = reshard(&cluster.nodes[2].address(), None, &to, &[], |_, _| {})?;
    assert_eq!((moved.resumed, moved.slots, moved.keys), (1, 0, 1));
    cluster.wait_settled()?;
    assert_eq!(cluster.nodes[1].ask(&format!("GET {key}"))?.text().as_deref(), Some("new"));
    Ok(())
}

#[test]
fn ranges_are_read() {
    assert_eq!(ranges("0-2,16383"), Some(vec![0, 1, 2, 16383]));
    for wrong in ["", "3-2", "16384", "1-", "a", "1,,2"] {
        assert_eq!(ranges(wrong), None, "{wrong:?}");
    }
}

#[test]
fn a_copy_that_is_equal_is_replaced_without_leave() -> io::Result<()> {
    let cluster = Cluster::start(3, &slotproof(), &[], false)?;
    cluster.form(3)?;
    let (from, to) = (cluster.nodes[0].id()?, cluster.nodes[1].id()?);
    let keys: Vec<String> = (0..3).map(|n| key_of(SLOT, n)).collect();
    for key in &keys {
        cluster.nodes[0].ask(&format!("SET {key} {key}"))?;
    }
    cluster.nodes[1].ask(&format!("CLUSTER SETSLOT {SLOT} IMPORTING {from}"))?;
    cluster.nodes[0].ask(&format!("CLUSTER SETSLOT {SLOT} MIGRATING {to}"))?;
    let port = cluster.nodes[1].port;
    cluster.nodes[0].ask(&format!("MIGRATE 127.0.0.1 {port} {} 0 5000 COPY", keys[1]))?;
    let mut operator = Operator::connect(&cluster.nodes[2].address(), &Access::default())?;
    let mut copies = Vec::new();
    let mut told = |_: &Move, step| {
        if let Step::Copies(..) = step {
            copies.push(step);
        }
        GO_ON
    };
    let moved = operator.resume(&mut told)?;
    assert_eq!((moved.resumed, moved.keys, copies), (1, 3, vec![Step::Copies(1, Vec::new())]));
    let expected: BTreeMap<_, _> = keys.iter().map(|k| (k.clone(), Some(k.clone()))).collect();
    assert_eq!(values(&cluster.nodes[1], &keys)?, expected);
    Ok(())
}
