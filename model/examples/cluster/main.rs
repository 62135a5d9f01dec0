//! A whole cluster on the core, in one process and in virtual time: three nodes meet, share the slots, serve clients, move a slot,
//! lose a node and get it back. `cargo run -p slotproof-model --example cluster`
//!
//! `net.rs` is the shell (connections, timers, dice, effects in order), `node.rs` what it keeps for a node. A node of one's own has
//! sockets, a file and a clock in their place; the rest of it looks like this.
#![allow(clippy::print_stdout, missing_docs, unreachable_pub)]

mod net;
mod node;

use net::{Net, at_ip};
use node::Node;
use slotproof_model::migrate::{AfterReply, Request, Transfer};
use slotproof_model::{NodeId, Reply, Route, Slot, key_slot};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

fn main() {
    for line in story() {
        println!("{line}");
    }
}

fn story() -> Vec<String> {
    let mut net = Net::new(&["A", "B", "C"]);
    let id: Vec<NodeId> = net.nodes.iter().map(|n| n.core.me()).collect();

    // Introduced in a chain, all end up knowing all.
    ok(net.command(A, "MEET 10.0.0.2 7000"));
    ok(net.command(B, "MEET 10.0.0.3 7000"));
    net.wait("everybody knows everybody", |nodes| {
        nodes.iter().all(|n| n.core.peers().len() == 3 && n.core.peers().iter().all(|p| !p.in_handshake()))
    });

    ok(net.command(A, "ADDSLOTSRANGE 0 5460"));
    ok(net.command(B, "ADDSLOTSRANGE 5461 10922"));
    ok(net.command(C, "ADDSLOTSRANGE 10923 16383"));
    net.wait("all slots are served, and all agree", |nodes| {
        nodes.iter().all(|n| n.core.state_ok()) && agree(nodes)
    });
    assert!(
        net.nodes.iter().all(|n| n.disk.written.contains("connected 0-5460\n")),
        "a claim is in every nodes.conf"
    );

    // `foo` is in slot 12182, which is C's.
    let slot = key_slot(b"foo");
    assert_eq!(client(&mut net, A, "foo", Some("bar")), Some("bar".into()));

    move_slot(&mut net, slot, C, A, &id);

    // C's process ends; when its two peers are a majority of three voting masters, it is FAIL.
    let writes = net.nodes[C].disk.writes;
    net.tell("C: its process ends");
    net.crash(C);
    let failed = |n: &Node| n.core.peer(&id[C]).is_some_and(|p| p.is_fail());
    net.wait("A and B agree that C fails", |nodes| failed(&nodes[A]) && failed(&nodes[B]));
    net.wait("without C's slots the cluster serves nobody", |nodes| !nodes[A].core.state_ok());
    assert_eq!(
        net.nodes[B].request("foo", None, false),
        Err((Route::Down, "CLUSTERDOWN The cluster is down".into()))
    );

    // It comes back from its nodes.conf, under its name, and with what it had heard of the move.
    net.restart(C);
    assert!(writes > 1 && net.nodes[C].core.me() == id[C]);
    net.tell("C: its process starts again, from nodes.conf:");
    let file: Vec<String> =
        net.nodes[C].disk.written.lines().map(|line| format!("           | {line}")).collect();
    net.story.extend(file);
    net.wait("nobody holds C for failing any more", |nodes| nodes.iter().all(|n| !failed(n)));
    net.wait("all slots are served again", |nodes| nodes.iter().all(|n| n.core.state_ok()) && agree(nodes));
    assert_eq!(client(&mut net, C, "foo", None), Some("bar".into()));
    net.story
}

/// The operator's script in the recommended order, with a client in between.
fn move_slot(net: &mut Net, slot: Slot, from: usize, to: usize, id: &[NodeId]) {
    ok(net.command(to, &format!("SETSLOT {slot} IMPORTING {}", id[from])));
    ok(net.command(from, &format!("SETSLOT {slot} MIGRATING {}", id[to])));
    // A key that is not at the source any more, or not yet: -ASK.
    assert_eq!(client(net, from, "{foo}2", Some("new")), Some("new".into()));
    migrate(net, slot, from, to);
    ok(net.command(to, &format!("SETSLOT {slot} NODE {}", id[to])));
    ok(net.command(from, &format!("SETSLOT {slot} NODE {}", id[to])));
    net.wait("all know the slot's new owner", |nodes| {
        nodes.iter().all(|n| n.core.owner(slot).is_some_and(|p| p.id == id[to]))
    });
    assert_eq!(net.nodes[from].keys.of_slot(slot), []);
    assert_eq!(client(net, from, "foo", None), Some("bar".into()));
}

/// GETKEYSINSLOT and MIGRATE: which keys are deleted when is the core's, how they travel is the shell's.
fn migrate(net: &mut Net, slot: Slot, from: usize, to: usize) {
    let keys = net.nodes[from].keys.of_slot(slot);
    let mut transfer = Transfer::new(keys.len(), false, false);
    for request in transfer.requests(false) {
        let Request::Restore(i) = request else { continue };
        let (key, value) = &keys[i];
        // RESTORE-ASKING at the target.
        let answer = net.nodes[to].request(key, Some(value), true);
        let taken = answer.as_ref().map(|_| ()).map_err(|(_, error)| error.as_str());
        if let AfterReply::Delete(i) = transfer.on_reply(taken) {
            net.nodes[from].keys.remove(&keys[i].0);
        }
    }
    assert_eq!(transfer.finish(), Ok(()));
    net.tell(format!("{} -> {}: MIGRATE of {} keys", net.nodes[from].name, net.nodes[to].name, keys.len()));
}

/// A client of the cluster: it goes where it is sent.
fn client(net: &mut Net, at: usize, key: &str, value: Option<&str>) -> Option<String> {
    let (mut at, mut asking) = (at, false);
    let words = value.map_or(format!("GET {key}"), |value| format!("SET {key} {value}"));
    for _ in 0..5 {
        let answer = net.nodes[at].request(key, value, asking);
        let name = net.nodes[at].name;
        let asked = if asking { "ASKING, " } else { "" };
        match answer {
            Ok(found) => {
                net.tell(format!("client at {name}: {asked}{words} -> {found:?}"));
                return found;
            }
            Err((route, line)) => {
                net.tell(format!("client at {name}: {asked}{words} -> -{line}"));
                let address = line.rsplit(' ').next().and_then(|host| host.split_once(':'));
                asking = matches!(route, Route::Ask(..));
                at = address.and_then(|(ip, _)| at_ip(ip)).expect("a redirection");
            }
        }
    }
    panic!("redirections without end");
}

fn agree(nodes: &[Node]) -> bool {
    let owners = |n: &Node| -> Vec<Option<NodeId>> {
        (0..n.core.slot_count()).map(|s| n.core.owner(Slot::new(s)).map(|p| p.id)).collect()
    };
    nodes.iter().all(|n| owners(n) == owners(&nodes[0]))
}

fn ok(reply: Reply) {
    assert_eq!(reply, Reply::Ok);
}

#[test]
fn the_story_is_always_the_same() {
    let first = story();
    assert_eq!(first, story());
    for line in ["-MOVED 12182 10.0.0.3:7000", "-ASK 12182 10.0.0.1:7000", "-MOVED 12182 10.0.0.1:7000"] {
        assert!(first.iter().any(|l| l.ends_with(line)), "{line}");
    }
}
