//! A Redis Cluster node around the transitions of `slotproof-model`.
//!
//! The data plane: requests come in through [`resp`], are looked up and run by [`commands`] on the
//! [`keyspace`], all inside one [`server::Server`]. The cluster hangs in where [`server::ClusterHook`] is.
#![deny(unsafe_code)]

mod cluster;
pub mod commands;
pub mod config;
pub mod dump;
pub mod keyspace;
pub mod memory;
pub mod resp;
pub mod server;
pub mod trace;

pub use cluster::run;
