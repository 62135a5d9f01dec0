//! Real nodes under `Rules::hardened()`, alone and beside nodes with the rules of redis 7.0: slots that go on before gossip knows of the last move
//! stay where they were brought, with their keys, and what the nodes did is what the model does.

mod support;

use std::io;

use slotproof::cluster::{Cluster, Node, Program};
use slotproof::conform::{Report, conform};
use slotproof::resp::Value;
use support::gate::Gate;
use support::{key_of, slotproof};

const SLOT: u16 = 77;
const OTHER: u16 = 6000;
const KEYS: usize = 20;

/// Makes a node the owner of a slot, as far as the first so many commands of the recommended order do.
fn move_slot(
    cluster: &Cluster,
    ids: &[String],
    slot: u16,
    (from, to): (usize, usize),
    told: usize,
) -> io::Result<()> {
    let (source, target) = (&cluster.nodes[from], &cluster.nodes[to]);
    target.ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[from]))?;
    source.ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", ids[to]))?;
    let (port, keys) = (target.port.to_string(), (0..KEYS).map(|n| key(slot, n)).collect::<Vec<_>>());
    let words = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
    let words: Vec<&str> = words.into_iter().chain(keys.iter().map(String::as_str)).collect();
    source.connect()?.ask(&words)?;
    for node in [target, source, &cluster.nodes[3 - from - to]].into_iter().take(told) {
        node.ask(&format!("CLUSTER SETSLOT {slot} NODE {}", ids[to]))?;
    }
    Ok(())
}

fn fill(cluster: &Cluster) -> io::Result<Vec<String>> {
    cluster.form(3)?;
    for (slot, home) in [(SLOT, 0), (OTHER, 1)] {
        for n in 0..KEYS {
            cluster.nodes[home].ask(&format!("SET {} v{n}", key(slot, n)))?;
        }
    }
    cluster.nodes.iter().map(Node::id).collect()
}

/// Ends the nodes and replays what they did.
fn replayed(mut cluster: Cluster) -> io::Result<Report> {
    for node in &mut cluster.nodes {
        assert!(node.terminate()?.success());
    }
    conform(&cluster.traces()?).map_err(|d| io::Error::other(d.to_string()))
}

fn key(slot: u16, n: usize) -> String {
    format!("{{{}}}:{n}", key_of(slot, 0))
}

/// All agree that these own those slots, and have the keys.
fn at_home(cluster: &Cluster, homes: [(u16, usize); 2]) -> io::Result<()> {
    cluster.wait_settled()?;
    for (slot, home) in homes {
        for n in 0..KEYS {
            let found = cluster.nodes[home].ask(&format!("GET {}", key(slot, n)))?;
            assert_eq!(found.text(), Some(format!("v{n}")), "key {n} of slot {slot} at node {home}");
        }
    }
    Ok(())
}

fn started(program: &Program, rules: Option<&str>) -> io::Result<Cluster> {
    let mut options = vec!["--cluster-node-timeout", "5000"];
    options.extend(rules.iter().flat_map(|name| ["--cluster-rules", name]));
    Cluster::start(3, program, &options, rules.is_some())
}

#[test]
fn slots_go_on_at_once_between_hardened_nodes() -> io::Result<()> {
    let cluster = started(&slotproof(), Some("hardened"))?;
    let shown = cluster.nodes[0].ask("CONFIG GET cluster-rules")?;
    assert_eq!(shown, Value::Array(["cluster-rules", "hardened"].map(|s| Value::Bulk(s.into())).to_vec()));
    let ids = fill(&cluster)?;
    // To and fro, and round in a ring with one slot on the heels of the other.
    for _ in 0..5 {
        for way in [(0, 1), (1, 0)] {
            move_slot(&cluster, &ids, SLOT, way, 3)?;
        }
    }
    at_home(&cluster, [(SLOT, 0), (OTHER, 1)])?;
    for turn in 0..6 {
        let (first, second) = (turn % 3, (turn + 1) % 3);
        move_slot(&cluster, &ids, SLOT, (first, second), 3)?;
        move_slot(&cluster, &ids, OTHER, (second, (turn + 2) % 3), 3)?;
    }
    at_home(&cluster, [(SLOT, 0), (OTHER, 1)])?;
    assert_eq!(replayed(cluster)?.violations, Vec::<String>::new());
    Ok(())
}

/// The world `migration-ring` between real nodes: what the middle node says on the bus is held up, so that it gives a slot to the third at an epoch
/// that this one has not heard of. The keys of the slot that the third has in the end, and the replay if there are rules to replay by.
fn ring(program: &Program, rules: Option<&str>) -> io::Result<(i64, Option<Report>)> {
    let cluster = started(program, rules)?;
    let gates =
        cluster.nodes.iter().map(|n| Gate::before(n.port + 10_000)).collect::<io::Result<Vec<_>>>()?;
    for (node, gate) in cluster.nodes.iter().zip(&gates) {
        node.ask(&format!("CONFIG SET cluster-announce-bus-port {}", gate.port))?;
    }
    let ids = fill(&cluster)?;
    let by_gates = |n: &Node| {
        let text = n.ask("CLUSTER NODES")?.text().unwrap_or_default();
        let links = n.ask("CLUSTER LINKS")?;
        let linked = matches!(links, Value::Array(links) if links.len() == 4);
        Ok(linked && gates.iter().all(|gate| text.contains(&format!("@{}", gate.port))))
    };
    cluster.wait("all are reached through their gates", |c| c.all(by_gates))?;
    gates.iter().for_each(|gate| gate.hold(true));
    move_slot(&cluster, &ids, SLOT, (0, 1), 2)?;
    move_slot(&cluster, &ids, OTHER, (1, 2), 1)?;
    gates.iter().for_each(|gate| gate.hold(false));
    cluster.wait("the third has heard of the epoch of the second, which is 4", |c| {
        Ok(c.nodes[2].view()?.iter().any(|n| n.id == ids[1] && n.epoch == 4))
    })?;
    cluster.nodes[1].ask(&format!("CLUSTER SETSLOT {OTHER} NODE {}", ids[2]))?;
    let Value::Int(keys) = cluster.nodes[2].ask(&format!("CLUSTER COUNTKEYSINSLOT {OTHER}"))? else {
        panic!("no number")
    };
    if keys > 0 {
        at_home(&cluster, [(SLOT, 1), (OTHER, 2)])?;
    }
    Ok((keys, rules.map(|_| replayed(cluster)).transpose()?))
}

#[test]
fn a_hardened_target_outbids_its_source_and_another_loses_the_keys() -> io::Result<()> {
    let (keys, report) = ring(&slotproof(), Some("hardened"))?;
    assert_eq!(keys, KEYS as i64);
    let report = report.expect("there are rules");
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!(report.coverage.0.get("ownership: a source was outbid"), Some(&1));
    let (keys, report) = ring(&slotproof(), Some("redis_7_0"))?;
    assert_eq!(keys, 0, "the hazard is there by the rules of redis");
    let violated = report.expect("there are rules").violations;
    assert!(violated.iter().any(|v| v.contains("S10: 20 keys of slot 6000 are deleted")), "{violated:?}");
    Ok(())
}

/// What an import remembers is not for ever: a target that sleeps, while its slot is given to the source again, loses it.
#[test]
fn a_target_that_slept_takes_nothing_back() -> io::Result<()> {
    let cluster = Cluster::start(
        3,
        &slotproof(),
        &["--cluster-node-timeout", "1000", "--cluster-rules", "hardened"],
        true,
    )?;
    let ids = fill(&cluster)?;
    move_slot(&cluster, &ids, OTHER, (1, 2), 3)?;
    at_home(&cluster, [(SLOT, 0), (OTHER, 2)])?;
    cluster.nodes[2].pause()?;
    let taken = slotproof::cluster::wait_for("it is FAIL for both", || {
        cluster.nodes[..2].iter().try_fold(true, |all, n| {
            let seen = n.view()?.into_iter().find(|s| s.id == ids[2]);
            Ok(all && seen.is_some_and(|s| s.flags.split(',').any(|f| f == "fail")))
        })
    })
    .and_then(|()| {
        cluster.nodes[1].ask(&format!("CLUSTER SETSLOT {OTHER} NODE {}", ids[1]))?;
        cluster.nodes[1].ask("CLUSTER BUMPEPOCH")?;
        cluster.nodes[0].ask(&format!("CLUSTER SETSLOT {OTHER} NODE {}", ids[1]))
    });
    cluster.nodes[2].resume()?;
    taken?;
    cluster.wait_settled()?;
    for other in [0, 2] {
        let moved = cluster.nodes[other].ask(&format!("GET {}", key(OTHER, 0))).unwrap_err().to_string();
        assert_eq!(moved, format!("MOVED {OTHER} {}", cluster.nodes[1].address()));
    }
    Ok(())
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn a_target_of_redis_loses_the_keys() -> io::Result<()> {
    assert_eq!(ring(&Program::Redis, None)?.0, 0);
    Ok(())
}
