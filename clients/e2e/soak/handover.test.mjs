// Two ways to watch, and pictures that take over from each other without anybody noticing: by policy, and when WebRTC falls
// silent while the web still works.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { binary, eventually, freePort, openBrowser, openHouse } from "../house.mjs";
import { onAir } from "../timecode.mjs";

const fps = 15;
let house, browser, context, page, player, token, network;

before(async () => {
  house = await openHouse();
  network = { http: `http://localhost:${await freePort()}` };
  network.process = spawn(binary, ["load", "impair", "--listen", new URL(network.http).host, "--server", house.http, "--every", "0"], { stdio: "ignore" });
  browser = await openBrowser();
  token = await house.token("--publish", "*", "--play", "*");
  context = await onAir(browser, house, { stream: "over", token, fps });
});

after(async () => {
  await browser?.close();
  network?.process.kill("SIGKILL");
  await house?.close();
});

const is = (state, mode, within) => eventually(`${state} by ${mode}`, async () => (await player.getAttribute("state")) === state && (await player.getAttribute("data-mode")) === mode, within);

/** keep writes down each frame in front: when it was shown and captured; and for how long the page itself stood still. */
const keep = (p) => {
  window.shown = [];
  window.stops = [];
  let last = performance.now();
  const turn = (now) => {
    if (now - last > 100) window.stops.push([last, now]);
    last = now;
    requestAnimationFrame(turn);
  };
  requestAnimationFrame(turn);
  const told = new MessageChannel();
  const seen = [];
  told.port1.onmessage = () => {
    const [video, at] = seen.shift();
    if (video === p.media && p.director.capture) window.shown.push([at, p.director.capture, p.director.mode]);
  };
  for (const video of p.shadowRoot.querySelectorAll("video")) {
    const look = (_, frame) => {
      // The player's own callback may come later: it is asked when all have been called.
      seen.push([video, frame.expectedDisplayTime]);
      told.port2.postMessage(0);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }
};

/**
 * seam is how the first picture after the swap follows the last one before it: by how many milliseconds of capture, how many
 * of display, and for how many the machine showed nothing at all.
 */
async function seam(to) {
  const seen = await eventually("frames after the swap", async () => {
    const { shown, stops } = await player.evaluate(() => ({ shown: window.shown, stops: window.stops }));
    const at = shown.findIndex(([, , mode], i) => mode === to && i > 0 && shown[i - 1][2] !== to);
    if (at < 1) return undefined;
    const last = shown[at - 1];
    const first = shown[at];
    const stood = first && stops.filter(([from, until]) => until > last[0] - 100 && from < first[0] + 100).reduce((sum, [from, until]) => sum + until - from, 0);
    return first && { captured: Math.round(first[1] - last[1]), shown: Math.round(first[0] - last[0]), stood: Math.round(stood), around: shown.slice(Math.max(0, at - 6), at + 4).map(([t, c, m]) => [Math.round(t), Math.round(c % 100000), m]) };
  });
  console.log(`to ${to}: ${JSON.stringify(seen)}`);
  return seen;
}

const frame = 1000 / fps;
// One picture again, or one missed; and as many as fall into a time in which the machine showed nothing.
const follows = ({ captured, stood }) => captured > -2 * frame && captured < 3 * frame + stood;

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

test("where WebRTC falls silent, HLS goes on with the picture at which it stopped", async () => {
  await page.close();
  page = await context.newPage();
  // Its sessions and its media go over a network that can be stopped; all else does not.
  await page.route(/\/whep\//, (route) => route.continue({ url: route.request().url().replace(house.http, network.http) }));
  await page.goto(`${house.http}/watch/over#token=${token}`);
  player = page.locator("sluice-player");
  await is("live", "webrtc", 30000);
  await eventually("it is known when frames were captured", () => player.getAttribute("data-capture-ms"));
  await player.evaluate(keep);
  await eventually("there is a picture", () => page.evaluate(() => window.shown.length > 5));
  network.process.kill("SIGSTOP");
  await is("live", "hls", 15000); // ICE is sure of it after 20 s
  assert.ok(follows(await seam("hls")), "a jump when it fell silent");
  network.process.kill("SIGCONT");
  await player.evaluate(keep);
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await is("live", "webrtc", 50000);
  assert.ok(follows(await seam("webrtc")), "a jump on the way back");
});
