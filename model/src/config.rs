//! What an administrator sets.

use crate::address::Address;
use crate::rules::Rules;
use crate::slot::SLOTS;

/// A node's configuration, as far as the protocol reads it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Config {
    /// Which protocol it runs.
    pub rules: Rules,
    /// Slots of the cluster: 16384 on the wire.
    pub slots: u16,
    /// What it announces: `ip` empty unless `cluster-announce-ip` is set; ports as peers shall see them.
    pub announce: Address,
    /// `cluster-announce-hostname`.
    pub hostname: Option<Box<str>>,
    /// `cluster-require-full-coverage`.
    pub require_full_coverage: bool,
    /// `cluster-allow-replica-migration`.
    pub allow_replica_migration: bool,
    /// `cluster-replica-no-failover`.
    pub replica_no_failover: bool,
    /// `cluster-allow-reads-when-down`.
    pub allow_reads_when_down: bool,
    /// `cluster-allow-pubsubshard-when-down`.
    pub allow_pubsubshard_when_down: bool,
    /// `cluster-preferred-endpoint-type`.
    pub endpoint: EndpointType,
    /// The work before sleeping is an input of its own ([`crate::Input::BeforeSleep`]); only a world asks for this.
    pub split_before_sleep: bool,
    /// A seeded fault: a rule of the protocol that is broken on purpose, so that a check can be seen to fail.
    #[cfg(feature = "check")]
    #[serde(skip)]
    pub fault: Option<crate::fault::Fault>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rules: Rules::redis_7_0(),
            slots: SLOTS,
            announce: Address::default(),
            hostname: None,
            require_full_coverage: true,
            allow_replica_migration: true,
            replica_no_failover: false,
            allow_reads_when_down: false,
            allow_pubsubshard_when_down: true,
            endpoint: EndpointType::Ip,
            split_before_sleep: false,
            #[cfg(feature = "check")]
            fault: None,
        }
    }
}

/// `cluster-preferred-endpoint-type`: what clients are told of where a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum EndpointType {
    /// Its address.
    #[default]
    Ip,
    /// Its hostname, or `?`.
    Hostname,
    /// Nothing: the client takes the host it is connected to.
    Unknown,
}

impl EndpointType {
    /// What clients are told of a node with this address and hostname; nothing where they shall take the host that they are
    /// connected to.
    pub fn endpoint<'a>(self, ip: &'a str, hostname: Option<&'a str>) -> Option<&'a str> {
        match self {
            Self::Ip => Some(ip),
            Self::Hostname => Some(hostname.filter(|h| !h.is_empty()).unwrap_or("?")),
            Self::Unknown => None,
        }
    }
}

/// What a step may ask about the node's keys.
pub trait Keyspace {
    /// How many keys are in this slot.
    fn keys_in_slot(&self, slot: crate::slot::Slot) -> u64;
    /// How many keys there are.
    fn total_keys(&self) -> u64;
}

/// No keys at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeys;

impl Keyspace for NoKeys {
    fn keys_in_slot(&self, _: crate::slot::Slot) -> u64 {
        0
    }

    fn total_keys(&self) -> u64 {
        0
    }
}
