//! The cluster as the commands see it.

use slotproof_model::{Input, Slot};

use super::settings::core_config;
use super::{bus, show};
use crate::resp::Args;
use crate::server::{Client, ClusterHook, Server};
use crate::trace::Event;

/// A handle on the node.
pub(super) struct Hook(pub(super) bus::Node);

impl ClusterHook for Hook {
    fn command(&mut self, server: &mut Server, client: &mut Client, args: Args<'_>) {
        show::command(&mut self.0.borrow_mut(), server, client, args);
    }

    fn config_changed(&mut self, server: &mut Server, names: &[&'static str]) -> Result<(), String> {
        if names.iter().any(|n| n.starts_with("cluster-") || *n == "port") {
            let mut cluster = self.0.borrow_mut();
            let before = cluster.node_timeout;
            cluster.read_limits(server);
            let timeout = cluster.node_timeout;
            if timeout != before {
                cluster.traced(|t| t.write(Event::NodeTimeout(timeout)));
            }
            let config = core_config(server);
            if config != cluster.config {
                cluster.config = config.clone();
                cluster.traced(|t| t.write(Event::Config(Box::new(config))));
                cluster.input(server, Input::Reconfigured, None);
            }
        }
        Ok(())
    }

    fn master(&self) -> Option<(String, u16)> {
        let cluster = self.0.borrow();
        let me = cluster.core.myself();
        let master = me.master.filter(|_| me.is_replica())?;
        let address = cluster.core.peer(&master).map(|p| p.address.clone()).unwrap_or_default();
        Some((address.ip.into(), address.port))
    }

    fn publish(&mut self, server: &mut Server, sharded: bool, channel: &[u8], message: &[u8]) {
        let mut cluster = self.0.borrow_mut();
        if channel.len() + message.len() > bus::MAX_PUBLISHED {
            return cluster
                .log
                .warning("A message is too long for the cluster bus: other nodes do not get it");
        }
        let input = Input::Publish { sharded, channel: channel.into(), message: message.into() };
        cluster.input(server, input, None);
    }

    fn connections(&self) -> usize {
        self.0.borrow().links.len()
    }

    fn link_memory(&self) -> usize {
        self.0.borrow().links.memory()
    }

    fn keys_migrated(&mut self, slot: Slot, keys: u64) {
        self.0.borrow_mut().traced(|t| t.write(Event::Migrated { slot, keys }));
    }

    fn key_restored(&mut self, slot: Slot) {
        self.0.borrow_mut().traced(|t| t.write(Event::Restored { slot }));
    }

    fn shutdown(&mut self, _: &mut Server) {
        let mut cluster = self.0.borrow_mut();
        cluster.end_trace(true);
        cluster.trace = None;
        cluster.write_file(true);
    }
}
