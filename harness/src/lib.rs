//! Clusters of real nodes, traces, conformance and reports; the library behind the `slotproof` tool.

pub mod check;
pub mod client;
pub mod cluster;
pub mod conform;
pub mod demo;
pub mod history;
pub mod load;
pub mod manager;
pub mod random;
pub mod reshard;
pub mod resp;
pub mod tools;
mod watchdog;
