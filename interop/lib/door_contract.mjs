// Rooms that are locked, newcomers that knock, and members that come back: the same over each way to the hub.

import assert from 'node:assert/strict';
import { test } from 'node:test';

let rooms = 0;

/**
 * Tests a server by members that `connect` opens. A member has `ask(type, fields)`, which resolves with the answer, `heard(type)`,
 * which resolves with the next message of a type, and `cut()`, which ends the connection without a word.
 */
export function doorContract(name, connect) {
  const enter = async (room, person, fields = {}) => {
    const member = await connect();
    const answer = await member.ask('join', { room, name: person, session: null, ...fields });
    return { member, answer };
  };
  const fresh = () => `door-${(rooms += 1)}`;

  test(`a locked room takes nobody new, but those back who were lost: ${name}`, async () => {
    const room = fresh();
    const ann = await enter(room, 'ann');
    const bob = await enter(room, 'bob');
    assert.deepEqual(await ann.member.ask('access', { room, access: 'locked' }), { type: 'ok', re: 'access' });
    const { access, user } = await bob.member.heard('access');
    assert.deepEqual([access, user.name], ['locked', 'ann']);
    assert.equal((await enter(room, 'eve')).answer.code, 'room-locked');

    await bob.member.cut();
    const { user: lost } = await ann.member.heard('user-left');
    assert.equal(lost.name, 'bob');
    for (const session of [null, '', bob.answer.session.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))]) {
      assert.equal((await enter(room, 'bob', { session })).answer.code, 'room-locked');
    }
    const { answer } = await enter(room, 'bob', { session: bob.answer.session });
    assert.deepEqual([answer.type, answer.self.name, answer.access], ['joined', 'bob', 'locked']);
  });

  test(`a newcomer knocks, and is refused or admitted: ${name}`, async () => {
    const room = fresh();
    const { member: ann } = await enter(room, 'ann');
    await ann.ask('access', { room, access: 'knock' });
    const knock = async (person) => {
      const { member, answer } = await enter(room, person);
      assert.equal(answer.type, 'waiting');
      const { user } = await ann.heard('knock');
      assert.equal(user.name, person);
      return { member, id: user.id };
    };
    const refused = await knock('eve');
    await ann.ask('refuse', { room, target: refused.id });
    const { code, re } = await refused.member.heard('error');
    assert.deepEqual([code, re], ['not-admitted', 'join']);
    const admitted = await knock('bob');
    await ann.ask('admit', { room, target: admitted.id });
    const joined = await admitted.member.heard('joined');
    assert.deepEqual(joined.users.map((user) => user.name), ['ann']);
    assert.ok(joined.iceServers.length > 0);
    const withdrawn = await knock('cyd');
    await withdrawn.member.cut();
    const ended = async () => (await ann.heard('knock-ended')).user.id;
    assert.deepEqual([await ended(), await ended(), await ended()], [refused.id, admitted.id, withdrawn.id]);
  });

  test(`a lost name is its owner's, and a connection that seems alive is replaced: ${name}`, async () => {
    const room = fresh();
    const ann = await enter(room, 'ann');
    const { member: bob } = await enter(room, 'bob');
    await ann.member.cut();
    await bob.heard('user-left');
    assert.equal((await enter(room, 'ann')).answer.self.name, 'ann1');
    const back = await enter(room, 'ann', { session: ann.answer.session });
    assert.equal(back.answer.self.name, 'ann');
    const again = await enter(room, 'ann', { session: back.answer.session });
    assert.equal(again.answer.self.name, 'ann');
    await back.member.ended;
    const { users } = await bob.ask('userlist', { room });
    assert.deepEqual(users.map((user) => user.name).sort(), ['ann', 'ann1']);
  });
}
