//! The tasks of the cluster bus: accepting, connecting, reading frames, writing frames, the cron.

use std::cell::{Cell, RefCell};
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
use super::links::Link;
use crate::server::Shared;

/// The longest frame that is read: a PUBLISH of the greatest request.
const MAX_FRAME: usize = 64 << 20;
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
        return;
    }
    let _ = stream.set_nodelay(true);
    let (frames, receiver) = unbounded_channel();
    let queued = Rc::new(Cell::new(0));
    let link = Link {
        outbound: false,
        peer: None,
        opened: cluster.now(),
        from_ip: peer.ip().to_canonical().to_string().into(),
        local_ip: local_ip(&stream),
        frames,
        queued: Rc::clone(&queued),
        task: None,
    };
    let number = cluster.links.add(link);
    let task = spawn_local(run(Rc::clone(shared), Rc::clone(node), stream, number, receiver, queued));
    if let Some(link) = cluster.links.get_mut(number) {
        link.task = Some(task.abort_handle());
    }
}

/// Opens a connection to a peer. While it is being made it counts as a link: frames queue up on it.
pub(super) fn connect(shared: &Shared, node: &Node, cluster: &mut Cluster, peer: slotproof_model::NodeId) {
    let Some(address) = cluster.core.peer(&peer).map(|p| p.address.clone()) else { return };
    let (frames, receiver) = unbounded_channel();
    let queued = Rc::new(Cell::new(0));
    let link = Link {
        outbound: true,
        peer: Some(peer),
        opened: cluster.now(),
        from_ip: address.ip.clone(),
        local_ip: Box::default(),
        frames,
        queued: Rc::clone(&queued),
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
                run(shared, node, stream, number, receiver, queued).await;
            }
            _ => node.borrow_mut().connect_failed(number),
        }
    });
    if let Some(link) = cluster.links.get_mut(number) {
        link.task = Some(task.abort_handle());
    }
}

fn local_ip(stream: &TcpStream) -> Box<str> {
    stream.local_addr().map(|a| a.ip().to_canonical().to_string().into()).unwrap_or_default()
}

/// Reads and writes until either side ends.
async fn run(
    shared: Shared,
    node: Node,
    stream: TcpStream,
    number: u64,
    frames: UnboundedReceiver<Vec<u8>>,
    queued: Rc<Cell<usize>>,
) {
    let (reader, writer) = stream.into_split();
    tokio::select! {
        () = write_frames(writer, frames, queued) => {}
        () = read_frames(&shared, &node, reader, number) => {}
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

async fn read_frames(shared: &Shared, node: &Node, mut reader: tokio::net::tcp::OwnedReadHalf, number: u64) {
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
        let mut cluster = node.borrow_mut();
        for peer in cluster.unlinked() {
            connect(&shared, &node, &mut cluster, peer);
        }
        cluster.cron(&mut shared.borrow_mut());
    }
}
