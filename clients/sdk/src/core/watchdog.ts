// Whether media still comes: the decision only, told the time.
// Promises to say "still" as long as nothing comes, and "stalled" once per so
// long a silence that something should be done. Owned by a viewing.

// A picture that stands still for so long is not live; even a screen on which nothing moves is sent once a second.
const stillTime = 2500;
// ICE notices most breaks within five seconds by itself.
const stallTime = 6000;

/** Watchdog knows when media came last. */
export class Watchdog {
  #media = 0;
  #acted = 0;

  /** seen is told that media came, or that a new connection has been given its chance. */
  seen(now: number): void {
    this.#media = now;
    this.#acted = now;
  }

  /** look says how long a silence it is by now. */
  look(now: number): "flowing" | "still" | "stalled" {
    if (now - this.#acted > stallTime) {
      this.#acted = now;
      return "stalled";
    }
    return now - this.#media > stillTime ? "still" : "flowing";
  }
}
