//! MIGRATE between real processes.

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;

use support::{TestServer, free_port};

fn keys_go_over(source: &TestServer, target: &TestServer) {
    let (mut s, mut t) = (source.client(), target.client());
    let port = target.port.to_string();
    for i in 0..100 {
        s.run(&format!("SET k{i} {}", "value".repeat(i)));
    }
    s.run("EXPIRE k1 1000");
    s.run("SET n 12345");
    let migrate = |args: &str| format!("MIGRATE 127.0.0.1 {port} {args}");
    assert_eq!(s.run(&migrate("missing 0 1000")), "+NOKEY");
    assert_eq!(s.run(&migrate("n 0 1000 COPY")), "+OK");
    assert_eq!((s.run("EXISTS n"), t.run("GET n")), (":1".into(), "\"12345\"".into()));
    let busy = s.run(&migrate("n 0 1000"));
    assert_eq!(busy, "-ERR Target instance replied with error: BUSYKEY Target key name already exists.");
    assert_eq!(s.run("EXISTS n"), ":1");
    assert_eq!(s.run(&migrate("n 0 1000 REPLACE")), "+OK");
    assert_eq!(s.run("EXISTS n"), ":0");
    let keys: Vec<String> = (0..100).map(|i| format!("k{i}")).collect();
    let mut args: Vec<&[u8]> =
        vec![b"MIGRATE", b"127.0.0.1", port.as_bytes(), b"", b"0", b"5000", b"KEYS", b"missing"];
    args.extend(keys.iter().map(|k| k.as_bytes()));
    assert_eq!(s.run_args(&args), "+OK");
    assert_eq!((s.run("DBSIZE"), t.run("DBSIZE")), (":0".into(), ":101".into()));
    for (i, key) in keys.iter().enumerate() {
        assert_eq!(t.run(&format!("GET {key}")), format!("{:?}", "value".repeat(i)));
    }
    let ttl: i64 = t.run("TTL k1")[1..].parse().expect("a number");
    assert!((990..=1000).contains(&ttl));
    // Another database, on the kept connection.
    s.run("SET other 1");
    assert_eq!(s.run(&migrate("other 3 1000")), "+OK");
    assert_eq!((t.run("SELECT 3"), t.run("GET other")), ("+OK".into(), "\"1\"".into()));
    s.run("SET back 1");
    assert_eq!(s.run(&migrate("back 0 1000")), "+OK");
    assert_eq!((t.run("SELECT 0"), t.run("GET back")), ("+OK".into(), "\"1\"".into()));
}

#[test]
fn between_two_of_our_own() {
    keys_go_over(&TestServer::start(&[]), &TestServer::start(&[]));
}

#[test]
#[ignore = "needs redis-server"]
fn to_and_from_redis() {
    keys_go_over(&TestServer::start(&[]), &TestServer::start_redis(&[]));
    keys_go_over(&TestServer::start_redis(&[]), &TestServer::start(&[]));
}

#[test]
fn passwords() {
    let (source, target) = (TestServer::start(&[]), TestServer::start(&["--requirepass", "secret"]));
    let mut s = source.client();
    s.run("SET k v");
    let migrate = |auth: &str| format!("MIGRATE 127.0.0.1 {} k 0 1000{auth}", target.port);
    assert!(s.run(&migrate("")).contains("NOAUTH"));
    assert!(s.run(&migrate(" AUTH wrong")).contains("WRONGPASS"));
    assert_eq!(s.run("EXISTS k"), ":1");
    assert_eq!(s.run(&migrate(" AUTH2 default secret")), "+OK");
    s.run("SET k v");
    assert_eq!(s.run(&migrate(" AUTH secret REPLACE")), "+OK");
    assert_eq!(s.run("EXISTS k"), ":0");
}

#[test]
fn targets_that_fail() {
    let source = TestServer::start(&[]);
    let mut s = source.client();
    s.run("SET k v");
    let migrate = |port: u16| format!("MIGRATE 127.0.0.1 {port} k 0 100");
    assert_eq!(s.run(&migrate(free_port())), "-IOERR error or timeout connecting to the client");

    // One that accepts and says nothing: the time is up, and there is no second try.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    assert_eq!(s.run(&migrate(port)), "-IOERR error or timeout reading to target instance");
    assert!(silent.accept().is_ok());
    silent.set_nonblocking(true).expect("set");
    assert!(silent.accept().is_err(), "one attempt only");

    // One that hangs up is tried once more; then it answers.
    let target = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = target.local_addr().expect("an address").port();
    let server = std::thread::spawn(move || {
        drop(target.accept().expect("the first attempt"));
        let (mut second, _) = target.accept().expect("the second attempt");
        let mut buf = [0; 4096];
        assert!(second.read(&mut buf).expect("requests") > 0);
        second.write_all(b"+OK\r\n+OK\r\n").expect("replies");
        second
    });
    assert_eq!(s.run(&format!("MIGRATE 127.0.0.1 {port} k 0 5000")), "+OK");
    assert_eq!(s.run("EXISTS k"), ":0");
    drop(server.join());
}

#[test]
fn a_target_that_is_no_redis_gets_no_key() {
    let source = TestServer::start(&[]);
    let mut s = source.client();
    assert_eq!(s.run("MSET k v l w"), "+OK");
    // Behind the first lines comes what would be success, for each of the requests that may be sent first.
    let long = format!("{}\r\n+OK\r\n+OK\r\n", "x".repeat(5000));
    let told = "x".repeat(512);
    let cases = [
        ("HTTP/1.0 400 Bad\r\n\r\n+OK\r\n+OK\r\n", "HTTP/1.0 400 Bad"),
        ("\r\n+OK\r\n+OK\r\n", ""),
        (":1\r\n+OK\r\n+OK\r\n", ":1"),
        ("+OK\r\nOK\r\n+OK\r\n+OK\r\n", "OK"),
        ("+OK\r\n+OK\r\n$2\r\n+OK\r\n", "$2"),
        (&long, &told),
    ];
    for (answer, text) in cases {
        let target = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = target.local_addr().expect("an address").port().to_string();
        let answer = answer.to_owned();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = target.accept().expect("a connection");
            let mut requests = [0; 4096];
            assert!(stream.read(&mut requests).expect("requests") > 0);
            stream.write_all(answer.as_bytes()).expect("the answer");
            // It is not kept for the next time.
            while stream.read(&mut requests).is_ok_and(|n| n > 0) {}
        });
        let reply = s.run_args(&[
            b"MIGRATE",
            b"127.0.0.1",
            port.as_bytes(),
            b"",
            b"1",
            b"5000",
            b"AUTH",
            b"p",
            b"KEYS",
            b"k",
            b"l",
        ]);
        assert_eq!(reply, format!("-ERR Target instance replied with error: {text}"));
        assert_eq!(s.run("MGET k l"), "[\"v\", \"w\"]", "{text}");
        thread.join().expect("the connection ends");
    }
}

#[test]
fn a_target_that_answers_byte_by_byte_is_given_up_in_time() {
    let source = TestServer::start(&[]);
    let mut client = source.client();
    assert_eq!(client.run("SET k v"), "+OK");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    // It says something more often than the timeout, and never ends its line.
    let target = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(std::time::Duration::from_millis(20))).expect("a timeout");
        // Requests come, then nothing but the time between two bytes, then the end.
        let mut requests = [0; 4096];
        while stream
            .read(&mut requests)
            .map_or_else(|e| e.kind() == std::io::ErrorKind::WouldBlock, |n| n > 0)
        {
            if stream.write_all(b"+").is_err() {
                break;
            }
        }
    });
    let reply = client.run(&format!("MIGRATE 127.0.0.1 {port} k 0 300"));
    assert_eq!(reply, "-IOERR error or timeout reading to target instance");
    assert_eq!(client.run("GET k"), "\"v\"");
    target.join().expect("it ends with the connection");
}
