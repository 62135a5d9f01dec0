//! Hashes (t_hash.c).

use super::collections::{
    Outcome, Picks, change, change_or_new, drop_if_empty, find, find_to_change, int, note, packing,
    pair_head, pairs_head, scan_members,
};
use super::{Spec, text};
use crate::keyspace::{EventKind, Hash, random_below};
use crate::resp::{Args, LongDouble, Reply, parse_i64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] =
    &[
        Spec::new("hset", -4, "write denyoom fast", "write hash fast", checked!(hset))
            .keys(1, 1, 1, "RW update")
            .about("hash", "2.0.0", "Sets fields of a hash."),
        Spec::new("hsetnx", 4, "write denyoom fast", "write hash fast", checked!(hsetnx))
            .keys(1, 1, 1, "RW insert")
            .about("hash", "2.0.0", "Sets a field of a hash if it is missing."),
        Spec::new("hget", 3, "readonly fast", "read hash fast", checked!(hget))
            .keys(1, 1, 1, "RO access")
            .about("hash", "2.0.0", "Answers the value of a field."),
        Spec::new("hmset", -4, "write denyoom fast", "write hash fast", checked!(hmset))
            .keys(1, 1, 1, "RW update")
            .about("hash", "2.0.0", "Sets fields of a hash."),
        Spec::new("hmget", -3, "readonly fast", "read hash fast", checked!(hmget))
            .keys(1, 1, 1, "RO access")
            .about("hash", "2.0.0", "Answers the values of several fields."),
        Spec::new("hgetall", 2, "readonly", "read hash slow", checked!(hgetall))
            .keys(1, 1, 1, "RO access")
            .tips("nondeterministic_output_order")
            .about("hash", "2.0.0", "Answers all fields with their values."),
        Spec::new("hdel", -3, "write fast", "write hash fast", checked!(hdel))
            .keys(1, 1, 1, "RW delete")
            .about("hash", "2.0.0", "Deletes fields of a hash."),
        Spec::new("hlen", 2, "readonly fast", "read hash fast", checked!(hlen)).keys(1, 1, 1, "RO").about(
            "hash",
            "2.0.0",
            "Counts the fields of a hash.",
        ),
        Spec::new("hexists", 3, "readonly fast", "read hash fast", checked!(hexists))
            .keys(1, 1, 1, "RO")
            .about("hash", "2.0.0", "Answers whether a hash has a field."),
        Spec::new("hkeys", 2, "readonly", "read hash slow", checked!(hkeys))
            .keys(1, 1, 1, "RO access")
            .tips("nondeterministic_output_order")
            .about("hash", "2.0.0", "Answers the fields of a hash."),
        Spec::new("hvals", 2, "readonly", "read hash slow", checked!(hvals))
            .keys(1, 1, 1, "RO access")
            .tips("nondeterministic_output_order")
            .about("hash", "2.0.0", "Answers the values of a hash."),
        Spec::new("hincrby", 4, "write denyoom fast", "write hash fast", checked!(hincrby))
            .keys(1, 1, 1, "RW access update")
            .about("hash", "2.0.0", "Adds to a number in a field."),
        Spec::new("hincrbyfloat", 4, "write denyoom fast", "write hash fast", checked!(hincrbyfloat))
            .keys(1, 1, 1, "RW access update")
            .about("hash", "2.6.0", "Adds to a floating point number in a field."),
        Spec::new("hstrlen", 3, "readonly fast", "read hash fast", checked!(hstrlen))
            .keys(1, 1, 1, "RO")
            .about("hash", "3.2.0", "Answers the length of a field's value."),
        Spec::new("hrandfield", -2, "readonly", "read hash slow", checked!(hrandfield))
            .keys(1, 1, 1, "RO access")
            .tips("nondeterministic_output")
            .about("hash", "6.2.0", "Answers some fields of a hash."),
        Spec::new("hscan", -3, "readonly", "read hash slow", checked!(hscan))
            .keys(1, 1, 1, "RO access")
            .tips("nondeterministic_output")
            .about("hash", "2.8.0", "Goes through the fields of a hash step by step."),
    ];

/// The fields and values of HSET and HMSET.
fn set_all(
    server: &mut Server,
    client: &mut Client,
    args: Args<'_>,
    name: &str,
) -> Result<usize, super::collections::Refusal> {
    if !args.len().is_multiple_of(2) {
        return Err(format!("wrong number of arguments for '{name}' command").into());
    }
    let packing = packing(server);
    let hash: &mut Hash = change_or_new(server, client, &args[1])?;
    hash.make_room(args.from(2).iter(), &packing);
    let mut added = 0;
    for i in (2..args.len()).step_by(2) {
        added += usize::from(hash.set(&args[i], &args[i + 1], &packing));
    }
    note(server, client, EventKind::Hash, "hset", &args[1]);
    Ok(added)
}

fn hset(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let added = set_all(server, client, args, "hset")?;
    client.reply.len(added);
    Ok(())
}

fn hmset(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    set_all(server, client, args, "hmset")?;
    client.reply.ok();
    Ok(())
}

fn hsetnx(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let packing = packing(server);
    let old = find_to_change::<Hash>(server, client, &args[1])?;
    let there = old.is_some_and(|h| h.get(&args[2]).is_some());
    if !there {
        change_or_new::<Hash>(server, client, &args[1])?.set(&args[2], &args[3], &packing);
        note(server, client, EventKind::Hash, "hset", &args[1]);
    }
    client.reply.int(i64::from(!there));
    Ok(())
}

fn reply_value(reply: &mut Reply, value: Option<&[u8]>) {
    match value {
        Some(value) => reply.bulk(value),
        None => reply.null(),
    }
}

fn hget(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let hash = find::<Hash>(server, client, &args[1])?;
    reply_value(&mut client.reply, hash.and_then(|h| h.get(&args[2])));
    Ok(())
}

fn hmget(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let hash = find::<Hash>(server, client, &args[1])?;
    client.reply.array(args.len() - 2);
    for field in args.from(2).iter() {
        reply_value(&mut client.reply, hash.and_then(|h| h.get(field)));
    }
    Ok(())
}

fn hgetall(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let hash = find::<Hash>(server, client, &args[1])?;
    client.reply.map(hash.map_or(0, Hash::len));
    for (field, value) in hash.iter().flat_map(|h| h.iter()) {
        client.reply.bulk(field);
        client.reply.bulk(value);
    }
    Ok(())
}

fn hkeys(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let hash = find::<Hash>(server, client, &args[1])?;
    client.reply.array(hash.map_or(0, Hash::len));
    hash.iter().flat_map(|h| h.iter()).for_each(|(field, _)| client.reply.bulk(field));
    Ok(())
}

fn hvals(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let hash = find::<Hash>(server, client, &args[1])?;
    client.reply.array(hash.map_or(0, Hash::len));
    hash.iter().flat_map(|h| h.iter()).for_each(|(_, value)| client.reply.bulk(value));
    Ok(())
}

fn hdel(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let fields = args.from(2);
    let any = find_to_change::<Hash>(server, client, &args[1])?
        .is_some_and(|h| fields.iter().any(|f| h.get(f).is_some()));
    let mut gone = 0;
    if any && let Some(hash) = change::<Hash>(server, client, &args[1])? {
        gone = fields.iter().filter(|field| hash.remove(field)).count();
        note(server, client, EventKind::Hash, "hdel", &args[1]);
        drop_if_empty(server, client, &args[1]);
    }
    client.reply.len(gone);
    Ok(())
}

fn hlen(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let len = find::<Hash>(server, client, &args[1])?.map_or(0, Hash::len);
    client.reply.len(len);
    Ok(())
}

fn hexists(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let there = find::<Hash>(server, client, &args[1])?.is_some_and(|h| h.get(&args[2]).is_some());
    client.reply.int(i64::from(there));
    Ok(())
}

fn hstrlen(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let hash = find::<Hash>(server, client, &args[1])?;
    client.reply.len(hash.and_then(|h| h.get(&args[2])).map_or(0, <[u8]>::len));
    Ok(())
}

fn hincrby(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let by = int(&args[3])?;
    let old = match find_to_change::<Hash>(server, client, &args[1])?.and_then(|h| h.get(&args[2])) {
        Some(value) => parse_i64(value).ok_or("hash value is not an integer")?,
        None => 0,
    };
    let sum = old.checked_add(by).ok_or("increment or decrement would overflow")?;
    let packing = packing(server);
    let text = itoa::Buffer::new().format(sum).to_owned();
    change_or_new::<Hash>(server, client, &args[1])?.set(&args[2], text.as_bytes(), &packing);
    note(server, client, EventKind::Hash, "hincrby", &args[1]);
    client.reply.int(sum);
    Ok(())
}

fn hincrbyfloat(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let by = LongDouble::parse(&args[3]).ok_or("value is not a valid float")?;
    if !by.is_finite() {
        return Err("value is NaN or Infinity".into());
    }
    let old = match find_to_change::<Hash>(server, client, &args[1])?.and_then(|h| h.get(&args[2])) {
        Some(value) => LongDouble::parse(value).ok_or("hash value is not a float")?,
        None => LongDouble::ZERO,
    };
    let sum = old + by;
    if !sum.is_finite() {
        return Err("increment would produce NaN or Infinity".into());
    }
    let packing = packing(server);
    let text = sum.to_text();
    change_or_new::<Hash>(server, client, &args[1])?.set(&args[2], text.as_bytes(), &packing);
    note(server, client, EventKind::Hash, "hincrbyfloat", &args[1]);
    client.reply.bulk(text);
    Ok(())
}

fn hrandfield(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let Some(count) = args.get(2) else {
        let hash = find::<Hash>(server, client, &args[1])?;
        let picked = hash.and_then(|h| h.at(random_below(h.len())));
        reply_value(&mut client.reply, picked.map(|(field, _)| field));
        return Ok(());
    };
    let values = args.len() > 3;
    let picks = Picks::parse(count, values && args.is(3, "withvalues"))?;
    if args.len() > 4 || values && !args.is(3, "withvalues") {
        return Err(text::SYNTAX.into());
    }
    let hash = find::<Hash>(server, client, &args[1])?;
    let places = picks.places(hash.map_or(0, Hash::len))?;
    let reply = &mut client.reply;
    match values {
        true => pairs_head(reply, places.len()),
        false => reply.array(places.len()),
    }
    for (field, value) in hash.iter().flat_map(|h| places.iter().filter_map(|&i| h.at(i))) {
        if values {
            pair_head(reply);
        }
        reply.bulk(field);
        if values {
            reply.bulk(value);
        }
    }
    Ok(())
}

fn hscan(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    scan_members::<Hash>(server, client, args, |hash, cursor, options, words| {
        hash.scan(cursor, options.count, |field, value| {
            if options.matches(field) {
                words.extend([field.to_vec(), value.to_vec()]);
            }
        })
    })
}
