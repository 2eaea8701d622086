import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { FrameTimes } from "../src/core";
import { Director } from "../src/ui/director";
import { Stage } from "../src/ui/stage";
import { FakePC, install, settle } from "./fakes";

const base = vi.hoisted(() => ({ playbacks: [] as { source: { at?: number }; span?: { from: number; to: number }; capture?: number; lag?: number; stopped: boolean; rate: number; say(state: string): void }[] }));

vi.mock("../src/core/hls", async () => {
  const { Emitter } = await import("../src/core/emitter");
  class HlsPlayback extends Emitter<Record<string, unknown>> {
    condition = { state: "loading" };
    away = false;
    arrived = true;
    rate = 1;
    stopped = false;
    span: { from: number; to: number } | undefined;
    capture: number | undefined;
    lag: number | undefined;
    source: { at?: number };
    constructor(source: { at?: number }) {
      super();
      this.source = source;
      base.playbacks.push(this as never);
    }
    start(): void {}
    tell(): void {}
    stop(): void {
      this.stopped = true;
    }
    frame(times: FrameTimes): void {
      this.capture = (times as unknown as { capture: number }).capture;
      this.lag = 1800;
    }
    say(state: string): void {
      this.condition = { state };
      this.emit("condition", this.condition);
    }
  }
  return { HlsPlayback, hasMediaSource: () => true };
});

describe("a director whose WebRTC falls silent", () => {
  let director: Director;
  let captured: number; // of the last picture by WebRTC

  const picture = (mode: "webrtc" | "hls", times: object) => {
    const shown = performance.now() + 5;
    director.frame(mode, { expectedDisplayTime: shown, presentationTime: shown, ...times } as FrameTimes);
  };
  const playback = () => base.playbacks.at(-1)!;
  /** pass lets time go by, with pictures by HLS from what was captured then on. */
  const pass = async (ms: number, hls?: number) => {
    for (let t = 0; t < ms; t += 50) {
      if (hls !== undefined) picture("hls", { capture: hls + t });
      await vi.advanceTimersByTimeAsync(50);
    }
  };

  beforeEach(async () => {
    vi.useFakeTimers();
    base.playbacks.length = 0;
    const server = install();
    server.joins("/whep/demo");
    server.routes["GET /v1/time"] = () => new Response(JSON.stringify({ unix_ms: performance.timeOrigin + performance.now() }));
    const feed = server.feed("/whep/demo/s1");
    Object.defineProperty(HTMLMediaElement.prototype, "srcObject", { value: null, writable: true, configurable: true });
    vi.spyOn(HTMLMediaElement.prototype, "play").mockResolvedValue();
    const video = () => Object.assign(document.createElement("video"), { requestVideoFrameCallback: () => 1, cancelVideoFrameCallback: () => undefined });
    const stage = new Stage(video(), video(), document.createElement("canvas"), () => undefined);
    director = new Director({ whep: "http://sluice.test/whep/demo", hls: "http://sluice.test/live/demo/index.m3u8", asset: false, api: "http://sluice.test/", delivery: "auto", stage });
    director.start();
    await settle();
    FakePC.last.become("connected");
    feed.send("active", {});
    for (let i = 0; i < 20; i++) {
      const shown = performance.now() + 5;
      picture("webrtc", { captureTime: shown - 100 });
      await vi.advanceTimersByTimeAsync(50);
    }
    captured = director.capture!;
    expect(captured).toBeGreaterThan(0);
  });
  afterEach(() => {
    director.stop();
    vi.useRealTimers();
  });

  it("lets HLS go on from the picture at which it stopped, long before ICE is sure", async () => {
    await pass(4500);
    expect(playback().source.at).toBeCloseTo(captured, -1);
    expect(director.mode).toBe("webrtc");
    playback().span = { from: captured - 10_000, to: captured + 4000 };
    await pass(500, captured);
    expect(director.mode).toBe("hls");
    expect(playback().stopped).toBe(false);
  });

  it("stays where it is when nothing is newer by HLS either: it is the publisher who is silent", async () => {
    await pass(4500);
    playback().span = { from: captured - 10_000, to: captured + 300 };
    await pass(1000, captured - 200);
    expect(director.mode).toBe("webrtc");
    picture("webrtc", { captureTime: performance.now() - 100 });
    await pass(500);
    expect(playback().stopped).toBe(true);
    expect(director.mode).toBe("webrtc");
  });

  it("keeps WebRTC that mends itself first", async () => {
    await pass(4500);
    picture("webrtc", { captureTime: performance.now() - 100 });
    playback().span = { from: captured - 10_000, to: captured + 6000 };
    await pass(500, captured);
    expect([director.mode, playback().stopped]).toEqual(["webrtc", true]);
  });

  it("does not go to HLS where the policy is WebRTC", async () => {
    director.allow("webrtc");
    await pass(6000);
    expect(base.playbacks).toEqual([]);
  });
});
