//! A Redis Cluster node around the transitions of `slotproof-model`.
#![forbid(unsafe_code)]

pub mod config;
pub mod dump;
pub mod keyspace;
pub mod resp;
