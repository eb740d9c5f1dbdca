// Serves route handlers as Next.js would: a POST to /api/... goes to what app/api/.../route.ts exports.
//
// Run as `node serve_routes.mjs FOLDER`, where FOLDER holds the routes as JavaScript; writes its URL as the first line.

import { createServer } from "node:http";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const folder = process.argv[2];

const server = createServer(async (incoming, outgoing) => {
  const pieces = [];
  for await (const piece of incoming) pieces.push(piece);
  const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
    method: incoming.method,
    headers: incoming.headers,
    body: Buffer.concat(pieces),
  });
  const { POST } = await import(pathToFileURL(resolve(folder, `.${incoming.url}`, "route.js")));
  const response = await POST(request);
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(Buffer.from(await response.arrayBuffer()));
});

server.listen(0, "127.0.0.1", () => process.stdout.write(`http://127.0.0.1:${server.address().port}\n`));
