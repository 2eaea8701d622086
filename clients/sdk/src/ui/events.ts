// The DOM events of the components, with their details, so that
// addEventListener knows them. Owned by the components.

import type { Condition, LayerOption, Mode, PublishSample, PublishState, SluiceError, StreamStatus, WatchSample } from "../core";

/** SluiceEvents maps each event's name to its detail. */
export interface SluiceEvents {
  "sluice-condition": Condition;
  "sluice-layers": LayerOption[];
  "sluice-viewers": number;
  "sluice-sample": WatchSample;
  /** cancel it to show statistics yourself. */
  "sluice-stats": { open: boolean };
  "sluice-publish": { state: PublishState; error?: SluiceError };
  "sluice-publish-sample": PublishSample;
  "sluice-status": StreamStatus;
  /** the way in use, and whether the viewer is away from live. */
  "sluice-mode": { mode: Mode; away: boolean };
}

declare global {
  interface HTMLElementEventMap extends SluiceEventMap {}
}

type SluiceEventMap = { [K in keyof SluiceEvents]: CustomEvent<SluiceEvents[K]> };

/** send dispatches an event that leaves the shadow tree; it returns false when somebody cancelled it. */
export function send<K extends keyof SluiceEvents>(from: EventTarget, name: K, detail: SluiceEvents[K]): boolean {
  return from.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true, cancelable: true }));
}
