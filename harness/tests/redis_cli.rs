//! The tools of Redis 7.0, unmodified, against Slotproof nodes: exit status and output of everything that operators type.

mod support;

use std::io;
use std::time::Duration;

use slotproof::cluster::{Cluster, Node, Program};
use slotproof::resp::Value;
use slotproof::tools::{Output, redis_cli, run};
use slotproof_model::key_slot;
use support::{key_of, slotproof};

/// For one run of a tool.
const LIMIT: Duration = Duration::from_secs(120);

/// `redis-cli --cluster WORD ARGS...`, which must succeed.
fn manage(words: &[&str]) -> io::Result<Output> {
    redis_cli(&[&["--cluster"], words].concat(), "", LIMIT)?.success()
}

/// A command at one node by `redis-cli`; what it printed.
fn typed(node: &Node, words: &[&str]) -> io::Result<String> {
    let port = node.port.to_string();
    let out = redis_cli(&[&["-p", port.as_str()], words].concat(), "", LIMIT)?.success()?;
    Ok(out.stdout.trim_end().to_string())
}

/// Nodes that know nobody, made a cluster by `redis-cli --cluster create`.
fn created(n: usize) -> io::Result<(Cluster, Output)> {
    let cluster = Cluster::start(n, &slotproof(), &[], false)?;
    let addresses: Vec<String> = cluster.nodes.iter().map(Node::address).collect();
    let mut words = vec!["create"];
    words.extend(addresses.iter().map(String::as_str));
    words.push("--cluster-yes");
    let out = manage(&words)?;
    cluster.wait_settled()?;
    Ok((cluster, out))
}

#[track_caller]
fn says(out: &Output, lines: &[&str]) {
    for line in lines {
        assert!(out.stdout.contains(line), "no {line:?} in {}", out.text());
    }
}

const AGREED: &str = "[OK] All nodes agree about slots configuration.";
const COVERED: &str = "[OK] All 16384 slots covered.";

#[test]
#[ignore = "needs redis-cli 7.0"]
fn create_check_and_info() -> io::Result<()> {
    let (cluster, out) = created(3)?;
    says(&out, &["Master[0] -> Slots 0 - 5460", "Master[1] -> Slots 5461 - 10922", AGREED, COVERED]);
    let mut epochs: Vec<u64> = cluster.nodes[0].view()?.iter().map(|n| n.epoch).collect();
    epochs.sort_unstable();
    assert_eq!(epochs, [1, 2, 3], "create gives each node an epoch of its own");
    for node in &cluster.nodes {
        let out = manage(&["check", &node.address()])?;
        says(&out, &["[OK] 0 keys in 3 masters.", AGREED, COVERED, "(5462 slots) master"]);
        assert!(!out.text().contains("WARNING") && !out.text().contains("ERR"), "{}", out.text());
        let short = &node.id()?[..8];
        let info = manage(&["info", &node.address()])?;
        says(&info, &["[OK] 0 keys in 3 masters.", &format!("{} ({short}...) -> 0 keys", node.address())]);
    }
    let all = manage(&["call", &cluster.nodes[1].address(), "cluster", "myid"])?;
    for node in &cluster.nodes {
        says(&all, &[&format!("{}: {}", node.address(), node.id()?)]);
    }
    Ok(())
}

#[test]
#[ignore = "needs redis-cli 7.0"]
fn a_cluster_of_used_nodes_is_refused() -> io::Result<()> {
    let (cluster, _) = created(3)?;
    let addresses: Vec<String> = cluster.nodes.iter().map(Node::address).collect();
    let mut words = vec!["--cluster", "create"];
    words.extend(addresses.iter().map(String::as_str));
    let out = redis_cli(&words, "", LIMIT)?;
    assert!(!out.status.success(), "{}", out.text());
    assert!(out.text().contains("is not empty"), "{}", out.text());
    Ok(())
}

#[test]
#[ignore = "needs redis-cli 7.0"]
fn reshard_moves_slots_with_their_keys() -> io::Result<()> {
    let (cluster, _) = created(3)?;
    // 30 keys in the first 10 slots of the first node, which are those that redis-cli takes; one in a slot that stays.
    let keys: Vec<(u16, String)> =
        (0..10).flat_map(|slot| (0..3).map(move |n| (slot, key_of(slot, n)))).collect();
    for (_, key) in &keys {
        cluster.nodes[0].ask(&format!("SET {key} value-of-{key} EX 1000"))?;
    }
    let stays = key_of(5000, 0);
    cluster.nodes[0].ask(&format!("SET {stays} here"))?;
    let (from, to) = (cluster.nodes[0].id()?, cluster.nodes[1].id()?);
    let out = manage(&[
        "reshard",
        &cluster.nodes[2].address(),
        "--cluster-from",
        &from,
        "--cluster-to",
        &to,
        "--cluster-slots",
        "10",
        "--cluster-yes",
    ])?;
    for slot in 0..10 {
        let (source, target) = (cluster.nodes[0].address(), cluster.nodes[1].address());
        says(&out, &[&format!("Moving slot {slot} from {source} to {target}: ...\n")]);
    }
    says(&manage(&["check", &cluster.nodes[0].address()])?, &[AGREED, COVERED, "[OK] 31 keys in 3 masters."]);
    cluster.wait_settled()?;
    for (slot, key) in &keys {
        let found = cluster.nodes[1].ask(&format!("GET {key}"))?;
        assert_eq!(found.text(), Some(format!("value-of-{key}")), "slot {slot}");
        let Value::Int(ttl) = cluster.nodes[1].ask(&format!("TTL {key}"))? else { panic!("no TTL") };
        assert!((1..=1000).contains(&ttl), "{key} lives for {ttl} s");
        let moved = cluster.nodes[0].ask(&format!("GET {key}")).unwrap_err().to_string();
        assert_eq!(moved, format!("MOVED {slot} {}", cluster.nodes[1].address()));
    }
    assert_eq!(cluster.nodes[0].ask("DBSIZE")?, Value::Int(1));
    // The new owner's claim is the newest.
    let view = cluster.nodes[2].view()?;
    let newest = view.iter().max_by_key(|n| n.epoch).map(|n| n.id.clone());
    assert_eq!(newest, Some(to));
    Ok(())
}

#[test]
#[ignore = "needs redis-cli 7.0"]
fn a_node_is_added_used_emptied_and_deleted() -> io::Result<()> {
    let (mut cluster, _) = created(3)?;
    let fourth = cluster.add(&slotproof())?;
    let (entry, fresh) = (cluster.nodes[0].address(), cluster.nodes[fourth].address());
    let out = manage(&["add-node", &fresh, &entry])?;
    says(&out, &["[OK] New node added correctly."]);
    cluster.wait("everybody knows the fourth", |c| c.all(|n| Ok(n.view()?.len() == 4)))?;
    cluster.wait_settled()?;
    let (first, new) = (cluster.nodes[0].id()?, cluster.nodes[fourth].id()?);
    let reshard = |from: &str, to: &str| {
        let words = ["reshard", entry.as_str(), "--cluster-from", from, "--cluster-to", to];
        manage(&[&words[..], &["--cluster-slots", "7", "--cluster-yes"]].concat())
    };
    for slot in 0..7 {
        cluster.nodes[0].ask(&format!("SET {} v", key_of(slot, 0)))?;
    }
    reshard(&first, &new)?;
    cluster.wait_settled()?;
    assert_eq!(cluster.nodes[fourth].ask("DBSIZE")?, Value::Int(7));
    // A node with slots is not deleted.
    let refused = redis_cli(&["--cluster", "del-node", &entry, &new], "", LIMIT)?;
    assert!(!refused.status.success() && refused.text().contains("is not empty"), "{}", refused.text());
    reshard(&new, &first)?;
    cluster.wait_settled()?;
    let out = manage(&["del-node", &entry, &new])?;
    says(
        &out,
        &[
            ">>> Sending CLUSTER FORGET messages to the cluster...",
            ">>> Sending CLUSTER RESET SOFT to the deleted node.",
        ],
    );
    for node in &cluster.nodes[..3] {
        assert!(node.view()?.iter().all(|n| n.id != new), "it is forgotten");
    }
    let alone = cluster.nodes[fourth].view()?;
    assert_eq!(alone.len(), 1, "a soft reset forgets the others: {alone:?}");
    assert_eq!(alone[0].id, new, "and keeps the name");
    says(&manage(&["check", &entry])?, &[AGREED, COVERED, "[OK] 7 keys in 3 masters."]);
    Ok(())
}

#[test]
#[ignore = "needs redis-cli 7.0"]
fn rebalance_and_fix() -> io::Result<()> {
    let (cluster, _) = created(3)?;
    let entry = cluster.nodes[0].address();
    let (from, to) = (cluster.nodes[0].id()?, cluster.nodes[1].id()?);
    // A migration that somebody began and left.
    let key = key_of(77, 0);
    cluster.nodes[0].ask(&format!("SET {key} v"))?;
    cluster.nodes[1].ask(&format!("CLUSTER SETSLOT 77 IMPORTING {from}"))?;
    cluster.nodes[0].ask(&format!("CLUSTER SETSLOT 77 MIGRATING {to}"))?;
    let open = redis_cli(&["--cluster", "check", &entry], "", LIMIT)?;
    assert!(!open.status.success(), "an open slot is an error: {}", open.text());
    says(&open, &["has slots in migrating state 77.", "has slots in importing state 77."]);
    manage(&["fix", &entry, "--cluster-yes"])?;
    cluster.wait_settled()?;
    says(&manage(&["check", &entry])?, &[AGREED, COVERED, "[OK] 1 keys in 3 masters."]);
    // Slots are shared anew by weight.
    let weights = ["rebalance", entry.as_str(), "--cluster-weight"];
    let light = [format!("{from}=0.9"), format!("{to}=1.1")];
    manage(&[&weights[..], &[&light[0], &light[1]]].concat())?;
    cluster.wait_settled()?;
    says(&manage(&["check", &entry])?, &[AGREED, COVERED, "(4915 slots) master"]);
    Ok(())
}

/// Waits until the tool finds everything in order: it does not wait for gossip itself.
fn wait_checked(cluster: &Cluster, keys: usize) -> io::Result<()> {
    cluster.wait_settled()?;
    for node in &cluster.nodes {
        let out = manage(&["check", &node.address()])?;
        says(&out, &[AGREED, COVERED, &format!("[OK] {keys} keys in")]);
        assert!(!out.text().contains("WARNING") && !out.text().contains("ERR"), "{}", out.text());
    }
    Ok(())
}

#[test]
#[ignore = "needs redis-cli 7.0"]
fn fix_closes_a_slot_that_one_side_opened() -> io::Result<()> {
    let (cluster, _) = created(3)?;
    let entry = cluster.nodes[2].address();
    let (first, second) = (cluster.nodes[0].id()?, cluster.nodes[1].id()?);
    let (kept, strayed) = (key_of(77, 0), key_of(77, 1));
    cluster.nodes[0].ask(&format!("SET {kept} v"))?;
    // redis-cli makes the node with the most keys of the slot its owner; of two with as many, any.
    cluster.nodes[0].ask(&format!("SET {} v", key_of(77, 2)))?;
    cluster.nodes[0].ask(&format!("CLUSTER SETSLOT 77 MIGRATING {second}"))?;
    let open = redis_cli(&["--cluster", "check", &entry], "", LIMIT)?;
    assert!(!open.status.success(), "{}", open.text());
    says(&open, &["[WARNING] The following slots are open: 77."]);
    says(&manage(&["fix", &entry, "--cluster-yes"])?, &[">>> Fixing open slot 77"]);
    wait_checked(&cluster, 2)?;
    assert_eq!(cluster.nodes[0].ask(&format!("GET {kept}"))?.text().as_deref(), Some("v"));
    // Only the target, and with a key that has to come back.
    cluster.nodes[1].ask(&format!("CLUSTER SETSLOT 77 IMPORTING {first}"))?;
    let mut target = cluster.nodes[1].connect()?;
    target.ask(&["ASKING"])?;
    target.ask(&["SET", &strayed, "w"])?;
    let out = manage(&["fix", &entry, "--cluster-yes"])?;
    let (source, owner) = (cluster.nodes[1].address(), cluster.nodes[0].address());
    says(&out, &[">>> Fixing open slot 77", &format!("Moving slot 77 from {source} to {owner}: .")]);
    wait_checked(&cluster, 3)?;
    assert_eq!(cluster.nodes[0].ask(&format!("GET {strayed}"))?.text().as_deref(), Some("w"));
    Ok(())
}

#[test]
#[ignore = "needs redis-cli 7.0"]
fn fix_covers_a_slot_of_nobody() -> io::Result<()> {
    let (cluster, _) = created(3)?;
    let entry = cluster.nodes[1].address();
    let key = key_of(77, 0);
    cluster.nodes[0].ask(&format!("SET {key} v"))?;
    // Until nobody has heard of a claim after it gave the slots up itself.
    let given_up = || {
        let owned = |text: &str| text.lines().any(|l| l.contains("cluster_slots_assigned:16382"));
        for node in &cluster.nodes {
            let _ = node.ask("CLUSTER DELSLOTS 77");
            let _ = node.ask("CLUSTER DELSLOTS 78");
        }
        cluster.all(|n| Ok(owned(&n.ask("CLUSTER INFO")?.text().unwrap_or_default())))
    };
    cluster.wait("nobody owns the slots", |_| given_up())?;
    let open = redis_cli(&["--cluster", "check", &entry], "", LIMIT)?;
    assert!(!open.status.success(), "{}", open.text());
    says(&open, &["[ERR] Not all 16384 slots are covered by nodes."]);
    // Here --cluster-yes is not enough for redis-cli.
    let out = redis_cli(&["--cluster", "fix", &entry], "yes\nyes\n", LIMIT)?.success()?;
    says(
        &out,
        &[
            "The following uncovered slots have no keys across the cluster:\n[78]",
            ">>> Covering slot 78 with ",
            "The following uncovered slots have keys in just one node:\n[77]",
            &format!(">>> Covering slot 77 with {}", cluster.nodes[0].address()),
        ],
    );
    wait_checked(&cluster, 1)?;
    assert_eq!(cluster.nodes[0].ask(&format!("GET {key}"))?.text().as_deref(), Some("v"));
    Ok(())
}

#[test]
#[ignore = "needs redis-cli 7.0"]
fn rebalance_gives_slots_to_an_empty_master() -> io::Result<()> {
    let (mut cluster, _) = created(3)?;
    let fourth = cluster.add(&slotproof())?;
    let (entry, fresh) = (cluster.nodes[0].address(), cluster.nodes[fourth].address());
    manage(&["add-node", &fresh, &entry])?;
    cluster.wait("everybody knows the fourth", |c| c.all(|n| Ok(n.view()?.len() == 4)))?;
    cluster.wait_settled()?;
    let keys: Vec<String> = (0..5).map(|n| key_of(n, 0)).collect();
    for key in &keys {
        cluster.nodes[0].ask(&format!("SET {key} v"))?;
    }
    says(&manage(&["rebalance", &entry])?, &["*** No rebalancing needed!"]);
    let light = format!("{}=0.02", cluster.nodes[fourth].id()?);
    let empty = ["rebalance", entry.as_str(), "--cluster-use-empty-masters", "--cluster-weight", &light];
    let dry = manage(&[&empty[..], &["--cluster-simulate"]].concat())?;
    says(&dry, &[">>> Rebalancing across 4 nodes. Total weight = 3.02"]);
    assert_eq!(cluster.nodes[fourth].owners()?, cluster.nodes[0].owners()?);
    manage(&empty)?;
    wait_checked(&cluster, 5)?;
    let mine = cluster.nodes[fourth].id()?;
    let view = cluster.nodes[0].view()?;
    let ranges = view.iter().filter(|n| n.id == mine).flat_map(|n| n.slots.clone());
    let slots: usize = ranges.filter_map(|r| slotproof::reshard::ranges(&r)).map(|s| s.len()).sum();
    assert!((108..=109).contains(&slots), "{slots} slots");
    let Value::Int(held) = cluster.nodes[fourth].ask("DBSIZE")? else { panic!("no number") };
    assert_eq!(held, 5, "the lowest slots of the first node are among them");
    Ok(())
}

#[test]
#[ignore = "needs redis-cli 7.0"]
fn call_reaches_the_nodes_that_it_should() -> io::Result<()> {
    let (cluster, _) = created(3)?;
    let entry = cluster.nodes[0].address();
    let out = manage(&["call", &entry, "config", "set", "cluster-node-timeout", "4000"])?;
    assert_eq!(out.stdout.matches(": OK").count(), 3, "{}", out.text());
    let out = manage(&["call", &entry, "ping", "--cluster-only-masters"])?;
    assert_eq!(out.stdout.matches("PONG").count(), 3, "{}", out.text());
    let out = manage(&["call", &entry, "ping", "--cluster-only-replicas"])?;
    assert!(!out.stdout.contains("PONG"), "{}", out.text());
    Ok(())
}

#[test]
#[ignore = "needs redis-cli 7.0"]
fn set_timeout_changes_the_nodes_and_their_files() -> io::Result<()> {
    let mut cluster = Cluster::new(&[], false)?;
    let mut files = Vec::new();
    for n in 0..3 {
        let file = cluster.dir().join(format!("{n}.conf"));
        std::fs::write(&file, "# kept\ncluster-node-timeout 5000\n")?;
        let leading = vec!["node".into(), file.to_string_lossy().into_owned()];
        cluster.add(&Program::Slotproof(support::tool().to_path_buf(), leading))?;
        files.push(file);
    }
    cluster.form(3)?;
    let out = manage(&["set-timeout", &cluster.nodes[0].address(), "7000"])?;
    says(&out, &[">>> New node timeout set. 3 OK, 0 ERR."]);
    for (node, file) in cluster.nodes.iter().zip(files) {
        let told = node.ask("CONFIG GET cluster-node-timeout")?;
        assert!(format!("{told:?}").contains(&format!("{:?}", b"7000".to_vec())), "{told:?}");
        let text = std::fs::read_to_string(file)?;
        assert!(text.contains("# kept") && text.contains("cluster-node-timeout 7000"), "{text}");
    }
    Ok(())
}

/// A server that is no cluster, with keys.
fn alone(program: &Program) -> io::Result<Cluster> {
    let plain = Cluster::start(1, program, &["--cluster-enabled", "no"], false)?;
    for n in 0..50 {
        plain.nodes[0].ask(&format!("SET plain-{n} value-{n}"))?;
    }
    plain.nodes[0].ask("EXPIRE plain-7 1000")?;
    Ok(plain)
}

#[test]
#[ignore = "needs redis-cli 7.0"]
fn import_brings_keys_from_a_server_that_is_no_cluster() -> io::Result<()> {
    for program in [Program::Redis, slotproof()] {
        let (cluster, _) = created(3)?;
        let plain = alone(&program)?;
        let (entry, source) = (cluster.nodes[0].address(), plain.nodes[0].address());
        let out = manage(&["import", &entry, "--cluster-from", &source, "--cluster-copy"])?;
        says(
            &out,
            &[
                "*** Importing 50 keys from DB 0",
                &format!(">>> Importing data from {source} to cluster {entry}"),
            ],
        );
        assert_eq!(plain.nodes[0].ask("DBSIZE")?, Value::Int(50), "a copy leaves them");
        manage(&["import", &entry, "--cluster-from", &source, "--cluster-replace"])?;
        assert_eq!(plain.nodes[0].ask("DBSIZE")?, Value::Int(0));
        let mut client = slotproof::client::Client::new(std::slice::from_ref(&entry))?;
        for n in 0..50 {
            let key = format!("plain-{n}");
            let found = client.call(key.as_bytes(), &["GET", &key]).done()?;
            assert_eq!(found.text(), Some(format!("value-{n}")), "{key}");
        }
        let ttl = client.call(b"plain-7", &["TTL", "plain-7"]).done()?;
        assert!(matches!(ttl, Value::Int(900..=1000)), "{ttl:?}");
        wait_checked(&cluster, 50)?;
    }
    Ok(())
}

#[test]
#[ignore = "needs redis-cli 7.0"]
fn backup_saves_the_keys_of_each_master() -> io::Result<()> {
    let (cluster, _) = created(3)?;
    for slot in [5, 6000, 16000] {
        let mut client = slotproof::client::Client::new(&[cluster.nodes[0].address()])?;
        let key = key_of(slot, 0);
        client.call(key.as_bytes(), &["SET", &key, "v"]).done()?;
    }
    let dir = cluster.dir().join("backup");
    std::fs::create_dir(&dir)?;
    let out =
        redis_cli(&["--cluster", "backup", &cluster.nodes[0].address(), &dir.to_string_lossy()], "", LIMIT)?;
    let out = out.success()?;
    says(&out, &["[OK] Backup created into: "]);
    assert_eq!(out.text().matches("Transfer finished with success").count(), 3, "{}", out.text());
    for node in &cluster.nodes {
        let name = format!("redis-node-127.0.0.1-{}-{}.rdb", node.port, node.id()?);
        let bytes = std::fs::read(dir.join(&name))?;
        assert!(bytes.starts_with(b"REDIS00"), "{name} is an RDB file");
    }
    let nodes = std::fs::read_to_string(dir.join("nodes.json"))?;
    for node in &cluster.nodes {
        assert!(nodes.contains(&node.id()?), "{nodes}");
    }
    Ok(())
}

/// What `redis-cli -c` said of redirects, and the replies in one line.
fn parted(out: &Output) -> (Vec<&str>, String) {
    let (redirects, replies): (Vec<&str>, Vec<&str>) =
        out.stdout.lines().partition(|l| l.starts_with("-> Redirected"));
    (redirects, replies.join(" "))
}

#[test]
#[ignore = "needs redis-cli 7.0"]
fn redirects_are_followed_with_c() -> io::Result<()> {
    let (cluster, _) = created(3)?;
    let port = cluster.nodes[0].port.to_string();
    let input = "set foo bar\nget foo\nset {a}1 x\nmget {a}1 {a}2\nset hello world\nincr n\nget hello\n";
    let out = redis_cli(&["-c", "-p", &port], input, LIMIT)?.success()?;
    let (redirects, replies) = parted(&out);
    assert_eq!(replies, "OK bar OK x  OK 1 world", "{}", out.text());
    assert_eq!(
        redirects[0],
        format!("-> Redirected to slot [12182] located at {}", cluster.nodes[2].address())
    );
    assert_eq!(key_slot(b"foo").index(), 12182, "its home is the third node");
    let told = cluster.nodes[2].ask("GET foo")?;
    assert_eq!(told.text().as_deref(), Some("bar"));
    // Without -c the redirect is the answer.
    let plain = redis_cli(&["-p", &port, "get", "foo"], "", LIMIT)?;
    assert!(
        plain.text().contains(&format!("MOVED 12182 {}", cluster.nodes[2].address())),
        "{}",
        plain.text()
    );
    // In the middle of a migration, a key that is not here is looked for at the target.
    let (first, second) = (cluster.nodes[0].id()?, cluster.nodes[1].id()?);
    let (moving, new) = (key_of(42, 0), key_of(42, 1));
    cluster.nodes[0].ask(&format!("SET {moving} old"))?;
    cluster.nodes[1].ask(&format!("CLUSTER SETSLOT 42 IMPORTING {first}"))?;
    cluster.nodes[0].ask(&format!("CLUSTER SETSLOT 42 MIGRATING {second}"))?;
    let input = format!("get {moving}\nset {new} created\nget {new}\nget {moving}\n");
    let out = redis_cli(&["-c", "-p", &port], &input, LIMIT)?.success()?;
    let (redirects, replies) = parted(&out);
    assert_eq!(replies, "old OK created old", "{}", out.text());
    assert_eq!(redirects[0], format!("-> Redirected to slot [42] located at {}", cluster.nodes[1].address()));
    assert_eq!(cluster.nodes[1].ask("CLUSTER COUNTKEYSINSLOT 42")?, Value::Int(1));
    assert_eq!(cluster.nodes[0].ask("CLUSTER COUNTKEYSINSLOT 42")?, Value::Int(1));
    Ok(())
}

#[test]
#[ignore = "needs redis-benchmark 7.0"]
fn the_benchmark_runs_on_a_cluster() -> io::Result<()> {
    let (cluster, _) = created(3)?;
    let port = cluster.nodes[1].port.to_string();
    let words = ["--cluster", "-h", "127.0.0.1", "-p", &port, "-t", "ping,set,get,incr,mset"];
    let sizes = ["-n", "20000", "-r", "10000", "-P", "16", "--csv"];
    let out = run("redis-benchmark", &[&words[..], &sizes].concat(), "", LIMIT)?.success()?;
    for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"] {
        let line = out.stdout.lines().find(|l| l.starts_with(&format!("\"{test}\"")));
        let Some(line) = line else { panic!("no {test} in {}", out.text()) };
        let rate = line.split(',').nth(1).and_then(|r| r.trim_matches('"').parse::<f64>().ok());
        assert!(rate.is_some_and(|r| r > 100.0), "{line}");
    }
    assert!(!out.text().contains("rror"), "{}", out.text());
    let keys = cluster.nodes.iter().map(|n| n.ask("DBSIZE")).collect::<io::Result<Vec<_>>>()?;
    assert!(keys.iter().all(|k| matches!(k, Value::Int(1..))), "every node got keys: {keys:?}");
    Ok(())
}

#[test]
#[ignore = "needs redis-cli 7.0"]
fn a_migration_typed_by_hand() -> io::Result<()> {
    let (cluster, _) = created(3)?;
    let [_, source, target] = &cluster.nodes[..] else { panic!("three nodes") };
    let (source_id, target_id) = (source.id()?, target.id()?);
    let slot = "5798";
    let keys: Vec<String> = (0..5).map(|n| key_of(5798, n)).collect();
    for key in &keys {
        assert_eq!(typed(source, &["set", key, key])?, "OK");
    }
    assert_eq!(typed(source, &["cluster", "setslot", slot, "migrating", &target_id])?, "OK");
    assert_eq!(typed(target, &["cluster", "setslot", slot, "importing", &source_id])?, "OK");
    let myself = |text: String| {
        text.lines().find(|l| l.contains("myself")).map(str::to_string).ok_or_else(|| io::Error::other(text))
    };
    let shown = myself(typed(source, &["cluster", "nodes"])?)?;
    assert!(shown.ends_with(&format!(" 5461-10922 [5798->-{target_id}]")), "{shown}");
    let shown = myself(typed(target, &["cluster", "nodes"])?)?;
    assert!(shown.ends_with(&format!(" 10923-16383 [5798-<-{source_id}]")), "{shown}");
    // Only the two nodes themselves know of it.
    assert!(!typed(&cluster.nodes[0], &["cluster", "nodes"])?.contains("5798"));

    let listed = typed(source, &["cluster", "getkeysinslot", slot, "100"])?;
    let mut listed: Vec<&str> = listed.lines().collect();
    listed.sort_unstable();
    let mut all: Vec<&str> = keys.iter().map(String::as_str).collect();
    all.sort_unstable();
    assert_eq!(listed, all);
    let port = target.port.to_string();
    assert_eq!(typed(source, &["migrate", "127.0.0.1", &port, &keys[0], "0", "5000"])?, "OK");
    assert_eq!(typed(source, &["migrate", "127.0.0.1", &port, &keys[0], "0", "5000"])?, "NOKEY");
    assert_eq!(typed(source, &["cluster", "countkeysinslot", slot])?, "4");
    let asked = typed(source, &["get", &keys[0]])?;
    assert_eq!(asked, format!("ASK 5798 127.0.0.1:{port}"));
    assert_eq!(typed(target, &["get", &keys[0]])?, format!("MOVED 5798 127.0.0.1:{}", source.port));
    let torn = typed(source, &["mget", &keys[0], &keys[1]])?;
    assert_eq!(torn, "TRYAGAIN Multiple keys request during rehashing of slot");
    let early = typed(source, &["cluster", "setslot", slot, "node", &target_id])?;
    assert!(early.starts_with("ERR Can't assign hashslot 5798 to a different node while I still hold keys"));
    let mut words = vec!["migrate", "127.0.0.1", &port, "", "0", "5000", "keys"];
    words.extend(keys[1..].iter().map(String::as_str));
    assert_eq!(typed(source, &words)?, "OK");
    assert_eq!(typed(source, &["cluster", "countkeysinslot", slot])?, "0");
    for node in [target, source, &cluster.nodes[0]] {
        assert_eq!(typed(node, &["cluster", "setslot", slot, "node", &target_id])?, "OK");
    }
    cluster.wait_settled()?;
    for node in &cluster.nodes {
        let shown = typed(node, &["cluster", "nodes"])?;
        assert!(!shown.contains('['), "{shown}");
        let of_target = shown.lines().find(|l| l.starts_with(&target_id)).unwrap_or_default();
        assert!(of_target.ends_with(" 5798 10923-16383"), "{shown}");
    }
    for key in &keys {
        assert_eq!(typed(target, &["get", key])?, *key);
    }
    Ok(())
}

#[test]
#[ignore = "needs redis-cli 7.0 and redis-server 7.0"]
fn backup_gives_files_that_redis_loads() -> io::Result<()> {
    let (cluster, _) = created(3)?;
    for i in 0..300 {
        let key = format!("key-{i}");
        let node = cluster.nodes.iter().find(|n| n.ask(&format!("SET {key} value-{i} EX 5000")).is_ok());
        assert!(node.is_some(), "somebody serves {key}");
    }
    let dir = tempfile::tempdir()?;
    let place = dir.path().to_string_lossy().into_owned();
    let out = manage(&["backup", &cluster.nodes[1].address(), &place])?;
    says(&out, &["Backup created into: "]);
    let mut files: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(dir.path())? {
        files.push(entry?.file_name().to_string_lossy().into_owned());
    }
    files.sort_unstable();
    assert_eq!(files.len(), 4, "three masters and nodes.json: {files:?}");
    let mut total = 0;
    for (node, keys) in cluster.nodes.iter().map(|n| (n, n.ask("DBSIZE"))) {
        let file = format!("redis-node-127.0.0.1-{}-{}.rdb", node.port, node.id()?);
        let home = tempfile::tempdir()?;
        let path = home.path().join("dump.rdb");
        std::fs::copy(dir.path().join(&file), &path)?;
        run("redis-check-rdb", &[path], "", LIMIT)?.success()?;
        let options = ["--dir", &home.path().to_string_lossy(), "--dbfilename", "dump.rdb"];
        let loaded = Cluster::start(1, &Program::Redis, &options, false)?;
        let there = loaded.nodes[0].ask("DBSIZE")?;
        assert_eq!(there, keys?, "{file}");
        let Value::Int(n) = there else { panic!("{there:?}") };
        total += n;
    }
    assert_eq!(total, 300);
    Ok(())
}
