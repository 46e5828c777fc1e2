//! Builds and changes worlds.

use std::net::IpAddr;

use jackfield_nat::{Address, Nat, NatConfig, Policy, Prefix, Translation};
use rand_chacha::rand_core::Rng;

use super::app::App;
use super::host::Host;
use super::link::{Link, Pipe};
use super::reassembly::Reassembly;
use super::world::{
    HostId, Interface, InterfaceId, Network, NetworkId, Node, NodeId, NodeKind, World,
};

/// A NAT or firewall with the network behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NatBox {
    /// The node of the NAT.
    pub node: NodeId,
    /// The network behind it.
    pub inside: NetworkId,
    /// Its interface on the network behind it.
    pub inside_interface: InterfaceId,
    /// Its interface on the network in front of it.
    pub outside_interface: InterfaceId,
}

impl From<NatBox> for NodeId {
    fn from(nat: NatBox) -> Self {
        nat.node
    }
}

impl World {
    /// Adds a network. `link` describes the connection of each machine to it, in both directions.
    pub fn network(&mut self, name: &str, link: Link) -> NetworkId {
        self.networks.push(Network {
            name: name.to_owned(),
            link,
            members: Vec::new(),
            gateway: None,
            routes: Vec::new(),
        });
        NetworkId(self.networks.len() - 1)
    }

    /// Adds a host with a program.
    pub fn host(
        &mut self,
        name: &str,
        network: NetworkId,
        address: IpAddr,
        app: impl App,
    ) -> HostId {
        let host = Host {
            app: Box::new(app),
            reassembly: Reassembly::default(),
            refused: 0,
        };
        let node = self.node(name, NodeKind::Host(host));
        self.attach(node, network, vec![address]);
        self.update_addresses(node);
        HostId(node)
    }

    /// Gives a host one more interface.
    pub fn add_interface(
        &mut self,
        host: HostId,
        network: NetworkId,
        address: IpAddr,
    ) -> InterfaceId {
        let interface = self.attach(host.0, network, vec![address]);
        self.update_addresses(host.0);
        interface
    }

    /// Adds a NAT in front of a new network with addresses of `prefix`. The first of them is the
    /// inside address of the NAT.
    pub fn nat(
        &mut self,
        name: &str,
        outside: NetworkId,
        prefix: Prefix,
        mut config: NatConfig,
    ) -> NatBox {
        let own = Address::from(config.inside.unwrap_or_else(|| prefix.first_host()));
        config.inside = Some(own.into());
        let mut externals = config.externals.clone();
        // The NAT answers on its outer network for every address that it translates, as by proxy
        // ARP.
        externals.extend(config.one_to_one.iter().map(|(_, external)| *external));
        let routed = config.translation == Translation::None;
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let nat = Box::new(Nat::new(config, seed));
        let inside = self.network(name, Link::default());
        let node = self.node(
            name,
            NodeKind::Nat {
                nat,
                // An interface names its node, so the node comes first and gets its interfaces
                // below.
                inside: InterfaceId(0),
                outside: InterfaceId(0),
            },
        );
        let inside_interface = self.attach(node, inside, vec![own.into()]);
        let outside_interface = self.attach(node, outside, externals);
        if let Some(NodeKind::Nat {
            inside, outside, ..
        }) = self.nodes.get_mut(node.0).map(|node| &mut node.kind)
        {
            (*inside, *outside) = (inside_interface, outside_interface);
        }
        self.set_gateway(inside, inside_interface);
        // Hosts behind a firewall keep their addresses, so the network in front needs a route to
        // them.
        if routed && let Some(network) = self.networks.get_mut(outside.0) {
            network.routes.push((prefix, outside_interface));
        }
        NatBox {
            node,
            inside,
            inside_interface,
            outside_interface,
        }
    }

    /// Adds a stateful firewall that translates nothing, in front of a new network with addresses
    /// of `prefix`.
    pub fn firewall(
        &mut self,
        name: &str,
        outside: NetworkId,
        prefix: Prefix,
        policy: Policy,
    ) -> NatBox {
        let strict = jackfield_nat::Behaviour {
            mapping: jackfield_nat::Mapping::EndpointIndependent,
            filtering: jackfield_nat::Filtering::AddressAndPortDependent,
        };
        let config = NatConfig {
            translation: Translation::None,
            udp: strict,
            tcp: strict,
            policy,
            ..NatConfig::default()
        };
        self.nat(name, outside, prefix, config)
    }

    /// Adds a router that joins networks, with one address on each. It becomes the gateway of
    /// networks that have none.
    pub fn router(&mut self, name: &str, networks: &[(NetworkId, Prefix)]) -> NodeId {
        let node = self.node(
            name,
            NodeKind::Router {
                interfaces: Vec::new(),
            },
        );
        let attached: Vec<(NetworkId, Prefix, InterfaceId)> = networks
            .iter()
            .map(|(network, prefix)| {
                let interface = self.attach(node, *network, vec![prefix.first_host()]);
                (*network, *prefix, interface)
            })
            .collect();
        for (network, _, interface) in &attached {
            for (_, prefix, other) in &attached {
                if other != interface
                    && let Some(network) = self.networks.get_mut(network.0)
                {
                    network.routes.push((*prefix, *interface));
                }
            }
            if let Some(NodeKind::Router { interfaces }) =
                self.nodes.get_mut(node.0).map(|node| &mut node.kind)
            {
                interfaces.push(*interface);
            }
            if let Some(network) = self.networks.get_mut(network.0) {
                network.gateway.get_or_insert(*interface);
            }
        }
        node
    }

    /// Returns the NAT core of a NAT.
    #[must_use]
    pub fn nat_of(&self, nat: NatBox) -> Option<&Nat> {
        match &self.nodes.get(nat.node.0)?.kind {
            NodeKind::Nat { nat, .. } => Some(nat),
            NodeKind::Host(_) | NodeKind::Router { .. } => None,
        }
    }

    /// Changes the NAT core of a NAT, for example reboots it.
    pub fn with_nat<R>(&mut self, nat: NatBox, act: impl FnOnce(&mut Nat) -> R) -> Option<R> {
        let NodeKind::Nat { nat: inner, .. } = &mut self.nodes.get_mut(nat.node.0)?.kind else {
            return None;
        };
        let result = act(inner);
        // The change may have renumbered the NAT, and networks deliver by address.
        let mut externals = inner.config().externals.clone();
        let pairs = inner.config().one_to_one.iter();
        externals.extend(pairs.map(|(_, external)| *external));
        if let Some(interface) = self.interfaces.get_mut(nat.outside_interface.0) {
            interface.addresses = externals.into_iter().map(Address::from).collect();
        }
        self.settle(nat.node);
        Some(result)
    }

    /// Takes an interface up or down, as a cable or a phone's radio does.
    pub fn set_up(&mut self, interface: InterfaceId, up: bool) {
        if let Some(interface) = self.interfaces.get_mut(interface.0) {
            interface.is_up = up;
            let node = interface.node;
            self.update_addresses(node);
        }
    }

    /// Replaces the links between a machine and its network: the one from the machine, and the one
    /// to it.
    pub fn set_link(&mut self, interface: InterfaceId, up: Link, down: Link) {
        if let Some(interface) = self.interfaces.get_mut(interface.0) {
            // The loss model and the queue start afresh: packets that come from here on may
            // overtake those that are under way.
            interface.up = Pipe::new(up);
            interface.down = Pipe::new(down);
        }
    }

    /// Moves a host to another network with another address, as roaming does.
    pub fn roam(&mut self, host: HostId, network: NetworkId, address: IpAddr) -> InterfaceId {
        let old: Vec<InterfaceId> = self.interfaces_of(host).collect();
        // The old interfaces go down first, so that the program sees a moment without any address.
        for interface in old {
            self.set_up(interface, false);
        }
        self.add_interface(host, network, address)
    }

    /// Returns the network of a machine's first interface.
    ///
    /// # Panics
    /// Panics when the machine belongs to another world.
    pub fn network_of(&self, node: impl Into<NodeId>) -> NetworkId {
        let node = node.into();
        let mut interfaces = self.interfaces.iter();
        let first = interfaces.find(|interface| interface.node == node);
        first.expect("a machine is attached somewhere").network
    }

    /// Returns the interfaces of a machine, in the order they were added.
    pub fn interfaces_of(&self, node: impl Into<NodeId>) -> impl Iterator<Item = InterfaceId> {
        let node = node.into();
        let numbered = self.interfaces.iter().enumerate();
        numbered
            .filter(move |(_, interface)| interface.node == node)
            .map(|(id, _)| InterfaceId(id))
    }

    fn node(&mut self, name: &str, kind: NodeKind) -> NodeId {
        self.nodes.push(Node {
            name: name.to_owned(),
            kind,
        });
        NodeId(self.nodes.len() - 1)
    }

    fn attach(&mut self, node: NodeId, network: NetworkId, ips: Vec<IpAddr>) -> InterfaceId {
        let id = InterfaceId(self.interfaces.len());
        let link = self
            .networks
            .get(network.0)
            .map_or_else(Link::default, |network| network.link.clone());
        self.interfaces.push(Interface {
            node,
            network,
            addresses: ips.into_iter().map(Address::from).collect(),
            up: Pipe::new(link.clone()),
            down: Pipe::new(link),
            is_up: true,
        });
        if let Some(network) = self.networks.get_mut(network.0) {
            network.members.push(id);
        }
        id
    }

    /// Passes the addresses of a host to its program, and sends what the program then wants to
    /// send.
    fn update_addresses(&mut self, node: NodeId) {
        let (now, addresses) = (self.now, self.addresses(HostId(node)));
        if let Some(NodeKind::Host(host)) = self.nodes.get_mut(node.0).map(|node| &mut node.kind) {
            host.app.handle_addresses(now, &addresses);
            self.settle(node);
        }
    }

    fn set_gateway(&mut self, network: NetworkId, gateway: InterfaceId) {
        if let Some(network) = self.networks.get_mut(network.0) {
            network.gateway = Some(gateway);
        }
    }
}
