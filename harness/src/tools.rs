//! Programs that come with Redis (`redis-cli`, `redis-benchmark`), run to their end within a time limit, with everything that they said.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::Process;

/// What is kept of each stream, in bytes; the rest is read and dropped.
const MAX_OUTPUT: u64 = 16 << 20;

/// What a program said, and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// Status and both streams, for an assertion's text.
    pub fn text(&self) -> String {
        format!("{}\n{}{}", self.status, self.stdout, self.stderr)
    }

    /// The same output if the program ended with status 0.
    ///
    /// # Errors
    /// Everything that it said, if it did not.
    pub fn success(self) -> io::Result<Self> {
        if self.status.success() { Ok(self) } else { Err(io::Error::other(self.text())) }
    }
}

/// Runs a program with `input` on its standard input, and kills it after `limit`.
///
/// # Errors
/// When it cannot be started, and when it was killed: what it had said by then is in the error.
pub fn run<A: AsRef<OsStr>>(program: &str, args: &[A], input: &str, limit: Duration) -> io::Result<Output> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|e| io::Error::new(e.kind(), format!("running {program}: {e}")))?;
    let mut child = Process(child);
    let (done, ends) = mpsc::channel();
    let stdout = child.0.stdout.take().map(|s| collect(s, done.clone()));
    let stderr = child.0.stderr.take().map(|s| collect(s, done));
    if let Some(mut stdin) = child.0.stdin.take() {
        // A program that does not read to the end is judged by its output.
        let _ = stdin.write_all(input.as_bytes());
    }
    let deadline = Instant::now() + limit;
    let mut in_time = true;
    for _ in 0..2 {
        in_time &= ends.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok();
    }
    if !in_time {
        child.0.kill()?;
    }
    let status = child.0.wait()?;
    let text = |t: Option<thread::JoinHandle<String>>| t.and_then(|t| t.join().ok()).unwrap_or_default();
    let output = Output { status, stdout: text(stdout), stderr: text(stderr) };
    if in_time {
        return Ok(output);
    }
    let said = output.text();
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("{program} did not end in {limit:?}: {said}")))
}

/// `redis-cli` with these arguments and this input.
///
/// # Errors
/// As [`run`].
pub fn redis_cli(args: &[&str], input: &str, limit: Duration) -> io::Result<Output> {
    run("redis-cli", args, input, limit)
}

fn collect(mut stream: impl Read + Send + 'static, done: mpsc::Sender<()>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before a failure is worth more than the failure.
        let _ = stream.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
        let _ = io::copy(&mut stream, &mut io::sink());
        let _ = done.send(());
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_status_and_time_limit() -> io::Result<()> {
        let ended = run("sh", &["-c", "cat; echo no >&2; exit 3"], "yes", Duration::from_secs(60))?;
        assert_eq!(
            (ended.status.code(), ended.stdout.as_str(), ended.stderr.as_str()),
            (Some(3), "yes", "no\n")
        );
        assert!(ended.success().is_err());
        let late = run("sh", &["-c", "echo here; exec sleep 600"], "", Duration::from_millis(300));
        let late = late.map(|o| o.text()).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        assert!(late.to_string().contains("here"), "{late}");
        Ok(())
    }
}
