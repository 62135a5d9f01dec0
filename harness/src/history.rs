//! What clients did and saw, and whether that is possible: no acknowledged write lost, no deleted key back, no read that is older than
//! what was known, or newer than what was asked for.
//!
//! Each key has one writer, who numbers its writes and deletions 1, 2, 3, ... and goes on only when the last one is acknowledged: one whose
//! outcome is unknown is a key's last. So a key's truth is a number that only grows, and every read must see a number between two others.

use std::collections::BTreeMap;
use std::fmt;

/// One operation on one key. Refused ones are left out: they did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The key's number.
    pub key: u32,
    /// What was done.
    pub what: What,
    /// When it was sent, in ns since the history's beginning.
    pub start_ns: u64,
    /// When its reply was there; `None` if none came.
    pub end_ns: Option<u64>,
}

/// What an operation did or saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A write of this number.
    Write(u32),
    /// A deletion of this number; `found`: whether the reply said that there was something to delete.
    Delete {
        /// Its number.
        number: u32,
        /// Whether there was something to delete, if a reply came.
        found: Option<bool>,
    },
    /// A read that saw the value of this number, or nothing.
    Read(Option<u32>),
    /// A read that saw a value which nobody wrote to this key.
    ReadForeign,
}

/// Something that cannot have happened in a correct cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The key's number.
    pub key: u32,
    /// Its kind.
    pub kind: ViolationKind,
    /// The operation that shows it.
    pub seen: Operation,
    /// At this number at least the key was at that time.
    pub at_least: u32,
    /// And at this number at most.
    pub at_most: u32,
}

/// Kinds of violations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ViolationKind {
    /// An acknowledged write is not there, or an older value is.
    LostWrite,
    /// A key whose deletion was acknowledged is there again.
    DeletedKeyBack,
    /// A value that was not yet asked for, or is another key's.
    ForeignValue,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ViolationKind::LostWrite => "acknowledged write lost",
            ViolationKind::DeletedKeyBack => "deleted key back",
            ViolationKind::ForeignValue => "value that nobody wrote",
        };
        let Operation { what, start_ns, end_ns, .. } = self.seen;
        let end_ms = end_ns.map_or("?".into(), |ns| (ns / 1_000_000).to_string());
        write!(
            f,
            "key {}: {kind}: {what:?} between {} and {end_ms} ms, when its number was {} to {}",
            self.key,
            start_ns / 1_000_000,
            self.at_least,
            self.at_most
        )
    }
}

/// What a history consists of, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Keys that occur.
    pub keys: usize,
    /// Acknowledged writes.
    pub writes: usize,
    /// Acknowledged deletions.
    pub deletions: usize,
    /// Reads that were answered.
    pub reads: usize,
    /// Writes and deletions without a reply.
    pub unknown: usize,
    /// What cannot have happened.
    pub violations: Vec<Violation>,
}

/// Checks a history. The operations may come in any order, as several clients recorded them.
pub fn check(mut operations: Vec<Operation>) -> Verdict {
    operations.sort_unstable_by_key(|o| (o.key, o.start_ns));
    let mut verdict = Verdict::default();
    for of_key in operations.chunk_by(|a, b| a.key == b.key) {
        verdict.keys += 1;
        check_key(of_key, &mut verdict);
    }
    verdict
}

/// A write or deletion of one key.
#[derive(Clone, Copy)]
struct Change {
    exists: bool,
    start_ns: u64,
    end_ns: Option<u64>,
}

/// The operations of one key, by their start.
fn check_key(operations: &[Operation], verdict: &mut Verdict) {
    // Number 0 is the key that was never written.
    let mut changes = vec![Change { exists: false, start_ns: 0, end_ns: Some(0) }];
    // The reads that have ended, by their end: the greatest number seen up to then.
    let mut known: BTreeMap<u64, u32> = BTreeMap::new();
    for operation in operations {
        let (number, exists) = match operation.what {
            What::Write(number) => (number, true),
            What::Delete { number, .. } => (number, false),
            What::Read(_) | What::ReadForeign => continue,
        };
        assert_eq!(number as usize, changes.len(), "a writer numbers its changes one after the other");
        assert!(
            changes.last().is_some_and(|c| c.end_ns.is_some()),
            "a change of unknown outcome is a key's last"
        );
        changes.push(Change { exists, start_ns: operation.start_ns, end_ns: operation.end_ns });
        match (operation.end_ns, exists) {
            (None, _) => verdict.unknown += 1,
            (Some(_), true) => verdict.writes += 1,
            (Some(_), false) => verdict.deletions += 1,
        }
    }
    for operation in operations {
        let acknowledged = changes.partition_point(|c| c.end_ns.is_some_and(|end| end < operation.start_ns));
        let read_before = known.range(..operation.start_ns).next_back().map_or(0, |(_, &n)| n);
        // Change 0 is acknowledged from the beginning, so there is always one.
        let at_least = read_before.max(acknowledged.saturating_sub(1) as u32);
        let until = operation.end_ns.unwrap_or(u64::MAX);
        let at_most = changes.partition_point(|c| c.start_ns <= until).saturating_sub(1) as u32;
        let range = at_least as usize..=(at_most.max(at_least)) as usize;
        let mut report = |kind| {
            verdict.violations.push(Violation {
                key: operation.key,
                kind,
                seen: *operation,
                at_least,
                at_most,
            });
        };
        let seen = match operation.what {
            What::Write(_) => continue,
            What::Delete { number, found } => {
                // Its writer knows what it did last.
                let existed = changes[number as usize - 1].exists;
                match found {
                    Some(found) if found != existed && existed => report(ViolationKind::LostWrite),
                    Some(found) if found != existed => report(ViolationKind::DeletedKeyBack),
                    _ => {}
                }
                continue;
            }
            What::Read(None) => match range.clone().find(|&n| !changes[n].exists) {
                Some(n) => n as u32,
                None => {
                    report(ViolationKind::LostWrite);
                    continue;
                }
            },
            What::Read(Some(n)) if range.contains(&(n as usize)) && changes[n as usize].exists => n,
            What::Read(Some(n)) if n < at_least && changes[n as usize].exists => {
                let deleted = changes[n as usize + 1..=at_least as usize].iter().any(|c| !c.exists);
                report(if deleted { ViolationKind::DeletedKeyBack } else { ViolationKind::LostWrite });
                continue;
            }
            What::Read(Some(_)) | What::ReadForeign => {
                report(ViolationKind::ForeignValue);
                continue;
            }
        };
        verdict.reads += 1;
        if let Some(end) = operation.end_ns {
            note(&mut known, end, seen);
        }
    }
}

/// Notes that `number` was seen by `end`, in a map whose values grow with its keys.
fn note(known: &mut BTreeMap<u64, u32>, end: u64, number: u32) {
    if known.range(..=end).next_back().is_some_and(|(_, &n)| n >= number) {
        return;
    }
    let outdone: Vec<u64> = known.range(end..).take_while(|&(_, &n)| n <= number).map(|(&e, _)| e).collect();
    for e in outdone {
        known.remove(&e);
    }
    known.insert(end, number);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(what: What, start_ns: u64, end_ns: u64) -> Operation {
        Operation { key: 0, what, start_ns, end_ns: Some(end_ns) }
    }

    fn lost(what: What, start_ns: u64) -> Operation {
        Operation { key: 0, what, start_ns, end_ns: None }
    }

    fn delete(number: u32, found: bool) -> What {
        What::Delete { number, found: Some(found) }
    }

    fn kinds(operations: &[Operation]) -> Vec<ViolationKind> {
        check(operations.to_vec()).violations.iter().map(|v| v.kind).collect()
    }

    use ViolationKind::{DeletedKeyBack, ForeignValue, LostWrite};
    use What::{Read, Write};

    #[test]
    fn a_history_without_fault() {
        let operations = [
            op(Read(None), 0, 1),
            op(Write(1), 2, 6),
            op(Read(None), 3, 4),
            op(Read(Some(1)), 3, 5),
            op(Read(Some(1)), 7, 8),
            op(delete(2, true), 9, 12),
            op(Read(Some(1)), 10, 11),
            op(Read(None), 13, 14),
            op(delete(3, false), 15, 16),
            op(Write(4), 17, 18),
            lost(Write(5), 19),
            op(Read(Some(4)), 20, 21),
            op(Read(Some(5)), 22, 23),
            op(Read(Some(5)), 24, 25),
        ];
        let verdict = check(operations.to_vec());
        assert_eq!(verdict.violations, []);
        assert_eq!((verdict.keys, verdict.writes, verdict.deletions), (1, 2, 2));
        assert_eq!((verdict.reads, verdict.unknown), (9, 1));
    }

    #[test]
    fn a_lost_write_is_found() {
        assert_eq!(kinds(&[op(Write(1), 0, 1), op(Read(None), 2, 3)]), [LostWrite]);
        assert_eq!(kinds(&[op(Write(1), 0, 1), op(Write(2), 2, 3), op(Read(Some(1)), 4, 5)]), [LostWrite]);
        assert_eq!(kinds(&[op(Write(1), 0, 1), op(delete(2, false), 2, 3)]), [LostWrite]);
    }

    #[test]
    fn a_key_that_comes_back_is_found() {
        let written = [op(Write(1), 0, 1), op(delete(2, true), 2, 3)];
        assert_eq!(kinds(&[written[0], written[1], op(Read(Some(1)), 4, 5)]), [DeletedKeyBack]);
        assert_eq!(kinds(&[written[0], written[1], op(delete(3, true), 4, 5)]), [DeletedKeyBack]);
    }

    #[test]
    fn a_value_that_nobody_wrote_is_found() {
        assert_eq!(kinds(&[op(Read(Some(1)), 0, 1), op(Write(1), 2, 3)]), [ForeignValue]);
        assert_eq!(kinds(&[op(What::ReadForeign, 0, 1)]), [ForeignValue]);
        assert_eq!(kinds(&[op(Read(Some(7)), 0, 1)]), [ForeignValue]);
        assert_eq!(kinds(&[op(delete(1, false), 0, 1), op(Read(Some(1)), 2, 3)]), [ForeignValue]);
    }

    #[test]
    fn reads_do_not_go_back() {
        // Both are possible alone, while the write is under way; not one after the other.
        let write = op(Write(1), 0, 10);
        assert_eq!(kinds(&[write, op(Read(Some(1)), 1, 2), op(Read(None), 3, 4)]), [LostWrite]);
        assert_eq!(kinds(&[write, op(Read(None), 1, 2), op(Read(Some(1)), 3, 4)]), []);
        assert_eq!(kinds(&[write, op(Read(Some(1)), 1, 4), op(Read(None), 3, 5)]), []);
        // A write of unknown outcome that was once seen stays.
        assert_eq!(kinds(&[lost(Write(1), 0), op(Read(Some(1)), 1, 2), op(Read(None), 3, 4)]), [LostWrite]);
        assert_eq!(kinds(&[lost(Write(1), 0), op(Read(None), 1, 2), op(Read(Some(1)), 3, 4)]), []);
    }
}
