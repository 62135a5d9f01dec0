//! An address that goes to another machine: two clusters stay apart, and what the rules of 7.0 take in all the same (docs/findings.md).

mod support;

use std::io;

use slotproof::cluster::{Cluster, Node, Seen};
use support::{Kinds, ours, started, theirs};

/// How one node sees another.
fn sees(node: &Node, id: &str) -> io::Result<Seen> {
    let view = node.view()?;
    view.into_iter().find(|n| n.id == id).ok_or_else(|| io::Error::other(format!("{id} is unknown")))
}

/// A (epoch 1) and B (epoch 2) are a cluster, C (epoch 9) is alone. B ends, and C comes back at B's address; then B at the one that C had.
fn a_foreign_epoch_comes_in(kinds: &Kinds) -> io::Result<()> {
    let mut cluster: Cluster = started(kinds)?;
    for (node, epoch) in cluster.nodes.iter().zip([1, 2, 9]) {
        node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {epoch}"))?;
    }
    let ids = cluster.nodes.iter().map(Node::id).collect::<io::Result<Vec<_>>>()?;
    let port = cluster.nodes[1].port;
    cluster.nodes[0].ask(&format!("CLUSTER MEET 127.0.0.1 {port}"))?;
    cluster.wait("A and B know each other", |c| {
        Ok(sees(&c.nodes[0], &ids[1])?.epoch == 2 && sees(&c.nodes[1], &ids[0])?.epoch == 1)
    })?;
    cluster.nodes[1].terminate()?;
    cluster.nodes[2].terminate()?;
    let other = std::mem::replace(&mut cluster.nodes[2].port, port);
    cluster.nodes[2].restart()?;
    cluster.wait("A finds that B is not there", |c| {
        Ok(sees(&c.nodes[0], &ids[1])?.flags.split(',').any(|f| f == "noaddr"))
    })?;
    assert_eq!(sees(&cluster.nodes[0], &ids[1])?.epoch, 9, "C's epoch is recorded for B");
    assert_eq!(cluster.nodes[0].info("cluster_current_epoch")?, "9");
    cluster.nodes[1].port = other;
    cluster.nodes[1].restart()?;
    cluster.wait("A has heard where B is now", |c| {
        let b = sees(&c.nodes[0], &ids[1])?;
        Ok(b.link == "connected" && b.address.starts_with(&format!("127.0.0.1:{other}@")))
    })?;
    assert_eq!(sees(&cluster.nodes[0], &ids[1])?.epoch, 9, "and so it stays");
    assert_eq!(sees(&cluster.nodes[1], &ids[1])?.epoch, 2);
    // S13: nobody knows a node of the other cluster.
    for (node, known) in [(0, 2), (1, 2), (2, 1)] {
        assert_eq!(cluster.nodes[node].view()?.len(), known, "node {node}");
    }
    Ok(())
}

#[test]
fn clusters_stay_apart_but_for_an_epoch() -> io::Result<()> {
    a_foreign_epoch_comes_in(&ours())
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn a_foreign_epoch_comes_in_by_a_recycled_address() -> io::Result<()> {
    a_foreign_epoch_comes_in(&theirs())
}
