//! The log, in Redis's format: `PID:ROLE DAY MONTH YEAR TIME LEVEL text` (server.c `serverLogRaw`). Times are
//! UTC.

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use super::unix_micros;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For finding faults.
    Debug,
    /// Details.
    Verbose,
    /// What an operator wants to know.
    Notice,
    /// What an operator has to know.
    Warning,
}

impl Level {
    /// The level of this name, as `loglevel` has it.
    pub fn named(name: &str) -> Self {
        match name {
            "debug" => Self::Debug,
            "verbose" => Self::Verbose,
            "warning" => Self::Warning,
            _ => Self::Notice,
        }
    }
}

/// Where lines go.
#[derive(Debug)]
pub struct Log {
    level: Cell<Level>,
    file: Option<RefCell<File>>,
    /// `M` for a master, `S` for a replica.
    pub role: Cell<char>,
}

impl Log {
    /// To a file that is appended to, or to standard output when the path is empty.
    pub fn open(path: &str, level: Level) -> io::Result<Self> {
        let file = match path {
            "" => None,
            path => Some(RefCell::new(OpenOptions::new().create(true).append(true).open(path)?)),
        };
        Ok(Self { level: Cell::new(level), file, role: Cell::new('M') })
    }

    /// From now on, lines below `level` are left out.
    pub fn set_level(&self, level: Level) {
        self.level.set(level);
    }

    /// A line that an operator wants to know.
    pub fn notice(&self, text: &str) {
        self.line(Level::Notice, text);
    }

    /// A line that an operator has to know.
    pub fn warning(&self, text: &str) {
        self.line(Level::Warning, text);
    }

    /// A line of any level. A full disk loses lines, not the server.
    pub fn line(&self, level: Level, text: &str) {
        if level < self.level.get() {
            return;
        }
        let mark = match level {
            Level::Debug => '.',
            Level::Verbose => '-',
            Level::Notice => '*',
            Level::Warning => '#',
        };
        let (pid, role) = (std::process::id(), self.role.get());
        let line = format!("{pid}:{role} {} {mark} {text}\n", timestamp(unix_micros() / 1000));
        let _ = match &self.file {
            Some(file) => file.borrow_mut().write_all(line.as_bytes()),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(line.as_bytes()).and_then(|()| out.flush())
            }
        };
    }
}

/// `24 Nov 2026 03:10:59.755`.
fn timestamp(unix_ms: i64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, ms) = (unix_ms.div_euclid(86_400_000), unix_ms.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let seconds = ms / 1000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let month = MONTHS[month as usize - 1];
    format!("{day:02} {month} {year} {hour:02}:{minute:02}:{second:02}.{:03}", ms % 1000)
}

/// The date of a number of days since 1970 (proleptic Gregorian; years counted from March in eras of 400).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn known_times() {
        assert_eq!(timestamp(0), "01 Jan 1970 00:00:00.000");
        assert_eq!(timestamp(951_782_400_000), "29 Feb 2000 00:00:00.000");
        assert_eq!(timestamp(1_795_489_859_755), "24 Nov 2026 03:10:59.755");
    }
}
