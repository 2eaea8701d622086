// Whether a playback stands still although there is more to play: the decision
// only, told the time. Promises the smallest remedy first, a larger one only after
// it did not help, and none where nothing new came. Owned by an HLS playback.

/** Look is what is seen of a playback at one moment. */
export interface Look {
  now: number;
  /** at is what is shown, edge where what can be played ends: media times in seconds, undefined while nothing is known. */
  at: number;
  edge: number | undefined;
  /** plays tells that it shall move: nobody paused it, and somebody looks. */
  plays: boolean;
}

/** Remedy is what to do about it: take another layer, go to where there is something, begin anew. */
export type Remedy = "layer" | "seek" | "reload";

const remedies: readonly Remedy[] = ["layer", "seek", "reload"];
// How long each is waited for, in milliseconds. hls.js tries again after one; a playlist that is
// begun anew, with its first segments, takes some more. Then it is the network or the publisher, and hurry does not help.
const waits: readonly number[] = [3000, 3000, 5000, 15_000, 30_000, 60_000];
// What was put right moves for so long.
const well = 3000;
// So much more to play, in seconds, is no matter of rounding.
const more = 1;

/** Standstill decides. */
export class Standstill {
  #at = NaN;
  #since = 0; // when it moved last, or something was done
  #edge: number | undefined; // as it was then
  #moved = 0; // for how long it has moved without a stop
  #looked = 0;
  #done = 0; // remedies in a row

  /** anew is told that the times of another playlist begin. */
  anew(now: number): void {
    this.#since = now;
    this.#at = NaN;
    this.#edge = undefined;
    this.#moved = 0;
  }

  /** still is for how long nothing has moved, in milliseconds, as of the last look. */
  get still(): number {
    return this.#looked - this.#since;
  }

  /** look says what to do now; a look each second is enough. */
  look({ now, at, edge, plays }: Look): Remedy | undefined {
    const moves = at !== this.#at;
    this.#moved = moves && plays ? this.#moved + Math.min(now - this.#looked, well / 2) : 0;
    this.#looked = now;
    if (this.#moved >= well) this.#done = 0;
    if (moves || !plays || this.#edge === undefined || edge === undefined) {
      [this.#at, this.#edge] = [at, edge];
      this.#since = now;
      return undefined;
    }
    if (edge - this.#edge < more || now - this.#since < waits[Math.min(this.#done, waits.length - 1)]!) return undefined;
    this.#since = now;
    return remedies[Math.min(this.#done++, remedies.length - 1)];
  }
}
