// What the publisher shows: camera, screen, or both, and a microphone.
// Promises that whatever it opened is stopped by close(), also when the second
// of two devices is refused. Owned by a publisher.

import { Composition } from "./compose";
import { SluiceError } from "./errors";

/** Source is what is shown. */
export type Source = "camera" | "screen" | "both";

/** CaptureChoice says what to open. Empty device ids mean the browser's choice. */
export interface CaptureChoice {
  source: Source;
  camera?: string;
  microphone?: string;
  height: number;
  frameRate: number;
}

/** Devices are what can be chosen. */
export interface Devices {
  cameras: MediaDeviceInfo[];
  microphones: MediaDeviceInfo[];
}

/** CaptureProblem says in one word why there is no picture. */
export type CaptureProblem = "insecure" | "denied" | "absent" | "in-use" | "unknown";

/** Capture is an open set of devices. */
export class Capture {
  readonly media = new MediaStream();
  readonly source: Source;
  #opened: MediaStream[] = [];
  #composition: Composition | undefined;

  private constructor(source: Source) {
    this.source = source;
  }

  /** open asks for the devices; it rejects with a SluiceError whose detail is a CaptureProblem. */
  static async open(choice: CaptureChoice): Promise<Capture> {
    const capture = new Capture(choice.source);
    try {
      if (choice.source === "camera") await capture.#camera(choice);
      else await capture.#screen(choice);
      return capture;
    } catch (cause) {
      capture.close();
      throw new SluiceError("browser", { detail: problemOf(cause), cause });
    }
  }

  /** close stops all devices. */
  close(): void {
    this.#composition?.close();
    for (const stream of this.#opened) for (const track of stream.getTracks()) track.stop();
  }

  /** ended calls back when the person stops sharing in the browser's own bar. */
  ended(fn: () => void): void {
    for (const stream of this.#opened) for (const track of stream.getVideoTracks()) track.addEventListener("ended", fn, { once: true });
  }

  async #camera(choice: CaptureChoice): Promise<void> {
    const stream = await this.#user(choice, choice.height);
    for (const track of stream.getTracks()) this.media.addTrack(track);
  }

  async #screen(choice: CaptureChoice): Promise<void> {
    const video = { frameRate: { ideal: choice.frameRate }, height: { ideal: choice.height } };
    const screen = this.#keep(await devices().getDisplayMedia({ video, audio: true }));
    const both = choice.source === "both";
    // The inset is small; a large camera picture would only cost.
    const user = await this.#user(choice, both ? 360 : 0).catch((cause: unknown) => {
      if (both) throw cause;
      return undefined; // a screen without a microphone is still worth showing
    });
    if (both && user) {
      this.#composition = new Composition(screen, user, choice.frameRate);
      this.media.addTrack(this.#composition.track);
    } else this.media.addTrack(screen.getVideoTracks()[0]!);
    // One audio track per stream (RFC 9725 section 4.4.2): the voice comes first, the screen's sound where there is none.
    const audio = user?.getAudioTracks()[0] ?? screen.getAudioTracks()[0];
    if (audio) this.media.addTrack(audio);
  }

  async #user(choice: CaptureChoice, height: number): Promise<MediaStream> {
    const audio: MediaTrackConstraints = choice.microphone ? { deviceId: { exact: choice.microphone } } : {};
    const video: MediaTrackConstraints | false = height > 0 && {
      height: { ideal: height },
      width: { ideal: Math.round((height * 16) / 9) },
      frameRate: { ideal: choice.frameRate },
      ...(choice.camera ? { deviceId: { exact: choice.camera } } : {}),
    };
    try {
      return this.#keep(await devices().getUserMedia({ audio, video }));
    } catch (cause) {
      // Without any microphone the picture alone is worth showing.
      if (!video || choice.microphone || (cause as Error).name !== "NotFoundError") throw cause;
      return this.#keep(await devices().getUserMedia({ audio: false, video }));
    }
  }

  #keep(stream: MediaStream): MediaStream {
    this.#opened.push(stream);
    return stream;
  }
}

/** listDevices tells what can be chosen; labels come only after a permission. */
export async function listDevices(): Promise<Devices> {
  const all = (await globalThis.navigator?.mediaDevices?.enumerateDevices?.()) ?? [];
  const of = (kind: MediaDeviceKind) => all.filter((d) => d.kind === kind && d.deviceId !== "");
  return { cameras: of("videoinput"), microphones: of("audioinput") };
}

/** secure tells whether browsers give a page cameras here: https, or localhost (Secure Contexts). */
export function secure(): boolean {
  return globalThis.isSecureContext === true && globalThis.navigator?.mediaDevices !== undefined;
}

/** problemOf names why a device could not be opened (Media Capture and Streams section 10.2). */
export function problemOf(cause: unknown): CaptureProblem {
  if (!secure()) return "insecure";
  switch ((cause as { name?: string } | null)?.name) {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "absent";
    case "NotReadableError":
    case "AbortError":
      return "in-use";
  }
  return "unknown";
}

function devices(): MediaDevices {
  const d = globalThis.navigator?.mediaDevices;
  if (!d) throw new DOMException("no devices on this page", "SecurityError");
  return d;
}
