// Which way a stream is watched: by WebRTC as long as it can be had, else by
// LL-HLS, and back. The decision only, told the time. Promises that a viewer who
// cannot have WebRTC sees a picture by HLS after at most two tries, and that
// WebRTC is tried again ever more seldom. Owned by a director.

import type { SluiceError } from "./errors";

/** Delivery is what the page's policy allows. */
export type Delivery = "auto" | "webrtc" | "hls";

/** Mode is the way in use. */
export type Mode = "webrtc" | "hls";

/** connectTime is how long ICE may take: direct checks have 2.5 s, relays as much again: whoever is not connected then never is. */
export const connectTime = 5000;
// One failure may be bad luck: a network that changed, a server that restarts.
const tries = 2;
// The first look whether WebRTC can be had again, and the longest pause between looks: each is a session at the server.
const firstLook = 30_000;
const longestLook = 300_000;

/** WayConfig is what is known from the start. */
export interface WayConfig {
  delivery: Delivery;
  /** webrtc and hls tell whether this browser and this address have it at all. */
  webrtc: boolean;
  hls: boolean;
}

/** Way decides. */
export class Way {
  mode: Mode;
  #config: WayConfig;
  #failures = 0;
  #looks = 0;
  #lookAt = Infinity;

  constructor(config: WayConfig) {
    this.#config = config;
    this.mode = this.#start();
  }

  /** allow changes the policy; mode then says what to go over to. */
  allow(delivery: Delivery): void {
    this.#config = { ...this.#config, delivery };
    this.#failures = this.#looks = 0;
    this.#lookAt = Infinity;
    this.mode = this.#start();
  }

  /** connected is told when media can flow by WebRTC. */
  connected(): void {
    this.#failures = 0;
    this.#looks = 0;
    this.#lookAt = Infinity;
    if (this.#free) this.mode = "webrtc";
  }

  /** unconnected is told when a session was there, but ICE did not connect in time. */
  unconnected(now: number): void {
    if (this.mode === "hls") return this.#later(now, 0);
    if (++this.#failures >= tries) this.#turn(now, 0);
  }

  /** refused is told when the server took no session: full, or no codec in common. */
  refused(error: SluiceError, now: number): void {
    if (this.mode === "hls") return this.#later(now, error.retryAfter);
    if (error.why === "busy" || error.why === "unsupported" || error.why === "browser") this.#turn(now, error.retryAfter);
  }

  /** spare tells whether HLS may take over from a picture by WebRTC that has died, before it is known whether ICE mends it. */
  get spare(): boolean {
    return this.mode === "webrtc" && this.#free && this.#config.hls;
  }

  /** overtaken is told that it did. */
  overtaken(now: number): void {
    this.#turn(now, 0);
  }

  /** absent is told when there is no HLS to turn to: WebRTC is all there is, and is tried on. */
  absent(): void {
    if (this.#free) this.mode = "webrtc";
    this.#failures = 0;
    this.#lookAt = Infinity;
  }

  /** look tells whether it is time to see if WebRTC can be had again; it counts as a look then. */
  look(now: number): boolean {
    if (this.mode !== "hls" || !this.#free || now < this.#lookAt) return false;
    this.#lookAt = Infinity; // until it is known what came of it
    return true;
  }

  /** moved is told when the network changed: what failed before may work now. */
  moved(now: number): void {
    this.#failures = 0;
    this.#looks = 0;
    if (this.mode === "hls" && this.#free) this.#lookAt = now;
  }

  get #free(): boolean {
    return this.#config.delivery === "auto" && this.#config.webrtc;
  }

  #start(): Mode {
    const { delivery, webrtc, hls } = this.#config;
    if (!hls) return "webrtc";
    return delivery === "hls" || (delivery === "auto" && !webrtc) ? "hls" : "webrtc";
  }

  #turn(now: number, least: number): void {
    if (this.#config.delivery !== "auto" || !this.#config.hls) return;
    this.mode = "hls";
    this.#failures = 0;
    this.#later(now, least);
  }

  #later(now: number, least: number): void {
    this.#lookAt = now + Math.max(least, Math.min(firstLook * 2 ** this.#looks++, longestLook));
  }
}
