import { describe, expect, it } from "vitest";
import { captureOf, type FrameTimes, LatencyMeter, MedianWindow, plausible, readFrame } from "../src/core/latency";
import { Ballistics } from "../src/core/level";
import { PublishStats, Rates, WatchStats } from "../src/core/stats";
import { ClockFilter, localNow, type ServerClock } from "../src/core/time";

describe("the server's clock", () => {
  it("is taken from the shortest round trip", () => {
    const f = new ClockFilter();
    f.add(1000, 51_080, 1100); // the answer was slow on its way back: 30 ms off
    f.add(2000, 52_005, 2010);
    f.add(3000, 53_200, 3300);
    expect(f.best).toMatchObject({ offset: 50_000, rtt: 10 });
  });

  it("is never wrong by more than half the round trip, however lopsided", () => {
    for (let there = 0; there <= 40; there++) {
      const f = new ClockFilter();
      f.add(0, 7000 + there, 40);
      expect(Math.abs(f.best!.offset - 7000)).toBeLessThanOrEqual(f.best!.rtt / 2);
    }
  });

  it("forgets what is too old, and answers that make no sense", () => {
    const f = new ClockFilter();
    f.add(0, 100, 2);
    f.add(700_000, 700_500, 700_100);
    expect(f.best!.rtt).toBe(100);
    f.add(800_000, Number.NaN, 800_001);
    expect(f.best!.rtt).toBe(100);
  });
});

describe("the capture time in packets", () => {
  const ntp = 2_208_988_800_000;
  const source = { rtpTimestamp: 90_000, timestamp: 0, captureTimestamp: ntp + 1_000_000 };

  it("is NTP since 1900, in the sender's clock", () => {
    expect(captureOf(source)).toBe(1_000_000);
    expect(captureOf({ ...source, senderCaptureTimeOffset: 250 })).toBe(999_750);
    expect(captureOf({ rtpTimestamp: 0, timestamp: 0 })).toBeUndefined();
  });

  it("is carried over to another frame by its RTP timestamp, also over the wrap", () => {
    expect(captureOf(source, 90_000 - 3000)).toBeCloseTo(1_000_000 - 33.33, 1);
    expect(captureOf({ ...source, rtpTimestamp: 900 }, 0xffff_ffff - 1799 + 900)).toBeCloseTo(1_000_000 - 20, 1);
  });
});

describe("a frame's latency", () => {
  const frame: FrameTimes = { expectedDisplayTime: 5120, presentationTime: 5100, rtpTimestamp: 90_000 };
  const timeOrigin = 1_000_000;
  const offset = 40; // the server is ahead of us
  const captured = (ms: number) => [{ rtpTimestamp: 90_000, timestamp: 0, captureTimestamp: 2_208_988_800_000 + ms }];

  it("is what the browser says, where it does", () => {
    expect(readFrame({ ...frame, captureTime: 5000 }, captured(0), timeOrigin, offset)).toEqual({ value: 120, from: "frame" });
  });

  it("else comes from the packets, mapped by the server's clock", () => {
    expect(readFrame(frame, captured(timeOrigin + 5000 + offset), timeOrigin, offset)).toEqual({ value: 120, from: "source" });
  });

  it("is not told while the server's clock is unknown, or no packet has it", () => {
    expect(readFrame(frame, captured(timeOrigin + 5000), timeOrigin, undefined)).toBeUndefined();
    expect(readFrame(frame, [{ rtpTimestamp: 0, timestamp: 0 }], timeOrigin, offset)).toBeUndefined();
  });

  it("that cannot be true is not told", () => {
    expect(readFrame({ ...frame, captureTime: 1e9 }, [], timeOrigin, offset)).toBeUndefined();
    expect(plausible(-30)).toBe(0);
    expect(plausible(-300)).toBeUndefined();
    expect(plausible(61_000)).toBeUndefined();
    expect(plausible(Number.NaN)).toBeUndefined();
  });
});

it("the readout is the median of the last second, so that one late frame does not show", () => {
  const w = new MedianWindow(1000);
  for (let i = 0; i < 30; i++) w.add(i === 7 ? 900 : 100 + (i % 3), i * 33);
  expect(w.median(990)).toBe(101);
  expect(w.median(2500)).toBeUndefined();
  w.add(10, 3000);
  w.add(20, 3001);
  expect(w.median(3001)).toBe(15);
});

type Row = [string, Record<string, unknown>];

describe("watching, in numbers", () => {
  const report = (t: number): Row[] => [
    ["T", { type: "transport", selectedCandidatePairId: "P" }],
    ["P", { type: "candidate-pair", currentRoundTripTime: 0.012, localCandidateId: "L" }],
    ["L", { type: "local-candidate", protocol: "udp" }],
    ["C", { type: "codec", mimeType: "video/H264" }],
    ["V", { type: "inbound-rtp", kind: "video", codecId: "C", bytesReceived: 250_000 * t, packetsReceived: 198 * t, packetsLost: 10 * t, retransmittedPacketsReceived: 8 * t, jitterBufferDelay: 1.2 * t, jitterBufferEmittedCount: 30 * t, framesPerSecond: 30, frameWidth: 1280, frameHeight: 720, framesDecoded: 30 * t, framesDropped: 1, freezeCount: 2 }],
    ["A", { type: "inbound-rtp", kind: "audio", bytesReceived: 8000 * t, packetsReceived: 0, packetsLost: 0 }],
  ];

  it("rates are those between two reports", () => {
    const stats = new WatchStats();
    expect(stats.sample(report(1), 1000).bitrate).toBe(0); // one report is no rate
    const s = stats.sample(report(3), 3000);
    expect(s.bitrate).toBe((250_000 + 8000) * 8);
    expect(s.audioBitrate).toBe(64_000);
    expect(s.loss).toBeCloseTo(0.05);
    expect(s.buffer).toBeCloseTo(40);
    expect(s).toMatchObject({ rtt: 12, transport: "udp", codec: "H264", width: 1280, height: 720, fps: 30, dropped: 1, freezes: 2, frames: 90 });
  });

  it("repeats of what was not lost are no loss", () => {
    const stats = new WatchStats();
    const probed = (t: number): Row[] => [["V", { type: "inbound-rtp", kind: "video", packetsReceived: 220 * t, packetsLost: 0, retransmittedPacketsReceived: 20 * t }]];
    stats.sample(probed(1), 1000);
    expect(stats.sample(probed(2), 2000).loss).toBe(0);
  });

  it("when the picture was captured is told in Unix time, from whatever year the browser counts", () => {
    const at = (estimatedPlayoutTimestamp: number) => new WatchStats().sample([["V", { type: "inbound-rtp", kind: "video", estimatedPlayoutTimestamp }]], 0).playing;
    expect(at(1_795_239_106_163)).toBe(1_795_239_106_163);
    expect(at(1_795_239_106_163 + 2_208_988_800_000)).toBe(1_795_239_106_163);
    expect(at(0)).toBeUndefined();
  });

  it("a counter that starts anew is no negative rate", () => {
    const r = new Rates();
    r.delta("a", 100);
    expect(r.delta("a", 10)).toBe(0);
    expect(r.delta("a", 15)).toBe(5);
    expect(r.delta("a", undefined)).toBe(0);
  });
});

it("publishing, in numbers: layers from small to large, loss as the server sees it", () => {
  const stats = new PublishStats();
  const report = (t: number): Row[] => [
    ["P", { type: "candidate-pair", nominated: true, state: "succeeded", availableOutgoingBitrate: 3_000_000, currentRoundTripTime: 0.03 }],
    ["C", { type: "codec", mimeType: "video/AV1" }],
    ["f", { type: "outbound-rtp", kind: "video", rid: "f", codecId: "C", frameWidth: 1280, frameHeight: 720, bytesSent: 100_000 * t, framesPerSecond: 30, qualityLimitationReason: "bandwidth" }],
    ["q", { type: "outbound-rtp", kind: "video", rid: "q", codecId: "C", frameWidth: 320, frameHeight: 180, bytesSent: 10_000 * t, framesPerSecond: 30, qualityLimitationReason: "none" }],
    ["r", { type: "remote-inbound-rtp", fractionLost: 0.06 }],
  ];
  stats.sample(report(1), 1000);
  const s = stats.sample(report(2), 2000);
  expect(s.layers.map((l) => [l.rid, l.bitrate, l.active])).toEqual([["q", 80_000, true], ["f", 800_000, true]]);
  expect(s).toMatchObject({ bitrate: 880_000, available: 3_000_000, loss: 0.06, rtt: 30, limited: "bandwidth", codec: "AV1", fps: 30 });
});

it("publishing, with a layer that rests: it limits nothing", () => {
  const stats = new PublishStats();
  stats.sample([["f", { type: "outbound-rtp", kind: "video", rid: "f", frameWidth: 1280, frameHeight: 720 }]] as Row[], 500);
  const s = stats.sample([
    ["f", { type: "outbound-rtp", kind: "video", rid: "f", active: false, bytesSent: 5, framesPerSecond: 30, qualityLimitationReason: "bandwidth" }],
    ["q", { type: "outbound-rtp", kind: "video", rid: "q", active: true, frameWidth: 320, frameHeight: 180, bytesSent: 5, framesPerSecond: 15, qualityLimitationReason: "none" }],
  ] as Row[], 1000);
  expect(s.layers.map((l) => [l.rid, l.paused, l.height])).toEqual([["q", false, 180], ["f", true, 720]]);
  expect(s).toMatchObject({ limited: "none", fps: 15 });
});

it("the level meter jumps up and falls slowly, between -60 and 0 dB", () => {
  const b = new Ballistics();
  expect(b.next(0, 0)).toBe(-60);
  expect(b.next(1, 10)).toBe(0);
  expect(b.next(0, 510)).toBeCloseTo(-10);
  expect(b.next(2, 520)).toBe(0);
  expect(b.next(0, 60_000)).toBe(-60);
});

describe("a latency that only statistics tell", () => {
  const clock = { offset: 500 } as ServerClock;

  it("counts where no frame tells more", () => {
    const meter = new LatencyMeter(clock);
    meter.playing(undefined);
    expect(meter.value).toBeUndefined();
    meter.playing(localNow() + 500 - 80);
    expect(meter.value).toBeGreaterThanOrEqual(80);
    expect(meter.value).toBeLessThan(1000);
    expect(meter.from).toBe("stats");
    const shown = performance.now();
    meter.frame({ expectedDisplayTime: shown, presentationTime: shown, captureTime: shown - 2000 });
    expect(meter.value).toBe(2000);
    expect(meter.from).toBe("frame");
  });

  it("is no number that cannot be true", () => {
    const meter = new LatencyMeter(clock);
    meter.playing(localNow() - 120_000);
    meter.playing(localNow() + 120_000);
    expect(meter.value).toBeUndefined();
  });
});
