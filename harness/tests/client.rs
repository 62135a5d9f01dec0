//! A cluster client that others wrote (the `redis` crate) against a cluster of Slotproof nodes.

mod support;

use std::io;

use redis::cluster::{ClusterClient, ClusterConnection};
use redis::{Commands, RedisError};
use slotproof::cluster::{Cluster, Node};
use slotproof::reshard::reshard;
use slotproof::resp::Value;
use slotproof_model::key_slot;
use support::slotproof;

fn other(e: RedisError) -> io::Error {
    io::Error::other(e)
}

/// Three masters, and a client that knows the first.
fn cluster_and_client() -> io::Result<(Cluster, ClusterConnection)> {
    let cluster = Cluster::start(3, &slotproof(), &[], false)?;
    cluster.form(3)?;
    let seed = format!("redis://{}/", cluster.nodes[0].address());
    let client = ClusterClient::new([seed]).and_then(|c| c.get_connection()).map_err(other)?;
    Ok((cluster, client))
}

#[test]
fn it_reads_and_writes_keys_of_all_nodes() -> io::Result<()> {
    let (cluster, mut client) = cluster_and_client()?;
    for n in 0..500 {
        let () = client.set(format!("key:{n}"), n).map_err(other)?;
    }
    for n in 0..500 {
        let found: i64 = client.get(format!("key:{n}")).map_err(other)?;
        assert_eq!(found, n);
    }
    let sizes = cluster.nodes.iter().map(|n| n.ask("DBSIZE")).collect::<io::Result<Vec<_>>>()?;
    assert!(sizes.iter().all(|s| matches!(s, Value::Int(100..))), "{sizes:?}");
    let count: i64 = client.incr("counter", 5).map_err(other)?;
    assert_eq!(count, 5);
    let () = client.mset(&[("{tag}a", "1"), ("{tag}b", "2")]).map_err(other)?;
    let both: Vec<String> = client.mget(&["{tag}a", "{tag}b"]).map_err(other)?;
    assert_eq!(both, ["1", "2"]);
    let gone: i64 = client.del(&["{tag}a", "{tag}b", "{tag}c"]).map_err(other)?;
    assert_eq!(gone, 2);
    let none: Option<String> = client.get("{tag}a").map_err(other)?;
    assert_eq!(none, None);
    let () = client.set_ex("short", "v", 100).map_err(other)?;
    let ttl: i64 = client.ttl("short").map_err(other)?;
    assert!((1..=100).contains(&ttl));
    Ok(())
}

#[test]
fn it_follows_a_slot_that_moves() -> io::Result<()> {
    let (cluster, mut client) = cluster_and_client()?;
    let slot = u16::from(key_slot(b"foo"));
    let keys: Vec<String> = (0..20).map(|n| format!("{{foo}}{n}")).collect();
    for key in &keys {
        let () = client.set(key, "before").map_err(other)?;
    }
    let ids = cluster.nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    // Half the keys are at the target, and none of the nodes has changed its owner: ASK.
    cluster.nodes[0].ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[2]))?;
    cluster.nodes[2].ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", ids[0]))?;
    let port = cluster.nodes[0].port.to_string();
    let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
    words.extend(keys[..10].iter().map(String::as_str));
    cluster.nodes[2].connect()?.ask(&words)?;
    for key in &keys {
        let found: String = client.get(key).map_err(other)?;
        assert_eq!(found, "before", "{key} in the middle");
    }
    let () = client.set("{foo}new", "asked for").map_err(other)?;
    // And when it is done: MOVED.
    reshard(&cluster.nodes[1].address(), None, &ids[0], &[], |_, _| {})?;
    cluster.wait_settled()?;
    for key in &keys {
        let found: String = client.get(key).map_err(other)?;
        assert_eq!(found, "before", "{key} at the end");
    }
    let found: String = client.get("{foo}new").map_err(other)?;
    assert_eq!(found, "asked for");
    let count = cluster.nodes[0].ask(&format!("CLUSTER COUNTKEYSINSLOT {slot}"))?;
    assert_eq!(count, Value::Int(21));
    Ok(())
}
