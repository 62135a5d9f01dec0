//! Requests on a cluster node: where they are served, and what becomes of ASKING and of transactions.

use std::collections::BTreeMap;
use std::rc::Rc;

use slotproof_model::{
    Address, Config as ModelConfig, Effects, Epoch, Flags, Input, NoKeys, NodeId, NodeState, RouteTable,
    SLOTS, Saved, SavedNode, Slot, SlotSet, Timer, key_slot,
};

use super::dispatch;
use crate::config::{Config, find};
use crate::keyspace::{Expiry, Value};
use crate::resp::OwnedArgs;
use crate::server::{Client, Level, Log, Server};

fn id(n: u16) -> NodeId {
    NodeId::parse(format!("{n:040}").as_bytes()).expect("40 digits")
}

/// Three masters, seen from node 0. The slot of `c` is node 2's, that of `b` is node 1's and imported here,
/// all others are mine, and that of `a` migrates to node 1.
fn table(moved_away: bool) -> RouteTable {
    let mut slots = [0, 1, 2].map(|_| SlotSet::new(SLOTS));
    for slot in (0..SLOTS).map(Slot::new) {
        let owner = match slot {
            s if s == key_slot(b"c") => 2,
            s if s == key_slot(b"b") => 1,
            s if s == key_slot(b"a") && moved_away => 1,
            _ => 0,
        };
        slots[owner].insert(slot);
    }
    let nodes = (0..).zip(slots).map(|(n, slots)| SavedNode {
        id: id(n),
        address: Address { ip: format!("10.0.0.{n}").into(), port: 7000 + n, pport: 0, cport: 17000 + n },
        hostname: None,
        flags: if n == 0 { Flags::MASTER.with(Flags::MYSELF) } else { Flags::MASTER },
        master: None,
        config_epoch: Epoch(u64::from(n) + 1),
        slots,
    });
    let saved = Saved {
        me: id(0),
        current_epoch: Epoch(3),
        last_vote_epoch: Epoch(0),
        nodes: nodes.collect(),
        migrating: if moved_away { BTreeMap::new() } else { [(key_slot(b"a"), id(1))].into() },
        importing: [(key_slot(b"b"), id(1))].into(),
    };
    let config = ModelConfig::default();
    let mut state = NodeState::from_saved(&saved, &config);
    let mut out = Effects::new();
    for input in [Input::Start, Input::Timer(Timer::StartupDelay)] {
        state.step(&config, input, &NoKeys, &mut out);
    }
    state.route_table(&config)
}

struct Node {
    server: Server,
    client: Client,
}

impl Node {
    fn new() -> Self {
        let mut config = Config::default();
        let enabled = find(b"cluster-enabled").expect("a directive");
        config.set(enabled, &[b"yes"]).expect("a value");
        let log = Log::open("", Level::Warning).expect("a log");
        let mut server = Server::new(config, Rc::new(log));
        server.routes = Some(Rc::new(table(false)));
        Self { server, client: Client::new(1, "peer".into(), "local".into(), 0, true) }
    }

    fn run(&mut self, line: &str) -> String {
        let args = OwnedArgs::new(line.split(' '));
        dispatch(&mut self.server, &mut self.client, args.args());
        let reply = String::from_utf8_lossy(self.client.reply.pending()).into_owned();
        self.client.reply.advance(reply.len());
        reply.trim_end().to_owned()
    }

    fn put(&mut self, key: &str, expiry: Expiry) {
        self.server.keyspace().set(key.as_bytes(), Value::string(b"v"), expiry, 0);
    }
}

fn moved(key: &str, node: u16) -> String {
    format!("-MOVED {} 10.0.0.{node}:{}", key_slot(key.as_bytes()), 7000 + node)
}

fn ask(key: &str, node: u16) -> String {
    format!("-ASK {} 10.0.0.{node}:{}", key_slot(key.as_bytes()), 7000 + node)
}

const TRY_AGAIN: &str = "-TRYAGAIN Multiple keys request during rehashing of slot";

#[test]
fn each_key_is_served_where_it_belongs() {
    let mut node = Node::new();
    assert_eq!(node.run("SET d 1"), "+OK");
    assert_eq!(node.run("GET c"), moved("c", 2));
    assert_eq!(node.run("GET b"), moved("b", 1));
    assert_eq!(node.run("MGET d {d}2"), "*2\r\n$1\r\n1\r\n$-1");
    assert_eq!(node.run("MGET d e"), "-CROSSSLOT Keys in request don't hash to the same slot");
    assert_eq!(node.run("PING"), "+PONG");
    assert_eq!(node.run("DBSIZE"), ":1");
    assert_eq!(node.run("SELECT 1"), "-ERR SELECT is not allowed in cluster mode");
}

#[test]
fn a_migrating_slot_serves_what_is_still_here() {
    let mut node = Node::new();
    assert_eq!(node.run("GET a"), ask("a", 1));
    node.put("a", Expiry::Never);
    assert_eq!(node.run("GET a"), "$1\r\nv");
    assert_eq!(node.run("MGET a {a}2"), TRY_AGAIN);
    assert_eq!(node.run("SET {a}2 v"), ask("a", 1));
    // MIGRATE is not sent away: it moves the keys.
    assert_eq!(node.run("MIGRATE 10.0.0.1 7001 {a}2 0 10"), "+NOKEY");
}

#[test]
fn a_key_whose_time_has_come_is_missing_and_stays() {
    let mut node = Node::new();
    node.put("a", Expiry::At(1));
    assert_eq!(node.run("GET a"), ask("a", 1));
    assert_eq!(node.server.keyspace().len(), 1);
}

#[test]
fn asking_lets_one_command_in() {
    let mut node = Node::new();
    assert_eq!(node.run("ASKING"), "+OK");
    assert_eq!(node.run("SET b 1"), "+OK");
    assert_eq!(node.run("SET b 1"), moved("b", 1));
    assert_eq!(node.run("ASKING"), "+OK");
    assert_eq!(node.run("MGET b {b}2"), TRY_AGAIN);
    assert_eq!(node.run("ASKING"), "+OK");
    assert_eq!(node.run("ASKING"), "+OK");
    assert_eq!(node.run("GET b"), "$1\r\n1");
    // Any command uses it up, also one that is refused.
    for line in ["PING", "NOSUCH", "GET"] {
        node.run("ASKING");
        node.run(line);
        assert_eq!(node.run("GET b"), moved("b", 1), "after {line}");
    }
    // RESTORE-ASKING needs none.
    assert!(node.run("RESTORE-ASKING {b}3 0 x").contains("DUMP payload"));
    assert_eq!(node.run("RESTORE {b}3 0 x"), moved("b", 1));
}

#[test]
fn asking_holds_for_a_whole_transaction() {
    let mut node = Node::new();
    node.run("ASKING");
    assert_eq!(node.run("MULTI"), "+OK");
    assert_eq!(node.run("SET b 1"), "+QUEUED");
    assert_eq!(node.run("INCR b"), "+QUEUED");
    assert_eq!(node.run("EXEC"), "*2\r\n+OK\r\n:2");
    assert_eq!(node.run("GET b"), moved("b", 1));
}

#[test]
fn a_redirection_dooms_a_transaction() {
    let mut node = Node::new();
    assert_eq!(node.run("MULTI"), "+OK");
    assert_eq!(node.run("SET d 1"), "+QUEUED");
    assert_eq!(node.run("GET c"), moved("c", 2));
    assert_eq!(node.run("EXEC"), "-EXECABORT Transaction discarded because of previous errors.");
    assert_eq!(node.run("GET d"), "$-1");
}

#[test]
fn a_redirected_exec_discards() {
    let mut node = Node::new();
    node.put("a", Expiry::Never);
    node.run("MULTI");
    assert_eq!(node.run("APPEND a x"), "+QUEUED");
    node.server.routes = Some(Rc::new(table(true)));
    assert_eq!(node.run("EXEC"), moved("a", 1));
    assert_eq!(node.run("EXEC"), "-ERR EXEC without MULTI");
    // Keys of two slots, each of which was fine when it was queued.
    node.run("MULTI");
    assert_eq!(node.run("SET d 1"), "+QUEUED");
    assert_eq!(node.run("SET e 1"), "+QUEUED");
    assert_eq!(node.run("EXEC"), "-CROSSSLOT Keys in request don't hash to the same slot");
    assert_eq!(node.run("DBSIZE"), ":1");
}

#[test]
fn slots_are_counted_and_listed() {
    let mut node = Node::new();
    for key in ["{d}1", "{d}2", "{d}3"] {
        node.put(key, Expiry::Never);
    }
    let slot = key_slot(b"d");
    assert_eq!(node.run("CLUSTER KEYSLOT {d}x"), format!(":{slot}"));
    assert_eq!(node.run(&format!("CLUSTER COUNTKEYSINSLOT {slot}")), ":3");
    assert_eq!(node.run(&format!("CLUSTER GETKEYSINSLOT {slot} 2")), "*2\r\n$4\r\n{d}3\r\n$4\r\n{d}2");
    assert_eq!(node.run("CLUSTER GETKEYSINSLOT 16384 1"), "-ERR Invalid slot or number of keys");
    assert_eq!(node.run("CLUSTER GETKEYSINSLOT 1 -1"), "-ERR Invalid slot or number of keys");
    assert_eq!(node.run("CLUSTER COUNTKEYSINSLOT 16384"), "-ERR Invalid slot");
    assert_eq!(node.run("CLUSTER COUNTKEYSINSLOT x"), "-ERR value is not an integer or out of range");
    assert_eq!(node.run("CLUSTER NOSUCH"), "-ERR unknown subcommand 'NOSUCH'. Try CLUSTER HELP.");
    assert_eq!(node.run("CLUSTER KEYSLOT"), "-ERR wrong number of arguments for 'cluster|keyslot' command");
    assert!(node.run("CLUSTER HELP").starts_with("*55\r\n+CLUSTER <subcommand>"));
}

#[test]
fn every_key_of_a_request_is_seen() {
    const CROSS: &str = "-CROSSSLOT Keys in request don't hash to the same slot";
    let mut node = Node::new();
    for line in [
        "ZUNIONSTORE d 1 e",
        "ZUNIONSTORE d 2 {d}2 e WEIGHTS 1 2",
        "ZDIFFSTORE d 2 {d}2 e",
        "ZINTER 2 d e WITHSCORES",
        "ZINTERCARD 2 d e LIMIT 1",
        "SINTERCARD 2 d e",
        "SUNIONSTORE d {d}2 e",
        "LMPOP 2 d e LEFT",
        "ZMPOP 3 d {d}2 e MIN",
        "LMOVE d e LEFT LEFT",
        "RPOPLPUSH d e",
        "SMOVE d e m",
        "ZRANGESTORE d e 0 -1",
        "SORT d ALPHA STORE e",
        "SORT d STORE {d}2 LIMIT 0 1 STORE e",
    ] {
        assert_eq!(node.run(line), CROSS, "{line}");
    }
    for line in ["ZUNION 1 c", "SINTERCARD 1 c", "LMPOP 1 c LEFT", "ZMPOP 1 c MIN", "HGET c f", "SORT_RO c"] {
        assert_eq!(node.run(line), moved("c", 2), "{line}");
    }
    // A number of keys that cannot be: there are no keys, and the command says what is wrong.
    assert_eq!(node.run("SINTERCARD 0 c"), "-ERR numkeys should be greater than 0");
    assert_eq!(node.run("ZUNIONSTORE c 9 d"), "-ERR syntax error");
    // What follows the counted keys is no key.
    assert_eq!(node.run("SINTERCARD 1 d LIMIT 5"), ":0");
    assert_eq!(node.run("SORT d BY nosort ALPHA"), "*0");
    assert_eq!(node.run("SORT d BY *->x"), "-ERR BY option of SORT denied in Cluster mode.");
    assert_eq!(node.run("SORT d GET #"), "-ERR GET option of SORT denied in Cluster mode.");
}

#[test]
fn values_of_other_types_are_refused_and_empty_ones_go() {
    const WRONG: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    let mut node = Node::new();
    assert_eq!(node.run("SET d v"), "+OK");
    for line in
        ["HGET d f", "LPUSH d e", "SADD d m", "ZADD d 1 m", "ZINTERCARD 1 d", "SORT d", "SMOVE d {d}2 m"]
    {
        assert_eq!(node.run(line), WRONG, "{line}");
    }
    assert_eq!(node.run("HSET {d}h f v"), ":1");
    assert_eq!(node.run("GET {d}h"), WRONG);
    for (add, take) in [
        ("HSET k f v", "HDEL k f"),
        ("RPUSH k a", "LPOP k"),
        ("RPUSH k a a", "LREM k 0 a"),
        ("RPUSH k a", "LTRIM k 1 0"),
        ("SADD k a", "SPOP k"),
        ("ZADD k 1 a", "ZPOPMAX k"),
        ("ZADD k 1 a", "ZREMRANGEBYSCORE k -inf +inf"),
        ("SADD k a", "SINTERSTORE k k {k}2"),
    ] {
        node.run(add);
        assert_eq!(node.run("EXISTS k"), ":1", "{add}");
        node.run(take);
        assert_eq!(node.run("EXISTS k"), ":0", "{take}");
    }
}
