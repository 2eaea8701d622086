import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Publishing, type PublishState } from "../src/core/publishing";
import { FakePC, type FakeServer, FakeStream, install, restartFragment, settle } from "./fakes";

let server: FakeServer;
let publishing: Publishing;
let states: PublishState[];
let status: Record<string, unknown>;
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  server = install();
  server.joins("/whip/demo", false);
  status = { stream: "demo", live: true, epoch: 4, public: false, viewers: 2, publisher: { transport: "udp", tracks: [], health: [{ code: "b_frames", text: "B-frames", advice: "turn them off" }] } };
  server.routes["GET /v1/streams/demo"] = () => new Response(JSON.stringify(status));
});
afterEach(() => {
  publishing.stop();
  vi.useRealTimers();
});

async function start(): Promise<void> {
  const media = new FakeStream([{ kind: "audio" }, { kind: "video" }]) as unknown as MediaStream;
  publishing = new Publishing({ url: "http://sluice.test/whip/demo", api: "http://sluice.test", stream: "demo", token: "t", media, codec: "H264", bitrate: 1e6, simulcast: false });
  states = [];
  publishing.on("state", ({ state }) => states.push(state));
  publishing.start();
  await settle();
}

async function live(): Promise<void> {
  await start();
  FakePC.last.become("connected");
  await pass(2100);
}

it("goes live, and tells what the server says of the uplink every two seconds", async () => {
  const told = vi.fn();
  await start();
  publishing.on("status", told);
  FakePC.last.become("connected");
  await pass(5000);
  expect(states).toEqual(["starting", "live"]);
  expect(told.mock.calls[0]![0].publisher.health[0].code).toBe("b_frames");
  expect(told.mock.calls.length).toBeGreaterThanOrEqual(2);
});

it("says why it is refused, and stays off air", async () => {
  server.routes["POST /whip/demo"] = () => new Response(null, { status: 403 });
  await start();
  expect(states).toEqual(["starting", "refused"]);
  expect(publishing.error).toMatchObject({ why: "forbidden" });
  await pass(60_000);
  expect(server.saw("POST /whip/demo")).toHaveLength(1);
});

it("goes on after a break by an ICE restart", async () => {
  server.routes["PATCH /whip/demo/s1"] = () => new Response(restartFragment, { status: 200 });
  await live();
  FakePC.last.become("failed");
  await pass(100);
  expect(server.saw("PATCH /whip/demo/s1")).toHaveLength(1);
  FakePC.last.become("connected");
  await pass(10_000);
  expect(states).toEqual(["starting", "live", "reconnecting", "live"]);
  expect(server.saw("POST /whip/demo")).toHaveLength(1);
});

it("goes on with a new session where the old one is gone, its own new epoch being no takeover", async () => {
  server.routes["PATCH /whip/demo/s1"] = () => new Response(null, { status: 404 });
  await live();
  FakePC.last.become("failed");
  await pass(100);
  expect(server.saw("POST /whip/demo")).toHaveLength(2);
  status.epoch = 5;
  FakePC.last.become("connected");
  await pass(10_000);
  expect(states.at(-1)).toBe("live");
});

it("steps back when somebody else takes the stream over, instead of pulling at it", async () => {
  await live();
  status.epoch = 5;
  await pass(3000);
  expect(states.at(-1)).toBe("refused");
  expect(publishing.error).toMatchObject({ why: "taken" });
  await pass(60_000);
  expect(server.saw("POST /whip/demo")).toHaveLength(1);
});

it("stops with a DELETE when the page goes", async () => {
  await live();
  dispatchEvent(new Event("pagehide"));
  expect(server.saw("DELETE /whip/demo/s1")).toHaveLength(1);
  expect(states.at(-1)).toBe("idle");
  await settle();
  expect(vi.getTimerCount()).toBe(0);
});
