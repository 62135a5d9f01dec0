//! The graph explorer on a model of one's own: `cargo run -p slotproof-model --features check --example explore`
//!
//! Two clients want a lock, each once. A server hands it out; one of its answers may be lost, and a client that hears nothing asks
//! again. A server that refuses everybody while the lock is taken lets a client ask for ever that has the lock and was not told:
//! nothing bad ever happens, and nothing good either. A server that recognises the owner repeats its grant.
#![allow(clippy::print_stdout)]

use slotproof_model::check::explore::{Claim, Explorable, Explorer, Report, StepKind, Taken};
use stateright::Model;

fn main() {
    for recognises_owner in [false, true] {
        let server = Server { recognises_owner };
        println!(
            "a server that {} the owner",
            if recognises_owner { "recognises" } else { "does not recognise" }
        );
        println!("{}", explore(&server).display(&server));
    }
}

/// The model: how this server behaves is all there is to say.
struct Server {
    recognises_owner: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Client {
    /// It has not got the lock yet.
    Wants,
    Holds,
    Done,
}

/// At most one message is under way between a client and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wire {
    Empty,
    Ask,
    Grant,
    Refuse,
    Release,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    owner: Option<u8>,
    clients: [Client; 2],
    wires: [Wire; 2],
    /// How many answers may still be lost.
    losses: u8,
}

#[derive(Clone, Debug, PartialEq)]
enum Act {
    /// A client asks, for the first time or again.
    Ask(usize),
    /// The server takes a client's message.
    Serve(usize),
    /// A client hears the server's answer.
    Hear(usize),
    /// A client has done its work.
    Release(usize),
    /// The server's answer is lost.
    Lose(usize),
}

impl Model for Server {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        vec![World { owner: None, clients: [Client::Wants; 2], wires: [Wire::Empty; 2], losses: 1 }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Act>) {
        for i in 0..2 {
            match (world.wires[i], world.clients[i]) {
                (Wire::Empty, Client::Wants) => actions.push(Act::Ask(i)),
                (Wire::Empty, Client::Holds) => actions.push(Act::Release(i)),
                (Wire::Empty, Client::Done) => {}
                (Wire::Ask | Wire::Release, _) => actions.push(Act::Serve(i)),
                (Wire::Grant | Wire::Refuse, _) => actions.push(Act::Hear(i)),
            }
            if world.losses > 0 && matches!(world.wires[i], Wire::Grant | Wire::Refuse) {
                actions.push(Act::Lose(i));
            }
        }
    }

    /// In terms of `take`, so that both always say the same.
    fn next_state(&self, world: &World, act: Act) -> Option<World> {
        self.take(world, &act).to
    }
}

impl Explorable for Server {
    fn take(&self, world: &World, act: &Act) -> Taken<World> {
        let mut next = world.clone();
        let mut kind = StepKind::Fair;
        match *act {
            Act::Ask(i) => next.wires[i] = Wire::Ask,
            Act::Release(i) => (next.clients[i], next.wires[i]) = (Client::Done, Wire::Release),
            Act::Serve(i) if world.wires[i] == Wire::Release => {
                (next.owner, next.wires[i]) = (None, Wire::Empty)
            }
            Act::Serve(i) => {
                let me = Some(i as u8);
                let granted = world.owner.is_none() || self.recognises_owner && world.owner == me;
                next.wires[i] = if granted { Wire::Grant } else { Wire::Refuse };
                next.owner = world.owner.or(me);
            }
            Act::Hear(i) => {
                if world.wires[i] == Wire::Grant {
                    next.clients[i] = Client::Holds;
                }
                next.wires[i] = Wire::Empty;
            }
            Act::Lose(i) => {
                kind = StepKind::Fault;
                next.losses -= 1;
                next.wires[i] = Wire::Empty;
            }
        }
        Taken::to(kind, next)
    }

    fn is_quiescent(&self, world: &World, _: bool) -> bool {
        world.clients == [Client::Done; 2] && world.wires == [Wire::Empty; 2]
    }

    fn encode(&self, world: &World, out: &mut Vec<u8>) {
        out.push(world.owner.map_or(u8::MAX, |owner| owner));
        out.extend(world.clients.map(|client| client as u8));
        out.extend(world.wires.map(|wire| wire as u8));
        out.push(world.losses);
    }

    fn decode(&self, bytes: &[u8]) -> World {
        const CLIENTS: [Client; 3] = [Client::Wants, Client::Holds, Client::Done];
        const WIRES: [Wire; 5] = [Wire::Empty, Wire::Ask, Wire::Grant, Wire::Refuse, Wire::Release];
        World {
            owner: (bytes[0] != u8::MAX).then_some(bytes[0]),
            clients: [bytes[1], bytes[2]].map(|b| CLIENTS[usize::from(b)]),
            wires: [bytes[3], bytes[4]].map(|b| WIRES[usize::from(b)]),
            losses: bytes[5],
        }
    }

    fn format_state(&self, world: &World) -> String {
        let client =
            |i: usize| format!("client {i} {:?}, on its wire {:?}\n", world.clients[i], world.wires[i]);
        format!("{}{}the lock is {:?}", client(0), client(1), world.owner)
    }
}

fn explore(server: &Server) -> Report<Server> {
    Explorer::new(server)
        .claim(Claim::always("one client holds the lock", |_: &Server, w: &World| {
            w.clients.iter().filter(|c| **c == Client::Holds).count() <= 1
        }))
        .claim(Claim::each_step("nobody takes it from its owner", |_, from: &World, _, to: &World| {
            from.owner.is_none() || to.owner.is_none() || from.owner == to.owner
        }))
        .claim(Claim::settled("both have had it in the end", |_, w: &World| w.clients == [Client::Done; 2]))
        .run()
}

#[cfg(test)]
use slotproof_model::check::explore::{Verdict, spawn_bfs_counts};

#[test]
fn a_server_that_forgets_whom_it_granted_leaves_a_client_asking_for_ever() {
    let server = Server { recognises_owner: false };
    let report = explore(&server);
    assert_eq!(report.verdict(), Verdict::Violated);
    assert!(report.counterexample("one client holds the lock").is_none());
    let found = report.counterexample("both have had it in the end").expect("a client asks for ever");
    assert!(found.lasso.is_some(), "in circles");
    let shown = found.display(&server).to_string();
    assert!(shown.contains("Lose(0)  (fault)") && shown.contains("then for ever:"), "{shown}");
}

#[test]
fn one_that_recognises_it_does_not() {
    let server = Server { recognises_owner: true };
    let report = explore(&server);
    assert_eq!(report.verdict(), Verdict::Verified);
    // Stateright's own search counts the same states.
    assert_eq!(spawn_bfs_counts(std::sync::Arc::new(server), 1).states, report.states);
}
