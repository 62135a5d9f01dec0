//! Who has subscribed to what, and the delivery of messages (pubsub.c).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use slotproof_model::{Slot, key_slot};

use super::{Client, ReplyMode, Server};
use crate::keyspace::glob_match;
use crate::resp::{Protocol, Reply};

/// Subscribers by the name of what they subscribed to; they are named by the ids of clients.
type Names = HashMap<Box<[u8]>, BTreeSet<u64>, ahash::RandomState>;

/// All subscriptions.
#[derive(Debug, Default)]
pub struct PubSub {
    channels: Names,
    patterns: Names,
    /// Shard channels, slot by slot.
    shard: BTreeMap<Slot, Names>,
    /// Messages for the client whose command is running, for after its reply: in RESP2 and in RESP3.
    held: Vec<(u64, [Vec<u8>; 2])>,
}

/// A kind of subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A channel by name.
    Channel,
    /// All channels that match a pattern.
    Pattern,
    /// A channel that belongs to its slot.
    Shard,
}

impl Topic {
    /// The word that confirms a subscription.
    pub fn subscribed(self) -> &'static str {
        match self {
            Self::Channel => "subscribe",
            Self::Pattern => "psubscribe",
            Self::Shard => "ssubscribe",
        }
    }

    /// The word that confirms its end.
    pub fn unsubscribed(self) -> &'static str {
        match self {
            Self::Channel => "unsubscribe",
            Self::Pattern => "punsubscribe",
            Self::Shard => "sunsubscribe",
        }
    }

    fn of(self, client: &mut Client) -> &mut BTreeSet<Box<[u8]>> {
        match self {
            Self::Channel => &mut client.subscriptions.channels,
            Self::Pattern => &mut client.subscriptions.patterns,
            Self::Shard => &mut client.subscriptions.shard,
        }
    }

    /// The number that confirmations end with.
    fn count(self, client: &Client) -> usize {
        let own = &client.subscriptions;
        match self {
            Self::Shard => own.shard.len(),
            Self::Channel | Self::Pattern => own.channels.len() + own.patterns.len(),
        }
    }
}

impl PubSub {
    fn names(&mut self, topic: Topic, name: &[u8]) -> &mut Names {
        match topic {
            Topic::Channel => &mut self.channels,
            Topic::Pattern => &mut self.patterns,
            Topic::Shard => self.shard.entry(key_slot(name)).or_default(),
        }
    }

    fn add(&mut self, topic: Topic, name: &[u8], id: u64) {
        self.names(topic, name).entry(name.into()).or_default().insert(id);
    }

    fn remove(&mut self, topic: Topic, name: &[u8], id: u64) {
        let names = self.names(topic, name);
        if let Some(ids) = names.get_mut(name) {
            ids.remove(&id);
            if ids.is_empty() {
                names.remove(name);
            }
        }
        let empty = names.is_empty();
        if topic == Topic::Shard && empty {
            self.shard.remove(&key_slot(name));
        }
    }

    /// The channels that have subscribers and match a pattern, if one is given.
    pub fn active(&self, topic: Topic, pattern: Option<&[u8]>) -> Vec<&[u8]> {
        let matches = |name: &&[u8]| pattern.is_none_or(|p| glob_match(p, name));
        match topic {
            Topic::Shard => {
                self.shard.values().flat_map(HashMap::keys).map(|n| &**n).filter(matches).collect()
            }
            _ => self.channels.keys().map(|n| &**n).filter(matches).collect(),
        }
    }

    /// How many have subscribed to a channel.
    pub fn subscribers(&self, topic: Topic, name: &[u8]) -> usize {
        let names = match topic {
            Topic::Shard => self.shard.get(&key_slot(name)),
            Topic::Channel => Some(&self.channels),
            Topic::Pattern => Some(&self.patterns),
        };
        names.and_then(|n| n.get(name)).map_or(0, BTreeSet::len)
    }

    /// How many channels and patterns somebody has subscribed to.
    pub fn totals(&self) -> (usize, usize, usize) {
        (self.channels.len(), self.patterns.len(), self.shard.values().map(HashMap::len).sum())
    }
}

impl Server {
    /// Subscribes a client, and confirms it.
    pub fn subscribe(&mut self, client: &mut Client, topic: Topic, name: &[u8]) {
        if topic.of(client).insert(name.into()) {
            client.add_name(name);
            self.pubsub.add(topic, name, client.id);
        }
        let count = topic.count(client);
        self.pubsub.confirm(client, topic.subscribed(), Some(name), count);
    }

    /// Ends a client's subscription, and confirms it.
    pub fn unsubscribe(&mut self, client: &mut Client, topic: Topic, name: &[u8]) {
        if topic.of(client).remove(name) {
            client.drop_name(name);
            self.pubsub.remove(topic, name, client.id);
        }
        let count = topic.count(client);
        self.pubsub.confirm(client, topic.unsubscribed(), Some(name), count);
    }

    /// Ends all of a client's subscriptions of a kind, and confirms each; that there are none, too.
    pub fn unsubscribe_all(&mut self, client: &mut Client, topic: Topic) {
        let names = topic.of(client).clone();
        for name in &names {
            self.unsubscribe(client, topic, name);
        }
        if names.is_empty() {
            let count = topic.count(client);
            self.pubsub.confirm(client, topic.unsubscribed(), None, count);
        }
    }

    /// Forgets a client: its subscriptions, the keys that it watches, and the dump that it takes.
    pub fn forget(&mut self, client: &mut Client) {
        let own = std::mem::take(&mut client.subscriptions);
        let all = [(Topic::Channel, own.channels), (Topic::Pattern, own.patterns), (Topic::Shard, own.shard)];
        for (topic, names) in all {
            for name in &names {
                client.drop_name(name);
                self.pubsub.remove(topic, name, client.id);
            }
        }
        self.unwatch(client);
        if client.monitor {
            client.monitor = false;
            self.monitors -= 1;
        }
        if client.backup.take().is_some() {
            self.dbs.iter_mut().for_each(|db| db.end_snapshot(client.id));
        }
    }

    /// A client watches no key any more.
    pub fn unwatch(&mut self, client: &mut Client) {
        for (db, key) in std::mem::take(&mut client.watching).into_keys() {
            client.drop_name(&key);
            if let Some(db) = self.dbs.get_mut(db) {
                db.unwatch(&key);
            }
        }
    }

    /// Delivers a message to this node's subscribers; how many there were. `me` is the client whose command is running.
    pub fn deliver(
        &mut self,
        sharded: bool,
        channel: &[u8],
        message: &[u8],
        mut me: Option<&mut Client>,
    ) -> usize {
        let mut receivers = 0;
        let (word, names) = match sharded {
            true => ("smessage", self.pubsub.shard.get(&key_slot(channel))),
            false => ("message", Some(&self.pubsub.channels)),
        };
        if let Some(ids) = names.and_then(|n| n.get(channel)) {
            let ids: Vec<u64> = ids.iter().copied().collect();
            receivers += self.send_all(&ids, &[word.as_bytes(), channel, message], me.as_deref_mut());
        }
        if !sharded && !self.pubsub.patterns.is_empty() {
            let matching: Vec<(Box<[u8]>, Vec<u64>)> = self
                .pubsub
                .patterns
                .iter()
                .filter(|(pattern, _)| glob_match(pattern, channel))
                .map(|(pattern, ids)| (pattern.clone(), ids.iter().copied().collect()))
                .collect();
            for (pattern, ids) in matching {
                let parts: [&[u8]; 4] = [b"pmessage", &pattern, channel, message];
                receivers += self.send_all(&ids, &parts, me.as_deref_mut());
            }
        }
        receivers
    }

    fn send_all(&mut self, ids: &[u64], parts: &[&[u8]], mut me: Option<&mut Client>) -> usize {
        let frame = |protocol: Protocol| {
            let mut reply = Reply::new(protocol);
            reply.push(parts.len());
            parts.iter().for_each(|part| reply.bulk(part));
            reply.into_bytes()
        };
        let (mut old, mut new) = (None, None);
        let mut framed = |protocol| match protocol {
            Protocol::Resp2 => old.get_or_insert_with(|| frame(Protocol::Resp2)).clone(),
            Protocol::Resp3 => new.get_or_insert_with(|| frame(Protocol::Resp3)).clone(),
        };
        for id in ids {
            match me.as_deref_mut() {
                Some(me) if me.id == *id => {
                    let bytes = framed(me.reply.protocol);
                    match me.reply_mode {
                        ReplyMode::On => me.reply.raw(&bytes),
                        _ => self.pubsub.held.push((*id, [bytes.clone(), bytes])),
                    }
                }
                _ => self.send_to(*id, &mut framed),
            }
        }
        ids.len()
    }

    /// Sends a client what is none of its replies. If its own command is running, it is sent after that command's reply.
    fn send_to(&mut self, id: u64, framed: &mut dyn FnMut(Protocol) -> Vec<u8>) {
        let Some(client) = self.clients.get(&id).cloned() else { return };
        let Ok(mut client) = client.try_borrow_mut() else {
            // Only a command of its own can keep it from being borrowed.
            self.pubsub.held.push((id, [framed(Protocol::Resp2), framed(Protocol::Resp3)]));
            return;
        };
        if client.close == super::Close::Now {
            return;
        }
        let bytes = framed(client.reply.protocol);
        client.reply.raw(&bytes);
        client.wake.notify_one();
        self.check_output(&mut client);
    }

    /// Publishes what has happened to keys, to this node's subscribers (notify.c `notifyKeyspaceEvent`).
    pub(crate) fn publish_events(&mut self) {
        let notices = self.limits.notices;
        if !notices.by_key && !notices.by_event {
            return;
        }
        for i in 0..self.dbs.len() {
            for (event, key) in self.dbs[i].take_events() {
                if notices.by_key {
                    let channel = [format!("__keyspace@{i}__:").as_bytes(), &key].concat();
                    self.deliver(false, &channel, event.as_bytes(), None);
                }
                if notices.by_event {
                    let channel = format!("__keyevent@{i}__:{event}");
                    self.deliver(false, channel.as_bytes(), &key, None);
                }
            }
        }
    }

    /// Hands a client, at the end of its command, the messages that were kept for it.
    pub(crate) fn release_held(&mut self, client: &mut Client) {
        if self.pubsub.held.is_empty() {
            return;
        }
        let held = std::mem::take(&mut self.pubsub.held);
        for (id, [old, new]) in held {
            if id == client.id {
                client.reply.raw(if client.reply.protocol == Protocol::Resp2 { &old } else { &new });
            }
        }
    }

    /// Shard subscriptions of slots that this node does not serve any more end; each subscriber is told.
    pub fn drop_foreign_shards(&mut self) {
        let Some(routes) = &self.routes else { return };
        let foreign: Vec<Slot> =
            self.pubsub.shard.keys().copied().filter(|&slot| !routes.serves_shard(slot)).collect();
        for slot in foreign {
            let Some(names) = self.pubsub.shard.remove(&slot) else { continue };
            for (name, ids) in names {
                for id in ids {
                    self.end_shard(id, &name);
                }
            }
        }
    }

    fn end_shard(&mut self, id: u64, name: &[u8]) {
        let Some(client) = self.clients.get(&id).cloned() else { return };
        match client.try_borrow_mut() {
            Ok(mut client) => {
                client.subscriptions.shard.remove(name);
                client.drop_name(name);
                let count = client.subscriptions.shard.len();
                let mode = std::mem::replace(&mut client.reply_mode, ReplyMode::On);
                self.pubsub.confirm(&mut client, Topic::Shard.unsubscribed(), Some(name), count);
                client.reply_mode = mode;
                client.wake.notify_one();
            }
            Err(_) => self.ended_shards.push(name.into()),
        }
    }

    /// The same for the client whose command is running, at its end.
    pub(crate) fn end_own_shards(&mut self, client: &mut Client) {
        for name in std::mem::take(&mut self.ended_shards) {
            if client.subscriptions.shard.remove(&name) {
                client.drop_name(&name);
                let count = client.subscriptions.shard.len();
                self.pubsub.confirm(client, Topic::Shard.unsubscribed(), Some(&name), count);
            }
        }
    }
}

impl PubSub {
    /// Confirms a change of subscriptions, also to a client that wants no replies.
    fn confirm(&mut self, client: &mut Client, word: &str, name: Option<&[u8]>, count: usize) {
        let mut reply = Reply::new(client.reply.protocol);
        reply.push(3);
        reply.bulk(word);
        match name {
            Some(name) => reply.bulk(name),
            None => reply.null(),
        }
        reply.len(count);
        match client.reply_mode {
            ReplyMode::On => client.reply.raw(reply.pending()),
            _ => {
                let bytes = reply.into_bytes();
                self.held.push((client.id, [bytes.clone(), bytes]));
            }
        }
    }
}
