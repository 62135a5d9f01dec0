//! INFO (server.c `genRedisInfoString`).

use std::fmt::Write;

use super::Spec;
use crate::resp::Args;
use crate::server::{Client, Server, unix_micros};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[Spec::new("info", -1, "loading stale", "slow dangerous", info)
    .tips("nondeterministic_output request_policy:all_shards response_policy:special")
    .about("server", "1.0.0", "Describes the server.")];

/// The version whose behaviour this is; clients choose features by it.
pub(crate) const REDIS_VERSION: &str = "7.0.15";

/// A section's name and how it is written.
type Section = (&'static str, fn(&Server, &mut String));

const SECTIONS: [Section; 9] = [
    ("Server", server_section),
    ("Clients", clients_section),
    ("Memory", memory_section),
    ("Persistence", persistence_section),
    ("Stats", stats_section),
    ("Replication", replication_section),
    ("CPU", cpu_section),
    ("Cluster", cluster_section),
    ("Keyspace", keyspace_section),
];

fn info(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let asked = |name: &str| {
        let words = ["all", "everything"];
        args.from(1).iter().any(|a| {
            a.eq_ignore_ascii_case(name.as_bytes())
                || words.iter().any(|w| a.eq_ignore_ascii_case(w.as_bytes()))
        })
    };
    let default = args.len() == 1 || args.from(1).iter().any(|a| a.eq_ignore_ascii_case(b"default"));
    let mut out = String::new();
    for (name, section) in SECTIONS.into_iter().filter(|(name, _)| default || asked(name)) {
        if !out.is_empty() {
            out.push_str("\r\n");
        }
        let _ = write!(out, "# {name}\r\n");
        section(server, &mut out);
    }
    client.reply.verbatim(out);
}

macro_rules! lines {
    ($out:expr, $($name:literal: $value:expr),+ $(,)?) => {{
        $(let _ = write!($out, concat!($name, ":{}\r\n"), $value);)+
    }};
}

fn server_section(server: &Server, out: &mut String) {
    let uptime = server.started.elapsed().as_secs();
    let file = server.config.file.as_ref().map(|f| f.display().to_string()).unwrap_or_default();
    let binary = std::env::current_exe().map(|p| p.display().to_string()).unwrap_or_default();
    lines!(out,
        "redis_version": REDIS_VERSION,
        "redis_git_sha1": "00000000",
        "redis_git_dirty": 0,
        "redis_build_id": "0",
        "redis_mode": if server.cluster_enabled() { "cluster" } else { "standalone" },
        "slotproof_version": env!("CARGO_PKG_VERSION"),
        "os": format_args!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        "arch_bits": usize::BITS,
        "multiplexing_api": "epoll",
        "process_id": std::process::id(),
        "run_id": server.run_id,
        "tcp_port": server.port,
        "server_time_usec": unix_micros(),
        "uptime_in_seconds": uptime,
        "uptime_in_days": uptime / 86400,
        "hz": server.config.int("hz"),
        "configured_hz": server.config.int("hz"),
        "executable": binary,
        "config_file": file,
        "io_threads_active": 0,
    );
}

fn clients_section(server: &Server, out: &mut String) {
    lines!(out,
        "connected_clients": server.clients.len(),
        "cluster_connections": 0,
        "maxclients": server.config.int("maxclients"),
        "blocked_clients": 0,
        "tracking_clients": 0,
        "clients_in_timeout_table": 0,
    );
}

fn memory_section(server: &Server, out: &mut String) {
    let resident = resident_bytes();
    lines!(out,
        "used_memory": resident,
        "used_memory_human": human(resident),
        "used_memory_rss": resident,
        "used_memory_rss_human": human(resident),
        "maxmemory": server.config.int("maxmemory"),
        "maxmemory_human": human(server.config.int("maxmemory").max(0) as u64),
        "maxmemory_policy": server.config.text("maxmemory-policy"),
        "mem_allocator": "libc",
    );
}

fn persistence_section(_: &Server, out: &mut String) {
    lines!(out, "loading": 0, "rdb_bgsave_in_progress": 0, "aof_enabled": 0, "aof_rewrite_in_progress": 0);
}

fn stats_section(server: &Server, out: &mut String) {
    let stats = &server.stats;
    lines!(out,
        "total_connections_received": stats.connections,
        "total_commands_processed": stats.commands,
        "total_net_input_bytes": stats.input_bytes,
        "total_net_output_bytes": stats.output_bytes,
        "rejected_connections": stats.rejected,
        "expired_keys": server.dbs.iter().map(|db| db.expired()).sum::<u64>(),
        "evicted_keys": 0,
        "keyspace_hits": stats.hits,
        "keyspace_misses": stats.misses,
        "migrate_cached_sockets": server.sockets.len(),
        "total_error_replies": stats.errors,
    );
}

fn replication_section(server: &Server, out: &mut String) {
    match server.master() {
        None => lines!(out, "role": "master"),
        // Until replication exists, a replica has no link to its master.
        Some((host, port)) => lines!(out,
            "role": "slave",
            "master_host": host,
            "master_port": port,
            "master_link_status": "down",
            "master_last_io_seconds_ago": -1,
            "master_sync_in_progress": 0,
            "slave_read_repl_offset": 0,
            "slave_repl_offset": 0,
            "slave_priority": server.config.int("replica-priority"),
            "slave_read_only": 1,
        ),
    }
    lines!(out,
        "connected_slaves": 0,
        "master_failover_state": "no-failover",
        "master_replid": server.run_id,
        "master_replid2": "0000000000000000000000000000000000000000",
        "master_repl_offset": 0,
        "second_repl_offset": -1,
        "repl_backlog_active": 0,
        "repl_backlog_size": server.config.int("repl-backlog-size"),
        "repl_backlog_first_byte_offset": 0,
        "repl_backlog_histlen": 0,
    );
}

fn cpu_section(_: &Server, out: &mut String) {
    let (user, system) = cpu_seconds();
    let _ = write!(out, "used_cpu_sys:{system:.6}\r\nused_cpu_user:{user:.6}\r\n");
}

fn cluster_section(server: &Server, out: &mut String) {
    lines!(out, "cluster_enabled": u8::from(server.cluster_enabled()));
}

fn keyspace_section(server: &Server, out: &mut String) {
    for (i, db) in server.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
        let _ = write!(out, "db{i}:keys={},expires={},avg_ttl=0\r\n", db.len(), db.expires());
    }
}

/// Resident memory (Linux; 0 elsewhere).
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|p| p.parse().ok()).unwrap_or(0);
    pages * 4096
}

/// Time used in user and system mode (Linux; 0 elsewhere). The kernel counts in hundredths.
fn cpu_seconds() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the program's name in brackets and may hold anything.
    let after = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let field = |i: usize| after.split_ascii_whitespace().nth(i).and_then(|f| f.parse::<f64>().ok());
    (field(11).unwrap_or(0.0) / 100.0, field(12).unwrap_or(0.0) / 100.0)
}

fn human(bytes: u64) -> String {
    match bytes as f64 {
        b if bytes >= 1 << 30 => format!("{:.2}G", b / (1u64 << 30) as f64),
        b if bytes >= 1 << 20 => format!("{:.2}M", b / (1u64 << 20) as f64),
        b if bytes >= 1 << 10 => format!("{:.2}K", b / 1024.0),
        _ => format!("{bytes}B"),
    }
}
