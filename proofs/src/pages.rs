//! Parts of pages that are written from the code: a test compares them, and writes them anew if it is asked to.
//!
//! Such a part stands between two lines, `<!-- generated: NAME (COMMAND) -->` and `<!-- end -->`; the rest of a page is for people.

use std::path::Path;
use std::sync::Mutex;

/// Writes all generated parts anew.
pub const COMMAND: &str = "SLOTPROOF_WRITE_TABLES=1 cargo test -p slotproof-proofs tables";

const END: &str = "<!-- end -->";

/// Two tests may write parts of one page.
static WRITING: Mutex<()> = Mutex::new(());

/// Compares the parts of a page (its path from the root of the workspace) with what the code says: name and text of each.
///
/// # Panics
/// If one is missing or differs. With `SLOTPROOF_WRITE_TABLES` in the environment, those that differ are written instead.
pub fn compare(page: &str, parts: &[(&str, String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let _only_one = WRITING.lock();
    let old = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{page}: {e}"));
    let mut new = old.clone();
    for (name, text) in parts {
        new = with_part(&new, name, text)
            .unwrap_or_else(|| panic!("{page} has no part {name:?}: {}", head(name)));
    }
    if new == old {
        return;
    }
    if std::env::var_os("SLOTPROOF_WRITE_TABLES").is_some() {
        return std::fs::write(&path, new).unwrap_or_else(|e| panic!("{page}: {e}"));
    }
    let differs = old
        .lines()
        .zip(new.lines())
        .position(|(a, b)| a != b)
        .unwrap_or(old.lines().count().min(new.lines().count()));
    let line = |text: &str| text.lines().nth(differs).unwrap_or("(its end)").to_string();
    panic!(
        "{page}, line {}, is not what the code says; write it anew with\n    {COMMAND}\nit reads\n    {}\nand should read\n    {}",
        differs + 1,
        line(&old),
        line(&new)
    );
}

fn head(name: &str) -> String {
    format!("<!-- generated: {name} ({COMMAND}) -->")
}

/// The page with another text of one part; nothing if it has no such part.
fn with_part(page: &str, name: &str, text: &str) -> Option<String> {
    let head = format!("{}\n", head(name));
    let start = page.find(&head)? + head.len();
    let end = start + page[start..].find(END)?;
    Some(format!("{}\n{}\n\n{}", &page[..start], text.trim(), &page[end..]))
}

/// A table in Markdown. Bars within cells are escaped.
pub fn table<const N: usize>(columns: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(columns.map(String::from).into());
    text.push_str(&format!("|{}\n", "---|".repeat(N)));
    text.extend(rows.into_iter().map(|row| line(row.map(|cell| cell.replace('|', "\\|")).into())));
    text
}

/// A number with a comma between thousands.
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.char_indices() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_is_replaced() {
        let page = |text: &str| format!("before\n{}\n{text}{END}\nafter {END}\n", head("a"));
        assert_eq!(with_part(&page("old\n"), "a", "new\nlines\n"), Some(page("\nnew\nlines\n\n")));
        assert_eq!(with_part(&page("old\n"), "b", "new"), None);
    }

    #[test]
    fn thousands_and_bars() {
        assert_eq!([0, 999, 1_000, 12_345_678].map(grouped), ["0", "999", "1,000", "12,345,678"]);
        assert_eq!(table(["a", "b"], [["1|2".into(), "3".into()]]), "| a | b |\n|---|---|\n| 1\\|2 | 3 |\n");
    }
}
