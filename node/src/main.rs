//! The `slotproof-node` server.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    slotproof_node::run(&args)
}
