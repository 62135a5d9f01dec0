//! What COMMAND DOCS says of a command beside its entry in a family's table: its arguments, and whether it is outdated
//! (server.c `addReplyCommandDocs`). The facts are those of redis 7.0, one line for each command in `arguments.txt`.
//!
//! A line begins with the full name. `!syscmd` marks a command that only servers send, `!deprecated^VERSION=COMMAND` one that is
//! outdated, and what to use instead. Then come the arguments, separated by blanks, each of these parts:
//!
//! - `?` if it may be left out, `*` if it may be repeated, `+` if its token is repeated with it;
//! - a letter for its type ([`Kind`]) and a dot;
//! - its name;
//! - `@N`: it is a key, the N-th range of COMMAND INFO;
//! - `=TOKEN`: the word that stands there, or before the value; `=""` for an empty one;
//! - `^VERSION`: since when it is there, `~VERSION`: since when it is outdated;
//! - in parentheses, the arguments that it consists of (`b.`), or of which one is given (`o.`).

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::resp::Reply;

/// The types of arguments: letter and name.
const KINDS: [(char, &str); 9] = [
    ('s', "string"),
    ('i', "integer"),
    ('d', "double"),
    ('k', "key"),
    ('p', "pattern"),
    ('u', "unix-time"),
    ('t', "pure-token"),
    ('o', "oneof"),
    ('b', "block"),
];

/// How deep arguments may be within each other.
const MAX_DEPTH: usize = 8;

/// What is told of one command.
#[derive(Debug, Default)]
pub(super) struct Docs {
    /// Only servers send it.
    pub(super) syscmd: bool,
    /// Since when it is outdated, and the command to use instead.
    pub(super) deprecated: Option<(&'static str, &'static str)>,
    /// Its arguments.
    pub(super) arguments: Vec<Argument>,
}

/// An argument.
#[derive(Debug, Default)]
pub(super) struct Argument {
    name: &'static str,
    kind: &'static str,
    key: Option<i64>,
    token: Option<&'static str>,
    since: Option<&'static str>,
    deprecated: Option<&'static str>,
    optional: bool,
    multiple: bool,
    multiple_token: bool,
    arguments: Vec<Self>,
}

/// What is told of each command, by full name.
static DOCS: LazyLock<HashMap<&'static str, Docs>> = LazyLock::new(|| {
    let lines = include_str!("arguments.txt").lines();
    // A test reads every line; one that could not be read would be left out.
    lines.filter_map(|line| read(line).ok()).collect()
});

/// What is told of the command with this full name.
pub(super) fn docs(full_name: &str) -> Option<&'static Docs> {
    DOCS.get(full_name)
}

impl Docs {
    /// The fields of COMMAND DOCS that there are.
    pub(super) fn fields(&self) -> usize {
        usize::from(self.syscmd || self.deprecated.is_some())
            + if self.deprecated.is_some() { 2 } else { 0 }
            + usize::from(!self.arguments.is_empty())
    }

    /// Writes all of them but the arguments, which come later.
    pub(super) fn reply_flags(&self, reply: &mut Reply) {
        if self.syscmd || self.deprecated.is_some() {
            reply.bulk("doc_flags");
            reply.set(usize::from(self.syscmd) + usize::from(self.deprecated.is_some()));
            if self.deprecated.is_some() {
                reply.status("deprecated");
            }
            if self.syscmd {
                reply.status("syscmd");
            }
        }
        if let Some((since, instead)) = self.deprecated {
            reply.bulk("deprecated_since");
            reply.bulk(since);
            reply.bulk("replaced_by");
            reply.bulk(format!("`{}`", instead.to_ascii_uppercase().replace('|', " ")));
        }
    }

    /// Writes the arguments.
    pub(super) fn reply_arguments(&self, reply: &mut Reply) {
        if !self.arguments.is_empty() {
            reply.bulk("arguments");
            reply_all(reply, &self.arguments);
        }
    }
}

fn reply_all(reply: &mut Reply, arguments: &[Argument]) {
    reply.array(arguments.len());
    for a in arguments {
        let flags =
            [(a.optional, "optional"), (a.multiple, "multiple"), (a.multiple_token, "multiple_token")];
        let flags: Vec<&str> = flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        let texts = [("token", a.token), ("since", a.since), ("deprecated_since", a.deprecated)];
        let fields = 2
            + usize::from(a.key.is_some())
            + texts.iter().filter(|(_, text)| text.is_some()).count()
            + usize::from(!flags.is_empty())
            + usize::from(!a.arguments.is_empty());
        reply.map(fields);
        reply.bulk("name");
        reply.bulk(a.name);
        reply.bulk("type");
        reply.bulk(a.kind);
        if let Some(key) = a.key {
            reply.bulk("key_spec_index");
            reply.int(key);
        }
        for (name, text) in texts {
            if let Some(text) = text {
                reply.bulk(name);
                reply.bulk(text);
            }
        }
        if !flags.is_empty() {
            reply.bulk("flags");
            reply.set(flags.len());
            flags.into_iter().for_each(|flag| reply.status(flag));
        }
        if !a.arguments.is_empty() {
            reply.bulk("arguments");
            reply_all(reply, &a.arguments);
        }
    }
}

/// Reads a line; an error is what could not be read.
fn read(line: &'static str) -> Result<(&'static str, Docs), &'static str> {
    let (name, mut rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut docs = Docs::default();
    while let Some(mark) = rest.strip_prefix('!') {
        let (mark, behind) = mark.split_once(' ').unwrap_or((mark, ""));
        match mark.strip_prefix("deprecated^").and_then(|of| of.split_once('=')) {
            Some(deprecated) => docs.deprecated = Some(deprecated),
            None if mark == "syscmd" => docs.syscmd = true,
            None => return Err(rest),
        }
        rest = behind;
    }
    (docs.arguments, rest) = read_all(rest, 0)?;
    if rest.is_empty() { Ok((name, docs)) } else { Err(rest) }
}

/// Reads arguments up to the end or a closing parenthesis; what is left follows.
fn read_all(mut rest: &'static str, depth: usize) -> Result<(Vec<Argument>, &'static str), &'static str> {
    let mut all = Vec::new();
    loop {
        rest = rest.trim_start_matches(' ');
        if rest.is_empty() || rest.starts_with(')') {
            return Ok((all, rest));
        }
        let (argument, behind) = read_one(rest, depth)?;
        all.push(argument);
        rest = behind;
    }
}

fn read_one(text: &'static str, depth: usize) -> Result<(Argument, &'static str), &'static str> {
    let (flags, rest) = text.split_at(text.find(|c| !"?*+".contains(c)).ok_or(text)?);
    let (letter, rest) = rest.split_once('.').ok_or(text)?;
    let kind = KINDS.iter().find(|(known, _)| letter.chars().eq([*known])).ok_or(text)?.1;
    let (name, mut rest) = part(rest);
    let mut argument = Argument {
        name,
        kind,
        optional: flags.contains('?'),
        multiple: flags.contains('*'),
        multiple_token: flags.contains('+'),
        ..Argument::default()
    };
    while let Some(sign) = rest.chars().next().filter(|c| "@=^~".contains(*c)) {
        let (value, behind) = part(&rest[1..]);
        match sign {
            '@' => argument.key = Some(value.parse().map_err(|_| text)?),
            '=' => argument.token = Some(if value == "\"\"" { "" } else { value }),
            '^' => argument.since = Some(value),
            _ => argument.deprecated = Some(value),
        }
        rest = behind;
    }
    if let Some(inner) = rest.strip_prefix('(') {
        if depth == MAX_DEPTH {
            return Err(text);
        }
        let (arguments, behind) = read_all(inner, depth + 1)?;
        argument.arguments = arguments;
        rest = behind.strip_prefix(')').ok_or(text)?;
    }
    Ok((argument, rest))
}

/// Text up to what ends a part. A token may be one of those signs itself.
fn part(text: &'static str) -> (&'static str, &'static str) {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let end = text[first..].find([' ', '@', '=', '^', '~', '(', ')']).map_or(text.len(), |at| first + at);
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::introspect::everything;

    #[test]
    fn every_line_is_of_a_command_and_can_be_read() {
        for line in include_str!("arguments.txt").lines() {
            let (name, _) = read(line).unwrap_or_else(|rest| panic!("{line}\ncan't be read from {rest:?}"));
            assert!(everything().any(|c| c.full_name == name), "no command {name}");
        }
        assert_eq!(DOCS.len(), include_str!("arguments.txt").lines().count(), "no line twice");
    }

    #[test]
    fn commands_with_more_than_their_name_have_arguments() {
        // 7.0 tells nothing of these.
        let untold = ["command|getkeys", "command|getkeysandflags", "debug", "replconf"];
        for command in everything().filter(|c| c.subs.is_empty() && !untold.contains(&c.full_name)) {
            let name_alone = 1 + i32::from(command.full_name.contains('|'));
            let told = docs(command.full_name).is_some_and(|d| !d.arguments.is_empty());
            assert!(told || command.spec.arity.abs() <= name_alone, "{}", command.full_name);
        }
    }

    #[test]
    fn a_line_has_all_parts() {
        let (name, docs) = read("x !deprecated^1.2=y z !syscmd".split(" z").next().unwrap()).unwrap();
        assert_eq!((name, docs.deprecated, docs.fields()), ("x", Some(("1.2", "y")), 3));
        let (_, docs) = read("x ?*+k.a/b:c@1=KEYS^3.0~4.0 o.c(t.d== t.e=\"\" b.f(i.g))").unwrap();
        let a = &docs.arguments[0];
        assert_eq!((a.name, a.kind, a.key, a.token), ("a/b:c", "key", Some(1), Some("KEYS")));
        assert_eq!((a.since, a.deprecated), (Some("3.0"), Some("4.0")));
        assert!(a.optional && a.multiple && a.multiple_token);
        let inner = &docs.arguments[1].arguments;
        assert_eq!((inner[0].token, inner[1].token), (Some("="), Some("")));
        assert_eq!(inner[2].arguments[0].kind, "integer");
        for wrong in ["x q.a", "x s", "x o.a(s.b", "x s.a)", "x !odd", "x k.a@b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let deep: &'static str = Box::leak(format!("x {}", "b.a(".repeat(100_000)).into_boxed_str());
        assert!(read(deep).is_err());
    }
}
