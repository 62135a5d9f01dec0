//! What explores the protocol (cargo feature `check`): nothing here is compiled into a node.

pub mod explore;
pub mod language;
pub mod properties;
pub mod scenario;
pub mod world;
