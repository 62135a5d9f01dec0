//! The `slotproof` command-line tool.

mod cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A Redis Cluster whose protocol is model-checked.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Check(cli::check::Check),
    Cluster(cli::cluster::Cluster),
    Conform(cli::conform::Conform),
    /// Check the protocol, run a cluster of it, reshard it under load, and replay what it did.
    Demo(cli::demo::Demo),
    #[command(hide = true)]
    Reshard(cli::reshard::Reshard),
    /// Run a server; its arguments are those of redis-server.
    #[command(disable_help_flag = true)]
    Node {
        /// A configuration file and options.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Check(args) => cli::check::run(&args),
        Command::Cluster(args) => cli::cluster::run(&args),
        Command::Conform(args) => cli::conform::run(&args),
        Command::Demo(args) => cli::demo::run(&args),
        Command::Reshard(args) => cli::reshard::run(&args),
        Command::Node { args } => slotproof_node::run(&args),
    }
}
