// Behind a firewall that lets only the web through, a viewer sees the stream by HLS.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, openBrowser, openHouse } from "../house.mjs";
import { onAir } from "../timecode.mjs";

const fps = 15;
let house, browser, context, page, player, token;

before(async () => {
  house = await openHouse();
  browser = await openBrowser();
  token = await house.token("--publish", "*", "--play", "*");
  context = await onAir(browser, house, { stream: "over", token, fps });
});

after(async () => {
  await browser?.close();
  await house?.close();
});

const is = (state, mode, within) => eventually(`${state} by ${mode}`, async () => (await player.getAttribute("state")) === state && (await player.getAttribute("data-mode")) === mode, within);

// Relays alone, and there is none: every check fails, as behind a firewall that lets only the web through.
const firewall = () => {
  const Real = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Real {
    constructor(config) {
      super({ ...config, iceTransportPolicy: "relay" });
    }
    setConfiguration(config) {
      super.setConfiguration({ ...config, iceTransportPolicy: "relay" });
    }
  };
};

test("behind a firewall it plays by HLS by itself", async () => {
  page = await context.newPage();
  await page.addInitScript(firewall);
  await page.goto(`${house.http}/watch/over#token=${token}`);
  player = page.locator("sluice-player");
  const began = Date.now();
  await is("live", "hls", 40000);
  const latency = await eventually("a latency", async () => Number(await player.getAttribute("data-latency-ms")));
  console.log(`by HLS after ${((Date.now() - began) / 1000).toFixed(1)} s, ${latency} ms behind the camera`);
});
