import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Stage } from "../src/ui/stage";

describe("a stage", () => {
  let videos: Record<"webrtc" | "hls", HTMLVideoElement>;
  let frames: Map<HTMLVideoElement, (now: number, metadata: object) => void>;
  let still: HTMLCanvasElement;
  let stage: Stage;
  const paint = () => vi.advanceTimersByTime(20);
  const frame = (mode: "webrtc" | "hls") => frames.get(videos[mode])!(0, {});

  beforeEach(() => {
    vi.useFakeTimers();
    frames = new Map();
    const video = () => {
      const v = document.createElement("video");
      Object.defineProperties(v, { videoWidth: { value: 640 }, videoHeight: { value: 360 }, readyState: { value: 4 } });
      return Object.assign(v, { requestVideoFrameCallback: (f: () => void) => (frames.set(v, f), 1), cancelVideoFrameCallback: () => undefined });
    };
    videos = { webrtc: video(), hls: video() };
    still = Object.assign(document.createElement("canvas"), { hidden: true });
    stage = new Stage(videos.webrtc, videos.hls, still, () => undefined);
    for (const s of Object.values(stage.screens)) s.listen();
  });
  afterEach(() => vi.useRealTimers());

  it("keeps the last picture until what came to the front is painted", () => {
    stage.swap("hls");
    expect([stage.video === videos.hls, still.hidden]).toEqual([true, false]);
    frame("hls"); // told of, not yet on the screen
    expect(still.hidden).toBe(false);
    paint();
    paint();
    expect(still.hidden).toBe(true);
  });

  it("keeps it longer where somebody waits for more than a picture", () => {
    stage.swap("hls");
    stage.held = true;
    paint();
    paint();
    frame("hls");
    expect(still.hidden).toBe(false);
    stage.held = false;
    frame("hls");
    expect(still.hidden).toBe(true);
  });
});
