//! What the server does beside keeping strings: publishing, watching, pausing, slow commands, eviction, the configuration file.

mod support;

use support::{TestClient, TestServer, free_port, info, wait_for};

fn check(client: &mut TestClient, script: &[(&str, &str)]) {
    for (line, want) in script {
        assert_eq!(client.run(line), *want, "{line}");
    }
}

#[test]
fn messages_reach_subscribers_of_both_protocols() {
    let server = TestServer::start(&[]);
    let (mut old, mut new, mut sender) = (server.client(), server.client(), server.client());
    assert_eq!(old.run("SUBSCRIBE news"), "[\"subscribe\", \"news\", :1]");
    assert_eq!(old.run("PSUBSCRIBE n*"), "[\"psubscribe\", \"n*\", :2]");
    new.run("HELLO 3");
    assert_eq!(new.run("SUBSCRIBE news"), "[\"subscribe\", \"news\", :1]");
    assert_eq!(sender.run("PUBLISH news hello"), ":3");
    assert_eq!(old.reply(), "[\"message\", \"news\", \"hello\"]");
    assert_eq!(old.reply(), "[\"pmessage\", \"n*\", \"news\", \"hello\"]");
    assert_eq!(new.reply(), "[\"message\", \"news\", \"hello\"]");
    assert!(old.run("GET k").starts_with("-ERR Can't execute 'get': only (P|S)SUBSCRIBE"));
    assert_eq!(old.run("PING x"), "[\"pong\", \"x\"]");
    assert_eq!(new.run("GET k"), "(nil)", "RESP3 has no such mode");
    assert_eq!(sender.run("PUBSUB NUMSUB news old"), "[\"news\", :2, \"old\", :0]");
    assert_eq!(old.run("RESET"), "+RESET");
    assert_eq!(old.run("GET k"), "(nil)");
    drop(new);
    wait_for("the subscriber is forgotten", || sender.run("PUBSUB CHANNELS") == "[]");
}

#[test]
fn messages_cross_the_bus_and_shard_channels_belong_to_slots() {
    let ((a, _), (b, bus)) = (TestServer::start_node(&[]), TestServer::start_node(&[]));
    let (mut one, mut two) = (a.client(), b.client());
    assert_eq!(one.run("CLUSTER ADDSLOTSRANGE 0 8191"), "+OK");
    assert_eq!(two.run("CLUSTER ADDSLOTSRANGE 8192 16383"), "+OK");
    assert_eq!(two.run("CLUSTER SET-CONFIG-EPOCH 2"), "+OK");
    assert_eq!(one.run(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", b.port)), "+OK");
    for client in [&mut one, &mut two] {
        wait_for("both see all", || client.run("CLUSTER INFO").contains("cluster_state:ok"));
    }
    let mut listener = b.client();
    listener.run("SUBSCRIBE news");
    wait_for("a message crosses the bus", || {
        assert_eq!(one.run("PUBLISH news hello"), ":0", "only the own subscribers count");
        two.run("CLUSTER INFO").contains("cluster_stats_messages_publish_received")
    });
    assert_eq!(listener.reply(), "[\"message\", \"news\", \"hello\"]");

    // `foo` is in slot 12182, `bar` in 5061.
    assert_eq!(one.run("SPUBLISH foo x"), format!("-MOVED 12182 127.0.0.1:{}", b.port));
    assert_eq!(one.run("SSUBSCRIBE foo"), format!("-MOVED 12182 127.0.0.1:{}", b.port));
    assert_eq!(one.run("SSUBSCRIBE bar foo"), "-CROSSSLOT Keys in request don't hash to the same slot");
    let mut shard = b.client();
    assert_eq!(shard.run("SSUBSCRIBE foo"), "[\"ssubscribe\", \"foo\", :1]");
    assert_eq!(two.run("SPUBLISH foo x"), ":1");
    assert_eq!(shard.reply(), "[\"smessage\", \"foo\", \"x\"]");
    assert_eq!(two.run("PUBSUB SHARDNUMSUB foo"), "[\"foo\", :1]");
    // The slot leaves.
    let id = one.run("CLUSTER MYID").replace('"', "");
    assert_eq!(two.run(&format!("CLUSTER SETSLOT 12182 NODE {id}")), "+OK");
    assert_eq!(shard.reply(), "[\"sunsubscribe\", \"foo\", :0]");
    assert_eq!(two.run("PUBSUB SHARDCHANNELS"), "[]");
}

#[test]
fn a_watched_key_that_changes_stops_the_transaction() {
    let server = TestServer::start(&[]);
    let (mut c, mut other) = (server.client(), server.client());
    let changes = [
        "SET k x",
        "INCR n",
        "EXPIRE k 100",
        "DEL k",
        "RENAME n k",
        "FLUSHALL",
        "SET missing x",
        "SWAPDB 0 1",
    ];
    for change in changes {
        check(&mut other, &[("FLUSHALL", "+OK"), ("MSET k 1 n 1", "+OK")]);
        check(&mut c, &[("WATCH k n missing", "+OK"), ("MULTI", "+OK"), ("PING", "+QUEUED")]);
        other.run(change);
        assert_eq!(c.run("EXEC"), "(nil)", "{change}");
        check(&mut c, &[("MULTI", "+OK"), ("PING", "+QUEUED"), ("EXEC", "[+PONG]")]);
    }
    for harmless in ["GET k", "SET other x", "TTL k", "TYPE k", "SET k x NX"] {
        check(&mut other, &[("FLUSHALL", "+OK"), ("MSET k 1 n 1", "+OK")]);
        check(&mut c, &[("WATCH k n missing", "+OK"), ("MULTI", "+OK"), ("PING", "+QUEUED")]);
        other.run(harmless);
        assert_eq!(c.run("EXEC"), "[+PONG]", "{harmless}");
    }
    check(&mut c, &[("SET k 1 PX 1", "+OK"), ("WATCH k", "+OK"), ("UNWATCH", "+OK")]);
}

#[test]
fn a_pause_lets_writers_wait() {
    let server = TestServer::start(&[]);
    let (mut admin, mut writer, mut reader) = (server.client(), server.client(), server.client());
    assert_eq!(admin.run("CLIENT PAUSE 60000 WRITE"), "+OK");
    writer.send(&[b"SET", b"k", b"v"]);
    wait_for("the writer waits", || info(&mut admin, "blocked_clients") == 1);
    assert_eq!(reader.run("GET k"), "(nil)");
    assert_eq!(admin.run("CLIENT UNPAUSE"), "+OK");
    assert_eq!(writer.reply(), "+OK");
    assert_eq!(reader.run("GET k"), "\"v\"");
    assert_eq!(admin.run("CLIENT PAUSE 20 ALL"), "+OK");
    assert_eq!(reader.run("GET k"), "\"v\"", "after a while");
    writer.send(&[b"WAIT", b"1", b"0"]);
    wait_for("the writer waits", || info(&mut admin, "blocked_clients") == 1);
    let id = admin.run("CLIENT LIST");
    let line = id.split("\\n").find(|l| l.contains("cmd=wait")).expect("the writer");
    let id = line.split("id=").nth(1).and_then(|l| l.split(' ').next()).expect("its id").to_owned();
    assert_eq!(admin.run(&format!("CLIENT UNBLOCK {id} ERROR")), ":1");
    assert_eq!(writer.reply(), "-UNBLOCKED client unblocked via CLIENT UNBLOCK");
    assert_eq!(writer.run("WAIT 1 10"), ":0");
}

#[test]
fn what_took_long_is_noted_without_secrets() {
    let server = TestServer::start(&["--slowlog-log-slower-than", "0", "--latency-monitor-threshold", "1"]);
    let mut c = server.client();
    c.run("CONFIG SET requirepass secret");
    c.run("AUTH secret");
    let long = "x".repeat(300);
    c.run(&format!("SET k {long}"));
    let log = c.run("SLOWLOG GET 128");
    assert!(!log.contains("secret") && log.contains("(redacted)"), "{log}");
    assert!(log.contains("... (172 more bytes)"), "{log}");
    assert_eq!(c.run("SLOWLOG RESET"), "+OK");
    assert!(c.run("INFO commandstats").contains("cmdstat_config|set:calls=1,"));
    assert!(c.run("INFO latencystats").contains("latency_percentiles_usec_set:p50="));
    assert_eq!(c.run("MULTI"), "+OK");
    assert_eq!(c.run("EXEC"), "[]");
    assert!(c.run("LATENCY HISTOGRAM exec").starts_with("[\"exec\", [\"calls\", :1, "));
    assert!(c.run("LATENCY HISTOGRAM set").starts_with("[\"set\", [\"calls\", :1, \"histogram_usec\", ["));
    c.run("INCR k");
    c.run("NOSUCH");
    assert!(c.run("INFO errorstats").contains("errorstat_ERR:count=2"));
}

#[test]
fn memory_is_bounded_and_keys_go_by_the_policy() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    let value = "x".repeat(10_000);
    let used = info(&mut c, "used_memory");
    c.run(&format!("SET big {}", "x".repeat(1_000_000)));
    let size: i64 = c.run("MEMORY USAGE big")[1..].parse().expect("a size");
    assert!((1_000_000..1_001_000).contains(&size), "{size}");
    let grown = info(&mut c, "used_memory") - used;
    assert!((1_000_000..3_500_000).contains(&grown), "a million bytes, and a map for each slot: {grown}");
    c.run("DEL big");
    let limit = info(&mut c, "used_memory") + 2_000_000;
    c.run(&format!("CONFIG SET maxmemory {limit}"));
    let mut refused = 0;
    for i in 0..400 {
        refused += i32::from(c.run(&format!("SET key:{i} {value}")).starts_with("-OOM command not allowed"));
    }
    assert!(refused > 100, "{refused}");
    assert_eq!(c.run("DEL key:0"), ":1", "what takes no memory runs");
    for policy in
        ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-ttl", "volatile-lru", "volatile-random"]
    {
        c.run("FLUSHALL");
        assert_eq!(c.run(&format!("CONFIG SET maxmemory-policy {policy}")), "+OK");
        c.run("CONFIG RESETSTAT");
        for i in 0..400 {
            assert_eq!(c.run(&format!("SET key:{i} {value} EX {}", 1000 + i)), "+OK", "{policy}");
        }
        assert!(info(&mut c, "evicted_keys") > 100, "{policy}");
        assert!(info(&mut c, "used_memory") < limit + 100_000, "{policy}");
        if policy == "volatile-ttl" {
            assert_eq!(c.run("EXISTS key:0 key:399"), ":1", "the first to expire is gone");
        }
    }
}

#[test]
fn a_client_that_does_not_read_what_it_subscribed_to_is_closed() {
    let limit = "pubsub 1mb 0 0";
    let mut server = TestServer::start(&["--client-output-buffer-limit", limit]);
    let (mut deaf, mut sender) = (server.client(), server.client());
    deaf.run("SUBSCRIBE news");
    let message = "x".repeat(100_000);
    wait_for("it is closed", || sender.run(&format!("PUBLISH news {message}")) == ":0");
    assert_eq!(info(&mut sender, "client_output_buffer_limit_disconnections"), 1);
    server.wait_for("overcoming of output buffer limits");
    assert!(info(&mut sender, "used_memory") < 20_000_000);
}

#[test]
fn the_configuration_file_is_rewritten() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("redis.conf");
    let port = free_port();
    std::fs::write(
        &path,
        format!("# mine\nport {port}\nhz 20\nrename-command FLUSHALL \"\"\nrename-command GET fetch\n"),
    )
    .expect("written");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_slotproof-node"));
    command.arg(&path);
    let server = TestServer::spawn(command, port);
    let mut c = server.client();
    check(
        &mut c,
        &[
            ("FLUSHALL", "-ERR unknown command 'FLUSHALL', with args beginning with: "),
            ("GET k", "-ERR unknown command 'GET', with args beginning with: 'k' "),
            ("FETCH k", "(nil)"),
            ("CONFIG SET hz 30 maxmemory 100mb", "+OK"),
            ("CONFIG REWRITE", "+OK"),
        ],
    );
    let text = std::fs::read_to_string(&path).expect("read");
    assert!(
        text.starts_with(&format!("# mine\nport {port}\nhz 30\nrename-command FLUSHALL \"\"\n")),
        "{text}"
    );
    assert!(text.contains("\nmaxmemory 104857600\n"), "{text}");
    let other = free_port();
    assert_eq!(c.run(&format!("CONFIG SET port {other}")), "+OK");
    assert_eq!(TestClient::connect(other).run("PING"), "+PONG");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port();
    let refused = c.run(&format!("CONFIG SET bind 127.0.0.1 port {port}"));
    assert!(refused.contains("argument 'port') - Unable to listen on this port."), "{refused}");
    assert_eq!(TestClient::connect(other).run("PING"), "+PONG", "it still listens where it did");
}

fn info_fields(server: &TestServer) -> Vec<String> {
    let text = server.client().run("INFO default");
    let names = text.trim_matches('"').split("\\r\\n").filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
#[ignore = "needs redis-server"]
fn info_lacks_what_the_documentation_names() {
    const LACKING: [&str; 12] = [
        "atomicvar_api",
        "gcc_version",
        "allocator_allocated",
        "allocator_active",
        "allocator_resident",
        "allocator_frag_ratio",
        "allocator_frag_bytes",
        "allocator_rss_ratio",
        "allocator_rss_bytes",
        "rss_overhead_ratio",
        "rss_overhead_bytes",
        "expired_stale_perc",
    ];
    for mode in ["no", "yes"] {
        let ours =
            TestServer::start(&["--cluster-enabled", mode, "--cluster-port", &free_port().to_string()]);
        let theirs =
            TestServer::start_redis(&["--cluster-enabled", mode, "--cluster-port", &free_port().to_string()]);
        let ours = info_fields(&ours);
        let mut lacking = info_fields(&theirs);
        lacking.retain(|name| !ours.contains(name));
        assert_eq!(lacking, LACKING, "cluster-enabled {mode}");
    }
}

#[test]
fn info_counts_the_time_above_the_limit() {
    let server = TestServer::start(&["--hz", "100"]);
    let mut c = server.client();
    let started = info(&mut c, "rdb_last_save_time");
    assert!(started.abs_diff(info(&mut c, "server_time_usec") / 1_000_000) < 60);
    assert!(info(&mut c, "lru_clock").abs_diff(started & 0xff_ffff) < 60);
    check(&mut c, &[("SET k v", "+OK"), ("CONFIG SET maxmemory 1", "+OK")]);
    assert!(c.run("SET l w").starts_with("-OOM"));
    wait_for("time passes", || info(&mut c, "current_eviction_exceeded_time") > 5);
    assert!(info(&mut c, "total_eviction_exceeded_time") > 5);
    check(&mut c, &[("CONFIG SET maxmemory 1gb", "+OK"), ("SET l w", "+OK")]);
    assert_eq!(info(&mut c, "current_eviction_exceeded_time"), 0);
    assert!(info(&mut c, "total_eviction_exceeded_time") > 5);
    (0..20_000).for_each(|i| c.send(&[b"SET", format!("k{i}").as_bytes(), b"v", b"PX", b"1"]));
    (0..20_000).for_each(|_| assert_eq!(c.reply(), "+OK"));
    wait_for("expiring took time", || info(&mut c, "expire_cycle_cpu_milliseconds") > 0);
    // A socket of this process: not one of the first three, and another one for each client.
    let mut other = server.client();
    let fds = [&mut c, &mut other].map(|c| {
        let line = c.run("CLIENT INFO");
        let (_, rest) = line.split_once(" fd=").expect("a number");
        rest.split(' ').next().and_then(|n| n.parse::<i32>().ok()).expect("a number")
    });
    assert!(fds[0] > 2 && fds[1] > 2 && fds[0] != fds[1], "{fds:?}");
}

/// Commands that the options of this test renamed, asked for by all names.
const RENAMED: &str = "
    COMMAND INFO fetch get keys cfg|get config|get
    COMMAND GETKEYS fetch a
    COMMAND GETKEYS get a
    COMMAND GETKEYSANDFLAGS get a
    COMMAND DOCS get keys config|get
    COMMAND LIST FILTERBY pattern keys
    COMMAND LIST FILTERBY pattern fetch
    COMMAND LIST FILTERBY pattern get
    COMMAND LIST FILTERBY pattern config|get
    fetch
    cfg foo
    cfg get
    Pubs foo
    Pubs CHANNELS a b
    Slow GET 1 2
    Dbg foo
    config foo
    cfg RESETSTAT
    LATENCY HISTOGRAM config|get config get fetch
";

fn renamed_commands_answer_by_their_new_names(server: &TestServer) -> Vec<String> {
    let mut c = server.client();
    let mut replies: Vec<String> =
        RENAMED.lines().map(str::trim).filter(|l| !l.is_empty()).map(|line| c.run(line)).collect();
    // What else stands in these replies is not the same here and there.
    let docs = c.run("COMMAND DOCS fetch");
    replies.push(docs.split(',').next().unwrap_or_default().to_owned());
    let help = c.run("cfg HELP");
    replies.push(help.split(',').next().unwrap_or_default().to_owned());
    replies.push(c.run("LATENCY HISTOGRAM cfg").contains("\"config|resetstat\"").to_string());
    replies.push(c.run("COMMAND").contains("\"keys\"").to_string());
    replies
}

const RENAMES: [&str; 20] = [
    "--enable-debug-command",
    "yes",
    "--rename-command",
    "get",
    "fetch",
    "--rename-command",
    "config",
    "cfg",
    "--rename-command",
    "keys",
    "",
    "--rename-command",
    "pubsub",
    "pubs",
    "--rename-command",
    "slowlog",
    "slow",
    "--rename-command",
    "debug",
    "dbg",
];

#[test]
fn renamed_commands_are_described_by_their_new_names() {
    let server = TestServer::start(&RENAMES);
    let replies = renamed_commands_answer_by_their_new_names(&server);
    assert!(replies.iter().any(|r| r == "-ERR unknown subcommand 'foo'. Try CFG HELP."), "{replies:?}");
    assert!(
        replies[0].starts_with("[[\"get\", :2,")
            && replies[0].contains("], (nil), (nil), [\"config|get\", :-3,")
    );
    let all = TestServer::start(&[]).client().run("COMMAND COUNT")[1..].parse::<u32>().expect("a number");
    assert_eq!(server.client().run("COMMAND COUNT"), format!(":{}", all - 1));
}

#[test]
#[ignore = "needs redis-server"]
fn renamed_commands_are_described_as_redis_does() {
    let (ours, theirs) = (TestServer::start(&RENAMES), TestServer::start_redis(&RENAMES));
    let (ours, theirs) = (
        renamed_commands_answer_by_their_new_names(&ours),
        renamed_commands_answer_by_their_new_names(&theirs),
    );
    assert_eq!(ours, theirs);
}

#[test]
fn what_would_be_longer_than_a_string_may_be_is_refused() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    for line in
        ["SETRANGE k 536870911 xx", "SETBIT k 4294967296 1", "BITFIELD k SET u8 #536870912 1", "LCS k"]
    {
        assert!(c.run(line).starts_with("-ERR"), "{line}");
    }
    assert_eq!(c.run("EXISTS k"), ":0");
}

#[test]
fn commands_of_a_client_that_does_not_touch_are_no_use_of_keys() {
    let server = TestServer::start(&[]);
    let mut c = server.client();
    c.run("SET k v");
    c.send(&[b"DUMP", b"k"]);
    let payload = c.bulk().expect("a payload");
    let restored = c.run_args(&[b"RESTORE", b"k", b"0", &payload, b"REPLACE", b"IDLETIME", b"500"]);
    assert_eq!(restored, "+OK");
    let idle = |c: &mut TestClient| -> i64 { c.run("OBJECT IDLETIME k")[1..].parse().expect("seconds") };
    check(&mut c, &[("CLIENT NO-TOUCH on", "+OK"), ("GET k", "\"v\"")]);
    assert!(idle(&mut c) >= 500);
    check(&mut c, &[("MULTI", "+OK"), ("GET k", "+QUEUED"), ("EXEC", "[\"v\"]")]);
    assert!(idle(&mut c) >= 500);
    assert!(c.run("CLIENT INFO").contains(" flags=T "));
    check(&mut c, &[("MULTI", "+OK"), ("GET k", "+QUEUED"), ("TOUCH k", "+QUEUED"), ("EXEC", "[\"v\", :1]")]);
    assert!(idle(&mut c) < 500, "but TOUCH does what it is for");
    c.run_args(&[b"RESTORE", b"k", b"0", &payload, b"REPLACE", b"IDLETIME", b"500"]);
    check(&mut c, &[("CLIENT NO-TOUCH off", "+OK"), ("GET k", "\"v\"")]);
    assert!(idle(&mut c) < 500);
}
