//! `slotproof demo`: check, run, reshard under load, replay.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use slotproof::check::check;
use slotproof::demo::{Plan, run as story, traces};
use slotproof_model::check::scenario::Scenario;

use super::{check::summary, out};

/// Worlds of each family that are explored in seconds; `slotproof check` runs them all.
const WORLDS: [&str; 9] = [
    "gossip-2",
    "gossip-collision",
    "fd-3-crash",
    "fd-5-crash",
    "fd-3-cut-out",
    "migration-resume",
    "migration-crash",
    "migration-h09",
    "migration-last-slot",
];

/// Sizes of the run.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Keys to load.
    #[arg(long, default_value_t = 100_000)]
    keys: u32,
    /// Slots to move.
    #[arg(long, default_value_t = 1_000)]
    slots: u16,
    /// Clients.
    #[arg(long, default_value_t = 8)]
    clients: u32,
    /// What the clients do is drawn from this number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep the traces in this directory.
    #[arg(long)]
    keep: Option<std::path::PathBuf>,
}

pub(crate) fn run(args: &Demo) -> ExitCode {
    match all(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            out::mistake(e);
            ExitCode::FAILURE
        }
    }
}

fn all(args: &Demo) -> Result<bool, Box<dyn std::error::Error>> {
    let begun = Instant::now();
    let mut good = true;
    out::line(
        "1. The protocol, explored to the end (an expected violation is a known hazard of redis 7.0's rules)",
    );
    for name in WORLDS {
        let scenario = Scenario::built_in(name)?;
        let checked = check(&scenario, 2, |states, _, depth, _| {
            out::passing(format_args!("{name}: {states} states, depth {depth}"));
        })?;
        out::passed();
        out::line(format_args!("   {}", summary(&checked)));
        good &= checked.as_expected();
    }
    out::line(format_args!("2. A real cluster of the same transitions (seed {})", args.seed));
    let plan =
        Plan { keys: args.keys, slots: args.slots.max(3), clients: args.clients.max(1), seed: args.seed };
    let tool = std::env::current_exe()?;
    let story = story(&tool, plan, |text| out::line(format_args!("   {text}")))?;
    out::line(format_args!(
        "   loaded at {:.0} keys/s; {} slots with {} keys reached the new node in {:.1} s under {:.0} operations/s",
        story.fill_rate, story.slots_at_target, story.keys_moved, story.reshard_seconds, story.load_rate
    ));
    let (verdict, detours) = (&story.verdict, story.detours);
    out::line(format_args!(
        "   {} writes and {} deletions acknowledged, {} of unknown outcome, {} reads; {} MOVED and {} ASK followed",
        verdict.writes, verdict.deletions, verdict.unknown, verdict.reads, detours.moved, detours.asked
    ));
    match verdict.violations.as_slice() {
        [] => out::line("   no acknowledged write is lost, no deleted key is back, no read is out of order"),
        some => some.iter().take(10).for_each(|v| out::line(format_args!("   VIOLATED: {v}"))),
    }
    good &= verdict.violations.is_empty() && story.slots_at_target == usize::from(plan.slots);
    out::line("3. What the nodes did, replayed through the model");
    let found = traces(&story)?;
    if let Some(keep) = &args.keep {
        std::fs::create_dir_all(keep)?;
        for trace in &found {
            std::fs::copy(trace, keep.join(trace.file_name().unwrap_or_default()))?;
        }
    }
    match slotproof::conform::conform(&found) {
        Ok(report) => {
            good &= report.violations.is_empty();
            out::line(format_args!("   {}", report.to_string().trim_end().replace('\n', "\n   ")));
        }
        Err(difference) => {
            good = false;
            out::line(format_args!("   MISMATCH: {difference}"));
        }
    }
    let verdict = if good { "as it should be" } else { "NOT as it should be" };
    out::line(format_args!("All in {:.0} s: {verdict}", begun.elapsed().as_secs_f64()));
    Ok(good)
}
