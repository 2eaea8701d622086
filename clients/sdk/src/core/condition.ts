// The words between a viewing and who shows it.
// A state is one of eight, each of which a player has a design for. Owned by the
// core.

import type { SluiceError } from "./errors";
import type { LayerOption } from "./layers";
import type { WatchSample } from "./stats";

/** WatchState is what a viewer sees. */
export type WatchState = "idle" | "loading" | "waiting" | "live" | "reconnecting" | "ended" | "refused" | "offline";

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
}

/** ViewingEvents are what a viewing tells. */
export interface ViewingEvents {
  condition: Condition;
  stream: MediaStream;
  layers: LayerOption[];
  viewers: number;
  sample: WatchSample;
}
