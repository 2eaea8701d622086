// A browser that publishes sends its sound with copies (RED), and a viewer hears all of it as Opus.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, openBrowser, openHouse } from "../house.mjs";

let house, browser;

before(async () => {
  house = await openHouse();
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await house?.close();
});

/** connect posts an offer and takes the answer; it runs in the page. */
async function connect({ url, token, send }) {
  const pc = (window.pc = new RTCPeerConnection());
  if (send) {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    pc.addTransceiver(stream.getAudioTracks()[0], { direction: "sendonly" });
  } else {
    pc.addTransceiver("audio", { direction: "recvonly" });
    pc.ontrack = (e) => {
      const player = document.createElement("audio");
      Object.assign(player, { autoplay: true, srcObject: new MediaStream([e.track]) });
      document.body.replaceChildren(player);
    };
  }
  await pc.setLocalDescription();
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` }, body: pc.localDescription.sdp });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
}

/** sound returns the statistics of the one audio stream, with its codec; it runs in the page. */
async function sound(type) {
  const all = await window.pc.getStats();
  for (const s of all.values()) {
    if (s.type === type && s.kind === "audio") return { ...s, mime: all.get(s.codecId)?.mimeType };
  }
}

test("sound comes with copies and leaves without", async () => {
  const token = await house.token("--publish", "*", "--play", "*");
  const context = await browser.newContext({ permissions: ["microphone"] });
  const [page, viewer] = [await context.newPage(), await context.newPage()];
  await page.goto(`${house.http}/`);
  await viewer.goto(`${house.http}/`);
  await page.evaluate(connect, { url: `${house.http}/whip/sound`, token, send: true });
  await eventually("sound flows", async () => (await page.evaluate(sound, "outbound-rtp"))?.packetsSent > 0, 60000);
  await viewer.evaluate(connect, { url: `${house.http}/whep/sound`, token, send: false });
  const got = await eventually("sound is heard", async () => {
    const s = await viewer.evaluate(sound, "inbound-rtp");
    return s?.packetsReceived > 200 && s.totalAudioEnergy > 0 && s;
  }, 60000);
  const sent = await page.evaluate(sound, "outbound-rtp");
  assert.equal(got.mime, "audio/opus", "the viewer gets plain Opus");
  const size = (n, packets) => Math.round(n / packets);
  const [there, here] = [size(sent.bytesSent, sent.packetsSent), size(got.bytesReceived, got.packetsReceived)];
  console.log(`sent ${sent.packetsSent} packets (${sent.mime}) of ${there} bytes, got ${got.packetsReceived} of ${here}, lost ${got.packetsLost}`);
  // The statistics name the codec inside, so that the size must tell.
  assert.ok(there > 1.6 * here, "the publisher sends copies");
});
