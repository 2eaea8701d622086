// Gaps in what is watched by LL-HLS: a layer pauses in the middle of a segment, the publisher leaves and comes back. Who was
// there sees the picture again, and so does who came just then; hls.js as others use it, when the publisher is soon back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { hall, publishLayers, seat } from "../hall.mjs";
import { eventually, openBrowser, openHouse } from "../house.mjs";
import { camera } from "../timecode.mjs";

const wait = (ms) => new Promise((done) => setTimeout(done, ms));
let house, browser, context, publisher, here, others;
let token;

before(async () => {
  house = await openHouse();
  browser = await openBrowser();
  others = await hall();
  token = await house.token("--publish", "*", "--play", "*");
  context = await browser.newContext({ permissions: ["camera", "microphone"], viewport: { width: 640, height: 480 } });
  publisher = await context.newPage();
  await publisher.addInitScript(camera, { width: 640, height: 360, fps: 15 });
  await publisher.goto(house.http);
  await publish();
});

after(async () => {
  await browser?.close();
  others?.close();
  await house?.close();
});

// Of a picture of this size browsers send two layers, of 90 and 180 lines.
const publish = () => publisher.evaluate(publishLayers, { url: `${house.http}/whip/gaps`, token, codec: "H264", height: 360, fps: 15 });

/** rest has the larger layer pause, or go on. */
const rest = (active) => publisher.evaluate(async (active) => {
  const sender = window.pc.getSenders().find((s) => s.track?.kind === "video");
  const parameters = sender.getParameters();
  parameters.encodings[1].active = active;
  await sender.setParameters(parameters);
}, active);

/** watch opens a page that has no WebRTC. */
async function watch() {
  const page = await context.newPage();
  await page.addInitScript(() => void delete window.RTCPeerConnection);
  await page.goto(`${house.http}/watch/gaps#token=${token}`);
  return page.locator("sluice-player");
}

const frames = (player) => player.evaluate((p) => p.media.getVideoPlaybackQuality().totalVideoFrames);
async function plays(player, what) {
  const state = () => player.evaluate((p) => `${p.state}, ${p.media.readyState}, at ${p.media.currentTime} of ${p.director.playback?.details?.edge}`);
  let before = await frames(player);
  await eventually(what, async () => {
    const now = await frames(player);
    if (now < before) before = now; // it was begun anew
    if ((await player.getAttribute("state")) !== "live" || now < before + 15) throw new Error(await state());
    return true;
  }, 60000);
}

test("hls.js plays on when the publisher is soon back", async () => {
  const url = `${house.http}/live/gaps/index.m3u8?token=${token}`;
  await eventually("both layers are packaged", async () => new Set((await (await fetch(url)).text()).match(/^[^#\s]+\/video[^\s?]*/gm)).size === 2);
  const guest = await seat(browser, others, { player: "hls.js", url });
  const stands = async () => Promise.reject(new Error(JSON.stringify(await guest.standing())));
  await eventually("it plays", async () => (await guest.seen()).frames > 15 || stands(), 60000);
  await publisher.evaluate(() => window.pc.close());
  await wait(2500);
  await publish();
  const back = (await guest.seen()).position;
  // 10 s further on all that was there before is played.
  await eventually("it plays on", async () => (await guest.seen()).position > back + 10 || stands(), 60000);
  const { frames } = await guest.seen();
  await eventually("its picture moves", async () => (await guest.seen()).frames > frames + 15 || stands(), 60000);
  await guest.page.close();
});

test("a picture goes on when its layer pauses, and again when another is to be had", async () => {
  here = await watch();
  await plays(here, "it plays");
  await eventually("there are two layers", () => here.evaluate((p) => p.layers.length === 2));
  await here.evaluate((p) => p.choose(p.layers.find((l) => l.height === 180)));
  await eventually("it shows the larger one", () => here.evaluate((p) => p.media.videoHeight === 180), 60000);
  await rest(false);
  await eventually("it shows the smaller one", () => here.evaluate((p) => p.media.videoHeight === 90), 60000);
  await plays(here, "it goes on");
  await rest(true);
});

test("who comes while the publisher is away waits, and sees the picture as who was there does", async () => {
  await publisher.evaluate(() => window.pc.close());
  await eventually("the picture stands still", () => here.evaluate(async (p) => {
    const { currentTime } = p.media;
    await new Promise((done) => setTimeout(done, 1000));
    return p.media.currentTime === currentTime;
  }), 60000);
  const fresh = await watch();
  await eventually("who comes is told to wait", async () => (await fresh.getAttribute("state")) === "waiting");
  await publish();
  const began = Date.now();
  await Promise.all([plays(here, "who was there sees it again"), plays(fresh, "who came just then sees it")]);
  console.log(`pictures ${((Date.now() - began) / 1000).toFixed(1)} s after the publisher came back`);
  assert.equal(await fresh.getAttribute("data-mode"), "hls");
});
