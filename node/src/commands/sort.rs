//! SORT and SORT_RO (sort.c).

use std::cmp::Ordering;

use super::collections::{Outcome, Refusal, int, store};
use super::{Spec, text};
use crate::keyspace::{End, EventKind, Hash, Keyspace, List, Str, Typed, Value};
use crate::resp::{Args, parse_f64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[
    Spec::new(
        "sort",
        -2,
        "write denyoom movablekeys",
        "write set sortedset list slow dangerous",
        checked!(sort),
    )
    .keys(1, 1, 1, "RO access")
    .elsewhere(&["RO access", "OW update"])
    .about("generic", "1.0.0", "Sorts the elements of a list, set or sorted set."),
    Spec::new(
        "sort_ro",
        -2,
        "readonly movablekeys",
        "read set sortedset list slow dangerous",
        checked!(sort_ro),
    )
    .keys(1, 1, 1, "RO access")
    .elsewhere(&["RO access"])
    .about("generic", "7.0.0", "Sorts the elements of a list, set or sorted set, and stores nothing."),
];

/// Where the key of STORE stands, the last if there are several.
pub(super) fn store_option(args: Args<'_>) -> Option<usize> {
    let mut found = None;
    let mut i = 2;
    while i < args.len() {
        i += match () {
            () if args.is(i, "limit") => 3,
            () if args.is(i, "get") || args.is(i, "by") => 2,
            () if args.is(i, "store") && i + 1 < args.len() => {
                found = Some(i + 1);
                2
            }
            () => 1,
        };
    }
    found
}

/// The options.
struct Request<'a> {
    down: bool,
    alpha: bool,
    limit: (i64, i64),
    by: Option<&'a [u8]>,
    /// BY a pattern without `*`: nothing is sorted.
    unsorted: bool,
    get: Vec<&'a [u8]>,
    store: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    fn parse(args: Args<'a>, readonly: bool, cluster: bool) -> Result<Self, Refusal> {
        let mut request = Self {
            down: false,
            alpha: false,
            limit: (0, -1),
            by: None,
            unsorted: false,
            get: Vec::new(),
            store: None,
        };
        let mut i = 2;
        while i < args.len() {
            if args.is(i, "asc") {
                request.down = false;
            } else if args.is(i, "desc") {
                request.down = true;
            } else if args.is(i, "alpha") {
                request.alpha = true;
            } else if args.is(i, "limit") && i + 2 < args.len() {
                request.limit = (int(&args[i + 1])?, int(&args[i + 2])?);
                i += 2;
            } else if let Some(value) = args.get(i + 1) {
                if !readonly && args.is(i, "store") {
                    request.store = Some(value);
                } else if args.is(i, "by") {
                    request.by = Some(value);
                    if !value.contains(&b'*') {
                        request.unsorted = true;
                    } else if cluster {
                        return Err("BY option of SORT denied in Cluster mode.".into());
                    }
                } else if args.is(i, "get") {
                    if cluster {
                        return Err("GET option of SORT denied in Cluster mode.".into());
                    }
                    request.get.push(value);
                } else {
                    return Err(text::SYNTAX.into());
                }
                i += 1;
            } else {
                return Err(text::SYNTAX.into());
            }
            i += 1;
        }
        Ok(request)
    }

    /// The part of `len` elements that LIMIT leaves.
    fn part(&self, len: usize) -> (usize, usize) {
        let (start, count) = self.limit;
        let start = usize::try_from(start).unwrap_or(0).min(len);
        (start, usize::try_from(count).map_or(len, |count| start.saturating_add(count).min(len)))
    }
}

/// An element with what it is sorted by.
struct Item {
    element: Vec<u8>,
    weight: Weight,
}

enum Weight {
    Number(f64),
    Text(Option<Vec<u8>>),
}

fn sort(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    run(server, client, args, false)
}

fn sort_ro(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    run(server, client, args, true)
}

fn run(server: &mut Server, client: &mut Client, args: Args<'_>, readonly: bool) -> Outcome {
    let mut request = Request::parse(args, readonly, server.cluster_enabled())?;
    let now = server.now_ms;
    let (mut elements, ordered) = match super::lookup::read(server, client, &args[1]) {
        None => (Vec::new(), true),
        Some(Value::List(list)) => (list.iter().map(<[u8]>::to_vec).collect(), true),
        Some(Value::Zset(zset)) => (zset.iter().map(|(m, _)| m.to_vec()).collect(), true),
        Some(Value::Set(set)) => (set.iter().map(|m| m.into_owned()).collect::<Vec<_>>(), false),
        Some(Value::Str(_) | Value::Hash(_)) => return Err(text::WRONG_TYPE.into()),
    };
    let db = &server.dbs[client.db];
    if request.unsorted && !ordered && request.store.is_some() {
        // What is stored has a defined order.
        (request.unsorted, request.alpha, request.by) = (false, true, None);
    }
    if !request.unsorted {
        elements = sorted(db, now, &request, elements)?;
    } else if request.down && ordered {
        elements.reverse();
    }
    let (from, to) = request.part(elements.len());
    let part = &elements[from..to];
    let values: Vec<Option<Vec<u8>>> = if request.get.is_empty() {
        part.iter().map(|e| Some(e.clone())).collect()
    } else {
        part.iter().flat_map(|e| request.get.iter().map(|p| lookup(db, now, p, e))).collect()
    };
    match request.store {
        None => {
            client.reply.array(values.len());
            for value in values {
                match value {
                    Some(value) => client.reply.bulk(value),
                    None => client.reply.null(),
                }
            }
        }
        Some(key) => {
            let mut list = List::default();
            client.reply.len(values.len());
            values.into_iter().for_each(|value| list.push(End::Right, value.unwrap_or_default()));
            store(server, client, key, list, (EventKind::List, "sortstore"));
        }
    }
    Ok(())
}

fn sorted(
    db: &Keyspace,
    now: i64,
    request: &Request<'_>,
    elements: Vec<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut items = Vec::with_capacity(elements.len());
    for element in elements {
        let weight = match request.by {
            Some(pattern) => lookup(db, now, pattern, &element),
            None => Some(element.clone()),
        };
        let weight = if request.alpha {
            Weight::Text(weight)
        } else {
            // Nothing is read as zero by Redis too.
            let number = weight.filter(|w| !w.is_empty()).map_or(Some(0.0), |w| parse_f64(&w));
            Weight::Number(number.ok_or("One or more scores can't be converted into double")?)
        };
        items.push(Item { element, weight });
    }
    // What sorts alike by the text of a pattern stays as it comes.
    items.sort_by(|a, b| {
        let order = match (&a.weight, &b.weight) {
            (Weight::Number(a), Weight::Number(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Weight::Text(a), Weight::Text(b)) => a.cmp(b),
            _ => Ordering::Equal,
        };
        let order = if request.by.is_none() || !request.alpha {
            order.then_with(|| a.element.cmp(&b.element))
        } else {
            order
        };
        if request.down { order.reverse() } else { order }
    });
    Ok(items.into_iter().map(|item| item.element).collect())
}

/// The value that a pattern names for an element: of the key that has the element in the place of the first `*`, or of
/// a field of it behind `->`; `#` is the element itself (sort.c `lookupKeyByPattern`).
fn lookup(db: &Keyspace, now: i64, pattern: &[u8], element: &[u8]) -> Option<Vec<u8>> {
    if pattern == b"#" {
        return Some(element.to_vec());
    }
    let star = pattern.iter().position(|&b| b == b'*')?;
    let (before, after) = (&pattern[..star], &pattern[star + 1..]);
    // An arrow at the very end belongs to the key.
    let arrow = after.windows(2).position(|w| w == b"->").filter(|at| at + 2 < after.len());
    let (after, field) = match arrow {
        Some(at) => (&after[..at], Some(&after[at + 2..])),
        None => (after, None),
    };
    let value = db.peek(&[before, element, after].concat(), now)?;
    match field {
        Some(field) => Hash::of(value)?.get(field).map(<[u8]>::to_vec),
        None => Str::of(value).map(|s| s.bytes().into_owned()),
    }
}
