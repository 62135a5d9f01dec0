//! The subcommands, one file each.

pub(crate) mod check;
pub(crate) mod conform;
pub(crate) mod demo;
pub(crate) mod out;
pub(crate) mod reshard;
