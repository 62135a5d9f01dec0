//! From a key to a decision: the hash alone, and hash and route, for keys of 8 to 256 bytes with and without a
//! hash tag. The baseline is CRC16 a byte at a time with one table, as Redis computes it.
//!
//! Times on a shared machine are noisy, so the comparison that counts is the ratio at the end of the run: both sides
//! are timed in alternation, and the medians are divided.
#![allow(missing_docs, clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use slotproof_model::{
    Address, Config, Epoch, Flags, NodeId, NodeState, RequestKind, Route, RouteTable, SLOTS, Saved,
    SavedNode, Slot, SlotSet, hash_tag, key_slot,
};

const SIZES: [usize; 5] = [8, 16, 32, 64, 256];
const KEYS: usize = 1024;

/// CRC16 a byte at a time, the baseline.
struct Bytewise([u16; 256]);

impl Bytewise {
    fn new() -> Self {
        let mut table = [0; 256];
        for (b, entry) in table.iter_mut().enumerate() {
            *entry =
                (0..8).fold((b as u16) << 8, |c, _| if c & 0x8000 != 0 { (c << 1) ^ 0x1021 } else { c << 1 });
        }
        Self(table)
    }

    fn slot(&self, key: &[u8]) -> u16 {
        let crc =
            hash_tag(key).iter().fold(0u16, |crc, &b| (crc << 8) ^ self.0[usize::from((crc >> 8) as u8 ^ b)]);
        crc % SLOTS
    }
}

/// Keys of `size` bytes, `tagged` with a hash tag of half their length.
fn keys(size: usize, tagged: bool) -> Vec<Vec<u8>> {
    (0..KEYS)
        .map(|n| {
            let name = NodeId::from_seed(n as u128).to_string().repeat(7);
            let mut key = name.as_bytes()[..size].to_vec();
            if tagged {
                key[0] = b'{';
                key[size / 2] = b'}';
            }
            key
        })
        .collect()
}

/// The state of one of three masters with a third of the slots each, and one slot open.
fn state(config: &Config) -> NodeState {
    let id = |n: u16| NodeId::from_seed(u128::from(n));
    let nodes = (0..3u16).map(|n| {
        let mut slots = SlotSet::new(SLOTS);
        for s in (n..SLOTS).step_by(3) {
            slots.insert(Slot::new(s));
        }
        SavedNode {
            id: id(n),
            address: Address { ip: "127.0.0.1".into(), port: 7000 + n, pport: 0, cport: 17000 + n },
            hostname: None,
            flags: if n == 0 { Flags::MASTER.with(Flags::MYSELF) } else { Flags::MASTER },
            master: None,
            config_epoch: Epoch(u64::from(n) + 1),
            slots,
        }
    });
    let saved = Saved {
        me: id(0),
        current_epoch: Epoch(3),
        last_vote_epoch: Epoch(0),
        nodes: nodes.collect(),
        migrating: [(Slot::new(0), id(1))].into(),
        importing: [].into(),
    };
    let mut nodes = saved.nodes.clone();
    nodes.sort_by_key(|n| n.id);
    NodeState::from_saved(&Saved { nodes, ..saved }, config)
}

fn route(table: &RouteTable, key: &[u8]) -> Route {
    table.route(RequestKind::default(), [key], |k| key_slot(k), |_| true)
}

fn benches(c: &mut Criterion) {
    let config = Config { require_full_coverage: false, allow_reads_when_down: true, ..Config::default() };
    let state = state(&config);
    let table = state.route_table(&config);
    let baseline = Bytewise::new();
    for tagged in [false, true] {
        let mut group = c.benchmark_group(if tagged { "slot_lookup/tagged" } else { "slot_lookup/plain" });
        for size in SIZES {
            let keys = keys(size, tagged);
            check(&state, &table, &baseline, &keys);
            group.throughput(Throughput::Elements(KEYS as u64));
            group.bench_with_input(BenchmarkId::new("hash", size), &keys, |b, keys| {
                b.iter(|| keys.iter().map(|k| u32::from(u16::from(key_slot(black_box(k))))).sum::<u32>());
            });
            group.bench_with_input(BenchmarkId::new("hash_and_route", size), &keys, |b, keys| {
                b.iter(|| keys.iter().filter(|k| route(&table, black_box(k)) == Route::Serve).count());
            });
            group.bench_with_input(BenchmarkId::new("bytewise_hash", size), &keys, |b, keys| {
                b.iter(|| keys.iter().map(|k| u32::from(baseline.slot(black_box(k)))).sum::<u32>());
            });
        }
        group.finish();
    }
}

/// The published table gives the answers of the state it was made from, and all hashes agree.
fn check(state: &NodeState, table: &RouteTable, baseline: &Bytewise, keys: &[Vec<u8>]) {
    for key in keys {
        let slot = key_slot(key);
        assert_eq!(u16::from(slot), baseline.slot(key));
        let owner = state.owner(slot).expect("all slots are owned").id;
        let want = if owner == state.me() { Route::Serve } else { Route::Moved(slot, owner) };
        assert_eq!(route(table, key), want, "the table and the state disagree");
    }
}

/// Median time of the baseline over median time of ours, both run in alternation.
fn ratios() {
    let baseline = Bytewise::new();
    println!("byte-wise CRC16 / ours, medians of 51 alternating rounds (above 1: ours is faster)");
    for tagged in [false, true] {
        for size in SIZES {
            let keys = keys(size, tagged);
            let time = |f: &dyn Fn(&[u8]) -> u16| {
                let start = Instant::now();
                for _ in 0..20 {
                    black_box(keys.iter().map(|k| u32::from(f(black_box(k)))).sum::<u32>());
                }
                start.elapsed().as_nanos()
            };
            let (mut theirs, mut ours): (Vec<u128>, Vec<u128>) =
                (0..51).map(|_| (time(&|k| baseline.slot(k)), time(&|k| key_slot(k).into()))).unzip();
            theirs.sort_unstable();
            ours.sort_unstable();
            let kind = if tagged { "tagged" } else { "plain" };
            println!("{kind:>7} {size:>4} bytes: {:.2}", theirs[25] as f64 / ours[25] as f64);
        }
    }
}

criterion_group!(slot_lookup, benches);

fn main() {
    // `cargo test --benches` runs this with `--test`: the answers are compared, nothing is timed.
    slot_lookup();
    Criterion::default().configure_from_args().final_summary();
    if !std::env::args().any(|a| a == "--test" || a == "--list") {
        ratios();
    }
}
