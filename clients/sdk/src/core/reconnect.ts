// When to try again, and how: the decision only, told the time.
// Promises: first an ICE restart, then a new POST; pauses that double up to 15 s
// with jitter, that obey Retry-After, and that start over after 10 good seconds.
// Owned by one viewing or publishing.

import type { SluiceError } from "./errors";

/** Step is what to do next. */
export type Step = { do: "restart" } | { do: "post"; after: number } | { do: "stop" };

// The first new try is at once: most breaks are a changed network, and half a second is seen.
const pauses = [0, 500, 1000, 2000, 4000, 8000, 15_000];
// Shorter than this a connection proves nothing: the pauses go on growing.
const stable = 10_000;
// Viewers who wait for a stream ask this often when the server names no time.
const patience = 3000;

/** Reconnect counts tries. random is in [0, 1). */
export class Reconnect {
  #tries = 0;
  #restarted = false;
  #connectedAt: number | undefined;
  #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  /** tries is how many POSTs in a row did not lead to a stable connection. */
  get tries(): number {
    return this.#tries;
  }

  /** connected is told each time when media can flow. */
  connected(now: number): void {
    this.#connectedAt ??= now;
    this.#restarted = false;
  }

  /** lost is told when the connection broke; resumable says that the session may still be there. */
  lost(now: number, resumable: boolean): Step {
    if (this.#connectedAt !== undefined && now - this.#connectedAt >= stable) this.#tries = 0;
    this.#connectedAt = undefined;
    if (resumable && !this.#restarted) {
      this.#restarted = true;
      return { do: "restart" };
    }
    return this.#again(0);
  }

  /** failed is told when a POST failed. */
  failed(error: SluiceError): Step {
    if (!error.retry) return { do: "stop" };
    return this.#again(error.retryAfter || (error.why === "not-live" ? patience : 0), error.why === "not-live");
  }

  /** reset forgets the past: the network came back, or a person pressed the button. */
  reset(): void {
    this.#tries = 0;
    this.#restarted = false;
    this.#connectedAt = undefined;
  }

  #again(least: number, calm = false): Step {
    const pause = calm ? 0 : pauses[Math.min(this.#tries, pauses.length - 1)]!;
    if (!calm) this.#tries++;
    this.#restarted = false;
    // ±20 %, so that a room full of viewers does not come back in one instant.
    const jitter = 0.8 + 0.4 * this.#random();
    return { do: "post", after: Math.round(Math.max(least, pause) * (least > pause ? 1 + 0.2 * this.#random() : jitter)) };
  }
}
