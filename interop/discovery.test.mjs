// What kind of NAT is on the way: found out by us from our server and from coturn's, and by coturn's client from ours.
// And what the doctor makes of it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import {
  BEHIND_ONE_TO_ONE,
  behaviour,
  doctor,
  startJackfieldBehindOneToOneNat,
  startJackfieldWithHelper,
  startTwoAddressJackfield,
} from './lib/discovery.mjs';
import { Internet, SERVER, SERVER_SECOND } from './lib/internet.mjs';
import { JackfieldNat } from './lib/jackfield_nat.mjs';
import { LABELS, NINE } from './lib/nat_types.mjs';
import { Namespace } from './lib/netns.mjs';
import { run } from './lib/process.mjs';
import { JACKFIELD, startPublicJackfield } from './lib/server.mjs';
import { discover, startTwoAddressCoturn } from './stock/natdiscovery.mjs';

/** Of ten datagrams nearly all: one that takes longer than 700 ms counts as lost, which a busy machine is enough for. */
const MOST_CAME = /(?:[89]|10) of 10 datagrams came through from outside and back/;

describe('behind a router of each of the nine kinds', () => {
  let internet;
  /** One router of each kind. */
  const routers = [];

  before(async () => {
    internet = await Internet.create();
    for (const [index, { mapping, filtering }] of NINE.entries()) {
      const args = ['--mapping', mapping, '--filtering', filtering];
      routers.push(await JackfieldNat.start(internet, { site: 20 + index, args }));
    }
  });
  after(async () => {
    for (const router of routers.reverse()) await router.stop();
    internet?.remove();
  });

  /** Runs something behind all routers at once, with a server outside. */
  const withServer = async (start, behind) => {
    const server = await start(internet);
    try {
      return await Promise.all(routers.map((router) => behind(router.host)));
    } finally {
      await server.stop();
    }
  };

  const kinds = (found) => found.map(({ mapping, filtering }) => ({ mapping, filtering }));

  test('we name all nine, asking our server', async () => {
    const found = await withServer(startTwoAddressJackfield, (host) => behaviour(host));
    assert.deepEqual(kinds(found), NINE);
    for (const [index, { mapping, filtering }] of NINE.entries()) {
      assert.equal(found[index].label, LABELS[`${mapping} ${filtering}`] ?? null);
      assert.equal(found[index].mapping_stability, '3/3');
      assert.equal(found[index].alg, false);
      assert.equal(found[index].fragments, 'both-ways');
      assert.equal(found[index].nat, true);
      assert.deepEqual(found[index].externals, [`198.18.${20 + index}.1`]);
    }
  });

  test('we name all nine on a link that loses packets', async () => {
    const all = (loss) => Promise.all(routers.map((router) => router.set('--loss', loss)));
    await all('4');
    const found = await withServer(startTwoAddressJackfield, (host) => behaviour(host));
    await all('0');
    assert.deepEqual(kinds(found), NINE);
  });

  test('we name all nine, asking coturn', async () => {
    const found = await withServer(startTwoAddressCoturn, (host) => behaviour(host));
    assert.deepEqual(kinds(found), NINE);
  });

  test('coturn names all nine, asking our server', async () => {
    const inItsWords = { 'endpoint-independent': 'Endpoint Independent', 'address-dependent': 'Address Dependent' };
    const words = (kind) => inItsWords[kind] ?? 'Address and Port Dependent';
    const found = await withServer(startTwoAddressJackfield, discover);
    assert.deepEqual(
      found,
      NINE.map(({ mapping, filtering }) => ({ mapping: words(mapping), filtering: words(filtering) })),
    );
  });

  test('we name all nine, asking a server with one address and another that helps it', async () => {
    const found = await withServer(startJackfieldWithHelper, (host) => behaviour(host));
    assert.deepEqual(kinds(found), NINE);
  });

  test('a server without any of it tells of the NAT, and why not of its kind', async () => {
    const found = await withServer(startPublicJackfield, (host) => behaviour(host));
    for (const each of found) {
      assert.equal(each.nat, true);
      assert.deepEqual([each.mapping, each.filtering, each.label], [null, null, null]);
      assert.match(each.unknown.mapping, /no second address/);
    }
  });
});

describe('the lifetime of a mapping', () => {
  let internet;
  let router;

  before(async () => {
    internet = await Internet.create();
    router = await JackfieldNat.start(internet, { site: 9, args: ['--udp-timeout', '4s'] });
  });
  after(async () => {
    await router?.stop();
    internet?.remove();
  });

  for (const [name, start] of [['our server', startTwoAddressJackfield], ['coturn', startTwoAddressCoturn]]) {
    test(`is found by ${name}'s answers to another port`, async () => {
      const server = await start(internet);
      try {
        const { lifetime } = await behaviour(router.host, '--lifetime=9s');
        assert.ok(lifetime.at_least_s <= 4 && lifetime.at_most_s >= 4, JSON.stringify(lifetime));
        assert.ok(lifetime.at_least_s >= 2 && lifetime.at_most_s <= 9, JSON.stringify(lifetime));
      } finally {
        await server.stop();
      }
    });
  }
});

describe('jackfield stun', () => {
  let internet;
  let router;
  let server;

  before(async () => {
    internet = await Internet.create();
    server = await startTwoAddressJackfield(internet);
    router = await JackfieldNat.start(internet, { site: 9, args: ['--profile', 'port-restricted-cone'] });
  });
  after(async () => {
    await router?.stop();
    await server?.stop();
    internet?.remove();
  });

  test('prints the public address and nothing else', async () => {
    assert.match(await router.host.succeed(JACKFIELD, ['stun', SERVER]), /^198\.18\.9\.1:\d+\n$/);
    assert.match(await router.host.succeed(JACKFIELD, ['stun', `stun:${SERVER}:3478`]), /^198\.18\.9\.1:\d+\n$/);
  });

  test('prints all of it in plain words', async () => {
    const output = await router.host.succeed(JACKFIELD, ['stun', SERVER, '--behaviour']);
    assert.match(output, /once called "port-restricted cone"/);
    assert.match(output, /mapping +endpoint-independent \(3\/3 tries agree\)/);
    assert.ok(output.split('\n').every((line) => line.length <= 100), output);
  });

  test('fails with 1 when nobody answers, and with 2 when it is told nonsense', async () => {
    const silent = await router.host.run(JACKFIELD, ['stun', '198.18.77.77']);
    assert.equal(silent.code, 1);
    assert.match(silent.output, /198\.18\.77\.77:3478 does not answer/);
    assert.equal((await run(JACKFIELD, ['stun', 'ftp://x'])).code, 2);
    assert.equal((await run(JACKFIELD, ['stun'])).code, 2);
  });
});

// Side by side, for silence is an answer to much of what is asked, and takes its time.
describe('jackfield doctor', { concurrency: 4 }, () => {
  let internet;
  let server;
  const running = [];

  before(async () => {
    internet = await Internet.create();
    server = await startTwoAddressJackfield(internet);
    running.push(server);
  });
  after(async () => {
    for (const each of running.reverse()) await each.stop();
    internet?.remove();
  });

  const behind = async (options) => {
    const router = await JackfieldNat.start(options.internet ?? internet, options);
    running.push(router);
    return router;
  };

  /** The line about something. */
  const line = ({ diagnosis }, topic) => diagnosis.lines.find((each) => each.topic === topic);

  /** Every line says what was tried and fits into the terminal. */
  const isReadable = ({ diagnosis, text }) => {
    for (const each of diagnosis.lines) assert.ok(each.seen && (each.tried || each.means), JSON.stringify(each));
    for (const each of text.split('\n')) assert.ok(each.length <= 90, each);
    assert.match(text, /^VERDICT {2}\[/);
    assert.doesNotMatch(text, /\x1b/);
  };

  /** A host with the public address `198.18.SITE.2`. */
  const inTheOpen = async (site) => {
    const host = await Namespace.create(`open${site}`);
    running.push({ stop: () => host.remove() });
    await internet.server.cable(`open${site}`, host, 'eth0');
    await internet.server.ip('link', 'set', `open${site}`, 'master', 'net', 'up');
    await host.address('eth0', `198.18.${site}.2/15`);
    return host;
  };

  /** The kinds of what was found wrong. */
  const kinds = ({ diagnosis }) => diagnosis.problems.map(({ kind }) => kind);

  test('without a NAT: all peers, and nothing to do', async () => {
    const host = await inTheOpen(50);
    const seen = await doctor(host);
    assert.equal(seen.diagnosis.verdict.health, 'ok', seen.text);
    assert.match(seen.diagnosis.verdict.text, /all peers: there is no NAT/);
    assert.equal(seen.code, 0);
    assert.equal(seen.diagnosis.nat.nat, false);
    assert.equal(line(seen, 'Double NAT'), undefined);
    isReadable(seen);
  });

  test('behind a port-restricted NAT: most peers, and the relay for the others', async () => {
    const { host } = await behind({ site: 30, args: ['--profile', 'port-restricted-cone'] });
    const seen = await doctor(host);
    assert.equal(seen.diagnosis.verdict.health, 'ok', seen.text);
    assert.match(seen.diagnosis.verdict.text, /most peers.*symmetric.*relay, which works/);
    assert.equal(seen.code, 0);
    assert.match(line(seen, 'Relay UDP').seen, MOST_CAME);
    assert.match(line(seen, 'Relay TCP').seen, MOST_CAME);
    assert.equal(line(seen, 'Double NAT').seen, 'no, one NAT');
    isReadable(seen);
  });

  test('behind a symmetric NAT: few peers, why, and what to do', async () => {
    const { host } = await behind({ site: 31, args: ['--profile', 'symmetric'] });
    const seen = await doctor(host);
    assert.equal(seen.diagnosis.verdict.health, 'degraded', seen.text);
    assert.match(seen.diagnosis.verdict.text, /few peers.*relay, which works/);
    assert.equal(seen.code, 1);
    assert.equal(seen.diagnosis.nat.label, 'symmetric');
    assert.match(seen.text, /WHY NOT +The NAT maps by destination/);
    assert.match(seen.text, /DO +1\) Set the router's NAT to "full cone"/);
    isReadable(seen);
  });

  test('behind a NAT that maps by destination and lets everybody in: all peers, as the oracle says', async () => {
    const args = ['--mapping', 'adm', '--filtering', 'eif'];
    const { host } = await behind({ site: 38, args });
    const seen = await doctor(host);
    assert.equal(seen.diagnosis.reach.kind, 'all-peers', seen.text);
    assert.equal(seen.code, 0);
    const oracle = await run(JACKFIELD, ['nat', 'oracle', 'adm/eif', 'symmetric', '--json']);
    assert.equal(JSON.parse(oracle.output)[0].path, 'direct');
  });

  describe('with a server behind a 1:1 NAT', () => {
    const examined = async (options) => {
      const cloud = await startJackfieldBehindOneToOneNat(internet, options);
      running.push(cloud);
      const host = await inTheOpen(options.site + 1);
      return { cloud, seen: await doctor(host, { server: cloud.external }) };
    };
    const externalIp = (site) => ['--external-ip', `198.18.${site}.1/${BEHIND_ONE_TO_ONE}`];
    const NO_RELAY_PORTS = 'udp dport 49152-65535 ct state new drop;';

    test('that knows its public address: the relay works from outside', async () => {
      const { seen } = await examined({ site: 60, args: externalIp(60) });
      assert.match(line(seen, 'Relay UDP').seen, MOST_CAME, seen.text);
      assert.equal(seen.code, 0);
    });

    test('that does not know it: the relays are on a private address, and which flag is missing', async () => {
      const { cloud, seen } = await examined({ site: 62 });
      assert.ok(kinds(seen).includes('relay-address-private'), seen.text);
      assert.equal(seen.diagnosis.verdict.health, 'degraded');
      assert.equal(seen.diagnosis.relay, 'broken');
      const flag = `--external-ip ${cloud.external}/${BEHIND_ONE_TO_ONE}`;
      assert.ok(seen.diagnosis.verdict.do.some((what) => what.includes(flag)), seen.text);
      assert.equal(seen.code, 1);
      isReadable(seen);
    });

    test("whose firewall drops what comes to the relays' ports", async () => {
      const { seen } = await examined({ site: 64, args: externalIp(64), firewall: NO_RELAY_PORTS });
      assert.ok(kinds(seen).includes('relay-ports-closed'), seen.text);
      assert.equal(seen.diagnosis.relay, 'broken');
      assert.ok(seen.diagnosis.verdict.do.some((what) => /let in UDP to the relays' ports/.test(what)), seen.text);
      assert.equal(seen.code, 1);
      isReadable(seen);
    });
  });

  test('in a lab with one NAT behind a router: not called two', async () => {
    const lab = ['lab', 'run', '--serve', '--site', 'home=port-restricted-cone', '--host', 'ann@home'];
    const command = [JACKFIELD, 'doctor', '--server', SERVER, '--insecure', '--json'];
    const { code, output } = await run(JACKFIELD, [...lab, '--', ...command]);
    const diagnosis = JSON.parse(output.split('\n').find((each) => each.includes('"verdict"')).replace(/^[^{]*/, ''));
    assert.equal(code, 0, output);
    assert.ok(kinds({ diagnosis }).every((kind) => kind !== 'double-nat'), output);
    assert.match(line({ diagnosis }, 'Double NAT').seen, /^not known/);
  });

  test('where UDP is blocked: a relay over TCP alone', async () => {
    const { host } = await behind({ site: 32, args: ['--block-udp'] });
    const seen = await doctor(host);
    assert.equal(seen.diagnosis.verdict.health, 'degraded', seen.text);
    assert.match(seen.diagnosis.verdict.text, /UDP is blocked: calls work through a relay over TCP/);
    assert.equal(seen.code, 1);
    assert.equal(line(seen, 'UDP v4').health, 'broken');
    assert.equal(line(seen, 'Relay UDP').health, 'broken');
    assert.equal(line(seen, 'Relay TCP').health, 'ok');
    assert.equal(line(seen, 'Signaling').health, 'ok');
    assert.match(seen.text, /DO +1\) Have the firewall let out UDP/);
    isReadable(seen);
  });

  test("behind two NATs, one of them a carrier's: what no router at home can change", async () => {
    const carrier = await behind({ site: 33, inside: '100.64.0.2' });
    await carrier.host.succeed('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.rp_filter=0']);
    const isp = { server: carrier.host };
    const home = await behind({ internet: isp, site: 34, external: '100.64.0.7', args: ['--profile', 'linux'] });
    const seen = await doctor(home.host);
    assert.match(line(seen, 'Double NAT').seen, /^yes, a carrier's: router 2 is 100\.64\.0\.\d/, seen.text);
    assert.ok(seen.diagnosis.verdict.why_not.some((why) => /belongs to the carrier/.test(why)), seen.text);
    assert.ok(seen.diagnosis.verdict.do.some((what) => /Ask the carrier/.test(what)), seen.text);
    assert.match(seen.diagnosis.verdict.text, /most peers/);
    isReadable(seen);

    await home.set('--port-mapping', 'all');
    const told = await doctor(home.host);
    assert.match(line(told, 'Double NAT').seen, /^yes, a carrier's: the gateway's outside address is 100\.64\.0\.7/, told.text);
  });

  test('behind a NAT that opens ports when it is asked to', async () => {
    const args = ['--profile', 'symmetric', '--port-mapping', 'all'];
    const { host, external } = await behind({ site: 37, args });
    const seen = await doctor(host);
    assert.match(line(seen, 'Port mapping').seen, /^PCP yes, NAT-PMP yes/, seen.text);
    assert.equal(line(seen, 'Double NAT').seen, 'no, one NAT');
    assert.match(line(seen, 'Double NAT').tried, new RegExp(external.replaceAll('.', '\\.')));
    assert.ok(seen.diagnosis.verdict.do.every((what) => !/PCP/.test(what)), seen.text);
  });

  test('where nothing answers: broken', async () => {
    const { host } = await behind({ site: 35 });
    const { code, output } = await host.run(JACKFIELD, ['doctor', '--server', '198.18.77.77', '--json']);
    const diagnosis = JSON.parse(output);
    assert.equal(diagnosis.verdict.health, 'broken', output);
    assert.match(diagnosis.verdict.text, /cannot be reached from here, neither by UDP nor by TCP/);
    assert.equal(code, 1);
  });

  test('without a server: asks nobody and says what is needed', async () => {
    const router = await behind({ site: 36 });
    const { code, output } = await router.host.run(JACKFIELD, ['doctor']);
    assert.equal(code, 2);
    assert.match(output, /--server is needed/);
    assert.equal((await router.list()).packets.outbound, 0);
  });
});

describe('what the server counts', () => {
  test('tells of discovery, and of help', async () => {
    const internet = await Internet.create();
    const stack = await startJackfieldWithHelper(internet);
    try {
      const { label } = await behaviour(internet.server);
      assert.equal(label, 'open internet');
      const metrics = await internet.server.succeed(process.execPath, ['-e', METRICS]);
      const [asked, helped] = JSON.parse(metrics);
      assert.ok(asked > 0 && helped > 0, metrics);
    } finally {
      await stack.stop();
      internet.remove();
    }
  });
});

const METRICS = `
  const count = async (host, what) => {
    const text = await (await fetch('http://' + host + ':3478/metrics')).text();
    return Number(new RegExp('jackfield_turn_' + what + '_total (\\\\d+)').exec(text)[1]);
  };
  Promise.all([count('${SERVER}', 'discoveries'), count('${SERVER_SECOND}', 'helped_discoveries')])
    .then((counts) => console.log(JSON.stringify(counts)));`;
