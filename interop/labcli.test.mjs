// `jackfield lab`: hosts behind NATs and firewalls in which stock programs run, and the grid of all pairs.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Child, run, succeed } from './lib/process.mjs';
import { JACKFIELD } from './lib/server.mjs';
import { temporaryFolder } from './lib/temp.mjs';
import { until } from './lib/wait.mjs';

const folder = temporaryFolder('lab');
/** Labs are found in a folder of the test's own, so that those of people are not touched. */
const env = { ...process.env, XDG_RUNTIME_DIR: folder.path, NO_COLOR: '1' };
const lab = (args, options) => run(JACKFIELD, ['lab', ...args], { env, ...options });
after(() => folder.remove());

/** Writes a lab to a file and returns the file's path. */
function file(name, text) {
  const path = join(folder.path, `${name}.toml`);
  writeFileSync(path, text);
  return path;
}

/** Answers each datagram to either address of the server with where it came from. */
const REFLECT = `
import select, socket
sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
for s, address in zip(sockets, ("198.18.0.1", "198.18.0.2")):
    s.bind((address, 7000))
print("reflecting", flush=True)
while True:
    for s in select.select(sockets, [], [])[0]:
        data, peer = s.recvfrom(2000)
        s.sendto(f"{peer[0]}:{peer[1]}".encode(), peer)
`;
/** Asks two addresses of the server from one socket, and prints what they see. */
const ASK = `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(60)
for server in ("198.18.0.1", "198.18.0.2"):
    s.sendto(b"?", (server, 7000))
    print("seen as", s.recv(2000).decode(), flush=True)
`;

describe('programs in a lab', () => {
  test('turnutils_natdiscovery names the NAT that a site was given, asking our server', async () => {
    const { code, output } = await lab([
      ...['run', '--serve', '--site', 'home=address-dependent/endpoint-independent', '--host', 'ann@home'],
      ...['--', 'turnutils_natdiscovery', '-m', '-f', '198.18.0.1'],
    ]);
    assert.equal(code, 0, output);
    assert.match(output, /NAT with Address Dependent Mapping!/);
    assert.match(output, /NAT with Endpoint Independent Filtering!/);
  });

  test('behind two NATs in a row the outer one is seen, and each host finds the others by name', async () => {
    const path = file('double', `
      [site.home]
      nat = ["full-cone", "symmetric"]
      [host.ann]
      site = "home"
      [host.bob]
      [[command]]
      on = "server"
      run = ["python3", "-c", '''${REFLECT}''']
      background = true
      ready = "reflecting"
      [[command]]
      on = "ann"
      run = ["python3", "-c", '''${ASK}''']
      [[command]]
      on = "ann"
      run = "ping -c 1 bob; getent hosts server"
    `);
    const { code, output } = await lab(['run', path]);
    assert.equal(code, 0, output);
    const seen = [...output.matchAll(/ann +\| seen as ([\d.]+):(\d+)/g)];
    assert.deepEqual(seen.map(([, ip]) => ip), ['198.18.1.1', '198.18.1.1']);
    assert.notEqual(seen[0][2], seen[1][2], 'the outer one is symmetric');
    assert.match(output, /ann +\| 1 packets transmitted, 1 received/);
    assert.match(output, /ann +\| 198\.18\.0\.1 +server/);
  });

  test('hosts of one site share its NAT, and are on one link', async () => {
    const { code, output } = await lab([
      ...['run', '--site', 'home=port-restricted-cone', '--host', 'ann@home', '--host', 'bob@home'],
      ...['--run', 'ann=ip route get $LAB_IP_BOB; ping -c 1 bob; echo $LAB_PUBLIC_IP_ANN $LAB_PUBLIC_IP_BOB'],
    ]);
    assert.equal(code, 0, output);
    assert.match(output, /10\.1\.0\.2 dev eth0/);
    assert.match(output, /198\.18\.1\.1 198\.18\.1\.1/);
  });

  test('a firewall lets out what it is told to and nothing else', async () => {
    const probe = (name) => `${name}=for url in https://server http://server:3478; do ` +
      'curl -sk -m 10 -o /dev/null -w "$url %{http_code}\\n" $url/healthz; done; true';
    const { code, output } = await lab([
      ...['run', '--serve', '--site', 'office=only-https', '--site', 'flat=no-udp', '--host', 'ann@office'],
      ...['--host', 'bob@flat', '--run', probe('ann'), '--run', probe('bob')],
    ]);
    assert.equal(code, 0, output);
    assert.match(output, /ann +\| https:\/\/server 200/);
    assert.match(output, /ann +\| http:\/\/server:3478 000/);
    assert.match(output, /bob +\| http:\/\/server:3478 200/);
  });

  test('no UDP leaves a site with no-udp, and what a public host hears from outside it hears', async () => {
    const send = 'python3 -c "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)\n' +
      's.sendto(b\\"?\\", (\\"198.18.0.1\\", 7000)); print(s.recv(99))"';
    const path = file('walled', `
      [site.flat]
      nat = "full-cone"
      firewall = "no-udp"
      [host.ann]
      site = "flat"
      [host.bob]
      [[command]]
      on = "server"
      run = ["python3", "-c", '''${REFLECT}''']
      background = true
      ready = "reflecting"
      [[command]]
      on = "ann"
      run = '''${send} 2>&1 | grep -o "timed out"'''
      [[command]]
      on = "bob"
      run = '''${send}'''
      [[command]]
      on = "server"
      run = "ping -c 1 bob"
    `);
    const { code, output } = await lab(['run', path]);
    assert.equal(code, 0, output);
    assert.match(output, /ann +\| timed out/);
    assert.match(output, /bob +\| b'198\.18\.\d+\.1:\d+'/);
  });

  test('a link is as slow as it is told to be', async () => {
    const { output } = await lab([
      ...['run', '-q', '--site', 'far=linux,latency=30ms', '--host', 'ann@far', '--', 'ping', '-c', '2', '-i', '0.2', 'server'],
    ]);
    const [, fastest] = /min\/avg\/max\/mdev = ([\d.]+)\//.exec(output) ?? assert.fail(output);
    assert.ok(Number(fastest) >= 60, output);
  });

  test('IPv6 goes out through a firewall that lets answers in and nobody else', async () => {
    const { code, output } = await lab([
      ...['run', '--ipv6', '--site', 'home=symmetric', '--host', 'ann@home', '--host', 'bob'],
      ...['--run', 'ann=ping -6 -c 1 bob', '--run', 'bob=ping -6 -c 1 -W 1 ann | grep "100% packet loss"'],
    ]);
    assert.equal(code, 0, output);
    assert.match(output, /ann +\| 1 packets transmitted, 1 received/);
  });
});

describe('the exit code of a lab', () => {
  test('is the worst of the programs in the foreground', async () => {
    const { code, output } = await lab([
      ...['run', '--host', 'ann', '--run', 'ann=exit 3', '--run', 'server=exit 5', '--run', 'ann=true', '--start', 'ann=exit 9'],
    ]);
    assert.equal(code, 5, output);
  });

  test('is that of the program with the terminal, which has its standard input', async () => {
    const child = new Child(JACKFIELD, ['lab', 'run', '-q', '--host', 'ann', '--', 'sh', '-c', 'read code; exit $code'], {
      env,
      stdin: 'pipe',
    });
    child.process.stdin.end('7\n');
    assert.equal(await child.ended, 7, child.output);
  });

  test('is 1 when a program ends before it is ready, and says so', async () => {
    const path = file('unready', '[[command]]\non = "server"\nrun = "exit 4"\nbackground = true\nready = "up"\n');
    const { code, output } = await lab(['run', path]);
    assert.equal(code, 1);
    assert.match(output, /exit on server ended with 4 before it printed `up`/);
  });

  test('is 143 when it is told to end', async () => {
    const child = new Child(JACKFIELD, ['lab', 'run', '--host', 'ann', '--run', 'ann=echo begun; sleep 1000'], { env });
    await until(() => child.output.includes('begun'), 'the program');
    await child.stop();
    assert.equal(await child.ended, 143, child.output);
  });
});

describe('a lab that cannot be', () => {
  const cases = {
    'a NAT that there is not': ['[site.home]\nnat = "cone"', /site\.home\.nat cannot be `cone`: accepted is full-cone/],
    'a key that there is not': ['[site.home]\nnatt = "linux"', /line 2[^]*natt[^]*`nat`/],
    'a site that there is not': ['[host.ann]\nsite = "hone"\n[site.home]', /host\.ann\.site is `hone`.*there is home/],
    'a host that there is not': ['[[command]]\non = "ann"\nrun = "ls"', /the host of command 1 is `ann`.*server/],
    'a firewall that there is not': ['[site.a]\nfirewall = "x"', /site\.a\.firewall cannot be `x`.*no-udp/],
    'a loss of more than all': ['[site.a]\nloss = 101', /site\.a\.loss cannot be `101`.*percentage/],
    'sites that are behind each other': ['[site.a]\nnat = "pf"\nbehind = "b"\n[site.b]\nnat = "pf"\nbehind = "a"', /leads back/],
    'no TOML': ['[site', /line 1/],
  };
  for (const [name, [text, message]] of Object.entries(cases)) {
    test(`is wrong use: ${name}`, async () => {
      const { code, output } = await lab(['run', file('wrong', text)]);
      assert.equal(code, 2, output);
      assert.match(output, message);
    });
  }

  test('is wrong use in flags, too', async () => {
    const { code, output } = await lab(['run', '--site', 'home=symetric']);
    assert.equal(code, 2);
    assert.match(output, /--site home\.nat cannot be `symetric`.*symmetric/);
  });

  test('says why a user may have none', async () => {
    // Without a way into /dev/net/tun there is no router; the message names it.
    const { code, output } = await lab(['run', '--site', 'home=linux', '--host', 'ann@home', '--', 'true'], {
      ...NOBODY,
      env: { PATH: process.env.PATH, TMPDIR: nobodysFolder() },
    });
    if (canOpenTun()) {
      assert.equal(code, 0, output);
    } else {
      assert.equal(code, 1, output);
      assert.match(output, /namespaces may not be made|\/dev\/net\/tun open to you/);
    }
  });
});

const NOBODY = { uid: 65_534, gid: 65_534, cwd: '/' };
/** A folder that everybody may write to. */
function nobodysFolder() {
  const path = join(folder.path, 'nobody');
  mkdirSync(path, { recursive: true });
  chmodSync(folder.path, 0o755);
  chmodSync(path, 0o777);
  return path;
}
const canOpenTun = () => (statSync('/dev/net/tun').mode & 0o006) === 0o006;

describe('a user who is not root', () => {
  test('has a lab in a user namespace, where /dev/net/tun is open', async (t) => {
    const allowed = await run('unshare', ['--user', '--map-root-user', '--net', 'true'], NOBODY);
    if (allowed.code !== 0) return t.skip(`the kernel refuses: ${allowed.output.trim()}`);
    // In mounts of its own the test opens the device, as udev does on most machines.
    const node = join(folder.path, 'tun');
    const script = [
      `mknod -m 666 ${node} c 10 200`,
      `mount --bind ${node} /dev/net/tun`,
      `cp ${JACKFIELD} ${folder.path}/jackfield`,
      'cd /; exec setpriv --reuid 65534 --regid 65534 --clear-groups env -u XDG_RUNTIME_DIR ' +
        `TMPDIR=${nobodysFolder()} ${folder.path}/jackfield lab run --serve --site home=symmetric --host ann@home -- ` +
        'sh -c "id -u; ping -c 1 server; curl -s http://server:3478/healthz"',
    ];
    const { code, output } = await run('unshare', ['--mount', 'sh', '-ec', script.join('\n')], { env });
    assert.equal(code, 0, output);
    assert.match(output, /1 packets transmitted, 1 received/);
    assert.match(output, /ok/);
  });
});

describe('a lab that stays', () => {
  after(() => lab(['down', 'stay']));

  test('is found, entered, changed and ended by other processes', async () => {
    const up = await lab(['up', '--name', 'stay', '--site', 'home=port-restricted-cone', '--host', 'ann@home', '--host', 'bob']);
    assert.equal(up.code, 0, up.output);
    const [state] = JSON.parse(await succeed(JACKFIELD, ['lab', 'list', '--json'], { env }));
    assert.equal(state.name, 'stay');
    assert.deepEqual(state.hosts.ann.addresses, ['10.1.0.1']);

    const inside = await lab(['exec', 'ann', '--', 'sh', '-c', 'hostname; echo $LAB_PUBLIC_IP; ping -c 1 bob; exit 6']);
    assert.equal(inside.code, 6, inside.output);
    assert.match(inside.output, /^ann\n198\.18\.1\.1\n[^]*1 received/);

    const control = ['--control', state.sites.home.control];
    await succeed(JACKFIELD, ['nat', 'set', '--profile', 'symmetric', ...control]);
    const router = JSON.parse(await succeed(JACKFIELD, ['nat', 'list', '--json', ...control]));
    assert.equal(router.mapping, 'address-and-port-dependent');

    const twice = await lab(['up', '--name', 'stay']);
    assert.equal(twice.code, 1);
    assert.match(twice.output, /a lab called stay is running/);
    const nobody = await lab(['exec', 'eve', 'true']);
    assert.match(nobody.output, /no host is called eve: there is ann, bob, server/);

    assert.equal((await lab(['down'])).code, 0);
    assert.deepEqual(JSON.parse(await succeed(JACKFIELD, ['lab', 'list', '--json'], { env })), []);
    assert.ok(!isThere(state.inside), 'the process that held it is gone');
  });

  test('that fails says why', async () => {
    const { code, output } = await lab(['up', '--name', 'fails', '--start', 'server=true', file('bad', '[[command]]\non = "server"\nrun = "exit 4"\nbackground = true\nready = "x"')]);
    assert.equal(code, 1);
    assert.match(output, /before it printed `x`/);
  });
});

const isThere = (pid) => existsSync(`/proc/${pid}`);

/** The processes whose command line has a word in it. */
function processes(word) {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word);
    } catch {
      return false;
    }
  });
}

/** The network namespaces that a process holds, by their numbers. */
function held(pid) {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  return new Set(links.flatMap((link) => /^net:\[(\d+)\]$/.exec(link)?.[1] ?? []));
}

/** Those of some network namespaces that a process of this machine is in: without any, the kernel removes them. */
function inhabited(namespaces) {
  const all = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid));
  return all.filter((pid) => {
    try {
      return namespaces.has(String(statSync(`/proc/${pid}/ns/net`).ino));
    } catch {
      return false;
    }
  });
}

/** The interfaces of this machine that are called like those of a lab. */
async function interfaces() {
  const all = JSON.parse(await succeed('ip', ['-j', 'link'])).map(({ ifname }) => ifname);
  return all.filter((name) => /^(site|host|wan|lan|server)/.test(name));
}

describe('a lab whose process is killed outright', () => {
  for (const victim of ['supervisor', 'inside']) {
    test(`leaves no process, namespace or interface: ${victim}`, async () => {
      const mark = `lab-test-${process.pid}-${victim}`;
      const child = new Child(JACKFIELD, [
        ...['lab', 'run', '--name', victim, '--serve', '--site', 'home=symmetric', '--host', 'ann@home', '--host', 'bob'],
        // One that left its group and session, one in the background of a shell.
        ...['--start', `bob=setsid sh -c ': ${mark}; sleep 1000'`, '--run', `ann=sh -c ': ${mark}; sleep 1000' & echo begun; wait`],
      ], { env });
      const state = join(folder.path, 'jackfield-lab', victim, 'state.json');
      await until(() => existsSync(state) && child.output.includes('begun'), 'the lab', { signal: gone(child) });
      await until(() => processes(mark).length >= 4, 'its programs');
      const { supervisor, inside } = JSON.parse(readFileSync(state, 'utf8'));
      const namespaces = held(inside);
      assert.equal(namespaces.size, 6, 'the internet, three hosts, two sites');
      assert.ok(inhabited(namespaces).length >= 4);

      process.kill({ supervisor, inside }[victim], 'SIGKILL');
      await child.ended;
      await until(() => processes(mark).length === 0, 'the end of its programs');
      await until(() => !isThere(inside) && !isThere(supervisor), 'the end of the lab');
      assert.deepEqual(inhabited(namespaces), []);
      assert.deepEqual(await interfaces(), []);
      // What it leaves is a folder, which the next lab removes.
      assert.equal((await lab(['run', '-q', '--host', 'ann', '--', 'true'])).code, 0);
      assert.ok(!existsSync(state));
    });
  }
});

describe('hosts without a way of their own to IPv4', () => {
  test('a host behind a NAT64 has IPv6 alone, and reaches the server by its name and by LAB_SERVER', async () => {
    const script = 'ping -c 1 -W 5 server && ping -6 -c 1 -W 5 $LAB_SERVER && ! ping -4 -c 1 -W 1 198.18.0.1';
    const { code, output } = await lab(['run', '--site', 'v6=nat64', '--host', 'ann@v6', '--run', `ann=${script}`]);
    assert.equal(code, 0, output);
    assert.match(output, /64:ff9b::c612:1/);
  });

  test('with IPv6 in the lab a host behind a NAT64 has that, too', async () => {
    const script = 'ping -6 -c 1 -W 5 2001:db8::1 && ping -6 -c 1 -W 5 $LAB_SERVER';
    const { code, output } = await lab(['run', '--ipv6', '--site', 'v6=nat64', '--host', 'ann@v6', '--run', `ann=${script}`]);
    assert.equal(code, 0, output);
  });

  test('a host behind a proxy reaches what the proxy opens, and nothing else', async () => {
    const script = 'curl -sf -m 10 http://server:7080/ > /dev/null && ! curl -sf -m 2 --noproxy "*" http://server:7080/';
    const path = file('proxied', `
[site.office]
proxy = "socks"
[host.ann]
site = "office"
[[command]]
on = "server"
run = ["python3", "-u", "-m", "http.server", "--bind", "198.18.0.1", "7080"]
background = true
ready = "Serving HTTP"
[[command]]
on = "ann"
run = '${script}'
`);
    const { code, output } = await lab(['run', path]);
    assert.equal(code, 0, output);
  });
});

/** Is aborted when a program ends. */
function gone(child) {
  const controller = new AbortController();
  child.ended.then((code) => controller.abort(new Error(`ended with ${code}:\n${child.output}`)));
  return controller.signal;
}

describe('the grid', () => {
  // Each kind of path once; the whole grid is `jackfield lab grid`.
  const TYPES = [
    ...['open', 'full-cone', 'port-restricted-cone', 'symmetric', 'linux+cgn', 'nat64', 'no-udp', 'only-https'],
    ...['http-proxy', 'socks-proxy'],
  ];
  let grid;
  let page;

  before(async () => {
    page = join(folder.path, 'grid.html');
    const args = ['grid', '--types', TYPES.join(), '--json', '--html', page];
    const { code, output } = await lab(args, { timeout: 400_000 });
    assert.equal(code, 0, output);
    grid = JSON.parse(output);
  });

  const cell = (a, b) => grid.cells.find((it) => it.a === a && it.b === b);

  test('has every pair of the types', () => {
    assert.deepEqual(grid.types.map(({ name }) => name), TYPES);
    assert.equal(grid.cells.length, TYPES.length ** 2);
    assert.ok(grid.agrees);
  });

  test('finds direct paths exactly where the oracle says', async () => {
    const nats = TYPES.slice(1, 4);
    const output = await succeed(JACKFIELD, ['nat', 'oracle', '--json', 'public', ...nats]);
    const verdicts = JSON.parse(output);
    assert.equal(verdicts.length, 10);
    const name = (nat) => (nat === 'public' ? 'open' : nat);
    for (const { a, b, path } of verdicts) {
      for (const [x, y] of [[a, b], [b, a]]) {
        const { best } = cell(name(x), name(y));
        assert.equal(best === 'direct', path === 'direct', `${x} to ${y}`);
      }
    }
  });

  test('uses a relay only where there is no direct path, by the first transport that gets out', () => {
    for (const [a, b, best, relays] of [
      ['symmetric', 'port-restricted-cone', 'relay-udp', undefined],
      ['full-cone', 'no-udp', 'direct-tcp', [null, null]],
      ['full-cone', 'socks-proxy', 'relay-tcp', [null, 'tcp']],
      ['open', 'http-proxy', 'relay-tls', [null, 'tls']],
      ['only-https', 'socks-proxy', 'relay-tls', ['tls', 'tcp']],
    ]) {
      assert.equal(cell(a, b).best, best, `${a} to ${b}`);
      if (relays) assert.deepEqual(cell(a, b).path.relays, relays);
    }
  });

  test('names the addresses that a path uses', () => {
    const pair = (a, b) => cell(a, b).path.pair;
    assert.equal(pair('open', 'open'), 'H-H');
    assert.equal(pair('full-cone', 'port-restricted-cone'), 'S-S');
    assert.equal(pair('open', 'symmetric'), 'H-P');
    assert.equal(pair('symmetric', 'no-udp'), 'Pt-Ht');
    assert.equal(pair('only-https', 'http-proxy'), 'R-R');
    for (const { path } of grid.cells) {
      assert.equal(path.pair.includes('R'), path.relays.some(Boolean));
      assert.equal(path.pair.includes('t'), path.tcp);
    }
  });

  test('gives a reason in plain words', () => {
    assert.match(cell('symmetric', 'port-restricted-cone').why, /opens another port/);
    assert.match(cell('no-udp', 'open').why, /No UDP leaves/);
  });

  test('is a page that needs nothing from elsewhere', () => {
    const text = readFileSync(page, 'utf8');
    assert.doesNotMatch(text, /https?:\/\/|src=|@import|url\(/);
    assert.equal(text.match(/<td class="/g).length, TYPES.length ** 2);
  });

  test('has any types in any row, and a table without colours where there is no terminal', async () => {
    const { code, output } = await lab(['grid', '--types', 'linux+cgn,apdm/eif+no-udp']);
    assert.equal(code, 0, output);
    assert.doesNotMatch(output, /\x1b/);
    assert.match(output, /All 4 pairs came out as they must/);
    const wrong = await lab(['grid', '--types', 'open,cone']);
    assert.equal(wrong.code, 2);
    assert.match(wrong.output, /--types cannot be `cone`/);
  });
});
