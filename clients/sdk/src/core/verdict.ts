// One plain verdict on an uplink, out of what the browser and the server see.
// Promises the worst thing first and, where a lower bitrate would help, which.
// Pure; owned by the publisher.

import type { PublishSample } from "./stats";
import type { Finding } from "./status";

/** Verdict is one word on the uplink; code picks the text. */
export interface Verdict {
  level: "unknown" | "good" | "fair" | "bad";
  code: "measuring" | "good" | "loss" | "narrow" | "slow-computer" | "far" | "server";
  values: { loss: number; rtt: number; bitrate: number };
  /** lower is the bitrate that would fit, in bit/s. */
  lower?: number;
}

// Above 2 % retransmission shows as delay, above 5 % as broken pictures.
const fairLoss = 0.02;
const badLoss = 0.05;
// Two-way talk gets awkward beyond this (ITU-T G.114 gives 150 ms one way).
const farAway = 300;
// Below this nobody recognises a face.
const least = 300_000;

/** judge weighs a sample against what was asked of the encoder, and the server's findings. */
export function judge(sample: PublishSample | undefined, wanted: number, bitrate: number, findings: Finding[], serverLoss = 0): Verdict {
  const values = { loss: Math.max(sample?.loss ?? 0, serverLoss), rtt: sample?.rtt ?? 0, bitrate: sample?.bitrate ?? 0 };
  if (!sample) return { level: "unknown", code: "measuring", values };
  const lower = lowerBitrate(bitrate, sample.available, wanted);
  if (values.loss >= badLoss) return { level: "bad", code: "loss", values, lower };
  if (findings.some((f) => f.level === "error")) return { level: "bad", code: "server", values, ...(findings.some((f) => f.code === "too_fast") ? { lower } : {}) };
  if (sample.limited === "cpu") return { level: "fair", code: "slow-computer", values };
  if (sample.limited === "bandwidth") return { level: "fair", code: "narrow", values, lower };
  if (values.loss >= fairLoss) return { level: "fair", code: "loss", values, lower };
  if (findings.length) return { level: "fair", code: "server", values };
  if (values.rtt > farAway) return { level: "fair", code: "far", values };
  return { level: "good", code: "good", values };
}

/** lowerBitrate is half, or what the path is believed to carry if that is less; undefined when it is as low as it goes. */
export function lowerBitrate(bitrate: number, available: number | undefined, wanted: number): number | undefined {
  const fits = available ? (available * 0.8 * bitrate) / Math.max(wanted, 1) : bitrate / 2;
  const lower = Math.max(least, Math.round(Math.min(bitrate / 2, fits) / 50_000) * 50_000);
  return lower < bitrate ? lower : undefined;
}
