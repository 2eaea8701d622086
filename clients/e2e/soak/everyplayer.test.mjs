// hls.js, Shaka Player and dash.js play what is live: every layer can be chosen, sound is heard, nothing goes wrong. The
// long edition with the numbers is in soak.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually } from "../house.mjs";
import { faults, guests, heard, lateness, openShow, play, switchAll } from "../players.mjs";

let show;

before(async () => (show = await openShow()));
after(() => show?.close());

test("every player plays every layer, with sound and without an error", async () => {
  await Promise.all(guests.map(async (guest) => {
    const s = await play(show, guest, "layers");
    const loudness = await heard(s, guest.name);
    const took = await switchAll(s, guest.name);
    const seen = await s.seen();
    console.log(`${guest.name}: loudness ${loudness}, layers shown after ${JSON.stringify(took)} ms, ${seen.frames} frames in ${seen.seconds.toFixed(0)} s, waited ${seen.waits.length} times`);
    assert.deepEqual(faults(seen), [], guest.name);
    await s.page.close();
  }));
});

test("hls.js shows a picture within 2.5 s of its capture, with parts of half a second", async () => {
  const s = await play(show, guests[0], "clock");
  // One quiet spell is asked for, as the machine is shared.
  const late = await eventually("a settled latency", async () => {
    const now = await lateness(s, 30);
    return now.p50 < 2500 && now;
  }, 15000);
  console.log(`hls.js: ${JSON.stringify(late)}`);
  assert.ok(late.p50 > 200, "less than a part is not possible");
});
