//! Requests drawn from what COMMAND DOCS says of every command's arguments, to this server and to the distribution's redis-server:
//! replies, error texts and encodings are equal.

mod support;

use std::collections::BTreeMap;

use support::{Dice, TestClient, TestServer, Value};

/// Left out: what is drawn, timed (DBSIZE counts keys whose time has come) or in an order of its own; ranges of names, which mean
/// nothing where scores differ; what is about the connection or the server; what no plain server has; how often a number is shared; and
/// SORT, after which redis-server keeps a sorted set in its large form.
const LEFT_OUT: &str = "time randomkey srandmember hrandfield zrandmember spop keys scan sscan hscan zscan dump sort sort_ro info debug \
    shutdown subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe migrate monitor reset quit wait auth hello role lolwut \
    sync psync replconf exec multi discard watch unwatch select asking readonly readwrite restore restore-asking flushall flushdb swapdb move client config \
    dbsize slowlog latency command cluster memory pubsub object|freq object|idletime object|refcount \
    object|help zlexcount zrangebylex zrevrangebylex zremrangebylex";

/// Replies whose members have no order.
const UNORDERED: &str = "smembers sinter sunion sdiff hkeys hvals hgetall";

/// Replies that tell how much time is left.
const TIMED: &str = "ttl pttl expiretime pexpiretime";

const KEYS: [&str; 8] = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];

/// What the keys hold in the beginning, and now and then again.
const CONTENTS: [&str; 9] = [
    "FLUSHALL",
    "SET k0 hello",
    "SET k1 10",
    "RPUSH k2 a b c 1 2",
    "SADD k3 a b c",
    "SADD k4 1 2 3",
    "HSET k5 a 1 b 2 c x",
    "ZADD k6 1 a 2 b 3 c",
    "ZADD k7 0 a 0 b 0 c",
];

type Fields = BTreeMap<String, Value>;

fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    match fields.get(name) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

fn list<'a>(fields: &'a Fields, name: &str) -> Vec<&'a Fields> {
    let Some(Value::List(items)) = fields.get(name) else { return Vec::new() };
    items.iter().filter_map(|item| if let Value::Map(fields) = item { Some(fields) } else { None }).collect()
}

fn flagged(argument: &Fields, flag: &str) -> bool {
    matches!(argument.get("flags"), Some(Value::Set(flags)) if flags.contains(&Value::Text(flag.into())))
}

/// Appends an argument, left out, repeated and filled by chance.
fn argument(dice: &mut Dice, argument_: &Fields, chosen: bool, out: &mut Vec<String>) {
    if flagged(argument_, "optional") && !chosen && dice.percent(60) {
        return;
    }
    let times = if flagged(argument_, "multiple") { dice.of(&[1, 1, 2, 3]) } else { 1 };
    for time in 0..times {
        if argument_.contains_key("token") && (time == 0 || flagged(argument_, "multiple_token")) {
            out.push(text(argument_, "token").into());
        }
        value(dice, argument_, out);
    }
}

fn value(dice: &mut Dice, argument_: &Fields, out: &mut Vec<String>) {
    let name = text(argument_, "name");
    let word = match text(argument_, "type") {
        "key" => dice.of(&KEYS),
        // Nothing may expire while it is compared.
        "integer" if ["seconds", "milliseconds"].contains(&name) => {
            dice.of(&["100000", "200000", "0", "-1", "x"])
        }
        "integer" if dice.percent(30) => dice.of(&[
            "5",
            "7",
            "10",
            "100",
            "-100",
            "2147483648",
            "9223372036854775807",
            "x",
            "",
            "1.5",
            "01",
        ]),
        "integer" => dice.of(&["0", "1", "2", "3", "4", "-1", "-2"]),
        "double" => dice.of(&[
            "0", "1", "1.5", "-2", "inf", "-inf", "(1", "nan", "x", "1e3", "3.14", "1e400", " 1", ".5", "5.",
            "+1",
        ]),
        "pattern" => dice.of(&["*", "k*", "[a-c]*", "?", "nosuch"]),
        "unix-time" => dice.of(&["33177117420", "33177117420000", "1", "0", "-5"]),
        "string" if ["min", "max"].contains(&name) => {
            dice.of(&["-", "+", "[a", "(b", "[c", "-inf", "+inf", "(1", "2", "0"])
        }
        "string" => dice.of(&[
            "a",
            "b",
            "c",
            "ab",
            "",
            "1",
            "2",
            "-3",
            "10",
            "3.5",
            "x y",
            "foo",
            "hello world",
            "inf",
            "9223372036854775807",
        ]),
        "oneof" => {
            let inner = list(argument_, "arguments");
            let one = inner[dice.below(inner.len())];
            return argument(dice, one, true, out);
        }
        "block" => {
            return list(argument_, "arguments")
                .into_iter()
                .for_each(|inner| argument(dice, inner, false, out));
        }
        _ => return,
    };
    out.push(word.into());
}

/// A request of a command.
fn request(dice: &mut Dice, name: &str, arguments: &[&Fields]) -> Vec<String> {
    let mut words: Vec<String> = name.split('|').map(String::from).collect();
    let mut count_at = None;
    for a in arguments {
        if text(a, "name") == "numkeys" {
            count_at = Some(words.len());
        }
        argument(dice, a, false, &mut words);
    }
    // A number of keys is mostly right.
    if let Some(at) = count_at.filter(|at| *at < words.len() && dice.percent(90)) {
        let keys = words[at + 1..].iter().take_while(|word| KEYS.contains(&word.as_str())).count();
        words[at] = keys.to_string();
    }
    match dice.below(100) {
        0..4 if words.len() > 1 => drop(words.pop()),
        4..7 => words.push(dice.of(&["a", "1", ""]).into()),
        _ => {}
    }
    words
}

fn run(client: &mut TestClient, words: &[String]) -> Value {
    let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    client.send(&words);
    client.value()
}

/// A reply without what may differ.
fn comparable(name: &str, reply: Value) -> Value {
    let is = |names: &str| names.split_whitespace().any(|known| known == name);
    match reply {
        Value::List(items) if is(UNORDERED) => {
            let mut items = items;
            items.sort();
            Value::List(items)
        }
        Value::Text(text) if is(TIMED) && text.len() > 4 && text.starts_with(':') => {
            Value::Text("later".into())
        }
        reply => reply,
    }
}

#[test]
#[ignore = "needs redis-server"]
fn requests_that_the_grammar_allows_are_answered_as_by_redis() {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64);
    let seed = std::env::var("SLOTPROOF_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(now);
    let mut dice = Dice(seed);
    let options = ["--proto-max-bulk-len", "1mb"];
    let (ours, theirs) = (TestServer::start(&options), TestServer::start_redis(&options));
    let (mut ours, mut theirs) = (ours.client(), theirs.client());
    let Value::Map(docs) = (ours.run("HELLO 3"), run(&mut ours, &["COMMAND".into(), "DOCS".into()])).1 else {
        panic!("a map")
    };
    theirs.run("HELLO 3");
    let mut grammar: Vec<(String, Vec<&Fields>)> = Vec::new();
    for (name, command) in &docs {
        let Value::Map(command) = command else { panic!("{name}: a map") };
        match command.get("subcommands") {
            Some(Value::Map(subs)) => {
                grammar.extend(subs.iter().filter_map(|(sub, command)| match command {
                    Value::Map(command) => Some((sub.clone(), list(command, "arguments"))),
                    _ => None,
                }))
            }
            _ => grammar.push((name.clone(), list(command, "arguments"))),
        }
    }
    let left_out =
        |name: &str| LEFT_OUT.split_whitespace().any(|n| n == name || name.split('|').next() == Some(n));
    grammar.retain(|(name, _)| !left_out(name));
    assert!(grammar.len() > 110, "{}", grammar.len());
    let mut since = Vec::new();
    for round in 0..20_000 {
        if round % 60 == 0 {
            since.clear();
            for line in CONTENTS {
                ours.run(line);
                theirs.run(line);
            }
        }
        let (name, arguments) = &grammar[dice.below(grammar.len())];
        let words = request(&mut dice, name, arguments);
        if words.iter().any(|word| word == "BYLEX") {
            continue;
        }
        let encoding = ["OBJECT", "ENCODING", dice.of(&KEYS)].map(String::from);
        since.push(words.join(" "));
        for (name, words) in [(name.as_str(), &words[..]), ("object|encoding", &encoding[..])] {
            let (mine, redis) = (run(&mut ours, words), run(&mut theirs, words));
            assert_eq!(
                comparable(name, mine),
                comparable(name, redis),
                "{words:?}, SLOTPROOF_SEED={seed}, after {since:#?}"
            );
        }
    }
}
