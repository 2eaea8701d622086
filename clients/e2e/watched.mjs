// A viewer in Chromium whose picture is looked at frame by frame, and a bad network that it may be behind.

import { spawn } from "node:child_process";
import { binary, eventually, freePort } from "./house.mjs";

/** openRelay stands a bad network before a house: it loses packets both ways and moves its viewers to new addresses now and then. */
export async function openRelay(house, { loss, move = 0 }) {
  const port = await freePort();
  const process = spawn(binary, ["load", "impair", "--listen", `127.0.0.1:${port}`, "--server", house.http, "--down", `loss=${loss}`, "--up", `loss=${loss}`, "--every", "0s", "--move", `${move}s`], { stdio: ["ignore", "pipe", "inherit"] });
  const relay = { url: `http://127.0.0.1:${port}`, moves: [], close: () => process.kill("SIGTERM") };
  process.stdout.on("data", (b) => {
    // A session that is over stays for a while and moves nobody.
    if (/moved [1-9]/.test(b)) relay.moves.push(Date.now());
  });
  await eventually("the relay is up", async () => (await fetch(`${relay.url}/readyz`)).ok);
  return relay;
}

/** watch opens the watch page in Chromium and waits for a picture of that width. */
export async function watch(browser, base, { stream, token, width }) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
  await page.goto(`${base}/watch/${stream}#token=${token}`);
  const player = page.locator("sluice-player");
  return settled((fn, arg) => player.evaluate(fn, arg), width);
}

/** watchInFirefox does the same there. */
export async function watchInFirefox(firefox, base, { stream, token, width }) {
  const page = await firefox.open();
  await page.goto(`${base}/watch/${stream}#token=${token}`);
  return settled((fn, arg) => page.evaluate(`(arg) => {
    const find = (root) => root.querySelector("sluice-player") ?? [...root.querySelectorAll("*")].map((e) => e.shadowRoot && find(e.shadowRoot)).find(Boolean);
    return (${fn})(find(document), arg);
  }`, arg ?? null), width);
}

/** settled waits for the picture; on runs a function in the page with the player. */
async function settled(on, width) {
  const viewer = viewerOf(on);
  await eventually("it is live", async () => (await viewer.state()) === "live", 60000);
  // When each frame is shown, for as long as the page lives.
  await on((p) => {
    const video = p.shadowRoot.querySelector("video");
    const shown = (window.shown = []);
    const look = (_, frame) => {
      shown.push(performance.timeOrigin + frame.expectedDisplayTime);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  });
  await eventually(`the picture is ${width} wide`, async () => (await viewer.width()) === width, 60000);
  return viewer;
}

/** viewerOf is what can be asked of a page that watches. */
const viewerOf = (on) => ({
  on,
  state: () => on((p) => p.getAttribute("state")),
  width: () => on((p) => p.shadowRoot.querySelector("video").videoWidth),
  choose: (rid) => on((p, rid) => p.viewing.choose(p.layers.find((l) => l.rid === rid)), rid),
  /** restart replaces the ICE session by a PATCH, and returns whether the server's credentials are new ones. */
  restart: () => on(async (p) => {
    const { session } = p.viewing;
    const ufrag = () => /a=ice-ufrag:(\S+)/.exec(session.pc.remoteDescription.sdp)[1];
    const before = ufrag();
    await session.restart();
    return ufrag() !== before;
  }),
  /** gap returns the longest time without a new picture since then, in milliseconds. */
  gap: (since) => on((_, since) => {
    let [last, longest] = [since, 0];
    for (const at of [...window.shown.filter((at) => at > since), Date.now()]) [last, longest] = [at, Math.max(longest, at - last)];
    return Math.round(longest);
  }, since),
  /** gaps returns from when until when there was no new picture for longer than that, between two times. */
  gaps: (from, to, longer) => on((_, [from, to, longer]) => {
    const at = window.shown.filter((at) => at > from && at < to);
    return at.map((t, i) => [at[i - 1] ?? from, t]).filter(([a, b]) => b - a > longer);
  }, [from, to, longer]),
  /** frames returns how many pictures were shown since then. */
  frames: (since) => on((_, since) => window.shown.filter((at) => at > since).length, since),
  /** stats returns what the browser counts: picture and sound. */
  stats: () => on(async (p) => {
    const seen = { at: Date.now(), picture: {}, sound: {} };
    (await p.viewing.session.pc.getStats()).forEach((s) => {
      if (s.type !== "inbound-rtp") return;
      const [name, kept] = s.kind === "video"
        ? ["picture", ["packetsReceived", "packetsLost", "retransmittedPacketsReceived", "nackCount", "pliCount", "framesDecoded", "framesDropped", "keyFramesDecoded", "freezeCount", "totalFreezesDuration"]]
        : ["sound", ["packetsReceived", "packetsLost", "concealedSamples", "silentConcealedSamples", "totalSamplesReceived"]];
      for (const k of kept) seen[name][k] = s[k] ?? 0;
    });
    return seen;
  }),
});

/** goesOn waits until pictures are shown again after something happened, and returns how long there was none. */
export async function goesOn(viewer, happened, within) {
  await eventually("pictures go on", async () => (await viewer.frames(Math.max(happened, Date.now() - 1000))) >= 5, within);
  return viewer.gap(happened);
}

/** between subtracts what was counted. */
export function between(a, b) {
  const part = (name) => Object.fromEntries(Object.keys(b[name]).map((k) => [k, Math.round((b[name][k] - (a[name][k] ?? 0)) * 1000) / 1000]));
  return { seconds: Math.round((b.at - a.at) / 100) / 10, picture: part("picture"), sound: part("sound") };
}
