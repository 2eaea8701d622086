// The server is killed 200 times (KILLS) while somebody publishes and somebody watches: it stays one recording, with all that
// a playlist had shown. With RESULT=FILE what was seen is kept as JSON.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import { kill } from "../kills.mjs";

const times = Number(process.env.KILLS || 200);

test("what a playlist has shown is in the recording after kill -9", async () => {
  const seen = await kill(times, { log: console.log });
  if (process.env.RESULT) writeFileSync(process.env.RESULT, `${JSON.stringify({ schema: "sluice-story/1", story: "kills", at: new Date().toISOString(), times, ...seen }, undefined, 1)}\n`);
  console.log(`${times} kills: ${seen.parts} parts seen, lost ${JSON.stringify(seen.lost)}; ${JSON.stringify(seen.renditions)}`);
  assert.ok(seen.parts >= 2 * times, `only ${seen.parts} parts were seen`);
  assert.deepEqual(seen.lost, [], "a killed process loses nothing that it had written before it told of it");
  assert.deepEqual(seen.unlisted, [], "holes that no gap tells of");
  assert.ok(!seen.asset.complete && seen.asset.missing > 0, "the catalogue does not say that something is missing");
});
