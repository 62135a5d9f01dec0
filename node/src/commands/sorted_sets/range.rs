//! Ranges of sorted sets by rank, by score and by name (t_zset.c `zrangeGenericCommand`). Each becomes a range of
//! ranks first, which takes O(log n).

use super::reply_members;
use crate::commands::collections::{
    Outcome, Refusal, change, drop_if_empty, find, find_to_change, int, note, packing, span, store,
};
use crate::commands::{Spec, text};
use crate::keyspace::{EventKind, Zset};
use crate::resp::Args;
use crate::server::{Client, Server};

/// The commands of this family.
pub(in crate::commands) static SPECS: &[Spec] = &[
    Spec::new("zcount", 4, "readonly fast", "read sortedset fast", checked!(zcount))
        .keys(1, 1, 1, "RO access")
        .about("sorted-set", "2.0.0", "Counts the members with scores of a range."),
    Spec::new("zlexcount", 4, "readonly fast", "read sortedset fast", checked!(zlexcount))
        .keys(1, 1, 1, "RO access")
        .about("sorted-set", "2.8.9", "Counts the members of a range of names."),
    Spec::new("zrange", -4, "readonly", "read sortedset slow", checked!(zrange))
        .keys(1, 1, 1, "RO access")
        .about("sorted-set", "1.2.0", "Answers the members of a range of ranks, scores or names."),
    Spec::new("zrangestore", -5, "write denyoom", "write sortedset slow", checked!(zrangestore))
        .keys(1, 2, 1, "OW update")
        .second(2, "RO access")
        .about("sorted-set", "6.2.0", "Stores the members of a range."),
    Spec::new("zrangebyscore", -4, "readonly", "read sortedset slow", checked!(zrangebyscore))
        .keys(1, 1, 1, "RO access")
        .about("sorted-set", "1.0.5", "Answers the members with scores of a range."),
    Spec::new("zrevrangebyscore", -4, "readonly", "read sortedset slow", checked!(zrevrangebyscore))
        .keys(1, 1, 1, "RO access")
        .about("sorted-set", "2.2.0", "Answers the members with scores of a range, the highest first."),
    Spec::new("zrangebylex", -4, "readonly", "read sortedset slow", checked!(zrangebylex))
        .keys(1, 1, 1, "RO access")
        .about("sorted-set", "2.8.9", "Answers the members of a range of names."),
    Spec::new("zrevrangebylex", -4, "readonly", "read sortedset slow", checked!(zrevrangebylex))
        .keys(1, 1, 1, "RO access")
        .about("sorted-set", "2.8.9", "Answers the members of a range of names, the last first."),
    Spec::new("zrevrange", -4, "readonly", "read sortedset slow", checked!(zrevrange))
        .keys(1, 1, 1, "RO access")
        .about("sorted-set", "1.2.0", "Answers the members of a range of ranks, the highest score first."),
    Spec::new("zremrangebyrank", 4, "write", "write sortedset slow", checked!(zremrangebyrank))
        .keys(1, 1, 1, "RW delete")
        .about("sorted-set", "2.0.0", "Removes the members of a range of ranks."),
    Spec::new("zremrangebyscore", 4, "write", "write sortedset slow", checked!(zremrangebyscore))
        .keys(1, 1, 1, "RW delete")
        .about("sorted-set", "1.2.0", "Removes the members with scores of a range."),
    Spec::new("zremrangebylex", 4, "write", "write sortedset slow", checked!(zremrangebylex))
        .keys(1, 1, 1, "RW delete")
        .about("sorted-set", "2.8.9", "Removes the members of a range of names."),
];

/// What the ends of a range are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// A range, its lower end first.
enum Range<'a> {
    /// Indexes, negative ones from the end.
    Rank(i64, i64),
    Score(Edge, Edge),
    Lex(Name<'a>, Name<'a>),
}

/// An end of a range of scores.
#[derive(Clone, Copy)]
struct Edge {
    score: f64,
    excluded: bool,
}

/// An end of a range of names.
#[derive(Clone, Copy)]
enum Name<'a> {
    Lowest,
    Highest,
    Included(&'a [u8]),
    Excluded(&'a [u8]),
}

impl Edge {
    fn parse(arg: &[u8]) -> Result<Self, Refusal> {
        let (number, excluded) = match arg {
            [b'(', number @ ..] => (number, true),
            _ => (arg, false),
        };
        // As C reads it: no text is zero, blanks may stand before a number, and one that is too large is infinite.
        let text = std::str::from_utf8(number).unwrap_or("nan");
        let score = if text.is_empty() { Some(0.0) } else { text.trim_ascii_start().parse::<f64>().ok() };
        let score = score.filter(|score| !score.is_nan());
        score.map(|score| Self { score, excluded }).ok_or_else(|| "min or max is not a float".into())
    }
}

impl<'a> Name<'a> {
    fn parse(arg: &'a [u8]) -> Result<Self, Refusal> {
        match arg {
            b"-" => Ok(Self::Lowest),
            b"+" => Ok(Self::Highest),
            [b'[', name @ ..] => Ok(Self::Included(name)),
            [b'(', name @ ..] => Ok(Self::Excluded(name)),
            _ => Err("min or max not valid string range item".into()),
        }
    }

    /// Whether a member lies below this lower end.
    fn is_above(self, member: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::Included(name) => member < name,
            Self::Excluded(name) => member <= name,
        }
    }

    /// Whether a member lies within this upper end.
    fn reaches(self, member: &[u8]) -> bool {
        match self {
            Self::Lowest => false,
            Self::Highest => true,
            Self::Included(name) => member <= name,
            Self::Excluded(name) => member < name,
        }
    }
}

impl<'a> Range<'a> {
    fn parse(by: By, low: &'a [u8], high: &'a [u8]) -> Result<Self, Refusal> {
        Ok(match by {
            By::Rank => Self::Rank(int(low)?, int(high)?),
            By::Score => Self::Score(Edge::parse(low)?, Edge::parse(high)?),
            By::Lex => Self::Lex(Name::parse(low)?, Name::parse(high)?),
        })
    }

    /// The ranks that it covers, without the last.
    fn ranks(&self, zset: &Zset) -> (usize, usize) {
        let (from, to) = match *self {
            Self::Rank(start, end) => span(start, end, zset.len()),
            Self::Score(low, high) => (
                zset.partition_point(|_, s| if low.excluded { s <= low.score } else { s < low.score }),
                zset.partition_point(|_, s| if high.excluded { s < high.score } else { s <= high.score }),
            ),
            Self::Lex(low, high) => {
                (zset.partition_point(|m, _| low.is_above(m)), zset.partition_point(|m, _| high.reaches(m)))
            }
        };
        (from, to.max(from))
    }
}

/// A request for a range.
struct Request<'a> {
    range: Range<'a>,
    down: bool,
    scores: bool,
    offset: i64,
    /// Negative: all.
    limit: i64,
}

/// What of it the command's name says already.
#[derive(Clone, Copy)]
struct Fixed {
    by: Option<By>,
    down: Option<bool>,
    store: bool,
}

impl<'a> Request<'a> {
    /// Parses what follows the key, which stands at `key`.
    fn parse(args: Args<'a>, key: usize, fixed: Fixed) -> Result<Self, Refusal> {
        let (mut by, mut down) = (fixed.by, fixed.down);
        let (mut scores, mut offset, mut limit) = (false, 0, -1);
        let mut i = key + 3;
        while i < args.len() {
            if !fixed.store && args.is(i, "withscores") {
                scores = true;
            } else if args.is(i, "limit") && args.len() > i + 2 {
                (offset, limit) = (int(&args[i + 1])?, int(&args[i + 2])?);
                i += 2;
            } else if fixed.down.is_none() && down.is_none() && args.is(i, "rev") {
                down = Some(true);
            } else if by.is_none() && args.is(i, "bylex") {
                by = Some(By::Lex);
            } else if by.is_none() && args.is(i, "byscore") {
                by = Some(By::Score);
            } else {
                return Err(text::SYNTAX.into());
            }
            i += 1;
        }
        let (by, down) = (by.unwrap_or(By::Rank), down.unwrap_or(false));
        if limit != -1 && by == By::Rank {
            return Err(
                "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX".into()
            );
        }
        if scores && by == By::Lex {
            return Err("syntax error, WITHSCORES not supported in combination with BYLEX".into());
        }
        let ends = args.from(key + 1);
        let (first, second) = (ends.get(0).unwrap_or(b""), ends.get(1).unwrap_or(b""));
        // Downwards, the higher end of scores and names comes first.
        let (low, high) = if down && by != By::Rank { (second, first) } else { (first, second) };
        Ok(Self { range: Range::parse(by, low, high)?, down, scores, offset, limit })
    }

    /// The ranks that it covers, the limit applied.
    fn ranks(&self, zset: &Zset) -> (usize, usize) {
        let len = zset.len();
        let (from, to) = self.range.ranks(zset);
        if let Range::Rank(..) = self.range {
            // Ranks count from the other end.
            return if self.down { (len - to, len - from) } else { (from, to) };
        }
        let Ok(offset) = usize::try_from(self.offset) else { return (0, 0) };
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let skip = offset.min(to - from);
        if self.down {
            let to = to - skip;
            (to - limit.min(to - from), to)
        } else {
            let from = from + skip;
            (from, from + limit.min(to - from))
        }
    }
}

fn answer(
    server: &mut Server,
    client: &mut Client,
    args: Args<'_>,
    by: Option<By>,
    down: Option<bool>,
) -> Outcome {
    let request = Request::parse(args, 1, Fixed { by, down, store: false })?;
    let zset = find::<Zset>(server, client, &args[1])?;
    let (from, to) = zset.map_or((0, 0), |z| request.ranks(z));
    let members = zset.into_iter().flat_map(|z| z.range(from, to, request.down));
    reply_members(client, to - from, members, request.scores);
    Ok(())
}

fn zrange(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    answer(server, client, args, None, None)
}

fn zrevrange(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    answer(server, client, args, Some(By::Rank), Some(true))
}

fn zrangebyscore(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    answer(server, client, args, Some(By::Score), Some(false))
}

fn zrevrangebyscore(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    answer(server, client, args, Some(By::Score), Some(true))
}

fn zrangebylex(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    answer(server, client, args, Some(By::Lex), Some(false))
}

fn zrevrangebylex(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    answer(server, client, args, Some(By::Lex), Some(true))
}

fn zrangestore(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    let request = Request::parse(args, 2, Fixed { by: None, down: None, store: true })?;
    let (packing, mut result) = (packing(server), Zset::default());
    if let Some(zset) = find::<Zset>(server, client, &args[2])? {
        let (from, to) = request.ranks(zset);
        // As in Redis, the form is chosen at once where the number of members is known.
        if matches!(request.range, Range::Rank(..)) && to - from > packing.zset_entries {
            result.spread();
        }
        for (member, score) in zset.range(from, to, false) {
            result.insert(member, score, &packing);
        }
    }
    client.reply.len(result.len());
    store(server, client, &args[1], result, (EventKind::Zset, "zrangestore"));
    Ok(())
}

fn count(server: &mut Server, client: &mut Client, args: Args<'_>, by: By) -> Outcome {
    let range = Range::parse(by, &args[2], &args[3])?;
    let (from, to) = find::<Zset>(server, client, &args[1])?.map_or((0, 0), |z| range.ranks(z));
    client.reply.len(to - from);
    Ok(())
}

fn zcount(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    count(server, client, args, By::Score)
}

fn zlexcount(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    count(server, client, args, By::Lex)
}

fn remove(server: &mut Server, client: &mut Client, args: Args<'_>, by: By, event: &'static str) -> Outcome {
    let range = Range::parse(by, &args[2], &args[3])?;
    let (from, to) = find_to_change::<Zset>(server, client, &args[1])?.map_or((0, 0), |z| range.ranks(z));
    if from < to
        && let Some(zset) = change::<Zset>(server, client, &args[1])?
    {
        zset.remove_range(from, to);
        note(server, client, EventKind::Zset, event, &args[1]);
        drop_if_empty(server, client, &args[1]);
    }
    client.reply.len(to - from);
    Ok(())
}

fn zremrangebyrank(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    remove(server, client, args, By::Rank, "zremrangebyrank")
}

fn zremrangebyscore(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    remove(server, client, args, By::Score, "zremrangebyscore")
}

fn zremrangebylex(server: &mut Server, client: &mut Client, args: Args<'_>) -> Outcome {
    remove(server, client, args, By::Lex, "zremrangebylex")
}
