import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { SluiceError } from "../src/core/errors";
import { EventParser, type ServerEvent, subscribe } from "../src/core/sse";
import { FakeServer, settle } from "./fakes";

describe("the parser", () => {
  it("reads the same events, however the text is cut", () => {
    const text = ": hello\nevent: viewercount\ndata: {\"viewercount\":3}\nid: 7\n\r\nevent: active\r\ndata: {}\r\n\r\ndata: a\rdata: b\r\rretry: 50\n\n";
    const whole = new EventParser().feed(text);
    expect(whole).toEqual([
      { name: "viewercount", data: '{"viewercount":3}', id: "7" },
      { name: "active", data: "{}", id: "7" },
      { name: "message", data: "a\nb", id: "7" },
    ]);
    for (let cut = 1; cut < text.length; cut++) {
      const parser = new EventParser();
      expect([...parser.feed(text.slice(0, cut)), ...parser.feed(text.slice(cut))], `cut at ${cut}`).toEqual(whole);
      expect(parser.retry).toBe(50);
    }
  });

  it("sends nothing for comments and for events without data", () => {
    expect(new EventParser().feed(":\n\n: beat\n\nevent: active\n\n")).toEqual([]);
  });
});

describe("a subscription", () => {
  let server: FakeServer;
  let end: AbortController;
  let events: ServerEvent[];
  let gone: SluiceError[];
  const start = () => subscribe({ url: "http://sluice.test/whep/a/s1/events", events: ["active"], token: "t", signal: end.signal, onEvent: (e) => events.push(e), onGone: (e) => gone.push(e) });

  beforeEach(() => {
    vi.useFakeTimers();
    server = new FakeServer();
    end = new AbortController();
    events = [];
    gone = [];
  });
  afterEach(() => {
    end.abort();
    vi.useRealTimers();
  });

  it("posts the wanted events, then reads them with the token", async () => {
    const feed = server.feed("/whep/a/s1");
    feed.send("active", {});
    void start();
    await settle();
    expect(server.asked[0]).toMatchObject({ method: "POST", body: '["active"]' });
    expect(server.asked[1]!.headers.get("Authorization")).toBe("Bearer t");
    expect(events.map((e) => e.name)).toEqual(["active"]);
  });

  it("that breaks is taken up again, from the last id", async () => {
    let n = 0;
    server.routes["POST /whep/a/s1/events"] = () => new Response(null, { status: 201, headers: { Location: "/whep/a/s1/events/f1" } });
    server.routes["GET /whep/a/s1/events/f1"] = () => new Response(`retry: 100\nid: ${++n}\nevent: active\ndata: {}\n\n`);
    void start();
    await settle();
    expect(events).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(100);
    expect(events).toHaveLength(2);
    expect(server.saw("GET /whep/a/s1/events/f1")[1]!.headers.get("Last-Event-ID")).toBe("1");
    expect(gone).toEqual([]);
  });

  it("whose session is over says so", async () => {
    const feed = server.feed("/whep/a/s1");
    void start();
    await settle();
    feed.end();
    await vi.advanceTimersByTimeAsync(2000);
    expect(gone.map((e) => e.why)).toEqual(["missing"]);
  });

  it("that is aborted says nothing more", async () => {
    const feed = server.feed("/whep/a/s1");
    const done = start();
    await settle();
    end.abort();
    feed.end();
    await vi.advanceTimersByTimeAsync(20_000);
    await done;
    expect(gone).toEqual([]);
    expect(server.asked).toHaveLength(2);
  });
});
