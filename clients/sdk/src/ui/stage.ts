// Two pictures of one stream, one in front of the other, and the still that stands
// in while nothing moves. Promises that the last picture stays until the next one
// is there, and that only what is in front is heard. Owned by a player.

import type { FrameTimes, Mode } from "../core";
import { Screen } from "./screen";

/** Stage has a screen for each way. */
export class Stage {
  readonly screens: Record<Mode, Screen>;
  front: Mode = "webrtc";
  #canvas: HTMLCanvasElement;
  #muted = true;
  #volume = 1;

  constructor(webrtc: HTMLVideoElement, hls: HTMLVideoElement, canvas: HTMLCanvasElement, onFrame: (mode: Mode, times: FrameTimes) => void) {
    const frame = (mode: Mode) => (times: FrameTimes) => {
      if (mode === this.front && !this.held && !this.#veiled) this.#canvas.hidden = true;
      onFrame(mode, times);
    };
    this.screens = { webrtc: new Screen(webrtc, frame("webrtc")), hls: new Screen(hls, frame("hls")) };
    this.#canvas = canvas;
    this.#arrange();
  }

  /** held keeps the still, although frames come. */
  held = false;

  /** video is the element in front. */
  get video(): HTMLVideoElement {
    return this.screens[this.front].video;
  }

  /** swap brings one to the front, picture and sound at once. */
  swap(to: Mode): void {
    if (to === this.front) return;
    this.freeze();
    this.front = to;
    this.held = false;
    this.#arrange();
    this.#unveil(2);
  }

  // Chromium paints what comes to the front black once: until it is painted, the picture before it stays.
  #unveil(paints: number): void {
    const veil = (this.#veiled = {});
    const painted = () => {
      if (veil !== this.#veiled) return;
      if (--paints > 0) return void requestAnimationFrame(painted);
      this.#veiled = undefined;
      if (!this.held && this.video.readyState >= 2) this.#canvas.hidden = true;
    };
    requestAnimationFrame(painted);
  }
  #veiled: object | undefined;

  /** sound says how loud what is in front shall be. */
  sound(muted: boolean, volume: number): void {
    [this.#muted, this.#volume] = [muted, volume];
    this.#arrange();
  }

  /** freeze keeps the picture that is on now, if any, until the next frame of what is in front. */
  freeze(): void {
    const { video } = this;
    if (!video.videoWidth || !this.#canvas.hidden) return;
    Object.assign(this.#canvas, { width: video.videoWidth, height: video.videoHeight });
    this.#canvas.getContext("2d")?.drawImage(video, 0, 0);
    this.#canvas.hidden = false;
  }

  /** hold keeps the picture until another stream is shown: a track that ends leaves a black frame behind. */
  hold(): void {
    this.freeze();
    this.screens[this.front].deaf();
  }

  #arrange(): void {
    for (const [mode, { video }] of Object.entries(this.screens)) {
      const front = mode === this.front;
      video.classList.toggle("front", front);
      video.ariaHidden = front ? null : "true";
      Object.assign(video, { muted: !front || this.#muted || this.held, volume: this.#volume });
    }
  }
}
