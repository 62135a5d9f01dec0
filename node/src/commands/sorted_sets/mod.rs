//! Sorted sets (t_zset.c): members and their scores. Ranges and algebra have files of their own.

mod algebra;
mod range;

pub(super) use algebra::SPECS as ALGEBRA_SPECS;
pub(super) use range::SPECS as RANGE_SPECS;

use super::collections::{
    Outcome, Picks, Refusal, change, change_or_new, counted_keys, drop_if_empty, find, find_to_change, float,
    note, packing, pair_head, pairs_head, pop_count, scan_members,
};
use super::lists::pop_option;
use super::{Spec, text};
use crate::keyspace::{EventKind, Packing, Zset, random_below};
use crate::resp::{Args, Protocol, double_text, score_text};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] =
    &[
        Spec::new("zadd", -4, "write denyoom fast", "write sortedset fast", checked!(zadd))
            .keys(1, 1, 1, "RW update")
            .about("sorted-set", "1.2.0", "Adds members with scores, or changes their scores."),
        Spec::new("zincrby", 4, "write denyoom fast", "write sortedset fast", checked!(zincrby))
            .keys(1, 1, 1, "RW access update")
            .about("sorted-set", "1.2.0", "Adds to the score of a member."),
        Spec::new("zrem", -3, "write fast", "write sortedset fast", checked!(zrem))
            .keys(1, 1, 1, "RW delete")
            .about("sorted-set", "1.2.0", "Removes members from a sorted set."),
        Spec::new("zcard", 2, "readonly fast", "read sortedset fast", checked!(zcard))
            .keys(1, 1, 1, "RO")
            .about("sorted-set", "1.2.0", "Counts the members of a sorted set."),
        Spec::new("zscore", 3, "readonly fast", "read sortedset fast", checked!(zscore))
            .keys(1, 1, 1, "RO access")
            .about("sorted-set", "1.2.0", "Answers the score of a member."),
        Spec::new("zmscore", -3, "readonly fast", "read sortedset fast", checked!(zmscore))
            .keys(1, 1, 1, "RO access")
            .about("sorted-set", "6.2.0", "Answers the scores of several members."),
        Spec::new("zrank", 3, "readonly fast", "read sortedset fast", checked!(zrank))
            .keys(1, 1, 1, "RO access")
            .about("sorted-set", "2.0.0", "Answers the rank of a member from the lowest score."),
        Spec::new("zrevrank", 3, "readonly fast", "read sortedset fast", checked!(zrevrank))
            .keys(1, 1, 1, "RO access")
            .about("sorted-set", "2.0.0", "Answers the rank of a member from the highest score."),
        Spec::new("zpopmin", -2, "write fast", "write sortedset fast", checked!(zpopmin))
            .keys(1, 1, 1, "RW access delete")
            .about("sorted-set", "5.0.0", "Takes out the members with the lowest scores."),
        Spec::new("zpopmax", -2, "write fast", "write sortedset fast", checked!(zpopmax))
            .keys(1, 1, 1, "RW access delete")
            .about("sorted-set", "5.0.0", "Takes out the members with the highest scores."),
        Spec::new("zmpop", -4, "write movablekeys", "write sortedset slow", checked!(zmpop))
            .counted(1, "RW access delete")
            .about("sorted-set", "7.0.0", "Takes members from the first sorted set that has any."),
        Spec::new("zrandmember", -2, "readonly", "read sortedset slow", checked!(zrandmember))
            .keys(1, 1, 1, "RO access")
            .tips("nondeterministic_output")
            .about("sorted-set", "6.2.0", "Answers some members of a sorted set."),
        Spec::new("zscan", -3, "readonly", "read sortedset slow", checked!(zscan))
            .keys(1, 1, 1, "RO access")
            .tips("nondeterministic_output")
            .about("sorted-set", "2.8.0", "Goes through the members of a sorted set step by step."),
    ];

/// The options of ZADD.
#[derive(Clone, Copy, Default)]
struct Adding {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    ch: bool,
    incr: bool,
}

/// What became of a member.
enum Added {
    New(f64),
    Changed(f64),
    Same(f64),
    Refused,
}

const NAN: &str = "resulting score is not a number (NaN)";

/// What adding a member would make of it (t_zset.c `zsetAdd`).
fn judge(old: Option<f64>, score: f64, options: Adding) -> Result<Added, &'static str> {
    let Some(old) = old else {
        return Ok(if options.xx { Added::Refused } else { Added::New(score) });
    };
    if options.nx {
        return Ok(Added::Refused);
    }
    let score = if options.incr { old + score } else { score };
    if score.is_nan() {
        return Err(NAN);
    }
    if options.lt && score >= old || options.gt && score <= old {
        return Ok(Added::Refused);
    }
    Ok(if score == old { Added::Same(score) } else { Added::Changed(score) })
}

fn zadd(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    add(server, client, args, Adding::default())
}

fn zincrby(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    add(server, client, args, Adding { incr: true, ..Adding::default() })
}

fn add(server: &mut Server, client: &mut Client, args: Args<'_>, mut options: Adding) -> Outcome {
    let mut i = 2;
    loop {
        match () {
            () if args.is(i, "nx") => options.nx = true,
            () if args.is(i, "xx") => options.xx = true,
            () if args.is(i, "gt") => options.gt = true,
            () if args.is(i, "lt") => options.lt = true,
            () if args.is(i, "ch") => options.ch = true,
            () if args.is(i, "incr") => options.incr = true,
            () => break,
        }
        i += 1;
    }
    let pairs = args.from(i);
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(text::SYNTAX.into());
    }
    if options.nx && options.xx {
        return Err("XX and NX options at the same time are not compatible".into());
    }
    if options.nx && (options.gt || options.lt) || options.gt && options.lt {
        return Err("GT, LT, and/or NX options at the same time are not compatible".into());
    }
    if options.incr && pairs.len() > 2 {
        return Err("INCR option supports a single increment-element pair".into());
    }
    let scores: Vec<f64> = pairs.iter().step_by(2).map(float).collect::<Result<_, _>>()?;
    let members = pairs.from(1).iter().step_by(2);
    let packing = packing(server);
    let (mut added, mut changed, mut last) = (0, 0, None);
    for (member, score) in members.zip(scores) {
        let old = find_to_change::<Zset>(server, client, &args[1])?.and_then(|z| z.score(member));
        last = match judge(old, score, options)? {
            Added::New(score) => {
                added += 1;
                insert(server, client, &args[1], member, score, &packing)?
            }
            Added::Changed(score) => {
                changed += 1;
                insert(server, client, &args[1], member, score, &packing)?
            }
            Added::Same(score) => Some(score),
            Added::Refused => None,
        };
    }
    if added + changed > 0 {
        let event = if options.incr { "zincr" } else { "zadd" };
        note(server, client, EventKind::Zset, event, &args[1]);
    }
    match last {
        Some(score) if options.incr => client.reply.double(score),
        None if options.incr => client.reply.null(),
        _ => client.reply.int(if options.ch { added + changed } else { added }),
    }
    Ok(())
}

fn insert(
    server: &mut Server,
    client: &Client,
    key: &[u8],
    member: &[u8],
    score: f64,
    packing: &Packing,
) -> Result<Option<f64>, Refusal> {
    change_or_new::<Zset>(server, client, key)?.insert(member, score, packing);
    Ok(Some(score))
}

fn zrem(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let members = args.from(2);
    let any = find_to_change::<Zset>(server, client, &args[1])?
        .is_some_and(|z| members.iter().any(|m| z.score(m).is_some()));
    let mut gone = 0;
    if any && let Some(zset) = change::<Zset>(server, client, &args[1])? {
        gone = members.iter().filter(|m| zset.remove(m).is_some()).count();
        note(server, client, EventKind::Zset, "zrem", &args[1]);
        drop_if_empty(server, client, &args[1]);
    }
    client.reply.len(gone);
    Ok(())
}

fn zcard(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let len = find::<Zset>(server, client, &args[1])?.map_or(0, Zset::len);
    client.reply.len(len);
    Ok(())
}

fn zscore(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    match find::<Zset>(server, client, &args[1])?.and_then(|z| z.score(&args[2])) {
        Some(score) => client.reply.double(score),
        None => client.reply.null(),
    }
    Ok(())
}

fn zmscore(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let zset = find::<Zset>(server, client, &args[1])?;
    client.reply.array(args.len() - 2);
    for member in args.from(2).iter() {
        match zset.and_then(|z| z.score(member)) {
            Some(score) => client.reply.double(score),
            None => client.reply.null(),
        }
    }
    Ok(())
}

fn rank(server: &mut Server, client: &mut Client, args: Args<'_>, down: bool) -> Outcome {
    let zset = find::<Zset>(server, client, &args[1])?;
    match zset.and_then(|z| z.rank(&args[2]).map(|rank| if down { z.len() - 1 - rank } else { rank })) {
        Some(rank) => client.reply.len(rank),
        None => client.reply.null(),
    }
    Ok(())
}

fn zrank(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    rank(server, client, args, false)
}

fn zrevrank(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    rank(server, client, args, true)
}

/// Takes members from an end, the outermost first.
fn take(
    server: &mut Server,
    client: &Client,
    key: &[u8],
    count: usize,
    highest: bool,
) -> Result<Vec<(Vec<u8>, f64)>, Refusal> {
    let Some(zset) = change::<Zset>(server, client, key)? else { return Ok(Vec::new()) };
    let len = zset.len();
    let (from, to) = if highest { (len - count.min(len), len) } else { (0, count.min(len)) };
    let taken = zset.range(from, to, highest).map(|(m, s)| (m.to_vec(), s)).collect();
    zset.remove_range(from, to);
    note(server, client, EventKind::Zset, if highest { "zpopmax" } else { "zpopmin" }, key);
    drop_if_empty(server, client, key);
    Ok(taken)
}

fn pop(server: &mut Server, client: &mut Client, args: Args<'_>, highest: bool) -> Outcome {
    if args.len() > 3 {
        return Err(text::SYNTAX.into());
    }
    let count = args.get(2).map(pop_count).transpose()?;
    let there = find_to_change::<Zset>(server, client, &args[1])?.is_some();
    if !there || count == Some(0) {
        client.reply.array(0);
        return Ok(());
    }
    let taken = take(server, client, &args[1], count.unwrap_or(1), highest)?;
    let reply = &mut client.reply;
    // Only in RESP3, and if a count was given, each is a pair of its own.
    let nested = reply.protocol == Protocol::Resp3 && count.is_some();
    reply.array(if nested { taken.len() } else { 2 * taken.len() });
    for (member, score) in taken {
        if nested {
            reply.array(2);
        }
        reply.bulk(member);
        reply.double(score);
    }
    Ok(())
}

fn zpopmin(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    pop(server, client, args, false)
}

fn zpopmax(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    pop(server, client, args, true)
}

fn zmpop(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let (keys, at) = counted_keys(args, 1)?;
    let highest = match () {
        () if args.is(at, "max") => true,
        () if args.is(at, "min") => false,
        () => return Err(text::SYNTAX.into()),
    };
    let count = pop_option(args, at + 1)?;
    for key in keys.iter() {
        if find_to_change::<Zset>(server, client, key)?.is_none() {
            continue;
        }
        let taken = take(server, client, key, count, highest)?;
        let reply = &mut client.reply;
        reply.array(2);
        reply.bulk(key);
        reply.array(taken.len());
        for (member, score) in taken {
            reply.array(2);
            reply.bulk(member);
            reply.double(score);
        }
        return Ok(());
    }
    client.reply.null_array();
    Ok(())
}

fn zrandmember(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let Some(count) = args.get(2) else {
        match find::<Zset>(server, client, &args[1])?.and_then(|z| z.at(random_below(z.len()))) {
            Some((member, _)) => client.reply.bulk(member),
            None => client.reply.null(),
        }
        return Ok(());
    };
    let scores = args.len() > 3;
    let picks = Picks::parse(count, scores && args.is(3, "withscores"))?;
    if args.len() > 4 || scores && !args.is(3, "withscores") {
        return Err(text::SYNTAX.into());
    }
    let zset = find::<Zset>(server, client, &args[1])?;
    let places = picks.places(zset.map_or(0, Zset::len))?;
    let picked = zset.iter().flat_map(|z| places.iter().filter_map(|&i| z.at(i)));
    reply_members(client, places.len(), picked, scores);
    Ok(())
}

/// Writes members, with their scores if asked.
fn reply_members<'a>(
    client: &mut Client,
    count: usize,
    members: impl Iterator<Item = (&'a [u8], f64)>,
    scores: bool,
) {
    let reply = &mut client.reply;
    match scores {
        true => pairs_head(reply, count),
        false => reply.array(count),
    }
    for (member, score) in members {
        if scores {
            pair_head(reply);
        }
        reply.bulk(member);
        if scores {
            reply.double(score);
        }
    }
}

fn zscan(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    scan_members::<Zset>(server, client, args, |zset, cursor, options, words| {
        let score_of = if zset.is_packed() { score_text } else { double_text };
        zset.scan(cursor, options.count, |member, score| {
            if options.matches(member) {
                words.extend([member.to_vec(), score_of(score).into_bytes()]);
            }
        })
    })
}
