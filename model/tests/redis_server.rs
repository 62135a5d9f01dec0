//! The texts and packets of a real redis-server 7.0 against ours: `cargo test -p slotproof-model --test redis_server -- --ignored`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use slotproof_model::nodes_conf::{parse, render};
use slotproof_model::view::{Statistics, View};
use slotproof_model::wire;
use slotproof_model::{
    Address, Body, Config, EndpointType, Epoch, Flags, Header, Heartbeat, Message, NodeId, NodeState, SLOTS,
    SavedNode, Slot, SlotSet,
};

/// A redis-server in a directory of its own; both end with this value.
struct Redis {
    child: Child,
    dir: PathBuf,
    port: u16,
    cport: u16,
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Redis {
    /// On ports that the system says are free; somebody may take them before the server does, so a few times.
    fn start() -> Self {
        (0..10).find_map(|_| Self::try_start()).expect("redis-server starts")
    }

    fn try_start() -> Option<Self> {
        let free = [TcpListener::bind("127.0.0.1:0"), TcpListener::bind("127.0.0.1:0")];
        let [port, cport] = free.map(|l| l.and_then(|l| l.local_addr()).expect("a free port").port());
        let dir = std::env::temp_dir().join(format!("slotproof-redis-{}-{port}", std::process::id()));
        std::fs::create_dir(&dir).expect("a new directory");
        let child = Command::new("redis-server")
            .current_dir(&dir)
            .args(["--port", &port.to_string(), "--cluster-port", &cport.to_string()])
            .args(["--bind", "127.0.0.1", "--cluster-enabled", "yes", "--save", ""])
            .args(["--cluster-announce-hostname", "a.example.org"])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        let mut server = Self { child, dir, port, cport };
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until && server.child.try_wait().expect("a child").is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() && server.ask("PING") == "+PONG\r\n" {
                return Some(server);
            }
            std::thread::yield_now();
        }
        None
    }

    /// The whole reply to one inline command.
    fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).expect("it reads");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("it answers");
        reply.strip_suffix("+OK\r\n").expect("the answer to QUIT").to_string()
    }

    /// The text of a bulk reply.
    fn text(&self, command: &str) -> String {
        let reply = self.ask(command);
        let (head, text) = reply.split_once("\r\n").expect("a bulk reply");
        assert!(head.starts_with('$'), "{reply}");
        text.strip_suffix("\r\n").expect("its end").to_string()
    }
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn redis_server_writes_what_we_write() {
    let redis = Redis::start();
    let ok = |command: &str| assert_eq!(redis.ask(command), "+OK\r\n", "{command}");
    ok("CLUSTER ADDSLOTSRANGE 0 5 7 7 10 16000");
    // A node that is never reached stays in handshake; slots can be opened towards it.
    ok("CLUSTER MEET 127.0.0.1 1 2");
    let nodes = redis.text("CLUSTER NODES");
    let stranger = nodes.lines().find(|l| l.contains(" handshake ")).expect("in handshake");
    let stranger = stranger.split(' ').next().expect("a name").parse().expect("a name");
    ok(&format!("CLUSTER SETSLOT 3 MIGRATING {stranger}"));
    ok(&format!("CLUSTER SETSLOT 9 IMPORTING {stranger}"));
    ok("CLUSTER SAVECONFIG");

    let file = std::fs::read_to_string(redis.dir.join("nodes.conf")).expect("nodes.conf");
    let loaded = parse(file.as_bytes()).expect("well formed").expect("not empty");
    assert_eq!(render(&loaded.saved, &loaded), file);

    let announce = Address { ip: "".into(), port: redis.port, pport: 0, cport: redis.cport };
    let config = Config { announce, hostname: Some("a.example.org".into()), ..Config::default() };
    let mut saved = loaded.saved.clone();
    saved.nodes.push(SavedNode {
        id: stranger,
        address: Address { ip: "127.0.0.1".into(), port: 1, pport: 0, cport: 2 },
        hostname: None,
        flags: Flags::HANDSHAKE.with(Flags::MEET),
        master: None,
        config_epoch: Epoch(0),
        slots: SlotSet::new(config.slots),
    });
    let state = NodeState::from_saved(&saved, &config);
    let view = View {
        state: &state,
        endpoint: EndpointType::Ip,
        tls_cluster: false,
        tls_client: false,
        my_offset: 0,
    };
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(String::from).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&view.nodes(&loaded)), sorted(&redis.text("CLUSTER NODES")));
    assert_eq!(view.info().text(&Statistics::default()), redis.text("CLUSTER INFO"));
    assert_eq!(slots(&view), redis.ask("CLUSTER SLOTS"));
    assert_eq!(shards(&view), redis.ask("CLUSTER SHARDS"));
    let unknown = view.count_failure_reports(b"x").expect_err("unknown");
    assert_eq!(redis.ask("CLUSTER COUNT-FAILURE-REPORTS x"), format!("-ERR {unknown}\r\n"));
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn redis_server_understands_our_packets() {
    let redis = Redis::start();
    assert_eq!(redis.ask("CLUSTER ADDSLOTSRANGE 0 5 7 7 16383 16383"), "+OK\r\n");
    assert_eq!(redis.ask("CLUSTER SET-CONFIG-EPOCH 7"), "+OK\r\n");
    let id = redis.text("CLUSTER MYID");
    // A PING of a stranger is answered, and nothing else happens.
    let sender = NodeId::from_seed(1);
    let ping = Message {
        header: Header {
            sender,
            current_epoch: Epoch(1),
            config_epoch: Epoch(1),
            offset: 0,
            slots: SlotSet::new(SLOTS),
            master: None,
            address: Address { ip: "".into(), port: 1, pport: 0, cport: 2 },
            flags: Flags::MYSELF.with(Flags::MASTER),
            state_ok: true,
            paused: false,
            force_ack: false,
        },
        body: Body::Heartbeat {
            kind: Heartbeat::Ping,
            gossip: Vec::new(),
            hostname: Some("b.example.org".into()),
        },
    };
    let mut bus = TcpStream::connect(("127.0.0.1", redis.cport)).expect("the bus listens");
    bus.write_all(&wire::encode(&ping)).expect("it reads");
    let mut packet = vec![0; 8];
    bus.read_exact(&mut packet).expect("it answers");
    let length = wire::frame_length(&packet, 1 << 20).expect("a frame").expect("its length");
    packet.resize(length, 0);
    bus.read_exact(&mut packet[8..]).expect("the rest");
    let pong = wire::decode(&packet).expect("well formed");
    assert_eq!(wire::encode(&pong), packet);
    assert!(pong.is_heartbeat(Heartbeat::Pong));
    assert_eq!(pong.header.sender.as_str(), id);
    assert_eq!((pong.header.current_epoch, pong.header.config_epoch), (Epoch(7), Epoch(7)));
    assert_eq!((pong.header.address.port, pong.header.address.cport), (redis.port, redis.cport));
    assert_eq!(pong.header.flags, Flags::MYSELF.with(Flags::MASTER));
    let slots = [0, 1, 2, 3, 4, 5, 7, 16383].map(Slot::new);
    assert!(pong.header.slots.iter().eq(slots));
    let Body::Heartbeat { hostname, .. } = pong.body else { panic!("a heartbeat") };
    assert_eq!(hostname.as_deref(), Some("a.example.org"));
    // Every type is taken for well formed: what comes behind it is answered still.
    let id = NodeId::from_seed(2);
    for body in [
        Body::Fail(id),
        Body::Publish { sharded: false, channel: (*b"c").into(), message: (*b"m").into() },
        Body::AuthRequest,
        Body::AuthAck,
        Body::Update { node: id, config_epoch: Epoch(1), slots: SlotSet::new(SLOTS) },
        Body::ManualFailoverStart,
        Body::Module { id: [1; 8], kind: 2, payload: (*b"p").into() },
        Body::Publish { sharded: true, channel: (*b"c").into(), message: (*b"m").into() },
        ping.body.clone(),
    ] {
        bus.write_all(&wire::encode(&Message { header: ping.header.clone(), body })).expect("it reads");
    }
    bus.read_exact(&mut packet).expect("it answers the PING");
    assert_eq!(wire::packet_type(&packet), Some(1));
    let info = redis.text("CLUSTER INFO");
    for name in wire::TYPE_NAMES.iter().filter(|n| !["pong", "meet"].contains(n)) {
        assert!(info.contains(&format!("cluster_stats_messages_{name}_received:")), "{name}: {info}");
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn slots(view: &View<'_>) -> String {
    let all = view.slots();
    let mut out = format!("*{}\r\n", all.len());
    for range in all {
        out += &format!("*{}\r\n:{}\r\n:{}\r\n", 3 + range.replicas.len(), range.first, range.last);
        for node in core::iter::once(range.owner).chain(range.replicas) {
            let endpoint = bulk(node.endpoint.expect("the type is ip"));
            out += &format!("*4\r\n{endpoint}:{}\r\n{}", node.port, bulk(node.id.as_str()));
            out += &format!("*{}\r\n", 2 * node.metadata.len());
            for (name, value) in node.metadata {
                out += &(bulk(name) + &bulk(value));
            }
        }
    }
    out
}

fn shards(view: &View<'_>) -> String {
    let all = view.shards();
    let mut out = format!("*{}\r\n", all.len());
    for shard in all {
        out += &format!("*4\r\n{}*{}\r\n", bulk("slots"), 2 * shard.slots.len());
        for (first, last) in shard.slots {
            out += &format!(":{first}\r\n:{last}\r\n");
        }
        out += &format!("{}*{}\r\n", bulk("nodes"), shard.nodes.len());
        for node in shard.nodes {
            let mut fields = vec![bulk("id") + &bulk(node.id.as_str())];
            fields.extend(node.port.map(|p| format!("{}:{p}\r\n", bulk("port"))));
            fields.extend(node.tls_port.map(|p| format!("{}:{p}\r\n", bulk("tls-port"))));
            fields.push(bulk("ip") + &bulk(node.ip));
            fields.push(bulk("endpoint") + &bulk(node.endpoint));
            fields.extend(node.hostname.map(|h| bulk("hostname") + &bulk(h)));
            fields.push(bulk("role") + &bulk(node.role));
            fields.push(format!("{}:{}\r\n", bulk("replication-offset"), node.replication_offset));
            fields.push(bulk("health") + &bulk(node.health));
            out += &format!("*{}\r\n{}", 2 * fields.len(), fields.concat());
        }
    }
    out
}
