//! Sets (t_set.c, intset.c): numbers in order while there is nothing else, later members of any kind.

use std::borrow::Cow;

use super::dict::Dict;
use super::value::Packing;
use crate::resp::parse_i64;

/// Members without order.
#[derive(Clone, Debug)]
pub enum Set {
    /// 64-bit numbers, ascending, and how many bytes Redis would take for each: it grows and never shrinks.
    Ints(Vec<i64>, u8),
    /// Members of any kind.
    Members(Dict<()>),
}

impl Default for Set {
    fn default() -> Self {
        Self::Ints(Vec::new(), 2)
    }
}

/// How many bytes a number takes in a set of numbers.
fn int_width(n: i64) -> u8 {
    match n {
        _ if i16::try_from(n).is_ok() => 2,
        _ if i32::try_from(n).is_ok() => 4,
        _ => 8,
    }
}

impl Set {
    /// How many members.
    pub fn len(&self) -> usize {
        match self {
            Self::Ints(ints, _) => ints.len(),
            Self::Members(dict) => dict.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a member is there.
    pub fn contains(&self, member: &[u8]) -> bool {
        match self {
            Self::Ints(ints, _) => parse_i64(member).is_some_and(|n| ints.binary_search(&n).is_ok()),
            Self::Members(dict) => dict.contains(member),
        }
    }

    /// The member at a place, in no order.
    pub fn at(&self, place: usize) -> Option<Cow<'_, [u8]>> {
        match self {
            Self::Ints(ints, _) => ints.get(place).map(|&n| Cow::Owned(n.to_string().into_bytes())),
            Self::Members(dict) => dict.at(place).map(|(m, ())| Cow::Borrowed(m)),
        }
    }

    /// All members; those of a set of numbers in order.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        (0..self.len()).filter_map(|i| self.at(i))
    }

    /// Adds a member; whether it is new.
    pub fn add(&mut self, member: &[u8], packing: &Packing) -> bool {
        if let Self::Ints(ints, width) = self {
            if let Some(n) = parse_i64(member) {
                let Err(at) = ints.binary_search(&n) else { return false };
                ints.insert(at, n);
                *width = (*width).max(int_width(n));
                if ints.len() > packing.set_ints {
                    self.spread();
                }
                return true;
            }
            self.spread();
        }
        match self {
            Self::Members(dict) => dict.insert(member, ()).is_none(),
            Self::Ints(..) => false,
        }
    }

    /// Leaves the form of numbers.
    pub fn spread(&mut self) {
        if let Self::Ints(ints, _) = self {
            let mut dict = Dict::indexed();
            for n in ints {
                dict.insert(itoa::Buffer::new().format(*n).as_bytes(), ());
            }
            *self = Self::Members(dict);
        }
    }

    /// Takes a member out; whether it was there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            Self::Ints(ints, _) => match parse_i64(member).map(|n| ints.binary_search(&n)) {
                Some(Ok(at)) => {
                    ints.remove(at);
                    true
                }
                _ => false,
            },
            Self::Members(dict) => dict.remove(member).is_some(),
        }
    }

    /// Takes out what is at a place.
    ///
    /// # Panics
    /// When there is none.
    pub fn remove_at(&mut self, place: usize) -> Vec<u8> {
        match self {
            Self::Ints(ints, _) => ints.remove(place).to_string().into_bytes(),
            Self::Members(dict) => dict.remove_at(place).0.into_vec(),
        }
    }

    /// See [`Dict::scan`]. Numbers are visited all at once.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(&[u8])) -> u64 {
        match self {
            Self::Ints(..) => {
                self.iter().for_each(|m| visit(&m));
                0
            }
            Self::Members(dict) => dict.scan(cursor, count, |m, ()| visit(m)),
        }
    }
}

impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|m| other.contains(&m))
    }
}

impl Eq for Set {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    quickcheck::quickcheck! {
        fn does_as_a_set(steps: Vec<(bool, i16)>, word_after: usize) -> bool {
            let packing = Packing { set_ints: 8, ..Packing::default() };
            let (mut set, mut model) = (Set::default(), BTreeSet::new());
            for (i, &(add, n)) in steps.iter().enumerate() {
                let member = if i == word_after % 30 { "word".into() } else { (n % 20).to_string() };
                let same = if add {
                    set.add(member.as_bytes(), &packing) == model.insert(member)
                } else {
                    set.remove(member.as_bytes()) == model.remove(&member)
                };
                if !same || set.len() != model.len() {
                    return false;
                }
            }
            let members: BTreeSet<_> =
                set.iter().map(|m| String::from_utf8_lossy(&m).into_owned()).collect();
            members == model
        }
    }
}
