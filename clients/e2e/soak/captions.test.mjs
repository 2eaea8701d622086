// dash.js and Shaka Player show captions of what is live, by DASH. In one run of four on a busy machine dash.js showed none.

import { after, before, test } from "node:test";
import { hall, showsByDASH } from "../hall.mjs";
import { eventually, openBrowser, openHouse } from "../house.mjs";
import { camera } from "../timecode.mjs";

const sent = [];
let house, browser, room, token, talk;

before(async () => {
  house = await openHouse([], { SLUICE_HLS__GRACE: "1s" });
  browser = await openBrowser();
  room = await hall();
  token = await house.token("--admin");
  const page = await (await browser.newContext({ permissions: ["camera", "microphone"] })).newPage();
  await page.addInitScript(camera, { width: 320, height: 180, fps: 15 });
  await page.addInitScript(() => localStorage.setItem("sluice.publish", JSON.stringify({ codec: "H264", simulcast: false, bitrate: 300_000 })));
  await page.goto(`${house.http}/publish/said#token=${token}`);
  await page.getByRole("button", { name: /go live/i }).click();
  await eventually("it is packaged", async () => (await fetch(`${house.http}/live/said/manifest.mpd?token=${token}`)).ok, 30000);
  talk = setInterval(() => {
    const n = sent.push(Date.now()) - 1;
    const body = JSON.stringify([{ language: "en", text: `Number ${n} is said`, seconds: 1.5 }, { language: "de", text: `Nummer ${n} sagt man`, seconds: 1.5 }]);
    void fetch(`${house.http}/v1/streams/said/captions`, { method: "POST", body, headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" } }).catch(() => undefined);
  }, 1000);
});

after(async () => {
  clearInterval(talk);
  await browser?.close();
  room?.close();
  await house?.close();
});

for (const player of ["dash.js", "shaka"]) {
  test(`${player} shows them`, async () => {
    const manifest = `${house.http}/live/said/manifest.mpd?token=${token}`;
    await eventually("the languages are in the manifest", async () => /captions-de[^]*captions-en/.test(await (await fetch(manifest)).text()));
    await showsByDASH({ browser, room, player, manifest, sent });
  });
}
