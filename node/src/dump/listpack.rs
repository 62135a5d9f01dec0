//! Listpacks (listpack.c): elements one behind the other, each a string or a number, with its size behind it.
//!
//! Shape: the size of the whole (4 bytes), the number of elements (2 bytes, 65535 if there are as many or
//! more), the elements, 0xff. All numbers are little-endian, the size behind an element is not.

use super::cursor::Cursor;
use crate::resp::parse_i64;

const HEADER: usize = 6;
const END: u8 = 0xff;
/// A count beyond this is not kept.
const UNKNOWN: u16 = u16::MAX;
/// More elements than anybody packs: such a payload is refused rather than unfolded.
pub(super) const MAX_ELEMENTS: usize = 1 << 20;

/// Writes one.
pub(super) struct Writer {
    bytes: Vec<u8>,
    count: usize,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; HEADER], count: 0 }
    }

    /// How long it would be now, in bytes.
    pub(super) fn size(&self) -> usize {
        self.bytes.len() + 1
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn push(&mut self, element: &[u8]) {
        let start = self.bytes.len();
        match parse_i64(element) {
            Some(n) => self.number(n),
            None => self.string(element),
        }
        push_back_len(&mut self.bytes, start);
        self.count += 1;
    }

    fn number(&mut self, n: i64) {
        let out = &mut self.bytes;
        let le = n.to_le_bytes();
        match n {
            0..=127 => out.push(n as u8),
            -4096..=4095 => out.extend_from_slice(&[0xc0 | (n >> 8 & 0x1f) as u8, n as u8]),
            -0x8000..=0x7fff => {
                out.push(0xf1);
                out.extend_from_slice(&le[..2]);
            }
            -0x80_0000..=0x7f_ffff => {
                out.push(0xf2);
                out.extend_from_slice(&le[..3]);
            }
            -0x8000_0000..=0x7fff_ffff => {
                out.push(0xf3);
                out.extend_from_slice(&le[..4]);
            }
            _ => {
                out.push(0xf4);
                out.extend_from_slice(&le);
            }
        }
    }

    fn string(&mut self, s: &[u8]) {
        let out = &mut self.bytes;
        match s.len() {
            len @ ..64 => out.push(0x80 | len as u8),
            len @ ..4096 => out.extend_from_slice(&[0xe0 | (len >> 8) as u8, len as u8]),
            len => {
                out.push(0xf0);
                out.extend_from_slice(&(len as u32).to_le_bytes());
            }
        }
        out.extend_from_slice(s);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(END);
        let count = u16::try_from(self.count).unwrap_or(UNKNOWN);
        let size = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&size.to_le_bytes());
        self.bytes[4..HEADER].copy_from_slice(&count.to_le_bytes());
        self.bytes
    }
}

/// The size of what stands from `start` on, seven bits a byte, the highest first; all bytes but the first have their
/// upper bit set, so that it can be read backwards.
fn push_back_len(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    let groups = match len {
        0..=127 => 1,
        128..16383 => 2,
        16383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => 5,
    };
    for group in (0..groups).rev() {
        let bits = (len >> (7 * group)) as u8 & 127;
        out.push(if group == groups - 1 { bits } else { bits | 128 });
    }
}

/// Reads all elements, or nothing if anything about it is wrong.
pub(super) fn read(bytes: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let mut cursor = Cursor::new(bytes);
    if cursor.u32_le()? as usize != bytes.len() {
        return None;
    }
    let count = cursor.u16_le()?;
    let mut all = Vec::new();
    loop {
        let before = cursor.rest.len();
        let head = cursor.byte()?;
        if head == END {
            break;
        }
        if all.len() == MAX_ELEMENTS {
            return None;
        }
        all.push(element(head, &mut cursor)?);
        // The size behind the element is the one there must be.
        let mut want = vec![0; before - cursor.rest.len()];
        let len = want.len();
        push_back_len(&mut want, 0);
        if cursor.bytes(want.len() - len)? != &want[len..] {
            return None;
        }
    }
    let right = cursor.rest.is_empty() && (count == UNKNOWN || usize::from(count) == all.len());
    right.then_some(all)
}

fn element(head: u8, cursor: &mut Cursor<'_>) -> Option<Box<[u8]>> {
    let len = match head {
        0x00..=0x7f => return Some(text(i64::from(head))),
        0x80..=0xbf => usize::from(head & 0x3f),
        0xc0..=0xdf => {
            let bits = i64::from(head & 0x1f) << 8 | i64::from(cursor.byte()?);
            return Some(text(if bits > 0xfff { bits - 0x2000 } else { bits }));
        }
        0xe0..=0xef => usize::from(head & 0x0f) << 8 | usize::from(cursor.byte()?),
        0xf0 => cursor.u32_le()? as usize,
        0xf1 => return Some(text(cursor.int_le(2)?)),
        0xf2 => return Some(text(cursor.int_le(3)?)),
        0xf3 => return Some(text(cursor.int_le(4)?)),
        0xf4 => return Some(text(cursor.int_le(8)?)),
        _ => return None,
    };
    cursor.bytes(len).map(Into::into)
}

/// A number as text.
pub(super) fn text(n: i64) -> Box<[u8]> {
    itoa::Buffer::new().format(n).as_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(elements: &[Vec<u8>]) -> bool {
        let mut writer = Writer::new();
        elements.iter().for_each(|e| writer.push(e));
        let size = writer.size();
        let bytes = writer.finish();
        assert_eq!(size, bytes.len());
        read(&bytes).is_some_and(|all| all.iter().map(|e| e.to_vec()).eq(elements.iter().cloned()))
    }

    #[test]
    fn all_sizes() {
        let edges = [0, 127, 128, 4095, 4096, 0x7fff, 0x8000, 0x7f_ffff, 0x80_0000, 0x7fff_ffff, 0x8000_0000];
        let mut all: Vec<Vec<u8>> = Vec::new();
        for n in edges.into_iter().chain([i64::MAX - 1]) {
            all.extend([n, -n, -n - 1].map(|n| n.to_string().into_bytes()));
        }
        for len in [0, 1, 63, 64, 125, 126, 127, 128, 4095, 4096, 16379, 16380, 20000, 2_097_150, 2_097_151] {
            all.push(vec![b'x'; len]);
        }
        assert!(there_and_back(&all));
    }

    quickcheck::quickcheck! {
        fn any_elements(elements: Vec<Vec<u8>>, numbers: Vec<i64>) -> bool {
            there_and_back(&[elements, numbers.iter().map(|n| n.to_string().into_bytes()).collect()].concat())
        }

        fn any_bytes_are_read_or_refused(body: Vec<u8>, count: u16) -> bool {
            let mut bytes = ((body.len() + 7) as u32).to_le_bytes().to_vec();
            bytes.extend_from_slice(&count.to_le_bytes());
            bytes.extend_from_slice(&body);
            bytes.push(END);
            read(&bytes).is_none_or(|all| all.len() <= body.len())
        }
    }
}
