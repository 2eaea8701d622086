// Five minutes (SOAK_SECONDS) of hls.js, Shaka Player and dash.js, twice: with parts of half a second, and of a third; with
// PART=334ms those alone, with PLAYER=hls.js that one alone. Each
// plays a stream in layers and one with the time in its picture, alone on the machine with the publishers: no stall, no
// error, all layers, sound, and how late a picture is shown. With RESULT=FILE what was measured is kept as JSON.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { after, test } from "node:test";
import { faults, guests, heard, lateness, openShow, play, switchAll } from "../players.mjs";

const length = Number(process.env.SOAK_SECONDS || 300) * 1000;
const only = (name, value) => !process.env[name] || process.env[name] === value;
const runs = [{ part: "500ms", limit: 2500 }, { part: "334ms", limit: 1800 }].filter((run) => only("PART", run.part));
// In milliseconds from the capture to the display, at the median. Those of DASH are the manifest's target and a second for
// the player's own slowness: it asks players to stay six parts behind.
const limits = { "hls.js": (run) => run.limit, "Shaka, HLS": (run) => run.limit, "Shaka, DASH": (run) => 6 * parseInt(run.part) + 1000, "dash.js": (run) => 6 * parseInt(run.part) + 1000 };

const result = { schema: "sluice-story/1", story: "players", at: new Date().toISOString(), seconds: length / 1000, runs: [] };
result.machine = { cpu: cpus()[0].model, cores: cpus().length, load_before: Number(loadavg()[0].toFixed(2)) };
result.commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();

after(() => {
  result.machine.load_after = Number(loadavg()[0].toFixed(2));
  if (process.env.RESULT) writeFileSync(process.env.RESULT, `${JSON.stringify(result, undefined, 1)}\n`);
});

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** steady is what is asked of minutes without an event. */
function steady(seen, name) {
  assert.deepEqual(faults(seen), [], name);
  assert.equal(seen.frozen, 0, `${name}: the time stood still for ${seen.longest} ms`);
  assert.ok(seen.frames > 0.97 * seen.seconds * 15, `${name}: ${seen.frames} frames in ${seen.seconds} s`);
}

for (const run of runs) {
  for (const guest of guests.filter((g) => only("PLAYER", g.name))) {
    test(`${guest.name}, parts of ${run.part}`, async () => {
      const show = await openShow({ SLUICE_HLS__PART: run.part });
      try {
        const [layers, clock] = [await play(show, guest, "layers"), await play(show, guest, "clock")];
        const told = { player: guest.name, part: run.part, heard: await heard(layers, guest.name), late: [] };
        await wait(10000); // the start is not what is measured: players find their distance in it
        const [began, waits] = [Date.now(), (await Promise.all([layers.seen(), clock.seen()])).map((s) => s.waits.length)];
        while (Date.now() < began + length) {
          await wait(Math.min(10000, length / 6));
          told.late.push(await lateness(clock, 30));
        }
        const seen = await Promise.all([layers.seen(), clock.seen()]);
        told.p50 = told.late.map((l) => l.p50).sort((a, b) => a - b)[told.late.length >> 1];
        Object.assign(told, { waits: seen.map((s, i) => s.waits.slice(waits[i])), longest_freeze_ms: seen.map((s) => s.longest), dropped: seen.map((s) => s.dropped), frames: seen.map((s) => s.frames) });
        told.switched_ms = await switchAll(layers, guest.name);
        result.runs.push(told);
        console.log(JSON.stringify(told));
        seen.forEach((s) => steady(s, guest.name));
        assert.deepEqual(told.waits, [[], []], `${guest.name} waited`);
        assert.ok(told.p50 <= limits[guest.name](run), `${guest.name}: ${told.p50} ms at the median`);
        assert.deepEqual(faults(await layers.seen()), [], `${guest.name}, after the layers were switched`);
      } finally {
        await show.close();
      }
    });
  }
}
