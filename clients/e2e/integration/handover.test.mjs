// Two ways to watch, and pictures that take over from each other without anybody noticing.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, openBrowser, openHouse } from "../house.mjs";
import { follows, is, keep, seam } from "../seam.mjs";
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

test("policy takes a viewer to HLS and back, and no picture is missed or seen twice", async () => {
  page = await context.newPage();
  await page.goto(`${house.http}/watch/over#token=${token}`);
  player = page.locator("sluice-player");
  await is(player, "live", "webrtc", 30000);
  await eventually("it is known when frames were captured", () => player.getAttribute("data-capture-ms"));
  await player.evaluate(keep);
  await player.evaluate((p) => void (p.delivery = "hls"));
  await is(player, "live", "hls", 50000);
  assert.ok(follows(await seam(player, "hls"), fps), "a jump on the way to HLS");
  await player.evaluate(keep);
  await player.evaluate((p) => void (p.delivery = "auto"));
  await is(player, "live", "webrtc", 50000);
  assert.ok(follows(await seam(player, "webrtc"), fps), "a jump on the way back");
  const latency = () => player.evaluate((p) => p.director.viewing.latency.lag);
  const held = await latency();
  await eventually("the delay goes down", async () => (await latency()) < held - 100, 20000);
});
