// A screen that hardly changes: a picture a second, then none for five seconds, with sound. A viewer of LL-HLS plays on.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createRequire } from "node:module";
import { eventually, openBrowser, openHouse } from "../house.mjs";

const hls = createRequire(import.meta.url).resolve("hls.js/dist/hls.min.js");
let house, browser;

before(async () => {
  house = await openHouse();
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await house?.close();
});

/** publish sends slides and a tone; window.draw is how often a slide is drawn. It runs in the page. */
async function publish({ url, token, codec }) {
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
  document.body.replaceChildren(canvas);
  const pen = canvas.getContext("2d");
  const track = canvas.captureStream(0).getVideoTracks()[0];
  let slide = 0;
  const draw = () => {
    pen.fillStyle = "white";
    pen.fillRect(0, 0, 640, 360);
    pen.fillStyle = "black";
    pen.font = "60px sans-serif";
    pen.fillText(`slide ${++slide}`, 100, 200);
    track.requestFrame();
  };
  window.still = false;
  draw();
  setInterval(() => window.still || draw(), 1000);
  const audio = new AudioContext();
  const [tone, out] = [audio.createOscillator(), audio.createMediaStreamDestination()];
  tone.connect(out);
  tone.start();
  const pc = (window.pc = new RTCPeerConnection());
  const sender = pc.addTransceiver(track, { direction: "sendonly" });
  const codecs = RTCRtpSender.getCapabilities("video").codecs.filter((c) => c.mimeType === `video/${codec}`);
  if (codecs.length === 0) return false;
  sender.setCodecPreferences(codecs);
  pc.addTransceiver(out.stream.getAudioTracks()[0], { direction: "sendonly" });
  await pc.setLocalDescription();
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` }, body: pc.localDescription.sdp });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  return true;
}

/** watch plays with hls.js and notes when it stands still. It runs in the page. */
async function watch(url) {
  const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true });
  document.body.replaceChildren(video);
  const told = (window.told = { stalls: 0, stood: 0, holes: 0, errors: [], at: 0, first: 0 });
  const player = new window.Hls({ lowLatencyMode: true });
  player.on(window.Hls.Events.ERROR, (_, e) => told.errors.push(`${e.details} at ${video.currentTime.toFixed(2)}`));
  player.loadSource(url);
  player.attachMedia(video);
  let last = performance.now();
  video.addEventListener("waiting", () => (told.stalls += told.first > 0));
  setInterval(() => {
    const now = performance.now();
    if (video.currentTime > told.at) told.first ||= now;
    else if (told.first) told.stood += now - last;
    told.at = video.currentTime;
    told.holes = Math.max(told.holes, video.buffered.length - 1);
    told.behind = player.latency;
    last = now;
  }, 50);
}

const until = (t) => new Promise((done) => setTimeout(done, t));

for (const codec of (process.env.CODECS ?? "VP9").split(",")) { // AV1 and H264 by hand
  test(`a still screen in ${codec} plays on`, async () => {
    const token = await house.token("--publish", "*", "--play", "*");
    const context = await browser.newContext({ bypassCSP: true });
    const [page, viewer] = [await context.newPage(), await context.newPage()];
    await page.goto(`${house.http}/`);
    await viewer.addInitScript({ path: hls });
    await viewer.goto(`${house.http}/`);
    const name = `still-${codec.toLowerCase()}`;
    const can = await page.evaluate(publish, { url: `${house.http}/whip/${name}`, token, codec });
    assert.ok(can, `this browser encodes ${codec}`);
    const url = `${house.http}/live/${name}/index.m3u8?token=${token}`;
    await eventually("it is listed", async () => (await fetch(url)).ok);
    await viewer.evaluate(watch, url);
    await eventually("it plays", () => viewer.evaluate(() => window.told.first > 0));
    await until(2000);
    await page.evaluate(() => (window.still = true));
    await until(5000);
    await page.evaluate(() => (window.still = false));
    await until(3000);
    const told = await viewer.evaluate(() => window.told);
    console.log(codec, JSON.stringify(told));
    const list = async (from, line) => {
      const text = await (await fetch(from)).text();
      return { text, next: new URL((text.match(line)?.[1] ?? "").replace("{$token}", token), from) };
    };
    const pictures = await list((await list(url, /^([^#].*)$/m)).next, /./);
    const parts = pictures.text.split("\n").filter((line) => line.startsWith("#EXT-X-PART:"));
    const begun = parts.slice(parts.findIndex((part) => !part.includes("GAP=YES")));
    assert.ok(begun.length >= 16, `${begun.length} parts`);
    assert.deepEqual(begun.filter((part) => part.includes("GAP=YES")), [], "once there is a picture there is always one");
    assert.equal(told.stalls + told.holes, 0, "no stall, no hole in what is buffered");
    assert.ok(told.stood < 1000, `it stood still for ${told.stood} ms`); // machines are busy
    await context.close();
  });
}
