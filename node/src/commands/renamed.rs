//! `rename-command`: commands under other names, or under none.

use std::collections::HashMap;

use super::introspect::sorted;
use super::{Command, find};
use crate::resp::Args;

/// What was renamed. Names are kept in lower case.
#[derive(Debug, Default)]
pub struct Renamed(HashMap<Vec<u8>, Option<&'static Command>>);

impl Renamed {
    /// Gives a command another name; an empty one hides it.
    pub fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), &'static str> {
        let command = self.find(old).ok_or("No such command in rename-command")?;
        let taken = !new.is_empty() && self.find(new).is_some();
        self.0.insert(old.to_ascii_lowercase(), None);
        if taken {
            return Err("Target command name already exists");
        }
        if !new.is_empty() {
            self.0.insert(new.to_ascii_lowercase(), Some(command));
        }
        Ok(())
    }

    /// A command by the name that it has now, in any case.
    pub fn find(&self, name: &[u8]) -> Option<&'static Command> {
        if self.0.is_empty() {
            return find(name);
        }
        match self.0.get(&name.to_ascii_lowercase()) {
            Some(renamed) => *renamed,
            None => find(name),
        }
    }

    /// A command by the name that it has now; `container|subcommand` names a subcommand.
    pub(super) fn named(&self, name: &[u8]) -> Option<&'static Command> {
        match name.iter().position(|&b| b == b'|') {
            Some(bar) => self.find(&name[..bar])?.sub(&name[bar + 1..]),
            None => self.find(name),
        }
    }

    /// The command or subcommand that a request names.
    pub(super) fn lookup(&self, args: Args<'_>) -> Option<&'static Command> {
        let command = self.find(&args[0])?;
        match args.get(1) {
            Some(word) if !command.subs.is_empty() => command.sub(word),
            _ => Some(command),
        }
    }

    /// All commands that have a name, sorted by the names that they had.
    pub(super) fn sorted(&self) -> Vec<&'static Command> {
        let named = |c: &Command| {
            !self.0.contains_key(c.spec.name.as_bytes())
                || self.0.values().flatten().any(|new| new.id == c.id)
        };
        sorted().into_iter().filter(|c| named(c)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_one_name() {
        let mut renamed = Renamed::default();
        assert_eq!(renamed.rename(b"flushall", b"Wipe"), Ok(()));
        assert_eq!(renamed.rename(b"KEYS", b""), Ok(()));
        assert!(renamed.find(b"FLUSHALL").is_none() && renamed.find(b"keys").is_none());
        assert_eq!(renamed.find(b"WIPE").map(|c| c.full_name), Some("flushall"));
        assert!(renamed.find(b"get").is_some());
        assert_eq!(renamed.sorted().len(), sorted().len() - 1, "KEYS has no name");
        assert!(renamed.rename(b"config", b"cfg").is_ok());
        assert_eq!(renamed.named(b"CFG|GET").map(|c| c.full_name), Some("config|get"));
        assert!(renamed.named(b"config|get").is_none());
        assert!(renamed.rename(b"flushall", b"x").is_err());
        assert!(renamed.rename(b"get", b"set").is_err());
    }
}
