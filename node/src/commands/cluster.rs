//! The commands of a cluster node. What changes or shows the cluster goes to its hook; what is only about
//! keys is answered here.

use slotproof_model::{SLOTS, Slot, key_slot};

use super::{Spec, help, text};
use crate::resp::{Args, parse_i64};
use crate::server::{Client, Server};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[
    Spec::new("asking", 1, "fast", "fast connection", asking).about(
        "cluster",
        "3.0.0",
        "Lets the next command in on a slot that is being imported.",
    ),
    Spec::new("readonly", 1, "loading stale fast", "fast connection", readonly).about(
        "cluster",
        "3.0.0",
        "Allows reads on a replica.",
    ),
    Spec::new("readwrite", 1, "loading stale fast", "fast connection", readwrite).about(
        "cluster",
        "3.0.0",
        "Takes READONLY back.",
    ),
    Spec::new("cluster", -2, "", "slow", hook)
        .about("cluster", "3.0.0", "Looks at and changes the cluster.")
        .subs(CLUSTER_SUBS),
];

static CLUSTER_SUBS: &[Spec] = &[
    Spec::new("addslots", -3, "admin stale no_async_loading", "admin slow dangerous", hook).about(
        "cluster",
        "3.0.0",
        "Assigns slots to this node.",
    ),
    Spec::new("addslotsrange", -4, "admin stale no_async_loading", "admin slow dangerous", hook).about(
        "cluster",
        "7.0.0",
        "Assigns ranges of slots to this node.",
    ),
    Spec::new("bumpepoch", 2, "admin stale no_async_loading", "admin slow dangerous", hook)
        .tips("nondeterministic_output")
        .about("cluster", "3.0.0", "Raises the configuration epoch of this node."),
    Spec::new("count-failure-reports", 3, "admin stale", "admin slow dangerous", hook)
        .tips("nondeterministic_output")
        .about("cluster", "3.0.0", "Counts who reports a node as failing."),
    Spec::new("countkeysinslot", 3, "stale", "slow", count_keys).about(
        "cluster",
        "3.0.0",
        "Counts the keys of a slot.",
    ),
    Spec::new("delslots", -3, "admin stale no_async_loading", "admin slow dangerous", hook).about(
        "cluster",
        "3.0.0",
        "Forgets the owners of slots.",
    ),
    Spec::new("delslotsrange", -4, "admin stale no_async_loading", "admin slow dangerous", hook).about(
        "cluster",
        "7.0.0",
        "Forgets the owners of ranges of slots.",
    ),
    Spec::new("failover", -2, "admin stale no_async_loading", "admin slow dangerous", hook).about(
        "cluster",
        "3.0.0",
        "Lets a replica take over from its master.",
    ),
    Spec::new("flushslots", 2, "admin stale no_async_loading", "admin slow dangerous", hook).about(
        "cluster",
        "3.0.0",
        "Forgets the slots of this node.",
    ),
    Spec::new("forget", 3, "admin stale no_async_loading", "admin slow dangerous", hook).about(
        "cluster",
        "3.0.0",
        "Removes a node from the table of this one.",
    ),
    Spec::new("getkeysinslot", 4, "stale", "slow", get_keys).tips("nondeterministic_output").about(
        "cluster",
        "3.0.0",
        "Lists keys of a slot.",
    ),
    Spec::new("help", 2, "loading stale", "slow", cluster_help).about(
        "cluster",
        "5.0.0",
        "Lists the subcommands.",
    ),
    Spec::new("info", 2, "stale", "slow", hook).tips("nondeterministic_output").about(
        "cluster",
        "3.0.0",
        "Describes the state of the cluster.",
    ),
    Spec::new("keyslot", 3, "stale", "slow", keyslot).about("cluster", "3.0.0", "Answers the slot of a key."),
    Spec::new("links", 2, "stale", "slow", hook).tips("nondeterministic_output").about(
        "cluster",
        "7.0.0",
        "Describes the links to and from peers.",
    ),
    Spec::new("meet", -4, "admin stale no_async_loading", "admin slow dangerous", hook).about(
        "cluster",
        "3.0.0",
        "Introduces another node.",
    ),
    Spec::new("myid", 2, "stale", "slow", hook).about("cluster", "3.0.0", "Answers the name of this node."),
    Spec::new("nodes", 2, "stale", "slow", hook).tips("nondeterministic_output").about(
        "cluster",
        "3.0.0",
        "Lists the nodes as this one sees them.",
    ),
    Spec::new("replicas", 3, "admin stale", "admin slow dangerous", hook)
        .tips("nondeterministic_output")
        .about("cluster", "5.0.0", "Lists the replicas of a master."),
    Spec::new("replicate", 3, "admin stale no_async_loading", "admin slow dangerous", hook).about(
        "cluster",
        "3.0.0",
        "Makes this node a replica.",
    ),
    Spec::new("reset", -2, "admin noscript stale", "admin slow dangerous", hook).about(
        "cluster",
        "3.0.0",
        "Makes this node leave its cluster.",
    ),
    Spec::new("saveconfig", 2, "admin stale no_async_loading", "admin slow dangerous", hook).about(
        "cluster",
        "3.0.0",
        "Writes the configuration of the cluster to disk.",
    ),
    Spec::new("set-config-epoch", 3, "admin stale no_async_loading", "admin slow dangerous", hook).about(
        "cluster",
        "3.0.0",
        "Sets the configuration epoch of a new node.",
    ),
    Spec::new("setslot", -4, "admin stale no_async_loading", "admin slow dangerous", hook).about(
        "cluster",
        "3.0.0",
        "Opens, closes or hands over a slot.",
    ),
    Spec::new("shards", 2, "stale", "slow", hook).tips("nondeterministic_output").about(
        "cluster",
        "7.0.0",
        "Describes the shards.",
    ),
    Spec::new("slaves", 3, "admin stale", "admin slow dangerous", hook)
        .tips("nondeterministic_output")
        .about("cluster", "3.0.0", "Lists the replicas of a master."),
    Spec::new("slots", 2, "stale", "slow", hook).tips("nondeterministic_output").about(
        "cluster",
        "3.0.0",
        "Answers which node serves which slots.",
    ),
];

/// Whether this is a cluster node; the error is written if it is not.
fn enabled(server: &Server, client: &mut Client) -> bool {
    let enabled = server.cluster_enabled();
    if !enabled {
        client.reply.error(text::NO_CLUSTER);
    }
    enabled
}

fn asking(server: &mut Server, client: &mut Client, _: Args<'_>) {
    if enabled(server, client) {
        client.asking = true;
        client.reply.ok();
    }
}

fn readonly(server: &mut Server, client: &mut Client, _: Args<'_>) {
    if enabled(server, client) {
        client.readonly = true;
        client.reply.ok();
    }
}

fn readwrite(server: &mut Server, client: &mut Client, _: Args<'_>) {
    if enabled(server, client) {
        client.readonly = false;
        client.reply.ok();
    }
}

fn hook(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if server.with_cluster(|cluster, server| cluster.command(server, client, args)).is_none() {
        client.reply.error(text::NO_CLUSTER);
    }
}

fn cluster_help(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if enabled(server, client) {
        help(client, "cluster", args);
    }
}

fn keyslot(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if enabled(server, client) {
        client.reply.len(key_slot(&args[2]).index());
    }
}

fn count_keys(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if !enabled(server, client) {
        return;
    }
    match parse_i64(&args[2]) {
        None => client.reply.error(text::NOT_INT),
        Some(n) => match slot(n) {
            Some(slot) => client.reply.len(server.keyspace().slot_len(slot)),
            None => client.reply.error("Invalid slot"),
        },
    }
}

fn get_keys(server: &mut Server, client: &mut Client, args: Args<'_>) {
    if !enabled(server, client) {
        return;
    }
    let (Some(n), Some(count)) = (parse_i64(&args[2]), parse_i64(&args[3])) else {
        return client.reply.error(text::NOT_INT);
    };
    let (Some(slot), Ok(count)) = (slot(n), usize::try_from(count)) else {
        return client.reply.error("Invalid slot or number of keys");
    };
    let keyspace = server.keyspace();
    client.reply.array(count.min(keyspace.slot_len(slot)));
    for key in keyspace.keys_in_slot(slot).take(count) {
        client.reply.bulk(key);
    }
}

fn slot(n: i64) -> Option<Slot> {
    u16::try_from(n).ok().filter(|&n| n < SLOTS).map(Slot::new)
}
