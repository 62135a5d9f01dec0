//! Seeded faults: rules of the protocol broken on purpose, inside the step, so that a check can be seen to fail.

/// One broken rule. Not a version of the protocol and not reachable from any configuration file: a world or a test sets it
/// in [`crate::Config::fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// SETSLOT NODE at the importing node does not raise its epoch above the old owner's, but sets it to the same (S1).
    BumpToSameEpoch,
    /// Epoch collisions are not resolved (S1 at quiescence, L3).
    NoCollisionResolution,
    /// A header's config epoch is taken over also when it is lower (S4).
    EpochGoesBack,
    /// One report less than a majority is enough for FAIL (S5).
    QuorumOneLess,
    /// An expired failure report is counted (S5).
    ReportsNeverExpire,
    /// A claim of any epoch takes a slot (S9).
    ClaimAtAnyEpoch,
    /// The keys of a slot are deleted when MIGRATING is set (S6, S10).
    DropKeysOnMigrating,
    /// An importing node serves without ASKING (S6, S8).
    ImportingServesWithoutAsking,
    /// SETSLOT NODE does not ask whether keys are left (S6).
    SetSlotNodeIgnoresKeys,
    /// SETSLOT STABLE clears nothing (L5).
    StableKeepsOpen,
    /// UPDATE messages are ignored (L2).
    IgnoreUpdates,
    /// A slot is unbound, and bound to nobody, when its claimer is believed (L1).
    RebindLosesSlot,
    /// FAIL is never undone (L6).
    FailForever,
    /// PFAIL is not cleared by a PONG (L6).
    PfailForever,
    /// An importing node runs a command on several keys although some are not there (S14).
    ServesWithMissingKeys,
    /// FORGET does not keep the node from being learned again (L7).
    ForgetsTheBlacklist,
    /// A node that gossip names and nobody here knows is sent a MEET, at the address that gossip gives (S13; Redis before 5.0.10 and 6.0.5).
    GossipMeetsUnknown,
    /// MIGRATE does not delete the key at the source (S7).
    MigrateKeepsKey,
    /// MIGRATE deletes the key at the source although the target refused it (S6).
    MigrateDeletesOnError,
}
