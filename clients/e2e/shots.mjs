// Screenshots of every state of every page, on desktop and phone, light and dark,
// against a fake server inside the page.
//
//   node e2e/shots.mjs FOLDER [part of a name]

import { mkdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { serve } from "./site.mjs";

const [folder, only = ""] = process.argv.slice(2);
if (!folder) throw new Error("name a folder for the pictures");
await mkdir(folder, { recursive: true });
const inpage = await readFile(fileURLToPath(new URL("./inpage.js", import.meta.url)), "utf8");

const hour = 3600_000;
const ago = (ms) => new Date(Date.now() - ms).toISOString();
const layers = [
  { rid: "q", width: 320, height: 180, bitrate: 240_000, fps: 30, active: true },
  { rid: "h", width: 640, height: 360, bitrate: 710_000, fps: 30, active: true },
  { rid: "f", width: 1280, height: 720, bitrate: 2_400_000, fps: 30, active: true },
];
const publisher = (codec, list, health = []) => ({ transport: "udp", rtt_ms: 18, bitrate: 3_400_000, loss: 0, tracks: [{ kind: "audio", codec: "Opus", layers: [] }, ...(list ? [{ kind: "video", codec, layers: list }] : [])], health });
const stream = (name, viewers, since, p, isPublic = true) => ({ stream: name, live: true, public: isPublic, viewers, since, epoch: 1, publisher: p });
const many = [
  stream("physics.lesson-4", 38, ago(47 * 60_000), publisher("H264", layers)),
  stream("studio", 1204, ago(3 * hour), publisher("AV1", [{ ...layers[2], width: 1920, height: 1080 }])),
  stream("radio", 7, ago(26 * hour), publisher("", null)),
  stream("a-very-long-name.that-does-not-fit.into-one-line-of-a-card", 1, ago(12_000), publisher("VP9", layers)),
];
const wireLayers = { 1: layers.toReversed().map((l) => ({ rid: l.rid, width: l.width, height: l.height, bitrate: l.bitrate, current: l.rid === "f" })) };
const film = (title, more = {}) => ({
  id: title.toLowerCase().replace(/[^a-z]/g, "").padEnd(16, "0").slice(0, 16), stream: "physics", kind: "recording", title, description: "", public: false, state: "ready", started: ago(26 * hour), ended: ago(25 * hour), duration: 3127,
  size: 812_000_000, codecs: ["avc1.64001f", "opus"], width: 1280, height: 720, complete: true, playable: true, export: "/v1/assets/x/export.mp4", thumbnail: "/v1/assets/x/thumbnail.jpg", views: 38, version: 3, editable: true, ...more,
});
const films = [
  film("Physics, lesson 4", { state: "recording", views: 2, duration: 754 }), film("Physics, lesson 3"), film("A very long title of a recording that does not fit into one line", { kind: "clip", duration: 42, views: 1204 }),
  film("Holiday", { kind: "upload", state: "processing", playable: false, thumbnail: undefined, progress: 0.4, duration: 0, views: 0 }), film("Broken", { state: "failed", playable: false, thumbnail: undefined, duration: 0, views: 0, reason: "the file holds no picture and no sound" }),
];
const events = [["active", {}], ["layers", wireLayers], ["viewercount", { viewercount: 38 }]];
const token = "#token=eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJzbHVpY2UifQ.c2lnbmF0dXJl";
const status = (health, isPublic = true) => stream("demo", 12, ago(90_000), publisher("H264", layers, health), isPublic);

const wait = (state) => async (page) => page.waitForSelector(`sluice-player[state="${state}"]`, { timeout: 20_000 });
const live = wait("live");
const seconds = (n) => (page) => page.waitForTimeout(n * 1000);
const all = (...steps) => async (page) => {
  for (const step of steps) await step(page);
};
const press = (key) => (page) => page.keyboard.press(key);
const click = (selector) => (page) => page.click(selector);
const set = (fn, arg) => (page) => page.evaluate(fn, arg);
const goLive = all(click("button.go"), (page) => page.waitForSelector('sluice-publisher[state="live"]'), seconds(6));

const states = {
  "home-cards": { path: "/", fake: { streams: many } },
  "home-empty": { path: "/", fake: {} },
  "home-loading": { path: "/", fake: { hold: true } },
  "home-unreachable": { path: "/", fake: { streams: many }, then: all(seconds(1), set(() => (window.fake.down = true)), seconds(2.5)) },
  "home-denied": { path: "/" + token, fake: { listStatus: 401 } },
  "home-badname": { path: "/", fake: { streams: many }, then: all((page) => page.fill("#name", "no spaces please"), click("sluice-home form button")) },
  "home-token": { path: "/", fake: { streams: many }, then: click("header button >> nth=0") },
  "recordings-cards": { path: "/recordings" + token, fake: { assets: films, next: "n", uploadTo: "uploads" }, then: seconds(1), full: true },
  "recordings-play-only": { path: "/recordings" + token, fake: { assets: films.slice(1, 3) }, then: seconds(1) },
  "recordings-empty": { path: "/recordings" + token, fake: {} },
  "recordings-public": { path: "/recordings", fake: {} },
  "recordings-loading": { path: "/recordings", fake: { hold: true } },
  "recordings-denied": { path: "/recordings" + token, fake: { listStatus: 401 } },
  "recordings-none": { path: "/recordings" + token, fake: {}, then: all((page) => page.fill("sluice-recordings form input", "algebra"), seconds(0.8)) },
  "recordings-upload": { path: "/recordings" + token, fake: { assets: films, uploadTo: "uploads" }, then: all((page) => page.setInputFiles("sluice-upload input", [1, 2, 3, 4].map((n) => ({ name: `Holiday ${n}.mp4`, mimeType: "video/mp4", buffer: Buffer.alloc(9) }))), seconds(0.5)) },
  "recording-gone": { path: "/recordings/gone", fake: { assetStatus: 404 } },
  "recording-refused": { path: "/recordings/secret", fake: { assetStatus: 403 } },
  "recording-processing": { path: "/recordings/holiday" + token, fake: { assets: [films[3]] } },
  "recording-failed": { path: "/recordings/broken" + token, fake: { assets: [films[4]] } },
  "recording-delete": { path: "/recordings/holiday" + token, fake: { assets: [films[3]] }, then: all(click("text=Delete"), seconds(0.3)) },
  "recording-rename": { path: "/recordings/holiday" + token, fake: { assets: [films[3]] }, then: all(click('[aria-label="Change the title"]'), seconds(0.3)) },
  "publish-ask": { path: "/publish/demo", fake: {}, deny: true },
  "publish-denied": { path: "/publish/demo", fake: {}, deny: true, then: all(set(() => (navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotAllowedError")))), click("text=Turn on camera")) },
  "publish-preview": { path: "/publish/demo" + token, fake: {}, then: all((page) => page.waitForSelector("sluice-publisher video:not([hidden])"), seconds(2)) },
  "publish-settings": { path: "/publish/demo" + token, fake: {}, then: all(seconds(1.5), click("sluice-publisher form summary"), click("sluice-publish-page details.panel summary"), seconds(0.5)), full: true },
  "publish-live": { path: "/publish/demo" + token, fake: { status: status([]) }, then: goLive, full: true },
  "publish-findings": {
    path: "/publish/demo" + token, full: true, then: goLive,
    fake: { status: { ...status([{ code: "uplink_loss", text: "the uplink loses 6 % of packets", advice: "use a cable, or lower the bitrate", level: "error" }, { code: "no_key_frame", text: "no key frame for 8 s", advice: "set the encoder's key frame interval to 1 or 2 s", level: "warning" }], false), publisher: { ...publisher("H264", layers, [{ code: "uplink_loss", text: "the uplink loses 6 % of packets", advice: "use a cable, or lower the bitrate", level: "error" }, { code: "no_key_frame", text: "no key frame for 8 s", advice: "set the encoder's key frame interval to 1 or 2 s", level: "warning" }]), loss: 0.06 } } },
  },
  "publish-refused": { path: "/publish/demo", fake: { whip: 401 }, then: all(click("button.go"), seconds(2)) },
  "publish-insecure": { path: "/publish/demo", fake: {}, insecure: true },
  "watch-loading": { path: "/watch/demo", fake: { whep: "never" } },
  "watch-waiting": { path: "/watch/demo", fake: { whep: "silent" }, then: wait("waiting") },
  "watch-live": { path: "/watch/demo", fake: { events }, then: all(live, seconds(3)) },
  "watch-sound": { path: "/watch/demo", fake: { events }, then: all(live, seconds(1), press("m"), seconds(2), (page) => page.mouse.move(200, 150), seconds(0.3)) },
  "watch-layers": { path: "/watch/demo", fake: { events }, then: all(live, seconds(2), press("m"), click('sluice-player [aria-label="Quality"]'), seconds(0.3)) },
  "watch-rewind": { path: "/watch/demo", fake: { events, past: true }, then: all(live, seconds(1), (page) => page.hover("sluice-player"), seconds(1), (page) => page.hover("sluice-timeline", { position: { x: 150, y: 12 } }), seconds(0.4)) },
  "watch-help": { path: "/watch/demo", fake: { events }, then: all(live, seconds(1), press("?"), seconds(0.3)) },
  "watch-stats": { path: "/watch/demo", fake: { events }, then: all(live, press("s"), seconds(14)), full: true },
  "watch-reconnecting": { path: "/watch/demo", fake: { events }, then: all(live, seconds(1), set(() => { window.fake.down = true; window.fake.pcs.forEach((pc) => pc.close()); }), wait("reconnecting"), seconds(0.5)) },
  "watch-unreachable": { path: "/watch/demo", fake: { down: true }, then: wait("reconnecting") },
  "watch-away": { path: "/watch/demo", fake: { events }, then: all(live, seconds(1), set(() => window.fake.tell("inactive", { reason: "" })), wait("waiting")) },
  "watch-ended": { path: "/watch/demo", fake: { events, status: { stream: "demo", live: false, public: true, viewers: 0 } }, then: all(live, seconds(1), set(() => { window.fake.tell("inactive", { reason: "the publisher left and did not come back" }); window.fake.pcs.forEach((pc) => pc.getSenders().forEach((s) => void s.replaceTrack(null))); setTimeout(() => window.fake.endFeeds(), 100); }), wait("ended")) },
  "watch-refused": { path: "/watch/demo", fake: { whep: 401 }, then: wait("refused") },
  "watch-notlive": { path: "/watch/demo", fake: { whep: 409 }, then: wait("waiting") },
  "watch-offline": { path: "/watch/demo", fake: { events }, then: all(live, seconds(1), set(() => { window.fake.pcs.forEach((pc) => pc.getSenders().forEach((s) => void s.replaceTrack(null))); setTimeout(() => dispatchEvent(new Event("offline")), 2500); }), wait("offline")) },
};

const sizes = { desktop: { width: 1440, height: 900 }, phone: { width: 390, height: 844 }, tiny: { width: 320, height: 640 } };
const site = await serve();
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--headless", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--disable-background-networking",
    "--disable-features=WebRtcHideLocalIpsWithMdns", "--allow-loopback-in-peer-connection", "--autoplay-policy=no-user-gesture-required", "--host-resolver-rules=MAP sluice.example 127.0.0.1"],
});
let failed = 0;

async function shoot(name, state, size, scheme) {
  const host = state.insecure ? "sluice.example" : "localhost";
  const context = await browser.newContext({ viewport: sizes[size], colorScheme: scheme, permissions: state.deny || state.insecure ? [] : ["camera", "microphone"], hasTouch: size !== "desktop" });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const label = `${name}-${size}-${scheme}`;
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && !/status of 4/.test(m.text()) && console.log(`${label}: ${m.text()}`));
  page.on("pageerror", (e) => (console.log(`${label}: ${e.message}`), failed++));
  await page.addInitScript(`window.fakeInit = ${JSON.stringify(state.fake)};\n${inpage}`);
  try {
    await page.goto(`http://${host}:${site.port}${state.path}`);
    await page.waitForTimeout(600);
    await state.then?.(page);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    if (wide) console.log(`${label}: wider than the window`), failed++;
    await page.screenshot({ path: `${folder}/${label}.png`, fullPage: state.full === true });
  } catch (error) {
    failed++;
    console.log(`${label}: ${String(error.message).split("\n")[0]}`);
    await page.screenshot({ path: `${folder}/${label}-failed.png` }).catch(() => undefined);
  }
  await context.close();
}

for (const [name, state] of Object.entries(states)) {
  if (!name.includes(only)) continue;
  for (const [size, scheme] of [["desktop", "light"], ["desktop", "dark"], ["phone", "light"], ["phone", "dark"], ["tiny", "light"]]) await shoot(name, state, size, scheme);
}
await browser.close();
site.close();
console.log(failed ? `${failed} failed` : "all taken");
process.exitCode = failed ? 1 : 0;
