import { nothing } from "lit";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { LiveCaptions } from "../src/core/captions";
import { localNow } from "../src/core/time";
import { captionLayer, Captions } from "../src/ui/captions";
import { FakeServer, settle } from "./fakes";

const path = "GET /v1/streams/demo/captions";
const url = "http://sluice.test/v1/streams/demo/captions";
let server: FakeServer;
let live: LiveCaptions;

/** told is an event stream that stays open. */
function told(...events: [string, unknown][]): Response {
  const text = events.map(([name, data]) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`).join("");
  return new Response(new ReadableStream({ start: (c) => c.enqueue(new TextEncoder().encode(text)) }));
}

const caption = (text: string, start: number, end: number, language = "en") => ["caption", { language, text, start, end }] as [string, unknown];

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  server = new FakeServer();
});
afterEach(() => {
  live?.stop();
  vi.useRealTimers();
});

it("shows what is said now at once, what comes later then, and what is over no longer", async () => {
  const now = localNow() + 5000; // the server's clock
  server.routes[path] = () => told(["languages", ["de", "en"]], caption("now", now, now + 4000), caption("soon", now + 2000, now + 3000), caption("late", now - 3000, now + 200), caption("jetzt", now, now + 4000, "de"));
  live = new LiveCaptions({ url, token: "t", offset: () => 5000 });
  const languages: string[][] = [];
  live.on("languages", (l) => languages.push(l));
  live.start();
  await settle();
  expect(server.asked[0]!.headers.get("Authorization")).toBe("Bearer t");
  expect(languages).toEqual([["de", "en"]]);
  const at = localNow();
  expect(live.at("en", at)).toEqual(["now", "late"]); // which there has to be time to read
  expect(live.at("en", at + 1200)).toEqual(["now"]);
  expect(live.at("en", at + 2500)).toEqual(["now", "soon"]);
  expect(live.at("en", at + 4500)).toEqual([]);
  expect(live.at("de", at)).toEqual(["jetzt"]);
});

it("leaves a server alone that has none, and comes back to one that breaks", async () => {
  server.routes[path] = () => new Response(null, { status: 404 });
  live = new LiveCaptions({ url });
  live.start();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(server.asked.length).toBe(1);
  live.stop();
  let n = 0;
  server.routes[path] = () => (n++ ? told(["languages", ["en"]]) : new Response(null, { status: 503 }));
  live = new LiveCaptions({ url });
  live.start();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(live.languages).toEqual(["en"]);
});

it("keeps the chosen language when the way changes, and for the next time", async () => {
  server.routes[path] = () => told(["languages", ["de", "en"]]);
  let mode: "webrtc" | "hls" = "webrtc";
  const chosen: number[] = [];
  const playback = { subtitleText: ["from HLS"], chooseSubtitle: (i: number) => void chosen.push(i) };
  const ways = { url, offset: () => 0, mode: () => mode, playback: () => playback as never, changed: () => undefined };
  const captions = new Captions(ways);
  captions.start();
  await settle();
  expect(captions.tracks().subtitles.map((s) => s.name)).toEqual(["Deutsch", "English"]);
  captions.choose(0);
  expect(captions.tracks().subtitles.map((s) => s.current)).toEqual([true, false]);
  mode = "hls";
  const subtitles = ["en", "de"].map((language, index) => ({ index, name: language, language, current: false }));
  captions.tracks({ audio: [], subtitles });
  captions.follow();
  expect(chosen).toEqual([1]);
  await vi.advanceTimersByTimeAsync(300);
  expect(captions.lines).toEqual(["from HLS"]);
  captions.stop();
  const next = new Captions(ways);
  expect(next.language).toBe("de");
  subtitles[1]!.current = true;
  next.tracks({ audio: [], subtitles });
  next.toggle();
  expect(next.language).toBe("");
  expect(chosen).toEqual([1, -1]);
});

it("draws nothing while nothing is said", () => {
  expect(captionLayer([], "en")).toBe(nothing);
  expect(captionLayer(["a"], "en")).not.toBe(nothing);
});
