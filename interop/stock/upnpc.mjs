// Debian's upnpc and natpmpc, and miniupnpd: port mapping clients and a server of other people.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { temporaryFolder } from '../lib/temp.mjs';
import { until } from '../lib/wait.mjs';

/** Runs natpmpc in a namespace, at a gateway. */
export const natpmpc = (namespace, gateway, ...args) => namespace.run('natpmpc', ['-g', gateway, ...args]);

/** Runs upnpc in a namespace, which searches the gateway by multicast on `device`. It believes in none whose address
 * outside is set aside, as all of a made-up internet are, but for `-i`. */
export const upnpc = (namespace, device, ...args) => namespace.run('upnpc', ['-m', device, ...args]);

/**
 * The address outside that miniupnpd is told to tell: it does nothing behind an address that is set aside, as all of
 * a made-up internet are. Nothing is sent there.
 */
export const TOLD = '198.20.0.1';

/** miniupnpd on a router made by `Internet.home`. */
export class Miniupnpd {
  #folder = temporaryFolder('miniupnpd');
  #child;

  /** Starts one that leases the router's ports to `lan`, and lets through what it forwards. */
  static async start(router) {
    const { namespace } = router;
    await namespace.succeed('nft', ['add', 'rule', 'inet', 'router', 'forward', 'ct', 'status', 'dnat', 'accept']);
    await namespace.succeed('nft', [TABLE]);
    const miniupnpd = new Miniupnpd(namespace);
    try {
      await until(() => miniupnpd.#child.output.includes('Listening for NAT-PMP/PCP'), 'miniupnpd to listen');
      return miniupnpd;
    } catch (error) {
      const { output } = miniupnpd.#child;
      await miniupnpd.stop();
      throw new Error(`${error.message}\n${output}`);
    }
  }

  constructor(namespace) {
    const file = join(this.#folder.path, 'miniupnpd.conf');
    writeFileSync(file, CONFIG);
    const pid = join(this.#folder.path, 'pid');
    this.#child = namespace.start('miniupnpd', ['-d', '-f', file, '-P', pid]);
  }

  /** What it has printed. */
  get output() {
    return this.#child.output;
  }

  async stop() {
    await this.#child.stop();
    this.#folder.remove();
  }
}

const CONFIG = `
ext_ifname=wan
ext_ip=${TOLD}
listening_ip=lan
enable_natpmp=yes
enable_upnp=yes
secure_mode=yes
http_port=0
min_lifetime=120
max_lifetime=86400
system_uptime=yes
ipv6_disable=yes
uuid=00112233-4455-6677-8899-aabbccddeeff
upnp_table_name=miniupnpd
upnp_nat_table_name=miniupnpd
upnp_forward_chain=forwarded
upnp_nat_chain=prerouted
upnp_nat_postrouting_chain=postrouted
allow 1024-65535 10.0.0.0/8 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`;

// What Debian's nft_init.sh makes, but for a policy: the router has one already.
const TABLE = `
  table inet miniupnpd {
    chain forward {
      type filter hook forward priority filter; policy accept;
      jump forwarded
    }
    chain prerouting {
      type nat hook prerouting priority dstnat; policy accept;
      jump prerouted
    }
    chain postrouting {
      type nat hook postrouting priority srcnat; policy accept;
      jump postrouted
    }
    chain forwarded { }
    chain prerouted { }
    chain postrouted { }
  }`;
