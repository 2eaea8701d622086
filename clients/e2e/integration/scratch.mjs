import { eventually, openBrowser, openHouse } from "../house.mjs";
import { camera } from "../timecode.mjs";
const house = await openHouse();
const browser = await openBrowser();
try {
  const token = await house.token("--publish", "*", "--play", "*");
  const context = await browser.newContext({ permissions: ["camera", "microphone"], viewport: { width: 1280, height: 800 } });
  const pub = await context.newPage();
  await pub.addInitScript(camera, { width: 640, height: 360, fps: 15 });
  await pub.addInitScript(() => localStorage.setItem("sluice.publish", JSON.stringify({ codec: "H264", simulcast: false })));
  await pub.goto(`${house.http}/publish/s#token=${token}`);
  await pub.getByRole("button", { name: /go live/i }).click();
  const page = await context.newPage();
  page.on("console", (m) => console.log("console:", m.type(), m.text()));
  page.on("pageerror", (e) => console.log("pageerror", e.message));
  page.on("response", (r) => { if (r.status() >= 400) console.log(r.status(), r.url()); });
  await page.goto(`${house.http}/watch/s#token=${token}`);
  const player = page.locator("sluice-player");
  await eventually("live", async () => (await player.getAttribute("state")) === "live", 30000);
  console.log("live by", await player.getAttribute("data-mode"));
  const list = await (await fetch(`${house.http}/live/s/index.m3u8`, { headers: { Authorization: `Bearer ${token}` } })).text();
  console.log(list);
  const sample = async (label) => {
    const s = await player.evaluate(async (p) => {
      const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 90 });
      const g = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
      const video = p.media;
      return new Promise((done) => {
        const out = [];
        const look = (_, f) => {
          g.drawImage(video, 0, 0, 160, 90);
          let code = 0;
          for (let bit = 0; bit < 32; bit++) if (g.getImageData((bit % 16) * 10 + 5, Math.floor(bit / 16) * 10 + 5, 1, 1).data[0] > 127) code += 2 ** bit;
          const capture = p.director.capture;
          out.push({ d: capture === undefined ? undefined : Math.round(capture - Date.now() + (Date.now() % 2 ** 32) - code), lat: p.dataset.latencyMs, from: p.dataset.latencyFrom });
          if (out.length < 20) video.requestVideoFrameCallback(look); else done({ mode: p.dataset.mode, state: p.state, out });
        };
        video.requestVideoFrameCallback(look);
        setTimeout(() => done({ mode: p.dataset.mode, state: p.state, out, timeout: true, ready: video.readyState, ct: video.currentTime, paused: video.paused }), 8000);
      });
    });
    const ds = s.out.map((o) => o.d);
    console.log(label, s.mode, s.state, "capture-code:", ds.join(" "), "lat", s.out.at(-1)?.lat, s.out.at(-1)?.from, s.timeout ? `TIMEOUT ready ${s.ready} ct ${s.ct} ${s.paused}` : "");
  };
  await new Promise((r) => setTimeout(r, 6000));
  await sample("whep");
  if (process.argv[2] === "hls") {
    await player.evaluate((p) => { p.delivery = "hls"; });
    await player.evaluate((p) => { window.track = []; setInterval(() => window.track.push([p.dataset.mode, p.state, Math.round(p.director.playback?.lag ?? 0), Math.round(p.director.viewing?.latency.lag ?? 0), p.director.viewing?.session?.receiver("video").jitterBufferTarget, p.director.playback && +p.shadowRoot.querySelector("video.hls").playbackRate.toFixed(2), p.note]), 500); });
    await eventually("hls", async () => (await player.getAttribute("data-mode")) === "hls" && (await player.getAttribute("state")) === "live", 60000).finally(async () => console.log(JSON.stringify(await player.evaluate(() => window.track))));
    await new Promise((r) => setTimeout(r, 4000));
    await sample("hls");
    await new Promise((r) => setTimeout(r, 4000));
    await sample("hls");
    await player.evaluate((p) => { window.track.length = 0; });
    await new Promise((r) => setTimeout(r, 10000));
    console.log(JSON.stringify(await player.evaluate(() => window.track)));
    await player.evaluate((p) => { window.track.length = 0; p.delivery = "auto"; });
    await eventually("back", async () => (await player.getAttribute("data-mode")) === "webrtc", 60000).finally(async () => console.log(JSON.stringify(await player.evaluate(() => window.track))));
    await new Promise((r) => setTimeout(r, 1000));
    await sample("back");
    await new Promise((r) => setTimeout(r, 25000));
    await sample("back");
    console.log(JSON.stringify(await player.evaluate(() => window.track)));
  } else {
    await player.evaluate((p) => p.dispatchEvent(new Event("pointermove")));
    await eventually("span", async () => player.evaluate((p) => p.director.past.span && p.span), 10000).then((s) => console.log("span", (s.to - s.from) / 1000));
    await player.evaluate((p) => p.seek(p.at - 6000));
    await eventually("rewound", async () => (await player.getAttribute("data-mode")) === "hls" && (await player.getAttribute("state")) === "playing", 20000);
    await new Promise((r) => setTimeout(r, 1000));
    await sample("dvr");
    await page.screenshot({ path: "/tmp/wt/player-scratch/dvr.png" });
    await player.evaluate((p) => { window.track = []; const i = setInterval(() => window.track.push([p.dataset.mode, p.state, Math.round(Date.now() - p.director.capture), Math.round(p.director.playback?.lag ?? 0), Math.round(p.director.viewing?.latency.lag ?? 0), p.note]), 500); p.toLive(); });
    await eventually("home", async () => (await player.getAttribute("data-mode")) === "webrtc" && (await player.getAttribute("state")) === "live", 60000);
    await new Promise((r) => setTimeout(r, 3000));
    await sample("home");
    console.log(JSON.stringify(await player.evaluate(() => window.track)));
  }
} catch (e) { console.log(e.message, house.out.slice(-3000)); }
await browser.close();
await house.close();
