//! The operator of the demo as a process of its own, so that it can really be killed.

use std::process::ExitCode;

use clap::Args;

use super::out;

/// Finish open slots, then move slots to a node.
#[derive(Args, Debug)]
pub(crate) struct Reshard {
    /// A node of the cluster, `ip:port`.
    entry: String,
    /// The name of the node that gets the slots.
    #[arg(long)]
    to: String,
    /// The slots, as ranges: `0-99,5461-5560`.
    #[arg(long)]
    slots: String,
}

pub(crate) fn run(args: &Reshard) -> ExitCode {
    let Some(slots) = slotproof::reshard::ranges(&args.slots) else {
        out::mistake(format_args!("--slots {:?}: ranges of slots, like 0-99,200", args.slots));
        return ExitCode::from(2);
    };
    match slotproof::reshard::reshard(&args.entry, None, &args.to, &slots, |slot, keys| {
        out::line(format_args!("slot {slot} keys={keys}"))
    }) {
        Ok(moved) => {
            out::line(format_args!(
                "done resumed={} slots={} keys={}",
                moved.resumed, moved.slots, moved.keys
            ));
            ExitCode::SUCCESS
        }
        Err(e) => {
            out::mistake(e);
            ExitCode::FAILURE
        }
    }
}
