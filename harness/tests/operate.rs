//! `slotproof cluster` as operators and scripts use it: forms, grows, shrinks and balances clusters of Slotproof nodes, and of Redis nodes
//! and mixed ones where they are there.

mod support;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use slotproof::cluster::{Cluster, Node, Process, signal};
use slotproof_model::key_slot;
use support::{
    Kinds, checked, done, key_of, mixed, operate, ours, refused, says, slotproof, started, theirs, tool,
};

fn addresses(cluster: &Cluster) -> Vec<String> {
    cluster.nodes.iter().map(Node::address).collect()
}

/// Three nodes made a cluster by the tool.
fn created(kinds: &Kinds) -> io::Result<Cluster> {
    let cluster = started(kinds)?;
    let nodes = addresses(&cluster);
    done(&["create", &nodes[0], &nodes[1], &nodes[2], "--yes"])?;
    Ok(cluster)
}

/// A key in each of these slots, at the node that owns them.
fn fill(node: &Node, slots: impl Iterator<Item = u16>) -> io::Result<Vec<String>> {
    let mut wanted: Vec<u16> = slots.collect();
    let mut keys = Vec::new();
    for i in 0.. {
        if wanted.is_empty() {
            break;
        }
        let key = format!("k{i}");
        let slot = u16::from(key_slot(key.as_bytes()));
        if let Some(at) = wanted.iter().position(|s| *s == slot) {
            wanted.swap_remove(at);
            node.ask(&format!("SET {key} value-of-{key}"))?;
            keys.push(key);
        }
    }
    Ok(keys)
}

/// All these keys are found through any node.
fn found(cluster: &Cluster, keys: &[String]) -> io::Result<()> {
    let mut client = slotproof::client::Client::new(&[cluster.nodes[0].address()])?;
    for key in keys {
        let value = client.call(key.as_bytes(), &[b"GET", key.as_bytes()]).done()?;
        assert_eq!(value.text(), Some(format!("value-of-{key}")), "{key}");
    }
    Ok(())
}

fn create_check_info_call(kinds: &Kinds) -> io::Result<()> {
    let cluster = started(kinds)?;
    let nodes = addresses(&cluster);
    let words = ["create", &nodes[0], &nodes[1], &nodes[2], "--cluster-replicas", "0"];
    let out = operate(&words, "no\n")?;
    assert_eq!(out.status.code(), Some(1), "{}", out.text());
    says(
        &out,
        &["Master[1] -> Slots 5461 - 10922", "Can I set the above configuration? (type 'yes' to accept): "],
    );
    assert_eq!(cluster.nodes[0].view()?.len(), 1, "nothing was done");
    let out = operate(&words, "yes\n")?.success()?;
    says(
        &out,
        &[
            ">>> Performing hash slots allocation on 3 nodes...",
            "   slots:[0-5460] (5461 slots) master",
            ">>> Assign a different config epoch to each node",
            "[OK] All nodes agree about slots configuration.",
            "[OK] All 16384 slots covered.",
        ],
    );
    checked(&cluster, 0)?;
    let mut epochs: Vec<u64> = cluster.nodes[0].view()?.iter().map(|n| n.epoch).collect();
    epochs.sort_unstable();
    assert_eq!(epochs, [1, 2, 3]);
    let port = cluster.nodes[1].port.to_string();
    let short = cluster.nodes[0].id()?[..8].to_string();
    let line = format!("{} ({short}...) -> 0 keys | 5461 slots | 0 slaves.", nodes[0]);
    says(&done(&["info", "127.0.0.1", &port])?, &[&line, "[OK] 0 keys in 3 masters."]);
    let out = done(&["call", &nodes[2], "cluster", "myid"])?;
    for node in &cluster.nodes {
        says(&out, &[&format!("{}: {}", node.address(), node.id()?)]);
    }
    let out = done(&["call", "--only-replicas", &nodes[2], "cluster", "myid"])?;
    assert!(!out.stdout.contains("127.0.0.1:"), "there is none: {}", out.text());
    let text = format!("{}: ERR unknown command", nodes[0]);
    refused(&["call", &nodes[0], "no-such-command"], &text);
    refused(&["create", &nodes[0]], "is not empty");
    Ok(())
}

#[test]
fn a_cluster_is_created_and_looked_at() -> io::Result<()> {
    create_check_info_call(&ours())
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn a_cluster_of_redis_is_created_and_looked_at() -> io::Result<()> {
    create_check_info_call(&theirs())?;
    create_check_info_call(&mixed())
}

#[test]
fn what_cannot_be_created_is_said() -> io::Result<()> {
    let cluster = started(&[slotproof(), slotproof()])?;
    let nodes = addresses(&cluster);
    let out = refused(
        &["create", &nodes[0], &nodes[1], "--yes"],
        "*** Redis Cluster requires at least 3 master nodes.",
    );
    assert!(out.text().contains("*** At least 3 nodes are required."), "{}", out.text());
    refused(&["create", &nodes[0], &nodes[0], &nodes[1]], "is named twice");
    refused(&["create", "nonsense", &nodes[0], &nodes[1]], "\"nonsense\" is no address");
    let closed = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    refused(&["check", &closed], &format!("{closed}: cannot connect"));
    let plain = Cluster::start(1, &slotproof(), &["--cluster-enabled", "no"], false)?;
    let plain = plain.nodes[0].address();
    refused(&["create", &plain, &nodes[0], &nodes[1]], "is not configured as a cluster node.");
    refused(&["check", &plain], "CLUSTER NODES: ERR This instance has cluster support disabled");
    Ok(())
}

fn reshard_by_flags_and_questions(kinds: &Kinds) -> io::Result<()> {
    let cluster = created(kinds)?;
    let nodes = addresses(&cluster);
    let ids = cluster.nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    let keys = fill(&cluster.nodes[0], (0..20).chain(100..110))?;
    let flags = ["reshard", &nodes[2], "--from", &ids[0], "--to", &ids[1], "--slots", "10", "--yes"];
    let out = done(&flags)?;
    for slot in 0..10 {
        let (from, to) = (&nodes[0], &nodes[1]);
        says(&out, &[&format!("Moving slot {slot} from {from} to {to}: .\n")]);
    }
    says(&out, &["Ready to move 10 slots.", &format!("    Moving slot 9 from {}", ids[0])]);
    checked(&cluster, 30)?;
    found(&cluster, &keys)?;
    // The same by answers, some of which make no sense.
    let input = format!("many\n5\nnobody\n{}\n{}\n{}\ndone\nyes\n", ids[1], ids[1], ids[0]);
    let out = operate(&["reshard", &nodes[1]], &input)?.success()?;
    says(
        &out,
        &[
            "How many slots do you want to move (from 1 to 16384)? How many",
            "What is the receiving node ID? *** The specified node (nobody) is not known or not a master, please retry.",
            "  Type 'all' to use all the nodes as source nodes for the hash slots.",
            "Source node #1: *** It is not possible to use the target node as source node.",
            "Do you want to proceed with the proposed reshard plan (yes/no)? ",
            "Moving slot 14 from",
        ],
    );
    checked(&cluster, 30)?;
    // From all others, and back.
    let out = operate(&["reshard", &nodes[1], "--pipeline", "3"], &format!("31\n{}\nall\nyes\n", ids[2]))?
        .success()?;
    assert_eq!(out.stdout.matches("Moving slot").count(), 62, "the plan and the moves: {}", out.text());
    checked(&cluster, 30)?;
    found(&cluster, &keys)?;
    let slots: usize =
        cluster.nodes[0].view()?.iter().filter(|n| n.id == ids[2]).map(|n| n.slots.len()).sum();
    assert!(slots > 1, "it has ranges beside its own");
    // Not accepted, not answered, not possible.
    let out = operate(&["reshard", &nodes[1]], &format!("1\n{}\nall\nno\n", ids[2]))?;
    assert_eq!(out.status.code(), Some(1));
    refused(&["reshard", &nodes[1]], "the question was not answered");
    refused(
        &["reshard", &nodes[1], "--from", "x", "--to", &ids[0], "--slots", "1"],
        "(x) is not known or not a master",
    );
    refused(
        &["reshard", &nodes[1], "--from", &ids[0], "--to", &ids[0], "--slots", "1"],
        "*** It is not possible to use the target node as source node.",
    );
    refused(&["reshard", &nodes[1], "--from", "all", "--to", &ids[0], "--slots", "16385"], "from 1 to 16384");
    checked(&cluster, 30)
}

#[test]
fn slots_are_moved_by_flags_and_by_answers() -> io::Result<()> {
    reshard_by_flags_and_questions(&ours())
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn slots_of_redis_are_moved_by_flags_and_by_answers() -> io::Result<()> {
    reshard_by_flags_and_questions(&theirs())?;
    reshard_by_flags_and_questions(&mixed())
}

fn grow_balance_and_shrink(kinds: &Kinds) -> io::Result<()> {
    let mut cluster = created(kinds)?;
    let fourth = cluster.add(&kinds[1])?;
    let nodes = addresses(&cluster);
    let (entry, fresh) = (&nodes[0], &nodes[fourth]);
    let ids = cluster.nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    let new = &ids[fourth];
    let keys = fill(&cluster.nodes[0], 0..40)?;
    says(
        &done(&["add-node", fresh, entry])?,
        &[
            &format!(">>> Send CLUSTER MEET to node {fresh} to make it join the cluster."),
            "[OK] New node added correctly.",
        ],
    );
    checked(&cluster, 40)?;
    says(&done(&["add-node", fresh, entry])?, &[&format!(">>> {fresh} is part of this cluster already.")]);
    // It has no slots, so it gets none; then it does.
    says(
        &done(&["rebalance", entry])?,
        &["*** No rebalancing needed! All nodes are within the 2.00% threshold."],
    );
    let out = done(&["rebalance", entry, "--use-empty-masters", "--simulate"])?;
    says(&out, &[">>> Rebalancing across 4 nodes. Total weight = 4.00"]);
    assert!(!out.stdout.contains("Moving slot "), "{}", out.text());
    // Few of them, so that the test is short: a weight of 1/100 is 54 slots.
    let weights = [format!("{new}=0.01"), format!("{}=1", &ids[1][..12])];
    let out = done(&["rebalance", entry, "--use-empty-masters", "--weight", &weights[0], &weights[1]])?;
    says(&out, &["Total weight = 3.01"]);
    checked(&cluster, 40)?;
    found(&cluster, &keys)?;
    let owned = |id: &str| -> io::Result<usize> {
        let view = cluster.nodes[0].view()?;
        let ranges = view.iter().filter(|n| n.id == id).flat_map(|n| n.slots.clone());
        Ok(ranges.filter_map(|r| slotproof::reshard::ranges(&r)).map(|s| s.len()).sum())
    };
    assert!((54..=55).contains(&owned(new)?), "{} slots", owned(new)?);
    refused(&["rebalance", entry, "--weight", "nobody=2"], "*** No such master node nobody");
    refused(&["del-node", entry, new], "is not empty! Reshard data away and try again.");
    // A weight of 0 empties it.
    done(&["rebalance", entry, "--cluster-threshold", "1", "--cluster-weight", &format!("{new}=0")])?;
    checked(&cluster, 40)?;
    assert_eq!(owned(new)?, 0);
    found(&cluster, &keys)?;
    refused(&["del-node", entry, "0123"], "[ERR] No such node ID 0123");
    if cluster.nodes[fourth].view()?.iter().any(|n| n.id == *new && n.flags.contains("slave")) {
        // Who gave away its last slot follows who took it.
        says(&done(&["info", entry])?, &["1 slaves."]);
    }
    says(
        &done(&["del-node", entry, new])?,
        &[
            ">>> Sending CLUSTER FORGET messages to the cluster...",
            ">>> Sending CLUSTER RESET SOFT to the deleted node.",
        ],
    );
    for node in &cluster.nodes[..3] {
        assert!(node.view()?.iter().all(|n| n.id != *new), "it is forgotten");
    }
    assert_eq!(cluster.nodes[fourth].view()?.len(), 1);
    cluster.nodes[fourth].kill();
    checked(&cluster, 40)?;
    found(&cluster, &keys)
}

#[test]
fn a_node_is_added_gets_slots_loses_them_and_is_deleted() -> io::Result<()> {
    grow_balance_and_shrink(&ours())
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn a_redis_node_is_added_gets_slots_loses_them_and_is_deleted() -> io::Result<()> {
    grow_balance_and_shrink(&theirs())?;
    grow_balance_and_shrink(&mixed())
}

#[test]
fn replicas_are_told_whom_to_replicate() -> io::Result<()> {
    let cluster = Cluster::start(6, &slotproof(), &[], false)?;
    let nodes = addresses(&cluster);
    let words: Vec<&str> =
        ["create", "--replicas", "1", "--yes"].into_iter().chain(nodes.iter().map(String::as_str)).collect();
    says(
        &done(&words)?,
        &["[WARNING] Some slaves are in the same host as their master", "   1 additional replica(s)"],
    );
    let view = cluster.nodes[5].view()?;
    for n in 3..6 {
        let me = cluster.nodes[n].id()?;
        let seen = view.iter().find(|s| s.id == me).expect("it is known");
        assert_eq!(seen.master, cluster.nodes[n - 3].id()?);
    }
    checked(&cluster, 0)
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn redis_masters_get_replicas() -> io::Result<()> {
    let mut cluster = Cluster::start(6, &slotproof::cluster::Program::Redis, &[], false)?;
    let nodes = addresses(&cluster);
    let words: Vec<&str> =
        ["create", "--replicas", "1", "--yes"].into_iter().chain(nodes.iter().map(String::as_str)).collect();
    let out = done(&words)?;
    says(&out, &[">>> Trying to optimize slaves allocation for anti-affinity", "   1 additional replica(s)"]);
    says(&done(&["info", &nodes[4]])?, &["| 1 slaves.", "in 3 masters."]);
    checked(&cluster, 0)?;
    let seventh = cluster.add(&slotproof::cluster::Program::Redis)?;
    let fresh = cluster.nodes[seventh].address();
    let master = cluster.nodes[1].id()?;
    let out = done(&["add-node", &fresh, &nodes[0], "--slave", "--master-id", &master])?;
    says(&out, &[&format!(">>> Configure node as replica of {}.", nodes[1])]);
    cluster.wait("it is a replica", |c| {
        Ok(c.nodes[0].view()?.iter().any(|n| n.address.starts_with(&fresh) && n.master == master))
    })?;
    let out = done(&["call", "--only-replicas", &nodes[0], "cluster", "myid"])?;
    assert_eq!(out.stdout.matches("127.0.0.1:").count(), 4, "{}", out.text());
    done(&["del-node", &nodes[0], &cluster.nodes[seventh].id()?])?;
    cluster.nodes[seventh].kill();
    checked(&cluster, 0)
}

#[test]
fn a_password_is_sent_to_nodes_and_to_the_targets_of_migrate() -> io::Result<()> {
    let cluster = created(&ours())?;
    let nodes = addresses(&cluster);
    let ids = cluster.nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    let key = key_of(0, 0);
    cluster.nodes[0].ask(&format!("SET {key} v"))?;
    for node in &cluster.nodes {
        node.ask("CONFIG SET requirepass secret")?;
    }
    refused(&["check", &nodes[0]], "NOAUTH");
    let out = refused(&["check", &nodes[0], "-a", "wrong"], "WRONGPASS");
    assert!(!out.text().contains("secret"));
    done(&[
        "reshard", &nodes[0], "-a", "secret", "--from", &ids[0], "--to", &ids[1], "--slots", "2", "--yes",
    ])?;
    let mut moved = cluster.nodes[1].connect()?;
    moved.ask(&["AUTH", "secret"])?;
    assert_eq!(moved.ask(&["GET", &key])?.text().as_deref(), Some("v"));
    done(&["check", &nodes[0], "--auth", "secret"])?;
    Ok(())
}

#[test]
fn ctrl_c_ends_it_between_steps_and_says_how_to_go_on() -> io::Result<()> {
    let cluster = created(&ours())?;
    let nodes = addresses(&cluster);
    let ids = cluster.nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    let keys = fill(&cluster.nodes[0], 0..30)?;
    let mut words = vec!["cluster", "reshard", &nodes[1], "--from", &ids[0], "--to", &ids[1]];
    words.extend(["--slots", "5000", "--yes"]);
    let mut command = Command::new(tool());
    command.args(&words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = Process(command.spawn()?);
    let mut lines = BufReader::new(child.0.stdout.take().expect("piped")).lines();
    let first =
        lines.find(|l| l.as_ref().is_ok_and(|l| l.starts_with("Moving slot"))).expect("a slot is done")?;
    assert!(first.contains(&nodes[0]), "{first}");
    signal(child.0.id(), "INT")?;
    let moved = 1 + lines.map_while(Result::ok).filter(|l| l.starts_with("Moving slot")).count();
    let mut said = String::new();
    child.0.stderr.take().expect("piped").read_to_string(&mut said)?;
    assert_eq!(child.0.wait()?.code(), Some(130), "{said}");
    assert!(said.contains(&format!("stopped: {moved} of 5000 slots are done")), "{moved} were: {said}");
    assert!(said.contains(&format!("To go on: slotproof cluster fix {}", nodes[1])), "{said}");
    done(&["fix", &nodes[2], "--yes"])?;
    checked(&cluster, 30)?;
    found(&cluster, &keys)?;
    // At a question there is nothing to finish.
    let mut command = Command::new(tool());
    command.args(["cluster", "reshard", &nodes[1]]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = Process(command.spawn()?);
    let (mut said, mut byte) = (Vec::new(), [0]);
    let mut out = child.0.stdout.take().expect("piped");
    while !said.ends_with(b"(from 1 to 16384)? ") {
        out.read_exact(&mut byte)?;
        said.extend(byte);
    }
    // To wait for it would close its input, and that is an end of its own.
    let input = child.0.stdin.take();
    signal(child.0.id(), "INT")?;
    assert_eq!(child.0.wait()?.code(), Some(130));
    drop(input);
    Ok(())
}

/// A server that answers every request with the same bytes.
fn liar(answer: &'static [u8]) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        // Ends with the test's process; no client needs more than a few connections.
        for mut stream in listener.incoming().take(20).filter_map(Result::ok) {
            let mut buf = [0; 4096];
            while stream.read(&mut buf).is_ok_and(|n| n > 0) && stream.write_all(answer).is_ok() {}
        }
    });
    Ok(address)
}

#[test]
fn nodes_that_lie_are_named_and_nothing_breaks() -> io::Result<()> {
    let id = "0123456789012345678901234567890123456789";
    let bulk = |text: &str| -> &'static [u8] {
        Box::leak(format!("${}\r\n{text}\r\n", text.len()).into_bytes().into_boxed_slice())
    };
    let answers: [&'static [u8]; 16] = [
        b"",
        b"\r\n",
        b"nonsense\r\n",
        b"+OK\r\n",
        b":5\r\n",
        b"$-1\r\n",
        b"$99999999999999\r\n",
        b"$5\r\nabcdefg",
        b"*1000000000\r\n",
        b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
        b"-ERR no\r\n",
        bulk(""),
        bulk("a b c\n"),
        bulk(&format!("{id} :1@2 myself,master - 0 0 1 connected 0-99999\n")),
        bulk(&format!("{id} :1@2 master - 0 0 1 connected 0-5\n")),
        bulk(&format!("{id} :1@2 myself,master - 0 0 1 connected [5->-x]\n")),
    ];
    for answer in answers {
        let shown = answer.escape_ascii().to_string();
        // One that says nothing at all is left by its own limit of time, not tried here.
        if answer.is_empty() {
            continue;
        }
        let node = liar(answer)?;
        for words in
            [["check", &node], ["info", &node], ["fix", &node], ["reshard", &node], ["rebalance", &node]]
        {
            // What is an array without an end would be waited for.
            if shown.starts_with("*1000000000")
                || shown.starts_with("$5")
                || shown.starts_with("$9") && words[0] != "check"
            {
                continue;
            }
            let out = operate(&words, "")?;
            assert_eq!(out.status.code(), Some(1), "{shown} for {words:?}: {}", out.text());
            assert!(out.stderr.contains(&node), "{shown}: who lied? {}", out.text());
            assert!(!out.stderr.contains("panicked"), "{shown}: {}", out.text());
        }
    }
    // A view that is right in form and false: it owns everything, and its only peer is nowhere.
    let other = "abcdefghijabcdefghijabcdefghijabcdefghij";
    let node = liar(bulk(&format!(
        "{id} 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-16383\n{other} 127.0.0.1:1@2 master - 0 0 1 connected\n"
    )))?;
    for words in [["check", &node], ["fix", &node], ["rebalance", &node]] {
        let out = operate(&words, "")?;
        assert_eq!(out.status.code(), Some(1), "{words:?}: {}", out.text());
        assert!(!out.stderr.contains("panicked"), "{}", out.text());
    }
    Ok(())
}
