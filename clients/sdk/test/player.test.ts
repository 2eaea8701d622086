import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import "../src/ui";
import type { SluicePlayer } from "../src/ui/player";
import { FakePC, type FakeServer, install, settle } from "./fakes";

let server: FakeServer;
let player: SluicePlayer;
type FrameCallback = (now: number, metadata: Record<string, number>) => void;
let frames: FrameCallback[];

async function mount(attributes: Record<string, string> = {}): Promise<void> {
  player = document.createElement("sluice-player");
  for (const [k, v] of Object.entries({ src: "/whep/demo", token: "t", keys: "page", ...attributes })) player.setAttribute(k, v);
  document.body.append(player);
  await player.updateComplete;
  await settle();
}

/** Shows one frame that was captured so many milliseconds before it is displayed. */
async function show(latency?: number): Promise<void> {
  const shown = performance.now() + 5;
  const metadata: Record<string, number> = { expectedDisplayTime: shown, presentationTime: shown };
  if (latency !== undefined) metadata.captureTime = shown - latency;
  frames.splice(0).forEach((f) => f(shown, metadata));
  await settle();
  await player.updateComplete;
}

async function live(): Promise<void> {
  await mount();
  FakePC.last.become("connected");
  await show(120);
}

const find = <E extends Element>(selector: string) => player.renderRoot.querySelector<E & HTMLElement>(selector);
const said = () => find("[role=status]")!.textContent!.trim();
const press = (key: string) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, composed: true, cancelable: true }));

beforeEach(() => {
  vi.useFakeTimers();
  server = install();
  server.joins("/whep/demo");
  frames = [];
  Object.assign(HTMLVideoElement.prototype, {
    requestVideoFrameCallback: (f: FrameCallback) => frames.push(f),
    cancelVideoFrameCallback: () => void (frames = []),
  });
  Object.defineProperty(HTMLMediaElement.prototype, "srcObject", { value: null, writable: true, configurable: true });
  vi.spyOn(HTMLMediaElement.prototype, "play").mockResolvedValue();
  vi.spyOn(HTMLMediaElement.prototype, "pause").mockReturnValue();
});
afterEach(() => {
  player.remove();
  vi.useRealTimers();
});

describe("<sluice-player>", () => {
  it("plays muted at once, and says where it is in an attribute and aloud", async () => {
    await mount();
    expect(player.getAttribute("state")).toBe("loading");
    expect(said()).toMatch(/^Connecting/);
    expect(find<HTMLVideoElement>("video")!.muted).toBe(true);
    FakePC.last.become("connected");
    await show();
    expect(player.getAttribute("state")).toBe("live");
    expect(server.saw("POST /whep/demo")[0]!.headers.get("Authorization")).toBe("Bearer t");
  });

  it("takes one tap for sound", async () => {
    await live();
    const tap = find<HTMLButtonElement>("button.sound")!;
    expect(tap.textContent).toContain("Tap for sound");
    tap.click();
    await player.updateComplete;
    expect(find<HTMLVideoElement>("video")!.muted).toBe(false);
    expect(find("button.sound")).toBeNull();
  });

  it("shows the measured latency, also for tests to read", async () => {
    await live();
    await vi.advanceTimersByTimeAsync(600);
    await show(120);
    expect(player.dataset.latencyMs).toBe("120");
    expect(player.dataset.latencyFrom).toBe("frame");
    expect(find(".badge")!.textContent).toContain("120 ms");
  });

  it("shows no latency when no frame came for a second", async () => {
    await live();
    await vi.advanceTimersByTimeAsync(600);
    await show(120);
    await vi.advanceTimersByTimeAsync(2500);
    expect(player.dataset.latencyMs).toBeUndefined();
  });

  it("lets the viewer choose a layer, and go back to automatic", async () => {
    const feed = server.feed("/whep/demo/s1");
    server.routes["POST /whep/demo/s1/layers"] = () => new Response("{}");
    await live();
    feed.send("layers", { "1": [{ rid: "f", width: 1280, height: 720, bitrate: 2_400_000, current: true }, { rid: "q", width: 320, height: 180, bitrate: 200_000 }, { rid: "h", width: 640, height: 360 }] });
    await settle();
    await player.updateComplete;
    find<HTMLButtonElement>("#layers")!.click();
    await player.updateComplete;
    const items = () => [...player.renderRoot.querySelectorAll<HTMLButtonElement>("[role=menuitemradio]")];
    expect(items().map((i) => i.textContent!.replace(/\s+/g, " ").trim())).toEqual(["Automatic (720p)", "720p 2.4 Mbit/s", "360p not sent now", "180p 200 kbit/s"]);
    expect(items().map((i) => [i.getAttribute("aria-checked"), i.disabled])).toEqual([["true", false], ["false", false], ["false", true], ["false", false]]);
    items()[3]!.click();
    await settle();
    expect(server.saw("POST /whep/demo/s1/layers").map((a) => a.body)).toEqual(['{"mediaId":"1","rid":"q"}']);
    press("ArrowRight"); // better: the next active one is the full picture
    await settle();
    expect(server.saw("POST /whep/demo/s1/layers")[1]!.body).toBe('{"mediaId":"1","rid":"f"}');
  });

  it("answers to its keys, but leaves typing and shortcuts alone", async () => {
    await live();
    press("m");
    expect(player.muted).toBe(false);
    press("ArrowDown");
    expect(player.volume).toBeCloseTo(0.9);
    press("?");
    await player.updateComplete;
    expect(find("[role=dialog]")!.textContent).toContain("Full screen");
    press("Escape");
    await player.updateComplete;
    expect(find("[role=dialog]")).toBeNull();

    const input = document.body.appendChild(document.createElement("input"));
    input.dispatchEvent(new KeyboardEvent("keydown", { key: "m", bubbles: true, composed: true }));
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "m", ctrlKey: true, bubbles: true, composed: true }));
    expect(player.muted).toBe(false);
    input.remove();
  });

  it("keeps the picture under a thin bar while it reconnects", async () => {
    server.routes["PATCH /whep/demo/s1"] = () => new Promise(() => undefined);
    await live();
    FakePC.last.become("failed");
    await settle();
    await player.updateComplete;
    expect(player.getAttribute("state")).toBe("reconnecting");
    expect(find(".thin")).not.toBeNull();
    expect(find(".card")).toBeNull();
    expect(said()).toContain("Reconnecting");
  });

  it("keeps the last picture of an ended stream, and nothing lies on the way back", async () => {
    const feed = server.feed("/whep/demo/s1");
    server.routes["GET /v1/streams/demo"] = () => new Response(JSON.stringify({ stream: "demo", live: false, public: true, viewers: 0 }));
    await live();
    const pc = FakePC.last;
    const order: string[] = [];
    vi.spyOn(pc, "close").mockImplementation(() => void order.push("closed"));
    player.addEventListener("sluice-condition", (e) => order.push(e.detail.state));
    feed.send("inactive", { reason: "the publisher left and did not come back" });
    await settle();
    feed.end();
    await vi.advanceTimersByTimeAsync(3000);
    await player.updateComplete;
    expect(order).toEqual(["waiting", "ended", "closed"]);
    expect(find(".card")!.textContent).toContain("The publisher left and did not come back.");
    expect(find(".bar")).toBeNull();
  });

  it("says why it is refused, what helps, and how support can find it", async () => {
    server.routes["POST /whep/demo"] = () => new Response(JSON.stringify({ detail: "the token has expired", instance: "trace7" }), { status: 401, headers: { "Content-Type": "application/problem+json" } });
    await mount();
    await player.updateComplete;
    expect(find("h2")!.textContent).toBe("A token is needed");
    expect(find(".trace")!.textContent).toContain("401 · trace7");
    server.joins("/whep/demo");
    [...player.renderRoot.querySelectorAll("button")].find((b) => b.textContent === "Try again")!.click();
    await settle();
    await show();
    expect(player.getAttribute("state")).toBe("live");
  });

  it("starts over when its token changes, and ends when it leaves the page", async () => {
    await live();
    player.token = "other";
    await player.updateComplete;
    await settle();
    expect(server.saw("DELETE /whep/demo/s1")).toHaveLength(1);
    expect(server.saw("POST /whep/demo")[1]!.headers.get("Authorization")).toBe("Bearer other");
    player.remove();
    expect(server.saw("DELETE /whep/demo/s2")).toHaveLength(1);
  });

  it("labels every control", async () => {
    await live();
    for (const control of player.renderRoot.querySelectorAll("button, input")) {
      expect(control.getAttribute("aria-label") || control.textContent!.trim(), control.outerHTML).not.toBe("");
    }
  });

  it("with manual waits for play", async () => {
    await mount({ manual: "" });
    expect(server.asked).toEqual([]);
    find<HTMLButtonElement>(".card button")!.click();
    await settle();
    expect(server.saw("POST /whep/demo")).toHaveLength(1);
  });
});

it("<sluice-stats> draws what a player measures", async () => {
  await live();
  const stats = document.createElement("sluice-stats");
  stats.player = player;
  document.body.append(stats);
  await stats.updateComplete;
  expect(stats.renderRoot.textContent).toContain("Numbers come as soon as");
  const sample = { at: 0, bitrate: 2_500_000, audioBitrate: 0, loss: 0.014, rtt: 18, buffer: 40, latency: 131, fps: 30, width: 1280, height: 720, codec: "H264", frames: 90, freezes: 0, dropped: 0, transport: "udp" };
  for (let i = 0; i < 70; i++) player.dispatchEvent(new CustomEvent("sluice-sample", { detail: { ...sample, bitrate: 2_500_000 + i } }));
  await stats.updateComplete;
  const text = stats.renderRoot.textContent!.replace(/\s+/g, " ");
  for (const part of ["2.5 Mbit/s", "1 %", "18 ms", "40 ms", "131 ms", "1280 × 720, 30 fps", "H264", "UDP"]) expect(text).toContain(part);
  expect(stats.samples).toHaveLength(60);
  expect(stats.renderRoot.querySelector("path.line")!.getAttribute("d")!.match(/[ML]/g)).toHaveLength(60);
  stats.remove();
});
