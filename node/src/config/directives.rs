//! Every directive of redis.conf 7.0: its old name, its type, its default, and whether it means something
//! here (config.c `static_configs`). Beside them `cluster-rules` and `trace`, which Redis does not have.

use slotproof_model::Rules;

/// The type of a directive's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `yes` or `no`.
    YesNo,
    /// An integer between two, both included.
    Int(i64, i64),
    /// A number of bytes, with or without a unit, between two.
    Memory(i64, i64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words.
    Words(&'static [&'static str]),
    /// Any text.
    Text,
    /// A host's name as the bus can carry it, or nothing.
    Hostname,
    /// An address as the bus and nodes.conf can carry it, or nothing.
    Address,
    /// Several words on a line.
    List,
}

/// A directive.
#[derive(Clone, Copy, Debug)]
pub struct Directive {
    /// Its name.
    pub name: &'static str,
    /// An older name of the same, or nothing.
    pub alias: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// What it is without being set.
    pub default: &'static str,
    /// Whether CONFIG SET may change it.
    pub mutable: bool,
    /// Whether anything here looks at it.
    pub used: bool,
}

use Kind::{Address, Hostname, Int, List, Memory, Text, Word, Words, YesNo};

const CHANGES: bool = true;
const FIXED: bool = false;
const USED: bool = true;
const IDLE: bool = false;

const fn d(
    name: &'static str,
    alias: &'static str,
    kind: Kind,
    default: &'static str,
    mutable: bool,
    used: bool,
) -> Directive {
    Directive { name, alias, kind, default, mutable, used }
}

/// All of them, by name.
#[rustfmt::skip]
pub static DIRECTIVES: &[Directive] = &[
    d("acl-pubsub-default", "", Word(&["allchannels", "resetchannels"]), "resetchannels", CHANGES, IDLE),
    d("aclfile", "", Text, "", FIXED, IDLE),
    d("acllog-max-len", "", Int(0, i64::MAX), "128", CHANGES, IDLE),
    d("active-defrag-cycle-max", "", Int(1, 99), "25", CHANGES, IDLE),
    d("active-defrag-cycle-min", "", Int(1, 99), "1", CHANGES, IDLE),
    d("active-defrag-ignore-bytes", "", Memory(1, i64::MAX), "104857600", CHANGES, IDLE),
    d("active-defrag-max-scan-fields", "", Int(1, i64::MAX), "1000", CHANGES, IDLE),
    d("active-defrag-threshold-lower", "", Int(0, 1000), "10", CHANGES, IDLE),
    d("active-defrag-threshold-upper", "", Int(0, 1000), "100", CHANGES, IDLE),
    d("active-expire-effort", "", Int(1, 10), "1", CHANGES, IDLE),
    d("activedefrag", "", YesNo, "no", CHANGES, IDLE),
    d("activerehashing", "", YesNo, "yes", CHANGES, IDLE),
    d("always-show-logo", "", YesNo, "no", FIXED, IDLE),
    d("aof-disable-auto-gc", "", YesNo, "no", CHANGES, IDLE),
    d("aof-load-truncated", "", YesNo, "yes", CHANGES, IDLE),
    d("aof-rewrite-incremental-fsync", "", YesNo, "yes", CHANGES, IDLE),
    d("aof-timestamp-enabled", "", YesNo, "no", CHANGES, IDLE),
    d("aof-use-rdb-preamble", "", YesNo, "yes", CHANGES, IDLE),
    d("aof_rewrite_cpulist", "", Text, "", FIXED, IDLE),
    d("appenddirname", "", Text, "appendonlydir", FIXED, IDLE),
    d("appendfilename", "", Text, "appendonly.aof", FIXED, IDLE),
    d("appendfsync", "", Word(&["everysec", "always", "no"]), "everysec", CHANGES, IDLE),
    d("appendonly", "", YesNo, "no", CHANGES, IDLE),
    d("auto-aof-rewrite-min-size", "", Memory(0, i64::MAX), "67108864", CHANGES, IDLE),
    d("auto-aof-rewrite-percentage", "", Int(0, i32::MAX as i64), "100", CHANGES, IDLE),
    d("bgsave_cpulist", "", Text, "", FIXED, IDLE),
    d("bind", "", List, "* -::*", CHANGES, USED),
    d("bind-source-addr", "", Text, "", CHANGES, IDLE),
    d("bio_cpulist", "", Text, "", FIXED, IDLE),
    d("busy-reply-threshold", "lua-time-limit", Int(0, i64::MAX), "5000", CHANGES, IDLE),
    d("client-output-buffer-limit", "", List, "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", CHANGES, USED),
    d("client-query-buffer-limit", "", Memory(1048576, i64::MAX), "1073741824", CHANGES, USED),
    d("cluster-allow-pubsubshard-when-down", "", YesNo, "yes", CHANGES, USED),
    d("cluster-allow-reads-when-down", "", YesNo, "no", CHANGES, USED),
    d("cluster-allow-replica-migration", "", YesNo, "yes", CHANGES, USED),
    d("cluster-announce-bus-port", "", Int(0, 65535), "0", CHANGES, USED),
    d("cluster-announce-hostname", "", Hostname, "", CHANGES, USED),
    d("cluster-announce-ip", "", Address, "", CHANGES, USED),
    d("cluster-announce-port", "", Int(0, 65535), "0", CHANGES, USED),
    d("cluster-announce-tls-port", "", Int(0, 65535), "0", CHANGES, IDLE),
    d("cluster-config-file", "", Text, "nodes.conf", FIXED, USED),
    d("cluster-enabled", "", YesNo, "no", FIXED, USED),
    d("cluster-link-sendbuf-limit", "", Memory(0, i64::MAX), "0", CHANGES, USED),
    d("cluster-migration-barrier", "", Int(0, i32::MAX as i64), "1", CHANGES, IDLE),
    d("cluster-node-timeout", "", Int(0, i64::MAX), "15000", CHANGES, USED),
    d("cluster-port", "", Int(0, 65535), "0", FIXED, USED),
    d("cluster-preferred-endpoint-type", "", Word(&["ip", "hostname", "unknown-endpoint"]), "ip", CHANGES, USED),
    d("cluster-replica-no-failover", "cluster-slave-no-failover", YesNo, "no", CHANGES, USED),
    d("cluster-replica-validity-factor", "cluster-slave-validity-factor", Int(0, i32::MAX as i64), "10", CHANGES, IDLE),
    d("cluster-require-full-coverage", "", YesNo, "yes", CHANGES, USED),
    d("cluster-rules", "", Word(&Rules::NAMES), "redis_7_0", FIXED, USED),
    d("crash-log-enabled", "", YesNo, "yes", CHANGES, IDLE),
    d("crash-memcheck-enabled", "", YesNo, "yes", CHANGES, IDLE),
    d("daemonize", "", YesNo, "no", FIXED, USED),
    d("databases", "", Int(1, i32::MAX as i64), "16", FIXED, USED),
    d("dbfilename", "", Text, "dump.rdb", CHANGES, IDLE),
    d("dir", "", Text, "", CHANGES, USED),
    d("disable-thp", "", YesNo, "yes", FIXED, IDLE),
    d("dynamic-hz", "", YesNo, "yes", CHANGES, IDLE),
    d("enable-debug-command", "", Word(&["no", "yes", "local"]), "no", FIXED, USED),
    d("enable-module-command", "", Word(&["no", "yes", "local"]), "no", FIXED, IDLE),
    d("enable-protected-configs", "", Word(&["no", "yes", "local"]), "no", FIXED, USED),
    d("hash-max-listpack-entries", "hash-max-ziplist-entries", Int(0, i64::MAX), "512", CHANGES, USED),
    d("hash-max-listpack-value", "hash-max-ziplist-value", Memory(0, i64::MAX), "64", CHANGES, USED),
    d("hll-sparse-max-bytes", "", Memory(0, i64::MAX), "3000", CHANGES, IDLE),
    d("hz", "", Int(0, i32::MAX as i64), "10", CHANGES, USED),
    d("ignore-warnings", "", Text, "", CHANGES, IDLE),
    d("io-threads", "", Int(1, 128), "1", FIXED, IDLE),
    d("io-threads-do-reads", "", YesNo, "no", FIXED, IDLE),
    d("jemalloc-bg-thread", "", YesNo, "yes", CHANGES, IDLE),
    d("key-load-delay", "", Int(i32::MIN as i64, i32::MAX as i64), "0", CHANGES, IDLE),
    d("latency-monitor-threshold", "", Int(0, i64::MAX), "0", CHANGES, USED),
    d("latency-tracking", "", YesNo, "yes", CHANGES, USED),
    d("latency-tracking-info-percentiles", "", List, "50 99 99.9", CHANGES, USED),
    d("lazyfree-lazy-eviction", "", YesNo, "no", CHANGES, USED),
    d("lazyfree-lazy-expire", "", YesNo, "no", CHANGES, USED),
    d("lazyfree-lazy-server-del", "", YesNo, "no", CHANGES, USED),
    d("lazyfree-lazy-user-del", "", YesNo, "no", CHANGES, USED),
    d("lazyfree-lazy-user-flush", "", YesNo, "no", CHANGES, USED),
    d("lfu-decay-time", "", Int(0, i32::MAX as i64), "1", CHANGES, USED),
    d("lfu-log-factor", "", Int(0, i32::MAX as i64), "10", CHANGES, USED),
    d("list-compress-depth", "", Int(0, i32::MAX as i64), "0", CHANGES, IDLE),
    d("list-max-listpack-size", "list-max-ziplist-size", Int(i32::MIN as i64, i32::MAX as i64), "-2", CHANGES, USED),
    d("loading-process-events-interval-bytes", "", Int(1024, i32::MAX as i64), "2097152", CHANGES, IDLE),
    d("logfile", "", Text, "", FIXED, USED),
    d("loglevel", "", Word(&["debug", "verbose", "notice", "warning"]), "notice", CHANGES, USED),
    d("masterauth", "", Text, "", CHANGES, USED),
    d("masteruser", "", Text, "", CHANGES, USED),
    d("maxclients", "", Int(1, u32::MAX as i64), "10000", CHANGES, USED),
    d("maxmemory", "", Memory(0, i64::MAX), "0", CHANGES, USED),
    d("maxmemory-clients", "", Text, "0", CHANGES, IDLE),
    d("maxmemory-eviction-tenacity", "", Int(0, 100), "10", CHANGES, IDLE),
    d("maxmemory-policy", "", Word(&["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl", "allkeys-lru", "allkeys-lfu", "allkeys-random", "noeviction"]), "noeviction", CHANGES, USED),
    d("maxmemory-samples", "", Int(1, i32::MAX as i64), "5", CHANGES, USED),
    d("min-replicas-max-lag", "min-slaves-max-lag", Int(0, i32::MAX as i64), "10", CHANGES, IDLE),
    d("min-replicas-to-write", "min-slaves-to-write", Int(0, i32::MAX as i64), "0", CHANGES, IDLE),
    d("no-appendfsync-on-rewrite", "", YesNo, "no", CHANGES, IDLE),
    d("notify-keyspace-events", "", Text, "", CHANGES, USED),
    d("oom-score-adj", "", Word(&["no", "yes", "relative", "absolute"]), "no", CHANGES, IDLE),
    d("oom-score-adj-values", "", List, "0 200 800", CHANGES, IDLE),
    d("pidfile", "", Text, "", FIXED, USED),
    d("port", "", Int(0, 65535), "6379", CHANGES, USED),
    d("proc-title-template", "", Text, "{title} {listen-addr} {server-mode}", CHANGES, IDLE),
    d("propagation-error-behavior", "", Word(&["ignore", "panic", "panic-on-replicas"]), "ignore", CHANGES, IDLE),
    d("protected-mode", "", YesNo, "yes", CHANGES, USED),
    d("proto-max-bulk-len", "", Memory(1048576, i64::MAX), "536870912", CHANGES, USED),
    d("rdb-del-sync-files", "", YesNo, "no", CHANGES, IDLE),
    d("rdb-key-save-delay", "", Int(i32::MIN as i64, i32::MAX as i64), "0", CHANGES, IDLE),
    d("rdb-save-incremental-fsync", "", YesNo, "yes", CHANGES, IDLE),
    d("rdbchecksum", "", YesNo, "yes", FIXED, USED),
    d("rdbcompression", "", YesNo, "yes", CHANGES, USED),
    d("repl-backlog-size", "", Memory(1, i64::MAX), "1048576", CHANGES, IDLE),
    d("repl-backlog-ttl", "", Int(0, i64::MAX), "3600", CHANGES, IDLE),
    d("repl-disable-tcp-nodelay", "", YesNo, "no", CHANGES, IDLE),
    d("repl-diskless-load", "", Word(&["disabled", "on-empty-db", "swapdb"]), "disabled", CHANGES, IDLE),
    d("repl-diskless-sync", "", YesNo, "yes", CHANGES, IDLE),
    d("repl-diskless-sync-delay", "", Int(0, i32::MAX as i64), "5", CHANGES, IDLE),
    d("repl-diskless-sync-max-replicas", "", Int(0, i32::MAX as i64), "0", CHANGES, IDLE),
    d("repl-ping-replica-period", "repl-ping-slave-period", Int(1, i32::MAX as i64), "10", CHANGES, IDLE),
    d("repl-timeout", "", Int(1, i32::MAX as i64), "60", CHANGES, USED),
    d("replica-announce-ip", "slave-announce-ip", Text, "", CHANGES, IDLE),
    d("replica-announce-port", "slave-announce-port", Int(0, 65535), "0", CHANGES, IDLE),
    d("replica-announced", "", YesNo, "yes", CHANGES, IDLE),
    d("replica-ignore-disk-write-errors", "", YesNo, "no", CHANGES, IDLE),
    d("replica-ignore-maxmemory", "slave-ignore-maxmemory", YesNo, "yes", CHANGES, IDLE),
    d("replica-lazy-flush", "slave-lazy-flush", YesNo, "no", CHANGES, IDLE),
    d("replica-priority", "slave-priority", Int(0, i32::MAX as i64), "100", CHANGES, IDLE),
    d("replica-read-only", "slave-read-only", YesNo, "yes", CHANGES, IDLE),
    d("replica-serve-stale-data", "slave-serve-stale-data", YesNo, "yes", CHANGES, IDLE),
    d("replicaof", "slaveof", List, "", CHANGES, IDLE),
    d("requirepass", "", Text, "", CHANGES, USED),
    d("sanitize-dump-payload", "", Word(&["no", "yes", "clients"]), "no", CHANGES, IDLE),
    d("save", "", List, "3600 1 300 100 60 10000", CHANGES, IDLE),
    d("server_cpulist", "", Text, "", FIXED, IDLE),
    d("set-max-intset-entries", "", Int(0, i64::MAX), "512", CHANGES, USED),
    d("set-proc-title", "", YesNo, "yes", FIXED, IDLE),
    d("shutdown-on-sigint", "", Words(&["default", "save", "nosave", "now", "force"]), "default", CHANGES, IDLE),
    d("shutdown-on-sigterm", "", Words(&["default", "save", "nosave", "now", "force"]), "default", CHANGES, IDLE),
    d("shutdown-timeout", "", Int(0, i32::MAX as i64), "10", CHANGES, IDLE),
    d("slowlog-log-slower-than", "", Int(-1, i64::MAX), "10000", CHANGES, USED),
    d("slowlog-max-len", "", Int(0, i64::MAX), "128", CHANGES, USED),
    d("socket-mark-id", "", Int(0, u32::MAX as i64), "0", FIXED, IDLE),
    d("stop-writes-on-bgsave-error", "", YesNo, "yes", CHANGES, IDLE),
    d("stream-node-max-bytes", "", Memory(0, i64::MAX), "4096", CHANGES, IDLE),
    d("stream-node-max-entries", "", Int(0, i64::MAX), "100", CHANGES, IDLE),
    d("supervised", "", Word(&["upstart", "systemd", "auto", "no"]), "no", FIXED, USED),
    d("syslog-enabled", "", YesNo, "no", FIXED, IDLE),
    d("syslog-facility", "", Word(&["user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"]), "local0", FIXED, IDLE),
    d("syslog-ident", "", Text, "redis", FIXED, IDLE),
    d("tcp-backlog", "", Int(0, i32::MAX as i64), "511", FIXED, USED),
    d("tcp-keepalive", "", Int(0, i32::MAX as i64), "300", CHANGES, USED),
    d("timeout", "", Int(0, i32::MAX as i64), "0", CHANGES, USED),
    d("tls-auth-clients", "", Word(&["no", "yes", "optional"]), "yes", CHANGES, IDLE),
    d("tls-ca-cert-dir", "", Text, "", CHANGES, IDLE),
    d("tls-ca-cert-file", "", Text, "", CHANGES, IDLE),
    d("tls-cert-file", "", Text, "", CHANGES, IDLE),
    d("tls-ciphers", "", Text, "", CHANGES, IDLE),
    d("tls-ciphersuites", "", Text, "", CHANGES, IDLE),
    d("tls-client-cert-file", "", Text, "", CHANGES, IDLE),
    d("tls-client-key-file", "", Text, "", CHANGES, IDLE),
    d("tls-client-key-file-pass", "", Text, "", CHANGES, IDLE),
    d("trace", "", Text, "", FIXED, USED),
    d("tls-cluster", "", YesNo, "no", CHANGES, IDLE),
    d("tls-dh-params-file", "", Text, "", CHANGES, IDLE),
    d("tls-key-file", "", Text, "", CHANGES, IDLE),
    d("tls-key-file-pass", "", Text, "", CHANGES, IDLE),
    d("tls-port", "", Int(0, 65535), "0", CHANGES, IDLE),
    d("tls-prefer-server-ciphers", "", YesNo, "no", CHANGES, IDLE),
    d("tls-protocols", "", Text, "", CHANGES, IDLE),
    d("tls-replication", "", YesNo, "no", CHANGES, IDLE),
    d("tls-session-cache-size", "", Int(0, i32::MAX as i64), "20480", CHANGES, IDLE),
    d("tls-session-cache-timeout", "", Int(0, i32::MAX as i64), "300", CHANGES, IDLE),
    d("tls-session-caching", "", YesNo, "yes", CHANGES, IDLE),
    d("tracking-table-max-keys", "", Int(0, i64::MAX), "1000000", CHANGES, IDLE),
    d("unixsocket", "", Text, "", FIXED, IDLE),
    d("unixsocketperm", "", Text, "0", FIXED, IDLE),
    d("zset-max-listpack-entries", "zset-max-ziplist-entries", Int(0, i64::MAX), "128", CHANGES, USED),
    d("zset-max-listpack-value", "zset-max-ziplist-value", Memory(0, i64::MAX), "64", CHANGES, USED),
];

/// Directives that CONFIG GET shows to those only who name them: those for tests of Redis, and those that Redis does not have.
pub const HIDDEN: [&str; 5] = [
    "cluster-rules",
    "key-load-delay",
    "loading-process-events-interval-bytes",
    "rdb-key-save-delay",
    "trace",
];

/// The directive of this name, old or new, in any case.
pub fn find(name: &[u8]) -> Option<&'static Directive> {
    let is = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
    DIRECTIVES.iter().find(|d| is(d.name) || !d.alias.is_empty() && is(d.alias))
}
