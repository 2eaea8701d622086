// Five minutes (SOAK_SECONDS) of one stream in layers from a browser: Chromium and Firefox beside the server, and
// Chromium behind a link that loses 3 % each way and moves to a new address again and again. Layers are switched, ICE is
// restarted, the publisher goes and comes back. With RESULT=FILE what was measured is kept as JSON.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { after, before, test } from "node:test";
import { openFirefox } from "../firefox.mjs";
import { grain } from "../grain.mjs";
import { eventually, openBrowser, openHouse } from "../house.mjs";
import { between, goesOn, openRelay, watch, watchInFirefox } from "../watched.mjs";

const length = Number(process.env.SOAK_SECONDS || 300) * 1000;
const unit = length / 10; // the relay moves its viewer after each two; other things happen between
// Two processors encode and draw all this, and the browser sends two of three layers at this size.
const [width, fps] = [320, 15];
const codec = "VP8"; // Firefox has no H264 without its plug-in
// Pictures go on within these, in milliseconds. A new address is found out by the browser's own check, which it sends each
// 2.5 s at the latest; a publisher takes a second or so to begin.
const within = { layer: 2000, restart: 2000, move: 8000, publisher: 8000 };

let switches = 1; // the publisher's coming back is one
let house, browser, firefox, relay, publisher, clean, fox, lossy, begun;
const result = { schema: "sluice-story/1", story: "five minutes", at: new Date().toISOString(), seconds: length / 1000, loss: "3 % each way", picture: `${width}x180 and 160x90, ${fps} frames/s, film grain, ${codec}`, events: [], quiet: [] };

before(async () => {
  house = await openHouse();
  [browser, firefox] = await Promise.all([openBrowser(), openFirefox()]);
  Object.assign(result, { chromium: browser.version(), firefox: firefox.version });
  result.machine = { cpu: cpus()[0].model, cores: cpus().length, load_before: Number(loadavg()[0].toFixed(2)) };
  result.commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  const token = await house.token("--publish", "*", "--play", "*");
  publisher = await (await browser.newContext({ permissions: ["camera", "microphone"] })).newPage();
  await publisher.addInitScript(grain, { width: 2 * width, height: 360, fps });
  await publisher.addInitScript((codec) => localStorage.setItem("sluice.publish", JSON.stringify({ codec })), codec);
  await publisher.goto(`${house.http}/publish/minutes#token=${token}`);
  await publisher.getByRole("button", { name: /go live/i }).click();
  clean = await watch(browser, house.http, { stream: "minutes", token, width });
  fox = await watchInFirefox(firefox, house.http, { stream: "minutes", token, width });
  relay = await openRelay(house, { loss: "3%", move: (2 * unit) / 1000 });
  begun = Date.now();
  lossy = await watch(browser, relay.url, { stream: "minutes", token, width });
});

after(async () => {
  if (process.env.RESULT) writeFileSync(process.env.RESULT, `${JSON.stringify(result, undefined, 1)}\n`);
  await browser?.close();
  await firefox?.close();
  relay?.close();
  await house?.close();
});

const until = (units) => new Promise((done) => setTimeout(done, begun + units * unit - Date.now()));

/** quiet counts a stretch of time in which nothing happens but loss. */
async function quiet(units) {
  // Half a unit after what happened before: freezes of that are counted there.
  await new Promise((done) => setTimeout(done, Math.min(unit / 4, 5000)));
  const [a, b, f] = await Promise.all([clean.stats(), lossy.stats(), fox.stats()]);
  await until(units);
  const [c, d, g] = await Promise.all([clean.stats(), lossy.stats(), fox.stats()]);
  // What both miss at once, over different ways, is the encoder's doing or the machine's.
  const frozen = 1000 / fps + 150; // longer than this is a freeze (webrtc-stats, freezeCount)
  const [mine, theirs] = await Promise.all([clean.gaps(a.at, c.at, frozen), lossy.gaps(a.at - 1000, c.at + 1000, 2000 / fps)]);
  const alone = mine.filter(([from, to]) => !theirs.some(([f, t]) => f < to + 200 && t > from - 200));
  result.quiet.push({ clean: { ...between(a, c), freezes_of_both_ms: mine.filter((g) => !alone.includes(g)).map(([f, t]) => Math.round(t - f)), freezes_alone_ms: alone.map(([f, t]) => Math.round(t - f)) }, lossy: between(b, d), firefox: between(f, g) });
  console.log(`quiet: ${JSON.stringify(result.quiet.at(-1))}`);
}

/** refused returns how many packets to viewers the system did not take. */
async function refused() {
  const text = await (await fetch(`${house.admin}/metrics`)).text();
  return Number(/^sluice_sfu_sent_lost_total (\S+)/m.exec(text)?.[1]);
}

/** told keeps for how long there was no picture. */
async function told(what, who, ms, limit) {
  const { packetsLost } = (await { clean, lossy, firefox: fox }[who].stats()).picture;
  result.events.push({ what, who, no_picture_ms: ms, limit_ms: limit, lost_so_far: packetsLost });
  console.log(`${what}, ${who}: no picture for ${ms} ms; ${packetsLost} packets lost so far`);
  assert.ok(ms <= limit, `${what}, ${who}: no picture for ${ms} ms, ${limit} are allowed`);
}

/** moved waits for the next change of the lossy viewer's address, and for its picture. */
async function moved(n) {
  await eventually("the address changes", () => relay.moves.length >= n, 2.5 * unit);
  const at = relay.moves[n - 1];
  await new Promise((done) => setTimeout(done, 3000)); // pictures in the buffer come first, and checks are due each 2.5 s
  await told("a new address", "lossy", await goesOn(lossy, at, 15000), within.move);
}

test("quiet, then a new address", async () => {
  await quiet(1.9);
  await moved(1);
});

test("layers are switched", async () => {
  await quiet(3);
  for (const [rid, wide] of [["q", width / 2], ["h", width], ["q", width / 2], ["", width]]) {
    switches++;
    const at = Date.now();
    await Promise.all([clean, lossy, fox].map((v) => v.choose(rid)));
    for (const [who, v] of Object.entries({ clean, lossy, firefox: fox })) {
      await eventually(`${who} sees layer ${rid}`, async () => (await v.width()) === wide, 20000);
      await told(`layer ${rid || "of itself"}`, who, await goesOn(v, at, 5000), within.layer);
    }
  }
  await moved(2);
});

test("ICE is restarted", async () => {
  await quiet(5);
  const at = Date.now();
  assert.deepEqual(await Promise.all([clean.restart(), lossy.restart(), fox.restart()]), [true, true, true], "new credentials");
  await new Promise((done) => setTimeout(done, 2000));
  for (const [who, v] of Object.entries({ clean, lossy, firefox: fox })) await told("an ICE restart", who, await goesOn(v, at, 10000), within.restart);
  await moved(3);
});

test("the publisher goes and comes back", async () => {
  await quiet(7);
  await publisher.getByRole("button", { name: /^stop/i }).click();
  await eventually("the viewers are told", async () => (await clean.state()) === "waiting" && (await lossy.state()) === "waiting", 10000);
  const at = Date.now();
  await publisher.getByRole("button", { name: /go live/i }).click();
  for (const [who, v] of Object.entries({ clean, lossy, firefox: fox })) await told("the publisher again", who, await goesOn(v, at, 20000), within.publisher);
  for (const v of [clean, lossy, fox]) await eventually("the largest layer again", async () => (await v.width()) === width, 30000);
  await moved(4);
});

test("nothing was lost on the clean link, and on the other one everything was repaired", async () => {
  await quiet(9.9);
  result.whole = { clean: await clean.stats(), lossy: await lossy.stats(), firefox: await fox.stats(), refused_by_the_system: await refused() };
  result.machine.load_after = Number(loadavg()[0].toFixed(2));
  console.log(`in all: ${JSON.stringify(result.whole)}`);
  const sum = (who, name, field) => result.quiet.reduce((n, q) => n + q[who][name][field], 0);
  const seconds = result.quiet.reduce((n, q) => n + q.clean.seconds, 0);
  // A switch in the middle of a frame leaves one number out, to tell the decoder (sfu/munge): browsers count it as lost.
  for (const who of ["clean", "firefox"]) {
    assert.equal(sum(who, "picture", "packetsLost"), 0, `pictures on the clean link, ${who}`);
    assert.ok(result.whole[who].picture.packetsLost <= switches, `${result.whole[who].picture.packetsLost} numbers were left out for ${switches} switches, ${who}`);
    assert.equal(result.whole[who].sound.packetsLost, 0, `sound on the clean link, ${who}`);
  }
  const [few, all] = [sum("lossy", "picture", "framesDecoded"), sum("clean", "picture", "framesDecoded")];
  console.log(`in ${seconds.toFixed(0)} quiet seconds: frames ${all} and ${few}; freezes ${sum("clean", "picture", "freezeCount")} and ${sum("lossy", "picture", "freezeCount")}; the lossy one lost ${sum("lossy", "picture", "packetsLost")} and got ${sum("lossy", "picture", "retransmittedPacketsReceived")} again`);
  assert.ok(all > seconds * fps * 0.9, `${all} frames in ${seconds} s`);
  assert.deepEqual(result.quiet.flatMap((q) => q.clean.freezes_alone_ms), [], "freezes on the clean link that the other viewer did not see");
  const frozen = result.quiet.reduce((n, q) => n + q.clean.picture.totalFreezesDuration, 0);
  assert.ok(frozen < seconds / 100, `frozen for ${frozen} s of ${seconds}: the machine is too busy to tell anything`);
  assert.ok(few > all * 0.97, `${few} frames of ${all}`);
  const foxes = sum("firefox", "picture", "framesDecoded");
  assert.ok(foxes > all * 0.97, `Firefox: ${foxes} frames of ${all}`);
  assert.ok(sum("lossy", "picture", "freezeCount") <= sum("clean", "picture", "freezeCount") + 1 + seconds / 60, "freezes on the lossy link");
  // Chromium counts as lost what has not come by itself; what was repaired comes by RTX.
  assert.ok(sum("lossy", "picture", "packetsLost") > 0, "the link lost something");
  assert.ok(sum("lossy", "picture", "retransmittedPacketsReceived") >= sum("lossy", "picture", "packetsLost"), "it all came again");
  assert.equal(sum("lossy", "picture", "pliCount"), 0, "no key frame had to be asked for");
});
