//! Lists (t_list.c): elements packed into chunks, with both ends at hand; what is between is found by the counts of chunks.

use std::collections::VecDeque;
use std::fmt;

use super::chunk::{Chunk, size, split_first, split_last};

/// Elements in order.
#[derive(Clone, Default)]
pub struct List {
    /// None of them is empty.
    chunks: VecDeque<Chunk>,
    len: usize,
}

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The head.
    Left,
    /// The tail.
    Right,
}

/// What is left to be walked of a list.
struct Iter<'a> {
    chunks: &'a VecDeque<Chunk>,
    /// How many elements.
    left: usize,
    /// The chunk at each end, and what is left of it if they are not the same.
    first: usize,
    head: &'a [u8],
    last: usize,
    tail: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        if self.head.is_empty() {
            self.first += 1;
            self.head = self.chunks[self.first].bytes();
        }
        let (element, others) = split_first(self.head);
        self.head = others;
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        if self.tail.is_empty() {
            self.last -= 1;
            self.tail = self.chunks[self.last].bytes();
        }
        let (element, others) = split_last(self.tail);
        self.tail = others;
        Some(element)
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for List {}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl List {
    /// How many elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Of how many pieces it is, which are freed one by one.
    pub(super) fn pieces(&self) -> usize {
        self.chunks.len()
    }

    /// All elements from head to tail.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        self.iter_from(0)
    }

    /// Elements `from` to before `to`.
    ///
    /// # Panics
    /// When the list is shorter, or the range begins behind its end.
    pub fn range(&self, from: usize, to: usize) -> impl DoubleEndedIterator<Item = &[u8]> {
        assert!(from <= to && to <= self.len, "a range of the list");
        self.iter_from(from).take(to - from)
    }

    fn iter_from(&self, place: usize) -> Iter<'_> {
        let (first, nth) = self.find(place);
        let head = self.chunks.get(first).map_or(&[][..], |chunk| &chunk.bytes()[chunk.offset(nth)..]);
        let tail = self.chunks.back().map_or(&[][..], Chunk::bytes);
        let last = self.chunks.len().saturating_sub(1);
        Iter { chunks: &self.chunks, left: self.len - place, first, head, last, tail }
    }

    /// The chunk that an element is in, and which one it is there. What is behind the tail is in a chunk behind the last.
    fn find(&self, place: usize) -> (usize, usize) {
        if place <= self.len / 2 {
            let mut before = 0;
            for (i, chunk) in self.chunks.iter().enumerate() {
                if place < before + chunk.count() {
                    return (i, place - before);
                }
                before += chunk.count();
            }
        } else {
            let mut behind = self.len;
            for (i, chunk) in self.chunks.iter().enumerate().rev().take_while(|_| place < self.len) {
                behind -= chunk.count();
                if place >= behind {
                    return (i, place - behind);
                }
            }
        }
        (self.chunks.len(), 0)
    }

    /// An element by its index, a negative one from the tail.
    pub fn get(&self, index: i64) -> Option<&[u8]> {
        let (i, nth) = self.find(self.place(index)?);
        let chunk = self.chunks.get(i)?;
        Some(split_first(&chunk.bytes()[chunk.offset(nth)..]).0)
    }

    fn place(&self, index: i64) -> Option<usize> {
        let from_head = if index < 0 { index.checked_add(self.len as i64)? } else { index };
        usize::try_from(from_head).ok().filter(|&i| i < self.len)
    }

    /// Replaces an element; whether the index was there.
    pub fn set(&mut self, index: i64, element: &[u8]) -> bool {
        let Some(place) = self.place(index) else { return false };
        let (i, nth) = self.find(place);
        let chunk = &mut self.chunks[i];
        let at = chunk.offset(nth);
        if split_first(&chunk.bytes()[at..]).0.len() == element.len() {
            chunk.overwrite(at, element);
            return true;
        }
        let mut nth_now = 0;
        chunk.retain(|_| {
            nth_now += 1;
            nth_now != nth + 1
        });
        if chunk.count() == 0 {
            self.chunks.remove(i);
        }
        self.len -= 1;
        self.join_around(i);
        self.insert(place, element);
        self.shrink();
        true
    }

    /// Adds an element at an end.
    pub fn push(&mut self, end: End, element: impl AsRef<[u8]>) {
        let element = element.as_ref();
        let chunk = match end {
            End::Left => self.chunks.front_mut(),
            End::Right => self.chunks.back_mut(),
        };
        self.len += 1;
        match chunk.filter(|chunk| chunk.takes_at(end, size(element.len()))) {
            Some(chunk) => chunk.insert(if end == End::Left { 0 } else { chunk.used() }, element),
            None => self.add(if end == End::Left { 0 } else { self.chunks.len() }, element),
        }
    }

    /// Puts a chunk of one element in front of another chunk.
    fn add(&mut self, i: usize, element: &[u8]) {
        if self.chunks.capacity() == 0 {
            // Most lists are small.
            self.chunks.reserve_exact(1);
        }
        self.chunks.insert(i, Chunk::new(element));
    }

    /// Takes an element from an end.
    pub fn pop(&mut self, end: End) -> Option<Box<[u8]>> {
        let element: Box<[u8]> = self.peek(end)?.into();
        self.len -= 1;
        let left_out = size(element.len());
        match end {
            End::Left => match self.chunks.front_mut() {
                Some(chunk) if chunk.count() > 1 => chunk.skip(left_out, chunk.count() - 1),
                _ => drop(self.chunks.pop_front()),
            },
            End::Right => match self.chunks.back_mut() {
                Some(chunk) if chunk.count() > 1 => {
                    chunk.truncate(chunk.used() - left_out, chunk.count() - 1);
                }
                _ => drop(self.chunks.pop_back()),
            },
        }
        self.shrink();
        Some(element)
    }

    /// The element at an end.
    pub fn peek(&self, end: End) -> Option<&[u8]> {
        match end {
            End::Left => self.chunks.front().map(|chunk| split_first(chunk.bytes()).0),
            End::Right => self.chunks.back().map(|chunk| split_last(chunk.bytes()).0),
        }
    }

    /// Puts an element at a place; those from there on move towards the tail.
    ///
    /// # Panics
    /// When the place is behind the tail.
    pub fn insert(&mut self, place: usize, element: &[u8]) {
        assert!(place <= self.len, "a place of the list");
        if place == 0 || place == self.len {
            return self.push(if place == 0 { End::Left } else { End::Right }, element);
        }
        let (mut i, nth) = self.find(place);
        self.len += 1;
        let (size, chunk) = (size(element.len()), &mut self.chunks[i]);
        let at = chunk.offset(nth);
        if chunk.takes(size) {
            return chunk.insert(at, element);
        }
        if nth > 0 {
            let behind = chunk.split_off(at, chunk.count() - nth);
            i += 1;
            self.chunks.insert(i, behind);
        }
        // The element comes between two chunks.
        if self.chunks[i - 1].takes(size) {
            let chunk = &mut self.chunks[i - 1];
            chunk.insert(chunk.used(), element);
        } else if self.chunks[i].takes(size) {
            self.chunks[i].insert(0, element);
        } else {
            self.add(i, element);
        }
        self.join_around(i);
    }

    /// Takes out up to `most` elements that equal `element`, those nearest to `from` first; says how many.
    pub fn remove_equal(&mut self, element: &[u8], from: End, most: usize) -> usize {
        let total = self.iter().filter(|e| *e == element).count();
        let gone = total.min(most);
        if gone == 0 {
            return 0;
        }
        let (mut seen, skip) = (0, if from == End::Right { total - gone } else { 0 });
        let chunks = std::mem::take(&mut self.chunks);
        self.chunks.reserve_exact(chunks.len());
        for mut chunk in chunks {
            chunk.retain(|e| {
                if e != element {
                    return true;
                }
                seen += 1;
                !(skip + 1..=skip + gone).contains(&seen)
            });
            match self.chunks.back_mut() {
                Some(before) if before.joins(&chunk) => before.append(&chunk),
                _ if chunk.count() > 0 => self.chunks.push_back(chunk),
                _ => {}
            }
        }
        self.len -= gone;
        self.shrink();
        gone
    }

    /// Keeps elements `from` to before `to`.
    pub fn keep(&mut self, from: usize, to: usize) {
        let to = to.min(self.len);
        let from = from.min(to);
        while self.len > to {
            match self.chunks.back_mut() {
                Some(chunk) if self.len - chunk.count() < to => {
                    let count = chunk.count() - (self.len - to);
                    chunk.truncate(chunk.offset(count), count);
                    self.len = to;
                }
                Some(chunk) => {
                    self.len -= chunk.count();
                    self.chunks.pop_back();
                }
                None => return,
            }
        }
        let mut out = from;
        while out > 0 {
            match self.chunks.front_mut() {
                Some(chunk) if chunk.count() > out => {
                    chunk.skip(chunk.offset(out), chunk.count() - out);
                    self.len -= out;
                    break;
                }
                Some(chunk) => {
                    (self.len, out) = (self.len - chunk.count(), out - chunk.count());
                    self.chunks.pop_front();
                }
                None => return,
            }
        }
        self.shrink();
    }

    /// Joins a chunk with its neighbours and those with theirs, where they are small: many changes leave no many small chunks.
    fn join_around(&mut self, i: usize) {
        for i in (i.saturating_sub(2)..=i + 1).rev() {
            if let (Some(before), Some(behind)) = (self.chunks.get(i), self.chunks.get(i + 1))
                && before.joins(behind)
                && let Some(behind) = self.chunks.remove(i + 1)
            {
                self.chunks[i].append(&behind);
            }
        }
    }

    fn shrink(&mut self) {
        let (len, capacity) = (self.chunks.len(), self.chunks.capacity());
        if capacity > 64 && len < capacity / 8 {
            self.chunks.shrink_to(len * 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

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

    #[test]
    fn small_elements_take_little_and_all_of_it_is_given_back() {
        const COUNT: usize = 100_000;
        let before = memory::used();
        for end in [End::Left, End::Right] {
            let mut list = List::default();
            (0..COUNT).for_each(|_| list.push(end, b"12345"));
            assert!(memory::used() - before < COUNT * 15 / 2);
            // A queue that stays short stays small.
            (0..COUNT).for_each(|_| drop(list.pop(end)));
            for _ in 0..COUNT {
                list.push(End::Left, b"12345");
                list.push(End::Left, b"12345");
                list.pop(End::Right);
                if list.len() > 10 {
                    list.keep(1, 5);
                }
                assert!(memory::used() - before < 8192, "{}", memory::used() - before);
            }
            (0..COUNT).for_each(|_| list.push(end, b"12345"));
            list.keep(COUNT / 2, COUNT / 2 + 1);
            assert!(memory::used() - before < 8192, "{}", memory::used() - before);
            drop(list);
            assert_eq!(memory::used(), before);
        }
    }

    /// Around all limits: of a length's bytes, of half a chunk and of a chunk.
    const LENGTHS: [usize; 20] = [
        0, 1, 5, 5, 5, 20, 127, 128, 600, 1000, 2039, 2040, 2041, 4083, 4084, 4085, 4088, 16383, 16384, 30000,
    ];

    fn check(list: &List, model: &VecDeque<Vec<u8>>) {
        list.chunks.iter().for_each(Chunk::check);
        assert_eq!(list.chunks.iter().map(Chunk::count).sum::<usize>(), list.len());
        assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
        assert!(list.iter().eq(model.iter().map(|e| &e[..])));
        assert!(list.iter().rev().eq(model.iter().rev().map(|e| &e[..])));
        assert_eq!(list.peek(End::Left), model.front().map(|e| &e[..]));
        assert_eq!(list.peek(End::Right), model.back().map(|e| &e[..]));
    }

    quickcheck::quickcheck! {
        fn does_as_a_plain_queue(steps: Vec<(u8, u8, u16, u16)>) -> bool {
            let before = memory::balance();
            let (mut list, mut model) = (List::default(), VecDeque::<Vec<u8>>::new());
            for &(what, kind, a, b) in &steps {
                let (element, len) = (vec![b'a' + kind % 3; LENGTHS[usize::from(kind) % LENGTHS.len()]], model.len());
                let (end, place) = (if a % 2 == 0 { End::Left } else { End::Right }, usize::from(a) % (len + 1));
                let from_tail = if place < len { place as i64 - len as i64 } else { -1 - len as i64 };
                let index = if b % 2 == 0 { place as i64 } else { from_tail };
                match what % 12 {
                    // Small ones come in numbers.
                    0..=3 => for _ in 0..if element.len() < 128 { b % 200 } else { b % 3 } {
                        list.push(end, &element);
                        match end {
                            End::Left => model.push_front(element.clone()),
                            End::Right => model.push_back(element.clone()),
                        }
                    },
                    4 => for _ in 0..=b % 200 {
                        let popped = if end == End::Left { model.pop_front() } else { model.pop_back() };
                        assert_eq!(list.pop(end).as_deref(), popped.as_deref());
                    },
                    5 | 6 => for _ in 0..=b % 20 {
                        list.insert(place, &element);
                        model.insert(place, element.clone());
                    },
                    7 | 8 => {
                        assert_eq!(list.set(index, &element), place < len, "{index} of {len}");
                        if place < len {
                            model[place] = element;
                        }
                    },
                    9 => {
                        let equal = model.get(place).cloned().unwrap_or(element);
                        let total = model.iter().filter(|e| **e == equal).count();
                        let gone = total.min(usize::from(b % 64));
                        assert_eq!(list.remove_equal(&equal, end, usize::from(b % 64)), gone);
                        for _ in 0..gone {
                            let found = match end {
                                End::Left => model.iter().position(|e| *e == equal),
                                End::Right => model.iter().rposition(|e| *e == equal),
                            };
                            found.and_then(|i| model.remove(i)).expect("one more");
                        }
                    },
                    10 => {
                        let to = place + usize::from(b) % 3000;
                        if b % 4 == 0 {
                            list.keep(place / 16, to);
                            model.truncate(to);
                            drop(model.drain(..(place / 16).min(model.len())));
                        }
                    },
                    _ => {
                        let to = (place + usize::from(b)).min(len);
                        assert!(list.range(place, to).eq(model.range(place..to).map(|e| &e[..])));
                        assert!(list.range(place, to).rev().eq(model.range(place..to).rev().map(|e| &e[..])));
                        assert_eq!(list.get(index), model.get(place).map(|e| &e[..]));
                        let copy = list.clone();
                        check(&copy, &model);
                        assert_eq!(copy, list);
                    },
                }
                check(&list, &model);
            }
            drop((list, model));
            memory::balance() == before
        }
    }
}
