// Watching one stream, whatever happens: joins, waits for the publisher, goes on
// after breaks, and says at each moment which of eight states holds. Promises one
// session at a time and nothing left behind after stop(). Owned by a player.

import { Emitter } from "./emitter";
import { comeback } from "./comeback";
import type { Condition, ViewingConfig, ViewingEvents } from "./condition";
import { fromFailure, type SluiceError } from "./errors";
import { type FrameTimes, LatencyMeter } from "./latency";
import { type LayerOption, parseObject, readLayers } from "./layers";
import { Reconnect, type Step } from "./reconnect";
import { pause, type ServerEvent } from "./sse";
import { readSounds } from "./sounds";
import { type WatchSample, WatchStats } from "./stats";
import { localNow, ServerClock } from "./time";
import { Watchdog } from "./watchdog";
import { connectTime } from "./way";
import { type LayerChoice, WhepSession } from "./whep";

// A joined stream that shows nothing for so long has no publisher, as far as a person can tell.
const patience = 1500;
// ICE mends short breaks by itself; a restart sooner would only disturb it.
const selfHeal = 2000;
// A restart that has not connected by then will not.
const restartTime = 5000;
const tick = 1000;
// What a jitter buffer holds after the last packet, and one sample more, may still come.
const tail = 2500;

/** Viewing keeps one stream on the screen. */
export class Viewing extends Emitter<ViewingEvents> {
  readonly latency: LatencyMeter;
  condition: Condition = { state: "idle" };
  #config: ViewingConfig;
  #url: string;
  #session: WhepSession | undefined;
  #reconnect = new Reconnect();
  #clock: ServerClock;
  #stats = new WatchStats();
  #life = new AbortController();
  #turn = 0; // rises with each plan, so that an older plan's timer finds itself out of date
  #shown = false; // a picture was seen in this viewing
  #active: boolean | undefined; // what the server said last of the publisher
  #inactiveAt = 0;
  #reason = "";
  #watchdog = new Watchdog();
  #videoless = false;
  #reached = false; // this session has connected
  #decoded = 0;
  #choice: LayerChoice | undefined;

  constructor(config: ViewingConfig) {
    super();
    this.#config = config;
    this.#url = config.url;
    this.#clock = config.clock ?? new ServerClock(new URL("/v1/time", config.api).href);
    this.latency = new LatencyMeter(this.#clock);
  }

  /** session is the WHEP session in use. */
  get session(): WhepSession | undefined {
    return this.#session;
  }

  /** start joins, and keeps at it until stop. */
  start(): void {
    const { signal } = this.#life;
    globalThis.addEventListener?.("online", this.#online, { signal });
    globalThis.addEventListener?.("offline", this.#offline, { signal });
    if (!this.#config.clock) void this.#clock.run(signal); // ends with the signal
    void this.#watch(signal); // ends with the signal
    this.#set({ state: "loading" });
    void this.#join();
  }

  /** stop leaves the stream for good. */
  stop(): void {
    this.#turn++;
    this.#life.abort();
    this.#session?.close();
    this.#session = undefined;
    this.#set({ state: "idle" });
  }

  /** retry joins at once; it is what the button in "refused" and "ended" does. */
  retry(): void {
    this.#reconnect.reset();
    this.#set({ state: this.#shown ? "reconnecting" : "loading" });
    void this.#join();
  }

  /** choose asks for a layer, undefined for automatic. */
  async choose(option: LayerOption | undefined): Promise<void> {
    await this.#session?.choose(option?.choice ?? {});
    this.#choice = option?.choice;
  }

  /** listen turns to an audio track by its id or language, "" being the first; it holds after a break, too. */
  async listen(audio: string): Promise<void> {
    this.#config.audio = audio;
    await this.#session?.listen(audio);
  }

  /** hold has the jitter buffer hold pictures and sound back by so many milliseconds, also after a break. */
  hold(ms: number): void {
    this.#config.hold = ms;
    this.#session?.hold(ms);
  }

  /** frame is told of each frame on the screen. */
  frame(times: FrameTimes): void {
    this.latency.frame(times);
    this.#watchdog.seen(localNow());
    this.#flows();
  }

  async #join(): Promise<void> {
    const turn = ++this.#turn;
    const session = new WhepSession({ url: this.#url, token: this.#config.token, hold: this.#config.hold, audio: this.#config.audio, signal: this.#life.signal });
    try {
      await session.open();
    } catch (cause) {
      if (turn === this.#turn) this.#failed(fromFailure(cause));
      return;
    }
    if (turn !== this.#turn) return session.close();
    const old = this.#session;
    this.#adopt(session);
    old?.close(); // only now: the last picture is kept until the new stream is on
  }

  #adopt(session: WhepSession): void {
    this.#session = session;
    this.#active = undefined;
    this.#reason = "";
    this.#videoless = false;
    this.#reached = false;
    this.#decoded = 0;
    this.#watchdog.seen(localNow());
    this.#stats = new WatchStats();
    this.latency.receiver = session.receiver("video");
    // A new session starts automatic; what the viewer chose still holds. Should the layer be gone, automatic is right.
    if (this.#choice && session.selectable) void session.choose(this.#choice).catch(() => undefined);
    const mine = () => session === this.#session;
    session.on("connection", (state) => mine() && this.#connection(state));
    session.on("event", (event) => mine() && this.#event(event));
    session.on("gone", (error) => mine() && this.#gone(error));
    this.emit("stream", session.stream);
    void pause(connectTime, this.#life.signal).then(() => {
      if (!mine() || this.#reached || session.pc.connectionState === "failed" || this.#life.signal.aborted) return;
      this.emit("reached", false);
      if (mine()) this.#lost(false); // browsers that find no pair to check may say nothing for ever
    });
    void pause(patience, this.#life.signal).then(() => {
      if (mine() && this.condition.state !== "live" && !this.#active) this.#waiting();
    });
  }

  #connection(state: RTCPeerConnectionState): void {
    if (state === "connected") {
      this.#reached = true;
      this.emit("reached", true);
      this.#turn++; // whatever was planned against the break is off
      this.#reconnect.connected(localNow());
      this.#watchdog.seen(localNow());
    } else if (state === "disconnected") {
      this.#troubled();
      void this.#later(selfHeal, () => this.#lost(true));
    } else if (state === "failed") {
      if (!this.#reached) this.emit("reached", false);
      this.#lost(true);
    } else if (state === "closed") {
      this.#lost(false);
    }
  }

  #event({ name, data }: ServerEvent): void {
    const body = parseObject(data);
    if (name === "active") this.#active = true;
    else if (name === "inactive") {
      this.#active = false;
      this.#inactiveAt = localNow();
      this.#reason = typeof body.reason === "string" ? body.reason : "";
      this.#waiting();
    } else if (name === "layers") this.emit("layers", readLayers(data));
    else if (name === "audio") this.emit("sounds", readSounds(data));
    else if (name === "viewercount") this.emit("viewers", Number(body.viewercount ?? 0));
    else if (name === "reconnect") this.#move(body.url);
  }

  #move(url: unknown): void {
    if (typeof url === "string" && /^https?:/.test(new URL(url, this.#config.url).protocol)) this.#url = new URL(url, this.#config.url).href;
    // Spread over a second: a node that drains sends all of its viewers away at once.
    void this.#later(Math.random() * 1000, () => void this.#join());
  }

  #gone(error: SluiceError): void {
    if (error.why !== "missing") return; // a server without events; the connection itself tells the rest
    if (this.#active === false) return this.#ended();
    this.#lost(false);
  }

  #ended(): void {
    this.#set({ state: "ended", reason: this.#reason }); // first: a closed connection has no last picture to keep
    this.#session?.close();
    this.#session = undefined;
    void this.#comeback(++this.#turn);
  }

  async #comeback(turn: number): Promise<void> {
    const id = decodeURIComponent(new URL(this.#url).pathname.split("/").pop() ?? "");
    const left = this.#inactiveAt + (this.#clock.offset ?? 0);
    const { api, token } = this.#config;
    if (await comeback({ api, token, id, left, signal: this.#life.signal, wanted: () => turn === this.#turn })) this.retry();
  }

  #lost(resumable: boolean): void {
    if (this.#active === false && !resumable) return this.#ended();
    this.#troubled();
    this.#take(this.#reconnect.lost(localNow(), resumable && this.#session?.resumable === true));
  }

  #failed(error: SluiceError): void {
    if (error.why === "aborted") return;
    const step = this.#reconnect.failed(error);
    if (step.do === "stop") this.#set({ state: "refused", error });
    else if (error.why === "not-live") this.#set({ state: "waiting", error, reason: error.detail });
    else if (globalThis.navigator?.onLine === false) this.#set({ state: "offline", error });
    else this.#set({ state: "reconnecting", error });
    this.#take(step);
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
    if (turn === this.#turn) this.#lost(false);
  }

  async #later(ms: number, act: () => void): Promise<void> {
    const turn = ++this.#turn;
    await pause(ms, this.#life.signal);
    if (turn === this.#turn && !this.#life.signal.aborted) act();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(tick, signal);
      const report = await this.#session?.pc.getStats().catch(() => undefined);
      if (!report || signal.aborted) continue;
      const sample = this.#stats.sample(report as unknown as Iterable<[string, Record<string, unknown>]>, localNow());
      if (sample.fps) this.latency.playing(sample.playing);
      sample.latency = this.latency.value;
      this.#media(sample);
      this.emit("sample", sample);
    }
  }

  #media(sample: WatchSample): void {
    const session = this.#session;
    if (!session) return;
    // In a hidden page no frame is shown, but they are decoded: that is live, too.
    if (sample.frames > this.#decoded) this.#flows();
    this.#decoded = sample.frames;
    if (sample.bitrate > 0) this.#watchdog.seen(localNow());
    this.#guard(session);
    // An element with a video track that never gets a frame plays no sound either: show it sound alone, until a picture comes.
    const video = session.receiver("video");
    const silent = sample.audioBitrate > 0 && video?.getSynchronizationSources().length === 0 && sample.frames === 0;
    if (silent) this.#flows();
    if (silent === this.#videoless || !video) return;
    this.#videoless = silent;
    this.emit("stream", silent ? new MediaStream(session.stream.getAudioTracks()) : session.stream);
  }

  // Says at once that a picture stands still; acts later, and only where the server says that there is media.
  #guard(session: WhepSession): void {
    const found = this.#watchdog.look(localNow());
    if (found === "flowing" || session.pc.connectionState !== "connected") return;
    this.#troubled();
    if (found === "stalled" && this.#active && this.condition.state === "reconnecting") this.#lost(true);
  }

  #flows(): void {
    // The last frames of a publisher that left are still on their way when the server says so; later ones are new.
    if (this.#active === false && localNow() - this.#inactiveAt < tail) return;
    this.#active = this.#active === false ? undefined : this.#active;
    this.#shown = true;
    if (["loading", "waiting", "reconnecting", "offline"].includes(this.condition.state)) this.#set({ state: "live" });
  }

  #waiting(): void {
    this.#set({ state: "waiting", reason: this.#reason });
  }

  #troubled(): void {
    if (this.condition.state === "live") this.#set({ state: "reconnecting" });
  }

  #online = (): void => {
    if (this.condition.state !== "offline" && this.condition.state !== "reconnecting") return;
    this.#reconnect.reset();
    this.#set({ state: this.#shown ? "reconnecting" : "loading" });
    this.#take(this.#session ? this.#reconnect.lost(localNow(), true) : { do: "post", after: 0 });
  };

  #offline = (): void => {
    if (this.condition.state !== "refused" && this.condition.state !== "ended") this.#set({ state: "offline" });
  };

  #set(condition: Condition): void {
    const { state, reason, error } = this.condition;
    if (state === condition.state && reason === condition.reason && error === condition.error) return;
    this.condition = condition;
    this.emit("condition", condition);
  }
}
