//! Listening sockets. They belong to the agent: a source gets a duplicate, so that the port stays open, and
//! connections wait in the backlog, while one source follows another.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, ToSocketAddrs},
};

use millrace_core::{BoundSocket, Listen};
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// All sockets, by the source and the place in its list.
#[derive(Default)]
pub(crate) struct Sockets {
    bound: HashMap<(String, usize), (Listen, BoundSocket)>,
}

impl Sockets {
    /// Binds what a source asks for and is not bound yet, and returns duplicates of all. Nothing changes when one
    /// of them cannot be bound.
    pub(crate) fn acquire(&mut self, source: &str, listens: &[Listen]) -> io::Result<Vec<BoundSocket>> {
        let mut fresh = Vec::new();
        for (place, listen) in listens.iter().enumerate() {
            let key = (source.to_owned(), place);
            if self.bound.get(&key).is_none_or(|(known, _)| known != listen) {
                // The same address may be held under another place of the same source: then it moves.
                fresh.push((key, (listen.clone(), self.bind(source, listen)?)));
            }
        }
        self.bound.extend(fresh);
        self.bound.retain(|(owner, place), _| owner != source || *place < listens.len());
        (0..listens.len())
            .filter_map(|place| self.bound.get(&(source.to_owned(), place)))
            .map(|(_, socket)| duplicate(socket))
            .collect()
    }

    /// Lets go of the sockets of a source that is gone.
    pub(crate) fn release(&mut self, source: &str) {
        self.bound.retain(|(owner, _), _| owner != source);
    }

    /// The addresses a source listens on.
    pub(crate) fn addresses(&self, source: &str) -> Vec<SocketAddr> {
        let mut places: Vec<_> = self.bound.iter().filter(|((owner, _), _)| owner == source).collect();
        places.sort_by_key(|((_, place), _)| *place);
        let local = |socket: &BoundSocket| match socket {
            BoundSocket::Tcp(listener) => listener.local_addr(),
            BoundSocket::Udp(socket) => socket.local_addr(),
        };
        places.into_iter().filter_map(|(_, (_, socket))| local(socket).ok()).collect()
    }

    fn bind(&self, source: &str, listen: &Listen) -> io::Result<BoundSocket> {
        let held = self.bound.iter().find(|((owner, _), (known, _))| owner == source && known == listen);
        if let Some((_, (_, socket))) = held {
            return duplicate(socket);
        }
        let (Listen::Tcp(address) | Listen::Udp(address)) = listen;
        bind(listen, address)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
    }
}

fn bind(listen: &Listen, address: &str) -> io::Result<BoundSocket> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        let result = match listen {
            Listen::Tcp(_) => bind_tcp(address).map(BoundSocket::Tcp),
            Listen::Udp(_) => bind_udp(address).map(BoundSocket::Udp),
        };
        match result {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_udp(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn duplicate(socket: &BoundSocket) -> io::Result<BoundSocket> {
    match socket {
        BoundSocket::Tcp(listener) => listener.try_clone().map(BoundSocket::Tcp),
        BoundSocket::Udp(socket) => socket.try_clone().map(BoundSocket::Udp),
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::Listen;

    use super::Sockets;

    fn listen() -> Vec<Listen> {
        vec![Listen::Tcp("127.0.0.1:0".into())]
    }

    #[test]
    fn a_source_that_comes_back_gets_the_same_port() {
        let mut sockets = Sockets::default();
        drop(sockets.acquire("web", &listen()).unwrap());
        let first = sockets.addresses("web");
        drop(sockets.acquire("web", &listen()).unwrap());
        assert_eq!(sockets.addresses("web"), first);
        assert!(std::net::TcpStream::connect(first[0]).is_ok());
    }

    #[test]
    fn a_port_is_free_again_after_release() {
        let mut sockets = Sockets::default();
        drop(sockets.acquire("web", &listen()).unwrap());
        let address = sockets.addresses("web")[0];
        sockets.release("web");
        assert!(std::net::TcpStream::connect(address).is_err());
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_it_and_changes_nothing() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let mut sockets = Sockets::default();
        drop(sockets.acquire("web", &listen()).unwrap());
        let before = sockets.addresses("web");
        let error = sockets.acquire("web", &[Listen::Tcp(address.clone())]).unwrap_err();
        assert!(error.to_string().contains(&address), "{error}");
        assert_eq!(sockets.addresses("web"), before);
    }
}
