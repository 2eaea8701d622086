// From the browser's counters to numbers that people read.
// Promises rates between two reports, never since the start, and undefined
// where a browser does not tell. Told the time, so pure. Owned by one session.

import { unix } from "./latency";

type Report = Iterable<[string, Record<string, unknown>]>;

/** WatchSample is one second of watching. */
export interface WatchSample {
  at: number;
  bitrate: number; // bit/s, media of all tracks
  audioBitrate: number;
  loss: number; // 0–1 of this interval, before repair
  rtt?: number; // ms
  buffer?: number; // ms that a frame waited in the jitter buffer
  latency?: number; // ms from capture to display
  playing?: number; // when what is shown now was captured, in Unix milliseconds of the server's clock
  fps?: number;
  width?: number;
  height?: number;
  codec: string;
  frames: number;
  freezes: number;
  dropped: number;
  transport: string;
}

/** PublishSample is one second of publishing. */
export interface PublishSample {
  at: number;
  bitrate: number;
  available?: number; // bit/s that the congestion control believes in
  loss?: number; // 0–1 as the server's receiver reports say
  rtt?: number;
  fps?: number;
  limited: string; // "none", "cpu", "bandwidth", "other"
  layers: { rid: string; width: number; height: number; bitrate: number; fps: number; active: boolean; paused: boolean }[];
  codec: string;
}

/** Rates remembers counters and gives their growth. */
export class Rates {
  #last = new Map<string, number>();

  /** delta is how much the counter grew since the last call; 0 at first, or when it was reset. */
  delta(key: string, value: unknown): number {
    const now = number(value) ?? 0;
    const before = this.#last.get(key);
    this.#last.set(key, now);
    return before === undefined || now < before ? 0 : now - before;
  }
}

/** WatchStats turns receiver reports into samples. */
export class WatchStats {
  #rates = new Rates();
  #at = 0;

  /** sample reads one report; now in milliseconds. */
  sample(report: Report, now: number): WatchSample {
    const seconds = this.#at ? (now - this.#at) / 1000 : 0;
    this.#at = now;
    const all = new Map(report);
    const s: WatchSample = { at: now, bitrate: 0, audioBitrate: 0, loss: 0, codec: "", frames: 0, freezes: 0, dropped: 0, transport: "" };
    let lost = 0;
    let received = 0;
    for (const [id, r] of all) {
      if (r.type !== "inbound-rtp") continue;
      const bits = seconds ? (this.#rates.delta(`${id}b`, r.bytesReceived) * 8) / seconds : (this.#rates.delta(`${id}b`, r.bytesReceived), 0);
      s.bitrate += bits;
      // What came again by RTX is in packetsReceived and stays in packetsLost; a sender's probes are repeats of what was not lost.
      lost += this.#rates.delta(`${id}l`, r.packetsLost);
      received += this.#rates.delta(`${id}p`, r.packetsReceived) - this.#rates.delta(`${id}x`, r.retransmittedPacketsReceived);
      if (r.kind === "audio") s.audioBitrate += bits;
      else this.#video(s, id, r, all);
    }
    s.loss = lost + received > 0 ? Math.min(1, lost / (lost + received)) : 0;
    const pair = selectedPair(all);
    s.rtt = milliseconds(pair?.currentRoundTripTime);
    s.transport = String(all.get(String(pair?.localCandidateId))?.protocol ?? "");
    return s;
  }

  #video(s: WatchSample, id: string, r: Record<string, unknown>, all: Map<string, Record<string, unknown>>): void {
    const emitted = this.#rates.delta(`${id}e`, r.jitterBufferEmittedCount);
    const delay = this.#rates.delta(`${id}d`, r.jitterBufferDelay);
    if (emitted > 0) s.buffer = (delay / emitted) * 1000;
    s.fps = number(r.framesPerSecond);
    s.width = number(r.frameWidth);
    s.height = number(r.frameHeight);
    s.frames = number(r.framesDecoded) ?? 0;
    s.freezes = number(r.freezeCount) ?? 0;
    s.dropped = number(r.framesDropped) ?? 0;
    s.playing = unix(number(r.estimatedPlayoutTimestamp));
    s.codec = codecName(all.get(String(r.codecId)));
  }
}

/** PublishStats turns sender reports into samples. */
export class PublishStats {
  #rates = new Rates();
  #sizes = new Map<string, { width: number; height: number }>(); // browsers forget that of a layer that rests
  #at = 0;

  /** sample reads one report; now in milliseconds. */
  sample(report: Report, now: number): PublishSample {
    const seconds = this.#at ? (now - this.#at) / 1000 : 0;
    this.#at = now;
    const all = new Map(report);
    const s: PublishSample = { at: now, bitrate: 0, limited: "none", layers: [], codec: "" };
    for (const [id, r] of all) {
      if (r.type === "outbound-rtp") this.#outbound(s, id, r, all, seconds);
      else if (r.type === "remote-inbound-rtp") {
        s.loss = Math.max(s.loss ?? 0, number(r.fractionLost) ?? 0);
        s.rtt ??= milliseconds(r.roundTripTime);
      }
    }
    const pair = selectedPair(all);
    s.available = number(pair?.availableOutgoingBitrate);
    s.rtt = milliseconds(pair?.currentRoundTripTime) ?? s.rtt;
    s.layers.sort((a, b) => a.width * a.height - b.width * b.height || a.rid.localeCompare(b.rid));
    return s;
  }

  #outbound(s: PublishSample, id: string, r: Record<string, unknown>, all: Map<string, Record<string, unknown>>, seconds: number): void {
    const grown = this.#rates.delta(`${id}b`, r.bytesSent) * 8;
    const bitrate = seconds ? grown / seconds : 0;
    s.bitrate += bitrate;
    if (r.kind !== "video") return;
    const size = r.frameWidth ? { width: number(r.frameWidth) ?? 0, height: number(r.frameHeight) ?? 0 } : this.#sizes.get(id);
    if (size) this.#sizes.set(id, size);
    const layer = { rid: String(r.rid ?? ""), width: size?.width ?? 0, height: size?.height ?? 0, bitrate, fps: number(r.framesPerSecond) ?? 0, active: r.active !== false && bitrate > 0, paused: r.active === false };
    s.layers.push(layer);
    if (layer.paused) return;
    s.fps = Math.max(s.fps ?? 0, layer.fps);
    s.codec ||= codecName(all.get(String(r.codecId)));
    if (r.qualityLimitationReason && r.qualityLimitationReason !== "none") s.limited = String(r.qualityLimitationReason);
  }
}

function selectedPair(all: Map<string, Record<string, unknown>>): Record<string, unknown> | undefined {
  for (const r of all.values()) {
    if (r.type === "transport" && r.selectedCandidatePairId) return all.get(String(r.selectedCandidatePairId));
  }
  for (const r of all.values()) if (r.type === "candidate-pair" && r.nominated && r.state === "succeeded") return r;
  return undefined;
}

function codecName(r: Record<string, unknown> | undefined): string {
  return String(r?.mimeType ?? "").replace(/^\w+\//, "");
}

function number(v: unknown): number | undefined {
  return typeof v === "number" && Number.isFinite(v) ? v : undefined;
}

function milliseconds(v: unknown): number | undefined {
  const n = number(v);
  return n === undefined ? undefined : n * 1000;
}
