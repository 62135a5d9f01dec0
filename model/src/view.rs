//! What CLUSTER NODES, INFO, SLOTS, SHARDS, REPLICAS and COUNT-FAILURE-REPORTS show of a node's state (rules.md section 19;
//! cluster.c `clusterCommand` and the functions it calls, 7.0).
//!
//! Data and text only: how they look in RESP is the server's, and so is what the core does not know ([`Stamps`], counts of
//! messages, my own replication offset). Nodes come sorted by name, where Redis has an arbitrary order.

use core::fmt::Write;

use crate::address::Flags;
use crate::config::EndpointType;
use crate::id::{Epoch, NodeId};
use crate::node_line::{NodeLine, Stamps};
use crate::slot::Slot;
use crate::state::{NodeState, Peer};
use crate::wire::{MESSAGE_TYPES, TYPE_NAMES};

/// A node's state as one client sees it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The state.
    pub state: &'a NodeState,
    /// `cluster-preferred-endpoint-type`.
    pub endpoint: EndpointType,
    /// The cluster is one of TLS: an address's `port` is the TLS port.
    pub tls_cluster: bool,
    /// The client came by TLS. Another one is told plain-text ports where they are known.
    pub tls_client: bool,
    /// My own replication offset in bytes: as a master what I have written, as a replica what I have processed.
    pub my_offset: u64,
}

/// CLUSTER INFO, without statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterInfo {
    /// The cluster state is ok.
    pub state_ok: bool,
    /// Slots that have an owner.
    pub slots_assigned: u64,
    /// Slots whose owner is neither FAIL nor PFAIL.
    pub slots_ok: u64,
    /// Slots whose owner is PFAIL.
    pub slots_pfail: u64,
    /// Slots whose owner is FAIL.
    pub slots_fail: u64,
    /// Nodes in the table, myself and those in handshake included.
    pub known_nodes: u64,
    /// Voting masters, as of the last count.
    pub size: u64,
    /// currentEpoch.
    pub current_epoch: Epoch,
    /// My configEpoch; of a replica with a known master, the master's.
    pub my_epoch: Epoch,
}

/// What the server counted, for CLUSTER INFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Messages sent, by type ([`crate::Message::type_number`]).
    pub sent: [u64; MESSAGE_TYPES],
    /// Messages received, by type ([`crate::wire::packet_type`]), those that were dropped included.
    pub received: [u64; MESSAGE_TYPES],
    /// Links that were closed because their send buffer was over its limit.
    pub links_over_limit: u64,
}

/// One element of CLUSTER SLOTS: a maximal run of slots with one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRange<'a> {
    /// The first slot.
    pub first: Slot,
    /// The last slot.
    pub last: Slot,
    /// The owner.
    pub owner: Endpoint<'a>,
    /// Its replicas, without those that are FAIL or have no data yet.
    pub replicas: Vec<Endpoint<'a>>,
}

/// Where a client finds a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// The preferred endpoint; nothing (null) where the client takes the host that it is connected to.
    pub endpoint: Option<&'a str>,
    /// The port.
    pub port: u16,
    /// The node's name.
    pub id: NodeId,
    /// What else is known of its place, as names and values.
    pub metadata: Vec<(&'static str, &'a str)>,
}

/// One element of CLUSTER SHARDS: a master and its replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard<'a> {
    /// The slots, as maximal runs, both ends included.
    pub slots: Vec<(Slot, Slot)>,
    /// The master, then its replicas.
    pub nodes: Vec<ShardNode<'a>>,
}

/// A node in CLUSTER SHARDS, its fields in the order of the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardNode<'a> {
    /// `id`.
    pub id: NodeId,
    /// `port`: the plain-text port, if it is known.
    pub port: Option<u16>,
    /// `tls-port`, if there is one.
    pub tls_port: Option<u16>,
    /// `ip`.
    pub ip: &'a str,
    /// `endpoint`; empty where the client takes the host that it is connected to.
    pub endpoint: &'a str,
    /// `hostname`, if it is known.
    pub hostname: Option<&'a str>,
    /// `role`: `master` or `replica`.
    pub role: &'static str,
    /// `replication-offset`.
    pub replication_offset: u64,
    /// `health`: `fail`, `loading` or `online`.
    pub health: &'static str,
}

impl<'a> View<'a> {
    /// The text of CLUSTER NODES.
    pub fn nodes(&self, stamps: &impl Stamps) -> String {
        let mut out = String::new();
        for peer in self.state.peers() {
            self.write_line(peer, stamps, &mut out);
            out.push('\n');
        }
        out
    }

    /// A node's line of CLUSTER NODES, without its end.
    pub fn nodes_line(&self, peer: &Peer, stamps: &impl Stamps) -> String {
        let mut out = String::new();
        self.write_line(peer, stamps, &mut out);
        out
    }

    /// The lines of CLUSTER REPLICAS and SLAVES for the node named by the argument, or the error without `-ERR `.
    pub fn replicas_of(&self, node: &[u8], stamps: &impl Stamps) -> Result<Vec<String>, String> {
        let node = self.named(node)?;
        if node.is_replica() {
            return Err("The specified node is not a master".into());
        }
        Ok(self.replicas(&node.id).map(|p| self.nodes_line(p, stamps)).collect())
    }

    /// COUNT-FAILURE-REPORTS of the node named by the argument, or the error without `-ERR `.
    pub fn count_failure_reports(&self, node: &[u8]) -> Result<u64, String> {
        Ok(self.named(node)?.reports.len() as u64)
    }

    /// CLUSTER INFO.
    pub fn info(&self) -> ClusterInfo {
        let (mut ok, mut pfail, mut fail) = (0, 0, 0);
        for peer in self.state.peers() {
            let count = match peer {
                p if p.is_fail() => &mut fail,
                p if p.is_pfail() => &mut pfail,
                _ => &mut ok,
            };
            *count += u64::from(peer.slot_count);
        }
        ClusterInfo {
            state_ok: self.state.state_ok(),
            slots_assigned: ok + pfail + fail,
            slots_ok: ok,
            slots_pfail: pfail,
            slots_fail: fail,
            known_nodes: self.state.peers().len() as u64,
            size: u64::from(self.state.size()),
            current_epoch: self.state.current_epoch(),
            my_epoch: self.state.shown_epoch(self.state.myself()),
        }
    }

    /// CLUSTER SLOTS, ascending.
    pub fn slots(&self) -> Vec<SlotRange<'a>> {
        let mut all: Vec<SlotRange<'a>> = Vec::new();
        for owner in self.state.peers().iter().filter(|p| p.slot_count > 0) {
            let replicas: Vec<Endpoint<'a>> = self
                .replicas(&owner.id)
                .filter(|p| !p.is_fail() && self.offset(p) != 0)
                .map(|p| self.endpoint_of(p))
                .collect();
            all.extend(owner.slots.ranges().map(|(first, last)| SlotRange {
                first,
                last,
                owner: self.endpoint_of(owner),
                replicas: replicas.clone(),
            }));
        }
        all.sort_by_key(|range| range.first);
        all
    }

    /// CLUSTER SHARDS: one for each master, with slots or without. Nodes in handshake are none.
    pub fn shards(&self) -> Vec<Shard<'a>> {
        let masters = self.state.peers().iter().filter(|p| p.is_master());
        let shard = |master: &'a Peer| Shard {
            slots: master.slots.ranges().collect(),
            nodes: core::iter::once(master)
                .chain(self.replicas(&master.id))
                .map(|p| self.shard_node(p))
                .collect(),
        };
        masters.map(shard).collect()
    }

    fn write_line(&self, peer: &Peer, stamps: &impl Stamps, out: &mut String) {
        let is_me = peer.id == self.state.me();
        let line = NodeLine {
            id: &peer.id,
            ip: &peer.address.ip,
            port: peer.address.client_port(self.tls_client),
            cport: peer.address.cport,
            hostname: peer.hostname.as_deref(),
            flags: peer.flags,
            master: peer.master.as_ref().filter(|_| peer.is_replica()),
            epoch: self.state.shown_epoch(peer),
            slots: &peer.slots,
            open: is_me.then(|| (self.state.migrating(), self.state.importing())),
        };
        line.write(stamps, out);
    }

    fn endpoint_of(&self, peer: &'a Peer) -> Endpoint<'a> {
        let hostname = known(peer);
        let mut metadata = Vec::new();
        if self.endpoint != EndpointType::Ip {
            metadata.push(("ip", &*peer.address.ip));
        }
        if let Some(hostname) = hostname.filter(|_| self.endpoint != EndpointType::Hostname) {
            metadata.push(("hostname", hostname));
        }
        Endpoint {
            endpoint: self.endpoint.endpoint(&peer.address.ip, hostname),
            port: peer.address.client_port(self.tls_client),
            id: peer.id,
            metadata,
        }
    }

    fn shard_node(&self, peer: &'a Peer) -> ShardNode<'a> {
        let address = &peer.address;
        let (plain, tls) = if self.tls_cluster { (address.pport, address.port) } else { (address.port, 0) };
        let offset = self.offset(peer);
        ShardNode {
            id: peer.id,
            port: (plain != 0).then_some(plain),
            tls_port: (tls != 0).then_some(tls),
            ip: &address.ip,
            endpoint: self.endpoint.endpoint(&address.ip, known(peer)).unwrap_or(""),
            hostname: known(peer),
            role: if peer.is_replica() { "replica" } else { "master" },
            replication_offset: offset,
            health: match peer {
                p if p.is_fail() => "fail",
                p if p.is_replica() && offset == 0 => "loading",
                _ => "online",
            },
        }
    }

    fn replicas(&self, master: &NodeId) -> impl Iterator<Item = &'a Peer> + use<'a> {
        let master = *master;
        self.state.peers().iter().filter(move |p| p.is_replica() && p.master == Some(master))
    }

    fn offset(&self, peer: &Peer) -> u64 {
        if peer.flags.any(Flags::MYSELF) { self.my_offset } else { peer.offset }
    }

    fn named(&self, node: &[u8]) -> Result<&'a Peer, String> {
        let found = NodeId::parse(node).ok().and_then(|id| self.state.peer(&id));
        found.ok_or_else(|| format!("Unknown node {}", String::from_utf8_lossy(node)))
    }
}

impl ClusterInfo {
    /// The text of CLUSTER INFO.
    pub fn text(&self, statistics: &Statistics) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: &dyn core::fmt::Display| {
            write!(out, "{name}:{value}\r\n").expect("a string takes every write");
        };
        line("cluster_state", &if self.state_ok { "ok" } else { "fail" });
        line("cluster_slots_assigned", &self.slots_assigned);
        line("cluster_slots_ok", &self.slots_ok);
        line("cluster_slots_pfail", &self.slots_pfail);
        line("cluster_slots_fail", &self.slots_fail);
        line("cluster_known_nodes", &self.known_nodes);
        line("cluster_size", &self.size);
        line("cluster_current_epoch", &self.current_epoch);
        line("cluster_my_epoch", &self.my_epoch);
        for (way, counts) in [("sent", &statistics.sent), ("received", &statistics.received)] {
            for (name, &count) in TYPE_NAMES.iter().zip(counts).filter(|(_, count)| **count > 0) {
                line(&format!("cluster_stats_messages_{name}_{way}"), &count);
            }
            let all: u64 = counts.iter().fold(0, |sum, &n| sum.saturating_add(n));
            line(&format!("cluster_stats_messages_{way}"), &all);
        }
        line("total_cluster_links_buffer_limit_exceeded", &statistics.links_over_limit);
        out
    }
}

fn known(peer: &Peer) -> Option<&str> {
    peer.hostname.as_deref().filter(|h| !h.is_empty())
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::nodes_conf::{self, Loaded};
    use crate::{Address, Config, NoStamps, Report};

    const FILE: &str = "\
08c40e65ca1a2ba5e5d1b3b2c8c3d2a3c0fa1d34 127.0.0.1:7001@17001,a.example.org master - 0 17 2 connected 10-19 30
29a5fe4d3a5b3ae8aafca4dd5f5b7d7ed9e6a1b2 127.0.0.1:7002@17002 master,fail - 3 4 3 disconnected 20-24
4a1c3b5d7e9f0a2b4c6d8e0f1a3b5c7d9e0f2a4b 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-9 [8->-08c40e65ca1a2ba5e5d1b3b2c8c3d2a3c0fa1d34] [30-<-08c40e65ca1a2ba5e5d1b3b2c8c3d2a3c0fa1d34]
5a1c3b5d7e9f0a2b4c6d8e0f1a3b5c7d9e0f2a4b 127.0.0.1:7003@17003 slave 08c40e65ca1a2ba5e5d1b3b2c8c3d2a3c0fa1d34 0 5 2 connected
6a1c3b5d7e9f0a2b4c6d8e0f1a3b5c7d9e0f2a4b 127.0.0.1:7004@17004 slave,fail? 08c40e65ca1a2ba5e5d1b3b2c8c3d2a3c0fa1d34 0 5 2 connected
vars currentEpoch 3 lastVoteEpoch 0
";

    fn cluster() -> (Loaded, NodeState) {
        let loaded = nodes_conf::parse(FILE.as_bytes()).expect("well formed").expect("not empty");
        let announce = Address { ip: "".into(), port: 7000, pport: 0, cport: 17000 };
        let mut state = NodeState::from_saved(&loaded.saved, &Config { announce, ..Config::default() });
        let replica = "5a1c3b5d7e9f0a2b4c6d8e0f1a3b5c7d9e0f2a4b".parse().expect("a name");
        state.peer_mut(&replica).expect("known").offset = 99;
        (loaded, state)
    }

    fn view(state: &NodeState) -> View<'_> {
        View { state, endpoint: EndpointType::Ip, tls_cluster: false, tls_client: false, my_offset: 7 }
    }

    #[test]
    fn nodes_are_the_lines_of_the_file() {
        let (loaded, mut state) = cluster();
        let lines = FILE.split_inclusive('\n').take(5).collect::<String>();
        assert_eq!(view(&state).nodes(&loaded), lines);
        // Nodes in handshake are shown too, unlike in the file.
        let name = NodeId::parse(&[b'z'; 40]).expect("a name");
        let address = Address { ip: "10.0.0.1".into(), port: 1, pport: 2, cport: 3 };
        state.insert_peer(Peer::new(name, address, Flags::HANDSHAKE.with(Flags::MEET), 16384));
        let line = format!("{name} 10.0.0.1:2@3 handshake - 0 0 0 disconnected\n");
        assert_eq!(view(&state).nodes(&loaded), lines + &line);
        let tls = View { tls_client: true, ..view(&state) };
        assert!(tls.nodes(&NoStamps).ends_with(" 10.0.0.1:1@3 handshake - 0 0 0 disconnected\n"));
        assert!(!nodes_conf::render(&state.saved(), &loaded).contains("handshake"));
    }

    #[test]
    fn a_slot_that_is_both_open_ways_is_shown_as_migrating() {
        let (_, mut state) = cluster();
        let other = state.peers()[0].id;
        state.set_importing(Slot::new(8), Some(other));
        assert!(view(&state).nodes(&NoStamps).contains(&format!(" 0-9 [8->-{other}] [30-<-{other}]\n")));
    }

    #[test]
    fn info() {
        let (_, state) = cluster();
        let mut statistics = Statistics { links_over_limit: 2, ..Statistics::default() };
        (statistics.sent[0], statistics.sent[5], statistics.received[1]) = (4, 1, 3);
        let text = view(&state).info().text(&statistics);
        let want = "cluster_state:fail|cluster_slots_assigned:26|cluster_slots_ok:21|cluster_slots_pfail:0|\
            cluster_slots_fail:5|cluster_known_nodes:5|cluster_size:1|cluster_current_epoch:3|cluster_my_epoch:1|\
            cluster_stats_messages_ping_sent:4|cluster_stats_messages_auth-req_sent:1|cluster_stats_messages_sent:5|\
            cluster_stats_messages_pong_received:3|cluster_stats_messages_received:3|\
            total_cluster_links_buffer_limit_exceeded:2|";
        assert_eq!(text.replace("\r\n", "|"), want);
    }

    #[test]
    fn slots_leave_out_replicas_without_data_and_failed_ones() {
        let (_, mut state) = cluster();
        let ranges = |state: &NodeState| -> Vec<(u16, u16, u16, Vec<u16>)> {
            let of = |r: SlotRange<'_>| {
                let replicas = r.replicas.iter().map(|n| n.port).collect();
                (r.first.into(), r.last.into(), r.owner.port, replicas)
            };
            view(state).slots().into_iter().map(of).collect()
        };
        let want = [
            (0, 9, 7000, vec![]),
            (10, 19, 7001, vec![7003]),
            (20, 24, 7002, vec![]),
            (30, 30, 7001, vec![7003]),
        ];
        assert_eq!(ranges(&state), want);
        let replica = state.peers()[3].id;
        state.peer_mut(&replica).expect("known").flags = Flags::REPLICA.with(Flags::FAIL);
        assert_eq!(ranges(&state)[1], (10, 19, 7001, vec![]));
    }

    #[test]
    fn endpoints_by_preferred_type() {
        let (_, state) = cluster();
        let shown = |endpoint| {
            let all = View { endpoint, ..view(&state) }.slots();
            all.into_iter().take(2).map(|r| (r.owner.endpoint, r.owner.metadata)).collect::<Vec<_>>()
        };
        let (ip, host) = ("127.0.0.1", "a.example.org");
        assert_eq!(shown(EndpointType::Ip), [(Some(ip), vec![]), (Some(ip), vec![("hostname", host)])]);
        let by_name = [(Some("?"), vec![("ip", ip)]), (Some(host), vec![("ip", ip)])];
        assert_eq!(shown(EndpointType::Hostname), by_name);
        let unknown = [(None, vec![("ip", ip)]), (None, vec![("ip", ip), ("hostname", host)])];
        assert_eq!(shown(EndpointType::Unknown), unknown);
    }

    #[test]
    fn shards() {
        let (_, state) = cluster();
        let all = view(&state).shards();
        let ports: Vec<Vec<_>> =
            all.iter().map(|s| s.nodes.iter().map(|n| (n.port, n.role, n.health)).collect()).collect();
        let want: [&[_]; 3] = [
            &[(7001, "master", "online"), (7003, "replica", "online"), (7004, "replica", "loading")],
            &[(7002, "master", "fail")],
            &[(7000, "master", "online")],
        ];
        assert_eq!(ports, want.map(|s| s.iter().map(|n| (Some(n.0), n.1, n.2)).collect::<Vec<_>>()));
        assert_eq!(
            all[0].slots.iter().map(|r| (r.0.into(), r.1.into())).collect::<Vec<(u16, u16)>>(),
            [(10, 19), (30, 30)]
        );
        assert_eq!(all[2].nodes[0].replication_offset, 7);
        assert_eq!(
            (all[0].nodes[0].endpoint, all[0].nodes[0].hostname),
            ("127.0.0.1", Some("a.example.org"))
        );
        let tls = View { tls_cluster: true, endpoint: EndpointType::Unknown, ..view(&state) }.shards();
        let node = &tls[1].nodes[0];
        assert_eq!((node.port, node.tls_port, node.endpoint), (None, Some(7002), ""));
    }

    #[test]
    fn replicas_and_reports() {
        let (loaded, mut state) = cluster();
        let (master, replica) = (state.peers()[0].id, state.peers()[3].id);
        let lines: Vec<&str> = FILE.lines().skip(3).take(2).collect();
        let of = |id: &NodeId| view(&state).replicas_of(id.as_bytes(), &loaded);
        assert_eq!(of(&master).expect("a master"), lines);
        assert_eq!(of(&replica), Err("The specified node is not a master".into()));
        assert_eq!(view(&state).replicas_of(b"nobody", &loaded), Err("Unknown node nobody".into()));
        state.peer_mut(&master).expect("known").reports =
            vec![Report { reporter: replica, before_fail: false }];
        assert_eq!(view(&state).count_failure_reports(master.as_bytes()), Ok(1));
        assert_eq!(view(&state).count_failure_reports(replica.as_bytes()), Ok(0));
        assert_eq!(view(&state).count_failure_reports(b"x"), Err("Unknown node x".into()));
    }
}
