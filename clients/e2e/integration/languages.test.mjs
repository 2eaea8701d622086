// A stream in two languages: a page publishes a tone for each, a viewer by WebRTC goes from one to the other in the same
// RTP stream, LL-HLS lists both, and a viewer by HLS chooses among them in the same menu.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually, openBrowser, openHouse } from "../house.mjs";

let settings, house, browser, context, viewer, player, token;

before(async () => {
  settings = mkdtempSync(join(tmpdir(), "sluice-settings-"));
  writeFileSync(join(settings, "sluice.yaml"), "streams:\n  - match: babel\n    languages: [en, es]\n");
  house = await openHouse(["--config", join(settings, "sluice.yaml")]);
  browser = await openBrowser();
  context = await browser.newContext({ permissions: ["camera", "microphone"], viewport: { width: 1280, height: 800 } });
  token = await house.token("--publish", "*", "--play", "*");
});

after(async () => {
  await browser?.close();
  await house?.close();
  if (settings) rmSync(settings, { recursive: true });
});

/** choir gives the page a small picture and two tones for camera and microphone. */
function choir() {
  navigator.mediaDevices.getUserMedia = async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
    const g = canvas.getContext("2d", { alpha: false });
    setInterval(() => {
      g.fillStyle = `hsl(${(performance.now() / 20) % 360} 60% 50%)`;
      g.fillRect(0, 0, 320, 180);
    }, 66);
    const stream = canvas.captureStream(15);
    const audio = new AudioContext();
    for (const frequency of [440, 880]) {
      const tone = new OscillatorNode(audio, { frequency });
      const out = audio.createMediaStreamDestination();
      tone.connect(new GainNode(audio, { gain: 0.3 })).connect(out);
      tone.start();
      stream.addTrack(out.stream.getAudioTracks()[0]);
    }
    return stream;
  };
}

/** tone is the loudest frequency of what the player plays now, in hertz; 0 for silence. */
const tone = (player) => player.evaluate(async (p) => {
  const media = p.media;
  if (!media || media.readyState < 2) return 0;
  const stream = media.srcObject ?? media.captureStream();
  const track = stream.getAudioTracks()[0];
  if (!track) return 0;
  const audio = (window.ear ??= new AudioContext());
  const source = audio.createMediaStreamSource(new MediaStream([track]));
  const analyser = new AnalyserNode(audio, { fftSize: 4096, smoothingTimeConstant: 0 });
  source.connect(analyser);
  await new Promise((done) => setTimeout(done, 200));
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  source.disconnect();
  const top = bins.indexOf(Math.max(...bins));
  return bins[top] > -60 ? (top * audio.sampleRate) / analyser.fftSize : 0;
});
const sounds = async (player, frequency) => {
  const heard = await tone(player);
  return Math.abs(heard - frequency) < 25 || Promise.reject(new Error(`${Math.round(heard)} Hz`));
};
const received = () => player.evaluate(async (p) => {
  for (const s of (await p.viewing.session.pc.getStats()).values()) {
    if (s.type === "inbound-rtp" && s.kind === "audio") return { ssrc: s.ssrc, packets: s.packetsReceived, lost: s.packetsLost };
  }
});
const choose = async (page, name) => {
  await page.locator("sluice-player").hover();
  await page.getByRole("button", { name: "Sound track" }).click();
  const items = page.getByRole("menuitemradio");
  assert.deepEqual((await items.allInnerTexts()).map((s) => s.trim()), ["English", "Español"]);
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/languages-${name}.png` });
  await items.filter({ hasText: name }).click();
};

test("a page publishes two tones, and a viewer hears the first", async () => {
  const publisher = await context.newPage();
  await publisher.addInitScript(choir);
  await publisher.goto(`${house.http}/publish/babel#token=${token}`);
  await publisher.getByRole("button", { name: /go live/i }).click();
  viewer = await context.newPage();
  await viewer.goto(`${house.http}/watch/babel#token=${token}`);
  player = viewer.locator("sluice-player");
  await eventually("the first language is heard", () => sounds(player, 440), 60000);
  await eventually("the server lists both", async () => { // it looks once a second
    const status = await (await fetch(`${house.http}/v1/streams/babel`, { headers: { Authorization: `Bearer ${token}` } })).json();
    const audio = status.publisher.tracks.filter((t) => t.kind === "audio").map((t) => [t.name, t.language]);
    assert.deepEqual(audio, [["audio", "en"], ["audio-es", "es"]]);
    return true;
  }, 20000);
});

test("the viewer chooses the other one, in the same RTP stream", async () => {
  const before = await received();
  const began = Date.now();
  await choose(viewer, "Español");
  await eventually("the second language is heard", () => sounds(player, 880));
  console.log(`heard ${Date.now() - began} ms after the menu was opened`);
  const now = await eventually("sound flows", async () => {
    const r = await received();
    return r.packets > before.packets + 25 && r;
  });
  assert.equal(now.ssrc, before.ssrc);
  assert.ok(now.lost - before.lost < 5, `${now.lost - before.lost} packets are missing`); // the machine may be busy
  await choose(viewer, "English");
  await eventually("the first language is heard again", () => sounds(player, 440));
});

test("LL-HLS lists both, in Opus and in AAC alike", async () => {
  const list = await (await fetch(`${house.http}/live/babel/index.m3u8`, { headers: { Authorization: `Bearer ${token}` } })).text();
  const group = (id) => list.split("\n").filter((l) => l.startsWith("#EXT-X-MEDIA:TYPE=AUDIO") && l.includes(`GROUP-ID="${id}"`)).map((l) => /NAME=.*AUTOSELECT=YES/.exec(l)[0]);
  const both = ['NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES', 'NAME="Español",LANGUAGE="es",AUTOSELECT=YES'];
  assert.deepEqual(group("audio-opus"), both);
  assert.deepEqual(group("audio-aac"), both); // members of groups differ in their URI alone (RFC 8216bis section 4.4.6.1.1)
});

test("a viewer by HLS chooses in the same menu", async () => {
  await viewer.close();
  const page = await context.newPage();
  await page.addInitScript(() => delete window.RTCPeerConnection);
  await page.goto(`${house.http}/watch/babel#token=${token}`);
  const hls = page.locator("sluice-player");
  await eventually("the first language is heard", () => sounds(hls, 440), 60000);
  assert.equal(await hls.getAttribute("data-mode"), "hls");
  await choose(page, "Español");
  await eventually("the second language is heard", () => sounds(hls, 880), 60000);
});
