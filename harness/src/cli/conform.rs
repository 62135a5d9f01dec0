//! `slotproof conform`: replays traces through the model.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::out;

/// Replay traces of real nodes through the model, and compare every effect and digest.
#[derive(Args, Debug)]
pub(crate) struct Conform {
    /// Traces, or directories that hold them.
    #[arg(required = true)]
    traces: Vec<PathBuf>,
}

pub(crate) fn run(args: &Conform) -> ExitCode {
    let found = match slotproof::conform::find(&args.traces) {
        Ok(found) if !found.is_empty() => found,
        Ok(_) => {
            out::mistake("no trace there");
            return ExitCode::from(2);
        }
        Err(e) => {
            out::mistake(e);
            return ExitCode::from(2);
        }
    };
    match slotproof::conform::conform(&found) {
        Ok(report) => {
            out::line(&report);
            if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(difference) => {
            out::line(difference);
            ExitCode::FAILURE
        }
    }
}
