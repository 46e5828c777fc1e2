// `jackfield nat run`, seen by the host behind it and by two servers outside: it is what it was told to be.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Internet, SERVER, SERVER_SECOND } from './lib/internet.mjs';
import { JackfieldNat, nat } from './lib/jackfield_nat.mjs';
import { run } from './lib/process.mjs';
import { JACKFIELD } from './lib/server.mjs';
import { temporaryFolder } from './lib/temp.mjs';
import { UdpHost } from './lib/udp_host.mjs';
import { until } from './lib/wait.mjs';
import { discover, startTwoAddressCoturn } from './stock/natdiscovery.mjs';

const MAPPINGS = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'];
const FILTERINGS = MAPPINGS;

/** The ports that the two addresses outside listen on. */
const PORTS = [7000, 7001];

describe('a router with its hosts inside and outside', () => {
  let internet;
  let router;
  let inside;
  let outside;
  /** Sockets outside: at the first address, at its other port, at the second address, at its other port. */
  let peer;

  before(async () => {
    internet = await Internet.create();
    router = await JackfieldNat.start(internet, { site: 9 });
    inside = new UdpHost(router.host);
    outside = new UdpHost(internet.server);
    const open = async (address, port) =>
      Object.assign(await outside.open(address, port), { endpoint: `${address}:${port}` });
    peer = {
      here: await open(SERVER, PORTS[0]),
      otherPort: await open(SERVER, PORTS[1]),
      otherAddress: await open(SERVER_SECOND, PORTS[0]),
      both: await open(SERVER_SECOND, PORTS[1]),
    };
  });
  after(async () => {
    await inside?.stop();
    await outside?.stop();
    await router?.stop();
    internet?.remove();
  });

  /** Sends from a socket inside to one outside, and resolves with the endpoint that it seems to come from. */
  const reach = async (socket, to) => {
    await socket.send(to.endpoint, 'reach');
    const { text, from } = await to.next();
    assert.equal(text, 'reach');
    return from;
  };

  const mapping = async () => {
    const socket = await inside.open();
    const first = await reach(socket, peer.here);
    const second = await reach(socket, peer.otherAddress);
    const third = await reach(socket, peer.both);
    if (first === second && second === third) return MAPPINGS[0];
    return second === third ? MAPPINGS[1] : MAPPINGS[2];
  };

  /** Who gets in besides the endpoint that was sent to? Its own answer is the last to be sent, so it ends the wait. */
  const filtering = async () => {
    const socket = await inside.open();
    const external = await reach(socket, peer.here);
    await peer.both.send(external, 'stranger');
    await peer.otherPort.send(external, 'neighbour');
    await peer.here.send(external, 'answer');
    const heard = [];
    do heard.push((await socket.next()).text);
    while (!heard.includes('answer'));
    if (heard.includes('stranger')) return FILTERINGS[0];
    return heard.includes('neighbour') ? FILTERINGS[1] : FILTERINGS[2];
  };

  for (const map of MAPPINGS) {
    for (const filter of FILTERINGS) {
      test(`mapping ${map} with filtering ${filter}`, async () => {
        await router.set('--profile', 'full-cone', '--mapping', map, '--filtering', filter);
        assert.deepEqual({ map: await mapping(), filter: await filtering() }, { map, filter });
        const shown = await router.list();
        assert.deepEqual({ map: shown.mapping, filter: shown.filtering }, { map, filter });
      });
    }
  }

  test('a packet to the outside endpoint of a neighbour comes back in from outside', async () => {
    await router.set('--profile', 'full-cone');
    const [one, two] = [await inside.open(), await inside.open()];
    const mine = await reach(one, peer.here);
    const theirs = await reach(two, peer.here);
    await one.send(theirs, 'hairpin');
    assert.deepEqual(await two.next(), { text: 'hairpin', from: mine });
    assert.equal((await router.list()).packets.hairpinned, 1);
  });

  test('with hairpinning off it does not', async () => {
    await router.set('--profile', 'full-cone', '--hairpinning', 'off');
    const [one, two] = [await inside.open(), await inside.open()];
    const theirs = await reach(two, peer.here);
    await one.send(theirs, 'hairpin');
    await until(async () => (await router.list()).drops['hairpin-off'] === 1, 'the drop');
  });

  test('a mapping ends when it is idle, and what comes then is dropped', async () => {
    // Long enough to be listed before its end, though each command is a process that has to start.
    await router.set('--profile', 'full-cone', '--udp-timeout', '5s');
    const socket = await inside.open();
    const external = await reach(socket, peer.here);
    const [line] = (await router.list()).mappings.filter(({ protocol }) => protocol === 'udp');
    assert.equal(line.external, external);
    await until(async () => (await router.list()).mappings.length === 0, 'the end of the mapping');
    const before = (await router.list()).drops['no-mapping'] ?? 0;
    await peer.here.send(external, 'late');
    await until(async () => (await router.list()).drops['no-mapping'] > before, 'the drop');
  });

  test('a reboot forgets mappings, and the next packet makes a new one', async () => {
    await router.set('--profile', 'full-cone');
    const socket = await inside.open();
    const old = await reach(socket, peer.here);
    await router.reboot();
    assert.equal((await router.list()).mappings.length, 0);
    const before = (await router.list()).drops['no-mapping'] ?? 0;
    await peer.here.send(old, 'late');
    await until(async () => (await router.list()).drops['no-mapping'] > before, 'the drop');
    const external = await reach(socket, peer.here);
    await peer.otherAddress.send(external, 'hello again');
    assert.equal((await socket.next()).text, 'hello again');
  });

  test('a TCP connection carries megabytes both ways, in trains', async () => {
    await router.set('--profile', 'symmetric');
    const before = await router.list();
    const server = internet.server.start(process.execPath, ['-e', ECHO_SERVER]);
    await until(() => server.output.includes('ready'), 'the echo server');
    const client = JSON.parse(await router.host.succeed(process.execPath, ['-e', ECHO_CLIENT]));
    assert.deepEqual(client, { same: true, bytes: BYTES });
    assert.match(server.output, new RegExp(`from ${router.external.replaceAll('.', '\\.')}`));
    await server.stop();
    const { packets_in: packets, reads } = (await router.list()).inside;
    assert.ok(packets - before.inside.packets_in > 2 * (reads - before.inside.reads), `${packets} in ${reads} reads`);
  });

  test('large datagrams cross in fragments, both ways', async () => {
    await router.set('--profile', 'port-restricted-cone');
    const socket = await inside.open();
    const large = 'x'.repeat(6000);
    await socket.send(peer.here.endpoint, large);
    const { text, from } = await peer.here.next();
    assert.equal(text, large);
    await peer.here.send(from, large);
    assert.equal((await socket.next()).text, large);
  });

  test('ping gets through, and takes as long as the link is told to take', async () => {
    await router.set('--profile', 'port-restricted-cone', '--latency', '30ms');
    const output = await router.host.succeed('ping', ['-c', '3', '-i', '0.2', SERVER]);
    const [, fastest] = /min\/avg\/max\/mdev = ([\d.]+)\//.exec(output);
    assert.ok(Number(fastest) >= 60, output);
    await router.set('--latency', '0');
  });

  test('a packet without any time to live left is answered by the gateway', async () => {
    await router.set('--profile', 'port-restricted-cone');
    const { output } = await router.host.run('ping', ['-c', '1', '-t', '1', SERVER]);
    assert.match(output, /From 10\.9\.0\.1.*Time to live exceeded/);
  });

  test('blocked UDP is dropped and counted until it is let through', async () => {
    await router.set('--profile', 'full-cone', '--block-udp');
    const socket = await inside.open();
    await socket.send(peer.here.endpoint, 'blocked');
    await until(async () => (await router.list()).drops['link-udp-blocked'] === 1, 'the drop');
    await router.set('--block-udp=false');
    await reach(socket, peer.here);
  });

  test('all is lost on a link that loses everything', async () => {
    await router.set('--profile', 'full-cone', '--loss', '100');
    const socket = await inside.open();
    await socket.send(peer.here.endpoint, 'lost');
    await until(async () => (await router.list()).drops['link-lost'] === 1, 'the loss');
    await router.set('--loss', '0');
    await reach(socket, peer.here);
  });

  test('told to stop, it says how it went and leaves no interface', async () => {
    assert.equal(await router.halt(), 0);
    const last = JSON.parse(router.output);
    assert.equal(last.drops['hairpin-off'], 1);
    assert.ok(last.packets.outbound > 20 && last.packets.inbound > 20);
    const links = await router.host.ip('-j', 'link');
    assert.doesNotMatch(links, /tun0/);
  });
});

describe("Debian's turnutils_natdiscovery, behind a router of each type", () => {
  let internet;
  const running = [];

  before(async () => {
    internet = await Internet.create();
    running.push(await startTwoAddressCoturn(internet));
  });
  after(async () => {
    for (const each of running.reverse()) await each.stop();
    internet?.remove();
  });

  // All at once, for it waits three seconds for each answer that does not come.
  test('names all nine', async () => {
    const types = MAPPINGS.flatMap((mapping) => FILTERINGS.map((filtering) => ({ mapping, filtering })));
    const found = types.map(async ({ mapping, filtering }, index) => {
      const args = ['--mapping', mapping, '--filtering', filtering];
      const router = await JackfieldNat.start(internet, { site: 20 + index, args });
      running.push(router);
      return discover(router.host);
    });
    const inItsWords = { [MAPPINGS[0]]: 'Endpoint Independent', [MAPPINGS[1]]: 'Address Dependent' };
    const words = (type) => inItsWords[type] ?? 'Address and Port Dependent';
    assert.deepEqual(
      await Promise.all(found),
      types.map(({ mapping, filtering }) => ({ mapping: words(mapping), filtering: words(filtering) })),
    );
  });
});

describe('a router of a user who is not root', () => {
  test('translates between namespaces of the user', async (t) => {
    const folder = temporaryFolder('rootless');
    try {
      const { code, output } = await run('unshare', ['--mount', 'sh', '-euc', ROOTLESS, 'sh', JACKFIELD, folder.path]);
      const refused = /unshare: .*(Operation not permitted|No space left)/.exec(output);
      if (refused) return t.skip(`the kernel lets this user make no namespaces: ${refused[0]}`);
      assert.equal(code, 0, output);
      const shown = JSON.parse(output.split('\n').find((line) => line.startsWith('{')));
      assert.equal(shown.mappings[0]?.protocol, 'icmp');
      assert.match(shown.mappings[0].internal, /^10\.0\.0\.2/);
      assert.ok(shown.packets.outbound >= 2 && shown.packets.inbound >= 2, output);
    } finally {
      folder.remove();
    }
  });
});

describe('a router that cannot be', () => {
  test('says which interface it may not make, without the right to', async () => {
    const { code, output } = await nat(
      ['run', '--inside', 'tun0=10.0.0.2/24', '--outside', 'nat0', '--external', '198.18.1.1'],
      { uid: 65_534, gid: 65_534 },
    );
    assert.equal(code, 1);
    assert.match(output, /tun0 may not be made.*CAP_NET_ADMIN/s);
  });

  test('says that a namespace is not there', async () => {
    const { code, output } = await nat([
      ...['run', '--inside', 'tun0=10.0.0.2/24@nowhere', '--outside', 'nat0', '--external', '198.18.1.1'],
    ]);
    assert.equal(code, 1);
    assert.match(output, /namespace nowhere cannot be entered/);
  });

  test('is not there to be listed', async () => {
    const { code, output } = await nat(['list', '--control', '/nonexistent/nat.sock']);
    assert.equal(code, 1);
    assert.match(output, /no router is controlled by \/nonexistent\/nat\.sock/);
  });
});

/**
 * As root, makes /dev/net/tun what it is on most systems, open to everybody, in mounts of its own; then as nobody makes user
 * and network namespaces, a router between two of them, and pings through it.
 */
const ROOTLESS = `
  mount -t tmpfs none /dev/net
  mknod -m 666 /dev/net/tun c 10 200
  chown 65534:65534 "$2"
  cd "$2"
  exec setpriv --reuid=65534 --regid=65534 --clear-groups \\
    unshare --user --map-root-user --net sh -euc '
      ip link set lo up
      ip addr add ${SERVER}/32 dev lo
      unshare --net sleep 60 & home=$!
      until [ "$(readlink /proc/$home/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
      "$1" nat run --inside tun0=10.0.0.2/24@$home --default-route --outside nat0 --external 198.18.1.1 \\
        --control "$2/sock" & router=$!
      trap "kill $home $router" EXIT
      until [ -S "$2/sock" ]; do kill -0 $router; sleep 0.05; done
      nsenter --net=/proc/$home/ns/net ping -c 2 -i 0.2 -W 5 ${SERVER}
      "$1" nat list --json --control "$2/sock"
    ' sh "$1" "$2"`;

const BYTES = 8 << 20;

const ECHO_SERVER = `
  require('node:net').createServer((socket) => {
    console.log('from ' + socket.remoteAddress);
    socket.pipe(socket);
  }).listen(7010, '${SERVER}', () => console.log('ready'));`;

const ECHO_CLIENT = `
  const sent = require('node:crypto').randomBytes(${BYTES});
  const socket = require('node:net').connect(7010, '${SERVER}');
  const received = [];
  socket.on('data', (bytes) => received.push(bytes));
  socket.on('end', () => {
    const echo = Buffer.concat(received);
    console.log(JSON.stringify({ same: echo.equals(sent), bytes: echo.length }));
  });
  socket.end(sent);`;
