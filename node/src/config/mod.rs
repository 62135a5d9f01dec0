//! The configuration: redis.conf and command-line options, CONFIG GET and SET.

mod directives;
mod file;
mod rewrite;
mod user;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use crate::keyspace::{Notices, glob_match};
use crate::resp::{parse_f64, parse_i64};

pub use directives::{DIRECTIVES, Directive, HIDDEN, Kind, find};
pub use file::{Invocation, StartError, parse_invocation};
pub use rewrite::rewrite;
pub use user::DefaultUser;

/// The value of every directive.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Only what was set.
    values: BTreeMap<&'static str, Vec<u8>>,
    /// The absolute path of the configuration file, if there is one.
    pub file: Option<std::path::PathBuf>,
    /// What `rename-command` says: old names and new ones.
    pub renames: Vec<(Vec<u8>, Vec<u8>)>,
    /// What a `user` line says. It counts instead of `requirepass`, wherever that stands, until CONFIG SET changes its value.
    pub user: Option<DefaultUser>,
}

/// A value that a directive cannot have. The text is Redis's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadValue(pub Cow<'static, str>);

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadValue {}

impl Config {
    /// The value of a directive. A name that is no directive has none.
    pub fn bytes(&self, name: &str) -> &[u8] {
        match self.values.get(name) {
            Some(value) => value,
            None => find(name.as_bytes()).map_or(b"", |d| d.default.as_bytes()),
        }
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes(name))
    }

    /// The value of a numeric directive (in bytes, for memory); 0 for any other.
    pub fn int(&self, name: &str) -> i64 {
        parse_i64(self.bytes(name)).unwrap_or(0)
    }

    /// Whether a directive says yes.
    pub fn yes(&self, name: &str) -> bool {
        self.bytes(name) == b"yes"
    }

    /// A copy of it is how several changes are made all or none.
    pub fn set(&mut self, directive: &'static Directive, words: &[&[u8]]) -> Result<(), BadValue> {
        let value = match (directive.kind, words) {
            (Kind::List, words) => list(directive.name, self.bytes(directive.name), words)?,
            (Kind::Words(known), words) => {
                let both = several(known, words)?;
                let has = |word: &[u8]| both.split(|&b| b == b' ').any(|w| w == word);
                if has(b"save") && has(b"nosave") {
                    return Err(BadValue(
                        "shutdown options SAVE and NOSAVE can't be used simultaneously".into(),
                    ));
                }
                both
            }
            (kind, [word]) => single(directive.name, kind, word)?,
            _ => return Err(BadValue("wrong number of arguments".into())),
        };
        self.values.insert(directive.name, value);
        Ok(())
    }

    /// The directives whose names match a pattern, with their values, each name once.
    pub fn matching(&self, patterns: &[&[u8]]) -> Vec<(&'static str, Cow<'_, [u8]>)> {
        let mut found: Vec<_> = DIRECTIVES
            .iter()
            .flat_map(|d| [(d.name, d), (d.alias, d)])
            .filter(|(name, _)| !name.is_empty())
            .filter(|(name, _)| {
                !HIDDEN.contains(name) || patterns.iter().any(|p| p.eq_ignore_ascii_case(name.as_bytes()))
            })
            .filter(|(name, _)| patterns.iter().any(|p| glob_match(&p.to_ascii_lowercase(), name.as_bytes())))
            .map(|(name, d)| (name, self.shown(d.name)))
            .collect();
        found.sort_unstable_by_key(|(name, _)| *name);
        found
    }

    /// The value of a directive as CONFIG GET shows it.
    fn shown(&self, name: &str) -> Cow<'_, [u8]> {
        let value = self.bytes(name);
        match name {
            "notify-keyspace-events" => Notices::parse(value).unwrap_or_default().letters().into(),
            _ => value.into(),
        }
    }

    /// Whether clients have to log in.
    pub fn has_password(&self) -> bool {
        match &self.user {
            Some(user) => user.has_password(),
            None => !self.bytes("requirepass").is_empty(),
        }
    }

    /// Whether they log in with this.
    pub fn is_password(&self, given: &[u8]) -> bool {
        match &self.user {
            Some(user) => user.is_password(given),
            None => user::equal(self.bytes("requirepass"), given),
        }
    }

    /// Whether a directive was set to anything, its default included.
    pub fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }
}

/// Some of the known words, in their order.
fn several(known: &[&str], words: &[&[u8]]) -> Result<Vec<u8>, BadValue> {
    let given: Vec<&[u8]> =
        words.iter().flat_map(|w| w.split(u8::is_ascii_whitespace)).filter(|w| !w.is_empty()).collect();
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    if given.is_empty() || !given.iter().all(|word| known.iter().any(|name| is(word, name))) {
        let all = known.join(", ");
        return Err(BadValue(format!("argument(s) must be one of the following: {all}").into()));
    }
    let found = known.iter().filter(|name| given.iter().any(|word| is(word, name)));
    Ok(found.copied().collect::<Vec<_>>().join(" ").into_bytes())
}

/// `hz` above this makes no difference.
const MOST_HZ: i64 = 500;

fn single(name: &str, kind: Kind, word: &[u8]) -> Result<Vec<u8>, BadValue> {
    let between = |n: i64, min: i64, max: i64| {
        if (min..=max).contains(&n) {
            Ok(n.to_string().into_bytes())
        } else {
            Err(BadValue(format!("argument must be between {min} and {max} inclusive").into()))
        }
    };
    match kind {
        Kind::YesNo => [&b"yes"[..], b"no"]
            .into_iter()
            .find(|w| w.eq_ignore_ascii_case(word))
            .map(<[u8]>::to_vec)
            .ok_or(BadValue("argument must be 'yes' or 'no'".into())),
        Kind::Int(min, max) => match parse_i64(word) {
            // What is beyond is not refused.
            Some(n) if name == "hz" && (min..=max).contains(&n) => between(n.clamp(1, MOST_HZ), min, max),
            Some(n) => between(n, min, max),
            None => Err(BadValue("argument couldn't be parsed into an integer".into())),
        },
        Kind::Memory(min, max) => match memory(word) {
            Some(n) => between(n, min, max),
            None => Err(BadValue("argument must be a memory value".into())),
        },
        Kind::Word(words) => words
            .iter()
            .find(|w| w.as_bytes().eq_ignore_ascii_case(word))
            .map(|w| w.as_bytes().to_vec())
            .ok_or_else(|| {
                let all = words.join(", ");
                BadValue(format!("argument(s) must be one of the following: {all}").into())
            }),
        Kind::Hostname => match word {
            _ if word.len() >= 256 => Err(BadValue("Hostnames must be less than 256 characters".into())),
            _ if word.iter().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(b)) => Ok(word.to_vec()),
            _ => Err(BadValue("Hostnames may only contain alphanumeric characters, hyphens or dots".into())),
        },
        Kind::Address => match word {
            _ if word.len() > 45 => Err(BadValue("Addresses must be less than 46 characters".into())),
            _ if word.iter().all(|b| b.is_ascii_alphanumeric() || b"-._:%".contains(b)) => Ok(word.to_vec()),
            _ => Err(BadValue("Addresses may only contain alphanumeric characters and -._:%".into())),
        },
        Kind::Text if name == "unixsocketperm" => {
            match std::str::from_utf8(word).map(|w| u32::from_str_radix(w, 8)) {
                Ok(Ok(0..=0o777)) => Ok(word.to_vec()),
                _ => Err(BadValue("argument couldn't be parsed as an octal number".into())),
            }
        }
        Kind::Text if name == "proc-title-template" => match is_title(&String::from_utf8_lossy(word)) {
            true => Ok(word.to_vec()),
            false => Err(BadValue("template format is invalid or contains unknown variables".into())),
        },
        Kind::Text if name == "maxmemory-clients" => match word.strip_suffix(b"%") {
            Some(percent) => match parse_i64(percent) {
                Some(0..=100) => Ok(word.to_vec()),
                Some(101..) => Err(BadValue("percentage argument must be less or equal to 100".into())),
                _ => Err(BadValue("argument must be a memory or percent value".into())),
            },
            None => match memory(word) {
                Some(n) => Ok(n.to_string().into_bytes()),
                None => Err(BadValue("argument must be a memory or percent value".into())),
            },
        },
        Kind::Text if matches!(name, "dbfilename" | "appendfilename") && word.contains(&b'/') => {
            Err(BadValue(format!("{name} can't be a path, just a filename").into()))
        }
        Kind::Text if name == "appenddirname" && word.contains(&b'/') => {
            Err(BadValue("appenddirname can't be a path, just a dirname".into()))
        }
        Kind::Text if name == "notify-keyspace-events" => match Notices::parse(word) {
            Some(_) => Ok(word.to_vec()),
            None => Err(BadValue("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into())),
        },
        Kind::Text | Kind::List | Kind::Words(_) => Ok(word.to_vec()),
    }
}

/// Whether the braces of a title of the process hold names that there are; two are one that stands for itself.
fn is_title(template: &str) -> bool {
    if template.is_empty() {
        return false;
    }
    const NAMES: [&str; 7] =
        ["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"];
    let mut rest = template;
    while let Some((_, behind)) = rest.split_once('{') {
        rest = match (behind.strip_prefix('{'), behind.split_once('}')) {
            (Some(behind), _) => behind,
            (_, Some((name, behind))) if NAMES.contains(&name) => behind,
            _ => return false,
        };
    }
    true
}

/// A number of bytes with an optional unit (util.c `memtoull`): k, m, g are powers of 1000, kb, mb, gb of
/// 1024.
pub fn memory(text: &[u8]) -> Option<i64> {
    let (number, unit) = text.split_at(text.iter().take_while(|b| b.is_ascii_digit()).count());
    // As C reads it, no digits are zero.
    let number: i64 = if number.is_empty() { 0 } else { std::str::from_utf8(number).ok()?.parse().ok()? };
    let unit = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// A directive of several words; `old` is what it was.
fn list(name: &str, old: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, BadValue> {
    let split: Vec<&[u8]> =
        words.iter().flat_map(|w| w.split(u8::is_ascii_whitespace)).filter(|w| !w.is_empty()).collect();
    let numbers = || split.iter().map(|w| parse_i64(w)).collect::<Option<Vec<i64>>>();
    match name {
        "save" => {
            let valid = numbers()
                .is_some_and(|n| n.len() % 2 == 0 && n.chunks(2).all(|pair| pair[0] >= 1 && pair[1] >= 0));
            if !valid {
                return Err(BadValue("Invalid save parameters".into()));
            }
        }
        "oom-score-adj-values" if numbers().is_none_or(|n| n.len() != 3) => {
            return Err(BadValue("wrong number of arguments".into()));
        }
        "bind" if split.len() > 16 => return Err(BadValue("Too many bind addresses specified.".into())),
        "client-output-buffer-limit" => return output_limits(old, &split),
        "latency-tracking-info-percentiles" => {
            let percents: Option<Vec<f64>> = split.iter().map(|w| parse_f64(w)).collect();
            let Some(percents) = percents else {
                return Err(BadValue("Invalid latency-tracking-info-percentiles parameters".into()));
            };
            if !percents.iter().all(|p| (0.0..=100.0).contains(p)) {
                let why = "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]";
                return Err(BadValue(why.into()));
            }
            return Ok(percents.iter().map(f64::to_string).collect::<Vec<_>>().join(" ").into_bytes());
        }
        "replicaof" if split.len() == 2 && split.join(&b' ').eq_ignore_ascii_case(b"no one") => {
            return Ok(Vec::new());
        }
        "replicaof" if split.len() == 2 && parse_i64(split[1]).is_none_or(|p| !(0..=65535).contains(&p)) => {
            return Err(BadValue("Invalid master port".into()));
        }
        "replicaof" if split.len() != 2 && !split.is_empty() => {
            return Err(BadValue("wrong number of arguments".into()));
        }
        _ => {}
    }
    Ok(split.join(&b' '))
}

fn output_limits(old: &[u8], words: &[&[u8]]) -> Result<Vec<u8>, BadValue> {
    const CLASSES: [&[u8]; 3] = [b"normal", b"slave", b"pubsub"];
    if words.is_empty() || !words.len().is_multiple_of(4) {
        return Err(BadValue("Wrong number of arguments in buffer limit configuration.".into()));
    }
    let old = old.split(|&b| b == b' ').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let mut limits: Vec<Vec<Vec<u8>>> = old.chunks(4).map(|c| c[1..].to_vec()).collect();
    for four in words.chunks(4) {
        let class = if four[0].eq_ignore_ascii_case(b"replica") { b"slave" } else { four[0] };
        let Some(i) = CLASSES.iter().position(|c| c.eq_ignore_ascii_case(class)) else {
            return Err(BadValue("Invalid client class specified in buffer limit configuration.".into()));
        };
        let (Some(hard), Some(soft), Some(seconds)) =
            (memory(four[1]), memory(four[2]), parse_i64(four[3]).filter(|s| *s >= 0))
        else {
            return Err(BadValue(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.".into(),
            ));
        };
        if let Some(limit) = limits.get_mut(i) {
            *limit = [hard, soft, seconds].iter().map(|n| n.to_string().into_bytes()).collect();
        }
    }
    let classes = CLASSES.iter().zip(limits);
    let words: Vec<Vec<u8>> = classes.flat_map(|(c, l)| [vec![c.to_vec()], l].concat()).collect();
    Ok(words.join(&b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(config: &mut Config, name: &str, words: &[&str]) -> Result<(), BadValue> {
        let words: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
        config.set(find(name.as_bytes()).expect("a directive"), &words)
    }

    #[test]
    fn every_default_is_a_value_of_its_directive() {
        for d in DIRECTIVES {
            let words: Vec<&[u8]> = match d.kind {
                Kind::List | Kind::Words(_) => d.default.as_bytes().split(|&b| b == b' ').collect(),
                _ => vec![d.default.as_bytes()],
            };
            assert_eq!(Config::default().set(d, &words), Ok(()), "{}", d.name);
        }
    }

    #[test]
    fn values_are_normalised_and_refused() {
        let mut c = Config::default();
        assert_eq!(set(&mut c, "proto-max-bulk-len", &["2mb"]), Ok(()));
        assert_eq!(c.int("proto-max-bulk-len"), 2 << 20);
        assert_eq!(set(&mut c, "slave-priority", &["7"]), Ok(()));
        assert_eq!(c.int("replica-priority"), 7);
        assert_eq!(set(&mut c, "appendonly", &["YES"]), Ok(()));
        assert!(c.yes("appendonly"));
        for (given, kept) in [("0", 1), ("100000", 500), ("50", 50)] {
            assert_eq!(set(&mut c, "hz", &[given]), Ok(()));
            assert_eq!(c.int("hz"), kept);
        }
        assert_eq!(set(&mut c, "replicaof", &["NO", "one"]), Ok(()));
        assert_eq!(c.bytes("replicaof"), b"");
        for (name, word, text) in [
            ("port", "x", "argument couldn't be parsed into an integer"),
            ("port", "70000", "argument must be between 0 and 65535 inclusive"),
            ("appendonly", "maybe", "argument must be 'yes' or 'no'"),
            ("maxmemory", "1zz", "argument must be a memory value"),
            ("maxmemory", "99999999999gb", "argument must be a memory value"),
            ("notify-keyspace-events", "x1", "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."),
            ("unixsocketperm", "888", "argument couldn't be parsed as an octal number"),
            ("proc-title-template", "{x}", "template format is invalid or contains unknown variables"),
            ("appendfsync", "x", "argument(s) must be one of the following: everysec, always, no"),
            ("save", "1 x", "Invalid save parameters"),
            ("dbfilename", "a/b", "dbfilename can't be a path, just a filename"),
            ("appenddirname", "a/b", "appenddirname can't be a path, just a dirname"),
            (
                "shutdown-on-sigterm",
                "save nosave",
                "shutdown options SAVE and NOSAVE can't be used simultaneously",
            ),
            ("replicaof", "no two", "Invalid master port"),
        ] {
            assert_eq!(set(&mut c, name, &[word]).map_err(|e| e.to_string()), Err(text.into()));
        }
    }

    #[test]
    fn classes_of_events_are_shown_as_redis_shows_them() {
        for (given, shown) in [
            ("KEA", "AKE"),
            ("nKg", "gnK"),
            ("Exm", "xEm"),
            ("g$lshzxetdn", "A"),
            ("tdn", "tdn"),
            ("AKEmn", "AKEm"),
            ("KK", "K"),
            ("", ""),
        ] {
            let mut c = Config::default();
            assert_eq!(set(&mut c, "notify-keyspace-events", &[given]), Ok(()));
            assert_eq!(c.shown("notify-keyspace-events"), shown.as_bytes(), "{given}");
        }
    }

    #[test]
    fn buffer_limits_are_set_class_by_class() {
        let mut c = Config::default();
        assert_eq!(set(&mut c, "client-output-buffer-limit", &["replica", "1mb", "0", "5"]), Ok(()));
        assert_eq!(
            c.text("client-output-buffer-limit"),
            "normal 0 0 0 slave 1048576 0 5 pubsub 33554432 8388608 60"
        );
        assert!(set(&mut c, "client-output-buffer-limit", &["foo", "0", "0", "0"]).is_err());
        assert!(set(&mut c, "client-output-buffer-limit", &["normal", "0"]).is_err());
    }

    #[test]
    fn matching_gives_both_names() {
        let names: Vec<_> =
            Config::default().matching(&[b"*-PRIORITY"]).into_iter().map(|(n, _)| n).collect();
        assert_eq!(names, ["replica-priority", "slave-priority"]);
    }
}
