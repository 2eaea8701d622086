// One clock: what was captured at one time is the same picture by WebRTC, by LL-HLS, by DASH, gone back to by HLS, and in the
// recording; by our player, and by players that others wrote.
// A viewer goes back and comes home; a minute later others watch it from the catalogue.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { hall, seat } from "../hall.mjs";
import { eventually, openBrowser, openHouse } from "../house.mjs";
import { camera, median, readClock } from "../timecode.mjs";

const fps = 15;
const settings = mkdtempSync(join(tmpdir(), "sluice-"));
let house, browser, publisher, page, player, token, guests;
const apart = {}; // capture time minus time code, by way

before(async () => {
  writeFileSync(join(settings, "sluice.yaml"), "hls:\n  grace: 1s\n"); // a stream that is over is a recording at once
  house = await openHouse(["--config", join(settings, "sluice.yaml")]);
  browser = await openBrowser();
  token = await house.token("--publish", "*", "--play", "*");
  guests = await hall();
  const context = await browser.newContext({ permissions: ["camera", "microphone"], viewport: { width: 1280, height: 800 } });
  publisher = await context.newPage();
  await publisher.addInitScript(camera, { width: 640, height: 360, fps });
  await publisher.addInitScript(() => localStorage.setItem("sluice.publish", JSON.stringify({ codec: "H264", simulcast: false })));
  await publisher.goto(`${house.http}/publish/clock#token=${token}`);
  await publisher.getByRole("button", { name: /go live/i }).click();
  page = await context.newPage();
  await page.goto(`${house.http}/watch/clock#token=${token}`);
  player = page.locator("sluice-player");
});

after(async () => {
  await browser?.close();
  guests?.close();
  await house?.close();
  rmSync(settings, { recursive: true, force: true });
});

const is = (state, mode, within = 20000) => eventually(`${state} by ${mode}`, async () => (await player.getAttribute("state")) === state && (await player.getAttribute("data-mode")) === mode, within);
const read = async (way) => {
  apart[way] = median(await player.evaluate(readClock, 25));
  console.log(`${way}: ${apart[way].toFixed(0)} ms between capture time and picture`);
};
const same = (way) => assert.ok(Math.abs(apart[way] - apart.webrtc) <= 1000 / fps + 5, `more than a frame apart: ${JSON.stringify(apart)}`);

test("a viewer goes back, and sees what was captured then", async () => {
  await is("live", "webrtc", 30000);
  const bar = player.getByRole("slider", { name: "Position" });
  await player.hover();
  await eventually("there are seconds to go back to", () => player.evaluate((p) => p.span?.to - p.span?.from > 9000), 20000);
  await read("webrtc"); // only now: the first sender reports still move what is known of the publisher's clock
  await bar.focus();
  await bar.press("ArrowLeft");
  await is("playing", "hls");
  assert.match(await player.locator(".badge").innerText(), /^−0:(0[4-9]|1)/);
  await read("hls");
  same("hls");
});

// When the media time 0 of a player was captured, in Unix milliseconds: as LL-HLS and DASH tell it.
const zero = {
  "hls.js": (s) => s.page.evaluate(() => window.seat.player.playingDate?.getTime() - document.querySelector("video").currentTime * 1000),
  "dash.js": async (_, url) => Date.parse(/availabilityStartTime="([^"]+)"/.exec(await (await fetch(url)).text())[1]),
};

for (const [name, file] of [["hls.js", "index.m3u8"], ["dash.js", "manifest.mpd"]]) {
  test(`${name} shows the same at the same time`, async () => {
    const url = `${house.http}/live/clock/${file}?token=${token}`;
    const s = await seat(browser, guests, { player: name, url });
    await eventually(`${name} plays`, async () => (await s.seen()).position > 0 && (await s.height()) > 0, 30000);
    const began = await eventually("it is known when it began", () => zero[name](s, url));
    const frames = await s.clock(25, began);
    apart[name] = median(frames);
    console.log(`${name}: ${apart[name].toFixed(0)} ms between capture time and picture`);
    same(name);
    await s.page.close();
  });
}

test("the viewer comes home to live with one press", async () => {
  await player.getByRole("button", { name: "Go to live" }).click();
  await is("live", "webrtc");
  // At once from far away; from less than four seconds the delay that was gathered is let down gently.
  await eventually("a latency of WebRTC", async () => Number((await player.getAttribute("data-latency-ms")) ?? Infinity) < 1500, 40000);
});

test("the recording shows the same, and can be searched in by keys", async () => {
  await publisher.getByRole("button", { name: /^stop/i }).click();
  await page.goto(`${house.http}/recordings#token=${token}`);
  const list = async () => (await (await fetch(`${house.http}/v1/assets`, { headers: { Authorization: `Bearer ${token}` } })).json()).assets;
  await eventually("the recording is ready", async () => (await list())[0]?.state === "ready", 30000);
  await page.getByRole("link", { name: /^Watch clock/ }).click();
  await is("playing", "hls");
  await page.keyboard.press("l");
  const where = await player.evaluate((p) => `${p.media.currentTime} of ${p.media.duration}, ${p.media.readyState}`);
  await eventually(`it is ten seconds further than ${where}`, () => player.evaluate((p) => p.media.currentTime > 9.5 && p.media.readyState >= 3 && !p.media.seeking), 30000);
  // A recording begins with times of arrival, and is slewed to those of capture by half a percent: 10 s have 50 ms.
  await read("recording");
  same("recording");
  await page.keyboard.press("j");
  await eventually("it is back", () => player.evaluate((p) => p.media.currentTime < 9 && p.media.readyState >= 3));
});
