// node-redis: what is about connections: WATCH, pub/sub, blocking calls, names, reconnecting.
import { event, kind, load, note, recorder, sorted, without } from './record.mjs';

const { createClient } = load('redis');
let settings;

export function create(more = {}) {
  settings = settings ?? more;
  const { port, RESP, ...others } = { ...settings, ...more };
  const socket = { port, reconnectStrategy: 10 };
  const client = createClient({ RESP, socket, ...others });
  client.on('error', () => {});
  return client;
}

async function another(more = {}) {
  const client = create(more);
  await client.connect();
  return client;
}

export async function watching(run) {
  const mine = await another();
  await note('watch, unchanged', async () => {
    await mine.watch('{w}1');
    return mine.multi().set('{w}1', 'mine').exec();
  });
  await note('watch, changed', async () => {
    await mine.watch('{w}1');
    await run.client.set('{w}1', 'theirs');
    return mine.multi().set('{w}1', 'mine').exec();
  });
  await note('watch and unwatch', async () => {
    await mine.watch(['{w}1', '{w}2']);
    await mine.unwatch();
    await run.client.set('{w}1', 'theirs');
    return mine.multi().get('{w}1').exec();
  });
  await mine.close();
}

// What arrives at listeners, in order.
function inbox() {
  const arrived = [];
  const waiting = [];
  const listener = (...words) => (waiting.length ? waiting.shift()(words) : arrived.push(words));
  const next = () => new Promise((resolve) => {
    if (arrived.length) resolve(arrived.shift()); else waiting.push(resolve);
  });
  return { listener, next };
}

export async function subscriptions(run) {
  const subscriber = await another();
  const { listener, next } = inbox();
  const from = recorder(subscriber);
  const quiet = () => 'done';
  await from.changed(quiet, 'subscribe', ['news', 'other'], listener);
  await run('publish', 'news', 'first');
  await note('message', next);
  await from.changed(quiet, 'pSubscribe', ['n*', 'late:?'], listener);
  await run('publish', 'news', 'twice');
  await note('both', async () => [await next(), await next()], sorted);
  await run('publish', 'late:1', 'by pattern');
  await note('message', next);
  await from.changed(quiet, 'sSubscribe', 'shard', listener);
  await run('sPublish', 'shard', 'sharded');
  await note('message', next);
  await from.changed(quiet, 'subscribe', 'buffers', listener, true);
  await run('publish', 'buffers', Buffer.from([0, 13, 10, 255]));
  await note('message', next);
  await run.changed(sorted, 'pubSubChannels');
  await run('pubSubChannels', 'o*');
  await run('pubSubNumSub', ['news', 'nobody']);
  await run('pubSubNumPat');
  await run.changed(sorted, 'pubSubShardChannels');
  await run('pubSubShardNumSub', ['shard']);
  await from('ping');
  await from.changed(quiet, 'unsubscribe', 'news');
  await run('publish', 'news', 'by pattern only');
  await note('message', next);
  await note('after a reconnect', async () => {
    const id = await run.client.clientList({ TYPE: 'PUBSUB' });
    const ready = event(subscriber, 'ready');
    await run.client.clientKill({ filter: 'ID', id: id[0].id });
    await ready;
    while (await run.client.publish('other', 'after all') === 0);
    return next();
  });
  await from.changed(quiet, 'sUnsubscribe');
  await from.changed(quiet, 'pUnsubscribe');
  await from.changed(quiet, 'unsubscribe');
  await from('get', 'missing');
  await run('publish', 'news', 'nobody listens');
  await note('close', () => subscriber.close());
}

export async function blocking(run) {
  const other = await another();
  const its = recorder(other);
  await run('rPush', '{q}1', ['a', 'b', 'c']);
  await its('blPop', ['{q}0', '{q}1'], 1);
  await its('brPop', '{q}1', 1);
  await its('brPopLPush', '{q}1', '{q}2', 1);
  await its('blMove', '{q}2', '{q}3', 'LEFT', 'RIGHT', 1);
  await its('blmPop', 1, ['{q}9', '{q}3'], 'LEFT', { COUNT: 2 });
  await run('zAdd', '{q}z', [{ score: 1, value: 'a' }, { score: 2, value: 'b' },
    { score: 3, value: 'c' }]);
  await its('bzPopMin', '{q}z', 1);
  await its('bzPopMax', ['{q}z'], 1);
  await its('bzmPop', 1, '{q}z', 'MIN');
  await its('blPop', '{q}1', 0.02);
  await its('bzPopMin', '{q}z', 0.02);
  await its('blMove', '{q}1', '{q}2', 'LEFT', 'LEFT', 0.02);
  await its('blPop', '{q}1', -1);
  const woken = (name, words, wake) => note(`${name}, woken`, async () => {
    const waiting = other[name](...words);
    await wake();
    return waiting;
  });
  await woken('blPop', ['{q}1', 10], () => run('rPush', '{q}1', 'woken'));
  await woken('bzPopMin', ['{q}z', 10], () => run('zAdd', '{q}z', { score: 5, value: 'w' }));
  await woken('xRead', [{ key: '{q}x', id: '0' }, { BLOCK: 10000 }],
    () => run('xAdd', '{q}x', '1-1', { a: '1' }));
  await note('in a pool', async () => {
    const pool = run.client.createPool();
    await pool.connect();
    const found = await pool.execute((member) => member.blPop('{q}none', 0.02));
    await pool.close();
    return found;
  });
  await its('wait', 0, 0);
  await other.close();
}

// Of CLIENT INFO, what depends on the connection and not on the client.
const ofTheClient = without('id', 'addr', 'laddr', 'fd', 'age', 'idle', 'qbuf', 'qbufFree',
  'argvMem', 'multiMem', 'rbs', 'rbp', 'obl', 'oll', 'omem', 'totMem', 'events', 'ssub');

export async function identity(run) {
  const named = await another({ name: 'somebody', database: 2 });
  const its = recorder(named);
  await its('clientGetName');
  await its.changed(kind, 'clientId');
  await its.changed(ofTheClient, 'clientInfo');
  await note('clientList', () => named.clientList(), (list) =>
    list.filter((entry) => entry.name === 'somebody').map(ofTheClient));
  await its('set', 'in two', '2');
  await run('get', 'in two');
  await its('select', 0);
  await its('get', 'in two');
  await its('select', 99);
  await its('clientSetName', 'renamed');
  await its('clientGetName');
  await its('clientNoEvict', true);
  await its('clientGetRedir');
  await its('clientTrackingInfo');
  await its('clientPause', 1);
  await its('clientUnpause');
  await its('clientUnblock', 999999);
  await its('clientKill', { filter: 'ID', id: '999999' });
  await its('auth', { password: 'wrong' });
  await its('auth', { username: 'nobody', password: 'wrong' });
  await its('sendCommand', ['HELLO', '9']);
  await its('sendCommand', ['NONSENSE', 'a b']);
  await its('sendCommand', ['GET']);
  await note('moved', async () => {
    await run.client.set('{mv}', '1');
    return run.client.move('{mv}', 2);
  });
  await its('select', 2);
  await its('dbSize');
  await its('flushDb');
  await note('quit', () => named.quit());
}

export async function reconnects(run) {
  const other = await another({ name: 'second' });
  const its = recorder(other);
  const id = await other.clientId();
  const ready = event(other, 'ready');
  await note('kill it', () => run.client.clientKill({ filter: 'ID', id: `${id}` }));
  await note('ready again', () => ready, () => 'ready');
  await its('clientGetName');
  await its('get', 'missing');
  await note('a duplicate', async () => {
    const copy = await other.duplicate().connect();
    const name = await copy.clientGetName();
    copy.destroy();
    return name;
  });
  await note('close', () => other.close());
}
