//! What RESTORE is given.

use slotproof_node::dump::{BadPayload, RDB_VERSION, crc64, dump, restore, restore_within, unfolded, verify};
use slotproof_node::keyspace::Packing;

use super::held;

/// Bytes that a value holds at most for each byte of its payload: compressed listpacks of the smallest elements come close.
const MOST_FOLDED: usize = 3_000;

/// A payload with the version and the checksum that it should have.
pub fn sealed(value: &[u8]) -> Vec<u8> {
    let body = [value, &RDB_VERSION.to_le_bytes()].concat();
    let crc = crc64(0, &body);
    [body, crc.to_le_bytes().to_vec()].concat()
}

/// The bytes are a payload as they are, and the value of one.
///
/// - A payload is refused with one of two errors, or restored.
/// - What is held then is bounded by [`unfolded`], and by 3,000 times the payload.
/// - What was restored is dumped and restored to an equal value, compressed or not, in the same encoding; in another packing
///   to one of the same type.
///
/// # Panics
/// Where one of these does not hold.
pub fn payloads(data: &[u8]) {
    let usual = Packing::default();
    if verify(data).is_ok() {
        check(data, &usual);
    } else {
        assert_eq!(restore(data, &usual), Err(BadPayload::VersionOrChecksum));
    }
    let payload = sealed(data);
    check(&payload, &usual);
    let tight =
        Packing { hash_entries: 2, hash_value: 8, set_ints: 2, zset_entries: 2, zset_value: 8, list_size: 3 };
    check(&payload, &tight);
}

fn check(payload: &[u8], packing: &Packing) {
    let (restored, more) = held(|| restore(payload, packing));
    assert!(more <= 2 * unfolded(payload.len()), "{more} bytes");
    assert!(more <= MOST_FOLDED * payload.len() + 4096, "{more} bytes for {}", payload.len());
    let Ok(value) = restored else {
        assert_eq!(restored, Err(BadPayload::Format));
        return;
    };
    for compress in [true, false] {
        let again = dump(&value, compress, packing);
        let there = restore(&again, packing).expect("its own payload");
        assert_eq!(there, value);
        assert_eq!(there.encoding(), value.encoding());
        let other = Packing { hash_entries: 1, set_ints: 1, zset_entries: 1, ..*packing };
        assert_eq!(restore(&again, &other).map(|v| v.type_name()), Ok(value.type_name()));
        let within = restore_within(&again, packing, again.len());
        assert!(within.is_err() || within == Ok(value.clone()));
    }
}
