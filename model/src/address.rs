//! Where a node can be reached, and the flags a node carries.

use core::fmt;

/// Addresses of a node. `ip` is text as on the wire (at most 45 bytes, empty = not known yet); ports are
/// 0 when unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Address {
    /// Textual IP address.
    pub ip: Box<str>,
    /// Client port (the TLS port in a TLS cluster).
    pub port: u16,
    /// Plain-text client port of a TLS cluster, else 0.
    pub pport: u16,
    /// Cluster bus port.
    pub cport: u16,
}

impl Address {
    /// The port a client is told: one that came in plain text (`tls` false) to a TLS cluster is told the plain-text port, if it is known.
    pub fn client_port(&self, tls: bool) -> u16 {
        if !tls && self.pport != 0 { self.pport } else { self.port }
    }
}

/// The longest textual address that fits the 46 bytes of the wire with its terminator.
pub const MAX_IP_LEN: usize = 45;

/// The longest hostname that can be announced (server.h `NET_HOST_STR_LEN`, less its terminator).
pub(crate) const MAX_HOSTNAME_LEN: usize = 255;

/// Whether `text` can stand for an address or a hostname: visible ASCII without quotes and commas, which nodes.conf and an
/// error line can hold. Empty (not known) can.
pub(crate) fn is_host_text(text: &[u8]) -> bool {
    text.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b','))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}@{}", self.ip, self.port, self.cport)
    }
}

/// Node flags, with the bit values of the wire (cluster.h `CLUSTER_NODE_*`).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Flags(pub u16);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// A master.
    pub const MASTER: Self = Self(1);
    /// A replica.
    pub const REPLICA: Self = Self(2);
    /// Suspected by me.
    pub const PFAIL: Self = Self(4);
    /// Failing by agreement of the majority.
    pub const FAIL: Self = Self(8);
    /// The node itself.
    pub const MYSELF: Self = Self(16);
    /// Its name is not known yet: the name in the table is a placeholder.
    pub const HANDSHAKE: Self = Self(32);
    /// Its address is not known, or was found to be somebody else's.
    pub const NOADDR: Self = Self(64);
    /// A MEET is to be sent to it when its link comes up.
    pub const MEET: Self = Self(128);
    /// A master that replica migration may give a replica to.
    pub const MIGRATE_TO: Self = Self(256);
    /// A replica that does not try to fail over.
    pub const NOFAILOVER: Self = Self(512);

    /// Whether any of `other`'s flags is set.
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether they claim both roles, which nobody can have and nodes.conf refuses.
    pub(crate) const fn has_two_roles(self) -> bool {
        self.any(Self::MASTER) && self.any(Self::REPLICA)
    }

    /// These flags and those.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags without those.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// These flags with `other` set or cleared.
    pub const fn set(self, other: Self, on: bool) -> Self {
        if on { self.with(other) } else { self.without(other) }
    }

    /// Each flag that CLUSTER NODES and nodes.conf name, in their order.
    pub const NAMES: [(Self, &'static str); 8] = [
        (Self::MYSELF, "myself"),
        (Self::MASTER, "master"),
        (Self::REPLICA, "slave"),
        (Self::PFAIL, "fail?"),
        (Self::FAIL, "fail"),
        (Self::HANDSHAKE, "handshake"),
        (Self::NOADDR, "noaddr"),
        (Self::NOFAILOVER, "nofailover"),
    ];
}

/// As in CLUSTER NODES: a comma list, or `noflags`.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (flag, name) in Self::NAMES {
            if self.any(flag) {
                write!(f, "{}{name}", if first { "" } else { "," })?;
                first = false;
            }
        }
        if first { f.write_str("noflags") } else { Ok(()) }
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        if self.any(Self::MEET) { f.write_str("+meet") } else { Ok(()) }
    }
}
