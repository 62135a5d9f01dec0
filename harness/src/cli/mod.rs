//! The subcommands, one file each.

pub(crate) mod check;
pub(crate) mod cluster;
pub(crate) mod conform;
mod console;
pub(crate) mod demo;
pub(crate) mod out;
pub(crate) mod reshard;
