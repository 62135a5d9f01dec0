//! A plain server, as a child process: what clients send, what they get.

mod support;

use std::io::{Read, Write};

use support::{TestClient, TestServer};

/// Runs lines and compares their replies.
fn check(client: &mut TestClient, script: &[(&str, &str)]) {
    for (line, want) in script {
        assert_eq!(client.run(line), *want, "{line}");
    }
}

#[test]
fn strings_and_keys() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    check(
        &mut c,
        &[
            ("SET k v", "+OK"),
            ("GET k", "\"v\""),
            ("SET k w GET", "\"v\""),
            ("SET k x NX", "(nil)"),
            ("SET new x XX", "(nil)"),
            ("SET new x NX GET", "(nil)"),
            ("SET k v EX 100", "+OK"),
            ("TTL k", ":100"),
            ("SET k v KEEPTTL", "+OK"),
            ("TTL k", ":100"),
            ("SET k v", "+OK"),
            ("TTL k", ":-1"),
            ("SET k v PXAT 1", "+OK"),
            ("EXISTS k new k", ":1"),
            ("SET k v EX 0", "-ERR invalid expire time in 'set' command"),
            ("SET k v EX 1 PX 1", "-ERR syntax error"),
            ("INCR n", ":1"),
            ("INCRBY n 9223372036854775807", "-ERR increment or decrement would overflow"),
            ("APPEND n abc", ":4"),
            ("INCR n", "-ERR value is not an integer or out of range"),
            ("OBJECT ENCODING n", "\"raw\""),
            ("MSET a 1 b 2", "+OK"),
            ("MGET a missing b", "[\"1\", (nil), \"2\"]"),
            ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"),
            ("TYPE a", "+string"),
            ("TYPE missing", "+none"),
            ("DEL a b missing", ":2"),
            ("DBSIZE", ":2"),
            ("EXPIRE n 100 GT", ":0"),
            ("EXPIRE n 100 NX", ":1"),
            ("PERSIST n", ":1"),
            ("EXPIRE n -1", ":1"),
            ("EXISTS n", ":0"),
            ("FLUSHALL", "+OK"),
            ("DBSIZE", ":0"),
            ("GETRANGE missing 0 -1", "\"\""),
            ("SETRANGE s 3 abc", ":6"),
            ("GETRANGE s -3 -2", "\"ab\""),
            ("RANDOMKEY", "\"s\""),
            ("NOSUCH a", "-ERR unknown command 'NOSUCH', with args beginning with: 'a' "),
            ("GET", "-ERR wrong number of arguments for 'get' command"),
        ],
    );
}

#[test]
fn databases_of_a_plain_server() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    check(
        &mut c,
        &[
            ("SELECT 3", "+OK"),
            ("SET k v", "+OK"),
            ("SELECT 0", "+OK"),
            ("GET k", "(nil)"),
            ("SELECT 16", "-ERR DB index is out of range"),
            ("FLUSHALL", "+OK"),
            ("SELECT 3", "+OK"),
            ("DBSIZE", ":0"),
            ("CLUSTER INFO", "-ERR This instance has cluster support disabled"),
            ("ASKING", "-ERR This instance has cluster support disabled"),
        ],
    );
}

#[test]
fn a_scan_meets_every_key() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    for i in 0..1000 {
        c.send(&[b"SET", format!("key:{i}").as_bytes(), b"v"]);
    }
    (0..1000).for_each(|_| assert_eq!(c.reply(), "+OK"));
    let (mut cursor, mut met) = ("0".to_owned(), std::collections::BTreeSet::new());
    loop {
        let reply = c.run(&format!("SCAN {cursor} MATCH key:* COUNT 17 TYPE string"));
        let words: Vec<String> =
            reply.split(['[', ']', ',', ' ', '"']).filter(|w| !w.is_empty()).map(str::to_owned).collect();
        met.extend(words[1..].iter().cloned());
        cursor.clone_from(&words[0]);
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(met.len(), 1000);
    assert_eq!(c.run("SCAN x"), "-ERR invalid cursor");
}

#[test]
fn transactions() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    check(
        &mut c,
        &[
            ("EXEC", "-ERR EXEC without MULTI"),
            ("MULTI", "+OK"),
            ("MULTI", "-ERR MULTI calls can not be nested"),
            ("EXEC", "[]"),
            ("MULTI", "+OK"),
            ("INCR n", "+QUEUED"),
            ("SET s x", "+QUEUED"),
            ("INCR s", "+QUEUED"),
            ("EXEC", "[:1, +OK, -ERR value is not an integer or out of range]"),
            ("MULTI", "+OK"),
            ("INCR n", "+QUEUED"),
            ("DISCARD", "+OK"),
            ("GET n", "\"1\""),
            ("MULTI", "+OK"),
            ("SHUTDOWN", "-ERR Command not allowed inside a transaction"),
            ("EXEC", "-EXECABORT Transaction discarded because of previous errors."),
        ],
    );
}

#[test]
fn hello_and_authentication() {
    let server = TestServer::start(&["--requirepass", "secret"]);
    let mut c = server.client();
    check(
        &mut c,
        &[
            ("GET k", "-NOAUTH Authentication required."),
            ("AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled."),
            ("AUTH nobody secret", "-WRONGPASS invalid username-password pair or user is disabled."),
            ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ],
    );
    assert!(c.run("HELLO 3").starts_with("-NOAUTH HELLO must be called"));
    let hello = c.run("HELLO 3 AUTH default secret SETNAME me");
    assert!(
        hello.starts_with('{')
            && hello.contains("\"proto\": :3")
            && hello.contains("\"version\": \"7.0.15\"")
    );
    check(&mut c, &[("GET k", "(nil)"), ("CLIENT GETNAME", "\"me\""), ("RESET", "+RESET")]);
    assert_eq!(c.run("PING"), "-NOAUTH Authentication required.");
    c.send_raw(b"*11\r\n");
    assert_eq!(c.reply(), "-ERR Protocol error: unauthenticated multibulk length");
    assert!(c.is_closed());
}

#[test]
fn what_clients_send_at_connect() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    check(
        &mut c,
        &[
            ("CLIENT SETINFO lib-name x", "+OK"),
            (
                "CLIENT SETINFO lib-ver 1\n2",
                "-ERR lib-ver cannot contain spaces, newlines or special characters.",
            ),
            (&format!("CLIENT SETINFO lib-name {}", "x".repeat(1024)), "+OK"),
            (
                &format!("CLIENT SETINFO lib-name {}", "x".repeat(1025)),
                "-ERR lib-name is longer than 1024 bytes.",
            ),
            ("CLIENT SETINFO lib-name x", "+OK"),
            ("CLIENT SETINFO foo x", "-ERR Unrecognized option 'foo'"),
            ("CLIENT NO-TOUCH on", "+OK"),
            ("CLIENT NO-TOUCH foo", "-ERR syntax error"),
            ("CLIENT SETNAME abc", "+OK"),
            ("CLIENT NO-EVICT on", "+OK"),
            ("COMMAND GETKEYS MSET a 1 b 2", "[\"a\", \"b\"]"),
            ("COMMAND GETKEYS MIGRATE h 1 k 0 10", "[\"k\"]"),
            ("COMMAND GETKEYS PING", "-ERR wrong number of arguments for 'command|getkeys' command"),
        ],
    );
    assert_eq!(
        c.run_args(&[
            b"COMMAND", b"GETKEYS", b"MIGRATE", b"h", b"1", b"", b"0", b"10", b"AUTH", b"keys", b"KEYS",
            b"a", b"b"
        ]),
        "[\"a\", \"b\"]"
    );
    assert!(c.run("CLIENT LIST").contains("name=abc"));
    assert!(c.run("COMMAND").starts_with("[[\"append\""));
    assert!(c.run("COMMAND DOCS get").contains("\"summary\""));
    let info = c.run("INFO");
    for field in [
        "redis_version:7.0.15",
        "redis_mode:standalone",
        "slotproof_version:",
        "cluster_enabled:0",
        "role:master",
    ] {
        assert!(info.contains(field), "{field}");
    }
    assert!(!c.run("INFO keyspace").contains("redis_version"));
    let id = c.run("CLIENT ID");
    let mut other = server.client();
    assert_eq!(other.run(&format!("CLIENT KILL ID {}", &id[1..])), ":1");
    assert!(c.is_closed());
    assert_eq!(other.run("QUIT"), "+OK");
    assert!(other.is_closed());
}

#[test]
fn replies_can_be_turned_off() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    c.send_raw(
        b"CLIENT REPLY OFF\r\nPING\r\nSET k v\r\nCLIENT REPLY ON\r\nCLIENT REPLY SKIP\r\nPING\r\nGET k\r\n",
    );
    assert_eq!(c.reply(), "+OK");
    assert_eq!(c.reply(), "\"v\"");
}

#[test]
fn configuration_while_running() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    check(
        &mut c,
        &[
            ("CONFIG SET timeout 7 slave-priority 9", "+OK"),
            ("CONFIG GET replica-pr*", "[\"replica-priority\", \"9\"]"),
            (
                "CONFIG SET timeout 8 hz x",
                "-ERR CONFIG SET failed (possibly related to argument 'hz') - argument couldn't be parsed into an integer",
            ),
            ("CONFIG GET timeout", "[\"timeout\", \"7\"]"),
            ("CONFIG SET foo 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'"),
            (
                "CONFIG SET daemonize yes",
                "-ERR CONFIG SET failed (possibly related to argument 'daemonize') - can't set immutable config",
            ),
            ("CONFIG SET requirepass p", "+OK"),
            ("PING", "+PONG"),
        ],
    );
    assert_eq!(server.client().run("PING"), "-NOAUTH Authentication required.");
}

#[test]
fn serialized_values() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    c.run_args(&[b"SET", b"k", "long ".repeat(100).as_bytes()]);
    c.send(&[b"DUMP", b"k"]);
    let payload = c.bulk().expect("a payload");
    assert!(payload.len() < 100, "compressed");
    assert_eq!(c.run_args(&[b"RESTORE", b"k", b"0", &payload]), "-BUSYKEY Target key name already exists.");
    assert_eq!(
        c.run_args(&[b"RESTORE", b"k", b"0", &payload, b"REPLACE", b"IDLETIME", b"5", b"FREQ", b"3"]),
        "-ERR syntax error",
        "one or the other",
    );
    for option in [b"IDLETIME", &b"FREQ"[..]] {
        assert_eq!(c.run_args(&[b"RESTORE", b"k", b"0", &payload, b"REPLACE", option, b"5"]), "+OK");
    }
    assert_eq!(c.run_args(&[b"RESTORE-ASKING", b"t", b"100000", &payload]), "+OK");
    assert_eq!(c.run("TTL t"), ":100");
    assert_eq!(c.run_args(&[b"RESTORE", b"p", b"1", &payload, b"ABSTTL"]), "+OK");
    assert_eq!(c.run("EXISTS p"), ":0");
    assert_eq!(c.run("GET k"), c.run("GET t"));
    assert_eq!(
        c.run_args(&[b"RESTORE", b"x", b"0", &payload[..payload.len() - 1]]),
        "-ERR DUMP payload version or checksum are wrong"
    );
    assert_eq!(c.run("DUMP missing"), "(nil)");
}

#[test]
fn expired_keys_go_by_themselves() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    for i in 0..100 {
        c.run(&format!("SET k{i} v PX 1"));
    }
    // Nobody looks at the keys: only the active cycle can drop them.
    while c.run("DBSIZE") != ":0" {}
    assert!(c.run("INFO stats").contains("expired_keys:100"));
}

#[test]
fn large_values_in_both_directions() {
    let server = TestServer::start(&["--proto-max-bulk-len", "64mb"]);
    let mut c = server.client();
    let value = vec![b'x'; 20 << 20];
    assert_eq!(c.run_args(&[b"SET", b"k", &value]), "+OK");
    c.send(&[b"GET", b"k"]);
    assert_eq!(c.bulk().as_deref(), Some(&value[..]));
    c.send_raw(b"*1\r\n$67108865\r\n");
    assert_eq!(c.reply(), "-ERR Protocol error: invalid bulk length");
    assert!(c.is_closed());
}

#[test]
fn one_client_never_reads_and_one_stops_halfway() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    assert_eq!(c.run_args(&[b"SET", b"big", &vec![b'x'; 1 << 20]]), "+OK");
    let mut half = server.client();
    half.send_raw(b"*2\r\n$3\r\nGET\r\n$100\r\nabc");
    let mut deaf = server.client();
    // Replies of 2 GiB are asked for and never read: the server stops at a few MiB.
    deaf.send_raw(&b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n".repeat(2000));
    for _ in 0..100 {
        assert_eq!(c.run("PING"), "+PONG");
    }
    let lines = c.run("CLIENT LIST");
    let waiting: Vec<u64> = lines
        .split("omem=")
        .skip(1)
        .filter_map(|rest| rest.split(' ').next().and_then(|n| n.parse().ok()))
        .collect();
    assert_eq!(waiting.len(), 3);
    assert!(waiting.iter().all(|&n| n < 16 << 20), "{waiting:?}");
    // It reads after all, and gets everything.
    for _ in 0..2000 {
        assert_eq!(deaf.bulk().map(|b| b.len()), Some(1 << 20));
    }
}

#[test]
fn pipelines_are_answered_in_order() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    let mut reader = c.stream.try_clone().expect("a second handle");
    let n = 200_000;
    let writer = std::thread::spawn(move || {
        for i in 0..n {
            let word = i.to_string();
            c.send(&[b"ECHO", word.as_bytes()]);
        }
        c
    });
    let mut want = Vec::new();
    (0..n).for_each(|i| {
        let word = i.to_string();
        let _ = write!(want, "${}\r\n{word}\r\n", word.len());
    });
    let mut got = vec![0; want.len()];
    reader.read_exact(&mut got).expect("all replies");
    assert!(got == want);
    drop(writer.join());
}

#[test]
fn a_request_beyond_the_query_buffer_ends_the_connection() {
    let server = TestServer::start(&["--client-query-buffer-limit", "1mb"]);
    let mut greedy = server.client();
    greedy.send_raw(b"*2\r\n$4\r\nECHO\r\n$100000000\r\n");
    // It may notice in the middle.
    let _ = greedy.stream.write_all(&vec![b'x'; 3 << 20]);
    assert!(greedy.is_closed());
    let mut many = server.client();
    many.send_raw(b"*2000000000\r\n");
    let _ = many.stream.write_all(&b"$0\r\n\r\n".repeat(200_000));
    assert!(many.is_closed());
    assert_eq!(server.client().run("PING"), "+PONG");
}

#[test]
fn idle_clients_are_let_go() {
    let server = TestServer::start(&["--timeout", "1"]);
    let mut idle = server.client();
    assert_eq!(idle.run("PING"), "+PONG");
    assert!(idle.is_closed());
}

#[test]
fn limits_on_clients() {
    let server = TestServer::start(&["--maxclients", "2"]);
    let (mut a, mut b) = (server.client(), server.client());
    assert_eq!((a.run("PING"), b.run("PING")), ("+PONG".into(), "+PONG".into()));
    let mut c = server.client();
    assert_eq!(c.reply(), "-ERR max number of clients reached");
    assert!(c.is_closed());
}
