//! MEMORY: what takes how much (object.c `memoryCommand`).

use super::{Spec, help, text};
use crate::memory::used;
use crate::resp::{Args, parse_i64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[Spec::new("memory", -2, "", "slow", memory_help)
    .about("server", "4.0.0", "Tells what takes how much memory.")
    .subs(MEMORY_SUBS)];

const TIPS: &str = "nondeterministic_output request_policy:all_shards response_policy:special";

static MEMORY_SUBS: &[Spec] = &[
    Spec::new("doctor", 2, "", "slow", doctor).tips(TIPS).about("server", "4.0.0", "Tells of problems."),
    Spec::new("help", 2, "loading stale", "slow", memory_help).about(
        "server",
        "4.0.0",
        "Lists the subcommands.",
    ),
    Spec::new("malloc-stats", 2, "", "slow", malloc_stats).tips(TIPS).about(
        "server",
        "4.0.0",
        "Describes the allocator.",
    ),
    Spec::new("purge", 2, "", "slow", purge)
        .tips("request_policy:all_shards response_policy:all_succeeded")
        .about("server", "4.0.0", "Asks the allocator to give memory back."),
    Spec::new("stats", 2, "", "slow", stats).tips(TIPS).about(
        "server",
        "4.0.0",
        "Answers what takes how much.",
    ),
    Spec::new("usage", -3, "readonly", "read slow", usage).keys(2, 2, 1, "RO").about(
        "server",
        "4.0.0",
        "<key> [SAMPLES <count>]: answers the bytes that a key and its value take.",
    ),
];

fn memory_help(_: &mut Server, client: &mut Client, args: Args<'_>) {
    help(client, "memory", args);
}

/// The memory of a key and its value: measured on a copy, so nothing is estimated, and SAMPLES has nothing to do.
fn usage(server: &mut Server, client: &mut Client, args: Args<'_>) {
    for i in (3..args.len()).step_by(2) {
        match args.get(i + 1).map(parse_i64) {
            Some(None) if args.is(i, "samples") => return client.reply.error(text::NOT_INT),
            Some(Some(0..)) if args.is(i, "samples") => {}
            _ => return client.reply.error(text::SYNTAX),
        }
    }
    let now = server.now_ms;
    let Some(value) = server.dbs[client.db].peek(&args[2], now) else { return client.reply.null() };
    let before = used();
    let copy = (Box::<[u8]>::from(&args[2]), value.clone());
    let size = used() - before + crate::keyspace::ENTRY_SIZE;
    drop(copy);
    client.reply.len(size);
}

/// The sum of what clients take, in bytes.
pub(super) fn of_clients(server: &Server, me: Option<&Client>) -> usize {
    let others = server.clients.values().filter_map(|c| c.try_borrow().ok().map(|c| c.memory()));
    others.sum::<usize>() + me.map_or(0, Client::memory)
}

fn stats(server: &mut Server, client: &mut Client, _: Args<'_>) {
    let now = server.used_memory();
    let peak = server.stats.peak_memory.max(now);
    let clients = of_clients(server, Some(client));
    let keys: usize = server.dbs.iter().map(crate::keyspace::Keyspace::len).sum();
    let data = now.saturating_sub(server.baseline);
    let lines: [(&str, i64); 8] = [
        ("peak.allocated", peak as i64),
        ("total.allocated", now as i64),
        ("startup.allocated", server.baseline as i64),
        ("clients.normal", clients as i64),
        ("keys.count", keys as i64),
        ("keys.bytes-per-key", data.checked_div(keys).unwrap_or(0) as i64),
        ("dataset.bytes", data.saturating_sub(clients) as i64),
        ("resident", super::info::resident_bytes() as i64),
    ];
    let reply = &mut client.reply;
    reply.map(lines.len() + 1);
    for (name, bytes) in lines {
        reply.bulk(name);
        reply.int(bytes);
    }
    reply.bulk("peak.percentage");
    reply.double(now as f64 * 100.0 / peak.max(1) as f64);
}

fn malloc_stats(_: &mut Server, client: &mut Client, _: Args<'_>) {
    client.reply.bulk("Stats not supported for the current allocator");
}

/// The system's allocator gives back what it can by itself.
fn purge(_: &mut Server, client: &mut Client, _: Args<'_>) {
    client.reply.ok();
}

fn doctor(server: &mut Server, client: &mut Client, _: Args<'_>) {
    let (now, limit) = (server.used_memory(), server.limits.max_memory);
    let text = if limit != usize::MAX && now > limit {
        format!("{now} bytes are in use, more than the {limit} of maxmemory.\n")
    } else {
        format!("{now} bytes are in use, {} at most so far.\n", server.stats.peak_memory.max(now))
    };
    client.reply.verbatim(text);
}
