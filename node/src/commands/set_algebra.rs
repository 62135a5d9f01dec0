//! Intersections, unions and differences of sets (t_set.c `sinterGenericCommand`, `sunionDiffGenericCommand`).

use super::collections::{Outcome, Refusal, counted_keys, find_all, number, packing, store};
use super::{Spec, text};
use crate::keyspace::{EventKind, Packing, Set};
use crate::resp::Args;
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[
    Spec::new("sinter", -2, "readonly", "read set slow", checked!(sinter))
        .keys(1, -1, 1, "RO access")
        .tips("nondeterministic_output_order")
        .about("set", "1.0.0", "Answers the members that all sets have."),
    Spec::new("sinterstore", -3, "write denyoom", "write set slow", checked!(sinterstore))
        .keys(1, -1, 1, "RW update")
        .second(2, "RO access")
        .about("set", "1.0.0", "Stores the members that all sets have."),
    Spec::new("sintercard", -3, "readonly movablekeys", "read set slow", checked!(sintercard))
        .counted(1, "RO access")
        .about("set", "7.0.0", "Counts the members that all sets have."),
    Spec::new("sunion", -2, "readonly", "read set slow", checked!(sunion))
        .keys(1, -1, 1, "RO access")
        .tips("nondeterministic_output_order")
        .about("set", "1.0.0", "Answers the members that any of the sets has."),
    Spec::new("sunionstore", -3, "write denyoom", "write set slow", checked!(sunionstore))
        .keys(1, -1, 1, "OW update")
        .second(2, "RO access")
        .about("set", "1.0.0", "Stores the members that any of the sets has."),
    Spec::new("sdiff", -2, "readonly", "read set slow", checked!(sdiff))
        .keys(1, -1, 1, "RO access")
        .tips("nondeterministic_output_order")
        .about("set", "1.0.0", "Answers the members that only the first set has."),
    Spec::new("sdiffstore", -3, "write denyoom", "write set slow", checked!(sdiffstore))
        .keys(1, -1, 1, "OW update")
        .second(2, "RO access")
        .about("set", "1.0.0", "Stores the members that only the first set has."),
];

type Algebra = fn(&mut Server, &mut Client, Args<'_>) -> Result<Set, Refusal>;

/// Calls `found` for each common member until it says that it has enough.
fn intersect(sets: &[Option<&Set>], mut found: impl FnMut(&[u8]) -> bool) {
    let Some(mut sets) = sets.iter().copied().collect::<Option<Vec<&Set>>>() else { return };
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else { return };
    for member in smallest.iter() {
        if others.iter().all(|set| set.contains(&member)) && !found(&member) {
            break;
        }
    }
}

fn inter(server: &mut Server, client: &mut Client, keys: Args<'_>) -> Result<Set, Refusal> {
    let (packing, mut result) = (packing(server), Set::default());
    intersect(&find_all(server, client, keys)?, |member| {
        result.add(member, &packing);
        true
    });
    Ok(result)
}

fn union(server: &mut Server, client: &mut Client, keys: Args<'_>) -> Result<Set, Refusal> {
    let (packing, mut result) = (packing(server), Set::default());
    for set in find_all::<Set>(server, client, keys)?.into_iter().flatten() {
        add_all(&mut result, set, &packing);
    }
    Ok(result)
}

fn add_all(result: &mut Set, set: &Set, packing: &Packing) {
    set.iter().for_each(|member| {
        result.add(&member, packing);
    });
}

/// Either each member is looked for in all others, or the others' members are taken out, whichever is less work.
fn diff(server: &mut Server, client: &mut Client, keys: Args<'_>) -> Result<Set, Refusal> {
    let (packing, mut result) = (packing(server), Set::default());
    let sets = find_all::<Set>(server, client, keys)?;
    let Some((Some(first), others)) = sets.split_first() else { return Ok(result) };
    let others: Vec<&Set> = others.iter().flatten().copied().collect();
    let looking = first.len().saturating_mul(others.len() + 1) / 2;
    if looking <= first.len() + others.iter().map(|s| s.len()).sum::<usize>() {
        for member in first.iter().filter(|m| !others.iter().any(|s| s.contains(m))) {
            result.add(&member, &packing);
        }
    } else {
        add_all(&mut result, first, &packing);
        for member in others.iter().flat_map(|s| s.iter()) {
            result.remove(&member);
        }
    }
    Ok(result)
}

fn answer(server: &mut Server, client: &mut Client, args: Args<'_>, algebra: Algebra) -> Outcome {
    let result = algebra(server, client, args.from(1))?;
    client.reply.set(result.len());
    result.iter().for_each(|member| client.reply.bulk(member));
    Ok(())
}

fn keep(
    server: &mut Server,
    client: &mut Client,
    args: Args<'_>,
    algebra: Algebra,
    event: &'static str,
) -> Outcome {
    let result = algebra(server, client, args.from(2))?;
    client.reply.len(result.len());
    store(server, client, &args[1], result, (EventKind::Set, event));
    Ok(())
}

fn sinter(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    answer(server, client, args, inter)
}

fn sinterstore(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    keep(server, client, args, inter, "sinterstore")
}

fn sunion(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    answer(server, client, args, union)
}

fn sunionstore(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    keep(server, client, args, union, "sunionstore")
}

fn sdiff(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    answer(server, client, args, diff)
}

fn sdiffstore(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    keep(server, client, args, diff, "sdiffstore")
}

fn sintercard(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let (keys, mut i) = counted_keys(args, 1)?;
    if i > args.len() {
        return Err("Number of keys can't be greater than number of args".into());
    }
    let mut limit = 0;
    while i < args.len() {
        match args.get(i + 1) {
            Some(value) if args.is(i, "limit") => limit = number(value, 0, "LIMIT can't be negative")?,
            _ => return Err(text::SYNTAX.into()),
        }
        i += 2;
    }
    let mut count = 0;
    intersect(&find_all(server, client, keys)?, |_| {
        count += 1;
        count != limit
    });
    client.reply.len(count);
    Ok(())
}
