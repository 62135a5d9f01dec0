//! MIGRATE between two real nodes: keys a second for 10, 100 and 1000 keys of 64 bytes a call.
//!
//! After each run the final ownership must be what the model's own step says, run over the same script, and every key must be at the target.
#![allow(missing_docs)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use slotproof::cluster::{Cluster, Program};
use slotproof::resp::{Connection, Value};
use slotproof_model::{Command, Config, Dice, Effects, Input, NoKeys, NodeState, Slot, nodes_conf};

/// All keys have this hash tag, and so this slot.
const TAG: &str = "{bench}";

struct Pair {
    cluster: Cluster,
    at: [Connection; 2],
    ids: [String; 2],
    slot: u16,
}

impl Pair {
    fn start() -> Self {
        let program =
            Program::Slotproof(std::env::current_exe().expect("a bench has a path"), vec!["node".into()]);
        let cluster = Cluster::start(2, &program, &[], false).expect("two nodes");
        cluster.form(2).expect("a cluster");
        let connect = |i: usize| cluster.nodes[i].connect().expect("a connection");
        let at = [connect(0), connect(1)];
        let ids = [cluster.nodes[0].id().expect("an id"), cluster.nodes[1].id().expect("an id")];
        Self { at, ids, slot: u16::from(slotproof_model::key_slot(TAG.as_bytes())), cluster }
    }

    /// Who owns the slot for this node.
    fn owner(&mut self) -> usize {
        let text = self.at[0].ask(&["CLUSTER", "NODES"]).expect("nodes").text().unwrap_or_default();
        let loaded = nodes_conf::parse(format!("{text}vars currentEpoch 9 lastVoteEpoch 0\n").as_bytes());
        let saved = loaded.expect("well formed").expect("not empty").saved;
        let owner = saved.nodes.iter().find(|n| n.slots.contains(Slot::new(self.slot))).expect("owned");
        usize::from(owner.id.to_string() != self.ids[0])
    }

    /// The state of a node as CLUSTER NODES tells it.
    fn state(&mut self, i: usize, config: &Config) -> NodeState {
        let text = self.at[i].ask(&["CLUSTER", "NODES"]).expect("nodes").text().unwrap_or_default();
        let loaded = nodes_conf::parse(format!("{text}vars currentEpoch 9 lastVoteEpoch 0\n").as_bytes());
        NodeState::from_saved(&loaded.expect("well formed").expect("not empty").saved, config)
    }

    /// Moves the slot with `n` keys to the other node; the time of its MIGRATE.
    fn round(&mut self, n: usize) -> Duration {
        let from = self.owner();
        let to = 1 - from;
        let keys: Vec<String> = (0..n).map(|k| format!("{TAG}{k}")).collect();
        let value = "v".repeat(64);
        for key in &keys {
            self.at[from].push(&["SET", key, &value]);
        }
        self.at[from].flush().expect("sent");
        keys.iter().for_each(|_| drop(self.at[from].read().expect("answered").ok().expect("OK")));

        let config = Config::default();
        let mut predicted = [self.state(0, &config), self.state(1, &config)];
        let slot = self.slot.to_string();
        let (source, target) = (self.ids[from].clone(), self.ids[to].clone());
        let before = [(to, ["IMPORTING", &source]), (from, ["MIGRATING", &target])];
        let after = [(to, ["NODE", &target]), (from, ["NODE", &target])];
        let mut setslot = |pair: &mut Self, (at, [word, node]): (usize, [&str; 2])| {
            let words = ["SETSLOT", &slot, word, node];
            let args: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
            let command = Command::parse(&args, &config.rules).expect("a command");
            predicted[at].step(
                &config,
                Input::Command { command, dice: Dice::Least },
                &NoKeys,
                &mut Effects::new(),
            );
            pair.at[at].ask(&["CLUSTER", words[0], words[1], words[2], words[3]]).expect("OK");
        };
        before.into_iter().for_each(|step| setslot(self, step));
        let port = self.cluster.nodes[to].port.to_string();
        let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "20000", "KEYS"];
        migrate.extend(keys.iter().map(String::as_str));
        let begun = Instant::now();
        let answer = self.at[from].ask(&migrate).expect("moved");
        let took = begun.elapsed();
        assert_eq!(answer, Value::Status("OK".into()));
        after.into_iter().for_each(|step| setslot(self, step));

        for (i, state) in predicted.iter().enumerate() {
            let owner = state.owner(Slot::new(self.slot)).map(|p| p.id.to_string());
            assert_eq!(owner.as_deref(), Some(&*target), "the model's owner at node {i}");
            let real = self.state(i, &config);
            assert_eq!(
                real.owner(Slot::new(self.slot)).map(|p| p.id.to_string()),
                owner,
                "the real owner at node {i}"
            );
        }
        for (i, want) in [(from, 0), (to, n)] {
            let count = self.at[i].ask(&["CLUSTER", "COUNTKEYSINSLOT", &slot]).expect("a count");
            assert_eq!(count, Value::Int(want as i64), "keys at node {i}");
        }
        keys.iter().for_each(|k| self.at[to].push(&["DEL", k]));
        self.at[to].flush().expect("sent");
        keys.iter().for_each(|_| drop(self.at[to].read().expect("answered")));
        took
    }
}

fn benches(c: &mut Criterion) {
    let mut pair = Pair::start();
    let mut group = c.benchmark_group("migrate");
    group.sample_size(10);
    for n in [10, 100, 1000] {
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::new("keys_of_64_bytes", n), |b| {
            b.iter_custom(|rounds| (0..rounds).map(|_| pair.round(n)).sum());
        });
    }
    group.finish();
}

criterion_group!(migrate, benches);
/// The benchmark is its own nodes: started with `node` it is a server.
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|a| a == "node") {
        return slotproof_node::run(&args[1..]);
    }
    migrate();
    Criterion::default().configure_from_args().final_summary();
    ExitCode::SUCCESS
}
