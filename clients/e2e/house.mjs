// A house for stories: a real server with its data in a folder of its own, and a real Chromium. Whoever makes one ends it.

import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
export const binary = process.env.SLUICE_BINARY || join(root, "bin", "sluice");

/** eventually polls until ask gives something true, and returns it. It is patient: what takes a second here may take twenty where others build, and it costs nothing when all is well. */
export async function eventually(what, ask, within = 45000) {
  const end = Date.now() + within;
  let last;
  for (;;) {
    try {
      last = await ask();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`not within ${within} ms: ${what} (last: ${last?.stack ?? JSON.stringify(last)})`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

// What the system gives to whoever asks for no port in particular begins at 32768 (Linux) or higher: a browser's own connection may take such a
// port between the moment when it was found free and the server's start.
const lowest = 20000;
const highest = 32000;
const given = new Set();

/** freePort finds a port that is free now, for TCP and UDP, that nobody gets by chance and that this story has not had. */
export async function freePort() {
  for (let tries = 0; tries < 100; tries++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no port between ${lowest} and ${highest} is free`);
}

async function isFree(port) {
  const tcp = createServer();
  const udp = createSocket("udp4");
  const opened = (s, open) => new Promise((done) => (s.once("error", () => done(false)), open(() => done(true))));
  const closed = (s) => new Promise((done) => s.close(done));
  const free = [await opened(tcp, (ok) => tcp.listen(port, ok)), await opened(udp, (ok) => udp.bind(port, ok))];
  if (free[0]) await closed(tcp);
  await closed(udp);
  return free.every(Boolean);
}

/** settings are the environment without SLUICE_BINARY, which is ours and no setting of the server. */
function settings() {
  const { SLUICE_BINARY: _, ...env } = process.env;
  return env;
}

/** run runs the binary to its end and returns what it printed. */
export function run(args, options = {}) {
  return new Promise((done, fail) => {
    const p = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"], env: settings(), ...options });
    let out = "";
    let err = "";
    p.stdout.on("data", (b) => (out += b));
    p.stderr.on("data", (b) => (err += b));
    p.once("error", fail);
    p.once("close", (code) => done({ code, out, err }));
  });
}

/** openHouse starts a server on free ports, with flags and settings (SLUICE_…) of the story, and waits until it is ready. prepare may do something to the data directory before. */
export async function openHouse(args = [], more = {}, prepare = undefined) {
  const dir = mkdtempSync(join(tmpdir(), "sluice-"));
  const data = join(dir, "data");
  const [http, admin, media] = [await freePort(), await freePort(), await freePort()];
  const house = { data, dir, http: `http://localhost:${http}`, admin: `http://127.0.0.1:${admin}`, out: "", server: undefined };
  house.start = async () => {
    house.server = spawn(binary, ["serve", "--data", data, "--http", `:${http}`, "--admin", `127.0.0.1:${admin}`, "--media", `:${media}`, ...args], {
      stdio: ["ignore", "pipe", "pipe"], env: { ...settings(), ...more },
    });
    for (const s of [house.server.stdout, house.server.stderr]) s.on("data", (b) => (house.out += b));
    const ended = new Promise((_, fail) => house.server.once("close", (code) => fail(new Error(`the server ended with ${code} before it was ready`))));
    const ready = eventually("the server is ready", async () => (await fetch(`${house.http}/readyz`)).ok);
    await Promise.race([ready, ended]).catch((error) => {
      throw new Error(`${error.message}\n${house.out}`);
    });
  };
  house.token = async (...grants) => (await run(["token", "--data", data, ...grants])).out.trim();
  house.stop = async (signal = "SIGTERM") => {
    const p = house.server;
    if (!p || p.exitCode !== null || p.signalCode !== null) return p?.exitCode;
    const ended = new Promise((done) => p.once("close", done));
    p.kill(signal);
    return ended;
  };
  house.close = async () => {
    await house.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  if (!existsSync(binary)) throw new Error(`there is no ${binary}: run make build`);
  if (prepare) {
    mkdirSync(data);
    prepare(data);
  }
  await house.start();
  return house;
}

/** openBrowser starts headless Chromium with a fake camera and microphone, and with more arguments where a story needs them. */
export function openBrowser(...more) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--disable-quic", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required",
      "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows", "--disable-background-timer-throttling",
      ...more,
    ],
  });
}
