// A gather root as one writes it in Node.js: Promise.all over keep-alive connections, the answers
// joined into a JSON array. A peer of scripts/bench/gather-root.
//
//   node gather_peer.js PORT LEAF...          LEAF is HOST:PORT
'use strict';
const http = require('http');

const [port, ...leaves] = process.argv.slice(2);
const agent = new http.Agent({keepAlive: true, maxSockets: Infinity, maxFreeSockets: 64});
const targets = leaves.map((leaf) => {
  const [host, leafPort] = leaf.split(':');
  return {host, port: Number(leafPort), path: '/', agent};
});

function call(target) {
  return new Promise((resolve, reject) => {
    const request = http.get(target, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve(Buffer.concat(chunks).toString()));
    });
    request.on('error', reject);
  });
}

http.createServer(async (request, response) => {
  try {
    const body = '[' + (await Promise.all(targets.map(call))).join(',') + ']';
    response.setHeader('Content-Type', 'application/json');
    response.setHeader('Content-Length', Buffer.byteLength(body));
    response.end(body);
  } catch (error) {
    response.statusCode = 502;
    response.end(String(error));
  }
}).listen(Number(port), '127.0.0.1');
