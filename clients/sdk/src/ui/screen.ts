// The video element and the still that stands in for it while streams change.
// Promises that the last picture stays until the next one is there, and one call
// per frame with its times. Owned by a player.

import type { FrameTimes } from "../core";

/** Screen shows streams in a video element. */
export class Screen {
  readonly video: HTMLVideoElement;
  #canvas: HTMLCanvasElement;
  #onFrame: (times: FrameTimes) => void;
  #handle = 0;

  constructor(video: HTMLVideoElement, canvas: HTMLCanvasElement, onFrame: (times: FrameTimes) => void) {
    this.video = video;
    this.#canvas = canvas;
    this.#onFrame = onFrame;
  }

  /** show puts a stream on, over the last picture of the one before; it resolves to false when the browser wants a tap first. */
  show(stream: MediaStream): Promise<boolean> {
    this.freeze();
    this.video.srcObject = stream;
    if ("requestVideoFrameCallback" in this.video) this.#listen();
    else (this.video as HTMLVideoElement).ontimeupdate = () => this.#frame({ expectedDisplayTime: performance.now(), presentationTime: performance.now() });
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

  /** freeze keeps the picture that is on now, if any. */
  freeze(): void {
    if (!this.video.videoWidth || !this.#canvas.hidden) return;
    Object.assign(this.#canvas, { width: this.video.videoWidth, height: this.video.videoHeight });
    this.#canvas.getContext("2d")?.drawImage(this.video, 0, 0);
    this.#canvas.hidden = false;
  }

  /** hold keeps the picture until another stream is shown: a track that ends leaves a black frame behind. */
  hold(): void {
    this.freeze();
    if ("cancelVideoFrameCallback" in this.video) this.video.cancelVideoFrameCallback(this.#handle);
  }

  #listen(): void {
    this.video.cancelVideoFrameCallback(this.#handle);
    this.#handle = this.video.requestVideoFrameCallback((_, metadata) => {
      this.#frame(metadata);
      this.#listen();
    });
  }

  #frame(times: FrameTimes): void {
    this.#canvas.hidden = true;
    this.#onFrame(times);
  }
}
