//! Publishing and subscribing (pubsub.c).

use super::{Spec, help, wrong_subcommand};
use crate::resp::{Args, Protocol};
use crate::server::{Client, Server, Topic};

/// The commands of this family.
pub(super) static SPECS: &[Spec] = &[
    Spec::new("publish", 3, "pubsub loading stale fast", "pubsub fast", publish).about(
        "pubsub",
        "2.0.0",
        "Sends a message to all who have subscribed to a channel.",
    ),
    Spec::new("spublish", 3, "pubsub loading stale fast", "pubsub fast", spublish)
        .keys(1, 1, 1, "not_key")
        .about("pubsub", "7.0.0", "Sends a message to all who have subscribed to a shard channel."),
    Spec::new("subscribe", -2, "pubsub noscript loading stale", "pubsub slow", subscribe).about(
        "pubsub",
        "2.0.0",
        "Subscribes to channels.",
    ),
    Spec::new("psubscribe", -2, "pubsub noscript loading stale", "pubsub slow", psubscribe).about(
        "pubsub",
        "2.0.0",
        "Subscribes to the channels that match patterns.",
    ),
    Spec::new("ssubscribe", -2, "pubsub noscript loading stale", "pubsub slow", ssubscribe)
        .keys(1, -1, 1, "not_key")
        .about("pubsub", "7.0.0", "Subscribes to shard channels."),
    Spec::new("unsubscribe", -1, "pubsub noscript loading stale", "pubsub slow", unsubscribe).about(
        "pubsub",
        "2.0.0",
        "Ends subscriptions to channels.",
    ),
    Spec::new("punsubscribe", -1, "pubsub noscript loading stale", "pubsub slow", punsubscribe).about(
        "pubsub",
        "2.0.0",
        "Ends subscriptions to patterns.",
    ),
    Spec::new("sunsubscribe", -1, "pubsub noscript loading stale", "pubsub slow", sunsubscribe)
        .keys(1, -1, 1, "not_key")
        .about("pubsub", "7.0.0", "Ends subscriptions to shard channels."),
    Spec::new("pubsub", -2, "", "slow", pubsub_help)
        .about("pubsub", "2.8.0", "Looks at subscriptions.")
        .subs(PUBSUB_SUBS),
];

static PUBSUB_SUBS: &[Spec] = &[
    Spec::new("channels", -2, "pubsub loading stale", "pubsub slow", channels).about(
        "pubsub",
        "2.8.0",
        "[<pattern>]: lists the channels that have subscribers.",
    ),
    Spec::new("help", 2, "loading stale", "slow", pubsub_help).about(
        "pubsub",
        "6.2.0",
        "Lists the subcommands.",
    ),
    Spec::new("numpat", 2, "pubsub loading stale", "pubsub slow", numpat).about(
        "pubsub",
        "2.8.0",
        "Counts the patterns that have subscribers.",
    ),
    Spec::new("numsub", -2, "pubsub loading stale", "pubsub slow", numsub).about(
        "pubsub",
        "2.8.0",
        "[<channel> ...]: counts the subscribers of channels.",
    ),
    Spec::new("shardchannels", -2, "pubsub loading stale", "pubsub slow", shardchannels).about(
        "pubsub",
        "7.0.0",
        "[<pattern>]: lists the shard channels that have subscribers.",
    ),
    Spec::new("shardnumsub", -2, "pubsub loading stale", "pubsub slow", shardnumsub).about(
        "pubsub",
        "7.0.0",
        "[<shardchannel> ...]: counts the subscribers of shard channels.",
    ),
];

fn pubsub_help(_: &mut Server, client: &mut Client, args: Args<'_>) {
    help(client, "pubsub", args);
}

fn publish(server: &mut Server, client: &mut Client, args: Args<'_>) {
    send(server, client, args, false);
}

fn spublish(server: &mut Server, client: &mut Client, args: Args<'_>) {
    send(server, client, args, true);
}

/// The reply counts this node's subscribers only.
fn send(server: &mut Server, client: &mut Client, args: Args<'_>, sharded: bool) {
    let (channel, message) = (&args[1], &args[2]);
    let receivers = server.deliver(sharded, channel, message, Some(client));
    server.with_cluster(|cluster, server| cluster.publish(server, sharded, channel, message));
    client.reply.len(receivers);
}

fn subscribe(server: &mut Server, client: &mut Client, args: Args<'_>) {
    args.from(1).iter().for_each(|name| server.subscribe(client, Topic::Channel, name));
}

fn psubscribe(server: &mut Server, client: &mut Client, args: Args<'_>) {
    args.from(1).iter().for_each(|name| server.subscribe(client, Topic::Pattern, name));
}

fn ssubscribe(server: &mut Server, client: &mut Client, args: Args<'_>) {
    args.from(1).iter().for_each(|name| server.subscribe(client, Topic::Shard, name));
}

fn unsubscribe(server: &mut Server, client: &mut Client, args: Args<'_>) {
    end(server, client, args, Topic::Channel);
}

fn punsubscribe(server: &mut Server, client: &mut Client, args: Args<'_>) {
    end(server, client, args, Topic::Pattern);
}

fn sunsubscribe(server: &mut Server, client: &mut Client, args: Args<'_>) {
    end(server, client, args, Topic::Shard);
}

fn end(server: &mut Server, client: &mut Client, args: Args<'_>, topic: Topic) {
    if args.len() == 1 {
        return server.unsubscribe_all(client, topic);
    }
    args.from(1).iter().for_each(|name| server.unsubscribe(client, topic, name));
}

fn channels(server: &mut Server, client: &mut Client, args: Args<'_>) {
    list(server, client, args, Topic::Channel);
}

fn shardchannels(server: &mut Server, client: &mut Client, args: Args<'_>) {
    list(server, client, args, Topic::Shard);
}

fn list(server: &Server, client: &mut Client, args: Args<'_>, topic: Topic) {
    if args.len() > 3 {
        return client.reply.error(wrong_subcommand(args));
    }
    let names = server.pubsub.active(topic, args.get(2));
    client.reply.array(names.len());
    names.into_iter().for_each(|name| client.reply.bulk(name));
}

fn numpat(server: &mut Server, client: &mut Client, _: Args<'_>) {
    client.reply.len(server.pubsub.totals().1);
}

fn numsub(server: &mut Server, client: &mut Client, args: Args<'_>) {
    counts(server, client, args, Topic::Channel);
}

fn shardnumsub(server: &mut Server, client: &mut Client, args: Args<'_>) {
    counts(server, client, args, Topic::Shard);
}

fn counts(server: &Server, client: &mut Client, args: Args<'_>, topic: Topic) {
    client.reply.array(2 * (args.len() - 2));
    for name in args.from(2).iter() {
        client.reply.bulk(name);
        client.reply.len(server.pubsub.subscribers(topic, name));
    }
}

/// What PING answers a client that has subscriptions, in RESP2.
pub(super) fn ping(client: &mut Client, text: &[u8]) -> bool {
    if client.reply.protocol != Protocol::Resp2 || client.subscriptions.is_empty() {
        return false;
    }
    client.reply.array(2);
    client.reply.bulk("pong");
    client.reply.bulk(text);
    true
}
