//! `add-node`, `del-node` and `call`.

use std::io;

use slotproof_model::NodeId;

use super::create::Newcomer;
use super::health::{Health, report, settled};
use super::survey::{Survey, enter};
use super::{Console, JOINING, failed, within};
use crate::reshard::{Access, Peer};
use crate::resp::Value;

/// A node that is to join.
#[derive(Clone, Debug, Default)]
pub struct Add {
    /// Its address, `host:port`.
    pub node: String,
    /// A node of the cluster, `host:port`.
    pub entry: String,
    /// Whether it becomes a replica.
    pub replica: bool,
    /// Of which master; of the one with the fewest replicas if none is named.
    pub master: Option<String>,
}

/// Which nodes are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// Masters only.
    Masters,
    /// Replicas only.
    Replicas,
}

/// `add-node`.
///
/// # Errors
/// When the cluster is not in order, the node is not empty, or it does not join.
pub fn add_node(console: &mut dyn Console, wanted: &Add, access: &Access) -> io::Result<()> {
    let (node, entry) = (&wanted.node, &wanted.entry);
    console.say(format_args!(">>> Adding node {node} to cluster {entry}"));
    let (mut survey, health) = settled(entry, access)?;
    report(console, &survey, &health, false);
    if !health.is_good() {
        return Err(failed(format!("the cluster is not in order: slotproof cluster fix {entry}")));
    }
    let mut new = Newcomer::ask(enter(node, access)?)?;
    let replicates = survey.member(&new.id).map(|m| m.master);
    if let (Some(Some(old)), Some(name)) = (replicates, &wanted.master)
        && survey.find(name).map(|m| m.id) != Some(old)
    {
        let text = format!(
            "[ERR] Node {node} is part of this cluster already, as a replica of {}",
            survey.called(&old)
        );
        return Err(failed(text));
    }
    let master = match (&wanted.master, replicates.flatten()) {
        _ if !wanted.replica => None,
        (Some(name), _) => {
            let found = survey.find(name).filter(|m| m.is_master()).map(|m| m.id);
            Some(found.ok_or_else(|| failed(format!("[ERR] No such master ID {name}")))?)
        }
        (None, Some(_)) => None,
        (None, None) => {
            let others = survey.masters().filter(|m| m.id != new.id);
            let fewest = others.min_by_key(|m| survey.replicas_of(&m.id)).map(|m| m.id);
            let fewest = fewest.ok_or_else(|| failed("the cluster has no master"))?;
            console.say(format_args!("Automatically selected master {}", survey.called(&fewest)));
            Some(fewest)
        }
    };
    if replicates.is_some() {
        console.say(format_args!(">>> {node} is part of this cluster already."));
        if master.is_none() {
            console.say(format_args!("[OK] Nothing was left to do."));
            return Ok(());
        }
    } else {
        join(console, &mut survey, &mut new)?;
    }
    if let Some(master) = master.filter(|m| replicates.flatten() != Some(*m)) {
        console.say(format_args!(">>> Configure node as replica of {}.", survey.called(&master)));
        new.peer.command(&["CLUSTER", "REPLICATE", master.as_str()])?;
    }
    console.say(format_args!("[OK] New node added correctly."));
    Ok(())
}

/// Makes a node part of a cluster that does not know it, or has only begun to.
fn join(console: &mut dyn Console, survey: &mut Survey, new: &mut Newcomer) -> io::Result<()> {
    let stranger = |id| id != new.id && survey.member(&id).is_none();
    let begun =
        new.me.slots.is_empty() && new.me.master.is_none() && !new.view.iter().any(|n| stranger(n.id));
    if !new.is_empty()? || !begun {
        return Err(new.is_not_empty(""));
    }
    let (id, node) = (new.id, new.peer.address());
    functions(console, survey, &mut new.peer)?;
    console.say(format_args!(">>> Send CLUSTER MEET to node {node} to make it join the cluster."));
    let host = survey.members.first_mut().ok_or_else(|| failed("nobody was asked"))?;
    let (ip, port) = host.peer.for_nodes()?;
    let own = host.view.iter().find(|n| n.id == host.id).map_or(0, |n| n.address.cport);
    let mut words = vec!["CLUSTER".to_string(), "MEET".into(), ip, port.to_string()];
    words.extend((own != 0).then(|| own.to_string()));
    new.peer.command(&words)?;
    let joined = within(JOINING, || {
        let mut survey = survey.again()?;
        let known = survey.member(&id).is_some() && Health::of(&mut survey)?.agree();
        Ok(known && new.peer.text(&["CLUSTER", "INFO"])?.lines().any(|l| l.trim() == "cluster_state:ok"))
    })?;
    if !joined {
        return Err(failed(format!(
            "{node} was told to join, but not all nodes know each other after {JOINING:?}"
        )));
    }
    Ok(())
}

/// A node of a cluster has the functions of all others. Servers without functions have none to copy.
fn functions(console: &mut dyn Console, survey: &mut Survey, fresh: &mut Peer) -> io::Result<()> {
    let host = survey.members.first_mut().ok_or_else(|| failed("nobody was asked"))?;
    let words = ["FUNCTION", "DUMP"];
    let dump = match host.peer.call(&words)? {
        Value::Bulk(dump) => dump,
        Value::Error(e) if e.starts_with("ERR unknown ") => return Ok(()),
        other => return Err(host.peer.unexpected(&words, &other)),
    };
    // Nothing but the version and the checksum; or an earlier run has brought them.
    if dump.len() <= 10 || fresh.call(&words)? == Value::Bulk(dump.clone()) {
        return Ok(());
    }
    console.say(format_args!(">>> Send FUNCTION RESTORE to {}", fresh.address()));
    let words: [&[u8]; 4] = [b"FUNCTION", b"RESTORE", &dump, b"REPLACE"];
    match fresh.call(&words)? {
        Value::Status(s) if s == "OK" => Ok(()),
        other => Err(fresh.unexpected(&["FUNCTION", "RESTORE"], &other)),
    }
}

/// `del-node`: all forget it, and it forgets all. A node that does not answer is forgotten too.
///
/// # Errors
/// When there is no such node, when it has slots, and when a node refuses.
pub fn del_node(console: &mut dyn Console, entry: &str, node: &str, access: &Access) -> io::Result<()> {
    console.say(format_args!(">>> Removing node {node} from cluster {entry}"));
    let mut survey = Survey::take(entry, access)?;
    let absent = survey.absent.iter().find(|a| a.id.as_str() == node.to_lowercase());
    let (id, address) = match (survey.find(node), absent) {
        (Some(member), _) => (member.id, member.address()),
        (None, Some(absent)) => (absent.id, absent.address.clone()),
        (None, None) => return Err(failed(format!("[ERR] No such node ID {node}"))),
    };
    let owns = |n: &slotproof_model::SavedNode| n.id == id && !n.slots.is_empty();
    let member = survey.member(&id);
    if member.is_some_and(|m| !m.slots.is_empty()) || survey.members.iter().any(|m| m.view.iter().any(owns)) {
        return Err(failed(format!("[ERR] Node {address} is not empty! Reshard data away and try again.")));
    }
    if let Some(other) = survey.absent.iter().find(|a| a.id != id) {
        return Err(failed(format!("a node that should forget {address} does not answer: {}", other.why)));
    }
    let keys = match survey.peer(&id) {
        Ok(peer) => peer.count(&["DBSIZE"])?,
        Err(_) => 0,
    };
    if keys > 0 && member_is_master(&survey, &id) {
        return Err(failed(format!(
            "[ERR] Node {address} has no slots, but {keys} keys: it would not forget them."
        )));
    }
    console.say(format_args!(">>> Sending CLUSTER FORGET messages to the cluster..."));
    let others: Vec<NodeId> = survey.members.iter().map(|m| m.id).filter(|other| *other != id).collect();
    for other in &others {
        if survey.member(other).is_some_and(|m| m.master == Some(id)) {
            let new = survey.masters().filter(|m| m.id != id).min_by_key(|m| survey.replicas_of(&m.id));
            let new = new.map(|m| m.id).ok_or_else(|| failed("no other master is left"))?;
            console.say(format_args!(">>> {} as replica of {}", survey.called(other), survey.called(&new)));
            survey.peer(other)?.command(&["CLUSTER", "REPLICATE", new.as_str()])?;
        }
    }
    for other in &others {
        let knows = survey.member(other).is_some_and(|m| m.view.iter().any(|n| n.id == id));
        if knows {
            survey.peer(other)?.command(&["CLUSTER", "FORGET", id.as_str()])?;
        }
    }
    if survey.member(&id).is_none() {
        console.say(format_args!(
            "[WARNING] {address} does not answer: it was not told. It will come back if it is started with its nodes.conf."
        ));
        return Ok(());
    }
    console.say(format_args!(">>> Sending CLUSTER RESET SOFT to the deleted node."));
    survey.peer(&id)?.command(&["CLUSTER", "RESET", "SOFT"])
}

fn member_is_master(survey: &Survey, id: &NodeId) -> bool {
    survey.member(id).is_some_and(super::Member::is_master)
}

/// `call`: one command at each node, and each reply.
///
/// # Errors
/// When a node answers with an error, or not at all; the others are asked all the same.
pub fn call(
    console: &mut dyn Console,
    entry: &str,
    words: &[String],
    which: Which,
    access: &Access,
) -> io::Result<()> {
    console.say(format_args!(">>> Calling {}", words.join(" ")));
    let mut survey = Survey::take(entry, access)?;
    let mut failures: Vec<String> = survey.absent.iter().map(|a| a.why.clone()).collect();
    for member in &mut survey.members {
        if which != Which::All && member.is_master() != (which == Which::Masters) {
            continue;
        }
        let address = member.address();
        match member.peer.call(words) {
            Ok(reply) => {
                if let Value::Error(e) = &reply {
                    failures.push(format!("{address}: {e}"));
                }
                let mut text = String::new();
                plain(&reply, &mut text);
                console.say(format_args!("{address}: {}", text.trim_end_matches('\n')));
            }
            Err(e) => {
                console.say(format_args!("{e}"));
                failures.push(e.to_string());
            }
        }
    }
    match &failures[..] {
        [] => Ok(()),
        [first, ..] => Err(failed(format!("{} nodes did not do it, as {first}", failures.len()))),
    }
}

/// A reply as lines, as `redis-cli` prints it to something that is no terminal. How deep it goes is bounded where it is read.
fn plain(reply: &Value, out: &mut String) {
    match reply {
        Value::Status(s) | Value::Error(s) => out.push_str(s),
        Value::Int(n) => out.push_str(&n.to_string()),
        Value::Bulk(bytes) => out.push_str(&String::from_utf8_lossy(bytes)),
        Value::Nil => {}
        Value::Array(values) => return values.iter().for_each(|v| plain(v, out)),
    }
    out.push('\n');
}
