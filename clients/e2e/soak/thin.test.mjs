// A viewer by LL-HLS whose link becomes thin and wide again: hls.js goes to a smaller layer and back. How long it stands
// still meanwhile is told.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { hall, seat } from "../hall.mjs";
import { binary, eventually, openBrowser, openHouse } from "../house.mjs";

const bits = 700_000; // a second: the layer of 720 lines has 1.5 million
let house, browser, guests, encoder, s, link;

before(async () => {
  house = await openHouse();
  guests = await hall();
  const token = await house.token("--publish", "*", "--play", "*");
  encoder = spawn(binary, ["load", "publish", `${house.http}/whip/thin`, "--layers", "3", "--bitrate", "1500000", "--duration", "24h", "--media", join(tmpdir(), "sluice-media")], {
    stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, SLUICE_PUBLISH_TOKEN: token, SLUICE_TOKEN: token },
  });
  browser = await openBrowser();
  const url = `${house.http}/live/thin/index.m3u8?token=${token}`;
  await eventually("three layers are packaged", async () => new Set((await (await fetch(url)).text()).match(/^[^#\s]+\/video[^\s?]*/gm)).size === 3, 150000); // the first encoder makes its media, which takes a while
  s = await seat(browser, guests, { player: "hls.js", url });
  const devtools = await s.page.context().newCDPSession(s.page);
  await devtools.send("Network.enable");
  link = (rate) => devtools.send("Network.emulateNetworkConditions", { offline: false, latency: 20, downloadThroughput: rate / 8, uploadThroughput: -1 });
});

after(async () => {
  encoder?.kill("SIGKILL");
  await browser?.close();
  guests?.close();
  await house?.close();
});

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** still is how often the time stood still for more than half a second since then, and for how long at most in all. */
const still = async (since) => ({ times: (await s.seen()).frozen - since.frozen, longest: (await s.seen()).longest });

test("hls.js takes the largest layer where there is room", async () => {
  await eventually("it shows 720 lines", async () => (await s.height()) === 720, 60000);
  await wait(8000); // it finds its distance
});

test("on a thin link it goes to a smaller layer, and plays on there", async () => {
  const before = await s.seen();
  const began = Date.now();
  await link(bits);
  await eventually("it shows fewer lines", async () => (await s.height()) < 720, 30000);
  console.log(`a smaller layer after ${Date.now() - began} ms`);
  await wait(10000);
  const settled = await s.seen();
  console.log(`stood still: ${JSON.stringify(await still(before))}`);
  await wait(10000);
  const now = await s.seen();
  assert.ok(now.position - settled.position > 8, `it played ${now.position - settled.position} s in ten`);
  assert.ok((await s.height()) < 720, "what it chose does not fit the link");
  assert.deepEqual(now.errors.filter((e) => /fatal/.test(e)), []);
});

test("when the link is wide again it goes back to the largest", async () => {
  const before = await s.seen();
  const began = Date.now();
  await link(-8);
  await eventually("it shows 720 lines", async () => (await s.height()) === 720, 120000);
  console.log(`the largest layer after ${Date.now() - began} ms; stood still: ${JSON.stringify(await still(before))}`);
  const seen = await s.seen();
  assert.equal(seen.frozen, before.frozen, "it stood still on the way up");
});
