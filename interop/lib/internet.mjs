// A made-up internet: a server at a public address, and people behind routers of their own.

import { Router } from './nat.mjs';
import { Namespace } from './netns.mjs';

/**
 * The server's addresses. 198.18.0.0/15 is set aside for tests between networks (RFC 2544), so nothing real is there.
 */
export const SERVER = '198.18.0.1';
export const SERVER_SECOND = '198.18.0.2';
export const NETWORK = '198.18.0.0/15';

/** The way to the rest of the internet, where nobody is. */
const ELSEWHERE = '198.19.255.254';

/** The public network, with whatever has been plugged into it. */
export class Internet {
  #everything = [];

  /** Makes the public network and the namespace that the server runs in. */
  static async create() {
    const internet = new Internet();
    const exchange = internet.#own(await Namespace.create('internet'));
    internet.server = exchange;
    try {
      await exchange.ip('link', 'add', 'net', 'type', 'bridge');
      await exchange.address('net', `${SERVER}/15`);
      await exchange.address('net', `${SERVER_SECOND}/15`);
      // What is sent to anyone else is lost on the way, as in the real one, and not an error of the sender.
      await exchange.ip('neigh', 'add', ELSEWHERE, 'lladdr', '02:00:00:00:00:01', 'dev', 'net', 'nud', 'permanent');
      await exchange.ip('route', 'add', 'default', 'via', ELSEWHERE);
      return internet;
    } catch (error) {
      internet.remove();
      throw error;
    }
  }

  /** Makes a router and the host behind it. `site` numbers them and gives them their addresses. */
  async home(name, { site, nat, firewall }) {
    const plugIn = async (namespace, device) => {
      this.#own(namespace);
      await this.server.cable(`port${site}`, namespace, device);
      await this.server.ip('link', 'set', `port${site}`, 'master', 'net', 'up');
      await namespace.address(device, `198.18.${site}.1/15`);
    };
    const router = await Router.create(`${name}-router`, { site, nat, firewall, server: SERVER, plugIn });
    const host = this.#own(await router.host(name));
    return { router, host };
  }

  /** Ends all that runs in it and removes every namespace. */
  remove() {
    for (const namespace of this.#everything.reverse()) namespace.remove();
    this.#everything = [];
  }

  #own(namespace) {
    this.#everything.push(namespace);
    return namespace;
  }
}
