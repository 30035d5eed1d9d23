// node-redis through every command group that it offers.
//
//   CLIENT_MODULES=FOLDER node node_redis.mjs PORT 2|3
//
// speaks RESP2 or RESP3, EMPTIES the server and prints one line per call, see record.py. Keys of
// one call share a {tag}, so that a proxy that hashes by tag can serve them.
import * as connections from './node_redis_connections.mjs';
import { COLLECTIONS, KEYS, SERVER, STREAMS, STRINGS } from './node_redis_calls.mjs';
import { BINARY, collect, load, note, ONE_MIB, recorder } from './record.mjs';

const { RESP_TYPES } = load('redis');
const [port, RESP] = process.argv.slice(2).map(Number);

async function callByCall(run) {
  for (const [title, calls] of Object.entries({ STRINGS, COLLECTIONS, STREAMS, KEYS, SERVER })) {
    process.stdout.write(`# ${title}\n`);
    for (const [name, ...words] of calls) {
      const change = typeof words.at(-1) === 'function' ? words.pop() : undefined;
      await (change ? run.changed(change, name, ...words) : run(name, ...words));
    }
  }
}

async function binaries(run) {
  const buffers = run.client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  const its = recorder(buffers);
  await its('set', BINARY, BINARY);
  await its('get', BINARY);
  await its('set', 'big', ONE_MIB);
  await its('get', 'big');
  await its('hSet', 'h', new Map([['a', '1'], ['b', BINARY]]));
  await its('hGetAll', 'h');
  const text = recorder(run.client.withTypeMapping({ [RESP_TYPES.DOUBLE]: String }));
  await text('zScore', '{z}1', 'd');
  await its('del', 'big');
}

async function iterators(run) {
  const { client } = run;
  await client.mSet(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`it:${i}`, `${i}`])));
  await client.sAdd('it-set', Array.from({ length: 300 }, (_, i) => `${i}`));
  const numbers = Array.from({ length: 300 }, (_, i) => i);
  await client.zAdd('it-zset', numbers.map((i) => ({ score: i, value: `m${i}` })));
  await client.hSet('it-hash', Object.fromEntries(numbers.map((i) => [i, `${i}`])));
  const unique = (items) => [...new Set(items.map((item) => JSON.stringify(item)))].sort();
  const walk = (name, ...words) =>
    note(`${name} ${JSON.stringify(words)}`, () => collect(client[name](...words)), unique);
  await walk('scanIterator', { MATCH: 'it:*', COUNT: 7 });
  await walk('scanIterator', { TYPE: 'zset' });
  await walk('sScanIterator', 'it-set', { COUNT: 9 });
  await walk('zScanIterator', 'it-zset', { MATCH: 'm1*' });
  await walk('hScanIterator', 'it-hash');
  await run('unlink', ['it-set', 'it-zset', 'it-hash']);
}

async function pipelines(run) {
  const { client } = run;
  await note('a burst', () => Promise.all(Array.from({ length: 200 }, (_, i) => [
    client.set(`p${i}`, `${i}`), client.incr(`p${i}`), client.get(`p${i}`)]).flat()));
  await note('mGet of 200', () => client.mGet(Array.from({ length: 200 }, (_, i) => `p${i}`)));
  await note('pipeline', () => client.multi().set('a', '1').get('a').incr('b').execAsPipeline());
  await note('multi', () => client.multi().set('{w}1', '1').incr('{w}1').lRange('{w}2', 0, -1)
    .exec());
  await note('multi, typed', () => client.multi().hSet('{w}h', 'a', 'b').hGetAll('{w}h').exec());
  await note('multi with a failure', async () => {
    try {
      return await client.multi().set('{w}1', 'x').incr('{w}1').exec();
    } catch (error) {
      return [error.message, error.replies, error.errorIndexes];
    }
  });
  await note('multi refused', () => client.multi().set('{w}1', 'y').addCommand(['NONSENSE'])
    .exec());
  await note('empty multi', () => client.multi().exec());
}

async function scripts(run) {
  const { client } = run;
  const sha = await client.scriptLoad("return redis.call('incrby', KEYS[1], ARGV[1])");
  await run('scriptExists', [sha, 'f'.repeat(40)]);
  const five = (key) => ({ keys: [key], arguments: ['5'] });
  await run('evalSha', sha, five('counter'));
  await run('evalSha', sha, five('other counter'));
  await run('eval', 'return {KEYS[1], ARGV[1]}', five('counter'));
  await run('eval', 'return {double=3.5}', {});
  await run('evalRo', "return redis.call('set', KEYS[1], 1)", five('counter'));
  await run('scriptFlush');
  await run('evalSha', sha, five('counter'));
  await run('scriptKill');
  const code = "#!lua name=mylib\nredis.register_function('sum', function(k, a) return "
    + "redis.call('incrby', k[1], a[1]) end)";
  await run('functionLoad', code);
  await run('functionLoad', code);
  await run('functionLoad', code, { REPLACE: true });
  await run('fCall', 'sum', five('counter'));
  await run('fCall', 'sum', five('other counter'));
  await run('fCallRo', 'sum', five('counter'));
  await run('functionList');
  await run('functionListWithCode', { LIBRARYNAME: 'mylib' });
  await run('functionStats');
  await run('functionDelete', 'mylib');
  await run('functionFlush');
  await run('functionKill');
}

const client = connections.create({ port, RESP });
await note('connect', () => client.connect(), () => 'connected');
const run = recorder(client);
await run('flushAll');
await callByCall(run);
for (const part of [binaries, iterators, pipelines, scripts, connections.watching,
  connections.subscriptions, connections.blocking, connections.identity, connections.reconnects]) {
  process.stdout.write(`# ${part.name}\n`);
  await part(run);
}
await run('flushAll');
await note('close', () => client.close());
process.exit(0);
