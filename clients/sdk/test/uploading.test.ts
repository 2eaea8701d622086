import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Uploading, typeOf } from "../src/core";
import { FakeServer } from "./fakes";

/** A network that takes parts, or refuses them as often as it is told. */
class FakeXhr {
  static sent: { url: string; size: number; type: string }[] = [];
  static refuse: number[] = [];
  upload: { onprogress?: (e: { loaded: number }) => void } = {};
  status = 0;
  responseText = "";
  onload = () => undefined;
  onloadend = () => undefined;
  onabort = () => undefined;
  #url = "";
  #type = "";
  open(_: string, url: string) {
    this.#url = new URL(url).pathname + new URL(url).search;
  }
  setRequestHeader(_: string, v: string) {
    this.#type = v;
  }
  abort() {
    this.onabort();
  }
  send(body: Blob) {
    this.upload.onprogress?.({ loaded: body.size / 2 });
    queueMicrotask(() => {
      this.status = FakeXhr.refuse.shift() ?? 200;
      if (this.status === 200) FakeXhr.sent.push({ url: this.#url, size: body.size, type: this.#type });
      this.onload();
      this.onloadend();
    });
  }
}

let server: FakeServer;
const memory = new Map<string, string>();
const store = { getItem: (k: string) => memory.get(k) ?? null, setItem: (k: string, v: string) => void memory.set(k, v), removeItem: (k: string) => void memory.delete(k) };
const json = (v: unknown, status = 200) => new Response(JSON.stringify(v), { status });
const file = new File([new Uint8Array(25)], "Lesson 4.mov", { lastModified: 7 });
const part = (number: number, there = false) => ({ number, size: number === 3 ? 5 : 10, ...(there ? { sha256: "x" } : { url: `/v1/uploads/u1/parts/${number}?signature=s` }) });
const upload = (there: number[] = []) => ({ id: "u1", type: "video/quicktime", part_size: 10, complete: false, parts: [1, 2, 3].map((n) => part(n, there.includes(n))) });

async function send(): Promise<{ progress: number[]; done?: unknown; failed?: { why: string } }> {
  const sending = new Uploading({ api: "http://sluice.test", token: "t" }, file, store);
  const seen: { progress: number[]; done?: unknown; failed?: { why: string } } = { progress: [] };
  sending.on("progress", (p) => seen.progress.push(p));
  sending.on("done", (a) => (seen.done = a));
  sending.on("failed", (e) => (seen.failed = e));
  const end = sending.start();
  await vi.runAllTimersAsync();
  await end;
  return seen;
}

beforeEach(() => {
  vi.useFakeTimers();
  memory.clear();
  FakeXhr.sent = [];
  FakeXhr.refuse = [];
  server = new FakeServer();
  vi.stubGlobal("XMLHttpRequest", FakeXhr);
  server.routes["POST /v1/uploads"] = () => json(upload(), 201);
  server.routes["POST /v1/uploads/u1/complete"] = () => json({ id: "u1" }, 202);
});
afterEach(() => void vi.useRealTimers());

describe("an upload", () => {
  it("sends each part once, with the type that the file has", async () => {
    const seen = await send();
    expect(seen.done).toEqual({ id: "u1" });
    expect(FakeXhr.sent.map((s) => [s.url, s.size, s.type])).toEqual([1, 2, 3].map((n) => [`/v1/uploads/u1/parts/${n}?signature=s`, n === 3 ? 5 : 10, "video/quicktime"]));
    expect(seen.progress.at(-1)).toBe(1);
    expect(JSON.parse(server.saw("POST /v1/uploads")[0]!.body)).toEqual({ name: "Lesson 4.mov", size: 25, type: "video/quicktime", title: "Lesson 4" });
    expect(memory.size).toBe(0);
  });

  it("goes on after the page was closed, with what is not there", async () => {
    memory.set("sluice.upload:Lesson 4.mov:25:7", "u1");
    server.routes["GET /v1/uploads/u1"] = () => json(upload([1, 2]));
    await send();
    expect(FakeXhr.sent).toHaveLength(1);
    expect(server.saw("POST /v1/uploads")).toHaveLength(0);
  });

  it("begins anew where the server has forgotten it", async () => {
    memory.set("sluice.upload:Lesson 4.mov:25:7", "gone");
    expect((await send()).done).toBeDefined();
    expect(FakeXhr.sent).toHaveLength(3);
  });

  it("tries a part again, with a new address when the old one has expired", async () => {
    server.routes["GET /v1/uploads/u1"] = () => json(upload());
    FakeXhr.refuse = [503, 403];
    expect((await send()).done).toBeDefined();
    expect(FakeXhr.sent).toHaveLength(3);
    expect(server.saw("GET /v1/uploads/u1")).toHaveLength(1);
  });

  it("says why it cannot go on, and keeps what arrived", async () => {
    FakeXhr.refuse = [200, 415];
    expect((await send()).failed?.why).toBe("unsupported");
    expect(memory.size).toBe(1);
  });

  it("knows the type of files that the browser does not", () => {
    expect(typeOf({ name: "a.MKV", type: "" })).toBe("video/x-matroska");
    expect(typeOf({ name: "a", type: "video/mp4" })).toBe("video/mp4");
    expect(typeOf({ name: "a", type: "" })).toBe("application/octet-stream");
  });
});
