//! Counters: of the server, of each command, and of what took long.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Counters for INFO.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused by `maxclients` or protected mode.
    pub rejected: u64,
    /// Commands run.
    pub commands: u64,
    /// Bytes read from clients.
    pub input_bytes: u64,
    /// Bytes sent to clients.
    pub output_bytes: u64,
    /// What of it were dumps of the whole data set.
    pub dump_bytes: u64,
    /// How long it took to look for expired keys that nobody met.
    pub expiring: Duration,
    /// How often that was cut short because of their number.
    pub expire_cut: u64,
    /// How long more memory was in use than may be, in milliseconds, until it was not.
    pub exceeded_ms: i64,
    /// Since when it is.
    pub exceeded_since: Option<i64>,
    /// Keys that a reading command found.
    pub hits: u64,
    /// Keys that a reading command did not find.
    pub misses: u64,
    /// Error replies of commands.
    pub errors: u64,
    /// Keys dropped because of `maxmemory`.
    pub evicted: u64,
    /// Dumps of the whole data set begun.
    pub full_dumps: u64,
    /// Clients closed because they left too much output unread.
    pub output_limit_disconnections: u64,
    /// Clients closed because of too long a request.
    pub query_limit_disconnections: u64,
    /// Reads from clients, and writes to them.
    pub reads: u64,
    /// Writes to clients.
    pub writes: u64,
    /// Error replies by their code.
    pub error_codes: BTreeMap<Box<str>, u64>,
    /// By the id of a command.
    pub of_commands: Vec<CommandStats>,
    /// The most memory that was in use, in bytes.
    pub peak_memory: usize,
    /// When the log last said that a browser seems to be sent here.
    pub attacked_ms: Option<i64>,
    /// How much waited for single clients of late.
    pub waiting: Waiting,
}

/// The most input and output that waited for one client, in bytes, in each of the last seconds (server.c
/// `ClientsPeakMemInput`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Waiting {
    /// The second that each place is of, and what was the most then.
    places: [(i64, usize, usize); 8],
}

impl Waiting {
    fn place(&mut self, second: i64) -> &mut (i64, usize, usize) {
        let place = &mut self.places[second.rem_euclid(8) as usize];
        if place.0 != second {
            *place = (second, 0, 0);
        }
        place
    }

    /// So much input waits.
    pub(crate) fn input(&mut self, bytes: usize, second: i64) {
        let place = self.place(second);
        place.1 = place.1.max(bytes);
    }

    /// So much output waits.
    pub(crate) fn output(&mut self, bytes: usize, second: i64) {
        let place = self.place(second);
        place.2 = place.2.max(bytes);
    }

    /// The most input and the most output of the last seconds.
    pub(crate) fn most(&self, second: i64) -> (usize, usize) {
        let recent = self.places.iter().filter(|place| second - place.0 < 8);
        recent.fold((0, 0), |(input, output), place| (input.max(place.1), output.max(place.2)))
    }
}

/// Codes of errors that are told apart at most; a client can make up any in a script, none here, but nothing is without bound.
const MAX_CODES: usize = 128;

impl Stats {
    /// Counts an error reply.
    pub fn failed(&mut self, code: Box<str>) {
        self.errors += 1;
        if self.error_codes.len() < MAX_CODES || self.error_codes.contains_key(&code) {
            *self.error_codes.entry(code).or_default() += 1;
        }
    }

    /// The counters of a command.
    pub fn of(&mut self, id: usize) -> &mut CommandStats {
        if self.of_commands.len() <= id {
            self.of_commands.resize_with(id + 1, CommandStats::default);
        }
        &mut self.of_commands[id]
    }
}

/// Counters of one command.
#[derive(Clone, Debug, Default)]
pub struct CommandStats {
    /// How often it ran.
    pub calls: u64,
    /// For how long altogether, in microseconds.
    pub micros: u64,
    /// How often it was refused before it ran.
    pub rejected: u64,
    /// How often it answered an error.
    pub failed: u64,
    /// How long each run took; absent before the first one, or without `latency-tracking`.
    pub times: Option<Box<Times>>,
}

/// How often something took how long: exact below 256 ns, then to 2 digits, up to a second (as an HDR histogram does).
#[derive(Clone, Debug)]
pub struct Times {
    counts: Vec<u32>,
    total: u64,
}

/// Values with the same highest bit are told apart by the 7 bits behind it.
const FINE: u32 = 7;
const LONGEST_NS: u64 = 1_000_000_000;

impl Default for Times {
    fn default() -> Self {
        Self { counts: vec![0; Self::bucket(LONGEST_NS) + 1], total: 0 }
    }
}

impl Times {
    fn bucket(ns: u64) -> usize {
        let ns = ns.clamp(1, LONGEST_NS);
        let coarse = (64 - ns.leading_zeros()).saturating_sub(FINE + 1);
        (u64::from(coarse) * (1 << FINE) + (ns >> coarse)) as usize
    }

    /// The greatest value of a bucket, in nanoseconds.
    fn end(bucket: usize) -> u64 {
        let bucket = bucket as u64;
        let coarse = (bucket >> FINE).saturating_sub(1);
        ((bucket - (coarse << FINE) + 1) << coarse) - 1
    }

    /// Notes one more.
    pub fn add(&mut self, ns: u64) {
        let count = &mut self.counts[Self::bucket(ns)];
        *count = count.saturating_add(1);
        self.total += 1;
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The time in which so many of a hundred were done, in microseconds.
    pub fn percentile(&self, percent: f64) -> f64 {
        let wanted = ((percent / 100.0 * self.total as f64 + 0.5) as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= wanted {
                return Self::end(bucket) as f64 / 1000.0;
            }
        }
        0.0
    }

    /// How many took no longer than each power of two in microseconds, from the first that any did to the first that all did.
    pub fn cumulative(&self) -> Vec<(u64, u64)> {
        let mut result = Vec::new();
        let (mut seen, mut next) = (0, 0);
        let mut limit = 1024u64;
        while seen < self.total {
            let last = Self::bucket(limit);
            let before = seen;
            while next <= last {
                seen += u64::from(self.counts.get(next).copied().unwrap_or(0));
                next += 1;
            }
            if seen > before {
                result.push((Self::end(last) / 1000, seen));
            }
            if limit > LONGEST_NS {
                break;
            }
            limit *= 2;
        }
        result
    }
}

/// How fast counters grow, averaged over the last samples.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    samples: VecDeque<[f64; 4]>,
    last: [u64; 4],
    at_ms: i64,
}

impl Rates {
    /// Takes a sample, if the last one is 100 ms old.
    pub(crate) fn sample(&mut self, counters: [u64; 4], now_ms: i64) {
        const SAMPLES: usize = 16;
        let passed = now_ms - self.at_ms;
        if passed < 100 {
            return;
        }
        if self.at_ms > 0 {
            let rate = |i: usize| counters[i].saturating_sub(self.last[i]) as f64 * 1000.0 / passed as f64;
            if self.samples.len() == SAMPLES {
                self.samples.pop_front();
            }
            self.samples.push_back([rate(0), rate(1), rate(2), rate(3)]);
        }
        (self.last, self.at_ms) = (counters, now_ms);
    }

    /// Commands, bytes read, bytes sent and bytes of dumps, each in a second.
    pub(crate) fn per_second(&self) -> [f64; 4] {
        let mean =
            |i: usize| self.samples.iter().map(|s| s[i]).sum::<f64>() / self.samples.len().max(1) as f64;
        [mean(0), mean(1), mean(2), mean(3)]
    }
}

/// A command that took long.
#[derive(Clone, Debug)]
pub struct Slow {
    /// Counts up.
    pub id: u64,
    /// Unix time in seconds.
    pub time: i64,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// Its arguments, shortened.
    pub args: Vec<Vec<u8>>,
    /// Who sent it.
    pub peer: String,
    /// The name of the client.
    pub name: Vec<u8>,
}

/// The slow log.
#[derive(Debug, Default)]
pub struct SlowLog {
    /// The newest first.
    pub entries: VecDeque<Slow>,
    next: u64,
}

impl SlowLog {
    /// Adds an entry, which gets its id; the oldest beyond `most` go.
    pub fn add(&mut self, mut entry: Slow, most: usize) {
        entry.id = self.next;
        self.next += 1;
        self.entries.push_front(entry);
        self.entries.truncate(most);
    }
}

/// What the latency monitor has noted (latency.c).
#[derive(Debug, Default)]
pub struct Latency {
    events: BTreeMap<&'static str, Event>,
}

/// The spikes of one kind of event.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// Unix time in seconds, and milliseconds it took: the last ones, the oldest first.
    pub samples: VecDeque<(i64, u64)>,
    /// The longest, in milliseconds.
    pub most: u64,
}

/// So many samples are kept of each event.
const SAMPLES: usize = 160;

impl Latency {
    /// Notes a spike; of one second only the longest counts.
    pub fn add(&mut self, event: &'static str, time: i64, ms: u64) {
        let event = self.events.entry(event).or_default();
        event.most = event.most.max(ms);
        match event.samples.back_mut() {
            Some((last, longest)) if *last == time => *longest = ms.max(*longest),
            _ => {
                if event.samples.len() == SAMPLES {
                    event.samples.pop_front();
                }
                event.samples.push_back((time, ms));
            }
        }
    }

    /// All events by name.
    pub fn events(&self) -> impl ExactSizeIterator<Item = (&'static str, &Event)> {
        self.events.iter().map(|(name, event)| (*name, event))
    }

    /// One event.
    pub fn event(&self, name: &[u8]) -> Option<&Event> {
        self.events.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)).map(|(_, e)| e)
    }

    /// Forgets an event, or all; how many there were.
    pub fn reset(&mut self, name: Option<&[u8]>) -> usize {
        let before = self.events.len();
        match name {
            None => self.events.clear(),
            Some(name) => self.events.retain(|known, _| !known.as_bytes().eq_ignore_ascii_case(name)),
        }
        before - self.events.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_to_two_digits() {
        let mut times = Times::default();
        for us in 1..=1000 {
            times.add(us * 1000);
        }
        assert_eq!(times.total(), 1000);
        for (percent, us) in [(50.0, 500.0), (99.0, 990.0), (99.9, 999.0)] {
            assert!((times.percentile(percent) / us - 1.0f64).abs() < 0.01, "{percent}");
        }
        let all = times.cumulative();
        let limits: Vec<u64> = all.iter().map(|(limit, _)| *limit).collect();
        assert_eq!(limits, [1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056]);
        assert_eq!(all.last(), Some(&(1056, 1000)));
        for bucket in 0..Times::bucket(LONGEST_NS) {
            assert_eq!(Times::bucket(Times::end(bucket).max(1)), bucket.max(1));
        }
    }

    #[test]
    fn what_waited_is_forgotten_after_eight_seconds() {
        let mut waiting = Waiting::default();
        waiting.input(10, 100);
        waiting.input(5, 100);
        waiting.output(7, 104);
        assert_eq!((waiting.most(104), waiting.most(107)), ((10, 7), (10, 7)));
        assert_eq!((waiting.most(108), waiting.most(112)), ((0, 7), (0, 0)));
        waiting.output(1, 108);
        assert_eq!(waiting.most(108), (0, 7));
    }

    #[test]
    fn a_second_has_one_spike() {
        let mut latency = Latency::default();
        for (time, ms) in [(1, 5), (1, 9), (1, 7), (2, 3)] {
            latency.add("command", time, ms);
        }
        let event = latency.event(b"COMMAND").expect("it was noted");
        assert_eq!((Vec::from(event.samples.clone()), event.most), (vec![(1, 9), (2, 3)], 9));
        assert_eq!((latency.reset(Some(b"other")), latency.reset(None)), (0, 1));
    }
}
