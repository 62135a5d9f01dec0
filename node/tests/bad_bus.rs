//! The cluster bus of a running node, and who may speak there: lengths that lie, fields that are wrong, strangers, and nodes that
//! claim a name that is not theirs. Whatever comes, the node stays what it was and serves its clients.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use slotproof_model::wire::{decode, encode, frame_length};
use slotproof_model::{
    Address, Body, Epoch, Flags, GossipEntry, Header, Heartbeat, Message, NodeId, SLOTS, Slot, SlotSet,
};
use support::{TestClient, TestServer, field, info, wait_for};

/// A node with all slots, and a client of it.
fn node(timeout: &str) -> (TestServer, u16, TestClient) {
    let (node, bus) = TestServer::start_node(&["--cluster-node-timeout", timeout]);
    let mut client = node.client();
    assert_eq!(client.run("cluster addslotsrange 0 16383"), "+OK");
    wait_for("the start is over", || field(&mut client, "cluster info", "cluster_state") == "ok");
    assert_eq!(client.run("set k v"), "+OK");
    (node, bus, client)
}

/// It is as it was, and serves.
fn is_well(client: &mut TestClient, known: &str) {
    assert_eq!(client.run("get k"), "\"v\"");
    assert_eq!(field(client, "cluster info", "cluster_known_nodes"), known);
    assert_eq!(field(client, "cluster info", "cluster_slots_assigned"), "16384");
    assert!(client.run("cluster nodes").contains("myself,master - 0 0 "), "{}", client.run("cluster nodes"));
}

fn connect(bus: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", bus)).expect("a bus");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    stream
}

/// The next frame on a connection, or nothing if it ended.
fn receive(stream: &mut TcpStream) -> Option<Message> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).ok()?;
    let len = frame_length(&head, 1 << 20).expect("a frame").expect("its length");
    let mut frame = head.to_vec();
    frame.resize(len, 0);
    stream.read_exact(&mut frame[8..]).ok()?;
    Some(decode(&frame).expect("a message"))
}

fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(n) => n == 0,
        Err(e) => e.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// A node that the test plays.
struct Peer {
    name: NodeId,
    listener: TcpListener,
}

impl Peer {
    fn new(seed: u128) -> Self {
        Self { name: NodeId::from_seed(seed), listener: TcpListener::bind("127.0.0.1:0").expect("a port") }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().expect("its address").port()
    }

    fn says(&self, body: Body) -> Message {
        let header = Header {
            sender: self.name,
            current_epoch: Epoch(0),
            config_epoch: Epoch(0),
            offset: 0,
            slots: SlotSet::new(SLOTS),
            master: None,
            address: Address { ip: "127.0.0.1".into(), port: 1, pport: 0, cport: self.port() },
            flags: Flags::MASTER,
            state_ok: true,
            paused: false,
            force_ack: false,
        };
        Message { header, body }
    }

    fn beat(&self, kind: Heartbeat) -> Message {
        self.says(Body::Heartbeat { kind, gossip: Vec::new(), hostname: None })
    }

    /// Becomes known to a node; the node's connection to it, and its own to the node.
    fn joins(&self, client: &mut TestClient, bus: u16) -> (TcpStream, TcpStream) {
        assert_eq!(client.run(&format!("cluster meet 127.0.0.1 1 {}", self.port())), "+OK");
        let (mut theirs, _) = self.listener.accept().expect("the node connects");
        theirs.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let meet = receive(&mut theirs).expect("a MEET");
        assert!(matches!(meet.body, Body::Heartbeat { kind: Heartbeat::Meet, .. }));
        theirs.write_all(&encode(&self.beat(Heartbeat::Pong))).expect("sent");
        wait_for("it is known", || client.run("cluster nodes").contains(self.name.as_str()));
        (theirs, connect(bus))
    }

    /// Says something on a connection of its own, and waits until the node has dealt with that: it has answered a PING behind it.
    fn says_and_is_heard(&self, mine: &mut TcpStream, frame: &[u8]) -> bool {
        let ping = encode(&self.beat(Heartbeat::Ping));
        mine.write_all(&[frame, &ping].concat()).is_ok()
            && std::iter::from_fn(|| receive(mine))
                .any(|m| matches!(m.body, Body::Heartbeat { kind: Heartbeat::Pong, .. }))
    }
}

fn gossip(seed: u128) -> GossipEntry {
    let address = Address { ip: "127.0.0.1".into(), port: 1, pport: 0, cport: 2 };
    GossipEntry {
        node: NodeId::from_seed(seed),
        address,
        flags: Flags::MASTER.with(Flags::NOADDR),
        ping_sent: 0,
        pong_received: 0,
    }
}

#[test]
fn lengths_of_frames_that_lie() {
    let (mut node, bus, mut client) = node("15000");
    let stranger = Peer::new(5);
    let ping = encode(&stranger.beat(Heartbeat::Ping));
    let claims = |length: u32| {
        let mut frame = ping.clone();
        frame[4..8].copy_from_slice(&length.to_be_bytes());
        frame
    };
    // Less than a header, or more than any message: the connection ends.
    for length in [0, 8, 2255, (64 << 20) + 1, 0x7fff_ffff, u32::MAX] {
        let mut stream = connect(bus);
        stream.write_all(&claims(length)).expect("sent");
        assert!(is_closed(&mut stream), "{length}");
        let line = node.wait_for("Bad message on the cluster bus");
        assert!(line.contains(&format!("a cluster bus message of {length} bytes")), "{line}");
    }
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"*1\r\n$4\r\nPING\r\n", &[0xff; 5000]] {
        let mut stream = connect(bus);
        stream.write_all(garbage).expect("sent");
        assert!(is_closed(&mut stream));
        node.wait_for("Bad message on the cluster bus");
    }
    // More than was sent: it waits for the rest, in the memory of what has come.
    let before = info(&mut client, "used_memory");
    let mut waiting: Vec<TcpStream> = (0..20).map(|_| connect(bus)).collect();
    for stream in &mut waiting {
        stream.write_all(&claims(64 << 20)).expect("sent");
        is_well(&mut client, "1");
    }
    wait_for("they are there", || client.run("info clients").contains("cluster_connections:20"));
    let each = info(&mut client, "used_memory").saturating_sub(before) / waiting.len();
    assert!(each < 64 << 10, "{each} bytes for each");
    // A part of it may be a message of its own; nobody takes it for one.
    waiting[0].write_all(&ping).expect("sent");
    // More behind the end: the rest begins the next frame.
    let mut stream = connect(bus);
    stream.write_all(&[&ping[..], b"RCmb", &ping[4..]].concat()).expect("sent");
    assert!(receive(&mut stream).is_some() && receive(&mut stream).is_some(), "two answers");
    is_well(&mut client, "1");
}

#[test]
fn every_field_of_a_message_wrong_in_turn() {
    let (mut node, bus, mut client) = node("15000");
    let peer = Peer::new(7);
    let (_theirs, mut mine) = peer.joins(&mut client, bus);
    let heartbeat = Body::Heartbeat {
        kind: Heartbeat::Ping,
        gossip: vec![gossip(7)],
        hostname: Some("host.example".into()),
    };
    let whole = encode(&peer.says(heartbeat));
    let entry = 2256;
    let extension = entry + 104;
    // Where the fields are, how long, and whether a value of all ones is refused.
    let fields: [(&str, usize, usize, bool); 26] = [
        ("version", 8, 2, false),
        ("port", 10, 2, false),
        ("type", 12, 2, false),
        ("count", 14, 2, true),
        ("current epoch", 16, 8, false),
        ("config epoch", 24, 8, false),
        ("offset", 32, 8, false),
        ("sender", 40, 40, true),
        ("master", 2128, 40, true),
        ("ip", 2168, 46, true),
        ("extensions", 2214, 2, true),
        ("pport", 2246, 2, false),
        ("cport", 2248, 2, false),
        ("flags", 2250, 2, true),
        ("state", 2252, 1, false),
        ("mflags", 2253, 3, false),
        ("name in gossip", entry, 40, false),
        ("ping sent", entry + 40, 4, false),
        ("pong received", entry + 44, 4, false),
        ("ip in gossip", entry + 48, 46, false),
        ("port in gossip", entry + 94, 2, false),
        ("flags in gossip", entry + 98, 2, false),
        ("length of the extension", extension, 4, true),
        ("type of the extension", extension + 4, 2, false),
        ("hostname", extension + 8, 16, true),
        ("slots", 80, 2048, false),
    ];
    for (name, at, len, refused) in fields {
        for (fill, values) in [(0xff, "ones"), (0, "zeros"), (b'!', "marks")] {
            let mut frame = whole.clone();
            frame[at..at + len].fill(fill);
            if name == "slots" {
                // An owner with the greater epoch may take them: not what is asked here.
                frame[24..32].fill(0);
            }
            let heard = peer.says_and_is_heard(&mut mine, &frame);
            assert!(heard, "the connection stays although {name} is all {values}");
            if refused && fill == 0xff {
                let line = node.wait_for("Bad packet on the cluster bus, dropped");
                assert!(line.len() < 300, "{line}");
            }
            assert_eq!(client.run("get k"), "\"v\"", "{name} of all {values}");
        }
    }
    is_well(&mut client, "2");
    assert!(client.run("cluster nodes").contains(peer.name.as_str()));
    // What it saved, it reads again.
    let dir = node.dir.path().to_owned();
    let text = std::fs::read(dir.join("nodes.conf")).expect("nodes.conf");
    assert!(slotproof_model::nodes_conf::parse(&text).expect("it can be read").is_some());
}

#[test]
fn lengths_and_counts_within_a_message_that_lie() {
    let (mut node, bus, mut client) = node("15000");
    let peer = Peer::new(7);
    let (_theirs, mut mine) = peer.joins(&mut client, bus);
    let heartbeat = |hostname: Option<&str>| {
        encode(&peer.says(Body::Heartbeat {
            kind: Heartbeat::Ping,
            gossip: vec![gossip(8)],
            hostname: hostname.map(Into::into),
        }))
    };
    let plain = heartbeat(None);
    let named = heartbeat(Some("host.example"));
    let publish = encode(&peer.says(Body::Publish {
        sharded: false,
        channel: (*b"news").into(),
        message: (*b"hello").into(),
    }));
    let module = encode(&peer.says(Body::Module { id: [b'm'; 8], kind: 1, payload: (*b"payload").into() }));
    let fail = encode(&peer.says(Body::Fail(NodeId::from_seed(9))));
    let slots = SlotSet::new(SLOTS);
    let update = encode(&peer.says(Body::Update { node: peer.name, config_epoch: Epoch(1), slots }));
    let lie = |frame: &[u8], at: usize, bytes: &[u8]| {
        let mut frame = frame.to_vec();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    let cut = |frame: &[u8], len: usize| {
        let mut frame = frame[..len].to_vec();
        frame[4..8].copy_from_slice(&(len as u32).to_be_bytes());
        frame
    };
    let extension = 2256 + 104;
    let lies = [
        lie(&plain, 14, &2u16.to_be_bytes()),
        lie(&plain, 14, &u16::MAX.to_be_bytes()),
        lie(&plain, 14, &0u16.to_be_bytes()),
        lie(&named, extension, &u32::MAX.to_be_bytes()),
        lie(&named, extension, &0x8000_0000u32.to_be_bytes()),
        lie(&named, extension, &32u32.to_be_bytes()),
        lie(&named, extension, &0u32.to_be_bytes()),
        lie(&named, extension, &9u32.to_be_bytes()),
        lie(&named, 2214, &2u16.to_be_bytes()),
        lie(&named, 2214, &u16::MAX.to_be_bytes()),
        lie(&publish, 2256, &u32::MAX.to_be_bytes()),
        lie(&publish, 2260, &u32::MAX.to_be_bytes()),
        lie(&publish, 2256, &3u32.to_be_bytes()),
        lie(&module, 2264, &u32::MAX.to_be_bytes()),
        cut(&plain, 2256),
        cut(&fail, 2256 + 39),
        cut(&update, 2256 + 8 + 40),
        cut(&publish, 2256 + 7),
    ];
    let before = info(&mut client, "used_memory");
    for frame in &lies {
        assert!(peer.says_and_is_heard(&mut mine, frame), "the connection stays");
        node.wait_for("Bad packet on the cluster bus, dropped");
    }
    let after = info(&mut client, "used_memory");
    assert!(after < before + (1 << 20), "{before} bytes became {after}");
    is_well(&mut client, "2");
}

#[test]
fn strangers_are_answered_and_not_learned() {
    let (_node, bus, mut client) = node("1000");
    let stranger = Peer::new(5);
    let mut stream = connect(bus);
    let heartbeat = Body::Heartbeat { kind: Heartbeat::Ping, gossip: vec![gossip(6)], hostname: None };
    let mut greedy = stranger.says(heartbeat);
    (0..SLOTS).for_each(|s| {
        greedy.header.slots.insert(Slot::new(s));
    });
    greedy.header.config_epoch = Epoch(u64::MAX);
    greedy.header.current_epoch = Epoch(u64::MAX);
    let me = NodeId::parse(client.run("cluster myid").trim_matches('"').as_bytes()).expect("a name");
    let update =
        Body::Update { node: stranger.name, config_epoch: Epoch(9), slots: greedy.header.slots.clone() };
    for message in [
        greedy,
        stranger.says(update),
        stranger.says(Body::Fail(me)),
        stranger.says(Body::AuthAck),
        stranger.beat(Heartbeat::Pong),
    ] {
        assert!(stranger.says_and_is_heard(&mut stream, &encode(&message)));
    }
    is_well(&mut client, "1");
    assert_eq!(field(&mut client, "cluster info", "cluster_current_epoch"), "0");
    // Many who want to be met are met, found not to be there, and forgotten.
    let meets: Vec<u8> = (0..300).flat_map(|n| encode(&Peer::nobody(n))).collect();
    let mut stream = connect(bus);
    stream.write_all(&meets).expect("sent");
    assert!((0..300).all(|_| receive(&mut stream).is_some()), "each is answered");
    assert_eq!(client.run("get k"), "\"v\"");
    wait_for("they are forgotten", || field(&mut client, "cluster info", "cluster_known_nodes") == "1");
    is_well(&mut client, "1");
}

impl Peer {
    /// The MEET of one who is nowhere.
    fn nobody(n: u128) -> Message {
        let mut message = Self::new(1000 + n).beat(Heartbeat::Meet);
        // Port 1 of this host: nobody listens there.
        message.header.address.cport = 1;
        message
    }
}

#[test]
fn a_stranger_that_does_not_read_its_answers_is_closed() {
    let (_node, bus, mut client) = node("15000");
    let before = info(&mut client, "used_memory");
    let pings = encode(&Peer::new(5).beat(Heartbeat::Ping)).repeat(1_000);
    let mut deaf: Vec<TcpStream> = (0..4).map(|_| connect(bus)).collect();
    for stream in &mut deaf {
        stream.set_write_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        // The node stops reading it: some 100 MB would be its answers.
        let ended = (0..50).any(|_| stream.write_all(&pings).is_err());
        assert!(ended, "it is closed");
        is_well(&mut client, "1");
    }
    let after = info(&mut client, "used_memory");
    assert!(after < before + (2 << 20), "{before} bytes became {after}");
}

#[test]
fn whoever_claims_my_own_name_changes_nothing() {
    let (_node, bus, mut client) = node("15000");
    let mut mirror = Peer::new(5);
    mirror.name = NodeId::parse(client.run("cluster myid").trim_matches('"').as_bytes()).expect("a name");
    // The address at which a node was reached is its own, whoever reached it.
    let mut stream = connect(bus);
    let stranger = Peer::new(4);
    assert!(stranger.says_and_is_heard(&mut stream, &[]));
    let before = client.run("cluster nodes");
    for kind in [Heartbeat::Ping, Heartbeat::Meet, Heartbeat::Pong] {
        let mut message = mirror.beat(kind);
        message.header.config_epoch = Epoch(99);
        message.header.current_epoch = Epoch(99);
        message.header.flags = Flags::REPLICA;
        message.header.master = Some(NodeId::from_seed(3));
        assert!(mirror.says_and_is_heard(&mut stream, &encode(&message)));
    }
    assert_eq!(client.run("cluster nodes"), before);
    assert_eq!(field(&mut client, "cluster info", "cluster_current_epoch"), "0");
    is_well(&mut client, "1");
}

#[test]
fn a_known_name_that_somebody_else_claims_goes_back_to_its_owner() {
    let (node, bus, mut client) = node("2000");
    let (other, other_bus) = TestServer::start_node(&["--cluster-node-timeout", "2000"]);
    let mut second = other.client();
    let name = second.run("cluster myid").trim_matches('"').to_owned();
    assert_eq!(client.run(&format!("cluster meet 127.0.0.1 {} {other_bus}", other.port)), "+OK");
    let place = format!("{name} 127.0.0.1:{}@{other_bus} master - ", other.port);
    wait_for("they know each other", || client.run("cluster nodes").contains(&place));
    wait_for("both ways", || field(&mut second, "cluster info", "cluster_known_nodes") == "2");
    let me = client.run("cluster myid").trim_matches('"').to_owned();
    let file = other.dir.path().join("nodes.conf");
    wait_for("it has saved that", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.contains(&format!("{me} 127.0.0.1:")))
    });
    // Somebody says from elsewhere that it is the other node.
    let mut liar = Peer::new(5);
    liar.name = NodeId::parse(name.as_bytes()).expect("a name");
    let mut stream = connect(bus);
    stream.write_all(&encode(&liar.beat(Heartbeat::Ping))).expect("sent");
    assert!(receive(&mut stream).is_some(), "it is answered");
    // What the owner of the name says counts in the end.
    let is_back = |client: &mut TestClient| {
        let nodes = client.run("cluster nodes");
        nodes.contains(&place) && nodes.split(&name).nth(1).is_some_and(|line| line.contains(" connected"))
    };
    wait_for("the owner is where it was", || is_back(&mut client));
    is_well(&mut client, "2");

    // The same from a node that was started with a copy of the other's file.
    let copy = tempfile::tempdir().expect("a directory");
    std::fs::copy(&file, copy.path().join("nodes.conf")).expect("copied");
    let dir = copy.path().to_str().expect("a path");
    let (double, _) = TestServer::start_node(&["--cluster-node-timeout", "2000", "--dir", dir]);
    let mut third = double.client();
    assert_eq!(third.run("cluster myid").trim_matches('"'), name);
    wait_for("the double has spoken", || {
        !field(&mut third, "cluster info", "cluster_stats_messages_pong_received").is_empty()
    });
    for server in [&node, &other] {
        assert_eq!(server.client().run("ping"), "+PONG");
    }
    drop((third, double));
    wait_for("the owner is where it was", || is_back(&mut client));
    is_well(&mut client, "2");
    assert_eq!(second.run("cluster myid").trim_matches('"'), name);
    assert_eq!(field(&mut second, "cluster info", "cluster_known_nodes"), "2");
}
