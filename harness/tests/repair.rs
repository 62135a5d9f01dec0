//! `slotproof cluster fix`, and the same reshard again: whatever an operator left halfway is finished, and no key is lost.

mod support;

use std::io;
use std::ops::ControlFlow;

use slotproof::cluster::{Cluster, Node};
use slotproof::reshard::{Access, Move, Operator};
use slotproof::resp::Value;
use slotproof_model::NodeId;
use support::{Kinds, checked, done, key_of, mixed, operate, ours, refused, says, started, theirs};

/// Owned by the first of three nodes.
const SLOT: u16 = 42;

fn formed(kinds: &Kinds) -> io::Result<Cluster> {
    let cluster = started(kinds)?;
    cluster.form(3)?;
    Ok(cluster)
}

fn name(text: &str) -> io::Result<NodeId> {
    text.parse().map_err(io::Error::other)
}

/// Keys of the slot, set at the node that owns it.
fn keys_at(node: &Node, n: usize) -> io::Result<Vec<String>> {
    let keys: Vec<String> = (0..n).map(|i| key_of(SLOT, i)).collect();
    for key in &keys {
        node.ask(&format!("SET {key} value-of-{key}"))?;
    }
    Ok(keys)
}

/// A key that only a node that imports its slot holds.
fn stray(node: &Node, key: &str, value: &str) -> io::Result<()> {
    let mut connection = node.connect()?;
    connection.ask(&["ASKING"])?;
    connection.ask(&["SET", key, value]).map(drop)
}

/// Everything is in order, and the node at this position holds all the keys.
fn whole(cluster: &Cluster, keys: &[String], at: usize) -> io::Result<()> {
    checked(cluster, keys.len())?;
    for key in keys {
        assert_eq!(
            cluster.nodes[at].ask(&format!("GET {key}"))?.text(),
            Some(format!("value-of-{key}")),
            "{key}"
        );
    }
    for (i, node) in cluster.nodes.iter().enumerate() {
        let held = if i == at { keys.len() as i64 } else { 0 };
        let count = node.ask(&format!("CLUSTER COUNTKEYSINSLOT {SLOT}"))?;
        assert_eq!(count, Value::Int(held), "at {}", node.address());
    }
    Ok(())
}

fn ask(node: &Node, line: &str) -> io::Result<()> {
    node.ask(line).map(drop)
}

/// A slot left open in each way, on a cluster of these nodes; `fix` repairs each.
fn open_slots(kinds: &Kinds) -> io::Result<()> {
    let cluster = formed(kinds)?;
    let nodes = &cluster.nodes;
    let ids = nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    let entry = nodes[2].address();
    let keys = keys_at(&nodes[0], 5)?;
    let migrating = format!("CLUSTER SETSLOT {SLOT} MIGRATING {}", ids[1]);
    let importing = format!("CLUSTER SETSLOT {SLOT} IMPORTING {}", ids[0]);
    let migrate = |key: &str| ask(&nodes[0], &format!("MIGRATE 127.0.0.1 {} {key} 0 5000", nodes[1].port));

    // Only the source was told: nothing has moved, and nothing does.
    ask(&nodes[0], &migrating)?;
    let out = refused(&["check", &entry], "is not in order");
    let (first, second) = (nodes[0].address(), nodes[1].address());
    says(
        &out,
        &[
            &format!("[WARNING] Node {first} has slots in migrating state {SLOT}."),
            &format!("[WARNING] The following slots are open: {SLOT}."),
            &format!(
                "slot {SLOT}: {first} is giving it to {second}, which does not take it: no key has moved."
            ),
        ],
    );
    let out = done(&["fix", &entry])?;
    says(&out, &[&format!(">>> Fixing open slot {SLOT}"), &format!("Set as migrating in: {first}")]);
    whole(&cluster, &keys, 0)?;

    // Only the target was told.
    ask(&nodes[1], &importing)?;
    let out = refused(&["check", &entry], "is not in order");
    says(&out, &[&format!("{second} is taking it from its owner {first}, which does not give it")]);
    done(&["fix", &entry])?;
    whole(&cluster, &keys, 0)?;

    // Only the target still knows, and it has keys already: the owner gets them back.
    ask(&nodes[1], &importing)?;
    ask(&nodes[0], &migrating)?;
    migrate(&keys[0])?;
    migrate(&keys[3])?;
    ask(&nodes[0], &format!("CLUSTER SETSLOT {SLOT} STABLE"))?;
    let out = done(&["fix", &entry])?;
    says(&out, &[&format!(">>> Moving all the 2 keys of slot {SLOT} from {second} to its owner {first}")]);
    whole(&cluster, &keys, 0)?;

    // Only the source knows, and keys are at a target that has forgotten it.
    ask(&nodes[1], &importing)?;
    ask(&nodes[0], &migrating)?;
    migrate(&keys[1])?;
    ask(&nodes[1], &format!("CLUSTER SETSLOT {SLOT} STABLE"))?;
    done(&["fix", &entry])?;
    whole(&cluster, &keys, 0)?;

    // A third node takes the same slot, and has a key of it that nobody else has.
    ask(&nodes[1], &importing)?;
    ask(&nodes[2], &importing)?;
    ask(&nodes[0], &migrating)?;
    migrate(&keys[2])?;
    let extra = key_of(SLOT, 5);
    stray(&nodes[2], &extra, &format!("value-of-{extra}"))?;
    let out = refused(&["check", &entry], "is not in order");
    says(&out, &["this is no single move that stopped"]);
    refused(
        &["reshard", &entry, "--from", &ids[0], "--to", &ids[1], "--slots", "1", "--yes"],
        "*** Please fix your cluster problems",
    );
    done(&["fix", &entry])?;
    let mut keys = keys;
    keys.push(extra);
    whole(&cluster, &keys, 0)?;

    // Both sides, in the middle: the move is finished.
    ask(&nodes[1], &importing)?;
    ask(&nodes[0], &migrating)?;
    migrate(&keys[4])?;
    let out = refused(&["check", &entry], "is not in order");
    says(&out, &["stopped halfway: 5 keys are at the source, 1 at the target"]);
    done(&["fix", &entry])?;
    whole(&cluster, &keys, 1)
}

#[test]
fn open_slots_are_finished_or_closed() -> io::Result<()> {
    open_slots(&ours())
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn open_slots_of_redis_are_finished_or_closed() -> io::Result<()> {
    open_slots(&theirs())?;
    open_slots(&mixed())
}

/// Slots of nobody: without keys, with keys on one node, and on several.
fn uncovered_slots(kinds: &Kinds) -> io::Result<()> {
    let cluster = formed(kinds)?;
    let nodes = &cluster.nodes;
    let first = nodes[0].id()?;
    let entry = nodes[1].address();
    let empty = SLOT + 1;
    let nobody = |slots: &str| nodes.iter().try_for_each(|n| ask(n, &format!("CLUSTER DELSLOTS {slots}")));
    // While gossip is on its way, somebody may hear of a claim that is no more.
    let gone = |slots: &[u16]| {
        cluster.wait("nobody owns them", |c| {
            let owned = |n: &Node, s: &u16| {
                let has = |r: &String| slotproof::reshard::ranges(r).is_some_and(|all| all.contains(s));
                Ok::<_, io::Error>(n.owners()?.iter().any(|(r, _)| has(r)))
            };
            let mut all = true;
            for node in &c.nodes {
                for slot in slots {
                    if owned(node, slot)? {
                        // In between it may have heard that it is nobody's.
                        let _ = node.ask(&format!("CLUSTER DELSLOTS {slot}"));
                        all = false;
                    }
                }
            }
            Ok(all)
        })
    };
    nobody(&empty.to_string())?;
    gone(&[empty])?;
    let out = refused(&["check", &entry], "is not in order");
    says(&out, &["[ERR] Not all 16384 slots are covered by nodes."]);
    let out = operate(&["fix", &entry], "no\n")?;
    assert_eq!(out.status.code(), Some(1), "{}", out.text());
    let out = operate(&["fix", &entry], "yes\n")?.success()?;
    says(
        &out,
        &[
            "The following uncovered slots have no keys across the cluster:\n[43]\n",
            "Fix these slots by covering with a random node? (type 'yes' to accept): ",
            ">>> Covering slot 43 with ",
        ],
    );
    checked(&cluster, 0)?;

    let mut keys = keys_at(&nodes[0], 3)?;
    nobody(&SLOT.to_string())?;
    gone(&[SLOT])?;
    let out = done(&["fix", &entry, "--yes"])?;
    says(&out, &["The following uncovered slots have keys in just one node:\n[42]\n"]);
    whole(&cluster, &keys, 0)?;

    ask(&nodes[2], &format!("CLUSTER SETSLOT {SLOT} IMPORTING {first}"))?;
    let extra = key_of(SLOT, 3);
    stray(&nodes[2], &extra, &format!("value-of-{extra}"))?;
    keys.push(extra);
    ask(&nodes[2], &format!("CLUSTER SETSLOT {SLOT} STABLE"))?;
    nobody(&SLOT.to_string())?;
    gone(&[SLOT])?;
    let out = done(&["fix", &entry, "--yes"])?;
    says(&out, &["The following uncovered slots have keys in multiple nodes:\n[42]\n"]);
    whole(&cluster, &keys, 0)
}

#[test]
fn slots_of_nobody_get_an_owner_and_their_keys_meet() -> io::Result<()> {
    uncovered_slots(&ours())
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn slots_of_nobody_in_redis_get_an_owner_and_their_keys_meet() -> io::Result<()> {
    uncovered_slots(&theirs())?;
    uncovered_slots(&mixed())
}

/// Stops a move of the slot from the first to the second node after `steps` steps, one key a MIGRATE.
fn stop_after(cluster: &Cluster, from: usize, to: usize, steps: usize) -> io::Result<()> {
    let it =
        Move { slot: SLOT, from: name(&cluster.nodes[from].id()?)?, to: name(&cluster.nodes[to].id()?)? };
    let mut operator = Operator::connect(&cluster.nodes[0].address(), &Access::default())?;
    operator.batch = 1;
    let mut left = steps;
    let stopped = operator.move_slot(&it, &mut 0, &mut |_, _| {
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    assert!(stopped.is_break(), "it had fewer steps than {steps}");
    Ok(())
}

/// IMPORTING, MIGRATING, two keys, NODE thrice.
const STEPS: usize = 7;

fn interrupted(kinds: &Kinds) -> io::Result<()> {
    let cluster = formed(kinds)?;
    let nodes = &cluster.nodes;
    let ids = nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    let keys = keys_at(&nodes[0], 2)?;
    let mut owner = 0;
    for steps in 1..=STEPS {
        for again in [false, true] {
            let target = (owner + 1) % 3;
            stop_after(&cluster, owner, target, steps)?;
            let entry = nodes[(steps + usize::from(again)) % 3].address();
            if steps < STEPS - 1 && steps > 1 {
                let out = refused(&["check", &entry], "is not in order");
                says(&out, &[&format!("slot {SLOT}: a move from {}", nodes[owner].address())]);
            }
            let ends = if again {
                // It finishes that slot, and moves one more.
                let words = ["reshard", &entry, "--from", &ids[owner], "--to", &ids[target], "--slots", "1"];
                let out = done(&[&words[..], &["--yes"]].concat())?;
                if steps < STEPS - 1 {
                    says(&out, &[">>> 1 slots are to be finished before resharding begins."]);
                }
                target
            } else {
                done(&["fix", &entry])?;
                // Where nothing had moved, nothing does.
                if steps == 1 { owner } else { target }
            };
            whole(&cluster, &keys, ends)
                .map_err(|e| io::Error::other(format!("{steps} steps, {again}: {e}")))?;
            owner = ends;
        }
    }
    Ok(())
}

#[test]
fn a_move_stopped_at_any_step_is_finished_by_fix_and_by_another_reshard() -> io::Result<()> {
    interrupted(&ours())
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn a_move_of_redis_stopped_at_any_step_is_finished_by_fix_and_by_another_reshard() -> io::Result<()> {
    interrupted(&theirs())?;
    interrupted(&mixed())
}

/// A key at both nodes, as a lost answer leaves it, or something worse.
fn copies(kinds: &Kinds) -> io::Result<()> {
    let cluster = formed(kinds)?;
    let nodes = &cluster.nodes;
    let ids = nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    let entry = nodes[2].address();
    let keys = keys_at(&nodes[0], 3)?;
    let open = || {
        ask(&nodes[1], &format!("CLUSTER SETSLOT {SLOT} IMPORTING {}", ids[0]))?;
        ask(&nodes[0], &format!("CLUSTER SETSLOT {SLOT} MIGRATING {}", ids[1]))
    };
    open()?;
    ask(&nodes[0], &format!("MIGRATE 127.0.0.1 {} {} 0 5000 COPY", nodes[1].port, keys[0]))?;
    let out = done(&["fix", &entry])?;
    let (first, second) = (nodes[0].address(), nodes[1].address());
    says(
        &out,
        &[&format!("1 keys are at {first} and at {second} with equal values; one copy of each stays.")],
    );
    whole(&cluster, &keys, 1)?;
    done(&["reshard", &entry, "--from", &ids[1], "--to", &ids[0], "--slots", "1", "--yes"])?;
    whole(&cluster, &keys, 0)?;

    open()?;
    stray(&nodes[1], &keys[1], "another")?;
    let words = ["fix", &entry, "--pipeline", "2"];
    let out = refused(&words, "are at both nodes with different values");
    for part in [
        &format!("{second} holds a string of 7 bytes (\"another\")"),
        "Nothing was replaced",
        "with --replace",
    ] {
        assert!(out.stderr.contains(part), "no {part:?} in {}", out.text());
    }
    let held = nodes[0].ask(&format!("GET {}", keys[1]))?.text();
    assert_eq!(held, Some(format!("value-of-{}", keys[1])), "it is where it was");
    let out = done(&[&words[..], &["--replace"]].concat())?;
    says(&out, &["(\"another\"). The value that clients are served stays."]);
    whole(&cluster, &keys, 1)?;

    // The same with a node that takes what its owner does not give.
    ask(&nodes[2], &format!("CLUSTER SETSLOT {SLOT} IMPORTING {}", ids[1]))?;
    stray(&nodes[2], &keys[2], "astray")?;
    refused(&["fix", &entry], "Nothing was replaced");
    done(&["fix", &entry, "--replace"])?;
    whole(&cluster, &keys, 1)
}

#[test]
fn copies_are_compared_before_one_is_destroyed() -> io::Result<()> {
    copies(&ours())
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn copies_in_redis_are_compared_before_one_is_destroyed() -> io::Result<()> {
    copies(&theirs())?;
    copies(&mixed())
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn values_of_every_type_are_compared() -> io::Result<()> {
    let cluster = formed(&theirs())?;
    let nodes = &cluster.nodes;
    let ids = nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    let kinds =
        ["RPUSH K a b c", "SADD K a b 3", "HSET K f v g w", "ZADD K 1 a 2.5 b", "XADD K 1-1 f v", "SET K v"];
    let keys: Vec<String> = (0..kinds.len()).map(|i| key_of(SLOT, i)).collect();
    for (line, key) in kinds.iter().zip(&keys) {
        ask(&nodes[0], &line.replace('K', key))?;
    }
    let other = ["RPUSH K x", "SADD K x", "HSET K x x", "ZADD K 9 x", "XADD K 9-9 x x", "APPEND K x"];
    for (i, key) in keys.iter().enumerate() {
        ask(&nodes[1], &format!("CLUSTER SETSLOT {SLOT} IMPORTING {}", ids[0]))?;
        ask(&nodes[0], &format!("CLUSTER SETSLOT {SLOT} MIGRATING {}", ids[1]))?;
        // Equal, in another encoding where there is one: big ones are hash tables and skip lists.
        ask(&nodes[0], &format!("MIGRATE 127.0.0.1 {} {key} 0 5000 COPY", nodes[1].port))?;
        let mut target = nodes[1].connect()?;
        let mut asking = |line: &str| {
            target.ask(&["ASKING"])?;
            target.ask(&line.split(' ').collect::<Vec<_>>()).map(drop)
        };
        asking(&other[i].replace('K', key))?;
        refused(&["fix", &nodes[2].address()], "Nothing was replaced");
        let undo =
            ["RPOP K", "SREM K x", "HDEL K x", "ZREM K x", "XDEL K 9-9", "SET K v"][i].replace('K', key);
        asking(&undo)?;
        // A stream remembers its last entry though it is gone: it differs.
        let words = ["fix", &nodes[2].address(), "--replace"];
        done(if i == 4 { &words[..] } else { &words[..2] })?;
        checked(&cluster, keys.len())?;
        let back =
            ["reshard", &nodes[2].address(), "--from", &ids[1], "--to", &ids[0], "--slots", "1", "--yes"];
        done(&back)?;
    }
    Ok(())
}

#[test]
fn masters_that_do_not_answer_are_not_robbed_without_leave() -> io::Result<()> {
    let mut cluster = formed(&ours())?;
    let entry = cluster.nodes[0].address();
    let gone = cluster.nodes[2].address();
    cluster.nodes[2].kill();
    refused(&["check", &entry], &format!("{gone}: cannot connect"));
    refused(&["reshard", &entry], "*** Please fix your cluster problems before resharding");
    refused(&["fix", &entry, "--yes"], "--fix-with-unreachable-masters");
    let out = done(&["fix", &entry, "--yes", "--fix-with-unreachable-masters"])?;
    says(&out, &["The following uncovered slots have no keys across the cluster:\n[10922-16383]\n"]);
    let lost = cluster.nodes[0].view()?.into_iter().find(|n| n.address.starts_with(&gone)).map(|n| n.id);
    done(&["del-node", &entry, &lost.unwrap_or_default()])?;
    checked(&cluster, 0)
}

#[test]
fn nodes_that_forgot_each_other_meet_again() -> io::Result<()> {
    let cluster = formed(&ours())?;
    let ids = cluster.nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    ask(&cluster.nodes[0], &format!("CLUSTER FORGET {}", ids[2]))?;
    let entry = cluster.nodes[1].address();
    let (first, third) = (cluster.nodes[0].address(), cluster.nodes[2].address());
    let out = refused(&["check", &entry], "is not in order");
    says(&out, &["[ERR] Nodes don't agree about configuration!", &format!("{first} does not know {third}.")]);
    let out = done(&["fix", &entry])?;
    says(&out, &[&format!(">>> Send CLUSTER MEET to node {first}: it does not know {third}.")]);
    checked(&cluster, 0)
}

/// A slot that goes to and fro faster than nodes hear of each other's epochs.
fn to_and_fro(kinds: &Kinds) -> io::Result<()> {
    let cluster = formed(kinds)?;
    let ids = cluster.nodes.iter().map(|n| name(&n.id()?)).collect::<io::Result<Vec<_>>>()?;
    let keys = keys_at(&cluster.nodes[0], 3)?;
    let mut operator = Operator::connect(&cluster.nodes[0].address(), &Access::default())?;
    let mut owner = 0;
    for _ in 0..40 {
        let target = 1 - owner;
        let it = Move { slot: SLOT, from: ids[owner], to: ids[target] };
        let ended = operator.move_slot(&it, &mut 0, &mut |_, _| ControlFlow::Continue(()))?;
        assert!(ended.is_continue());
        owner = target;
    }
    cluster.wait_settled()?;
    whole(&cluster, &keys, owner)
}

#[test]
fn a_slot_may_go_to_and_fro_faster_than_gossip() -> io::Result<()> {
    to_and_fro(&ours())
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn a_slot_of_redis_may_go_to_and_fro_faster_than_gossip() -> io::Result<()> {
    to_and_fro(&theirs())?;
    to_and_fro(&mixed())
}

/// Two halves that forgot each other both own a slot, with keys: when they meet, one of them would delete its own.
#[test]
fn of_several_owners_one_gets_all_keys_before_they_meet() -> io::Result<()> {
    let cluster = formed(&ours())?;
    let nodes = &cluster.nodes;
    let ids = nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    let entry = nodes[2].address();
    let mut keys = keys_at(&nodes[0], 2)?;
    ask(&nodes[0], &format!("CLUSTER FORGET {}", ids[1]))?;
    ask(&nodes[1], &format!("CLUSTER FORGET {}", ids[0]))?;
    // What the first node owned is nobody's for the second.
    ask(&nodes[1], &format!("CLUSTER ADDSLOTS {SLOT}"))?;
    for slot in (0..SLOT).chain(SLOT + 1..5461) {
        ask(&nodes[1], &format!("CLUSTER SETSLOT {slot} NODE {}", ids[2]))?;
    }
    for slot in 5461..10922 {
        ask(&nodes[0], &format!("CLUSTER SETSLOT {slot} NODE {}", ids[2]))?;
    }
    cluster.wait("both are up", |c| {
        c.all(|n| Ok(n.info("cluster_slots_assigned")? == "16384" && n.info("cluster_state")? == "ok"))
    })?;
    let extra = key_of(SLOT, 2);
    ask(&nodes[1], &format!("SET {extra} value-of-{extra}"))?;
    keys.push(extra);
    let out = refused(&["check", &entry, "--search-multiple-owners"], "is not in order");
    says(&out, &[&format!("[WARNING] Slot {SLOT} has 2 owners:")]);
    refused(&["fix", &entry], "Say --search-multiple-owners");
    let out = done(&["fix", &entry, "--search-multiple-owners"])?;
    says(&out, &[&format!(">>> Fixing multiple owners for slot {SLOT}...")]);
    whole(&cluster, &keys, 0)
}
