// A browser that may use nothing but a relay watches through the node's own, over UDP, over TCP and over TLS; and the pages
// find that way by themselves when no other leads anywhere.

import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually, freePort, openBrowser, openHouse } from "../house.mjs";

let house, browser, page, viewer, token;

before(async () => {
  // Browsers gather on no loopback interface: the relay is named by an address of the machine's network, where it has one.
  const own = Object.values(networkInterfaces()).flat().find((a) => a.family === "IPv4" && !a.internal)?.address;
  house = await openHouse(["--turn", `:${await freePort()}`, "--turn-tls", `:${await freePort()}`, ...(own ? ["--public", own] : [])]);
  // The certificate is the node's own, and this browser trusts its key.
  const key = new X509Certificate(readFileSync(join(house.data, "node.crt"))).publicKey.export({ type: "spki", format: "der" });
  browser = await openBrowser(`--ignore-certificate-errors-spki-list=${createHash("sha256").update(key).digest("base64")}`);
  token = await house.token("--publish", "*", "--play", "*");
  page = await (await browser.newContext({ permissions: ["camera", "microphone"] })).newPage();
  await page.goto(`${house.http}/`);
  await page.evaluate(publish, { url: `${house.http}/whip/relayed`, token });
});

after(async () => {
  await browser?.close();
  await house?.close();
});

async function publish({ url, token }) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240, frameRate: 15 }, audio: true });
  const pc = (window.pc = new RTCPeerConnection());
  for (const track of stream.getTracks()) pc.addTransceiver(track, { direction: "sendonly" });
  await pc.setLocalDescription();
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` }, body: pc.localDescription.sdp });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
}

/** relayed watches by the relay over one transport only; it runs in the page. */
async function relayed({ url, token, transport }) {
  const pc = (window.pc = new RTCPeerConnection({ iceTransportPolicy: "relay" }));
  pc.addTransceiver("video", { direction: "recvonly" });
  const offer = await pc.createOffer();
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` }, body: offer.sdp });
  const link = answer.headers.get("Link");
  const wanted = transport === "tls" ? /^turns:.*transport=tcp$/ : new RegExp(`^turn:.*transport=${transport}$`);
  const found = [...link.matchAll(/<(turns?:[^>]*)>; rel="ice-server"; username="([^"]*)"; credential="([^"]*)"/g)].find((m) => wanted.test(m[1]));
  if (!found) throw new Error(`the answer names no such relay: ${link}`);
  pc.setConfiguration({ ...pc.getConfiguration(), iceServers: [{ urls: found[1], username: found[2], credential: found[3] }] });
  await pc.setLocalDescription(offer);
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
}

/** way returns the frames that came, and over what a relay carried them; it runs in the page. */
async function way(pc) {
  const report = await pc.getStats();
  let frames = 0, relay = "";
  for (const s of report.values()) {
    if (s.type === "inbound-rtp" && s.kind === "video") frames = s.framesDecoded ?? 0;
    if (s.type === "candidate-pair" && s.nominated && s.state === "succeeded") {
      relay = report.get(s.localCandidateId).relayProtocol ?? "none"; // only candidates of relays have one
    }
  }
  return { frames, relay };
}

for (const transport of ["udp", "tcp", "tls"]) {
  test(`relay only, over ${transport}: it plays`, async () => {
    viewer = await (await browser.newContext()).newPage();
    await viewer.goto(`${house.http}/`);
    await viewer.evaluate(relayed, { url: `${house.http}/whep/relayed`, token, transport });
    const seen = await eventually("frames come through the relay", async () => {
      const now = await viewer.evaluate(`(${way})(window.pc)`);
      return now.frames > 30 && now;
    }, 60000);
    assert.equal(seen.relay, transport);
    await viewer.context().close();
  });
}

test("the page turns to the relay by itself when nothing else leads anywhere", async () => {
  viewer = await (await browser.newContext()).newPage();
  await viewer.addInitScript(() => {
    const Real = window.RTCPeerConnection; // a network that lets nothing through but the relay
    window.RTCPeerConnection = class extends Real {
      constructor(c) { super({ ...c, iceTransportPolicy: "relay" }); }
    };
  });
  const began = Date.now();
  await viewer.goto(`${house.http}/watch/relayed#token=${token}`);
  const player = viewer.locator("sluice-player");
  await eventually("it is live", async () => (await player.getAttribute("state")) === "live", 60000);
  console.log(`live by the relay after ${((Date.now() - began) / 1000).toFixed(1)} s`);
  await player.evaluate((p) => void (window.pc = p.viewing.session.pc));
  const seen = await viewer.evaluate(`(${way})(window.pc)`);
  assert.match(seen.relay, /udp|tcp|tls/);
});

test("no password is in the log", () => {
  assert.doesNotMatch(house.out, /credential|\d{10}:[\w-]{16}/);
});
