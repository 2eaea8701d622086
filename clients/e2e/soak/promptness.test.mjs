// How late hls.js shows what is live: a matter of the machine's speed as well as of ours.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually } from "../house.mjs";
import { guests, lateness, openShow, play } from "../players.mjs";

let show;

before(async () => (show = await openShow()));
after(() => show?.close());

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
