//! What a heartbeat says: of its sender, and of others.

use crate::address::Flags;
use crate::config::{Config, Keyspace};
use crate::effect::{Effect, Stamp, To};
use crate::id::{NodeId, mix64};
use crate::input::{Dice, Receipt};
use crate::message::{Body, GossipEntry, Header, Heartbeat, Message};
use crate::state::{NodeState, Peer};
use crate::step::{Step, fault};

/// The most nodes a table takes; more are not learned. Redis has no such bound, and recommends at most 1000.
pub(crate) const MAX_NODES: usize = 16_384;

impl NodeState {
    /// What every message of mine says of me now (cluster.c `clusterBuildMessageHdr`, 7.0:2834). A replica with a known
    /// master speaks of that master's slots and epoch.
    pub fn header(&self, config: &Config) -> Header {
        let me = self.myself();
        let about = me.master.filter(|_| me.is_replica()).and_then(|m| self.peer(&m)).unwrap_or(me);
        Header {
            sender: self.me,
            current_epoch: self.current_epoch,
            config_epoch: about.config_epoch,
            offset: me.offset,
            slots: about.slots.clone(),
            master: me.master.filter(|_| me.is_replica()),
            address: config.announce.clone(),
            flags: me.flags,
            state_ok: self.state_ok,
            paused: false,
            force_ack: false,
        }
    }

    /// The nodes that the random part of a gossip section may name (cluster.c `clusterSendPing`, 7.0:2925), whoever
    /// receives it. Redis also leaves out nodes without slots to which it has no connection at the moment.
    pub fn gossip_candidates(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.peers.iter().filter(|p| self.may_gossip(p)).map(|p| p.id)
    }

    /// The entries that every gossip section ends with: those of nodes that I suspect.
    pub fn gossip_pfail(&self) -> impl Iterator<Item = GossipEntry> + '_ {
        let unusable = Flags::HANDSHAKE.with(Flags::NOADDR);
        self.peers.iter().filter(move |p| p.is_pfail() && !p.flags.any(unusable)).map(entry)
    }

    /// The entry that names this node, if it is in the table.
    pub fn gossip_entry(&self, id: &NodeId) -> Option<GossipEntry> {
        self.peer(id).map(entry)
    }

    fn may_gossip(&self, p: &Peer) -> bool {
        p.id != self.me && !p.flags.any(Flags::PFAIL.with(Flags::HANDSHAKE).with(Flags::NOADDR))
    }

    /// A PING, PONG or MEET of this moment.
    pub(crate) fn heartbeat(
        &self,
        kind: Heartbeat,
        to: Option<NodeId>,
        dice: Dice,
        config: &Config,
    ) -> Box<Message> {
        let mut gossip = self.random_gossip(to, dice, config);
        gossip.extend(self.gossip_pfail());
        let body = Body::Heartbeat { kind, gossip, hostname: config.hostname.clone() };
        Box::new(Message { header: self.header(config), body })
    }

    /// Up to max(3, N/10) entries, by at most three times as many picks.
    fn random_gossip(&self, to: Option<NodeId>, dice: Dice, config: &Config) -> Vec<GossipEntry> {
        let Dice::Roll(bits) = dice else { return Vec::new() };
        let mut random = (bits as u64) ^ mix64((bits >> 64) as u64);
        let nodes = self.peers.len();
        let mut fresh = nodes.saturating_sub(2);
        let wanted = (nodes / 10).max(3).min(fresh);
        let mut taken: Vec<usize> = Vec::with_capacity(wanted);
        for _ in 0..3 * wanted {
            if fresh == 0 || taken.len() == wanted {
                break;
            }
            random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let i = (mix64(random) % nodes as u64) as usize;
            let p = &self.peers[i];
            let skipped = config.rules.gossip_excludes_receiver && to == Some(p.id);
            if p.id == self.me || p.is_pfail() || skipped {
                continue;
            }
            if !self.may_gossip(p) {
                fresh -= 1;
                continue;
            }
            if !taken.contains(&i) {
                taken.push(i);
                fresh -= 1;
            }
        }
        taken.into_iter().map(|i| entry(&self.peers[i])).collect()
    }

    /// My connection to a peer is up: it hears a MEET if it is to learn of me, else a PING (7.0:2673).
    pub(crate) fn link_up(&mut self, peer: &NodeId, dice: Dice, cx: &mut Step<'_, impl Keyspace>) {
        let Some(i) = self.index(peer).filter(|&i| self.peers[i].id != self.me) else { return };
        let meet = self.peers[i].flags.any(Flags::MEET);
        let kind = if meet { Heartbeat::Meet } else { Heartbeat::Ping };
        let message = self.heartbeat(kind, Some(*peer), dice, cx.config);
        cx.out.push(Effect::Send { to: To::Outbound(*peer), message });
        if meet && cx.config.rules.meet_once {
            let p = self.peer_at(i);
            p.flags = p.flags.without(Flags::MEET);
        }
    }

    /// This peer's turn to be pinged has come. Nodes in handshake hear only what comes first on a connection.
    pub(crate) fn heartbeat_due(&mut self, to: &NodeId, dice: Dice, cx: &mut Step<'_, impl Keyspace>) {
        let exempt = Flags::MYSELF.with(Flags::HANDSHAKE).with(Flags::NOADDR);
        if self.peer(to).is_some_and(|p| !p.flags.any(exempt)) {
            let message = self.heartbeat(Heartbeat::Ping, Some(*to), dice, cx.config);
            cx.out.push(Effect::Send { to: To::Outbound(*to), message });
        }
    }

    /// A PONG that nobody asked for, to every node with a connection (cluster.c `clusterBroadcastPong`).
    pub(crate) fn broadcast_pong(&self, dice: Dice, cx: &mut Step<'_, impl Keyspace>) {
        let others = self.peers.iter().filter(|p| p.id != self.me && !p.in_handshake());
        for (n, p) in others.enumerate() {
            let dice = match dice {
                Dice::Roll(bits) => Dice::Roll(bits.wrapping_add(n as u128)),
                Dice::Least => Dice::Least,
            };
            let message = self.heartbeat(Heartbeat::Pong, Some(p.id), dice, cx.config);
            cx.out.push(Effect::Send { to: To::Outbound(p.id), message });
        }
    }

    /// Reads what a heartbeat says of others (cluster.c `clusterProcessGossipSection`, 7.0:1653). `sender` is none for a
    /// stranger, who is believed nothing but pong times and addresses.
    pub(crate) fn gossip(
        &mut self,
        sender: Option<NodeId>,
        entries: &[GossipEntry],
        receipt: &Receipt,
        cx: &mut Step<'_, impl Keyspace>,
    ) {
        for (n, e) in entries.iter().enumerate() {
            let news = receipt.pong_news.get(n).copied().unwrap_or(false);
            match self.index(&e.node) {
                Some(i) => self.gossip_of_known(i, e, sender, news, cx),
                None => self.gossip_of_unknown(e, sender, cx),
            }
        }
    }

    fn gossip_of_known(
        &mut self,
        i: usize,
        e: &GossipEntry,
        sender: Option<NodeId>,
        news: bool,
        cx: &mut Step<'_, impl Keyspace>,
    ) {
        let down = Flags::PFAIL.with(Flags::FAIL);
        let rules = cx.config.rules;
        let myself = e.node == self.me;
        if myself && rules.gossip_ignores_myself {
            return;
        }
        let reporter = sender.and_then(|s| self.peer(&s)).filter(|s| s.is_master());
        let counted = reporter.filter(|s| rules.slotless_masters_report || s.is_voting()).map(|s| s.id);
        if let Some(reporter) = counted.filter(|_| !myself) {
            if e.flags.any(down) {
                self.add_report(i, reporter, cx);
            } else if self.remove_report(&e.node, &reporter) {
                cx.out.push(Effect::Cancel(crate::input::Timer::ReportExpires { subject: e.node, reporter }));
            }
        }
        let p = &self.peers[i];
        if !e.flags.any(down) && news && p.reports.is_empty() {
            cx.out.push(Effect::Stamp { node: e.node, stamp: Stamp::PongAdopted(e.pong_received) });
        }
        let a = &e.address;
        let moved = p.address.ip != a.ip || p.address.port != a.port || p.address.cport != a.cport;
        if p.flags.any(down) && !e.flags.any(down.with(Flags::NOADDR)) && moved {
            cx.out.push(Effect::Disconnect(e.node));
            let p = self.peer_at(i);
            p.address = a.clone();
            p.flags = p.flags.without(Flags::NOADDR);
            self.routes_changed();
        }
    }

    /// A node I do not know, named by one that I know: into the table, with the flags as they are.
    fn gossip_of_unknown(
        &mut self,
        e: &GossipEntry,
        sender: Option<NodeId>,
        cx: &mut Step<'_, impl Keyspace>,
    ) {
        let refused = e.flags.any(Flags::NOADDR) || self.blacklist.contains(&e.node);
        if sender.is_none() || refused || self.peers.len() >= MAX_NODES {
            return;
        }
        if fault!(cx.config, GossipMeetsUnknown) {
            if !self.peers.iter().any(|p| p.in_handshake() && p.address == e.address) {
                self.start_handshake(e.address.clone(), Flags::MEET, Dice::Least, cx);
            }
            return;
        }
        let flags = e.flags.without(Flags::MYSELF.with(Flags::HANDSHAKE).with(Flags::MEET));
        self.insert_peer(Peer::new(e.node, e.address.clone(), flags, cx.config.slots));
    }
}

fn entry(p: &Peer) -> GossipEntry {
    GossipEntry { node: p.id, address: p.address.clone(), flags: p.flags, ping_sent: 0, pong_received: 0 }
}
