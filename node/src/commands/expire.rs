//! When keys expire (expire.c).

use super::{Spec, text};
use crate::keyspace::EventKind;
use crate::resp::{Args, parse_i64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] =
    &[
        Spec::new("expire", -3, "write fast", "keyspace write fast", expire)
            .keys(1, 1, 1, "RW update")
            .about("generic", "1.0.0", "Lets a key expire after some seconds."),
        Spec::new("pexpire", -3, "write fast", "keyspace write fast", pexpire)
            .keys(1, 1, 1, "RW update")
            .about("generic", "2.6.0", "Lets a key expire after some milliseconds."),
        Spec::new("expireat", -3, "write fast", "keyspace write fast", expireat)
            .keys(1, 1, 1, "RW update")
            .about("generic", "1.2.0", "Lets a key expire at a time in seconds."),
        Spec::new("pexpireat", -3, "write fast", "keyspace write fast", pexpireat)
            .keys(1, 1, 1, "RW update")
            .about("generic", "2.6.0", "Lets a key expire at a time in milliseconds."),
        Spec::new("expiretime", 2, "readonly fast", "keyspace read fast", expiretime)
            .keys(1, 1, 1, "RO access")
            .about("generic", "7.0.0", "Answers when a key expires, in seconds."),
        Spec::new("pexpiretime", 2, "readonly fast", "keyspace read fast", pexpiretime)
            .keys(1, 1, 1, "RO access")
            .about("generic", "7.0.0", "Answers when a key expires, in milliseconds."),
        Spec::new("ttl", 2, "readonly fast", "keyspace read fast", ttl)
            .keys(1, 1, 1, "RO access")
            .tips("nondeterministic_output")
            .about("generic", "1.0.0", "Answers how long a key will live, in seconds."),
        Spec::new("pttl", 2, "readonly fast", "keyspace read fast", pttl)
            .keys(1, 1, 1, "RO access")
            .tips("nondeterministic_output")
            .about("generic", "2.6.0", "Answers how long a key will live, in milliseconds."),
        Spec::new("persist", 2, "write fast", "keyspace write fast", persist)
            .keys(1, 1, 1, "RW update")
            .about("generic", "2.2.0", "Takes the expiry from a key."),
    ];

/// The unit of a time that a client gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Millis,
}

/// A time in milliseconds: `time` in `unit`, from `base`. Nothing when it does not fit.
pub(super) fn absolute(time: i64, unit: Unit, base: i64) -> Option<i64> {
    match unit {
        Unit::Seconds => time.checked_mul(1000)?.checked_add(base),
        Unit::Millis => time.checked_add(base),
    }
}

fn expire(server: &mut Server, client: &mut Client, args: Args<'_>) {
    set_expiry(server, client, args, Unit::Seconds, server.now_ms, "expire");
}

fn pexpire(server: &mut Server, client: &mut Client, args: Args<'_>) {
    set_expiry(server, client, args, Unit::Millis, server.now_ms, "pexpire");
}

fn expireat(server: &mut Server, client: &mut Client, args: Args<'_>) {
    set_expiry(server, client, args, Unit::Seconds, 0, "expireat");
}

fn pexpireat(server: &mut Server, client: &mut Client, args: Args<'_>) {
    set_expiry(server, client, args, Unit::Millis, 0, "pexpireat");
}

fn set_expiry(server: &mut Server, client: &mut Client, args: Args<'_>, unit: Unit, base: i64, name: &str) {
    let (mut nx, mut xx, mut gt, mut lt) = (false, false, false, false);
    for i in 3..args.len() {
        match () {
            () if args.is(i, "nx") => nx = true,
            () if args.is(i, "xx") => xx = true,
            () if args.is(i, "gt") => gt = true,
            () if args.is(i, "lt") => lt = true,
            () => {
                let option = String::from_utf8_lossy(&args[i]);
                return client.reply.error(format!("Unsupported option {option}"));
            }
        }
    }
    if nx && (xx || gt || lt) {
        return client.reply.error("NX and XX, GT or LT options at the same time are not compatible");
    }
    if gt && lt {
        return client.reply.error("GT and LT options at the same time are not compatible");
    }
    let Some(time) = parse_i64(&args[2]) else {
        return client.reply.error(text::NOT_INT);
    };
    let Some(when) = absolute(time, unit, base) else {
        return client.reply.error(format!("invalid expire time in '{name}' command"));
    };
    let (now, key) = (server.now_ms, &args[1]);
    let db = server.db(client);
    let Some(old) = db.expiry(key, now) else {
        return client.reply.int(0);
    };
    // No expiry counts as later than any.
    let refused = nx && old.is_some()
        || xx && old.is_none()
        || gt && old.is_none_or(|old| when <= old)
        || lt && old.is_some_and(|old| when >= old);
    if refused {
        return client.reply.int(0);
    }
    if when <= now {
        db.delete_due(key, now);
        db.note(EventKind::Generic, "del", key);
    } else {
        db.set_expiry(key, Some(when));
        db.note(EventKind::Generic, "expire", key);
    }
    client.reply.int(1);
}

fn ttl(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    answer(server, client, args, |when| ((when - now).max(0) + 500) / 1000);
}

fn pttl(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    answer(server, client, args, |when| (when - now).max(0));
}

fn expiretime(server: &mut Server, client: &mut Client, args: Args<'_>) {
    answer(server, client, args, |when| when.saturating_add(500) / 1000);
}

fn pexpiretime(server: &mut Server, client: &mut Client, args: Args<'_>) {
    answer(server, client, args, |when| when);
}

/// -2 without the key, -1 without an expiry, else what `f` makes of it.
fn answer(server: &mut Server, client: &mut Client, args: Args<'_>, f: impl FnOnce(i64) -> i64) {
    let now = server.now_ms;
    super::lookup::look(server, client, &args[1]);
    client.reply.int(match server.db(client).expiry(&args[1], now) {
        None => -2,
        Some(None) => -1,
        Some(Some(when)) => f(when),
    });
}

fn persist(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let now = server.now_ms;
    let db = server.db(client);
    let had = db.expiry(&args[1], now).flatten().is_some();
    if had {
        db.set_expiry(&args[1], None);
        db.note(EventKind::Generic, "persist", &args[1]);
    }
    client.reply.int(i64::from(had));
}
