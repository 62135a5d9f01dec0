//! What happened to keys, for those who subscribed to keyspace notifications (notify.c): noted here, published by the server when
//! the command is done.

use super::Keyspace;

/// The kinds of events, each with its letter in `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum EventKind {
    /// Of no type: DEL, EXPIRE, RENAME and the like (`g`).
    Generic = 1,
    /// Of strings (`$`).
    String = 2,
    /// Of lists (`l`).
    List = 4,
    /// Of sets (`s`).
    Set = 8,
    /// Of hashes (`h`).
    Hash = 16,
    /// Of sorted sets (`z`).
    Zset = 32,
    /// A key's time had come (`x`).
    Expired = 64,
    /// A key had to go because memory was short (`e`).
    Evicted = 128,
    /// Of streams (`t`).
    Stream = 256,
    /// Of the types of modules (`d`).
    Module = 512,
    /// A key came to be (`n`).
    New = 1024,
    /// A key was read that was not there (`m`).
    Miss = 2048,
}

use EventKind::{Evicted, Expired, Generic, Hash, List, Miss, Module, New, Set, Stream, String, Zset};

/// The letters in the order in which Redis shows them.
const LETTERS: [(u8, EventKind); 12] = [
    (b'g', Generic),
    (b'$', String),
    (b'l', List),
    (b's', Set),
    (b'h', Hash),
    (b'z', Zset),
    (b'x', Expired),
    (b'e', Evicted),
    (b't', Stream),
    (b'd', Module),
    (b'n', New),
    (b'm', Miss),
];

/// What `A` stands for: all but `n` and `m`.
const ALL: u16 = 0x3ff;

/// Which events are published, and where: the value of `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    kinds: u16,
    /// On the channel of the key (`K`).
    pub by_key: bool,
    /// On the channel of the event (`E`).
    pub by_event: bool,
}

impl Notices {
    /// From the letters; nothing if one is unknown.
    pub fn parse(letters: &[u8]) -> Option<Self> {
        let mut notices = Self::default();
        for &letter in letters {
            match letter {
                b'A' => notices.kinds |= ALL,
                b'K' => notices.by_key = true,
                b'E' => notices.by_event = true,
                _ => notices.kinds |= LETTERS.iter().find(|(known, _)| *known == letter)?.1 as u16,
            }
        }
        Some(notices)
    }

    /// As CONFIG GET shows it.
    pub fn letters(self) -> Vec<u8> {
        let all = self.kinds & ALL == ALL;
        let has = |kind: EventKind| self.kinds & kind as u16 != 0;
        let mut letters = Vec::new();
        if all {
            letters.push(b'A');
        }
        letters
            .extend(LETTERS.iter().filter(|(_, kind)| !all && *kind != Miss && has(*kind)).map(|(l, _)| *l));
        letters.extend(self.by_key.then_some(b'K'));
        letters.extend(self.by_event.then_some(b'E'));
        letters.extend(has(Miss).then_some(b'm'));
        letters
    }

    /// The kinds that go anywhere.
    fn published(self) -> u16 {
        if self.by_key || self.by_event { self.kinds } else { 0 }
    }
}

/// An event: its name and its key.
pub(super) type Event = (&'static str, Box<[u8]>);

/// What is noted, until it is published.
#[derive(Debug, Default)]
pub(super) struct Events {
    wanted: u16,
    noted: Vec<Event>,
}

impl Events {
    /// Notes an event, if events of its kind are wanted.
    pub(super) fn note(&mut self, kind: EventKind, name: &'static str, key: &[u8]) {
        if self.wanted & kind as u16 != 0 {
            self.noted.push((name, key.into()));
        }
    }
}

impl Keyspace {
    /// Which events are noted from now on.
    pub fn set_notices(&mut self, notices: Notices) {
        self.events.wanted = notices.published();
    }

    /// Whether events of a kind are noted.
    pub fn notes(&self, kind: EventKind) -> bool {
        self.events.wanted & kind as u16 != 0
    }

    /// Notes an event, if events of its kind are wanted.
    pub fn note(&mut self, kind: EventKind, name: &'static str, key: &[u8]) {
        self.events.note(kind, name, key);
    }

    /// What was noted, in order.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events.noted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As redis-server 7.0.15 shows them.
    #[test]
    fn letters_in_the_order_of_redis() {
        for (given, shown) in [
            ("AKE", "AKE"),
            ("AmKE", "AKEm"),
            ("g$lshzxetdKE", "AKE"),
            ("KEA", "AKE"),
            ("n", "n"),
            ("Kx", "xK"),
            ("Anm", "Am"),
            ("AKEx", "AKE"),
            ("", ""),
        ] {
            let notices = Notices::parse(given.as_bytes()).map(Notices::letters);
            assert_eq!(notices.as_deref(), Some(shown.as_bytes()), "{given}");
        }
        assert_eq!(Notices::parse(b"KEq"), None);
        assert_eq!(Notices::parse(b"A").map(Notices::published), Some(0), "neither K nor E");
    }
}
