// One video element and what can be said of its frames. Promises one call per frame
// with its times, also where the browser tells of none. Owned by a stage.

import type { FrameTimes } from "../core";

/** Screen shows a stream, or what an HLS playback puts into its element. */
export class Screen {
  readonly video: HTMLVideoElement;
  #onFrame: (times: FrameTimes) => void;
  #handle = 0;

  constructor(video: HTMLVideoElement, onFrame: (times: FrameTimes) => void) {
    this.video = video;
    this.#onFrame = onFrame;
  }

  /** show puts a stream on; it resolves to false when the browser wants a tap first. */
  show(stream: MediaStream): Promise<boolean> {
    this.video.srcObject = stream;
    this.listen();
    return this.play();
  }

  /** play resolves to false when the browser wants a tap first. */
  async play(): Promise<boolean> {
    try {
      await this.video.play();
      return true;
    } catch (error) {
      return (error as Error).name !== "NotAllowedError";
    }
  }

  /** listen calls back at each frame until deaf(). */
  listen(): void {
    if (!("requestVideoFrameCallback" in this.video)) {
      const video = this.video as HTMLVideoElement;
      video.ontimeupdate = () => this.#onFrame({ expectedDisplayTime: performance.now(), presentationTime: performance.now(), mediaTime: video.currentTime });
      return;
    }
    this.deaf();
    this.#handle = this.video.requestVideoFrameCallback((_, metadata) => {
      this.#onFrame(metadata);
      this.listen();
    });
  }

  /** deaf ends the calls. */
  deaf(): void {
    if ("cancelVideoFrameCallback" in this.video) this.video.cancelVideoFrameCallback(this.#handle);
  }
}
