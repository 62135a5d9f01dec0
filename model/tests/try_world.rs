//! Scratch.
#![cfg(feature = "check")]
#![allow(clippy::print_stdout)]
use slotproof_model::check::{explore::Explorer, scenario::Scenario, world::World};
#[test]
fn run() {
    let file = std::env::var("SCN").unwrap_or("scenarios/contend.toml".into());
    let mut sc = Scenario::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
    if let Ok(d) = std::env::var("D") {
        sc.d = d.parse().unwrap();
    }
    let w = World::new(sc).unwrap();
    let t = std::time::Instant::now();
    let r = Explorer::new(&w).claims(w.claims()).max_states(30_000_000).run();
    println!("{:.1}s contents {:?}", t.elapsed().as_secs_f64(), w.content_counts());
    println!("{}", r.display(&w));
}
