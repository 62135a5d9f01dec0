//! INFO (server.c `genRedisInfoString`).

use std::fmt::Write;

use super::{Spec, introspect};
use crate::keyspace::Keyspace;
use crate::resp::Args;
use crate::server::{Client, Server, unix_micros};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[Spec::new("info", -1, "loading stale", "slow dangerous", info)
    .tips("nondeterministic_output request_policy:all_shards response_policy:special")
    .about("server", "1.0.0", "Describes the server.")];

/// The version whose behaviour this is; clients choose features by it.
pub(crate) const REDIS_VERSION: &str = "7.0.15";

/// A section's name, how it is written, and whether it is shown without being asked for.
type Section = (&'static str, fn(&Server, &Client, &mut String), bool);

const SECTIONS: [Section; 13] = [
    ("Server", server_section, true),
    ("Clients", clients_section, true),
    ("Memory", memory_section, true),
    ("Persistence", persistence_section, true),
    ("Stats", stats_section, true),
    ("Replication", replication_section, true),
    ("CPU", cpu_section, true),
    ("Modules", modules_section, true),
    ("Commandstats", command_section, false),
    ("Errorstats", error_section, true),
    ("Latencystats", latency_section, false),
    ("Cluster", cluster_section, true),
    ("Keyspace", keyspace_section, true),
];

fn info(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let words = args.from(1);
    let has = |name: &str| words.iter().any(|a| a.eq_ignore_ascii_case(name.as_bytes()));
    let all = has("all") || has("everything");
    let default = words.is_empty() || has("default");
    let mut out = String::new();
    for (name, section, by_default) in SECTIONS {
        if !(all || default && by_default || has(name)) {
            continue;
        }
        if !out.is_empty() {
            out.push_str("\r\n");
        }
        let _ = write!(out, "# {name}\r\n");
        section(server, client, &mut out);
    }
    client.reply.verbatim(out);
}

macro_rules! lines {
    ($out:expr, $($name:literal: $value:expr),+ $(,)?) => {{
        $(let _ = write!($out, concat!($name, ":{}\r\n"), $value);)+
    }};
}

fn server_section(server: &Server, _: &Client, out: &mut String) {
    let uptime = server.started.elapsed().as_secs();
    let file = server.config.file.as_ref().map(|f| f.display().to_string()).unwrap_or_default();
    let notifies = matches!(server.config.bytes("supervised"), b"systemd" | b"auto");
    let supervised = match notifies && std::env::var_os("NOTIFY_SOCKET").is_some() {
        true => "systemd",
        false => "no",
    };
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
        "monotonic_clock": "POSIX clock_gettime",
        "multiplexing_api": "epoll",
        "process_supervised": supervised,
        "process_id": std::process::id(),
        "run_id": server.run_id,
        "tcp_port": server.port,
        "server_time_usec": unix_micros(),
        "uptime_in_seconds": uptime,
        "uptime_in_days": uptime / 86400,
        "hz": server.config.int("hz"),
        "configured_hz": server.config.int("hz"),
        "lru_clock": (server.now_ms / 1000) & 0xff_ffff,
        "executable": binary,
        "config_file": file,
        "io_threads_active": 0,
    );
}

fn clients_section(server: &Server, _: &Client, out: &mut String) {
    let blocked = server.clients.values().filter(|c| c.try_borrow().is_ok_and(|c| c.blocked.is_some()));
    let timed = server
        .clients
        .values()
        .filter(|c| c.try_borrow().is_ok_and(|c| c.blocked.is_some_and(|b| b.until_ms.is_some())));
    let (most_input, most_output) = server.stats.waiting.most(server.now_ms / 1000);
    lines!(out,
        "connected_clients": server.clients.len(),
        "cluster_connections": server.cluster.as_ref().map_or(0, |c| c.connections()),
        "maxclients": server.config.int("maxclients"),
        "client_recent_max_input_buffer": most_input,
        "client_recent_max_output_buffer": most_output,
        "blocked_clients": blocked.count(),
        "tracking_clients": 0,
        "clients_in_timeout_table": timed.count(),
    );
}

fn memory_section(server: &Server, me: &Client, out: &mut String) {
    let (resident, now) = (resident_bytes(), server.used_memory());
    let peak = server.stats.peak_memory.max(now);
    let (clients, total) = (super::memory::of_clients(server, Some(me)), total_memory());
    let baseline = server.baseline;
    let dataset = now.saturating_sub(baseline).saturating_sub(clients);
    let share = |part: usize, whole: usize| part as f64 * 100.0 / whole.max(1) as f64;
    let ratio = resident as f64 / now.max(1) as f64;
    let limit = server.config.int("maxmemory");
    lines!(out,
        "used_memory": now,
        "used_memory_human": human(now as u64),
        "used_memory_rss": resident,
        "used_memory_rss_human": human(resident),
        "used_memory_peak": peak,
        "used_memory_peak_human": human(peak as u64),
        "used_memory_peak_perc": format_args!("{:.2}%", share(now, peak)),
        "used_memory_overhead": baseline + clients,
        "used_memory_startup": baseline,
        "used_memory_dataset": dataset,
        "used_memory_dataset_perc": format_args!("{:.2}%", share(dataset, now.saturating_sub(baseline))),
        "total_system_memory": total,
        "total_system_memory_human": human(total),
        "used_memory_vm_eval": 0,
        "used_memory_lua": 0,
        "used_memory_lua_human": "0B",
        "used_memory_scripts_eval": 0,
        "number_of_cached_scripts": 0,
        "number_of_functions": 0,
        "number_of_libraries": 0,
        "used_memory_vm_functions": 0,
        "used_memory_vm_total": 0,
        "used_memory_vm_total_human": "0B",
        "used_memory_functions": 0,
        "used_memory_scripts": 0,
        "used_memory_scripts_human": "0B",
        "maxmemory": limit,
        "maxmemory_human": human(limit.unsigned_abs()),
        "maxmemory_policy": server.config.text("maxmemory-policy"),
        "mem_fragmentation_ratio": format_args!("{ratio:.2}"),
        "mem_fragmentation_bytes": resident as i64 - now as i64,
        "mem_not_counted_for_evict": 0,
        "mem_replication_backlog": 0,
        "mem_total_replication_buffers": 0,
        "mem_clients_slaves": 0,
        "mem_clients_normal": clients,
        "mem_cluster_links": server.cluster.as_ref().map_or(0, |c| c.link_memory()),
        "mem_aof_buffer": 0,
        "mem_allocator": "libc",
        "active_defrag_running": 0,
        "lazyfree_pending_objects": server.garbage.pending(),
        "lazyfreed_objects": server.garbage.freed(),
    );
}

fn persistence_section(server: &Server, _: &Client, out: &mut String) {
    lines!(out,
        "loading": 0,
        "async_loading": 0,
        "current_cow_peak": 0,
        "current_cow_size": 0,
        "current_cow_size_age": 0,
        "current_fork_perc": "0.00",
        "current_save_keys_processed": 0,
        "current_save_keys_total": 0,
        "rdb_changes_since_last_save": server.dbs.iter().map(Keyspace::changes).sum::<u64>(),
        "rdb_bgsave_in_progress": 0,
        // As in Redis, the start counts as a save.
        "rdb_last_save_time": server.started_unix,
        "rdb_last_bgsave_status": "ok",
        "rdb_last_bgsave_time_sec": -1,
        "rdb_current_bgsave_time_sec": -1,
        "rdb_saves": 0,
        "rdb_last_cow_size": 0,
        "rdb_last_load_keys_expired": 0,
        "rdb_last_load_keys_loaded": 0,
        "aof_enabled": 0,
        "aof_rewrite_in_progress": 0,
        "aof_rewrite_scheduled": 0,
        "aof_last_rewrite_time_sec": -1,
        "aof_current_rewrite_time_sec": -1,
        "aof_last_bgrewrite_status": "ok",
        "aof_rewrites": 0,
        "aof_rewrites_consecutive_failures": 0,
        "aof_last_write_status": "ok",
        "aof_last_cow_size": 0,
        "module_fork_in_progress": 0,
        "module_fork_last_cow_size": 0,
    );
}

fn stats_section(server: &Server, _: &Client, out: &mut String) {
    let stats = &server.stats;
    let [commands, input, output, dumps] = server.rates.per_second();
    let exceeded = stats.exceeded_since.map_or(0, |since| server.now_ms - since);
    let (channels, patterns, shard) = server.pubsub.totals();
    lines!(out,
        "total_connections_received": stats.connections,
        "total_commands_processed": stats.commands,
        "instantaneous_ops_per_sec": commands as u64,
        "total_net_input_bytes": stats.input_bytes,
        "total_net_output_bytes": stats.output_bytes,
        "total_net_repl_input_bytes": 0,
        "total_net_repl_output_bytes": stats.dump_bytes,
        "instantaneous_input_kbps": format_args!("{:.2}", input / 1024.0),
        "instantaneous_output_kbps": format_args!("{:.2}", output / 1024.0),
        "instantaneous_input_repl_kbps": "0.00",
        "instantaneous_output_repl_kbps": format_args!("{:.2}", dumps / 1024.0),
        "rejected_connections": stats.rejected,
        "sync_full": stats.full_dumps,
        "sync_partial_ok": 0,
        "sync_partial_err": 0,
        "expired_keys": server.dbs.iter().map(Keyspace::expired).sum::<u64>(),
        "expired_time_cap_reached_count": stats.expire_cut,
        "expire_cycle_cpu_milliseconds": stats.expiring.as_millis(),
        "evicted_keys": stats.evicted,
        "evicted_clients": 0,
        "total_eviction_exceeded_time": stats.exceeded_ms + exceeded,
        "current_eviction_exceeded_time": exceeded,
        "keyspace_hits": stats.hits,
        "keyspace_misses": stats.misses,
        "pubsub_channels": channels,
        "pubsub_patterns": patterns,
        "pubsubshard_channels": shard,
        "latest_fork_usec": 0,
        "total_forks": 0,
        "migrate_cached_sockets": server.sockets.len(),
        "slave_expires_tracked_keys": 0,
        "active_defrag_hits": 0,
        "active_defrag_misses": 0,
        "active_defrag_key_hits": 0,
        "active_defrag_key_misses": 0,
        "total_active_defrag_time": 0,
        "current_active_defrag_time": 0,
        "tracking_total_keys": 0,
        "tracking_total_items": 0,
        "tracking_total_prefixes": 0,
        "unexpected_error_replies": 0,
        "total_error_replies": stats.errors,
        "dump_payload_sanitizations": 0,
        "total_reads_processed": stats.reads,
        "total_writes_processed": stats.writes,
        "io_threaded_reads_processed": 0,
        "io_threaded_writes_processed": 0,
        "client_query_buffer_limit_disconnections": stats.query_limit_disconnections,
        "client_output_buffer_limit_disconnections": stats.output_limit_disconnections,
        "reply_buffer_shrinks": 0,
        "reply_buffer_expands": 0,
    );
}

fn modules_section(_: &Server, _: &Client, _: &mut String) {}

fn command_section(server: &Server, _: &Client, out: &mut String) {
    for command in introspect::everything() {
        let Some(s) = server.stats.of_commands.get(command.id).filter(|s| s.calls + s.rejected > 0) else {
            continue;
        };
        let mean = s.micros as f64 / s.calls.max(1) as f64;
        let _ = write!(
            out,
            "cmdstat_{}:calls={},usec={},usec_per_call={mean:.2},rejected_calls={},failed_calls={}\r\n",
            command.full_name, s.calls, s.micros, s.rejected, s.failed
        );
    }
}

fn error_section(server: &Server, _: &Client, out: &mut String) {
    for (code, count) in &server.stats.error_codes {
        let _ = write!(out, "errorstat_{code}:count={count}\r\n");
    }
}

fn latency_section(server: &Server, _: &Client, out: &mut String) {
    let percentiles = server.config.text("latency-tracking-info-percentiles").into_owned();
    for command in introspect::everything() {
        let Some(times) = server.stats.of_commands.get(command.id).and_then(|s| s.times.as_ref()) else {
            continue;
        };
        let of = |p: &str| Some(format!("p{p}={:.3}", times.percentile(p.parse().ok()?)));
        let all: Vec<String> = percentiles.split(' ').filter_map(of).collect();
        let _ = write!(out, "latency_percentiles_usec_{}:{}\r\n", command.full_name, all.join(","));
    }
}

fn replication_section(server: &Server, _: &Client, out: &mut String) {
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
        "master_replid": server.replication_id,
        "master_replid2": "0000000000000000000000000000000000000000",
        "master_repl_offset": 0,
        "second_repl_offset": -1,
        "repl_backlog_active": 0,
        "repl_backlog_size": server.config.int("repl-backlog-size"),
        "repl_backlog_first_byte_offset": 0,
        "repl_backlog_histlen": 0,
    );
}

fn cpu_section(_: &Server, _: &Client, out: &mut String) {
    let ([user, system, user_of_children, system_of_children], [main_user, main_system, ..]) =
        (cpu_seconds("self"), cpu_seconds("thread-self"));
    lines!(out,
        "used_cpu_sys": format_args!("{system:.6}"),
        "used_cpu_user": format_args!("{user:.6}"),
        "used_cpu_sys_children": format_args!("{system_of_children:.6}"),
        "used_cpu_user_children": format_args!("{user_of_children:.6}"),
        "used_cpu_sys_main_thread": format_args!("{main_system:.6}"),
        "used_cpu_user_main_thread": format_args!("{main_user:.6}"),
    );
}

fn cluster_section(server: &Server, _: &Client, out: &mut String) {
    lines!(out, "cluster_enabled": u8::from(server.cluster_enabled()));
}

fn keyspace_section(server: &Server, _: &Client, out: &mut String) {
    for (i, db) in server.dbs.iter().enumerate().filter(|(_, db)| !db.is_empty()) {
        let (keys, expires, ttl) = (db.len(), db.expires(), db.mean_ttl(server.now_ms));
        let _ = write!(out, "db{i}:keys={keys},expires={expires},avg_ttl={ttl}\r\n");
    }
}

/// Resident memory (Linux; 0 elsewhere).
pub(super) fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|p| p.parse().ok()).unwrap_or(0);
    pages * 4096
}

/// The memory of the machine (Linux; 0 elsewhere).
fn total_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:")).unwrap_or_default();
    line.trim().split(' ').next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Time that the process or the thread used in user and in system mode, and the same of children that ended (Linux; 0
/// elsewhere). The kernel tells it in hundredths.
fn cpu_seconds(whose: &str) -> [f64; 4] {
    let stat = std::fs::read_to_string(format!("/proc/{whose}/stat")).unwrap_or_default();
    // The second field is the program's name in brackets and may hold anything.
    let after = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let field = |i: usize| after.split_ascii_whitespace().nth(i).and_then(|f| f.parse::<f64>().ok());
    [11, 12, 13, 14].map(|i| field(i).unwrap_or(0.0) / 100.0)
}

fn human(bytes: u64) -> String {
    match bytes as f64 {
        b if bytes >= 1 << 30 => format!("{:.2}G", b / (1u64 << 30) as f64),
        b if bytes >= 1 << 20 => format!("{:.2}M", b / (1u64 << 20) as f64),
        b if bytes >= 1 << 10 => format!("{:.2}K", b / 1024.0),
        _ => format!("{bytes}B"),
    }
}
