// The unmodified client of MDN's chat sample: it registers, sees who is there, chats, and exchanges offers, answers and
// candidates, at both paths that it may be pointed at.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import { doorContract } from './lib/door_contract.mjs';
import { MdnClient } from './lib/mdn_client.mjs';
import { startJackfield } from './lib/server.mjs';
import { until } from './lib/wait.mjs';

/** A description as browsers make it, with what a careless server would change. */
const SDP = 'v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=x:é✓ "\\/<b>\r\n';

/** Takes the first message that a condition holds for out of those received, and leaves all others. */
const take = (client, condition) =>
  until(() => {
    const index = client.received.findIndex(condition);
    return index >= 0 && client.received.splice(index, 1)[0];
  }, 'a message', { every: 5 });

for (const path of ['/', '/signal']) {
  describe(`MDN's client at ${path}`, () => {
    let server;
    let clients = [];
    before(async () => {
      server = await startJackfield();
    });
    afterEach(async () => {
      await Promise.all(clients.map((client) => client.close()));
      clients = [];
      // Whoever comes next finds nobody, though a client may know of its end before the list does.
      const isEmpty = async () => /^jackfield_signal_members 0$/m.test(await (await fetch(`${server.url}/metrics`)).text());
      await until(isEmpty, 'everybody to be off the list');
    });
    after(() => server?.stop());

    const connect = async (name, protocols) => {
      const client = await MdnClient.connect(`ws://127.0.0.1:${server.port}${path}`, protocols);
      clients.push(client);
      if (name) await client.register(name);
      return client;
    };
    const three = async () => {
      const all = [];
      for (const name of ['ann', 'bob', 'cyd']) all.push(await connect(name));
      // Everybody has heard of the last when the last has.
      const complete = (message) => message.type === 'userlist' && message.users.includes('cyd');
      for (const client of all.slice(0, 2)) await client.first(complete);
      return all;
    };

    test('is given its subprotocol, and an id of its own', async () => {
      const [one, other] = [await connect(), await connect()];
      assert.equal(one.socket.protocol, 'json');
      assert.equal(typeof one.id, 'number');
      assert.notEqual(one.id, other.id);
    });

    test('connects without a subprotocol too', async () => {
      const client = await connect('ann', []);
      assert.equal(client.name, 'ann');
    });

    test('registers, and everybody is told who is there', async () => {
      const ann = await connect('ann');
      const bob = await connect();
      bob.send({ name: 'bob', date: 1, id: bob.id, type: 'username' });
      for (const client of [ann, bob]) {
        const { users } = await client.first(({ type, users }) => type === 'userlist' && users.includes('bob'));
        assert.deepEqual(users, ['ann', 'bob']);
      }
    });

    test('whose name is taken gets another, before the list with it', async () => {
      await connect('ann');
      const second = await connect();
      second.send({ name: 'ann', date: 1, id: second.id, type: 'username' });
      const rejected = await second.first(({ type, users }) => type === 'rejectusername' || users?.length === 2);
      assert.equal(rejected.type, 'rejectusername');
      assert.equal(rejected.id, second.id);
      assert.notEqual(rejected.name, 'ann');
      const { users } = await second.first(({ type, users }) => type === 'userlist' && users.length === 2);
      assert.deepEqual(users, ['ann', rejected.name]);
    });

    test('chats: everybody gets the text with its author, and without tags', async () => {
      const all = await three();
      all[0].send({ text: 'hi <b>there</b>', type: 'message', id: all[0].id, date: 4 });
      for (const client of all) {
        const { text, name, date } = await client.next('message');
        assert.deepEqual({ text, name, date }, { text: 'hi there', name: 'ann', date: 4 });
      }
    });

    test('calls: the other gets offer, answer and candidates as they were sent, in order, and nobody else', async () => {
      const [ann, bob, cyd] = await three();
      const candidates = [0, 1, 2].map((n) => ({
        candidate: `candidate:${n} 1 udp 2122260223 192.0.2.1 5${n} typ host`,
        sdpMid: '0',
        sdpMLineIndex: 0,
        usernameFragment: 'abcd',
      }));

      ann.send({ name: 'ann', target: 'bob', type: 'video-offer', sdp: { type: 'offer', sdp: SDP } });
      for (const candidate of candidates) ann.send({ type: 'new-ice-candidate', target: 'bob', candidate });
      const offer = await bob.next('video-offer');
      assert.equal(offer.name, 'ann');
      assert.deepEqual(offer.sdp, { type: 'offer', sdp: SDP });
      assert.ok(offer.raw.includes(JSON.stringify(offer.sdp)), 'the description is passed on byte for byte');
      for (const candidate of candidates) {
        assert.deepEqual((await bob.next('new-ice-candidate')).candidate, candidate);
      }

      bob.send({ name: 'bob', target: 'ann', type: 'video-answer', sdp: { type: 'answer', sdp: SDP } });
      const answer = await ann.next('video-answer');
      assert.deepEqual([answer.name, answer.sdp], ['bob', { type: 'answer', sdp: SDP }]);

      ann.send({ text: 'a fence', type: 'message', id: ann.id, date: 5 });
      const toCyd = await cyd.first(() => true);
      assert.equal(toCyd.text, 'a fence');
    });

    test('cannot speak in the name of another', async () => {
      const [ann, bob] = await three();
      ann.send({ name: 'cyd', target: 'bob', type: 'video-offer', sdp: { type: 'offer', sdp: SDP } });
      assert.equal((await bob.next('video-offer')).name, 'ann');
      ann.send({ text: 'I am cyd', type: 'message', name: 'cyd', id: 1, date: 4 });
      assert.equal((await bob.next('message')).name, 'ann');
    });

    test('hangs up: the one it talks to is told, and nobody else', async () => {
      const [ann, bob, cyd] = await three();
      ann.send({ name: 'ann', target: 'bob', type: 'video-offer', sdp: { type: 'offer', sdp: SDP } });
      bob.send({ name: 'bob', target: 'ann', type: 'video-answer', sdp: { type: 'answer', sdp: SDP } });
      await ann.next('video-answer');
      // The page has forgotten its partner by the time it says this.
      ann.send({ name: 'ann', target: null, type: 'hang-up' });
      assert.equal((await bob.next('hang-up')).name, 'ann');
      ann.send({ text: 'a fence', type: 'message', id: ann.id, date: 5 });
      assert.equal((await cyd.first(() => true)).text, 'a fence');
    });

    test('that leaves is taken off the list', async () => {
      const [ann, bob, cyd] = await three();
      clients = clients.filter((client) => client !== bob);
      await bob.close();
      for (const client of [ann, cyd]) {
        assert.deepEqual((await client.next('userlist')).users, ['ann', 'cyd']);
      }
    });

    doorContract(`WebSocket at ${path}`, async () => {
      const client = await connect();
      return {
        ended: client.closed,
        async ask(type, fields) {
          client.received = client.received.filter(({ re }) => re !== type);
          client.send({ ...fields, type });
          const isAnswer = { join: ['joined', 'waiting'], userlist: ['userlist'], access: ['access'] }[type];
          if (!isAnswer) return undefined;
          // Without acknowledgements, only what changes is answered, as it is told to all.
          const { raw, ...answer } = await take(client, (message) => isAnswer.includes(message.type) || message.re === type);
          return type === 'access' ? { type: 'ok', re: type } : answer;
        },
        heard: (type) => take(client, (message) => message.type === type),
        cut: () => client.close(),
      };
    });

    test('that talks nonsense is not its neighbours’ misfortune', async () => {
      const [ann, bob] = await three();
      for (const nonsense of ['', '{', 'null', '[]', '{"type":7}', '{"type":"video-offer","target":"nobody"}']) {
        bob.socket.send(nonsense);
      }
      bob.send({ text: 'still here', type: 'message', id: 999, date: 4 });
      assert.equal((await ann.next('message')).text, 'still here');
    });
  });
}
