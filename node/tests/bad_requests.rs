//! Clients that send what no client should, stop halfway, or never read: each gets a clear error or is let go, memory stays
//! bounded, and others are served.

mod support;

use std::io::Read;

use support::{TestClient, TestServer, info, wait_for};

const MB: usize = 1 << 20;

#[test]
fn a_length_is_refused_or_reserves_nothing() {
    let server = TestServer::start(&[]);
    let mut other = server.client();
    let before = info(&mut other, "used_memory");
    for (request, error) in [
        ("*2\r\n$3\r\nGET\r\n$536870913\r\n", "invalid bulk length"),
        ("*2\r\n$3\r\nGET\r\n$-1\r\n", "invalid bulk length"),
        ("*2\r\n$3\r\nGET\r\n$-9223372036854775808\r\n", "invalid bulk length"),
        ("*2\r\n$3\r\nGET\r\n$9223372036854775808\r\n", "invalid bulk length"),
        ("*2\r\n$3\r\nGET\r\n$1x\r\n", "invalid bulk length"),
        ("*2\r\n$3\r\nGET\r\n$ 1\r\n", "invalid bulk length"),
        ("*2\r\n$3\r\nGET\r\n$\r\n", "invalid bulk length"),
        ("*2147483648\r\n", "invalid multibulk length"),
        ("*9223372036854775808\r\n", "invalid multibulk length"),
        ("*1x\r\n", "invalid multibulk length"),
        ("*2\r\n*1\r\n", "expected '$', got '*'"),
    ] {
        let mut client = server.client();
        client.send_raw(request.as_bytes());
        assert_eq!(client.reply(), format!("-ERR Protocol error: {error}"), "{request:?}");
        assert!(client.is_closed(), "{request:?}");
    }
    // The largest that are allowed, of which nothing comes.
    let mut held: Vec<TestClient> = Vec::new();
    for request in
        ["*2\r\n$3\r\nGET\r\n$536870912\r\n", "*2147483647\r\n", "*2147483647\r\n$536870912\r\nabc"]
    {
        let mut client = server.client();
        client.send_raw(request.as_bytes());
        held.push(client);
    }
    wait_for("all have been read", || other.run("CLIENT LIST").matches(" qbuf=0 ").count() == 0);
    let after = info(&mut other, "used_memory");
    assert!(after < before + MB, "{before} bytes became {after}");
    for line in ["GET", "SET k v EX 9223372036854775807", "INCRBY k 9223372036854775808", "SETRANGE k -1 x"] {
        assert!(other.run(line).starts_with("-ERR"), "{line}");
    }
}

#[test]
fn halves_of_requests_take_little_and_are_let_go_in_time() {
    const CLIENTS: usize = 300;
    let server = TestServer::start(&[]);
    let mut other = server.client();
    let before = info(&mut other, "used_memory");
    let halves =
        ["*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\nabc", "*1000000\r\n", "set k 'not close", "*", "*1\r\n$"];
    let mut silent: Vec<TestClient> = (0..CLIENTS).map(|_| server.client()).collect();
    for (client, half) in silent.iter_mut().zip(halves.iter().cycle()) {
        client.send_raw(half.as_bytes());
        assert_eq!(other.run("PING"), "+PONG");
    }
    wait_for("all have been read", || other.run("CLIENT LIST").matches(" qbuf=0 ").count() == 0);
    let each = (info(&mut other, "used_memory") - before) / CLIENTS;
    assert!(each < 8192, "{each} bytes for each");
    // Whoever speaks stays.
    assert_eq!(other.run("CONFIG SET timeout 1"), "+OK");
    wait_for("they are closed", || info(&mut other, "connected_clients") == 1);
    assert!(silent.iter_mut().all(TestClient::is_closed));
    assert_eq!(other.run("EXISTS k"), ":0", "no half was run");
}

#[test]
fn a_rest_that_comes_after_all_is_read() {
    let server = TestServer::start(&[]);
    let mut other = server.client();
    let mut slow = server.client();
    let value = "v".repeat(3_000_000);
    let request = format!(
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n{value}\r\n*2\r\n$6\r\nSTRLEN\r\n$1\r\nk\r\n",
        value.len()
    );
    let mut sent = 0;
    // Pieces of every size, each read before the next is sent.
    for size in (0..).map(|n| 1 << n) {
        let end = request.len().min(sent + size);
        slow.send_raw(&request.as_bytes()[sent..end]);
        sent = end;
        if sent == request.len() {
            break;
        }
        wait_for("it was read", || other.run("CLIENT LIST").contains(&format!(" qbuf={sent} ")));
    }
    assert_eq!((slow.reply(), slow.reply()), ("+OK".into(), ":3000000".into()));
}

#[test]
fn a_large_request_leaves_no_large_buffer_to_the_next_one() {
    let server = TestServer::start(&[]);
    let (mut other, mut slow) = (server.client(), server.client());
    let before = info(&mut other, "used_memory");
    let value = "v".repeat(20 * MB);
    slow.send_raw(format!("*2\r\n$4\r\nECHO\r\n${}\r\n{value}\r\n*1\r\n$4\r\nPI", value.len()).as_bytes());
    assert!(slow.reply().len() > value.len());
    wait_for("it is given back", || info(&mut other, "used_memory") < before + MB);
    slow.send_raw(b"NG\r\n");
    assert_eq!(slow.reply(), "+PONG");
}

#[test]
fn a_client_that_never_reads_is_closed_before_its_reply_is_made() {
    let limit = "normal 2mb 0 0 pubsub 1mb 0 0";
    let mut server = TestServer::start(&["--client-output-buffer-limit", limit]);
    let mut other = server.client();
    assert_eq!(other.run_args(&[b"SET", b"big", &vec![b'x'; MB]]), "+OK");
    let gets = "MGET".to_owned() + &" big".repeat(5_000);
    let transaction = format!("MULTI\r\n{}EXEC\r\n", "GET big\r\n".repeat(5_000));
    let pipeline = "GET big\r\n".repeat(5_000);
    for (n, text) in [gets + "\r\n", transaction, pipeline].iter().enumerate() {
        let mut deaf = server.client();
        deaf.send_raw(text.as_bytes());
        server.wait_for("overcoming of output buffer limits");
        wait_for("it is gone", || info(&mut other, "connected_clients") == 1);
        assert_eq!(info(&mut other, "client_output_buffer_limit_disconnections"), n + 1);
        drop(deaf);
    }
    // What was asked for is 5 GB each time.
    let peak = info(&mut other, "used_memory_peak");
    assert!(peak < 40 * MB, "{peak} bytes");
    let largest = info(&mut other, "client_recent_max_output_buffer");
    assert!(largest < 6 * MB, "{largest} bytes");
}

#[test]
fn a_client_that_reads_too_slowly_is_closed_after_a_while() {
    let server = TestServer::start(&["--client-output-buffer-limit", "normal 0 100kb 1"]);
    let mut other = server.client();
    assert_eq!(other.run_args(&[b"SET", b"big", &vec![b'x'; MB]]), "+OK");
    let mut deaf = server.client();
    deaf.send_raw("GET big\r\n".repeat(1_000).as_bytes());
    wait_for("it is closed", || info(&mut other, "client_output_buffer_limit_disconnections") == 1);
    assert_eq!(info(&mut other, "connected_clients"), 1);
}

#[test]
fn one_that_monitors_and_never_reads_is_closed() {
    let server = TestServer::start(&["--client-output-buffer-limit", "pubsub 1mb 0 0"]);
    let mut other = server.client();
    let mut deaf = server.client();
    assert_eq!(deaf.run("MONITOR"), "+OK");
    let word = "x".repeat(100_000);
    wait_for("it is closed", || {
        assert_eq!(other.run(&format!("ECHO {word}")), format!("\"{word}\""));
        info(&mut other, "connected_clients") == 1
    });
    assert_eq!(info(&mut other, "client_output_buffer_limit_disconnections"), 1);
}

#[test]
fn a_payload_that_unfolds_beyond_the_memory_is_refused() {
    let server = TestServer::start(&["--maxmemory", "40mb", "--list-compress-depth", "0"]);
    let mut client = server.client();
    // A list of 60,000 equal elements is dumped in few bytes; two hundred times its nodes are no list that fits.
    let elements: Vec<&[u8]> = std::iter::repeat_n(&b"1"[..], 60_000).collect();
    assert_eq!(client.run_args(&[&[&b"RPUSH"[..], b"k"], &elements[..]].concat()), ":60000");
    client.send(&[b"DUMP", b"k"]);
    let payload = client.bulk().expect("a payload");
    assert!(payload.len() < 4_000, "{}", payload.len());
    assert_eq!(client.run_args(&[b"RESTORE", b"same", b"0", &payload]), "+OK");
    assert_eq!(client.run("LLEN same"), ":60000");
    assert_eq!(client.run("FLUSHALL"), "+OK");
    let body = &payload[..payload.len() - 10];
    assert!(body[1] < 64, "{} nodes", body[1]);
    let nodes = u32::from(body[1]) * 200;
    let mut many = [&body[..1], &[0x80], &nodes.to_be_bytes()].concat();
    (0..200).for_each(|_| many.extend_from_slice(&body[2..]));
    many.extend_from_slice(&payload[payload.len() - 10..payload.len() - 8]);
    let crc = slotproof_node::dump::crc64(0, &many);
    many.extend_from_slice(&crc.to_le_bytes());
    assert_eq!(client.run_args(&[b"RESTORE", b"k", b"0", &many]), "-ERR Bad data format");
    assert!(info(&mut client, "used_memory_peak") < 90 * MB);
    assert_eq!(client.run("DBSIZE"), ":0");
}

#[test]
fn a_page_in_a_browser_cannot_talk_to_the_server() {
    let server = TestServer::start(&[]);
    for request in
        ["POST / HTTP/1.1\r\nHost: x\r\n\r\nSET k v\r\n", "GET / HTTP/1.1\r\nhost: x\r\n\r\nSET k v\r\n"]
    {
        let mut client = server.client();
        client.send_raw(request.as_bytes());
        assert!(client.is_closed(), "{request}");
    }
    assert_eq!(server.client().run("EXISTS k"), ":0");
}

#[test]
fn names_that_are_no_text_are_shown_as_they_were_sent() {
    let server = TestServer::start(&[]);
    for (request, reply) in [
        (
            &b"\xff\xfe \xc3\r\n"[..],
            &b"-ERR unknown command '\xff\xfe', with args beginning with: '\xc3' \r\n"[..],
        ),
        (b"CONFIG \xff\r\n", b"-ERR unknown subcommand '\xff'. Try CONFIG HELP.\r\n"),
    ] {
        let mut client = server.client();
        client.send_raw(request);
        let mut got = vec![0; reply.len()];
        client.stream.read_exact(&mut got).expect("a reply");
        assert_eq!(got, reply, "{}", String::from_utf8_lossy(&got));
    }
}
