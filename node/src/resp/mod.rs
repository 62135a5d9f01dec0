//! The Redis serialization protocol: requests in, replies out.
//!
//! A request is never copied: its arguments are ranges of the read buffer. A reply is never built as a
//! tree: it is written to the client's output buffer.

mod number;
mod reply;
mod request;

pub use number::{parse_f64, parse_i64};
pub use reply::{Protocol, Reply};
pub(crate) use request::split_quoted;
pub use request::{Args, Limits, OwnedArgs, Parser, ProtocolError};
