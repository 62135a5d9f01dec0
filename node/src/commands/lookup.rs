//! How commands look up a key that they read (db.c `lookupKey`): it counts as a hit or a miss, and who wants to know hears of a miss. A key
//! that a command is about to change is looked up in the keyspace itself, and counts as neither.

use crate::keyspace::{EventKind, Value};
use crate::server::{Client, Server};

/// The value of a key that a command reads.
pub(super) fn read<'s>(server: &'s mut Server, client: &Client, key: &[u8]) -> Option<&'s Value> {
    note_miss(server, client, key);
    let found = server.dbs[client.db].get(key, server.now_ms);
    server.stats.hits += u64::from(found.is_some());
    server.stats.misses += u64::from(found.is_none());
    found
}

/// The same where this is no use of the key.
pub(super) fn look<'s>(server: &'s mut Server, client: &Client, key: &[u8]) -> Option<&'s Value> {
    note_miss(server, client, key);
    let found = server.dbs[client.db].look(key, server.now_ms);
    server.stats.hits += u64::from(found.is_some());
    server.stats.misses += u64::from(found.is_none());
    found
}

/// A second look only where somebody asks for misses.
fn note_miss(server: &mut Server, client: &Client, key: &[u8]) {
    let db = &mut server.dbs[client.db];
    if db.notes(EventKind::Miss) && db.look(key, server.now_ms).is_none() {
        db.note(EventKind::Miss, "keymiss", key);
    }
}
