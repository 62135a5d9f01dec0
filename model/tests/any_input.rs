//! Whatever comes in, in whatever order: no panic, a table that agrees with itself, a digest that was kept up.

use quickcheck::{Arbitrary, Gen, QuickCheck};
use slotproof_model::{
    Address, Body, Command, Config, Dice, Effect, Effects, Epoch, Flags, GossipEntry, Header, Heartbeat,
    Input, Keyspace, Link, Message, NodeId, NodeState, Receipt, Rules, SetSlot, Slot, SlotList, SlotSet,
    Timer,
};

const SLOTS: u16 = 4;

/// A keyspace that has keys in odd slots.
struct Odd;

impl Keyspace for Odd {
    fn keys_in_slot(&self, slot: Slot) -> u64 {
        (slot.index() % 2) as u64
    }

    fn total_keys(&self) -> u64 {
        2
    }
}

#[derive(Clone, Debug)]
struct Any(Input);

fn id(g: &mut Gen) -> NodeId {
    // Few names, so that they meet; name 0 is the node itself; placeholders are among them.
    match *g.choose(&[0, 1, 2, 3, 4, 5, 9]).unwrap() {
        9 => NodeId::parse(format!("{}{}", "h".repeat(36), "0000").as_bytes()).unwrap(),
        n => NodeId::from_seed(n),
    }
}

fn epoch(g: &mut Gen) -> Epoch {
    Epoch(*g.choose(&[0, 0, 1, 2, 3, u64::MAX]).unwrap())
}

fn slots(g: &mut Gen) -> SlotSet {
    SlotSet::from_words([u64::arbitrary(g) % 16].into())
}

fn slot(g: &mut Gen) -> Slot {
    Slot::new(*g.choose(&[0, 1, 2, 3, 4, 16383]).unwrap())
}

fn address(g: &mut Gen) -> Address {
    let ip = *g.choose(&["", "10.0.0.1", "10.0.0.2"]).unwrap();
    Address { ip: ip.into(), port: *g.choose(&[0, 7000]).unwrap(), pport: 0, cport: 17000 }
}

fn dice(g: &mut Gen) -> Dice {
    if bool::arbitrary(g) { Dice::Least } else { Dice::Roll(u128::arbitrary(g)) }
}

fn message(g: &mut Gen) -> Message {
    let master = bool::arbitrary(g).then(|| id(g)).filter(|_| bool::arbitrary(g));
    let header = Header {
        sender: id(g),
        current_epoch: epoch(g),
        config_epoch: epoch(g),
        offset: 0,
        slots: slots(g),
        master,
        address: address(g),
        flags: Flags(u16::arbitrary(g)),
        state_ok: bool::arbitrary(g),
        paused: false,
        force_ack: false,
    };
    let gossip = (0..u8::arbitrary(g) % 4)
        .map(|_| GossipEntry {
            node: id(g),
            address: address(g),
            flags: Flags(u16::arbitrary(g)),
            ping_sent: 0,
            pong_received: 1,
        })
        .collect();
    let kind = *g.choose(&[Heartbeat::Ping, Heartbeat::Pong, Heartbeat::Meet]).unwrap();
    let body = match u8::arbitrary(g) % 8 {
        0 => Body::Fail(id(g)),
        1 | 2 => Body::Update { node: id(g), config_epoch: epoch(g), slots: slots(g) },
        3 => Body::AuthRequest,
        _ => Body::Heartbeat { kind, gossip, hostname: bool::arbitrary(g).then(|| "host".into()) },
    };
    Message { header, body }
}

fn node(g: &mut Gen) -> Result<NodeId, Box<str>> {
    if u8::arbitrary(g).is_multiple_of(8) { Err("nobody".into()) } else { Ok(id(g)) }
}

fn command(g: &mut Gen) -> Command {
    let list =
        |g: &mut Gen| SlotList { slots: (0..u8::arbitrary(g) % 3).map(|_| slot(g)).collect(), then: None };
    match u8::arbitrary(g) % 12 {
        0 => Command::Meet { ip: "10.0.0.2".into(), port: 7000, cport: i64::arbitrary(g) },
        1 | 2 => Command::AddSlots(list(g)),
        3 => Command::DelSlots(list(g)),
        4 => Command::Forget(node(g)),
        5 => Command::Replicate(node(g)),
        6 => Command::BumpEpoch,
        7 => Command::SetConfigEpoch(i64::arbitrary(g)),
        8 => Command::Reset { hard: bool::arbitrary(g) },
        _ => {
            let n = node(g);
            let action = match u8::arbitrary(g) % 4 {
                0 => SetSlot::Migrating(n),
                1 => SetSlot::Importing(n),
                2 => SetSlot::Stable,
                _ => SetSlot::Node(n),
            };
            Command::SetSlot { slot: slot(g), action }
        }
    }
}

impl Arbitrary for Any {
    fn arbitrary(g: &mut Gen) -> Self {
        Self(match u8::arbitrary(g) % 8 {
            0 => Input::LinkUp { peer: id(g), dice: dice(g) },
            1 => Input::HeartbeatDue { to: id(g), dice: dice(g) },
            2 => Input::Timer(match u8::arbitrary(g) % 6 {
                0 => Timer::HandshakeExpires(id(g)),
                1 => Timer::ReportExpires { subject: id(g), reporter: id(g) },
                2 => Timer::BlacklistExpires(id(g)),
                3 => Timer::StartupDelay,
                4 => Timer::RejoinDelay,
                _ => Timer::PongOverdue(id(g)),
            }),
            3 | 4 => Input::Command { command: command(g), dice: dice(g) },
            _ => {
                let link = match u8::arbitrary(g) % 3 {
                    0 => Link::Outbound(id(g)),
                    1 => Link::Inbound(Some(id(g))),
                    _ => Link::Inbound(None),
                };
                let receipt = Receipt {
                    from_ip: "10.0.0.2".into(),
                    local_ip: "10.0.0.1".into(),
                    fail_expired: bool::arbitrary(g),
                    import_settled: bool::arbitrary(g),
                    pong_news: vec![true, false],
                };
                Input::Receive { link, message: Box::new(message(g)), receipt, dice: dice(g) }
            }
        })
    }
}

/// What must hold of a node's table whatever it was told.
fn sane(state: &NodeState) {
    let ids: Vec<NodeId> = state.peers().iter().map(|p| p.id).collect();
    assert!(ids.is_sorted() && ids.contains(&state.me()), "sorted, and I am in it");
    for p in state.peers() {
        assert_eq!(p.slots.len(), usize::from(p.slot_count));
        assert!(!(p.is_master() && p.is_replica()) || p.id != state.me(), "I have one role");
        assert!(p.master != Some(p.id), "nobody follows itself");
        assert!(p.slots.iter().all(|s| state.owner(s).map(|o| o.id) == Some(p.id)), "the two tables agree");
        assert_eq!(p.flags.any(Flags::MYSELF), p.id == state.me());
    }
    let owned = (0..SLOTS).filter(|&s| state.owner(Slot::new(s)).is_some()).count();
    let mine = |slot: &Slot| state.owner(*slot).is_some_and(|p| p.id == state.me());
    assert!(state.settling().keys().all(mine), "what I keep from its source is mine");
    assert_eq!(owned, state.peers().iter().map(|p| usize::from(p.slot_count)).sum::<usize>());
}

/// Persist first and once; a reply to each command and to nothing else.
fn orderly(input: &Input, out: &Effects) {
    let persists: Vec<usize> = out
        .0
        .iter()
        .enumerate()
        .filter(|(_, e)| matches!(e, Effect::Persist { .. }))
        .map(|(i, _)| i)
        .collect();
    assert!(persists.is_empty() || persists == [0], "{persists:?}");
    assert_eq!(out.reply().is_some(), matches!(input, Input::Command { .. }));
}

/// A trace holds inputs, effects and states: each comes back as it was, a state with its digest.
#[cfg(feature = "serde")]
fn written_and_read(state: &mut NodeState, input: &Input, out: &Effects) {
    fn again<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
        let bytes = postcard::to_stdvec(value).expect("written");
        postcard::from_bytes(&bytes).expect("read")
    }
    assert_eq!(again(input), *input);
    assert_eq!(again(&out.0), out.0);
    let mut read = again(state);
    assert_eq!(read, *state);
    assert_eq!(read.digest(), state.digest());
}

fn a_run_of_anything(inputs: Vec<Any>) -> bool {
    [Rules::redis_7_0(), Rules::hardened()].into_iter().for_each(|rules| a_run_by(rules, inputs.clone()));
    true
}

fn a_run_by(rules: Rules, inputs: Vec<Any>) {
    let config = Config { slots: SLOTS, rules, ..Config::default() };
    let mut state = NodeState::new(NodeId::from_seed(0), &config);
    let start = std::iter::once(Any(Input::Start));
    for Any(input) in start.chain(inputs) {
        let mut out = Effects::new();
        let mut again = state.clone();
        let mut follower = state.clone();
        let mut out_again = Effects::new();
        state.step(&config, input.clone(), &Odd, &mut out);
        again.step(&config, input.clone(), &Odd, &mut out_again);
        assert_eq!((&state, &out), (&again, &out_again), "a step is a function");
        follower.clone_from(&state);
        assert_eq!(follower, state, "a copy in place is a copy");
        sane(&follower);
        sane(&state);
        orderly(&input, &out);
        #[cfg(feature = "serde")]
        written_and_read(&mut state, &input, &out);
        let kept = state.digest();
        let restored = NodeState::from_saved(&state.saved(), &config);
        sane(&restored);
        assert_eq!(restored.me(), state.me());
        assert_eq!(again.digest(), kept);
        let _ = state.route_table(&config);
    }
}

#[test]
fn nothing_that_comes_in_breaks_a_node() {
    QuickCheck::new().rng(Gen::new(200)).tests(2_000).quickcheck(a_run_of_anything as fn(Vec<Any>) -> bool);
}
