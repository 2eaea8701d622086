// Where WebRTC falls silent while the web still works, LL-HLS goes on with the picture at which it stopped, long before ICE is
// sure; and WebRTC takes over again when it is there.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { binary, eventually, freePort, openBrowser, openHouse } from "../house.mjs";
import { follows, is, keep, seam } from "../seam.mjs";
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

test("where WebRTC falls silent, HLS goes on with the picture at which it stopped", async () => {
  page = await context.newPage();
  // Its sessions and its media go over a network that can be stopped; all else does not.
  await page.route(/\/whep\//, (route) => route.continue({ url: route.request().url().replace(house.http, network.http) }));
  await page.goto(`${house.http}/watch/over#token=${token}`);
  player = page.locator("sluice-player");
  await is(player, "live", "webrtc", 30000);
  await eventually("it is known when frames were captured", () => player.getAttribute("data-capture-ms"));
  await player.evaluate(keep);
  await eventually("there is a picture", () => page.evaluate(() => window.shown.length > 5));
  network.process.kill("SIGSTOP");
  await is(player, "live", "hls", 15000); // ICE is sure of it after 20 s
  assert.ok(follows(await seam(player, "hls"), fps), "a jump when it fell silent");
  network.process.kill("SIGCONT");
  await player.evaluate(keep);
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await is(player, "live", "webrtc", 50000);
  assert.ok(follows(await seam(player, "webrtc"), fps), "a jump on the way back");
});
