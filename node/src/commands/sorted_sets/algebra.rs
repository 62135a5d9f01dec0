//! Unions, intersections and differences of sorted sets (t_zset.c `zunionInterDiffGenericCommand`). Sets take part
//! too: each of their members has the score 1.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use ahash::RandomState;

use super::reply_members;
use crate::commands::collections::{Outcome, Refusal, int, number, packing, store};
use crate::commands::{Spec, lookup, text};
use crate::keyspace::{EventKind, Set, Value, Zset};
use crate::resp::{Args, parse_f64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(in crate::commands) static SPECS: &[Spec] = &[
    Spec::new("zunion", -3, "readonly movablekeys", "read sortedset slow", checked!(zunion))
        .counted(1, "RO access")
        .about("sorted-set", "6.2.0", "Answers the members that any of the sorted sets has."),
    Spec::new("zinter", -3, "readonly movablekeys", "read sortedset slow", checked!(zinter))
        .counted(1, "RO access")
        .about("sorted-set", "6.2.0", "Answers the members that all sorted sets have."),
    Spec::new("zdiff", -3, "readonly movablekeys", "read sortedset slow", checked!(zdiff))
        .counted(1, "RO access")
        .about("sorted-set", "6.2.0", "Answers the members that only the first sorted set has."),
    Spec::new("zunionstore", -4, "write denyoom movablekeys", "write sortedset slow", checked!(zunionstore))
        .keys(1, 1, 1, "OW update")
        .counted(2, "RO access")
        .about("sorted-set", "2.0.0", "Stores the members that any of the sorted sets has."),
    Spec::new("zinterstore", -4, "write denyoom movablekeys", "write sortedset slow", checked!(zinterstore))
        .keys(1, 1, 1, "OW update")
        .counted(2, "RO access")
        .about("sorted-set", "2.0.0", "Stores the members that all sorted sets have."),
    Spec::new("zdiffstore", -4, "write denyoom movablekeys", "write sortedset slow", checked!(zdiffstore))
        .keys(1, 1, 1, "OW update")
        .counted(2, "RO access")
        .about("sorted-set", "6.2.0", "Stores the members that only the first sorted set has."),
    Spec::new("zintercard", -3, "readonly movablekeys", "read sortedset slow", checked!(zintercard))
        .counted(1, "RO access")
        .about("sorted-set", "7.0.0", "Counts the members that all sorted sets have."),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Inter,
    Diff,
}

/// How scores of one member become one.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    /// Infinities of both signs add up to zero.
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Sum => number_or_zero(a + b),
            Self::Min => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            Self::Max => {
                if b > a {
                    b
                } else {
                    a
                }
            }
        }
    }
}

fn number_or_zero(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// Where members come from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Missing,
    Set(&'a Set),
    Zset(&'a Zset),
}

impl<'a> Source<'a> {
    fn len(self) -> usize {
        match self {
            Self::Missing => 0,
            Self::Set(set) => set.len(),
            Self::Zset(zset) => zset.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Missing => None,
            Self::Set(set) => set.contains(member).then_some(1.0),
            Self::Zset(zset) => zset.score(member),
        }
    }

    fn iter(self) -> Box<dyn Iterator<Item = (Cow<'a, [u8]>, f64)> + 'a> {
        match self {
            Self::Missing => Box::new(std::iter::empty()),
            Self::Set(set) => Box::new(set.iter().map(|m| (m, 1.0))),
            Self::Zset(zset) => Box::new(zset.iter().map(|(m, s)| (Cow::Borrowed(m), s))),
        }
    }
}

/// The form of a command: whether it stores, and whether it only counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Answer,
    Store,
    Count,
}

struct Request<'a> {
    keys: Args<'a>,
    weights: Vec<f64>,
    aggregate: Aggregate,
    scores: bool,
    limit: usize,
}

/// The sources of a request; the error is that of a wrong type.
fn sources<'s>(server: &'s mut Server, client: &Client, keys: Args<'_>) -> Result<Vec<Source<'s>>, Refusal> {
    let now = server.now_ms;
    let db = &server.dbs[client.db];
    keys.iter()
        .map(|key| match db.peek(key, now) {
            None => Ok(Source::Missing),
            Some(Value::Set(set)) => Ok(Source::Set(set)),
            Some(Value::Zset(zset)) => Ok(Source::Zset(zset)),
            Some(_) => Err(text::WRONG_TYPE.into()),
        })
        .collect()
}

impl<'a> Request<'a> {
    /// Parses from the number of keys at `at` on. The keys' types are checked before the options, as in Redis.
    fn parse(
        server: &mut Server,
        client: &Client,
        args: Args<'a>,
        at: usize,
        operation: Operation,
        form: Form,
        name: &str,
    ) -> Result<Self, Refusal> {
        let count = int(&args[at])?;
        if count < 1 {
            return Err(format!("at least 1 input key is needed for '{name}' command").into());
        }
        let count = usize::try_from(count).ok().filter(|&n| n < args.len() - at).ok_or(text::SYNTAX)?;
        let keys = args.slice(at + 1, count);
        for key in keys.iter() {
            lookup::read(server, client, key);
        }
        sources(server, client, keys)?;
        let (mut weights, mut aggregate, mut scores, mut limit) =
            (vec![1.0; count], Aggregate::Sum, false, 0);
        let weighs = operation != Operation::Diff && form != Form::Count;
        let mut i = at + 1 + count;
        while i < args.len() {
            if weighs && args.is(i, "weights") && args.len() - i > count {
                for (weight, arg) in weights.iter_mut().zip(args.from(i + 1).iter()) {
                    *weight = parse_f64(arg).ok_or("weight value is not a float")?;
                }
                i += count;
            } else if weighs && args.is(i, "aggregate") && i + 1 < args.len() {
                aggregate = match () {
                    () if args.is(i + 1, "sum") => Aggregate::Sum,
                    () if args.is(i + 1, "min") => Aggregate::Min,
                    () if args.is(i + 1, "max") => Aggregate::Max,
                    () => return Err(text::SYNTAX.into()),
                };
                i += 1;
            } else if form == Form::Answer && args.is(i, "withscores") {
                scores = true;
            } else if form == Form::Count && args.is(i, "limit") && i + 1 < args.len() {
                limit = number(&args[i + 1], 0, "LIMIT can't be negative")?;
                i += 1;
            } else {
                return Err(text::SYNTAX.into());
            }
            i += 1;
        }
        Ok(Self { keys, weights, aggregate, scores, limit })
    }

    /// Sources with their weights; but for differences the smallest first.
    fn weighed(&self, sources: Vec<Source<'a>>, sorted: bool) -> Vec<(Source<'a>, f64)> {
        let mut all: Vec<_> = sources.into_iter().zip(self.weights.iter().copied()).collect();
        if sorted {
            all.sort_by_key(|(source, _)| source.len());
        }
        all
    }
}

type Members<'a> = Vec<(Cow<'a, [u8]>, f64)>;

/// Calls `found` with each common member until it says that it has enough.
fn intersect<'a>(
    all: &[(Source<'a>, f64)],
    aggregate: Aggregate,
    mut found: impl FnMut(Cow<'a, [u8]>, f64) -> bool,
) {
    let Some((&(first, weight), others)) = all.split_first() else { return };
    for (member, score) in first.iter() {
        let mut sum = number_or_zero(score * weight);
        let common = others.iter().all(|(source, weight)| match source.score(&member) {
            Some(score) => {
                sum = aggregate.of(sum, score * weight);
                true
            }
            None => false,
        });
        if common && !found(member, sum) {
            break;
        }
    }
}

fn union<'a>(all: &[(Source<'a>, f64)], aggregate: Aggregate) -> Members<'a> {
    let mut scores: HashMap<Cow<'a, [u8]>, f64, RandomState> = HashMap::default();
    for &(source, weight) in all {
        for (member, score) in source.iter() {
            let score = number_or_zero(score * weight);
            scores.entry(member).and_modify(|sum| *sum = aggregate.of(*sum, score)).or_insert(score);
        }
    }
    scores.into_iter().collect()
}

fn diff<'a>(all: &[(Source<'a>, f64)]) -> Members<'a> {
    let Some((&(first, _), others)) = all.split_first() else { return Vec::new() };
    first.iter().filter(|(member, _)| others.iter().all(|(o, _)| o.score(member).is_none())).collect()
}

/// The members of the result, in order.
fn result<'a>(request: &Request<'a>, sources: Vec<Source<'a>>, operation: Operation) -> Members<'a> {
    let all = request.weighed(sources, operation != Operation::Diff);
    let mut members = match operation {
        Operation::Union => union(&all, request.aggregate),
        Operation::Diff => diff(&all),
        Operation::Inter => {
            let mut members = Vec::new();
            intersect(&all, request.aggregate, |member, score| {
                members.push((member, score));
                true
            });
            members
        }
    };
    // Zeros of both signs are the same here, and no score is NaN.
    members.sort_unstable_by(|a, b| {
        a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal).then_with(|| a.0.cmp(&b.0))
    });
    members
}

fn answer(
    server: &mut Server,
    client: &mut Client,
    args: Args<'_>,
    operation: Operation,
    name: &str,
) -> Outcome {
    let request = Request::parse(server, client, args, 1, operation, Form::Answer, name)?;
    let sources = sources(server, client, request.keys)?;
    let members = result(&request, sources, operation);
    reply_members(client, members.len(), members.iter().map(|(m, s)| (&**m, *s)), request.scores);
    Ok(())
}

fn keep(
    server: &mut Server,
    client: &mut Client,
    args: Args<'_>,
    operation: Operation,
    name: &'static str,
) -> Outcome {
    let packing = packing(server);
    let request = Request::parse(server, client, args, 2, operation, Form::Store, name)?;
    let mut zset = Zset::default();
    let sources = sources(server, client, request.keys)?;
    let members = result(&request, sources, operation);
    // The form is chosen when all is known: only the large one knows a negative zero.
    if members.len() > packing.zset_entries || members.iter().any(|(m, _)| m.len() > packing.zset_value) {
        zset.spread();
    }
    for (member, score) in members {
        zset.insert(&member, score, &packing);
    }
    client.reply.len(zset.len());
    store(server, client, &args[1], zset, (EventKind::Zset, name));
    Ok(())
}

fn zunion(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    answer(server, client, args, Operation::Union, "zunion")
}

fn zinter(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    answer(server, client, args, Operation::Inter, "zinter")
}

fn zdiff(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    answer(server, client, args, Operation::Diff, "zdiff")
}

fn zunionstore(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    keep(server, client, args, Operation::Union, "zunionstore")
}

fn zinterstore(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    keep(server, client, args, Operation::Inter, "zinterstore")
}

fn zdiffstore(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    keep(server, client, args, Operation::Diff, "zdiffstore")
}

fn zintercard(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let operation = Operation::Inter;
    let request = Request::parse(server, client, args, 1, operation, Form::Count, "zintercard")?;
    let sources = sources(server, client, request.keys)?;
    let mut count = 0;
    intersect(&request.weighed(sources, true), request.aggregate, |_, _| {
        count += 1;
        count != request.limit
    });
    client.reply.len(count);
    Ok(())
}
