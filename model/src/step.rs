//! The one entry point: an input goes in, effects come out.

use crate::config::{Config, Keyspace};
use crate::effect::Effects;
use crate::input::Input;
use crate::state::NodeState;

impl NodeState {
    /// Takes one input: changes this state, and appends to `out` what the shell is to do, in order.
    pub fn step(&mut self, config: &Config, input: Input, keys: &impl Keyspace, out: &mut Effects) {
        let _ = (config, input, keys, out);
    }
}
