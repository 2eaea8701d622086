// Decides which of two pictures a viewer sees: WebRTC or HLS, live or gone back, and
// brings one over to the other at the same moment of capture. Promises that what is
// on the screen stays until something better is there. Owned by a player.

import { type Condition, Emitter, findSound, Handover, holdFor, HlsPlayback, type LayerOption, localNow, type FrameTimes, type Mode, relaxed, ServerClock, type Span, type Track, type Tracks, Viewing, type WatchSample, Way, type Delivery } from "../core";
import { Archive } from "./archive";
import type { Stage } from "./stage";

/** DirectorConfig says what to show, and where. */
export interface DirectorConfig {
  /** whep and hls are addresses, empty where there is none; hls alone may be an asset. */
  whep: string;
  hls: string;
  asset: boolean;
  api: string;
  token?: string;
  delivery: Delivery;
  /** audio is the track to listen to, by its id or language; the first if empty. */
  audio?: string;
  stage: Stage;
}

/** DirectorEvents are what a director tells. */
export interface DirectorEvents {
  condition: Condition;
  layers: LayerOption[];
  viewers: number;
  sample: WatchSample;
  tracks: Tracks;
  /** sounds are the audio tracks of what is in front. */
  sounds: Track[];
  /** mode tells of another way, or of going back and coming home. */
  mode: Mode;
  /** jumped tells by how many milliseconds the picture went ahead at once. */
  jumped: number;
  /** blocked tells that the browser wants a tap before it plays. */
  blocked: boolean;
  /** past tells that what there is to go back to has become known. */
  past: Span | undefined;
}

const tick = 250;
// No frame for so long: what was measured then says nothing of now.
const stale = 2500;
// A picture that moves has had a frame within this, or within four frames' time.
const lively = 200;
// Sender reports come within some seconds; a picture whose capture time is not known by then never tells.
const unmeasured = 6000;
// A dead picture is waited for by HLS so long; then any picture is better than a still.
const patience = 15_000;
// HLS that goes on with a picture that stands is asked again for the place when it begins further away, in milliseconds.
const exact = 200;
// So much newer, in milliseconds, is what a playlist has, when it is not the publisher who has gone silent.
const newer = 1000;

interface Crossing {
  to: Mode;
  since: number;
  handover: Handover;
  asked: boolean; // a person asked for it: a jump is what they expect
  due: boolean; // the next picture that follows on the one in front takes over
  spare: boolean; // HLS stands by, while WebRTC may still mend itself
}

/** Director shows one stream or asset. */
export class Director extends Emitter<DirectorEvents> {
  readonly clock: ServerClock;
  /** past is what there is to go back to. */
  readonly past: Archive;
  #config: DirectorConfig;
  #way: Way;
  #viewing: Viewing | undefined;
  #hls: HlsPlayback | undefined;
  #hlsUrl = "";
  #crossing: Crossing | undefined;
  #frameAt: Record<Mode, number> = { webrtc: 0, hls: 0 };
  #last: number | undefined; // when what was last seen in front was captured
  #away = false;
  #flowed = false; // WebRTC was well when it was heard of last
  #hold = 0;
  #audio = ""; // what a person listens to, by either way
  #sounds: Record<Mode, Track[]> = { webrtc: [], hls: [] };
  #frame = 33; // how long a picture stands, in milliseconds
  #life = new AbortController();

  constructor(config: DirectorConfig) {
    super();
    this.#config = config;
    this.#audio = config.audio ?? "";
    this.clock = new ServerClock(new URL("/v1/time", config.api).href);
    this.#way = new Way({ delivery: config.delivery, webrtc: config.whep !== "" && "RTCPeerConnection" in globalThis, hls: config.hls !== "" });
    this.past = new Archive(config.asset ? "" : config.hls, config.token, this.#life.signal);
  }

  /** mode is the way of what is on the screen. */
  get mode(): Mode {
    return this.#config.stage.front;
  }

  /** away tells that a viewer has gone back in time. */
  get away(): boolean {
    return this.#away;
  }

  get viewing(): Viewing | undefined {
    return this.#viewing;
  }

  get playback(): HlsPlayback | undefined {
    return this.#hls;
  }

  /** selectable tells whether a layer may be chosen. */
  get selectable(): boolean {
    return this.mode === "hls" ? this.#hls?.selectable === true : this.#viewing?.session?.selectable === true;
  }

  /** capture is when the frame on the screen was captured, in Unix milliseconds of the server's clock. */
  get capture(): number | undefined {
    return this.mode === "hls" ? this.#hls?.capture : this.#viewing?.latency.capture;
  }

  /** latency is from capture to display, in milliseconds; undefined where it is not live. */
  get latency(): number | undefined {
    return this.mode === "hls" ? this.#hls?.latency : this.#viewing?.latency.value;
  }

  get latencyFrom(): string {
    return this.mode === "hls" ? (this.#hls?.latency === undefined ? "" : "date") : (this.#viewing?.latency.from ?? "");
  }

  /** now is the server's clock. */
  get now(): number {
    return localNow() + (this.clock.offset ?? 0);
  }

  /** span is what there is to seek in, by capture time. */
  get span(): Span | undefined {
    if (this.mode === "hls" && this.#hls?.span && (this.#config.asset || this.#hlsUrl === this.past.url)) return this.#hls.span;
    return this.past.span;
  }

  start(): void {
    const { signal } = this.#life;
    if (!this.#config.asset) void this.clock.run(signal); // ends with the signal
    const timer = setInterval(() => this.#tick(), tick);
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
    globalThis.addEventListener?.("online", () => this.#way.moved(localNow()), { signal });
    if (this.#way.mode === "webrtc" && !this.#config.asset) this.#join();
    else this.#play(this.#config.hls);
  }

  stop(): void {
    this.#life.abort();
    this.#crossing = undefined;
    this.#drop("webrtc");
    this.#drop("hls");
    this.emit("condition", { state: "idle" });
  }

  retry(): void {
    if (this.mode === "hls" || !this.#viewing) this.#hls?.retry();
    else this.#viewing.retry();
  }

  /** allow changes the policy, and goes over to what it asks for without anybody noticing. */
  allow(delivery: Delivery): void {
    if (this.#config.asset) return;
    this.#way.allow(delivery);
    if (this.#away || this.#way.mode === this.mode) return;
    if (this.#way.mode === "hls") this.#turn();
    else this.#probe();
  }

  async choose(layer: LayerOption | undefined): Promise<void> {
    if (this.mode === "hls") this.#hls?.choose(layer);
    else await this.#viewing?.choose(layer);
  }

  /** listen turns to an audio track, and stays with it whatever way the stream comes. */
  listen(sound: Track): void {
    this.#audio = sound.id ?? sound.language;
    if (this.mode === "hls") this.#hls?.chooseAudio(sound.index);
    else void this.#viewing?.listen(this.#audio).catch(() => undefined); // it is gone: the list tells
  }

  // A playlist begins with its first sound.
  #heard(sounds: Track[]): void {
    const wanted = findSound(sounds, this.#audio);
    if (wanted && !wanted.current) this.#hls?.chooseAudio(wanted.index);
    this.#sounding("hls", sounds);
  }

  #sounding(mode: Mode, sounds: Track[]): void {
    this.#sounds[mode] = sounds;
    if (mode === this.mode) this.emit("sounds", sounds);
  }

  /** rewind shows what was captured then, from what is recorded. */
  rewind(capture: number): void {
    const { stage, asset } = this.#config;
    this.#crossing = undefined;
    this.#setAway(!asset);
    if (this.#hls && this.mode === "hls" && (asset || this.#hlsUrl === this.past.url)) return this.#hls.seek(capture);
    stage.freeze(); // the last picture stays until the other one is there
    stage.held = this.mode === "webrtc";
    stage.sound(this.#muted, this.#volume);
    this.#play(this.past.url, capture);
    this.emit("condition", { state: "reconnecting" });
  }

  /** live comes home from the past. */
  live(): void {
    if (!this.#away) return;
    if (this.#way.mode === "hls" || !this.#hls) {
      this.#setAway(false);
      this.#hls?.toLive();
      return;
    }
    this.#probe(true);
  }

  /** sound says how loud what is in front shall be. */
  sound(muted: boolean, volume: number): void {
    [this.#muted, this.#volume] = [muted, volume];
    this.#config.stage.sound(muted, volume);
  }
  #muted = true;
  #volume = 1;

  /** frame is told of each frame of either picture. */
  frame(mode: Mode, times: FrameTimes): void {
    this.#frameAt[mode] = localNow();
    if (mode === "hls") this.#hls?.frame(times);
    else this.#viewing?.frame(times);
    const crossing = this.#crossing;
    if (mode === this.mode && !this.#config.stage.held) this.#last = this.capture ?? this.#last;
    else if (crossing?.due && mode === crossing.to && this.#follows(mode)) this.#complete(crossing, 0);
    else if (this.#away && mode === "hls" && this.#config.stage.held && this.#hls?.arrived) this.#arrived();
  }

  // The first frame of the past.
  #arrived(): void {
    this.#swap("hls");
    this.#drop("webrtc");
  }

  #join(hold = 0): void {
    const { whep, api, token, stage } = this.#config;
    this.#hold = hold;
    const viewing = new Viewing({ url: whep, api, token, clock: this.clock, hold, audio: this.#audio || undefined });
    this.#viewing = viewing;
    const mine = () => viewing === this.#viewing;
    const front = () => mine() && this.mode === "webrtc" && !stage.held;
    viewing.on("condition", (c) => mine() && this.#whepSays(c));
    viewing.on("stream", async (s) => {
      if (front()) stage.freeze();
      if ((await stage.screens.webrtc.show(s)) === false && front()) this.emit("blocked", true);
    });
    viewing.on("reached", (yes) => mine() && this.#reached(yes));
    viewing.on("layers", (l) => front() && this.emit("layers", l));
    viewing.on("sounds", (s) => mine() && this.#sounding("webrtc", s));
    viewing.on("viewers", (n) => this.emit("viewers", n));
    viewing.on("sample", (s) => front() && this.#sampled(s));
    viewing.start();
  }

  #play(url: string, at?: number, near?: number): void {
    const { token, asset, stage } = this.#config;
    this.#drop("hls");
    const { video } = stage.screens.hls;
    const hls = new HlsPlayback({ url, token, video, live: !asset, at, near, offset: () => this.clock.offset });
    hls.away = this.#away;
    this.#hls = hls;
    this.#hlsUrl = url;
    if (!this.#viewing) stage.swap("hls"); // there is nothing else to see
    const mine = () => hls === this.#hls;
    const front = () => mine() && this.mode === "hls";
    hls.on("condition", (c) => mine() && this.#hlsSays(c));
    hls.on("layers", (l) => front() && this.emit("layers", l));
    hls.on("tracks", (t) => mine() && (this.emit("tracks", t), this.#heard(t.audio)));
    hls.on("sample", (s) => front() && this.#sampled(s));
    stage.screens.hls.listen();
    hls.start();
    void stage.screens.hls.play().then((ok) => !ok && front() && this.emit("blocked", true));
  }

  #whepSays(c: Condition): void {
    if (c.error && c.state !== "idle") this.#way.refused(c.error, localNow());
    const probing = this.mode === "hls" || this.#config.stage.held;
    if (probing) {
      if (c.error || ["waiting", "ended", "refused", "offline"].includes(c.state)) this.#giveUp();
      return;
    }
    if (c.state === "ended") this.#config.stage.hold();
    this.emit("condition", c);
    this.#turn();
    this.#spare(c.state === "reconnecting");
    this.#flowed = c.state === "live";
  }

  // ICE takes up to twenty seconds to mend a connection, or to be sure that it cannot. What died may be seen by HLS
  // after some: from the picture on at which it stopped.
  #spare(silent: boolean): void {
    if (!silent) {
      if (!this.#crossing?.spare) return;
      this.#crossing = undefined;
      return this.#drop("hls");
    }
    if (!this.#flowed || this.#crossing || this.#hls || this.#away || this.#last === undefined || !this.#way.spare) return;
    this.#play(this.#config.hls, this.#last, exact);
    this.#cross("hls");
    this.#crossing!.spare = true;
  }

  #hlsSays(c: Condition): void {
    if (this.mode === "hls") {
      if (c.state === "reconnecting" || c.state === "waiting") this.#config.stage.freeze(); // what is begun anew is black first
      return this.emit("condition", c);
    }
    // Not in front yet: what WebRTC says counts, unless there is nothing to come to.
    if (c.state !== "waiting" && c.state !== "refused" && c.state !== "ended") return;
    this.#drop("hls");
    this.#crossing = undefined;
    this.#way.absent();
    if (this.#away) this.#stay();
  }

  // There is nothing to go back to after all.
  #stay(): void {
    this.#setAway(false);
    this.#config.stage.held = false;
    this.#config.stage.sound(this.#muted, this.#volume);
    this.past.forget();
    this.emit("past", undefined);
    this.emit("condition", this.#viewing?.condition ?? { state: "loading" });
  }

  #reached(yes: boolean): void {
    if (yes) return this.mode === "webrtc" ? this.#way.connected() : undefined;
    this.#way.unconnected(localNow());
    if (this.mode === "hls") this.#giveUp();
    else this.#turn();
  }

  // The way has turned to HLS.
  #turn(): void {
    if (this.#way.mode !== "hls" || this.#away) return;
    if (this.#crossing?.to === "hls") this.#crossing.spare = false; // it is more than that now
    if (this.#hls) return;
    this.#play(this.#config.hls, this.#last);
    this.#cross("hls");
  }

  // Whether WebRTC can be had again is seen without anybody noticing.
  #probe(asked = false): void {
    if (this.#crossing?.to === "webrtc") return;
    const lag = this.#lag("hls");
    this.#drop("webrtc");
    this.#join(lag === undefined ? 0 : holdFor(lag, !asked));
    this.#cross("webrtc", asked);
  }

  // What was tried leads nowhere; what is on the screen stays.
  #giveUp(): void {
    const asked = this.#crossing?.asked;
    this.#crossing = undefined;
    if (this.mode !== "hls") return;
    this.#drop("webrtc");
    if (this.#hls) this.#hls.rate = 1;
    if (!asked) return;
    this.#setAway(false);
    this.#hls?.toLive();
  }

  #cross(to: Mode, asked = false): void {
    this.#crossing = { to, since: localNow(), handover: new Handover(this.#hold, to === "webrtc" && !asked), asked, due: false, spare: false };
  }

  #tick(): void {
    const now = localNow();
    if (this.#crossing) this.#steer(this.#crossing, now - this.#crossing.since);
    else if (this.mode === "webrtc" && this.#hold > 0) this.#relax();
    if (!this.#crossing && this.mode === "hls" && !this.#away && this.#hls?.condition.state === "live" && this.#way.look(now)) this.#probe();
  }

  #steer(c: Crossing, after: number): void {
    const [webrtc, hls] = [this.#lag("webrtc"), this.#lag("hls")];
    // The first frames come before it is known when they were captured: that is not dead yet. Neither is a picture that
    // stands still for some seconds of a long crossing.
    const silent = localNow() - Math.max(this.#frameAt.webrtc, c.since);
    if (c.spare) return this.#overtake(c, webrtc);
    const dead = webrtc === undefined && (silent > stale || after > unmeasured);
    if (c.to === "hls" && dead) {
      // The other one is dead: HLS comes to where it stopped, or soon takes over anyhow.
      const caught = hls !== undefined && (this.#last === undefined || this.#hls!.capture! >= this.#last - this.#frame);
      if (caught || (hls !== undefined && (silent > stale ? silent : after) > patience)) this.#complete(c, 0);
      return;
    }
    if (c.to === "webrtc" && webrtc !== undefined && hls === undefined && after > stale) return this.#complete(c, 0);
    // A picture that stands has the lag that it had: it is not where the other one is.
    const [here, there] = (["webrtc", "hls"] as const).map((mode) => this.#moves(mode));
    const steering = c.handover.steer({ to: c.to, webrtc: here ? webrtc : undefined, hls: there ? hls : undefined, frame: this.#frame, after });
    c.due = steering.do === "swap";
    if (steering.do === "swap") return; // with the next picture
    if (steering.do === "jump") return webrtc === undefined ? this.#giveUp() : this.#complete(c, (hls ?? 0) - webrtc);
    if (steering.hold !== this.#hold) this.#viewing?.hold(Math.round((this.#hold = steering.hold)));
    if (this.#hls) this.#hls.rate = steering.rate;
  }

  // The picture that is shown now behind the other one is the one in front, or what comes after it.
  #follows(mode: Mode): boolean {
    if (mode === "hls" && !this.#hls?.arrived) return false;
    const capture = mode === "hls" ? this.#hls?.capture : this.#viewing?.latency.capture;
    return capture !== undefined && this.#last !== undefined && capture > this.#last - this.#frame / 2;
  }

  // Only what is newer shows that it is WebRTC which is silent, and not the publisher.
  #overtake(c: Crossing, webrtc: number | undefined): void {
    if (!this.#way.spare) return this.#spare(false);
    const span = this.#hls?.span;
    c.due = webrtc === undefined && span !== undefined && this.#last !== undefined && span.to >= this.#last + newer;
  }

  #complete(c: Crossing, ahead: number): void {
    this.#crossing = undefined;
    if (c.spare) this.#way.overtaken(localNow());
    if (c.to === "webrtc") this.#setAway(false);
    this.#swap(c.to);
    this.#drop(c.to === "hls" ? "webrtc" : "hls");
    if (c.to === "hls" && this.#hls) this.#hls.rate = 1;
    if (c.to === "webrtc") this.#way.connected();
    if (ahead) this.emit("jumped", c.to === "webrtc" ? ahead : -ahead);
  }

  #swap(to: Mode): void {
    const { stage } = this.#config;
    stage.held = false;
    stage.swap(to);
    stage.sound(this.#muted, this.#volume);
    this.emit("mode", to);
    const condition = to === "hls" ? this.#hls?.condition : this.#viewing?.condition;
    if (condition) this.emit("condition", condition);
    this.emit("layers", []);
    this.emit("sounds", this.#sounds[to]);
    if (to === "hls") this.#hls?.tell();
  }

  // Back to no more delay than the network asks for.
  #relax(): void {
    this.#hold = relaxed(this.#hold, tick);
    this.#viewing?.hold(Math.round(this.#hold));
  }

  #lag(mode: Mode): number | undefined {
    if (localNow() - this.#frameAt[mode] > stale) return undefined;
    return mode === "hls" ? this.#hls?.lag : this.#viewing?.latency.lag;
  }

  #moves(mode: Mode): boolean {
    return localNow() - this.#frameAt[mode] < Math.max(lively, 4 * this.#frame);
  }

  #sampled(s: WatchSample): void {
    if (s.fps && s.fps > 5) this.#frame = 1000 / s.fps;
    this.emit("sample", s);
  }

  #setAway(away: boolean): void {
    this.#away = away;
    if (this.#hls) this.#hls.away = away;
    this.emit("mode", this.mode);
  }

  #drop(mode: Mode): void {
    this.#frameAt[mode] = 0;
    this.#sounds[mode] = [];
    this.#config.stage.screens[mode].deaf();
    if (mode === "hls") {
      const hls = this.#hls;
      this.#hls = undefined;
      hls?.stop();
    } else {
      const viewing = this.#viewing;
      this.#viewing = undefined;
      viewing?.stop();
    }
  }
}
