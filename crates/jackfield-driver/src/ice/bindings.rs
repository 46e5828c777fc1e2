//! What is bound to the addresses of this machine, as interfaces come and go.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tokio::net::{TcpListener, TcpSocket};

use super::core::Core;
use super::interfaces::{InterfaceAddress, interface_addresses};
use super::packets::receive;
use super::shared::{Shared, Task, lock, write};
use super::udp::SharedSocket;
use crate::watch::Watch;

/// What is bound to the addresses of this machine; owned by the task that follows their changes.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    pub(super) sockets: BTreeMap<IpAddr, Binding>,
    /// The port that was chosen first, which other addresses get if they can.
    port: u16,
}

#[derive(Debug)]
pub(super) struct Binding {
    socket: Option<SocketAddr>,
    listener: Option<SocketAddr>,
    _tasks: Vec<Task>,
}

impl Bindings {
    /// Follows changes of interfaces.
    pub(super) async fn run<C: Core>(mut self, shared: Arc<Shared<C>>, watch: Watch) {
        loop {
            watch.changed().await;
            match self.refresh(&shared) {
                Ok(None) => {}
                Ok(Some(error)) => {
                    tracing::debug!(%error, "An address cannot be bound to, yet");
                }
                Err(error) => tracing::debug!(%error, "Interfaces cannot be read"),
            }
        }
    }

    /// Binds to new addresses and lets go of old ones; returns why one could not be bound to.
    pub(super) fn refresh<C: Core>(
        &mut self,
        shared: &Arc<Shared<C>>,
    ) -> io::Result<Option<io::Error>> {
        let mut chosen = shared.config.interfaces.choose(interface_addresses()?);
        chosen.truncate(shared.config.limits.addresses);
        let order: Vec<IpAddr> = chosen.iter().map(|address| address.ip).collect();
        let gone: Vec<IpAddr> = self.sockets.keys().copied().collect();
        for ip in gone.into_iter().filter(|ip| !order.contains(ip)) {
            self.unbind(shared, ip);
        }
        let mut refused = None;
        for address in &chosen {
            if !self.sockets.contains_key(&address.ip)
                && let Err(error) = self.bind(shared, address)
            {
                refused = Some(error);
            }
        }
        let mut topology = shared.topology();
        let place = |local: &SocketAddr| order.iter().position(|ip| *ip == local.ip());
        topology.sockets.sort_by_key(place);
        topology.listeners.sort_by_key(place);
        let place = |address: &IpAddr| order.iter().position(|ip| ip == address);
        topology.addresses.sort_by_key(place);
        drop(topology);
        lock(&shared.gatherer).end_of_sockets(Instant::now());
        shared.gatherer_changed.notify_one();
        shared.sockets_changed.notify_one();
        Ok(refused)
    }

    fn bind<C: Core>(
        &mut self,
        shared: &Arc<Shared<C>>,
        address: &InterfaceAddress,
    ) -> io::Result<()> {
        let ip = address.ip;
        let mut tasks = Vec::new();
        let socket = match shared.config.udp {
            true => Some(self.bind_udp(shared, ip, &mut tasks)?),
            false => None,
        };
        let listener = match shared.config.tcp {
            true => match self.listen(shared, ip, &mut tasks) {
                Ok(listener) => Some(listener),
                Err(error) if socket.is_none() => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, %ip, "Not listening");
                    None
                }
            },
            false => None,
        };
        let name = shared.name_address(address, &mut tasks)?;
        tracing::debug!(?socket, ?listener, "ICE endpoint bound");
        let address = socket.is_none().then_some(ip);
        let mut topology = shared.topology();
        topology.sockets.extend(socket);
        topology.listeners.extend(listener);
        topology.addresses.extend(address);
        topology.names.extend(name.clone().map(|name| (ip, name)));
        for slot in shared.all_sessions() {
            shared.call(&slot, |core, now| {
                if let Some(name) = &name {
                    core.show_name(ip, name);
                }
                if let Some(socket) = socket {
                    core.add_socket(now, socket);
                }
                if let Some(listener) = listener {
                    core.add_listener(now, listener);
                }
                if let Some(address) = address {
                    core.add_address(now, address);
                }
            });
        }
        drop(topology);
        if let Some(socket) = socket {
            lock(&shared.gatherer).add_socket(Instant::now(), socket);
        }
        let binding = Binding {
            socket,
            listener,
            _tasks: tasks,
        };
        self.sockets.insert(ip, binding);
        Ok(())
    }

    fn bind_udp<C: Core>(
        &mut self,
        shared: &Arc<Shared<C>>,
        ip: IpAddr,
        tasks: &mut Vec<Task>,
    ) -> io::Result<SocketAddr> {
        let socket = SharedSocket::bind(SocketAddr::new(ip, self.wanted_port(shared)))
            .or_else(|error| self.elsewhere(shared, ip, error, SharedSocket::bind))?;
        let socket = Arc::new(socket);
        let local = socket.local_addr();
        self.note_port(local);
        write(&shared.sockets).insert(local, Arc::clone(&socket));
        tasks.push(Task(tokio::spawn(receive(Arc::clone(shared), socket))));
        Ok(local)
    }

    fn listen<C: Core>(
        &mut self,
        shared: &Arc<Shared<C>>,
        ip: IpAddr,
        tasks: &mut Vec<Task>,
    ) -> io::Result<SocketAddr> {
        let listener = listen(SocketAddr::new(ip, self.wanted_port(shared)))
            .or_else(|error| self.elsewhere(shared, ip, error, listen))?;
        let local = listener.local_addr()?;
        self.note_port(local);
        tasks.push(Task(tokio::spawn(Arc::clone(shared).accept(listener))));
        Ok(local)
    }

    fn wanted_port<C: Core>(&self, shared: &Shared<C>) -> u16 {
        match shared.config.port {
            0 => self.port,
            port => port,
        }
    }

    /// Binds to another port, where the port of the first address is taken on this one.
    fn elsewhere<C: Core, T>(
        &self,
        shared: &Shared<C>,
        ip: IpAddr,
        error: io::Error,
        bind: impl FnOnce(SocketAddr) -> io::Result<T>,
    ) -> io::Result<T> {
        match shared.config.port {
            0 if self.port != 0 => bind(SocketAddr::new(ip, 0)),
            _ => Err(error),
        }
    }

    fn note_port(&mut self, local: SocketAddr) {
        if self.port == 0 {
            self.port = local.port();
        }
    }

    fn unbind<C: Core>(&mut self, shared: &Shared<C>, ip: IpAddr) {
        let Some(binding) = self.sockets.remove(&ip) else {
            return;
        };
        tracing::debug!(%ip, "ICE endpoint lost an address");
        shared.lose_own_sockets(ip);
        let (socket, listener) = (binding.socket, binding.listener);
        let address = socket.is_none().then_some(ip);
        if let Some(socket) = socket {
            write(&shared.sockets).remove(&socket);
        }
        let mut topology = shared.topology();
        topology.sockets.retain(|local| Some(*local) != socket);
        topology.listeners.retain(|local| Some(*local) != listener);
        topology.addresses.retain(|local| Some(*local) != address);
        topology.names.retain(|(address, _)| *address != ip);
        topology.mapped.retain(|(local, _)| Some(*local) != socket);
        for slot in shared.all_sessions() {
            shared.call(&slot, |core, now| {
                if let Some(socket) = socket {
                    core.remove_socket(now, socket);
                }
                if let Some(listener) = listener {
                    core.remove_listener(now, listener);
                }
                if let Some(address) = address {
                    core.remove_address(now, address);
                }
            });
        }
        drop(topology);
        if let Some(socket) = socket {
            lock(&shared.gatherer).remove_socket(Instant::now(), socket);
        }
    }
}

fn listen(local: SocketAddr) -> io::Result<TcpListener> {
    let socket = match local {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Connections of an earlier life in TIME_WAIT do not keep the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(local)?;
    socket.listen(LISTEN_BACKLOG)
}

const LISTEN_BACKLOG: u32 = 1_024;
