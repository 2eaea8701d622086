// What comes to the packaged streams from outside and should not: hostile queries and paths, tokens that do not count; and
// what fails beneath them: a disk that fills up while a stream is live, and a machine without ffmpeg.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { binary, eventually, openHouse } from "../house.mjs";

let house, encoder, token, brief, live, mounted;

before(async () => {
  // The data is on a small disk of its own; what is packaged of a minute fits. No ffmpeg is found.
  house = await openHouse([], { PATH: "/nonexistent", SLUICE_HLS__GRACE: "5s" }, (data) => {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=32m", "tmpfs", data]);
    mounted = data;
  });
  token = await house.token("--publish", "*", "--play", "*");
  encoder = spawn(binary, ["load", "publish", `${house.http}/whip/harm`, "--bitrate", "1000000", "--duration", "10m", "--media", join(tmpdir(), "sluice-media")], {
    stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, SLUICE_PUBLISH_TOKEN: token, SLUICE_TOKEN: token },
  });
  brief = await house.token("--play", "*", "--ttl", "1s");
  live = `/live/harm`;
  await eventually("the stream is packaged", async () => (await ask(`${live}/index.m3u8?token=${token}`)).status === 200, 150000); // the first encoder makes its media, which takes a while
});

after(async () => {
  encoder?.kill("SIGKILL");
  await house?.stop();
  if (mounted) execFileSync("umount", [mounted]);
  await house?.close();
});

/** ask sends a path as it is written: fetch would tidy it. */
function ask(path, headers = {}, method = "GET") {
  return new Promise((done, fail) => {
    const r = request(house.http, { path, headers, method }, (answer) => {
      let body = "";
      answer.setEncoding("latin1").on("data", (b) => (body += b)).once("end", () => done({ status: answer.statusCode, type: answer.headers["content-type"], body }));
    });
    r.once("error", fail).end();
  });
}

/** refused holds an answer against a status, and against being a problem in words. */
async function refused(status, path, headers, method) {
  const answer = await ask(path, headers, method);
  assert.equal(answer.status, status, `${path}: ${answer.body.slice(0, 200)}`);
  assert.equal(answer.type, "application/problem+json", path);
  const problem = JSON.parse(answer.body);
  assert.ok(problem.detail && !/\/(tmp|home|root)\//.test(answer.body), `${path}: ${answer.body}`);
}

/** folder of the picture's rendition. */
const folder = async () => `${live}/${/^([a-z0-9]{16}\/video[a-z-]*)\/media/m.exec((await ask(`${live}/index.m3u8?token=${token}`)).body)[1]}`;
const newest = async (at) => /PRELOAD-HINT:TYPE=PART,URI="(\d+)\.(\d+)/.exec((await ask(`${at}/media.m3u8?token=${token}`)).body)?.slice(1).map(Number);

test("hostile queries are refused at once", async () => {
  const list = `${await folder()}/media.m3u8?token=${token}`;
  const began = Date.now();
  for (const query of ["_HLS_msn=100000", "_HLS_msn=-1", "_HLS_msn=99999999999999999999999", "_HLS_msn=1.5", "_HLS_part=1", "_HLS_msn=1&_HLS_part=-1", "_HLS_msn=1&_HLS_part=4000000000",
    "_HLS_msn=1&_HLS_msn=2", "start=yesterday", "start=-5", `x=${"a".repeat(9000)}`]) await refused(400, `${list}&${query}`);
  await refused(405, list, {}, "POST");
  assert.ok(Date.now() - began < 5000, "a refusal waited for something");
});

test("what is not there is 404, and no path leaves the house", async () => {
  const at = await folder();
  for (const path of [`/live/none/index.m3u8`, `${live}/other.m3u8`, `${live}/0000000000000000/video/media.m3u8`, `${at}/other.m3u8`, `${at}/999999.m4s`, `${at}/0.999.m4s`, `${at}/init-9.mp4`,
    `${at}/00.m4s`, `${live}/../../etc/passwd`, `${at}/../../../../data/admin.token`, `${at}/..%2f..%2fjournal`, `${at}/%2e%2e/%2e%2e/journal`, `/videos/..%2f..%2fcatalogue.db`, `${at}/1%00.m4s`, `/videos/0000000000000000/index.m3u8`]) {
    await refused(404, `${path}?token=${token}`);
  }
});

test("a token that does not count opens nothing, however it is sent", async () => {
  const at = await folder();
  const [other, publisher] = [await house.token("--play", "other"), await house.token("--publish", "*")];
  for (const [status, wrong] of [[401, ""], [401, "nonsense"], [401, token.slice(0, -4) + "AAAA"], [403, other], [403, publisher]]) {
    for (const path of [`${live}/index.m3u8`, `${live}/manifest.mpd`, `${at}/media.m3u8`, `${at}/iframes.m3u8`, `${at}/init-0.mp4`, `${at}/0.m4s`]) {
      await refused(status, `${path}?token=${wrong}`);
      if (!wrong) continue;
      await refused(status, path, { Authorization: `Bearer ${wrong}` });
      await refused(status, path, { Cookie: `sluice_play=${wrong}` });
    }
  }
  for (const [path, headers] of [[`?token=${token}`, {}], ["", { Authorization: `Bearer ${token}` }], ["", { Cookie: `sluice_play=${token}` }]]) {
    assert.equal((await ask(`${at}/media.m3u8${path}`, headers)).status, 200);
  }
});

test("the disk fills up: the stream goes on, and log and metrics say so", async () => {
  const stalled = async () => Number(/^sluice_recorder_stalled (\S+)/m.exec(await (await fetch(`${house.admin}/metrics`)).text())[1]);
  assert.equal(await stalled(), 0);
  const { bavail, bsize } = statfsSync(mounted);
  assert.throws(() => writeFileSync(join(mounted, "full"), Buffer.alloc(bavail * bsize + bsize)), /ENOSPC/);
  await eventually("the metric says so", async () => (await stalled()) === 1, 60000);
  assert.match(house.out, /"level":"ERROR"[^\n]*(no space|disk)|level=ERROR[^\n]*(no space|disk)/i);
  const at = await folder();
  const [before] = await newest(at);
  await eventually("two more segments are live", async () => (await newest(at))[0] >= before + 2, 60000);
  const { body } = await ask(`${at}/media.m3u8?token=${token}`);
  const part = [...body.matchAll(/^#EXT-X-PART:[^\n]*URI="([^"?]*)/gm)].at(-1)[1];
  assert.equal((await ask(`${at}/${part}?token=${token}`)).status, 200, "the newest part is served from memory");
  rmSync(join(mounted, "full"));
  await eventually("it is recorded again", async () => (await stalled()) === 0, 60000);
});

test("without ffmpeg all goes on but what needs it, which says so", async () => {
  const { body } = await ask(`${live}/index.m3u8?token=${token}`);
  assert.match(body, /CODECS="avc1[^"]*,Opus"/);
  assert.doesNotMatch(body, /mp4a/, "AAC is offered, which nobody can make");
  const picture = await ask(`/v1/streams/harm/thumbnail.jpg?token=${token}`);
  assert.equal(picture.status, 501, picture.body.slice(0, 200));
  assert.match(picture.body, /ffmpeg/);
});

test("a token that has expired opens nothing", async () => {
  // Clocks may differ by ten seconds.
  await eventually("it is refused", async () => (await ask(`${live}/index.m3u8?token=${brief}`)).status === 401, 60000);
  await refused(401, `${live}/index.m3u8`, { Authorization: `Bearer ${brief}` });
});
