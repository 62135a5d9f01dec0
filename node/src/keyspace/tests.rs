//! What the keyspace promises.

use std::collections::{BTreeMap, HashMap};

use super::*;

fn number(n: usize) -> Value {
    Value::Str(Str::Int(n as i64))
}

fn filled(keys: usize) -> Keyspace {
    let mut keyspace = Keyspace::new();
    for i in 0..keys {
        keyspace.set(format!("k{i}").as_bytes(), number(i), Expiry::Never, 0);
    }
    keyspace
}

#[test]
fn a_slot_is_counted_listed_and_dropped_alone() {
    let mut keyspace = Keyspace::new();
    for i in 0..100 {
        keyspace.set(format!("{{a}}{i}").as_bytes(), number(i), Expiry::At(1000), 0);
        keyspace.set(format!("{{b}}{i}").as_bytes(), number(i), Expiry::At(1000), 0);
    }
    let (a, b) = (key_slot(b"a"), key_slot(b"b"));
    assert_eq!((keyspace.slot_len(a), keyspace.len(), keyspace.expires()), (100, 200, 200));
    assert_eq!(keyspace.drop_slot(a), 100);
    assert_eq!((keyspace.slot_len(a), keyspace.slot_len(b)), (0, 100));
    assert_eq!((keyspace.len(), keyspace.expires()), (100, 100));
    assert_eq!(keyspace.drop_slot(a), 0);
    assert_eq!(keyspace.occupied().iter().collect::<Vec<_>>(), [b]);
}

#[test]
fn the_last_added_comes_first() {
    let mut keyspace = Keyspace::new();
    for key in ["{t}1", "{t}2", "{t}3", "{t}4"] {
        keyspace.set(key.as_bytes(), number(0), Expiry::Never, 0);
    }
    keyspace.remove(b"{t}2", 0);
    keyspace.set(b"{t}5", number(0), Expiry::Never, 0);
    keyspace.set(b"{t}1", number(1), Expiry::Never, 0);
    keyspace.remove(b"{t}5", 0);
    keyspace.set(b"{t}2", number(0), Expiry::Never, 0);
    let keys: Vec<_> = keyspace.keys_in_slot(key_slot(b"t")).map(String::from_utf8_lossy).collect();
    assert_eq!(keys, ["{t}2", "{t}4", "{t}3", "{t}1"]);
}

#[test]
fn a_key_whose_time_has_come_is_missing() {
    let mut keyspace = Keyspace::new();
    keyspace.set(b"k", number(1), Expiry::At(10), 0);
    assert!(keyspace.exists(b"k", 10));
    assert!(!keyspace.exists(b"k", 11));
    assert_eq!((keyspace.len(), keyspace.expired()), (1, 0), "looking does not delete");
    assert_eq!(keyspace.get(b"k", 11), None);
    assert_eq!((keyspace.len(), keyspace.expires(), keyspace.expired()), (0, 0, 1));
}

#[test]
fn expiries_are_kept_replaced_and_taken_away() {
    let mut keyspace = Keyspace::new();
    keyspace.set(b"k", number(1), Expiry::At(10), 0);
    keyspace.set(b"k", number(2), Expiry::Keep, 0);
    assert_eq!(keyspace.expiry(b"k", 0), Some(Some(10)));
    keyspace.set_expiry(b"k", Some(20));
    assert_eq!(keyspace.expiry(b"k", 0), Some(Some(20)));
    keyspace.set(b"k", number(3), Expiry::Never, 0);
    assert_eq!((keyspace.expiry(b"k", 0), keyspace.expires()), (Some(None), 0));
    keyspace.set_expiry(b"k", Some(i64::MAX));
    assert_eq!(keyspace.expires(), 1);
    keyspace.set_expiry(b"missing", Some(1));
    assert_eq!(keyspace.expires(), 1);
}

#[test]
fn the_active_cycle_is_bounded_and_gets_all() {
    let mut keyspace = Keyspace::new();
    for i in 0..1000 {
        keyspace.set(format!("k{i}").as_bytes(), number(i), Expiry::At(i as i64), 0);
    }
    assert_eq!(keyspace.expire_cycle(500, 100), 100);
    let mut dropped = 100;
    loop {
        match keyspace.expire_cycle(500, 100) {
            0 => break,
            n => dropped += n,
        }
    }
    assert_eq!((dropped, keyspace.len(), keyspace.expires()), (500, 500, 500));
}

#[test]
fn a_scan_of_a_still_keyspace_meets_each_key_once() {
    let keyspace = filled(5000);
    let mut met: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut cursor = 0;
    loop {
        cursor = keyspace.scan(cursor, 7, |k, _, _| *met.entry(k.to_vec()).or_default() += 1);
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(met.len(), 5000);
    assert!(met.values().all(|&n| n == 1));
}

#[test]
fn any_cursor_is_harmless() {
    let keyspace = filled(100);
    for cursor in [1, u64::MAX, 16384 << 32, 16383 << 32 | 0xffff_ffff] {
        keyspace.scan(cursor, usize::MAX, |_, _, _| {});
    }
}

#[test]
fn some_key_exists() {
    let mut keyspace = filled(10);
    for random in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
        assert!(keyspace.some_key(random).is_some());
    }
    keyspace.clear(false);
    assert_eq!(keyspace.some_key(5), None);
}

quickcheck::quickcheck! {
    /// Operations on a few keys behave as on a plain map, and a scan running beside them meets every key
    /// that was there all the time.
    fn like_a_plain_map(ops: Vec<(u8, u8)>) -> bool {
        let mut keyspace = Keyspace::new();
        let mut plain: HashMap<Vec<u8>, usize> = HashMap::new();
        let stays: Vec<Vec<u8>> = (0..20).map(|i| format!("{{{}}}stays{i}", i % 3).into_bytes()).collect();
        for key in &stays {
            keyspace.set(key, number(0), Expiry::Never, 0);
            plain.insert(key.clone(), 0);
        }
        let mut met = Vec::new();
        let (mut cursor, mut ended) = (0, false);
        for (i, (op, which)) in ops.into_iter().enumerate() {
            let key = format!("{{{}}}k{}", which % 3, which % 16).into_bytes();
            match op % 4 {
                0 => {
                    keyspace.set(&key, number(i), Expiry::Never, 0);
                    plain.insert(key, i);
                }
                1 => {
                    let (mine, theirs) = (keyspace.remove(&key, 0), plain.remove(&key));
                    assert_eq!(mine, theirs.map(number));
                }
                2 => {
                    let theirs = plain.get(&key).map(|&n| number(n));
                    assert_eq!(keyspace.get(&key, 0).cloned(), theirs);
                }
                _ if !ended => {
                    cursor = keyspace.scan(cursor, 2, |k, _, _| met.push(k.to_vec()));
                    ended = cursor == 0;
                }
                _ => {}
            }
        }
        while !ended {
            cursor = keyspace.scan(cursor, 2, |k, _, _| met.push(k.to_vec()));
            ended = cursor == 0;
        }
        let counted: usize = keyspace.occupied().iter().map(|s| keyspace.slot_len(s)).sum();
        stays.iter().all(|k| met.contains(k))
            && keyspace.len() == plain.len()
            && counted == plain.len()
            && keyspace.iter().count() == plain.len()
    }
}
