// The doctor behind NATs, firewalls, portals and proxies, as a page and as a command: its verdict is what the network allows.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Browser } from './lib/browser.mjs';
import { startTwoAddressJackfield } from './lib/discovery.mjs';
import { Internet, SERVER_SECOND } from './lib/internet.mjs';
import { FIREWALL, NAT } from './lib/nat.mjs';
import { JACKFIELD } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

/** Rules for packets from the inside. */
const NO_UDP_NO_TLS = `${FIREWALL.noUdp}
      tcp dport 443 drop`;
const NO_RELAY_PORTS = 'udp dport 49152-65535 drop';

/** A program that connects to whatever it is asked to. */
const CONNECT_PROXY = `
  const net = require('node:net');
  require('node:http').createServer().on('connect', ({ url }, socket) => {
    const [host, port] = url.split(':');
    const onward = net.connect(port, host, () => {
      socket.write('HTTP/1.1 200 Connected\\r\\n\\r\\n');
      socket.pipe(onward).pipe(socket);
    });
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
  }).listen(8080, () => console.log('ready'));`;

/** Has a router take all connections of its network itself. */
const PORTAL = `table ip portal {
  chain taken { type nat hook prerouting priority dstnat; iifname "lan" meta l4proto tcp redirect to :8080; }
}`;

/** A program that answers every request with a page for people. */
const portalPage = (status) => `
  require('node:net').createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', () => socket.end('HTTP/1.1 ${status}\\r\\nContent-Type: text/html\\r\\n' +
      'Content-Length: 5\\r\\nConnection: close\\r\\n\\r\\nhello'));
  }).listen(8080, () => console.log('ready'));`;

/** How long an examination may take: browsers wait ten seconds and more for a silent server. */
const EXAMINED = 60_000;

describe('the doctor in a browser', () => {
  let internet;
  let server;
  const browsers = [];
  let sites = 0;

  before(async () => {
    internet = await Internet.create();
    server = await startTwoAddressJackfield(internet, ['--listen-tls', '0.0.0.0:443', '--tls-self-signed']);
  });
  after(async () => {
    for (const browser of browsers) await browser.stop();
    await server?.stop();
    internet?.remove();
  });

  /** Opens the page behind a router, and resolves with it once it has its verdict. */
  const examine = async ({ nat = NAT.portRestricted, firewall, address = server.url }) => {
    sites += 1;
    const { host } = await internet.home(`home${sites}`, { site: sites, nat, firewall });
    const browser = await Browser.start({ namespace: host, origin: address });
    browsers.push(browser);
    const page = await browser.open(`${address}/doctor`);
    await page.until(() => document.body.dataset.state === 'done', null, 'the doctor to end', { timeout: EXAMINED });
    const report = await page.evaluate(() => globalThis.jackfield.report);
    const shown = await page.evaluate(() => ({
      verdict: document.querySelector('[data-verdict]').textContent,
      why: [...document.querySelectorAll('[data-list="why"] li')].map((item) => item.textContent),
      do: [...document.querySelectorAll('[data-list="do"] li')].map((item) => item.textContent),
      checks: Object.fromEntries([...document.querySelectorAll('[data-check]')].map(({ dataset }) => [dataset.check, dataset.health])),
    }));
    // People and programs are told the same.
    assert.equal(shown.verdict, report.verdict.text);
    assert.deepEqual(shown.why, report.verdict.why_not);
    assert.deepEqual(shown.do, report.verdict.do);
    return { page, report, shown, kinds: report.problems.map(({ kind }) => kind) };
  };

  test('behind a NAT that keeps its address: most peers, and every relay carries a call', async () => {
    const { page, report, shown, kinds } = await examine({});
    const told = JSON.stringify(report, null, 1);
    assert.equal(report.verdict.kind, 'most-peers', told);
    assert.equal(report.verdict.health, 'ok', told);
    assert.deepEqual(kinds, []);
    for (const topic of ['Signaling', 'Polling', 'UDP', 'Mapping', 'Clock', 'Relay UDP', 'Relay TCP', 'Relay TLS']) {
      assert.equal(shown.checks[topic], 'ok', `${topic}: ${told}`);
    }
    for (const relay of report.facts.relays) assert.ok(relay.isFromOutside, told);

    // What is copied is what is shown, without a password.
    const copied = async (action) =>
      page.evaluate(async (name) => {
        const wanted = new Promise((resolve) => {
          navigator.clipboard.writeText = async (content) => resolve(content);
        });
        document.querySelector(`[data-action="${name}"]`).click();
        return wanted;
      }, action);
    const text = await copied('copy-text');
    assert.match(text, /^VERDICT {2}\[OK\] Direct connections to most peers/);
    assert.match(text, /^ ok {2}Relay TLS/m);
    const json = await copied('copy-json');
    assert.deepEqual(JSON.parse(json), report);
    assert.doesNotMatch(text + json, /credential"|username|password/);
  });

  test('behind a symmetric NAT: few peers, and what to do', async () => {
    const { report } = await examine({ nat: NAT.symmetric });
    assert.equal(report.verdict.kind, 'few-peers', JSON.stringify(report, null, 1));
    assert.equal(report.verdict.health, 'degraded');
    assert.equal(report.relay, 'works');
    assert.ok(report.verdict.do.some((step) => step.includes('"full cone"')));
  });

  test('where UDP is blocked: a relay over TCP alone', async () => {
    const { report, shown, kinds } = await examine({ firewall: FIREWALL.noUdp });
    const told = JSON.stringify(report, null, 1);
    assert.equal(report.verdict.kind, 'relay-over-tcp-only', told);
    assert.deepEqual(kinds, ['udp-silent'], told);
    assert.deepEqual([shown.checks.UDP, shown.checks['Relay TCP']], ['broken', 'ok'], told);
  });

  test('where all but HTTPS is blocked: a relay inside TLS alone', async () => {
    const { report, shown } = await examine({ firewall: FIREWALL.onlyTcp443, address: server.secureUrl });
    const told = JSON.stringify(report, null, 1);
    assert.equal(report.verdict.kind, 'relay-over-tls-only', told);
    assert.deepEqual([shown.checks['Relay TCP'], shown.checks['Relay TLS']], ['broken', 'ok'], told);
  });

  test('where UDP and TLS are blocked: the relay over TCP, and which one fails', async () => {
    const { report, shown } = await examine({ firewall: NO_UDP_NO_TLS });
    const told = JSON.stringify(report, null, 1);
    assert.equal(report.verdict.kind, 'relay-over-tcp-only', told);
    assert.equal(shown.checks['Relay TLS'], 'broken', told);
    const failed = report.problems.find(({ kind }) => kind === 'relay-unreachable');
    assert.match(failed.why, /^The relay turns:/, told);
  });

  test("where a firewall drops what is sent to the relays' ports", async () => {
    const { report, kinds } = await examine({ firewall: NO_RELAY_PORTS });
    const told = JSON.stringify(report, null, 1);
    assert.ok(kinds.includes('relay-ports-closed'), told);
    assert.equal(report.verdict.health, 'degraded', told);
    assert.ok(report.verdict.do.some((step) => step.includes("let in UDP to the relays' ports")), told);
  });

  describe('and as a command, where a network is broken in a way of its own', { concurrency: 3 }, () => {
    /** Runs the doctor behind a router, and resolves with its exit code and what it says. */
    const command = async ({ nat = NAT.portRestricted, firewall, prepare, address = server.url, env = {} }) => {
      sites += 1;
      const { router, host } = await internet.home(`home${sites}`, { site: sites, nat, firewall });
      await prepare?.(router, host);
      const args = ['doctor', '--server', address, '--insecure', '--json'];
      const { code, output } = await host.run(JACKFIELD, args, { env: { ...process.env, ...env } });
      const diagnosis = JSON.parse(output);
      return { code, output, diagnosis, kinds: diagnosis.problems.map(({ kind }) => kind) };
    };

    const advises = ({ diagnosis, output }, what) =>
      assert.ok(diagnosis.verdict.do.some((step) => step.includes(what)), output);

    test('a router that drops large packets without a word', async () => {
      const seen = await command({ firewall: 'meta length > 1420 drop' });
      assert.deepEqual(seen.kinds.slice(0, 1), ['mtu-black-hole'], seen.output);
      const line = seen.diagnosis.lines.find(({ topic }) => topic === 'MTU v4');
      assert.match(line.seen, /^1420 bytes of the 1500/);
      advises(seen, 'let ICMP through');
      assert.equal(seen.code, 1);
    });

    test('a router that says that packets are too large', async () => {
      const prepare = (router) => router.namespace.ip('link', 'set', 'wan', 'mtu', '1400');
      const seen = await command({ prepare });
      const line = seen.diagnosis.lines.find(({ topic }) => topic === 'MTU v4');
      assert.match(line.seen, /^1400 bytes of the 1500/, seen.output);
      assert.match(line.means, /^The router 10\.\d+\.0\.1 said so/);
      assert.ok(!seen.kinds.includes('mtu-black-hole'), seen.output);
      assert.equal(seen.code, 0, seen.output);
    });

    test('a captive portal that answers with its page', async () => {
      const seen = await behindPortal('200 OK');
      assert.equal(seen.diagnosis.verdict.kind, 'captive-portal', seen.output);
      advises(seen, 'log in, and run this again');
      assert.equal(seen.code, 1);
    });

    test('a captive portal that sends people to another site', async () => {
      const seen = await behindPortal('302 Found\\r\\nLocation: http://login.hotel.example/');
      assert.equal(seen.diagnosis.verdict.kind, 'captive-portal', seen.output);
      advises(seen, 'Open http://login.hotel.example/ in a browser');
      assert.equal(seen.code, 1);
    });

    /** Has a router answer every web page itself, and drop all else. */
    const behindPortal = async (status) => {
      const portals = [];
      const prepare = async ({ namespace }) => {
        await namespace.succeed('nft', [PORTAL]);
        const portal = namespace.start(process.execPath, ['-e', portalPage(status)]);
        portals.push(portal);
        await until(() => portal.output.includes('ready'), 'the portal');
      };
      try {
        return await command({ prepare, firewall: 'meta l4proto { tcp, udp } drop' });
      } finally {
        for (const portal of portals) await portal.stop();
      }
    };

    test('an http: URL where only HTTPS gets out', async () => {
      const seen = await command({ firewall: FIREWALL.onlyTcp443 });
      assert.equal(seen.diagnosis.verdict.kind, 'only-https', seen.output);
      advises(seen, `--server ${server.secureUrl}:443`);
      assert.equal(seen.code, 1);
      const right = await command({ firewall: FIREWALL.onlyTcp443, address: server.secureUrl });
      assert.equal(right.diagnosis.verdict.kind, 'relay-over-tcp-only', right.output);
    });

    test('a network with two uplinks', async () => {
      const second = '198.18.99.9';
      const seen = await command({
        nat: `ip daddr ${SERVER_SECOND} snat to ${second}
        oifname "wan" masquerade`,
        prepare: (router) => router.namespace.address('wan', `${second}/15`),
      });
      assert.ok(seen.kinds.includes('several-uplinks'), seen.output);
      assert.ok(!seen.kinds.includes('nat-maps-by-destination'), seen.output);
      assert.doesNotMatch(seen.output, /full cone"/);
      advises(seen, 'source-based balancing');
      assert.equal(seen.code, 1);
    });

    test('a proxy that is the only way out', async () => {
      const proxies = [];
      const prepare = async ({ namespace }) => {
        const proxy = namespace.start(process.execPath, ['-e', CONNECT_PROXY]);
        proxies.push(proxy);
        await until(() => proxy.output.includes('ready'), 'the proxy');
      };
      try {
        const env = { https_proxy: `http://bertha:hunter2@10.${sites + 1}.0.1:8080` };
        const firewall = 'meta l4proto { tcp, udp } drop';
        const seen = await command({ prepare, firewall, env, address: server.secureUrl });
        assert.equal(seen.diagnosis.verdict.kind, 'relay-by-proxy-only', seen.output);
        assert.deepEqual(seen.kinds, ['proxy-needed'], seen.output);
        assert.doesNotMatch(seen.output, /bertha|hunter2/);
        assert.equal(seen.code, 1);
      } finally {
        for (const proxy of proxies) await proxy.stop();
      }
    });
  });

  test('the start page leads to it', async () => {
    const browser = await Browser.start({ namespace: internet.server, origin: server.url });
    browsers.push(browser);
    const page = await browser.open(`${server.url}/`);
    const href = await page.evaluate(() => document.querySelector('[data-action="doctor"]').getAttribute('href'));
    assert.equal(href, '/doctor');
  });
});
