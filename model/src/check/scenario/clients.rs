//! Clients, and what they do.

use serde::Deserialize;

use super::{MAX_CLIENTS, Scenario, ScenarioError};

/// Clients of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSpec {
    /// How many of this kind there are.
    #[serde(default = "one")]
    pub count: usize,
    /// What they do, at any moment: `write` and `delete`; both if not given.
    pub does: Option<Vec<Does>>,
    /// The keys that they work on; all if not given.
    pub keys: Option<Vec<String>>,
    /// The nodes that they ask first, right or wrong: their table of routes; all if not given.
    pub at: Option<Vec<String>>,
    /// The redirections that they follow: `ask` and `moved`; both if not given. To one who asks first at any node MOVED tells nothing new.
    pub follows: Option<Vec<Follows>>,
}

fn one() -> usize {
    1
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Does {
    /// It writes a key.
    Write,
    /// It deletes a key.
    Delete,
}

/// A redirection that a client follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Follows {
    /// ASK, for one request.
    Ask,
    /// MOVED.
    Moved,
}

/// A client, with what it may do as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) writes: bool,
    pub(crate) deletes: bool,
    pub(crate) keys: u8,
    pub(crate) at: u8,
    pub(crate) follows_ask: bool,
    /// It asks first at any node.
    pub(crate) anywhere: bool,
    /// Only where it matters: not for one who asks at any node.
    pub(crate) follows_moved: bool,
}

impl Scenario {
    /// Its clients, those of one kind next to each other.
    pub(crate) fn all_clients(&self) -> Result<Vec<Client>, ScenarioError> {
        let anything = ClientSpec { count: self.clients, does: None, keys: None, at: None, follows: None };
        let mut all: Vec<Client> = Vec::new();
        for spec in std::iter::once(&anything).chain(&self.client_kinds) {
            if all.len() + spec.count > MAX_CLIENTS {
                return Err(ScenarioError(format!("more than {MAX_CLIENTS} `client`s")));
            }
            let client = self.client(spec)?;
            // Next to those that are alike, if there are any.
            let at = all.iter().rposition(|c| *c == client).map_or(all.len(), |i| i + 1);
            all.splice(at..at, std::iter::repeat_n(client, spec.count));
        }
        Ok(all)
    }

    fn client(&self, spec: &ClientSpec) -> Result<Client, ScenarioError> {
        let everywhere = (1u8 << self.nodes.len()) - 1;
        let every_key = (1u8 << self.keys.len()) - 1;
        let keys = spec.keys.as_ref().map_or(Ok(every_key), |names| {
            names.iter().try_fold(0, |bits, name| Ok(bits | 1 << self.key_position(name)?))
        })?;
        let at = spec.at.as_ref().map_or(Ok(everywhere), |names| self.nodes_as_bits(names))?;
        let does = |what| spec.does.as_ref().is_none_or(|list| list.contains(&what));
        let follows = |what| spec.follows.as_ref().is_none_or(|list| list.contains(&what));
        Ok(Client {
            writes: does(Does::Write),
            deletes: does(Does::Delete),
            keys,
            at,
            follows_ask: follows(Follows::Ask),
            anywhere: at == everywhere,
            follows_moved: follows(Follows::Moved) && at != everywhere,
        })
    }

    fn key_position(&self, name: &str) -> Result<usize, ScenarioError> {
        self.keys.iter().position(|k| k.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.keys.iter().map(|k| k.name.as_str()).collect();
            ScenarioError(format!("no key {name:?}; there are {}", names.join(", ")))
        })
    }
}
