//! The shell around a cluster node: its file, its bus, its directives, its trace.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use slotproof_node::trace::{Event, TraceReader};
use support::{TestClient, TestServer, field, wait_for};

#[test]
fn a_save_that_fails_is_answered_and_otherwise_ends_the_node() {
    let (mut node, _) = TestServer::start_node(&["--trace", "t.trace"]);
    let mut client = node.client();
    let file = node.dir.path().join("nodes.conf");
    assert_eq!(client.run("cluster addslots 1"), "+OK");
    let before = std::fs::read_to_string(&file).expect("nodes.conf");
    assert!(before.contains(" connected 1\n"), "{before}");
    // Where the temporary file would be stands a directory.
    let obstacle = node.dir.path().join(format!("nodes.conf.tmp-{}", node.child.id()));
    std::fs::create_dir(&obstacle).expect("a directory");
    let error = client.run("cluster saveconfig");
    assert_eq!(error, "-ERR error saving the cluster node config: Is a directory");
    std::fs::remove_dir(&obstacle).expect("removed");
    assert_eq!(client.run("cluster saveconfig"), "+OK");
    std::fs::create_dir(&obstacle).expect("a directory");
    client.send(&[b"cluster", b"addslots", b"2"]);
    assert_eq!(node.child.wait().expect("it ends").code(), Some(1));
    node.wait_for("Fatal: can't update cluster config file");
    assert_eq!(std::fs::read_to_string(&file).expect("nodes.conf"), before, "the old content is whole");

    let trace = std::fs::File::open(node.dir.path().join("t.trace")).expect("a trace");
    let (_, records) = TraceReader::new(trace).expect("a trace");
    let events: Vec<Event> = records.map(|r| r.expect("whole").what).collect();
    assert_eq!(events.iter().filter(|e| **e == Event::Unwritten).count(), 1);
    assert!(matches!(events.last(), Some(Event::Step { .. })), "the last step was never saved");
}

#[test]
fn a_bad_packet_is_dropped_and_a_bad_signature_closes() {
    let (node, bus) = TestServer::start_node(&[]);
    let mut client = node.client();
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", bus)).expect("a bus");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream
    };
    let frame = |signature: &[u8; 4], length: u32, kind: u16| {
        let mut bytes = vec![0u8; length as usize];
        bytes[..4].copy_from_slice(signature);
        bytes[4..8].copy_from_slice(&length.to_be_bytes());
        bytes[8..10].copy_from_slice(&1u16.to_be_bytes());
        bytes[12..14].copy_from_slice(&kind.to_be_bytes());
        bytes[40..80].fill(b'a');
        bytes
    };
    let received =
        |client: &mut TestClient| field(client, "cluster info", "cluster_stats_messages_ping_received");
    // A PING that claims gossip it does not hold, in pieces: counted, dropped, and the link is kept.
    let mut stream = connect();
    let mut ping = frame(b"RCmb", 2256, 0);
    ping[14..16].copy_from_slice(&999u16.to_be_bytes());
    for n in 1..=3 {
        for piece in ping.chunks(700) {
            stream.write_all(piece).expect("the connection is open");
        }
        wait_for("the packet is counted", || received(&mut client) == n.to_string());
    }
    // A well-formed PING of a stranger is answered.
    stream.write_all(&frame(b"RCmb", 2256, 0)).expect("the connection is open");
    let mut head = [0; 14];
    stream.read_exact(&mut head).expect("a PONG");
    assert_eq!((&head[..4], &head[12..]), (&b"RCmb"[..], &[0, 1][..]));
    for bytes in [frame(b"RCmc", 2256, 0), b"RCmb\0\0\x08\xcf".to_vec()] {
        let mut stream = connect();
        stream.write_all(&bytes).expect("sent");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "closed without a word");
    }
    assert_eq!(field(&mut client, "cluster info", "cluster_known_nodes"), "1");
}

#[test]
fn directives_of_the_cluster_work_at_once() {
    let (node, bus) = TestServer::start_node(&["--cluster-node-timeout", "500", "--trace", "t.trace"]);
    let mut client = node.client();
    let port = node.port;
    assert_eq!(client.run("cluster addslots 12182"), "+OK");
    assert_eq!(field(&mut client, "cluster info", "cluster_state"), "fail");
    assert_eq!(client.run("config set cluster-require-full-coverage no"), "+OK");
    wait_for("the start is over", || field(&mut client, "cluster info", "cluster_state") == "ok");
    assert_eq!(client.run("set foo bar"), "+OK");
    assert_eq!(client.run("get other"), "-CLUSTERDOWN Hash slot not served");
    assert_eq!(client.run("config set cluster-require-full-coverage yes"), "+OK");
    assert_eq!(field(&mut client, "cluster info", "cluster_state"), "fail");
    assert_eq!(client.run("get foo"), "-CLUSTERDOWN The cluster is down");
    assert_eq!(client.run("config set cluster-allow-reads-when-down yes"), "+OK");
    assert_eq!(client.run("get foo"), "\"bar\"");
    let text = "-CLUSTERDOWN The cluster is down and only accepts read commands";
    assert_eq!(client.run("set foo bar"), text);
    assert!(client.run("cluster nodes").contains(&format!(" :{port}@{bus} myself")));
    let set =
        "config set cluster-announce-ip 10.1.2.3 cluster-announce-port 1111 cluster-announce-bus-port 2222";
    assert_eq!(client.run(set), "+OK");
    assert_eq!(client.run("config set cluster-announce-hostname node.example"), "+OK");
    assert!(client.run("cluster nodes").contains(" 10.1.2.3:1111@2222,node.example myself"));
    for (name, why) in [
        (
            "cluster-announce-hostname a_b",
            "Hostnames may only contain alphanumeric characters, hyphens or dots",
        ),
        ("cluster-announce-ip a,b", "Addresses may only contain alphanumeric characters and -._:%"),
    ] {
        let argument = name.split(' ').next().unwrap_or_default();
        let error = format!("-ERR CONFIG SET failed (possibly related to argument '{argument}') - {why}");
        assert_eq!(client.run(&format!("config set {name}")), error);
    }
    assert_eq!(client.run("config set cluster-node-timeout 700"), "+OK");
    drop(client);
    let mut client = node.client();
    client.send(&[b"shutdown"]);
    assert!(client.is_closed());

    let mut child = node;
    assert!(child.child.wait().expect("it ends").success());
    let trace = std::fs::File::open(child.dir.path().join("t.trace")).expect("a trace");
    let (beginning, records) = TraceReader::new(trace).expect("a trace");
    assert_eq!(beginning.node_timeout_ms, 500);
    let events: Vec<Event> = records.map(|r| r.expect("whole").what).collect();
    assert_eq!(events.iter().filter(|e| matches!(e, Event::Config(_))).count(), 5);
    assert_eq!(events.iter().filter(|e| **e == Event::NodeTimeout(700)).count(), 1);
    assert_eq!(events.last(), Some(&Event::End));
}

#[test]
fn a_node_keeps_what_it_was_told_over_a_restart() {
    let (mut node, bus) = TestServer::start_node(&[]);
    let mut client = node.client();
    for request in ["cluster set-config-epoch 4", "cluster addslotsrange 5 9", "cluster addslots 11"] {
        assert_eq!(client.run(request), "+OK");
    }
    let (me, other) = (client.run("cluster myid"), "b".repeat(40));
    assert_eq!(client.run("cluster bumpepoch"), "+STILL 4");
    node.child.kill().expect("killed");
    node.child.wait().expect("it ended");
    // Another node as it would be after a MEET, and an open slot.
    let file = node.dir.path().join("nodes.conf");
    let text = std::fs::read_to_string(&file).expect("nodes.conf");
    let text = text.replace(" 5-9 11\n", &format!(" 5-9 11 [7->-{other}] [12-<-{other}]\n"));
    let line = format!("{other} 127.0.0.1:1@1 master,fail - 0 0 6 connected 12\n");
    std::fs::write(&file, line + &text).expect("written");

    let port = node.port.to_string();
    let (again, bus) = (node.dir.path().to_owned(), bus.to_string());
    let dir = again.to_str().expect("a name");
    let options = ["--port", &port, "--cluster-enabled", "yes", "--cluster-port", &bus, "--dir", dir];
    let second = TestServer::start(&options);
    let mut client = TestClient::connect(node.port);
    assert_eq!(client.run("cluster myid"), me);
    let nodes = client.run("cluster nodes");
    assert!(nodes.contains(&format!(" 5-9 11 [7->-{other}] [12-<-{other}]\\n")), "{nodes}");
    assert!(nodes.contains(&format!("{other} 127.0.0.1:1@1 master,fail ")), "{nodes}");
    assert_eq!(field(&mut client, "cluster info", "cluster_current_epoch"), "6");
    drop(second);
}
