//! Conformance: recorded runs of real nodes, replayed through the very transitions that are model-checked.
//!
//! [`Replay`] takes one trace: every effect and digest must be what the model says, and what the shell did must be what it was told.
//! [`conform`] merges the traces of a cluster: each frame received is one that its peer sent, and the properties are judged along the run.

mod coverage;
mod merge;
mod replay;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

pub use coverage::{Coverage, RULES};
pub use merge::{Report, conform};
pub use replay::{Replay, Replayed};
use slotproof_node::trace::{Beginning, TraceReader};

/// The first place where a run and the model part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which trace.
    pub trace: String,
    /// Which record; the beginning is 0.
    pub record: u64,
    /// Which step of the core, from 1; 0 ahead of the first.
    pub step: u64,
    /// What is wrong.
    pub problem: String,
    /// What the model says, if it says something else.
    pub model: Option<String>,
    /// What the trace says.
    pub trace_says: Option<String>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: step {} (record {}): {}", self.trace, self.step, self.record, self.problem)?;
        if let Some(text) = &self.model {
            write!(f, "\n  model: {text}")?;
        }
        if let Some(text) = &self.trace_says {
            write!(f, "\n  trace: {text}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Difference {}

/// Opens a trace.
pub(crate) fn open(path: &Path) -> Result<(String, Beginning, TraceReader<BufReader<File>>), Difference> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let wrong = |record: u64, problem: String| Difference {
        trace: name.clone(),
        record,
        step: 0,
        problem,
        model: None,
        trace_says: None,
    };
    let file = File::open(path).map_err(|e| wrong(0, e.to_string()))?;
    let (beginning, reader) = TraceReader::new(BufReader::with_capacity(1 << 16, file))
        .map_err(|e| wrong(e.record, e.to_string()))?;
    Ok((name, beginning, reader))
}

/// Traces named on a command line; a directory stands for the `.trace` files in it, at any depth.
pub fn find(paths: &[PathBuf]) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = paths.to_vec();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                let path = entry?.path();
                if path.is_dir() || path.extension().is_some_and(|e| e == "trace") {
                    open.push(path);
                }
            }
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
