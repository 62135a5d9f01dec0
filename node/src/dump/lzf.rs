//! LZF, the compression of strings in RDB files: literals and references back into the last 8 KiB.
//!
//! The format: a control byte below 32 announces that many literals plus one. Otherwise its upper three bits
//! are the length of a reference minus two (7: one more byte is added to it), its lower five bits and the
//! next byte the distance minus one.

const MAX_HASH_BITS: u32 = 16;
const MAX_LITERALS: usize = 32;
const MAX_DISTANCE: usize = 1 << 13;
const MAX_MATCH: usize = 264;

/// Compresses `input`, or gives `None` when it would not become at least four bytes shorter, as in Redis.
pub(super) fn compress(input: &[u8]) -> Option<Vec<u8>> {
    let limit = input.len().checked_sub(4)?;
    // A short string needs a small table, which is quickly made.
    let bits = (input.len().ilog2() + 1).clamp(6, MAX_HASH_BITS);
    let mut table = vec![0u32; 1 << bits];
    let mut out = Vec::with_capacity(limit.min(1 << 16));
    let (mut at, mut literals) = (0, 0);
    while at + 2 < input.len() {
        let slot = &mut table[hash(&input[at..at + 3], bits)];
        // Positions are kept plus one: 0 stands for none.
        let seen = std::mem::replace(slot, at as u32 + 1) as usize;
        if seen > 0 && at - (seen - 1) <= MAX_DISTANCE && input[seen - 1..seen + 2] == input[at..at + 3] {
            let from = seen - 1;
            let longest = (input.len() - at).min(MAX_MATCH);
            let len = (3..longest).find(|&i| input[from + i] != input[at + i]).unwrap_or(longest);
            flush(&mut out, &input[literals..at]);
            let (distance, code) = (at - from - 1, len - 2);
            if code < 7 {
                out.push((code << 5 | distance >> 8) as u8);
            } else {
                out.push((7 << 5 | distance >> 8) as u8);
                out.push((code - 7) as u8);
            }
            out.push(distance as u8);
            let end = at + len;
            // The two last positions of a match are enough to find what follows.
            for i in (at + 1).max(end - 2)..end {
                if i + 2 < input.len() {
                    table[hash(&input[i..i + 3], bits)] = i as u32 + 1;
                }
            }
            at = end;
            literals = end;
        } else {
            at += 1;
        }
        if out.len() + (at - literals) > limit {
            return None;
        }
    }
    flush(&mut out, &input[literals..]);
    (out.len() <= limit).then_some(out)
}

/// Gives the `len` bytes that `input` stands for, or `None` when it stands for anything else.
pub(super) fn decompress(mut input: &[u8], len: usize) -> Option<Vec<u8>> {
    // One byte of input gives at most 264 / 3 bytes: a length that lies reserves nothing.
    if len / 88 > input.len() {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    while let [control, rest @ ..] = input {
        if usize::from(*control) < MAX_LITERALS {
            let (literals, rest) = rest.split_at_checked(usize::from(*control) + 1)?;
            out.extend_from_slice(literals);
            input = rest;
        } else {
            let (code, rest) = match (control >> 5, rest) {
                (7, [more, rest @ ..]) => (7 + usize::from(*more), rest),
                (code, rest) => (usize::from(code), rest),
            };
            let (low, rest) = rest.split_first()?;
            let distance = usize::from(control & 0x1f) << 8 | usize::from(*low);
            let from = out.len().checked_sub(distance + 1)?;
            if out.len() + code + 2 > len {
                return None;
            }
            for i in from..from + code + 2 {
                out.push(out[i]);
            }
            input = rest;
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

fn flush(out: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(MAX_LITERALS) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn hash(three: &[u8], bits: u32) -> usize {
    let v = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
    (v.wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_and_far_references() {
        for input in [
            vec![b'a'; 100_000],
            (0..50_000u32).flat_map(|i| (i % 777).to_le_bytes()).collect::<Vec<u8>>(),
            b"abc".repeat(4000),
        ] {
            let packed = compress(&input).expect("it repeats");
            assert!(packed.len() < input.len() / 2);
            assert_eq!(decompress(&packed, input.len()), Some(input));
        }
    }

    quickcheck::quickcheck! {
        fn there_and_back(bytes: Vec<u8>, times: u8) -> bool {
            let input: Vec<u8> = bytes.repeat(usize::from(times) % 9 + 1).iter().map(|b| b % 5).collect();
            compress(&input).is_none_or(|packed| decompress(&packed, input.len()) == Some(input))
        }

        fn any_input_is_read_or_refused(bytes: Vec<u8>, len: usize) -> bool {
            decompress(&bytes, len % 100_000).is_none_or(|out| out.len() == len % 100_000)
        }
    }
}
