//! The switches: one for each place where versions of the protocol differ.

/// A version of the protocol, as a set of named switches. Each says where it stands in the source;
/// line numbers are those of redis 7.0.15 `src/cluster.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Rules {
    /// Claimed slots may be taken from an owner that stopped claiming them, at any epoch
    /// (`owner_not_claiming_slot`, since 7.0.13, redis #12344).
    pub not_claiming: bool,
    /// DelSlot clears the slot's not-claiming bit (since 7.2.4, redis #12564).
    pub del_slot_clears_not_claiming: bool,
    /// While I import a slot, no packet moves it (`clusterUpdateSlotsConfigWith`, 1867; Redis, not Valkey).
    pub importing_ignores_claims: bool,
    /// A sender that turns from master to replica loses all its recorded slots at once (2120, step "role";
    /// 7.0 and 7.2, changed by redis #13055).
    pub demotion_unbinds_slots: bool,
    /// Replicas' packets raise the config epoch recorded for them (2120; Redis, not Valkey).
    pub replica_header_raises_epoch: bool,
    /// A replica's outdated claim is answered by an UPDATE too (2120; Redis, not Valkey 8.0).
    pub update_answers_replicas: bool,
    /// Failure reports are taken from every master, and each master counts itself; else only from voting ones (1505, 1653; Redis / Valkey).
    pub slotless_masters_report: bool,
    /// PFAIL alone makes FAIL where I am the only voter (since 7.2.5, redis #12824).
    pub single_voter_fails_at_once: bool,
    /// The receiver of a heartbeat is left out of its gossip (since 7.4, redis #13046).
    pub gossip_excludes_receiver: bool,
    /// Gossip about myself is ignored (since 7.4); else it can refresh my own pong time.
    pub gossip_ignores_myself: bool,
    /// The MEET flag is cleared when the MEET is queued; else only when the peer is heard from
    /// (2673; Valkey >= 8.0, valkey #461).
    pub meet_once: bool,
    /// SETSLOT NODE away from a master's last slot makes it follow the new owner (5428, since 7.0-rc3).
    pub setslot_last_slot_follows: bool,
    /// A master that loses its last slot to one packet follows the claimer also where replica migration is
    /// not allowed, if all slots of the packet came from it (1964).
    pub follow_if_all_slots_came: bool,
    /// My master turned out to be a replica: follow its master (1964, since 7.0-rc3).
    pub follow_masters_master: bool,
    /// SETSLOT NODE to myself bumps only if I import the slot (5428; H09).
    pub setslot_bumps_only_if_importing: bool,
    /// A slot that I finish importing is kept from its source, from which I may not have heard its newest epoch yet: my epoch is above the
    /// recorded ones of source and former owner, and the first time the source claims the slot at a greater epoch than mine I rise above
    /// that instead of losing it (never in Redis).
    pub target_outbids_source: bool,
    /// SETSLOT asks for fsync (H21; never in Redis but where it bumps).
    pub setslot_fsyncs: bool,
    /// TRYAGAIN at a migrating node where some keys of the request exist and some do not; else ASK (6656,
    /// since 7.0.3, redis #9526).
    pub migrating_tryagain: bool,
    /// FORGET of a node that is blacklisted but unknown is `+OK` (since 7.2).
    pub forget_tolerates_blacklisted: bool,
    /// RESET empties the blacklist (since 7.2.3).
    pub reset_clears_blacklist: bool,
    /// `cluster->size` starts at 1 (before 7.2.5), else at 0.
    pub size_starts_at_one: bool,
    /// Error texts of CLUSTER MEET name the "TCP base port" (before 7.2).
    pub meet_errors_say_tcp: bool,
    /// Whoever speaks on the connection to a node is taken for that node until the name in its header is compared, so that its epochs are
    /// recorded for that node (`getNodeFromLinkAndMsg`, 2106, since 7.0); else only the name counts.
    pub link_names_sender: bool,
    /// A connection whose PING stays unanswered for half the node timeout is dropped only if nothing else is heard of the peer either
    /// (`clusterCron`, step 3 of the nodes' turn; H39); else whatever is heard.
    pub unanswered_ping_needs_silence: bool,
    /// A step's Persist comes ahead of its other effects (`clusterBeforeSleep`, 4246); else last, to show
    /// what breaks.
    pub persist_first: bool,
}

impl Rules {
    /// Redis 7.0.15, warts included.
    pub const fn redis_7_0() -> Self {
        Self {
            not_claiming: true,
            del_slot_clears_not_claiming: false,
            importing_ignores_claims: true,
            demotion_unbinds_slots: true,
            replica_header_raises_epoch: true,
            update_answers_replicas: true,
            slotless_masters_report: true,
            single_voter_fails_at_once: false,
            gossip_excludes_receiver: false,
            gossip_ignores_myself: false,
            meet_once: true,
            setslot_last_slot_follows: true,
            follow_if_all_slots_came: true,
            follow_masters_master: true,
            setslot_bumps_only_if_importing: true,
            target_outbids_source: false,
            setslot_fsyncs: false,
            migrating_tryagain: true,
            forget_tolerates_blacklisted: false,
            reset_clears_blacklist: false,
            size_starts_at_one: true,
            meet_errors_say_tcp: true,
            link_names_sender: true,
            unanswered_ping_needs_silence: true,
            persist_first: true,
        }
    }

    /// Redis 7.0.15 with what is shown to be better so far. Compatible with it on the wire.
    ///
    /// - `meet_once` off: a MEET is repeated on each new connection until its receiver is heard from, so one that is lost with its connection
    ///   leaves nobody ignorant (H40c; world `hardened-meet`).
    /// - `setslot_bumps_only_if_importing` off: whoever is made owner of a slot by SETSLOT NODE raises its epoch, so every node believes it, whether
    ///   it imported the slot or not (H09; world `hardened-h09`).
    /// - `target_outbids_source` on: a source whose newest epoch the target has not heard of does not take the slot back from it (worlds
    ///   `hardened-ring`, `hardened-to-and-fro`). The target remembers the source of each slot until it gives the slot away, loses it or has
    ///   outbid the source, which it does **once** for each import: two nodes that took a slot from each other, each without the other's giving
    ///   it away, do not raise their epochs for ever (world `hardened-tug`). A source that rises twice before it has heard of either may
    ///   still take the slot back. The shell bounds it in time: when an import is longer than the node timeout ago, or after a restart, the
    ///   rule of redis holds, for the slot may have been given to the source again behind my back while I slept or was cut off.
    /// - `setslot_fsyncs` on: what a SETSLOT did survives a power failure (H21; world `hardened-power`).
    /// - `link_names_sender` off: whoever answers where another node was looked for is not believed in that node's name, so no epoch of another
    ///   cluster comes in (world `hardened-moved`).
    /// - `unanswered_ping_needs_silence` off: a lost PING is repeated on a new connection though the peer's own PINGs come in, so no PFAIL stays for
    ///   ever (H39; world `hardened-lost-ping`).
    pub const fn hardened() -> Self {
        Self {
            meet_once: false,
            unanswered_ping_needs_silence: false,
            link_names_sender: false,
            setslot_bumps_only_if_importing: false,
            target_outbids_source: true,
            setslot_fsyncs: true,
            ..Self::redis_7_0()
        }
    }

    /// Whether my connection to a peer is stuck and to be opened anew: its PING has been `unanswered` for half the node timeout, and the peer has
    /// been `silent` as long, on every connection.
    pub const fn drops_connection(&self, unanswered: bool, silent: bool) -> bool {
        unanswered && (silent || !self.unanswered_ping_needs_silence)
    }

    /// The names of the sets of rules.
    pub const NAMES: [&str; 2] = ["redis_7_0", "hardened"];

    /// The rules with one of these [names](Self::NAMES).
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "redis_7_0" => Some(Self::redis_7_0()),
            "hardened" => Some(Self::hardened()),
            _ => None,
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::redis_7_0()
    }
}
