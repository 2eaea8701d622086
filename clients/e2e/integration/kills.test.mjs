// The server is killed five times while somebody publishes and somebody watches: it stays one recording, with all that
// a playlist had shown. 200 times are in soak.

import assert from "node:assert/strict";
import { test } from "node:test";
import { kill } from "../kills.mjs";

const times = 5;

test("what a playlist has shown is in the recording after kill -9", async () => {
  const seen = await kill(times);
  console.log(`${times} kills: ${seen.parts} parts seen, lost ${JSON.stringify(seen.lost)}; ${JSON.stringify(seen.renditions)}`);
  assert.ok(seen.parts >= 2 * times, `only ${seen.parts} parts were seen`);
  assert.deepEqual(seen.lost, [], "a killed process loses nothing that it had written before it told of it");
  assert.deepEqual(seen.unlisted, [], "holes that no gap tells of");
  assert.ok(!seen.asset.complete && seen.asset.missing > 0, "the catalogue does not say that something is missing");
});
