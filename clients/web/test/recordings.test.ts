import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeServer, settle } from "../../sdk/test/fakes";
import "../src/app";
import { changing, type SluiceRecordings } from "../src/pages/recordings";
import type { SluiceRecordingPage } from "../src/pages/recording";
import { seconds } from "../src/parts/clip";

const film = (id: string, more: object = {}) => ({
  id, stream: "demo", kind: "recording", title: `Film ${id}`, description: "", public: false, state: "ready", started: "2026-11-20T12:00:00Z", ended: "2026-11-20T12:10:00Z", duration: 600,
  size: 5_000_000, codecs: ["avc1.42c01e"], width: 640, height: 360, complete: true, playable: true, export: `/v1/assets/${id}/export.mp4`, views: 3, version: 2, ...more,
});
const json = (v: unknown, status = 200) => new Response(JSON.stringify(v), { status, headers: { "Content-Type": "application/json" } });

let server: FakeServer;
let element: HTMLElement & { updateComplete: Promise<unknown>; renderRoot: HTMLElement | DocumentFragment };
const root = () => element.renderRoot;
const words = () => root().textContent!.replace(/\s+/g, " ");

async function mount<E extends typeof element>(tag: string, properties: object): Promise<E> {
  element = Object.assign(document.createElement(tag) as E, properties);
  document.body.append(element);
  await settled();
  return element as E;
}

async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    await settle();
    await element.updateComplete;
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
});
afterEach(() => {
  element.remove();
  vi.useRealTimers();
});

describe("the catalogue", () => {
  it("shows cards, and more of them when asked", async () => {
    const asked: string[] = [];
    server.routes["GET /v1/assets"] = () => json(asked.push("") === 1 ? { assets: [film("a"), film("b")], next: "n1" } : { assets: [film("b"), film("c")] });
    await mount<SluiceRecordings>("sluice-recordings", { token: "t" });
    expect([...root().querySelectorAll(".card .name")].map((n) => n.textContent)).toEqual(["Film a", "Film b"]);
    expect(server.saw("GET /v1/assets")[0]!.headers.get("Authorization")).toBe("Bearer t");
    root().querySelector<HTMLButtonElement>(".end button")!.click();
    await settled();
    expect([...root().querySelectorAll(".card .name")].map((n) => n.textContent)).toEqual(["Film a", "Film b", "Film c"]);
    expect(root().querySelector(".end")).toBeNull();
  });

  it("offers to upload only to who may, and where", async () => {
    let to: string | undefined;
    server.routes["GET /v1/assets"] = () => json({ assets: [], upload_to: to });
    await mount<SluiceRecordings>("sluice-recordings", { token: "plays only" });
    expect(root().querySelector("sluice-upload")).toBeNull();
    expect(words()).not.toContain("upload");
    to = "school.uploads";
    Object.assign(element, { token: "publishes" });
    await settled();
    expect(root().querySelector<HTMLElement & { stream: string }>("sluice-upload")!.stream).toBe("school.uploads");
    expect(words()).toContain("You may also upload a film");
  });

  it("sends three files at once, and the next when one has ended", async () => {
    server.routes["GET /v1/assets"] = () => json({ assets: [], upload_to: "school.uploads" });
    const asked: { stream: string }[] = [];
    const refuse: (() => void)[] = [];
    server.routes["POST /v1/uploads"] = ({ body }) => {
      asked.push(JSON.parse(body) as { stream: string });
      return new Promise((done) => refuse.push(() => done(json({ title: "no" }, 403))));
    };
    await mount<SluiceRecordings>("sluice-recordings", { token: "t" });
    const upload = root().querySelector<HTMLElement & { renderRoot: HTMLElement }>("sluice-upload")!;
    const input = upload.renderRoot.querySelector("input")!;
    Object.defineProperty(input, "files", { value: [1, 2, 3, 4, 5].map((n) => new File([new Uint8Array(9)], `${n}.mp4`)) });
    input.dispatchEvent(new Event("change"));
    await settled();
    expect(asked.map((a) => a.stream)).toEqual(["school.uploads", "school.uploads", "school.uploads"]);
    expect(upload.renderRoot.textContent).toContain("Waits");
    refuse[0]!();
    await settled();
    expect(asked.length).toBe(4);
  });

  it("searches once for what is typed, and says when nothing was found", async () => {
    server.routes["GET /v1/assets"] = () => json({ assets: [] });
    await mount("sluice-recordings", { token: "t" });
    expect(words()).toContain("Nothing is recorded yet");
    const input = root().querySelector<HTMLInputElement>("form input")!;
    for (const text of ["f", "fi", "fil"]) {
      input.value = text;
      input.dispatchEvent(new Event("input"));
    }
    await vi.advanceTimersByTimeAsync(400);
    await settled();
    expect(server.saw("GET /v1/assets")).toHaveLength(2);
    expect(words()).toContain("Nothing found");
  });

  it.each([[401, "This token is not valid any more"], [404, "This server keeps no recordings"], [500, "The server cannot be reached"]])("says what %d means", async (status, said) => {
    server.routes["GET /v1/assets"] = () => json({}, status);
    await mount("sluice-recordings", { token: "t" });
    expect(words()).toContain(said);
  });

  it("looks again while something is to be expected", () => {
    const now = Date.parse("2026-11-20T12:11:00Z");
    expect(changing(film("a", { state: "recording" }) as never, now)).toBe(true);
    expect(changing(film("a") as never, now)).toBe(true); // its picture is still made
    expect(changing(film("a", { thumbnail: "x" }) as never, now)).toBe(false);
    expect(changing(film("a") as never, now + 600_000)).toBe(false);
  });
});

describe("a recording's page", () => {
  it("offers changes to those who may make them, alone", async () => {
    server.routes["GET /v1/assets/a"] = () => json(film("a"));
    await mount<SluiceRecordingPage>("sluice-recording-page", { token: "t", asset: "a" });
    expect(words()).toContain("Film a");
    expect(words()).not.toContain("Delete");
    element.remove();
    server.routes["GET /v1/assets/a"] = () => json(film("a", { editable: true }));
    await mount("sluice-recording-page", { token: "t", asset: "a" });
    expect(words()).toContain("Delete");
  });

  it("changes the title of the version that was seen, and says when somebody was faster", async () => {
    server.routes["GET /v1/assets/a"] = () => json(film("a", { editable: true }));
    server.routes["PATCH /v1/assets/a"] = () => json({ detail: "stale" }, 412);
    await mount("sluice-recording-page", { token: "t", asset: "a" });
    root().querySelector<HTMLButtonElement>(".title .tool")!.click();
    await settled();
    root().querySelector<HTMLInputElement>("#name")!.value = "Better";
    root().querySelector("form")!.dispatchEvent(new Event("submit"));
    await settled();
    expect(JSON.parse(server.saw("PATCH /v1/assets/a")[0]!.body)).toEqual({ title: "Better", version: 2 });
    expect(words()).toContain("Somebody else has changed it");
  });

  it.each([[404, "There is no such recording"], [403, "You may not watch this recording"]])("says what %d means", async (status, said) => {
    server.routes["GET /v1/assets/a"] = () => json({}, status);
    await mount("sluice-recording-page", { token: "t", asset: "a" });
    expect(words()).toContain(said);
  });

  it("shows how far a film that is being prepared has come, and plays it then", async () => {
    server.routes["GET /v1/assets/a"] = () => json(film("a", { state: "processing", playable: false, progress: 0.4 }));
    await mount("sluice-recording-page", { token: "t", asset: "a" });
    expect(words()).toContain("Being prepared 40 %");
    server.routes["GET /v1/assets/a"] = () => json(film("a", { state: "failed", playable: false, reason: "no picture and no sound" }));
    await vi.advanceTimersByTimeAsync(3100);
    await settled();
    expect(words()).toContain("No picture and no sound.");
  });

  it("plays what no playlist carries as a file", async () => {
    server.routes["GET /v1/assets/a"] = () => json(film("a", { codecs: ["vp8"], export: "/v1/assets/a/export.webm" }));
    server.routes["GET /v1/assets/a/export.webm"] = () => new Response("x", { status: 206 });
    await mount("sluice-recording-page", { token: "t", asset: "a" });
    await settled();
    expect(root().querySelector("sluice-player")).toBeNull();
    expect(root().querySelector("video")!.getAttribute("src")).toContain("/v1/assets/a/export.webm?token=t");
  });

  it("reads times as people write them", () => {
    expect(["1:05", "1:02:05", "65", "0:07,5"].map(seconds)).toEqual([65, 3725, 65, 7.5]);
    for (const bad of ["", "a", "1:", ":5", "-1", "1:2:3:4"]) expect(seconds(bad)).toBeUndefined();
  });
});
