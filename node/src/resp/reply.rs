//! Replies: the writer of RESP2 and RESP3 (networking.c `addReply*`).

/// The version of the protocol that a client chose with HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Protocol {
    /// The first one; every client starts in it.
    #[default]
    Resp2,
    /// Since Redis 6, after `HELLO 3`.
    Resp3,
}

/// A client's output buffer, and how to write replies to it.
///
/// What has been written stays until it is sent: `sent` bytes at the front have left already.
#[derive(Debug)]
pub struct Reply {
    buf: Vec<u8>,
    sent: usize,
    /// Once more than this waits to be sent, nothing is added any more.
    limit: usize,
    /// Something was not added.
    cut: bool,
    /// The code of the last error that was written (`ERR`, `WRONGTYPE`, ...), until somebody takes it.
    failure: Option<Box<str>>,
    /// How maps, sets, nulls, doubles and verbatim strings are written.
    pub protocol: Protocol,
}

impl Default for Reply {
    fn default() -> Self {
        Self::new(Protocol::default())
    }
}

impl Reply {
    /// An empty one, without a limit.
    pub fn new(protocol: Protocol) -> Self {
        Self { buf: Vec::new(), sent: 0, limit: usize::MAX, cut: false, failure: None, protocol }
    }

    /// Bounds what waits to be sent to this many bytes and one piece of a reply: what comes after is lost, and so is the
    /// connection (see [`Reply::is_cut`]).
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether something was lost because of the limit.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// What waits to be sent.
    pub fn pending(&self) -> &[u8] {
        &self.buf[self.sent..]
    }

    /// Notes that `n` bytes have left.
    pub fn advance(&mut self, n: usize) {
        self.sent += n;
        if self.sent >= self.buf.len() {
            self.buf.clear();
            self.sent = 0;
            if self.buf.capacity() > KEPT_CAPACITY {
                self.buf.shrink_to(KEPT_CAPACITY);
            }
        } else if self.sent > KEPT_CAPACITY {
            self.buf.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// What waits to be sent, on its own.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.buf.drain(..self.sent);
        self.buf
    }

    /// The memory that the buffer takes, in bytes.
    pub fn capacity(&self) -> usize {
        self.buf.capacity()
    }

    /// The code of the last error that was written since this was asked.
    pub fn take_failure(&mut self) -> Option<Box<str>> {
        self.failure.take()
    }

    /// A mark to return to with [`Reply::truncate`].
    pub fn mark(&self) -> usize {
        self.buf.len()
    }

    /// Takes back what was written since `mark` was taken.
    pub fn truncate(&mut self, mark: usize) {
        self.buf.truncate(mark);
        self.cut &= self.buf.len() - self.sent > self.limit;
    }

    /// What has been written since `mark`.
    pub fn since(&self, mark: usize) -> &[u8] {
        &self.buf[mark.min(self.buf.len())..]
    }

    /// A status line of bytes, which hold no line end.
    pub fn status_bytes(&mut self, line: &[u8]) {
        self.line(b'+', line);
    }

    /// Bytes that are a reply already.
    pub fn raw(&mut self, bytes: &[u8]) {
        if self.has_room() {
            self.buf.extend_from_slice(bytes);
        }
    }

    fn has_room(&mut self) -> bool {
        let room = self.buf.len() - self.sent <= self.limit;
        self.cut |= !room;
        room
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// A status line.
    pub fn status(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error line. `text` starts with its code (`WRONGTYPE ...`) after a `-`, or gets `ERR ` in front
    /// as in Redis. Line ends in it become blanks: it may quote what a client sent.
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        if !text.starts_with(b"-") {
            self.raw(b"-ERR ");
        }
        let code = text
            .strip_prefix(b"-")
            .map_or(&b"ERR"[..], |rest| rest.split(|b| b.is_ascii_whitespace()).next().unwrap_or(rest));
        self.failure = Some(String::from_utf8_lossy(code).into());
        if self.has_room() {
            self.buf.extend(text.iter().map(|&b| if b == b'\r' || b == b'\n' { b' ' } else { b }));
        }
        self.raw(b"\r\n");
    }

    /// An integer.
    pub fn int(&mut self, n: i64) {
        self.header(b':', n);
    }

    /// The length of something as an integer.
    pub fn len(&mut self, n: usize) {
        self.int(i64::try_from(n).unwrap_or(i64::MAX));
    }

    /// A bulk string.
    pub fn bulk(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        if self.has_room() {
            self.buf.reserve(bytes.len() + 32);
            self.add_line(b'$', itoa::Buffer::new().format(bytes.len()).as_bytes());
            self.buf.extend_from_slice(bytes);
            self.buf.extend_from_slice(b"\r\n");
        }
    }

    /// A bulk string that is a number.
    pub fn bulk_int(&mut self, n: i64) {
        self.bulk(itoa::Buffer::new().format(n));
    }

    /// No value.
    pub fn null(&mut self) {
        match self.protocol {
            Protocol::Resp2 => self.raw(b"$-1\r\n"),
            Protocol::Resp3 => self.raw(b"_\r\n"),
        }
    }

    /// No array (EXEC of a transaction that was not run).
    pub fn null_array(&mut self) {
        match self.protocol {
            Protocol::Resp2 => self.raw(b"*-1\r\n"),
            Protocol::Resp3 => self.raw(b"_\r\n"),
        }
    }

    /// The head of an array of `n` elements.
    pub fn array(&mut self, n: usize) {
        self.header(b'*', n as i64);
    }

    /// The head of a map of `n` pairs; in RESP2 an array of twice as many.
    pub fn map(&mut self, n: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', 2 * n as i64),
            Protocol::Resp3 => self.header(b'%', n as i64),
        }
    }

    /// The head of a set of `n` elements; in RESP2 an array.
    pub fn set(&mut self, n: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', n as i64),
            Protocol::Resp3 => self.header(b'~', n as i64),
        }
    }

    /// The head of a push message of `n` elements; in RESP2 an array.
    pub fn push(&mut self, n: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', n as i64),
            Protocol::Resp3 => self.header(b'>', n as i64),
        }
    }

    /// A truth value; in RESP2 1 or 0.
    pub fn boolean(&mut self, value: bool) {
        match (self.protocol, value) {
            (Protocol::Resp2, _) => self.int(i64::from(value)),
            (Protocol::Resp3, true) => self.raw(b"#t\r\n"),
            (Protocol::Resp3, false) => self.raw(b"#f\r\n"),
        }
    }

    /// A floating point number; in RESP2 a bulk string.
    pub fn double(&mut self, value: f64) {
        let text = super::double_text(value);
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.line(b',', text.as_bytes());
            }
        }
    }

    /// Text meant for a person, of the format `txt`; in RESP2 a bulk string.
    pub fn verbatim(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.header(b'=', text.len() as i64 + 4);
                self.raw(b"txt:");
                self.raw(text);
                self.raw(b"\r\n");
            }
        }
    }

    fn header(&mut self, kind: u8, n: i64) {
        self.line(kind, itoa::Buffer::new().format(n).as_bytes());
    }

    /// A line that begins with the letter of its kind, if there is room.
    fn line(&mut self, kind: u8, text: &[u8]) {
        if self.has_room() {
            self.add_line(kind, text);
        }
    }

    fn add_line(&mut self, kind: u8, text: &[u8]) {
        self.buf.push(kind);
        self.buf.extend_from_slice(text);
        self.buf.extend_from_slice(b"\r\n");
    }
}

/// A larger buffer is given back once it has been sent.
const KEPT_CAPACITY: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, f: impl FnOnce(&mut Reply)) -> String {
        let mut reply = Reply { protocol, ..Reply::default() };
        f(&mut reply);
        String::from_utf8_lossy(reply.pending()).into_owned()
    }

    #[test]
    fn resp3_types_fall_back_in_resp2() {
        let all = |r: &mut Reply| {
            r.map(1);
            r.set(1);
            r.null();
            r.boolean(true);
            r.double(1.5);
            r.verbatim("a");
        };
        assert_eq!(written(Protocol::Resp2, all), "*2\r\n*1\r\n$-1\r\n:1\r\n$3\r\n1.5\r\n$1\r\na\r\n");
        assert_eq!(written(Protocol::Resp3, all), "%1\r\n~1\r\n_\r\n#t\r\n,1.5\r\n=5\r\ntxt:a\r\n");
    }

    #[test]
    fn an_error_is_one_line() {
        assert_eq!(written(Protocol::Resp2, |r| r.error("a\r\nb")), "-ERR a  b\r\n");
        assert_eq!(written(Protocol::Resp2, |r| r.error("-MOVED 1 h:1")), "-MOVED 1 h:1\r\n");
    }

    #[test]
    fn beyond_the_limit_nothing_is_kept() {
        let mut reply = Reply::default();
        reply.set_limit(10);
        reply.status("12345");
        let mark = reply.mark();
        reply.status("9");
        assert!(!reply.is_cut());
        reply.error("x");
        reply.double(0.5);
        reply.bulk(vec![b'x'; 1000]);
        assert!(reply.is_cut());
        assert_eq!(reply.pending(), b"+12345\r\n+9\r\n");
        reply.truncate(mark);
        assert!(!reply.is_cut(), "what nobody wants is not missed");
    }

    #[test]
    fn what_was_sent_is_forgotten() {
        let mut reply = Reply::default();
        reply.status("abc");
        reply.advance(2);
        assert_eq!(reply.pending(), b"bc\r\n");
        reply.advance(4);
        assert!(reply.pending().is_empty());
        assert_eq!(reply.mark(), 0);
    }
}
