// Two edges name each other in the manifest of DASH. The one that is watched dies, and Shaka Player goes to the other.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { hall, seat } from "../hall.mjs";
import { binary, eventually, freePort, openBrowser, openHouse } from "../house.mjs";
import { camera } from "../timecode.mjs";

const edges = [];
let house, browser, room, token;

before(async () => {
  house = await openHouse([], { SLUICE_HLS__GRACE: "1s" });
  browser = await openBrowser();
  room = await hall();
  token = await house.token("--publish", "*", "--play", "*");
  const page = await (await browser.newContext({ permissions: ["camera", "microphone"] })).newPage();
  await page.addInitScript(camera, { width: 320, height: 180, fps: 15 });
  await page.addInitScript(() => localStorage.setItem("sluice.publish", JSON.stringify({ codec: "H264", simulcast: false, bitrate: 300_000 })));
  await page.goto(`${house.http}/publish/ways#token=${token}`);
  await page.getByRole("button", { name: /go live/i }).click();
  await eventually("it is packaged", async () => (await fetch(`${house.http}/live/ways/manifest.mpd?token=${token}`)).ok, 30000);
});

after(async () => {
  for (const e of edges) e.process.kill("SIGKILL");
  await browser?.close();
  room?.close();
  await house?.close();
});

/** pair starts two edges before the node. */
async function pair() {
  const ports = [await freePort(), await freePort()];
  const ways = ports.flatMap((p, n) => ["--pathway", `edge${n}=localhost:${p}`]);
  const both = [];
  for (const port of ports) {
    const process = spawn(binary, ["edge", "--listen", `127.0.0.1:${port}`, "--admin", `127.0.0.1:${await freePort()}`, "--origin", house.http, "--signing-key", join(house.data, "signing.key"), ...ways], { stdio: "ignore" });
    both.push({ host: `localhost:${port}`, process });
  }
  edges.push(...both);
  for (const e of both) await eventually("the edge answers", async () => (await fetch(`http://${e.host}/live/ways/manifest.mpd?token=${token}`)).ok);
  return both;
}

const asked = (s, host, what) => s.page.evaluate(([host, what]) => performance.getEntriesByType("resource").filter((e) => new URL(e.name).host === host && e.name.includes(what) && e.responseStatus === 200).length, [host, what]);

test("Shaka Player plays what is live on at the other edge", async () => {
  const [first, second] = await pair();
  const s = await seat(browser, room, { player: "shaka", url: `http://${first.host}/live/ways/manifest.mpd?token=${token}` });
  await s.page.evaluate(() => performance.setResourceTimingBufferSize(5000));
  await eventually("it plays", async () => (await s.seen()).position > 0, 20000);
  await new Promise((done) => setTimeout(done, 4000));
  assert.ok((await asked(s, first.host, "/steering")) > 0, "it asks the steering server");
  assert.equal(await asked(s, second.host, ".m4s"), 0, "it plays from the first");
  const before = (await s.seen()).position;
  first.process.kill("SIGKILL");
  await new Promise((done) => setTimeout(done, 15000));
  const seen = await s.seen();
  const played = seen.position - before;
  console.log(`Shaka: ${played.toFixed(1)} s played in the 15 s after, stood still for ${seen.longest} ms; ${await asked(s, second.host, ".m4s")} segments and ${await asked(s, second.host, ".mpd")} manifests of the other edge`);
  assert.ok(played > 10, `it played ${played} s`);
  await s.page.close();
});

test("dash.js takes the manifest, and asks the steering server", async () => {
  const [first] = await pair();
  const s = await seat(browser, room, { player: "dash.js", url: `http://${first.host}/live/ways/manifest.mpd?token=${token}` });
  await eventually("it plays", async () => (await s.seen()).position > 0, 20000);
  await eventually("it asks", async () => (await asked(s, first.host, "/steering")) > 0);
  await new Promise((done) => setTimeout(done, 5000));
  assert.deepEqual((await s.seen()).errors, []);
  // That its edge dies it does not survive (5.2.1): it puts the service location of segments aside, but never one of manifests, and where a manifest did not load
  // asks for no more (ManifestUpdater.js, LocationSelector.js).
  await s.page.close();
});
