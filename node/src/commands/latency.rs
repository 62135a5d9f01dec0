//! LATENCY: spikes that were noted, and how long commands take (latency.c).

use std::fmt::Write;

use super::{Command, Spec, help, introspect};
use crate::resp::Args;
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[Spec::new("latency", -2, "", "slow", latency_help)
    .about("server", "2.8.13", "Looks at what took long.")
    .subs(LATENCY_SUBS)];

const TIPS: &str = "nondeterministic_output request_policy:all_nodes response_policy:special";
const FLAGS: &str = "admin noscript loading stale";
const ACL: &str = "admin slow dangerous";

static LATENCY_SUBS: &[Spec] = &[
    Spec::new("doctor", 2, FLAGS, ACL, doctor).tips(TIPS).about(
        "server",
        "2.8.13",
        "Describes the spikes in words.",
    ),
    Spec::new("graph", 3, FLAGS, ACL, graph).tips(TIPS).about(
        "server",
        "2.8.13",
        "<event>: draws the spikes of an event.",
    ),
    Spec::new("help", 2, "loading stale", "slow", latency_help).about(
        "server",
        "2.8.13",
        "Lists the subcommands.",
    ),
    Spec::new("histogram", -2, FLAGS, ACL, histogram).tips(TIPS).about(
        "server",
        "7.0.0",
        "[<command> ...]: answers how often commands took how long.",
    ),
    Spec::new("history", 3, FLAGS, ACL, history).tips(TIPS).about(
        "server",
        "2.8.13",
        "<event>: answers the spikes of an event.",
    ),
    Spec::new("latest", 2, FLAGS, ACL, latest).tips(TIPS).about(
        "server",
        "2.8.13",
        "Answers the last spike of each event.",
    ),
    Spec::new("reset", -2, FLAGS, ACL, reset)
        .tips("request_policy:all_nodes response_policy:all_succeeded")
        .about("server", "2.8.13", "[<event> ...]: forgets events."),
];

fn latency_help(_: &mut Server, client: &mut Client, args: Args<'_>) {
    help(client, "latency", args);
}

fn latest(server: &mut Server, client: &mut Client, _: Args<'_>) {
    let reply = &mut client.reply;
    reply.array(server.latency.events().len());
    for (name, event) in server.latency.events() {
        let (time, ms) = event.samples.back().copied().unwrap_or_default();
        reply.array(4);
        reply.bulk(name);
        reply.int(time);
        reply.int(ms as i64);
        reply.int(event.most as i64);
    }
}

fn history(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let reply = &mut client.reply;
    let Some(event) = server.latency.event(&args[2]) else { return reply.array(0) };
    reply.array(event.samples.len());
    for &(time, ms) in &event.samples {
        reply.array(2);
        reply.int(time);
        reply.int(ms as i64);
    }
}

fn reset(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let names: Vec<&[u8]> = args.from(2).iter().collect();
    let count = match names.is_empty() {
        true => server.latency.reset(None),
        false => names.iter().map(|name| server.latency.reset(Some(name))).sum(),
    };
    client.reply.len(count);
}

/// One line for each spike: how long ago, and a bar as long as it was.
fn graph(server: &mut Server, client: &mut Client, args: Args<'_>) {
    const WIDTH: u64 = 50;
    let Some(event) = server.latency.event(&args[2]) else {
        let name = String::from_utf8_lossy(&args[2]);
        return client.reply.error(format!("No samples available for event '{name}'"));
    };
    let mut text = format!("{} - high {} ms\n", String::from_utf8_lossy(&args[2]), event.most);
    for &(time, ms) in &event.samples {
        let bar = "#".repeat((ms * WIDTH / event.most.max(1)).max(1) as usize);
        let _ = writeln!(text, "{:>6}s ago {ms:>6} ms {bar}", server.now_ms / 1000 - time);
    }
    client.reply.verbatim(text);
}

fn doctor(server: &mut Server, client: &mut Client, _: Args<'_>) {
    let mut text = String::new();
    if server.limits.spike_ms == 0 {
        text.push_str(
            "The latency monitor is off: set latency-monitor-threshold to a number of milliseconds.\n",
        );
    } else if server.latency.events().len() == 0 {
        let _ = writeln!(text, "Nothing took {} ms or longer.", server.limits.spike_ms);
    }
    for (name, event) in server.latency.events() {
        let count = event.samples.len();
        let sum: u64 = event.samples.iter().map(|(_, ms)| ms).sum();
        let _ = writeln!(
            text,
            "{name}: {count} spikes, {} ms on average, {} ms the longest.",
            sum / count.max(1) as u64,
            event.most
        );
    }
    client.reply.verbatim(text);
}

fn histogram(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let mut wanted: Vec<&'static Command> = Vec::new();
    if args.len() == 2 {
        wanted = introspect::everything().collect();
    }
    for name in args.from(2).iter() {
        if let Some(command) = server.renamed.named(name) {
            wanted.push(command);
            wanted.extend(introspect::subs_of(command));
        }
    }
    let found: Vec<_> = wanted
        .into_iter()
        .filter_map(|command| Some((command, server.stats.of_commands.get(command.id)?.times.as_ref()?)))
        .collect();
    let reply = &mut client.reply;
    reply.map(found.len());
    for (command, times) in found {
        let buckets = times.cumulative();
        reply.bulk(command.full_name);
        reply.map(2);
        reply.bulk("calls");
        reply.int(times.total() as i64);
        reply.bulk("histogram_usec");
        reply.map(buckets.len());
        for (micros, count) in buckets {
            reply.int(micros as i64);
            reply.int(count as i64);
        }
    }
}
