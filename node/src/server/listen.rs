//! Listening sockets, for clients and for the cluster bus.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// The addresses of a `bind` directive, and whether each may be missing (a `-` in front).
pub fn bind_names(bind: &str) -> Vec<(&str, bool)> {
    bind.split_ascii_whitespace()
        .map(|word| word.strip_prefix('-').map_or((word, false), |rest| (rest, true)))
        .collect()
}

/// Listens on a name of a `bind` directive: an address, a host, `*` (all of IPv4) or `::*` (all of IPv6). Port
/// 0 lets the system choose. Must be called inside a runtime.
pub fn bind_listener(name: &str, port: u16, backlog: i32) -> io::Result<TcpListener> {
    let ip = match name {
        "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "::*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        name => match name.parse() {
            Ok(ip) => ip,
            Err(_) => (name, port)
                .to_socket_addrs()?
                .next()
                .ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "no such host"))?
                .ip(),
        },
    };
    let address = SocketAddr::new(ip, port);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog.clamp(1, 65535))?;
    TcpListener::from_std(socket.into())
}
