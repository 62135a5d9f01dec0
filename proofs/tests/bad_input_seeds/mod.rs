//! What the encoders of this project, and redis-server, make of values: where fuzzing begins.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use slotproof_model::wire::encode;
use slotproof_model::{Body, Epoch, Flags, Heartbeat, Message, NodeId, SLOTS, Slot, SlotSet};
use slotproof_node::dump::dump;
use slotproof_node::keyspace::{End, Hash, List, Packing, Set, Typed, Value, Zset};
use slotproof_proofs::bad_input::heartbeat;

/// Target, name and bytes of each.
pub(crate) fn all() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut add = |target, name: &str, bytes: Vec<u8>| all.push((target, name.to_owned(), bytes));
    for (name, text) in REQUESTS {
        add("requests", name, [b"\x00\x1d", text.as_bytes()].concat());
    }
    add("requests", "stranger", b"\x01\x1d*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*11\r\n".to_vec());
    for (name, connection, messages) in messages() {
        let frames: Vec<u8> = messages.iter().flat_map(encode).collect();
        add("bus", name, [&[connection][..], &frames].concat());
    }
    for (name, value) in values() {
        add("payloads", name, value_of(&dump(&value, true, &Packing::default())));
    }
    add("payloads", "whole", dump(&Value::string(b"a string"), true, &Packing::default()));
    for (name, text) in FILES {
        add("nodes_conf", name, text.replace("\n ", "\n").into_bytes());
    }
    for (name, payload) in dumps_of_redis() {
        add("payloads", &format!("redis_{name}"), value_of(&payload));
    }
    all
}

/// A payload without version and checksum.
fn value_of(payload: &[u8]) -> Vec<u8> {
    payload[..payload.len() - 10].to_vec()
}

const REQUESTS: [(&str, &str); 6] = [
    (
        "pipeline",
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nvalue\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n",
    ),
    ("inline", "SET k \"a\\x41\\n\" 'b \\' c'\r\nPING\n\r\nget k\r\n"),
    ("nothing", "*0\r\n*-1\r\n\r\n*1\r\n$0\r\n\r\n"),
    ("half", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\nvalu"),
    ("too_large", "*2\r\n$3\r\nGET\r\n$536870913\r\n"),
    ("no_bulk", "*2\r\n$3\r\nGET\r\n:12\r\n"),
];

fn messages() -> Vec<(&'static str, u8, Vec<Message>)> {
    let with = |n, body| Message { header: heartbeat(Heartbeat::Ping, n).header, body };
    let mut slots = SlotSet::new(SLOTS);
    (50..60).for_each(|s| {
        slots.insert(Slot::new(s));
    });
    let mut named = heartbeat(Heartbeat::Ping, 2);
    if let Body::Heartbeat { hostname, .. } = &mut named.body {
        *hostname = Some("node-2.example".into());
    }
    let mut replica = heartbeat(Heartbeat::Pong, 2);
    replica.header.master = Some(NodeId::from_seed(1));
    replica.header.flags = Flags::REPLICA;
    let mut mirror = heartbeat(Heartbeat::Meet, 1);
    mirror.header.sender = NodeId::from_seed(0);
    let mut greedy = heartbeat(Heartbeat::Pong, 1);
    greedy.header.slots = slots.clone();
    greedy.header.config_epoch = Epoch(u64::MAX);
    let mut suspects = heartbeat(Heartbeat::Ping, 1);
    if let Body::Heartbeat { gossip, .. } = &mut suspects.body {
        gossip[0].flags = Flags::MASTER.with(Flags::PFAIL);
    }
    let mut unknown = heartbeat(Heartbeat::Meet, 2);
    unknown.header.sender = NodeId::from_seed(77);
    let update = Body::Update { node: NodeId::from_seed(2), config_epoch: Epoch(9), slots };
    let publish = Body::Publish { sharded: false, channel: (*b"news").into(), message: (*b"hello").into() };
    vec![
        ("ping_with_hostname", 1, vec![named]),
        ("pong_of_replica", 0, vec![replica]),
        ("meet_with_my_name", 2, vec![mirror]),
        ("meet_of_stranger", 2, vec![unknown]),
        ("answer_of_stranger", 3, vec![heartbeat(Heartbeat::Pong, 1)]),
        ("claims_my_slots", 0, vec![greedy]),
        ("suspicion_then_fail", 1, vec![suspects, with(1, Body::Fail(NodeId::from_seed(2)))]),
        ("update", 1, vec![with(1, update)]),
        ("publish_and_votes", 1, vec![with(1, publish), with(1, Body::AuthRequest)]),
        (
            "module",
            2,
            vec![with(1, Body::Module { id: *b"moduleid", kind: 3, payload: (*b"payload").into() })],
        ),
    ]
}

fn values() -> Vec<(&'static str, Value)> {
    let packing = Packing::default();
    let (mut hash, mut list, mut set, mut ints) =
        (Hash::default(), List::default(), Set::default(), Set::default());
    let (mut zset, mut large) = (Zset::default(), Hash::default());
    for i in 0..12 {
        let word = format!("word {i}");
        hash.set(word.as_bytes(), i.to_string().as_bytes(), &packing);
        list.push(End::Right, word.as_bytes());
        list.push(End::Left, i.to_string().as_bytes());
        set.add(word.as_bytes(), &packing);
        ints.add((i * 70_000).to_string().as_bytes(), &packing);
        zset.insert(word.as_bytes(), f64::from(i) / 8.0, &packing);
    }
    large.set(b"field", &[b'x'; 70], &packing);
    zset.insert(b"inf", f64::NEG_INFINITY, &packing);
    let mut top = zset.clone();
    top.insert(&[b'y'; 70], -0.0, &packing);
    vec![
        ("number", Value::string(b"-70000")),
        ("text", Value::string(b"hello world")),
        ("compressed", Value::string(&b"the same again, ".repeat(20))),
        ("hash", hash.into_value()),
        ("hash_large", large.into_value()),
        ("list", list.into_value()),
        ("set", set.into_value()),
        ("set_of_numbers", ints.into_value()),
        ("zset", zset.into_value()),
        ("zset_large", top.into_value()),
    ]
}

const FILES: [(&str, &str); 5] = [
    (
        "three",
        "07c37dfeb235213a872192d90877d0cd55635b91 127.0.0.1:30004@31004,host.example slave e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 0 1426238317239 4 connected
 67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 127.0.0.1:30002@31002 master,fail? - 1426238316232 0 2 disconnected 5461-10922
 e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-5460 11000 [93-<-67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1] [95->-67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1]
 vars currentEpoch 6 lastVoteEpoch 5
 ",
    ),
    (
        "alone",
        "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca :0@0 myself,master - 0 0 0 connected
 vars currentEpoch 0 lastVoteEpoch 0
 ",
    ),
    (
        "of_7_2",
        "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 10.0.0.1:7000@17000,,tls-port=0,shard-id=69bc080733d1355567173199cff4a6a039a2f024 myself,master - 0 0 18446744073709551615 connected 1 3 5-7
 vars currentEpoch 1 lastVoteEpoch 0
 ",
    ),
    (
        "quoted",
        "\"e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca\" '::1:7000' myself,slave,nofailover 67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1 0 0 0 x

 VARS currentepoch 1
 ",
    ),
    (
        "handshake",
        "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh0000 :1@2 handshake - 0 0 0 connected
 e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca :0@0 myself,master,noaddr - 0 0 0 connected 0-16383",
    ),
];

/// A redis-server that ends with its test.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What redis-server dumps of a value of each type and form.
fn dumps_of_redis() -> Vec<(String, Vec<u8>)> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--save", "", "--list-max-listpack-size", "4"]);
    let child = command.current_dir(dir.path()).stdout(Stdio::piped()).spawn().expect("redis-server");
    let mut redis = Redis(child);
    let log = BufReader::new(redis.0.stdout.take().expect("its output"));
    let ready = log.lines().any(|line| line.is_ok_and(|l| l.contains("Ready to accept connections")));
    assert!(ready, "redis-server starts");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let long = "z".repeat(70);
    let many = "same ".repeat(30);
    let numbers = (0..520).map(|n| format!("{n} ")).collect::<String>();
    let commands = [
        ("string", format!("SET k {long}")),
        ("hash", "HSET k f 1 g word h 1234567890123".to_owned()),
        ("hash_large", format!("HSET k f {long} g 1")),
        ("list", format!("RPUSH k 1 two {long} 70000 {many}")),
        ("set", "SADD k a b c 1".to_owned()),
        ("set_of_numbers", "SADD k 1 -70000 5000000000".to_owned()),
        ("set_large", format!("SADD k {numbers}")),
        ("zset", "ZADD k 1.5 a -inf b 3 c".to_owned()),
        ("zset_large", format!("ZADD k 1.5 {long} inf b")),
    ];
    let mut ask = |line: &str| {
        stream.write_all(format!("{line}\r\n").as_bytes()).expect("sent");
        let mut reader = BufReader::new(&stream);
        let mut head = String::new();
        reader.read_line(&mut head).expect("a reply");
        assert!(!head.starts_with('-'), "{line}: {head}");
        let len = head.strip_prefix('$').map_or(0, |n| n.trim().parse::<usize>().expect("a length") + 2);
        let mut bytes = vec![0; len];
        reader.read_exact(&mut bytes).expect("the rest");
        bytes.truncate(len.saturating_sub(2));
        bytes
    };
    commands
        .map(|(name, line)| {
            ask("DEL k");
            ask(line.trim());
            (name.to_owned(), ask("DUMP k"))
        })
        .into()
}
