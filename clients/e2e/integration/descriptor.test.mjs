// What a browser publishes with dependency descriptors, in layers of one encoding or of several, another one decodes: it
// takes the descriptors, and its picture goes on while layers come and go.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, openBrowser, openHouse } from "../house.mjs";

let house, browser, page, viewer, token;

before(async () => {
  house = await openHouse();
  browser = await openBrowser();
  const context = await browser.newContext({ permissions: ["camera", "microphone"] });
  page = await context.newPage();
  viewer = await context.newPage();
  token = await house.token("--publish", "*", "--play", "*");
  await page.goto(`${house.http}/`);
  await viewer.goto(`${house.http}/`);
});

after(async () => {
  await browser?.close();
  await house?.close();
});

/** publish sends the fake camera; it runs in the page. */
async function publish({ url, token, codec, mode, layers }) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360, frameRate: 15 }, audio: true });
  window.pc?.close();
  const pc = (window.pc = new RTCPeerConnection());
  pc.addTransceiver(stream.getAudioTracks()[0], { direction: "sendonly" });
  const sizes = layers === 3 ? [["q", 4], ["h", 2], ["f", 1]] : [[undefined, 1]];
  const sendEncodings = sizes.map(([rid, scaleResolutionDownBy]) => ({ ...(rid ? { rid } : {}), scaleResolutionDownBy, scalabilityMode: mode }));
  const video = pc.addTransceiver(stream.getVideoTracks()[0], { direction: "sendonly", sendEncodings });
  video.setCodecPreferences(RTCRtpSender.getCapabilities("video").codecs.filter((c) => c.mimeType === `video/${codec}` || /rtx/.test(c.mimeType)));
  video.setHeaderExtensionsToNegotiate(video.getHeaderExtensionsToNegotiate().map((e) => (/dependency-descriptor/.test(e.uri) ? { ...e, direction: "sendrecv" } : e)));
  await pc.setLocalDescription();
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` }, body: pc.localDescription.sdp });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  const sdp = await answer.text();
  await pc.setRemoteDescription({ type: "answer", sdp });
  return { sdp, mode: video.sender.getParameters().encodings[0].scalabilityMode };
}

/** watch plays a stream with descriptors asked for; it runs in the page. */
async function watch({ url, token }) {
  window.pc?.close();
  const pc = (window.pc = new RTCPeerConnection());
  for (const kind of ["video", "audio"]) {
    const t = pc.addTransceiver(kind, { direction: "recvonly" });
    t.setHeaderExtensionsToNegotiate(t.getHeaderExtensionsToNegotiate().map((e) => (/dependency-descriptor/.test(e.uri) ? { ...e, direction: "sendrecv" } : e)));
  }
  const picture = document.createElement("video");
  picture.muted = picture.autoplay = true;
  picture.srcObject = new MediaStream();
  document.body.replaceChildren(picture);
  pc.ontrack = (e) => picture.srcObject.addTrack(e.track);
  await pc.setLocalDescription();
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` }, body: pc.localDescription.sdp });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  window.session = new URL(answer.headers.get("location"), url).href;
  window.layer = /<([^>]+)>[^<]*ext:core:layer/.exec(answer.headers.get("link"))?.[1];
  const sdp = await answer.text();
  await pc.setRemoteDescription({ type: "answer", sdp });
  return sdp;
}

/** look returns what the viewer's decoder did; it runs in the page. */
async function look() {
  for (const s of (await window.pc.getStats()).values()) {
    if (s.type === "inbound-rtp" && s.kind === "video") {
      return { decoded: s.framesDecoded ?? 0, dropped: s.framesDropped ?? 0, freezes: s.freezeCount ?? 0, plis: s.pliCount ?? 0, lost: s.packetsLost, width: s.frameWidth, assembled: s.framesReceived };
    }
  }
}

/** choose asks for layers; it runs in the page. */
async function choose({ url, token, choice }) {
  const r = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` }, body: JSON.stringify(choice) });
  if (!r.ok) throw new Error(`${r.status} ${await r.text()}`);
}

const more = (n, of) => eventually(`${n} more frames`, async () => {
  const now = await viewer.evaluate(look);
  return now && now.decoded >= of.decoded + n && now;
}, 60000);

for (const [codec, mode, layers, choices] of [
  ["AV1", "L1T3", 3, [{ maxHeight: 90 }, { maxHeight: 180 }, { maxTemporalLayerId: 0 }, {}]],
  ["AV1", "L3T3", 1, [{ maxSpatialLayerId: 0 }, { maxTemporalLayerId: 1 }, {}]],
  ["AV1", "L3T3_KEY", 1, [{ maxSpatialLayerId: 1 }, { maxTemporalLayerId: 0 }, {}]],
  ["VP9", "L3T3_KEY", 1, [{ maxSpatialLayerId: 0 }, {}]],
  ["VP8", "L1T3", 3, [{ maxHeight: 90 }, { maxTemporalLayerId: 0 }, {}]],
  ["H264", "L1T3", 1, [{ maxTemporalLayerId: 0 }, {}]],
]) {
  test(`${codec} ${mode}, ${layers === 1 ? "one encoding" : "three encodings"}`, async () => {
    const name = `${codec}-${mode}-${layers}`;
    await page.bringToFront();
    const sent = await page.evaluate(publish, { url: `${house.http}/whip/${name}`, token, codec, mode, layers });
    assert.equal(sent.mode, mode, "the browser encodes so");
    assert.match(sent.sdp, /dependency-descriptor/, "the server reads descriptors");
    await eventually("it flows", async () => page.evaluate(async () => {
      for (const s of (await window.pc.getStats()).values()) if (s.type === "outbound-rtp" && s.kind === "video" && s.framesSent > 5) return true;
    }), 60000);
    const answer = await viewer.evaluate(watch, { url: `${house.http}/whep/${name}`, token });
    assert.match(answer, /a=extmap:\d+ https:\/\/aomediacodec.github.io\/av1-rtp-spec\/#dependency-descriptor/, "the viewer gets them");
    let seen = await more(20, { decoded: 0 });
    const told = [JSON.stringify(seen)];
    const layer = await viewer.evaluate(() => window.layer);
    for (const choice of choices) {
      await viewer.evaluate(choose, { url: new URL(layer, house.http).href, token, choice });
      seen = await more(10, seen); // 5 of them at a quarter of the frame rate would be enough to show that it goes on
      told.push(`${JSON.stringify(choice)} ${JSON.stringify(seen)}`);
    }
    console.log(`${name}:\n  ${told.join("\n  ")}`);
    assert.ok(seen.plis <= choices.length + 1, `the decoder asked for ${seen.plis} key frames`);
  });
}
