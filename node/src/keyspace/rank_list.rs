//! A skip list that knows ranks (t_zset.c `zskiplist`), with an index by member: members ordered by score and then
//! by their bytes; everything but a walk takes O(log n).
//!
//! Nodes are in places without gaps: any can be picked with equal chance, and scans go down from the last
//! place (see `dict.rs`).

use std::cmp::Ordering;

use hashbrown::HashTable;

use super::dict::{hash, scan_places};
use super::random::random;

const NONE: u32 = u32::MAX;
const MAX_LEVELS: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    /// How many ranks ahead the next node is; without one, how many nodes follow.
    span: u32,
}

const NO_LINK: Link = Link { next: NONE, span: 0 };

#[derive(Clone, Debug)]
struct Node {
    member: Box<[u8]>,
    score: f64,
    back: u32,
    first: Link,
    /// Links of the levels above the first; most nodes have none.
    upper: Box<[Link]>,
}

impl Node {
    fn levels(&self) -> usize {
        1 + self.upper.len()
    }

    fn link(&self, level: usize) -> Link {
        if level == 0 { self.first } else { self.upper[level - 1] }
    }

    fn cmp(&self, score: f64, member: &[u8]) -> Ordering {
        order((self.score, &self.member), (score, member))
    }
}

/// The order of a sorted set.
pub(super) fn order(a: (f64, &[u8]), b: (f64, &[u8])) -> Ordering {
    a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal).then_with(|| a.1.cmp(b.1))
}

/// Members with scores.
#[derive(Clone, Debug)]
pub(super) struct RankList {
    nodes: Vec<Node>,
    index: HashTable<u32>,
    head: [Link; MAX_LEVELS],
    levels: usize,
    tail: u32,
}

/// For each level the last node before a place (`NONE` for the head), and its rank counted from 1.
struct Path {
    node: [u32; MAX_LEVELS],
    rank: [u32; MAX_LEVELS],
}

impl RankList {
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            index: HashTable::new(),
            head: [NO_LINK; MAX_LEVELS],
            levels: 1,
            tail: NONE,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|at| self.nodes[at as usize].score)
    }

    /// What is at a place, in no order.
    pub(super) fn at(&self, place: usize) -> Option<(&[u8], f64)> {
        self.nodes.get(place).map(|n| (&*n.member, n.score))
    }

    fn find(&self, member: &[u8]) -> Option<u32> {
        self.index.find(hash(member), |&i| *self.nodes[i as usize].member == *member).copied()
    }

    fn link(&self, node: u32, level: usize) -> Link {
        if node == NONE { self.head[level] } else { self.nodes[node as usize].link(level) }
    }

    fn link_mut(&mut self, node: u32, level: usize) -> &mut Link {
        match (node, level) {
            (NONE, _) => &mut self.head[level],
            (_, 0) => &mut self.nodes[node as usize].first,
            _ => &mut self.nodes[node as usize].upper[level - 1],
        }
    }

    /// Goes as far as `ahead` holds, which must be true for nodes up to some rank and false behind.
    fn path(&self, mut ahead: impl FnMut(&Node) -> bool) -> Path {
        let mut path = Path { node: [NONE; MAX_LEVELS], rank: [0; MAX_LEVELS] };
        let (mut at, mut rank) = (NONE, 0);
        for level in (0..self.levels).rev() {
            loop {
                let link = self.link(at, level);
                if link.next == NONE || !ahead(&self.nodes[link.next as usize]) {
                    break;
                }
                rank += link.span;
                at = link.next;
            }
            path.node[level] = at;
            path.rank[level] = rank;
        }
        path
    }

    /// How many members from the first on `ahead` holds for.
    pub(super) fn partition_point(&self, mut ahead: impl FnMut(&[u8], f64) -> bool) -> usize {
        self.path(|n| ahead(&n.member, n.score)).rank[0] as usize
    }

    /// The rank of a member, from 0.
    pub(super) fn rank(&self, member: &[u8]) -> Option<usize> {
        let score = self.score(member)?;
        Some(self.path(|n| n.cmp(score, member).is_lt()).rank[0] as usize)
    }

    /// The node of a rank.
    fn by_rank(&self, rank: usize) -> u32 {
        if rank >= self.len() {
            return NONE;
        }
        let (mut at, mut passed) = (NONE, 0);
        for level in (0..self.levels).rev() {
            loop {
                let link = self.link(at, level);
                if link.next == NONE || passed + link.span as usize > rank + 1 {
                    break;
                }
                passed += link.span as usize;
                at = link.next;
            }
        }
        if passed == rank + 1 { at } else { NONE }
    }

    /// Members from a rank on, upwards or downwards.
    pub(super) fn walk(&self, rank: usize, down: bool) -> impl Iterator<Item = (&[u8], f64)> {
        let first = self.nodes.get(self.by_rank(rank) as usize);
        std::iter::successors(first, move |n| {
            self.nodes.get(if down { n.back } else { n.first.next } as usize)
        })
        .map(|n| (&*n.member, n.score))
    }

    /// Adds a member or gives it another score; gives the score that it had.
    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let Some(at) = self.find(member) else {
            self.add(member.into(), score);
            return None;
        };
        let node = &mut self.nodes[at as usize];
        let old = node.score;
        // Where the order stays as it is, nothing has to move.
        let (back, next) = (node.back, node.first.next);
        let fits = |other: u32, side: Ordering| {
            other == NONE || self.nodes[other as usize].cmp(score, member) == side
        };
        if fits(back, Ordering::Less) && fits(next, Ordering::Greater) {
            self.nodes[at as usize].score = score;
        } else {
            let member = self.take(at);
            self.add(member, score);
        }
        Some(old)
    }

    fn add(&mut self, member: Box<[u8]>, score: f64) {
        let len = self.nodes.len();
        assert!(len < NONE as usize, "a sorted set holds less than 2^32 members");
        let id = len as u32;
        let mut path = self.path(|n| n.cmp(score, &member).is_lt());
        let levels = (1 + random().trailing_zeros() as usize / 2).min(MAX_LEVELS);
        for level in self.levels..levels {
            path.node[level] = NONE;
            path.rank[level] = 0;
            self.head[level] = Link { next: NONE, span: id };
        }
        self.levels = self.levels.max(levels);
        let mut links = [NO_LINK; MAX_LEVELS];
        for (level, new) in links.iter_mut().enumerate().take(self.levels) {
            let before = path.rank[0] - path.rank[level];
            let link = self.link_mut(path.node[level], level);
            if level < levels {
                *new = Link { next: link.next, span: link.span - before };
                *link = Link { next: id, span: before + 1 };
            } else {
                link.span += 1;
            }
        }
        match links[0].next {
            NONE => self.tail = id,
            next => self.nodes[next as usize].back = id,
        }
        let hashed = hash(&member);
        self.nodes.push(Node {
            member,
            score,
            back: path.node[0],
            first: links[0],
            upper: links[1..levels].into(),
        });
        let nodes = &self.nodes;
        self.index.insert_unique(hashed, id, |&i| hash(&nodes[i as usize].member));
    }

    /// Takes a member out; gives its score.
    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let at = self.find(member)?;
        let score = self.nodes[at as usize].score;
        self.take(at);
        Some(score)
    }

    fn path_to(&self, at: u32) -> Path {
        let node = &self.nodes[at as usize];
        self.path(|n| n.cmp(node.score, &node.member).is_lt())
    }

    fn take(&mut self, at: u32) -> Box<[u8]> {
        let path = self.path_to(at);
        for level in 0..self.levels {
            let mine = (level < self.nodes[at as usize].levels()).then(|| self.link(at, level));
            let link = self.link_mut(path.node[level], level);
            match mine {
                Some(mine) => *link = Link { next: mine.next, span: link.span + mine.span - 1 },
                None => link.span -= 1,
            }
        }
        let (next, back) = (self.nodes[at as usize].first.next, self.nodes[at as usize].back);
        match next {
            NONE => self.tail = back,
            next => self.nodes[next as usize].back = back,
        }
        while self.levels > 1 && self.head[self.levels - 1].next == NONE {
            self.levels -= 1;
        }
        let hashed = hash(&self.nodes[at as usize].member);
        if let Ok(found) = self.index.find_entry(hashed, |&i| i == at) {
            found.remove();
        }
        self.fill(at);
        let node = self.nodes.swap_remove(at as usize);
        if self.nodes.capacity() > 1024 && self.nodes.len() < self.nodes.capacity() / 8 {
            self.nodes.shrink_to(self.nodes.len() * 2);
            let nodes = &self.nodes;
            self.index.shrink_to(nodes.len() * 2, |&i| hash(&nodes[i as usize].member));
        }
        node.member
    }

    /// Whoever knows the last node by its place is told that it will be at `at`.
    fn fill(&mut self, at: u32) {
        let last = self.nodes.len() as u32 - 1;
        if at == last {
            return;
        }
        let path = self.path_to(last);
        for level in 0..self.nodes[last as usize].levels() {
            self.link_mut(path.node[level], level).next = at;
        }
        match self.nodes[last as usize].first.next {
            NONE => self.tail = at,
            next => self.nodes[next as usize].back = at,
        }
        let hashed = hash(&self.nodes[last as usize].member);
        if let Some(place) = self.index.find_mut(hashed, |&i| i == last) {
            *place = at;
        }
    }

    /// See [`super::dict::Dict::scan`].
    pub(super) fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        let (from, to) = scan_places(self.len(), cursor, count);
        self.nodes[to..from].iter().rev().for_each(|n| visit(&n.member, n.score));
        to as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that must hold between the links, the ranks, the index and the places.
    fn check(list: &RankList) {
        let up: Vec<_> = list.walk(0, false).collect();
        assert_eq!(up.len(), list.len());
        assert!(up.windows(2).all(|w| order((w[0].1, w[0].0), (w[1].1, w[1].0)).is_lt()));
        let mut down: Vec<_> = list.walk(list.len().wrapping_sub(1), true).collect();
        down.reverse();
        assert_eq!(up, down);
        for (rank, (member, score)) in up.iter().enumerate() {
            assert_eq!(list.rank(member), Some(rank));
            assert_eq!(list.score(member), Some(*score));
            assert_eq!(list.walk(rank, false).next(), Some((*member, *score)));
        }
        for level in 0..list.levels {
            let (mut at, mut sum) = (NONE, 0);
            loop {
                let link = list.link(at, level);
                sum += link.span as usize;
                at = link.next;
                if at == NONE {
                    break;
                }
            }
            assert_eq!(sum, list.len(), "level {level}");
        }
        assert_eq!(list.tail == NONE, list.len() == 0);
    }

    quickcheck::quickcheck! {
        fn does_as_a_sorted_vector(steps: Vec<(bool, u8, i8)>) -> bool {
            let (mut list, mut model) = (RankList::new(), std::collections::BTreeMap::new());
            for (add, member, score) in steps {
                let (member, score) = (vec![member % 64], f64::from(score % 8));
                if add {
                    assert_eq!(list.insert(&member, score), model.insert(member, score));
                } else {
                    assert_eq!(list.remove(&member), model.remove(&member));
                }
                check(&list);
            }
            let mut sorted: Vec<_> = model.iter().map(|(m, s)| (*s, m.as_slice())).collect();
            sorted.sort_by(|a, b| order(*a, *b));
            let below = |limit: f64| sorted.iter().filter(|(s, _)| *s < limit).count();
            (-9..9).map(f64::from).all(|l| list.partition_point(|_, s| s < l) == below(l))
                && list.walk(0, false).map(|(m, s)| (s, m)).eq(sorted)
        }

        /// Members that are there all the time are met, whatever comes, goes and moves in between.
        fn a_scan_misses_nothing(steps: Vec<(bool, u8, i8)>, count: usize) -> bool {
            let mut list = RankList::new();
            for i in 0..100u8 {
                list.insert(&[i], f64::from(i % 7));
            }
            let (mut met, mut cursor, mut steps) = (std::collections::BTreeSet::new(), 0, steps.into_iter());
            loop {
                cursor = list.scan(cursor, count % 7, |m, _| {
                    met.insert(m[0]);
                });
                if cursor == 0 {
                    break;
                }
                // Members from 50 on come and go; the others only get other scores where they keep their order.
                for (add, member, score) in steps.by_ref().take(5) {
                    let member = [50 + member % 100];
                    if add {
                        list.insert(&member, f64::from(score));
                    } else {
                        list.remove(&member);
                    }
                    check(&list);
                }
            }
            (0..50).all(|i| met.contains(&i))
        }
    }
}
