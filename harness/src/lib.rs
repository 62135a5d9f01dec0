//! Clusters of real nodes, traces, conformance and reports; the library behind the `slotproof` tool.

pub mod cluster;
pub mod conform;
pub mod reshard;
pub mod resp;
