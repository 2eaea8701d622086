import { describe, expect, it } from "vitest";
import { canvasSize, insetBox } from "../src/core/compose";
import { SluiceError } from "../src/core/errors";
import { Reconnect } from "../src/core/reconnect";
import { codecOrder, encodings, total } from "../src/core/rtp";
import type { PublishSample } from "../src/core/stats";
import { Watchdog } from "../src/core/watchdog";
import { judge, lowerBitrate } from "../src/core/verdict";

describe("after a break", () => {
  const middle = () => 0.5; // no jitter

  it("an ICE restart comes first, then a POST at once, then pauses that double", () => {
    const r = new Reconnect(middle);
    r.connected(0);
    expect(r.lost(20_000, true)).toEqual({ do: "restart" });
    expect(r.lost(25_000, true)).toEqual({ do: "post", after: 0 });
    const failed = new SluiceError("network");
    expect([1, 2, 3, 4, 5, 6, 7].map(() => r.failed(failed))).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000].map((after) => ({ do: "post", after })));
  });

  it("a session that is gone is not restarted", () => {
    const r = new Reconnect(middle);
    r.connected(0);
    expect(r.lost(20_000, false)).toEqual({ do: "post", after: 0 });
  });

  it("a good connection of ten seconds forgives, a short one does not", () => {
    const r = new Reconnect(middle);
    for (let i = 0; i < 3; i++) r.failed(new SluiceError("server"));
    r.connected(0);
    expect(r.lost(9_000, false)).toEqual({ do: "post", after: 2000 });
    r.connected(20_000);
    expect(r.lost(31_000, false)).toEqual({ do: "post", after: 0 });
  });

  it("each good connection may be restarted again", () => {
    const r = new Reconnect(middle);
    r.connected(0);
    expect(r.lost(1, true).do).toBe("restart");
    r.connected(2);
    expect(r.lost(3, true).do).toBe("restart");
  });

  it("Retry-After is waited for, never less", () => {
    for (let i = 0; i <= 10; i++) {
      const r = new Reconnect(() => i / 10.001);
      const step = r.failed(new SluiceError("busy", { retryAfter: 5000 }));
      expect(step).toMatchObject({ do: "post" });
      expect((step as { after: number }).after).toBeGreaterThanOrEqual(5000);
      expect((step as { after: number }).after).toBeLessThanOrEqual(6000);
    }
  });

  it("who waits for a publisher asks calmly, and the pauses do not grow", () => {
    const r = new Reconnect(middle);
    const pauses = [1, 2, 3, 4].map(() => r.failed(new SluiceError("not-live")));
    expect(new Set(pauses.map((p) => JSON.stringify(p))).size).toBe(1);
    expect(r.failed(new SluiceError("not-live", { retryAfter: 2000 }))).toEqual({ do: "post", after: 2200 });
  });

  it("what cannot get better is left", () => {
    for (const why of ["unauthorized", "forbidden", "missing", "unsupported", "taken", "bad-request", "browser"] as const) {
      expect(new Reconnect(middle).failed(new SluiceError(why))).toEqual({ do: "stop" });
    }
  });

  it("jitter spreads the tries by a fifth to either side", () => {
    const at = (random: number) => {
      const r = new Reconnect(() => random);
      r.failed(new SluiceError("network"));
      r.failed(new SluiceError("network"));
      return (r.failed(new SluiceError("network")) as { after: number }).after;
    };
    expect([at(0), at(0.5), at(1)]).toEqual([800, 1000, 1200]);
  });
});

it("the watchdog barks at once and bites once per six seconds of silence", () => {
  const w = new Watchdog();
  w.seen(1000);
  const at = (s: number) => w.look(1000 + s * 1000);
  expect([1, 2, 3, 4, 5, 6, 7, 8, 12, 14, 15].map(at)).toEqual(["flowing", "flowing", "still", "still", "still", "still", "stalled", "still", "still", "stalled", "still"]);
  w.seen(20_000);
  expect(w.look(20_100)).toBe("flowing");
});

describe("encodings", () => {
  it("are three from a quarter to the full picture, the small ones cheaper", () => {
    const three = encodings({ codec: "H264", bitrate: 2_500_000, simulcast: true, frameRate: 30 });
    expect(three.map((e) => [e.rid, e.scaleResolutionDownBy, e.maxBitrate, e.maxFramerate])).toEqual([["q", 4, 250_000, 30], ["h", 2, 750_000, 30], ["f", 1, 2_500_000, 30]]);
    expect(total({ codec: "H264", bitrate: 2_500_000, simulcast: true })).toBe(3_500_000);
  });

  it("never give a small picture more than the full one", () => {
    for (const bitrate of [50_000, 200_000, 600_000, 8_000_000]) {
      const rates = encodings({ codec: "VP8", bitrate, simulcast: true }).map((e) => e.maxBitrate!);
      expect([...rates].sort((a, b) => a - b)).toEqual(rates);
      expect(Math.max(...rates)).toBe(bitrate);
    }
  });

  it("of VP9 and AV1 say that they are simulcast, not SVC", () => {
    for (const codec of ["VP9", "AV1"] as const) expect(encodings({ codec, bitrate: 1e6, simulcast: true }).every((e) => (e as { scalabilityMode?: string }).scalabilityMode === "L1T1")).toBe(true);
    expect(encodings({ codec: "H264", bitrate: 1e6, simulcast: true })[0]).not.toHaveProperty("scalabilityMode");
  });

  it("without simulcast are one, without a name", () => {
    expect(encodings({ codec: "H264", bitrate: 1e6, simulcast: false })).toEqual([{ active: true, maxBitrate: 1e6 }]);
  });
});

it("the chosen codec comes first, VP8 last, helpers behind and in their order", () => {
  const known = ["VP8", "rtx", "H264", "red", "AV1", "VP9", "H264", "ulpfec"].map((c, i) => ({ mimeType: `video/${c}`, i }));
  const order = (first: "H264" | "VP8") => codecOrder(known, first).map((c) => `${c.mimeType.slice(6)}${c.i}`);
  expect(order("H264")).toEqual(["H2642", "H2646", "AV14", "VP95", "VP80", "rtx1", "red3", "ulpfec7"]);
  expect(order("VP8")[0]).toBe("VP80");
});

describe("the verdict on an uplink", () => {
  const sample: PublishSample = { at: 0, bitrate: 3_400_000, available: 6_000_000, loss: 0, rtt: 20, limited: "none", layers: [], codec: "H264" };
  const of = (part: Partial<PublishSample>, findings: { code: string; text: string; advice: string; level?: string }[] = [], serverLoss = 0) => judge({ ...sample, ...part }, 3_500_000, 2_500_000, findings, serverLoss);
  const finding = (level: string) => [{ code: "b_frames", text: "B-frames", advice: "turn them off", level }];

  it("is good when nothing is wrong, and unknown before the first number", () => {
    expect(of({})).toMatchObject({ level: "good", code: "good" });
    expect(judge(undefined, 1, 1, [])).toMatchObject({ level: "unknown", code: "measuring" });
  });

  it("names the worst first", () => {
    expect(of({ loss: 0.06, limited: "cpu" }, finding("error"))).toMatchObject({ level: "bad", code: "loss" });
    expect(of({ limited: "cpu" }, finding("error"))).toMatchObject({ level: "bad", code: "server" });
    expect(of({ limited: "cpu" })).toMatchObject({ level: "fair", code: "slow-computer" });
    expect(of({ limited: "bandwidth", loss: 0.03 })).toMatchObject({ level: "fair", code: "narrow" });
    expect(of({ loss: 0.03 })).toMatchObject({ level: "fair", code: "loss" });
    expect(of({}, finding("warning"))).toMatchObject({ level: "fair", code: "server" });
    expect(of({ rtt: 400 })).toMatchObject({ level: "fair", code: "far" });
  });

  it("counts the loss that either side sees", () => {
    expect(of({}, [], 0.08)).toMatchObject({ level: "bad", code: "loss", values: { loss: 0.08 } });
  });

  it("offers a bitrate that fits, while there is a lower one", () => {
    expect(of({ loss: 0.06 }).lower).toBe(1_250_000);
    expect(lowerBitrate(2_500_000, 1_000_000, 3_500_000)).toBe(550_000);
    expect(lowerBitrate(300_000, undefined, 300_000)).toBeUndefined();
  });
});

describe("screen and camera in one picture", () => {
  it("keeps the screen's shape, with even sides of at most 1920", () => {
    expect(canvasSize(1366, 768)).toEqual({ width: 1366, height: 768 });
    expect(canvasSize(3840, 2160)).toEqual({ width: 1920, height: 1080 });
    expect(canvasSize(1079, 2339)).toEqual({ width: 886, height: 1920 });
  });

  it("puts the camera into the lower right corner, whole", () => {
    const box = insetBox({ width: 1920, height: 1080 }, { width: 640, height: 480 });
    expect(box).toEqual({ x: 1920 - 384 - 38, y: 1080 - 288 - 38, width: 384, height: 288 });
  });
});
