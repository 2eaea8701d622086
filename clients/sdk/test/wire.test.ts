import { describe, expect, it, vi } from "vitest";
import { fromFailure, fromResponse, retryAfterOf, SluiceError, whyOf } from "../src/core/errors";
import { iceServers, parseLinks, request } from "../src/core/http";
import { readLayers } from "../src/core/layers";
import { streams } from "../src/core/status";
import { FakeServer } from "./fakes";

describe("Link headers", () => {
  it("are read in the forms that servers send", () => {
    const header = '</s/1/events>; rel="urn:x:sse"; events="active,inactive", <stun:stun.example:3478>; rel=ice-server,<turn:t.example?transport=tcp>;rel="ice-server";username="u";credential="p\\"w"; credential-type="password"';
    const links = parseLinks(header, "https://a.example/whep/x");
    expect(links.map((l) => l.url)).toEqual(["https://a.example/s/1/events", "stun:stun.example:3478", "turn:t.example?transport=tcp"]);
    expect(links[0]!.params.events).toBe("active,inactive");
    expect(iceServers(links)).toEqual([{ urls: "stun:stun.example:3478" }, { urls: "turn:t.example?transport=tcp", username: "u", credential: 'p"w' }]);
  });

  it("that cannot be read are no links", () => {
    expect(parseLinks(null, "https://a.example")).toEqual([]);
    expect(parseLinks("stun:host; rel=ice-server", "https://a.example")).toEqual([]);
    expect(parseLinks("<http://[>; rel=x", "https://a.example")).toEqual([]);
  });
});

describe("failures", () => {
  it("name a reason by status, by side", () => {
    expect(whyOf(409, "watch")).toBe("not-live");
    expect(whyOf(409, "publish")).toBe("taken");
    expect([401, 403, 404, 410, 406, 415, 422, 429, 503, 500, 400].map((s) => whyOf(s))).toEqual(
      ["unauthorized", "forbidden", "missing", "missing", "unsupported", "unsupported", "unsupported", "too-many", "busy", "server", "bad-request"],
    );
  });

  it("carry the server's words, its trace and when to come again", async () => {
    const body = JSON.stringify({ type: "x", title: "Not live", status: 409, detail: "nobody publishes", instance: "trace-1" });
    const error = await fromResponse(new Response(body, { status: 409, headers: { "Content-Type": "application/problem+json", "Retry-After": "2" } }));
    expect(error).toMatchObject({ why: "not-live", status: 409, detail: "nobody publishes", trace: "trace-1", retryAfter: 2000, retry: true });
  });

  it("of a proxy, without a problem, are told by the status alone", async () => {
    const error = await fromResponse(new Response("<html>", { status: 502, headers: { "Content-Type": "text/html" } }));
    expect(error).toMatchObject({ why: "server", status: 502, detail: "", retry: true });
  });

  it("of the network and of our own giving up are told apart", () => {
    expect(fromFailure(new TypeError("fetch failed")).why).toBe("network");
    expect(fromFailure(new DOMException("", "AbortError")).why).toBe("aborted");
    expect(fromFailure(new DOMException("", "TimeoutError")).why).toBe("network");
    expect(fromFailure(new SluiceError("taken")).why).toBe("taken");
  });

  it("read Retry-After as seconds or as a date", () => {
    expect(retryAfterOf("3", 0)).toBe(3000);
    expect(retryAfterOf("Thu, 01 Jan 1970 00:00:05 GMT", 1000)).toBe(4000);
    expect(retryAfterOf("Thu, 01 Jan 1970 00:00:05 GMT", 9000)).toBe(0);
    expect(retryAfterOf("soon", 0)).toBe(0);
    expect(retryAfterOf(null, 0)).toBe(0);
  });
});

it("the token goes into Authorization and nowhere else", async () => {
  const server = new FakeServer();
  server.routes["GET /v1/streams"] = () => new Response("[]");
  await request("http://sluice.test/v1/streams", { token: "secret" });
  expect(server.asked[0]!.headers.get("Authorization")).toBe("Bearer secret");
  expect(server.asked[0]!.path).not.toContain("secret");
});

it("a request that gets no answer ends by itself", async () => {
  vi.useFakeTimers();
  // happy-dom's AbortSignal.timeout runs on the real clock.
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const c = new AbortController();
    setTimeout(() => c.abort(new DOMException("", "TimeoutError")), ms);
    return c.signal;
  });
  const server = new FakeServer();
  server.routes["GET /slow"] = () => new Promise(() => undefined);
  const failed = expect(request("http://sluice.test/slow", { timeout: 5000 })).rejects.toBeInstanceOf(SluiceError);
  await vi.advanceTimersByTimeAsync(5001);
  await failed;
  vi.useRealTimers();
});

describe("the layers event", () => {
  it("gives the largest picture first, one entry for each", () => {
    const data = JSON.stringify({
      "1": [
        { rid: "q", width: 320, height: 180, bitrate: 100_000 },
        { rid: "f", width: 1280, height: 720, bitrate: 900_000, temporalLayerId: 0 },
        { rid: "f", width: 1280, height: 720, bitrate: 1_400_000, temporalLayerId: 1, current: true },
        { rid: "h", width: 640, heigth: 360 },
      ],
    });
    const layers = readLayers(data);
    expect(layers.map((l) => [l.rid, l.height, l.bitrate, l.active, l.current])).toEqual([
      ["f", 720, 1_400_000, true, true],
      ["h", 360, 0, false, false],
      ["q", 180, 100_000, true, false],
    ]);
    expect(layers[0]!.choice).toEqual({ mediaId: "1", rid: "f" });
  });

  it("keeps why the server sends the layer that it sends", () => {
    const layers = readLayers('{"0":[{"rid":"f","width":1280,"height":720,"bitrate":5},{"rid":"q","width":320,"height":180,"bitrate":1,"current":true,"why":"link 0.3 Mbit/s"}]}');
    expect(layers.map((l) => [l.rid, l.current, l.why])).toEqual([["f", false, ""], ["q", true, "link 0.3 Mbit/s"]]);
  });

  it("that cannot be read gives none", () => {
    for (const data of ["", "null", "7", '{"0":{}}', "{"]) expect(readLayers(data)).toEqual([]);
  });
});

it("lists of streams come as an array or in one, and Go's null lists are empty", async () => {
  const server = new FakeServer();
  const status = { stream: "a", live: true, public: true, viewers: 1, publisher: { transport: "udp", tracks: null, health: null } };
  server.routes["GET /v1/streams"] = () => new Response(JSON.stringify([status]));
  const [one] = await streams({ api: "http://sluice.test" });
  expect(one!.publisher).toMatchObject({ tracks: [], health: [] });
  server.routes["GET /v1/streams"] = () => new Response(JSON.stringify({ streams: [status] }));
  expect(await streams({ api: "http://sluice.test" })).toHaveLength(1);
  server.routes["GET /v1/streams"] = () => new Response("null");
  expect(await streams({ api: "http://sluice.test" })).toEqual([]);
});
