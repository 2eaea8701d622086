// A layer that nobody watches is not encoded: the publish page rests it when the server says so, and sends it again as
// soon as somebody wants it.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually, openBrowser, openHouse } from "../house.mjs";
import { camera } from "../timecode.mjs";

let settings, house, browser, publisher, viewer, player, token;

before(async () => {
  // A recording, and LL-HLS, want every layer: here is a stream with neither.
  settings = mkdtempSync(join(tmpdir(), "sluice-settings-"));
  writeFileSync(join(settings, "sluice.yaml"), "streams:\n  - match: rest\n    hls: false\n    record: false\n");
  house = await openHouse(["--config", join(settings, "sluice.yaml")]);
  browser = await openBrowser();
  const context = await browser.newContext({ permissions: ["camera", "microphone"], viewport: { width: 1440, height: 900 } });
  publisher = await context.newPage();
  viewer = await context.newPage();
  token = await house.token("--publish", "*", "--play", "*");
});

after(async () => {
  await browser?.close();
  await house?.close();
  if (settings) rmSync(settings, { recursive: true });
});

/** sent returns what the publisher's browser has sent of each layer. */
const sent = () => publisher.locator("sluice-publisher").evaluate(async (p) => {
  const layers = {};
  for (const s of (await p.publishing.session.pc.getStats()).values()) {
    if (s.type === "outbound-rtp" && s.kind === "video") layers[s.rid] = { frames: s.framesEncoded, bytes: s.bytesSent, active: s.active };
  }
  return layers;
});
const width = () => player.evaluate((p) => p.shadowRoot.querySelector("video").videoWidth);
const decoded = () => player.evaluate((p) => p.samples.at(-1)?.frames ?? 0);
const layers = async () => (await (await fetch(`${house.http}/v1/streams/rest`, { headers: { Authorization: `Bearer ${token}` } })).json()).publisher.tracks.find((t) => t.kind === "video").layers;
const layer = async (rid) => (await layers()).find((l) => l.rid === rid);
const choose = (rid) => player.evaluate((p, rid) => p.viewing.choose(p.layers.find((l) => l.rid === rid)), rid);
const since = (began) => `${((Date.now() - began) / 1000).toFixed(1)} s`;

test("three layers are published, and the viewer gets the largest", async () => {
  await publisher.addInitScript(camera, { width: 1280, height: 720, fps: 15 });
  await publisher.goto(`${house.http}/publish/rest#token=${token}`);
  await publisher.getByRole("button", { name: /go live/i }).click();
  await viewer.goto(`${house.http}/watch/rest#token=${token}`);
  await viewer.bringToFront();
  player = viewer.locator("sluice-player");
  await eventually("the largest picture comes", async () => (await width()) === 1280, 60000);
  await eventually("the server says that it is wanted", async () => (await layer("f")).wanted);
});

test("the only viewer chooses the smallest: the others are no longer encoded", async () => {
  const began = Date.now();
  await choose("q");
  await eventually("the smallest picture comes", async () => (await width()) === 320, 60000);
  console.log(`the smallest picture after ${since(began)}`);
  await eventually("the server says that the largest rests", async () => {
    const f = await layer("f");
    return !f.wanted && f.paused && !f.active;
  }, 60000);
  console.log(`the largest layer rests after ${since(began)}; 10 s are the server's patience`);
  const before = await sent();
  const shown = await decoded();
  await eventually("the smallest goes on", async () => (await sent()).q.frames > before.q.frames + 30);
  const now = await sent();
  for (const rid of ["h", "f"]) assert.deepEqual([rid, now[rid].frames, now[rid].bytes], [rid, before[rid].frames, before[rid].bytes]);
  await eventually("the viewer's picture goes on", async () => (await decoded()) > shown + 15);
  const uplink = () => publisher.locator("sluice-publisher").evaluate((p) => p.shadowRoot.querySelector("sluice-uplink").shadowRoot.textContent.replace(/\s+/g, " "));
  await eventually("the publisher is told so", async () => /360p rests: nobody watches it\s*720p rests: nobody watches it/.test(await uplink()) || Promise.reject(new Error(await uplink())), 5000);
  await new Promise((done) => setTimeout(done, 2500)); // the browser forgets the sizes of what rests; the page does not
  assert.match(await uplink(), /720p rests: nobody watches it/);
  if (process.env.SHOTS) await publisher.screenshot({ path: `${process.env.SHOTS}/rests.png`, fullPage: true });
  const status = await (await fetch(`${house.http}/v1/streams/rest`, { headers: { Authorization: `Bearer ${token}` } })).json();
  assert.deepEqual(status.publisher.health.map((f) => f.code).filter((c) => !/loss/.test(c)), [], "a layer that rests is no fault");
});

test("the menu still offers it, and it comes back when it is chosen", async () => {
  const offered = await player.evaluate((p) => p.layers.map((l) => [l.rid, l.active]));
  assert.deepEqual(offered, [["f", true], ["h", true], ["q", true]]);
  const shown = await decoded();
  const began = Date.now();
  await choose("f");
  await eventually("the largest picture comes", async () => (await width()) === 1280, 60000);
  console.log(`the largest picture again after ${since(began)}, ${(await decoded()) - shown} frames meanwhile`);
});

test("automatic finds it again, too", async () => {
  await choose("q");
  await eventually("the largest rests", async () => (await layer("f")).paused, 60000);
  const began = Date.now();
  await choose("");
  await eventually("the largest picture comes", async () => (await width()) === 1280, 60000);
  console.log(`automatic: the largest picture after ${since(began)}`);
});
