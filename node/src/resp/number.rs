//! Numbers as Redis reads them from text (util.c `string2ll`, `getDoubleFromObject`): strictly.

/// A decimal 64-bit integer: no sign but `-`, no leading zeros, no blanks, and nothing that overflows.
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value = 0u64;
    for &b in digits {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits stay below 10^19, which a u64 holds.
        value = value * 10 + u64::from(digit);
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// A floating point number, or `inf` with a sign; not NaN, no blanks, and nothing that is too large or too small.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let value = text.parse::<f64>().ok()?;
    let infinite = || text.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
    let zero = || !text.split(['e', 'E']).next().unwrap_or("").contains(|c: char| matches!(c, '1'..='9'));
    match value {
        v if v.is_nan() => None,
        v if v.is_infinite() => infinite().then_some(v),
        v if v == 0.0 => zero().then_some(v),
        v => Some(v),
    }
}

/// A floating point number with 17 significant digits at most, as `%.17g` writes it: any is read back as it was.
pub fn double_text(value: f64) -> String {
    /// Whole numbers below this have no more digits than that.
    const WHOLE: f64 = 1e17;
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    if value == value.trunc() && value.abs() < WHOLE {
        let whole = itoa::Buffer::new().format(value as i64).to_owned();
        return if value == 0.0 && value.is_sign_negative() { "-0".into() } else { whole };
    }
    let scientific = format!("{value:.16e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |s: &str| s.trim_end_matches('0').trim_end_matches('.').to_owned();
    if (-4..17).contains(&exponent) {
        return trim(&format!("{value:.*}", (16 - exponent) as usize));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(digits), exponent.abs())
}

/// The same, but any whole number of up to 62 bits is written as one (util.c `double2ll`).
pub fn score_text(value: f64) -> String {
    const LARGEST: f64 = (1u64 << 62) as f64;
    if value == value.trunc() && value.abs() <= LARGEST {
        return (value as i64).to_string();
    }
    double_text(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_a_number() {
        for (text, value) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("99999999999999999999", None),
            ("-0", None),
            ("01", None),
            ("+1", None),
            (" 1", None),
            ("1 ", None),
            ("", None),
            ("-", None),
            ("1a", None),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn numbers_as_c_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.1, "3.1000000000000001"),
            (0.5, "0.5"),
            (1e17, "1e+17"),
            (99999999999999984.0, "99999999999999984"),
            (1.5e300, "1.5000000000000001e+300"),
            (1e-5, "1.0000000000000001e-05"),
            (0.0001, "0.0001"),
            (123456.789, "123456.789"),
            (f64::INFINITY, "inf"),
            (-17.25, "-17.25"),
        ] {
            assert_eq!(double_text(value), text);
        }
    }

    #[test]
    fn scores_in_their_compact_form() {
        assert_eq!(score_text(4611686018427387904.0), "4611686018427387904");
        assert_eq!(score_text(-0.0), "0");
        assert_eq!(score_text(9.3e18), "9.3e+18");
    }

    #[test]
    fn floats_that_are_none() {
        for text in ["nan", "-nan", "1e400", "1e-400", "", " 1", "1 ", "1x", "infx"] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_f64(b"-inf"), Some(f64::NEG_INFINITY));
        assert_eq!(parse_f64(b"0e5"), Some(0.0));
    }

    quickcheck::quickcheck! {
        fn a_double_is_read_as_it_was(value: f64) -> bool {
            value.is_nan() || parse_f64(double_text(value).as_bytes()) == Some(value)
        }

        fn what_is_written_is_read(n: i64) -> bool {
            parse_i64(n.to_string().as_bytes()) == Some(n)
        }
    }
}
