//! What Redis packed before listpacks (ziplist.c, zipmap.c), and sets of numbers (intset.c). Of these only the last
//! is still written.

use super::cursor::Cursor;
use super::listpack::{MAX_ELEMENTS, text};

/// The elements of a ziplist, or nothing if anything about it is wrong.
///
/// Shape: size, offset of the last element (4 bytes each, little-endian), number of elements (2 bytes), the
/// elements, 0xff. In front of each stands the size of the one before.
pub(super) fn read_ziplist(bytes: &[u8]) -> Option<Vec<Box<[u8]>>> {
    const HEADER: usize = 10;
    let mut cursor = Cursor::new(bytes);
    if cursor.u32_le()? as usize != bytes.len() {
        return None;
    }
    let tail = cursor.u32_le()? as usize;
    let count = cursor.u16_le()?;
    let mut all: Vec<Box<[u8]>> = Vec::new();
    let (mut last, mut size_before) = (HEADER, 0);
    loop {
        let start = bytes.len() - cursor.rest.len();
        let size = match cursor.byte()? {
            0xff => break,
            0xfe => cursor.u32_le()? as usize,
            size => usize::from(size),
        };
        if size != size_before || all.len() == MAX_ELEMENTS {
            return None;
        }
        all.push(ziplist_element(&mut cursor)?);
        last = start;
        size_before = bytes.len() - cursor.rest.len() - start;
    }
    let counted = count == u16::MAX || usize::from(count) == all.len();
    (cursor.rest.is_empty() && counted && tail == last).then_some(all)
}

fn ziplist_element(cursor: &mut Cursor<'_>) -> Option<Box<[u8]>> {
    let head = cursor.byte()?;
    let len = match head {
        0x00..=0x3f => usize::from(head),
        0x40..=0x7f => usize::from(head & 0x3f) << 8 | usize::from(cursor.byte()?),
        0x80 => u32::from_be_bytes(cursor.array()?) as usize,
        0xc0 => return Some(text(cursor.int_le(2)?)),
        0xd0 => return Some(text(cursor.int_le(4)?)),
        0xe0 => return Some(text(cursor.int_le(8)?)),
        0xf0 => return Some(text(cursor.int_le(3)?)),
        0xfe => return Some(text(cursor.int_le(1)?)),
        0xf1..=0xfd => return Some(text(i64::from(head & 0x0f) - 1)),
        _ => return None,
    };
    cursor.bytes(len).map(Into::into)
}

/// The fields and values of a zipmap, one after the other.
///
/// Shape: the number of pairs (254 and more: unknown), the pairs, 0xff. In front of a value stands also how many unused
/// bytes are behind it.
pub(super) fn read_zipmap(bytes: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let mut cursor = Cursor::new(bytes);
    let count = cursor.byte()?;
    let mut all: Vec<Box<[u8]>> = Vec::new();
    loop {
        let len = match cursor.byte()? {
            0xff => break,
            head => zipmap_len(head, &mut cursor)?,
        };
        if all.len() >= MAX_ELEMENTS {
            return None;
        }
        all.push(cursor.bytes(len)?.into());
        let head = cursor.byte()?;
        let len = zipmap_len(head, &mut cursor)?;
        let unused = usize::from(cursor.byte()?);
        all.push(cursor.bytes(len)?.into());
        cursor.bytes(unused)?;
    }
    let counted = count >= 254 || usize::from(count) == all.len() / 2;
    (cursor.rest.is_empty() && counted).then_some(all)
}

fn zipmap_len(head: u8, cursor: &mut Cursor<'_>) -> Option<usize> {
    match head {
        0xff => None,
        0xfe => cursor.u32_le().map(|len| len as usize),
        len => Some(usize::from(len)),
    }
}

/// A set of numbers: the size of each, how many (4 bytes each, little-endian), and the numbers in order.
pub(super) fn write_ints(ints: &[i64], width: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + ints.len() * usize::from(width));
    out.extend_from_slice(&u32::from(width).to_le_bytes());
    out.extend_from_slice(&(ints.len() as u32).to_le_bytes());
    for n in ints {
        out.extend_from_slice(&n.to_le_bytes()[..usize::from(width)]);
    }
    out
}

/// Reads a set of numbers and the size of each, or nothing if anything about it is wrong.
pub(super) fn read_ints(bytes: &[u8]) -> Option<(Vec<i64>, u8)> {
    let mut cursor = Cursor::new(bytes);
    let width = cursor.u32_le().filter(|w| matches!(w, 2 | 4 | 8))? as usize;
    let count = cursor.u32_le()? as usize;
    if count.checked_mul(width)? != cursor.rest.len() {
        return None;
    }
    let ints = (0..count).map(|_| cursor.int_le(width)).collect::<Option<Vec<i64>>>()?;
    ints.is_sorted_by(|a, b| a < b).then_some((ints, width as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ziplist() {
        // 1, 12, 13, 300, -70000, 40000000000 and "ab", as ziplist.c lays them out.
        let mut body: Vec<u8> = Vec::new();
        let mut last = 0;
        let mut before = 0u8;
        for entry in [
            &[0xf2][..],
            &[0xfd],
            &[0xfe, 13],
            &[0xc0, 0x2c, 0x01],
            &[0xf0, 0x90, 0xee, 0xfe],
            &[0xe0, 0x00, 0x90, 0x2f, 0x50, 0x09, 0, 0, 0],
            &[0x02, b'a', b'b'],
        ] {
            last = body.len() + 10;
            body.push(before);
            body.extend_from_slice(entry);
            before = entry.len() as u8 + 1;
        }
        let whole = |body: &[u8], tail: usize, count: u16| {
            let mut bytes = (body.len() as u32 + 11).to_le_bytes().to_vec();
            bytes.extend_from_slice(&(tail as u32).to_le_bytes());
            bytes.extend_from_slice(&count.to_le_bytes());
            bytes.extend_from_slice(body);
            bytes.push(0xff);
            bytes
        };
        let all = read_ziplist(&whole(&body, last, 7)).expect("it is right");
        let texts: Vec<_> = all.iter().map(|e| String::from_utf8_lossy(e)).collect();
        assert_eq!(texts, ["1", "12", "13", "300", "-70000", "40000000000", "ab"]);
        assert_eq!(read_ziplist(&whole(&body, last, 6)), None);
        assert_eq!(read_ziplist(&whole(&body, last - 1, 7)), None);
        body[2] = 9;
        assert_eq!(read_ziplist(&whole(&body, last, 7)), None);
    }

    #[test]
    fn a_zipmap() {
        let all = read_zipmap(b"\x02\x03foo\x03\x00bar\x05hello\x05\x01world!\xff").expect("it is right");
        assert_eq!(all, [&b"foo"[..], b"bar", b"hello", b"world"].map(Box::from));
        assert_eq!(read_zipmap(b"\x02\x03foo\x03\x00bar\xff"), None);
        assert_eq!(read_zipmap(b"\x01\x03foo\x03\x00ba\xff"), None);
    }

    quickcheck::quickcheck! {
        fn numbers_there_and_back(numbers: std::collections::BTreeSet<i64>) -> bool {
            let ints: Vec<i64> = numbers.into_iter().collect();
            read_ints(&write_ints(&ints, 8)) == Some((ints, 8))
        }

        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, tail: u8, count: u16) -> bool {
            let mut ziplist = ((bytes.len() + 11) as u32).to_le_bytes().to_vec();
            ziplist.extend_from_slice(&u32::from(tail).to_le_bytes());
            ziplist.extend_from_slice(&count.to_le_bytes());
            ziplist.extend_from_slice(&bytes);
            ziplist.push(0xff);
            let few = |all: Option<Vec<Box<[u8]>>>| all.is_none_or(|all| all.len() <= bytes.len());
            few(read_ziplist(&ziplist)) && few(read_zipmap(&bytes)) && read_ints(&bytes).is_none_or(|_| true)
        }
    }
}
