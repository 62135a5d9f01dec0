//! Which slots move where: the arithmetic of `redis-cli --cluster reshard` and `rebalance`, without any node.

use slotproof_model::{SLOTS, Slot, SlotSet};

/// So many slots from one node to another, both as positions in what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Who gives.
    pub from: usize,
    /// Who gets.
    pub to: usize,
    /// How many.
    pub slots: usize,
}

/// Takes `wanted` slots from sources in proportion to what they own, the lowest ones first: position of the source, and slot.
/// Fewer only if the sources do not own so many.
pub fn portions(sources: &[&SlotSet], wanted: usize) -> Vec<(usize, u16)> {
    let total: usize = sources.iter().map(|s| s.len()).sum();
    let mut order: Vec<usize> = (0..sources.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(sources[i].len()));
    let wanted = wanted.min(total);
    // The largest is rounded up, the others down, as redis-cli does; what is missing then comes from whoever has more.
    let mut shares: Vec<usize> = order
        .iter()
        .enumerate()
        .map(|(rank, &i)| {
            let exact = wanted * sources[i].len();
            if rank == 0 { exact.div_ceil(total.max(1)) } else { exact / total.max(1) }
        })
        .collect();
    let mut missing = wanted.saturating_sub(shares.iter().sum());
    for (rank, &i) in order.iter().enumerate() {
        let more = missing.min(sources[i].len() - shares[rank]);
        shares[rank] += more;
        missing -= more;
    }
    let take = |(&i, &share): (&usize, &usize)| {
        sources[i].iter().take(share).map(move |slot| (i, u16::from(slot))).collect::<Vec<_>>()
    };
    let mut plan: Vec<_> = order.iter().zip(&shares).flat_map(take).collect();
    plan.truncate(wanted);
    plan
}

/// What has to go where so that each node owns its share by weight. Nothing, if no node is further from its share than `threshold`
/// percent. Nodes are (slots that it owns, its weight).
pub fn balance(nodes: &[(usize, f64)], threshold: f64) -> Vec<Transfer> {
    let total: f64 = nodes.iter().map(|n| n.1).sum();
    if nodes.is_empty() || total <= 0.0 {
        return Vec::new();
    }
    let expected = |weight: f64| f64::from(SLOTS) / total * weight;
    let over = |&(slots, weight): &(usize, f64)| {
        let expected = expected(weight);
        let percent = if slots > 0 { (100.0 - 100.0 * expected / slots as f64).abs() } else { 100.0 };
        if slots > 0 { percent > threshold } else { expected > 1.0 }
    };
    if !nodes.iter().any(over) {
        return Vec::new();
    }
    let mut surplus: Vec<i64> = nodes.iter().map(|&(slots, w)| slots as i64 - expected(w) as i64).collect();
    // Rounding leaves some that belong to nobody: one more for each node that lacks some.
    let mut rest: i64 = surplus.iter().sum();
    while rest > 0 {
        let before = rest;
        for (i, s) in surplus.iter_mut().enumerate() {
            if rest > 0 && *s <= 0 && nodes[i].1 > 0.0 {
                *s -= 1;
                rest -= 1;
            }
        }
        if rest == before {
            break;
        }
    }
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_key(|&i| surplus[i]);
    let (mut low, mut high) = (0, order.len() - 1);
    let mut plan = Vec::new();
    while low < high {
        let (to, from) = (order[low], order[high]);
        let slots = (-surplus[to]).min(surplus[from]).max(0);
        if slots > 0 {
            plan.push(Transfer { from, to, slots: slots as usize });
        }
        surplus[to] += slots;
        surplus[from] -= slots;
        low += usize::from(surplus[to] >= 0);
        high -= usize::from(surplus[from] <= 0);
    }
    plan
}

/// Takes the lowest `n` slots out of a set.
pub(super) fn take_lowest(set: &mut SlotSet, n: usize) -> Vec<u16> {
    let lowest: Vec<Slot> = set.iter().take(n).collect();
    for &slot in &lowest {
        set.remove(slot);
    }
    lowest.into_iter().map(u16::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(first: u16, last: u16) -> SlotSet {
        crate::manager::survey::set_of(first..=last)
    }

    #[test]
    fn portions_are_in_proportion_and_complete() {
        let sets = [set(0, 9), set(100, 129), set(200, 219)];
        let sources: Vec<&SlotSet> = sets.iter().collect();
        for wanted in [0, 1, 2, 6, 7, 30, 59, 60, 1000] {
            let plan = portions(&sources, wanted);
            assert_eq!(plan.len(), wanted.min(60), "{wanted}");
            let mut slots: Vec<u16> = plan.iter().map(|p| p.1).collect();
            slots.sort_unstable();
            slots.dedup();
            assert_eq!(slots.len(), plan.len(), "no slot twice");
            assert!(plan.iter().all(|&(i, s)| sets[i].contains(Slot::new(s))));
        }
        let plan = portions(&sources, 6);
        let of = |i| plan.iter().filter(|p| p.0 == i).map(|p| p.1).collect::<Vec<_>>();
        assert_eq!((of(0), of(1), of(2)), (vec![0], vec![100, 101, 102], vec![200, 201]));
        assert_eq!(portions(&[], 5), []);
        assert_eq!(portions(&[&SlotSet::new(SLOTS)], 5), []);
    }

    fn after(nodes: &[(usize, f64)], plan: &[Transfer]) -> Vec<usize> {
        let mut slots: Vec<usize> = nodes.iter().map(|n| n.0).collect();
        for t in plan {
            slots[t.from] -= t.slots;
            slots[t.to] += t.slots;
        }
        slots
    }

    #[test]
    fn a_balance_fits_the_weights() {
        let even = [(5461, 1.0), (5462, 1.0), (5461, 1.0)];
        assert_eq!(balance(&even, 2.0), []);
        let empty = [(5461, 1.0), (5462, 1.0), (5461, 1.0), (0, 1.0)];
        assert_eq!(after(&empty, &balance(&empty, 2.0)), [4096; 4]);
        let light = [(5461, 0.0), (5462, 1.0), (5461, 1.0)];
        assert_eq!(after(&light, &balance(&light, 2.0)), [0, 8192, 8192]);
        let heavy = [(5461, 1.0), (5462, 2.0), (5461, 1.0)];
        assert_eq!(after(&heavy, &balance(&heavy, 2.0)), [4096, 8192, 4096]);
        let close = [(5500, 1.0), (5442, 1.0), (5442, 1.0)];
        assert_eq!(balance(&close, 2.0), []);
        assert_ne!(balance(&close, 0.5), []);
        assert_eq!(balance(&[], 2.0), []);
        assert_eq!(balance(&[(16384, 0.0)], 2.0), []);
    }
}
