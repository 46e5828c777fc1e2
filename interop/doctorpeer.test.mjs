// `jackfield doctor --peer` on two machines behind NATs and firewalls of a lab: both say which path was taken, why
// not a better one, and how good it is.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { run } from './lib/process.mjs';
import { JACKFIELD } from './lib/server.mjs';
import { temporaryFolder } from './lib/temp.mjs';

const folder = temporaryFolder('doctorpeer');
const env = { ...process.env, XDG_RUNTIME_DIR: folder.path, NO_COLOR: '1' };
after(() => folder.remove());

/** Has ann and bob, behind these NATs, examine the path between them; returns what each printed. */
async function meet(cell, home, office) {
  const hosts = ['ann', 'bob'];
  const file = (host, kind) => join(folder.path, `${cell}-${host}.${kind}`);
  const doctor = (host) =>
    `${JACKFIELD} doctor --server http://198.18.0.1:3478 --peer ${cell} --name ${host} --wait 60s --json` +
    ` > ${file(host, 'json')} 2> ${file(host, 'log')}; echo $? > ${file(host, 'code')}`;
  const jobs = hosts.flatMap((host) => ['--run', `${host}=${doctor(host)}`]);
  const sites = ['--site', `home=${home}`, '--site', `office=${office}`, '--host', 'ann@home', '--host', 'bob@office'];
  const { code, output } = await run(JACKFIELD, ['lab', 'run', '--serve', ...sites, ...jobs], { env });
  assert.equal(code, 0, output);
  return hosts.map((host) => {
    const read = (kind) => readFileSync(file(host, kind), 'utf8');
    assert.ok(read('json'), read('log'));
    return { ...JSON.parse(read('json')), code: Number(read('code')) };
  });
}

/** What a path that works has, whatever it is. */
function isMeasured(said) {
  const shown = JSON.stringify(said, null, 1);
  assert.ok(said.rtt_ms.min > 0 && said.rtt_ms.median <= said.rtt_ms.max, shown);
  assert.ok(said.loss.sent >= 100 && said.loss.answered > 0, shown);
  // It is a lower bound: packets may get lost.
  assert.ok(said.mtu > 1248 && said.mtu <= 1500, shown);
  assert.ok(said.bytes_per_second.to_peer > 0 && said.bytes_per_second.from_peer > 0, shown);
}

describe('the doctors of two machines', { concurrency: true }, () => {
  test('behind two NATs of homes they find a direct path, and nothing to do', async () => {
    const [ann, bob] = await meet('homes', 'port-restricted-cone', 'port-restricted-cone');
    for (const [said, other] of [
      [ann, 'bob'],
      [bob, 'ann'],
    ]) {
      assert.equal(said.verdict.kind, 'direct', JSON.stringify(said, null, 1));
      assert.equal(said.peer, other);
      assert.equal(said.expected, 'direct');
      assert.equal(said.cause, null);
      isMeasured(said);
    }
    assert.equal(ann.bytes_per_second.to_peer, bob.bytes_per_second.from_peer);
  });

  test('behind a symmetric NAT they are relayed, and both name the NATs', async () => {
    const [ann, bob] = await meet('symmetric', 'symmetric', 'port-restricted-cone');
    for (const said of [ann, bob]) {
      assert.equal(said.verdict.kind, 'relay-udp', JSON.stringify(said, null, 1));
      assert.equal(said.expected, 'relay');
      assert.equal(said.cause.kind, 'nats');
      assert.equal(said.code, 1);
      isMeasured(said);
    }
    assert.match(ann.verdict.why_not[0], /^This machine's NAT opens another port towards bob/);
    assert.match(bob.verdict.why_not[0], /^Ann's NAT opens another port towards this machine/);
    assert.match(ann.verdict.do[0], /at this network's router/);
    assert.match(bob.verdict.do[0], /at ann's router/);
  });

  test('where no UDP gets out both say on which side', async () => {
    const [ann, bob] = await meet('office', 'port-restricted-cone', 'port-restricted-cone,no-udp');
    for (const [said, who] of [
      [ann, 'there'],
      [bob, 'here'],
    ]) {
      assert.deepEqual(said.cause, { kind: 'udp-blocked', who }, JSON.stringify(said, null, 1));
      assert.notEqual(said.verdict.kind, 'direct');
      assert.equal(said.code, 1);
    }
    assert.match(ann.verdict.why_not[0], /No UDP leaves bob's network/);
    assert.match(bob.verdict.do[0], /Let UDP out of this network: to port 3478/);
  });
});
