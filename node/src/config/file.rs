//! From the command line to a configuration: redis.conf files, `include`, `--name value` options.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Config, find};
use crate::keyspace::glob_match;
use crate::resp::split_quoted;

/// How deep files may include each other.
const MAX_INCLUDES: usize = 16;

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// `-v` or `--version`.
    Version,
    /// `-h` or `--help`.
    Help,
    /// A server with this configuration, and what to warn about.
    Serve(Box<Config>, Vec<String>),
}

/// Why there is no server. Its text names the file and the line.
#[derive(Debug)]
pub struct StartError(pub String);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StartError {}

/// Reads the arguments after the program's name: `[FILE | -] [--name value ...]`, options win. `stdin` is
/// read when `-` is among them.
pub fn parse_invocation(args: &[String], stdin: &mut dyn Read) -> Result<Invocation, StartError> {
    match args.first().map(String::as_str) {
        Some("-v" | "--version") => return Ok(Invocation::Version),
        Some("-h" | "--help") => return Ok(Invocation::Help),
        _ => {}
    }
    let mut loader = Loader::default();
    let mut rest = args;
    if let [file, tail @ ..] = rest
        && !file.starts_with('-')
    {
        let path = std::path::absolute(file).unwrap_or_else(|_| PathBuf::from(file));
        loader.file(&path, 0)?;
        loader.config.file = Some(path);
        rest = tail;
    }
    if let [dash, tail @ ..] = rest
        && dash == "-"
    {
        let mut text = Vec::new();
        if let Err(e) = stdin.read_to_end(&mut text) {
            return Err(StartError(format!("Can't read the configuration from standard input: {e}")));
        }
        loader.text(&text, "standard input", 0)?;
        rest = tail;
    }
    loader.options(rest)?;
    Ok(Invocation::Serve(Box::new(loader.config), loader.warnings))
}

#[derive(Default)]
struct Loader {
    config: Config,
    warnings: Vec<String>,
    /// `save` lines add up, but not to the default or to what an outer source said.
    saves: Vec<Vec<u8>>,
}

impl Loader {
    fn file(&mut self, path: &Path, depth: usize) -> Result<(), StartError> {
        let name = path.display().to_string();
        let text = std::fs::read(path)
            .map_err(|e| StartError(format!("Fatal error, can't open config file '{name}': {e}")))?;
        self.text(&text, &name, depth)
    }

    fn text(&mut self, text: &[u8], source: &str, depth: usize) -> Result<(), StartError> {
        for (i, line) in text.split(|&b| b == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let wrong = |why: &str| {
                let line = String::from_utf8_lossy(line);
                StartError(format!(
                    "*** FATAL CONFIG FILE ERROR (Slotproof, Redis 7.0.15) ***\n\
                     Reading the configuration file {source}, at line {}\n>>> '{line}'\n{why}",
                    i + 1
                ))
            };
            let words = split_quoted(line).ok_or_else(|| wrong("Unbalanced quotes in configuration line"))?;
            let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            if let [name, path] = words[..]
                && name.eq_ignore_ascii_case(b"include")
            {
                if depth == MAX_INCLUDES {
                    return Err(wrong("Files include each other too deeply"));
                }
                for path in included(&String::from_utf8_lossy(path)).map_err(|e| wrong(&e))? {
                    self.file(&path, depth + 1)?;
                }
                continue;
            }
            self.directive(&words).map_err(|e| wrong(&e))?;
        }
        Ok(())
    }

    fn options(&mut self, args: &[String]) -> Result<(), StartError> {
        let mut rest = args;
        self.saves.clear();
        while let [name, tail @ ..] = rest {
            let Some(directive) = name.strip_prefix("--").filter(|n| !n.is_empty()) else {
                return Err(StartError(format!("Unexpected argument '{name}': options start with --")));
            };
            let values = tail.iter().take_while(|v| !v.starts_with("--")).count();
            let words: Vec<&[u8]> = std::iter::once(directive.as_bytes())
                .chain(tail[..values].iter().map(String::as_bytes))
                .collect();
            self.directive(&words).map_err(|e| {
                StartError(format!("Bad option '--{}': {e}", rest_of(directive, &tail[..values])))
            })?;
            rest = &tail[values..];
        }
        Ok(())
    }

    fn directive(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let [name, values @ ..] = words else { return Ok(()) };
        let Some(directive) = find(name) else {
            return Err("Bad directive or wrong number of arguments".into());
        };
        if values.is_empty() {
            return Err("wrong number of arguments".into());
        }
        if directive.name == "save" {
            if values.iter().all(|v| v.is_empty()) {
                self.saves.clear();
            }
            self.saves.extend(values.iter().map(|v| v.to_vec()));
            let all: Vec<&[u8]> = self.saves.iter().map(Vec::as_slice).collect();
            self.config.set(directive, &all).map_err(|e| e.to_string())?;
        } else {
            self.config.set(directive, values).map_err(|e| e.to_string())?;
        }
        if !directive.used {
            let warning = format!("'{}' is accepted, and has no effect in this version", directive.name);
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        Ok(())
    }
}

fn rest_of(name: &str, values: &[String]) -> String {
    std::iter::once(name).chain(values.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
}

/// The files an `include` names: its last part may be a pattern, which may match none. A relative path starts
/// at the working directory, as in Redis.
fn included(path: &str) -> Result<Vec<PathBuf>, String> {
    let path = Path::new(path);
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if !name.contains(['*', '?', '[']) {
        return Ok(vec![path.to_path_buf()]);
    }
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let entries = std::fs::read_dir(parent).map_err(|e| format!("can't list {}: {e}", parent.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .filter(|e| glob_match(name.as_bytes(), e.file_name().to_string_lossy().as_bytes()))
        .map(|e| e.path())
        .collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(args: &[&str], stdin: &str) -> Result<(Config, Vec<String>), String> {
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        match parse_invocation(&args, &mut stdin.as_bytes()) {
            Ok(Invocation::Serve(config, warnings)) => Ok((*config, warnings)),
            Ok(other) => Err(format!("{other:?}")),
            Err(e) => Err(e.to_string()),
        }
    }

    #[test]
    fn options_win_over_the_file() {
        let (config, warnings) = load(
            &["-", "--port", "7001", "--save", "1", "2", "--save", "3 4", "--appendonly", "yes"],
            "# comment\n  port 7000\r\nrequirepass \"a b\\x41\"\nsave 60 1\nsave 70 1\ntcp-backlog 5\n",
        )
        .expect("a configuration");
        assert_eq!(config.int("port"), 7001);
        assert_eq!(config.text("requirepass"), "a bA");
        assert_eq!(config.text("save"), "1 2 3 4");
        assert_eq!(warnings.len(), 2, "{warnings:?}");
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let error = load(&["-"], "port 1\n\nfoo bar\n").expect_err("foo");
        assert!(
            error.contains("at line 3") && error.contains("'foo bar'") && error.contains("Bad directive")
        );
        assert!(load(&["-"], "port \"1").expect_err("quotes").contains("Unbalanced quotes"));
        assert!(load(&["-"], "port").expect_err("none").contains("wrong number of arguments"));
        assert!(load(&["-"], "port 1 2").expect_err("two").contains("wrong number of arguments"));
        assert!(load(&["/nonexistent/file"], "").expect_err("file").contains("/nonexistent/file"));
        assert!(load(&["--foo", "1"], "").expect_err("option").contains("--foo 1"));
    }

    #[test]
    fn files_include_files_but_not_for_ever() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("a.conf"), format!("port 1\ninclude {}\n", path("b*.conf"))).expect("written");
        std::fs::write(path("b1.conf"), "port 2\n").expect("written");
        std::fs::write(path("b2.conf"), "port 3\n").expect("written");
        assert_eq!(load(&[&path("a.conf")], "").expect("a configuration").0.int("port"), 3);
        std::fs::write(path("c.conf"), format!("include {}\n", path("c.conf"))).expect("written");
        assert!(load(&[&path("c.conf")], "").expect_err("a loop").contains("too deeply"));
    }
}
