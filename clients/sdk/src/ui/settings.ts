// What a publisher chooses, kept for the next time.
// Promises values that this browser can use, whatever was stored. Owned by the
// publisher.

import { type CaptureChoice, type EncodingChoice, supportedCodecs } from "../core";

/** Settings are all choices of a publisher. */
export type Settings = CaptureChoice & EncodingChoice;

/** bitrates to choose from, in bit/s. */
export const bitrates = [600_000, 1_200_000, 2_500_000, 4_000_000, 6_000_000, 8_000_000];

/** heights to choose from, in pixels. */
export const heights = [360, 720, 1080];

const key = "sluice.publish";

/** defaults suit a laptop's camera on a home uplink. */
export function defaults(): Settings {
  return { source: "camera", camera: "", microphone: "", height: 720, frameRate: 30, codec: supportedCodecs()[0] ?? "H264", bitrate: 2_500_000, simulcast: true };
}

/** load returns what was chosen last time. */
export function load(): Settings {
  const settings = defaults();
  let stored: Partial<Settings> = {};
  try {
    stored = JSON.parse(localStorage.getItem(key) ?? "{}") as Partial<Settings>;
  } catch {
    // No storage, or not ours: the defaults do.
  }
  if (stored.source && ["camera", "screen", "both"].includes(stored.source)) settings.source = stored.source;
  if (stored.codec && supportedCodecs().includes(stored.codec)) settings.codec = stored.codec;
  if (stored.bitrate && bitrates.includes(stored.bitrate)) settings.bitrate = stored.bitrate;
  if (stored.height && heights.includes(stored.height)) settings.height = stored.height;
  if (typeof stored.simulcast === "boolean") settings.simulcast = stored.simulcast;
  for (const device of ["camera", "microphone"] as const) if (typeof stored[device] === "string") settings[device] = stored[device];
  return settings;
}

/** save keeps the choice. */
export function save(settings: Settings): void {
  try {
    localStorage.setItem(key, JSON.stringify(settings));
  } catch {
    // Private windows may refuse; then it is asked again next time.
  }
}
