//! Ports that the gateway keeps open for an endpoint (PCP, NAT-PMP, UPnP).
//!
//! The socket at the address that faces the gateway is mapped; where a session learns the outside
//! address, that is one more server-reflexive candidate. The candidate lasts as long as the mapping
//! does, and ends where this machine moves to another network.

use std::net::{IpAddr, SocketAddr};

use super::core::Core;
use super::shared::Shared;
use crate::portmap::{MapFailure, MapRequest, Mapper, MapperConfig, TransportProtocol, place};

/// The gateway, and the socket that faces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Facing {
    gateway: IpAddr,
    socket: SocketAddr,
}

impl<C: Core> Shared<C> {
    /// Keeps a port mapped for as long as the endpoint lives.
    pub(super) async fn run_mapper(&self, config: MapperConfig) {
        loop {
            let facing = self.facing(&config);
            let mut outside = None;
            if let Some(facing) = facing {
                tokio::select! {
                    () = self.keep_mapped(&config, facing, &mut outside) => {}
                    () = self.moved(&config, Some(facing)) => {}
                }
                self.map(facing.socket, &mut outside, None);
            }
            if self.facing(&config) == facing {
                // This gateway maps nothing; another one may.
                self.moved(&config, facing).await;
            }
        }
    }

    /// Waits until another gateway is faced, or by another socket.
    async fn moved(&self, config: &MapperConfig, from: Option<Facing>) {
        while self.facing(config) == from {
            self.sockets_changed.notified().await;
        }
    }

    fn facing(&self, config: &MapperConfig) -> Option<Facing> {
        let (gateway, local) = place(config)?;
        let sockets = self.local_sockets();
        let socket = sockets.into_iter().find(|socket| socket.ip() == local)?;
        Some(Facing { gateway, socket })
    }

    /// Keeps a socket mapped until the gateway is given up.
    async fn keep_mapped(
        &self,
        config: &MapperConfig,
        facing: Facing,
        outside: &mut Option<SocketAddr>,
    ) {
        let config = MapperConfig {
            gateway: Some(facing.gateway),
            ..config.clone()
        };
        let request = MapRequest::new(TransportProtocol::Udp, facing.socket.port());
        let mapper = match Mapper::start(&config) {
            Ok(mapper) => mapper,
            Err(error) => return tracing::debug!(%error, "No port mapping"),
        };
        let mut port = match mapper.map(request).await {
            Ok(port) => port,
            Err(error) => return tracing::debug!(%error, "The gateway maps no port"),
        };
        let mut lease = Some(port.mapping());
        loop {
            let external = lease.map(|lease| lease.external);
            // Some gateways do not say which address they have.
            let external = external.filter(|external| !external.ip().is_unspecified());
            self.map(facing.socket, outside, external);
            lease = match port.changed().await {
                Ok(lease) => Some(lease),
                Err(MapFailure::Ended(_)) => return,
                // It is asked for again.
                Err(MapFailure::Refused(_) | MapFailure::TooMany) => None,
            };
        }
    }

    /// Tells the sessions where a socket is mapped to, if that is news.
    fn map(&self, socket: SocketAddr, now: &mut Option<SocketAddr>, then: Option<SocketAddr>) {
        if *now == then {
            return;
        }
        if let Some(outside) = std::mem::replace(now, then) {
            self.remove_mapped(socket, outside);
        }
        if let Some(outside) = then {
            self.add_mapped(socket, outside);
        }
    }
}
