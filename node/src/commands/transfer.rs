//! DUMP and RESTORE (cluster.c `dumpCommand`, `restoreCommand`).

use slotproof_model::key_slot;

use super::{Spec, text};
use crate::dump::{dump as payload_of, restore_within, verify};
use crate::keyspace::{EventKind, Expiry};
use crate::resp::{Args, parse_i64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[
    Spec::new("dump", 2, "readonly", "keyspace read slow", dump)
        .keys(1, 1, 1, "RO access")
        .tips("nondeterministic_output")
        .about("generic", "2.6.0", "Answers a key's value in serialized form."),
    Spec::new("restore", -4, "write denyoom", "keyspace write slow dangerous", restore)
        .keys(1, 1, 1, "OW update")
        .about("generic", "2.6.0", "Creates a key from its serialized value."),
    Spec::new("restore-asking", -4, "write denyoom asking", "keyspace write slow dangerous", restore)
        .keys(1, 1, 1, "OW update")
        .about(
            "server",
            "3.0.0",
            "Creates a key from its serialized value while its slot is being imported.",
        ),
];

fn dump(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let compress = server.config.yes("rdbcompression");
    let packing = server.limits.packing;
    match super::lookup::read(server, client, &args[1]) {
        Some(value) => {
            let payload = payload_of(value, compress, &packing);
            client.reply.bulk(payload);
        }
        None => client.reply.null(),
    }
}

/// The order of the checks is that of Redis: options, key, time, payload.
fn restore(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let (mut replace, mut absolute, mut idle, mut freq) = (false, false, None, None);
    let mut i = 4;
    while i < args.len() {
        if args.is(i, "replace") {
            replace = true;
        } else if args.is(i, "absttl") {
            absolute = true;
        } else if let Some(value) = args.get(i + 1)
            && (args.is(i, "idletime") && freq.is_none() || args.is(i, "freq") && idle.is_none())
        {
            let Some(n) = parse_i64(value) else {
                return client.reply.error(text::NOT_INT);
            };
            if args.is(i, "idletime") && n < 0 {
                return client.reply.error("Invalid IDLETIME value, must be >= 0");
            }
            if args.is(i, "freq") && !(0..=255).contains(&n) {
                return client.reply.error("Invalid FREQ value, must be >= 0 and <= 255");
            }
            if args.is(i, "idletime") {
                idle = Some(n);
            } else {
                freq = u8::try_from(n).ok();
            }
            i += 1;
        } else {
            return client.reply.error(text::SYNTAX);
        }
        i += 1;
    }
    let (now, packing, most) = (server.now_ms, server.limits.packing, server.limits.max_memory);
    let db = server.db(client);
    if !replace && db.get(&args[1], now).is_some() {
        return client.reply.error("-BUSYKEY Target key name already exists.");
    }
    let ttl = match parse_i64(&args[2]) {
        None => return client.reply.error(text::NOT_INT),
        Some(..0) => return client.reply.error("Invalid TTL value, must be >= 0"),
        Some(ttl) => ttl,
    };
    if let Err(e) = verify(&args[3]) {
        return client.reply.error(e.to_string());
    }
    let value = match restore_within(&args[3], &packing, most) {
        Ok(value) => value,
        Err(e) => return client.reply.error(e.to_string()),
    };
    let expiry = match ttl {
        0 => Expiry::Never,
        ttl if absolute => Expiry::At(ttl),
        ttl => Expiry::At(now.saturating_add(ttl)),
    };
    match expiry {
        Expiry::At(when) if when <= now => {
            if db.delete_on_the_way(&args[1], now) {
                db.note(EventKind::Generic, "del", &args[1]);
            }
        }
        _ => {
            db.delete_on_the_way(&args[1], now);
            db.set(&args[1], value, expiry, now);
            db.set_used(&args[1], idle, freq, now);
            db.note(EventKind::Generic, "restore", &args[1]);
            server.with_cluster(|cluster, _| cluster.key_restored(key_slot(&args[1])));
        }
    }
    client.reply.ok();
}
