// Publishing one stream, whatever happens: goes live, goes on after breaks, and
// steps back when somebody else takes the stream over. Promises one session at a
// time, and a DELETE at stop(). Owned by a publisher.

import { Emitter } from "./emitter";
import { fromFailure, SluiceError } from "./errors";
import { Reconnect, type Step } from "./reconnect";
import { pause } from "./sse";
import { type PublishSample, PublishStats } from "./stats";
import { stream, type StreamStatus } from "./status";
import { localNow } from "./time";
import { type PublishConfig, WhipSession } from "./whip";

/** PublishState is what a publisher sees. */
export type PublishState = "idle" | "starting" | "live" | "reconnecting" | "refused";

/** PublishingConfig is a session's config, and the server's root. */
export interface PublishingConfig extends PublishConfig {
  api: string;
  stream: string;
}

/** PublishingEvents are what a publishing tells. */
export interface PublishingEvents {
  state: { state: PublishState; error?: SluiceError };
  sample: PublishSample;
  status: StreamStatus;
}

const selfHeal = 2000;
const restartTime = 5000;
const tick = 1000;

/** Publishing keeps one stream on air. */
export class Publishing extends Emitter<PublishingEvents> {
  state: PublishState = "idle";
  error: SluiceError | undefined;
  #config: PublishingConfig;
  #session: WhipSession | undefined;
  #reconnect = new Reconnect();
  #stats = new PublishStats();
  #life = new AbortController();
  #turn = 0;
  #epoch: number | undefined;
  #since = 0;

  constructor(config: PublishingConfig) {
    super();
    this.#config = config;
  }

  /** session is the WHIP session in use. */
  get session(): WhipSession | undefined {
    return this.#session;
  }

  /** since is when this publishing went live, in local Unix milliseconds; 0 before. */
  get since(): number {
    return this.#since;
  }

  /** start goes live, and keeps at it until stop. */
  start(): void {
    const { signal } = this.#life;
    globalThis.addEventListener?.("pagehide", () => this.stop(), { signal });
    globalThis.addEventListener?.("online", () => this.state === "reconnecting" && this.#take({ do: "post", after: 0 }), { signal });
    this.#set("starting");
    void this.#watch(signal); // ends with the signal
    void this.#join();
  }

  /** stop ends the stream for good. */
  stop(): void {
    this.#turn++;
    this.#life.abort();
    this.#session?.stop();
    this.#session = undefined;
    this.#set("idle");
  }

  /** setBitrate changes the picture's bitrate on air. */
  async setBitrate(bitrate: number): Promise<void> {
    this.#config = { ...this.#config, bitrate };
    await this.#session?.setBitrate(bitrate);
  }

  /** replace swaps a track on air. */
  async replace(track: MediaStreamTrack): Promise<void> {
    await this.#session?.replace(track);
  }

  async #join(): Promise<void> {
    const turn = ++this.#turn;
    this.#epoch = undefined;
    this.#session?.stop(); // a stream has one publisher: ours must not meet itself
    const session = new WhipSession({ ...this.#config, signal: this.#life.signal });
    this.#session = session;
    this.#stats = new PublishStats();
    session.on("connection", (state) => session === this.#session && this.#connection(state));
    try {
      await session.open();
    } catch (cause) {
      if (turn === this.#turn) this.#failed(fromFailure(cause));
    }
  }

  #connection(state: RTCPeerConnectionState): void {
    if (state === "connected") {
      this.#turn++;
      this.#reconnect.connected(localNow());
      this.#since ||= localNow();
      this.#set("live");
    } else if (state === "disconnected") {
      this.#set("reconnecting");
      void this.#later(selfHeal, () => void this.#lost(true));
    } else if (state === "failed") void this.#lost(true);
    else if (state === "closed") void this.#lost(false);
  }

  async #lost(resumable: boolean): Promise<void> {
    if (this.#life.signal.aborted) return;
    this.#set("reconnecting");
    const turn = ++this.#turn;
    if (await this.#takenOver()) {
      if (turn === this.#turn) this.#refuse(new SluiceError("taken"));
      return;
    }
    if (turn === this.#turn) this.#take(this.#reconnect.lost(localNow(), resumable && this.#session?.resumable === true));
  }

  // A new epoch that is not ours is another publisher: to go on would be a tug of war.
  async #takenOver(): Promise<boolean> {
    const status = await this.#ask().catch(() => undefined);
    return this.#epoch !== undefined && status?.live === true && status.epoch !== undefined && status.epoch !== this.#epoch;
  }

  #failed(error: SluiceError): void {
    if (error.why === "aborted") return;
    const step = this.#reconnect.failed(error);
    if (step.do === "stop") this.#refuse(error);
    else this.#set(this.#since ? "reconnecting" : "starting", error);
    this.#take(step);
  }

  #refuse(error: SluiceError): void {
    this.#turn++;
    this.#session?.stop();
    this.#session = undefined;
    this.#set("refused", error);
    this.#life.abort();
  }

  #take(step: Step): void {
    if (step.do === "restart") void this.#restart();
    else if (step.do === "post") void this.#later(step.after, () => void this.#join());
  }

  async #restart(): Promise<void> {
    const turn = ++this.#turn;
    try {
      await this.#session?.restart();
      await pause(restartTime, this.#life.signal);
    } catch {
      // The session is not there any more, or the server takes no restart.
    }
    if (turn === this.#turn) await this.#lost(false);
  }

  async #later(ms: number, act: () => void): Promise<void> {
    const turn = ++this.#turn;
    await pause(ms, this.#life.signal);
    if (turn === this.#turn && !this.#life.signal.aborted) act();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    for (let i = 0; !signal.aborted; i++) {
      await pause(tick, signal);
      const report = await this.#session?.pc.getStats().catch(() => undefined);
      if (!report || signal.aborted) continue;
      this.emit("sample", this.#stats.sample(report as unknown as Iterable<[string, Record<string, unknown>]>, localNow()));
      if (i % 2 === 0 && this.state === "live") await this.#look();
    }
  }

  async #look(): Promise<void> {
    const status = await this.#ask().catch(() => undefined);
    if (!status || this.state !== "live") return;
    if (this.#epoch !== undefined && status.live && status.epoch !== this.#epoch) return this.#refuse(new SluiceError("taken"));
    if (status.live) this.#epoch ??= status.epoch;
    this.emit("status", status);
  }

  #ask(): Promise<StreamStatus> {
    const { api, token, stream: id } = this.#config;
    return stream({ api, token, signal: this.#life.signal }, id);
  }

  #set(state: PublishState, error?: SluiceError): void {
    if (state === this.state && error === this.error) return;
    this.state = state;
    this.error = error;
    this.emit("state", { state, error });
  }
}
