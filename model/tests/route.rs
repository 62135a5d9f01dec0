//! Every answer of routing, in the order in which it is decided (rules of 7.0, `getNodeByQuery`).

use slotproof_model::{
    Address, Config, EndpointType, Epoch, Flags, Input, NoKeys, NodeId, NodeState, RequestKind, Route,
    RouteTable, Saved, SavedNode, Slot, SlotSet, Timer,
};

const A: u16 = 0;

fn id(n: u16) -> NodeId {
    NodeId::parse(format!("{n:040}").as_bytes()).unwrap()
}

/// Three masters; slot n is node n's, slot 3 is nobody's unless `covered`; slot 0 migrates to 1, slot 1 is imported from 1.
fn table(me: u16, covered: bool, config: &Config) -> RouteTable {
    let nodes = (0..3).map(|n| {
        let mut slots = SlotSet::new(4);
        slots.insert(Slot::new(n));
        if n == 2 && covered {
            slots.insert(Slot::new(3));
        }
        let flags = if n == me { Flags::MASTER.with(Flags::MYSELF) } else { Flags::MASTER };
        SavedNode {
            id: id(n),
            address: Address { ip: format!("10.0.0.{n}").into(), port: 7000 + n, pport: 0, cport: 17000 },
            hostname: (n == 1).then(|| "one.example".into()),
            flags,
            master: None,
            config_epoch: Epoch(1),
            slots,
        }
    });
    let saved = Saved {
        me: id(me),
        current_epoch: Epoch(1),
        last_vote_epoch: Epoch(0),
        nodes: nodes.collect(),
        migrating: [(Slot::new(0), id(1))].into(),
        importing: [(Slot::new(1), id(1))].into(),
    };
    let mut state = NodeState::from_saved(&saved, config);
    let mut out = slotproof_model::Effects::new();
    for input in [Input::Start, Input::Timer(Timer::StartupDelay)] {
        state.step(config, input, &NoKeys, &mut out);
    }
    state.route_table(config)
}

fn config() -> Config {
    Config { slots: 4, ..Config::default() }
}

/// Keys are numbers: the slot is the number modulo 4; those below 100 exist.
fn route(table: &RouteTable, kind: RequestKind, keys: &[u32]) -> Route {
    table.route(kind, keys.iter().copied(), |k| Slot::new((k % 4) as u16), |k| *k < 100)
}

fn plain() -> RequestKind {
    RequestKind::default()
}

#[test]
fn a_request_without_keys_is_served_whatever_the_state() {
    let t = table(A, false, &config());
    assert!(!t.state_ok());
    assert_eq!(route(&t, plain(), &[]), Route::Serve);
}

#[test]
fn the_first_key_without_owner_comes_before_everything() {
    let t = table(A, false, &config());
    assert_eq!(route(&t, plain(), &[3, 4]), Route::SlotNotServed);
    assert_eq!(route(&t, plain(), &[2, 3]), Route::CrossSlot, "a bad pair comes before a bad state");
    assert_eq!(route(&t, plain(), &[2]), Route::Down);
}

#[test]
fn mine_and_others() {
    let t = table(A, true, &config());
    assert!(t.state_ok());
    assert_eq!(route(&t, plain(), &[0]), Route::Serve);
    assert_eq!(route(&t, plain(), &[2]), Route::Moved(Slot::new(2), id(2)));
    assert_eq!(route(&t, plain(), &[2, 6]), Route::Moved(Slot::new(2), id(2)));
    assert_eq!(route(&t, plain(), &[0, 1]), Route::CrossSlot);
}

#[test]
fn a_migrating_slot_asks_for_what_is_missing() {
    let t = table(A, true, &config());
    let ask = Route::Ask(Slot::new(0), id(1));
    assert_eq!(route(&t, plain(), &[100]), ask);
    assert_eq!(route(&t, plain(), &[100, 104]), ask);
    assert_eq!(route(&t, plain(), &[0, 100]), Route::TryAgain);
    assert_eq!(route(&t, plain(), &[0, 4]), Route::Serve);
    let migrate = RequestKind { migrate: true, write: true, ..plain() };
    assert_eq!(route(&t, migrate, &[0, 100]), Route::Serve);
    let mut config = config();
    config.rules.migrating_tryagain = false;
    assert_eq!(route(&table(A, true, &config), plain(), &[0, 100]), ask, "before 7.0.3");
}

#[test]
fn an_importing_slot_serves_who_was_sent() {
    let t = table(A, true, &config());
    assert_eq!(route(&t, plain(), &[1]), Route::Moved(Slot::new(1), id(1)));
    let asking = RequestKind { asking: true, ..plain() };
    assert_eq!(route(&t, asking, &[1]), Route::Serve);
    assert_eq!(route(&t, asking, &[101]), Route::Serve, "one key may be new here");
    assert_eq!(route(&t, asking, &[1, 101]), Route::TryAgain);
    assert_eq!(route(&t, asking, &[101, 101]), Route::Serve, "the same key twice is one key");
    assert_eq!(
        route(&t, asking, &[2]),
        Route::Moved(Slot::new(2), id(2)),
        "ASKING opens nothing that is closed"
    );
}

#[test]
fn reads_while_down_if_allowed() {
    let config = Config { allow_reads_when_down: true, ..config() };
    let t = table(A, false, &config);
    assert_eq!(route(&t, plain(), &[0]), Route::Serve);
    assert_eq!(route(&t, RequestKind { write: true, ..plain() }, &[0]), Route::DownForWrites);
    let shard = RequestKind { shard_pubsub: true, ..plain() };
    assert_eq!(route(&t, shard, &[0]), Route::Serve);
    let config = Config { allow_pubsubshard_when_down: false, ..config };
    assert_eq!(route(&table(A, false, &config), shard, &[0]), Route::Down);
}

#[test]
fn a_shard_channel_is_no_key() {
    let t = table(A, true, &config());
    let shard = RequestKind { shard_pubsub: true, ..plain() };
    assert_eq!(route(&t, shard, &[100]), Route::Serve, "nothing is missing in a migrating slot");
}

#[test]
fn texts_by_endpoint_type() {
    let moved = Route::Moved(Slot::new(1), id(1));
    let text = |endpoint| table(A, true, &Config { endpoint, ..config() }).error_text(moved, true).unwrap();
    assert_eq!(text(EndpointType::Ip), "MOVED 1 10.0.0.1:7001");
    assert_eq!(text(EndpointType::Hostname), "MOVED 1 one.example:7001");
    assert_eq!(text(EndpointType::Unknown), "MOVED 1 :7001");
    let other = table(A, true, &Config { endpoint: EndpointType::Hostname, ..config() });
    assert_eq!(other.error_text(Route::Ask(Slot::new(2), id(2)), true).unwrap(), "ASK 2 ?:7002");
    assert_eq!(other.error_text(Route::Serve, true), None);
}
