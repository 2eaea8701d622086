// A viewer behind a link that loses 3 % each way: what is lost comes again. ICE is restarted, and the link moves the viewer
// to another address, as a NAT does that forgets: the picture goes on. The long edition is in ../soak.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { grain } from "../grain.mjs";
import { eventually, openBrowser, openHouse } from "../house.mjs";
import { between, goesOn, openRelay, watch } from "../watched.mjs";

const move = 15; // seconds: the first two tests are over by then, or see a move as well
let house, browser, relay, viewer;

before(async () => {
  house = await openHouse();
  browser = await openBrowser();
  const token = await house.token("--publish", "*", "--play", "*");
  const publisher = await (await browser.newContext({ permissions: ["camera", "microphone"] })).newPage();
  await publisher.addInitScript(grain, { width: 960, height: 540, fps: 10 });
  await publisher.goto(`${house.http}/publish/rough#token=${token}`);
  await publisher.getByRole("button", { name: /go live/i }).click();
  relay = await openRelay(house, { loss: "3%", move });
  viewer = await watch(browser, relay.url, { stream: "rough", token, width: 960 });
});

after(async () => {
  await browser?.close();
  relay?.close();
  await house?.close();
});

test("what the link loses comes again", async () => {
  const a = await viewer.stats();
  const seen = await eventually("packets are lost and come again", async () => {
    const { picture } = between(a, await viewer.stats());
    return picture.packetsReceived > 300 && picture.packetsLost > 0 && picture.retransmittedPacketsReceived >= picture.packetsLost && picture;
  }, 60000);
  console.log(JSON.stringify(seen)); // that no key frame had to be asked for is judged on a quiet machine, in the long edition
});

test("an ICE restart is not seen", async () => {
  const at = Date.now();
  assert.ok(await viewer.restart(), "the server has new credentials");
  await eventually("frames come after it", async () => (await viewer.frames(at)) > 20);
  console.log(`no picture for ${await viewer.gap(at)} ms`);
  assert.equal(await viewer.state(), "live");
});

test("a new address is found out", async () => {
  await eventually("the address changes", () => relay.moves.length > 0, 1500 * move);
  const at = relay.moves[0];
  await eventually("the old address is silent", () => Date.now() > at + 3000);
  console.log(`no picture for ${await goesOn(viewer, at, 15000)} ms`);
  assert.equal(await viewer.state(), "live", "in the same session");
});
