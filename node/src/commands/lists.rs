//! Lists (t_list.c), without those commands that wait.

use super::collections::{
    Outcome, Refusal, change, change_or_new, counted_keys, drop_if_empty, find, find_to_change, int, note,
    number, pop_count, span,
};
use super::{Spec, text};
use crate::keyspace::{End, EventKind, List};
use crate::resp::Args;
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] =
    &[
        Spec::new("lpush", -3, "write denyoom fast", "write list fast", checked!(lpush))
            .keys(1, 1, 1, "RW insert")
            .about("list", "1.0.0", "Adds elements at the head of a list."),
        Spec::new("rpush", -3, "write denyoom fast", "write list fast", checked!(rpush))
            .keys(1, 1, 1, "RW insert")
            .about("list", "1.0.0", "Adds elements at the tail of a list."),
        Spec::new("lpushx", -3, "write denyoom fast", "write list fast", checked!(lpushx))
            .keys(1, 1, 1, "RW insert")
            .about("list", "2.2.0", "Adds elements at the head of a list that exists."),
        Spec::new("rpushx", -3, "write denyoom fast", "write list fast", checked!(rpushx))
            .keys(1, 1, 1, "RW insert")
            .about("list", "2.2.0", "Adds elements at the tail of a list that exists."),
        Spec::new("lpop", -2, "write fast", "write list fast", checked!(lpop))
            .keys(1, 1, 1, "RW access delete")
            .about("list", "1.0.0", "Takes elements from the head of a list."),
        Spec::new("rpop", -2, "write fast", "write list fast", checked!(rpop))
            .keys(1, 1, 1, "RW access delete")
            .about("list", "1.0.0", "Takes elements from the tail of a list."),
        Spec::new("llen", 2, "readonly fast", "read list fast", checked!(llen)).keys(1, 1, 1, "RO").about(
            "list",
            "1.0.0",
            "Counts the elements of a list.",
        ),
        Spec::new("lindex", 3, "readonly", "read list slow", checked!(lindex))
            .keys(1, 1, 1, "RO access")
            .about("list", "1.0.0", "Answers the element at an index."),
        Spec::new("lset", 4, "write denyoom", "write list slow", checked!(lset))
            .keys(1, 1, 1, "RW update")
            .about("list", "1.0.0", "Replaces the element at an index."),
        Spec::new("linsert", 5, "write denyoom", "write list slow", checked!(linsert))
            .keys(1, 1, 1, "RW insert")
            .about("list", "2.2.0", "Adds an element before or behind another one."),
        Spec::new("lrange", 4, "readonly", "read list slow", checked!(lrange))
            .keys(1, 1, 1, "RO access")
            .about("list", "1.0.0", "Answers the elements of a range."),
        Spec::new("lrem", 4, "write", "write list slow", checked!(lrem)).keys(1, 1, 1, "RW delete").about(
            "list",
            "1.0.0",
            "Removes elements that equal a value.",
        ),
        Spec::new("ltrim", 4, "write", "write list slow", checked!(ltrim)).keys(1, 1, 1, "RW delete").about(
            "list",
            "1.0.0",
            "Keeps the elements of a range only.",
        ),
        Spec::new("lpos", -3, "readonly", "read list slow", checked!(lpos)).keys(1, 1, 1, "RO access").about(
            "list",
            "6.0.6",
            "Answers where in a list a value is.",
        ),
        Spec::new("lmove", 5, "write denyoom", "write list slow", checked!(lmove))
            .keys(1, 2, 1, "RW access delete")
            .second(2, "RW insert")
            .about("list", "6.2.0", "Moves an element from an end of a list to an end of another."),
        Spec::new("rpoplpush", 3, "write denyoom", "write list slow", checked!(rpoplpush))
            .keys(1, 2, 1, "RW access delete")
            .second(2, "RW insert")
            .about("list", "1.2.0", "Moves the tail of a list to the head of another."),
        Spec::new("lmpop", -4, "write movablekeys", "write list slow", checked!(lmpop))
            .counted(1, "RW access delete")
            .about("list", "7.0.0", "Takes elements from the first list that has any."),
    ];

fn push(server: &mut Server, client: &mut Client, args: Args<'_>, end: End) -> Outcome {
    let list: &mut List = change_or_new(server, client, &args[1])?;
    args.from(2).iter().for_each(|element| list.push(end, element));
    client.reply.len(list.len());
    note(server, client, EventKind::List, pushed(end), &args[1]);
    Ok(())
}

/// What adding at an end is called.
fn pushed(end: End) -> &'static str {
    if end == End::Left { "lpush" } else { "rpush" }
}

/// What taking from an end is called.
fn popped(end: End) -> &'static str {
    if end == End::Left { "lpop" } else { "rpop" }
}

fn lpush(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    push(server, client, args, End::Left)
}

fn rpush(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    push(server, client, args, End::Right)
}

fn push_if_there(server: &mut Server, client: &mut Client, args: Args<'_>, end: End) -> Outcome {
    if find_to_change::<List>(server, client, &args[1])?.is_none() {
        client.reply.int(0);
        return Ok(());
    }
    push(server, client, args, end)
}

fn lpushx(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    push_if_there(server, client, args, End::Left)
}

fn rpushx(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    push_if_there(server, client, args, End::Right)
}

fn pop(server: &mut Server, client: &mut Client, args: Args<'_>, end: End, name: &str) -> Outcome {
    if args.len() > 3 {
        return Err(format!("wrong number of arguments for '{name}' command").into());
    }
    let count = args.get(2).map(pop_count).transpose()?;
    if find_to_change::<List>(server, client, &args[1])?.is_none() {
        match count {
            Some(_) => client.reply.null_array(),
            None => client.reply.null(),
        }
        return Ok(());
    }
    match count {
        Some(0) => client.reply.array(0),
        Some(count) => pop_some(server, client, &args[1], end, count)?,
        None => {
            if let Some(element) = change::<List>(server, client, &args[1])?.and_then(|l| l.pop(end)) {
                client.reply.bulk(element);
            }
            note(server, client, EventKind::List, popped(end), &args[1]);
            drop_if_empty(server, client, &args[1]);
        }
    }
    Ok(())
}

/// Takes elements from an end and answers them as an array.
fn pop_some(server: &mut Server, client: &mut Client, key: &[u8], end: End, count: usize) -> Outcome {
    if let Some(list) = change::<List>(server, client, key)? {
        let count = count.min(list.len());
        client.reply.array(count);
        for element in (0..count).map_while(|_| list.pop(end)) {
            client.reply.bulk(element);
        }
    }
    note(server, client, EventKind::List, popped(end), key);
    drop_if_empty(server, client, key);
    Ok(())
}

fn lpop(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    pop(server, client, args, End::Left, "lpop")
}

fn rpop(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    pop(server, client, args, End::Right, "rpop")
}

fn llen(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let len = find::<List>(server, client, &args[1])?.map_or(0, List::len);
    client.reply.len(len);
    Ok(())
}

fn lindex(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let found = match find::<List>(server, client, &args[1])? {
        Some(list) => list.get(int(&args[2])?),
        None => None,
    };
    match found {
        Some(element) => client.reply.bulk(element),
        None => client.reply.null(),
    }
    Ok(())
}

fn lset(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let list = find_to_change::<List>(server, client, &args[1])?.ok_or("no such key")?;
    let index = int(&args[2])?;
    list.get(index).ok_or("index out of range")?;
    if let Some(list) = change::<List>(server, client, &args[1])? {
        list.set(index, &args[3]);
    }
    note(server, client, EventKind::List, "lset", &args[1]);
    client.reply.ok();
    Ok(())
}

fn linsert(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let behind = match () {
        () if args.is(2, "after") => 1,
        () if args.is(2, "before") => 0,
        () => return Err(text::SYNTAX.into()),
    };
    let Some(list) = find_to_change::<List>(server, client, &args[1])? else {
        client.reply.int(0);
        return Ok(());
    };
    let Some(place) = list.iter().position(|e| *e == args[3]) else {
        client.reply.int(-1);
        return Ok(());
    };
    if let Some(list) = change::<List>(server, client, &args[1])? {
        list.insert(place + behind, &args[4]);
        client.reply.len(list.len());
    }
    note(server, client, EventKind::List, "linsert", &args[1]);
    Ok(())
}

fn lrange(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let (start, end) = (int(&args[2])?, int(&args[3])?);
    let list = find::<List>(server, client, &args[1])?;
    let (from, to) = span(start, end, list.map_or(0, List::len));
    client.reply.array(to - from);
    list.iter().flat_map(|l| l.range(from, to)).for_each(|element| client.reply.bulk(element));
    Ok(())
}

fn lrem(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let count = int(&args[2])?;
    let (from, most) = match count {
        0 => (End::Left, usize::MAX),
        ..0 => (End::Right, usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX)),
        _ => (End::Left, usize::try_from(count).unwrap_or(usize::MAX)),
    };
    let any =
        find_to_change::<List>(server, client, &args[1])?.is_some_and(|l| l.iter().any(|e| *e == args[3]));
    let mut gone = 0;
    if any && let Some(list) = change::<List>(server, client, &args[1])? {
        gone = list.remove_equal(&args[3], from, most);
        note(server, client, EventKind::List, "lrem", &args[1]);
        drop_if_empty(server, client, &args[1]);
    }
    client.reply.len(gone);
    Ok(())
}

fn ltrim(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let (start, end) = (int(&args[2])?, int(&args[3])?);
    if let Some(list) = change::<List>(server, client, &args[1])? {
        let (from, to) = span(start, end, list.len());
        list.keep(from, to);
        note(server, client, EventKind::List, "ltrim", &args[1]);
        drop_if_empty(server, client, &args[1]);
    }
    client.reply.ok();
    Ok(())
}

fn lpos(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let (mut rank, mut count, mut max_len) = (1, None, 0);
    let mut i = 3;
    while i < args.len() {
        let value = args.get(i + 1).ok_or(text::SYNTAX)?;
        if args.is(i, "rank") {
            rank = int(value)?;
            if rank == 0 {
                return Err(
                    "RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                            negative to start from the end of the list"
                        .into(),
                );
            }
            if rank == i64::MIN {
                return Err("value is out of range".into());
            }
        } else if args.is(i, "count") {
            count = Some(number(value, 0, "COUNT can't be negative")?);
        } else if args.is(i, "maxlen") {
            max_len = number(value, 0, "MAXLEN can't be negative")?;
        } else {
            return Err(text::SYNTAX.into());
        }
        i += 2;
    }
    let looks = if max_len == 0 { usize::MAX } else { max_len };
    let most = match count {
        None => 1,
        Some(0) => usize::MAX,
        Some(n) => n,
    };
    let skip = usize::try_from(rank.unsigned_abs() - 1).unwrap_or(usize::MAX);
    let mut places: Vec<usize> = Vec::new();
    if let Some(list) = find::<List>(server, client, &args[1])? {
        let is = |&(_, element): &(usize, &[u8])| *element == args[2];
        if rank > 0 {
            let matches = list.iter().enumerate().take(looks).filter(is);
            places.extend(matches.skip(skip).take(most).map(|(i, _)| i));
        } else {
            let matches = list.iter().rev().enumerate().take(looks).filter(is);
            places.extend(matches.skip(skip).take(most).map(|(i, _)| list.len() - 1 - i));
        }
    }
    match count {
        Some(_) => {
            client.reply.array(places.len());
            places.into_iter().for_each(|place| client.reply.len(place));
        }
        None => match places.first() {
            Some(&place) => client.reply.len(place),
            None => client.reply.null(),
        },
    }
    Ok(())
}

fn end(args: Args<'_>, at: usize) -> Result<End, Refusal> {
    match () {
        () if args.is(at, "left") => Ok(End::Left),
        () if args.is(at, "right") => Ok(End::Right),
        () => Err(text::SYNTAX.into()),
    }
}

fn move_one(server: &mut Server, client: &mut Client, args: Args<'_>, from: End, to: End) -> Outcome {
    if find_to_change::<List>(server, client, &args[1])?.is_none() {
        client.reply.null();
        return Ok(());
    }
    find_to_change::<List>(server, client, &args[2])?;
    let Some(element) = change::<List>(server, client, &args[1])?.and_then(|l| l.pop(from)) else {
        return Ok(());
    };
    client.reply.bulk(&element);
    change_or_new::<List>(server, client, &args[2])?.push(to, element);
    note(server, client, EventKind::List, pushed(to), &args[2]);
    note(server, client, EventKind::List, popped(from), &args[1]);
    drop_if_empty(server, client, &args[1]);
    Ok(())
}

fn lmove(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    move_one(server, client, args, end(args, 3)?, end(args, 4)?)
}

fn rpoplpush(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    move_one(server, client, args, End::Right, End::Left)
}

fn lmpop(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let (keys, at) = counted_keys(args, 1)?;
    let end = end(args, at)?;
    let count = pop_option(args, at + 1)?;
    for key in keys.iter() {
        if find_to_change::<List>(server, client, key)?.is_some() {
            client.reply.array(2);
            client.reply.bulk(key);
            return pop_some(server, client, key, end, count);
        }
    }
    client.reply.null_array();
    Ok(())
}

/// The COUNT of LMPOP and ZMPOP, the last option there is.
pub(super) fn pop_option(args: Args<'_>, at: usize) -> Result<usize, Refusal> {
    match args.get(at + 1) {
        None if args.len() <= at => Ok(1),
        Some(count) if args.is(at, "count") => {
            let count = number(count, 1, "count should be greater than 0")?;
            if args.len() > at + 2 { Err(text::SYNTAX.into()) } else { Ok(count) }
        }
        _ => Err(text::SYNTAX.into()),
    }
}
