//! Keyspace notifications: what is published is what redis-server publishes.

mod support;

use support::{TestClient, TestServer};

/// Every command that makes an event, one event or more each, with what it needs before.
const SCRIPT: &str = "
    SET s v; SET s v; SET s v EX 100; SET s v KEEPTTL; SET s v NX; SET s v XX GET; GET s; GET none
    SETNX s v; SETNX s2 v; SETEX s3 10 v; PSETEX s3 10000 v; GETSET s v; GETSET s4 v; GETDEL s4; GETDEL s4
    GETEX s; GETEX s EX 10; GETEX s PERSIST; GETEX s PERSIST; GETEX s PXAT 1; GETEX none EX 5; APPEND s v; APPEND s v
    INCR n; DECR n; INCRBY n 5; DECRBY n 5; INCRBYFLOAT n 1.5; SETRANGE s 5 x; SETRANGE r 1 x; SETRANGE r 1 ; STRLEN s; STRLEN none
    MSET a 1 b 2; MSETNX a 1 c 2; MSETNX c 1 d 2; MGET a none; SETBIT bits 7 1; GETBIT bits 7; GETBIT none 1; BITCOUNT none
    BITOP AND to bits none; BITOP OR to none none2; BITOP OR to none none2; BITPOS none 1
    BITFIELD f GET u8 0; BITFIELD f SET u8 0 0; BITFIELD f SET u8 0 0; BITFIELD f SET u8 0 1; BITFIELD f OVERFLOW FAIL INCRBY u2 0 9
    DEL a b none; UNLINK c; EXISTS d none none; TOUCH d none; TYPE none; TTL none; PTTL d; OBJECT ENCODING none; DUMP none; LCS d none
    EXPIRE d 100; EXPIRE d 100 NX; PERSIST d; PERSIST d; PEXPIREAT d 1; EXPIRE d -1; SET d v; EXPIRE d -1; EXPIRE none 1
    SET p v PXAT 1; GET p; SET p v PXAT 1; SET p w; SET p v PXAT 1; DEL p; SET p v PXAT 1; EXISTS p
    SET x v; RENAME x y; RENAME y y; SET x v; RENAME y x; SET y v; RENAMENX x y; RENAMENX x z; COPY z w; COPY z w; COPY z w REPLACE
    COPY none w; COPY z w DB 3; MOVE z 2; SELECT 2; GET z; MOVE z 0; SELECT 0; SWAPDB 0 1; SWAPDB 1 0
    HSET h a 1 b 2; HSET h a 1; HMSET h c 3; HSETNX h a 1; HSETNX h d 1; HINCRBY h n 1; HINCRBYFLOAT h f 1.5; HDEL h none; HDEL h a b c
    HGET none f; HGET h none; HMGET none f; HGETALL none; HLEN none; HEXISTS none f; HDEL h d n f; HDEL h d; HINCRBY h x 1; HRANDFIELD none
    LPUSH l a b; RPUSH l c; LPUSHX l d; RPUSHX none d; LPUSHX none d; LINSERT l BEFORE a x; LINSERT l AFTER none x; LSET l 0 y; LREM l 0 none
    LREM l 0 y; LTRIM l 0 1; LPOP l; LPOP l 0; RPOP l 5; RPOP l; RPUSH l a b c; LMOVE l l2 LEFT RIGHT; RPOPLPUSH l l; RPOPLPUSH l l2
    LMPOP 2 none l2 LEFT COUNT 2; LMPOP 1 none LEFT; LREM l 0 b; LTRIM none 0 1; RPUSH l a a; LREM l 0 a; RPUSH l a; LTRIM l 5 9; LLEN none
    LRANGE none 0 1; LINDEX none 0; LPOS none a; SADD t a b c; SADD t a; SREM t none; SREM t a; SMOVE t t2 b; SMOVE t t2 none; SMOVE t t c
    SMOVE t t2 c; SPOP t2; SPOP t2 5; SPOP none; SPOP none 3; SADD t a b c; SPOP t 0; SRANDMEMBER none; SCARD none; SISMEMBER none a; SREM t a b c
    SADD u a b; SADD v b c; SINTERSTORE r1 u v; SUNIONSTORE r1 u v; SDIFFSTORE r1 u v; SDIFFSTORE r1 u u; SDIFFSTORE r1 u u; SINTER u none
    SUNION none u; SDIFF none; SINTERCARD 2 u none; SMISMEMBER none a; SMEMBERS none; SINTERSTORE r2 none u
    ZADD q 1 a 2 b; ZADD q 1 a; ZADD q XX 5 none; ZADD q INCR 1 a; ZADD q CH 9 a; ZINCRBY q 1 b; ZADD q NX INCR 1 a; ZREM q none; ZREM q a
    ZREM q b; ZADD q 1 a 2 b 3 c 4 d; ZPOPMIN q; ZPOPMAX q; ZPOPMIN q 0; ZMPOP 2 none q MIN; ZMPOP 1 q MAX; ZPOPMIN q; ZADD q 1 a 2 b 3 c
    ZREMRANGEBYRANK q 0 0; ZREMRANGEBYSCORE q 2 2; ZREMRANGEBYLEX q - +; ZREMRANGEBYRANK q 0 0; ZADD q 1 a 2 b; ZADD q2 1 b
    ZUNIONSTORE o 2 q q2; ZINTERSTORE o 2 q q2; ZDIFFSTORE o 2 q q2; ZDIFFSTORE o 2 q q; ZDIFFSTORE o 2 q q; ZRANGESTORE o q 0 -1
    ZRANGESTORE o q 5 9; ZRANGESTORE o q 5 9; ZSCORE none a; ZCARD none; ZRANK none a; ZRANGE none 0 -1; ZCOUNT none 0 1; ZRANDMEMBER none
    ZINTER 2 q none; ZUNION 2 none q; ZDIFF 2 none q; ZINTERCARD 2 q none; ZMSCORE none a; ZUNIONSTORE o 2 none q2
    RPUSH w2 3 1 2; SORT w2 STORE w3; SORT none STORE w3; SORT none STORE w3; SORT none; SORT_RO w2
    RESTORE rs 0 PAYLOAD; RESTORE rs 0 PAYLOAD REPLACE; RESTORE rs 1 PAYLOAD ABSTTL REPLACE; RESTORE rs 1 PAYLOAD ABSTTL; RESTORE rs 5000 PAYLOAD
    MULTI; SET m v; DEL m; EXEC; RANDOMKEY; KEYS none*; FLUSHDB; FLUSHALL
";

/// A value of DUMP: the string `v`.
const PAYLOAD: &[u8] = b"\x00\x01v\x0a\x00";

/// Runs the script; for each command its text, and what was published because of it.
fn events(server: &TestServer) -> Vec<String> {
    let mut client = server.client();
    assert_eq!(client.run("DEBUG SET-ACTIVE-EXPIRE 0"), "+OK");
    let (mut listener, mut publisher) = (server.client(), server.client());
    listener.run("PSUBSCRIBE __key*");
    let crc = slotproof_node::dump::crc64(0, PAYLOAD).to_le_bytes();
    let payload = [PAYLOAD, &crc].concat();
    let lines =
        SCRIPT.lines().flat_map(|line| line.split(';')).map(str::trim_start).filter(|l| !l.is_empty());
    lines
        .map(|line| {
            let words: Vec<&[u8]> = line
                .trim_end_matches(|c: char| c == ' ' && !line.ends_with("1 "))
                .split(' ')
                .map(|w| if w == "PAYLOAD" { &payload } else { w.as_bytes() })
                .collect();
            let reply = client.run_args(&words);
            assert!(!reply.starts_with("-ERR unknown"), "{line}: {reply}");
            format!("{line}: {}", published(&mut listener, &mut publisher))
        })
        .collect()
}

/// What a listener has heard so far.
fn published(listener: &mut TestClient, client: &mut TestClient) -> String {
    client.run("PUBLISH __keyend .");
    let mut heard = Vec::new();
    loop {
        let message = listener.reply();
        if message.contains("__keyend") {
            return heard.join(" ");
        }
        heard.push(
            message.trim_start_matches("[\"pmessage\", \"__key*\", ").trim_end_matches(']').to_string(),
        );
    }
}

#[test]
#[ignore = "needs redis-server 7.0"]
fn events_of_every_command() {
    let options = ["--notify-keyspace-events", "AKEnm", "--enable-debug-command", "yes"];
    let ours = events(&TestServer::start(&options));
    let theirs = events(&TestServer::start_redis(&options));
    let differ: Vec<_> = ours.iter().zip(&theirs).filter(|(a, b)| a != b).collect();
    assert!(differ.is_empty(), "ours and theirs: {differ:#?}");
    assert!(ours.len() > 200, "{}", ours.len());
}

#[test]
fn events_are_local_chosen_by_letters_and_pushed_behind_the_reply() {
    let server = TestServer::start(&["--maxmemory-policy", "allkeys-random"]);
    let (mut client, mut listener) = (server.client(), server.client());
    let refused = "-ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - \
                   Invalid event class character. Use 'Ag$lshzxeKEtmdn'.";
    assert_eq!(client.run("CONFIG SET notify-keyspace-events KEq"), refused);
    assert_eq!(client.run("CONFIG SET notify-keyspace-events xE$g"), "+OK");
    assert_eq!(client.run("CONFIG GET notify-keyspace-events"), "[\"notify-keyspace-events\", \"g$xE\"]");
    listener.run("PSUBSCRIBE __key*");
    client.run("RPUSH l a");
    client.run("SET k v PX 20");
    let heard = |listener: &mut TestClient, n: usize| (0..n).map(|_| listener.reply()).collect::<Vec<_>>();
    // Nobody meets the key again: it is dropped by the cycle.
    let all = heard(&mut listener, 3).join(" ");
    let positions =
        ["__keyevent@0__:set", "__keyevent@0__:expire\"", "__keyevent@0__:expired"].map(|e| all.find(e));
    assert!(positions.is_sorted() && positions[0].is_some(), "{all}");

    assert_eq!(client.run("CONFIG SET notify-keyspace-events Ke"), "+OK");
    let memory = client.run("INFO memory");
    let used: usize = memory
        .split("used_memory:")
        .nth(1)
        .and_then(|rest| rest.split("\\r\\n").next()?.parse().ok())
        .expect("used_memory");
    client.run(&format!("CONFIG SET maxmemory {}", used + 100_000));
    (0..200).for_each(|i| drop(client.run(&format!("SET big:{i} {}", "x".repeat(2000)))));
    let evicted = listener.reply();
    assert!(evicted.contains("\"__keyspace@0__:") && evicted.ends_with("\"evicted\"]"), "{evicted}");
    client.run("CONFIG SET maxmemory 0");

    // Who listens and writes on one connection gets both, one behind the other.
    let mut both = server.client();
    both.run("HELLO 3");
    both.run("CONFIG SET notify-keyspace-events E$");
    assert_eq!(both.run("SUBSCRIBE __keyevent@0__:set"), "[\"subscribe\", \"__keyevent@0__:set\", :1]");
    both.send_raw(b"SET k v\r\n");
    let mut bytes = [0; 54];
    std::io::Read::read_exact(&mut both.stream, &mut bytes).expect("a reply and a push");
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(text, "+OK\r\n>3\r\n$7\r\nmessage\r\n$18\r\n__keyevent@0__:set\r\n$1\r\nk\r\n");
}
