//! Elements of a list side by side in one buffer. Each has its length in front and, mirrored, behind: they can be walked from both ends.
//!
//! A length stands in groups of 7 bits, the lowest first; all but the last of them have their top bit set.

use super::list::End;

/// A chunk has at most so many bytes, unless it is one element that takes more. With the allocator's own word it is a power of two.
const MOST: usize = 4096 - OWN;
const OWN: usize = 8;
/// The smallest buffer.
const LEAST: usize = 32 - OWN;

/// One element at least.
#[derive(Clone)]
pub(super) struct Chunk {
    /// `room[start..end]` is in use.
    room: Box<[u8]>,
    start: usize,
    end: usize,
    count: usize,
}

/// How many bytes a length takes.
const fn width(len: usize) -> usize {
    ((usize::BITS - (len | 1).leading_zeros()) as usize).div_ceil(7)
}

/// How many bytes an element of so many takes.
pub(super) const fn size(len: usize) -> usize {
    len + 2 * width(len)
}

/// The size of a buffer for so many bytes.
fn room_for(bytes: usize) -> usize {
    if bytes > MOST { bytes } else { (bytes + OWN).next_power_of_two().max(LEAST + OWN) - OWN }
}

/// A length, and how many bytes it takes. They come in the order in which they were written.
#[cold]
fn length<'a>(bytes: impl Iterator<Item = &'a u8>) -> (usize, usize) {
    let (mut len, mut width) = (0, 0);
    for byte in bytes {
        len |= usize::from(byte & 0x7f) << (7 * width);
        width += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (len, width)
}

/// The first of these elements, and the others.
#[inline]
pub(super) fn split_first(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (len, width) = match bytes.first() {
        // Most are short.
        Some(&byte) if byte < 0x80 => (usize::from(byte), 1),
        _ => length(bytes.iter()),
    };
    let (first, others) = bytes.split_at(len + 2 * width);
    (&first[width..][..len], others)
}

/// The last of these elements, and the others.
#[inline]
pub(super) fn split_last(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (len, width) = match bytes.last() {
        Some(&byte) if byte < 0x80 => (usize::from(byte), 1),
        _ => length(bytes.iter().rev()),
    };
    let (others, last) = bytes.split_at(bytes.len() - (len + 2 * width));
    (&last[width..][..len], others)
}

/// Writes an element to where there is just enough room for it.
fn write(room: &mut [u8], element: &[u8]) {
    let (mut len, width) = (element.len(), width(element.len()));
    let behind = room.len() - width;
    for i in 0..width {
        let byte = (len & 0x7f) as u8 | if i + 1 < width { 0x80 } else { 0 };
        (room[i], room[behind + width - 1 - i]) = (byte, byte);
        len >>= 7;
    }
    room[width..behind].copy_from_slice(element);
}

impl Chunk {
    /// A chunk of one element.
    pub(super) fn new(element: &[u8]) -> Self {
        let end = size(element.len());
        let mut room = vec![0; room_for(end)].into_boxed_slice();
        write(&mut room[..end], element);
        Self { room, start: 0, end, count: 1 }
    }

    /// How many elements.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// All elements.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.room[self.start..self.end]
    }

    /// How many bytes the elements take.
    pub(super) fn used(&self) -> usize {
        self.end - self.start
    }

    /// Whether there may be so many bytes more.
    pub(super) fn takes(&self, size: usize) -> bool {
        self.used() + size <= MOST
    }

    /// Whether another chunk is better joined with this one: both are small.
    pub(super) fn joins(&self, other: &Self) -> bool {
        self.used() + other.used() <= MOST / 2
    }

    /// Whether so many bytes can be added at an end, time and again, without the others being moved for each of them.
    pub(super) fn takes_at(&self, end: End, size: usize) -> bool {
        let free = match end {
            End::Left => self.start,
            End::Right => self.room.len() - self.end,
        };
        self.takes(size) && (free >= size || self.used() <= MOST / 2)
    }

    /// Where an element begins in [`Chunk::bytes`].
    pub(super) fn offset(&self, nth: usize) -> usize {
        let mut bytes = self.bytes();
        if nth <= self.count / 2 {
            (0..nth).for_each(|_| bytes = split_first(bytes).1);
            self.used() - bytes.len()
        } else {
            (nth..self.count).for_each(|_| bytes = split_last(bytes).1);
            bytes.len()
        }
    }

    /// Puts an element where another one begins, or all end. The chunk must take it.
    pub(super) fn insert(&mut self, at: usize, element: &[u8]) {
        write(self.open(at, size(element.len())), element);
        self.count += 1;
    }

    /// Adds all elements of another chunk. This one must take them.
    pub(super) fn append(&mut self, other: &Self) {
        self.open(self.used(), other.used()).copy_from_slice(other.bytes());
        self.count += other.count;
    }

    /// Puts an element in the place of one of the same length.
    pub(super) fn overwrite(&mut self, at: usize, element: &[u8]) {
        write(&mut self.room[self.start + at..][..size(element.len())], element);
    }

    /// Keeps `count` elements, which end at `at`.
    pub(super) fn truncate(&mut self, at: usize, count: usize) {
        (self.end, self.count) = (self.start + at, count);
        self.fit();
    }

    /// Leaves out elements before `at`, and keeps `count`.
    pub(super) fn skip(&mut self, at: usize, count: usize) {
        (self.start, self.count) = (self.start + at, count);
        self.fit();
    }

    /// Takes out the elements from `at` on, which are `count`.
    pub(super) fn split_off(&mut self, at: usize, count: usize) -> Self {
        let bytes = &self.bytes()[at..];
        let mut room = vec![0; room_for(bytes.len())].into_boxed_slice();
        room[..bytes.len()].copy_from_slice(bytes);
        let other = Self { room, start: 0, end: bytes.len(), count };
        self.truncate(at, self.count - count);
        other
    }

    /// Takes out the elements that `keeps` says no to. None may be left.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&[u8]) -> bool) {
        let (mut at, mut to) = (self.start, self.start);
        while at < self.end {
            let (element, _) = split_first(&self.room[at..self.end]);
            let size = size(element.len());
            if keeps(element) {
                if at > to {
                    self.room.copy_within(at..at + size, to);
                }
                to += size;
            } else {
                self.count -= 1;
            }
            at += size;
        }
        self.end = to;
        self.fit();
    }

    /// Makes a gap of `size` bytes.
    fn open(&mut self, at: usize, size: usize) -> &mut [u8] {
        let (place, to_right) = (self.start + at, at * 2 >= self.used());
        if to_right && self.room.len() - self.end >= size {
            self.room.copy_within(place..self.end, place + size);
            self.end += size;
        } else if !to_right && self.start >= size {
            self.room.copy_within(self.start..place, self.start - size);
            self.start -= size;
        } else {
            self.reopen(at, size, to_right);
        }
        &mut self.room[self.start + at..][..size]
    }

    /// The same with another buffer: a larger one if this is half full, with all of its free room where it is wanted now; else
    /// one of the same size, with free room at both ends. Either way that lasts for as many bytes as are moved here, or nearly.
    fn reopen(&mut self, at: usize, size: usize, to_right: bool) {
        let (used, len) = (self.used() + size, self.room.len());
        let grows = self.used() > len / 2;
        let len = room_for(used.max(if grows { MOST.min(len + 1) } else { len }));
        let start = match (grows, to_right) {
            (false, _) => (len - used) / 2,
            (true, true) => 0,
            (true, false) => len - used,
        };
        let mut room = vec![0; len].into_boxed_slice();
        let (before, behind) = self.bytes().split_at(at);
        room[start..start + at].copy_from_slice(before);
        room[start + at + size..start + used].copy_from_slice(behind);
        (self.room, self.start, self.end) = (room, start, start + used);
    }

    /// Gives back room when three quarters are free.
    fn fit(&mut self) {
        let mut len = self.room.len();
        while len > LEAST && len <= MOST && self.used() <= len / 4 {
            len = (len + OWN) / 2 - OWN;
        }
        if len < self.room.len() {
            let mut room = vec![0; len].into_boxed_slice();
            room[..self.used()].copy_from_slice(self.bytes());
            (self.start, self.end, self.room) = (0, self.used(), room);
        }
    }
}

#[cfg(test)]
impl Chunk {
    /// What must hold of every chunk of a list.
    pub(super) fn check(&self) {
        let (mut bytes, mut count) = (self.bytes(), 0);
        while !bytes.is_empty() {
            bytes = split_first(bytes).1;
            count += 1;
        }
        assert_eq!(count, self.count);
        assert!(count == 1 || count > 1 && self.used() <= MOST, "{count} elements of {} bytes", self.used());
        let len = self.room.len();
        assert_eq!(len, room_for(if len > MOST { self.used() } else { len }));
        assert!(len == LEAST || self.used() * 4 > len, "{} of {len} bytes are in use", self.used());
    }
}
