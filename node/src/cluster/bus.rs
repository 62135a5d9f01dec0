//! The tasks of the cluster bus: accepting, connecting, reading frames, writing frames, the cron.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use slotproof_model::wire;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::spawn_local;
use tokio::time::MissedTickBehavior;

use super::Cluster;
use super::clocks::Millis;
use super::links::Link;
use crate::server::Shared;

/// The longest frame that is read: a PUBLISH of the greatest request.
const MAX_FRAME: usize = 64 << 20;
/// The longest channel name and message together that are sent.
pub(super) const MAX_PUBLISHED: usize = MAX_FRAME - 4096;
/// Connections to the bus that are open at once.
const MAX_LINKS: usize = 32 << 10;
/// The cron runs ten times a second.
const CRON: Duration = Duration::from_millis(100);

/// The node, as its tasks share it.
pub(super) type Node = Rc<RefCell<Cluster>>;

/// Accepts connections to the bus for ever.
pub(super) async fn accept(shared: Shared, node: Node, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => welcome(&shared, &node, stream, peer),
            Err(e) => {
                shared.borrow().log.warning(&format!("Error accepting cluster node: {e}"));
                tokio::time::sleep(CRON).await;
            }
        }
    }
}

fn welcome(shared: &Shared, node: &Node, stream: TcpStream, peer: SocketAddr) {
    let mut cluster = node.borrow_mut();
    if cluster.links.len() >= MAX_LINKS {
        shared.borrow().log.warning("Too many connections on the cluster bus: one is refused");
        return;
    }
    cluster.links.drop_old_strangers();
    let _ = stream.set_nodelay(true);
    keep_alive(&stream, cluster.node_timeout);
    let (frames, receiver) = unbounded_channel();
    let (queued, unread) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let link = Link {
        outbound: false,
        peer: None,
        opened: cluster.now(),
        from_ip: peer.ip().to_canonical().to_string().into(),
        local_ip: local_ip(&stream),
        frames,
        queued: Rc::clone(&queued),
        unread: Rc::clone(&unread),
        task: None,
    };
    let number = cluster.links.add(link);
    let ends = Ends { number, frames: receiver, queued, unread };
    let task = spawn_local(run(Rc::clone(shared), Rc::clone(node), stream, ends));
    if let Some(link) = cluster.links.get_mut(number) {
        link.task = Some(task.abort_handle());
    }
}

/// Opens a connection to a peer. While it is being made it counts as a link: frames queue up on it.
pub(super) fn connect(shared: &Shared, node: &Node, cluster: &mut Cluster, peer: slotproof_model::NodeId) {
    let Some(address) = cluster.core.peer(&peer).map(|p| p.address.clone()) else { return };
    let (frames, receiver) = unbounded_channel();
    let (queued, unread) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let link = Link {
        outbound: true,
        peer: Some(peer),
        opened: cluster.now(),
        from_ip: address.ip.clone(),
        local_ip: Box::default(),
        frames,
        queued: Rc::clone(&queued),
        unread: Rc::clone(&unread),
        task: None,
    };
    let number = cluster.links.add(link);
    let patience = Duration::from_millis(cluster.node_timeout.max(1));
    let (shared, node) = (Rc::clone(shared), Rc::clone(node));
    let task = spawn_local(async move {
        let target = (address.ip.to_string(), address.cport);
        match tokio::time::timeout(patience, TcpStream::connect(target)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                {
                    let mut cluster = node.borrow_mut();
                    if let Some(link) = cluster.links.get_mut(number) {
                        link.local_ip = local_ip(&stream);
                        if let Ok(peer) = stream.peer_addr() {
                            link.from_ip = peer.ip().to_canonical().to_string().into();
                        }
                    }
                    cluster.link_up(&mut shared.borrow_mut(), number);
                }
                run(shared, node, stream, Ends { number, frames: receiver, queued, unread }).await;
            }
            Ok(Err(e)) => node.borrow_mut().connect_failed(number, was_begun(&e)),
            Err(_) => node.borrow_mut().connect_failed(number, true),
        }
    });
    if let Some(link) = cluster.links.get_mut(number) {
        link.task = Some(task.abort_handle());
    }
}

fn local_ip(stream: &TcpStream) -> Box<str> {
    stream.local_addr().map(|a| a.ip().to_canonical().to_string().into()).unwrap_or_default()
}

/// Whether a connection that failed was on its way: refused, reset or timed out by the other side or the network between. Else
/// this machine could not even try.
fn was_begun(e: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, TimedOut};
    matches!(e.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | TimedOut)
}

/// A peer that vanished without a word is noticed after two node timeouts (cluster.c `clusterAcceptHandler`).
fn keep_alive(stream: &TcpStream, node_timeout: Millis) {
    let time = Duration::from_millis(node_timeout.saturating_mul(2).clamp(1_000, 3_600_000));
    let interval = (time / 3).max(Duration::from_secs(1));
    let options = socket2::TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(3);
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&options);
}

/// What the task of a link holds.
struct Ends {
    number: u64,
    frames: UnboundedReceiver<Vec<u8>>,
    queued: Rc<Cell<usize>>,
    unread: Rc<Cell<usize>>,
}

/// Reads and writes until either side ends.
async fn run(shared: Shared, node: Node, stream: TcpStream, ends: Ends) {
    let (reader, writer) = stream.into_split();
    let number = ends.number;
    tokio::select! {
        () = write_frames(writer, ends.frames, ends.queued) => {}
        () = read_frames(&shared, &node, reader, number, &ends.unread) => {}
    }
    node.borrow_mut().links.close(number);
}

async fn write_frames(
    mut writer: tokio::net::tcp::OwnedWriteHalf,
    mut frames: UnboundedReceiver<Vec<u8>>,
    queued: Rc<Cell<usize>>,
) {
    while let Some(frame) = frames.recv().await {
        if writer.write_all(&frame).await.is_err() {
            return;
        }
        queued.set(queued.get().saturating_sub(frame.len()));
    }
}

async fn read_frames(
    shared: &Shared,
    node: &Node,
    mut reader: tokio::net::tcp::OwnedReadHalf,
    number: u64,
    unread: &Cell<usize>,
) {
    let mut buffer: Vec<u8> = Vec::with_capacity(16 << 10);
    loop {
        let mut taken = 0;
        loop {
            match wire::frame_length(&buffer[taken..], MAX_FRAME) {
                Ok(Some(len)) if buffer.len() - taken >= len => {
                    let frame = &buffer[taken..taken + len];
                    if !node.borrow_mut().frame(&mut shared.borrow_mut(), number, frame) {
                        return;
                    }
                    taken += len;
                }
                Ok(_) => break,
                Err(e) => {
                    shared.borrow().log.warning(&format!("Bad message on the cluster bus: {e}"));
                    return;
                }
            }
        }
        buffer.drain(..taken);
        unread.set(buffer.len());
        if !node.borrow().links.may_hold(number, buffer.len()) {
            shared
                .borrow()
                .log
                .warning("Strangers on the cluster bus leave too much unfinished: closing one");
            return;
        }
        if buffer.is_empty() && buffer.capacity() > 1 << 20 {
            buffer = Vec::with_capacity(16 << 10);
        }
        match reader.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// The cron of the cluster, ten times a second (cluster.c `clusterCron`).
pub(super) async fn cron(shared: Shared, node: Node) {
    let mut ticks = tokio::time::interval(CRON);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // After a pause, what has arrived meanwhile is read before anybody is found to be silent.
        tokio::task::yield_now().await;
        let mut cluster = node.borrow_mut();
        for peer in cluster.unlinked() {
            connect(&shared, &node, &mut cluster, peer);
        }
        cluster.cron(&mut shared.borrow_mut());
    }
}
