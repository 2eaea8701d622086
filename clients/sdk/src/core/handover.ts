// How one picture takes over from another at the same moment of capture. The
// decision only. WebRTC is early and can be held back by its jitter buffer, HLS is
// late and can be played a little faster or slower: where they meet, they swap.
// Told the lags; owned by whoever shows both.

/** Gap is how two pictures of one stream stand to each other. */
export interface Gap {
  /** to is which one takes over. */
  to: "webrtc" | "hls";
  /** webrtc and hls are their lags: milliseconds from capture to display, undefined while nothing is shown. */
  webrtc: number | undefined;
  hls: number | undefined;
  /** frame is how long a picture stands, in milliseconds. */
  frame: number;
  /** after is how long this has gone on, in milliseconds. */
  after: number;
}

/** Steering is what to do next: the jitter buffer's target in milliseconds, and the speed of HLS, 1 for its own pace. */
export type Steering = { do: "steer"; hold: number; rate: number } | { do: "swap" } | { do: "jump" };

/** mostHold is the largest RTCRtpReceiver.jitterBufferTarget (webrtc-extensions). */
export const mostHold = 4000;
// Beyond this the jitter buffer closes the gap, beneath it the speed of HLS does, in a few seconds.
const near = 400;
// HLS that is seen may run so much faster or slower unnoticed; hidden, as fast as can be decoded and fetched.
const seen = 0.06;
const hidden = 0.25;
// What network and decoder add to the jitter buffer's target, about; what is left is closed.
const base = 100;
// What is left is closed in about so many milliseconds: faster would swing about, as looks are a quarter of a second apart.
const closing = 500;
// A picture in front is held back by so much of the time that passes: asked for all at once, Chromium stands still for as long.
const slow = 0.15;
// What a jitter buffer was asked for it has done after that time, or does not do at all.
const settle = 8000;
// It counts as done this close to the target; what the network and the decoder need comes on top.
const done = 150;
// HLS that is seen may be so much later than a jitter buffer holds: it makes up for it in forty seconds.
const excess = 2500;
// The whole of 4 s takes 27 s with a picture in front. Whoever waits longer waits in vain.
const longest = 45_000;

/** Handover steers one crossing. */
export class Handover {
  #hold: number;
  #askedAt = 0;
  #after = 0;

  #patient: boolean;

  /** hold is the target that the jitter buffer has already; patient tells that HLS may hurry before it rather jumps. */
  constructor(hold = 0, patient = false) {
    this.#hold = hold;
    this.#patient = patient;
  }

  /** steer decides on one look; a few a second are enough. */
  steer(gap: Gap): Steering {
    const elapsed = gap.after - this.#after;
    this.#after = gap.after;
    if (gap.after > longest) return { do: "jump" };
    if (gap.webrtc === undefined || gap.hls === undefined) return { do: "steer", hold: this.#hold, rate: 1 };
    const late = gap.hls - gap.webrtc; // how much later HLS shows what was captured at one time
    if (Math.abs(late) < gap.frame / 2) return { do: "swap" };
    if (gap.to === "webrtc" && !this.#settled(gap.webrtc, gap.after)) return { do: "steer", hold: this.#hold, rate: 1 };
    if (Math.abs(late) > near) {
      const over = this.#hold + late - mostHold;
      if (over > 0) {
        if (gap.to === "hls" || !this.#patient || over > excess) return { do: "jump" };
        if (this.#hold < mostHold) [this.#hold, this.#askedAt] = [mostHold, gap.after];
        return { do: "steer", hold: this.#hold, rate: 1 + seen };
      }
      // In front it follows each small step; hidden it is asked once and given its time.
      const most = gap.to === "hls" ? elapsed * slow : Infinity;
      this.#hold = Math.max(0, this.#hold + Math.max(-most, Math.min(most, late)));
      this.#askedAt = gap.after;
      return { do: "steer", hold: this.#hold, rate: 1 };
    }
    const most = gap.to === "hls" ? hidden : seen;
    return { do: "steer", hold: this.#hold, rate: 1 + Math.max(-most, Math.min(most, late / closing)) };
  }

  #settled(webrtc: number, now: number): boolean {
    return webrtc > this.#hold - done || now - this.#askedAt > settle;
  }
}

/** holdFor is what the jitter buffer of a new connection is asked for, to meet HLS that is so late, in milliseconds; 0 where they cannot meet. */
export function holdFor(lag: number, patient: boolean): number {
  return lag > mostHold + (patient ? excess : 0) ? 0 : Math.max(0, Math.min(mostHold, Math.round(lag - base)));
}

/** relaxed is the next smaller target on the way back to none, elapsed milliseconds after the one before: no faster than the browser follows. */
export function relaxed(hold: number, elapsed: number): number {
  return Math.max(0, hold - elapsed * 0.08);
}
