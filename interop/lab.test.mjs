// The routers that the calls run behind are what their names say.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Internet, SERVER, SERVER_SECOND } from './lib/internet.mjs';
import { FIREWALL, NAT } from './lib/nat.mjs';
import { until } from './lib/wait.mjs';

const file = (name) => fileURLToPath(new URL(`lib/${name}`, import.meta.url));

describe('the made-up internet', () => {
  let internet;

  before(async () => {
    internet = await Internet.create();
    const reflector = internet.server.start('node', [file('reflector.mjs'), SERVER, SERVER_SECOND]);
    await until(() => reflector.output.includes('ready'), 'the reflector');
  });
  after(() => internet?.remove());

  const probe = async ({ host }) =>
    JSON.parse(await host.succeed('node', [file('nat_probe.mjs'), SERVER, SERVER_SECOND]));

  test('a port-restricted NAT keeps the port for all destinations, and lets no stranger in', async () => {
    const { port, mappings, strangerComesIn } = await probe(
      await internet.home('restricted', { site: 1, nat: NAT.portRestricted }),
    );
    assert.deepEqual(mappings, [`198.18.1.1:${port}`, `198.18.1.1:${port}`]);
    assert.equal(strangerComesIn, false);
  });

  test('a symmetric NAT has a port for each destination, and lets no stranger in', async () => {
    const { mappings, strangerComesIn } = await probe(
      await internet.home('symmetric', { site: 2, nat: NAT.symmetric }),
    );
    assert.match(mappings[0], /^198\.18\.2\.1:/);
    assert.notEqual(mappings[0], mappings[1]);
    assert.equal(strangerComesIn, false);
  });

  test('a firewall without UDP drops and counts it', async () => {
    const { host, router } = await internet.home('office', {
      site: 3,
      nat: NAT.portRestricted,
      firewall: FIREWALL.noUdp,
    });
    const asking = host.start('node', [file('nat_probe.mjs'), SERVER, SERVER_SECOND]);
    const blocked = await until(async () => {
      const { blocked: counter } = await router.counters();
      return counter.packets > 0 && counter;
    }, 'a blocked packet');
    await asking.stop();
    assert.equal(blocked.packets, 1);
    assert.equal(asking.output, '');
  });
});
