//! Messages of clients, sent on to other nodes: who gets them (cluster.c `clusterPropagatePublish`, `clusterSendMessage`).

use crate::config::Keyspace;
use crate::effect::{Effect, To};
use crate::message::{Body, Message};
use crate::state::NodeState;
use crate::step::Step;

impl NodeState {
    /// PUBLISH: to every node but myself and those in handshake.
    pub(crate) fn publish(&mut self, channel: &[u8], message: &[u8], cx: &mut Step<'_, impl Keyspace>) {
        let body = Body::Publish { sharded: false, channel: channel.into(), message: message.into() };
        self.broadcast(body, cx);
    }

    /// SPUBLISH: to the other nodes of my shard, which is my master (or me) and its replicas.
    pub(crate) fn publish_to_shard(&self, channel: &[u8], message: &[u8], cx: &mut Step<'_, impl Keyspace>) {
        let myself = self.myself();
        let master = myself.master.filter(|_| myself.is_replica()).unwrap_or(myself.id);
        let header = self.header(cx.config);
        let in_shard = |id, of| id == master || of == Some(master);
        for p in self.peers() {
            if p.id != myself.id && in_shard(p.id, p.master.filter(|_| p.is_replica())) {
                let body = Body::Publish { sharded: true, channel: channel.into(), message: message.into() };
                let message = Box::new(Message { header: header.clone(), body });
                cx.out.push(Effect::Send { to: To::Outbound(p.id), message });
            }
        }
    }
}
