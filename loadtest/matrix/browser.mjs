// The page of the loss matrix: headless Chromium that watches and publishes, and
// the lines by which it is told to. Players (chromium.mjs, livekit.mjs) bring
// how a viewer joins.
//
// Speaks JSON lines. In:
//   {"op":"view","id":…,"url":WHEP endpoint,"token":…}
//   {"op":"publish","id":…,"url":WHIP endpoint,"token":…,"layers":1|3}
//   {"op":"stop","id":…}      ends one and tells its record
//   {"op":"quit"}             or the end of the input
// Out:
//   {"event":"ready"}
//   {"event":"first","id":…}  the first picture was shown; or the publisher is connected
//   {"event":"record","id":…,"record":{joined,pictures:[[at,height,sent]…],samples:[…],errors:[…]}}
//   {"event":"failed","id":…,"error":…}
// Times are Unix milliseconds. "sent" is read from the publisher's SEI stamp.

import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

const tell = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

// Reads the stamp of each frame on its way to the decoder: a user_data_unregistered SEI with our UUID.
const worker = `
const id = [0x5b,0x1c,0xe0,0x57,0x6a,0x1d,0x4f,0x42,0x9c,0x3e,0x2d,0x7a,0xb0,0x44,0x91,0xe6];
function sent(b) {
  const end = Math.min(b.length - 16, 512);
  for (let i = 0; i < end; i++) {
    if (b[i] !== id[0]) continue;
    let k = 1;
    while (k < 16 && b[i + k] === id[k]) k++;
    if (k < 16) continue;
    let ns = 0n, zeros = 0;
    for (let at = i + 16, n = 0; n < 8 && at < b.length; at++) {
      if (zeros >= 2 && b[at] === 3) { zeros = 0; continue; } // emulation prevention
      zeros = b[at] === 0 ? zeros + 1 : 0;
      ns = (ns << 8n) | BigInt(b[at]);
      n++;
    }
    return Number(ns / 1000n) / 1000;
  }
  return 0;
}
onrtctransform = (e) => {
  const { readable, writable, options } = e.transformer;
  let batch = [];
  readable.pipeThrough(new TransformStream({
    transform(frame, out) {
      const at = sent(new Uint8Array(frame.data));
      if (at) postMessage([options.id, frame.getMetadata().rtpTimestamp, at]);
      out.enqueue(frame);
    },
  })).pipeTo(writable).catch(() => {});
};
`;

// What runs in the page.
function inpage(workerText) {
  const sessions = new Map();
  const transforms = new Worker(URL.createObjectURL(new Blob([workerText], { type: "text/javascript" })));
  transforms.onmessage = ({ data: [id, ts, sent] }) => sessions.get(id)?.stamps.set(ts, sent);
  const wall = () => performance.timeOrigin + performance.now();

  async function gathered(pc) {
    if (pc.iceGatheringState === "complete") return;
    await new Promise((done) => {
      const look = () => pc.iceGatheringState === "complete" && done();
      pc.addEventListener("icegatheringstatechange", look);
      setTimeout(done, 2000);
    });
  }

  function look(id, s, video) {
    const each = (_, m) => {
      const sent = s.stamps.get(m.rtpTimestamp) ?? 0;
      s.stamps.delete(m.rtpTimestamp);
      if (s.stamps.size > 5000) s.stamps.clear();
      s.record.pictures.push([performance.timeOrigin + m.expectedDisplayTime, m.height, sent]);
      if (s.record.pictures.length === 1) window.happened("first", id);
      if (!s.ended) video.requestVideoFrameCallback(each);
    };
    video.requestVideoFrameCallback(each);
  }

  async function sample(s) {
    const open = s.pcs.filter((pc) => pc.connectionState !== "closed");
    const all = await Promise.all(open.map((pc) => pc.getStats()));
    const stats = all.flatMap((r) => [...r.values()]).filter((r) => r.type === "inbound-rtp");
    const audio = stats.find((r) => r.kind === "audio") ?? {};
    const video = stats.find((r) => r.kind === "video") ?? {};
    const known = !!audio.estimatedPlayoutTimestamp && !!video.estimatedPlayoutTimestamp;
    const buffered = (video.jitterBufferDelay ?? 0) - (s.buffered?.[0] ?? 0);
    const emitted = (video.jitterBufferEmittedCount ?? 0) - (s.buffered?.[1] ?? 0);
    s.buffered = [video.jitterBufferDelay ?? 0, video.jitterBufferEmittedCount ?? 0];
    s.record.samples.push({
      at: wall(),
      audio: audio.totalSamplesReceived ?? 0,
      // Silence made up where silence was sent is none; this publisher is never silent.
      concealed: audio.concealedSamples ?? 0,
      nacks: video.nackCount ?? 0,
      plis: video.pliCount ?? 0,
      lost: video.packetsLost ?? 0,
      packets: video.packetsReceived ?? 0,
      frames: video.framesReceived ?? 0,
      decoded: video.framesDecoded ?? 0,
      keys: video.keyFramesDecoded ?? 0,
      skew: known ? audio.estimatedPlayoutTimestamp - video.estimatedPlayoutTimestamp : 0,
      known,
      buffer: emitted > 0 ? (1000 * buffered) / emitted : 0,
    });
  }

  function begin(id) {
    const s = { pcs: [], elements: [], stamps: new Map(), ended: false, record: { joined: wall(), pictures: [], samples: [], errors: [] } };
    sessions.set(id, s);
    return s;
  }

  // Lets the send times of a receiver's frames be read.
  function stamp(id, receiver) {
    try {
      receiver.transform = new RTCRtpScriptTransform(transforms, { id });
    } catch (error) {
      sessions.get(id).record.errors.push(`no stamps: ${error}`);
    }
  }

  // Puts a player for a kind of track on the page; a picture's is looked at.
  function show(id, kind) {
    const s = sessions.get(id);
    const element = document.createElement(kind);
    element.autoplay = element.playsInline = true;
    element.style.width = "320px";
    document.body.append(element);
    s.elements.push(element);
    if (kind === "video") look(id, s, element);
    return element;
  }

  window.viewers = { sessions, wall, begin, stamp, show };

  window.offerToWatch = async (id) => {
    const pc = new RTCPeerConnection();
    const s = begin(id);
    s.pcs.push(pc);
    pc.addTransceiver("audio", { direction: "recvonly" });
    const video = pc.addTransceiver("video", { direction: "recvonly" });
    const codecs = RTCRtpReceiver.getCapabilities("video").codecs;
    const h264 = codecs.filter((c) => c.mimeType === "video/H264" && /packetization-mode=1/.test(c.sdpFmtpLine) && /profile-level-id=42e0/.test(c.sdpFmtpLine));
    video.setCodecPreferences([...h264, ...codecs.filter((c) => c.mimeType === "video/rtx")]);
    stamp(id, video.receiver);
    pc.ontrack = ({ track }) => {
      show(id, track.kind).srcObject = new MediaStream([track]);
    };
    await pc.setLocalDescription(await pc.createOffer());
    await gathered(pc);
    s.record.joined = wall();
    return pc.localDescription.sdp;
  };

  // A test card with a moving ball and grain, drawn 30 times a second.
  function card() {
    const canvas = Object.assign(document.createElement("canvas"), { width: 1280, height: 720 });
    const c = canvas.getContext("2d", { alpha: false });
    const tile = new ImageData(256, 144);
    let n = 1;
    setInterval(() => {
      for (let i = 0; i < tile.data.length; i += 4) {
        n = (n * 1103515245 + 12345) & 0x7fffffff;
        tile.data[i] = tile.data[i + 1] = tile.data[i + 2] = 96 + ((n >> 16) & 63);
        tile.data[i + 3] = 255;
      }
      const t = wall() / 1000;
      c.fillStyle = `hsl(${(t * 20) % 360} 50% 40%)`;
      c.fillRect(0, 0, 1280, 720);
      for (let x = 0; x < 1280; x += 512) c.putImageData(tile, x, 288);
      c.fillStyle = "#fff";
      c.beginPath();
      c.arc(640 + 500 * Math.sin(t), 360 + 250 * Math.cos(1.3 * t), 60, 0, 7);
      c.fill();
    }, 1000 / 30);
    return canvas.captureStream(30).getVideoTracks()[0];
  }

  window.offerToPublish = async (id, layers) => {
    const pc = new RTCPeerConnection();
    begin(id).pcs.push(pc);
    const sound = new AudioContext();
    const to = sound.createMediaStreamDestination();
    const tone = sound.createOscillator();
    tone.connect(to);
    tone.start();
    pc.addTransceiver(to.stream.getAudioTracks()[0], { direction: "sendonly" });
    const encodings = layers === 3
      ? [{ rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150e3 }, { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500e3 }, { rid: "f", maxBitrate: 2500e3 }]
      : [{ maxBitrate: 2500e3 }];
    const video = pc.addTransceiver(card(), { direction: "sendonly", sendEncodings: encodings });
    const codecs = RTCRtpSender.getCapabilities("video").codecs;
    video.setCodecPreferences(codecs.filter((c) => c.mimeType === "video/rtx" || (c.mimeType === "video/H264" && /packetization-mode=1/.test(c.sdpFmtpLine) && /42e0|42001f|4200/.test(c.sdpFmtpLine))));
    pc.onconnectionstatechange = () => pc.connectionState === "connected" && window.happened("first", id);
    await pc.setLocalDescription(await pc.createOffer());
    await gathered(pc);
    return pc.localDescription.sdp;
  };

  window.accept = (id, answer) => sessions.get(id).pcs[0].setRemoteDescription({ type: "answer", sdp: answer });

  window.finish = async (id) => {
    const s = sessions.get(id);
    if (!s) return null;
    s.ended = true;
    await sample(s);
    sessions.delete(id);
    await s.leave?.();
    for (const pc of s.pcs) pc.close();
    for (const e of s.elements) e.remove();
    return s.record;
  };

  setInterval(() => {
    for (const s of sessions.values()) if (!s.ended) sample(s).catch((error) => s.record.errors.push(String(error)));
  }, 500);
}

// Starts Chromium with the page. clients is the folder that has playwright-core.
export async function launch(clients) {
  const folder = resolve(clients || join(here, "..", "..", "clients"));
  const { chromium } = createRequire(join(folder, "package.json"))("playwright-core");
  const site = createServer((_, res) => res.setHeader("Content-Type", "text/html").end("<!doctype html><title>viewer</title><body></body>"));
  await new Promise((done) => site.listen(0, "127.0.0.1", done));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--autoplay-policy=no-user-gesture-required", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
      "--disable-background-timer-throttling", "--disable-features=WebRtcHideLocalIpsWithMdns", "--allow-loopback-in-peer-connection",
    ],
  });
  const page = await browser.newPage();
  await page.exposeFunction("happened", (event, id) => tell({ event, id }));
  await page.goto(`http://localhost:${site.address().port}/`);
  await page.evaluate(`(${inpage})(${JSON.stringify(worker)})`);
  return page;
}

const resources = new Map();
const bearer = (token) => (token ? { Authorization: `Bearer ${token}` } : {});

// Posts an offer to a WHIP or WHEP endpoint, and returns the answer. The session ends with its id.
export async function post({ id, url, token }, offer) {
  const res = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp", ...bearer(token) }, body: offer });
  const answer = await res.text();
  if (res.status !== 201) throw new Error(`the server answered ${res.status}: ${answer}`);
  resources.set(id, { url: new URL(res.headers.get("Location"), url), token });
  return answer;
}

// Does what the lines say, until they end.
export async function obey(page, { view }) {
  const ops = {
    view,
    publish: async (m) => {
      const offer = await page.evaluate(([id, layers]) => window.offerToPublish(id, layers), [m.id, m.layers]);
      await page.evaluate(([id, answer]) => window.accept(id, answer), [m.id, await post(m, offer)]);
    },
    stop: async ({ id }) => {
      const record = await page.evaluate((id) => window.finish(id), id);
      const r = resources.get(id);
      resources.delete(id);
      if (r) await fetch(r.url, { method: "DELETE", headers: bearer(r.token) }).catch(() => {});
      tell({ event: "record", id, record: record ?? { joined: 0, pictures: [], samples: [], errors: ["never opened"] } });
    },
  };
  tell({ event: "ready" });
  for await (const line of createInterface({ input: process.stdin })) {
    if (!line.trim()) continue;
    const m = JSON.parse(line);
    if (m.op === "quit") break;
    // One after the other would let a slow join hold the control up.
    ops[m.op](m).catch((error) => tell({ event: "failed", id: m.id, error: String(error?.message ?? error) }));
  }
  await page.context().browser().close();
  process.exit(0);
}
