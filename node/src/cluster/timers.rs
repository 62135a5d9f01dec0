//! The timers that the core armed, and when they run out.

use std::collections::BTreeMap;

use slotproof_model::Timer;

use super::clocks::Millis;

/// Armed timers.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeMap<Timer, Millis>);

impl Timers {
    /// Starts a timer, or starts it anew.
    pub(super) fn arm(&mut self, timer: Timer, deadline: Millis) {
        self.0.insert(timer, deadline);
    }

    /// Stops a timer.
    pub(super) fn cancel(&mut self, timer: Timer) {
        self.0.remove(&timer);
    }

    /// Those that have run out, the earliest first.
    pub(super) fn due(&self, now: Millis) -> Vec<Timer> {
        let mut due: Vec<_> =
            self.0.iter().filter(|(_, at)| **at <= now).map(|(timer, at)| (*at, *timer)).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, timer)| timer).collect()
    }

    /// Takes a timer off the list if it (still) has run out; whether it had.
    pub(super) fn take(&mut self, timer: Timer, now: Millis) -> bool {
        let over = self.0.get(&timer).is_some_and(|at| *at <= now);
        if over {
            self.0.remove(&timer);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_runs_first_and_each_once() {
        let mut timers = Timers::default();
        timers.arm(Timer::StartupDelay, 30);
        timers.arm(Timer::RejoinDelay, 20);
        assert_eq!(timers.due(19), []);
        assert_eq!(timers.due(20), [Timer::RejoinDelay]);
        assert_eq!(timers.due(30), [Timer::RejoinDelay, Timer::StartupDelay]);
        assert!(timers.take(Timer::RejoinDelay, 30));
        assert!(!timers.take(Timer::RejoinDelay, 30));
        assert_eq!(timers.due(99), [Timer::StartupDelay]);
    }

    #[test]
    fn one_that_was_cancelled_or_armed_anew_does_not_run() {
        let mut timers = Timers::default();
        timers.arm(Timer::StartupDelay, 10);
        timers.arm(Timer::RejoinDelay, 10);
        let due = timers.due(10);
        timers.cancel(Timer::StartupDelay);
        timers.arm(Timer::RejoinDelay, 50);
        assert!(due.into_iter().all(|timer| !timers.take(timer, 10)));
        assert_eq!(timers.due(50), [Timer::RejoinDelay]);
    }
}
