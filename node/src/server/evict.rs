//! `maxmemory`: keys that go when memory is short (evict.c `performEvictions`).

use super::Server;
use crate::keyspace::{EventKind, Pick, Usage};

/// Which keys may go, and which of them first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pick: Pick,
    volatile: bool,
}

impl Policy {
    /// From the value of `maxmemory-policy`; nothing for `noeviction`.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        let (pick, volatile) = match name {
            b"volatile-lru" | b"volatile-lfu" => (Pick::Unused, true),
            b"volatile-random" => (Pick::Random, true),
            b"volatile-ttl" => (Pick::SoonestExpiry, true),
            b"allkeys-lru" | b"allkeys-lfu" => (Pick::Unused, false),
            b"allkeys-random" => (Pick::Random, false),
            _ => return None,
        };
        Some(Self { pick, volatile })
    }
}

/// How the use of keys is noted under a policy.
pub(crate) fn usage(policy: &[u8], log_factor: i64, decay_minutes: i64) -> Usage {
    let number = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    match policy.ends_with(b"lfu") {
        true => Usage::Frequent { log_factor: number(log_factor), decay_minutes: number(decay_minutes) },
        false => Usage::Recent,
    }
}

/// What came of making room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// No more is in use than may be.
    Enough,
    /// There will be when the next commands have made more.
    Later,
    /// Nothing more may go.
    None,
}

impl Server {
    /// Whether there is room for more; keys are dropped until there is, if the policy allows it.
    pub(crate) fn make_room(&mut self) -> bool {
        let found = self.evict();
        let now = self.now_ms;
        if found == Room::Enough {
            let since = self.stats.exceeded_since.take();
            self.stats.exceeded_ms += since.map_or(0, |since| now - since);
        } else {
            self.stats.exceeded_since.get_or_insert(now);
        }
        self.publish_events();
        found != Room::None
    }

    fn evict(&mut self) -> Room {
        /// Keys dropped for one command at most: if that is not enough, it runs, and the next one drops more.
        const AT_ONCE: usize = 1000;
        if self.has_room() {
            return Room::Enough;
        }
        let Some(policy) = self.limits.policy else { return Room::None };
        let (now, samples) = (self.now_ms, self.limits.samples);
        for _ in 0..AT_ONCE {
            let mut best: Option<(u64, usize, Vec<u8>)> = None;
            for (i, db) in self.dbs.iter().enumerate() {
                if let Some((merit, key)) = db.evictable(policy.pick, policy.volatile, samples, now)
                    && best.as_ref().is_none_or(|(most, ..)| merit > *most)
                {
                    best = Some((merit, i, key));
                }
            }
            let Some((_, db, key)) = best else { return Room::None };
            if self.dbs[db].delete(&key, now, self.limits.lazy_eviction) {
                self.dbs[db].note(EventKind::Evicted, "evicted", &key);
            }
            self.stats.evicted += 1;
            if self.has_room() {
                return Room::Enough;
            }
        }
        Room::Later
    }

    /// Whether no more is in use than may be. What another thread is freeing is on its way back, and nobody knows how much that is: while
    /// something waits, a share more than the limit may be in use, and no more than that.
    fn has_room(&self) -> bool {
        /// An eighth of the limit.
        const SHARE: usize = 8;
        let limit = self.limits.max_memory;
        // In this order: if the thread ends in between, its last value is off the account although it counts as waiting. The other way
        // round it would be on the account and not waiting, and keys would go for nothing.
        let most = match self.garbage.pending() {
            0 => limit,
            _ => limit.saturating_add(limit / SHARE),
        };
        self.used_memory() <= most
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::{Level, Log};
    use super::*;
    use crate::config::Config;
    use crate::keyspace::{Expiry, Value};

    #[test]
    fn while_garbage_waits_there_is_a_limit_too() {
        let log = Log::open("", Level::Warning).expect("a log");
        let mut server = Server::new(Config::default(), Rc::new(log));
        let key = |i: usize| format!("k{i}").into_bytes();
        (0..1000)
            .for_each(|i| server.keyspace().set(&key(i), Value::string(&[b'x'; 10_000]), Expiry::Never, 0));
        let used = server.used_memory();
        server.limits.max_memory = used - used / 20;
        server.garbage.hold();
        assert!(server.make_room(), "enough may be on its way");
        assert_eq!(server.keyspace().len(), 1000);
        server.limits.max_memory = used / 2;
        assert!(!server.make_room(), "nothing may go");
        server.now_ms += 7;
        assert!(!server.make_room());
        assert_eq!((server.stats.exceeded_since, server.stats.exceeded_ms), (Some(server.now_ms - 7), 0));
        server.limits.policy = Policy::named(b"allkeys-random");
        assert!(server.make_room());
        assert_eq!((server.stats.exceeded_since, server.stats.exceeded_ms), (None, 7));
        let (most, used) = (server.limits.max_memory, server.used_memory());
        assert!(most < used && used <= most + most / 8, "{most} {used}");
    }
}
