// Reads redis_commands.txt, whose first lines say how it is written.
import { readFileSync } from 'node:fs';
import { fieldNames, kind, sorted } from './record.mjs';

const ESCAPES = { s: ' ', r: '\r', n: '\n', 0: '\0', '\\': '\\' };
const unescape = (word) => word.replace(/\\(.)/g, (_, c) => ESCAPES[c]);

export function* commandsOf() {
  const file = readFileSync(new URL('redis_commands.txt', import.meta.url), 'utf8');
  for (const text of file.split('\n')) {
    if (text === '' || text.startsWith('# ')) continue;
    const words = text.split(' ');
    const how = words[0].startsWith('=') ? words.shift() : '';
    yield { how, text, words: words.map(unescape) };
  }
}

const ids = (value) => (Array.isArray(value) ? value.map(ids)
  : typeof value === 'string' ? value.replace(/^\d{13}-\d+$/, 'ID') : value);
const rounded = (left) => {
  let unit = 1;
  while (unit * 10 < Number(left)) unit *= 10;
  return `about ${Math.ceil(Number(left) / unit) * unit}`;
};

export function hidden(how) {
  const found = { '=kind': kind, '=sorted': sorted, '=about': rounded, '=ids': ids,
    '=names': fieldNames };
  return found[how] ?? ((value) => value);
}
