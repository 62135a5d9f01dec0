//! Servers as children, and a client that speaks RESP over a plain socket.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server that ends with the test.
pub struct TestServer {
    pub child: Child,
    pub port: u16,
    pub dir: TempDir,
    pub log: BufReader<ChildStdout>,
}

/// A port that nobody uses now, and that this gave to nobody before.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        if GIVEN.lock().expect("nobody panics with it").insert(port) {
            return port;
        }
    }
}

impl TestServer {
    /// Slotproof with these options, once it serves clients.
    pub fn start(options: &[&str]) -> Self {
        Self::on_free_ports(|| (options.iter().map(ToString::to_string).collect(), ())).0
    }

    /// A cluster node of ours; the port of its bus.
    pub fn start_node(options: &[&str]) -> (Self, u16) {
        Self::on_free_ports(|| {
            let bus = free_port();
            let port = bus.to_string();
            let ours = ["--cluster-enabled", "yes", "--cluster-port", &port];
            (ours.iter().chain(options).map(ToString::to_string).collect(), bus)
        })
    }

    /// Slotproof with options that are made anew for each try: somebody else may take a port between looking and starting.
    fn on_free_ports<T>(mut options: impl FnMut() -> (Vec<String>, T)) -> (Self, T) {
        let mut last = String::new();
        for _ in 0..5 {
            let (port, (options, more)) = (free_port(), options());
            let mut command = Command::new(env!("CARGO_BIN_EXE_slotproof-node"));
            command.args(["--port", &port.to_string()]).args(options);
            match Self::try_spawn(command, port) {
                Ok(server) => return (server, more),
                Err(said) if said.contains("Address already in use") => last = said,
                Err(said) => panic!("{said}"),
            }
        }
        panic!("{last}")
    }

    /// The distribution's redis-server.
    pub fn start_redis(options: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--save", ""]).args(options);
        Self::spawn(command, port)
    }

    pub fn spawn(command: Command, port: u16) -> Self {
        Self::try_spawn(command, port).unwrap_or_else(|said| panic!("{said}"))
    }

    fn try_spawn(mut command: Command, port: u16) -> Result<Self, String> {
        let dir = TempDir::new().expect("a directory");
        let mut child =
            command.current_dir(dir.path()).stdout(Stdio::piped()).spawn().expect("the server starts");
        let log = BufReader::new(child.stdout.take().expect("its output"));
        let mut server = Self { child, port, dir, log };
        server.read_to("Ready to accept connections")?;
        Ok(server)
    }

    /// Reads the log up to a line that contains `text`.
    pub fn wait_for(&mut self, text: &str) -> String {
        self.read_to(text).unwrap_or_else(|said| panic!("{said}"))
    }

    fn read_to(&mut self, text: &str) -> Result<String, String> {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            let n = self.log.read_line(&mut line).expect("the log");
            if n == 0 {
                return Err(format!("the server ended without saying {text:?}; it said\n{seen}"));
            }
            if line.contains(text) {
                return Ok(line);
            }
            seen.push_str(&line);
        }
    }

    pub fn client(&self) -> TestClient {
        TestClient::connect(self.port)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A sequence of numbers that its seed makes (splitmix64), the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % n as u64) as usize
    }

    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// In so many of a hundred cases.
    pub fn percent(&mut self, n: usize) -> bool {
        self.below(100) < n
    }
}

/// Asks again and again, until it is so.
pub fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !happened() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// A field of a reply made of `name:value` lines; of several values the first. Empty if there is none.
pub fn field(client: &mut TestClient, command: &str, name: &str) -> String {
    let text = client.run(command);
    let at = text.split_once(&format!("\\n{name}:")).or_else(|| text.split_once(&format!("\"{name}:")));
    let value = at.map_or("", |(_, rest)| rest);
    value.split(['\\', ',', '"']).next().unwrap_or_default().to_owned()
}

/// A number of INFO.
pub fn info(client: &mut TestClient, name: &str) -> usize {
    field(client, "INFO everything", name).parse().unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// A reply by its structure: the entries of maps and sets have no order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Text(String),
    List(Vec<Self>),
    Set(BTreeSet<Self>),
    Map(BTreeMap<String, Self>),
}

/// A client of a server.
pub struct TestClient {
    pub stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl TestClient {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let reader = BufReader::new(stream.try_clone().expect("a second handle"));
        Self { stream, reader }
    }

    /// Sends words as they are between blanks and gives the reply.
    pub fn run(&mut self, line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.send(&words);
        self.reply()
    }

    /// Sends a request of these arguments and gives the reply.
    pub fn run_args(&mut self, args: &[&[u8]]) -> String {
        self.send(args);
        self.reply()
    }

    pub fn send(&mut self, args: &[&[u8]]) {
        let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            bytes.extend(format!("${}\r\n", arg.len()).bytes());
            bytes.extend_from_slice(arg);
            bytes.extend(b"\r\n");
        }
        self.send_raw(&bytes);
    }

    pub fn send_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sent");
    }

    fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).expect("a line");
        assert!(line.ends_with(b"\r\n"), "the connection ended after {:?}", String::from_utf8_lossy(&line));
        line.truncate(line.len() - 2);
        line
    }

    /// A bulk string as it is.
    pub fn bulk(&mut self) -> Option<Vec<u8>> {
        let head = self.line();
        assert_eq!(head[0], b'$', "{:?}", String::from_utf8_lossy(&head));
        let len: i64 = String::from_utf8_lossy(&head[1..]).parse().expect("a length");
        let mut bytes = vec![0; usize::try_from(len).ok()? + 2];
        self.reader.read_exact(&mut bytes).expect("a bulk string");
        bytes.truncate(bytes.len() - 2);
        Some(bytes)
    }

    /// A reply in words: `+`, `-`, `:` lines as they are, `"text"`, `(nil)`, `[a, b]`, `{k: v}`.
    pub fn reply(&mut self) -> String {
        let head = String::from_utf8_lossy(&self.line()).into_owned();
        let (kind, rest) = head.split_at(1);
        let count = || rest.parse::<i64>().expect("a length");
        match kind {
            "$" | "=" if count() < 0 => "(nil)".into(),
            "$" | "=" => {
                let mut bytes = vec![0; count() as usize + 2];
                self.reader.read_exact(&mut bytes).expect("a bulk string");
                format!("{:?}", String::from_utf8_lossy(&bytes[..bytes.len() - 2]))
            }
            "*" if count() < 0 => "(nil)".into(),
            "*" | "~" | ">" => {
                let items: Vec<String> = (0..count()).map(|_| self.reply()).collect();
                format!("[{}]", items.join(", "))
            }
            "%" => {
                let items: Vec<String> =
                    (0..count()).map(|_| format!("{}: {}", self.reply(), self.reply())).collect();
                format!("{{{}}}", items.join(", "))
            }
            "_" => "(nil)".into(),
            _ => head,
        }
    }

    /// A reply of RESP3 by its structure.
    pub fn value(&mut self) -> Value {
        let head = String::from_utf8_lossy(&self.line()).into_owned();
        let (kind, rest) = head.split_at(1);
        let count: usize = rest.parse().unwrap_or(0);
        match kind {
            "$" => {
                let mut bytes = vec![0; count + 2];
                self.reader.read_exact(&mut bytes).expect("a bulk string");
                Value::Text(String::from_utf8_lossy(&bytes[..count]).into_owned())
            }
            "*" => Value::List((0..count).map(|_| self.value()).collect()),
            "~" => Value::Set((0..count).map(|_| self.value()).collect()),
            "%" => Value::Map((0..count).map(|_| (self.key(), self.value())).collect()),
            "+" => Value::Text(rest.into()),
            _ => Value::Text(head),
        }
    }

    fn key(&mut self) -> String {
        match self.value() {
            Value::Text(text) => text,
            other => panic!("the key of a map: {other:?}"),
        }
    }

    /// Whether the server has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        match self.reader.read(&mut [0; 1]) {
            Ok(n) => n == 0,
            Err(e) => e.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}
