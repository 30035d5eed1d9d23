// What the client scripts in JavaScript share; see record.py for the form of the lines.
import { createRequire } from 'node:module';
import { crc32 } from './crc32.mjs';

// The libraries lie outside the tree, in the folder that the runner names.
export const load = createRequire(`${process.env.CLIENT_MODULES}/`);

export const BINARY = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
export const ONE_MIB = Buffer.alloc(1 << 20, '\u0000mebibyte\r\n');

// Bytes become text that keeps every byte, maps are sorted, long texts a checksum.
export function canonical(value) {
  if (Buffer.isBuffer(value)) return canonical(value.toString('latin1'));
  if (typeof value === 'string') {
    return value.length > 600 ? `${value.length} characters, CRC ${crc32(value)}` : value;
  }
  if (value instanceof Error) return `${value.name}: ${canonical(value.message)}`;
  if (value instanceof Set) return [...value].map(canonical).sort();
  if (value instanceof Map) return canonical(Object.fromEntries(value));
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number' && !Number.isFinite(value)) return `${value}`;
  if (typeof value === 'function') return 'a function';
  if (value && typeof value === 'object') {
    const keys = Object.keys(value).sort();
    return Object.fromEntries(keys.map((key) => [key, canonical(value[key])]));
  }
  return value === undefined ? 'undefined' : value;
}

export function shown(value) {
  const text = JSON.stringify(canonical(value));
  if (text.length <= 4000) return text;
  return `${text.slice(0, 200)}... ${text.length} characters, CRC ${crc32(text)}`;
}

// A call without an answer must not hold the test for long: the third ends the script.
const WAIT_MS = 5000;
let unanswered = 0;

export async function note(name, action, change = (value) => value) {
  let line;
  try {
    line = shown(change(await within(action())));
  } catch (error) {
    line = shown(`raises ${error.name}: ${error.message}`);
  }
  process.stdout.write(`${name} -> ${line}\n`);
  if (unanswered === 3) process.exit(1);
}

function within(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      unanswered += 1;
      reject(new Error(`no answer within ${WAIT_MS} ms`));
    }, WAIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function callText(name, words) {
  const text = `${name}(${words.map((word) => JSON.stringify(canonical(word))).join(', ')})`;
  return text.length <= 100 ? text : `${text.slice(0, 80)}..${crc32(text)}`;
}

// Calls a method of the client by name and prints what came back.
export function recorder(client) {
  const run = (name, ...words) => note(callText(name, words), async () => client[name](...words));
  run.changed = (change, name, ...words) =>
    note(callText(name, words), async () => client[name](...words), change);
  run.client = client;
  return run;
}

export const kind = (value) => `a ${Array.isArray(value) ? 'list' : typeof value}`;
export const sorted = (list) => [...list].map(String).sort();
export const about = (limit, room = 3) => (left) =>
  Math.abs(Number(left) - limit) <= room ? `about ${limit}` : left;

// Fields that the server chooses, at any depth, by their names.
export const without = (...names) => function change(value) {
  if (Array.isArray(value)) return value.map(change);
  if (!value || typeof value !== 'object' || Buffer.isBuffer(value)) return value;
  return Object.fromEntries(Object.entries(value)
    .filter(([key]) => !names.includes(key)).map(([key, item]) => [key, change(item)]));
};

// INFO and CLIENT INFO as the names of their fields.
export const fieldNames = (text) => text.split(/\r?\n/)
  .filter((line) => line.includes(':') && !line.startsWith('errorstat_'))
  .map((line) => line.split(':')[0]).sort();

export async function collect(iterator) {
  const items = [];
  for await (const item of iterator) items.push(...(Array.isArray(item) ? item : [item]));
  return items;
}

// A promise that an event ends, with what it brought.
export const event = (emitter, name) =>
  new Promise((resolve) => { emitter.once(name, (...words) => resolve(words)); });
