//! Round trips, every field wrong in turn, lengths that lie, every truncation.

use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::*;
use crate::address::{Address, Flags};
use crate::id::{Epoch, NodeId};
use crate::message::{GossipEntry, Header};
use crate::slot::{SLOTS, Slot, SlotSet};

fn arbitrary_id(g: &mut Gen) -> NodeId {
    let letters = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let bytes: Vec<u8> = (0..40).map(|_| *g.choose(letters).expect("not empty")).collect();
    NodeId::parse(&bytes).expect("letters and digits")
}

fn arbitrary_address(g: &mut Gen) -> Address {
    let ips = ["", "127.0.0.1", "fe80::1%eth0", "node-7.example.org", "?", &"9".repeat(45)];
    let ip = (*g.choose(&ips).expect("not empty")).into();
    Address { ip, port: u16::arbitrary(g), pport: u16::arbitrary(g), cport: u16::arbitrary(g) }
}

fn arbitrary_slots(g: &mut Gen) -> SlotSet {
    let mut set = SlotSet::new(SLOTS);
    for n in Vec::<u16>::arbitrary(g) {
        set.insert(Slot::new(n % SLOTS));
    }
    set
}

fn arbitrary_bytes(g: &mut Gen) -> Box<[u8]> {
    Vec::arbitrary(g).into()
}

fn one_role(flags: Flags) -> Flags {
    if flags.has_two_roles() { flags.without(Flags::REPLICA) } else { flags }
}

impl Arbitrary for Message {
    fn arbitrary(g: &mut Gen) -> Self {
        let header = Header {
            sender: arbitrary_id(g),
            current_epoch: Epoch(u64::arbitrary(g)),
            config_epoch: Epoch(u64::arbitrary(g)),
            offset: u64::arbitrary(g),
            slots: arbitrary_slots(g),
            master: bool::arbitrary(g).then(|| arbitrary_id(g)),
            address: arbitrary_address(g),
            flags: one_role(Flags(u16::arbitrary(g))),
            state_ok: bool::arbitrary(g),
            paused: bool::arbitrary(g),
            force_ack: bool::arbitrary(g),
        };
        let body = match u8::arbitrary(g) % 12 {
            n @ 0..=3 => Body::Heartbeat {
                kind: [Heartbeat::Ping, Heartbeat::Pong, Heartbeat::Meet, Heartbeat::Ping][usize::from(n)],
                gossip: Vec::<(u32, u32, u16)>::arbitrary(g)
                    .into_iter()
                    .map(|(ping_sent, pong_received, flags)| GossipEntry {
                        node: arbitrary_id(g),
                        address: arbitrary_address(g),
                        flags: one_role(Flags(flags)).without(Flags::MYSELF),
                        ping_sent,
                        pong_received,
                    })
                    .collect(),
                hostname: bool::arbitrary(g).then(|| "h".repeat(1 + usize::arbitrary(g) % 255).into()),
            },
            4 => Body::Fail(arbitrary_id(g)),
            5 => Body::Publish {
                sharded: bool::arbitrary(g),
                channel: arbitrary_bytes(g),
                message: arbitrary_bytes(g),
            },
            6 => Body::AuthRequest,
            7 => Body::AuthAck,
            8 => Body::Update {
                node: arbitrary_id(g),
                config_epoch: Epoch(u64::arbitrary(g)),
                slots: arbitrary_slots(g),
            },
            9 => Body::ManualFailoverStart,
            10 => Body::Module {
                id: [u8::arbitrary(g); 8],
                kind: u8::arbitrary(g),
                payload: arbitrary_bytes(g),
            },
            _ => Body::Other(u16::arbitrary(g).max(MESSAGE_TYPES as u16)),
        };
        Self { header, body }
    }
}

/// A message of each type, all fields set.
fn one_of_each() -> Vec<Message> {
    let mut slots = SlotSet::new(SLOTS);
    for s in [0, 7, 8, 5461, 16383] {
        slots.insert(Slot::new(s));
    }
    let id = NodeId::from_seed;
    let address = |n| Address { ip: "10.0.0.7".into(), port: n, pport: n + 1, cport: n + 10000 };
    let header = Header {
        sender: id(1),
        current_epoch: Epoch(0x0102_0304_0506_0708),
        config_epoch: Epoch(9),
        offset: 10,
        slots: slots.clone(),
        master: Some(id(2)),
        address: address(7000),
        flags: Flags::MYSELF.with(Flags::MASTER),
        state_ok: false,
        paused: true,
        force_ack: true,
    };
    let entry = |n: u128, flags| GossipEntry {
        node: id(n),
        address: address(8000),
        flags,
        ping_sent: 11,
        pong_received: 12,
    };
    let heartbeat = |kind, hostname| Body::Heartbeat {
        kind,
        gossip: vec![entry(3, Flags::MASTER), entry(4, Flags::FAIL)],
        hostname,
    };
    let bodies = [
        heartbeat(Heartbeat::Ping, None),
        heartbeat(Heartbeat::Pong, Some("node.example.org".into())),
        heartbeat(Heartbeat::Meet, Some("seven77".into())),
        Body::Fail(id(5)),
        Body::Publish { sharded: false, channel: (*b"news").into(), message: (*b"hello").into() },
        Body::AuthRequest,
        Body::AuthAck,
        Body::Update { node: id(6), config_epoch: Epoch(13), slots },
        Body::ManualFailoverStart,
        Body::Module { id: *b"moduleid", kind: 3, payload: (*b"payload").into() },
        Body::Publish { sharded: true, channel: (*b"shard").into(), message: (*b"").into() },
        Body::Other(11),
        Body::Other(0x8004),
    ];
    bodies.map(|body| Message { header: header.clone(), body }).into()
}

fn with(message: &Message, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = encode(message);
    change(&mut bytes);
    bytes
}

fn set_totlen(bytes: &mut [u8]) {
    let totlen = (bytes.len() as u32).to_be_bytes();
    bytes[at::TOTLEN..at::TOTLEN + 4].copy_from_slice(&totlen);
}

fn gossip_of(message: &Message) -> &[GossipEntry] {
    match &message.body {
        Body::Heartbeat { gossip, .. } => gossip,
        _ => panic!("a heartbeat"),
    }
}

#[test]
fn bytes_and_messages_round_trip() {
    for message in one_of_each() {
        assert_eq!(decode(&encode(&message)), Ok(message));
    }
    fn holds(message: Message) -> bool {
        let bytes = encode(&message);
        frame_length(&bytes, bytes.len()) == Ok(Some(bytes.len())) && decode(&bytes) == Ok(message)
    }
    QuickCheck::new().tests(2_000).quickcheck(holds as fn(Message) -> bool);
}

#[test]
fn fields_are_where_redis_has_them() {
    let messages = one_of_each();
    let bytes = encode(&messages[1]);
    assert_eq!(&bytes[..4], b"RCmb");
    assert_eq!(bytes.len(), 2256 + 2 * 104 + 8 + 24);
    assert_eq!(bytes[4..8], (bytes.len() as u32).to_be_bytes());
    assert_eq!(bytes[8..16], [0, 1, 0x1b, 0x58, 0, 1, 0, 2], "version, port 7000, PONG, two entries");
    assert_eq!(bytes[16..24], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(bytes[24..40], [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 10]);
    assert_eq!(bytes[40..80], *NodeId::from_seed(1).as_bytes());
    assert_eq!((bytes[80], bytes[81], bytes[80 + 682], bytes[80 + 2047]), (0x81, 1, 0x20, 0x80));
    assert_eq!(bytes[2128..2168], *NodeId::from_seed(2).as_bytes());
    assert_eq!(&bytes[2168..2177], b"10.0.0.7\0");
    assert_eq!(bytes[2214..2216], [0, 1]);
    assert!(bytes[2216..2246].iter().all(|&b| b == 0));
    assert_eq!(bytes[2246..2256], [0x1b, 0x59, 0x42, 0x68, 0, 17, 1, 7, 0, 0]);
    let entry = &bytes[2256..2360];
    assert_eq!(entry[40..48], [0, 0, 0, 11, 0, 0, 0, 12]);
    assert_eq!(&entry[48..57], b"10.0.0.7\0");
    assert_eq!(entry[94..104], [0x1f, 0x40, 0x46, 0x50, 0, 1, 0x1f, 0x41, 0, 0]);
    assert_eq!(&bytes[2464..2472], [0, 0, 0, 32, 0, 0, 0, 0]);
    assert_eq!(&bytes[2472..], b"node.example.org\0\0\0\0\0\0\0\0");
    let lengths: Vec<usize> = messages.iter().map(|m| encode(m).len()).collect();
    assert_eq!(lengths, [2464, 2496, 2480, 2296, 2273, 2256, 2256, 4352, 2256, 2276, 2269, 2256, 2256]);
    for (number, name) in TYPE_NAMES.iter().enumerate() {
        assert_eq!(usize::from(messages[number].type_number()), number, "{name}");
        assert_eq!(packet_type(&encode(&messages[number])), Some(number as u16));
    }
}

#[test]
fn the_first_eight_bytes_decide_on_the_link() {
    let bytes = encode(&one_of_each()[0]);
    for n in 0..8 {
        assert_eq!(frame_length(&bytes[..n], usize::MAX), Ok(None));
    }
    assert_eq!(frame_length(&bytes[..8], 2464), Ok(Some(2464)));
    let too_long = FrameError::TooLong { totlen: 2464, maximum: 2463 };
    assert_eq!(frame_length(&bytes, 2463), Err(too_long));
    assert_eq!(frame_length(b"RCmb\0\0\x08\xcf", usize::MAX), Err(FrameError::TooShort(2255)));
    assert_eq!(frame_length(b"RCmb\0\0\x08\xd0", usize::MAX), Ok(Some(2256)));
    let huge = FrameError::TooLong { totlen: u32::MAX, maximum: 1 << 20 };
    assert_eq!(frame_length(b"RCmb\xff\xff\xff\xff", 1 << 20), Err(huge));
    let http = frame_length(b"GET / HTTP/1.1", usize::MAX).expect_err("not the bus");
    assert_eq!(http.to_string(), "not a cluster bus message: it begins with \"GET \" instead of \"RCmb\"");
}

#[test]
fn every_truncation_and_every_extra_byte_is_an_error() {
    for message in one_of_each() {
        let whole = encode(&message);
        for n in 0..whole.len() {
            assert!(decode(&whole[..n]).is_err());
            // The same with a totlen that agrees: only an unknown type may be cut, behind its header.
            let mut cut = whole[..n].to_vec();
            if n >= 8 {
                set_totlen(&mut cut);
                assert!(decode(&cut).is_err(), "{} bytes of {:?}", n, message.body);
            }
        }
        let mut more = whole.clone();
        more.extend([0; 8]);
        assert!(decode(&more).is_err());
        set_totlen(&mut more);
        assert_eq!(decode(&more).is_ok(), matches!(message.body, Body::Other(_)));
    }
}

#[test]
fn any_byte_may_be_wrong() {
    // Whatever one byte becomes: no panic, and what is taken can be sent on and read again.
    for message in one_of_each() {
        let whole = encode(&message);
        for at in (0..80).chain(2120..whole.len()) {
            for value in [0, 1, 0x20, 0x7f, 0x80, 0xff, whole[at] ^ 1] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                if let Ok(read) = decode(&bytes) {
                    assert_eq!(decode(&encode(&read)), Ok(read));
                }
            }
        }
    }
}

#[test]
fn a_packet_of_another_version_is_dropped_silently() {
    let bytes = with(&one_of_each()[0], |b| b[9] = 2);
    let error = decode(&bytes).expect_err("version 2");
    assert_eq!(error, PacketError::Version(2));
    assert!(error.is_silent() && !PacketError::Hostname.is_silent());
}

#[test]
fn lengths_that_lie() {
    let messages = one_of_each();
    let claims_more_gossip = with(&messages[0], |b| b[15] = 3);
    assert_eq!(decode(&claims_more_gossip), Err(PacketError::Gossip { count: 3, room: 208 }));
    let claims_all = with(&messages[0], |b| b[14..16].fill(0xff));
    assert_eq!(decode(&claims_all), Err(PacketError::Gossip { count: 65535, room: 208 }));
    let claims_less = with(&messages[0], |b| b[15] = 1);
    assert_eq!(decode(&claims_less), Err(PacketError::Trailing(104)));
    // Two lengths whose 32-bit sum is right.
    let wraps = with(&messages[4], |b| {
        b[2256..2260].copy_from_slice(&0xffff_ffffu32.to_be_bytes());
        b[2260..2264].copy_from_slice(&10u32.to_be_bytes());
    });
    let expected = 8 + 0xffff_ffffu64 + 10;
    assert_eq!(decode(&wraps), Err(PacketError::Length { number: 4, expected, given: 17 }));
    let module = with(&messages[9], |b| b[2264..2268].fill(0xff));
    assert!(matches!(decode(&module), Err(PacketError::Length { number: 9, .. })));
    let framing = with(&messages[0], |b| b[7] += 1);
    assert_eq!(decode(&framing), Err(PacketError::Framing { totlen: 2465, given: 2464 }));
}

#[test]
fn extensions() {
    let pong = &one_of_each()[1];
    let hostname = |bytes: &[u8]| match decode(bytes)?.body {
        Body::Heartbeat { hostname, .. } => Ok(hostname.map(String::from)),
        body => panic!("{body:?}"),
    };
    let length = |n: u32| with(pong, |b| b[2464..2468].copy_from_slice(&n.to_be_bytes()));
    for n in [0, 4, 7, 31, 33, 0x8000_0001] {
        assert_eq!(hostname(&length(n)), Err(PacketError::ExtensionLength(n)));
    }
    assert_eq!(hostname(&length(40)), Err(PacketError::ExtensionRoom { length: 40, room: 32 }));
    // 7.0 takes the low 16 bits alone.
    let room = PacketError::ExtensionRoom { length: 0x1_0020, room: 32 };
    assert_eq!(hostname(&length(0x1_0020)), Err(room));
    assert_eq!(hostname(&length(24)), Err(PacketError::Hostname), "no zero byte at its end");
    let two = |b: &mut Vec<u8>| b[2215] = 2;
    assert_eq!(hostname(&with(pong, two)), Err(PacketError::ExtensionHeader { room: 0 }));
    let none = |b: &mut Vec<u8>| b[2215] = 0;
    assert_eq!(hostname(&with(pong, none)), Err(PacketError::Trailing(32)));
    // Without the bit, the count means nothing.
    assert_eq!(hostname(&with(pong, |b| b[2253] = 0)), Err(PacketError::Trailing(32)));
    let without = with(&one_of_each()[0], |b| b[2215] = 9);
    assert_eq!(hostname(&without), Ok(None));
    // Redis 8 sets the bit also where there is none.
    assert_eq!(hostname(&with(&one_of_each()[0], |b| b[2253] |= 4)), Ok(None));
    // An unknown one is skipped, before and behind; of two hostnames the last counts.
    let many = with(pong, |b| {
        b.splice(2464..2464, *b"\0\0\0\x30\0\x03\0\0shard-id-shard-id-shard-id-shard-id-shar");
        b.extend(b"\0\0\0\x10\0\0\0\0last\0\0\0\0");
        b.extend(b"\0\0\0\x08\0\x63\0\0");
        b[2215] = 4;
        set_totlen(b);
    });
    assert_eq!(hostname(&many), Ok(Some("last".into())));
    let empty = with(pong, |b| b[2472] = 0);
    assert_eq!(hostname(&empty), Ok(None));
    for bad in [b' ', b'\n', b',', b'"', 0xc3] {
        assert_eq!(hostname(&with(pong, |b| b[2474] = bad)), Err(PacketError::Hostname));
    }
    let long = |len: usize| {
        let mut message = pong.clone();
        if let Body::Heartbeat { hostname, .. } = &mut message.body {
            *hostname = Some("h".repeat(len).into());
        }
        hostname(&encode(&message)).map(|h| h.map_or(0, |h| h.len()))
    };
    assert_eq!(long(255), Ok(255));
    assert_eq!(long(256), Err(PacketError::Hostname));
}

#[test]
fn names_and_addresses() {
    let messages = one_of_each();
    let name = |n: usize, at: usize| decode(&with(&messages[n], |b| b[at] = b'A'));
    assert_eq!(name(0, 40), Err(PacketError::Name("sender")));
    assert_eq!(name(0, 2128), Err(PacketError::Name("master")));
    assert_eq!(name(3, 2256), Err(PacketError::Name("failing node")));
    assert_eq!(name(7, 2264), Err(PacketError::Name("owner")));
    let no_sender = with(&messages[0], |b| b[40..80].fill(0));
    assert_eq!(decode(&no_sender), Err(PacketError::Name("sender")));
    let a_master = with(&messages[0], |b| b[2128..2168].fill(0));
    assert_eq!(decode(&a_master).expect("well formed").header.master, None);
    assert_eq!(decode(&with(&messages[0], |b| b[2169] = b'\n')), Err(PacketError::Address));
    assert_eq!(decode(&with(&messages[0], |b| b[2251] |= 3)), Err(PacketError::TwoRoles));
    // 46 bytes without a zero: the last one is taken for it.
    let full = decode(&with(&messages[0], |b| b[2168..2214].fill(b'1'))).expect("well formed");
    assert_eq!(&*full.header.address.ip, "1".repeat(45));
}

#[test]
fn a_gossip_entry_that_nobody_meant_is_left_out() {
    let ping = &one_of_each()[0];
    let second = 2256 + 104;
    let wrong: [fn(&mut [u8]); 4] = [|e| e[0] = 0, |e| e[50] = b' ', |e| e[99] |= 16, |e| e[99] |= 3];
    for change in wrong {
        let read = decode(&with(ping, |b| change(&mut b[second..]))).expect("the rest is used");
        assert_eq!(gossip_of(&read), &gossip_of(ping)[..1]);
    }
}

#[test]
fn a_small_set_of_slots_is_filled_up() {
    let mut message = one_of_each().swap_remove(0);
    message.header.slots = SlotSet::new(2);
    message.header.slots.insert(Slot::new(1));
    let read = decode(&encode(&message)).expect("well formed");
    assert_eq!(read.header.slots.iter().collect::<Vec<_>>(), [Slot::new(1)]);
    assert_eq!(read.header.slots.words().len(), 256);
}
