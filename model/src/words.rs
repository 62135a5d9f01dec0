//! Splitting a line into words by the quoting rules of redis.conf, nodes.conf and inline commands (sds.c `sdssplitargs`).

/// The words of `line`: runs of bytes between white space, of which parts may stand in quotes. In double quotes `\n`, `\r`,
/// `\t`, `\b`, `\a` and `\xHH` are what they are in C, and a backslash before anything else is left out; in single quotes only
/// `\'` is special. Nothing if a quote is not closed, or its end is not the end of the word.
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        rest = skip_space(rest);
        if rest.is_empty() {
            return Some(words);
        }
        let mut word = Vec::new();
        rest = read_word(rest, &mut word)?;
        words.push(word);
    }
}

/// Reads one word into `word`; what is behind it.
fn read_word<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    while let [byte, behind @ ..] = rest {
        match byte {
            b'"' => return closed(read_double_quoted(behind, word)?),
            b'\'' => return closed(read_single_quoted(behind, word)?),
            b' ' | b'\n' | b'\r' | b'\t' => return Some(behind),
            _ => word.push(*byte),
        }
        rest = behind;
    }
    Some(rest)
}

fn read_double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'"', behind @ ..] => return Some(behind),
            [b'\\', b'x', high, low, behind @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(hex(*high) << 4 | hex(*low));
                behind
            }
            [b'\\', escaped, behind @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                behind
            }
            [byte, behind @ ..] => {
                word.push(*byte);
                behind
            }
        }
    }
}

fn read_single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'\'', behind @ ..] => return Some(behind),
            [b'\\', b'\'', behind @ ..] => {
                word.push(b'\'');
                behind
            }
            [byte, behind @ ..] => {
                word.push(*byte);
                behind
            }
        }
    }
}

/// A closing quote ends its word.
fn closed(rest: &[u8]) -> Option<&[u8]> {
    if rest.first().is_none_or(|b| is_space(*b)) { Some(rest) } else { None }
}

fn skip_space(bytes: &[u8]) -> &[u8] {
    let n = bytes.iter().take_while(|b| is_space(**b)).count();
    &bytes[n..]
}

/// As `isspace` of C.
fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

fn hex(digit: u8) -> u8 {
    (digit as char).to_digit(16).unwrap_or_default() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Option<Vec<String>> {
        let words = split_words(line.as_bytes())?;
        Some(words.iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect())
    }

    fn some(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|w| w.to_string()).collect())
    }

    #[test]
    fn words_and_quotes() {
        assert_eq!(split("  a bc\t d\r\n"), some(&["a", "bc", "d"]));
        assert_eq!(split(""), some(&[]));
        assert_eq!(split(r#"set "a b" 'c d' """#), some(&["set", "a b", "c d", ""]));
        assert_eq!(split(r#""\x41\n\t\"\\\q\xz" 'it\'s \n'"#), some(&["A\n\t\"\\qxz", "it's \\n"]));
        assert_eq!(split(r#"pre"fix ed" x"#), some(&["prefix ed", "x"]));
    }

    #[test]
    fn a_quote_must_be_closed_and_end_its_word() {
        for bad in [r#"""#, r#"a "b"#, r#"a 'b"#, r#""a"b"#, r#"'a'b"#, r#""a\"#, r#"'a\'"#] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }
}
