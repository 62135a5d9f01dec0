//! The operator against nodes that are scripts, for what real nodes do only by chance.

mod support;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use slotproof::reshard::{Access, Move, Operator, Peer, Step};
use slotproof_model::NodeId;
use support::{done, refused, says};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Requests in the order in which they came to any node, each with the node's letter in front.
type Heard = Arc<Mutex<Vec<String>>>;

fn request(stream: &mut BufReader<TcpStream>) -> io::Result<Vec<String>> {
    let mut line = String::new();
    let mut number = |stream: &mut BufReader<TcpStream>| -> io::Result<usize> {
        line.clear();
        stream.read_line(&mut line)?;
        line.trim_end().get(1..).and_then(|n| n.parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
    };
    let words = number(stream)?;
    let mut all = Vec::new();
    for _ in 0..words {
        let mut word = vec![0; number(stream)? + 2];
        stream.read_exact(&mut word)?;
        word.truncate(word.len() - 2);
        all.push(String::from_utf8_lossy(&word).into_owned());
    }
    Ok(all)
}

/// A server that answers as it is told, one connection after the other on threads of their own, until the test's process ends.
fn scripted(
    listener: TcpListener,
    letter: char,
    heard: &Heard,
    answer: impl Fn(&str, &Heard) -> String + Send + Sync + 'static,
) {
    let (heard, answer) = (heard.clone(), Arc::new(answer));
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            let (heard, answer) = (heard.clone(), answer.clone());
            std::thread::spawn(move || -> io::Result<()> {
                let mut stream = BufReader::new(stream);
                loop {
                    let line = request(&mut stream)?.join(" ");
                    heard.lock().expect("unpoisoned").push(format!("{letter} {line}"));
                    stream.get_mut().write_all(answer(&line, &heard).as_bytes())?;
                }
            });
        }
    });
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn times(heard: &Heard, line: &str) -> usize {
    heard.lock().expect("unpoisoned").iter().filter(|l| *l == line).count()
}

fn epochs(mine: u64, current: u64) -> String {
    bulk(&format!("cluster_current_epoch:{current}\r\ncluster_my_epoch:{mine}\r\n"))
}

#[test]
fn the_target_owns_the_slot_only_after_it_heard_of_the_sources_epoch() -> io::Result<()> {
    let heard = Heard::default();
    let mut masters = BTreeMap::new();
    let id = |text: &str| text.parse::<NodeId>().map_err(io::Error::other);
    for (letter, name) in [('A', A), ('B', B)] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        scripted(listener, letter, &heard, move |line, heard| match line {
            "CLUSTER INFO" if letter == 'A' => epochs(7, 7),
            // It hears of it at the third time.
            "CLUSTER INFO" if times(heard, "B CLUSTER INFO") < 3 => epochs(6, 6),
            "CLUSTER INFO" => epochs(6, 7),
            line if line.starts_with("CLUSTER GETKEYSINSLOT") => "*0\r\n".into(),
            _ => "+OK\r\n".into(),
        });
        masters.insert(id(name)?, Peer::open("127.0.0.1", port, &Access::default())?);
    }
    let mut operator = Operator::of(masters, &Access::default());
    let it = Move { slot: 5, from: id(A)?, to: id(B)? };
    let mut steps = Vec::new();
    let mut told = |_: &Move, step| {
        steps.push(step);
        ControlFlow::Continue(())
    };
    assert!(operator.move_slot(&it, &mut 0, &mut told)?.is_continue());
    assert_eq!(
        steps,
        [Step::Importing, Step::Migrating, Step::NodeAtTarget, Step::NodeAtSource, Step::NodeAtOthers]
    );
    let heard = heard.lock().expect("unpoisoned");
    let place = |line: &str| heard.iter().rposition(|l| l == line).expect("it was asked");
    let node = place(&format!("B CLUSTER SETSLOT 5 NODE {B}"));
    assert!(node > place("B CLUSTER INFO"), "{heard:#?}");
    assert!(node < place(&format!("A CLUSTER SETSLOT 5 NODE {B}")), "{heard:#?}");
    Ok(())
}

#[test]
fn a_view_that_gossip_does_not_heal_is_made_equal() -> io::Result<()> {
    let heard = Heard::default();
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let ports = [listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()];
    let entry = format!("127.0.0.1:{}", ports[1]);
    let told = format!("CLUSTER SETSLOT 42 NODE {A}");
    for (n, listener) in listeners.into_iter().enumerate() {
        let (letter, told) = (['A', 'B'][n], format!("B {told}"));
        scripted(listener, letter, &heard, move |line, heard| match line {
            "CLUSTER NODES" => {
                let flags = |i| if i == n { "myself,master" } else { "master" };
                let node = |i: usize, id, slots| {
                    format!("{id} 127.0.0.1:{}@1 {} - 0 0 {i} connected {slots}\n", ports[i], flags(i))
                };
                let right = n == 0 || times(heard, &told) > 0;
                let slots = if right { "0-9999" } else { "0-41 43-9999" };
                bulk(&(node(0, A, slots) + &node(1, B, "10000-16383")))
            }
            "CLUSTER INFO" => bulk("cluster_state:ok\r\n"),
            "DBSIZE" => ":0\r\n".into(),
            line if line.starts_with("CLUSTER COUNTKEYSINSLOT") => ":0\r\n".into(),
            line if line.starts_with("CLUSTER SETSLOT 42 NODE") => "+OK\r\n".into(),
            _ => "-ERR not in the script\r\n".into(),
        });
    }
    let out = refused(&["check", &entry], "is not in order");
    let (a, b) = (format!("127.0.0.1:{}", ports[0]), format!("127.0.0.1:{}", ports[1]));
    says(&out, &[&format!("    {b} does not see that {a} owns [42].")]);
    says(&done(&["fix", &entry])?, &[&format!(">>> Telling {b} that {a} owns slot 42")]);
    assert_eq!(times(&heard, &format!("B {told}")), 1);
    assert_eq!(times(&heard, &format!("A {told}")), 0, "the owner knows");
    done(&["check", &entry])?;
    Ok(())
}
