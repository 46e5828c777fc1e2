// Port mapping: stock clients ask our router, our client asks a stock router, and what is mapped is reached from outside.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Internet, SERVER } from './lib/internet.mjs';
import { JackfieldNat } from './lib/jackfield_nat.mjs';
import { NAT } from './lib/nat.mjs';
import { PortMap, probe } from './lib/port_map.mjs';
import { UdpHost } from './lib/udp_host.mjs';
import { until } from './lib/wait.mjs';
import { Miniupnpd, TOLD, natpmpc, upnpc } from './stock/upnpc.mjs';

/** A TCP server that says hello to everybody. */
const hello = (port) => `
  require('node:net').createServer((socket) => socket.end('hello')).listen(${port}, () => console.log('ready'));`;

/** Prints what a TCP server says, or why there is none. */
const listen = (address, port) => `
  const socket = require('node:net').connect({ host: '${address}', port: ${port}, timeout: 10_000 });
  socket.on('data', (bytes) => console.log(String(bytes)));
  socket.on('error', (error) => console.log(error.code));
  socket.on('timeout', () => socket.destroy(new Error('silence')));`;

describe('stock clients behind our symmetric router', () => {
  let internet;
  let router;
  let inside;
  let outside;
  const gateway = '10.31.0.1';

  before(async () => {
    internet = await Internet.create();
    router = await JackfieldNat.start(internet, { site: 31, args: ['--profile', 'symmetric', '--port-mapping', 'all'] });
    inside = new UdpHost(router.host);
    outside = new UdpHost(internet.server);
  });
  after(async () => {
    await inside?.stop();
    await outside?.stop();
    await router?.stop();
    internet?.remove();
  });

  /** Sends from outside to a port of the router; resolves with what the inside socket then hears. */
  const reach = async (socket, port) => {
    const stranger = await outside.open(SERVER);
    await stranger.send(`${router.external}:${port}`, 'hello');
    const heard = await socket.next();
    assert.deepEqual(heard, { text: 'hello', from: `${SERVER}:${stranger.port}` });
  };

  /** Sends from outside, and waits until the router has dropped it. */
  const isLost = async (port) => {
    const before = (await router.list()).drops['no-mapping'] ?? 0;
    const stranger = await outside.open(SERVER);
    await stranger.send(`${router.external}:${port}`, 'lost');
    await until(async () => (await router.list()).drops['no-mapping'] > before, 'the drop');
  };

  const tcpFromOutside = async (port) => {
    const { output } = await internet.server.run(process.execPath, ['-e', listen(router.external, port)]);
    return output.trim();
  };

  test('natpmpc is told the outside address', async () => {
    const { code, output } = await natpmpc(router.host, gateway);
    assert.equal(code, 0, output);
    assert.match(output, /Public IP address : 198\.18\.31\.1/);
  });

  test('natpmpc maps a UDP port, strangers reach it, and natpmpc ends it', async () => {
    const socket = await inside.open('0.0.0.0', 5000);
    await isLost(5000);
    const { code, output } = await natpmpc(router.host, gateway, '-a', '5000', '5000', 'udp', '600');
    assert.equal(code, 0, output);
    assert.match(output, /Mapped public port 5000 protocol UDP to local port 5000 \w+ 600/);
    await reach(socket, 5000);
    const [lease] = (await router.list()).leases;
    assert.equal(lease.by, 'nat-pmp');
    assert.equal(lease.internal, '10.31.0.2:5000');
    assert.ok(lease.expires_in_s > 300 && lease.expires_in_s <= 600);
    const ended = await natpmpc(router.host, gateway, '-a', '0', '5000', 'udp', '0');
    assert.equal(ended.code, 0, ended.output);
    await isLost(5000);
  });

  test('natpmpc maps a TCP port', async () => {
    const server = router.host.start(process.execPath, ['-e', hello(5001)]);
    await until(() => server.output.includes('ready'), 'the server');
    const { code, output } = await natpmpc(router.host, gateway, '-a', '5001', '5001', 'tcp', '600');
    assert.equal(code, 0, output);
    assert.equal(await tcpFromOutside(5001), 'hello');
    await server.stop();
  });

  test('natpmpc is given another port than one below 1024', async () => {
    const { code, output } = await natpmpc(router.host, gateway, '-a', '80', '5002', 'udp', '600');
    assert.equal(code, 0, output);
    assert.match(output, /Mapped public port 5002 protocol UDP to local port 5002/);
  });

  test('natpmpc outside is not answered', async () => {
    const before = (await router.list()).port_requests['from-outside'];
    const asking = internet.server.start('natpmpc', ['-g', router.external]);
    await until(async () => (await router.list()).port_requests['from-outside'] > before, 'the question');
    await asking.stop();
    assert.doesNotMatch(asking.output, /Public IP address : /);
  });

  test('upnpc finds the gateway and reads its state', async () => {
    const { code, output } = await upnpc(router.host, 'tun0', '-i', '-s');
    assert.equal(code, 0, output);
    assert.match(output, /IGD : http:\/\/10\.31\.0\.1:49000\/ctl\/IPConn/);
    assert.match(output, /ExternalIPAddress = 198\.18\.31\.1/);
    assert.match(output, /Status : Connected/);
  });

  test('upnpc maps a TCP port, strangers reach it, upnpc lists it and ends it', async () => {
    const server = router.host.start(process.execPath, ['-e', hello(8000)]);
    await until(() => server.output.includes('ready'), 'the server');
    const added = await upnpc(router.host, 'tun0', '-i', '-e', 'a game', '-a', '10.31.0.2', '8000', '8001', 'TCP', '900');
    assert.equal(added.code, 0, added.output);
    assert.match(added.output, /external 198\.18\.31\.1:8001 TCP is redirected to internal 10\.31\.0\.2:8000/);
    assert.equal(await tcpFromOutside(8001), 'hello');
    const listed = await upnpc(router.host, 'tun0', '-i', '-l');
    assert.match(listed.output, /TCP +8001->10\.31\.0\.2:8000 +'a game'/);
    const [lease] = (await router.list()).leases.filter(({ by }) => by === 'upnp');
    assert.equal(lease.description, 'a game');
    const ended = await upnpc(router.host, 'tun0', '-i', '-d', '8001', 'TCP');
    assert.match(ended.output, /UPNP_DeletePortMapping\(\) returned : 0/);
    assert.notEqual(await tcpFromOutside(8001), 'hello');
    await server.stop();
  });

  test('upnpc maps a UDP port', async () => {
    const socket = await inside.open('0.0.0.0', 8002);
    const added = await upnpc(router.host, 'tun0', '-i', '-a', '10.31.0.2', '8002', '8002', 'UDP');
    assert.equal(added.code, 0, added.output);
    await reach(socket, 8002);
  });

  test('upnpc is refused what belongs to another host, and what is taken', async () => {
    const foreign = await upnpc(router.host, 'tun0', '-i', '-a', '10.31.0.99', '8003', '8003', 'TCP');
    assert.match(foreign.output, /failed with code 606/);
    const taken = await upnpc(router.host, 'tun0', '-i', '-a', '10.31.0.2', '8009', '8002', 'UDP');
    assert.match(taken.output, /failed with code 718/);
    const low = await upnpc(router.host, 'tun0', '-i', '-a', '10.31.0.2', '8009', '80', 'TCP');
    assert.match(low.output, /failed with code 606/);
    const { leases, port_requests: requests } = await router.list();
    assert.deepEqual(leases.filter(({ internal }) => /:800[39]$/.test(internal)), []);
    assert.equal(requests.conflicts, 1);
  });

  test('upnpc outside finds nothing', async () => {
    const { code, output } = await internet.server.run('upnpc', ['-u', `http://${router.external}:49000/rootDesc.xml`, '-s']);
    assert.notEqual(code, 0);
    assert.doesNotMatch(output, /ExternalIPAddress/);
  });

  test('our own client finds all three, and maps in each', async () => {
    assert.deepEqual(await probe(router.host), { pcp: router.external, 'nat-pmp': router.external, upnp: router.external });
    for (const [index, dialect] of ['pcp', 'nat-pmp', 'upnp'].entries()) {
      const port = 8010 + index;
      const socket = await inside.open('0.0.0.0', port);
      const map = await PortMap.start(router.host, dialect, 'udp', port);
      assert.deepEqual(map.mapped, { external: `${router.external}:${port}`, dialect }, map.output);
      await reach(socket, port);
      assert.equal(await map.stop(), 'confirmed', map.output);
      await isLost(port);
    }
  });

  test('a reboot is announced, and our own client asks again', async () => {
    const socket = await inside.open('0.0.0.0', 8020);
    const map = await PortMap.start(router.host, 'any', 'udp', 8020);
    await router.reboot();
    await until(async () => (await router.list()).leases.some(({ internal }) => internal === '10.31.0.2:8020'), 'the lease');
    await reach(socket, 8020);
    await map.stop();
  });

  test('without port mapping nobody gets a port, and the old ones are gone', async () => {
    await router.set('--port-mapping', 'none');
    const { leases, port_mapping: protocols } = await router.list();
    assert.deepEqual([leases, protocols], [[], []]);
    await isLost(8002);
    await router.set('--port-mapping', 'pcp,nat-pmp');
    const found = await probe(router.host);
    assert.equal(found.pcp, router.external);
    assert.match(found.upnp, /^absent/);
  });
});

describe("our client behind Debian's miniupnpd", () => {
  let internet;
  let home;
  let miniupnpd;
  let inside;
  let outside;
  const external = '198.18.32.1';
  const gateway = '10.32.0.1';

  before(async () => {
    internet = await Internet.create();
    home = await internet.home('home', { site: 32, nat: NAT.symmetric });
    miniupnpd = await Miniupnpd.start(home.router);
    inside = new UdpHost(home.host);
    outside = new UdpHost(internet.server);
  });
  after(async () => {
    await inside?.stop();
    await outside?.stop();
    await miniupnpd?.stop();
    internet?.remove();
  });

  test('it finds all three dialects, and the address in each', async () => {
    assert.deepEqual(await probe(home.host), { pcp: TOLD, 'nat-pmp': TOLD, upnp: TOLD });
  });

  for (const [index, dialect] of ['pcp', 'nat-pmp', 'upnp'].entries()) {
    test(`strangers reach a port that is mapped by ${dialect}, until it is given back`, async () => {
      const port = 5000 + index;
      const socket = await inside.open('0.0.0.0', port);
      const map = await PortMap.start(home.host, dialect, 'udp', port, [gateway]);
      assert.deepEqual(map.mapped, { external: `${TOLD}:${port}`, dialect }, `${map.output}\n${miniupnpd.output}`);
      const stranger = await outside.open(SERVER);
      await stranger.send(`${external}:${port}`, 'hello');
      assert.deepEqual(await socket.next(), { text: 'hello', from: `${SERVER}:${stranger.port}` });
      assert.equal(await map.stop(), 'confirmed', `${map.output}\n${miniupnpd.output}`);
      const rules = await home.router.namespace.succeed('nft', ['list', 'table', 'inet', 'miniupnpd']);
      assert.doesNotMatch(rules, new RegExp(`dport ${port}\\b`));
    });
  }

  test('a port that miniupnpd may not map is refused in its words', async () => {
    const map = await PortMap.start(home.host, 'upnp', 'udp', 80, [gateway]);
    assert.deepEqual(map.mapped, { external: undefined, dialect: undefined });
    assert.match(map.output, /refuses by UPnP/);
    await map.stop();
  });
});
