//! Floating point numbers with 64 bits of precision, which Redis takes for INCRBYFLOAT and HINCRBYFLOAT (`long
//! double` on x86): read from decimal text, added, and written with 17 digits behind the point.

use std::cmp::Ordering;

/// The longest text that is read, in bytes (`MAX_LONG_DOUBLE_CHARS`).
const MAX_TEXT: usize = 5 * 1024 - 1;
/// The largest and the smallest power of two of a number's first bit.
const MAX_EXPONENT: i32 = 16383;
const MIN_EXPONENT: i32 = -16445;

/// A number: its value is `mantissa` times two to the power of `exponent`. The first bit of a mantissa is set, unless
/// the number is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    mantissa: u64,
    exponent: i32,
    infinite: bool,
}

impl LongDouble {
    /// Zero.
    pub const ZERO: Self = Self { negative: false, mantissa: 0, exponent: 0, infinite: false };

    /// A decimal number, or `inf`, with or without a sign; nothing that is too large or too small.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
            return Some(Self { negative, infinite: true, ..Self::ZERO });
        }
        let (digits, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
            Some(at) => {
                let sign_and_digits = text[at + 1..].strip_prefix(b"+").unwrap_or(&text[at + 1..]);
                let exponent = std::str::from_utf8(sign_and_digits).ok()?;
                let has_digits = exponent.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
                let clamped =
                    exponent.parse::<i64>().unwrap_or(if exponent.starts_with('-') { -9999 } else { 9999 });
                if !has_digits || exponent.is_empty() || exponent == "-" {
                    return None;
                }
                (&text[..at], clamped.clamp(-99_999, 99_999))
            }
            None => (text, 0),
        };
        let mut number = Big::default();
        let (mut point, mut seen, mut scale) = (false, false, exponent);
        for &b in digits {
            match b {
                b'.' if !point => point = true,
                b'0'..=b'9' => {
                    number.multiply_add(10, u32::from(b - b'0'));
                    seen = true;
                    scale -= i64::from(point);
                }
                _ => return None,
            }
        }
        if !seen {
            return None;
        }
        if number.bits() == 0 {
            return Some(Self { negative, ..Self::ZERO });
        }
        // The text is bounded, so what is far out of range is known without computing it.
        let magnitude = scale + (number.bits() as i64 * 30103 / 100_000);
        if !(-4960..=4940).contains(&magnitude) {
            return None;
        }
        let mut divisor = Big::one();
        for _ in 0..scale.unsigned_abs() {
            if scale > 0 { &mut number } else { &mut divisor }.multiply_add(10, 0);
        }
        let (quotient, sticky, exponent) = number.divide(&divisor);
        let value = Self::rounded(negative, quotient, sticky, exponent);
        let top = value.exponent + 63;
        (value.is_finite() && top >= MIN_EXPONENT).then_some(value)
    }

    /// Whether it is not infinite.
    pub fn is_finite(self) -> bool {
        !self.infinite
    }

    fn sum(self, other: Self) -> Self {
        if self.infinite || other.mantissa == 0 && !other.infinite {
            return self;
        }
        if other.infinite || self.mantissa == 0 {
            return other;
        }
        let (high, low) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        let shift = high.exponent.abs_diff(low.exponent);
        let a = u128::from(high.mantissa) << 62;
        let b = u128::from(low.mantissa) << 62;
        // What is shifted out leaves a trace in the last bit.
        let b = match shift {
            0..126 => b >> shift | u128::from(b & ((1 << shift) - 1) != 0),
            _ => 1,
        };
        let exponent = high.exponent - 62;
        if high.negative == low.negative {
            return Self::rounded(high.negative, a + b, false, exponent);
        }
        match a.cmp(&b) {
            Ordering::Equal => Self::ZERO,
            Ordering::Greater => Self::rounded(high.negative, a - b, false, exponent),
            Ordering::Less => Self::rounded(low.negative, b - a, false, exponent),
        }
    }

    /// The nearest number to `value` times two to the power of `exponent`; `sticky`: and a bit more.
    fn rounded(negative: bool, value: u128, sticky: bool, exponent: i32) -> Self {
        if value == 0 {
            return Self { negative, ..Self::ZERO };
        }
        let surplus = 64 - value.leading_zeros() as i32;
        let (mut mantissa, mut exponent) = (value, exponent);
        if surplus > 0 {
            mantissa = round_shift(value, surplus as u32, sticky);
            exponent += surplus;
        } else {
            mantissa <<= -surplus;
            exponent += surplus;
        }
        if mantissa >> 64 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
        let infinite = exponent + 63 > MAX_EXPONENT;
        Self { negative, mantissa: mantissa as u64, exponent, infinite }
    }

    /// With 17 digits behind the point at most, without zeros at the end.
    pub fn to_text(self) -> String {
        const DIGITS: usize = 17;
        let mut digits = if self.exponent >= 0 {
            let mut number = Big::from(self.mantissa);
            number.shift(self.exponent as usize);
            number.to_text() + &"0".repeat(DIGITS)
        } else {
            let scaled = u128::from(self.mantissa) * 10u128.pow(DIGITS as u32);
            let shift = self.exponent.unsigned_abs();
            let rounded = if shift > 127 { 0 } else { round_shift(scaled, shift, false) };
            format!("{rounded:0width$}", width = DIGITS + 1)
        };
        let fraction = digits.split_off(digits.len() - DIGITS);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        let sign = if self.negative && (digits != "0" || !fraction.is_empty()) { "-" } else { "" };
        format!("{sign}{digits}{point}{fraction}")
    }
}

/// The sum, rounded to the nearest.
impl std::ops::Add for LongDouble {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.sum(other)
    }
}

/// `value` without its last `shift` bits, rounded to the nearest, to even from the middle.
fn round_shift(value: u128, shift: u32, sticky: bool) -> u128 {
    let kept = value >> shift;
    let lost = value & ((1u128 << shift) - 1);
    let half = 1u128 << (shift - 1);
    let up = lost > half || lost == half && (sticky || kept & 1 == 1);
    kept + u128::from(up)
}

/// A natural number of any size, its lowest digits first.
#[derive(Clone, Debug, Default)]
struct Big(Vec<u32>);

impl From<u64> for Big {
    fn from(n: u64) -> Self {
        let mut big = Self(vec![n as u32, (n >> 32) as u32]);
        big.trim();
        big
    }
}

impl Big {
    fn one() -> Self {
        Self(vec![1])
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 32 - top.leading_zeros() as usize)
    }

    fn multiply_add(&mut self, factor: u32, plus: u32) {
        let mut carry = u64::from(plus);
        for digit in &mut self.0 {
            carry += u64::from(*digit) * u64::from(factor);
            *digit = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn shift(&mut self, bits: usize) {
        self.multiply_add(1 << (bits % 32), 0);
        if !self.0.is_empty() {
            self.0.splice(0..0, std::iter::repeat_n(0, bits / 32));
        }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    /// Takes away what is not more.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = 0;
        for (i, digit) in self.0.iter_mut().enumerate() {
            let take = i64::from(other.0.get(i).copied().unwrap_or(0)) + borrow;
            let left = i64::from(*digit) - take;
            borrow = i64::from(left < 0);
            *digit = left as u32;
        }
        self.trim();
    }

    /// The first 66 bits or more of the quotient, whether there is a rest, and the power of two of the last bit.
    fn divide(mut self, divisor: &Self) -> (u128, bool, i32) {
        const BITS: i32 = 66;
        let up = BITS + divisor.bits() as i32 - self.bits() as i32;
        let mut divisor = divisor.clone();
        match up {
            0.. => self.shift(up as usize),
            _ => divisor.shift(up.unsigned_abs() as usize),
        }
        let mut quotient = 0u128;
        divisor.shift(BITS as usize + 1);
        for _ in 0..BITS + 2 {
            quotient <<= 1;
            if self.cmp(&divisor).is_ge() {
                self.subtract(&divisor);
                quotient |= 1;
            }
            divisor.halve();
        }
        (quotient, self.bits() > 0, -up)
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for digit in self.0.iter_mut().rev() {
            let low = *digit & 1;
            *digit = *digit >> 1 | carry << 31;
            carry = low;
        }
        self.trim();
    }

    fn to_text(&self) -> String {
        const PART: u64 = 1_000_000_000;
        let (mut rest, mut parts) = (self.clone(), Vec::new());
        while rest.bits() > 0 {
            let mut remainder = 0;
            for digit in rest.0.iter_mut().rev() {
                let value = remainder << 32 | u64::from(*digit);
                *digit = (value / PART) as u32;
                remainder = value % PART;
            }
            rest.trim();
            parts.push(remainder);
        }
        let Some(first) = parts.pop() else { return "0".into() };
        let rest: String = parts.iter().rev().map(|part| format!("{part:09}")).collect();
        format!("{first}{rest}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What redis-server 7.0.15 answers to HINCRBYFLOAT.
    #[test]
    fn sums_of_redis() {
        for (a, b, sum) in [
            ("10.5", "0.1", "10.6"),
            ("3.0e3", "200", "3200"),
            ("0.1", "0.2", "0.3"),
            ("1", "-1", "0"),
            ("-1.5", "1.25", "-0.25"),
            ("1e20", "1", "100000000000000000000"),
            ("5.0e3", "2.0e2", "5200"),
            ("1.23", "-1.230000001", "-0.000000001"),
            ("9007199254740993", "1", "9007199254740994"),
            ("1e-20", "0", "0"),
            ("123456789.123", "0.1", "123456789.22299999999813735"),
            ("1234.5678", "1e-10", "1234.56780000009999998"),
            ("99999999999999.9", "0.3", "100000000000000.20000457763671875"),
            ("-1e-30", "0", "0"),
        ] {
            let sum_of = |a: &str, b: &str| {
                let read = |s: &str| LongDouble::parse(s.as_bytes()).expect("a number");
                (read(a) + read(b)).to_text()
            };
            assert_eq!(sum_of(a, b), sum, "{a} {b}");
        }
    }

    #[test]
    fn texts_that_are_no_numbers() {
        for text in
            ["", "-", ".", "e5", "1e", "1e-", "1x", " 1", "1 ", "nan", "1e5000", "1e-5000", "1.2.3", "--1"]
        {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
        }
        assert!(LongDouble::parse(b"-inf").is_some_and(|v| !v.is_finite()));
        assert!(LongDouble::parse(b"1e4932").is_some_and(|v| v.is_finite() && v.to_text().len() == 4933));
    }

    quickcheck::quickcheck! {
        fn whole_numbers_add_up(a: i64, b: i64) -> bool {
            let (a, b) = (i128::from(a / 2), i128::from(b / 2));
            let read = |n: i128| LongDouble::parse(n.to_string().as_bytes()).expect("a number");
            (read(a) + read(b)).to_text() == (a + b).to_string()
        }

        fn any_text_is_read_or_refused(text: Vec<u8>) -> bool {
            let digits: Vec<u8> = text.iter().map(|b| b"0123456789.e-+"[usize::from(*b) % 14]).collect();
            let _ = LongDouble::parse(&text);
            LongDouble::parse(&digits).is_none_or(|v| (v + v).to_text().len() < 6000)
        }
    }
}
