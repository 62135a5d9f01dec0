//! Bytes of a client.

use slotproof_node::resp::{Args, Limits, OwnedArgs, Parser, Reply};

use super::held;

/// A request, or the end of the stream.
#[derive(Debug, PartialEq, Eq)]
enum Event {
    Request(Vec<Vec<u8>>),
    Error(String),
    More,
}

/// The first two bytes say who the client is and how large a bulk string may be, the rest is what it sends.
///
/// - How the bytes are cut into reads changes nothing of what is read.
/// - What a parser holds is bounded by what has arrived, whatever was announced.
/// - A request that was read, written as an array, is read as the same.
///
/// # Panics
/// Where one of these does not hold.
pub fn requests(data: &[u8]) {
    let Some(([client, large], stream)) = data.split_first_chunk::<2>() else { return };
    let limits = Limits { max_bulk: 1 << (large % 40), unauthenticated: client & 1 == 1 };
    let whole = read(stream, stream.len().max(1), &limits);
    // Byte by byte where that is quick.
    let smallest = if stream.len() <= 512 { 1 } else { stream.len() / 128 };
    for step in [smallest, usize::from(client >> 1) + smallest] {
        assert_eq!(read(stream, step, &limits), whole, "in pieces of {step}");
    }
    for event in &whole {
        match event {
            Event::Request(args) if !args.is_empty() => there_and_back(args),
            Event::Error(text) => {
                assert!(text.starts_with("Protocol error: ") && text.len() < 100, "{text}");
            }
            Event::Request(_) | Event::More => {}
        }
    }
}

fn read(stream: &[u8], step: usize, limits: &Limits) -> Vec<Event> {
    let mut parser = Parser::default();
    let (mut start, mut end, mut events) = (0, 0, Vec::new());
    loop {
        let (parsed, more) = held(|| parser.parse(&stream[start..end], limits));
        assert!(more <= 40 * (end - start) + 4096, "{more} bytes for {}", end - start);
        match parsed {
            Err(e) => {
                events.push(Event::Error(e.to_string()));
                return events;
            }
            Ok(Some(len)) => {
                assert!(len > 0 && start + len <= end, "a request is what has been read");
                events.push(Event::Request(copies(parser.args(&stream[start..end]))));
                parser.next();
                start += len;
            }
            Ok(None) if end == stream.len() => {
                events.push(Event::More);
                return events;
            }
            Ok(None) => end = (end + step).min(stream.len()),
        }
    }
}

/// All arguments, by every way there is to them.
fn copies(args: Args<'_>) -> Vec<Vec<u8>> {
    let all: Vec<Vec<u8>> = args.iter().map(<[u8]>::to_vec).collect();
    assert_eq!((all.len(), all.is_empty()), (args.len(), args.is_empty()));
    assert!(args.get(all.len()).is_none() && args.from(all.len() + 1).is_empty());
    assert!(
        all.iter().enumerate().all(|(i, a)| args.get(i) == Some(a) && args.from(i).slice(0, 1).len() == 1)
    );
    let owned = args.to_owned();
    assert!(owned.args().iter().eq(args.iter()));
    all
}

fn there_and_back(args: &[Vec<u8>]) {
    let mut written = Reply::default();
    written.array(args.len());
    args.iter().for_each(|a| written.bulk(a));
    let written = written.into_bytes();
    let mut parser = Parser::default();
    let limits = Limits { max_bulk: i64::MAX, unauthenticated: false };
    assert_eq!(parser.parse(&written, &limits), Ok(Some(written.len())));
    assert!(parser.args(&written).iter().eq(OwnedArgs::new(args).args().iter()));
}
