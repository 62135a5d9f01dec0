//! CRC64 as Redis has it (crc64.c): Jones polynomial, reflected, initial value 0, no final xor.

const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;

/// `TABLES[k][b]` is the CRC of byte `b` followed by `k` zero bytes.
static TABLES: [[u64; 256]; 8] = tables();

const fn tables() -> [[u64; 256]; 8] {
    let mut t = [[0u64; 256]; 8];
    let mut b = 0;
    while b < 256 {
        let mut crc = b as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        t[0][b] = crc;
        b += 1;
    }
    let mut k = 1;
    while k < 8 {
        let mut b = 0;
        while b < 256 {
            let prev = t[k - 1][b];
            t[k][b] = (prev >> 8) ^ t[0][(prev & 0xff) as usize];
            b += 1;
        }
        k += 1;
    }
    t
}

/// Goes on from `crc` (0 at the start) over `bytes`.
pub fn crc64(mut crc: u64, bytes: &[u8]) -> u64 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        crc ^= u64::from_le_bytes(*chunk);
        let b = crc.to_le_bytes();
        crc = 0;
        let mut k = 0;
        while k < 8 {
            crc ^= TABLES[7 - k][b[k] as usize];
            k += 1;
        }
    }
    for &b in rest {
        crc = (crc >> 8) ^ TABLES[0][(crc as u8 ^ b) as usize];
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value() {
        assert_eq!(crc64(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    quickcheck::quickcheck! {
        fn in_pieces_and_by_eights_as_byte_by_byte(a: Vec<u8>, b: Vec<u8>) -> bool {
            let bytewise = a.iter().chain(&b).fold(0, |crc, &b| {
                (crc >> 8) ^ TABLES[0][(crc as u8 ^ b) as usize]
            });
            crc64(crc64(0, &a), &b) == bytewise
        }
    }
}
