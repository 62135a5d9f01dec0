//! From the command line to a running server and its end.

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::process::{Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{AbortHandle, LocalSet, spawn_local};

use super::connection::serve;
use super::{Level, Log, Server, Shared, bind_listener, bind_names};
use crate::commands::REDIS_VERSION;
use crate::config::{Config, Invocation, StartError, parse_invocation};

/// Marks the process that `daemonize yes` has left in the background.
const DAEMON_MARK: &str = "SLOTPROOF_DAEMON";

/// What makes a server a cluster node: it puts its hook into [`Server::cluster`], publishes a route table and
/// starts its tasks, before clients are served.
pub type StartCluster = fn(&Shared) -> Result<(), StartError>;

/// Runs a server with the arguments after the program's name, to its end; `start_cluster` makes it a cluster node if it is to be one.
pub fn run_with(args: &[String], start_cluster: StartCluster) -> ExitCode {
    let mut stdin = Tee { text: Vec::new() };
    let result = match parse_invocation(args, &mut stdin) {
        Ok(Invocation::Version) => {
            let version = env!("CARGO_PKG_VERSION");
            say(&format!("Redis server v={REDIS_VERSION} (Slotproof {version}) bits={}", usize::BITS))
        }
        Ok(Invocation::Help) => say(USAGE),
        Ok(Invocation::Serve(config, warnings)) => start(*config, &warnings, &stdin.text, start_cluster),
        Err(e) => Err(e),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(io::stderr(), "{e}");
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "\
Usage: slotproof-node [FILE | -] [--DIRECTIVE VALUE ...]
       slotproof-node -v | --version
       slotproof-node -h | --help

FILE is a redis.conf; - reads one from standard input. Every directive can also be
given as an option, which wins over the file:

       slotproof-node --port 7000 --cluster-enabled yes --cluster-config-file nodes-7000.conf";

fn say(text: &str) -> Result<(), StartError> {
    writeln!(io::stdout(), "{text}").map_err(|e| StartError(format!("can't write to standard output: {e}")))
}

/// Standard input, remembered for the process in the background.
struct Tee {
    text: Vec<u8>,
}

impl io::Read for Tee {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = io::stdin().read(buf)?;
        self.text.extend_from_slice(&buf[..n]);
        Ok(n)
    }
}

fn start(
    config: Config,
    warnings: &[String],
    stdin: &[u8],
    start_cluster: StartCluster,
) -> Result<(), StartError> {
    let in_background = std::env::var_os(DAEMON_MARK).is_some();
    if config.yes("daemonize") && !in_background {
        return daemonize(stdin).map_err(|e| StartError(format!("daemonize: {e}")));
    }
    let dir = config.text("dir");
    if !dir.is_empty() {
        std::env::set_current_dir(&*dir).map_err(|e| StartError(format!("Can't chdir to '{dir}': {e}")))?;
    }
    let logfile = config.text("logfile");
    let log = Log::open(&logfile, Level::named(&config.text("loglevel")))
        .map_err(|e| StartError(format!("Can't open the log file '{logfile}': {e}")))?;
    let log = Rc::new(log);
    log.notice("Slotproof is starting");
    for warning in warnings {
        log.warning(&format!("WARNING: {warning}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| StartError(format!("can't start: {e}")))?;
    let logged = Rc::clone(&log);
    let result =
        LocalSet::new().block_on(&runtime, async move { run_server(config, log, start_cluster).await });
    if let Err(e) = &result {
        logged.warning(&e.to_string());
    }
    result
}

async fn run_server(mut config: Config, log: Rc<Log>, start_cluster: StartCluster) -> Result<(), StartError> {
    let no_signal = |e: io::Error| StartError(format!("can't handle signals: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signal)?;
    // A client that goes away must not end the server; std ignores SIGPIPE already.
    let _hangup = signal(SignalKind::hangup()).map_err(no_signal)?;

    if config.bytes("dir").is_empty()
        && let Ok(dir) = std::env::current_dir()
        && let Some(directive) = crate::config::find(b"dir")
    {
        let _ = config.set(directive, &[dir.as_os_str().as_encoded_bytes()]);
    }
    let listeners = listen(&config, &log, &[])?;
    let pidfile = write_pidfile(&config, &log);
    let supervised = matches!(config.bytes("supervised"), b"systemd" | b"auto");
    let port = config.int("port");
    let mode = if config.yes("cluster-enabled") { "cluster" } else { "standalone" };
    log.notice(&format!("Running mode={mode}, port={port}."));
    log.notice(&format!("Slotproof {} PID: {}", env!("CARGO_PKG_VERSION"), std::process::id()));

    let cluster = config.yes("cluster-enabled");
    let renames = std::mem::take(&mut config.renames);
    let mut server = Server::new(config, Rc::clone(&log));
    for (old, new) in renames {
        server.renamed.rename(&old, &new).map_err(|e| {
            StartError(format!("Bad directive 'rename-command {}': {e}", String::from_utf8_lossy(&old)))
        })?;
    }
    let shared: Shared = Rc::new(RefCell::new(server));
    log.notice("Server initialized");
    if cluster {
        start_cluster(&shared)?;
    }
    {
        let mut server = shared.borrow_mut();
        server.this = Rc::downgrade(&shared);
        server.baseline = server.used_memory();
        listeners.into_iter().for_each(|(address, listener)| server.listen_on(address, listener));
    }
    spawn_local(cron(Rc::clone(&shared)));
    log.notice("Ready to accept connections");
    if supervised {
        notify_supervisor(&log);
    }

    let stop = Rc::clone(&shared.borrow().stop);
    tokio::select! {
        () = stop.notified() => {}
        _ = terminate.recv() => log.warning("Received SIGTERM scheduling shutdown..."),
        _ = interrupt.recv() => log.warning("Received SIGINT scheduling shutdown..."),
    }
    let mut server = shared.borrow_mut();
    server.stopping = true;
    server.with_cluster(|cluster, server| cluster.shutdown(server));
    if let Some(path) = pidfile {
        log.notice("Removing the pid file.");
        let _ = std::fs::remove_file(path);
    }
    log.warning("Slotproof is now ready to exit, bye bye...");
    Ok(())
}

/// A socket on which clients are listened for, by its name in `bind` and its port.
pub(super) struct Listening {
    address: (String, u16),
    task: AbortHandle,
}

impl Server {
    fn listen_on(&mut self, address: (String, u16), listener: TcpListener) {
        let Some(shared) = self.this.upgrade() else { return };
        let task = spawn_local(accept(shared, listener)).abort_handle();
        self.listening.push(Listening { address, task });
    }

    /// Listens where `bind` and `port` say now. What was listened on already stays; if something new cannot be had, nothing changes.
    pub(crate) fn relisten(&mut self) -> Result<(), StartError> {
        let known: Vec<(String, u16)> = self.listening.iter().map(|l| l.address.clone()).collect();
        let port = u16::try_from(self.config.int("port")).unwrap_or(0);
        let new = listen(&self.config, &self.log, &known)?;
        let bind = self.config.text("bind").into_owned();
        let names: Vec<&str> = bind_names(&bind).into_iter().map(|(name, _)| name).collect();
        self.listening.retain(|l| {
            let stays = port != 0 && l.address.1 == port && names.contains(&l.address.0.as_str());
            if !stays {
                l.task.abort();
            }
            stays
        });
        new.into_iter().for_each(|(address, listener)| self.listen_on(address, listener));
        self.port = port;
        Ok(())
    }
}

/// A listening socket and its place.
type Bound = ((String, u16), TcpListener);

/// Listens on every address of `bind` but those that are `known`; port 0 means on none.
fn listen(config: &Config, log: &Log, known: &[(String, u16)]) -> Result<Vec<Bound>, StartError> {
    let port = u16::try_from(config.int("port")).unwrap_or(0);
    if port == 0 {
        log.warning("Port 0: no clients are served.");
        return Ok(Vec::new());
    }
    let backlog = i32::try_from(config.int("tcp-backlog")).unwrap_or(511);
    let bind = config.text("bind");
    let (mut listeners, mut kept) = (Vec::new(), 0);
    for (name, optional) in bind_names(&bind) {
        let address = (name.to_owned(), port);
        if known.contains(&address) {
            kept += 1;
            continue;
        }
        match bind_listener(name, port, backlog) {
            Ok(listener) => listeners.push((address, listener)),
            Err(e) => {
                let text = format!("Could not create server TCP listening socket {name}:{port}: {e}");
                let unavailable =
                    matches!(e.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
                        || e.raw_os_error() == Some(AF_NOT_SUPPORTED);
                if !(optional && unavailable) {
                    return Err(StartError(text));
                }
                log.line(Level::Verbose, &text);
            }
        }
    }
    if listeners.is_empty() && kept == 0 {
        return Err(StartError(format!("Failed listening on port {port} (bind {bind}), aborting.")));
    }
    Ok(listeners)
}

/// EAFNOSUPPORT of Linux: no IPv6 here.
const AF_NOT_SUPPORTED: i32 = 97;

async fn accept(shared: Shared, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => welcome(&shared, stream, peer),
            Err(e) => {
                // Out of file descriptors, mostly: let others finish first.
                shared.borrow().log.warning(&format!("Accepting client connection: {e}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn welcome(shared: &Shared, stream: TcpStream, peer: SocketAddr) {
    let mut server = shared.borrow_mut();
    let limit = usize::try_from(server.config.int("maxclients")).unwrap_or(usize::MAX);
    let refusal = if server.clients.len() >= limit {
        Some(match server.cluster_enabled() {
            true => "-ERR max number of clients + cluster connections reached\r\n",
            false => "-ERR max number of clients reached\r\n",
        })
    } else if server.config.yes("protected-mode")
        && !server.limits.password
        && !peer.ip().to_canonical().is_loopback()
    {
        Some(
            "-DENIED This server is in protected mode and has no password: it answers clients of the same host only. \
             Set requirepass, or protected-mode no.\r\n",
        )
    } else {
        None
    };
    if let Some(text) = refusal {
        server.stats.rejected += 1;
        let _ = stream.try_write(text.as_bytes());
        return;
    }
    let _ = stream.set_nodelay(true);
    let keepalive = server.config.int("tcp-keepalive");
    if keepalive > 0 {
        let seconds = Duration::from_secs(keepalive as u64);
        let third = Duration::from_secs((keepalive as u64 / 3).max(1));
        let options = socket2::TcpKeepalive::new().with_time(seconds).with_interval(third).with_retries(3);
        let _ = socket2::SockRef::from(&stream).set_tcp_keepalive(&options);
    }
    let local = stream.local_addr().map(|a| a.to_string()).unwrap_or_default();
    server.tick();
    let client = server.register(peer.to_string(), local);
    client.borrow_mut().fd = stream.as_raw_fd();
    drop(server);
    spawn_local(serve(Rc::clone(shared), stream, client));
}

async fn cron(shared: Shared) {
    loop {
        let hz = shared.borrow().config.int("hz").max(1);
        tokio::time::sleep(Duration::from_millis(1000 / hz.unsigned_abs())).await;
        shared.borrow_mut().cron();
    }
}

/// Starts the same program once more, without a terminal, and leaves it to itself.
fn daemonize(stdin: &[u8]) -> io::Result<()> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(std::env::args_os().skip(1)).env(DAEMON_MARK, "1").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    match child.stdin.take() {
        Some(mut pipe) => pipe.write_all(stdin),
        None => Ok(()),
    }
}

fn write_pidfile(config: &Config, log: &Log) -> Option<String> {
    let path = match (config.text("pidfile").into_owned(), config.yes("daemonize")) {
        (path, _) if !path.is_empty() => path,
        (_, true) => "/var/run/redis.pid".to_owned(),
        _ => return None,
    };
    match std::fs::write(&path, format!("{}\n", std::process::id())) {
        Ok(()) => Some(path),
        Err(e) => {
            log.warning(&format!("Failed to write the pid file {path}: {e}"));
            None
        }
    }
}

/// Tells systemd that clients are served.
#[cfg(not(target_os = "linux"))]
fn notify_supervisor(_: &Log) {}

/// Tells systemd that clients are served.
#[cfg(target_os = "linux")]
fn notify_supervisor(log: &Log) {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    use std::path::Path;
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let bytes = path.as_encoded_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(Path::new(&path)),
    };
    let sent = address.and_then(|address| {
        UnixDatagram::unbound()?.send_to_addr(b"STATUS=Ready to accept connections\nREADY=1\n", &address)
    });
    if let Err(e) = sent {
        log.warning(&format!("Can't notify the supervisor: {e}"));
    }
}
