// Pictures of what a viewer sees as WebRTC and LL-HLS take over from each other and as they go back, of a real server: the
// page on a desktop and on a phone, light and dark, and the last frame before a swap beside the first one after it.
//
//   node e2e/pictures.mjs FOLDER [part of a look's name]

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, openBrowser, openHouse } from "./house.mjs";
import { is } from "./seam.mjs";

const [folder, only = ""] = process.argv.slice(2);
if (!folder) throw new Error("name a folder for the pictures");
mkdirSync(folder, { recursive: true });
const fps = 15;

/** lesson replaces the page's camera by a board with the number of the frame and the time on it; it runs in the page. */
function lesson({ width, height, fps }) {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const sound = wanted.audio ? await real({ audio: wanted.audio }) : new MediaStream();
    if (!wanted.video) return sound;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const g = canvas.getContext("2d", { alpha: false });
    const stream = canvas.captureStream(0);
    let n = 0;
    setInterval(() => {
      const sky = g.createLinearGradient(0, 0, width, height);
      sky.addColorStop(0, "#123");
      sky.addColorStop(1, "#28465e");
      g.fillStyle = sky;
      g.fillRect(0, 0, width, height);
      g.strokeStyle = "#fa0";
      g.lineWidth = 6;
      g.beginPath();
      g.arc(width / 2, height * 0.42, height * 0.28, -Math.PI / 2, -Math.PI / 2 + ((n % 60) / 60) * 2 * Math.PI);
      g.stroke();
      g.fillStyle = "#fff";
      g.textAlign = "center";
      g.font = `600 ${height * 0.2}px sans-serif`;
      g.fillText(String(n++), width / 2, height * 0.49);
      g.font = `${height * 0.08}px monospace`;
      g.fillText(new Date().toISOString().slice(11, 23), width / 2, height * 0.85);
      stream.getVideoTracks()[0].requestFrame();
    }, 1000 / fps);
    for (const t of sound.getAudioTracks()) stream.addTrack(t);
    return stream;
  };
}

/** keep draws each frame in front, and at a swap keeps the last of before and the first of after; it runs in the page. */
const keep = (p) => {
  const [w, h] = [480, 270];
  const drawn = () => Object.assign(document.createElement("canvas"), { width: w, height: h });
  let [last, next, mode] = [drawn(), drawn(), p.director.mode];
  window.strip = undefined;
  for (const video of p.shadowRoot.querySelectorAll("video")) {
    const look = () => {
      if (video === p.media && !window.strip) {
        next.getContext("2d").drawImage(video, 0, 0, w, h);
        if (p.director.mode !== mode) {
          const both = Object.assign(document.createElement("canvas"), { width: 2 * w + 4, height: h });
          both.getContext("2d").drawImage(last, 0, 0);
          both.getContext("2d").drawImage(next, w + 4, 0);
          window.strip = both.toDataURL("image/jpeg", 0.85);
        }
        [last, next] = [next, last];
      }
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }
};

const looks = [
  { name: "desktop-light", viewport: { width: 1280, height: 860 }, colorScheme: "light" },
  { name: "desktop-dark", viewport: { width: 1280, height: 860 }, colorScheme: "dark" },
  { name: "phone-light", viewport: { width: 390, height: 700 }, colorScheme: "light", hasTouch: true },
  { name: "phone-dark", viewport: { width: 390, height: 700 }, colorScheme: "dark", hasTouch: true },
];

const house = await openHouse();
const browser = await openBrowser();
try {
  const token = await house.token("--publish", "*", "--play", "*");
  const context = await browser.newContext({ permissions: ["camera", "microphone"] });
  const publisher = await context.newPage();
  await publisher.addInitScript(lesson, { width: 640, height: 360, fps });
  await publisher.addInitScript(() => localStorage.setItem("sluice.publish", JSON.stringify({ codec: "H264", simulcast: false })));
  await publisher.goto(`${house.http}/publish/lesson#token=${token}`);
  await publisher.getByRole("button", { name: /go live/i }).click();
  await eventually("it is on air", () => publisher.locator('sluice-publisher[state="live"]').count());
  for (const { name, ...look } of looks.filter((l) => l.name.includes(only))) await shoot(name, look, token);
} finally {
  await browser.close();
  await house.close();
}

/** shoot takes all pictures of one viewer. */
async function shoot(name, look, token) {
  const page = await (await browser.newContext(look)).newPage();
  const shot = (what) => page.screenshot({ path: join(folder, `${what}-${name}.jpg`), type: "jpeg", quality: 80 });
  await page.goto(`${house.http}/watch/lesson#token=${token}`);
  const player = page.locator("sluice-player");
  await is(player, "live", "webrtc", 30000);
  await eventually("it is known when frames were captured", () => player.getAttribute("data-capture-ms"));
  await player.hover();
  await eventually("there are seconds to go back to", () => player.evaluate((p) => p.span?.to - p.span?.from > 11000), 40000);
  for (const [delivery, mode] of [["hls", "hls"], ["auto", "webrtc"]]) {
    await player.evaluate(keep);
    await eventually("there is a picture", () => page.evaluate(() => new Promise((done) => setTimeout(() => done(true), 500))));
    await player.evaluate((p, delivery) => void (p.delivery = delivery), delivery);
    await is(player, "live", mode, 50000);
    await shot(`handover-to-${mode}`);
    const strip = await eventually("a frame before and one after", () => page.evaluate(() => window.strip), 20000);
    writeFileSync(join(folder, `frames-to-${mode}-${name}.jpg`), Buffer.from(strip.split(",")[1], "base64"));
  }
  await player.hover();
  const bar = player.getByRole("slider", { name: "Position" });
  await bar.focus();
  await bar.press("ArrowLeft");
  await bar.press("ArrowLeft");
  await is(player, "playing", "hls", 30000);
  await player.hover({ position: { x: 40, y: 60 } });
  await shot("rewind");
  await player.getByRole("button", { name: "Go to live" }).click();
  await is(player, "live", "webrtc", 50000);
  await shot("home");
  await page.context().close();
  console.log(name);
}
