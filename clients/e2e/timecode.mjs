// A clock in the picture: 32 bits of the time in milliseconds as black and white blocks, drawn into what a page takes
// for its camera, and read back from the pixels of a player. Both run in the page: they are passed as text.

import { eventually } from "./house.mjs";

/** camera replaces the page's camera by a canvas with the time code on a moving picture. */
export function camera({ width, height, fps }) {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    const sound = wanted.audio ? await real({ audio: wanted.audio }) : new MediaStream();
    if (!wanted.video) return sound;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const g = canvas.getContext("2d", { alpha: false });
    const stream = canvas.captureStream(0);
    const [track] = stream.getVideoTracks();
    const side = width / 16;
    const draw = () => {
      g.fillStyle = "#456";
      g.fillRect(0, 0, width, height);
      g.fillStyle = "#fa0";
      g.fillRect((performance.now() / 5) % width, height * 0.6, side, side);
      const now = Date.now() % 2 ** 32;
      for (let bit = 0; bit < 32; bit++) {
        g.fillStyle = (now / 2 ** bit) & 1 ? "#fff" : "#000";
        g.fillRect((bit % 16) * side, Math.floor(bit / 16) * side, side, side);
      }
      track.requestFrame();
    };
    setInterval(draw, 1000 / fps);
    draw();
    for (const t of sound.getAudioTracks()) stream.addTrack(t);
    return stream;
  };
}

/** readLatency reads the time code of a player's next frames and what the player says itself. */
export function readLatency(player, frames) {
  const video = player.shadowRoot.querySelector("video");
  const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 90 });
  const g = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  const samples = [];
  return new Promise((done) => {
    const look = (_, frame) => {
      g.drawImage(video, 0, 0, canvas.width, canvas.height);
      let code = 0;
      for (let bit = 0; bit < 32; bit++) {
        const [x, y] = [(bit % 16) * 10 + 5, Math.floor(bit / 16) * 10 + 5];
        if (g.getImageData(x, y, 1, 1).data[0] > 127) code += 2 ** bit;
      }
      // When the frame is shown, not when this callback got its turn.
      const shown = performance.timeOrigin + frame.expectedDisplayTime;
      samples.push({ true: (shown % 2 ** 32) - code, said: Number(player.dataset.latencyMs) });
      if (samples.length < frames) video.requestVideoFrameCallback(look);
      else done(samples);
    };
    video.requestVideoFrameCallback(look);
  });
}

/** median of numbers. */
export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/**
 * readClock reads frames of what a player has in front: the time code in each picture, and by how much the capture time that the player says differs from
 * it. What it has read so far stands in window.clock.
 */
export function readClock(player, frames) {
  const video = player.media;
  const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 90 });
  const g = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  const seen = (window.clock = []);
  return new Promise((done) => {
    const look = (_, frame) => {
      if (seen.length < frames) video.requestVideoFrameCallback(look);
      const picture = new VideoFrame(video);
      const other = Math.abs(picture.timestamp - frame.mediaTime * 1e6) > 1000; // a busy page is called for one picture and draws another
      g.drawImage(picture, 0, 0, canvas.width, canvas.height);
      picture.close();
      if (other) return;
      const { data } = g.getImageData(0, 0, 160, 20);
      let code = 0;
      for (let bit = 0; bit < 32; bit++) {
        const [x, y] = [(bit % 16) * 10 + 5, Math.floor(bit / 16) * 10 + 5];
        if (data[4 * (y * 160 + x)] > 127) code += 2 ** bit;
      }
      // What the player says of this frame: it may be called behind us, but before the animation's frame.
      requestAnimationFrame(() => {
        // The first frames come before the server's clock is known.
        if (player.dataset.captureMs) seen.push([code, (Number(player.dataset.captureMs) % 2 ** 32) - code]);
        if (seen.length >= frames) done(seen.slice(0, frames));
      });
    };
    video.requestVideoFrameCallback(look);
  });
}

/** onAir publishes such a picture by the publish page, in one layer of H.264, and returns the context, in which viewers may open pages. */
export async function onAir(browser, house, { stream, token, fps }) {
  const context = await browser.newContext({ permissions: ["camera", "microphone"], viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  await page.addInitScript(camera, { width: 640, height: 360, fps });
  await page.addInitScript(() => localStorage.setItem("sluice.publish", JSON.stringify({ codec: "H264", simulcast: false })));
  await page.goto(`${house.http}/publish/${stream}#token=${token}`);
  await page.getByRole("button", { name: /go live/i }).click();
  await eventually("it is on air", () => page.locator('sluice-publisher[state="live"]').count());
  return context;
}
