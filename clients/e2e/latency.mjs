// Holds the latency readout against the time code that is drawn into the picture
// and read from pixels at the moment of display.
//
//   node e2e/latency.mjs [seconds]                 against a sender in the same page
//   node e2e/latency.mjs seconds URL TOKEN [CODEC]  through a running server

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { serve } from "./site.mjs";

const [, , n = "12", base = "", token = "", codec = "H264"] = process.argv;
const seconds = Number(n);
const inpage = await readFile(fileURLToPath(new URL("./inpage.js", import.meta.url)), "utf8");
const site = await serve();
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--headless", "--disable-background-networking", "--disable-features=WebRtcHideLocalIpsWithMdns", "--allow-loopback-in-peer-connection"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, permissions: ["camera", "microphone"] });
const init = { events: [["active", {}]], clockAhead: Number(process.env.AHEAD ?? 0), real: base !== "" };
await context.addInitScript(`window.fakeInit = ${JSON.stringify(init)};\n${inpage}`);
const root = base || `http://localhost:${site.port}`;
if (base) {
  const publish = await context.newPage();
  await publish.addInitScript(`localStorage.setItem("sluice.publish", JSON.stringify({ codec: "${codec}" }))`);
  await publish.goto(`${root}/publish/latency#token=${token}`);
  await publish.click("button.go");
  await publish.waitForSelector('sluice-publisher[state="live"]');
}
const page = await context.newPage();
await page.goto(`${root}/watch/${base ? "latency" : "demo"}#token=${token}`);
await page.waitForFunction(() => document.querySelector("sluice-app").shadowRoot.querySelector("sluice-watch-page").shadowRoot.querySelector("sluice-player").state === "live");
const rows = await page.evaluate(async (n) => {
  const player = document.querySelector("sluice-app").shadowRoot.querySelector("sluice-watch-page").shadowRoot.querySelector("sluice-player");
  const video = player.shadowRoot.querySelector("video");
  const canvas = new OffscreenCanvas(1280, 24);
  const c = canvas.getContext("2d", { willReadFrequently: true });
  const rows = [];
  const end = performance.now() + n * 1000;
  let window = [];
  return new Promise((done) => {
    const look = (_, m) => {
      c.drawImage(video, 0, 0, video.videoWidth, (video.videoHeight * 24) / 720, 0, 0, 1280, 24);
      const { data } = c.getImageData(0, 12, 1280, 1);
      let code = 0;
      for (let i = 0; i < 32; i++) if (data[(i * 40 + 20) * 4] > 127) code |= 1 << i;
      const shown = performance.timeOrigin + m.expectedDisplayTime;
      window.push((Math.floor(shown) | 0) - code);
      const source = player.viewing.session.receiver("video").getSynchronizationSources()[0];
      if (window.length === 30) {
        window.sort((a, b) => a - b);
        rows.push({ true: window[15], readout: Number(player.dataset.latencyMs), from: player.dataset.latencyFrom, captureTime: m.captureTime && m.expectedDisplayTime - m.captureTime, packets: source?.captureTimestamp && shown - (source.captureTimestamp - (source.senderCaptureTimeOffset ?? 0) - 2208988800000) });
        window = [];
      }
      if (performance.now() < end) video.requestVideoFrameCallback(look);
      else done(rows);
    };
    video.requestVideoFrameCallback(look);
  });
}, seconds);
console.table(rows);
const errors = rows.filter((r) => r.readout).map((r) => Math.abs(r.true - r.readout)).sort((a, b) => a - b);
console.log(`readout against pixels: median error ${errors[errors.length >> 1]} ms, worst ${errors.at(-1)} ms`);
await browser.close();
site.close();
