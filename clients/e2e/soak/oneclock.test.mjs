// One clock: what was captured at one time is the same picture by WebRTC, by LL-HLS, by DASH, gone back to by HLS, and in the
// recording; by our player, and by players that others wrote.
// A viewer goes back and comes home; a minute later others watch it from the catalogue.
// What differs by more than the promise is how long a busy browser takes from the drawing of a picture to its capture; so a witness by WebRTC reads all of
// the stream, and each way is held against what the witness saw of the same pictures.

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
let house, browser, publisher, page, player, token, guests, witness;
let seen; // by the witness: capture time less time code, by time code

before(async () => {
  writeFileSync(join(settings, "sluice.yaml"), "hls:\n  grace: 1s\n"); // a stream that is over is a recording at once
  house = await openHouse(["--config", join(settings, "sluice.yaml")]);
  browser = await openBrowser();
  token = await house.token("--publish", "*", "--play", "*");
  guests = await hall();
  const context = await browser.newContext({ permissions: ["camera", "microphone"], viewport: { width: 1280, height: 800 } });
  witness = await (await browser.newContext({ viewport: { width: 680, height: 400 } })).newPage(); // a window of its own: who is behind another draws nothing
  await witness.goto(`${house.http}/watch/clock#token=${token}`);
  publisher = await context.newPage();
  await publisher.addInitScript(camera, { width: 640, height: 360, fps });
  await publisher.addInitScript(() => localStorage.setItem("sluice.publish", JSON.stringify({ codec: "H264", simulcast: false })));
  await publisher.goto(`${house.http}/publish/clock#token=${token}`);
  await publisher.getByRole("button", { name: /go live/i }).click();
  await eventually("the witness sees it", () => witness.locator('sluice-player[state="live"][data-mode="webrtc"][data-capture-ms]').count(), 30000);
  witness.locator("sluice-player").evaluate(readClock, Infinity).catch(() => {}); // it reads until it is closed
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
const read = () => player.evaluate(readClock, 15);
const look = async () => witness.isClosed() || (seen = new Map(await witness.evaluate(() => window.clock)));

/** same reads pictures of a way until the witness saw enough of them, too: a busy machine shows neither of the two all, and takes some for the next. */
async function same(way, read) {
  const off = [];
  await eventually(`the witness saw what ${way} shows`, async () => {
    const pictures = await read();
    await look();
    for (const [code, apart] of pictures) if (seen.has(code)) off.push(apart - seen.get(code));
    return off.length >= 15;
  }, 30000);
  console.log(`${way}: ${median(off).toFixed(0)} ms from WebRTC, by ${off.length} pictures: ${off.map(Math.round)}`);
  assert.ok(Math.abs(median(off)) <= 1000 / fps, `${way}: more than a frame from WebRTC: ${off.map(Math.round)}`);
}

test("a viewer goes back, and sees what was captured then", async () => {
  await is("live", "webrtc", 30000);
  const bar = player.getByRole("slider", { name: "Position" });
  await player.hover();
  await eventually("there are seconds to go back to", () => player.evaluate((p) => p.span?.to - p.span?.from > 9000), 20000);
  await same("WebRTC", read);
  await bar.focus();
  await bar.press("ArrowLeft");
  await is("playing", "hls");
  assert.match(await player.locator(".badge").innerText(), /^−0:(0[4-9]|[1-5])/);
  await same("HLS", read);
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
    await same(name, () => s.clock(15, began));
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
  await look();
  await witness.close();
  await page.goto(`${house.http}/recordings#token=${token}`);
  const list = async () => (await (await fetch(`${house.http}/v1/assets`, { headers: { Authorization: `Bearer ${token}` } })).json()).assets;
  await eventually("the recording is ready", async () => (await list())[0]?.state === "ready", 30000);
  await page.getByRole("link", { name: /^Watch clock/ }).click();
  await is("playing", "hls");
  await page.keyboard.press("l");
  const where = await player.evaluate((p) => `${p.media.currentTime} of ${p.media.duration}, ${p.media.readyState}`);
  await eventually(`it is ten seconds further than ${where}`, () => player.evaluate((p) => p.media.currentTime > 9.5 && p.media.readyState >= 3 && !p.media.seeking), 30000);
  await same("recording", read);
  await page.keyboard.press("j");
  await eventually("it is back", () => player.evaluate((p) => p.media.currentTime < 9 && p.media.readyState >= 3));
  await same("recording's beginning", read); // from where on the witness saw it
});
