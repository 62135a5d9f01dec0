//! `create`: empty nodes become a cluster. Who is master and who replicates whom is planned before anything is sent.

use std::collections::BTreeMap;
use std::io;

use slotproof_model::{Flags, NodeId, SLOTS};

use super::health::check;
use super::survey::{enter, ranges_text, set_of};
use super::{Console, JOINING, accepted, failed, within};
use crate::reshard::{Access, Peer};

/// What is to be made.
#[derive(Clone, Debug, Default)]
pub struct Create {
    /// The nodes, `host:port`.
    pub nodes: Vec<String>,
    /// Replicas for each master.
    pub replicas: usize,
    /// Whether all questions are answered with yes.
    pub yes: bool,
}

/// A node that has not met anybody.
struct Fresh {
    id: NodeId,
    ip: String,
    cport: u16,
    peer: Peer,
}

/// Roles for nodes, by their position.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Roles {
    /// Masters, in the order in which they get slots.
    masters: Vec<usize>,
    /// Replicas, and their masters.
    replicas: Vec<(usize, usize)>,
}

/// A node that can join a cluster: cluster mode, alone, without slots and keys.
pub(super) fn is_fresh(peer: &mut Peer) -> io::Result<(NodeId, u16)> {
    let address = peer.address();
    let info = peer.text(&["INFO", "cluster"])?;
    if !info.lines().any(|l| l.trim() == "cluster_enabled:1") {
        return Err(failed(format!("[ERR] Node {address} is not configured as a cluster node.")));
    }
    let view = peer.view()?.saved;
    let me = view.nodes.iter().find(|n| n.id == view.me).filter(|_| view.nodes.len() == 1);
    match me {
        Some(me) if me.slots.is_empty() && me.flags.any(Flags::MASTER) && peer.count(&["DBSIZE"])? == 0 => {
            Ok((me.id, me.address.cport))
        }
        _ => Err(failed(format!(
            "[ERR] Node {address} is not empty. Either the node already knows other nodes (check with CLUSTER NODES) or contains \
             some key in database 0."
        ))),
    }
}

/// Makes a cluster.
///
/// # Errors
/// When a node is not fit, the plan is not accepted, or a node refuses.
pub fn create(console: &mut dyn Console, wanted: &Create, access: &Access) -> io::Result<()> {
    let mut nodes: Vec<Fresh> = Vec::with_capacity(wanted.nodes.len());
    for address in &wanted.nodes {
        let mut peer = enter(address, access)?;
        let (id, cport) = is_fresh(&mut peer)?;
        if nodes.iter().any(|n| n.id == id) {
            return Err(failed(format!("[ERR] Node {address} is named twice.")));
        }
        nodes.push(Fresh { id, ip: peer.ip()?, cport, peer });
    }
    let (count, replicas) = (nodes.len(), wanted.replicas);
    let masters = replicas.checked_add(1).map_or(0, |each| count / each);
    if masters < 3 {
        let needed = replicas.saturating_add(1).saturating_mul(3);
        return Err(failed(format!(
            "*** ERROR: Invalid configuration for cluster creation.\n*** Redis Cluster requires at least 3 master nodes.\n*** This \
             is not possible with {count} nodes and {replicas} replicas per node.\n*** At least {needed} nodes are required."
        )));
    }
    if masters > usize::from(SLOTS) {
        return Err(failed(format!("{masters} masters are more than there are slots")));
    }
    console.say(format_args!(">>> Performing hash slots allocation on {count} nodes..."));
    let hosts: Vec<&str> = nodes.iter().map(|n| n.ip.as_str()).collect();
    let roles = roles(&hosts, masters);
    let shares = shares(masters);
    for (i, (first, last)) in shares.iter().enumerate() {
        console.say(format_args!("Master[{i}] -> Slots {first} - {last}"));
    }
    for (replica, master) in &roles.replicas {
        let (replica, master) = (nodes[*replica].peer.address(), nodes[*master].peer.address());
        console.say(format_args!("Adding replica {replica} to {master}"));
    }
    if !roles.replicas.is_empty() {
        console.say(format_args!(">>> Trying to optimize slaves allocation for anti-affinity"));
        if offending(&hosts, &roles) == (0, 0) {
            console.say(format_args!("[OK] Perfect anti-affinity obtained!"));
        } else {
            console.say(format_args!("[WARNING] Some slaves are in the same host as their master"));
        }
    }
    show(console, &nodes, &roles, &shares);
    if !accepted(console, wanted.yes, "Can I set the above configuration? (type 'yes' to accept): ")? {
        return Err(failed("the configuration was not accepted: nothing was done"));
    }
    configure(console, &mut nodes, &roles, &shares)?;
    check(console, &wanted.nodes[0], access, false)
}

fn show(console: &mut dyn Console, nodes: &[Fresh], roles: &Roles, shares: &[(u16, u16)]) {
    for (&i, &(first, last)) in roles.masters.iter().zip(shares) {
        let set = set_of(first..=last);
        console.say(format_args!(
            "M: {} {}\n   slots:{} ({} slots) master",
            nodes[i].id,
            nodes[i].peer.address(),
            ranges_text(&set),
            set.len()
        ));
    }
    for &(i, master) in &roles.replicas {
        console.say(format_args!(
            "S: {} {}\n   replicates {}",
            nodes[i].id,
            nodes[i].peer.address(),
            nodes[master].id
        ));
    }
}

fn configure(
    console: &mut dyn Console,
    nodes: &mut [Fresh],
    roles: &Roles,
    shares: &[(u16, u16)],
) -> io::Result<()> {
    for (&i, (first, last)) in roles.masters.iter().zip(shares) {
        let slots: Vec<String> = (*first..=*last).map(|s| s.to_string()).collect();
        let words: Vec<&str> =
            ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
        nodes[i].peer.command(&words)?;
    }
    console.say(format_args!(">>> Nodes configuration updated"));
    console.say(format_args!(">>> Assign a different config epoch to each node"));
    for (i, node) in nodes.iter_mut().enumerate() {
        node.peer.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(i + 1).to_string()])?;
    }
    console.say(format_args!(">>> Sending CLUSTER MEET messages to join the cluster"));
    let (ip, port, cport) = (nodes[0].ip.clone(), nodes[0].peer.port.to_string(), nodes[0].cport.to_string());
    for node in &mut nodes[1..] {
        node.peer.command(&["CLUSTER", "MEET", &ip, &port, &cport])?;
    }
    console.say(format_args!("Waiting for the cluster to join"));
    let owners: BTreeMap<NodeId, usize> = roles
        .masters
        .iter()
        .zip(shares)
        .map(|(&i, (first, last))| (nodes[i].id, usize::from(last - first) + 1))
        .collect();
    wait(nodes, "know each other and their slots", |node| {
        let seen = node.peer.view()?.saved.nodes;
        let slots = |id| owners.get(id).copied().unwrap_or(0);
        Ok(seen.len() == wanted_len(&owners, roles) && seen.iter().all(|n| n.slots.len() == slots(&n.id)))
    })?;
    for &(i, master) in &roles.replicas {
        let id = nodes[master].id;
        nodes[i].peer.command(&["CLUSTER", "REPLICATE", id.as_str()])?;
    }
    let masters: BTreeMap<NodeId, NodeId> =
        roles.replicas.iter().map(|&(i, master)| (nodes[i].id, nodes[master].id)).collect();
    wait(nodes, "know who replicates whom", |node| {
        let seen = node.peer.view()?.saved.nodes;
        Ok(seen.iter().all(|n| n.master == masters.get(&n.id).copied()))
    })?;
    wait(nodes, "say that the cluster is ok", |node| {
        Ok(node.peer.text(&["CLUSTER", "INFO"])?.lines().any(|l| l.trim() == "cluster_state:ok"))
    })
}

fn wanted_len(owners: &BTreeMap<NodeId, usize>, roles: &Roles) -> usize {
    owners.len() + roles.replicas.len()
}

fn wait(nodes: &mut [Fresh], what: &str, so: impl Fn(&mut Fresh) -> io::Result<bool>) -> io::Result<()> {
    for node in nodes {
        if !within(JOINING, || so(node))? {
            return Err(failed(format!("{} does not, in {JOINING:?}, {what}", node.peer.address())));
        }
    }
    Ok(())
}

/// First and last slot of each master.
fn shares(masters: usize) -> Vec<(u16, u16)> {
    let each = f64::from(SLOTS) / masters as f64;
    let mut first = 0;
    (1..=masters)
        .map(|i| {
            let last = if i == masters { SLOTS - 1 } else { (each * i as f64 - 1.0).round() as u16 };
            let share = (first, last.max(first));
            first = share.1 + 1;
            share
        })
        .collect()
}

/// Masters are taken from the hosts in turn. All nodes that are left become replicas, of masters on other hosts where that can be; each
/// master gets as many as any other, or one more.
fn roles(hosts: &[&str], masters: usize) -> Roles {
    let mut of_host: Vec<(&str, Vec<usize>)> = Vec::new();
    for (i, host) in hosts.iter().enumerate() {
        match of_host.iter_mut().find(|(h, _)| h == host) {
            Some((_, nodes)) => nodes.push(i),
            None => of_host.push((host, vec![i])),
        }
    }
    let most = of_host.iter().map(|(_, nodes)| nodes.len()).max().unwrap_or(0);
    let in_turn: Vec<usize> =
        (0..most).flat_map(|n| of_host.iter().filter_map(move |(_, nodes)| nodes.get(n).copied())).collect();
    let (masters, rest) = in_turn.split_at(masters.min(in_turn.len()));
    let replicas = rest.iter().enumerate().map(|(n, &node)| (node, masters[n % masters.len()])).collect();
    let mut roles = Roles { masters: masters.to_vec(), replicas };
    // Two replicas change places as long as that makes it better.
    let mut best = offending(hosts, &roles);
    let mut better = true;
    while better && best != (0, 0) {
        better = false;
        for one in 0..roles.replicas.len() {
            for other in one + 1..roles.replicas.len() {
                let swap = |roles: &mut Roles| {
                    let kept = roles.replicas[one].1;
                    roles.replicas[one].1 = roles.replicas[other].1;
                    roles.replicas[other].1 = kept;
                };
                swap(&mut roles);
                let now = offending(hosts, &roles);
                if now < best {
                    (best, better) = (now, true);
                } else {
                    swap(&mut roles);
                }
            }
        }
    }
    roles
}

/// How many replicas are on the host of their master, and how many share their host with another replica of the same master.
fn offending(hosts: &[&str], roles: &Roles) -> (usize, usize) {
    let with_master = roles.replicas.iter().filter(|(r, m)| hosts[*r] == hosts[*m]).count();
    let mut groups: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for (replica, master) in &roles.replicas {
        *groups.entry((*master, hosts[*replica])).or_default() += 1;
    }
    (with_master, groups.values().map(|n| n - 1).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_redis_cli() {
        assert_eq!(shares(3), [(0, 5460), (5461, 10922), (10923, 16383)]);
        for masters in [1, 3, 7, 100, 16384] {
            let all = shares(masters);
            assert_eq!((all[0].0, all[masters - 1].1), (0, SLOTS - 1));
            assert!(all.windows(2).all(|w| w[0].1 + 1 == w[1].0), "{masters}");
        }
    }

    #[test]
    fn replicas_keep_away_from_their_masters() {
        for (hosts, masters) in [
            (vec!["a", "a", "b", "b", "c", "c"], 3),
            (vec!["a", "a", "a", "b", "b", "b"], 3),
            (vec!["a", "b", "c", "a", "b", "c", "a", "b", "c"], 3),
            (vec!["a", "a", "a", "b", "b", "b", "c", "c", "c"], 3),
            (vec!["a", "b", "c", "d", "a", "b", "c"], 3),
        ] {
            let roles = roles(&hosts, masters);
            assert_eq!(offending(&hosts, &roles).0, 0, "{hosts:?}: {roles:?}");
            let mut all: Vec<usize> =
                roles.masters.iter().copied().chain(roles.replicas.iter().map(|r| r.0)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..hosts.len()).collect::<Vec<_>>());
        }
        let one_host = roles(&["a"; 6], 3);
        assert_eq!(offending(&["a"; 6], &one_host).0, 3);
    }
}
