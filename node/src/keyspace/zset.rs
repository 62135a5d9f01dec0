//! Sorted sets (t_zset.c): members with scores, by rank.

use super::rank_list::{RankList, order};
use super::value::Packing;

/// Members ordered by score and then by their bytes.
#[derive(Clone, Debug, Default)]
pub struct Zset(Form);

#[derive(Clone, Debug)]
enum Form {
    /// Few and short members, in order: `listpack`.
    Packed(Vec<(Box<[u8]>, f64)>),
    /// Any number of members: `skiplist`.
    Ranked(Box<RankList>),
}

impl Default for Form {
    fn default() -> Self {
        Self::Packed(Vec::new())
    }
}

impl Zset {
    /// How many members.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Packed(all) => all.len(),
            Form::Ranked(list) => list.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is in its compact form.
    pub fn is_packed(&self) -> bool {
        matches!(self.0, Form::Packed(_))
    }

    /// The score of a member.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Form::Packed(all) => all.iter().find(|(m, _)| **m == *member).map(|(_, s)| *s),
            Form::Ranked(list) => list.score(member),
        }
    }

    /// The rank of a member, from 0.
    pub fn rank(&self, member: &[u8]) -> Option<usize> {
        match &self.0 {
            Form::Packed(all) => all.iter().position(|(m, _)| **m == *member),
            Form::Ranked(list) => list.rank(member),
        }
    }

    /// What is at a place, in no order.
    pub fn at(&self, place: usize) -> Option<(&[u8], f64)> {
        match &self.0 {
            Form::Packed(all) => all.get(place).map(|(m, s)| (&**m, *s)),
            Form::Ranked(list) => list.at(place),
        }
    }

    /// How many members from the lowest on `ahead` holds for; it must hold up to some rank and not behind.
    pub fn partition_point(&self, mut ahead: impl FnMut(&[u8], f64) -> bool) -> usize {
        match &self.0 {
            Form::Packed(all) => all.partition_point(|(m, s)| ahead(m, *s)),
            Form::Ranked(list) => list.partition_point(ahead),
        }
    }

    /// Members with ranks `from` to before `to`, upwards, or downwards from the last of them.
    pub fn range(&self, from: usize, to: usize, down: bool) -> Box<dyn Iterator<Item = (&[u8], f64)> + '_> {
        let to = to.min(self.len());
        if from >= to {
            return Box::new(std::iter::empty());
        }
        match &self.0 {
            Form::Packed(all) => {
                let part = all[from..to].iter().map(|(m, s)| (&**m, *s));
                if down { Box::new(part.rev()) } else { Box::new(part) }
            }
            Form::Ranked(list) => Box::new(list.walk(if down { to - 1 } else { from }, down).take(to - from)),
        }
    }

    /// All members, upwards.
    pub fn iter(&self) -> Box<dyn Iterator<Item = (&[u8], f64)> + '_> {
        self.range(0, self.len(), false)
    }

    /// Leaves the compact form.
    pub fn spread(&mut self) {
        if let Form::Packed(all) = &self.0 {
            let mut list = RankList::new();
            for (member, score) in all {
                list.insert(member, *score);
            }
            self.0 = Form::Ranked(Box::new(list));
        }
    }

    /// Adds a member or gives it another score; gives the score that it had.
    pub fn insert(&mut self, member: &[u8], score: f64, packing: &Packing) -> Option<f64> {
        if let Form::Packed(all) = &mut self.0 {
            let old = all.iter().position(|(m, _)| **m == *member).map(|at| all.remove(at));
            if old.is_some() || all.len() < packing.zset_entries && member.len() <= packing.zset_value {
                // The compact form of Redis keeps whole numbers as such, which knows no negative zero.
                let score = if score == 0.0 { 0.0 } else { score };
                let at = all.partition_point(|(m, s)| order((*s, m), (score, member)).is_lt());
                let (member, old) = match old {
                    Some((member, old)) => (member, Some(old)),
                    None => (member.into(), None),
                };
                all.insert(at, (member, score));
                return old;
            }
            self.spread();
        }
        match &mut self.0 {
            Form::Ranked(list) => list.insert(member, score),
            Form::Packed(_) => None,
        }
    }

    /// Takes a member out; gives its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match &mut self.0 {
            Form::Packed(all) => {
                let at = all.iter().position(|(m, _)| **m == *member)?;
                Some(all.remove(at).1)
            }
            Form::Ranked(list) => list.remove(member),
        }
    }

    /// Takes out the members with ranks `from` to before `to`; says how many.
    pub fn remove_range(&mut self, from: usize, to: usize) -> usize {
        let to = to.min(self.len());
        if from >= to {
            return 0;
        }
        match &mut self.0 {
            Form::Packed(all) => drop(all.drain(from..to)),
            Form::Ranked(list) => {
                let gone: Vec<Box<[u8]>> =
                    list.walk(from, false).take(to - from).map(|(m, _)| m.into()).collect();
                for member in &gone {
                    list.remove(member);
                }
            }
        }
        to - from
    }

    /// See `Dict::scan`. The compact form is visited at once.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8], f64)) -> u64 {
        match &self.0 {
            Form::Packed(_) => {
                self.iter().for_each(|(m, s)| visit(m, s));
                0
            }
            Form::Ranked(list) => list.scan(cursor, count, visit),
        }
    }
}

impl PartialEq for Zset {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

/// Scores are never NaN.
impl Eq for Zset {}
