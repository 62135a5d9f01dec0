//! Ends the children of a process that can no longer do it itself.
//!
//! A shell that ignores signals reads lines from a pipe whose other end only the harness holds: `+ PID` and `- PID`. When the
//! pipe closes, be it because the harness was killed, it kills whoever is left and removes the directory.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

const SCRIPT: &str = r#"
trap '' INT TERM HUP
pids=' '
while read -r verb pid; do
  case $verb in
    +) pids="$pids$pid " ;;
    -) case $pids in *" $pid "*) pids="${pids%% $pid *} ${pids#* $pid }" ;; esac ;;
  esac
done
for pid in $pids; do kill -KILL "$pid"; done
[ -z "$1" ] || rm -rf -- "$1"
"#;

/// The watchdog of one cluster.
#[derive(Debug)]
pub(crate) struct Watchdog {
    child: Child,
    pipe: Leash,
}

/// Through which processes are put under the watchdog's eyes and taken away from them.
#[derive(Clone, Debug)]
pub(crate) struct Leash(Arc<Mutex<Option<ChildStdin>>>);

impl Watchdog {
    /// Starts one that removes `directory` in the end, if there is one.
    ///
    /// # Errors
    /// When there is no shell to run.
    pub(crate) fn start(directory: Option<&Path>) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "slotproof-watchdog"]).arg(directory.unwrap_or(Path::new("")));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let pipe = Leash(Arc::new(Mutex::new(child.stdin.take())));
        Ok(Self { child, pipe })
    }

    /// A way to speak to it.
    pub(crate) fn leash(&self) -> Leash {
        self.pipe.clone()
    }
}

impl Leash {
    /// The process is to end with the harness.
    pub(crate) fn watch(&self, pid: u32) {
        self.line(&format!("+ {pid}\n"));
    }

    /// The process is about to be reaped: its number may soon be another's.
    pub(crate) fn release(&self, pid: u32) {
        self.line(&format!("- {pid}\n"));
    }

    fn line(&self, line: &str) {
        if let Ok(mut pipe) = self.0.lock()
            && let Some(pipe) = pipe.as_mut()
        {
            // A watchdog that somebody killed is no reason to fail: every child is also ended by its owner.
            let _ = pipe.write_all(line.as_bytes());
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Ok(mut pipe) = self.pipe.0.lock() {
            pipe.take();
        }
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    /// A child that ends by itself only after a long time.
    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().expect("a child")
    }

    #[test]
    fn it_ends_who_is_left_and_removes_the_directory() {
        let directory = tempfile::tempdir().expect("a directory");
        let watchdog = Watchdog::start(Some(directory.path())).expect("it starts");
        let leash = watchdog.leash();
        let mut children = [sleeper(), sleeper(), sleeper()];
        for child in &children {
            leash.watch(child.id());
        }
        leash.release(children[1].id());
        leash.release(u32::MAX);
        drop(watchdog);
        assert_eq!(children[0].wait().expect("it ended").signal(), Some(9));
        assert_eq!(children[2].wait().expect("it ended").signal(), Some(9));
        assert_eq!(children[1].try_wait().expect("it is there"), None, "nobody watches it any more");
        children[1].kill().expect("it is killed");
        children[1].wait().expect("it ended");
        assert!(!directory.path().exists());
    }
}
