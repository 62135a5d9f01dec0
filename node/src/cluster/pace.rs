//! The pace of heartbeats: who is to be pinged, whose link is to be dropped, whose pong is overdue (cluster.c `clusterCron`,
//! steps 2 and 3). Plain arithmetic on milliseconds.

use slotproof_model::Rules;

use super::clocks::{Millis, PeerClock};

/// So many nodes are drawn once a second, with repetition; one of them is pinged.
pub(super) const DRAWN: usize = 5;

/// The link to a peer, as the cron sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LinkAge {
    /// When it was opened.
    pub(super) opened: Millis,
}

/// What is due for a peer at a cron.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Its link is stuck: close it, and it is opened anew.
    pub(super) drop_link: bool,
    /// Ping it.
    pub(super) ping: bool,
    /// Its pong is overdue.
    pub(super) overdue: bool,
}

/// Looks at one peer that is not myself, in handshake or without address.
pub(super) fn due(
    peer: PeerClock,
    link: Option<LinkAge>,
    now: Millis,
    node_timeout: Millis,
    rules: &Rules,
) -> Due {
    let since = |t: Millis| now.saturating_sub(t);
    let half = node_timeout / 2;
    let waiting = peer.ping_sent != 0;
    let stuck = |l: LinkAge| {
        let unanswered = waiting && since(peer.ping_sent) > half;
        since(l.opened) > node_timeout && rules.drops_connection(unanswered, since(peer.data_received) > half)
    };
    let drop_link = link.is_some_and(stuck);
    if link.is_some() && !drop_link && !waiting && since(peer.pong_received) > half {
        return Due { ping: true, ..Due::default() };
    }
    let silent = since(peer.ping_sent).min(since(peer.data_received));
    Due { drop_link, ping: false, overdue: waiting && silent > node_timeout }
}

/// Of the peers that were drawn, the one with the oldest pong among those that can be pinged.
pub(super) fn oldest<K: Copy>(drawn: impl IntoIterator<Item = (K, PeerClock, bool)>) -> Option<K> {
    let ready = drawn.into_iter().filter(|(_, clock, linked)| *linked && clock.ping_sent == 0);
    ready.min_by_key(|(_, clock, _)| clock.pong_received).map(|(k, _, _)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NT: Millis = 1000;
    const NOW: Millis = 100_000;

    fn peer(ping: Millis, pong: Millis, data: Millis) -> PeerClock {
        let ago = |t: Millis| if t == 0 { 0 } else { NOW - t };
        PeerClock {
            ping_sent: ago(ping),
            pong_received: ago(pong),
            data_received: ago(data),
            failed: 0,
            took_over: 0,
        }
    }

    fn link(age: Millis) -> Option<LinkAge> {
        Some(LinkAge { opened: NOW - age })
    }

    fn due_now(peer: PeerClock, link: Option<LinkAge>) -> Due {
        due(peer, link, NOW, NT, &Rules::redis_7_0())
    }

    #[test]
    fn a_pong_older_than_half_the_timeout_asks_for_a_ping() {
        assert!(due_now(peer(0, 501, 1), link(5)).ping);
        assert!(!due_now(peer(0, 500, 1), link(5)).ping);
        assert!(!due_now(peer(0, 501, 1), None).ping, "there is no link to send it on");
        assert!(!due_now(peer(10, 501, 1), link(5)).ping, "one is under way");
    }

    #[test]
    fn a_link_is_dropped_when_it_is_old_and_both_sides_are_silent() {
        assert!(due_now(peer(501, 900, 501), link(1001)).drop_link);
        assert!(!due_now(peer(501, 900, 500), link(1001)).drop_link, "data came");
        assert!(
            due(peer(501, 900, 500), link(1001), NOW, NT, &Rules::hardened()).drop_link,
            "and counts no more"
        );
        assert!(!due_now(peer(500, 900, 501), link(1001)).drop_link, "the ping is young");
        assert!(!due_now(peer(501, 900, 501), link(1000)).drop_link, "the link is young");
    }

    #[test]
    fn a_pong_is_overdue_when_ping_and_data_are_both_older_than_the_timeout() {
        assert!(due_now(peer(1001, 3000, 1001), None).overdue);
        assert!(!due_now(peer(1001, 3000, 1000), None).overdue);
        assert!(!due_now(peer(0, 3000, 3000), None).overdue, "nothing was asked");
        assert!(due_now(peer(1001, 3000, 0), None).overdue, "nothing ever came");
    }

    #[test]
    fn the_oldest_pong_is_pinged_first() {
        let drawn = [
            (1, peer(0, 10, 1), true),
            (2, peer(0, 30, 1), true),
            (3, peer(0, 90, 1), false),
            (4, peer(5, 99, 1), true),
        ];
        assert_eq!(oldest(drawn), Some(2));
        assert_eq!(oldest::<u8>([]), None);
    }
}
