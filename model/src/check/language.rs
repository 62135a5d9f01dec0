//! The language of scenarios, explained from the very types that read it: what a key means stands in one place, its doc comment.

/// Where the types are defined.
const SOURCE: &str = concat!(
    include_str!("scenario.rs"),
    include_str!("scenario/clients.rs"),
    include_str!("scenario/faults.rs")
);

/// The tables of a file, by the type that reads each.
const TABLES: [(&str, &str); 9] = [
    ("Scenario", "a scenario"),
    ("NodeSpec", "[[node]]"),
    ("Belief", "[[node.believes]]"),
    ("KeySpec", "[[key]]"),
    ("ClientSpec", "[[client]]"),
    ("OperatorSpec", "[[operator]]"),
    ("Faults", "[faults]"),
    ("BudgetSpec", "a budget of [faults]"),
    ("Options", "[options]"),
];

/// One key of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The table it belongs to, as a file names it.
    pub table: &'static str,
    /// Its name.
    pub name: String,
    /// The type of its value, as Rust writes it.
    pub kind: String,
    /// What it means.
    pub text: String,
}

/// Every key of the language, table by table.
pub fn keys() -> Vec<Key> {
    let mut keys = vec![Key {
        table: TABLES[0].1,
        name: "like".into(),
        kind: "String".into(),
        text: "A built-in scenario that this one is laid over: tables are merged key by key, all else is replaced.".into(),
    }];
    for (owner, table) in TABLES {
        let head = format!("pub struct {owner} {{\n");
        let body = SOURCE
            .split_once(&head)
            .and_then(|(_, rest)| rest.split_once("\n}"))
            .map_or("", |(body, _)| body);
        keys.extend(fields(table, body));
    }
    keys
}

/// The keys with this name; it may be in several tables.
pub fn explain(name: &str) -> Vec<Key> {
    keys().into_iter().filter(|key| key.name == name).collect()
}

/// What a script's line may be.
pub fn script_lines() -> String {
    let docs = SOURCE
        .split_once("/// One step of a script.")
        .and_then(|(_, rest)| rest.split_once("#[derive"))
        .map_or("", |(docs, _)| docs);
    docs.lines()
        .filter_map(|line| line.trim().strip_prefix("///"))
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
        .trim()
        .to_string()
}

fn fields(table: &'static str, body: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut docs: Vec<&str> = Vec::new();
    let mut renamed = None;
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            docs.push(text.trim());
        } else if line.starts_with("#[") {
            renamed = line
                .split_once("rename = \"")
                .and_then(|(_, rest)| rest.split_once('"'))
                .map(|(name, _)| name)
                .or(renamed);
        } else if let Some((name, kind)) = line.strip_prefix("pub ").and_then(|field| field.split_once(": "))
        {
            let name = renamed.take().unwrap_or(name).to_string();
            keys.push(Key {
                table,
                name,
                kind: kind.trim_end_matches(',').to_string(),
                text: docs.join(" "),
            });
            docs.clear();
        }
    }
    keys
}

/// The line of a file that a mistake is about, counted from 1: the first that holds something which the message quotes.
pub(super) fn line_of(file: &str, message: &str) -> Option<usize> {
    let quoted = message.split(['"', '`']).skip(1).step_by(2).filter(|token| !token.is_empty());
    quoted.into_iter().find_map(|token| file.lines().position(|line| line.contains(token))).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::scenario::{BUILT_IN, Scenario};

    fn names_in(table: &toml::Table, names: &mut Vec<String>) {
        for (name, value) in table {
            if !["expect", "switches"].contains(&name.as_str()) {
                names.push(name.clone());
                let inner = value.as_array().into_iter().flatten().chain([value]);
                inner.filter_map(toml::Value::as_table).for_each(|t| names_in(t, names));
            }
        }
    }

    #[test]
    fn every_key_of_the_built_in_scenarios_is_explained() {
        let mut names = Vec::new();
        for (_, text) in BUILT_IN {
            names_in(&toml::from_str(text).expect("TOML"), &mut names);
        }
        for name in names.iter().filter(|n| *n != "options" && *n != "faults") {
            let keys = explain(name);
            assert!(!keys.is_empty() && keys.iter().all(|k| !k.text.is_empty()), "{name}: {keys:?}");
        }
        for table in TABLES {
            assert!(keys().iter().any(|k| k.table == table.1), "{table:?} has keys");
        }
        assert!(script_lines().contains("MOVE 0 REPLACE"));
    }

    #[test]
    fn a_mistake_is_shown_with_its_line() {
        let file = |tail: &str| format!("like = \"migration-h12\"\nname = \"x\"\nabout = \"y\"\n{tail}");
        for (tail, line, valid) in [
            ("[expect]\nS99 = \"holds\"\n", "line 5", "S10"),
            ("[faults]\nnodes = [\"Q\"]\n", "line 5", "A, B"),
            ("rules = \"redis_9\"\n", "line 4", "hardened"),
            ("clints = 3\n", "line 4", "clients"),
            ("[[operator]]\nscript = [\"A SETSLOT 1 STABLE\"]\n", "line 5", "NODE: COMMAND"),
            ("[faults]\npauses = { times = 1, nodes = [\"Q\"] }\n", "line 5", "A, B"),
            ("[faults]\npauses = { times = 1, links = [\"A -> B\"] }\n", "line 5", "nodes = ["),
            ("[faults]\nresets = [{ times = 1, links = [\"A\"] }]\n", "line 5", "it reads"),
            ("[faults]\nresets = [{ times = 1, links = [\"A -> Q\"] }]\n", "line 5", "A, B"),
            ("[faults]\nlink_cuts = { tims = 1 }\n", "line 5", "times"),
            ("[faults]\ncrashes = 300\n", "line 5", "a number up to 255"),
            ("[faults]\ncrashes = \"A\"\n", "line 5", "a list of such tables"),
            ("[[client]]\nkeys = [\"q\"]\n", "line 5", "there are k"),
            ("[[client]]\ndoes = [\"increment\"]\n", "line 5", "delete"),
            ("[[client]]\nat = [\"Q\"]\n", "line 5", "A, B"),
            ("clients = 2\n[[client]]\ncount = 2\n", "line 4", "more than 3"),
        ] {
            let error = Scenario::parse(&file(tail)).expect_err("a mistake").to_string();
            assert!(error.contains(line) && error.contains(valid), "{tail}: {error}");
        }
        let error = Scenario::parse("name = \"x\"\nslots = \"many\"\n").expect_err("a mistake").to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
