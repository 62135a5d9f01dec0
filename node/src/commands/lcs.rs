//! LCS: the longest common subsequence of two strings (t_string.c `lcsCommand`).

use super::lookup::read;
use super::{Spec, strings::as_string, text};
use crate::resp::{Args, Reply, parse_i64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[Spec::new("lcs", -3, "readonly", "read string slow", lcs)
    .keys(1, 2, 1, "RO access")
    .about("string", "7.0.0", "Finds the longest common subsequence of two strings.")];

/// A stretch that both strings share: where it begins in each, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Match {
    first: usize,
    second: usize,
    len: usize,
}

fn lcs(server: &mut Server, client: &mut Client, args: Args<'_>) {
    let (mut length, mut indexes, mut with_len, mut least) = (false, false, false, 0);
    let mut strings = Vec::new();
    for key in [&args[1], &args[2]] {
        match as_string(read(server, client, key)) {
            Ok(found) => strings.push(found.map(|s| s.bytes().into_owned()).unwrap_or_default()),
            Err(_) => return client.reply.error("The specified keys must contain string values"),
        }
    }
    let mut i = 3;
    while i < args.len() {
        match () {
            () if args.is(i, "idx") => indexes = true,
            () if args.is(i, "len") => length = true,
            () if args.is(i, "withmatchlen") => with_len = true,
            () if args.is(i, "minmatchlen") && i + 1 < args.len() => {
                i += 1;
                match parse_i64(&args[i]) {
                    Some(n) => least = usize::try_from(n).unwrap_or(0),
                    None => return client.reply.error(text::NOT_INT),
                }
            }
            () => return client.reply.error(text::SYNTAX),
        }
        i += 1;
    }
    if length && indexes {
        return client.reply.error("If you want both the length and indexes, please just use IDX.");
    }
    let (a, b) = (&strings[0], &strings[1]);
    let cells = (a.len() as u64 + 1).saturating_mul(b.len() as u64 + 1);
    if cells.saturating_mul(4) > server.limits.max_bulk.unsigned_abs() {
        return client
            .reply
            .error("Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
    }
    let (sequence, matches) = longest(a, b);
    if indexes {
        let wanted: Vec<Match> = matches.into_iter().filter(|m| m.len >= least).collect();
        write_matches(&mut client.reply, &wanted, sequence.len(), with_len);
    } else if length {
        client.reply.len(sequence.len());
    } else {
        client.reply.bulk(sequence);
    }
}

fn write_matches(reply: &mut Reply, matches: &[Match], total: usize, with_len: bool) {
    reply.map(2);
    reply.bulk("matches");
    reply.array(matches.len());
    for m in matches {
        reply.array(2 + usize::from(with_len));
        for start in [m.first, m.second] {
            reply.array(2);
            reply.len(start);
            reply.len(start + m.len - 1);
        }
        if with_len {
            reply.len(m.len);
        }
    }
    reply.bulk("len");
    reply.len(total);
}

/// The longest common subsequence, and the stretches it consists of, the last first.
fn longest(a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<Match>) {
    let width = b.len() + 1;
    // lengths[i * width + j] is that of the first i bytes of a and the first j of b.
    let mut lengths = vec![0u32; (a.len() + 1) * width];
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let at = i * width + j;
            lengths[at] = if a[i - 1] == b[j - 1] {
                lengths[at - width - 1] + 1
            } else {
                lengths[at - width].max(lengths[at - 1])
            };
        }
    }
    let (mut i, mut j) = (a.len(), b.len());
    let (mut sequence, mut matches) = (Vec::new(), Vec::<Match>::new());
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            (i, j) = (i - 1, j - 1);
            sequence.push(a[i]);
            match matches.last_mut() {
                Some(m) if m.first == i + 1 && m.second == j + 1 => {
                    *m = Match { first: i, second: j, len: m.len + 1 };
                }
                _ => matches.push(Match { first: i, second: j, len: 1 }),
            }
        } else if lengths[(i - 1) * width + j] > lengths[i * width + j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    sequence.reverse();
    (sequence, matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_documentation() {
        let (sequence, matches) = longest(b"ohmytext", b"mynewtext");
        assert_eq!(sequence, b"mytext");
        let m = |first, second, len| Match { first, second, len };
        assert_eq!(matches, [m(4, 5, 4), m(2, 0, 2)]);
        assert_eq!(longest(b"", b"abc"), (Vec::new(), Vec::new()));
    }
}
