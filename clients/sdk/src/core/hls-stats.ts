// A second of HLS in the numbers of a WatchSample. Promises a bitrate over the last
// segments, as bytes come in lumps. Told the time; owned by one HLS playback.

import { Rates, type WatchSample } from "./stats";

// Two segments of usual length: less would show the rhythm of loading, not the rate.
const span = 4000;

/** HlsStats counts what was loaded and shown. */
export class HlsStats {
  #video: HTMLVideoElement;
  #rates = new Rates();
  #loads: { at: number; bytes: number }[] = [];
  #at = 0;
  #freezes = 0;

  constructor(video: HTMLVideoElement) {
    this.#video = video;
  }

  /** loaded takes what came over the network. */
  loaded(bytes: number, now: number): void {
    this.#loads.push({ at: now, bytes });
  }

  /** sample tells of the time since the last one. */
  sample(now: number, more: Pick<WatchSample, "latency" | "codec" | "transport">): WatchSample {
    const seconds = this.#at ? (now - this.#at) / 1000 : 0;
    this.#at = now;
    this.#loads = this.#loads.filter((l) => now - l.at < span);
    const bits = this.#loads.reduce((sum, l) => sum + l.bytes * 8, 0);
    const quality = this.#video.getVideoPlaybackQuality?.();
    const frames = quality?.totalVideoFrames ?? 0;
    const grown = this.#rates.delta("frames", frames);
    if (seconds && grown === 0 && frames && !this.#video.paused) this.#freezes++;
    return {
      at: now, bitrate: (bits * 1000) / span, audioBitrate: 0, loss: 0, buffer: ahead(this.#video), fps: seconds ? grown / seconds : undefined,
      width: this.#video.videoWidth || undefined, height: this.#video.videoHeight || undefined, frames, freezes: this.#freezes, dropped: quality?.droppedVideoFrames ?? 0, ...more,
    };
  }
}

/** ahead is how much there is to play, in milliseconds. */
export function ahead({ buffered, currentTime }: Pick<HTMLVideoElement, "buffered" | "currentTime">): number {
  for (let i = 0; i < buffered.length; i++) if (buffered.start(i) <= currentTime + 0.1 && buffered.end(i) > currentTime) return (buffered.end(i) - currentTime) * 1000;
  return 0;
}
