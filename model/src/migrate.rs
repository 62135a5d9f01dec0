//! The decisions of MIGRATE (cluster.c `migrateCommand`, 7.0:6245): which keys go at the source, when an attempt is
//! repeated, and what the caller is told.
//!
//! The shell serialises keys and moves bytes. It asks for the [`requests`](Transfer::requests) of an attempt, writes them all,
//! and then hands in the replies one by one, or the failure that came instead.

/// One run of MIGRATE, from the first attempt to the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Transfer {
    copy: bool,
    auth: bool,
    select: bool,
    keys: usize,
    /// Replies of this attempt that were read.
    read: usize,
    retried: bool,
    error: Option<Box<str>>,
    /// AUTH or SELECT failed: the target refuses every key of this attempt.
    refused: bool,
    #[cfg(feature = "check")]
    fault: Option<crate::fault::Fault>,
}

/// A request of an attempt, in the order in which they are written and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// AUTH.
    Auth,
    /// SELECT.
    Select,
    /// RESTORE-ASKING of this key (its position in the list).
    Restore(usize),
}

/// What to do after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AfterReply {
    /// Nothing.
    Nothing,
    /// Delete this key (its position in the list) here, at once.
    Delete(usize),
}

/// Why an attempt broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// No connection.
    Connect,
    /// While writing.
    Write {
        /// The time was up (ETIMEDOUT).
        timed_out: bool,
    },
    /// While reading a reply.
    Read {
        /// The time was up (ETIMEDOUT).
        timed_out: bool,
    },
}

/// What to do after a failure.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AfterFailure {
    /// Close the connection and try all once more on a fresh one.
    Retry,
    /// Close the connection and answer with this error, `-` not included.
    GiveUp(Box<str>),
}

impl Transfer {
    /// A transfer of `keys` keys that exist here. `auth`: AUTH comes first.
    pub fn new(keys: usize, copy: bool, auth: bool) -> Self {
        Self {
            copy,
            auth,
            select: false,
            keys,
            read: 0,
            retried: false,
            error: None,
            refused: false,
            #[cfg(feature = "check")]
            fault: None,
        }
    }

    /// The same with a seeded fault.
    #[cfg(feature = "check")]
    pub fn with_fault(mut self, fault: Option<crate::fault::Fault>) -> Self {
        self.fault = fault;
        self
    }

    /// Starts an attempt: all that is to be written, in order. `select`: the connection is on another database than the keys
    /// (a fresh one is on 0).
    pub fn requests(&mut self, select: bool) -> Vec<Request> {
        self.select = select;
        self.read = 0;
        self.refused = false;
        let first = self.auth.then_some(Request::Auth).into_iter().chain(select.then_some(Request::Select));
        first.chain((0..self.keys).map(Request::Restore)).collect()
    }

    /// How many replies of this attempt are still to be read.
    pub fn awaited(&self) -> usize {
        self.preamble() + self.keys - self.read
    }

    /// The next reply: fine, or the target's error (its text without the `-`).
    pub fn on_reply(&mut self, reply: Result<(), &str>) -> AfterReply {
        let position = self.read;
        self.read += 1;
        if let Err(text) = reply
            && self.error.is_none()
        {
            self.error = Some(format!("ERR Target instance replied with error: {text}").into());
        }
        let Some(key) = position.checked_sub(self.preamble()) else {
            self.refused |= reply.is_err();
            return AfterReply::Nothing;
        };
        let taken = reply.is_ok() && !self.refused;
        #[cfg(feature = "check")]
        let taken = match self.fault {
            Some(crate::fault::Fault::MigrateKeepsKey) => false,
            Some(crate::fault::Fault::MigrateDeletesOnError) => true,
            _ => taken,
        };
        if !taken {
            return AfterReply::Nothing;
        }
        if self.copy { AfterReply::Nothing } else { AfterReply::Delete(key) }
    }

    /// The attempt broke off. One retry is made if no RESTORE was answered and the time was not up; keys that were
    /// acknowledged stay deleted.
    pub fn on_failure(&mut self, failure: Failure) -> AfterFailure {
        let (verb, timed_out) = match failure {
            Failure::Connect => {
                return AfterFailure::GiveUp("IOERR error or timeout connecting to the client".into());
            }
            Failure::Write { timed_out } => ("writing", timed_out),
            Failure::Read { timed_out } => ("reading", timed_out),
        };
        let none_answered = self.read <= self.preamble();
        if none_answered && !timed_out && !self.retried && self.error.is_none() {
            self.retried = true;
            return AfterFailure::Retry;
        }
        let text = self.error.clone();
        let otherwise = || format!("IOERR error or timeout {verb} to target instance").into();
        AfterFailure::GiveUp(text.unwrap_or_else(otherwise))
    }

    /// The answer once all replies are read: `+OK`, or the first error of the target.
    pub fn finish(self) -> Result<(), Box<str>> {
        match self.error {
            None => Ok(()),
            Some(text) => Err(text),
        }
    }

    fn preamble(&self) -> usize {
        usize::from(self.auth) + usize::from(self.select)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME_UP: Failure = Failure::Read { timed_out: true };
    const BROKEN: Failure = Failure::Read { timed_out: false };

    #[test]
    fn each_key_goes_when_its_own_reply_is_fine() {
        let mut t = Transfer::new(3, false, true);
        let requests = t.requests(true);
        assert_eq!(requests[..2], [Request::Auth, Request::Select]);
        assert_eq!(requests.len(), 5);
        assert_eq!(t.on_reply(Ok(())), AfterReply::Nothing);
        assert_eq!(t.on_reply(Ok(())), AfterReply::Nothing);
        assert_eq!(t.on_reply(Ok(())), AfterReply::Delete(0));
        let busy = "BUSYKEY Target key name already exists.";
        assert_eq!(t.on_reply(Err(busy)), AfterReply::Nothing);
        assert_eq!(t.on_reply(Err("OOM")), AfterReply::Nothing, "the first error is told, the rest is read");
        assert_eq!(t.awaited(), 0);
        assert_eq!(t.finish(), Err(format!("ERR Target instance replied with error: {busy}").into()));
    }

    #[test]
    fn copy_deletes_nothing() {
        let mut t = Transfer::new(1, true, false);
        t.requests(false);
        assert_eq!(t.on_reply(Ok(())), AfterReply::Nothing);
        assert_eq!(t.finish(), Ok(()));
    }

    #[test]
    fn a_refused_preamble_fails_every_key() {
        let mut t = Transfer::new(1, false, true);
        t.requests(false);
        t.on_reply(Err("WRONGPASS"));
        assert_eq!(t.on_reply(Ok(())), AfterReply::Nothing);
        assert!(t.finish().is_err());
    }

    #[test]
    fn one_retry_if_nothing_was_answered_and_time_was_left() {
        let mut t = Transfer::new(2, false, false);
        t.requests(false);
        assert_eq!(t.on_failure(BROKEN), AfterFailure::Retry);
        t.requests(false);
        let text = "IOERR error or timeout reading to target instance";
        assert_eq!(t.on_failure(BROKEN), AfterFailure::GiveUp(text.into()), "once");

        let mut t = Transfer::new(2, false, false);
        t.requests(false);
        assert_eq!(
            t.on_failure(TIME_UP),
            AfterFailure::GiveUp(text.into()),
            "the request may still be executed"
        );

        let mut t = Transfer::new(2, false, false);
        t.requests(false);
        assert_eq!(t.on_reply(Ok(())), AfterReply::Delete(0));
        assert_eq!(t.on_failure(BROKEN), AfterFailure::GiveUp(text.into()), "a key is gone already");
    }

    #[test]
    fn an_error_of_the_target_is_told_first() {
        let mut t = Transfer::new(2, false, false);
        t.requests(false);
        t.on_reply(Err("OOM"));
        let told = AfterFailure::GiveUp("ERR Target instance replied with error: OOM".into());
        assert_eq!(t.on_failure(BROKEN), told);
        assert!(matches!(t.on_failure(Failure::Connect), AfterFailure::GiveUp(_)));
    }
}
