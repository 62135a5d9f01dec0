//! Clusters of real nodes, traces, conformance and reports; the library behind the `slotproof` tool.
