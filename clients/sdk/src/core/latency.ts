// Latency from capture to display, measured and not guessed.
// Promises a median over the last second, of frames whose capture time is
// known, in milliseconds; silence rather than a number that cannot be true.
// Owned by one viewing.

import { localNow, type ServerClock } from "./time";

/** MedianWindow gives the median of what came within a span. Pure. */
export class MedianWindow {
  #values: { at: number; value: number }[] = [];
  #span: number;

  constructor(span: number) {
    this.#span = span;
  }

  /** add takes a value at a time. */
  add(value: number, at: number): void {
    this.#values.push({ at, value });
    this.#trim(at);
  }

  /** median returns undefined when nothing came within the span. */
  median(now: number): number | undefined {
    this.#trim(now);
    const sorted = this.#values.map((v) => v.value).sort((a, b) => a - b);
    const n = sorted.length;
    return n === 0 ? undefined : n % 2 ? sorted[(n - 1) / 2] : (sorted[n / 2 - 1]! + sorted[n / 2]!) / 2;
  }

  #trim(now: number): void {
    while (this.#values.length && now - this.#values[0]!.at > this.#span) this.#values.shift();
  }
}

/** CaptureSource is what RTCRtpReceiver.getSynchronizationSources tells where abs-capture-time is negotiated. */
export interface CaptureSource {
  rtpTimestamp: number;
  timestamp: number;
  captureTimestamp?: number;
  senderCaptureTimeOffset?: number;
}

// From 1900 (NTP, RFC 5905) to 1970 (Unix), in milliseconds.
const ntpToUnix = 2_208_988_800_000;
/** unix brings a time that may be counted from 1900, as webrtc-stats has it, or from 1970, as Firefox has it, to 1970. */
export function unix(ms: number | undefined): number | undefined {
  return ms && ms > ntpToUnix ? ms - ntpToUnix : ms || undefined;
}

const videoClock = 90; // RTP ticks per millisecond

/**
 * captureOf returns when the frame with that RTP timestamp was captured, in Unix milliseconds of the server's clock.
 * abs-capture-time: capture clock = sender clock + offset, so the sender's time is the difference.
 */
export function captureOf(source: CaptureSource, rtpTimestamp?: number): number | undefined {
  if (source.captureTimestamp === undefined || source.captureTimestamp === null) return undefined;
  const sent = source.captureTimestamp - (source.senderCaptureTimeOffset ?? 0) - ntpToUnix;
  if (rtpTimestamp === undefined) return sent;
  const ticks = (rtpTimestamp - source.rtpTimestamp) | 0; // wraps at 32 bits, either way
  return sent + ticks / videoClock;
}

/** FrameTimes is the part of VideoFrameCallbackMetadata that counts here. */
export interface FrameTimes {
  expectedDisplayTime: number;
  presentationTime: number;
  captureTime?: number;
  rtpTimestamp?: number;
  /** mediaTime is the frame's place on the element's timeline, in seconds. */
  mediaTime?: number;
}

/** Reading is one latency and where it comes from. */
export interface Reading {
  value: number;
  from: "frame" | "source";
}

// Beyond this a clock is wrong, not the network slow; viewers catch up long before.
const absurd = 60_000;
// Two clocks that agree within this may still show a frame "before" its capture.
const tolerance = 100;
// Statistics come once a second; a reading from them counts until the next but one.
const reported = 2000;

/** plausible lets a latency pass, pulls small negatives to zero, and drops the rest. */
export function plausible(value: number): number | undefined {
  if (!Number.isFinite(value) || value < -tolerance || value > absurd) return undefined;
  return Math.max(0, value);
}

/**
 * readFrame works out one frame's latency. The browser's own captureTime comes first: it maps the server's
 * sender reports to the page's clock. Else the capture time in the packets, mapped by the server's clock.
 */
export function readFrame(frame: FrameTimes, sources: CaptureSource[], timeOrigin: number, offset: number | undefined): Reading | undefined {
  const shown = frame.expectedDisplayTime || frame.presentationTime;
  if (frame.captureTime) {
    const value = plausible(shown - frame.captureTime);
    if (value !== undefined) return { value, from: "frame" };
  }
  if (offset === undefined) return undefined;
  for (const source of sources) {
    const capture = captureOf(source, frame.rtpTimestamp);
    if (capture === undefined) continue;
    const value = plausible(timeOrigin + shown + offset - capture);
    if (value !== undefined) return { value, from: "source" };
  }
  return undefined;
}

/**
 * capturedAt works out when a frame was captured, in Unix milliseconds of the server's clock. What the packets carry
 * comes first: it is the very time that playlists carry, while captureTime has the error of two mappings.
 */
export function capturedAt(frame: FrameTimes, sources: CaptureSource[], timeOrigin: number, offset: number | undefined): number | undefined {
  if (offset === undefined) return undefined;
  const shown = timeOrigin + offset + (frame.expectedDisplayTime || frame.presentationTime);
  for (const source of frame.rtpTimestamp === undefined ? [] : sources) {
    const capture = captureOf(source, frame.rtpTimestamp);
    if (capture !== undefined && plausible(shown - capture) !== undefined) return capture;
  }
  if (!frame.captureTime || plausible(shown - timeOrigin - offset - frame.captureTime) === undefined) return undefined;
  return timeOrigin + offset + frame.captureTime;
}

/** LatencyMeter watches the frames of one video element. */
export class LatencyMeter {
  /** receiver is whose frames the element shows. */
  receiver: RTCRtpReceiver | undefined;
  /** capture is when the last frame was captured, lag how many milliseconds before it was shown. */
  capture: number | undefined;
  lag: number | undefined;
  #window = new MedianWindow(1000);
  #reported = new MedianWindow(reported);
  #clock: ServerClock;
  #from: "frame" | "source" | "" = "";

  constructor(clock: ServerClock) {
    this.#clock = clock;
  }

  /** from says where the last reading came from. */
  get from(): "frame" | "source" | "stats" | "" {
    const now = localNow();
    return this.#window.median(now) === undefined && this.#reported.median(now) !== undefined ? "stats" : this.#from;
  }

  /** frame takes what requestVideoFrameCallback says of a frame. */
  frame(times: FrameTimes): void {
    const sources = (this.receiver?.getSynchronizationSources() ?? []) as CaptureSource[];
    this.capture = capturedAt(times, sources, performance.timeOrigin, this.#clock.offset);
    this.lag = this.capture === undefined ? undefined : performance.timeOrigin + (times.expectedDisplayTime || times.presentationTime) + this.#clock.offset! - this.capture;
    const reading = readFrame(times, sources, performance.timeOrigin, this.#clock.offset);
    if (!reading) return;
    this.#from = reading.from;
    this.#window.add(reading.value, localNow());
  }

  /**
   * playing takes when what is shown now was captured, by the sender reports (estimatedPlayoutTimestamp). It is
   * all that Firefox tells, and leaves out what painting takes: it counts only where no frame tells more.
   */
  playing(captured: number | undefined): void {
    if (captured === undefined || this.#clock.offset === undefined) return;
    const value = plausible(localNow() + this.#clock.offset - captured);
    if (value !== undefined) this.#reported.add(value, localNow());
  }

  /** value is the median of the last second, or undefined when no frame came. */
  get value(): number | undefined {
    const now = localNow();
    return this.#window.median(now) ?? this.#reported.median(now);
  }
}
