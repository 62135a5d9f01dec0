//! The server: one struct that every command runs on, borrowed for as long as a command runs and never
//! across an await. Nothing here is global.

mod backup;
mod client;
mod connection;
mod evict;
mod limits;
mod listen;
mod log;
mod pubsub;
mod run;
mod stats;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use slotproof_model::{RouteTable, Slot};
use tokio::sync::Notify;

use crate::commands::Renamed;
use crate::commands::migrate::SocketCache;
use crate::config::Config;
use crate::keyspace::{Garbage, Keyspace, Lazy, Notices, Packing};
use crate::resp::Args;

pub use backup::Backup;
pub use client::{Blocked, Client, Close, Handshake, ReplyMode, Subscriptions, Transaction, Waiting, Watch};
pub use limits::Pause;
pub use listen::{bind_listener, bind_names};
pub use log::{Level, Log};
pub use pubsub::{PubSub, Topic};
pub use run::{StartCluster, run_with};
pub use stats::{CommandStats, Latency, Rates, Slow, SlowLog, Stats, Times};

use evict::Policy;
use limits::OutputLimit;

/// The server as tasks share it. Everything runs on one thread.
pub type Shared = Rc<RefCell<Server>>;

/// What the commands work on.
pub struct Server {
    /// The directives.
    pub config: Config,
    /// The databases; a cluster node uses the first only.
    pub dbs: Vec<Keyspace>,
    /// Unix time in milliseconds, as of the current batch of requests.
    pub now_ms: i64,
    /// Connected clients by id. While a client's command runs, that client is borrowed.
    pub clients: BTreeMap<u64, Rc<RefCell<Client>>>,
    /// Counters for INFO.
    pub stats: Stats,
    /// Subscriptions.
    pub pubsub: PubSub,
    /// Commands that took long.
    pub slowlog: SlowLog,
    /// How fast counters grow.
    pub rates: Rates,
    /// Spikes that the latency monitor has noted.
    pub latency: Latency,
    /// CLIENT PAUSE, while it is in force.
    pub pause: Option<Pause>,
    /// Clients that said MONITOR.
    pub monitors: usize,
    /// Whether keys expire although nobody meets them (DEBUG SET-ACTIVE-EXPIRE).
    pub active_expire: bool,
    /// Commands that bear another name or none (`rename-command`).
    pub renamed: Renamed,
    /// Where keys are served: published by the cluster each time it changes, absent without cluster support.
    pub routes: Option<Rc<RouteTable>>,
    /// The cluster, absent without cluster support.
    pub cluster: Option<Box<dyn ClusterHook>>,
    /// 40 random hexadecimal digits, new at each start.
    pub run_id: String,
    /// 40 hexadecimal digits that name the data set.
    pub replication_id: String,
    /// The memory in use when the first client could come, in bytes.
    pub baseline: usize,
    /// When the server started.
    pub started: Instant,
    /// The same, as Unix time in seconds.
    pub started_unix: i64,
    /// The port that clients connect to.
    pub port: u16,
    /// The log.
    pub log: Rc<Log>,
    /// Values that another thread frees.
    pub garbage: Rc<Garbage>,
    /// Connections that MIGRATE keeps.
    pub sockets: SocketCache,
    /// Set once: the server is to end.
    pub stopping: bool,
    /// Rung when `stopping` is set.
    pub stop: Rc<Notify>,
    pub(crate) limits: CachedLimits,
    /// Where clients are listened for.
    listening: Vec<run::Listening>,
    /// This server, for tasks that it starts.
    this: Weak<RefCell<Server>>,
    /// Shard channels whose subscription by the client whose command is running has ended.
    ended_shards: Vec<Box<[u8]>>,
    next_client: u64,
}

/// What the cluster gives the commands. It is taken out of [`Server::cluster`] while one of these runs.
pub trait ClusterHook {
    /// Runs a subcommand of CLUSTER whose name and number of arguments are right, and writes its reply.
    /// KEYSLOT, COUNTKEYSINSLOT, GETKEYSINSLOT and HELP never come here.
    fn command(&mut self, server: &mut Server, client: &mut Client, args: Args<'_>);

    /// CONFIG SET has changed these directives (already in `server.config`). An error undoes the change.
    fn config_changed(&mut self, server: &mut Server, names: &[&'static str]) -> Result<(), String>;

    /// Where my master serves clients, while I am a replica. A replica whose master has no known address
    /// gives an empty host and port 0.
    fn master(&self) -> Option<(String, u16)> {
        None
    }

    /// A client has published a message, for subscribers on other nodes.
    fn publish(&mut self, server: &mut Server, sharded: bool, channel: &[u8], message: &[u8]) {
        let _ = (server, sharded, channel, message);
    }

    /// How many connections of the bus there are.
    fn connections(&self) -> usize {
        0
    }

    /// The memory that they take, in bytes.
    fn link_memory(&self) -> usize {
        0
    }

    /// MIGRATE deleted keys of a slot that the target took.
    fn keys_migrated(&mut self, slot: Slot, keys: u64) {
        let _ = (slot, keys);
    }

    /// RESTORE took a key of a slot.
    fn key_restored(&mut self, slot: Slot) {
        let _ = slot;
    }

    /// The server is about to end.
    fn shutdown(&mut self, server: &mut Server);
}

/// Directives that are looked at too often to be parsed each time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CachedLimits {
    pub(crate) max_bulk: i64,
    pub(crate) query_buffer: usize,
    pub(crate) password: bool,
    /// `maxmemory`; the greatest number where there is no limit.
    pub(crate) max_memory: usize,
    pub(crate) policy: Option<Policy>,
    pub(crate) samples: usize,
    /// Of normal clients, of those with subscriptions, and of those who take a dump.
    pub(crate) output: [OutputLimit; 3],
    /// Commands that take so many microseconds are slow; the greatest number for none.
    pub(crate) slow_micros: u64,
    /// Commands that take so many milliseconds are spikes; 0 for none.
    pub(crate) spike_ms: u64,
    pub(crate) track_times: bool,
    pub(crate) packing: Packing,
    /// Where events of keys are published.
    pub(crate) notices: Notices,
    /// Whether DEL frees large values in another thread, FLUSHALL and FLUSHDB all of them, and eviction.
    pub(crate) lazy_del: bool,
    pub(crate) lazy_flush: bool,
    pub(crate) lazy_eviction: bool,
}

impl Server {
    /// A server with empty databases.
    pub fn new(config: Config, log: Rc<Log>) -> Self {
        let databases = usize::try_from(config.int("databases")).unwrap_or(16).clamp(1, 1 << 16);
        let databases = if config.yes("cluster-enabled") { 1 } else { databases };
        let mut server = Self {
            dbs: (0..databases).map(|_| Keyspace::new()).collect(),
            now_ms: 0,
            clients: BTreeMap::new(),
            stats: Stats::default(),
            routes: None,
            cluster: None,
            run_id: random_hex(),
            replication_id: random_hex(),
            baseline: 0,
            started: Instant::now(),
            started_unix: unix_micros() / 1_000_000,
            port: u16::try_from(config.int("port")).unwrap_or(0),
            log,
            garbage: Rc::default(),
            sockets: SocketCache::default(),
            pubsub: PubSub::default(),
            slowlog: SlowLog::default(),
            latency: Latency::default(),
            rates: Rates::default(),
            pause: None,
            monitors: 0,
            active_expire: true,
            renamed: Renamed::default(),
            listening: Vec::new(),
            this: Weak::new(),
            ended_shards: Vec::new(),
            stopping: false,
            stop: Rc::new(Notify::new()),
            limits: CachedLimits::default(),
            next_client: 1,
            config,
        };
        server.refresh();
        server.tick();
        server
    }

    /// The database that a cluster serves.
    pub fn keyspace(&mut self) -> &mut Keyspace {
        &mut self.dbs[0]
    }

    /// The database that a client has selected.
    pub fn db(&mut self, client: &Client) -> &mut Keyspace {
        &mut self.dbs[client.db]
    }

    /// Reads the clock. Called before each batch of requests and after whatever blocks.
    pub fn tick(&mut self) {
        self.now_ms = unix_micros() / 1000;
    }

    /// Ends a client that speaks HTTP: a page in a browser may have made it send what is for this server in a body
    /// (networking.c `securityWarningCommand`).
    pub fn attacked(&mut self, client: &mut Client) {
        client.close = Close::Now;
        let said = self.stats.attacked_ms.is_some_and(|when| self.now_ms - when < 60_000);
        if !said {
            self.stats.attacked_ms = Some(self.now_ms);
            self.log.warning(
                "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to this \
                 server. This is likely due to an attacker attempting to use Cross Protocol Scripting to compromise it. \
                 Connection aborted.",
            );
        }
    }

    /// Takes over directives that are kept parsed.
    pub fn refresh(&mut self) {
        let size = |name: &str| usize::try_from(self.config.int(name)).unwrap_or(usize::MAX);
        self.limits = CachedLimits {
            max_bulk: self.config.int("proto-max-bulk-len"),
            query_buffer: size("client-query-buffer-limit"),
            password: self.config.has_password(),
            max_memory: match size("maxmemory") {
                0 => usize::MAX,
                limit => limit,
            },
            policy: Policy::named(self.config.bytes("maxmemory-policy")),
            samples: size("maxmemory-samples"),
            output: OutputLimit::parse(self.config.bytes("client-output-buffer-limit")),
            slow_micros: u64::try_from(self.config.int("slowlog-log-slower-than")).unwrap_or(u64::MAX),
            spike_ms: u64::try_from(self.config.int("latency-monitor-threshold")).unwrap_or(0),
            track_times: self.config.yes("latency-tracking"),
            packing: Packing {
                hash_entries: size("hash-max-listpack-entries"),
                hash_value: size("hash-max-listpack-value"),
                set_ints: size("set-max-intset-entries"),
                zset_entries: size("zset-max-listpack-entries"),
                zset_value: size("zset-max-listpack-value"),
                list_size: self.config.int("list-max-listpack-size"),
            },
            lazy_del: self.config.yes("lazyfree-lazy-user-del"),
            lazy_flush: self.config.yes("lazyfree-lazy-user-flush"),
            lazy_eviction: self.config.yes("lazyfree-lazy-eviction"),
            notices: Notices::parse(self.config.bytes("notify-keyspace-events")).unwrap_or_default(),
        };
        let usage = evict::usage(
            self.config.bytes("maxmemory-policy"),
            self.config.int("lfu-log-factor"),
            self.config.int("lfu-decay-time"),
        );
        let notices = self.limits.notices;
        let lazy = Lazy {
            expired: self.config.yes("lazyfree-lazy-expire"),
            replaced: self.config.yes("lazyfree-lazy-server-del"),
        };
        for db in &mut self.dbs {
            db.set_usage(usage);
            db.set_notices(notices);
            db.set_disposal(Rc::clone(&self.garbage), lazy);
        }
        let most = size("slowlog-max-len");
        self.slowlog.entries.truncate(most);
    }

    /// Whether the server is a cluster node.
    pub fn cluster_enabled(&self) -> bool {
        self.config.yes("cluster-enabled")
    }

    /// Where my master is, if I am a replica.
    pub fn master(&self) -> Option<(String, u16)> {
        self.cluster.as_ref()?.master()
    }

    /// The memory in use, in bytes; what waits to be freed is in use.
    pub fn used_memory(&self) -> usize {
        self.garbage.settle();
        crate::memory::used()
    }

    /// Ends the server soon.
    pub fn shut_down(&mut self) {
        self.stopping = true;
        self.stop.notify_one();
    }

    /// Lends the cluster out together with the server; `None` without cluster support.
    pub fn with_cluster<T>(&mut self, f: impl FnOnce(&mut dyn ClusterHook, &mut Self) -> T) -> Option<T> {
        let mut cluster = self.cluster.take()?;
        let result = f(&mut *cluster, self);
        self.cluster = Some(cluster);
        Some(result)
    }

    /// Notes a spike, if what begun then took so long.
    pub(crate) fn spike(&mut self, event: &'static str, begun: Instant) {
        if self.limits.spike_ms > 0 {
            let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            if ms >= self.limits.spike_ms {
                self.latency.add(event, self.now_ms / 1000, ms);
            }
        }
    }

    /// Makes a client known and gives it its id.
    pub(crate) fn register(&mut self, peer: String, local: String) -> Rc<RefCell<Client>> {
        let id = self.next_client;
        self.next_client += 1;
        self.stats.connections += 1;
        let client = Client::new(id, peer, local, self.now_ms, !self.limits.password);
        let client = Rc::new(RefCell::new(client));
        self.clients.insert(id, Rc::clone(&client));
        client
    }

    /// What happens a few times a second: keys expire, idle clients and sockets are let go.
    pub(crate) fn cron(&mut self) {
        /// Keys dropped by one call at most, so that no client waits long.
        const EXPIRED_PER_CALL: usize = 10_000;
        self.tick();
        let now = self.now_ms;
        let mut left = EXPIRED_PER_CALL;
        if self.active_expire && self.paused().is_none() {
            let begun = Instant::now();
            for db in &mut self.dbs {
                left -= db.expire_cycle(now, left);
            }
            self.stats.expiring += begun.elapsed();
            self.stats.expire_cut += u64::from(left == 0);
            self.spike("expire-cycle", begun);
            self.publish_events();
        }
        let stats = &self.stats;
        self.rates.sample([stats.commands, stats.input_bytes, stats.output_bytes, stats.dump_bytes], now);
        self.stats.peak_memory = self.stats.peak_memory.max(self.used_memory());
        let timeout = self.config.int("timeout");
        let clients: Vec<_> = self.clients.values().cloned().collect();
        for client in clients {
            let mut client = client.borrow_mut();
            let idle = client.backup.is_none() && now - client.active_ms > timeout.saturating_mul(1000);
            // Who waits, or listens, is not idle.
            if timeout > 0 && idle && client.blocked.is_none() && client.subscriptions.is_empty() {
                self.log.line(Level::Verbose, "Closing idle client");
                client.kill();
            }
            self.check_backup(&mut client);
            if !client.reply.pending().is_empty() || client.backup.is_some() {
                self.check_output(&mut client);
            }
        }
        self.sockets.drop_idle();
    }
}

/// Unix time in microseconds.
pub fn unix_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// 40 random hexadecimal digits.
pub fn random_hex() -> String {
    let word = || ahash::RandomState::new().hash_one(0u8);
    let digits: String = (0..3).map(|_| format!("{:016x}", word())).collect();
    digits[..40].to_owned()
}
