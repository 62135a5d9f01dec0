//! Clusters of real processes on this machine: started on ports that the system chose, in directories of their own, and ended in every case.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::resp::{Connection, Value};
use crate::watchdog::{Leash, Watchdog};

/// How long a fact is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Which program a node runs.
#[derive(Clone, Debug)]
pub enum Program {
    /// Slotproof: the program, and the arguments ahead of the options (`["node"]` for the tool).
    Slotproof(PathBuf, Vec<String>),
    /// The distribution's redis-server.
    Redis,
}

/// A process that ends with its owner.
#[derive(Debug)]
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node.
#[derive(Debug)]
pub struct Node {
    program: Program,
    /// Its client port; the bus is at +10000.
    pub port: u16,
    /// Its directory: nodes.conf, log, trace.
    pub dir: PathBuf,
    extra: Vec<String>,
    leash: Leash,
    process: Option<Process>,
    lives: u32,
}

/// Nodes that know where they are.
#[derive(Debug)]
pub struct Cluster {
    /// In the order in which they were added.
    pub nodes: Vec<Node>,
    /// Should this process be killed, it ends the nodes and removes the directory.
    watchdog: Watchdog,
    dir: tempfile::TempDir,
    options: Vec<String>,
    traced: bool,
}

impl Cluster {
    /// No nodes yet; those to come get these options (`--name value`), and write traces if asked.
    pub fn new(options: &[&str], traced: bool) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("slotproof-").tempdir()?;
        Ok(Self {
            nodes: Vec::new(),
            watchdog: Watchdog::start(Some(dir.path()))?,
            dir,
            options: options.iter().map(ToString::to_string).collect(),
            traced,
        })
    }

    /// `n` nodes of one kind, each alone.
    pub fn start(n: usize, program: &Program, options: &[&str], traced: bool) -> io::Result<Self> {
        let mut cluster = Self::new(options, traced)?;
        for _ in 0..n {
            cluster.add(program)?;
        }
        Ok(cluster)
    }

    /// One more node; its position.
    pub fn add(&mut self, program: &Program) -> io::Result<usize> {
        let mut last = None;
        // Another process may take the ports between looking and starting.
        for _ in 0..20 {
            let port = free_port()?;
            let dir = self.dir.path().join(format!("node-{port}"));
            std::fs::create_dir_all(&dir)?;
            let mut extra = self.options.clone();
            if self.traced && matches!(program, Program::Slotproof(..)) {
                extra.push("--trace".into());
            }
            let leash = self.watchdog.leash();
            let mut node =
                Node { program: program.clone(), port, dir, extra, leash, process: None, lives: 0 };
            match node.start() {
                Ok(()) => {
                    self.nodes.push(node);
                    return Ok(self.nodes.len() - 1);
                }
                Err(e) => last = Some(e),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("no free port")))
    }

    /// Where everything is.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Every node hears of every other, through the first.
    pub fn meet(&self) -> io::Result<()> {
        let mut first = self.nodes[0].connect()?;
        for node in &self.nodes[1..] {
            first.ask(&["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string()])?;
        }
        let n = self.nodes.len();
        self.wait("everybody knows everybody", |c| {
            c.all(|node| Ok(node.view()?.iter().filter(|p| !p.flags.contains("handshake")).count() == n))
        })
    }

    /// The first `masters` nodes share all slots evenly, with epochs of their own, and meet; until all agree and are ok.
    pub fn form(&self, masters: usize) -> io::Result<()> {
        for (i, node) in self.nodes[..masters].iter().enumerate() {
            let mut c = node.connect()?;
            c.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(i + 1).to_string()])?;
            let (first, last) = (16384 * i / masters, 16384 * (i + 1) / masters - 1);
            c.ask(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
        }
        self.meet()?;
        self.wait_settled()
    }

    /// Until all live nodes have the same owners of all slots, and say ok.
    pub fn wait_settled(&self) -> io::Result<()> {
        self.wait("all views are equal and ok", |c| {
            let mut views = Vec::new();
            for node in c.live() {
                views.push((node.owners()?, node.info("cluster_state")? == "ok"));
            }
            Ok(views.iter().all(|v| v.1 && v.0 == views[0].0))
        })
    }

    /// Whether something holds at all live nodes.
    pub fn all(&self, fact: impl Fn(&Node) -> io::Result<bool>) -> io::Result<bool> {
        self.live().try_fold(true, |all, node| Ok(all && fact(node)?))
    }

    /// The nodes that run.
    pub fn live(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|n| n.process.is_some())
    }

    /// Waits for a fact; what it is called stands in the error if it does not come.
    pub fn wait(&self, what: &str, fact: impl Fn(&Self) -> io::Result<bool>) -> io::Result<()> {
        wait_for(what, || fact(self))
    }

    /// The traces written so far.
    pub fn traces(&self) -> io::Result<Vec<PathBuf>> {
        let mut traces = Vec::new();
        for node in &self.nodes {
            for entry in std::fs::read_dir(&node.dir)? {
                let path = entry?.path();
                if path.extension().is_some_and(|e| e == "trace") {
                    traces.push(path);
                }
            }
        }
        traces.sort();
        Ok(traces)
    }
}

/// Asks again and again, until it is so; errors count as not yet.
pub fn wait_for(what: &str, mut fact: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    let mut last = None;
    while Instant::now() < until {
        match fact() {
            Ok(true) => return Ok(()),
            Ok(false) => last = None,
            Err(e) => last = Some(e),
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let why = last.map_or(String::new(), |e| format!(" ({e})"));
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("waited for: {what}{why}")))
}

/// A node as another one sees it: a line of CLUSTER NODES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub id: String,
    /// `ip:port@cport`.
    pub address: String,
    /// Comma list.
    pub flags: String,
    /// Its master, or `-`.
    pub master: String,
    /// Its config epoch.
    pub epoch: u64,
    /// `connected` or `disconnected`.
    pub link: String,
    /// Ranges and open slots, as printed.
    pub slots: Vec<String>,
}

impl Node {
    fn start(&mut self) -> io::Result<()> {
        self.lives += 1;
        let log = File::create(self.dir.join(format!("log-{}", self.lives)))?;
        let mut command = match &self.program {
            Program::Slotproof(path, leading) => {
                let mut c = Command::new(path);
                c.args(leading);
                c
            }
            Program::Redis => Command::new("redis-server"),
        };
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--cluster-enabled", "yes"]);
        command.args(["--dir", &self.dir.to_string_lossy()]);
        if matches!(self.program, Program::Redis) {
            command.args(["--save", ""]);
        }
        for option in &self.extra {
            command.arg(option);
            if option == "--trace" {
                command.arg(self.dir.join(format!("{}-{}.trace", self.port, self.lives)));
            }
        }
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn()?;
        let pid = child.id();
        self.leash.watch(pid);
        self.process = Some(Process(child));
        let started = Instant::now();
        loop {
            // Somebody else may have taken the port, and answer.
            if self.field("INFO server", "process_id").is_ok_and(|told| told == pid.to_string()) {
                return Ok(());
            }
            let ended = self.process.as_mut().is_some_and(|p| matches!(p.0.try_wait(), Ok(Some(_))));
            if ended || started.elapsed() > PATIENCE {
                self.kill();
                let log = std::fs::read_to_string(self.dir.join(format!("log-{}", self.lives)))?;
                return Err(io::Error::other(format!(
                    "the node at port {} did not start:\n{log}",
                    self.port
                )));
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A connection to it.
    pub fn connect(&self) -> io::Result<Connection> {
        Connection::open(&self.address(), Duration::from_secs(10))
    }

    /// One command; an error reply is an error.
    pub fn ask(&self, line: &str) -> io::Result<Value> {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.connect()?.ask(&words)
    }

    /// Its name.
    pub fn id(&self) -> io::Result<String> {
        Ok(self.ask("CLUSTER MYID")?.text().unwrap_or_default())
    }

    /// A field of CLUSTER INFO.
    pub fn info(&self, field: &str) -> io::Result<String> {
        self.field("CLUSTER INFO", field)
    }

    /// A field of a reply made of `name:value` lines.
    fn field(&self, command: &str, field: &str) -> io::Result<String> {
        let text = self.ask(command)?.text().unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix(field)?.strip_prefix(':'));
        line.map(|v| v.trim().to_string())
            .ok_or_else(|| io::Error::other(format!("{command} has no {field}")))
    }

    /// The nodes as it sees them.
    pub fn view(&self) -> io::Result<Vec<Seen>> {
        let text = self.ask("CLUSTER NODES")?.text().unwrap_or_default();
        parse_view(&text)
    }

    /// Slot ranges with their owners, sorted, open slots left out.
    pub fn owners(&self) -> io::Result<Vec<(String, String)>> {
        let view = self.view()?;
        let ranges = view
            .iter()
            .flat_map(|n| n.slots.iter().filter(|s| !s.starts_with('[')).map(|s| (s.clone(), n.id.clone())));
        let mut owners: Vec<_> = ranges.collect();
        owners.sort();
        Ok(owners)
    }

    /// Ends it at once, without notice.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            self.leash.release(process.0.id());
        }
    }

    /// Asks it to end (SIGTERM), and waits.
    pub fn terminate(&mut self) -> io::Result<ExitStatus> {
        let Some(mut process) = self.process.take() else { return Err(io::Error::other("it does not run")) };
        self.leash.release(process.0.id());
        signal(process.0.id(), "TERM")?;
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = process.0.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > until {
                return Err(io::Error::other("it does not end on SIGTERM"));
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Starts it again, in the same directory and on the same ports.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        let until = Instant::now() + PATIENCE;
        loop {
            match self.start() {
                // A connection of somebody else may have got its port for the moment.
                Err(e) if e.to_string().contains("in use") && Instant::now() < until => {
                    std::thread::park_timeout(Duration::from_millis(100));
                }
                other => return other,
            }
        }
    }

    /// Starts it again with another program, in the same directory and on the same ports. Redis writes no trace.
    pub fn restart_as(&mut self, program: &Program) -> io::Result<()> {
        self.program = program.clone();
        if matches!(program, Program::Redis) {
            self.extra.retain(|option| option != "--trace");
        }
        self.restart()
    }

    /// Stops its process until [`Self::resume`].
    pub fn pause(&self) -> io::Result<()> {
        self.process.as_ref().map_or(Ok(()), |p| signal(p.0.id(), "STOP"))
    }

    /// Lets it go on.
    pub fn resume(&self) -> io::Result<()> {
        self.process.as_ref().map_or(Ok(()), |p| signal(p.0.id(), "CONT"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process by the system's `kill`.
pub fn signal(pid: u32, name: &str) -> io::Result<()> {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -{name} {pid}: {status}"))) }
}

/// Reads the reply of CLUSTER NODES.
pub fn parse_view(text: &str) -> io::Result<Vec<Seen>> {
    let wrong = |l: &str| io::Error::other(format!("not a line of CLUSTER NODES: {l}"));
    text.lines().map(|l| parse_line(l).ok_or_else(|| wrong(l))).collect()
}

fn parse_line(line: &str) -> Option<Seen> {
    let mut words = line.split(' ').map(str::to_string);
    Some(Seen {
        id: words.next()?,
        address: words.next()?,
        flags: words.next()?,
        master: words.next()?,
        epoch: words.nth(2)?.parse().ok()?,
        link: words.next()?,
        slots: words.collect(),
    })
}

/// A port for clients whose bus port (+10000) is free too.
fn free_port() -> io::Result<u16> {
    for _ in 0..200 {
        let client = TcpListener::bind(("127.0.0.1", 0))?;
        let port = client.local_addr()?.port();
        if let Some(bus) = port.checked_add(10_000)
            && TcpListener::bind(("127.0.0.1", bus)).is_ok()
        {
            return Ok(port);
        }
    }
    Err(io::Error::other("no port is free together with its bus port"))
}
