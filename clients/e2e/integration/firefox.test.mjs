// Firefox watches what Chromium publishes, and Chromium what Firefox publishes, both on our pages.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openFirefox } from "../firefox.mjs";
import { eventually, openBrowser, openHouse } from "../house.mjs";
import { camera, median, readLatency } from "../timecode.mjs";

let house, chromium, firefox, token;

before(async () => {
  house = await openHouse();
  [chromium, firefox] = await Promise.all([openBrowser(), openFirefox()]);
  console.log(`Chromium ${chromium.version()}, Firefox ${firefox.version}`);
  token = await house.token("--publish", "*", "--play", "*");
});

after(async () => {
  await chromium?.close();
  await firefox?.close();
  await house?.close();
});

/** latency reads the clock in the picture and what the player says; it runs in the page. */
const latency = `async () => {
  const find = (root) => root.querySelector("sluice-player") ?? [...root.querySelectorAll("*")].map((e) => e.shadowRoot && find(e.shadowRoot)).find(Boolean);
  return (${readLatency})(find(document), 15);
}`;

/** restart replaces the ICE session of a page's player; it runs in the page. */
async function restart() {
  const find = (root) => root.querySelector("sluice-player") ?? [...root.querySelectorAll("*")].map((e) => e.shadowRoot && find(e.shadowRoot)).find(Boolean);
  await find(document).viewing.session.restart();
}

/** paired returns the state of the connection if a pair of addresses leads to the server; it runs in the page. */
async function paired() {
  const find = (root) => root.querySelector("sluice-player") ?? [...root.querySelectorAll("*")].map((e) => e.shadowRoot && find(e.shadowRoot)).find(Boolean);
  const { pc } = find(document).viewing.session;
  let nominated = false;
  (await pc.getStats()).forEach((s) => (nominated ||= s.type === "candidate-pair" && s.state === "succeeded" && s.nominated));
  return nominated && pc.iceConnectionState;
}

/** received returns what a page's player has of picture and sound; it runs in the page. */
async function received() {
  const find = (root) => root.querySelector("sluice-player") ?? [...root.querySelectorAll("*")].map((e) => e.shadowRoot && find(e.shadowRoot)).find(Boolean);
  const player = find(document);
  const seen = { state: player?.getAttribute("state"), text: player?.shadowRoot.textContent.replace(/\s+/g, " ").trim() };
  const all = await player?.viewing?.session?.pc.getStats();
  all?.forEach((s) => {
    if (s.type === "inbound-rtp") seen[s.kind] = { packets: s.packetsReceived, lost: s.packetsLost, frames: s.framesDecoded, energy: s.totalAudioEnergy, mime: all.get(s.codecId)?.mimeType };
  });
  seen.width = player?.shadowRoot.querySelector("video")?.videoWidth;
  return seen;
}

/** plays waits until picture and sound are decoded, and the picture is that wide. */
const plays = (page, width) => eventually("picture and sound are decoded", async () => {
  const now = await page.evaluate(received);
  return (now.state === "live" && now.video?.frames > 30 && now.audio?.packets > 50 && now.width >= width && now) || Promise.reject(new Error(JSON.stringify(now)));
}, 30000);

const tell = (what, { video, audio, width, text }) => console.log(`${what}: ${video.frames} frames of ${video.mime}, ${width} wide, ${video.lost} lost; ${audio.packets} packets of sound, ${audio.lost} lost; ${text}`);

/** publish goes live in Chromium with that codec. */
async function publish(codec) {
  const page = await (await chromium.newContext({ permissions: ["camera", "microphone"] })).newPage();
  await page.addInitScript(camera, { width: 960, height: 540, fps: 10 });
  await page.addInitScript((codec) => localStorage.setItem("sluice.publish", JSON.stringify({ codec })), codec);
  await page.goto(`${house.http}/publish/${codec}#token=${token}`);
  await page.getByRole("button", { name: /go live/i }).click();
  return page;
}

test("Firefox watches VP8 from Chromium, the largest of three layers, also after an ICE restart", async () => {
  const page = await publish("VP8");
  const viewer = await firefox.open();
  await viewer.goto(`${house.http}/watch/VP8#token=${token}`);
  const before = await plays(viewer, 960);
  tell("Firefox", before);
  assert.equal(before.video.mime, "video/VP8", "the publish page sends what was chosen there");
  assert.equal(before.video.lost + before.audio.lost, 0);
  assert.ok(before.audio.energy > 0, "the sound is no silence");
  const said = await eventually("the player says how late it is", async () => {
    const samples = await viewer.evaluate(latency);
    return samples.every((s) => s.said > 0) && { true: median(samples.map((s) => s.true)), said: median(samples.map((s) => s.said)) };
  });
  console.log(`latency from pixels ${said.true.toFixed(0)} ms, readout ${said.said} ms`);
  assert.ok(Math.abs(said.true - said.said) < 150, `the readout ${said.said} ms is not the truth, ${said.true} ms`);
  await viewer.evaluate(restart);
  // The picture goes on over the old way in any case, until Firefox gives up after five seconds.
  await eventually("the new credentials lead somewhere", async () => (await viewer.evaluate(paired)) === "connected");
  const after = await eventually("the picture goes on", async () => {
    const now = await viewer.evaluate(received);
    return (now.state === "live" && now.video.frames > before.video.frames + 20 && now) || Promise.reject(new Error(JSON.stringify(now)));
  });
  assert.equal(after.video.lost + after.audio.lost, 0);
  await page.context().close();
});

test("H264 plays in a Firefox that has it, and one that has not says so in plain words", async () => {
  const page = await publish("H264");
  const viewer = await firefox.open();
  await viewer.goto(`${house.http}/watch/H264#token=${token}`);
  if (await viewer.evaluate(() => RTCRtpReceiver.getCapabilities("video").codecs.some((c) => c.mimeType === "video/H264"))) {
    tell("Firefox", await plays(viewer, 320));
  } else {
    const seen = await eventually("it is refused", async () => {
      const now = await viewer.evaluate(received);
      return now.state === "refused" && now;
    });
    console.log(`Firefox without H264: ${seen.text}`);
    assert.match(seen.text, /no common format.*another codec.*the stream is H264 now/);
  }
  await page.context().close();
});

test("Chromium watches what Firefox publishes", async () => {
  const page = await firefox.open();
  await page.goto(`${house.http}/publish/f#token=${token}`);
  await page.click("Go live");
  const viewer = await (await chromium.newContext()).newPage();
  await viewer.goto(`${house.http}/watch/f#token=${token}`);
  const seen = await plays(viewer, 320);
  tell("Chromium", seen);
  assert.equal(seen.video.lost + seen.audio.lost, 0);
  const status = await (await fetch(`${house.http}/v1/streams/f`, { headers: { Authorization: `Bearer ${token}` } })).json();
  const { tracks, health } = status.publisher;
  console.log(`Firefox sends ${JSON.stringify(tracks.map((t) => [t.codec, t.layers?.map((l) => [l.rid, l.width, l.active])]))}, health ${JSON.stringify(health)}`);
  assert.deepEqual(tracks.map((t) => t.kind), ["audio", "video"]);
});
