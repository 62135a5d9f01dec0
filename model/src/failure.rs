//! Failure detection: from suspicion to agreement, and back.

use crate::address::Flags;
use crate::config::Keyspace;
use crate::effect::{Effect, Effects, Stamp, To};
use crate::id::NodeId;
use crate::input::{Delay, Timer};
use crate::message::{Body, Message};
use crate::state::{NodeState, Report};
use crate::step::{Step, fault};

impl NodeState {
    /// A ping stayed unanswered for too long: PFAIL, in my eyes only (cluster.c `clusterCron`, 7.0:4032). Not saved by itself.
    pub(crate) fn pong_overdue(&mut self, id: &NodeId, cx: &mut Step<'_, impl Keyspace>) {
        let exempt = Flags::MYSELF.with(Flags::HANDSHAKE).with(Flags::NOADDR);
        let down = Flags::PFAIL.with(Flags::FAIL);
        let Some(i) = self.index(id).filter(|&i| !self.peers[i].flags.any(exempt.with(down))) else { return };
        let peer = self.peer_at(i);
        peer.flags = peer.flags.with(Flags::PFAIL);
        self.todo.update_state = true;
        if cx.config.rules.single_voter_fails_at_once && self.is_master() && self.size == 1 {
            self.mark_failing_if_needed(i, cx);
        }
    }

    /// A master says that a node fails: note who said so, and count (7.0 `clusterNodeAddFailureReport`).
    pub(crate) fn add_report(&mut self, subject: usize, reporter: NodeId, cx: &mut Step<'_, impl Keyspace>) {
        let reports = &mut self.peer_at(subject).reports;
        let fresh = Report { reporter, before_fail: false };
        match reports.binary_search_by(|r| r.reporter.cmp(&reporter)) {
            Ok(at) => reports[at] = fresh,
            Err(at) => reports.insert(at, fresh),
        }
        let timer = Timer::ReportExpires { subject: self.peers[subject].id, reporter };
        self.arm(timer, Delay::ReportValidity, cx.out);
        self.mark_failing_if_needed(subject, cx);
    }

    /// It no longer says so, or said so too long ago. Whether there was such a report.
    pub(crate) fn remove_report(&mut self, subject: &NodeId, reporter: &NodeId) -> bool {
        let Some(i) = self.index(subject) else { return false };
        let Some(at) = self.peers[i].reports.iter().position(|r| r.reporter == *reporter) else {
            return false;
        };
        self.peer_at(i).reports.remove(at);
        true
    }

    /// A seeded fault: a report that ran out stays, and counts.
    pub(crate) fn age_report(&mut self, subject: &NodeId, reporter: &NodeId) {
        if let Some(p) = self.peer_mut(subject) {
            p.reports.iter_mut().filter(|r| r.reporter == *reporter).for_each(|r| r.before_fail = true);
        }
    }

    /// PFAIL becomes FAIL once a majority of masters says so, and everybody is told (cluster.c `markNodeAsFailingIfNeeded`, 7.0:1505).
    fn mark_failing_if_needed(&mut self, subject: usize, cx: &mut Step<'_, impl Keyspace>) {
        let peer = &self.peers[subject];
        if !peer.is_pfail() || peer.is_fail() {
            return;
        }
        let counts = |i: usize| cx.config.rules.slotless_masters_report || self.peers[i].is_voting();
        let reporters =
            peer.reports.iter().filter(|r| self.index(&r.reporter).is_some_and(counts)).count() as u32;
        let me = self.my_index();
        let mine = u32::from(self.peers[me].is_master() && counts(me));
        let majority = self.size / 2 + 1;
        let needed = if fault!(cx.config, QuorumOneLess) { majority - 1 } else { majority };
        if reporters + mine < needed {
            return;
        }
        self.set_fail(subject, cx.out);
        let id = self.peers[subject].id;
        self.broadcast(Body::Fail(id), cx);
    }

    /// Somebody says that a majority agreed. No evidence is attached.
    pub(crate) fn fail_message(&mut self, subject: &NodeId, cx: &mut Step<'_, impl Keyspace>) {
        let Some(i) = self.index(subject) else { return };
        if !self.peers[i].flags.any(Flags::MYSELF.with(Flags::FAIL)) {
            self.set_fail(i, cx.out);
        }
    }

    fn set_fail(&mut self, i: usize, out: &mut Effects) {
        let peer = self.peer_at(i);
        peer.flags = peer.flags.without(Flags::PFAIL).with(Flags::FAIL);
        peer.reports.iter_mut().for_each(|r| r.before_fail = true);
        let node = peer.id;
        out.push(Effect::Stamp { node, stamp: Stamp::Failed });
        self.save_update();
    }

    /// A PONG on my own connection: the node is there (7.0:2120 "PONG"; `clearNodeFailureIfNeeded`, 7.0:1537). A master with slots stays
    /// FAIL for 2 x node timeout (`expired`), so that its replica can be elected.
    pub(crate) fn pong_clears_failure(&mut self, i: usize, expired: bool, cx: &mut Step<'_, impl Keyspace>) {
        let peer = &self.peers[i];
        if peer.is_pfail() {
            if !fault!(cx.config, PfailForever) {
                let peer = self.peer_at(i);
                peer.flags = peer.flags.without(Flags::PFAIL);
                self.save_update();
            }
            return;
        }
        let at_once = peer.is_replica() || peer.slot_count == 0;
        if !peer.is_fail() || !(at_once || expired) || fault!(cx.config, FailForever) {
            return;
        }
        let subject = peer.id;
        let peer = self.peer_at(i);
        peer.flags = peer.flags.without(Flags::FAIL);
        if !at_once {
            // Reports as old as the FAIL have run out with it: both take the same time.
            for r in peer.reports.iter().filter(|r| r.before_fail) {
                cx.out.push(Effect::Cancel(Timer::ReportExpires { subject, reporter: r.reporter }));
            }
            peer.reports.retain(|r| !r.before_fail);
        }
        peer.reports.iter_mut().for_each(|r| r.before_fail = false);
        self.save_update();
    }

    /// Queues a message that is the same for all: to every node but myself and those in handshake (7.0 `clusterBroadcastMessage`).
    pub(crate) fn broadcast(&mut self, body: Body, cx: &mut Step<'_, impl Keyspace>) {
        let header = self.header(cx.config);
        for p in self.peers.iter().filter(|p| p.id != self.me && !p.in_handshake()) {
            let message = Box::new(Message { header: header.clone(), body: body.clone() });
            cx.out.push(Effect::Send { to: To::Outbound(p.id), message });
        }
    }
}
