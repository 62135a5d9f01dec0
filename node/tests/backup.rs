//! SYNC: a dump of all keys as an RDB file, as `redis-cli --rdb` and `redis-cli --cluster backup` take it.

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use slotproof_node::dump::crc64;
use support::{TestClient, TestServer, info};

/// One who takes a dump, as fast as he likes.
struct Taker {
    stream: TcpStream,
    mark: Vec<u8>,
}

impl Taker {
    fn start(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        stream.write_all(b"SYNC\r\n").expect("sent");
        let mut head = [0; 47];
        stream.read_exact(&mut head).expect("a head");
        assert!(
            head.starts_with(b"$EOF:") && head.ends_with(b"\r\n"),
            "{:?}",
            String::from_utf8_lossy(&head)
        );
        Self { stream, mark: head[5..45].to_vec() }
    }

    /// All up to the end of the connection: the file, if it is whole.
    fn finish(mut self) -> Option<Vec<u8>> {
        let mut file = Vec::new();
        self.stream.read_to_end(&mut file).ok()?;
        let file = file.strip_suffix(&self.mark[..])?.to_vec();
        let (body, crc) = file.split_at(file.len() - 8);
        assert_eq!(crc64(0, body).to_le_bytes(), crc, "the checksum is right");
        Some(file)
    }
}

/// Keys with values and expiries of a file that has nothing but strings of less than 64 bytes.
fn strings(file: &[u8]) -> BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)> {
    let mut at = b"REDIS0010".len();
    assert_eq!(&file[..at], b"REDIS0010");
    let string = |at: &mut usize| {
        let (form, len) = (file[*at] >> 6, usize::from(file[*at] & 63));
        *at += 1;
        let len = match form {
            0 => len,
            3 => 1 << len,
            other => panic!("a string of the form {other}"),
        };
        *at += len;
        file[*at - len..*at].to_vec()
    };
    let number = |at: &mut usize| {
        let (len, n) = match file[*at] >> 6 {
            0 => (1, u32::from(file[*at])),
            1 => (2, u32::from_be_bytes([0, 0, file[*at] & 63, file[*at + 1]])),
            _ => (5, u32::from_be_bytes(file[*at + 1..*at + 5].try_into().expect("four bytes"))),
        };
        *at += len;
        n
    };
    let (mut keys, mut expiry) = (BTreeMap::new(), None);
    loop {
        at += 1;
        match file[at - 1] {
            0xfa => drop((string(&mut at), string(&mut at))),
            0xfe => drop(number(&mut at)),
            0xfb => drop((number(&mut at), number(&mut at))),
            0xfc => {
                expiry = Some(i64::from_le_bytes(file[at..at + 8].try_into().expect("eight bytes")));
                at += 8;
            }
            0 => {
                let (key, value) = (string(&mut at), string(&mut at));
                assert_eq!(keys.insert(key, (value, expiry.take())), None, "each key once");
            }
            0xff => break,
            other => panic!("an unknown byte {other:#x}"),
        }
    }
    assert_eq!(at + 8, file.len());
    keys
}

/// Sends many requests and reads all replies.
fn pipeline(client: &mut TestClient, lines: &[String]) -> Vec<String> {
    lines
        .chunks(1000)
        .flat_map(|lines| {
            let bytes: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            client.send_raw(bytes.as_bytes());
            lines.iter().map(|_| client.reply()).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn a_dump_shows_one_moment_whatever_is_written_meanwhile() {
    let server = TestServer::start(&["--rdbcompression", "no"]);
    let mut client = server.client();
    // More than the sockets hold, a third of it in one slot.
    let name = |i: usize| if i.is_multiple_of(3) { format!("{{tag}}key-{i}") } else { format!("key-{i}") };
    let filler = "x".repeat(40);
    let value = |i: usize| format!("v-{i}-{filler}");
    let count = 150_000;
    let sets: Vec<String> = (0..count)
        .map(|i| match i % 2 {
            0 => format!("SET {} {}", name(i), value(i)),
            _ => format!("SET {} {} PXAT {}", name(i), value(i), 4_000_000_000_000u64 + i as u64),
        })
        .collect();
    assert!(pipeline(&mut client, &sets).iter().all(|reply| reply == "+OK"));
    let taker = Taker::start(server.port);
    assert!(client.run("CLIENT LIST TYPE replica").contains(" flags=S "));
    let changes: Vec<String> = (0..count)
        .map(|i| match i % 5 {
            0 => format!("SET {} changed", name(i)),
            1 => format!("DEL {}", name(i)),
            2 => format!("APPEND {} more", name(i)),
            3 => format!("PEXPIRE {} 100000", name(i)),
            _ => format!("SET new-{i} new"),
        })
        .collect();
    pipeline(&mut client, &changes);
    let keys = strings(&taker.finish().expect("a whole file"));
    assert_eq!(keys.len(), count);
    for i in 0..count {
        let expiry = (i % 2 == 1).then(|| 4_000_000_000_000 + i as i64);
        assert_eq!(keys.get(name(i).as_bytes()), Some(&(value(i).into_bytes(), expiry)), "{i}");
    }
    assert!(client.run("INFO stats").contains("sync_full:1\\r\\n"));
    let (all, dumps) = ("total_net_output_bytes", "total_net_repl_output_bytes");
    let (all, dumps) = (info(&mut client, all), info(&mut client, dumps));
    assert!(dumps > 1_000_000 && all > dumps, "{dumps} of {all} bytes");
    assert_eq!(client.run("CLIENT LIST TYPE replica"), "\"\"");

    // Two at once; what is dropped as a whole cannot be had any more.
    let (one, other) = (Taker::start(server.port), Taker::start(server.port));
    assert_eq!(client.run("FLUSHALL"), "+OK");
    assert_eq!((one.finish(), other.finish()), (None, None));
    assert_eq!(strings(&Taker::start(server.port).finish().expect("an empty file")).len(), 0);
}

#[test]
fn who_leaves_too_much_unread_is_closed() {
    let server = TestServer::start(&[
        "--client-output-buffer-limit",
        "replica",
        "2mb",
        "0",
        "0",
        "--rdbcompression",
        "no",
    ]);
    let mut client = server.client();
    let value = "x".repeat(1000);
    let sets: Vec<String> = (0..40_000).map(|i| format!("SET {{tag}}{i} {value}")).collect();
    pipeline(&mut client, &sets);
    let taker = Taker::start(server.port);
    // All keys are in one slot: the first write needs all of them to be written down, as far as that is allowed.
    let before = info(&mut client, "used_memory");
    client.send_raw(b"DEL {tag}7\r\nMEMORY STATS\r\n");
    assert_eq!(client.reply(), ":1");
    let stats = client.reply();
    let after = stats.split("\"total.allocated\", :").nth(1).and_then(|s| s.split(',').next()?.parse().ok());
    assert!(after.is_some_and(|after: usize| after < before + (5 << 20)), "{before} {stats}");
    assert_eq!(taker.finish(), None);
    assert_eq!(info(&mut client, "client_output_buffer_limit_disconnections"), 1);
}

#[test]
fn the_limits_of_clients_are_not_those_of_a_dump() {
    let limits = ["normal", "100kb", "0", "0", "replica", "0", "0", "0"];
    let server = TestServer::start(
        &[&["--client-output-buffer-limit"], &limits[..], &["--rdbcompression", "no"]].concat(),
    );
    let value = vec![b'x'; 1 << 20];
    assert_eq!(server.client().run_args(&[b"SET", b"k", &value]), "+OK");
    let file = Taker::start(server.port).finish().expect("a whole file");
    assert!(file.len() > 1 << 20);
}

#[test]
fn who_takes_nothing_is_closed() {
    let mut server = TestServer::start(&["--repl-timeout", "1", "--rdbcompression", "no"]);
    let mut client = server.client();
    let value = "x".repeat(1000);
    let sets: Vec<String> = (0..40_000).map(|i| format!("SET {i} {value}")).collect();
    pipeline(&mut client, &sets);
    let taker = Taker::start(server.port);
    server.wait_for("does not take its dump");
    assert_eq!(taker.finish(), None);
    assert_eq!(client.run("DBSIZE"), ":40000");
}

#[test]
fn replicas_are_refused() {
    let server = TestServer::start(&["--requirepass", "secret"]);
    let mut client = server.client();
    assert_eq!(client.run("SYNC"), "-NOAUTH Authentication required.");
    assert_eq!(client.run("AUTH secret"), "+OK");
    for (line, reply) in [
        ("REPLCONF", "+OK"),
        ("REPLCONF rdb-only", "-ERR syntax error"),
        ("REPLCONF rdb-only 2", "-ERR value is out of range, value must between 0 and 1"),
        ("REPLCONF rdb-only x", "-ERR value is not an integer or out of range"),
        ("REPLCONF foo x", "-ERR Unrecognized REPLCONF option: foo"),
        ("REPLCONF listening-port 7000", "+OK"),
    ] {
        assert_eq!(client.run(line), reply, "{line}");
    }
    const REFUSED: &str = "-ERR replication is not supported: ";
    for line in ["SYNC", "PSYNC ? -1", "SYNC"] {
        let reply = client.run(line);
        assert!(reply.starts_with(REFUSED), "{line}: {reply}");
    }
    assert_eq!(client.run("MULTI"), "+OK");
    assert!(client.run("SYNC").contains("not allowed inside a transaction"));
    assert_eq!(client.run("DISCARD"), "+OK");
    assert_eq!(client.run("REPLCONF capa eof rdb-only 1"), "+OK");
    client.send_raw(b"PING\r\nSYNC\r\n");
    assert_eq!(
        (client.reply().as_str(), client.reply().as_str()),
        ("+PONG", "-ERR SYNC and PSYNC are invalid with pending output")
    );
    client.send_raw(b"SYNC\r\nPING\r\n");
    let mut all = Vec::new();
    client.stream.read_to_end(&mut all).expect("a dump, and the end of the connection");
    assert!(all.starts_with(b"$EOF:") && all[47..].starts_with(b"REDIS0010"));
    assert!(!all.ends_with(b"PONG\r\n"), "who takes a dump runs no more commands");
}

/// Everything that can be seen of a server's keys, database by database.
fn contents(client: &mut TestClient, databases: usize) -> Vec<String> {
    let mut seen = Vec::new();
    for db in 0..databases {
        client.run(&format!("SELECT {db}"));
        let keys = client.run("KEYS *");
        let mut keys: Vec<&str> =
            keys.trim_matches(['[', ']']).split(", ").filter(|k| !k.is_empty()).collect();
        keys.sort_unstable();
        for key in keys.iter().map(|k| k.trim_matches('"')) {
            let kind = client.run(&format!("TYPE {key}"));
            let value = match &kind[..] {
                "+string" => client.run(&format!("GET {key}")),
                "+list" => client.run(&format!("LRANGE {key} 0 -1")),
                "+zset" => client.run(&format!("ZRANGE {key} 0 -1 WITHSCORES")),
                "+set" => client.run(&format!("SORT {key} ALPHA")),
                _ => {
                    let fields = client.run(&format!("HKEYS {key}"));
                    let mut fields: Vec<&str> = fields.trim_matches(['[', ']']).split(", ").collect();
                    fields.sort_unstable();
                    let of = |f: &&str| {
                        format!("{f} {}", client.run(&format!("HGET {key} {}", f.trim_matches('"'))))
                    };
                    fields.iter().map(of).collect::<Vec<_>>().join(", ")
                }
            };
            let expiry = client.run(&format!("PEXPIRETIME {key}"));
            // Strings that were changed in place are read as others are.
            let encoding = match &kind[..] {
                "+string" => String::new(),
                _ => client.run(&format!("OBJECT ENCODING {key}")),
            };
            seen.push(format!("{db} {key} {kind} {encoding} {expiry} {value}"));
        }
    }
    seen
}

/// Values of every type and form, in three databases.
fn fill(client: &mut TestClient) {
    let mut lines: Vec<String> = Vec::new();
    for db in [0, 3, 15] {
        lines.push(format!("SELECT {db}"));
        lines.extend(
            ["SET short v", "SET number 12345678901", "SET small 7", "SET expires 1 PXAT 4000000000000"]
                .map(Into::into),
        );
        lines.push(format!("SET long:{db} {} EX 10000", "abc".repeat(5000)));
        lines.push("APPEND short more".into());
        for n in [3, 600] {
            for i in 0..n {
                lines.push(format!("HSET hash:{n} field-{i} {}", "v".repeat(i % 50 + 1)));
                lines.push(format!(
                    "RPUSH list:{n} {}",
                    if i % 2 == 0 { i.to_string() } else { "e".repeat(i) }
                ));
                lines.push(format!("SADD ints:{n} {}", i * 1_000_003));
                lines.push(format!("SADD set:{n} member-{i}"));
                lines.push(format!("ZADD zset:{n} {}.5 member-{i}", i % 17));
            }
            lines.push(format!("PEXPIRE zset:{n} 1000000"));
        }
        lines.push("ZADD ends inf a -inf b 0 c 1e-300 d".into());
        lines.extend((0..300).map(|i| format!("SET k:{i} {i}")));
    }
    let replies = pipeline(client, &lines);
    assert!(replies.iter().all(|r| !r.starts_with('-')), "{replies:?}");
}

#[test]
#[ignore = "needs redis-server 7.0 and redis-cli 7.0"]
fn redis_loads_what_redis_cli_has_fetched() {
    for options in [
        &[][..],
        &["--maxmemory-policy", "allkeys-lru"],
        &["--maxmemory-policy", "volatile-lfu", "--rdbcompression", "no"],
        &["--rdbchecksum", "no"],
    ] {
        let server = TestServer::start(options);
        let mut ours = server.client();
        fill(&mut ours);
        let dir = tempfile::TempDir::new().expect("a directory");
        let file = dir.path().join("dump.rdb");
        let port = server.port.to_string();
        let mut fetch = Command::new("redis-cli");
        fetch.args(["-p", &port, "--rdb"]).arg(&file);
        let out = fetch.output().expect("redis-cli runs");
        assert!(out.status.success(), "{out:?}");
        let check = Command::new("redis-check-rdb").arg(&file).output().expect("redis-check-rdb runs");
        assert!(check.status.success(), "{check:?}");
        assert!(String::from_utf8_lossy(&check.stdout).contains("RDB looks OK!"), "{check:?}");
        let place = dir.path().to_string_lossy().into_owned();
        let theirs = TestServer::start_redis(&["--dir", &place, "--dbfilename", "dump.rdb"]);
        let (ours, theirs) = (contents(&mut ours, 16), contents(&mut theirs.client(), 16));
        assert_eq!(ours.len(), 3 * (4 + 1 + 10 + 1 + 300), "{options:?}");
        let differ: Vec<_> = ours.iter().zip(&theirs).filter(|(a, b)| a != b).collect();
        assert!(differ.is_empty(), "{options:?}: {differ:?}");
    }
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn a_redis_server_that_wants_to_be_a_replica_is_told_no() {
    let server = TestServer::start(&[]);
    assert_eq!(server.client().run("SET k v"), "+OK");
    let mut replica = TestServer::start_redis(&[]);
    assert_eq!(replica.client().run(&format!("REPLICAOF 127.0.0.1 {}", server.port)), "+OK");
    let line = replica.wait_for("MASTER aborted replication with an error");
    assert!(line.contains("replication is not supported"), "{line}");
    assert_eq!(replica.client().run("DBSIZE"), ":0");
}
