//! What strangers may send: for each kind of bytes that a node reads, one function that takes any bytes at all and asserts what
//! must hold of them. The fuzz targets (`proofs/fuzz`) and `proofs/tests/bad_input.rs` call the same functions.

mod bus;
mod mutate;
mod nodes_conf;
mod payloads;
mod requests;

pub use bus::{bus, heartbeat};
pub use mutate::Mutations;
pub use nodes_conf::nodes_conf;
pub use payloads::{payloads, sealed};
pub use requests::requests;

/// A check of arbitrary bytes.
pub type Target = fn(&[u8]);

/// Each target by its name, which is also that of its folder of seeds.
pub const TARGETS: [(&str, Target); 4] =
    [("requests", requests), ("bus", bus), ("payloads", payloads), ("nodes_conf", nodes_conf)];

/// The memory that this thread holds more than before `f`, in bytes, as long as its result is there.
fn held<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let before = slotproof_node::memory::used();
    let result = f();
    (result, slotproof_node::memory::used().saturating_sub(before))
}
