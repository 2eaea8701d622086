// How loud the microphone is, for a meter.
// Promises decibels below full scale, smoothed as a meter falls: up at once, down
// slowly. Owned by who shows the meter.

// A meter that falls 20 dB per second is readable (close to IEC 60268-10's slower type).
const fall = 20;
const floor = -60;

/** Ballistics smooths a level. Pure: told the times. */
export class Ballistics {
  #level = floor;
  #at = 0;

  /** next returns the level to show, from -60 to 0 dB. */
  next(peak: number, now: number): number {
    const db = peak > 0 ? Math.max(floor, 20 * Math.log10(peak)) : floor;
    const fallen = this.#level - (fall * Math.max(0, now - this.#at)) / 1000;
    this.#level = Math.min(0, Math.max(db, fallen, floor));
    this.#at = now;
    return this.#level;
  }
}

/** Listener reads the peaks of an audio track. */
export class Listener {
  #context = new AudioContext();
  #analyser = this.#context.createAnalyser();
  #samples: Float32Array<ArrayBuffer>;

  constructor(track: MediaStreamTrack) {
    this.#analyser.fftSize = 2048; // 43 ms at 48 kHz: longer than a frame at 30 per second, so no peak is missed
    this.#samples = new Float32Array(this.#analyser.fftSize);
    this.#context.createMediaStreamSource(new MediaStream([track])).connect(this.#analyser);
  }

  /** peak is the largest sample since about 43 ms ago, from 0 to 1. */
  peak(): number {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return this.#samples.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
  }

  /** close frees the audio graph. */
  close(): void {
    void this.#context.close().catch(() => undefined);
  }
}
