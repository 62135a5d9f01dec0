//! The file of a node.

use slotproof_model::nodes_conf::{Loaded, parse, render};
use slotproof_model::{Config, Dice, Effects, Input, Keyspace, NoKeys, NodeState, Saved};

/// - A file is refused with a short error that names what is wrong, or it is accepted.
/// - What was accepted is written and read as the same, and the text is then written as it was.
/// - A node starts with it, and what that node saves it reads again.
///
/// # Panics
/// Where one of these does not hold.
pub fn nodes_conf(data: &[u8]) {
    let loaded = match parse(data) {
        Ok(None) => return assert!(data.is_empty(), "only no file makes a new node"),
        Ok(Some(loaded)) => loaded,
        Err(e) => {
            let text = e.to_string();
            assert!(!text.is_empty() && text.len() < 1000 && !text.contains('\n'), "{text}");
            return;
        }
    };
    let text = render(&loaded.saved, &loaded);
    let again = read(&text);
    assert_eq!(again.saved, one_mark(loaded.saved.clone()));
    assert_eq!(render(&again.saved, &again), text);

    let config = Config::default();
    let mut node = NodeState::from_saved(&loaded.saved, &config);
    assert_eq!(node.me(), loaded.saved.me);
    saved_and_read(&node);
    let peers: Vec<_> = node.peers().iter().map(|p| p.id).take(20).collect();
    step(&mut node, &config, Input::Start, &NoKeys);
    for to in peers {
        step(&mut node, &config, Input::HeartbeatDue { to, dice: Dice::Roll(7) }, &NoKeys);
    }
    saved_and_read(&node);
    let _ = node.route_table(&config);
}

pub(super) fn step(node: &mut NodeState, config: &Config, input: Input, keys: &impl Keyspace) -> Effects {
    let mut out = Effects::new();
    node.step(config, input, keys, &mut out);
    out
}

/// Whatever became of a node, it can read what it saves.
pub(super) fn saved_and_read(node: &NodeState) {
    let saved = node.saved();
    let text = render(&saved, &slotproof_model::NoStamps);
    assert!(read(&text).saved == saved, "{}", &text[..text.len().min(2000)]);
}

fn read(text: &str) -> Loaded {
    parse(text.as_bytes())
        .unwrap_or_else(|e| panic!("{e}\n{}", &text[..text.len().min(2000)]))
        .expect("not empty")
}

/// The file has one of the two marks for a slot.
fn one_mark(mut saved: Saved) -> Saved {
    let migrating = &saved.migrating;
    saved.importing.retain(|slot, _| !migrating.contains_key(slot));
    saved
}
