//! What a client may leave unread (`client-output-buffer-limit`), and CLIENT PAUSE.

use super::{Backup, Client, Close, Server};
use crate::resp::parse_i64;

/// The limits of a class of clients; 0 is none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OutputLimit {
    hard: usize,
    soft: usize,
    soft_ms: i64,
}

/// A client may leave so much unread before it has authenticated itself, in bytes (CVE-2025-21605).
const UNAUTHENTICATED: usize = 1024;

/// No reply is longer than this, whatever the directives allow, in bytes: a request of a few bytes can ask for any amount.
const LONGEST_REPLY: usize = 4 << 30;

impl OutputLimit {
    /// The limits of normal clients, of those with subscriptions and of replicas, from the directive's value.
    pub(crate) fn parse(value: &[u8]) -> [Self; 3] {
        let words: Vec<&[u8]> = value.split(|&b| b == b' ').collect();
        let number = |word: &[u8]| parse_i64(word).unwrap_or(0).max(0);
        let of = |class: &[u8]| {
            let four = words.chunks_exact(4).find(|four| four[0] == class);
            four.map_or(Self::default(), |four| Self {
                hard: number(four[1]) as usize,
                soft: number(four[2]) as usize,
                soft_ms: number(four[3]).saturating_mul(1000),
            })
        };
        [of(b"normal"), of(b"pubsub"), of(b"slave")]
    }
}

/// CLIENT PAUSE is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Until this Unix time in milliseconds.
    pub until_ms: i64,
    /// All commands wait, not only those that write.
    pub all: bool,
}

impl Server {
    /// The limits of a client's class. One that monitors gets what it did not ask for one by one, as subscribers do.
    fn output_limit(&self, client: &Client) -> OutputLimit {
        let class = match client.backup {
            Some(_) => 2,
            None => usize::from(client.monitor || !client.subscriptions.is_empty()),
        };
        self.limits.output[class]
    }

    /// Says where the writing of replies stops: the connection is closed once it has come so far ([`Server::check_output`]).
    pub(crate) fn bound_output(&self, client: &mut Client) {
        let most = match self.output_limit(client).hard {
            0 => LONGEST_REPLY,
            hard => hard.min(LONGEST_REPLY),
        };
        client.reply.set_limit(most);
        if let Some(backup) = &client.backup {
            backup.bound(client.reply.pending().len(), most);
        }
    }

    /// Closes a client that leaves more unread than it may.
    pub(crate) fn check_output(&mut self, client: &mut Client) {
        let waiting = client.reply.pending().len() + client.backup.as_ref().map_or(0, Backup::ready);
        self.stats.waiting.output(waiting, self.now_ms / 1000);
        let limit = self.output_limit(client);
        let soft = limit.soft > 0 && waiting > limit.soft;
        let since = if soft { Some(*client.soft_limit_since.get_or_insert(self.now_ms)) } else { None };
        client.soft_limit_since = since;
        let over = client.reply.is_cut()
            || client.backup.as_ref().is_some_and(Backup::is_cut)
            || limit.hard > 0 && waiting > limit.hard
            || since.is_some_and(|since| self.now_ms - since > limit.soft_ms)
            || !client.authenticated && waiting > UNAUTHENTICATED;
        if over && client.close != Close::Now {
            self.stats.output_limit_disconnections += 1;
            let line = format!(
                "Client {} scheduled to be closed ASAP for overcoming of output buffer limits.",
                client.describe(self.now_ms)
            );
            self.log.warning(&line);
            client.kill();
        }
    }

    /// The pause that is in force.
    pub(crate) fn paused(&mut self) -> Option<Pause> {
        let pause = self.pause?;
        if pause.until_ms <= self.now_ms {
            self.end_pause();
            return None;
        }
        Some(pause)
    }

    /// Ends a pause: what waited for that goes on.
    pub(crate) fn end_pause(&mut self) {
        self.pause = None;
        for client in self.clients.values() {
            if let Ok(client) = client.try_borrow() {
                client.wake.notify_one();
            }
        }
    }
}
