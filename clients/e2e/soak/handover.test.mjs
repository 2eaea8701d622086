// Two ways to watch, and pictures that take over from each other without anybody noticing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, openBrowser, openHouse } from "../house.mjs";
import { camera } from "../timecode.mjs";

const fps = 15;
let house, browser, context, page, player, token;

before(async () => {
  house = await openHouse();
  browser = await openBrowser();
  token = await house.token("--publish", "*", "--play", "*");
  context = await browser.newContext({ permissions: ["camera", "microphone"], viewport: { width: 1280, height: 800 } });
  const publisher = await context.newPage();
  await publisher.addInitScript(camera, { width: 640, height: 360, fps });
  await publisher.addInitScript(() => localStorage.setItem("sluice.publish", JSON.stringify({ codec: "H264", simulcast: false })));
  await publisher.goto(`${house.http}/publish/over#token=${token}`);
  await publisher.getByRole("button", { name: /go live/i }).click();
  await eventually("it is on air", () => publisher.locator('sluice-publisher[state="live"]').count());
});

after(async () => {
  await browser?.close();
  await house?.close();
});

const is = (state, mode, within) => eventually(`${state} by ${mode}`, async () => (await player.getAttribute("state")) === state && (await player.getAttribute("data-mode")) === mode, within);

/** keep writes down each frame in front: when it was shown, and when captured. */
const keep = (p) => {
  window.shown = [];
  for (const video of p.shadowRoot.querySelectorAll("video")) {
    const look = (_, frame) => {
      if (video === p.media) window.shown.push([performance.now(), Number(p.dataset.captureMs), p.dataset.mode]);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }
};

/** seam is by how many milliseconds of capture the first picture after the swap follows the last one before it. */
async function seam(to) {
  const captured = await eventually("frames after the swap", async () => {
    const shown = await player.evaluate(() => window.shown);
    const at = shown.findIndex(([, , mode], i) => mode === to && i > 0 && shown[i - 1][2] !== to);
    if (at < 1) return undefined;
    const last = shown[at - 1][1];
    const first = shown.slice(at).find(([, capture]) => capture !== last); // a callback may come before the player's own
    return first && { last, first: first[1] };
  });
  console.log(`to ${to}: ${captured.first - captured.last} ms of capture from one picture to the next`);
  return captured.first - captured.last;
}

const frame = 1000 / fps;
const follows = (ms) => ms > -2 * frame && ms < 3 * frame; // one picture again, or one missed

test("policy takes a viewer to HLS and back, and no picture is missed or seen twice", async () => {
  page = await context.newPage();
  await page.goto(`${house.http}/watch/over#token=${token}`);
  player = page.locator("sluice-player");
  await is("live", "webrtc", 30000);
  await eventually("it is known when frames were captured", () => player.getAttribute("data-capture-ms"));
  await player.evaluate(keep);
  await player.evaluate((p) => void (p.delivery = "hls"));
  await is("live", "hls", 50000);
  assert.ok(follows(await seam("hls")), "a jump on the way to HLS");
  await player.evaluate(keep);
  await player.evaluate((p) => void (p.delivery = "auto"));
  await is("live", "webrtc", 50000);
  assert.ok(follows(await seam("webrtc")), "a jump on the way back");
  const latency = () => player.evaluate((p) => p.director.viewing.latency.lag);
  const held = await latency();
  await eventually("the delay goes down", async () => (await latency()) < held - 100, 20000);
});
