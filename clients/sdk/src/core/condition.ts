// The words between a viewing and who shows it.
// A state is one of nine, each of which a player has a design for. Owned by the
// core.

import type { SluiceError } from "./errors";
import type { LayerOption } from "./layers";
import type { Track } from "./renditions";
import type { WatchSample } from "./stats";
import type { ServerClock } from "./time";

/** WatchState is what a viewer sees; "playing" is what is not live: an asset, or a live stream gone back to. */
export type WatchState = "idle" | "loading" | "waiting" | "live" | "playing" | "reconnecting" | "ended" | "refused" | "offline";

/** Condition is a state and why it holds. */
export interface Condition {
  state: WatchState;
  /** reason in the server's words, where it gave one. */
  reason?: string;
  error?: SluiceError;
}

/** ViewingConfig says what to watch; api is the server's root. */
export interface ViewingConfig {
  url: string;
  api: string;
  token?: string;
  /** clock is one that is kept running elsewhere; its own if absent. */
  clock?: ServerClock;
  /** hold is how many milliseconds the jitter buffer holds pictures and sound back from the start. */
  hold?: number;
  /** audio is the track to listen to: its id, or languages ("es-MX,en"); the first if absent. */
  audio?: string;
}

/** ViewingEvents are what a viewing tells. */
export interface ViewingEvents {
  condition: Condition;
  stream: MediaStream;
  layers: LayerOption[];
  /** sounds are told where there is a choice. */
  sounds: Track[];
  viewers: number;
  sample: WatchSample;
  /** reached tells whether ICE has connected, false when it has not in the time that it may take. */
  reached: boolean;
}
