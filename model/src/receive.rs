//! A received packet, in the order in which cluster.c `clusterProcessPacket` (7.0:2120) looks at it.

use crate::address::{Address, Flags};
use crate::config::Keyspace;
use crate::effect::{Effect, Stamp, To};
use crate::gossip::MAX_NODES;
use crate::id::NodeId;
use crate::input::{Delay, Dice, Link, Receipt, Timer};
use crate::message::{Body, GossipEntry, Header, Heartbeat, Message};
use crate::rules::Rules;
use crate::state::{NodeState, Peer};
use crate::step::{Step, fault};

/// A heartbeat as it is being read.
struct Beat<'a> {
    kind: Heartbeat,
    header: &'a Header,
    gossip: &'a [GossipEntry],
    hostname: &'a Option<Box<str>>,
    receipt: &'a Receipt,
}

impl NodeState {
    pub(crate) fn receive(
        &mut self,
        link: Link,
        message: &Message,
        receipt: &Receipt,
        dice: Dice,
        cx: &mut Step<'_, impl Keyspace>,
    ) {
        let header = &message.header;
        let sender = self.sender_of(link, header, cx);
        if let Some(id) = sender {
            self.header_of_known(&id, header, cx);
        }
        match &message.body {
            Body::Heartbeat { kind, gossip, hostname } => {
                let beat = Beat { kind: *kind, header, gossip, hostname, receipt };
                self.heartbeat_arrived(link, sender, &beat, dice, cx);
            }
            _ if sender.is_none() => {}
            Body::Fail(subject) => self.fail_message(subject, cx),
            Body::Update { node, config_epoch, slots } => {
                self.update_message(node, *config_epoch, slots, (receipt, dice), cx);
            }
            Body::Publish { sharded, channel, message } => cx.out.push(Effect::Deliver {
                sharded: *sharded,
                channel: channel.clone(),
                message: message.clone(),
            }),
            // Votes and manual failovers come with elections; types of other versions mean nothing here.
            Body::AuthRequest
            | Body::AuthAck
            | Body::ManualFailoverStart
            | Body::Module { .. }
            | Body::Other(_) => {}
        }
    }

    /// The known node that speaks: the one the connection belongs to, **whatever name the header carries** (by the rules of 7.0), else the one with
    /// that name, to whom the connection belongs from then on. Never myself: whoever carries my name is a mirror or a liar, and
    /// changes nothing of me (Redis takes it for me).
    fn sender_of(&self, link: Link, header: &Header, cx: &mut Step<'_, impl Keyspace>) -> Option<NodeId> {
        let speaker = self.speaker(link, &header.sender, &cx.config.rules);
        if let (Link::Inbound(tied), Some(id)) = (link, speaker)
            && tied != Some(id)
        {
            cx.out.push(Effect::TieInbound(id));
        }
        speaker
    }

    /// Who speaks in a message on `link` whose header names `sender`: the known node that it is taken to come from, if any.
    pub fn speaker(&self, link: Link, sender: &NodeId, rules: &Rules) -> Option<NodeId> {
        let known = |id: &NodeId| self.peer(id).is_some_and(|p| !p.in_handshake() && *id != self.me);
        let tied = match link {
            _ if !rules.link_names_sender => None,
            Link::Outbound(peer) => Some(peer),
            Link::Inbound(tied) => tied,
        };
        tied.filter(known).or(Some(*sender).filter(known))
    }

    /// What is taken from the header of every message of a known sender.
    fn header_of_known(&mut self, sender: &NodeId, header: &Header, cx: &Step<'_, impl Keyspace>) {
        self.current_epoch = self.current_epoch.max(header.current_epoch);
        let believed = cx.config.rules.replica_header_raises_epoch || header.master.is_none();
        let Some(peer) = self.peer_mut(sender) else { return };
        peer.offset = header.offset;
        let newer = header.config_epoch > peer.config_epoch;
        let backwards = header.config_epoch < peer.config_epoch && fault!(cx.config, EpochGoesBack);
        if believed && (newer || backwards) {
            peer.config_epoch = header.config_epoch;
            self.save_fsync();
        }
    }

    fn heartbeat_arrived(
        &mut self,
        link: Link,
        sender: Option<NodeId>,
        beat: &Beat<'_>,
        dice: Dice,
        cx: &mut Step<'_, impl Keyspace>,
    ) {
        if beat.kind != Heartbeat::Pong {
            self.learn_own_ip(beat, cx);
            if beat.kind == Heartbeat::Meet && sender.is_none() && beat.header.sender != self.me {
                self.meet_from_stranger(beat, dice, cx);
            }
            let message = self.heartbeat(Heartbeat::Pong, sender, dice, cx.config);
            cx.out.push(Effect::Send { to: To::SameLink, message });
        }
        let mut peer = None;
        if let Link::Outbound(to) = link {
            match self.who_answers(to, sender, beat, cx) {
                Some(id) => peer = Some(id),
                None => return,
            }
        }
        if let Some(id) = sender {
            let nofailover = beat.header.flags.any(Flags::NOFAILOVER);
            if let Some(p) = self.peer_mut(&id) {
                p.flags = p.flags.set(Flags::NOFAILOVER, nofailover);
            }
            if beat.kind == Heartbeat::Ping && self.address_changed(&id, link, beat, cx) {
                self.save_update();
            }
        }
        if let (Heartbeat::Pong, Some(i)) = (beat.kind, peer.and_then(|p| self.index(&p))) {
            cx.out.push(Effect::Stamp { node: self.peers[i].id, stamp: Stamp::PongReceived });
            self.pong_clears_failure(i, beat.receipt.fail_expired, cx);
        }
        if let Some(id) = sender {
            self.claims_of_known(id, beat.header, (beat.receipt, dice), cx);
            self.gossip(Some(id), beat.gossip, beat.receipt, cx);
            self.learn_hostname(&id, beat.hostname);
        }
    }

    /// Role, slots and epoch of a known sender.
    fn claims_of_known(
        &mut self,
        id: NodeId,
        header: &Header,
        receipt: (&Receipt, Dice),
        cx: &mut Step<'_, impl Keyspace>,
    ) {
        let Some(sender) = self.index(&id) else { return };
        self.sender_role(sender, header, cx);
        let p = &self.peers[sender];
        let recorded = if p.is_master() { Some(p) } else { p.master.and_then(|m| self.peer(&m)) };
        let dirty = recorded.is_some_and(|r| r.slots != header.slots);
        let is_master = p.is_master();
        if dirty && is_master {
            self.claim(id, header.config_epoch, &header.slots, receipt, cx);
        }
        if dirty && (is_master || cx.config.rules.update_answers_replicas) {
            self.answer_outdated_claim(id, header, cx);
        }
        if header.config_epoch == self.myself().config_epoch
            && let Some(sender) = self.index(&id)
        {
            self.resolve_collision(sender, cx);
        }
    }

    /// On a MEET, or while I have none, my address is the one that the sender reached me at, unless one is configured.
    fn learn_own_ip(&mut self, beat: &Beat<'_>, cx: &Step<'_, impl Keyspace>) {
        let wanted = beat.kind == Heartbeat::Meet || self.myself().address.ip.is_empty();
        let ip = &beat.receipt.local_ip;
        if wanted && cx.config.announce.ip.is_empty() && self.myself().address.ip != *ip && !ip.is_empty() {
            self.myself_mut().address.ip.clone_from(ip);
            self.routes_changed();
            self.save();
        }
    }

    /// A stranger wants to be known: a node in handshake at the address it speaks from. What it says of others can only
    /// refresh what I know. (Redis has no bound on how many strangers it takes in.)
    fn meet_from_stranger(&mut self, beat: &Beat<'_>, dice: Dice, cx: &mut Step<'_, impl Keyspace>) {
        if self.peers.len() < MAX_NODES {
            self.start_handshake(sender_address(beat), Flags::NONE, dice, cx);
            self.save();
        }
        self.gossip(None, beat.gossip, beat.receipt, cx);
    }

    pub(crate) fn start_handshake(
        &mut self,
        address: Address,
        extra: Flags,
        dice: Dice,
        cx: &mut Step<'_, impl Keyspace>,
    ) {
        let id = self.fresh_name(dice);
        self.insert_peer(Peer::new(id, address, Flags::HANDSHAKE.with(extra), cx.config.slots));
        self.arm(Timer::HandshakeExpires(id), Delay::Handshake, cx.out);
    }

    /// Something was heard on my own connection to `to`. A handshake ends; an established node that carries another name is not
    /// where I thought. The node of the connection from now on, or none if nothing more is to be read.
    fn who_answers(
        &mut self,
        to: NodeId,
        sender: Option<NodeId>,
        beat: &Beat<'_>,
        cx: &mut Step<'_, impl Keyspace>,
    ) -> Option<NodeId> {
        let name = beat.header.sender;
        let i = self.index(&to)?;
        if !self.peers[i].in_handshake() {
            if name == to {
                return Some(to);
            }
            let p = self.peer_at(i);
            p.flags = p.flags.with(Flags::NOADDR);
            p.address = Address::default();
            cx.out.push(Effect::Disconnect(to));
            self.routes_changed();
            self.save();
            return None;
        }
        if sender.is_some() || name == self.me {
            if let Some(id) = sender
                && self.address_changed(&id, Link::Outbound(to), beat, cx)
            {
                self.save_update();
            }
            self.remove_peer(&to, cx.out);
            return None;
        }
        self.rename_peer(&to, name, cx.out);
        let role = Flags(beat.header.flags.0 & Flags::MASTER.with(Flags::REPLICA).0);
        let p = self.peer_mut(&name)?;
        p.flags = p.flags.without(Flags::HANDSHAKE.with(Flags::MEET)).with(role);
        self.save();
        Some(name)
    }

    /// A known node speaks from elsewhere than its own connection would lead (cluster.c `nodeUpdateAddressIfNeeded`):
    /// follow it; whether it moved.
    fn address_changed(
        &mut self,
        id: &NodeId,
        link: Link,
        beat: &Beat<'_>,
        cx: &mut Step<'_, impl Keyspace>,
    ) -> bool {
        let address = sender_address(beat);
        let Some(i) = self.index(id).filter(|_| link != Link::Outbound(*id)) else { return false };
        if self.peers[i].address == address {
            return false;
        }
        let p = self.peer_at(i);
        p.address = address;
        p.flags = p.flags.without(Flags::NOADDR);
        cx.out.push(Effect::Disconnect(*id));
        self.routes_changed();
        if self.myself().is_replica() && self.myself().master == Some(*id) {
            cx.out.push(Effect::Replicate(Some(*id)));
        }
        true
    }

    /// The hostname extension; a packet without one clears what is recorded.
    fn learn_hostname(&mut self, id: &NodeId, hostname: &Option<Box<str>>) {
        if self.peer(id).is_some_and(|p| p.hostname != *hostname) {
            if let Some(p) = self.peer_mut(id) {
                p.hostname.clone_from(hostname);
            }
            self.routes_changed();
        }
    }
}

/// Where the sender is: at what it announces, else where it speaks from.
fn sender_address(beat: &Beat<'_>) -> Address {
    let announced = &beat.header.address;
    let ip = if announced.ip.is_empty() { beat.receipt.from_ip.clone() } else { announced.ip.clone() };
    Address { ip, ..announced.clone() }
}
