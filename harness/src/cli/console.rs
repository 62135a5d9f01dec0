//! The operator at a terminal, or a script in its place: questions, a progress bar, and Ctrl-C.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicU8, Ordering};

use slotproof::manager::{Console, Progress};
use tokio::signal::unix::{SignalKind, signal};

use super::out;

/// An answer may have so many bytes.
const MAX_ANSWER: u64 = 64 << 10;
/// The width of the bar in characters.
const BAR: usize = 30;
/// So many keys are shown as dots; more are counted.
const MAX_DOTS: usize = 64;
/// What a shell reports of a program that Ctrl-C ended.
pub(super) const INTERRUPTED: u8 = 130;

/// Nothing is under way that would be left open: a signal ends the process.
const IDLE: u8 = 0;
/// Slots move: a signal asks for the end of it.
const MOVING: u8 = 1;
/// The end was asked for.
const STOPPING: u8 = 2;

static STATE: AtomicU8 = AtomicU8::new(IDLE);

/// Standard input and output.
pub(super) struct Terminal {
    watched: bool,
}

impl Terminal {
    /// Takes over Ctrl-C and SIGTERM.
    pub(super) fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let guard = runtime.enter();
        let (mut ctrl_c, mut term) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        drop(guard);
        std::thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = ctrl_c.recv() => interrupt(),
                        _ = term.recv() => interrupt(),
                    }
                }
            });
        });
        Ok(Self { watched: out::watched() })
    }
}

fn interrupt() {
    if STATE.compare_exchange(MOVING, STOPPING, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
        out::mistake("stopping after this step; once more to end at once");
        return;
    }
    if STATE.load(Ordering::SeqCst) == STOPPING {
        out::mistake(
            "ended in the middle of a step: slotproof cluster check says what is open, fix finishes it; create and add-node are finished \
             by the same command",
        );
    }
    std::process::exit(INTERRUPTED.into());
}

impl Console for Terminal {
    fn say(&mut self, text: fmt::Arguments<'_>) {
        if self.watched {
            out::passed();
        }
        out::line(text);
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        STATE.store(IDLE, Ordering::SeqCst);
        if self.watched {
            out::passed();
        }
        out::question(question);
        let mut answer = String::new();
        io::stdin().lock().take(MAX_ANSWER).read_line(&mut answer)?;
        if !answer.ends_with('\n') && answer.is_empty() {
            out::line("");
            let text = "the question was not answered: nothing was done. Options answer it too, and --yes";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        Ok(answer.trim_end_matches(['\n', '\r']).to_string())
    }

    fn progress(&mut self, at: &Progress<'_>) {
        let Progress { slot, from, to, keys, done, slots: (ready, all) } = *at;
        if self.watched {
            let full = (ready * BAR).checked_div(all).unwrap_or(BAR).min(BAR);
            let bar = "#".repeat(full) + &".".repeat(BAR - full);
            out::passing(format_args!(
                "[{bar}] {ready}/{all} slots; slot {slot}, {from} -> {to}, {keys} keys"
            ));
            if done && ready == all {
                out::passed();
                out::line(format_args!("[{bar}] {ready}/{all} slots"));
            }
        } else if done {
            let dots = ".".repeat(keys.min(MAX_DOTS));
            let more = if keys > MAX_DOTS { format!(" ({keys} keys)") } else { String::new() };
            out::line(format_args!("Moving slot {slot} from {from} to {to}: {dots}{more}"));
        }
    }

    fn stopped(&mut self) -> bool {
        // Whoever asked already is not forgotten.
        let _ = STATE.compare_exchange(IDLE, MOVING, Ordering::SeqCst, Ordering::SeqCst);
        STATE.load(Ordering::SeqCst) == STOPPING
    }
}
