// The screen with the camera as a small inset, drawn on a canvas.
// Promises one video track at the screen's size that keeps its pace in a hidden
// page, and that close() stops all it started. Owned by a capture.

/** Box is a rectangle in pixels. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

// The inset takes a fifth of the width, a margin of a fiftieth from the lower right corner.
const share = 0.2;
const margin = 0.02;
// Encoders want even sides, and above this a software encoder cannot keep 30 frames per second.
const largest = 1920;

/** canvasSize fits the screen into what can be encoded, with even sides. */
export function canvasSize(width: number, height: number): { width: number; height: number } {
  const scale = Math.min(1, largest / Math.max(width, height, 1));
  const even = (n: number) => Math.max(2, Math.round((n * scale) / 2) * 2);
  return { width: even(width), height: even(height) };
}

/** insetBox places a camera of that shape in the corner. */
export function insetBox(canvas: { width: number; height: number }, camera: { width: number; height: number }): Box {
  const width = Math.round(canvas.width * share);
  const height = Math.round((width * (camera.height || 9)) / (camera.width || 16));
  const gap = Math.round(canvas.width * margin);
  return { x: canvas.width - width - gap, y: canvas.height - height - gap, width, height };
}

/** Composition draws two streams into one. */
export class Composition {
  readonly track: MediaStreamTrack;
  #canvas = document.createElement("canvas");
  #screen: HTMLVideoElement;
  #camera: HTMLVideoElement;
  #worker: Worker;

  constructor(screen: MediaStream, camera: MediaStream, frameRate = 30) {
    this.#screen = play(screen);
    this.#camera = play(camera);
    const { width = 1280, height = 720 } = screen.getVideoTracks()[0]?.getSettings() ?? {};
    Object.assign(this.#canvas, canvasSize(width, height));
    this.#worker = new Worker(new URL("./ticker.worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = () => this.#draw();
    this.#worker.postMessage(1000 / frameRate);
    this.track = this.#canvas.captureStream(frameRate).getVideoTracks()[0]!;
  }

  /** close stops drawing; the two streams belong to the caller. */
  close(): void {
    this.#worker.terminate();
    this.track.stop();
    for (const video of [this.#screen, this.#camera]) video.srcObject = null;
  }

  #draw(): void {
    const context = this.#canvas.getContext("2d", { alpha: false });
    if (!context || !this.#screen.videoWidth) return;
    const size = canvasSize(this.#screen.videoWidth, this.#screen.videoHeight);
    if (size.width !== this.#canvas.width || size.height !== this.#canvas.height) Object.assign(this.#canvas, size);
    context.drawImage(this.#screen, 0, 0, size.width, size.height);
    if (!this.#camera.videoWidth) return;
    const box = insetBox(size, { width: this.#camera.videoWidth, height: this.#camera.videoHeight });
    context.save();
    context.beginPath();
    context.roundRect(box.x, box.y, box.width, box.height, box.height * 0.08);
    context.clip();
    context.drawImage(this.#camera, box.x, box.y, box.width, box.height);
    context.restore();
  }
}

function play(stream: MediaStream): HTMLVideoElement {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  video.srcObject = stream;
  void video.play().catch(() => undefined); // the next frame tries again by itself
  return video;
}
