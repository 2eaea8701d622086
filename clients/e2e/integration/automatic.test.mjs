// Three layers from a browser, and two viewers: one behind a link of 0.9 Mbit/s, one beside the server. Each player says
// which picture it shows by itself, and why. With SHOTS=FOLDER the menus are kept as pictures.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { grain } from "../grain.mjs";
import { binary, eventually, freePort, openBrowser, openHouse } from "../house.mjs";

let house, browser, relay, publisher, token;

before(async () => {
  house = await openHouse();
  browser = await openBrowser();
  token = await house.token("--publish", "*", "--play", "*");
});

after(async () => {
  await browser?.close();
  relay?.process.kill("SIGTERM");
  await house?.close();
});

async function watch(base) {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
  await page.goto(`${base}/watch/three#token=${token}`);
  const player = page.locator("sluice-player");
  await eventually("it is live", async () => (await player.getAttribute("state")) === "live", 60000);
  return { page, player };
}

/** menu reads what the open layer menu shows. */
const menu = (player) => player.evaluate((p) => {
  const text = (e) => e?.textContent.replace(/\s+/g, " ").trim();
  const items = [...p.shadowRoot.querySelectorAll('[role="menuitemradio"]')];
  return {
    chosen: text(items.find((i) => i.getAttribute("aria-checked") === "true")), why: text(p.shadowRoot.querySelector('[role="note"]')),
    items: items.map(text), height: p.shadowRoot.querySelector("video").videoHeight,
  };
});

/** shoot keeps the open menu as pictures, if they are wanted. */
async function shoot({ page, player }, name) {
  const folder = process.env.SHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  for (const [size, width, height] of [["desktop", 1440, 900], ["phone", 390, 844]]) {
    await page.setViewportSize({ width, height });
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme });
      await player.evaluate((p) => p.updateComplete);
      await page.waitForTimeout(300);
      await page.screenshot({ path: join(folder, `automatic-${name}-${size}-${scheme}.png`) });
    }
  }
}

const since = (began) => `${((Date.now() - began) / 1000).toFixed(1)} s`;

test("a browser publishes three layers", async () => {
  publisher = await (await browser.newContext({ permissions: ["camera", "microphone"] })).newPage();
  await publisher.addInitScript(grain, { width: 1024, height: 576, fps: 10 });
  await publisher.goto(`${house.http}/publish/three#token=${token}`);
  const began = Date.now();
  await publisher.getByRole("button", { name: /go live/i }).click();
  await eventually("three layers flow", async () => {
    const status = await (await fetch(`${house.http}/v1/streams/three`, { headers: { Authorization: `Bearer ${token}` } })).json();
    const layers = status.publisher.tracks.find((t) => t.kind === "video").layers;
    return layers.length === 3 && layers.every((l) => l.active && l.width > 0);
  }, 60000);
  console.log(`three layers after ${since(began)}`);
});

test("behind a thin link a smaller picture plays, and the menu says why", async () => {
  const port = await freePort();
  relay = { process: spawn(binary, ["load", "impair", "--listen", `127.0.0.1:${port}`, "--server", house.http, "--down", "rate=900k", "--every", "0s"], { stdio: "ignore" }), url: `http://127.0.0.1:${port}` };
  await eventually("the relay is up", async () => (await fetch(`${relay.url}/readyz`)).ok);
  const began = Date.now();
  const thin = await watch(relay.url);
  await thin.page.locator('sluice-player [aria-label="Quality"]').click();
  const seen = await eventually("a smaller picture, with the link as its reason", async () => {
    const m = await menu(thin.player);
    return m.height > 0 && m.height < 576 && /^link [\d.]+ [kM]bit\/s/.test(m.why ?? "") && m.chosen.includes(String(m.height)) && m;
  }, 60000); // an encoder that gets no processor sends so little that all of it fits
  console.log(`after ${since(began)}: ${JSON.stringify(seen)}`);
  assert.match(seen.chosen, /^Automatic/);
  assert.equal(seen.items.length, 4);
  const [, number, unit] = seen.why.match(/^link ([\d.]+) ([kM])/);
  const rate = Number(number) * (unit === "M" ? 1000 : 1);
  assert.ok(rate > 100 && rate < 1500, `a link of 900 kbit/s is told as ${seen.why}`);
  await eventually("the estimate has found the link", async () => {
    const m = await menu(thin.player);
    return /0\.9 Mbit|1\.0 Mbit|[78]\d0 kbit/.test(m.why) && m.height < 576 && (console.log(`after ${since(began)}: ${JSON.stringify(m)}`), true);
  }, 12000).catch(() => console.log("the estimate wanders: the machine is busy")); // told, not judged
  await shoot(thin, "thin");
  await thin.page.close();
});

test("beside the server the largest picture plays, and the menu says so", async () => {
  const began = Date.now();
  const near = await watch(house.http);
  await near.page.locator('sluice-player [aria-label="Quality"]').click();
  const seen = await eventually("the largest picture, and that it is the best", async () => {
    const m = await menu(near.player);
    return m.height === 576 && m.why === "best quality" && m.chosen.includes("576") && m;
  }, 60000);
  console.log(`after ${since(began)}: ${JSON.stringify(seen)}`);
  await shoot(near, "near");
});
