//! Reports that nobody reads. A node reads the reports about another when it suspects it itself; so reports about one that it does not suspect, and from
//! here on never can, are left out where a scenario asks for it.

use super::super::scenario::{FaultKind, link_bit};
use super::state::{Life, WorldState};
use super::{Steps, World};

impl World {
    /// Those whom a node suspects, or may come to suspect from here on, as bits. FAIL needs a PFAIL of one's own, and only then reports are read.
    pub(super) fn may_suspect(&self, s: &WorldState, node: usize) -> u8 {
        use FaultKind::{Crash, CutIn, CutOut, Death, EarlyPfail, LinkCut, Pause, Power};
        let cuts = s.cut_in | s.cut_out;
        let (mut away, mut dazed) = (cuts, cuts);
        for (peer, cell) in s.nodes[..self.shape.nodes].iter().enumerate() {
            let bit = 1 << peer;
            away |= if cell.life == Life::Up { 0 } else { bit };
            dazed |= if cell.life == Life::Paused { bit } else { 0 };
        }
        let (mut doubts, mut apart) = (0, s.cut_links);
        for (account, left) in self.accounts.iter().zip(s.budgets) {
            match account.kind {
                _ if left == 0 => {}
                Crash | Power | Death => away |= account.nodes,
                Pause | CutIn | CutOut => (away, dazed) = (away | account.nodes, dazed | account.nodes),
                EarlyPfail => doubts |= account.links,
                LinkCut => apart |= account.links,
                // A PING that is lost keeps a PFAIL that is there: none begins with it.
                FaultKind::Reset
                | FaultKind::LostReply
                | FaultKind::HandshakeTimeout
                | FaultKind::LostPing => {}
            }
        }
        // Whoever sleeps or is cut off is away from everybody, and everybody from it.
        let suspects = self.contents.facts(s.nodes[node].state).suspects;
        if dazed >> node & 1 == 1 || self.recycled {
            return suspects | self.suspectable;
        }
        let one_sided = |peer: usize| doubts & link_bit(node, peer) != 0;
        let two_sided = |peer: usize| apart & (link_bit(node, peer) | link_bit(peer, node)) != 0;
        let linked = (0..self.shape.nodes).filter(|&p| one_sided(p) || two_sided(p));
        suspects | self.suspectable & linked.fold(away | s.nodes[node].drowsy, |m, p| m | 1 << p)
    }
}

impl Steps<'_> {
    /// Leaves out what nobody reads from here on.
    pub(super) fn leave_out_idle(&self, s: &mut WorldState) {
        for node in 0..self.world.shape.nodes {
            let state = s.nodes[node].state;
            let reported = self.world.contents.facts(state).reported;
            if reported == 0 {
                continue;
            }
            let read = reported & self.world.may_suspect(s, node);
            if read != reported {
                s.nodes[node].state = self.world.contents.with_reports_about(state, read);
            }
        }
    }
}
