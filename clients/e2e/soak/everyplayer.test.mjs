// hls.js, Shaka Player and dash.js play what is live: every layer can be chosen, sound is heard, nothing goes wrong. The
// long edition with the numbers is in soak.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { failures, guests, heard, openShow, play, switchAll } from "../players.mjs";

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
    assert.deepEqual(failures(seen), [], guest.name);
    await s.page.close();
  }));
});
