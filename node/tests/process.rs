//! The process: how it starts and how it ends.

mod support;

use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};

use support::{TestServer, free_port};

fn node(args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_slotproof-node"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("its input").write_all(stdin.as_bytes()).expect("written");
    child.wait_with_output().expect("it ends")
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(status.is_ok_and(|s| s.success()));
}

#[test]
fn version_and_help() {
    let version = node(&["--version"], "");
    assert!(version.status.success() && String::from_utf8_lossy(&version.stdout).contains(" v=7.0.15"));
    let help = node(&["--help"], "");
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).starts_with("Usage:"));
}

#[test]
fn mistakes_end_it_with_status_1() {
    let cases: [(&[&str], &str, &str); 6] = [
        (&["-"], "port 7000\nfoo bar\n", "at line 2"),
        (&["-"], "port 7000\nrename-command FOO BAR\n", "at line 2"),
        (&["--foo", "1"], "", "'foo \"1\"'"),
        (&["/nonexistent.conf"], "", "/nonexistent.conf"),
        (&["--dir", "/nonexistent"], "", "/nonexistent"),
        (&["--port", "70000"], "", "between 0 and 65535"),
    ];
    for (args, stdin, text) in cases {
        let output = node(args, stdin);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(text), "{output:?}");
    }
}

#[test]
fn a_port_that_is_taken() {
    let server = TestServer::start(&[]);
    let output = node(&["--port", &server.port.to_string()], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Could not create server TCP listening socket"));
}

#[test]
fn signals_and_shutdown_end_it_with_status_0() {
    for how in ["TERM", "INT", "SHUTDOWN"] {
        let mut server = TestServer::start(&["--pidfile", "node.pid"]);
        let pidfile = server.dir.path().join("node.pid");
        let pid = std::fs::read_to_string(&pidfile).expect("a pid file");
        assert_eq!(pid.trim(), server.child.id().to_string());
        let mut client = server.client();
        assert_eq!(client.run("PING"), "+PONG");
        match how {
            "SHUTDOWN" => client.send_raw(b"SHUTDOWN NOSAVE\r\n"),
            name => signal(server.child.id(), name),
        }
        let status = server.child.wait().expect("it ends");
        assert!(status.success(), "{how}: {status}");
        assert!(client.is_closed() && !pidfile.exists());
    }
}

#[test]
fn the_supervisor_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let mut child = Command::new(env!("CARGO_BIN_EXE_slotproof-node"))
        .args(["--port", &free_port().to_string(), "--supervised", "systemd"])
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut buf = [0; 256];
    let n = socket.recv(&mut buf).expect("a message");
    assert!(String::from_utf8_lossy(&buf[..n]).contains("READY=1"));
    signal(child.id(), "TERM");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn in_the_background() {
    let dir = tempfile::tempdir().expect("a directory");
    let (port, dir) = (free_port(), dir.path());
    let config = format!(
        "port {port}\ndaemonize yes\nsupervised auto\npidfile {0}/pid\nlogfile {0}/log\ndir {0}\nrequirepass 'a b'\n",
        dir.display()
    );
    let path = dir.join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let mut parent = Command::new(env!("CARGO_BIN_EXE_slotproof-node"))
        .arg("-")
        .env("NOTIFY_SOCKET", &path)
        .stdin(Stdio::piped())
        .spawn()
        .expect("it starts");
    parent.stdin.take().expect("its input").write_all(config.as_bytes()).expect("written");
    assert!(parent.wait().expect("the parent ends").success());
    socket.recv(&mut [0; 256]).expect("the background is ready");
    let mut client = support::TestClient::connect(port);
    let pid = std::fs::read_to_string(dir.join("pid")).expect("a pid file");
    assert_ne!(pid.trim(), parent.id().to_string());
    assert_eq!(client.run_args(&[b"AUTH", b"a b"]), "+OK");
    client.send_raw(b"SHUTDOWN\r\n");
    assert!(client.is_closed());
    let log = std::fs::read_to_string(dir.join("log")).expect("a log");
    assert!(log.contains("Ready to accept connections"), "{log}");
}

/// Logs in with three passwords under files that name them; what is answered, and what CONFIG REWRITE makes of it.
fn logins(program: &str, lines: &str) -> Vec<String> {
    let port = free_port();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("redis.conf");
    let home = dir.path().display();
    std::fs::write(&path, format!("port {port}\nsave \"\"\ndir {home}\n{lines}\n")).expect("written");
    let start = || {
        let mut command = Command::new(program);
        command.arg(&path);
        TestServer::spawn(command, port)
    };
    let mut replies = Vec::new();
    let all = |server: &TestServer, replies: &mut Vec<String>| {
        for line in
            ["PING", "AUTH pw1", "AUTH pw2", "AUTH default pw1", "AUTH bob pw1", "HELLO 2 AUTH default x"]
        {
            let reply = server.client().run(line);
            replies.push(if reply.starts_with('[') { "hello".into() } else { reply });
        }
    };
    {
        let server = start();
        all(&server, &mut replies);
        let mut c = server.client();
        for line in ["AUTH pw1", "CONFIG GET requirepass", "CONFIG REWRITE"] {
            replies.push(c.run(line));
        }
    }
    {
        let server = start();
        all(&server, &mut replies);
        let mut c = server.client();
        for line in ["AUTH pw1", "CONFIG SET requirepass pw2", "CONFIG REWRITE"] {
            replies.push(c.run(line));
        }
        all(&server, &mut replies);
    }
    all(&start(), &mut replies);
    replies
}

/// SHA-256 of `pw1`.
const HASH: &str = "#c592df4a86933b92addc9842402ddf198c638ea9be58916ee6e3734e1e3152f8";

#[test]
fn the_user_of_a_file_that_redis_wrote() {
    let ours = env!("CARGO_BIN_EXE_slotproof-node");
    let replies =
        logins(ours, &format!("user default on sanitize-payload {HASH} ~* &* +@all\nrequirepass x"));
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
    let one = ["-NOAUTH Authentication required.", "+OK", wrong, "+OK", wrong, wrong];
    let two = ["-NOAUTH Authentication required.", wrong, "+OK", wrong, wrong, wrong];
    assert_eq!(replies[..6], one, "the user counts, not requirepass");
    assert_eq!(replies[6..9], ["+OK", "[\"requirepass\", \"x\"]", "+OK"]);
    assert_eq!(replies[9..15], one, "the file that was rewritten says the same");
    assert_eq!(replies[18..24], two);
    assert_eq!(replies[24..], two);
}

#[test]
#[ignore = "needs redis-server"]
fn users_of_files_are_those_of_redis() {
    let ours = env!("CARGO_BIN_EXE_slotproof-node");
    for lines in [
        &format!("user default on {HASH} ~* &* +@all"),
        "user default on nopass ~* &* +@all",
        "user default on nopass allkeys allchannels allcommands\nrequirepass pw1",
        "requirepass pw2\nuser default on >pw1 ~* &* +@all",
        "USER default RESET on >pw2 >pw1 ~* resetchannels &* -@all +@all",
        "requirepass pw1",
    ] {
        assert_eq!(logins(ours, lines), logins("redis-server", lines), "{lines}");
    }
}

#[test]
fn every_directive_of_a_stock_file_is_known() {
    // The active lines of Debian's redis.conf for 7.0.
    let stock = include_str!("stock-directives.txt");
    let port = free_port();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("redis.conf");
    std::fs::write(&path, stock).expect("written");
    let path = path.display().to_string();
    let log = dir.path().join("log").display().to_string();
    let home = dir.path().display().to_string();
    let notify = dir.path().join("notify");
    let socket = UnixDatagram::bind(&notify).expect("a socket");
    let mut child = Command::new(env!("CARGO_BIN_EXE_slotproof-node"))
        .args([&path, "--port", &port.to_string(), "--dir", &home, "--logfile", &log, "--daemonize", "no"])
        .args(["--pidfile", &format!("{home}/pid"), "--supervised", "auto"])
        .env("NOTIFY_SOCKET", &notify)
        .spawn()
        .expect("it starts");
    socket.recv(&mut [0; 256]).expect("ready");
    signal(child.id(), "TERM");
    assert!(child.wait().expect("it ends").success());
    let log = std::fs::read_to_string(log).expect("a log");
    assert_eq!(log.matches("'appendfsync' is accepted").count(), 1);
}
