//! The subcommands of CLUSTER: those that change something go through the core, the others show what it holds.

use slotproof_model::view::{Endpoint, View};
use slotproof_model::{Command, CommandError, Input, NodeId, Reply as Answer};

use super::Cluster;
use super::clocks::Shown;
use crate::resp::Args;
use crate::server::{Client, Server};

/// Runs a subcommand; `args` begins with CLUSTER.
pub(super) fn command(cluster: &mut Cluster, server: &mut Server, client: &mut Client, args: Args<'_>) {
    let words: Vec<&[u8]> = args.from(1).iter().collect();
    match Command::parse(&words, &cluster.config.rules) {
        Ok(command) => {
            let dice = cluster.roll();
            cluster.saving_by_command = matches!(command, Command::SaveConfig);
            let answer = cluster.input(server, Input::Command { command, dice }, None);
            cluster.saving_by_command = false;
            match answer {
                Some(Answer::Ok) | None => client.reply.ok(),
                Some(Answer::Status(text)) => client.reply.status(&text),
                Some(Answer::Error(text)) => client.reply.error(&*text),
            }
        }
        Err(CommandError::Unknown) => show(cluster, client, &words),
        Err(CommandError::Arity(name)) => {
            client.reply.error(format!("wrong number of arguments for 'cluster|{name}' command"));
        }
        Err(CommandError::Text(text)) => client.reply.error(text),
    }
}

fn show(cluster: &Cluster, client: &mut Client, words: &[&[u8]]) {
    let Some((name, rest)) = words.split_first() else { return client.reply.error("syntax error") };
    let view = View {
        state: &cluster.core,
        endpoint: cluster.config.endpoint,
        tls_cluster: false,
        tls_client: false,
        my_offset: 0,
    };
    let connected = |id: &NodeId| cluster.links.outbound(id).is_some();
    let stamps = Shown { clocks: &cluster.clocks, connected: &connected };
    let node = rest.first().copied().unwrap_or_default();
    let reply = &mut client.reply;
    match name.to_ascii_lowercase().as_slice() {
        b"info" => {
            let mut statistics = cluster.statistics;
            statistics.links_over_limit = cluster.links.over_limit;
            reply.verbatim(view.info().text(&statistics));
        }
        b"nodes" => reply.verbatim(view.nodes(&stamps)),
        b"myid" => reply.bulk(cluster.core.me().as_bytes()),
        b"slots" => slots(&view, client),
        b"shards" => shards(&view, client),
        b"slaves" | b"replicas" => match view.replicas_of(node, &stamps) {
            Ok(lines) => {
                reply.array(lines.len());
                lines.iter().for_each(|l| reply.bulk(l));
            }
            Err(text) => reply.error(text),
        },
        b"count-failure-reports" => match view.count_failure_reports(node) {
            Ok(n) => reply.int(i64::try_from(n).unwrap_or(i64::MAX)),
            Err(text) => reply.error(text),
        },
        b"links" => links(cluster, client),
        b"failover" if rest.len() > 1 => reply.error(too_many(name)),
        b"failover" if rest.iter().any(|w| !is_failover_option(w)) => reply.error("syntax error"),
        b"failover" => {
            let me = cluster.core.myself();
            reply.error(if me.is_replica() {
                "Manual failover needs replication, which this version does not have"
            } else {
                "You should send CLUSTER FAILOVER to a replica"
            });
        }
        _ => reply.error(format!("unknown subcommand '{}'. Try CLUSTER HELP.", shown(name))),
    }
}

fn is_failover_option(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"force") || word.eq_ignore_ascii_case(b"takeover")
}

fn too_many(name: &[u8]) -> String {
    format!("unknown subcommand or wrong number of arguments for '{}'. Try CLUSTER HELP.", shown(name))
}

/// The beginning of a word, as errors repeat it.
fn shown(word: &[u8]) -> String {
    String::from_utf8_lossy(word).chars().take(128).collect()
}

fn slots(view: &View<'_>, client: &mut Client) {
    let ranges = view.slots();
    client.reply.array(ranges.len());
    for range in &ranges {
        client.reply.array(3 + range.replicas.len());
        client.reply.int(i64::from(u16::from(range.first)));
        client.reply.int(i64::from(u16::from(range.last)));
        for node in std::iter::once(&range.owner).chain(&range.replicas) {
            endpoint(node, client);
        }
    }
}

fn endpoint(node: &Endpoint<'_>, client: &mut Client) {
    let reply = &mut client.reply;
    reply.array(4);
    match node.endpoint {
        Some(text) => reply.bulk(text),
        None => reply.null(),
    }
    reply.int(node.port.into());
    reply.bulk(node.id.as_bytes());
    reply.map(node.metadata.len());
    for (key, value) in &node.metadata {
        reply.bulk(key);
        reply.bulk(value);
    }
}

fn shards(view: &View<'_>, client: &mut Client) {
    let shards = view.shards();
    let reply = &mut client.reply;
    reply.array(shards.len());
    for shard in &shards {
        reply.map(2);
        reply.bulk("slots");
        reply.array(2 * shard.slots.len());
        for (first, last) in &shard.slots {
            reply.int(i64::from(u16::from(*first)));
            reply.int(i64::from(u16::from(*last)));
        }
        reply.bulk("nodes");
        reply.array(shard.nodes.len());
        for node in &shard.nodes {
            let ports = [("port", node.port), ("tls-port", node.tls_port)];
            let known = ports.iter().filter(|(_, p)| p.is_some()).count();
            reply.map(6 + known + usize::from(node.hostname.is_some()));
            reply.bulk("id");
            reply.bulk(node.id.as_bytes());
            for (name, port) in ports {
                if let Some(port) = port {
                    reply.bulk(name);
                    reply.int(port.into());
                }
            }
            reply.bulk("ip");
            reply.bulk(node.ip);
            reply.bulk("endpoint");
            reply.bulk(node.endpoint);
            if let Some(hostname) = node.hostname {
                reply.bulk("hostname");
                reply.bulk(hostname);
            }
            reply.bulk("role");
            reply.bulk(node.role);
            reply.bulk("replication-offset");
            reply.int(i64::try_from(node.replication_offset).unwrap_or(i64::MAX));
            reply.bulk("health");
            reply.bulk(node.health);
        }
    }
}

fn links(cluster: &Cluster, client: &mut Client) {
    let reply = &mut client.reply;
    let links = &cluster.links;
    let of_peer = |id: NodeId| {
        let numbers = [links.outbound(&id), links.inbound(&id)];
        numbers.into_iter().flatten().filter_map(move |n| Some((links.get(n)?, id)))
    };
    let tied: Vec<_> = cluster.core.peers().iter().flat_map(|p| of_peer(p.id)).collect();
    reply.array(tied.len());
    for (link, peer) in tied {
        let waiting = i64::try_from(link.queued.get()).unwrap_or(i64::MAX);
        reply.map(6);
        reply.bulk("direction");
        reply.bulk(if link.outbound { "to" } else { "from" });
        reply.bulk("node");
        reply.bulk(peer.as_bytes());
        reply.bulk("create-time");
        reply.int(i64::try_from(link.opened).unwrap_or(i64::MAX));
        reply.bulk("events");
        reply.bulk(if waiting > 0 { "rw" } else { "r" });
        reply.bulk("send-buffer-allocated");
        reply.int(waiting);
        reply.bulk("send-buffer-used");
        reply.int(waiting);
    }
}
