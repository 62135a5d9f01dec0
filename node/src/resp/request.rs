//! Requests: the incremental parser of RESP arrays and inline commands (networking.c
//! `processMultibulkBuffer`, `processInlineBuffer`).
//!
//! The parser keeps where it is, so that a request which comes in many pieces is read once. Nothing is
//! reserved on the word of a length: memory grows with what has really arrived.

use std::fmt;
use std::ops::{Index, Range};

use super::number::parse_i64;

/// The longest inline request, and the longest line that announces a length, in bytes.
const MAX_LINE: usize = 64 * 1024;
/// What a client may announce before it has authenticated itself.
const MAX_ARGS_UNAUTHENTICATED: i64 = 10;
const MAX_BULK_UNAUTHENTICATED: i64 = 16384;

/// What one request may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest bulk string in bytes (`proto-max-bulk-len`).
    pub max_bulk: i64,
    /// Whether the client still has to authenticate itself.
    pub unauthenticated: bool,
}

/// A request that cannot be one. The connection is closed after this error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtocolError(String);

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protocol error: {}", self.0)
    }
}

impl std::error::Error for ProtocolError {}

fn error<T>(text: &str) -> Result<T, ProtocolError> {
    Err(ProtocolError(text.to_owned()))
}

/// The arguments of a request; the first is the command's name. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    bytes: &'a [u8],
    ranges: &'a [Range<usize>],
}

impl<'a> Args<'a> {
    /// How many, with the command's name.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is none, which no dispatched command has.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// One of them, or nothing beyond the last.
    pub fn get(&self, i: usize) -> Option<&'a [u8]> {
        self.ranges.get(i).map(|r| &self.bytes[r.clone()])
    }

    /// Those from `first` on.
    pub fn from(&self, first: usize) -> Args<'a> {
        Args { bytes: self.bytes, ranges: self.ranges.get(first..).unwrap_or(&[]) }
    }

    /// At most `count` of them from `first` on.
    pub fn slice(&self, first: usize, count: usize) -> Args<'a> {
        let from = self.from(first);
        Args { bytes: self.bytes, ranges: &from.ranges[..count.min(from.ranges.len())] }
    }

    /// All, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        self.ranges.iter().map(move |r| &bytes[r.clone()])
    }

    /// Whether argument `i` is this word, in any case.
    pub fn is(&self, i: usize, word: &str) -> bool {
        self.get(i).is_some_and(|a| a.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// A copy that outlives the read buffer.
    pub fn to_owned(&self) -> OwnedArgs {
        OwnedArgs::new(self.iter())
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    /// # Panics
    /// When there are not that many; a command's arity is checked before it runs.
    fn index(&self, i: usize) -> &[u8] {
        &self.bytes[self.ranges[i].clone()]
    }
}

impl fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(String::from_utf8_lossy)).finish()
    }
}

/// Arguments that own their bytes: a queued command of a transaction.
#[derive(Clone, Debug, Default)]
pub struct OwnedArgs {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
}

impl OwnedArgs {
    /// A request made of these arguments.
    pub fn new<A: AsRef<[u8]>>(args: impl IntoIterator<Item = A>) -> Self {
        let mut owned = Self::default();
        for arg in args {
            let start = owned.bytes.len();
            owned.bytes.extend_from_slice(arg.as_ref());
            owned.ranges.push(start..owned.bytes.len());
        }
        owned
    }

    /// As a request.
    pub fn args(&self) -> Args<'_> {
        Args { bytes: &self.bytes, ranges: &self.ranges }
    }

    /// How much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        self.bytes.capacity() + self.ranges.capacity() * size_of::<Range<usize>>()
    }
}

/// The parser of one connection. It is given all bytes that are not consumed yet, each time from the start
/// of the current request.
#[derive(Debug, Default)]
pub struct Parser {
    /// Where to go on, from the start of the request.
    pos: usize,
    /// How many arguments of an array are missing; 0 between requests.
    missing: usize,
    /// The length of the argument that is being read.
    bulk: Option<usize>,
    ranges: Vec<Range<usize>>,
    /// The unquoted arguments of an inline request.
    inline: Option<Vec<u8>>,
}

impl Parser {
    /// Reads on in `input`. Gives the length of the request when it is complete; its arguments are then in
    /// [`Parser::args`] until [`Parser::next`]. A request may be empty (no arguments): it is skipped without
    /// a reply.
    pub fn parse(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        if self.missing == 0 {
            match input.first() {
                None => return Ok(None),
                Some(b'*') => match self.array_head(input, limits)? {
                    None => return Ok(None),
                    Some(0) => return Ok(Some(self.pos)),
                    Some(n) => self.missing = n,
                },
                Some(_) => return self.inline(input),
            }
        }
        while self.missing > 0 {
            let len = match self.bulk {
                Some(len) => len,
                None => match self.bulk_head(input, limits)? {
                    None => return Ok(None),
                    Some(len) => *self.bulk.insert(len),
                },
            };
            if input.len() - self.pos < len + 2 {
                return Ok(None);
            }
            self.ranges.push(self.pos..self.pos + len);
            self.pos += len + 2;
            self.bulk = None;
            self.missing -= 1;
        }
        Ok(Some(self.pos))
    }

    /// The arguments of the complete request in `input`.
    pub fn args<'a>(&'a self, input: &'a [u8]) -> Args<'a> {
        Args { bytes: self.inline.as_deref().unwrap_or(input), ranges: &self.ranges }
    }

    /// Forgets the request: the next one starts after it.
    pub fn next(&mut self) {
        self.pos = 0;
        self.missing = 0;
        self.bulk = None;
        self.ranges.clear();
        if self.ranges.capacity() > 1024 {
            self.ranges.shrink_to(1024);
        }
        self.inline = None;
    }

    /// How many bytes the request needs at least before it can be complete, from its start.
    pub fn wanted(&self) -> usize {
        self.pos + self.bulk.map_or(0, |len| len + 2)
    }

    /// How much memory the request that is being read takes beside its bytes.
    pub(crate) fn memory(&self) -> usize {
        self.ranges.capacity() * size_of::<Range<usize>>()
    }

    fn array_head(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        let Some(n) = self.length(input, "too big mbulk count string", "invalid multibulk length")? else {
            return Ok(None);
        };
        if n > i64::from(i32::MAX) {
            return error("invalid multibulk length");
        }
        if limits.unauthenticated && n > MAX_ARGS_UNAUTHENTICATED {
            return error("unauthenticated multibulk length");
        }
        Ok(Some(usize::try_from(n).unwrap_or(0)))
    }

    fn bulk_head(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        match input.get(self.pos) {
            None => return Ok(None),
            Some(b'$') => {}
            // Redis looks for the end of the line first.
            Some(&b) => match line_end(b'\r', &input[self.pos..], "too big bulk count string")? {
                None => return Ok(None),
                Some(_) => return Err(ProtocolError(format!("expected '$', got '{}'", char::from(b)))),
            },
        }
        let Some(n) = self.length(input, "too big bulk count string", "invalid bulk length")? else {
            return Ok(None);
        };
        if n > limits.max_bulk {
            return error("invalid bulk length");
        }
        if limits.unauthenticated && n > MAX_BULK_UNAUTHENTICATED {
            return error("unauthenticated bulk length");
        }
        match usize::try_from(n) {
            Ok(len) => Ok(Some(len)),
            Err(_) => error("invalid bulk length"),
        }
    }

    /// A line `?digits\r\n` at the current position.
    fn length(&mut self, input: &[u8], too_long: &str, invalid: &str) -> Result<Option<i64>, ProtocolError> {
        let line = &input[self.pos..];
        let short = &line[..line.len().min(24)];
        let end = match short.iter().position(|&b| b == b'\r') {
            Some(end) => end,
            None => match line_end(b'\r', line, too_long)? {
                Some(end) => end,
                None => return Ok(None),
            },
        };
        if end + 2 > line.len() {
            return Ok(None);
        }
        let Some(n) = parse_i64(&line[1..end]) else { return error(invalid) };
        self.pos += end + 2;
        Ok(Some(n))
    }

    fn inline(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let Some(end) = line_end(b'\n', input, "too big inline request")? else { return Ok(None) };
        let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
        let mut bytes = Vec::with_capacity(line.len());
        let Some(args) = split_quoted(line) else { return error("unbalanced quotes in request") };
        for arg in args {
            let start = bytes.len();
            bytes.extend_from_slice(&arg);
            self.ranges.push(start..bytes.len());
        }
        self.inline = Some(bytes);
        Ok(Some(end + 1))
    }
}

/// Where a line ends, if that has come. Whether it is too long does not depend on how much of it came at once.
fn line_end(mark: u8, line: &[u8], too_long: &str) -> Result<Option<usize>, ProtocolError> {
    let end = memchr::memchr(mark, &line[..line.len().min(MAX_LINE + 1)]);
    if end.is_none() && line.len() > MAX_LINE { error(too_long) } else { Ok(end) }
}

/// Splits a line into words as sds.c `sdssplitargs` does: words may be in double quotes (with `\n`, `\r`,
/// `\t`, `\b`, `\a`, `\xHH`) or in single quotes (with `\'`). `None` when quotes do not balance or a closing
/// quote is not followed by a blank.
pub(crate) fn split_quoted(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let blank = |b: u8| b.is_ascii_whitespace() || b == 0x0b || b == 0;
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        while let [b, tail @ ..] = rest
            && blank(*b)
        {
            rest = tail;
        }
        if rest.is_empty() {
            return Some(words);
        }
        let mut word = Vec::new();
        loop {
            match rest {
                [] => break,
                [b, ..] if blank(*b) => break,
                [b'"', tail @ ..] => rest = double_quoted(tail, &mut word)?,
                [b'\'', tail @ ..] => rest = single_quoted(tail, &mut word)?,
                [b, tail @ ..] => {
                    word.push(*b);
                    rest = tail;
                    continue;
                }
            }
            if matches!(rest, [b, ..] if !blank(*b)) {
                return None;
            }
            break;
        }
        words.push(word);
    }
}

/// Adds text in double quotes, with what is not printable as escapes (sds.c `sdscatrepr`).
pub(crate) fn quote(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &b in text {
        match b {
            b'\\' | b'"' => out.extend([b'\\', b]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0x07 => out.extend(b"\\a"),
            0x08 => out.extend(b"\\b"),
            b' '..=b'~' => out.push(b),
            _ => out.extend(format!("\\x{b:02x}").bytes()),
        }
    }
    out.push(b'"');
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    let hex = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    loop {
        match rest {
            [] => return None,
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', b'x', h, l, tail @ ..] if hex(*h).is_some() && hex(*l).is_some() => {
                word.push(hex(*h)? * 16 + hex(*l)?);
                rest = tail;
            }
            [b'\\', b, tail @ ..] => {
                word.push(match b {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = tail;
            }
            [b, tail @ ..] => {
                word.push(*b);
                rest = tail;
            }
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [] => return None,
            [b'\'', tail @ ..] => return Some(tail),
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                rest = tail;
            }
            [b, tail @ ..] => {
                word.push(*b);
                rest = tail;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_bulk: 512 * 1024 * 1024, unauthenticated: false };

    /// All requests of `stream`, given to the parser in pieces of `step` bytes.
    fn requests(stream: &[u8], step: usize, limits: &Limits) -> (Vec<Vec<String>>, Option<String>) {
        let mut parser = Parser::default();
        let (mut start, mut end, mut all) = (0, 0, Vec::new());
        loop {
            match parser.parse(&stream[start..end], limits) {
                Err(e) => return (all, Some(e.to_string())),
                Ok(Some(n)) => {
                    let args = parser.args(&stream[start..end]);
                    all.push(args.iter().map(|a| String::from_utf8_lossy(a).into_owned()).collect());
                    parser.next();
                    start += n;
                }
                Ok(None) if end == stream.len() => return (all, None),
                Ok(None) => end = (end + step).min(stream.len()),
            }
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_requests() {
        let stream = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING\r\n\r\n*0\r\n*-1\r\nset k \"a\\x41\\n\" 'b c'\n*1\r\n$0\r\n\r\n";
        let (want, error) = requests(stream, stream.len(), &LIMITS);
        assert_eq!(error, None);
        assert_eq!(want[0], ["GET", "a"]);
        assert_eq!(want[1], ["PING"]);
        assert!(want[2].is_empty() && want[3].is_empty() && want[4].is_empty());
        assert_eq!(want[5], ["set", "k", "aA\n", "b c"]);
        assert_eq!(want[6], [""]);
        for step in 1..stream.len() {
            assert_eq!(requests(stream, step, &LIMITS).0, want, "pieces of {step}");
        }
    }

    #[test]
    fn errors_as_redis_words_them() {
        for (stream, text) in [
            (&b"*a\r\n"[..], "invalid multibulk length"),
            (b"*3000000000\r\n", "invalid multibulk length"),
            (b"*1\r\n:1\r\n", "expected '$', got ':'"),
            (b"*1\r\n$-1\r\n", "invalid bulk length"),
            (b"*1\r\n$536870913\r\n", "invalid bulk length"),
            (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
            (b"get \"a\r\n", "unbalanced quotes in request"),
            (b"get \"a\"b\r\n", "unbalanced quotes in request"),
        ] {
            let (_, error) = requests(stream, stream.len(), &LIMITS);
            assert_eq!(error.as_deref(), Some(format!("Protocol error: {text}").as_str()));
        }
        let long = vec![b'a'; MAX_LINE + 1];
        assert!(requests(&long, 4096, &LIMITS).1.is_some_and(|e| e.contains("too big inline request")));
        let long = [b"*".as_slice(), &long].concat();
        assert!(requests(&long, 4096, &LIMITS).1.is_some_and(|e| e.contains("too big mbulk count string")));
        let header = [b"*1\r\n$".as_slice(), &long].concat();
        assert!(requests(&header, 4096, &LIMITS).1.is_some_and(|e| e.contains("too big bulk count string")));
    }

    #[test]
    fn a_line_that_is_too_long_is_so_also_when_it_comes_at_once() {
        for (head, longest) in [(&b""[..], MAX_LINE), (b"*", MAX_LINE - 1), (b"*1\r\nx", MAX_LINE - 1)] {
            for more in [0, 1] {
                let end: &[u8] = if head.is_empty() { b"\n" } else { b"\r\n" };
                let line = [head, &vec![b'1'; longest + more], end].concat();
                let whole = requests(&line, line.len(), &LIMITS);
                assert_eq!(requests(&line, 4096, &LIMITS), whole, "{head:?}");
                let too_big = whole.1.is_some_and(|e| e.contains("too big"));
                assert_eq!(too_big, more == 1, "{head:?} and {} bytes", longest + more);
            }
        }
    }

    #[test]
    fn a_stranger_may_announce_little() {
        let limits = Limits { unauthenticated: true, ..LIMITS };
        let error = |s: &[u8]| requests(s, s.len(), &limits).1.unwrap_or_default();
        assert!(error(b"*11\r\n").ends_with("unauthenticated multibulk length"));
        assert!(error(b"*1\r\n$16385\r\n").ends_with("unauthenticated bulk length"));
        assert_eq!(error(b"*10\r\n$16384\r\n"), "");
    }

    #[test]
    fn a_length_reserves_nothing() {
        let mut parser = Parser::default();
        assert_eq!(parser.parse(b"*1000000000\r\n$500000000\r\nabc", &LIMITS), Ok(None));
        assert!(parser.ranges.capacity() <= 1024);
        assert!(parser.wanted() > 500_000_000);
    }

    quickcheck::quickcheck! {
        fn any_bytes_are_read_or_refused(stream: Vec<u8>, step: u8) -> bool {
            requests(&stream, usize::from(step) + 1, &LIMITS);
            let arrays: Vec<u8> = [b"*2\r\n$3\r\n".as_slice(), &stream].concat();
            requests(&arrays, usize::from(step) + 1, &LIMITS);
            true
        }

        fn arrays_come_back_as_written(args: Vec<Vec<u8>>) -> bool {
            let mut stream = format!("*{}\r\n", args.len()).into_bytes();
            for a in &args {
                stream.extend(format!("${}\r\n", a.len()).bytes());
                stream.extend_from_slice(a);
                stream.extend(b"\r\n");
            }
            let mut parser = Parser::default();
            parser.parse(&stream, &LIMITS) == Ok(Some(stream.len()))
                && parser.args(&stream).iter().eq(args.iter().map(Vec::as_slice))
        }
    }
}
