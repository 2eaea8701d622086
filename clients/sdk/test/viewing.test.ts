import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Condition } from "../src/core/condition";
import { Viewing } from "../src/core/viewing";
import { FakePC, type FakeServer, install, restartFragment, settle } from "./fakes";

const frame = { expectedDisplayTime: 0, presentationTime: 0 };
let server: FakeServer;
let viewing: Viewing;
let seen: Condition[];

const states = () => seen.map((c) => c.state);
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const posts = () => server.saw("POST /whep/demo").length;

async function start(): Promise<void> {
  viewing = new Viewing({ url: "http://sluice.test/whep/demo", api: "http://sluice.test", token: "t" });
  seen = [];
  viewing.on("condition", (c) => seen.push(c));
  viewing.start();
  await settle();
}

async function live(): Promise<void> {
  await start();
  FakePC.last.become("connected");
  flow();
  viewing.frame(frame);
  await settle();
  expect(viewing.condition.state).toBe("live");
}

/** Lets media flow into the newest connection. */
function flow(): void {
  let bytes = 0;
  FakePC.last.stats.set("V", {
    type: "inbound-rtp", kind: "video",
    get bytesReceived() {
      return (bytes += 1000);
    },
  });
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  server = install();
  server.joins("/whep/demo");
});
afterEach(() => {
  viewing.stop();
  vi.useRealTimers();
});

describe("joining", () => {
  it("goes from loading to live with the first frame", async () => {
    await live();
    expect(states()).toEqual(["loading", "live"]);
  });

  it("waits where nobody publishes, and goes live by itself", async () => {
    await start();
    FakePC.last.become("connected");
    await pass(1600);
    expect(viewing.condition.state).toBe("waiting");
    viewing.frame(frame);
    expect(states()).toEqual(["loading", "waiting", "live"]);
    expect(posts()).toBe(1);
  });

  it("does not say that it waits when the server says that there is somebody", async () => {
    server.feed("/whep/demo/s1").send("active", {});
    await start();
    await pass(1600);
    expect(viewing.condition.state).toBe("loading");
  });

  it("waits where the server refuses until somebody publishes, and asks again", async () => {
    const join = server.routes["POST /whep/demo"]!;
    server.routes["POST /whep/demo"] = () => new Response(null, { status: 409, headers: { "Retry-After": "2" } });
    await start();
    expect(viewing.condition.state).toBe("waiting");
    await pass(1990);
    expect(posts()).toBe(1);
    server.routes["POST /whep/demo"] = join;
    await pass(500);
    viewing.frame(frame);
    expect(posts()).toBe(2);
    expect(viewing.condition.state).toBe("live");
  });

  it("is refused with the reason, and does not knock again by itself", async () => {
    server.routes["POST /whep/demo"] = () => new Response(JSON.stringify({ detail: "the token has expired", instance: "tr1" }), { status: 401, headers: { "Content-Type": "application/problem+json" } });
    await start();
    expect(viewing.condition).toMatchObject({ state: "refused", error: { why: "unauthorized", detail: "the token has expired", trace: "tr1" } });
    await pass(60_000);
    expect(posts()).toBe(1);
    server.joins("/whep/demo");
    viewing.retry();
    await settle();
    viewing.frame(frame);
    expect(viewing.condition.state).toBe("live");
  });

  it("tries again with growing pauses while the server cannot be reached", async () => {
    server.routes["POST /whep/demo"] = () => Promise.reject(new TypeError("failed"));
    await start();
    expect(viewing.condition.state).toBe("reconnecting");
    await pass(10_000);
    expect(posts()).toBe(6); // at 0, 0, 0.5, 1.5, 3.5 and 7.5 s
  });
});

describe("a break", () => {
  it("is mended by an ICE restart, in the same session", async () => {
    server.routes["PATCH /whep/demo/s1"] = () => new Response(restartFragment, { status: 200, headers: { ETag: '"e2"' } });
    await live();
    FakePC.last.become("failed");
    await settle();
    expect(viewing.condition.state).toBe("reconnecting");
    expect(server.saw("PATCH /whep/demo/s1")).toHaveLength(1);
    FakePC.last.become("connected");
    viewing.frame(frame);
    await pass(20_000);
    expect(states()).toEqual(["loading", "live", "reconnecting", "live"]);
    expect(posts()).toBe(1);
  });

  it("that ICE mends by itself costs nothing", async () => {
    await live();
    FakePC.last.become("disconnected");
    await pass(1500);
    FakePC.last.become("connected");
    viewing.frame(frame);
    await pass(10_000);
    expect(server.asked.filter((a) => a.method === "PATCH")).toEqual([]);
    expect(posts()).toBe(1);
  });

  it("is mended by a new session where the old one is gone", async () => {
    server.routes["PATCH /whep/demo/s1"] = () => new Response(null, { status: 404 });
    await live();
    FakePC.last.become("failed");
    await pass(10);
    expect(posts()).toBe(2);
    expect(viewing.condition.state).toBe("reconnecting");
    viewing.frame(frame);
    expect(viewing.condition.state).toBe("live");
    expect(server.saw("DELETE /whep/demo/s1")).toHaveLength(1);
  });

  it("that a restart does not mend within five seconds leads to a new session", async () => {
    server.routes["PATCH /whep/demo/s1"] = () => new Response(restartFragment, { status: 200 });
    await live();
    FakePC.last.become("failed");
    await pass(4900);
    expect(posts()).toBe(1);
    await pass(200);
    expect(posts()).toBe(2);
  });

  it("of the media alone is seen when the server says that there is some", async () => {
    const feed = server.feed("/whep/demo/s1");
    server.routes["PATCH /whep/demo/s1"] = () => new Response(restartFragment, { status: 200 });
    await live();
    feed.send("active", {});
    await pass(2000);
    FakePC.last.stats.clear();
    await pass(3500);
    expect(viewing.condition.state).toBe("reconnecting"); // said soon, acted on later
    expect(server.saw("PATCH /whep/demo/s1")).toHaveLength(0);
    await pass(4500);
    expect(server.saw("PATCH /whep/demo/s1")).toHaveLength(1);
  });

  it("of the network is told as such, and over with it", async () => {
    await live();
    dispatchEvent(new Event("offline"));
    expect(viewing.condition.state).toBe("offline");
    dispatchEvent(new Event("online"));
    expect(viewing.condition.state).toBe("reconnecting");
    viewing.frame(frame);
    expect(viewing.condition.state).toBe("live");
  });
});

describe("the publisher", () => {
  it("that leaves is waited for, with the server's reason, and its last frames change nothing", async () => {
    const feed = server.feed("/whep/demo/s1");
    await live();
    feed.send("inactive", { reason: "the publisher left" });
    await settle();
    viewing.frame(frame); // still in the jitter buffer
    expect(viewing.condition).toMatchObject({ state: "waiting", reason: "the publisher left" });
    await pass(3000);
    viewing.frame(frame); // it is back
    expect(viewing.condition.state).toBe("live");
    expect(posts()).toBe(1);
  });

  it("that does not come back ends the stream; when it does after all, so does the viewer", async () => {
    const feed = server.feed("/whep/demo/s1");
    const status = { stream: "demo", live: false, public: true, viewers: 0, since: "" };
    server.routes["GET /v1/streams/demo"] = () => new Response(JSON.stringify(status));
    await live();
    feed.send("inactive", { reason: "the publisher left and did not come back" });
    await settle();
    feed.end();
    await pass(3000);
    expect(viewing.condition).toMatchObject({ state: "ended", reason: "the publisher left and did not come back" });
    await pass(12_000);
    expect(posts()).toBe(1);
    Object.assign(status, { live: true, since: new Date(performance.timeOrigin + performance.now()).toISOString() });
    await pass(5100);
    expect(posts()).toBe(2);
    viewing.frame(frame);
    expect(viewing.condition.state).toBe("live");
  });

  it("that went on while this viewer was sent away is not joined again unasked", async () => {
    const feed = server.feed("/whep/demo/s1");
    const since = new Date(performance.timeOrigin + performance.now() - 60_000).toISOString();
    server.routes["GET /v1/streams/demo"] = () => new Response(JSON.stringify({ stream: "demo", live: true, public: true, viewers: 3, since }));
    await live();
    feed.send("inactive", { reason: "the session was ended by an administrator" });
    await settle();
    feed.end();
    await pass(30_000);
    expect(viewing.condition.state).toBe("ended");
    expect(posts()).toBe(1);
  });
});

describe("the server's events", () => {
  it("tell layers and viewers", async () => {
    const feed = server.feed("/whep/demo/s1");
    await start();
    const layers = vi.fn();
    const viewers = vi.fn();
    viewing.on("layers", layers);
    viewing.on("viewers", viewers);
    feed.send("layers", { "1": [{ rid: "f", width: 1280, height: 720, bitrate: 1 }] });
    feed.send("viewercount", { viewercount: 12 });
    await settle();
    expect(layers.mock.calls[0]![0]).toMatchObject([{ rid: "f" }]);
    expect(viewers).toHaveBeenCalledWith(12);
  });

  it("move the viewer to another node, the old session ending last", async () => {
    const feed = server.feed("/whep/demo/s1");
    server.joins("/whep/other");
    await live();
    feed.send("reconnect", { url: "/whep/other" });
    await pass(1100);
    expect(server.saw("POST /whep/other")).toHaveLength(1);
    const order = server.asked.map((a) => `${a.method} ${a.path}`);
    expect(order.indexOf("DELETE /whep/demo/s1")).toBeGreaterThan(order.indexOf("POST /whep/other"));
    expect(viewing.condition.state).toBe("live");
  });

  it("offer layers, and a choice outlives the session in which it was made", async () => {
    const feed = server.feed("/whep/demo/s1");
    for (const s of ["s1", "s2"]) server.routes[`POST /whep/demo/${s}/layers`] = () => new Response("{}");
    await live();
    await viewing.choose({ key: "k", rid: "q", width: 320, height: 180, bitrate: 1, active: true, current: false, why: "", choice: { mediaId: "1", rid: "q" } });
    feed.send("reconnect", {});
    await pass(1100);
    expect(server.saw("POST /whep/demo/s2/layers").map((a) => a.body)).toEqual(['{"mediaId":"1","rid":"q"}']);
  });

  it("that the server does not have are no reason to break", async () => {
    await live();
    await pass(5000);
    expect(viewing.condition.state).toBe("live");
    expect(posts()).toBe(1);
  });
});

it("stop leaves nothing behind", async () => {
  await live();
  viewing.stop();
  await settle();
  expect(server.saw("DELETE /whep/demo/s1")).toHaveLength(1);
  const before = server.asked.length;
  await pass(120_000);
  expect(server.asked.length).toBe(before);
  expect(vi.getTimerCount()).toBe(0);
});

it("sound alone plays where there is no picture", async () => {
  await start();
  const streams = vi.fn();
  viewing.on("stream", streams);
  FakePC.last.become("connected");
  const audio = { type: "inbound-rtp", kind: "audio", bytesReceived: 0 };
  FakePC.last.stats.set("A", audio);
  await pass(1000);
  audio.bytesReceived = 8000;
  await pass(1000);
  expect(streams).toHaveBeenCalledTimes(1);
  expect(streams.mock.calls[0]![0].getVideoTracks()).toEqual([]);
  expect(viewing.condition.state).toBe("live");
});
