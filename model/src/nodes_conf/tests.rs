use std::fmt::Write;

use quickcheck::{Arbitrary, Gen, QuickCheck};

use super::*;
use crate::node_line::NoStamps;
use crate::{Config, NodeState};

const FILE: &str = "\
08c40e65ca1a2ba5e5d1b3b2c8c3d2a3c0fa1d34 127.0.0.1:7001@17001,a.example.org master - 0 1700000000123 2 connected 5461-10922
29a5fe4d3a5b3ae8aafca4dd5f5b7d7ed9e6a1b2 :0@0 master,fail,noaddr - 1700000000001 1700000000002 3 disconnected
4a1c3b5d7e9f0a2b4c6d8e0f1a3b5c7d9e0f2a4b ::1:7000@17000 myself,master - 0 0 1 connected 0 2-5460 16383 [5460->-08c40e65ca1a2ba5e5d1b3b2c8c3d2a3c0fa1d34] [5461-<-08c40e65ca1a2ba5e5d1b3b2c8c3d2a3c0fa1d34]
5a1c3b5d7e9f0a2b4c6d8e0f1a3b5c7d9e0f2a4b 127.0.0.1:7003@17003 slave,fail?,nofailover 4a1c3b5d7e9f0a2b4c6d8e0f1a3b5c7d9e0f2a4b 0 5 1 connected
6a1c3b5d7e9f0a2b4c6d8e0f1a3b5c7d9e0f2a4b 127.0.0.1:7004@17004 noflags - 0 0 0 connected
vars currentEpoch 3 lastVoteEpoch 2
";

const ME: &str = "4a1c3b5d7e9f0a2b4c6d8e0f1a3b5c7d9e0f2a4b";
const OTHER: &str = "08c40e65ca1a2ba5e5d1b3b2c8c3d2a3c0fa1d34";

fn loaded(text: &str) -> Loaded {
    parse(text.as_bytes()).expect("well formed").expect("not empty")
}

fn problem(text: &str) -> String {
    parse(text.as_bytes()).expect_err("malformed").to_string()
}

fn id(text: &str) -> NodeId {
    text.parse().expect("a name")
}

#[test]
fn a_file_is_read_and_written_byte_for_byte() {
    let read = loaded(FILE);
    assert_eq!(render(&read.saved, &read), FILE);
    assert_eq!(read.saved.me, id(ME));
    assert_eq!((read.saved.current_epoch, read.saved.last_vote_epoch), (Epoch(3), Epoch(2)));
    assert_eq!(read.saved.nodes.len(), 5);
    assert_eq!(&*read.saved.nodes[2].address.ip, "::1");
    assert_eq!(format!("{:?}", read.saved.nodes[2].slots), "{0,2-5460,16383}");
    assert_eq!(read.saved.migrating, BTreeMap::from([(Slot::new(5460), id(OTHER))]));
    assert_eq!(read.saved.importing, BTreeMap::from([(Slot::new(5461), id(OTHER))]));
    assert_eq!(read.pong_received_ms(&id(OTHER)), 1_700_000_000_123);
}

#[test]
fn a_node_that_starts_with_a_file_writes_it_again() {
    let read = loaded(FILE);
    let state = NodeState::from_saved(&read.saved, &Config::default());
    let again = render(&state.saved(), &read);
    // Its own ports are those of its configuration.
    assert_eq!(again.replace("::1:0@0", "::1:7000@17000"), FILE);
}

#[test]
fn every_truncation_is_an_error_or_valid() {
    for n in 0..FILE.len() {
        match parse(&FILE.as_bytes()[..n]) {
            Ok(None) => assert_eq!(n, 0),
            Ok(Some(read)) => assert_eq!(loaded(&render(&read.saved, &read)).saved, read.saved),
            Err(error) => assert!(!error.problem.is_empty()),
        }
    }
}

#[test]
fn any_byte_may_be_wrong() {
    for at in 0..FILE.len() {
        for value in [0, b'\n', b' ', b'"', b'-', b',', b'0', b'[', 0xff] {
            let mut bytes = FILE.as_bytes().to_vec();
            bytes[at] = value;
            if let Ok(Some(read)) = parse(&bytes) {
                // A slot that became both migrating and importing is written as migrating.
                let text = render(&read.saved, &read);
                assert_eq!(render(&loaded(&text).saved, &read), text);
                NodeState::from_saved(&read.saved, &Config::default());
            }
        }
    }
}

#[test]
fn what_7_0_takes() {
    let odd = format!(
        "\n\n  {ME} 'h:7000' MySelf,MASTER \"-\" 0 0 1 whatever 7-7\r\nVARS future x currentEpoch 9\n\t\n"
    );
    let read = loaded(&odd);
    assert_eq!(read.saved.nodes[0].address, Address { ip: "h".into(), port: 7000, pport: 0, cport: 17000 });
    assert_eq!(format!("{:?}", read.saved.nodes[0].slots), "{7}");
    assert_eq!((read.saved.current_epoch, read.saved.last_vote_epoch), (Epoch(9), Epoch(0)));
    assert_eq!(parse(b""), Ok(None));
}

#[test]
fn the_address_field_since_7_2() {
    let line = |address: &str| loaded(&format!("{ME} {address} myself,master - 0 0 1 connected")).saved;
    let aux = "127.0.0.1:7000@17000,,tls-port=0,shard-id=69bc080733d1355567173199cff4a6a039a2f024";
    assert_eq!(line(aux).nodes[0].hostname, None);
    assert_eq!(line("127.0.0.1:7000@17000,").nodes[0].hostname, None);
    let both = line("127.0.0.1:7000@17000,a.example.org,nodename=n").nodes.swap_remove(0);
    assert_eq!((both.hostname.as_deref(), both.address.cport), (Some("a.example.org"), 17000));
}

#[test]
fn the_first_line_keeps_a_slot() {
    let two =
        format!("{OTHER} :0@0 master - 0 0 1 connected 0-9\n{ME} :0@0 myself,master - 0 0 1 connected 5-12");
    let saved = loaded(&two).saved;
    assert_eq!(format!("{:?}{:?}", saved.nodes[0].slots, saved.nodes[1].slots), "{0-9}{10-12}");
}

#[test]
fn a_node_in_handshake_is_left_out() {
    let two = format!("{OTHER} h:1@2 handshake - 0 0 0 connected\n{ME} :0@0 myself,master - 0 0 1 connected");
    assert_eq!(loaded(&two).saved.nodes.len(), 1);
}

#[test]
fn each_mistake_is_named_with_its_line() {
    let good = format!("{ME} 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-1");
    for (from, to, says) in [
        (ME, "short", "line 1: \"short\": a node id is 40 characters of a-z and 0-9"),
        ("127.0.0.1:7000@17000", "127.0.0.1", "line 1: bad address \"127.0.0.1\""),
        ("@17000", "@99999", "line 1: bad address \"127.0.0.1:7000@99999\""),
        (":7000@17000", ":60000", "line 1: bad address \"127.0.0.1:60000\""),
        ("myself,", "myself,primary,", "line 1: unknown flag \"primary\""),
        ("myself,", "myself,,", "line 1: unknown flag \"\""),
        ("master", "master,slave", "line 1: a node that is both master and slave"),
        ("myself,", "", "no node has the flag myself"),
        (" - ", " x ", "line 1: \"x\": a node id is 40 characters of a-z and 0-9"),
        (" - 0", " - x", "line 1: bad ping time \"x\""),
        ("0 1 conn", "-1 1 conn", "line 1: bad pong time \"-1\""),
        (
            "1 connected",
            "18446744073709551616 connected",
            "line 1: bad config epoch \"18446744073709551616\"",
        ),
        (" connected 0-1", "", "line 1: 7 words, a node takes at least 8"),
        ("0-1", "1-0", "line 1: bad slots \"1-0\""),
        ("0-1", "16384", "line 1: bad slots \"16384\""),
        ("0-1", "0-16384", "line 1: bad slots \"0-16384\""),
        ("0-1", "[1->-x]", "line 1: bad open slot \"[1->-x]\""),
        ("0-1", "[1", "line 1: bad open slot \"[1\""),
        ("0-1", "'0-1", "line 1: a quote that is not closed, or ends within a word"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        assert_eq!(problem(&bad), says);
    }
    assert_eq!(problem("\nvars currentEpoch"), "line 2: vars: \"currentEpoch\" has no value");
    assert_eq!(problem("vars currentEpoch x"), "line 1: bad currentEpoch \"x\"");
    let own = good.replace(" - ", &format!(" {ME} ")).replace("master", "slave");
    assert_eq!(problem(&own), format!("line 1: node {ME} is its own master"));
    assert_eq!(problem(&format!("{good}\n{good}")), "line 2: a second node with the flag myself");
    let other = format!("{OTHER} :0@0 master - 0 0 1 connected");
    assert_eq!(problem(&format!("{other}\n{other}")), format!("line 2: node {OTHER} is listed twice"));
    assert_eq!(problem(&"x".repeat(500)), "line 1: 1 words, a node takes at least 8");
}

#[test]
fn lines_and_files_have_no_limit() {
    let mut text = String::new();
    for n in 0..3_000 {
        writeln!(text, "{} 127.0.0.1:7000@17000 master - 0 0 1 connected", NodeId::from_seed(n))
            .expect("a string");
    }
    write!(text, "{ME} :0@0 myself,master - 0 0 1 connected").expect("a string");
    for s in 0..SLOTS {
        write!(text, " [{s}->-{OTHER}]").expect("a string");
    }
    assert_eq!(loaded(&text).saved.migrating.len(), usize::from(SLOTS));
}

#[derive(Clone, Debug)]
struct AnySaved(Saved);

impl Arbitrary for AnySaved {
    fn arbitrary(g: &mut Gen) -> Self {
        let named = Flags::NAMES.iter().fold(Flags::NONE, |all, (f, _)| all.with(*f));
        let ids: Vec<NodeId> = (0..1 + u128::arbitrary(g) % 8).map(NodeId::from_seed).collect();
        let me = ids[0];
        let mut taken = SlotSet::new(SLOTS);
        let mut nodes: Vec<SavedNode> = ids
            .iter()
            .map(|&id| {
                let mut slots = SlotSet::new(SLOTS);
                for s in Vec::<u16>::arbitrary(g).into_iter().map(|s| Slot::new(s % SLOTS)) {
                    if taken.insert(s) {
                        slots.insert(s);
                    }
                }
                let role = if bool::arbitrary(g) { Flags::MASTER } else { Flags::REPLICA };
                let other = Flags(u16::arbitrary(g) & named.0)
                    .without(Flags::MASTER.with(Flags::REPLICA).with(Flags::HANDSHAKE));
                SavedNode {
                    id,
                    address: Address {
                        ip: (*g.choose(&["", "127.0.0.1", "fe80::1%eth0"]).expect("not empty")).into(),
                        port: u16::arbitrary(g),
                        pport: 0,
                        cport: u16::arbitrary(g),
                    },
                    hostname: bool::arbitrary(g).then(|| "h.example.org".into()),
                    flags: role.with(other).set(Flags::MYSELF, id == me),
                    master: (role == Flags::REPLICA)
                        .then(|| NodeId::from_seed(u128::arbitrary(g)))
                        .filter(|m| *m != id),
                    config_epoch: Epoch(u64::arbitrary(g)),
                    slots,
                }
            })
            .collect();
        nodes.sort_by_key(|n| n.id);
        let mut open = |odd: u16| -> BTreeMap<Slot, NodeId> {
            let slots = Vec::<u16>::arbitrary(g).into_iter().map(|s| Slot::new((s % SLOTS) & !1 | odd));
            slots.map(|s| (s, me)).collect()
        };
        // A slot that is both would be written as migrating alone.
        let (migrating, importing) = (open(0), open(1));
        Self(Saved {
            me,
            current_epoch: Epoch(u64::arbitrary(g)),
            last_vote_epoch: Epoch(u64::arbitrary(g)),
            nodes,
            migrating,
            importing,
        })
    }
}

#[test]
fn text_and_saved_round_trip() {
    fn holds(AnySaved(saved): AnySaved) -> bool {
        parse(render(&saved, &NoStamps).as_bytes()).map(|l| l.map(|l| l.saved)) == Ok(Some(saved))
    }
    QuickCheck::new().tests(500).quickcheck(holds as fn(AnySaved) -> bool);
}
