//! The cluster bus against its origin: two Slotproof nodes and one redis-server 7.0 in one cluster.

mod support;

use std::io;

use slotproof::client::Client;
use slotproof::cluster::{Cluster, Node, Program, Seen};
use slotproof::conform::conform;
use slotproof::reshard::reshard;
use slotproof::resp::Value;
use support::{key_of, slotproof};

/// The node that runs redis-server.
const REDIS: usize = 2;

/// Two Slotproof nodes with traces and one redis-server, which share all slots.
fn mixed() -> io::Result<Cluster> {
    let mut cluster = Cluster::new(&["--cluster-node-timeout", "2000"], true)?;
    for program in [slotproof(), slotproof(), Program::Redis] {
        cluster.add(&program)?;
    }
    let kind = |node: &Node| Ok::<_, io::Error>(node.ask("INFO server")?.text().unwrap_or_default());
    assert!(kind(&cluster.nodes[REDIS])?.contains("redis_version:7.0."), "it is redis-server 7.0");
    assert!(!kind(&cluster.nodes[REDIS])?.to_lowercase().contains("slotproof"), "and nothing else");
    cluster.form(3)?;
    Ok(cluster)
}

/// What all nodes should say of each: name, address, role, master, config epoch, slots.
fn shared(view: Vec<Seen>) -> Vec<(String, String, String, String, u64, Vec<String>)> {
    let role = |n: &Seen| n.flags.replace("myself,", "");
    let mut all: Vec<_> = view
        .into_iter()
        .map(|n| (n.id.clone(), n.address.clone(), role(&n), n.master.clone(), n.epoch, n.slots))
        .collect();
    all.sort();
    all
}

/// Until all views are equal in everything that all nodes should say.
fn wait_equal(cluster: &Cluster) -> io::Result<()> {
    cluster.wait_settled()?;
    cluster.wait("views are equal word for word", |c| {
        let views = c.live().map(|n| n.view().map(shared)).collect::<io::Result<Vec<_>>>()?;
        let epochs = c.live().map(|n| n.info("cluster_current_epoch")).collect::<io::Result<Vec<_>>>()?;
        Ok(views.iter().all(|v| *v == views[0]) && epochs.iter().all(|e| *e == epochs[0]))
    })
}

/// Until every live node but itself sees it as FAIL, or as healthy.
fn wait_fail(cluster: &Cluster, id: &str, fail: bool) -> io::Result<()> {
    cluster.wait(if fail { "all see it as FAIL" } else { "all see it as healthy" }, |c| {
        c.all(|n| {
            let view = n.view()?;
            let seen = view.iter().find(|s| s.id == id).ok_or_else(|| io::Error::other("it is unknown"))?;
            let has = |flag| seen.flags.split(',').any(|f| f == flag);
            Ok(if fail { has("fail") } else { !has("fail") && !has("fail?") })
        })
    })
}

/// The replayed run of the Slotproof nodes.
fn replayed(cluster: &mut Cluster, cut_off: usize) -> io::Result<()> {
    for node in &mut cluster.nodes {
        node.terminate()?;
    }
    let report = conform(&cluster.traces()?).map_err(|d| io::Error::other(d.to_string()))?;
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!(report.cut_off.len(), cut_off, "{report}");
    Ok(())
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn they_meet_share_slots_and_agree() -> io::Result<()> {
    let mut cluster = mixed()?;
    wait_equal(&cluster)?;
    for node in &cluster.nodes {
        for (name, value) in
            [("cluster_slots_assigned", "16384"), ("cluster_slots_ok", "16384"), ("cluster_size", "3")]
        {
            assert_eq!(node.info(name)?, value, "{name} at {}", node.address());
        }
    }
    // Views are equal already when a link made by gossip is still being connected.
    cluster.wait("all links are connected", |c| {
        c.all(|n| Ok(n.view()?.iter().all(|n| n.link == "connected")))
    })?;
    // Each kind sends a client to the other.
    let (here, there) = (key_of(5, 0), key_of(16000, 0));
    let moved = cluster.nodes[0].ask(&format!("GET {there}")).unwrap_err().to_string();
    assert_eq!(moved, format!("MOVED 16000 {}", cluster.nodes[REDIS].address()));
    let moved = cluster.nodes[REDIS].ask(&format!("GET {here}")).unwrap_err().to_string();
    assert_eq!(moved, format!("MOVED 5 {}", cluster.nodes[0].address()));
    replayed(&mut cluster, 0)
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn a_slot_with_keys_moves_each_way() -> io::Result<()> {
    let mut cluster = mixed()?;
    let [first, redis] = [cluster.nodes[0].id()?, cluster.nodes[REDIS].id()?];
    let long = "x".repeat(20_000);
    let values = ["text", "12345", "-7", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &long];
    let keys: Vec<String> = (0..250).map(|n| format!("{{{}}}:{n}", key_of(77, 0))).collect();
    for (n, key) in keys.iter().enumerate() {
        let life = if n % 3 == 0 { " PX 5000000" } else { "" };
        cluster.nodes[0].ask(&format!("SET {key} {}{life}", values[n % values.len()]))?;
    }
    let entry = cluster.nodes[1].address();
    let mut home = 0;
    for (from, to, target) in [(&first, &redis, REDIS), (&redis, &first, 0), (&first, &redis, REDIS)] {
        let moved = reshard(&entry, Some(from), to, &[77], |_, _| {})?;
        assert_eq!((moved.slots, moved.keys), (1, keys.len()));
        wait_equal(&cluster)?;
        assert_eq!(cluster.nodes[home].ask("CLUSTER COUNTKEYSINSLOT 77")?, Value::Int(0));
        assert_eq!(cluster.nodes[target].ask("CLUSTER COUNTKEYSINSLOT 77")?, Value::Int(250));
        home = target;
        for (n, key) in keys.iter().enumerate() {
            let found = cluster.nodes[home].ask(&format!("GET {key}"))?;
            assert_eq!(found.text().as_deref(), Some(values[n % values.len()]), "{key}");
            let Value::Int(ttl) = cluster.nodes[home].ask(&format!("PTTL {key}"))? else { panic!("no PTTL") };
            let alive = if n % 3 == 0 { (4_000_000..=5_000_000).contains(&ttl) } else { ttl == -1 };
            assert!(alive, "{key} has {ttl} ms");
        }
    }
    // Half a migration, seen by a client from both sides.
    let key = key_of(9, 0);
    cluster.nodes[0].ask(&format!("SET {key} v"))?;
    cluster.nodes[REDIS].ask(&format!("CLUSTER SETSLOT 9 IMPORTING {first}"))?;
    cluster.nodes[0].ask(&format!("CLUSTER SETSLOT 9 MIGRATING {redis}"))?;
    cluster.nodes[0].ask(&format!("MIGRATE 127.0.0.1 {} {key} 0 5000", cluster.nodes[REDIS].port))?;
    let asked = cluster.nodes[0].ask(&format!("GET {key}")).unwrap_err().to_string();
    assert_eq!(asked, format!("ASK 9 {}", cluster.nodes[REDIS].address()));
    let mut client = Client::new(&[cluster.nodes[1].address()])?;
    let found = client.call(key.as_bytes(), &[b"GET", key.as_bytes()]).done()?;
    assert_eq!(found.text().as_deref(), Some("v"));
    let resumed = reshard(&entry, None, &redis, &[], |_, _| {})?;
    assert_eq!(resumed.resumed, 1);
    wait_equal(&cluster)?;
    replayed(&mut cluster, 0)
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn a_killed_node_of_each_kind_is_failed_and_comes_back() -> io::Result<()> {
    let mut cluster = mixed()?;
    wait_equal(&cluster)?;
    for victim in [REDIS, 0] {
        let id = cluster.nodes[victim].id()?;
        cluster.nodes[victim].kill();
        wait_fail(&cluster, &id, true)?;
        cluster
            .wait("the cluster is down for both", |c| c.all(|n| Ok(n.info("cluster_state")? == "fail")))?;
        cluster.nodes[victim].restart()?;
        assert_eq!(cluster.nodes[victim].id()?, id, "its name is in nodes.conf");
        wait_fail(&cluster, &id, false)?;
        wait_equal(&cluster)?;
    }
    replayed(&mut cluster, 1)
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn nodes_of_one_kind_read_the_nodes_conf_of_the_other() -> io::Result<()> {
    let mut cluster = Cluster::new(&["--cluster-node-timeout", "2000"], false)?;
    for program in [slotproof(), slotproof(), Program::Redis] {
        cluster.add(&program)?;
    }
    cluster.form(3)?;
    wait_equal(&cluster)?;
    let ids = cluster.nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    for (node, program) in [(0, Program::Redis), (REDIS, slotproof())] {
        assert!(cluster.nodes[node].terminate()?.success());
        cluster.nodes[node].restart_as(&program)?;
        assert_eq!(cluster.nodes[node].id()?, ids[node]);
        wait_equal(&cluster)?;
    }
    Ok(())
}
