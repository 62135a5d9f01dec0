//! Every command with arguments of every wrong kind: keys of other types, numbers at the edges of their ranges, options out of place.
//! The answer may be anything but silence.

mod support;

use std::collections::BTreeSet;

use support::{Dice, TestClient, TestServer};

const KEYS: [&str; 9] = ["str", "int", "list", "hash", "set", "ints", "zset", "large", "missing"];

const NUMBERS: [&str; 30] = [
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "3",
    "100",
    "-100",
    "2147483647",
    "-2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "-1e309",
    "inf",
    "-inf",
    "nan",
    "1e-400",
    "0x10",
    "+1",
    " 1",
    "1 ",
    "1.5",
    "",
];

const WORDS: [&str; 70] = [
    "nx",
    "xx",
    "gt",
    "lt",
    "ch",
    "incr",
    "ex",
    "px",
    "exat",
    "pxat",
    "keepttl",
    "persist",
    "get",
    "limit",
    "withscores",
    "withscore",
    "count",
    "match",
    "type",
    "by",
    "asc",
    "desc",
    "alpha",
    "store",
    "weights",
    "aggregate",
    "sum",
    "min",
    "max",
    "left",
    "right",
    "before",
    "after",
    "rank",
    "maxlen",
    "withvalues",
    "rev",
    "byscore",
    "bylex",
    "(1",
    "[a",
    "(",
    "-",
    "+",
    "#0",
    "#",
    "u8",
    "i64",
    "u64",
    "i65",
    "overflow",
    "fail",
    "sat",
    "wrap",
    "incrby",
    "set",
    "idx",
    "len",
    "minmatchlen",
    "bit",
    "byte",
    "replace",
    "absttl",
    "freq",
    "idletime",
    "db",
    "*",
    "[a-",
    "\r\n\u{0}\u{7f}",
    "help",
];

/// Commands that end or stop the server or this connection, that answer more than once, or wait for others.
const NOT_HERE: [&str; 19] = [
    "shutdown",
    "debug",
    "quit",
    "monitor",
    "subscribe",
    "psubscribe",
    "ssubscribe",
    "unsubscribe",
    "punsubscribe",
    "sunsubscribe",
    "client",
    "config",
    "migrate",
    "wait",
    "cluster",
    "reset",
    "hello",
    "auth",
    "select",
];

/// Their subcommands that can be asked anything.
const SUBCOMMANDS: [&str; 24] = [
    "client|id",
    "client|info",
    "client|list",
    "client|setname",
    "client|getname",
    "client|setinfo",
    "client|no-evict",
    "client|no-touch",
    "client|unblock",
    "client|tracking",
    "config|get",
    "cluster|addslots",
    "cluster|addslotsrange",
    "cluster|delslots",
    "cluster|delslotsrange",
    "cluster|setslot",
    "cluster|forget",
    "cluster|countkeysinslot",
    "cluster|getkeysinslot",
    "cluster|keyslot",
    "cluster|set-config-epoch",
    "cluster|slots",
    "cluster|bumpepoch",
    "cluster|replicate",
];

fn fill(client: &mut TestClient) {
    let zeros = "0 ".repeat(200);
    let large = format!("ZADD large {}", (0..200).map(|n| format!("{n} member:{n} ")).collect::<String>());
    for line in [
        "SET str abc\u{ff}",
        "SET int 9223372036854775807",
        "RPUSH list a b 1 -9223372036854775808",
        "HSET hash f 9223372036854775807 g abc h 1e308",
        "SADD set a b 1",
        "SADD ints 1 -9223372036854775808 9223372036854775807",
        "ZADD zset inf a -inf b 0 c 1e308 d",
        large.trim(),
        &format!("RPUSH zeros {}", zeros.trim()),
    ] {
        client.run(line);
    }
}

fn ask_everything(options: &[&str], seed: u64, rounds: usize) {
    eprintln!("seed {seed}");
    let server = TestServer::start(options);
    let mut dice = Dice(seed);
    let mut client = server.client();
    let list = client.run("COMMAND LIST");
    let all: BTreeSet<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(all.len() > 150, "{} commands", all.len());
    let alone = all
        .iter()
        .map(String::as_str)
        .filter(|name| !NOT_HERE.iter().any(|n| name.split('|').next() == Some(n)));
    let long = "x".repeat(5_000);
    for name in alone.chain(SUBCOMMANDS) {
        for round in 0..rounds {
            if round % 10 == 0 {
                client.run("DISCARD");
                client.run("FLUSHALL");
                fill(&mut client);
            }
            let mut args: Vec<&str> = name.split('|').collect();
            for _ in 0..dice.below(8) {
                args.push(match dice.below(10) {
                    0..4 => dice.of(&KEYS),
                    4..7 => dice.of(&NUMBERS),
                    7..9 => dice.of(&WORDS),
                    _ => &long,
                });
            }
            let args: Vec<&[u8]> = args.iter().map(|a| a.as_bytes()).collect();
            let shown =
                || args.iter().map(|a| String::from_utf8_lossy(&a[..a.len().min(40)])).collect::<Vec<_>>();
            eprintln!("{:?}", shown());
            let reply = client.run_args(&args);
            assert!(!reply.is_empty(), "{:?}", shown());
        }
        client.run("DISCARD");
    }
    assert_eq!(client.run("PING"), "+PONG");
    assert_eq!(server.client().run("PING"), "+PONG");
}

#[test]
fn of_a_plain_server() {
    ask_everything(&["--proto-max-bulk-len", "1mb"], 1, 80);
}

#[test]
fn of_a_cluster_node() {
    let bus = support::free_port().to_string();
    let options = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--proto-max-bulk-len", "1mb"];
    ask_everything(&options, 2, 40);
}
