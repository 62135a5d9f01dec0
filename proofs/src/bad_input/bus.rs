//! Bytes of the cluster bus.

use slotproof_model::wire::{GOSSIP_LEN, HEADER_LEN, decode, encode, frame_length, packet_type};
use slotproof_model::{
    Address, Body, Command, Config, Dice, Effect, Effects, Flags, GossipEntry, Header, Heartbeat, Input,
    Keyspace, Link, Message, NodeId, NodeState, Receipt, SLOTS, Slot, SlotList, SlotSet,
};

use super::nodes_conf::{saved_and_read, step};

/// Frames of one connection at most.
const FRAMES: usize = 8;
/// The longest frame that is taken.
const MAX_FRAME: usize = 1 << 20;

/// The first byte says on which connection of a running node the rest arrives: its own to a peer, one that a peer has opened, a
/// stranger's, its own to somebody it does not know yet. The frames are taken as they are cut by their lengths, and the whole also as one
/// frame whose signature, length and version are right.
///
/// - A frame is refused, or what it says is written and read as the same, in no more bytes.
/// - A node that receives it goes on: it knows itself, sends only what can be read, and reads what it saves.
///
/// # Panics
/// Where one of these does not hold.
pub fn bus(data: &[u8]) {
    let Some((&connection, stream)) = data.split_first() else { return };
    let mut node = BEGINNING.with(Clone::clone);
    let mut rest = stream;
    for _ in 0..FRAMES {
        match frame_length(rest, MAX_FRAME) {
            Ok(Some(len)) if len <= rest.len() => {
                assert!(len >= HEADER_LEN);
                node.frame(&rest[..len], connection);
                rest = &rest[len..];
            }
            Ok(_) => break,
            Err(e) => {
                assert!(e.to_string().len() < 200);
                break;
            }
        }
    }
    if stream.len() >= HEADER_LEN {
        let mut frame = stream.to_vec();
        frame[..4].copy_from_slice(b"RCmb");
        frame[4..8].copy_from_slice(&(stream.len() as u32).to_be_bytes());
        frame[8..10].copy_from_slice(&1u16.to_be_bytes());
        assert_eq!(frame_length(&frame, frame.len()), Ok(Some(frame.len())));
        node.frame(&frame, connection);
    }
    node.sane();
}

thread_local! {
    /// What every run begins with.
    static BEGINNING: Node = Node::new();
}

/// The names of the node itself, of two known peers, and of one that nobody knows.
fn name(n: u128) -> NodeId {
    NodeId::from_seed(n)
}

/// A node with two peers, slots, and a handshake.
#[derive(Clone)]
struct Node {
    state: NodeState,
    config: Config,
    /// The placeholder of the handshake.
    stranger: NodeId,
    /// Its file has been written since the beginning.
    saved: bool,
}

/// Keys in every other slot.
struct EveryOther;

impl Keyspace for EveryOther {
    fn keys_in_slot(&self, slot: Slot) -> u64 {
        (slot.index() % 2) as u64
    }

    fn total_keys(&self) -> u64 {
        u64::from(SLOTS / 2)
    }
}

impl Node {
    fn new() -> Self {
        let config = Config { announce: address(7000), ..Config::default() };
        let mut state = NodeState::new(name(0), &config);
        step(&mut state, &config, Input::Start, &EveryOther);
        let list = SlotList { slots: (0..100).map(Slot::new).collect(), then: None };
        let meet = Command::Meet { ip: "10.0.0.9".into(), port: 7009, cport: 17009 };
        let mut node = Self { state, config, stranger: name(9), saved: false };
        for command in [Command::AddSlots(list), meet] {
            node.step(Input::Command { command, dice: Dice::Roll(3) });
        }
        let in_handshake = node.state.peers().iter().find(|p| p.in_handshake()).map(|p| p.id);
        node.stranger = in_handshake.expect("somebody is met");
        // Two nodes become known: they answer to a MEET.
        for n in [1, 2] {
            let meet = Command::Meet {
                ip: address(7000 + n).ip,
                port: i64::from(7000 + n),
                cport: i64::from(17000 + n),
            };
            let before: Vec<NodeId> = node.state.peers().iter().map(|p| p.id).collect();
            node.step(Input::Command { command: meet, dice: Dice::Roll(u128::from(n) + 100) });
            let new = node.state.peers().iter().map(|p| p.id).find(|id| !before.contains(id));
            let link = Link::Outbound(new.expect("a handshake begins"));
            node.receive(link, heartbeat(Heartbeat::Pong, n));
            assert!(node.state.peer(&name(u128::from(n))).is_some_and(|p| !p.in_handshake()));
        }
        node
    }

    fn step(&mut self, input: Input) -> Effects {
        step(&mut self.state, &self.config, input, &EveryOther)
    }

    fn receive(&mut self, link: Link, message: Message) -> Effects {
        let receipt = Receipt {
            from_ip: "10.0.0.3".into(),
            local_ip: "10.0.0.1".into(),
            fail_expired: message.header.offset & 1 == 1,
            import_settled: message.header.offset & 2 == 2,
            pong_news: vec![true; 4],
        };
        self.step(Input::Receive { link, message: Box::new(message), receipt, dice: Dice::Roll(5) })
    }

    fn frame(&mut self, frame: &[u8], connection: u8) {
        assert!(packet_type(frame).is_some());
        let message = match decode(frame) {
            Ok(message) => message,
            Err(e) => return assert!(e.to_string().len() < 200),
        };
        let written = encode(&message);
        assert!(written.len() <= frame.len(), "{} bytes become {}", frame.len(), written.len());
        assert_eq!(decode(&written).as_ref(), Ok(&message));
        if let Body::Heartbeat { gossip, .. } = &message.body {
            assert!(gossip.len() <= (frame.len() - HEADER_LEN) / GOSSIP_LEN);
        }
        let link = match connection % 5 {
            0 => Link::Outbound(name(1)),
            1 => Link::Inbound(Some(name(1))),
            2 => Link::Inbound(None),
            3 => Link::Outbound(self.stranger),
            _ => Link::Inbound(Some(name(7))),
        };
        let claims_me = message.header.sender == name(0);
        let effects = self.receive(link, message);
        self.saved |= effects.0.iter().any(|e| matches!(e, Effect::Persist { .. }));
        for effect in &effects.0 {
            if let Effect::Send { message, .. } = effect {
                assert_eq!(decode(&encode(message)).as_ref(), Ok(&**message), "what is sent can be read");
                assert_eq!(message.header.sender, name(0));
            }
        }
        if claims_me && connection % 5 == 2 {
            assert!(!effects.0.iter().any(|e| matches!(e, Effect::TieInbound(_) | Effect::Removed(_))));
        }
    }

    fn sane(&self) {
        let state = &self.state;
        assert_eq!(state.me(), name(0));
        assert!(state.peers().is_sorted_by(|a, b| a.id < b.id));
        for peer in state.peers() {
            assert_eq!(peer.slots.len(), usize::from(peer.slot_count));
            assert!(peer.slots.iter().all(|s| state.owner(s).map(|o| o.id) == Some(peer.id)));
        }
        if self.saved {
            saved_and_read(state);
        }
    }
}

fn address(port: u16) -> Address {
    Address { ip: format!("10.0.0.{}", port % 100).into(), port, pport: 0, cport: port + 10_000 }
}

/// What peer 1 or 2 says in the beginning: that it is a master of some slots, and that it knows the other one.
pub fn heartbeat(kind: Heartbeat, n: u16) -> Message {
    let mut slots = SlotSet::new(SLOTS);
    (n * 1000..n * 1000 + 100).for_each(|s| {
        slots.insert(Slot::new(s));
    });
    let header = Header {
        sender: name(u128::from(n)),
        current_epoch: slotproof_model::Epoch(5),
        config_epoch: slotproof_model::Epoch(u64::from(n)),
        offset: 0,
        slots,
        master: None,
        address: address(7000 + n),
        flags: Flags::MASTER,
        state_ok: true,
        paused: false,
        force_ack: false,
    };
    let gossip = vec![GossipEntry {
        node: name(u128::from(3 - n)),
        address: address(7000 + 3 - n),
        flags: Flags::MASTER,
        ping_sent: 0,
        pong_received: 12,
    }];
    Message { header, body: Body::Heartbeat { kind, gossip, hostname: None } }
}
