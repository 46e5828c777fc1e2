// NAT routers and their firewalls, by nftables.

import { Namespace } from './netns.mjs';

/**
 * How a router maps and filters; the names are of the classical types.
 *
 * Linux maps endpoint-independently and keeps the port with plain masquerade, maps per endpoint with `fully-random`,
 * and filters by address and port in both cases.
 */
export const NAT = Object.freeze({
  portRestricted: 'masquerade',
  symmetric: 'masquerade fully-random',
});

/** What a router lets out. Rules for packets from the inside, ahead of all others. */
export const FIREWALL = Object.freeze({
  open: '',
  noUdp: 'meta l4proto udp counter name blocked drop',
  onlyTcp443: `meta l4proto != tcp counter name blocked drop
      tcp dport != 443 counter name blocked drop`,
  /** Web access is by the proxy on the router alone. */
  noTcp: 'meta l4proto tcp counter name blocked drop',
});

/** What a line loses in both directions. */
export const CUT = Object.freeze({ udp: 'meta l4proto udp counter name blocked drop' });

/** A home or office router: one public address outside, a private network inside. */
export class Router {
  /**
   * Makes a router with the private network `10.SITE.0.0/24`. `outside` gives it a cable to the internet;
   * `server` is the address whose traffic is counted apart.
   */
  static async create(name, { site, nat, firewall = FIREWALL.open, server, plugIn }) {
    const namespace = await Namespace.create(name);
    const router = new Router(namespace, site, server);
    await plugIn(namespace, 'wan');
    await namespace.succeed('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
    await namespace.succeed('nft', [rules({ nat, firewall, server })]);
    return router;
  }

  constructor(namespace, site, server) {
    this.namespace = namespace;
    this.site = site;
    this.server = server;
    this.inside = `10.${site}.0.1`;
  }

  /** Makes the host behind this router, and gives it its address and default route. */
  async host(name) {
    const host = await Namespace.create(name);
    await this.namespace.cable('lan', host, 'eth0');
    await this.namespace.address('lan', `${this.inside}/24`);
    await host.address('eth0', `10.${this.site}.0.2/24`);
    await host.ip('route', 'add', 'default', 'via', this.inside);
    return host;
  }

  /**
   * Becomes another router. Connections that it knows keep their addresses; with `cut`, what that rule matches is dropped in
   * both directions.
   */
  async become({ nat, firewall = FIREWALL.open, cut }) {
    await this.namespace.succeed('nft', [`delete table inet router ${rules({ nat, firewall, cut, server: this.server })}`]);
  }

  /** The bytes and packets that each counter has seen, by its name. */
  async counters() {
    const listing = JSON.parse(await this.namespace.succeed('nft', ['-j', 'list', 'counters']));
    const counters = listing.nftables.flatMap((entry) => entry.counter ?? []);
    return Object.fromEntries(counters.map(({ name, bytes, packets }) => [name, { bytes, packets }]));
  }
}

// New packets from outside are dropped in INPUT: if they were accepted there, conntrack would give their tuple to the
// router itself, the packet that punches back would get another port, and a port-restricted NAT would look symmetric.
function rules({ nat, firewall, cut = '', server }) {
  return `
    table inet router {
      counter blocked { }
      counter udp_server { }
      counter tcp_server { }
      counter udp_elsewhere { }
      counter tcp_elsewhere { }
      chain postrouting {
        type nat hook postrouting priority srcnat
        oifname "wan" ${nat}
      }
      chain input {
        type filter hook input priority filter
        iifname "wan" ct state new drop
      }
      chain forward {
        type filter hook forward priority filter; policy drop;
        ${cut}
        iifname "lan" jump outgoing
        iifname "wan" ct state established,related accept
      }
      chain outgoing {
        ${firewall}
        ip daddr ${server} meta l4proto udp counter name udp_server accept
        ip daddr ${server} meta l4proto tcp counter name tcp_server accept
        meta l4proto udp counter name udp_elsewhere accept
        meta l4proto tcp counter name tcp_elsewhere accept
        accept
      }
    }`;
}
