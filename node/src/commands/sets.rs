//! Sets (t_set.c).

use super::collections::{
    Outcome, Picks, change, change_or_new, drop_if_empty, find, find_to_change, note, packing, pop_count,
    scan_members,
};
use super::{Spec, text};
use crate::keyspace::{EventKind, Set, random_below};
use crate::resp::Args;
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] =
    &[
        Spec::new("sadd", -3, "write denyoom fast", "write set fast", checked!(sadd))
            .keys(1, 1, 1, "RW insert")
            .about("set", "1.0.0", "Adds members to a set."),
        Spec::new("srem", -3, "write fast", "write set fast", checked!(srem))
            .keys(1, 1, 1, "RW delete")
            .about("set", "1.0.0", "Removes members from a set."),
        Spec::new("smembers", 2, "readonly", "read set slow", checked!(smembers))
            .keys(1, 1, 1, "RO access")
            .tips("nondeterministic_output_order")
            .about("set", "1.0.0", "Answers all members of a set."),
        Spec::new("sismember", 3, "readonly fast", "read set fast", checked!(sismember))
            .keys(1, 1, 1, "RO")
            .about("set", "1.0.0", "Answers whether a set has a member."),
        Spec::new("smismember", -3, "readonly fast", "read set fast", checked!(smismember))
            .keys(1, 1, 1, "RO access")
            .about("set", "6.2.0", "Answers for several members whether a set has them."),
        Spec::new("scard", 2, "readonly fast", "read set fast", checked!(scard)).keys(1, 1, 1, "RO").about(
            "set",
            "1.0.0",
            "Counts the members of a set.",
        ),
        Spec::new("spop", -2, "write fast", "write set fast", checked!(spop))
            .keys(1, 1, 1, "RW access delete")
            .tips("nondeterministic_output")
            .about("set", "1.0.0", "Takes some members out of a set."),
        Spec::new("srandmember", -2, "readonly", "read set slow", checked!(srandmember))
            .keys(1, 1, 1, "RO access")
            .tips("nondeterministic_output")
            .about("set", "1.0.0", "Answers some members of a set."),
        Spec::new("smove", 4, "write fast", "write set fast", checked!(smove))
            .keys(1, 2, 1, "RW access delete")
            .second(2, "RW insert")
            .about("set", "1.0.0", "Moves a member from a set to another."),
        Spec::new("sscan", -3, "readonly", "read set slow", checked!(sscan))
            .keys(1, 1, 1, "RO access")
            .tips("nondeterministic_output")
            .about("set", "2.8.0", "Goes through the members of a set step by step."),
    ];

fn sadd(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let (packing, members) = (packing(server), args.from(2));
    let new = match find_to_change::<Set>(server, client, &args[1])? {
        Some(set) => members.iter().any(|m| !set.contains(m)),
        None => true,
    };
    let mut added = 0;
    if new {
        let set: &mut Set = change_or_new(server, client, &args[1])?;
        added = members.iter().filter(|m| set.add(m, &packing)).count();
        note(server, client, EventKind::Set, "sadd", &args[1]);
    }
    client.reply.len(added);
    Ok(())
}

fn srem(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let members = args.from(2);
    let set = find_to_change::<Set>(server, client, &args[1])?;
    let any = set.is_some_and(|s| members.iter().any(|m| s.contains(m)));
    let mut gone = 0;
    if any && let Some(set) = change::<Set>(server, client, &args[1])? {
        gone = members.iter().filter(|m| set.remove(m)).count();
        note(server, client, EventKind::Set, "srem", &args[1]);
        drop_if_empty(server, client, &args[1]);
    }
    client.reply.len(gone);
    Ok(())
}

fn smembers(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let set = find::<Set>(server, client, &args[1])?;
    client.reply.set(set.map_or(0, Set::len));
    set.iter().flat_map(|s| s.iter()).for_each(|member| client.reply.bulk(member));
    Ok(())
}

fn sismember(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let there = find::<Set>(server, client, &args[1])?.is_some_and(|s| s.contains(&args[2]));
    client.reply.int(i64::from(there));
    Ok(())
}

fn smismember(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let set = find::<Set>(server, client, &args[1])?;
    client.reply.array(args.len() - 2);
    for member in args.from(2).iter() {
        client.reply.int(i64::from(set.is_some_and(|s| s.contains(member))));
    }
    Ok(())
}

fn scard(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let len = find::<Set>(server, client, &args[1])?.map_or(0, Set::len);
    client.reply.len(len);
    Ok(())
}

fn spop(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    if args.len() > 3 {
        return Err(text::SYNTAX.into());
    }
    let count = args.get(2).map(pop_count).transpose()?;
    let len = find_to_change::<Set>(server, client, &args[1])?.map_or(0, Set::len);
    let Some(count) = count else {
        match change::<Set>(server, client, &args[1])? {
            Some(set) => {
                client.reply.bulk(set.remove_at(random_below(len)));
                note(server, client, EventKind::Set, "spop", &args[1]);
            }
            None => client.reply.null(),
        }
        drop_if_empty(server, client, &args[1]);
        return Ok(());
    };
    let count = count.min(len);
    client.reply.set(count);
    if count > 0
        && let Some(set) = change::<Set>(server, client, &args[1])?
    {
        for left in (len - count + 1..=len).rev() {
            client.reply.bulk(set.remove_at(random_below(left)));
        }
        note(server, client, EventKind::Set, "spop", &args[1]);
        drop_if_empty(server, client, &args[1]);
    }
    Ok(())
}

fn srandmember(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    if args.len() > 3 {
        return Err(text::SYNTAX.into());
    }
    let Some(count) = args.get(2) else {
        match find::<Set>(server, client, &args[1])?.and_then(|s| s.at(random_below(s.len()))) {
            Some(member) => client.reply.bulk(member),
            None => client.reply.null(),
        }
        return Ok(());
    };
    let picks = Picks::parse(count, false)?;
    let set = find::<Set>(server, client, &args[1])?;
    let places = picks.places(set.map_or(0, Set::len))?;
    client.reply.array(places.len());
    for member in set.iter().flat_map(|s| places.iter().filter_map(|&i| s.at(i))) {
        client.reply.bulk(member);
    }
    Ok(())
}

fn smove(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let (packing, member) = (packing(server), &args[3]);
    let there = match find_to_change::<Set>(server, client, &args[1])? {
        Some(set) => set.contains(member),
        None => {
            client.reply.int(0);
            return Ok(());
        }
    };
    find_to_change::<Set>(server, client, &args[2])?;
    client.reply.int(i64::from(there));
    if there && args[1] != args[2] {
        if let Some(set) = change::<Set>(server, client, &args[1])? {
            set.remove(member);
        }
        note(server, client, EventKind::Set, "srem", &args[1]);
        drop_if_empty(server, client, &args[1]);
        if !find_to_change::<Set>(server, client, &args[2])?.is_some_and(|s| s.contains(member)) {
            change_or_new::<Set>(server, client, &args[2])?.add(member, &packing);
            note(server, client, EventKind::Set, "sadd", &args[2]);
        }
    }
    Ok(())
}

fn sscan(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    scan_members::<Set>(server, client, args, |set, cursor, options, words| {
        set.scan(cursor, options.count, |member| {
            if options.matches(member) {
                words.push(member.to_vec());
            }
        })
    })
}
