//! A gate in front of a node's bus: while it is held, what others send to the node on their connections, and what it answers there, waits.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

#[derive(Default)]
struct State {
    held: Mutex<bool>,
    changed: Condvar,
}

/// The gate.
pub(crate) struct Gate {
    /// Where others reach the node through it.
    pub(crate) port: u16,
    state: Arc<State>,
}

impl Gate {
    /// In front of a port of this machine.
    pub(crate) fn before(bus: u16) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        // Ends with the test's process; each copy ends with its connection.
        std::thread::spawn(move || {
            for near in listener.incoming().filter_map(Result::ok) {
                let Ok(far) = TcpStream::connect(("127.0.0.1", bus)) else { continue };
                let ways = [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))];
                for (from, to) in ways {
                    let (Ok(from), Ok(to)) = (from, to) else { continue };
                    let state = Arc::clone(&shared);
                    std::thread::spawn(move || copy(&state, from, to));
                }
            }
        });
        Ok(Self { port, state })
    }

    /// Nothing passes from now on, or all that waited does.
    pub(crate) fn hold(&self, held: bool) {
        *self.state.held.lock().expect("no copy panics") = held;
        self.state.changed.notify_all();
    }
}

fn copy(state: &State, mut from: TcpStream, mut to: TcpStream) {
    let mut buf = [0; 16 << 10];
    while let Ok(n @ 1..) = from.read(&mut buf) {
        let held = state.held.lock().expect("nobody panics");
        // Kept while it is written, so that nothing passes once it is held.
        let _open = state.changed.wait_while(held, |held| *held).expect("nobody panics");
        if to.write_all(&buf[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
