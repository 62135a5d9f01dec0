//! `create`: empty nodes become a cluster. Who is master and who replicates whom is planned before anything is sent; what an interrupted run
//! left is recognised by that plan, and finished.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use slotproof_model::{Epoch, Flags, NodeId, SLOTS, SavedNode, SlotSet};

use super::health::check;
use super::layout::{Roles, offending, roles, shares};
use super::survey::{Survey, enter, ranges_text, set_of};
use super::{Console, JOINING, accepted, failed, within};
use crate::reshard::{Access, Peer};

/// Clusters are not larger (Redis recommends no more nodes).
const MOST_MASTERS: usize = 1000;

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

/// A node that is to be part of a cluster, as it was when it was asked.
pub(super) struct Newcomer {
    pub(super) id: NodeId,
    /// What it says of itself.
    pub(super) me: SavedNode,
    /// The nodes that it knows, itself too.
    pub(super) view: Vec<SavedNode>,
    /// Whether slots are open at it.
    open: bool,
    ip: String,
    pub(super) peer: Peer,
}

impl Newcomer {
    /// Asks a node what it is; it must be in cluster mode.
    pub(super) fn ask(mut peer: Peer) -> io::Result<Self> {
        let address = peer.address();
        let info = peer.text(&["INFO", "cluster"])?;
        if !info.lines().any(|l| l.trim() == "cluster_enabled:1") {
            return Err(failed(format!("[ERR] Node {address} is not configured as a cluster node.")));
        }
        let saved = peer.view()?.saved;
        let me = saved.nodes.iter().find(|n| n.id == saved.me).cloned();
        let me = me.ok_or_else(|| failed(format!("{address}: does not list itself")))?;
        let open = !saved.migrating.is_empty() || !saved.importing.is_empty();
        Ok(Self { id: me.id, me, view: saved.nodes, open, ip: peer.ip()?, peer })
    }

    /// Whether it is alone, without slots and a master.
    pub(super) fn is_fresh(&self) -> bool {
        self.view.len() == 1 && self.me.slots.is_empty() && self.me.flags.any(Flags::MASTER)
    }

    /// Whether it has no keys.
    pub(super) fn is_empty(&mut self) -> io::Result<bool> {
        Ok(self.peer.count(&["DBSIZE"])? == 0)
    }

    /// What keeps it from being part of a new cluster.
    pub(super) fn is_not_empty(&self, why: &str) -> io::Error {
        failed(format!(
            "[ERR] Node {} is not empty. Either the node already knows other nodes (check with CLUSTER NODES) or contains some key in \
             database 0.{why}",
            self.peer.address()
        ))
    }
}

/// What each node is to become: its slots, and its master.
struct Plan<'a> {
    roles: &'a Roles,
    slots: BTreeMap<NodeId, SlotSet>,
    masters: BTreeMap<NodeId, NodeId>,
}

impl<'a> Plan<'a> {
    fn new(nodes: &[Newcomer], roles: &'a Roles, shares: &[(u16, u16)]) -> Self {
        let set = |&(first, last): &(u16, u16)| set_of(first..=last);
        let slots = roles.masters.iter().zip(shares).map(|(&i, share)| (nodes[i].id, set(share))).collect();
        let masters = roles.replicas.iter().map(|&(i, master)| (nodes[i].id, nodes[master].id)).collect();
        Self { roles, slots, masters }
    }

    fn has_its_slots(&self, node: &SavedNode) -> bool {
        match self.slots.get(&node.id) {
            Some(slots) => node.slots == *slots,
            None => node.slots.is_empty(),
        }
    }

    fn has_its_master(&self, node: &SavedNode) -> bool {
        node.master == self.masters.get(&node.id).copied()
    }

    fn knows_all(&self, view: &[SavedNode]) -> bool {
        view.len() == self.slots.len() + self.masters.len()
    }

    /// Why a node is not what this plan makes of it when it is interrupted anywhere, if it is not.
    fn differs(&self, node: &Newcomer) -> Option<String> {
        if node.open {
            return Some("it has open slots".into());
        }
        node.view.iter().find_map(|seen| {
            let known = self.slots.contains_key(&seen.id) || self.masters.contains_key(&seen.id);
            match () {
                () if !known => Some(format!("it knows {}, which is not among the nodes", seen.id)),
                () if !seen.slots.is_empty() && !self.has_its_slots(seen) => {
                    Some(format!("{} has the slots {} there", seen.id, ranges_text(&seen.slots)))
                }
                () if seen.master.is_some() && !self.has_its_master(seen) => {
                    Some(format!("{} replicates another node there", seen.id))
                }
                () => None,
            }
        })
    }
}

/// Makes a cluster.
///
/// # Errors
/// When a node is not fit, the plan is not accepted, or a node refuses.
pub fn create(console: &mut dyn Console, wanted: &Create, access: &Access) -> io::Result<()> {
    let mut nodes: Vec<Newcomer> = Vec::with_capacity(wanted.nodes.len());
    for address in &wanted.nodes {
        let node = Newcomer::ask(enter(address, access)?)?;
        if nodes.iter().any(|n| n.id == node.id) {
            return Err(failed(format!("[ERR] Node {address} is named twice.")));
        }
        nodes.push(node);
    }
    let named: BTreeSet<NodeId> = nodes.iter().map(|n| n.id).collect();
    for node in &mut nodes {
        if !node.is_empty()? || node.view.iter().any(|seen| !named.contains(&seen.id)) {
            return Err(node.is_not_empty(""));
        }
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
    let plan = Plan::new(&nodes, &roles, &shares);
    for node in nodes.iter().filter(|n| !n.is_fresh()) {
        if let Some(why) = plan.differs(node) {
            let why = format!("\nNor is it what an interrupted run of this command leaves: {why}.");
            return Err(node.is_not_empty(&why));
        }
    }
    let begun = nodes.iter().filter(|n| !n.is_fresh()).count();
    if begun > 0 {
        console.say(format_args!(
            ">>> {begun} of these nodes are part of this configuration already, as an earlier run left them. What is missing is done."
        ));
    }
    if !accepted(console, wanted.yes, "Can I set the above configuration? (type 'yes' to accept): ")? {
        return Err(failed("the configuration was not accepted: nothing was done"));
    }
    configure(console, &mut nodes, &plan)?;
    check(console, &wanted.nodes[0], access, false)
}

fn show(console: &mut dyn Console, nodes: &[Newcomer], roles: &Roles, shares: &[(u16, u16)]) {
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

/// Does what is missing. Slots come ahead of epochs, and epochs ahead of the first MEET, so that what was interrupted is recognised.
fn configure(console: &mut dyn Console, nodes: &mut [Newcomer], plan: &Plan<'_>) -> io::Result<()> {
    go_on(console)?;
    for node in nodes.iter_mut().filter(|n| n.me.slots.is_empty()) {
        let Some(slots) = plan.slots.get(&node.id) else { continue };
        let slots: Vec<String> = slots.iter().map(|s| u16::from(s).to_string()).collect();
        let words: Vec<&str> =
            ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
        node.peer.command(&words)?;
        go_on(console)?;
    }
    console.say(format_args!(">>> Nodes configuration updated"));
    console.say(format_args!(">>> Assign a different config epoch to each node"));
    for (i, node) in nodes.iter_mut().enumerate() {
        if node.view.len() == 1 && node.me.config_epoch == Epoch::ZERO {
            node.peer.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(i + 1).to_string()])?;
            go_on(console)?;
        }
    }
    console.say(format_args!(">>> Sending CLUSTER MEET messages to join the cluster"));
    let [first, others @ ..] = nodes else { return Ok(()) };
    let (port, cport) = (first.peer.port.to_string(), first.me.address.cport.to_string());
    for node in others {
        let knows = |view: &[SavedNode], id| view.iter().any(|seen| seen.id == id);
        if !knows(&node.view, first.id) || !knows(&first.view, node.id) {
            node.peer.command(&["CLUSTER", "MEET", &first.ip, &port, &cport])?;
            go_on(console)?;
        }
    }
    console.say(format_args!("Waiting for the cluster to join"));
    wait(console, nodes, "know each other and their slots", |node| {
        let seen = node.peer.view()?.saved.nodes;
        Ok(plan.knows_all(&seen) && seen.iter().all(|n| plan.has_its_slots(n)))
    })?;
    for &(i, master) in &plan.roles.replicas {
        let id = nodes[master].id;
        if nodes[i].me.master != Some(id) {
            nodes[i].peer.command(&["CLUSTER", "REPLICATE", id.as_str()])?;
            go_on(console)?;
        }
    }
    wait(console, nodes, "know who replicates whom", |node| {
        Ok(node.peer.view()?.saved.nodes.iter().all(|n| plan.has_its_master(n)))
    })?;
    wait(console, nodes, "say that the cluster is ok", |node| {
        Ok(node.peer.text(&["CLUSTER", "INFO"])?.lines().any(|l| l.trim() == "cluster_state:ok"))
    })
}

/// Ends the work here if that was asked for.
fn go_on(console: &mut dyn Console) -> io::Result<()> {
    if console.stopped() {
        let text = "stopped: the nodes are not a cluster yet. To go on: the same command again, with the same nodes in the same order";
        return Err(io::Error::new(io::ErrorKind::Interrupted, text));
    }
    Ok(())
}

fn wait(
    console: &mut dyn Console,
    nodes: &mut [Newcomer],
    what: &str,
    so: impl Fn(&mut Newcomer) -> io::Result<bool>,
) -> io::Result<()> {
    for node in nodes {
        let in_time = within(JOINING, || {
            go_on(console)?;
            so(node)
        })?;
        if !in_time {
            return Err(failed(format!("{} does not, in {JOINING:?}, {what}", node.peer.address())));
        }
    }
    Ok(())
}

/// Nodes without any key, each with no slots or with just those of one of several masters, and slots of others missing: an interrupted run of
/// `create` leaves such, and nobody but another run of it, which knows the other nodes, can finish that. What to say of it.
pub(super) fn left_unfinished(survey: &mut Survey) -> io::Result<Option<String>> {
    let mut owned = Vec::new();
    for member in survey.members.iter().filter(|m| !m.slots.is_empty()) {
        let mut ranges = member.slots.ranges();
        let (Some((first, last)), None) = (ranges.next(), ranges.next()) else { return Ok(None) };
        owned.push((u16::from(first), u16::from(last)));
    }
    let fits = |&n: &usize| {
        let shares = shares(n);
        owned.iter().all(|share| shares.contains(share))
    };
    if owned.is_empty() || survey.uncovered().is_empty() || !survey.absent.is_empty() {
        return Ok(None);
    }
    let Some(masters) = (3..=MOST_MASTERS).find(fits) else { return Ok(None) };
    for member in &mut survey.members {
        if member.peer.count(&["DBSIZE"])? > 0 {
            return Ok(None);
        }
    }
    Ok(Some(format!(
        "there are no keys, and {} of {masters} masters have their slots, as an interrupted create leaves it: the same slotproof cluster \
         create again, with the same nodes in the same order, finishes it",
        owned.len()
    )))
}
