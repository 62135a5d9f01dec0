//! Lists (t_list.c): a ring of elements, with both ends and every index at hand.

use std::collections::VecDeque;

/// Elements in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List(VecDeque<Box<[u8]>>);

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The head.
    Left,
    /// The tail.
    Right,
}

impl List {
    /// How many elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All elements from head to tail.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.0.iter().map(|e| &**e)
    }

    /// Elements `from` to before `to`.
    ///
    /// # Panics
    /// When the list is shorter, or the range begins behind its end.
    pub fn range(&self, from: usize, to: usize) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.range(from..to).map(|e| &**e)
    }

    /// An element by its index, a negative one from the tail.
    pub fn get(&self, index: i64) -> Option<&[u8]> {
        self.0.get(self.place(index)?).map(|e| &**e)
    }

    fn place(&self, index: i64) -> Option<usize> {
        let from_head = if index < 0 { index.checked_add(self.0.len() as i64)? } else { index };
        usize::try_from(from_head).ok().filter(|&i| i < self.0.len())
    }

    /// Replaces an element; whether the index was there.
    pub fn set(&mut self, index: i64, element: &[u8]) -> bool {
        let Some(place) = self.place(index) else { return false };
        self.0[place] = element.into();
        true
    }

    /// Adds an element at an end.
    pub fn push(&mut self, end: End, element: impl Into<Box<[u8]>>) {
        match end {
            End::Left => self.0.push_front(element.into()),
            End::Right => self.0.push_back(element.into()),
        }
    }

    /// Takes an element from an end.
    pub fn pop(&mut self, end: End) -> Option<Box<[u8]>> {
        let popped = match end {
            End::Left => self.0.pop_front(),
            End::Right => self.0.pop_back(),
        };
        self.shrink();
        popped
    }

    /// The element at an end.
    pub fn peek(&self, end: End) -> Option<&[u8]> {
        match end {
            End::Left => self.0.front(),
            End::Right => self.0.back(),
        }
        .map(|e| &**e)
    }

    /// Puts an element at a place; those from there on move towards the tail.
    ///
    /// # Panics
    /// When the place is behind the tail.
    pub fn insert(&mut self, place: usize, element: &[u8]) {
        self.0.insert(place, element.into());
    }

    /// Takes out up to `most` elements that equal `element`, those nearest to `from` first; says how many.
    pub fn remove_equal(&mut self, element: &[u8], from: End, most: usize) -> usize {
        let total = self.0.iter().filter(|e| ***e == *element).count();
        let gone = total.min(most);
        let (mut seen, skip) = (0, if from == End::Right { total - gone } else { 0 });
        self.0.retain(|e| {
            if **e != *element {
                return true;
            }
            seen += 1;
            !(skip + 1..=skip + gone).contains(&seen)
        });
        self.shrink();
        gone
    }

    /// Keeps elements `from` to before `to`.
    pub fn keep(&mut self, from: usize, to: usize) {
        self.0.truncate(to);
        self.0.drain(..from.min(self.0.len()));
        self.shrink();
    }

    fn shrink(&mut self) {
        if self.0.capacity() > 1024 && self.0.len() < self.0.capacity() / 8 {
            self.0.shrink_to(self.0.len() * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> List {
        let mut list = List::default();
        text.bytes().for_each(|b| list.push(End::Right, [b]));
        list
    }

    fn text(list: &List) -> String {
        list.iter().map(|e| e[0] as char).collect()
    }

    #[test]
    fn equal_elements_are_removed_from_either_end() {
        for (from, most, left) in [
            (End::Left, 2, "bcab"),
            (End::Right, 2, "abcb"),
            (End::Left, usize::MAX, "bcb"),
            (End::Left, 0, "abacab"),
        ] {
            let mut l = list("abacab");
            let gone = l.remove_equal(b"a", from, most);
            assert_eq!((text(&l).as_str(), gone), (left, 6 - left.len()));
        }
    }

    #[test]
    fn indexes_from_both_ends() {
        let l = list("abc");
        assert_eq!(l.get(0), Some(&b"a"[..]));
        assert_eq!(l.get(-1), Some(&b"c"[..]));
        assert_eq!(l.get(3), None);
        assert_eq!(l.get(-4), None);
        assert_eq!(l.get(i64::MIN), None);
    }
}
