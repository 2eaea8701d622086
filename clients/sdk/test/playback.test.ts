import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { HlsPlayback, type HlsSource } from "../src/core";

/** FakeHls is hls.js without a network: what it was asked is written down, what it tells is the test's. */
class FakeHls {
  static Events = new Proxy({}, { get: (_, name) => name }) as Record<string, string>;
  static DefaultConfig = { timelineController: class {} };
  static all: FakeHls[] = [];
  listeners: [string, (event: string, data: unknown) => void][] = [];
  asked: string[] = [];
  nextLevel = -1;
  audioTrack = -1;
  levels: { width: number; height: number; audioGroups: string[]; url?: string[] }[] = [
    { width: 320, height: 180, audioGroups: ["opus"] }, { width: 320, height: 180, audioGroups: ["aac"] },
    { width: 1280, height: 720, audioGroups: ["opus"] }, { width: 1280, height: 720, audioGroups: ["aac"] },
  ];
  audioTracks = [];
  subtitleTracks = [];
  #load = 2;
  latestLevelDetails = { edge: 100, targetduration: 2, fragments: [] as { start: number; duration: number; tagList: string[][] }[], renditionReports: [] as { URI: string }[] };
  liveSyncPosition = 98;

  constructor(readonly config: Record<string, unknown>) {
    FakeHls.all.push(this);
  }
  static get last(): FakeHls {
    return FakeHls.all.at(-1)!;
  }
  on(name: string, listener: (event: string, data: unknown) => void): void {
    this.listeners.push([name, listener]);
  }
  tell(name: string, data: unknown): void {
    for (const [n, listener] of this.listeners) if (n === name) listener(name, data);
  }
  get loadLevel(): number {
    return this.#load;
  }
  set loadLevel(level: number) {
    this.asked.push(`loadLevel ${level}`);
    if (level >= 0) this.#load = level;
  }
  set nextAutoLevel(level: number) {
    this.asked.push(`nextAutoLevel ${level}`);
    this.#load = level;
  }
  loadSource(url: string): void {
    this.asked.push(`load ${url}`);
  }
  attachMedia(): void {}
  startLoad(at: number): void {
    this.asked.push(`start ${at}`);
  }
  stopLoad(): void {
    this.asked.push("stop");
  }
  removeLevel(index: number): void {
    this.asked.push(`remove ${index}`);
  }
  destroy(): void {
    video.load();
    this.asked.push("destroy");
  }
}
vi.mock("hls.js", () => ({ default: FakeHls }));

/** FakeVideo is an element whose time is the test's. */
class FakeVideo extends EventTarget {
  currentTime = 0;
  readyState = 4;
  paused = false;
  ended = false;
  videoWidth = 640;
  playbackRate = 1;
  buffered = { length: 0 };
  frames = NaN; // rises with the time
  getVideoPlaybackQuality = () => ({ totalVideoFrames: Number.isNaN(this.frames) ? 15 * this.currentTime : this.frames });
  removeAttribute(): void {}
  load(): void {
    this.paused = true;
  }
  async play(): Promise<void> {
    this.paused = false;
  }
}

let video: FakeVideo;
let playback: HlsPlayback;
let conditions: string[];

async function begin(more: Partial<HlsSource> = {}): Promise<void> {
  playback = new HlsPlayback({ url: "https://x.test/live/a/index.m3u8", video: video as never, live: true, ...more });
  playback.on("condition", (c) => conditions.push(c.state));
  playback.start();
  void video.play(); // as a director does
  await vi.advanceTimersByTimeAsync(0);
  await vi.dynamicImportSettled();
}

/** pass lets time pass: the playlist grows by a second each second, the picture only if it moves. */
async function pass(seconds: number, moves: boolean): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    FakeHls.last.latestLevelDetails.edge += 1;
    FakeHls.last.liveSyncPosition += 1;
    if (moves) video.currentTime += 1;
    await vi.advanceTimersByTimeAsync(1000);
  }
}

const gap = (type: string, next?: number) => FakeHls.last.tell("ERROR", { details: "fragGap", type: "mediaError", fatal: false, frag: { type }, errorAction: { nextAutoLevel: next } });
const asked = () => FakeHls.last.asked.slice(1);

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("MediaSource", class {});
  vi.spyOn(Math, "random").mockReturnValue(0);
  FakeHls.all = [];
  conditions = [];
  video = new FakeVideo();
});
afterEach(() => {
  playback.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

describe("a playback of what is protected", () => {
  it("asks for licences beside the playlist, with the token of a link that plays it", async () => {
    await begin({ url: "https://cdn.test/live/demo/index.m3u8?profile=cmaf&token=a%2Bb" });
    const licence = () => (FakeHls.last.config.drmSystems as Record<string, { licenseUrl: string }>)["org.w3.clearkey"]!.licenseUrl;
    expect(licence()).toBe("https://cdn.test/live/demo/licence?token=a%2Bb");
    playback.stop();
    await begin({ url: "https://cdn.test/live/demo/index.m3u8" });
    expect(licence()).toBe("https://cdn.test/live/demo/licence");
  });
});

describe("a playback whose picture stands still although the stream goes on", () => {
  it("takes a smaller layer, then goes to live, then begins anew, and plays", async () => {
    await begin();
    video.dispatchEvent(new Event("playing"));
    await pass(5, true);
    expect(asked()).toEqual([]);
    await pass(5, false);
    expect(asked()).toEqual(["stop", "loadLevel -1", "nextAutoLevel 0", "start 5"]);
    expect(conditions.at(-1)).toBe("reconnecting");
    await pass(4, false);
    expect(video.currentTime).toBeGreaterThan(100);
    await pass(7, false);
    expect(FakeHls.all.map((h) => h.asked.includes("destroy"))).toEqual([true, false]);
    expect(video.paused).toBe(false); // it played before
    video.dispatchEvent(new Event("playing"));
    await pass(20, true);
    expect(asked()).toEqual([]);
    expect(conditions.at(-1)).toBe("live");
  });

  it("has nothing smaller than the smallest layer, and goes to live at once", async () => {
    await begin();
    video.dispatchEvent(new Event("playing"));
    FakeHls.last.nextAutoLevel = 1;
    await pass(6, false);
    expect(asked()).toEqual(["nextAutoLevel 1"]);
    expect(video.currentTime).toBeGreaterThan(100);
  });

  it("is let alone while it begins slowly, and helped where only one of picture and sound comes", async () => {
    await begin();
    const ranges = (seconds: number) => ({ length: seconds ? 1 : 0, start: () => 0, end: () => seconds });
    const appended = (video: number, audio: number) => FakeHls.last.tell("BUFFER_APPENDED", { timeRanges: { video: ranges(video), audio: ranges(audio) } });
    await pass(5, false);
    FakeHls.last.tell("FRAG_LOADED", { payload: new ArrayBuffer(8) });
    for (let i = 1; i < 6; i++) {
      await pass(5, false);
      appended(i, i / 2);
    }
    expect(asked()).toEqual([]);
    for (let i = 6; i < 20; i++) {
      await pass(1, false);
      FakeHls.last.tell("FRAG_LOADED", { payload: new ArrayBuffer(8) });
      appended(i, 2.5);
    }
    expect(asked()).toEqual(["stop", "loadLevel -1", "nextAutoLevel 0", "start -1"]);
  });

  it("stays near where a viewer of the past has gone", async () => {
    await begin();
    video.dispatchEvent(new Event("playing"));
    playback.away = true;
    video.currentTime = 40;
    await pass(10, false);
    expect(video.currentTime).toBe(41);
  });

  it("is let alone while it is paused, and where nothing new came", async () => {
    await begin();
    video.paused = true;
    await pass(30, false);
    video.paused = false;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(asked()).toEqual([]);
    expect(FakeHls.all).toHaveLength(1);
  });
});

describe("a playback that comes to a gap", () => {
  const piece = (start: number, gap = false) => ({ start, duration: 2, tagList: gap ? [["GAP"]] : [] });
  const gapped = [piece(90), piece(92, true), piece(94, true)];

  it("goes on at live as soon as there is something again, as hls.js may not", async () => {
    await begin();
    video.currentTime = 91;
    video.dispatchEvent(new Event("playing"));
    FakeHls.last.latestLevelDetails.fragments = gapped;
    await pass(2, false);
    expect(video.currentTime).toBe(91);
    FakeHls.last.latestLevelDetails.fragments = [...gapped, piece(96)];
    await pass(1, false);
    expect(video.currentTime).toBe(FakeHls.last.liveSyncPosition);
    expect(asked()).toEqual([]);
  });

  it("goes on right behind the gap in the past and in a recording", async () => {
    for (const away of [true, false]) {
      await begin({ live: away });
      playback.away = away;
      video.currentTime = 91;
      video.dispatchEvent(new Event("playing"));
      FakeHls.last.latestLevelDetails.fragments = [...gapped, piece(96), piece(98)];
      await pass(4, false);
      expect(video.currentTime).toBeCloseTo(96.05, 3);
      playback.stop();
    }
  });
});

describe("a viewer who comes while the publisher is away for a moment", () => {
  it("waits, and asks again soon, as hls.js would never begin", async () => {
    await begin();
    gap("main", 0); // another layer may have something
    expect(conditions).toEqual(["loading"]);
    gap("main");
    expect(conditions).toEqual(["loading", "waiting"]);
    expect(asked()).toEqual(["stop"]);
    await vi.advanceTimersByTimeAsync(1600);
    expect(FakeHls.all).toHaveLength(2);
    expect(asked()).toEqual([]);
  });

  it("is not one who has seen something, or whose sound alone is not made yet, or who has gone back", async () => {
    await begin();
    gap("audio");
    video.dispatchEvent(new Event("playing"));
    gap("main");
    expect(conditions).toEqual(["loading", "live"]);
    playback.stop();
    await begin();
    playback.away = true;
    gap("main");
    expect(asked()).toEqual([]);
  });
});

describe("a layer that was chosen", () => {
  it("is played also when the playlist is begun anew, wherever it stands there, and no other when it is gone", async () => {
    const level = (id: string, height: number) => ({ width: 2 * height, height, audioGroups: ["opus"], url: [`https://x.test/live/a/0touojl07jpps8l0/${id}/media.m3u8`] });
    const parsed = (...levels: ReturnType<typeof level>[]) => {
      FakeHls.last.levels = levels;
      FakeHls.last.tell("MANIFEST_PARSED", {});
    };
    await begin();
    parsed(level("video-q", 90), level("video-h", 180));
    expect(asked()).toEqual([]);
    playback.choose({ key: "hls/video-h" } as never);
    expect(FakeHls.last.nextLevel).toBe(1);
    playback.retry();
    await vi.dynamicImportSettled();
    parsed(level("video-h", 180), level("video-q", 90), level("video-f", 360));
    expect(asked()).toEqual(["loadLevel 0"]);
    playback.retry();
    await vi.dynamicImportSettled();
    parsed(level("video-q", 90));
    expect(asked()).toEqual(["loadLevel -1"]);
  });
});

describe("a playback that goes on without its picture", () => {
  it("begins anew, live, in the past and in a recording", async () => {
    for (const more of [{ live: true }, { live: true, away: true }, { live: false }]) {
      FakeHls.all = [];
      await begin({ live: more.live });
      playback.away = more.away === true;
      video.frames = 0;
      video.dispatchEvent(new Event("playing"));
      await pass(7, true);
      expect(FakeHls.all).toHaveLength(2);
      expect(conditions.at(-1)).toBe("reconnecting");
      expect(video.paused).toBe(false);
      playback.stop();
      video = new FakeVideo();
    }
  });

  it("is let alone where it has sound only, and in a recording whose picture stands", async () => {
    await begin();
    FakeHls.last.levels = [{ width: 0, height: 0, audioGroups: ["opus"] }];
    video.frames = 0;
    await pass(30, true);
    expect(FakeHls.all).toHaveLength(1);
    playback.stop();
    video = new FakeVideo();
    await begin({ live: false });
    video.frames = 1;
    await pass(60, true);
    expect(FakeHls.all).toHaveLength(2); // one before
  });
});

describe("a playback that began before all was there", () => {
  const address = (id: string) => ({ url: `https://x.test/live/a/0touojl07jpps8l0/${id}/media.m3u8` });

  it("reads the entry playlist again when a picture has come to the sound", async () => {
    await begin();
    FakeHls.last.tell("MANIFEST_LOADED", { levels: [address("audio-aac")], audioTracks: [address("audio-aac")] });
    FakeHls.last.latestLevelDetails.renditionReports = [{ URI: "../audio/media.m3u8" }, { URI: "../video/media.m3u8" }];
    video.dispatchEvent(new Event("playing"));
    await pass(3, true);
    expect(FakeHls.all).toHaveLength(1);
    await pass(2, true);
    expect(FakeHls.all).toHaveLength(2);
    FakeHls.last.tell("MANIFEST_LOADED", { levels: [address("video")], audioTracks: [address("audio-aac"), address("audio")] });
    FakeHls.last.latestLevelDetails.renditionReports = [{ URI: "../audio/media.m3u8" }, { URI: "../video/media.m3u8" }];
    await pass(60, true);
    expect(FakeHls.all).toHaveLength(2);
  });
});
