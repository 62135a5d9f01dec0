//! The one place that prints to standard output and standard error.
#![allow(clippy::print_stdout)]

use std::io::{IsTerminal, Write};

/// A line for people.
pub(crate) fn line(text: impl std::fmt::Display) {
    // A reader that went away is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// A line about a mistake.
pub(crate) fn mistake(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "slotproof: {text}");
}

/// A line that the next one overwrites; nothing where nobody watches.
pub(crate) fn passing(text: impl std::fmt::Display) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        let _ = write!(err, "\r\x1b[2K{text}");
        let _ = err.flush();
    }
}

/// Takes the passing line away.
pub(crate) fn passed() {
    passing("");
}

/// A question, whose answer comes on the same line.
pub(crate) fn question(text: &str) {
    let mut out = std::io::stdout();
    let _ = write!(out, "{text}");
    let _ = out.flush();
}

/// Whether a person looks at both streams.
pub(crate) fn watched() -> bool {
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}
