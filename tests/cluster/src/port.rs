//! A port that is one server's alone, also while that is down.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result};
use rustix::net::{AddressFamily, SocketAddrAny, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt};

/// A port on 127.0.0.1 that is bound, but not listened to, as long as this lives.
///
/// The kernel gives a bound port to nobody who asks for any free one, and to no outgoing connection. But as both sides
/// set `SO_REUSEADDR`, the server can bind it too, and listen. So there is no moment at which another process could take
/// the port, neither before the server starts nor between its death and its next start, and a client that calls in vain
/// while the server is down is refused (without this it may, rarely, be given the same port and connect to itself).
#[derive(Debug)]
pub struct HeldPort {
    _socket: OwnedFd,
    number: u16,
}

impl HeldPort {
    /// Binds a free one.
    ///
    /// # Errors
    /// Where there is none.
    pub fn take() -> Result<Self> {
        Self::try_take().context("cannot bind a port on 127.0.0.1")
    }

    fn try_take() -> Result<Self> {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
        let address: SocketAddrAny = getsockname(&socket)?;
        let number = SocketAddrV4::try_from(address)?.port();
        Ok(Self { _socket: socket, number })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }
}
