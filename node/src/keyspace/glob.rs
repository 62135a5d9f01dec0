//! Glob patterns as KEYS, SCAN and CONFIG GET have them (util.c `stringmatchlen`).

/// Whether `text` matches `pattern`: `*`, `?`, `[a-z]`, `[^a]`, and `\` before a literal.
///
/// It never recurses: after a failure it goes back to the last `*` only, which takes at most
/// pattern times text steps.
pub fn glob_match(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p + 1, t));
            p += 1;
            continue;
        }
        if t == text.len() {
            return p == pattern.len();
        }
        match one(pattern, p, text[t]) {
            Some(next) => {
                p = next;
                t += 1;
            }
            None => match &mut star {
                Some((after, from)) => {
                    *from += 1;
                    (p, t) = (*after, *from);
                }
                None => return false,
            },
        }
    }
}

/// Matches one byte at `p`; gives where the pattern goes on.
fn one(pattern: &[u8], p: usize, b: u8) -> Option<usize> {
    match *pattern.get(p)? {
        b'?' => Some(p + 1),
        b'[' => class(pattern, p + 1, b),
        b'\\' if p + 1 < pattern.len() => (pattern[p + 1] == b).then_some(p + 2),
        c => (c == b).then_some(p + 1),
    }
}

/// A class from after its `[`; one that is not closed ends with the pattern.
fn class(pattern: &[u8], mut p: usize, b: u8) -> Option<usize> {
    let negated = pattern.get(p) == Some(&b'^');
    if negated {
        p += 1;
    }
    let mut matched = false;
    loop {
        match pattern.get(p..).unwrap_or(&[]) {
            [] => break,
            [b']', ..] => {
                p += 1;
                break;
            }
            [b'\\', c, ..] => {
                matched |= *c == b;
                p += 2;
            }
            [a, b'-', z, ..] => {
                matched |= (*a.min(z)..=*a.max(z)).contains(&b);
                p += 3;
            }
            [c, ..] => {
                matched |= *c == b;
                p += 1;
            }
        }
    }
    (matched != negated).then_some(p)
}

#[cfg(test)]
mod tests {
    use super::glob_match;

    #[test]
    fn patterns() {
        for (pattern, text, want) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("h?llo", "hello", true),
            ("h*llo", "heeeello", true),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hallo", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbXbd", false),
            ("[abc", "b", true),
            ("[]a]", "a]", false),
            ("*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(glob_match(pattern.as_bytes(), text.as_bytes()), want, "{pattern} {text}");
        }
    }

    quickcheck::quickcheck! {
        fn any_pattern_ends(pattern: Vec<u8>, text: Vec<u8>) -> bool {
            glob_match(&pattern, &text);
            glob_match(b"*", &text)
        }
    }
}
