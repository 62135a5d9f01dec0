//! Node names and epochs.

use core::fmt;

/// Bytes of a node name, on the wire and in nodes.conf.
pub(crate) const NODE_ID_LEN: usize = 40;

/// A node's name: 40 characters of `a-z` and `0-9` (Redis draws them from lower-case hex, and accepts any
/// of these; `verifyClusterNodeId`, cluster.c). Names are ordered bytewise, and the order matters: the
/// smaller name moves when config epochs collide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; NODE_ID_LEN]);

impl NodeId {
    /// The name spelled by `text`, or an error that says what is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, ParseNodeIdError> {
        let bytes: [u8; NODE_ID_LEN] = text.try_into().map_err(|_| ParseNodeIdError)?;
        if bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
            Ok(Self(bytes))
        } else {
            Err(ParseNodeIdError)
        }
    }

    /// The name whose hex digits spell 160 bits expanded from `seed` (splitmix64).
    pub fn from_seed(seed: u128) -> Self {
        let mut state = (seed as u64) ^ ((seed >> 64) as u64).rotate_left(32);
        let mut bytes = [0; NODE_ID_LEN];
        for (i, chunk) in bytes.chunks_mut(16).enumerate() {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_add(if i == 1 {
                (seed >> 64) as u64
            } else {
                0
            });
            let word = mix64(state);
            for (j, b) in chunk.iter_mut().enumerate() {
                *b = b"0123456789abcdef"[(word >> (4 * j)) as usize & 15];
            }
        }
        Self(bytes)
    }

    /// The 40 characters.
    pub fn as_bytes(&self) -> &[u8; NODE_ID_LEN] {
        &self.0
    }

    /// The 40 characters as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).expect("a node id is ASCII by construction")
    }

    /// The first eight characters, for people.
    pub fn short(&self) -> &str {
        &self.as_str()[..8]
    }
}

/// The finalizer of splitmix64: every input bit reaches every output bit.
pub(crate) const fn mix64(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

impl core::str::FromStr for NodeId {
    type Err = ParseNodeIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::parse(s.as_bytes())
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for NodeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = NodeId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a node id of 40 characters a-z0-9")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<NodeId, E> {
                NodeId::parse(text.as_bytes()).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A text that is no node id: not 40 characters of `a-z` and `0-9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseNodeIdError;

impl fmt::Display for ParseNodeIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node id is 40 characters of a-z and 0-9")
    }
}

impl core::error::Error for ParseNodeIdError {}

/// A logical time of the cluster: `currentEpoch`, `configEpoch`, `lastVoteEpoch`. Never wraps: a peer that
/// sends `u64::MAX` is believed, and the next increment is refused (see [`Epoch::next`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of a node that never took one.
    pub const ZERO: Self = Self(0);

    /// The epoch after this one, or none at the end of the range.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_forty_lower_case_letters_and_digits() {
        assert!(NodeId::parse(&[b'z'; 40]).is_ok());
        assert!(NodeId::parse(&[b'a'; 39]).is_err());
        assert!(NodeId::parse(&[b'A'; 40]).is_err());
        assert!(NodeId::parse(&[0; 40]).is_err());
    }

    #[test]
    fn seeds_give_distinct_hex_names() {
        let (a, b) = (NodeId::from_seed(1), NodeId::from_seed(1 << 64));
        assert_ne!(a, b);
        assert!(a.as_bytes().iter().all(u8::is_ascii_hexdigit));
    }

    #[test]
    fn an_epoch_never_wraps() {
        assert_eq!(Epoch(1).next(), Some(Epoch(2)));
        assert_eq!(Epoch(u64::MAX).next(), None);
    }
}
