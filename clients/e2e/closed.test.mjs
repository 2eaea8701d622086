// An encoder's captions in the picture (CEA-608 in H.264): playlists announce them when the first one begins, and the player
// lists and shows them. Chromium is the encoder: a transform puts the SEI units in.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, openBrowser, openHouse } from "./house.mjs";
import { camera } from "./timecode.mjs";

let house, browser, publisher, admin;

before(async () => {
  house = await openHouse([], { SLUICE_HLS__AAC: "off" });
  browser = await openBrowser();
  admin = await house.token("--admin");
});

after(async () => {
  await browser?.close();
  await house?.close();
});

const read = async (file) => (await fetch(`${house.http}/live/cc/${file}?token=${admin}`)).text();

/** publish sends the camera; once window.say is set, a caption begins each second. It runs in the page. */
async function publish({ url, token }) {
  const worker = new Worker(URL.createObjectURL(new Blob([`(${function () {
    let said = -1, last = 0, saying = false;
    self.onmessage = () => (saying = true);
    const odd = (c) => { let ones = 0; for (let b = c; b; b >>= 1) ones += b & 1; return ones % 2 ? c : c | 0x80; };
    const unit = (text) => {
      const pairs = [[0x14, 0x25], [0x14, 0x25], [0x14, 0x2d], [0x14, 0x2d], [0x14, 0x70], [0x14, 0x70]];
      for (let i = 0; i < text.length; i += 2) pairs.push([text.charCodeAt(i), text.charCodeAt(i + 1) || 0]);
      const body = [0xb5, 0, 0x31, ...[..."GA94"].map((c) => c.charCodeAt(0)), 3, 0x40 | pairs.length, 0xff];
      for (const [a, b] of pairs) body.push(0xfc, odd(a), odd(b));
      body.push(0xff);
      return [0, 0, 0, 1, 6, 4, body.length, ...body, 0x80];
    };
    self.onrtctransform = ({ transformer }) => {
      const insert = new TransformStream({ transform(frame, out) {
        if (saying && Date.now() - last > 1000) {
          last = Date.now();
          const old = new Uint8Array(frame.data);
          let at = 0; // before the first slice
          for (let i = 0; i + 3 < old.length; i++) if (!old[i] && !old[i + 1] && old[i + 2] === 1 && [1, 5].includes(old[i + 3] & 31)) { at = i && !old[i - 1] ? i - 1 : i; break; }
          const sei = unit(`SAID ${++said}`);
          const all = new Uint8Array(old.length + sei.length);
          all.set(old.subarray(0, at)); all.set(sei, at); all.set(old.subarray(at), at + sei.length);
          frame.data = all.buffer;
          self.postMessage(last);
        }
        out.enqueue(frame);
      } });
      void transformer.readable.pipeThrough(insert).pipeTo(transformer.writable);
    };
  }})()`])));
  window.times = [];
  worker.onmessage = ({ data }) => window.times.push(data);
  window.say = () => worker.postMessage("");
  const stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
  const pc = (window.pc = new RTCPeerConnection());
  for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: "sendonly" });
  const video = pc.getTransceivers().find((t) => t.sender.track.kind === "video");
  video.setCodecPreferences(RTCRtpSender.getCapabilities("video").codecs.filter((c) => c.mimeType === "video/H264"));
  video.sender.transform = new RTCRtpScriptTransform(worker);
  await pc.setLocalDescription();
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` }, body: pc.localDescription.sdp });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
}

test("captions are announced when the first one begins", async () => {
  publisher = await (await browser.newContext({ bypassCSP: true, permissions: ["camera", "microphone"] })).newPage();
  await publisher.addInitScript(camera, { width: 320, height: 180, fps: 15 });
  await publisher.goto(`${house.http}/`);
  await publisher.evaluate(publish, { url: `${house.http}/whip/cc`, token: admin });
  const entry = await eventually("it is packaged", async () => {
    const text = await read("index.m3u8");
    return /avc1/.test(text) && text;
  }, 60000);
  assert.match(entry, /CLOSED-CAPTIONS=NONE/);
  assert.doesNotMatch(await eventually("there is a manifest", async () => /<MPD[^]*/.exec(await read("manifest.mpd"))?.[0]), /cea-608/);
  await publisher.evaluate(() => window.say());
  const later = await eventually("they are announced", async () => {
    const text = await read("index.m3u8");
    return /INSTREAM-ID="CC1"/.test(text) && text;
  });
  assert.match(later, /CLOSED-CAPTIONS="cc"/);
  assert.doesNotMatch(later, /NONE/);
  assert.match(await read("manifest.mpd"), /<Accessibility schemeIdUri="urn:scte:dash:cc:cea-608:2015" value="CC1=und">/);
});

test("the player lists them, and shows them when they are chosen", async () => {
  const viewer = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
  await viewer.goto(`${house.http}/watch/cc#token=${admin}`);
  const player = viewer.locator("sluice-player");
  await eventually("the player is live", async () => (await player.getAttribute("state")) === "live", 60000);
  await player.evaluate((p) => ((p.delivery = "hls"), p.start()));
  await eventually("it plays HLS", async () => {
    const seen = await player.evaluate((p) => ({ mode: p.dataset.mode, state: p.state, error: p.condition.error?.message, ready: p.media?.readyState, at: p.media?.currentTime, edge: p.director?.playback?.details?.edge }));
    if (seen.mode !== "hls" || seen.state !== "live" || !(seen.at > 0)) throw new Error(JSON.stringify(seen));
    return true;
  }, 60000);
  const shown = () => player.evaluate((p) => p.shadowRoot.querySelector(".captions")?.innerText ?? "");
  await new Promise((done) => setTimeout(done, 2500));
  assert.equal(await shown(), "", "nobody has turned them on");
  await player.hover();
  await viewer.getByRole("button", { name: "Captions" }).click();
  await viewer.getByRole("menuitemradio", { name: "CC1" }).click();
  // The text and the picture of one moment: between two questions time may pass.
  const { said, capture } = await eventually("they are shown", () => player.evaluate((p) => {
    const text = p.shadowRoot.querySelector(".captions")?.innerText ?? "";
    const said = /SAID (\d+)\s*$/.exec(text)?.[1];
    if (said) return { said, capture: Number(p.dataset.captureMs) };
    const cues = Array.from(p.media.textTracks, (t) => [t.label, t.mode, t.cues?.length, Array.from(t.cues ?? []).slice(-3).map((c) => [c.startTime, c.endTime, c.text])]);
    const buffered = Array.from(p.media.buffered, (_, i) => [p.media.buffered.start(i), p.media.buffered.end(i)]);
    throw new Error(JSON.stringify({ text, state: p.state, at: p.media.currentTime, buffered, cues, chosen: p.tracks.subtitles }));
  }), 60000);
  const times = await publisher.evaluate(() => window.times);
  const late = Math.round(capture - times[Number(said)]);
  console.log(`SAID ${said} is shown ${late} ms after it was said, by the picture's clock`);
  assert.ok(late > -500 && late < 2500);
  const rows = [...(await shown()).matchAll(/SAID (\d+)/g)].map((m) => Number(m[1]));
  assert.deepEqual(rows, rows.toSorted((a, b) => a - b), "older rows are above");
  if (process.env.SHOTS) await viewer.screenshot({ path: `${process.env.SHOTS}/closed.png` });
  await viewer.keyboard.press("c");
  await eventually("they are off", async () => (await shown()) === "");
});
