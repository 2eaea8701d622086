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

/** Steering is what to do next: the jitter buffer's target in milliseconds, and the speed of HLS. */
export type Steering = { do: "steer"; hold: number; rate: number } | { do: "swap" } | { do: "jump" };

/** mostHold is the largest RTCRtpReceiver.jitterBufferTarget (webrtc-extensions). */
export const mostHold = 4000;
// Beyond this the jitter buffer closes the gap, beneath it the speed of HLS does, in a few seconds.
const near = 400;
// A visible or audible picture may run this much faster or slower unnoticed; a hidden one as fast as it can be decoded and fetched.
const seen = 0.06;
const hidden = 0.25;
// Chromium moves a video's delay by 100 ms each second, so the whole of 4 s takes 40; whoever waits longer waits in vain.
const longest = 45_000;
// A jitter buffer that does not do what it was asked is asked again after that.
const settle = 4000;

/** Handover steers one crossing. */
export class Handover {
  #hold: number;
  #askedAt = -Infinity;
  #last: number | undefined;

  /** hold is the target that the jitter buffer has already. */
  constructor(hold = 0) {
    this.#hold = hold;
  }

  /** steer decides on one look; a few a second are enough. */
  steer(gap: Gap): Steering {
    if (gap.after > longest) return { do: "jump" };
    if (gap.webrtc === undefined || gap.hls === undefined) return { do: "steer", hold: this.#hold, rate: 1 };
    const late = gap.hls - gap.webrtc; // how much later HLS shows what was captured at one time
    if (Math.abs(late) < gap.frame / 2) return { do: "swap" };
    if (Math.abs(late) > near) {
      if (this.#hold + late > mostHold) return { do: "jump" };
      this.#ask(late, gap.after);
    }
    this.#last = late;
    const most = gap.to === "hls" ? hidden : seen;
    const rate = Math.abs(late) > 2 * near ? 1 : 1 + Math.max(-most, Math.min(most, late / 1000));
    return { do: "steer", hold: this.#hold, rate };
  }

  // Only when the buffer has stopped moving towards what it was asked for.
  #ask(late: number, now: number): void {
    const moving = this.#last !== undefined && Math.abs(late) < Math.abs(this.#last) - 5;
    if (now - this.#askedAt < settle || moving) return;
    this.#hold = Math.round(Math.max(0, Math.min(mostHold, this.#hold + late)));
    this.#askedAt = now;
  }
}

/** relaxed is the next smaller target on the way back to none, elapsed milliseconds after the one before: no faster than the browser follows. */
export function relaxed(hold: number, elapsed: number): number {
  return Math.max(0, hold - elapsed * 0.08);
}
