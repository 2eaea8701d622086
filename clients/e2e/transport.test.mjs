// All sessions go by Pion's full ICE agent: a browser publishes and watches, the publisher comes back, and nobody sees a
// difference.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, openBrowser, openHouse } from "./house.mjs";
import { camera } from "./timecode.mjs";

let house, browser, context, publisher, viewer, player, token;

before(async () => {
  house = await openHouse([], { SLUICE_MEDIA_TRANSPORT: "pion" });
  browser = await openBrowser();
  context = await browser.newContext({ permissions: ["camera", "microphone"] });
  token = await house.token("--publish", "*", "--play", "*");
});

after(async () => {
  await browser?.close();
  await house?.close();
});

const state = (wanted) => eventually(`the player is ${wanted}`, async () => (await player.getAttribute("state")) === wanted, 60000);
const frames = () => player.evaluate((p) => p.shadowRoot.querySelector("video").getVideoPlaybackQuality().totalVideoFrames);
const carried = async () => (await (await fetch(`${house.admin}/metrics`)).text()).match(/sluice_sfu_carried_sessions\{transport="pion"\} (\d+)/)?.[1];

test("a camera is published, and watched", async () => {
  viewer = await context.newPage();
  await viewer.goto(`${house.http}/watch/live#token=${token}`);
  player = viewer.locator("sluice-player");
  await state("waiting");
  publisher = await context.newPage();
  await publisher.addInitScript(camera, { width: 640, height: 360, fps: 15 });
  await publisher.goto(`${house.http}/publish/live#token=${token}`);
  await publisher.getByRole("button", { name: /go live/i }).click();
  await viewer.bringToFront();
  await state("live");
  const shown = await frames();
  await eventually("frames are shown", async () => (await frames()) > shown + 30);
  assert.equal(await carried(), "2");
});

test("the publisher stops and comes back", async () => {
  await publisher.getByRole("button", { name: /^stop/i }).click();
  await state("waiting");
  await publisher.getByRole("button", { name: /go live/i }).click();
  await state("live");
  const shown = await frames();
  await eventually("new frames are shown", async () => (await frames()) > shown + 10);
  assert.equal(await carried(), "2");
});

test("the server ends cleanly", async () => assert.equal(await house.stop(), 0));
