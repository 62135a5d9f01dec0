//! What COMMAND INFO and COMMAND DOCS say of every command of the node is what the distribution's redis-server says of it, but for
//! its sentences.

mod support;

use support::{TestClient, TestServer, Value};

/// Fields that are, or hold, sentences; a node has its own summaries.
const SENTENCES: [&str; 5] = ["summary", "complexity", "history", "replaced_by", "notes"];

/// Commands that 7.0 does not have.
const NEWER: [&str; 2] = ["client|setinfo", "client|no-touch"];

#[test]
#[ignore = "needs redis-server"]
fn commands_are_described_as_redis_describes_them() {
    let options = ["--enable-debug-command", "yes"];
    let (ours, theirs) = (TestServer::start(&options), TestServer::start_redis(&options));
    let (mut ours, mut theirs) = (ours.client(), theirs.client());
    for client in [&mut ours, &mut theirs] {
        client.run("HELLO 3");
    }
    let Value::List(names) = ask(&mut ours, "COMMAND LIST") else { panic!("a list") };
    assert!(names.len() > 200);
    let mut wrong = Vec::new();
    for name in &names {
        let Value::Text(name) = name else { panic!("a name: {name:?}") };
        if NEWER.contains(&name.as_str()) {
            continue;
        }
        for what in ["INFO", "DOCS"] {
            let request = format!("COMMAND {what} {name}");
            let (mine, redis) = (facts(ask(&mut ours, &request)), facts(ask(&mut theirs, &request)));
            if mine != redis {
                wrong.push(format!("{request}\n  {mine:?}\n  {redis:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn ask(client: &mut TestClient, request: &str) -> Value {
    let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
    client.send(&words);
    client.value()
}

/// A description without sentences, and without subcommands, which are asked for by themselves.
fn facts(value: Value) -> Value {
    match value {
        Value::Map(entries) => {
            let kept = entries
                .into_iter()
                .filter(|(key, _)| !SENTENCES.contains(&key.as_str()) && key != "subcommands");
            Value::Map(kept.map(|(key, value)| (key, facts(value))).collect())
        }
        Value::List(mut items) => {
            // COMMAND INFO: the tenth item is the subcommands.
            if items.len() == 10 && matches!(items[0], Value::Text(_)) {
                items.pop();
            }
            Value::List(items.into_iter().map(facts).collect())
        }
        Value::Set(items) => Value::Set(items.into_iter().map(facts).collect()),
        other => other,
    }
}
