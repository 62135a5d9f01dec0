//! The Redis serialization protocol: requests in, replies out.
//!
//! A request is never copied: its arguments are ranges of the read buffer. A reply is never built as a
//! tree: it is written to the client's output buffer.

mod long_double;
mod number;
mod reply;
mod request;

pub use long_double::LongDouble;
pub use number::{double_text, parse_f64, parse_i64, score_text};
pub use reply::{Protocol, Reply};
pub use request::{Args, Limits, OwnedArgs, Parser, ProtocolError};
pub(crate) use request::{quote, split_quoted};
