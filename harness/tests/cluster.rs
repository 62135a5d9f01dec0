//! Clusters of Slotproof nodes: formed, used, resharded under load with the operator killed, restarted, replayed.

mod support;

use std::io;

use slotproof::client::Client;
use slotproof::cluster::{Cluster, Node};
use slotproof::conform::conform;
use slotproof::demo::{Plan, run, traces};
use slotproof::resp::Value;
use slotproof_model::key_slot;
use support::{slotproof, tool};

/// Three masters that share all slots.
fn three(options: &[&str], traced: bool) -> io::Result<Cluster> {
    let cluster = Cluster::start(3, &slotproof(), options, traced)?;
    cluster.form(3)?;
    Ok(cluster)
}

#[test]
fn a_client_is_sent_where_its_key_is() -> io::Result<()> {
    let cluster = three(&[], false)?;
    let slot = u16::from(key_slot(b"foo"));
    assert_eq!(slot, 12182);
    let third = &cluster.nodes[2];
    let error = cluster.nodes[0].ask("SET foo bar").unwrap_err().to_string();
    assert_eq!(error, format!("MOVED 12182 {}", third.address()));
    assert_eq!(third.ask("SET foo bar")?, Value::Status("OK".into()));
    let seeds: Vec<String> = cluster.nodes.iter().map(Node::address).collect();
    let mut client = Client::new(&seeds[..1])?;
    let found = client.call(b"foo", &[b"GET", b"foo"]).done()?;
    assert_eq!(found.text().as_deref(), Some("bar"));
    Ok(())
}

#[test]
fn a_reshard_under_load_survives_its_operator_and_conforms() -> io::Result<()> {
    let plan = Plan { keys: 4000, slots: 60, clients: 4, seed: 7 };
    let story = run(tool(), plan, |_| {})?;
    assert_eq!(story.verdict.violations, [], "seed {}", plan.seed);
    assert_eq!(story.slots_at_target, 60);
    let report = conform(&traces(&story)?).map_err(|d| io::Error::other(d.to_string()))?;
    assert_eq!(report.violations, Vec::<String>::new());
    assert!(report.cut_off.is_empty() && report.frames > 0 && report.untraced == 0, "{report}");
    Ok(())
}

#[test]
fn a_killed_master_becomes_fail_and_comes_back_from_its_nodes_conf() -> io::Result<()> {
    let mut cluster = three(&["--cluster-node-timeout", "1500"], true)?;
    let id = cluster.nodes[2].id()?;
    let epochs: Vec<u64> = cluster.nodes[0].view()?.iter().map(|n| n.epoch).collect();
    cluster.nodes[2].kill();
    cluster.wait("the others see it as FAIL, and the cluster as down", |c| {
        c.all(|n| {
            let seen = n.view()?.into_iter().find(|s| s.id == id);
            let fail = seen.is_some_and(|s| s.flags.split(',').any(|f| f == "fail"));
            Ok(fail && n.info("cluster_state")? == "fail")
        })
    })?;
    cluster.nodes[2].restart()?;
    assert_eq!(cluster.nodes[2].id()?, id, "its name is in nodes.conf");
    cluster.wait_settled()?;
    let mut after: Vec<u64> = cluster.nodes[0].view()?.iter().map(|n| n.epoch).collect();
    let mut before = epochs;
    before.sort_unstable();
    after.sort_unstable();
    assert_eq!(before, after);
    for node in &mut cluster.nodes {
        assert!(node.terminate()?.success());
    }
    let report = conform(&cluster.traces()?).map_err(|d| io::Error::other(d.to_string()))?;
    assert_eq!(report.violations, Vec::<String>::new());
    assert_eq!(report.cut_off.len(), 1, "the killed life has no end");
    for rule in ["failure: FAIL by own count", "failure: FAIL undone", "failure: PFAIL set"] {
        assert!(report.coverage.0.contains_key(rule), "{rule}");
    }
    Ok(())
}

#[test]
fn a_paused_master_is_suspected_and_forgiven() -> io::Result<()> {
    let cluster = three(&["--cluster-node-timeout", "1000"], false)?;
    let id = cluster.nodes[1].id()?;
    cluster.nodes[1].pause()?;
    let fail = |n: &Node| {
        let flags = n.view()?.into_iter().find(|s| s.id == id).map(|s| s.flags);
        Ok(flags.is_some_and(|f| f.split(',').any(|f| f == "fail")))
    };
    let seen = slotproof::cluster::wait_for("it is FAIL for the first", || fail(&cluster.nodes[0]));
    cluster.nodes[1].resume()?;
    seen?;
    cluster.wait_settled()?;
    cluster.wait("nobody holds it for FAIL", |c| Ok(!c.all(|n| Ok(n.id()? != id && fail(n)?))?))
}

#[test]
fn a_link_that_is_not_read_is_closed_at_the_configured_limit_and_opened_anew() -> io::Result<()> {
    let cluster = three(&["--cluster-node-timeout", "5000", "--cluster-link-sendbuf-limit", "1mb"], false)?;
    let first = &cluster.nodes[0];
    let exceeded = |n: &Node| -> io::Result<bool> {
        Ok(n.info("total_cluster_links_buffer_limit_exceeded")?.parse::<u64>().is_ok_and(|n| n > 0))
    };
    assert!(!exceeded(first)?);
    cluster.nodes[2].pause()?;
    let mut publisher = first.connect()?;
    let message = "x".repeat(200_000);
    // The system's own buffers take some of it.
    let closed = slotproof::cluster::wait_for("the limit is exceeded", || {
        publisher.ask(&["PUBLISH", "channel", &message])?;
        exceeded(first)
    });
    cluster.nodes[2].resume()?;
    closed?;
    cluster.wait_settled()?;
    let links = |n: &Node| Ok(matches!(n.ask("CLUSTER LINKS")?, Value::Array(links) if links.len() == 4));
    cluster.wait("all links are open again", |c| c.all(links))
}

#[test]
fn a_second_process_on_one_nodes_conf_is_refused() -> io::Result<()> {
    let cluster = Cluster::start(1, &slotproof(), &[], false)?;
    let dir = &cluster.nodes[0].dir;
    let out = std::process::Command::new(tool())
        .args(["node", "--port", "0", "--cluster-port", "1", "--cluster-enabled", "yes", "--dir"])
        .arg(dir)
        .output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(text.contains("another process uses it"), "{text}");
    Ok(())
}

#[test]
fn a_corrupted_nodes_conf_is_named_with_its_line() -> io::Result<()> {
    let mut cluster = Cluster::start(1, &slotproof(), &[], false)?;
    cluster.nodes[0].terminate()?;
    let path = cluster.nodes[0].dir.join("nodes.conf");
    let text = std::fs::read_to_string(&path)?;
    std::fs::write(&path, text.replace("myself,master", "myself,monster"))?;
    let error = cluster.nodes[0].restart().unwrap_err().to_string();
    assert!(error.contains("corrupted cluster config file") && error.contains("line 1"), "{error}");
    Ok(())
}

#[test]
fn a_stranger_on_the_bus_harms_nobody() -> io::Result<()> {
    use std::io::{Read, Write};
    let cluster = three(&[], false)?;
    let bus = cluster.nodes[0].port + 10_000;
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"RCmb\xff\xff\xff\xff", b"RCmb\0\0\x08\xd0\0\x01", &[0; 5000]]
    {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", bus))?;
        stream.write_all(garbage)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        // The node closes; it has nothing to say.
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty());
    }
    cluster.wait_settled()
}

#[test]
fn a_master_that_gives_away_its_last_slot_follows_the_new_owner() -> io::Result<()> {
    let mut cluster = three(&[], false)?;
    let empty = cluster.add(&slotproof())?;
    cluster.meet()?;
    cluster.wait_settled()?;
    let (source, target) = (cluster.nodes[0].id()?, cluster.nodes[empty].id()?);
    // All slots of the first but one are given up; the last one moves with a key.
    let key =
        (0..).map(|n| format!("k{n}")).find(|k| u16::from(key_slot(k.as_bytes())) == 5).unwrap_or_default();
    cluster.nodes[0].ask(&format!("SET {key} v"))?;
    let slots: Vec<u16> = (0..5461).collect();
    slotproof::reshard::reshard(
        &cluster.nodes[0].address(),
        Some(&source),
        &target,
        &slots[..50],
        |_, _| {},
    )?;
    slotproof::reshard::reshard(&cluster.nodes[0].address(), Some(&source), &target, &slots, |_, _| {})?;
    cluster.wait_settled()?;
    let me = cluster.nodes[0].view()?.into_iter().find(|n| n.id == source);
    let me = me.ok_or_else(|| io::Error::other("it does not know itself"))?;
    assert!(me.flags.contains("slave") && me.master == target, "{me:?}");
    let error = cluster.nodes[0].ask(&format!("GET {key}")).unwrap_err().to_string();
    assert_eq!(error, format!("MOVED 5 {}", cluster.nodes[empty].address()));
    let info = cluster.nodes[0].ask("INFO replication")?.text().unwrap_or_default();
    assert!(info.contains("role:slave") && info.contains("master_link_status:down"), "{info}");
    assert_eq!(cluster.nodes[empty].ask(&format!("GET {key}"))?.text().as_deref(), Some("v"));
    Ok(())
}
