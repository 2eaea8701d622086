// The whole server is killed while somebody publishes and somebody watches, again and again; what a playlist had shown is
// looked for in the recording afterwards.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary, eventually, openHouse } from "./house.mjs";

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** attributes reads what stands behind a tag. */
const quoted = (line, name) => new RegExp(`${name}="([^"]*)"`).exec(line)?.[1];

/** segments reads a Media Playlist: number, start, length, whether it is a gap or follows a discontinuity. */
export function segments(text) {
  const out = [];
  let msn = Number(/^#EXT-X-MEDIA-SEQUENCE:(\d+)/m.exec(text)?.[1] ?? 0);
  let next = {};
  for (const line of text.split("\n")) {
    if (line.startsWith("#EXT-X-PROGRAM-DATE-TIME:")) next.at = Date.parse(line.slice(25));
    else if (line.startsWith("#EXTINF:")) next.ms = parseFloat(line.slice(8)) * 1000;
    else if (line === "#EXT-X-GAP") next.gap = true;
    else if (line === "#EXT-X-DISCONTINUITY") next.jump = true;
    else if (line && !line.startsWith("#")) {
      out.push({ msn: msn++, uri: line, ...next });
      next = {};
    }
  }
  return out;
}

/** kill runs that many lives of one server, and returns what was seen and what was kept. */
export async function kill(times, { seconds = [0.7, 2.2], log = () => {} } = {}) {
  // A start takes as long as the machine is busy; only the last one is not waited for.
  const settings = { SLUICE_HLS__GRACE: "2m" };
  const house = await openHouse([], settings);
  const shown = new Map(); // "rendition/msn.part" to the bytes that were served
  const incarnations = new Set();
  let encoder;
  try {
    const token = await house.token("--publish", "*", "--play", "*", "--ttl", "24h");
    const query = `token=${token}`;
    const live = `${house.http}/live/kills`;
    for (let n = 0; n < times; n++) {
      encoder = spawn(binary, ["load", "publish", `${house.http}/whip/kills`, "--bitrate", "500000", "--duration", "10m", "--media", join(tmpdir(), "sluice-media")], {
        stdio: "ignore", env: { ...process.env, SLUICE_PUBLISH_TOKEN: token, SLUICE_TOKEN: token },
      });
      const before = shown.size;
      const stop = new AbortController();
      const [watching, first] = watch(live, query, shown, incarnations, stop.signal);
      await first;
      const life = seconds[0] + Math.random() * (seconds[1] - seconds[0]);
      await wait(life * 1000);
      const killed = house.stop("SIGKILL");
      encoder.kill("SIGKILL");
      await killed;
      stop.abort();
      await watching;
      log(`life ${n + 1}: ${life.toFixed(1)} s, ${shown.size - before} parts seen`);
      if (n === times - 1) settings.SLUICE_HLS__GRACE = "1s";
      await house.start();
    }
    const asset = await eventually("the recording is ready", async () => {
      const { assets } = await (await fetch(`${house.http}/v1/assets`, { headers: { Authorization: `Bearer ${token}` } })).json();
      return assets[0]?.state === "ready" && assets[0];
    }, 60000);
    assert.deepEqual([...incarnations], [asset.id], "one incarnation from the first life to the last");
    return { parts: shown.size, asset, ...(await compare(`${house.http}/videos/${asset.id}`, query, shown)) };
  } finally {
    encoder?.kill("SIGKILL");
    await house.close();
  }
}

/** watch follows all renditions as a player does, and keeps each part that a playlist shows. */
function watch(live, query, shown, incarnations, signal) {
  let begin;
  const first = new Promise((done) => (begin = done));
  const get = async (url) => {
    const r = await fetch(url, { signal });
    return r.ok ? r : undefined;
  };
  const follow = async (path) => {
    let ask = "";
    while (!signal.aborted) {
      const answer = await get(`${live}/${path}/media.m3u8?${query}${ask}`);
      if (!answer) {
        await wait(50);
        continue;
      }
      const text = await answer.text();
      const parts = [...text.matchAll(/^#EXT-X-PART:.*$/gm)].map(([line]) => line).filter((line) => !line.includes("GAP=YES")).map((line) => quoted(line, "URI").split("?")[0]);
      for (const uri of parts) {
        const key = `${path.split("/")[1]}/${uri.replace(/\.m4s$/, "")}`;
        if (shown.has(key)) continue;
        shown.set(key, undefined); // a playlist has shown it: it is acknowledged, whether its bytes came or not
        const part = await get(`${live}/${path}/${uri}?${query}`);
        if (part) shown.set(key, Buffer.from(await part.arrayBuffer()));
        begin();
      }
      const [, msn, part] = /PRELOAD-HINT:TYPE=PART,URI="(\d+)\.(\d+)\.m4s/.exec(text) ?? [];
      ask = msn === undefined ? "" : `&_HLS_msn=${msn}&_HLS_part=${part}`;
    }
  };
  const all = async () => {
    const paths = await eventually("the stream is packaged", async () => {
      const list = await get(`${live}/index.m3u8?${query}`);
      const found = [...new Set((list ? await list.text() : "").match(/[a-z0-9]{16}\/[a-z0-9-]+(?=\/media)/g))].filter((p) => !p.endsWith("-aac"));
      return found.length >= 2 && found;
    });
    for (const p of paths) incarnations.add(p.split("/")[0]);
    await Promise.all(paths.map(follow));
  };
  return [all().catch((error) => { if (!signal.aborted && error.cause === undefined) throw error; }), first];
}

/** compare looks for what was shown in the recording. */
async function compare(videos, query, shown) {
  const index = await (await fetch(`${videos}/index.m3u8?${query}`)).text();
  const result = { lost: [], unlisted: [], renditions: {} };
  for (const path of new Set(index.match(/[a-z0-9]{16}\/[a-z0-9-]+(?=\/media)/g))) {
    const name = path.split("/")[1];
    const text = await (await fetch(`${videos}/${path}/media.m3u8?${query}`)).text();
    assert.match(text, /#EXT-X-ENDLIST/, name);
    const all = segments(text);
    const bytes = new Map();
    for (const s of all.filter((s) => !s.gap)) {
      const answer = await fetch(`${videos}/${path}/${s.uri.split("?")[0]}?${query}`);
      assert.equal(answer.status, 200, `${name} ${s.msn}`);
      bytes.set(s.msn, Buffer.from(await answer.arrayBuffer()));
    }
    for (const [key, data] of shown) {
      const [rendition, msn] = /^(.*)\/(\d+)\./.exec(key).slice(1);
      if (rendition !== name) continue;
      // Hinted as one more of its segment, a part may have become the first of the next.
      const kept = [Number(msn), Number(msn) + 1].filter((n) => bytes.has(n));
      if (!kept.some((n) => !data || bytes.get(n).includes(data))) result.lost.push(key);
    }
    // Each segment begins where the one before ended: what is missing is a gap in between.
    all.forEach((s, i) => {
      if (i > 0 && Math.abs(s.at - all[i - 1].at - all[i - 1].ms) > 100) result.unlisted.push(`${name} ${s.msn}: ${s.at - all[i - 1].at - all[i - 1].ms} ms`);
    });
    result.renditions[name] = { segments: all.length, gaps: all.filter((s) => s.gap).length, jumps: all.filter((s) => s.jump).length };
  }
  return result;
}
