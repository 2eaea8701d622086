// A hall where players that others wrote play ours: a page of the story's own with hls.js, Shaka Player or dash.js as
// people have them from npm, from another origin than the server, and what can be asked of each in the same words.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { eventually } from "./house.mjs";

const module = (path) => fileURLToPath(new URL(`../node_modules/${path}`, import.meta.url));
const scripts = {
  "/hls.js": module("hls.js/dist/hls.min.js"),
  "/shaka.js": module("shaka-player/dist/shaka-player.compiled.js"),
  "/dash.js": module("dashjs/dist/modern/umd/dash.all.min.js"),
};
const page = `<!doctype html><title>hall</title><video playsinline width="640" height="360"></video>`;

/** openHall serves the page on a free port of loopback. */
export async function hall() {
  const server = createServer(async (req, res) => {
    const script = scripts[new URL(req.url, "http://x").pathname];
    if (!script) return res.writeHead(200, { "Content-Type": "text/html" }).end(page);
    res.writeHead(200, { "Content-Type": "text/javascript" }).end(await readFile(script));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://localhost:${server.address().port}/`, close: () => server.close() };
}

/** seat opens a page of the hall with one player: hls.js, shaka or dash.js; licence is where it gets the keys of what is protected, and a steady one does not change layers by itself. */
export async function seat(browser, hall, { player, url, spy, licence, steady }) {
  const page = await (await browser.newContext({ viewport: { width: 680, height: 400 } })).newPage();
  const said = [];
  spy?.(page);
  page.on("pageerror", (e) => said.push(`page: ${e.message}`));
  await page.goto(hall.url);
  await page.addScriptTag({ url: { "hls.js": "/hls.js", shaka: "/shaka.js", "dash.js": "/dash.js" }[player] });
  await page.evaluate(observe);
  await page.evaluate({ "hls.js": playHLS, shaka: playShaka, "dash.js": playDASH }[player], [url, licence, steady]);
  return {
    page,
    /** seen is what has happened up to now. */
    seen: async () => {
      const seen = await page.evaluate(() => window.seat.seen());
      return { ...seen, errors: [...seen.errors, ...said] };
    },
    /** heights of the pictures that may be chosen, ascending. */
    heights: async () => [...new Set(await page.evaluate(() => window.seat.heights()))].filter(Boolean).sort((a, b) => a - b),
    choose: (height) => page.evaluate((h) => window.seat.choose(h), height),
    height: () => page.evaluate(() => document.querySelector("video").videoHeight),
    /** languages of text that may be chosen. */
    languages: () => page.evaluate(() => window.seat.languages()),
    speak: (language) => page.evaluate((l) => window.seat.speak(l), language),
    /** read returns the texts of the next seconds, each with the media time at which it was shown first. */
    read: (seconds) => page.evaluate(read, seconds),
    /** loudness is the largest amplitude in two seconds of sound. */
    loudness: () => page.evaluate(loudness),
    /** clock is the time code of the next frames, and by how much the capture time differs from it, in milliseconds; began is when media time 0 was captured. */
    clock: (frames, began) => page.evaluate(codes, [frames, began]),
    /** standing is what the player holds, in its own words, for who has to find out why it does not play. */
    standing: () => page.evaluate(standing),
    /** delays from the time code in the picture to its display, of the next frames, in milliseconds. */
    delays: (frames) => page.evaluate(codes, [frames]),
  };
}

/** observe notes stalls and errors; it runs in the page. */
function observe() {
  performance.setResourceTimingBufferSize(20_000); // else what is asked for after the 250th is not known
  const video = document.querySelector("video");
  const notes = { errors: [], waits: [], frozen: 0, longest: 0, began: 0 };
  window.seat = { notes, video };
  const error = (text) => notes.errors.push(String(text).slice(0, 600));
  window.seat.error = error;
  video.addEventListener("error", () => error(`video: ${video.error?.code} ${video.error?.message}`));
  for (const name of ["waiting", "stalled"]) video.addEventListener(name, () => notes.began && name === "waiting" && notes.waits.push({ at: Date.now() - notes.began, position: video.currentTime }));
  video.addEventListener("playing", () => (notes.began ||= Date.now()), { once: true });
  // Currency that is not an event's word: time that does not go on although nobody paused.
  let [position, since] = [0, Date.now()];
  setInterval(() => {
    if (!notes.began || video.seeking || video.currentTime !== position) [position, since] = [video.currentTime, Date.now()];
    else if (Date.now() - since > 500) [notes.frozen, notes.longest] = [notes.frozen + 1, Math.max(notes.longest, Date.now() - since)];
  }, 100);
  window.seat.seen = () => {
    const q = video.getVideoPlaybackQuality();
    const buffered = video.buffered.length ? video.buffered.end(video.buffered.length - 1) - video.currentTime : 0;
    return { ...notes, seconds: notes.began ? (Date.now() - notes.began) / 1000 : 0, position: video.currentTime, rate: video.playbackRate, buffered, frames: q.totalVideoFrames, dropped: q.droppedVideoFrames };
  };
}

async function playHLS([url, licence]) {
  const { video, error } = window.seat;
  // A little faster when behind, as players that care do; all else is as it comes.
  const hls = new window.Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.05, ...(licence && { emeEnabled: true, drmSystems: { "org.w3.clearkey": { licenseUrl: licence } } }) });
  window.seat.player = hls;
  hls.on(window.Hls.Events.ERROR, (_, e) => error(`${e.type} ${e.details} ${e.fatal ? "fatal " : ""}${e.error?.message ?? e.reason ?? ""} ${e.response?.code ?? ""} ${e.url ?? e.frag?.url ?? ""}`));
  window.seat.heights = () => hls.levels.map((l) => l.height);
  window.seat.choose = (height) => (hls.nextLevel = hls.levels.findIndex((l) => l.height === height));
  hls.attachMedia(video);
  hls.loadSource(url);
  void video.play().catch((e) => error(`play: ${e.message}`)); // it is not waited for: a player that never begins is a story's business
}

async function playShaka([url, licence, steady]) {
  const { video, error } = window.seat;
  window.shaka.polyfill.installAll();
  const player = new window.shaka.Player();
  window.seat.player = player;
  // What Shaka Player throws itself has no category but a stack.
  const told = ({ severity, category, code, data, message, stack }) => `${severity} ${category} ${code} ${code ? (data ?? []).map((d) => (d instanceof Error ? String(d) : JSON.stringify(d))) : `${message} ${stack}`}`;
  player.addEventListener("error", (e) => error(told(e.detail)));
  await player.attach(video);
  // Without liveSync it follows the latency that a manifest asks for; with it, it goes as near as half a second and starves.
  player.configure({ streaming: { lowLatencyMode: true } });
  if (steady) player.configure("abr.enabled", false);
  if (licence) player.configure({ drm: { servers: { "org.w3.clearkey": licence } } });
  // Those of the manifest: of tracks it leaves out, for 30 s, whose pictures came so fast that it dropped every seventh
  // (abr.droppedFrames), which is the machine's speed. It lists them again when it does not choose by itself.
  window.seat.heights = () => player.getManifest().variants.map((v) => v.video?.height);
  window.seat.choose = (height) => {
    player.configure("abr.enabled", false);
    const tracks = player.getVariantTracks();
    const now = tracks.find((t) => t.active);
    // With the sound that it has: where both change at once, Shaka Player 5.2.12 may abort an initialisation section by the
    // seek of the other's flush, and asks its prefetch for that one for ever (its issue 10569).
    player.selectVariantTrack(tracks.find((t) => t.height === height && t.audioCodec === now?.audioCodec && t.language === now?.language) ?? tracks.find((t) => t.height === height), true);
  };
  window.seat.languages = () => player.getTextTracks().map((t) => t.language);
  window.seat.speak = (language) => player.selectTextTrack(player.getTextTracks().find((t) => t.language === language));
  await player.load(url);
  void video.play().catch((e) => error(`play: ${e.message}`)); // it is not waited for: a player that never begins is a story's business
}

async function playDASH([url, licence]) {
  const { video, error } = window.seat;
  const player = window.dashjs.MediaPlayer().create();
  window.seat.player = player;
  player.updateSettings({ streaming: { delay: { applyServiceDescription: true } } });
  player.on("error", (e) => error(`${e.error?.code} ${e.error?.message}`));
  window.seat.heights = () => player.getRepresentationsByType("video").map((r) => r.height);
  window.seat.choose = (height) => {
    player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false } }, buffer: { fastSwitchEnabled: true } } });
    player.setRepresentationForTypeById("video", player.getRepresentationsByType("video").find((r) => r.height === height).id, true);
  };
  window.seat.languages = () => player.getTracksFor("text").map((t) => t.lang);
  window.seat.speak = (language) => player.setTextTrack(player.getTracksFor("text").findIndex((t) => t.lang === language));
  player.initialize(video, url, true);
  if (licence) player.setProtectionData({ "org.w3.clearkey": { serverURL: licence } });
}

function standing() {
  const { video, player, notes } = window.seat;
  const buffered = Array.from(video.buffered, (_, i) => [video.buffered.start(i), video.buffered.end(i)]);
  const media = performance.getEntriesByType("resource").filter((e) => /\.m4s/.test(e.name));
  const asked = media.slice(-12).map((e) => `${new URL(e.name).pathname.split("/").slice(-2).join("/")} ${e.responseStatus} ${Math.round(e.startTime)}+${Math.round(e.duration)}`);
  const own = {
    hls: () => ({ level: player.currentLevel, latency: player.latency, edge: player.liveSyncPosition }),
    shaka: () => ({ variants: player.getManifest().variants.map((v) => [v.video?.height, v.audio?.codecs, v.disabledUntilTime, v.allowedByApplication, v.allowedByKeySystem]), tracks: player.getVariantTracks().map((t) => [t.height, t.active]) }),
    dashjs: () => ({ period: player.getActiveStream()?.getId(), latency: player.getCurrentLiveLatency(), text: player.getTracksFor("text").map((t) => t.lang), cues: Array.from(video.textTracks, (t) => [t.language, t.mode, t.cues?.length]) }),
  };
  const which = Object.keys(own).find((name) => window[name === "hls" ? "Hls" : name]);
  let more;
  try {
    more = own[which]();
  } catch (error) {
    more = String(error);
  }
  return { now: Math.round(performance.now()), position: video.currentTime, paused: video.paused, ready: video.readyState, rate: video.playbackRate, buffered, more, asked, errors: notes.errors, waits: notes.waits };
}

async function read(seconds) {
  const { video } = window.seat;
  const texts = new Map();
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await new Promise((done) => setTimeout(done, 30))) {
    for (const track of video.textTracks) {
      if (track.mode === "disabled") continue;
      for (const cue of track.activeCues ?? []) if (!texts.has(cue.text)) texts.set(cue.text, video.currentTime);
    }
  }
  return [...texts];
}

async function loudness() {
  const { video } = window.seat;
  if (!window.seat.meter) {
    const context = new AudioContext();
    await context.resume();
    const meter = context.createAnalyser();
    meter.fftSize = 8192;
    context.createMediaElementSource(video).connect(meter);
    window.seat.meter = meter;
  }
  const samples = new Float32Array(8192);
  let largest = 0;
  for (const end = Date.now() + 2000; Date.now() < end; await new Promise((done) => setTimeout(done, 50))) {
    window.seat.meter.getFloatTimeDomainData(samples);
    for (const s of samples) largest = Math.max(largest, Math.abs(s));
  }
  return largest;
}

// codes holds the time code in each of the next frames against when it was captured, if media time 0 has a time, else against when it was
// displayed.
function codes([frames, began]) {
  const { video } = window.seat;
  const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 90 });
  const g = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  const out = [];
  return new Promise((done) => {
    const look = (_, frame) => {
      // A busy page is called for one picture and draws another; a VideoFrame knows its own time.
      const picture = began === undefined ? video : new VideoFrame(video);
      g.drawImage(picture, 0, 0, canvas.width, canvas.height);
      const { data } = g.getImageData(0, 0, 160, 20);
      let code = 0;
      for (let bit = 0; bit < 32; bit++) {
        const [x, y] = [(bit % 16) * 10 + 5, Math.floor(bit / 16) * 10 + 5];
        if (data[4 * (y * 160 + x)] > 127) code += 2 ** bit;
      }
      const at = began === undefined ? performance.timeOrigin + frame.expectedDisplayTime : began + picture.timestamp / 1000;
      if (began !== undefined) picture.close();
      out.push(began === undefined ? (at % 2 ** 32) - code : [code, (at % 2 ** 32) - code]);
      if (out.length < frames) video.requestVideoFrameCallback(look);
      else done(out);
    };
    video.requestVideoFrameCallback(look);
  });
}

/** publishLayers sends the page's camera in three layers of one codec, as a page of its own would; it runs in the page. */
export async function publishLayers({ url, token, codec, height = 540, fps = 15 }) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: (height / 9) * 16, height, frameRate: fps }, audio: true });
  window.pc?.close();
  const pc = (window.pc = new RTCPeerConnection());
  pc.addTransceiver(stream.getAudioTracks()[0], { direction: "sendonly" });
  const video = pc.addTransceiver(stream.getVideoTracks()[0], { direction: "sendonly", sendEncodings: [
    { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 100_000 }, { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 300_000 }, { rid: "f", maxBitrate: 900_000 },
  ] });
  video.setCodecPreferences(RTCRtpSender.getCapabilities("video").codecs.filter((c) => c.mimeType === `video/${codec}` || /rtx/.test(c.mimeType)));
  await pc.setLocalDescription();
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` }, body: pc.localDescription.sdp });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  await pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
}

/** showsByDASH seats a player before a manifest whose captions say "Nummer n sagt man", said at sent[n], and asks that they are shown on time by the picture's clock. */
export async function showsByDASH({ browser, room, player, manifest, sent }) {
  const began = Date.parse(/availabilityStartTime="([^"]+)"/.exec(await (await fetch(manifest)).text())[1]);
  // What is looked at is text; changes of layers have stories of their own.
  const s = await seat(browser, room, { player, url: manifest, steady: true });
  await eventually(`${player} plays`, async () => (await s.seen()).position > 0, 60000);
  await eventually(`${player} knows the languages`, async () => (await s.languages()).sort().join() === "de,en");
  await s.speak("de");
  const after = await eventually(`${player} shows captions`, async () => {
    const texts = await s.read(3);
    // The first that is seen may have begun long before.
    return texts.length > 2 && texts.slice(1).map(([text, at]) => [text, Math.round(began + at * 1000 - sent[Number(/^Nummer (\d+) sagt man$/.exec(text)[1])])]);
  });
  console.log(`${player}: shown, after it was said by the picture's clock, in ms: ${JSON.stringify(after)}`);
  for (const [text, late] of after) assert.ok(late > -500 && late < 2500, `${player} shows ${text} ${late} ms after it was said`);
  assert.deepEqual((await s.seen()).errors, [], player);
  await s.page.close();
}
