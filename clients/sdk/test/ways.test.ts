import { describe, expect, it } from "vitest";
import { captureAt, Handover, holdFor, mediaAt, mostHold, pastGap, type Piece, parseStoryboard, relaxed, smallestVariant, SluiceError, spanOf, stillAt, Way } from "../src/core";
import { hlsError } from "../src/core/hls-error";
import { readLevels, smallerLevel, spareLevels } from "../src/core/renditions";
import { addresses } from "../src/ui/address";

describe("the way to watch", () => {
  const auto = { delivery: "auto", webrtc: true, hls: true } as const;

  it("is WebRTC where it can be had, and what the policy says", () => {
    expect(new Way(auto).mode).toBe("webrtc");
    expect(new Way({ ...auto, webrtc: false }).mode).toBe("hls");
    expect(new Way({ ...auto, delivery: "hls" }).mode).toBe("hls");
    expect(new Way({ ...auto, delivery: "webrtc", webrtc: false }).mode).toBe("webrtc");
    expect(new Way({ ...auto, webrtc: false, hls: false }).mode).toBe("webrtc");
  });

  it("turns to HLS when ICE did not connect twice, but not after a connection in between", () => {
    const way = new Way(auto);
    way.unconnected(0);
    way.connected();
    way.unconnected(10);
    expect(way.mode).toBe("webrtc");
    way.unconnected(20);
    expect(way.mode).toBe("hls");
  });

  it("turns at once when the server is full, not when a stream is not there", () => {
    const way = new Way(auto);
    for (const why of ["not-live", "unauthorized", "network", "missing"] as const) way.refused(new SluiceError(why), 0);
    expect(way.mode).toBe("webrtc");
    way.refused(new SluiceError("busy", { status: 503 }), 0);
    expect(way.mode).toBe("hls");
  });

  it("looks for WebRTC again ever more seldom, and as late as the server asks for", () => {
    const way = new Way(auto);
    way.refused(new SluiceError("busy", { retryAfter: 60_000 }), 0);
    expect([30_000, 59_999].some((t) => way.look(t))).toBe(false);
    expect(way.look(60_000)).toBe(true);
    expect(way.look(60_001)).toBe(false); // until it is known what came of it
    way.unconnected(61_000);
    expect(way.look(61_000 + 59_999)).toBe(false);
    expect(way.look(61_000 + 60_000)).toBe(true);
    for (let i = 0; i < 10; i++) way.unconnected(0);
    expect(way.look(299_999)).toBe(false);
    expect(way.look(300_000)).toBe(true);
  });

  it("looks at once after the network changed, never where the policy forbids it", () => {
    const way = new Way(auto);
    way.refused(new SluiceError("busy"), 0);
    way.moved(5);
    expect(way.look(5)).toBe(true);
    way.connected();
    expect(way.mode).toBe("webrtc");
    const hls = new Way({ ...auto, delivery: "hls" });
    hls.moved(5);
    expect(hls.look(1e9)).toBe(false);
    hls.allow("auto");
    expect(hls.mode).toBe("webrtc");
  });

  it("lets HLS take over from a picture that died, where there is HLS and a choice, and looks again", () => {
    const way = new Way(auto);
    expect(way.spare).toBe(true);
    way.overtaken(1000);
    expect([way.mode, way.spare]).toEqual(["hls", false]);
    expect([way.look(30_000), way.look(31_000)]).toEqual([false, true]);
    for (const config of [{ ...auto, hls: false }, { ...auto, delivery: "webrtc" as const }, { ...auto, delivery: "hls" as const }]) {
      const other = new Way(config);
      const { mode } = other;
      expect(other.spare).toBe(false);
      other.overtaken(1000);
      expect(other.mode).toBe(mode);
    }
  });

  it("goes on with WebRTC where there is no HLS to turn to", () => {
    const way = new Way({ ...auto, hls: false });
    way.refused(new SluiceError("busy"), 0);
    for (let i = 0; i < 5; i++) way.unconnected(i);
    expect(way.mode).toBe("webrtc");
    const other = new Way(auto);
    other.refused(new SluiceError("busy"), 0);
    other.absent();
    expect(other.mode).toBe("webrtc");
  });
});

/** A jitter buffer that follows as Chromium's does, and HLS at its own pace; until they meet, or one gives up. */
function cross(to: "webrtc" | "hls", webrtcBase: number, hlsLag: number, hold = 0, patient = false) {
  const handover = new Handover(hold, patient);
  let lag = to === "webrtc" ? webrtcBase : webrtcBase + hold;
  let hls = hlsLag;
  const rates: number[] = [];
  let steepest = 0;
  for (let after = 0; after < 60_000; after += 250) {
    const move = handover.steer({ to, webrtc: lag, hls, frame: 33, after });
    if (move.do !== "steer") return { ...move, after, apart: Math.abs(lag - hls), rates, steepest };
    rates.push(move.rate);
    const before = lag;
    // A hidden buffer takes four seconds to fill and shows nothing new meanwhile; one in front follows its small steps.
    if (to === "hls") lag = webrtcBase + move.hold;
    else if (after > 4000) lag = webrtcBase + move.hold;
    steepest = Math.max(steepest, (lag - before) / 250);
    hls -= (move.rate - 1) * 250;
  }
  return { do: "never" as const, after: 60_000, apart: 0, rates, steepest };
}

describe("a hand-over", () => {
  it.each([
    ["hls", 60, 1800, 0],
    ["hls", 300, 3900, 0],
    ["webrtc", 60, 1800, 1700],
    ["webrtc", 600, 2400, 2300],
  ] as const)("to %s, %d ms against %d ms, swaps within a frame", (to, webrtc, hls, hold) => {
    const end = cross(to, webrtc, hls, hold);
    expect(end.do).toBe("swap");
    expect(end.apart).toBeLessThan(33);
    expect(end.after).toBeLessThan(40_000);
  });

  it("lets HLS hurry that is later than a jitter buffer holds, when nobody waits for it", () => {
    const end = cross("webrtc", 60, 5200, holdFor(5200, true), true);
    expect(end.do).toBe("swap");
    expect(end.apart).toBeLessThan(33);
    expect(Math.max(...end.rates)).toBeLessThanOrEqual(1.061);
    expect(cross("webrtc", 60, 5200, holdFor(5200, false)).do).toBe("jump");
    expect(cross("webrtc", 60, 9000, holdFor(9000, true), true).do).toBe("jump");
  });

  it("asks a new connection for as much delay as it will need, or for none", () => {
    expect([holdFor(50, true), holdFor(1800, false), holdFor(4050, true), holdFor(4050, false), holdFor(9000, true)]).toEqual([0, 1700, 3950, 0, 0]);
  });

  it("never slows a picture in front by more than it may, nor speeds a seen one", () => {
    expect(cross("hls", 60, 3000).steepest).toBeLessThanOrEqual(0.151);
    const seen = cross("webrtc", 60, 1800, 1700).rates;
    expect(Math.max(...seen)).toBeLessThanOrEqual(1.06);
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(0.94);
  });

  it("jumps where the gap is more than a jitter buffer holds, also when nothing ever comes", () => {
    expect(cross("webrtc", 60, 60 + mostHold + 500).do).toBe("jump");
    expect(cross("hls", 60, 92_000).do).toBe("jump");
    const handover = new Handover();
    const nothing = (after: number) => handover.steer({ to: "webrtc", webrtc: undefined, hls: undefined, frame: 33, after }).do;
    expect(nothing(1000)).toBe("steer");
    expect(nothing(60_000)).toBe("jump");
  });

  it("lets the jitter buffer down no faster than browsers follow, to nothing", () => {
    expect(relaxed(2000, 1000)).toBe(1920);
    expect(relaxed(10, 1000)).toBe(0);
  });
});

describe("capture times of a playlist", () => {
  const t0 = Date.UTC(2026, 10, 20, 12);
  const pieces: Piece[] = [
    { start: 10, duration: 2, programDateTime: t0 },
    { start: 12, duration: 2, programDateTime: t0 + 2000 },
    { start: 14, duration: 2, programDateTime: t0 + 60_000 }, // the publisher was away
  ];

  it("go both ways", () => {
    for (const at of [10, 10.033, 11.999, 12, 13.5, 14, 15.9]) expect(mediaAt(pieces, captureAt(pieces, at)!)).toBeCloseTo(at, 3);
    expect(captureAt(pieces, 12.04)).toBeCloseTo(t0 + 2040, 3);
  });

  it("in a hole are those of what follows, outside those of the ends", () => {
    expect(mediaAt(pieces, t0 + 30_000)).toBe(14);
    expect(mediaAt(pieces, t0 - 5000)).toBe(10);
    expect(mediaAt(pieces, t0 + 999_000)).toBe(16);
  });

  it("are unknown without dates", () => {
    expect(captureAt([{ start: 0, duration: 2, programDateTime: null }], 1)).toBeUndefined();
    expect(mediaAt([], 1)).toBeUndefined();
  });

  it("tell where media goes on after a gap", () => {
    const s = (start: number, gap = false, duration = 2) => ({ start, duration, tagList: gap ? [["INF", "2"], ["GAP"]] : [["INF", "2"]] });
    const list = [s(10), s(12), s(14, true), s(16, true), s(18), s(20, true)];
    expect(pastGap(list, 13, 2)).toBe(18); // the rest of its segment is missing, too
    expect(pastGap(list, 15, 2)).toBe(18);
    expect(pastGap(list, 17.99, 2)).toBe(18);
    expect(pastGap(list, 11, 2)).toBeUndefined(); // no gap near
    expect(pastGap(list, 18.5, 2)).toBeUndefined(); // nothing after it yet
    expect(pastGap(list, 21, 2)).toBeUndefined();
    expect(pastGap([...list, s(22, false, 0)], 21, 2)).toBeUndefined(); // what is being made has nothing yet
  });

  it("tell from when to when a playlist reaches", () => {
    const text = "#EXTM3U\n#EXT-X-PROGRAM-DATE-TIME:2026-11-20T12:00:00.000Z\n#EXTINF:2.00000,\n0.m4s\n#EXTINF:1.50000,\n1.m4s\n#EXT-X-PROGRAM-DATE-TIME:2026-11-20T12:01:00.000Z\n#EXTINF:2.0,\n2.m4s\n";
    expect(spanOf(text)).toEqual({ from: t0, to: t0 + 62_000 });
    expect(spanOf("#EXTM3U\n#EXTINF:2,\n0.m4s\n")).toBeUndefined();
  });

  it("are asked of the variant that costs least", () => {
    const text = "#EXTM3U\n#EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=1,BANDWIDTH=900000,CODECS=\"a,b\"\nh/media.m3u8?dvr=1\n#EXT-X-STREAM-INF:BANDWIDTH=200000\nl/media.m3u8?dvr=1\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=10,URI=\"i\"\n";
    expect(smallestVariant(text, "https://x.test/live/a/index.m3u8?dvr=1")).toBe("https://x.test/live/a/l/media.m3u8?dvr=1");
    expect(smallestVariant("#EXTM3U\n#EXTINF:2,\n0.m4s", "https://x.test/")).toBeUndefined();
  });
});

describe("a storyboard", () => {
  const vtt = "WEBVTT\n\n00:00:00.000 --> 00:00:10.000\nstoryboard-0.jpg?token=a#xywh=0,0,160,90\n\n1:00:10.500 --> 1:00:20.000\nstoryboard-0.jpg#xywh=160,0,160,90\n\nbroken\n";
  it("names a picture for each time, and leaves out what it cannot read", () => {
    const stills = parseStoryboard(vtt, "https://x.test/v1/assets/a/storyboard.vtt");
    expect(stills).toHaveLength(2);
    expect(stills[0]).toMatchObject({ from: 0, to: 10_000, sheet: "https://x.test/v1/assets/a/storyboard-0.jpg?token=a", x: 0, width: 160, height: 90 });
    expect(stillAt(stills, 3_611_000)?.x).toBe(160);
    expect(stillAt(stills, 1)?.x).toBe(0);
    expect(stillAt([], 1)).toBeUndefined();
  });
});

describe("what hls.js says", () => {
  const failure = (code: number, body = "", headers: Record<string, string> = {}) => hlsError({ type: "networkError", details: "manifestLoadError", response: { code }, networkDetails: { responseText: body, getResponseHeader: (n: string) => headers[n] ?? null }, error: new Error("x") } as never);

  it("becomes our words, with the server's own", () => {
    expect(failure(401).why).toBe("unauthorized");
    expect(failure(404).why).toBe("missing");
    const full = failure(503, JSON.stringify({ title: "Server is busy", detail: "20,000 wait", instance: "ab" }), { "Retry-After": "7" });
    expect([full.why, full.detail, full.trace, full.retryAfter, full.retry]).toEqual(["busy", "20,000 wait", "ab", 7000, true]);
    expect(failure(0).why).toBe("network");
    expect(hlsError({ type: "mediaError", details: "bufferAddCodecError", error: new Error() } as never)).toMatchObject({ why: "unsupported", retry: false });
  });

  it("becomes one entry for each picture, of the sound in use", () => {
    const level = (height: number, bitrate: number, group: string) => ({ width: (height * 16) / 9, height, bitrate, averageBitrate: 0, audioGroups: [group], videoCodec: "avc1", name: "" });
    const levels = [level(180, 200, "opus"), level(720, 2500, "opus"), level(180, 220, "aac"), level(720, 2600, "aac")];
    const options = readLevels({ levels, currentLevel: 0, audioTrack: 0, audioTracks: [{ groupId: "opus" }] } as never);
    expect(options.map((o) => [o.key, o.height, o.current])).toEqual([["hls/1", 720, false], ["hls/0", 180, true]]);
  });
});

describe("the levels of hls.js", () => {
  const level = (height: number, audioCodec: string | undefined, videoCodec = "avc1.42c01f") => ({ width: (height * 16) / 9, height, audioCodec, videoCodec, audioGroups: [audioCodec] });
  it("have one codec of sound, the published one where it can be played", () => {
    expect(spareLevels([level(180, "opus"), level(180, "mp4a.40.2"), level(720, "Opus"), level(720, "mp4a.40.2")])).toEqual([3, 1]);
    expect(spareLevels([level(180, "mp4a.40.2"), level(720, "mp4a.40.2")])).toEqual([]); // no Opus here
    expect(spareLevels([level(180, "opus"), level(720, "mp4a.40.2")])).toEqual([]); // no picture is lost
    expect(spareLevels([level(180, undefined), level(720, undefined)])).toEqual([]);
  });

  it("have a smaller one with the same sound, but for the smallest", () => {
    const levels = [level(180, "opus"), level(180, "aac"), level(360, "opus"), level(720, "opus")];
    const smaller = (loadLevel: number) => smallerLevel({ levels, loadLevel } as never);
    expect([3, 2, 0, 1, -1].map(smaller)).toEqual([2, 0, undefined, undefined, undefined]);
  });
});

describe("the addresses of a player", () => {
  const none = { src: "", hls: "", asset: "", storyboard: "", server: "" };
  const page = "https://x.test/watch/demo";

  it("of a stream are WHEP and the playlist beside it", () => {
    expect(addresses({ ...none, src: "/whep/demo" }, page)).toMatchObject({ whep: "https://x.test/whep/demo", hls: "https://x.test/live/demo/index.m3u8", asset: false, name: "demo" });
    expect(addresses({ ...none, src: "https://other.test/else/whep?x=1" }, page)).toMatchObject({ whep: "https://other.test/else/whep?x=1", hls: "" });
  });

  it("of a recording are its playlist and its storyboard", () => {
    expect(addresses({ ...none, asset: "0touaiyyv6j56yyo" }, page)).toMatchObject({ whep: "", hls: "https://x.test/videos/0touaiyyv6j56yyo/index.m3u8", asset: true, storyboard: "https://x.test/v1/assets/0touaiyyv6j56yyo/storyboard.vtt" });
    expect(addresses({ ...none, src: "/films/one.m3u8" }, page)).toMatchObject({ whep: "", hls: "https://x.test/films/one.m3u8", asset: true });
    expect(addresses({ ...none, src: "/live/demo/index.m3u8" }, page)).toMatchObject({ asset: false });
    expect(addresses(none, page)).toBeUndefined();
  });
});
