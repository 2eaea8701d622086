// Whether a playback stands still although there is more to play, or goes on without
// its picture: the decision only, told the time. Promises the smallest remedy first,
// a larger one only after it did not help, and none where nothing new came. Owned by
// an HLS playback.

/** Look is what is seen of a playback at one moment. */
export interface Look {
  now: number;
  /** at is what is shown, edge where what can be played ends: media times in seconds, undefined while nothing is known. */
  at: number;
  edge: number | undefined;
  /** plays tells that it shall move: nobody paused it, and somebody looks. */
  plays: boolean;
  /** frames is how many pictures were shown since the playlist was begun; undefined where none are to be expected. */
  frames?: number | undefined;
  /** held is how much is buffered, of pictures or of sound, whichever has less, in seconds. */
  held?: number;
  /** fresh tells that the playlist in use has not been seen to play yet. */
  fresh?: boolean;
}

/** Remedy is what to do about it: take another layer, go to where there is something, begin anew; the last one, too, where time goes on without pictures. */
export type Remedy = "layer" | "seek" | "reload" | "blind";

const remedies: readonly Remedy[] = ["layer", "seek", "reload"];
// How long each is waited for, in milliseconds. hls.js tries again after one; a playlist that is
// begun anew, with its first segments, takes some more. Then it is the network or the publisher, and hurry does not help.
const waits: readonly number[] = [3000, 3000, 5000, 15_000, 30_000, 60_000];
// Each remedy breaks off what is on its way: whoever is slow would never get it. So they are waited for from the last part
// that came on; in a playlist that is just begun so long at least, in milliseconds. With so much more, in seconds, there is
// enough to go on with: then it is not that.
const slow = 6000;
const enough = 3;
// What was put right moves for so long.
const well = 3000;
// Time may go on for so long, in milliseconds, without a first picture, or without another one: a decoder that begins has
// its first within a second, and a picture that stands is in each segment again, of 6 s at most. Each time in a row that it
// does not help it is waited for twice as long, until a minute.
const blindness = { first: 4000, next: 9000, most: 60_000 };
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
  #frames = 0;
  #dark = 0; // for how long time has gone on without another picture
  #blinded = 0; // times in a row that it was begun anew for that
  #came = 0; // when more was buffered
  #held = 0; // and how much
  #had = 0; // when it moved last, or something was done

  /** anew is told that the times of another playlist begin. */
  anew(now: number): void {
    this.#since = this.#looked = this.#came = now;
    this.#at = NaN;
    this.#edge = undefined;
    this.#moved = this.#frames = this.#dark = this.#held = this.#had = 0;
  }

  /** still is for how long nothing has moved, in milliseconds, as of the last look. */
  get still(): number {
    return this.#looked - this.#since;
  }

  /** look says what to do now; a look each second is enough. */
  look({ now, at, edge, plays, frames, held = 0, fresh = false }: Look): Remedy | undefined {
    this.#comes(now, held);
    const moves = at !== this.#at;
    if (this.#blind(moves && plays ? Math.min(now - this.#looked, well / 2) : 0, plays ? frames : undefined)) {
      this.#looked = now;
      return "blind";
    }
    this.#moved = moves && plays ? this.#moved + Math.min(now - this.#looked, well / 2) : 0;
    this.#looked = now;
    if (this.#moved >= well) this.#done = 0;
    if (moves || !plays || this.#edge === undefined || edge === undefined) {
      [this.#at, this.#edge] = [at, edge];
      this.#since = now;
      this.#had = held;
      return undefined;
    }
    const wait = waits[Math.min(this.#done, waits.length - 1)]!;
    const waited = now - Math.max(this.#since, this.#came);
    if (edge - this.#edge < more || waited < (fresh ? Math.max(wait, slow) : wait)) return undefined;
    this.#since = now;
    this.#had = held;
    return remedies[Math.min(this.#done++, remedies.length - 1)];
  }

  #comes(now: number, held: number): void {
    if (held > this.#held && held - this.#had < enough) this.#came = now;
    this.#held = held;
  }

  #blind(gone: number, frames: number | undefined): boolean {
    if (frames === undefined || frames !== this.#frames) {
      if (frames !== undefined && frames > this.#frames) this.#blinded = 0;
      this.#frames = frames ?? this.#frames;
      this.#dark = 0;
      return false;
    }
    this.#dark += gone;
    const { first, next, most } = blindness;
    if (this.#dark < Math.min((frames === 0 ? first : next) * 2 ** this.#blinded, most)) return false;
    this.#dark = 0;
    this.#blinded++;
    return true;
  }
}
