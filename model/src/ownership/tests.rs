//! A target outbids its source: what is remembered, what makes it rise, and what ends it.

use crate::{
    Address, Body, Command, Config, Dice, Effect, Effects, Epoch, Flags, Header, Heartbeat, Input, Link,
    Message, NoKeys, NodeId, NodeState, Peer, Receipt, Reply, Rules, Slot, SlotSet, Stamp, To,
};

const SLOTS: u16 = 4;

fn id(n: u128) -> NodeId {
    NodeId::from_seed(n)
}

fn source() -> NodeId {
    id(1)
}

fn third() -> NodeId {
    id(2)
}

/// A node that has slot 2 at epoch 3, the greatest that it knows of; its source has the slots 0 and 1 at epoch 1, a third node 3 at 2.
struct Target {
    config: Config,
    state: NodeState,
    /// Whether what it imported is long ago.
    settled: bool,
}

impl Target {
    fn new(rules: Rules) -> Self {
        let config = Config { slots: SLOTS, rules, ..Config::default() };
        let mut state = NodeState::new(id(0), &config);
        for (who, epoch) in [(source(), 1), (third(), 2)] {
            state.insert_peer(Peer::new(who, Address::default(), Flags::MASTER, SLOTS));
            state.peer_mut(&who).expect("inserted").config_epoch = Epoch(epoch);
        }
        state.myself_mut().config_epoch = Epoch(3);
        state.current_epoch = Epoch(3);
        for (slot, owner) in [(0, source()), (1, source()), (2, id(0)), (3, third())] {
            let at = state.index(&owner).expect("known");
            state.bind(Slot::new(slot), at);
        }
        Self { config, state, settled: false }
    }

    /// One that has just imported slot 1.
    fn imported() -> Self {
        let mut target = Self::new(Rules::hardened());
        target.import(1);
        target
    }

    fn step(&mut self, input: Input) -> Effects {
        let mut out = Effects::new();
        self.state.step(&self.config, input, &NoKeys, &mut out);
        let digest = self.state.digest();
        self.state.rebuild_digest();
        assert_eq!(self.state.digest(), digest, "the digest is kept up");
        out
    }

    fn command(&mut self, words: &str) -> Effects {
        let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let command = Command::parse(&args, &self.config.rules).expect("a command");
        let out = self.step(Input::Command { command, dice: Dice::Roll(7) });
        assert_eq!(out.reply(), Some(&Reply::Ok), "{words}");
        out
    }

    fn import(&mut self, slot: u16) -> Effects {
        self.command(&format!("SETSLOT {slot} IMPORTING {}", source()));
        self.finish(slot)
    }

    fn finish(&mut self, slot: u16) -> Effects {
        self.command(&format!("SETSLOT {slot} NODE {}", id(0)))
    }

    fn hears(&mut self, sender: NodeId, (current, epoch): (u64, u64), slots: &[u16], body: Body) -> Effects {
        let header = Header {
            sender,
            current_epoch: Epoch(current),
            config_epoch: Epoch(epoch),
            slots: set(slots),
            ..self.state.header(&self.config)
        };
        let message = Box::new(Message { header, body });
        let (link, receipt) =
            (Link::Inbound(Some(sender)), Receipt { import_settled: self.settled, ..Receipt::default() });
        self.step(Input::Receive { link, message, receipt, dice: Dice::Roll(7) })
    }

    /// A PING of the source.
    fn source_says(&mut self, epoch: u64, slots: &[u16]) -> Effects {
        let body = Body::Heartbeat { kind: Heartbeat::Ping, gossip: Vec::new(), hostname: None };
        self.hears(source(), (epoch, epoch), slots, body)
    }

    /// An UPDATE of the third node about the source.
    fn third_tells(&mut self, epoch: u64, slots: &[u16]) -> Effects {
        let body = Body::Update { node: source(), config_epoch: Epoch(epoch), slots: set(slots) };
        self.hears(third(), (3, 2), &[3], body)
    }

    fn epoch(&self) -> u64 {
        self.state.myself().config_epoch.0
    }

    fn has(&self, slot: u16) -> bool {
        self.state.owner(Slot::new(slot)).is_some_and(|p| p.id == id(0))
    }

    /// The slots that are kept from the source.
    fn kept(&self) -> Vec<u16> {
        let settling = self.state.settling();
        assert!(settling.values().all(|from| *from == source()));
        settling.keys().map(|s| s.index() as u16).collect()
    }
}

fn set(slots: &[u16]) -> SlotSet {
    let mut set = SlotSet::new(SLOTS);
    slots.iter().for_each(|&s| {
        set.insert(Slot::new(s));
    });
    set
}

/// The nodes that are sent a PONG which nobody asked for.
fn told(out: &Effects) -> Vec<NodeId> {
    let told = out.0.iter().filter_map(|e| match e {
        Effect::Send { to: To::Outbound(id), message } if message.is_heartbeat(Heartbeat::Pong) => Some(*id),
        _ => None,
    });
    told.collect()
}

#[test]
fn the_source_of_an_import_is_remembered() {
    let target = Target::imported();
    assert_eq!((target.kept(), target.epoch()), (vec![1], 3));
    let mut plain = Rules::hardened();
    plain.target_outbids_source = false;
    let mut target = Target::new(plain);
    target.import(1);
    assert_eq!(target.kept(), [0; 0]);
    target.source_says(5, &[0, 1]);
    assert!(!target.has(1), "without the rule the source takes the slot back");
}

#[test]
fn a_slot_that_was_not_imported_is_kept_from_nobody() {
    let mut target = Target::new(Rules::hardened());
    target.finish(1);
    assert!(target.has(1));
    assert_eq!(target.kept(), [0; 0]);
}

#[test]
fn a_greater_claim_of_the_source_is_outbid() {
    let mut target = Target::imported();
    let out = target.source_says(5, &[0, 1]);
    assert!(target.has(1));
    assert_eq!((target.kept(), target.epoch()), (vec![], 6));
    assert_eq!(out.0[0], Effect::Persist { fsync: true });
    assert_eq!(told(&out).len(), 2, "all are told");
    let updated = out.0.iter().any(|e| match e {
        Effect::Send { to, message } => {
            *to == To::Outbound(source())
                && matches!(&message.body,
            Body::Update { node, config_epoch: Epoch(6), slots } if *node == id(0) && *slots == set(&[1, 2]))
        }
        _ => false,
    });
    assert!(updated, "and the source is, about this slot");
}

#[test]
fn an_update_about_the_source_is_outbid() {
    let mut target = Target::imported();
    let out = target.third_tells(5, &[0, 1]);
    assert!(target.has(1));
    assert_eq!((target.kept(), target.epoch()), (vec![], 6), "though currentEpoch was 3");
    assert_eq!(told(&out).len(), 2);
}

#[test]
fn a_claim_that_is_not_greater_changes_nothing() {
    let mut target = Target::imported();
    for epoch in [1, 3] {
        target.source_says(epoch, &[0, 1]);
        assert!(target.has(1));
        assert_eq!(target.kept(), [1], "the source may rise later");
    }
}

#[test]
fn each_import_outbids_once() {
    let mut target = Target::imported();
    target.source_says(5, &[0, 1]);
    target.source_says(9, &[0, 1]);
    assert!(!target.has(1));
    assert_eq!(target.epoch(), 6);
    target.import(1);
    assert_eq!((target.kept(), target.epoch()), (vec![1], 10));
    target.source_says(11, &[0, 1]);
    assert!(target.has(1));
}

#[test]
fn one_claim_of_several_slots_is_outbid_by_one_epoch() {
    let mut target = Target::imported();
    target.import(0);
    assert_eq!(target.kept(), [0, 1]);
    target.source_says(5, &[0, 1]);
    assert!(target.has(0) && target.has(1));
    assert_eq!((target.kept(), target.epoch()), (vec![], 6));
}

/// Its headers come on two connections: one that is older than another may arrive behind it.
#[test]
fn a_source_that_let_go_is_outbid_only_if_it_is_heard_to_claim() {
    let mut target = Target::imported();
    target.source_says(5, &[0]);
    assert_eq!((target.kept(), target.epoch()), (vec![1], 3));
    target.source_says(5, &[0, 1]);
    assert!(target.has(1), "an old header");
    assert_eq!((target.kept(), target.epoch()), (vec![], 6));
}

/// A header from before the source had the slot says nothing of what it does now.
#[test]
fn what_the_source_said_before_does_not_make_the_slot_nobody_s() {
    let mut target = Target::new(Rules::hardened());
    target.command(&format!("SETSLOT 1 IMPORTING {}", source()));
    target.source_says(1, &[0]);
    assert!(target.state.not_claiming().contains(Slot::new(1)));
    target.finish(1);
    assert!(!target.state.not_claiming().contains(Slot::new(1)));
    target.source_says(1, &[0, 1]);
    assert!(target.has(1));
}

/// Of two equal epochs the names decide who moves on, too late.
#[test]
fn the_epoch_at_the_end_of_an_import_is_above_the_source_s() {
    let mut target = Target::new(Rules::hardened());
    target.state.peer_mut(&source()).expect("known").config_epoch = Epoch(3);
    target.import(1);
    assert_eq!(target.epoch(), 4);
}

#[test]
fn another_node_s_claim_is_not_outbid() {
    let mut target = Target::imported();
    let body = Body::Heartbeat { kind: Heartbeat::Ping, gossip: Vec::new(), hostname: None };
    target.hears(third(), (5, 5), &[1, 3], body);
    assert!(!target.has(1));
    assert_eq!(target.kept(), [0; 0]);
}

#[test]
fn a_repeated_command_keeps_the_source() {
    let mut target = Target::imported();
    target.finish(1);
    assert_eq!(target.kept(), [1]);
}

#[test]
fn a_slot_that_is_given_away_is_not_kept() {
    let mut target = Target::imported();
    target.command(&format!("SETSLOT 1 MIGRATING {}", source()));
    assert_eq!(target.kept(), [0; 0]);
    target.source_says(5, &[0, 1]);
    assert!(!target.has(1));
    let ends: [fn(&mut Target) -> Effects; 4] = [
        |t| t.command(&format!("SETSLOT 1 NODE {}", source())),
        |t| t.command("DELSLOTS 1"),
        |t| t.command(&format!("FORGET {}", source())),
        |t| t.command("RESET SOFT"),
    ];
    for end in ends {
        let mut target = Target::imported();
        end(&mut target);
        assert_eq!(target.kept(), [0; 0]);
    }
}

/// The slot may have been given to the source again meanwhile.
#[test]
fn an_import_that_is_long_ago_outbids_nobody() {
    let mut target = Target::imported();
    target.settled = true;
    target.source_says(5, &[0, 1]);
    assert!(!target.has(1));
    assert_eq!((target.kept(), target.epoch()), (vec![], 3));
    let mut target = Target::imported();
    target.settled = true;
    target.third_tells(5, &[0, 1]);
    assert!(!target.has(1));
}

#[test]
fn the_shell_is_told_when_an_import_ends() {
    let took_over = Effect::Stamp { node: source(), stamp: Stamp::TookOver };
    let mut target = Target::new(Rules::hardened());
    let out = target.import(1);
    assert_eq!(out.0.iter().filter(|e| **e == took_over).count(), 1);
    let again = target.finish(1);
    assert!(!again.0.contains(&took_over));
    let mut plain = Target::new(Rules::redis_7_0());
    assert!(!plain.import(1).0.contains(&took_over));
}

/// An UPDATE brings an epoch that currentEpoch does not follow.
#[test]
fn the_epoch_at_the_end_of_an_import_is_above_every_recorded_one() {
    let mut target = Target::new(Rules::hardened());
    target.third_tells(9, &[0, 1]);
    target.import(1);
    assert_eq!(target.epoch(), 10);
}

#[test]
fn what_is_remembered_is_not_saved() {
    let target = Target::imported();
    let restarted = NodeState::from_saved(&target.state.saved(), &target.config);
    assert!(restarted.settling().is_empty());
}
