//! A node that an operator talks to. Everything that goes wrong is said with the node's address, the request and the reply; no reply is
//! believed before it has the form that the request's reply has.

use std::fmt;
use std::io;
use std::time::Duration;

use slotproof_model::nodes_conf::{self, Loaded};
use slotproof_model::{NodeId, Slot, key_slot};

use crate::resp::{Connection, Value};

/// How nodes are reached.
#[derive(Clone)]
pub struct Access {
    /// The user of [`Self::password`]; the default user if there is none.
    pub user: Option<String>,
    /// Sent to each node first, and to MIGRATE's targets by MIGRATE.
    pub password: Option<String>,
    /// For connecting, and for one reply.
    pub patience: Duration,
}

impl Default for Access {
    fn default() -> Self {
        Self { user: None, password: None, patience: Duration::from_secs(60) }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = self.password.as_ref().map(|_| "...");
        let mut shown = f.debug_struct("Access");
        shown.field("user", &self.user).field("password", &password);
        shown.field("patience", &self.patience).finish()
    }
}

impl Access {
    /// The words that log in.
    fn login(&self) -> Option<Vec<&str>> {
        let password = self.password.as_deref()?;
        Some(["AUTH"].into_iter().chain(self.user.as_deref()).chain([password]).collect())
    }

    /// What MIGRATE needs to log in at its target.
    pub(super) fn for_migrate(&self) -> Vec<&[u8]> {
        match (&self.user, &self.password) {
            (Some(user), Some(password)) => vec![b"AUTH2", user.as_bytes(), password.as_bytes()],
            (None, Some(password)) => vec![b"AUTH", password.as_bytes()],
            _ => Vec::new(),
        }
    }
}

/// A node and the connection to it.
#[derive(Debug)]
pub struct Peer {
    /// Its address or name.
    pub host: String,
    /// Its port for clients.
    pub port: u16,
    /// Where other nodes find it: the address that it names as its own. The operator may have come by another one.
    pub known_as: Option<(String, u16)>,
    access: Access,
    /// None after a failure: what would be read next may be the reply to another request.
    connection: Option<Connection>,
}

impl Peer {
    /// Connects and logs in.
    ///
    /// # Errors
    /// When either fails.
    pub fn open(host: &str, port: u16, access: &Access) -> io::Result<Self> {
        let mut peer =
            Self { host: host.into(), port, known_as: None, access: access.clone(), connection: None };
        peer.connection()?;
        Ok(peer)
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The numeric address at the other end.
    ///
    /// # Errors
    /// When there is no connection any more.
    pub fn ip(&mut self) -> io::Result<String> {
        let peer = self.connection()?.peer();
        peer.map(|p| p.ip().to_string()).map_err(|e| self.wrong("its address", &e))
    }

    /// Numeric address and port by which other nodes find it.
    ///
    /// # Errors
    /// When it does not name one, and there is no connection any more.
    pub fn for_nodes(&mut self) -> io::Result<(String, u16)> {
        match &self.known_as {
            Some(known) => Ok(known.clone()),
            None => Ok((self.ip()?, self.port)),
        }
    }

    /// One request, one reply; an error reply is a value.
    ///
    /// # Errors
    /// When the connection fails or the reply is none.
    pub fn call<A: AsRef<[u8]>>(&mut self, words: &[A]) -> io::Result<Value> {
        let reply = self.connection()?.call(words);
        reply.map_err(|e| {
            self.connection = None;
            self.wrong(&shown(words), &patience(e))
        })
    }

    /// The same for a request that may take longer than others, by so much.
    pub(super) fn call_slow<A: AsRef<[u8]>>(&mut self, words: &[A], longer: Duration) -> io::Result<Value> {
        let patience = self.access.patience;
        self.connection()?.set_patience(patience.saturating_add(longer))?;
        let reply = self.call(words)?;
        self.connection()?.set_patience(patience)?;
        Ok(reply)
    }

    /// Two requests at once and their replies: for ASKING and what is asked.
    pub(super) fn call_asking<A: AsRef<[u8]>>(&mut self, words: &[A]) -> io::Result<Value> {
        let connection = self.connection()?;
        connection.push(&["ASKING"]);
        connection.push(words);
        let replies = connection.flush().and_then(|()| Ok((connection.read()?, connection.read()?)));
        match replies {
            Ok((_, reply)) => Ok(reply),
            Err(e) => {
                self.connection = None;
                Err(self.wrong(&shown(words), &patience(e)))
            }
        }
    }

    /// A request that is answered with OK.
    ///
    /// # Errors
    /// With every other answer.
    pub fn command<A: AsRef<[u8]>>(&mut self, words: &[A]) -> io::Result<()> {
        let reply = self.call(words)?;
        self.is_ok(words, &reply)
    }

    /// That this reply to this request is OK.
    ///
    /// # Errors
    /// The reply, if it is another one.
    pub(super) fn is_ok<A: AsRef<[u8]>>(&self, words: &[A], reply: &Value) -> io::Result<()> {
        match reply {
            Value::Status(s) if s == "OK" => Ok(()),
            other => Err(self.unexpected(words, other)),
        }
    }

    /// A request that is answered with a text.
    ///
    /// # Errors
    /// With every other answer.
    pub fn text<A: AsRef<[u8]>>(&mut self, words: &[A]) -> io::Result<String> {
        let reply = self.call(words)?;
        reply.text().ok_or_else(|| self.unexpected(words, &reply))
    }

    /// A request that is answered with a number of things.
    ///
    /// # Errors
    /// With every other answer.
    pub fn count<A: AsRef<[u8]>>(&mut self, words: &[A]) -> io::Result<usize> {
        let reply = self.call(words)?;
        match reply {
            Value::Int(n) if n >= 0 => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
            _ => Err(self.unexpected(words, &reply)),
        }
    }

    /// Its view of the cluster: CLUSTER NODES. An address that is empty there (a node that met nobody does not know its own) is left so.
    ///
    /// # Errors
    /// When that is not such a text.
    pub fn view(&mut self) -> io::Result<Loaded> {
        let words = ["CLUSTER", "NODES"];
        let text = self.text(&words)?;
        match nodes_conf::parse(text.as_bytes()) {
            Ok(Some(view)) => Ok(view),
            Ok(None) => Err(self.wrong("CLUSTER NODES", &"an empty answer")),
            Err(e) => Err(self.wrong("CLUSTER NODES", &e)),
        }
    }

    /// Its config epoch, and the newest epoch that it has heard of (CLUSTER INFO).
    ///
    /// # Errors
    /// When the reply has no such fields.
    pub(super) fn epochs(&mut self) -> io::Result<[u64; 2]> {
        let text = self.text(&["CLUSTER", "INFO"])?;
        let field = |name: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
            let value = line.and_then(|v| v.trim().parse().ok());
            value.ok_or_else(|| self.wrong("CLUSTER INFO", &format!("has no {name}")))
        };
        Ok([field("cluster_my_epoch")?, field("cluster_current_epoch")?])
    }

    /// How many keys of a slot it holds.
    ///
    /// # Errors
    /// As [`Self::count`].
    pub fn keys_in_slot(&mut self, slot: u16) -> io::Result<usize> {
        self.count(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()])
    }

    /// At most `most` keys of a slot.
    ///
    /// # Errors
    /// When the reply is no list of keys of that slot.
    pub(super) fn some_keys(&mut self, slot: u16, most: usize) -> io::Result<Vec<Vec<u8>>> {
        let words = ["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &most.to_string()];
        let reply = self.call(&words)?;
        let Value::Array(values) = reply else { return Err(self.unexpected(&words, &reply)) };
        let mut keys = Vec::with_capacity(values.len());
        for value in values {
            match value {
                Value::Bulk(key) if key_slot(&key) == Slot::new(slot) && keys.len() < most => keys.push(key),
                other => return Err(self.unexpected(&words, &other)),
            }
        }
        Ok(keys)
    }

    /// Sends CLUSTER SETSLOT; the reply.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn setslot(&mut self, slot: u16, verb: &str, node: Option<&NodeId>) -> io::Result<Value> {
        self.call(&setslot_words(slot, verb, node))
    }

    /// An error about a reply that has not the form it should have, or is an error.
    pub fn unexpected<A: AsRef<[u8]>>(&self, words: &[A], reply: &Value) -> io::Error {
        let said = match reply {
            Value::Error(e) => e.clone(),
            other => format!("an answer that makes no sense: {}", short(&format!("{other:?}"))),
        };
        self.wrong(&shown(words), &said)
    }

    /// An error with the node's address and what was asked.
    pub(super) fn wrong(&self, what: &str, problem: &dyn fmt::Display) -> io::Error {
        io::Error::other(format!("{}: {what}: {problem}", self.address()))
    }

    fn connection(&mut self) -> io::Result<&mut Connection> {
        if self.connection.is_none() {
            let (host, address) = (&self.host, self.address());
            let target = if host.contains(':') { format!("[{host}]:{}", self.port) } else { address.clone() };
            let mut connection = Connection::open(&target, self.access.patience)
                .map_err(|e| io::Error::new(e.kind(), format!("{address}: cannot connect: {e}")))?;
            if let Some(words) = self.access.login() {
                match connection.call(&words).map_err(|e| self.wrong("AUTH", &e))? {
                    Value::Status(s) if s == "OK" => {}
                    reply => return Err(self.unexpected(&["AUTH"], &reply)),
                }
            }
            self.connection = Some(connection);
        }
        self.connection.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))
    }
}

/// The words of CLUSTER SETSLOT.
pub(super) fn setslot_words(slot: u16, verb: &str, node: Option<&NodeId>) -> Vec<String> {
    let mut words = vec!["CLUSTER".into(), "SETSLOT".into(), slot.to_string(), verb.into()];
    words.extend(node.map(NodeId::to_string));
    words
}

/// The system says of a limit that was reached only that something would block.
fn patience(e: io::Error) -> io::Error {
    match e.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, "no reply in time")
        }
        io::ErrorKind::UnexpectedEof => io::Error::new(e.kind(), "the connection ended before the reply"),
        _ => e,
    }
}

/// A request, for an error text: never a password, and not every key of a MIGRATE.
fn shown<A: AsRef<[u8]>>(words: &[A]) -> String {
    let word = |w: &A| String::from_utf8_lossy(w.as_ref()).into_owned();
    let kept = match words.first().map(word).as_deref() {
        Some("AUTH") => 1,
        Some("MIGRATE") => 3,
        _ => 5,
    };
    let mut text = words.iter().take(kept).map(word).collect::<Vec<_>>().join(" ");
    if words.len() > kept {
        text.push_str(" ...");
    }
    short(&text)
}

/// A text cut where it is long, and without what a terminal would obey.
pub(super) fn short(text: &str) -> String {
    let mut cut: String = text.chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    cut
}
