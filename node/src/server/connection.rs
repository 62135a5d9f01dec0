//! One client's connection: reads a batch, runs its commands, sends the replies with one write.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{Blocked, Client, Close, Server, Shared, Waiting};
use crate::commands::dispatch;
use crate::resp::{Limits, Parser};

/// A read takes at most this much of a small request stream, in bytes.
const READ_CHUNK: usize = 64 * 1024;
/// No more is read from, or run for, a client that leaves this much of its replies unread, in bytes.
const OUTPUT_LIMIT: usize = 4 * 1024 * 1024;
/// A client's memory for requests is given back above this, in bytes.
const KEPT_INPUT: usize = READ_CHUNK;

thread_local! {
    /// The buffer that idle connections read into: most have none of their own.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Serves a client until it or the server ends the connection.
pub(super) async fn serve(shared: Shared, stream: TcpStream, client: Rc<RefCell<Client>>) {
    let id = client.borrow().id;
    let mut connection = Connection {
        shared: Rc::clone(&shared),
        stream,
        client,
        input: Input::default(),
        parser: Parser::default(),
        postponed: None,
    };
    connection.run().await;
    let mut server = shared.borrow_mut();
    server.forget(&mut connection.client.borrow_mut());
    server.clients.remove(&id);
}

struct Connection {
    shared: Shared,
    stream: TcpStream,
    client: Rc<RefCell<Client>>,
    input: Input,
    parser: Parser,
    /// The length of a request that is read, and waits to be run.
    postponed: Option<usize>,
}

/// Bytes that are read and not executed yet: `data[start..end]`.
#[derive(Default)]
struct Input {
    data: Vec<u8>,
    start: usize,
    end: usize,
}

enum Event {
    Progress,
    Ended,
}

/// Whether a client that waited goes on: what it waited for has come, or its time is over.
fn unblock(server: &mut Server, client: &mut Client, blocked: Blocked) -> bool {
    let over = blocked.until_ms.is_some_and(|until| until <= server.now_ms);
    match blocked.why {
        Waiting::Pause if over || server.paused().is_none() => {}
        Waiting::Replicas(acknowledged) if over => client.reply.int(acknowledged),
        Waiting::Pause | Waiting::Replicas(_) => return false,
    }
    client.blocked = None;
    true
}

impl Connection {
    async fn run(&mut self) {
        let wake = Rc::clone(&self.client.borrow().wake);
        loop {
            let patience = self.execute();
            if self.client.borrow().backup.is_some() {
                // Others have their turn between two pieces.
                tokio::task::yield_now().await;
                self.shared.borrow_mut().go_on_with_backup(&mut self.client.borrow_mut());
            }
            let mut woken = pin!(wake.notified());
            let mut timer = pin!(tokio::time::sleep(patience.unwrap_or_default()));
            let event = poll_fn(|cx| {
                if woken.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Event::Progress);
                }
                if patience.is_some() && timer.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Event::Progress);
                }
                self.poll(cx)
            });
            if let Event::Ended = event.await {
                return;
            }
        }
    }

    /// Runs what has been read, while there is room for replies. For a client that waits it gives how long at most.
    fn execute(&mut self) -> Option<Duration> {
        if self.input.start == self.input.end && self.client.borrow().blocked.is_none() {
            return None;
        }
        let mut server = self.shared.borrow_mut();
        let mut client = self.client.borrow_mut();
        server.tick();
        self.input.tell(&mut client);
        let mut limits = Limits { max_bulk: server.limits.max_bulk, unauthenticated: false };
        loop {
            if client.close != Close::Open
                || client.backup.is_some()
                || server.stopping
                || client.reply.pending().len() >= OUTPUT_LIMIT
            {
                break;
            }
            if let Some(blocked) = client.blocked
                && !unblock(&mut server, &mut client, blocked)
            {
                break;
            }
            limits.unauthenticated = !client.authenticated;
            server.bound_output(&mut client);
            let bytes = &self.input.data[self.input.start..self.input.end];
            let complete = match self.postponed.take() {
                Some(len) => Ok(Some(len)),
                None => self.parser.parse(bytes, &limits),
            };
            match complete {
                Ok(None) => break,
                Ok(Some(len)) => {
                    let args = self.parser.args(bytes);
                    if !args.is_empty() && !dispatch(&mut server, &mut client, args) {
                        self.postponed = Some(len);
                        continue;
                    }
                    self.parser.next();
                    self.input.start += len;
                }
                Err(e) => {
                    client.reply.error(e.to_string());
                    client.close = Close::AfterReply;
                }
            }
        }
        client.active_ms = server.now_ms;
        self.input.settle();
        self.input.tell(&mut client);
        let second = server.now_ms / 1000;
        server.stats.waiting.input(client.queued_input, second);
        if client.queued_input + self.parser.memory() > server.limits.query_buffer {
            let line = format!(
                "Closing client that reached max query buffer length: {}",
                client.describe(server.now_ms)
            );
            server.log.warning(&line);
            server.stats.query_limit_disconnections += 1;
            client.close = Close::Now;
        }
        server.check_output(&mut client);
        let until = client.blocked?.until_ms?;
        Some(Duration::from_millis(u64::try_from(until - server.now_ms).unwrap_or(0)))
    }

    /// Sends and reads as far as it goes without waiting.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let mut client = self.client.borrow_mut();
        if client.close == Close::Now {
            return Poll::Ready(Event::Ended);
        }
        let was_full = client.reply.pending().len() >= OUTPUT_LIMIT;
        let mut sent = 0;
        while !client.reply.pending().is_empty() {
            match Pin::new(&mut self.stream).poll_write(cx, client.reply.pending()) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    client.reply.advance(n);
                    sent += n;
                }
                Poll::Ready(_) => return Poll::Ready(Event::Ended),
                Poll::Pending => break,
            }
        }
        let unsent = client.reply.pending().len();
        let next_piece = sent > 0 && unsent == 0 && client.backup.is_some();
        if sent > 0 {
            let mut server = self.shared.borrow_mut();
            if let Some(backup) = &mut client.backup {
                backup.taken(unsent, server.now_ms);
                server.stats.dump_bytes += sent as u64;
            }
            // Whoever reads a long reply is not idle.
            client.active_ms = server.now_ms;
            server.stats.output_bytes += sent as u64;
            server.stats.writes += 1;
        }
        if client.close == Close::AfterReply {
            return if unsent == 0 { Poll::Ready(Event::Ended) } else { Poll::Pending };
        }
        if was_full && unsent < OUTPUT_LIMIT || next_piece {
            // What waited for room can run.
            return Poll::Ready(Event::Progress);
        }
        if unsent >= OUTPUT_LIMIT {
            return Poll::Pending;
        }
        drop(client);
        self.input.make_room();
        let mut buf = ReadBuf::new(&mut self.input.data[self.input.end..]);
        let polled = Pin::new(&mut self.stream).poll_read(cx, &mut buf);
        let n = buf.filled().len();
        match polled {
            Poll::Ready(Ok(())) if n > 0 => {
                self.input.end += n;
                let stats = &mut self.shared.borrow_mut().stats;
                stats.input_bytes += n as u64;
                stats.reads += 1;
                Poll::Ready(Event::Progress)
            }
            Poll::Ready(_) => Poll::Ready(Event::Ended),
            Poll::Pending => {
                self.input.give_back();
                self.input.tell(&mut self.client.borrow_mut());
                Poll::Pending
            }
        }
    }
}

impl Input {
    /// Room to read into, a whole chunk at least: the shared buffer if there is little here, more of its own if that is full.
    fn make_room(&mut self) {
        if self.data.len() < READ_CHUNK {
            let mut room = SPARE.take();
            room.resize(READ_CHUNK, 0);
            let kept = self.end - self.start;
            room[..kept].copy_from_slice(&self.data[self.start..self.end]);
            *self = Self { data: room, start: 0, end: kept };
        }
        if self.end == self.data.len() {
            self.move_to_front();
        }
        if self.end == self.data.len() {
            // Twice what has really arrived, whatever was announced.
            self.data.resize(self.data.len() * 2, 0);
        }
    }

    /// The client's memory is counted and shown.
    fn tell(&self, client: &mut Client) {
        client.queued_input = self.end - self.start;
        client.input_room = self.data.len() - client.queued_input;
    }

    fn move_to_front(&mut self) {
        self.data.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }

    /// After commands have run: forget them. A buffer that has grown for one of them shrinks when what is left does not need it.
    fn settle(&mut self) {
        let kept = self.end - self.start;
        if kept == 0 {
            (self.start, self.end) = (0, 0);
        }
        if self.data.len() > KEPT_INPUT && kept <= KEPT_INPUT / 2 {
            self.move_to_front();
            self.data.truncate(KEPT_INPUT);
            self.data.shrink_to_fit();
        }
    }

    /// Nothing came: somebody else may use the buffer. What little is there of a request is kept aside, since its rest may never
    /// come.
    fn give_back(&mut self) {
        let kept = self.end - self.start;
        if self.data.len() < READ_CHUNK || kept > self.data.len() / 8 {
            return;
        }
        let own = self.data[self.start..self.end].to_vec();
        let given = std::mem::replace(self, Self { data: own, start: 0, end: kept }).data;
        if given.len() == READ_CHUNK {
            SPARE.set(given);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Input {
        /// Bytes arrive as far as there is room; how many of them do.
        fn arrive(&mut self, bytes: usize) -> usize {
            self.make_room();
            let n = bytes.min(self.data.len() - self.end);
            self.data[self.end..][..n].fill(b'x');
            self.end += n;
            n
        }

        fn run(&mut self, bytes: usize) {
            self.start += bytes;
            self.settle();
        }
    }

    #[test]
    fn a_request_that_came_split_leaves_no_small_buffer() {
        let mut input = Input::default();
        for kept in [3, 1000, READ_CHUNK / 8] {
            assert_eq!(input.arrive(kept), kept);
            input.give_back();
            assert_eq!((input.data.len(), input.end - input.start), (kept, kept), "set aside");
            // Its rest, and what comes behind: never quite whole.
            for _ in 0..5 {
                let n = input.arrive(READ_CHUNK - kept);
                assert_eq!(n, READ_CHUNK - kept, "a whole chunk at once");
                input.run(n);
            }
            input.run(kept);
            input.give_back();
            assert_eq!(input.data.capacity(), 0);
        }
    }

    #[test]
    fn a_grown_buffer_shrinks_while_more_comes() {
        let mut input = Input::default();
        let mut arrived = 0;
        while arrived < 1_000_000 {
            arrived += input.arrive(1_000_000 - arrived);
        }
        assert_eq!(input.data.len(), 16 * READ_CHUNK);
        input.settle();
        assert_eq!(input.data.len(), 16 * READ_CHUNK, "it is needed");
        input.run(arrived - 10);
        assert_eq!((input.data.len(), input.start, input.end), (READ_CHUNK, 0, 10));
        assert!(input.data.capacity() < 2 * READ_CHUNK);
        // Nothing is left of it, nor of what never grew so far.
        input.run(10);
        input.give_back();
        assert_eq!(input.data.capacity(), 0);
        assert_eq!(input.arrive(READ_CHUNK / 2), READ_CHUNK / 2);
        input.give_back();
        assert_eq!(input.data.len(), READ_CHUNK, "too much to be set aside");
        input.run(READ_CHUNK / 2);
        input.give_back();
        assert_eq!(input.data.capacity(), 0);
    }
}
