//! What clients did and were told, and whether that can be: no acknowledged write lost, no acknowledged deletion undone.
//!
//! Each key belongs to one client, so its operations have an order; an operation whose answer was lost may take effect at any later time, or never.

use std::collections::BTreeMap;

/// What a client did to a key. Values are numbers, each written once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// SET.
    Write(u64),
    /// DEL.
    Delete,
    /// GET.
    Read,
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is done.
    Done,
    /// What a GET found.
    Found(Option<u64>),
    /// No answer.
    Unknown,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// The key's number.
    pub key: u32,
    /// What was done.
    pub did: Did,
    /// What was answered.
    pub told: Told,
}

/// Values that a key may have now.
#[derive(Clone, Debug, Default)]
struct Key {
    /// The last value that is certain (none: no such key).
    certain: Option<u64>,
    /// Values of operations without answer, which may still come.
    possible: Vec<Option<u64>>,
}

impl Key {
    fn allows(&self, value: Option<u64>) -> bool {
        self.certain == value || self.possible.contains(&value)
    }
}

/// What is wrong with a history, as sentences; `initial` are the keys that were there before, `last` what was found in the end.
pub fn violations(
    initial: &BTreeMap<u32, u64>,
    ops: &[Op],
    last: &BTreeMap<u32, Option<u64>>,
) -> Vec<String> {
    let mut keys: BTreeMap<u32, Key> = BTreeMap::new();
    for (&key, &value) in initial {
        keys.insert(key, Key { certain: Some(value), possible: Vec::new() });
    }
    let mut wrong = Vec::new();
    for (n, op) in ops.iter().enumerate() {
        let key = keys.entry(op.key).or_default();
        let value = match op.did {
            Did::Write(v) => Some(v),
            Did::Delete => None,
            Did::Read => {
                if let Told::Found(found) = op.told {
                    if !key.allows(found) {
                        wrong.push(tell(op.key, key, found, &format!("operation {n}")));
                    }
                    key.certain = found;
                }
                continue;
            }
        };
        match op.told {
            Told::Unknown => key.possible.push(value),
            Told::Done | Told::Found(_) => key.certain = value,
        }
    }
    for (&key, &found) in last {
        let state = keys.entry(key).or_default();
        if !state.allows(found) {
            wrong.push(tell(key, state, found, "the end"));
        }
    }
    wrong
}

fn tell(key: u32, state: &Key, found: Option<u64>, when: &str) -> String {
    match (state.certain, found) {
        (Some(v), None) => format!("key {key}: at {when} it is gone, and its write of {v} was acknowledged"),
        (None, Some(v)) => {
            format!("key {key}: at {when} it is back with {v}, and its deletion was acknowledged")
        }
        (certain, found) => {
            format!("key {key}: at {when} it is {found:?}, and {certain:?} was acknowledged last")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(did: Did, told: Told) -> Op {
        Op { key: 1, did, told }
    }

    fn wrong(ops: &[Op], end: Option<u64>) -> usize {
        violations(&[(1, 0)].into(), ops, &[(1, end)].into()).len()
    }

    #[test]
    fn what_was_acknowledged_last_is_found() {
        let ops =
            [op(Did::Write(1), Told::Done), op(Did::Read, Told::Found(Some(1))), op(Did::Delete, Told::Done)];
        assert_eq!(wrong(&ops, None), 0);
        assert_eq!(wrong(&ops[..1], Some(1)), 0);
    }

    #[test]
    fn a_lost_write_a_key_that_is_back_and_a_stale_read_are_seen() {
        assert_eq!(wrong(&[op(Did::Write(1), Told::Done)], None), 1);
        assert_eq!(wrong(&[op(Did::Write(1), Told::Done)], Some(0)), 1);
        assert_eq!(wrong(&[op(Did::Delete, Told::Done)], Some(0)), 1);
        assert_eq!(wrong(&[op(Did::Write(1), Told::Done), op(Did::Read, Told::Found(Some(0)))], Some(0)), 1);
    }

    #[test]
    fn an_operation_without_answer_may_have_happened_or_not() {
        let ops = [op(Did::Write(1), Told::Done), op(Did::Write(2), Told::Unknown)];
        assert_eq!(wrong(&ops, Some(1)), 0);
        assert_eq!(wrong(&ops, Some(2)), 0);
        assert_eq!(wrong(&ops, Some(0)), 1);
    }
}
