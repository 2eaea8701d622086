// Two nodes take the same stream, two edges stand before both. A node dies, then the edge that is watched: the playlist goes
// on without a break (the nodes are sent what two encoders made, which must not be mixed), and hls.js goes to the other edge, which content steering has named.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { binary, eventually, freePort, openBrowser, openHouse } from "../house.mjs";
import { camera } from "../timecode.mjs";

const hls = createRequire(import.meta.url).resolve("hls.js/dist/hls.min.js");
const houses = [];
const edges = [];
let browser;

before(async () => {
  const settings = { SLUICE_HLS__REDUNDANT: "true", SLUICE_HLS__AAC: "off" };
  houses.push(await openHouse([], settings));
  houses.push(await openHouse([], settings, (data) => copyFileSync(join(houses[0].data, "signing.key"), join(data, "signing.key"))));
  const ports = [await freePort(), await freePort()];
  for (const [i, port] of ports.entries()) {
    const origins = [houses[i], houses[1 - i]].flatMap((h) => ["--origin", h.http]);
    const pathways = ports.flatMap((p, n) => ["--pathway", `edge${n}=localhost:${p}`]);
    edges.push({ http: `http://localhost:${port}`, process: spawn(binary, ["edge", "--listen", `127.0.0.1:${port}`, "--admin", `127.0.0.1:${await freePort()}`, "--hedge", "500ms",
      "--signing-key", join(houses[0].data, "signing.key"), ...origins, ...pathways], { stdio: "ignore" }) });
  }
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  for (const e of edges) e.process.kill("SIGKILL");
  for (const h of houses) await h.close();
});

/** publish sends the page's camera to both nodes. It runs in the page. */
async function publish({ urls, token }) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
  window.connections = [];
  for (const url of urls) {
    const pc = new RTCPeerConnection();
    window.connections.push(pc);
    for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: "sendonly" });
    const video = pc.getTransceivers().find((t) => t.sender.track.kind === "video");
    video.setCodecPreferences(RTCRtpSender.getCapabilities("video").codecs.filter((c) => c.mimeType === "video/VP9"));
    await pc.setLocalDescription();
    const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` }, body: pc.localDescription.sdp });
    if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
    await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  }
}

/** watch plays with hls.js, and notes how long it stood and where its media came from. It runs in the page. */
async function watch(url) {
  const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true, width: 640 });
  document.body.replaceChildren(video);
  const told = (window.told = { stood: 0, longest: 0, errors: [], at: 0, first: 0, host: "", numbers: [] });
  const player = (window.player = new window.Hls({ lowLatencyMode: true }));
  player.on(window.Hls.Events.ERROR, (_, e) => told.errors.push(`${e.details}${e.fatal ? " fatal" : ""} at ${video.currentTime.toFixed(2)}`));
  player.on(window.Hls.Events.FRAG_LOADED, (_, { frag, part }) => {
    told.host = new URL((part ?? frag).url).host;
    if (frag.type === "main" && frag.sn !== "initSegment") told.numbers.push(frag.sn);
  });
  player.loadSource(url);
  player.attachMedia(video);
  let last = performance.now();
  let since = 0;
  setInterval(() => {
    const now = performance.now();
    if (video.currentTime > told.at) {
      told.first ||= now;
      since = 0;
    } else if (told.first) {
      told.stood += now - last;
      since += now - last;
      told.longest = Math.max(told.longest, since);
    }
    told.at = video.currentTime;
    last = now;
  }, 50);
}

const until = (t) => new Promise((done) => setTimeout(done, t));

/** place is how far a media playlist reaches: its first number, and its last number and part. */
function place(text) {
  const first = Number(text.match(/#EXT-X-MEDIA-SEQUENCE:(\d+)/)[1]);
  const whole = (text.match(/#EXTINF/g) ?? []).length;
  const open = text.slice(Math.max(text.lastIndexOf("#EXTINF"), 0)).match(/#EXT-X-PART:/g) ?? [];
  return { first, next: first + whole + open.length / 1000 };
}

test("a node dies, then an edge, and the player plays on", async () => {
  const token = await houses[0].token("--publish", "*", "--play", "*");
  const context = await browser.newContext({ bypassCSP: true, permissions: ["camera", "microphone"] });
  const [page, viewer] = [await context.newPage(), await context.newPage()];
  await page.addInitScript(camera, { width: 320, height: 180, fps: 30 });
  await page.goto(`${houses[0].http}/`);
  await viewer.addInitScript({ path: hls });
  await viewer.goto(`${houses[1].http}/`);
  await page.evaluate(publish, { urls: houses.map((h) => `${h.http}/whip/pair`), token });
  const entry = (base) => `${base}/live/pair/index.m3u8?token=${token}`;
  const media = async (base) => {
    const text = await (await fetch(entry(base))).text();
    return new URL(text.match(/^[^#\s].*video.*$/m)[0].replace("{$token}", token), entry(base)).href;
  };
  for (const at of [...houses, ...edges]) await eventually("it is listed", () => media(at.http));
  assert.equal(new URL(await media(houses[0].http)).pathname, new URL(await media(houses[1].http)).pathname, "both nodes use one name");

  // Somebody asks for the playlist all the time.
  const list = await media(edges[0].http);
  const seen = { asked: 0, back: [], failed: 0, gap: 0 };
  let before = { first: 0, next: 0 };
  let advanced = Date.now();
  let asking = true;
  const asked = (async () => {
    while (asking) {
      const text = await fetch(list).then((r) => (r.ok ? r.text() : ""), () => "");
      if (text) {
        const now = place(text);
        // A segment in which the edge changed origins loses its parts; numbers never go back.
        if (now.first < before.first || Math.floor(now.next) < Math.floor(before.next)) seen.back.push([before, now]);
        if (now.next > before.next) {
          if (before.next) seen.gap = Math.max(seen.gap, Date.now() - advanced);
          advanced = Date.now();
          before = now;
        }
      } else seen.failed++;
      seen.asked++;
      await until(100);
    }
  })();

  await viewer.evaluate(watch, entry(edges[0].http));
  await eventually("it plays", () => viewer.evaluate(() => window.told.first > 0));
  await until(3000);
  await houses[0].stop("SIGKILL");
  await until(5000);
  asking = false;
  await asked;
  const first = await viewer.evaluate(() => ({ ...window.told }));
  console.log("a node died:", JSON.stringify(seen), JSON.stringify(first));
  assert.deepEqual(seen.back, [], "the playlist goes back");
  assert.equal(seen.failed, 0, "the edge had no playlist");
  assert.ok(seen.gap < 3000, `nothing new came for ${seen.gap} ms`);
  assert.ok(first.longest < 5000, `it stood still for ${first.longest} ms`);

  edges[0].process.kill("SIGKILL");
  await eventually("it is at the other edge", async () => (await viewer.evaluate(() => window.told.host)) === new URL(edges[1].http).host).catch(async (error) => {
    throw new Error(`${error.message}: ${JSON.stringify(await viewer.evaluate(() => ({ ...window.told, levels: window.player.levels.map((l) => [l.pathwayId, l.uri]), pathways: window.player.pathways })))}`);
  });
  const at = await viewer.evaluate(() => window.told.at);
  await eventually("it plays on", async () => (await viewer.evaluate(() => window.told.at)) > at + 2);
  const told = await viewer.evaluate(() => window.told);
  if (process.env.SHOTS) await viewer.screenshot({ path: join(process.env.SHOTS, "redundant.png") });
  console.log("an edge died:", JSON.stringify(told));
  assert.deepEqual(told.errors.filter((e) => /fatal|Append|Reset/.test(e)), [], "two encoders' pictures were mixed");
  assert.ok(told.longest < 5000, `it stood still for ${told.longest} ms`);
  const numbers = [...new Set(told.numbers)].sort((a, b) => a - b);
  assert.deepEqual(numbers, numbers.map((_, i) => numbers[0] + i), "no segment is left out");
  await context.close();
});
