// What the layers event of the WHEP extension says, as a list to choose from.
// Promises the largest picture first, and one entry for each that a viewer can
// tell apart. Pure; owned by the core.

import type { LayerChoice } from "./whep";

/** LayerOption is one picture that may be chosen. */
export interface LayerOption {
  /** key is stable while the publisher sends the same layers. */
  key: string;
  rid: string;
  width: number;
  height: number;
  bitrate: number;
  active: boolean;
  /** current tells that this one is being sent now, where the server says so. */
  current: boolean;
  /** why the server sends this one now, in its words; empty for others. */
  why: string;
  choice: LayerChoice;
}

interface Wire {
  rid?: string;
  spatialLayerId?: number;
  width?: number;
  height?: number;
  heigth?: number; // as the draft spells it once
  bitrate?: number;
  current?: boolean; // Sluice's own, as is why: the draft allows more fields
  why?: string;
}

/** readLayers reads the event's data; what cannot be read is left out. */
export function readLayers(data: string): LayerOption[] {
  const found = new Map<string, LayerOption>();
  for (const [mediaId, list] of Object.entries(parseObject(data))) {
    if (!Array.isArray(list)) continue;
    for (const wire of list as Wire[]) {
      const option = read(mediaId, wire);
      const known = found.get(option.key);
      // Temporal layers of one picture count together: the fullest stands for it.
      if (!known || option.bitrate > known.bitrate) found.set(option.key, option);
    }
  }
  return [...found.values()].sort((a, b) => b.width * b.height - a.width * a.height || b.bitrate - a.bitrate || a.key.localeCompare(b.key));
}

function read(mediaId: string, wire: Wire): LayerOption {
  const bitrate = Number(wire.bitrate ?? 0);
  const choice: LayerChoice = { mediaId };
  if (wire.rid) choice.rid = String(wire.rid);
  if (wire.spatialLayerId !== undefined) choice.spatialLayerId = Number(wire.spatialLayerId);
  const key = [mediaId, choice.rid ?? "", choice.spatialLayerId ?? ""].join("/");
  return { key, rid: choice.rid ?? "", width: Number(wire.width ?? 0), height: Number(wire.height ?? wire.heigth ?? 0), bitrate, active: bitrate > 0, current: wire.current === true, why: String(wire.why ?? ""), choice };
}

/** parseObject reads an event's data as an object; what is none is an empty one. */
export function parseObject(data: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(data);
    return value && typeof value === "object" ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
