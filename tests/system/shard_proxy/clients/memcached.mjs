// npm memcached through everything that it offers.
//
//   CLIENT_MODULES=FOLDER node memcached.mjs PORT
//
// EMPTIES the server and prints one line per call, see record.py.
import { BINARY, load, note, sorted } from './record.mjs';

const Memcached = load('memcached');
const [port] = process.argv.slice(2).map(Number);
const connect = (more = {}) => new Memcached(`127.0.0.1:${port}`, { timeout: 4000, ...more });
let client = connect();

// The library's callbacks as promises; an error may be a text.
function ask(name, ...words) {
  return new Promise((resolve, reject) => {
    client[name](...words, (error, value) => {
      if (error) reject(new Error(String(error.message ?? error).replaceAll(`${port}`, 'PORT')));
      else resolve(value);
    });
  });
}

async function run(name, ...words) {
  const text = words.map((word) => JSON.stringify(word)).join(', ');
  await note(`${name}(${text.slice(0, 60)})`, () => ask(name, ...words));
}

const withoutCas = (found) => (found && found.cas ? { ...found, cas: 'CAS' } : found);
const names = (found) => found.map((server) => sorted(Object.keys(server)));

async function one() {
  await run('flush');
  await run('set', 'a', 'text', 100);
  await run('get', 'a');
  await run('get', 'missing');
  await run('set', 'number', 42, 100);
  await run('get', 'number');
  await run('set', 'object', { a: [1, null, 'x'] }, 100);
  await run('get', 'object');
  await run('set', 'true', true, 100);
  await run('get', 'true');
  await run('set', 'empty', '', 100);
  await run('get', 'empty');
  await run('set', 'bin', Buffer.concat([BINARY, Buffer.from('\r\nEND\r\n')]), 100);
  await run('get', 'bin');
  await note('set big', () => ask('set', 'big', 'x'.repeat(1000000), 100));
  await note('get big', () => ask('get', 'big'), (value) => value.length);
  await note('set too big', () => ask('set', 'too_big', 'x'.repeat(1048576), 100));
  // The library takes SERVER_ERROR for the death of the server.
  client.end();
  client = connect();
  await run('get', 'too_big');
  await run('add', 'a', 'again', 100);
  await run('add', 'b', 'm', 100);
  await run('replace', 'b', 'n', 100);
  await run('replace', 'missing', 'n', 100);
  await run('append', 'b', 'z');
  await run('prepend', 'b', 'a');
  await run('append', 'missing', 'z');
  await run('get', 'b');
  await run('incr', 'number', 8);
  await run('decr', 'number', 3);
  await run('decr', 'number', 100);
  await run('incr', 'missing', 1);
  await run('incr', 'b', 1);
  await run('touch', 'b', 100);
  await run('touch', 'missing', 100);
  await note('gets', () => ask('gets', 'b'), withoutCas);
  await run('gets', 'missing');
  const { cas } = await ask('gets', 'b');
  await note('cas', () => ask('cas', 'b', 'c', cas, 100));
  await note('cas again', () => ask('cas', 'b', 'd', cas, 100));
  await note('cas missing', () => ask('cas', 'missing', 'd', cas, 100));
  await run('set', 'gone', 'x', -1);
  await run('get', 'gone');
  await run('del', 'b');
  await run('del', 'b');
  await run('delete', 'a');
  await run('set', 'k'.repeat(250), 'long', 100);
  await run('get', 'k'.repeat(250));
  for (const key of ['k'.repeat(251), 'two words', 'line\r\nfeed', 'null\u0000']) {
    await run('get', key);
    await run('set', key, 'x', 100);
  }
  await run('get', '\u00fcmlaut');
  await run('set', '\u00fcmlaut', 'x', 100);
}

async function many() {
  const keys = Array.from({ length: 300 }, (_, i) => `m${i}`);
  await note('300 at once', () => Promise.all(keys.map((key, i) => ask('set', key, i, 100))));
  await note('getMulti', () => ask('getMulti', [...keys, 'missing']));
  await note('get of a list', () => ask('get', ['m1', 'missing', 'm2', 'm1']));
  await note('get of an empty list', () => ask('get', ['missing']));
}

async function wholeServer() {
  await note('version', () => ask('version'), (found) => found.map(({ version }) => version));
  await note('stats', () => ask('stats'), names);
  await note('settings', () => ask('settings'), names);
  await note('slabs', () => ask('slabs'), names);
  await note('items', () => ask('items'), names);
  await run('flush');
  await run('get', 'm1');
  await run('flushAll');
  await run('set', 'x', 'y', 100);
  const other = connect({ namespace: 'ns:' });
  await note('with a namespace', () => new Promise((resolve, reject) => {
    other.set('x', 'z', 100, (error) => {
      if (error) reject(error); else other.get('x', (_, value) => resolve(value));
    });
  }));
  other.end();
  await run('get', 'ns:x');
  await run('get', 'x');
}

for (const part of [one, many, wholeServer]) {
  process.stdout.write(`# ${part.name}\n`);
  await part();
}
client.end();
process.exit(0);
