//! Who is master, who replicates whom, and who gets which slots, for nodes of which no more than the host is known.

use std::collections::BTreeMap;

use slotproof_model::SLOTS;

/// Roles for nodes, by their position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Roles {
    /// Masters, in the order in which they get slots.
    pub(super) masters: Vec<usize>,
    /// Replicas, and their masters.
    pub(super) replicas: Vec<(usize, usize)>,
}

/// First and last slot of each master.
pub(super) fn shares(masters: usize) -> Vec<(u16, u16)> {
    let each = f64::from(SLOTS) / masters as f64;
    let mut first = 0;
    (1..=masters)
        .map(|i| {
            let last = if i == masters { SLOTS - 1 } else { (each * i as f64 - 1.0).round() as u16 };
            let share = (first, last.max(first));
            first = share.1 + 1;
            share
        })
        .collect()
}

/// Masters are taken from the hosts in turn. All nodes that are left become replicas, of masters on other hosts where that can be; each
/// master gets as many as any other, or one more.
pub(super) fn roles(hosts: &[&str], masters: usize) -> Roles {
    let mut of_host: Vec<(&str, Vec<usize>)> = Vec::new();
    for (i, host) in hosts.iter().enumerate() {
        match of_host.iter_mut().find(|(h, _)| h == host) {
            Some((_, nodes)) => nodes.push(i),
            None => of_host.push((host, vec![i])),
        }
    }
    let most = of_host.iter().map(|(_, nodes)| nodes.len()).max().unwrap_or(0);
    let in_turn: Vec<usize> =
        (0..most).flat_map(|n| of_host.iter().filter_map(move |(_, nodes)| nodes.get(n).copied())).collect();
    let (masters, rest) = in_turn.split_at(masters.min(in_turn.len()));
    let replicas = rest.iter().enumerate().map(|(n, &node)| (node, masters[n % masters.len()])).collect();
    let mut roles = Roles { masters: masters.to_vec(), replicas };
    // Two replicas change places as long as that makes it better.
    let mut best = offending(hosts, &roles);
    let mut better = true;
    while better && best != (0, 0) {
        better = false;
        for one in 0..roles.replicas.len() {
            for other in one + 1..roles.replicas.len() {
                let swap = |roles: &mut Roles| {
                    let kept = roles.replicas[one].1;
                    roles.replicas[one].1 = roles.replicas[other].1;
                    roles.replicas[other].1 = kept;
                };
                swap(&mut roles);
                let now = offending(hosts, &roles);
                if now < best {
                    (best, better) = (now, true);
                } else {
                    swap(&mut roles);
                }
            }
        }
    }
    roles
}

/// How many replicas are on the host of their master, and how many share their host with another replica of the same master.
pub(super) fn offending(hosts: &[&str], roles: &Roles) -> (usize, usize) {
    let with_master = roles.replicas.iter().filter(|(r, m)| hosts[*r] == hosts[*m]).count();
    let mut groups: BTreeMap<(usize, &str), usize> = BTreeMap::new();
    for (replica, master) in &roles.replicas {
        *groups.entry((*master, hosts[*replica])).or_default() += 1;
    }
    (with_master, groups.values().map(|n| n - 1).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_redis_cli() {
        assert_eq!(shares(3), [(0, 5460), (5461, 10922), (10923, 16383)]);
        for masters in [1, 3, 7, 100, 16384] {
            let all = shares(masters);
            assert_eq!((all[0].0, all[masters - 1].1), (0, SLOTS - 1));
            assert!(all.windows(2).all(|w| w[0].1 + 1 == w[1].0), "{masters}");
        }
    }

    #[test]
    fn replicas_keep_away_from_their_masters() {
        for (hosts, masters) in [
            (vec!["a", "a", "b", "b", "c", "c"], 3),
            (vec!["a", "a", "a", "b", "b", "b"], 3),
            (vec!["a", "b", "c", "a", "b", "c", "a", "b", "c"], 3),
            (vec!["a", "a", "a", "b", "b", "b", "c", "c", "c"], 3),
            (vec!["a", "b", "c", "d", "a", "b", "c"], 3),
        ] {
            let roles = roles(&hosts, masters);
            assert_eq!(offending(&hosts, &roles).0, 0, "{hosts:?}: {roles:?}");
            let mut all: Vec<usize> =
                roles.masters.iter().copied().chain(roles.replicas.iter().map(|r| r.0)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..hosts.len()).collect::<Vec<_>>());
        }
        let one_host = roles(&["a"; 6], 3);
        assert_eq!(offending(&["a"; 6], &one_host).0, 3);
    }
}
