// What hls.js, Shaka Player and dash.js make of a live stream, for as long as a story wants: one stream in three layers to
// be switched and heard, one with the time in its picture to measure how late it is shown.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hall, seat } from "./hall.mjs";
import { binary, eventually, openBrowser, openHouse } from "./house.mjs";
import { camera, median } from "./timecode.mjs";

/** guests are the players: each with one of the two manifests. */
export const guests = [
  { name: "hls.js", player: "hls.js", file: "index.m3u8" },
  { name: "Shaka, HLS", player: "shaka", file: "index.m3u8" },
  { name: "Shaka, DASH", player: "shaka", file: "manifest.mpd" },
  { name: "dash.js", player: "dash.js", file: "manifest.mpd" },
];

/** openShow starts a server with both streams and a browser for the players. */
export async function openShow(settings) {
  const show = { house: await openHouse([], settings), hall: await hall(), seats: [] };
  const { house } = show;
  show.close = async () => {
    show.encoder?.kill("SIGKILL");
    await show.browser?.close();
    show.hall.close();
    await house.close();
  };
  try {
    const token = await house.token("--publish", "*", "--play", "*");
    show.url = (stream, file) => `${house.http}/live/${stream}/${file}?token=${token}`;
    show.encoder = spawn(binary, ["load", "publish", `${house.http}/whip/layers`, "--layers", "3", "--bitrate", "1500000", "--duration", "24h", "--media", join(tmpdir(), "sluice-media")], {
      stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, SLUICE_PUBLISH_TOKEN: token, SLUICE_TOKEN: token },
    });
    show.browser = await openBrowser();
    const page = await (await show.browser.newContext({ permissions: ["camera", "microphone"] })).newPage();
    await page.addInitScript(camera, { width: 320, height: 180, fps: 15 });
    await page.addInitScript(() => localStorage.setItem("sluice.publish", JSON.stringify({ codec: "H264", simulcast: false, bitrate: 300_000 })));
    await page.goto(`${house.http}/publish/clock#token=${token}`);
    await page.getByRole("button", { name: /go live/i }).click();
    // Each picture is there once with each codec of sound.
    const pictures = async (stream) => new Set((await (await fetch(show.url(stream, "index.m3u8"))).text()).match(/^[^#\s]+\/video[^\s?]*/gm)).size;
    const newest = async (stream) => new Set((await (await fetch(show.url(stream, "manifest.mpd"))).text()).split("<Period").at(-1).match(/ height="\d+"/g)).size;
    await eventually("both streams are packaged", async () => (await pictures("layers")) === 3 && (await pictures("clock")) === 1 && (await newest("layers")) === 3, 150000); // the first encoder makes its media, which takes a while
    return show;
  } catch (error) {
    await show.close();
    throw error;
  }
}

/** within waits for something of a player, and tells how the player stands when it does not come. */
const within = (s, what, ask, time = 20000) => eventually(what, ask, time).catch(async (error) => {
  throw new Error(`${error.message}\n${JSON.stringify(await s.standing())}`);
});

/** play seats one player before a stream and waits until it plays. */
export async function play(show, guest, stream) {
  const s = await seat(show.browser, show.hall, { player: guest.player, url: show.url(stream, guest.file) });
  await within(s, `${guest.name} plays ${stream}`, async () => (await s.seen()).position > 0 && (await s.height()) > 0, 30000);
  return s;
}

/** switchAll forces every height in turn, and returns how long each took to be shown. */
export async function switchAll(s, name) {
  const took = {};
  // A layer that came up later than the others is in the manifest's next period: players know it once they have come there.
  const heights = await within(s, `${name} knows the layers`, async () => {
    const known = await s.heights();
    assert.deepEqual(known, [180, 360, 720], `${name}: the layers`);
    return known;
  });
  for (const h of [...heights, heights[0]]) {
    const at = Date.now();
    await s.choose(h);
    await within(s, `${name} shows ${h} lines`, async () => (await s.height()) === h);
    took[h] = Date.now() - at;
  }
  return took;
}

/** heard waits until something is heard: the encoder's tone and the browser's beep are far louder. A player that waits is silent meanwhile. */
export async function heard(s, name) {
  const loudness = await within(s, `${name} is heard`, async () => {
    const largest = await s.loudness();
    return largest > 0.01 && largest;
  });
  return Number(loudness.toFixed(2));
}

/** lateness is how long after its capture a picture was shown, of that many frames, in milliseconds. */
export async function lateness(s, frames) {
  let none;
  const late = await Promise.race([s.delays(frames), new Promise((done) => (none = setTimeout(done, 30000)))]);
  clearTimeout(none);
  if (!late) assert.fail(`no ${frames} pictures in 30 s: ${JSON.stringify(await s.standing())}`);
  const all = late.sort((a, b) => a - b);
  return { frames, p50: Math.round(median(all)), p95: Math.round(all[Math.floor(all.length * 0.95)]) };
}

/** faults are the errors that are not the player's own change of mind: hls.js says "aborted" of its own requests. */
export const faults = (seen) => seen.errors.filter((e) => !/^networkError aborted /.test(e));

/** failures are the faults but for what hls.js says when it has to wait, or steps over what it threw away to change layers: that is the machine's speed. */
export const failures = (seen) => faults(seen).filter((e) => !/^mediaError buffer(StalledError|SeekOverHole|NudgeOnStall) (?!fatal)/.test(e));
