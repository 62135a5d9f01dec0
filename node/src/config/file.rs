//! From the command line to a configuration: redis.conf files, `include`, `--name value` options.

use std::fmt;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Config, DefaultUser, find};
use crate::commands::Renamed;
use crate::keyspace::glob_match;
use crate::resp::{quote, split_quoted};

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
    /// Finds names that cannot be changed.
    renamed: Renamed,
}

impl Loader {
    fn file(&mut self, path: &Path, depth: usize) -> Result<(), StartError> {
        let text = read(path).map_err(StartError)?;
        self.text(&text, &path.display().to_string(), depth)
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
                    let text = read(&path).map_err(|e| wrong(&e))?;
                    self.text(&text, &path.display().to_string(), depth + 1)?;
                }
                continue;
            }
            self.directive(&words).map_err(|e| wrong(&e))?;
        }
        Ok(())
    }

    fn options(&mut self, args: &[String]) -> Result<(), StartError> {
        for line in option_lines(args)? {
            let words: Vec<&[u8]> = line.iter().map(Vec::as_slice).collect();
            self.directive(&words).map_err(|e| {
                let mut shown = words[0].to_vec();
                for word in &line[1..] {
                    shown.push(b' ');
                    quote(&mut shown, word);
                }
                let shown = String::from_utf8_lossy(&shown).into_owned();
                StartError(format!(
                    "*** FATAL CONFIG ERROR (Slotproof, Redis 7.0.15) ***\n\
                     Reading the options of the command line\n>>> '{shown}'\n{e}"
                ))
            })?;
        }
        Ok(())
    }

    fn directive(&mut self, words: &[&[u8]]) -> Result<(), String> {
        let [name, values @ ..] = words else { return Ok(()) };
        if name.eq_ignore_ascii_case(b"rename-command") {
            let [old, new] = values else { return Err("Bad directive or wrong number of arguments".into()) };
            self.renamed.rename(old, new)?;
            self.config.renames.push((old.to_vec(), new.to_vec()));
            return Ok(());
        }
        if name.eq_ignore_ascii_case(b"user") {
            let user = DefaultUser::parse(values)?;
            if self.config.user.replace(user).is_some() {
                return Err("Error in user declaration 'default': a user can be defined only once".into());
            }
            return Ok(());
        }
        if name.eq_ignore_ascii_case(b"loadmodule") {
            return Err("There are no modules in this version".into());
        }
        let Some(directive) = find(name) else {
            return Err("Bad directive or wrong number of arguments".into());
        };
        // `save` alone means that nothing is saved.
        let may_be_alone = directive.name == "save" || matches!(directive.kind, super::Kind::Words(_));
        if values.is_empty() && !may_be_alone {
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
            there(directive.name, self.config.bytes(directive.name))?;
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

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("Fatal error, can't open config file '{}': {e}", path.display()))
}

/// A directory that is not there, and a log file whose directory is not there, are mistakes of the line that names them.
fn there(name: &str, value: &[u8]) -> Result<(), String> {
    let path = Path::new(std::ffi::OsStr::from_bytes(value));
    let directory = match name {
        "dir" if !value.is_empty() => path,
        // What a relative path begins at is settled later.
        "logfile" if path.is_absolute() => path.parent().unwrap_or(path),
        _ => return Ok(()),
    };
    match std::fs::metadata(directory) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(format!("'{}': not a directory", directory.display())),
        Err(e) => Err(format!("'{}': {e}", directory.display())),
    }
}

/// The options of the command line as lines of a file. What follows an option's name is its value, whatever it looks like;
/// behind that a word with `--` is the next option. Name and values may be in one argument.
fn option_lines(args: &[String]) -> Result<Vec<Vec<Vec<u8>>>, StartError> {
    let mut lines: Vec<Vec<Vec<u8>>> = Vec::new();
    // Whether the last argument was an option's name alone.
    let mut name_alone = false;
    for arg in args {
        let option = arg.strip_prefix("--").filter(|name| !name.is_empty());
        let saves = lines.last().is_some_and(|l| l.len() == 1 && l[0].eq_ignore_ascii_case(b"save"));
        match (lines.last_mut(), option) {
            (Some(line), None) => line.push(arg.clone().into_bytes()),
            (Some(line), Some(_)) if name_alone && !saves => line.push(arg.clone().into_bytes()),
            (_, option) => {
                let text = option.unwrap_or(arg);
                let words = split_quoted(text.as_bytes())
                    .filter(|words| !words.is_empty())
                    .ok_or_else(|| StartError(format!("Unbalanced quotes in the option '{arg}'")))?;
                name_alone = words.len() == 1;
                lines.push(words);
                continue;
            }
        }
        name_alone = false;
    }
    Ok(lines)
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
        assert_eq!(config.text("save"), "60 1 70 1 1 2 3 4");
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
        for missing in ["include /nonexistent/file", "dir /nonexistent/file", "logfile /nonexistent/file/log"]
        {
            let error = load(&["-"], &format!("port 1\n{missing}\n")).expect_err(missing);
            assert!(error.contains("at line 2") && error.contains("'/nonexistent/file'"), "{error}");
        }
        for (line, why) in [
            ("loadmodule /usr/lib/x.so", "no modules"),
            ("user alice on nopass ~* &* +@all", "no access lists"),
            ("user", "wrong number of arguments"),
        ] {
            let error = load(&["-"], &format!("port 1\n{line}\n")).expect_err(line);
            assert!(error.contains("at line 2") && error.contains(why), "{error}");
        }
        let twice = "user default on nopass ~* &* +@all\n".repeat(2);
        assert!(load(&["-"], &twice).expect_err("twice").contains("only once"));
        assert!(load(&["--foo", "1"], "").expect_err("option").contains("'foo \"1\"'"));
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
