// Serves the built pages with the very headers of embed.go, on a free port of
// loopback, so that what is looked at lives under the same policy.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
// What the fake draws with; it must come from the site, as the policy allows no other workers.
const ticker = "setInterval(() => postMessage(0), 1000 / 30)";

async function policy() {
  const source = await readFile(here("../embed.go"), "utf8");
  const text = /const contentSecurityPolicy = ([\s\S]*?)\n\n/.exec(source)[1];
  return [...text.matchAll(/"([^"]*)"/g)].map((m) => m[1]).join("");
}

/** serve returns the port. */
export async function serve() {
  const csp = await policy();
  const server = createServer(async (req, res) => {
    const path = new URL(req.url, "http://x").pathname;
    const file = path === "/" || /^\/((publish|watch)\/|recordings)/.test(path) ? "/index.html" : path;
    try {
      const body = file === "/ticker.js" ? ticker : await readFile(join(here("../dist/site"), file));
      res.writeHead(200, { "Content-Type": types[extname(file)] ?? "application/octet-stream", "Content-Security-Policy": csp, "Referrer-Policy": "no-referrer" });
      res.end(body);
    } catch {
      res.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { port: server.address().port, close: () => server.close() };
}
