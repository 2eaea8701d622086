// Captions on every way: a program sends them, a viewer reads them by WebRTC, by LL-HLS and in the recording, and the
// playlists with them keep the rules.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { eventually, openBrowser, openHouse, run } from "./house.mjs";
import { camera } from "./timecode.mjs";

let house, browser, context, publisher, viewer, player, admin, talk;
const sent = []; // when caption n was

before(async () => {
  house = await openHouse([], { SLUICE_HLS__GRACE: "1s" });
  browser = await openBrowser();
  context = await browser.newContext({ permissions: ["camera", "microphone"], viewport: { width: 1280, height: 800 } });
  admin = await house.token("--admin");
});

after(async () => {
  clearInterval(talk);
  await browser?.close();
  await house?.close();
});

const link = (page) => house.out.match(new RegExp(`${house.http}/${page}/\\S+`))?.[0];
const ask = (path, options = {}) => fetch(house.http + path, { ...options, headers: { Authorization: `Bearer ${admin}`, ...options.headers } });
const say = (captions) => ask("/v1/streams/live/captions", { method: "POST", body: JSON.stringify(captions), headers: { "Content-Type": "application/json" } });
const shown = () => player.evaluate((p) => p.shadowRoot.querySelector(".captions")?.innerText ?? "");
const reads = (what, pattern) => eventually(what, async () => pattern.test(await shown()), 60000);
/** shot keeps a screenshot where one is asked for. */
async function shot(name) {
  if (!process.env.SHOTS) return;
  mkdirSync(process.env.SHOTS, { recursive: true });
  await viewer.screenshot({ path: `${process.env.SHOTS}/captions-${name}.png` });
}

test("captions are refused while nobody publishes", async () => {
  assert.equal((await say({ language: "en", text: "Hello" })).status, 409);
});

test("a viewer by WebRTC turns them on with C, and reads them", async () => {
  publisher = await context.newPage();
  await publisher.addInitScript(camera, { width: 640, height: 360, fps: 15 });
  await publisher.goto(link("publish"));
  await publisher.getByRole("button", { name: /go live/i }).click();
  viewer = await context.newPage();
  await viewer.goto(link("watch"));
  player = viewer.locator("sluice-player");
  await eventually("the player is live", async () => (await player.getAttribute("state")) === "live", 60000);
  assert.equal(await player.getAttribute("data-mode"), "webrtc");
  talk = setInterval(() => {
    const n = sent.push(Date.now()) - 1;
    void say([{ language: "en", text: `Number ${n} <is> said`, seconds: 1.5 }, { language: "de", text: `Nummer ${n} sagt man`, seconds: 1.5 }]).catch(() => undefined);
  }, 1000);
  await eventually("the captions are offered", async () => (await viewer.getByRole("button", { name: "Captions" }).count()) > 0);
  assert.equal(await shown(), "");
  await viewer.keyboard.press("c");
  await reads("the reader's language", /^Number \d+ <is> said/);
  await viewer.getByRole("button", { name: "Captions" }).click();
  await viewer.getByRole("menuitemradio", { name: "Deutsch" }).click();
  await reads("the chosen language", /^Nummer \d+ sagt man/);
  await shot("webrtc");
});

test("the recorder packages them, and the playlists keep the rules", async () => {
  const entry = await eventually("the languages are in the playlist", async () => {
    const text = await (await ask("/live/live/index.m3u8")).text();
    return /captions-de/.test(text) && /captions-en/.test(text) && text;
  });
  assert.match(entry, /TYPE=SUBTITLES,GROUP-ID="subs",NAME="English",LANGUAGE="en"/);
  const { out, err } = await run(["validate", `${house.http}/live/live/index.m3u8`, "--token", admin, "--for", "3s", "--slack", "2s"]);
  const lists = new Set(entry.match(/[^"\s]+\.m3u8/g));
  assert.match(out, new RegExp(` ${lists.size} playlists`));
  assert.doesNotMatch(out, /^\s+captions-\S+: /m, out + err);
});

test("the language stays when the player turns to HLS", async () => {
  await player.evaluate((p) => ((p.delivery = "hls"), p.start()));
  await eventually("the player plays HLS", async () => (await player.getAttribute("data-mode")) === "hls", 60000);
  await reads("the subtitles of HLS", /^Nummer \d+ sagt man/);
  // The text and the picture of one moment; between two cues there may be none.
  const { text, capture } = await eventually("the picture's clock is known", () => player.evaluate((p) => {
    const text = p.shadowRoot.querySelector(".captions")?.innerText ?? "";
    return /\d/.test(text) && p.dataset.captureMs && { text, capture: Number(p.dataset.captureMs) };
  }));
  const after = capture - sent[Number(/\d+/.exec(text)?.[0])];
  assert.ok(after > -500 && after < 2500, `${text} is shown ${after} ms after it was said, by the picture's clock`);
  await shot("hls");
  await viewer.keyboard.press("c");
  await eventually("they are off", async () => (await shown()) === "");
});

test("the recording has them as subtitles", async () => {
  await eventually("enough was said", () => sent.length > 12); // for the eighth second of the recording to have some
  clearInterval(talk);
  await publisher.close();
  const asset = await eventually("the asset is ready", async () => (await (await ask("/v1/assets?state=ready")).json()).assets?.[0], 60000);
  assert.deepEqual((await (await ask(`/v1/assets/${asset.id}`)).json()).subtitles.map((s) => s.language), ["de", "en"]);
  assert.match(await (await ask(`/v1/assets/${asset.id}/subtitles-en.vtt`)).text(), /^WEBVTT\n\n[\s\S]*Number 0 &lt;is&gt; said/);
  await viewer.setViewportSize({ width: 390, height: 780 });
  await viewer.goto(`${house.http}/recordings/${asset.id}#token=${admin}`);
  await viewer.reload();
  await eventually("it plays", async () => (await player.getAttribute("state")) === "playing", 60000);
  await viewer.keyboard.press("c");
  await player.evaluate((p) => p.seek(6000));
  await reads("the subtitles", /Number \d+ <is> said/);
  // Not what was read before it went there: the text is looked at five times a second.
  const { text, at } = await eventually("it has gone on there", () => player.evaluate((p) => {
    const text = p.shadowRoot.querySelector(".captions")?.innerText ?? "";
    return /\d/.test(text) && !p.media.seeking && p.media.currentTime > 6.5 && { text, at: p.media.currentTime * 1000 };
  }));
  const after = Date.parse(asset.started) + at - sent[Number(/\d+/.exec(text)?.[0])];
  assert.ok(after > -500 && after < 2500, `${text} is shown ${after} ms after it was said, in the recording`);
  await shot("recording-phone");
});
