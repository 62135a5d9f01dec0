//! Two nodes and a perfect network: they meet, exchange slots, move one, and forget each other.

use std::collections::VecDeque;

use slotproof_model::{
    Body, Command, Config, Dice, Effect, Effects, Epoch, Heartbeat, Input, Link, Message, NoKeys, NodeId,
    NodeState, Receipt, Reply, Slot, Timer, To,
};

/// Nodes that reach each other at `10.0.0.<index + 1>:7000`.
struct Net {
    config: Vec<Config>,
    nodes: Vec<NodeState>,
    /// Node, input; in the order in which they happen.
    queue: VecDeque<(usize, Input)>,
    rolls: u128,
}

impl Net {
    fn new(n: usize) -> Self {
        let mut net = Self { config: Vec::new(), nodes: Vec::new(), queue: VecDeque::new(), rolls: 1000 };
        for i in 0..n {
            let mut config = Config { slots: 4, ..Config::default() };
            config.announce.port = 7000;
            config.announce.cport = 17000;
            net.nodes.push(NodeState::new(NodeId::from_seed(i as u128), &config));
            net.config.push(config);
            net.input(i, Input::Start);
            net.input(i, Input::Timer(Timer::StartupDelay));
        }
        net
    }

    fn dice(&mut self) -> Dice {
        self.rolls += 1;
        Dice::Roll(self.rolls)
    }

    fn input(&mut self, at: usize, input: Input) -> Effects {
        let mut out = Effects::new();
        let link = match &input {
            Input::Receive { link, message, .. } => Some((*link, message.header.sender)),
            _ => None,
        };
        self.nodes[at].step(&self.config[at], input, &NoKeys, &mut out);
        for effect in &out.0 {
            if let Effect::Send { to, message } = effect {
                self.send(at, *to, link, message);
            }
        }
        out
    }

    fn by_ip(&self, ip: &str) -> usize {
        ip.strip_prefix("10.0.0.").unwrap().parse::<usize>().unwrap() - 1
    }

    fn send(&mut self, at: usize, to: To, came: Option<(Link, NodeId)>, message: &Message) {
        let (dest, link) = match to {
            To::Outbound(id) => {
                let ip = self.nodes[at].peer(&id).unwrap().address.ip.clone();
                let me = self.nodes[at].me();
                let dest = self.by_ip(&ip);
                let tied = self.nodes[dest].peer(&me).is_some().then_some(me);
                (dest, Link::Inbound(tied))
            }
            To::SameLink => {
                let (link, sender) = came.unwrap();
                assert!(matches!(link, Link::Inbound(_)), "only requests are answered");
                let dest = self.nodes.iter().position(|n| n.me() == sender).unwrap();
                let ip = format!("10.0.0.{}", at + 1);
                // The answer comes on the asker's own connection to this address.
                let peer = self.nodes[dest].peers().iter().find(|p| *p.address.ip == *ip).map(|p| p.id);
                let Some(peer) = peer else { return };
                (dest, Link::Outbound(peer))
            }
        };
        let receipt = Receipt {
            from_ip: format!("10.0.0.{}", at + 1).into(),
            local_ip: format!("10.0.0.{}", dest + 1).into(),
            fail_expired: true,
            import_settled: false,
            pong_news: vec![],
        };
        let dice = self.dice();
        self.queue
            .push_back((dest, Input::Receive { link, message: Box::new(message.clone()), receipt, dice }));
    }

    /// Opens every connection, pings everybody, and delivers all there is, `rounds` times.
    fn rounds(&mut self, rounds: usize) {
        for _ in 0..rounds {
            for at in 0..self.nodes.len() {
                for peer in
                    self.nodes[at].peers().iter().map(|p| (p.id, p.in_handshake())).collect::<Vec<_>>()
                {
                    let dice = self.dice();
                    let input = if peer.1 {
                        Input::LinkUp { peer: peer.0, dice }
                    } else {
                        Input::HeartbeatDue { to: peer.0, dice }
                    };
                    self.input(at, input);
                }
            }
            while let Some((at, input)) = self.queue.pop_front() {
                self.input(at, input);
            }
        }
    }

    fn command(&mut self, at: usize, words: &str) -> Reply {
        let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let command = Command::parse(&args, &self.config[at].rules).unwrap();
        let dice = self.dice();
        self.input(at, Input::Command { command, dice }).reply().unwrap().clone()
    }

    fn owners(&self, at: usize) -> Vec<Option<NodeId>> {
        (0..4).map(|s| self.nodes[at].owner(Slot::new(s)).map(|p| p.id)).collect()
    }
}

fn ok(reply: Reply) {
    assert_eq!(reply, Reply::Ok);
}

fn met(n: usize) -> Net {
    let mut net = Net::new(n);
    for i in 1..n {
        ok(net.command(i - 1, &format!("MEET 10.0.0.{} 7000", i + 1)));
        net.rounds(3);
    }
    net.rounds(6);
    net
}

#[test]
fn nodes_introduced_in_a_chain_all_know_all_and_resolve_their_epochs() {
    let net = met(3);
    for node in &net.nodes {
        assert_eq!(node.peers().len(), 3, "{:?}", node.peers());
        assert!(node.peers().iter().all(|p| !p.in_handshake() && p.is_master()));
    }
    let mut epochs: Vec<Epoch> = net.nodes.iter().map(|n| n.myself().config_epoch).collect();
    epochs.sort();
    epochs.dedup();
    assert_eq!(epochs.len(), 3, "three masters of epoch 0 end up with three epochs");
}

#[test]
fn a_slot_moves_by_the_recommended_order() {
    let mut net = met(3);
    let id: Vec<NodeId> = net.nodes.iter().map(NodeState::me).collect();
    ok(net.command(0, "ADDSLOTSRANGE 0 2"));
    ok(net.command(1, "ADDSLOTS 3"));
    net.rounds(3);
    for node in &mut net.nodes {
        assert_eq!(node.size(), 2);
        assert_eq!(node.owner(Slot::new(3)).map(|p| p.id), Some(id[1]));
    }
    for at in 0..3 {
        net.input(at, Input::Timer(Timer::RejoinDelay));
        assert!(net.nodes[at].state_ok(), "{at}");
    }
    ok(net.command(1, &format!("SETSLOT 2 IMPORTING {}", id[0])));
    ok(net.command(0, &format!("SETSLOT 2 MIGRATING {}", id[1])));
    ok(net.command(1, &format!("SETSLOT 2 NODE {}", id[1])));
    ok(net.command(0, &format!("SETSLOT 2 NODE {}", id[1])));
    net.rounds(3);
    for at in 0..3 {
        assert_eq!(net.owners(at), [Some(id[0]), Some(id[0]), Some(id[1]), Some(id[1])]);
        assert!(net.nodes[at].migrating().is_empty() && net.nodes[at].importing().is_empty());
    }
}

#[test]
fn refusals_have_the_texts_of_7_0() {
    let mut net = met(2);
    let error = |text: &str| Reply::Error(text.into());
    ok(net.command(0, "ADDSLOTS 1"));
    assert_eq!(net.command(0, "ADDSLOTS 1"), error("Slot 1 is already busy"));
    assert_eq!(net.command(0, "ADDSLOTS 2 2"), error("Slot 2 specified multiple times"));
    assert_eq!(net.command(0, "ADDSLOTSRANGE 1 1 3 2"), error("Slot 1 is already busy"));
    assert_eq!(
        net.command(0, "ADDSLOTSRANGE 2 2 3 2"),
        error("start slot number 3 is greater than end slot number 2")
    );
    assert_eq!(net.command(0, "DELSLOTS 0"), error("Slot 0 is already unassigned"));
    assert_eq!(net.command(1, "SETSLOT 0 MIGRATING x"), error("I'm not the owner of hash slot 0"));
    assert_eq!(net.command(0, "SETSLOT 1 MIGRATING x"), error("I don't know about node x"));
    assert_eq!(
        net.command(0, "SETSLOT 1 STABLE x"),
        error("Invalid CLUSTER SETSLOT action or number of arguments. Try CLUSTER HELP")
    );
    assert_eq!(net.command(0, "FORGET x"), error("Unknown node x"));
    assert_eq!(
        net.command(0, "MEET localhost 7000"),
        error("Invalid node address specified: localhost:7000")
    );
    assert_eq!(
        net.command(0, "SET-CONFIG-EPOCH 3"),
        error("The user can assign a config epoch only when the node does not know any other node.")
    );
}

#[test]
fn a_forgotten_node_stays_out_while_it_is_blacklisted() {
    let mut net = met(3);
    let gone = net.nodes[2].me();
    ok(net.command(0, &format!("FORGET {gone}")));
    ok(net.command(1, &format!("FORGET {gone}")));
    ok(net.command(2, "RESET HARD"));
    net.rounds(4);
    for node in &net.nodes[..2] {
        assert!(node.peer(&gone).is_none());
        assert_eq!(node.peers().len(), 2);
    }
    assert_ne!(net.nodes[2].me(), gone);
    assert_eq!(net.nodes[2].peers().len(), 1);
}

#[test]
fn a_silent_node_becomes_fail_by_majority_and_comes_back() {
    let mut net = met(4);
    for at in 0..4 {
        ok(net.command(at, &format!("ADDSLOTS {at}")));
    }
    net.rounds(4);
    let silent = net.nodes[3].me();
    net.input(0, Input::Timer(Timer::PongOverdue(silent)));
    net.input(1, Input::Timer(Timer::PongOverdue(silent)));
    assert!(net.nodes[0].peer(&silent).unwrap().is_pfail());
    // Two reports of four are no majority; the third makes it.
    for (from, to) in [(1, 0), (0, 1)] {
        gossip_once(&mut net, from, to);
        assert!(!net.nodes[to].peer(&silent).unwrap().is_fail());
    }
    net.input(2, Input::Timer(Timer::PongOverdue(silent)));
    let out = gossip_once(&mut net, 0, 2);
    assert!(!net.nodes[2].peer(&silent).unwrap().is_fail() && out.0.iter().all(|e| !is_fail(e)));
    let out = gossip_once(&mut net, 1, 2);
    assert!(net.nodes[2].peer(&silent).unwrap().is_fail());
    assert_eq!(out.0.iter().filter(|e| is_fail(e)).count(), 3, "everybody is told, the failing node too");
    assert!(!net.nodes[2].state_ok());
    net.rounds(3);
    assert!(net.nodes.iter().all(|n| !n.peer(&silent).unwrap().is_fail()), "it answers, and the time is up");
}

fn is_fail(effect: &Effect) -> bool {
    matches!(effect, Effect::Send { message, .. } if matches!(message.body, Body::Fail(_)))
}

/// Node `to` hears one PING of node `from`.
fn gossip_once(net: &mut Net, from: usize, to: usize) -> Effects {
    let (peer, me) = (net.nodes[to].me(), net.nodes[from].me());
    let mut out = Effects::new();
    let input = Input::HeartbeatDue { to: peer, dice: Dice::Least };
    net.nodes[from].step(&net.config[from].clone(), input, &NoKeys, &mut out);
    let Some(Effect::Send { message, .. }) = out.0.into_iter().find(|e| matches!(e, Effect::Send { .. }))
    else {
        panic!("no ping");
    };
    assert!(message.is_heartbeat(Heartbeat::Ping));
    let receipt = Receipt { from_ip: format!("10.0.0.{}", from + 1).into(), ..Receipt::default() };
    let receive = Input::Receive { link: Link::Inbound(Some(me)), message, receipt, dice: Dice::Least };
    let mut out = Effects::new();
    net.nodes[to].step(&net.config[to].clone(), receive, &NoKeys, &mut out);
    out
}

#[test]
fn a_message_goes_to_all_nodes_and_one_of_a_shard_to_its_shard() {
    let mut net = met(3);
    let sent = |net: &mut Net, at: usize, sharded| {
        let (channel, message) = ((*b"news").into(), (*b"hello").into());
        let mut out = Effects::new();
        let input = Input::Publish { sharded, channel, message };
        let node = &mut net.nodes[at];
        node.step(&net.config[at], input, &NoKeys, &mut out);
        out.0.iter().filter(|e| matches!(e, Effect::Send { .. })).count()
    };
    assert_eq!((sent(&mut net, 0, false), sent(&mut net, 0, true)), (2, 0));
    let master = net.nodes[0].me();
    ok(net.command(2, &format!("REPLICATE {master}")));
    net.rounds(3);
    assert_eq!((sent(&mut net, 0, true), sent(&mut net, 1, true)), (1, 0));
    assert_eq!(sent(&mut net, 2, true), 1, "a replica's master hears it too");
}
