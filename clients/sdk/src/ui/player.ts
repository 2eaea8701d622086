// <sluice-player src="…/whep/{stream}"> plays a live stream, <sluice-player asset="…">
// a recording: at once and muted, with all states, controls and keys. Promises its
// state in the state attribute, and the way, the latency and the capture time of
// the frame on the screen in data-mode, data-latency-ms and data-capture-ms.

import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import type { Condition, Delivery, FrameTimes, LayerOption, Mode, Span, Track, Tracks, Viewing, WatchSample } from "../core";
import { t } from "../text";
import { addresses, type Addresses } from "./address";
import { captionLayer, Captions, captionStyle } from "./captions";
import { Director } from "./director";
import { send } from "./events";
import { clock } from "./format";
import { type Command, commandOf } from "./keys";
import { layerMenu, soundMenu, speedMenu, subtitleMenu } from "./menus";
import { menuStyle } from "./menu-style";
import { playerStyle } from "./player-style";
import { bar, card, help, sheet, top, words } from "./player-view";
import { loadSheets } from "./sheets";
import { Stage } from "./stage";
import type { Sheets } from "./timeline";
import { controls, tokens } from "./tokens";

// A number that changes faster than twice a second cannot be read.
const readoutPause = 500;
// Controls step back after this, as a film does not want them.
const quietAfter = 3000;
const remembered = 60; // samples, one a second
const step = 10_000; // of J and L, in milliseconds
const noteTime = 5000;

type Opened = "" | "layers" | "help" | "stats" | "speed" | "captions" | "sounds";

/** SluicePlayer plays one stream or one asset. */
export class SluicePlayer extends LitElement {
  static override properties = {
    src: {}, hls: {}, asset: {}, storyboard: {}, delivery: {}, audio: {}, token: {}, server: {}, keys: {}, manual: { type: Boolean }, state: { reflect: true },
    condition: { state: true }, layers: { state: true }, tracks: { state: true }, sounds: { state: true }, chosen: { state: true }, latency: { state: true }, opened: { state: true }, note: { state: true },
    paused: { state: true }, ended: { state: true }, muted: { type: Boolean, reflect: true }, volume: { state: true }, speed: { state: true }, quiet: { state: true }, fullscreen: { state: true }, pictured: { state: true },
  };
  static override styles = [tokens, controls, playerStyle, menuStyle, captionStyle];

  /** src is the WHEP endpoint, or a playlist (.m3u8). */
  declare src: string;
  /** hls is the live playlist, if not /live/{stream}/index.m3u8 of the same server. */
  declare hls: string;
  /** asset is the name of a recording, instead of src. */
  declare asset: string;
  declare storyboard: string;
  /** delivery is the policy: "auto", "webrtc" or "hls". */
  declare delivery: Delivery;
  declare token: string;
  /** server is the root of the API; the origin of src if empty. */
  declare server: string;
  /** keys="page" listens to keys of the whole page. */
  declare keys: string;
  /** manual leaves the start to a press of play. */
  declare manual: boolean;
  declare state: string;
  declare condition: Condition;
  declare layers: LayerOption[];
  declare tracks: Tracks;
  /** audio is the track to begin with, by its language or id. */
  declare audio: string;
  /** sounds are the audio tracks to choose from. */
  declare sounds: Track[];
  declare chosen: string;
  declare latency: number | undefined;
  declare opened: Opened;
  /** note is what is said for a moment. */
  declare note: string;
  declare paused: boolean;
  /** ended tells that an asset rests on its last picture. */
  declare ended: boolean;
  declare muted: boolean;
  declare volume: number;
  declare speed: number;
  declare quiet: boolean;
  declare fullscreen: boolean;
  declare pictured: boolean;
  /** samples are the last minute's, one a second. */
  samples: WatchSample[] = [];
  /** sheets are the small pictures to seek by. */
  sheets: Sheets | undefined;
  #director: Director | undefined;
  #captions: Captions | undefined;
  #found: Addresses | undefined;
  #stage: Stage | undefined;
  #readout = 0;
  #target: number | undefined; // where it was sent to, until it is there
  #quietTimer: ReturnType<typeof setTimeout> | undefined;
  #noteTimer: ReturnType<typeof setTimeout> | undefined;
  #life: AbortController | undefined;
  #show: AbortController | undefined;

  constructor() {
    super();
    Object.assign(this, { src: "", hls: "", asset: "", storyboard: "", delivery: "auto", token: "", server: "", keys: "", manual: false, state: "idle", condition: { state: "idle" }, layers: [], tracks: { audio: [], subtitles: [] }, audio: "", sounds: [] });
    Object.assign(this, { chosen: "", opened: "", note: "", paused: false, ended: false, muted: true, volume: 1, speed: 1, quiet: false, fullscreen: false, pictured: false });
  }

  /** selectable tells whether a layer may be chosen. */
  get selectable(): boolean {
    return this.#director?.selectable === true;
  }

  /** viewing and director are the machinery at work, for those who want to look inside. */
  get viewing(): Viewing | undefined {
    return this.#director?.viewing;
  }
  get director(): Director | undefined {
    return this.#director;
  }

  /** recorded tells that it plays an asset, which has a beginning and an end. */
  get recorded(): boolean {
    return this.#found?.asset === true;
  }

  /** away tells that the viewer has gone back in a live stream. */
  get away(): boolean {
    return this.#director?.away === true;
  }

  /** media is the element in front. */
  get media(): HTMLVideoElement | undefined {
    return this.#stage?.video;
  }

  /** span is what there is to seek in, in milliseconds: capture times of a live stream, times of an asset. Undefined where there is no seeking. */
  get span(): Span | undefined {
    if (this.recorded) return this.media && this.media.duration > 0 ? { from: 0, to: 1000 * (Number.isFinite(this.media.duration) ? this.media.duration : this.media.seekable.end(this.media.seekable.length - 1)) } : undefined;
    const d = this.#director;
    if (!d?.past.known) return undefined;
    return { from: d.span?.from ?? d.now, to: d.now }; // empty until it is known
  }

  /** at is where in the span it is. */
  get at(): number {
    if (this.#target !== undefined) return this.#target;
    if (this.recorded) return (this.media?.currentTime ?? 0) * 1000;
    return this.away ? (this.#director?.capture ?? 0) : (this.#director?.now ?? 0);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const { signal } = (this.#life = new AbortController());
    (this.keys === "page" ? document : this).addEventListener("keydown", (e) => this.#key(e as KeyboardEvent), { signal });
    for (const name of ["pointermove", "pointerdown", "focusin"]) this.addEventListener(name, () => (this.#wake(), this.#wonder()), { signal });
    document.addEventListener("fullscreenchange", () => (this.fullscreen = document.fullscreenElement === this), { signal });
    window.addEventListener("pagehide", () => this.stop(), { signal });
    window.addEventListener("pageshow", (e) => e.persisted && this.start(), { signal });
    if (this.hasUpdated && !this.manual) this.start();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#life?.abort();
    this.stop();
  }

  /** start begins to watch. */
  start(): void {
    this.stop();
    const found = (this.#found = addresses(this, location.href));
    if (!found || !this.#stage) return;
    const show = (this.#show = new AbortController());
    const token = this.token || undefined;
    this.#stage.front = found.whep && this.delivery !== "hls" ? "webrtc" : "hls";
    const director = (this.#director = new Director({ ...found, token, delivery: this.delivery, audio: this.audio, stage: this.#stage }));
    director.sound(this.muted, this.volume);
    director.on("condition", (c) => this.#condition(c));
    director.on("layers", (l) => ((this.layers = l), (this.chosen = l.some((x) => x.key === this.chosen) ? this.chosen : ""), send(this, "sluice-layers", l)));
    const captions = (this.#captions = new Captions({
      url: found.asset || !found.name ? "" : new URL(`/v1/streams/${found.name}/captions`, found.api).href,
      token, offset: () => director.clock.offset, mode: () => director.mode, playback: () => director.playback,
      changed: () => ((this.tracks = captions.tracks()), this.requestUpdate()),
    }));
    director.on("tracks", (tracks) => ((this.tracks = captions.tracks(tracks)), captions.follow()));
    director.on("sounds", (sounds) => (this.sounds = sounds));
    director.on("viewers", (n) => send(this, "sluice-viewers", n));
    director.on("sample", (s) => this.#sample(s));
    director.on("blocked", () => (this.paused = true)); // the play button then does it
    director.on("past", () => this.requestUpdate());
    director.on("mode", (mode) => this.#mode(mode));
    director.on("jumped", (ms) => this.#say(t(ms > 0 ? "jumped.ahead" : "jumped.back", { time: clock(Math.abs(ms) + 500) })));
    captions.start();
    director.start();
    this.#mode(director.mode);
    if (found.storyboard) void loadSheets(found.storyboard, token, show.signal).then((s) => ((this.sheets = s), this.requestUpdate()));
  }

  /** stop leaves the stream. */
  stop(): void {
    this.#show?.abort();
    this.#director?.stop();
    this.#director = undefined;
    this.#captions?.stop();
    this.#target = undefined;
    this.sheets = undefined;
    this.tracks = { audio: [], subtitles: [] };
    this.sounds = [];
    this.#setLatency(undefined);
  }

  retry(): void {
    if (this.#director) this.#director.retry();
    else this.start();
  }

  toggle(): void {
    if (!this.#director) this.start();
    else if (this.media?.paused) void this.media.play().catch(() => undefined);
    else this.media?.pause();
  }

  toggleMute(): void {
    this.muted = !this.muted;
    if (!this.muted && this.volume === 0) this.volume = 0.5;
    if (!this.recorded || !this.ended) void this.media?.play().catch(() => undefined);
  }

  setVolume(v: number): void {
    this.volume = Math.min(1, Math.max(0, v));
    this.muted = this.volume === 0;
  }

  /** setSpeed plays an asset, or the past of a stream, faster or slower. */
  setSpeed(speed: number): void {
    this.speed = speed;
    if (this.media) this.media.playbackRate = speed;
    this.close();
  }

  /** seek goes to a place in the span. */
  seek(to: number): void {
    const span = this.span;
    if (!span || !this.media) return;
    this.#target = Math.min(span.to, Math.max(span.from, to));
    this.ended = false;
    if (this.recorded) this.media.currentTime = this.#target / 1000;
    else this.#director?.rewind(this.#target);
    if (this.media.paused && !this.recorded) void this.media.play().catch(() => undefined);
    this.requestUpdate();
  }

  /** seekBy goes back or ahead; ahead of all that is there is live. */
  seekBy(ms: number): void {
    const span = this.span;
    if (!span) return void this.#wonder();
    if (!this.recorded && !this.away && ms > 0) return;
    const to = this.at + ms;
    // What is captured now takes some seconds to be packaged.
    if (!this.recorded && to > span.to - 4000) this.toLive();
    else this.seek(to);
  }

  /** toLive comes home from the past. */
  toLive(): void {
    this.#target = undefined;
    this.speed = 1;
    if (this.media) this.media.playbackRate = 1;
    this.#director?.live();
  }

  toggleFullscreen(): void {
    const video = this.media as (HTMLVideoElement & { webkitEnterFullscreen?(): void }) | undefined;
    if (document.fullscreenElement === this) void document.exitFullscreen();
    else if (typeof this.requestFullscreen === "function") void this.requestFullscreen().catch(() => undefined);
    else video?.webkitEnterFullscreen?.(); // phones that let only a video fill the screen
  }

  togglePip(): void {
    if (document.pictureInPictureElement) void document.exitPictureInPicture();
    else void this.media?.requestPictureInPicture?.().catch(() => undefined); // refused before the first frame
  }

  toggleStats(): void {
    const open = this.opened !== "stats";
    // In full screen a page has nowhere else to show them.
    if (!send(this, "sluice-stats", { open }) && !this.fullscreen) return;
    this.opened = open ? "stats" : "";
  }

  open(what: Exclude<Opened, "" | "stats">): void {
    this.opened = this.opened === what ? "" : what;
    const first = '[role="menuitemradio"][aria-checked="true"], .sheet button';
    if (this.opened) void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(first)?.focus());
  }

  close(): void {
    const back = this.opened && this.renderRoot.querySelector<HTMLElement>(`#${this.opened}`);
    this.opened = "";
    if (back) back.focus();
  }

  choose(layer: LayerOption | undefined): void {
    const before = this.chosen;
    this.chosen = layer?.key ?? "";
    this.close();
    void this.#director?.choose(layer).catch(() => (this.chosen = before));
  }

  chooseTrack(_kind: "captions", index: number): void {
    this.#captions?.choose(index);
    this.close();
  }

  /** listen turns to an audio track. */
  listen(sound: Track): void {
    this.#director?.listen(sound);
    this.close();
  }

  protected override firstUpdated(): void {
    const find = this.renderRoot.querySelector.bind(this.renderRoot);
    this.#stage = new Stage(find<HTMLVideoElement>("video.webrtc")!, find<HTMLVideoElement>("video.hls")!, find("canvas")!, (mode, times) => this.#frame(mode, times));
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has("muted") || changed.has("volume")) (this.#director ?? this.#stage!).sound(this.muted, this.volume);
    const what = ["src", "hls", "asset", "token", "server"].some((name) => changed.has(name));
    if (what && (this.#director || !this.manual)) this.start();
    else if (changed.has("delivery")) this.#director?.allow(this.delivery);
  }

  protected override render(): TemplateResult {
    const { title, line } = words(this);
    const plays = this.state === "live" || this.state === "playing";
    const kept = this.pictured && ["waiting", "reconnecting", "offline"].includes(this.state);
    const label = t("picture", { stream: this.#found?.name ?? "" });
    return html`
      <div class=${this.quiet && plays && !this.opened && !this.paused ? "quiet" : ""} @click=${() => this.#tapped()} role="group" aria-label=${t("player")}>
        ${["webrtc", "hls"].map((way) => html`<video class=${way} playsinline aria-label=${label} .muted=${true} @playing=${(e: Event) => this.#plays(e)} @pause=${(e: Event) => this.#rests(e)} @ended=${(e: Event) => this.#rests(e)}
          @timeupdate=${(e: Event) => this.#moves(e)} @durationchange=${() => this.requestUpdate()}></video>`)}
        <canvas class="still" hidden></canvas>
        ${captionLayer(this.#captions?.lines ?? [], this.#captions?.language ?? "")}
        ${card(this)}
        ${plays ? top(this) : nothing}
        ${plays || kept ? bar(this) : nothing}
        ${this.opened === "layers" ? layerMenu(this) : nothing}
        ${this.opened === "speed" ? speedMenu(this) : nothing}
        ${this.opened === "captions" ? subtitleMenu(this) : nothing}
        ${this.opened === "sounds" ? soundMenu(this) : nothing}
        ${this.opened === "help" ? help(this) : nothing}
        ${this.opened === "stats" ? sheet(this, t("stats"), html`<sluice-stats .player=${this}></sluice-stats>`) : nothing}
        ${this.note ? html`<div class="note" role="status">${this.note}</div>` : nothing}
      </div>
      <div class="sr" role="status" aria-live="polite">${title}. ${line}</div>
    `;
  }

  #condition(c: Condition): void {
    const before = this.state;
    this.condition = c;
    this.state = c.state;
    if (c.state === "live" && before !== "live") {
      this.#wake();
      if (this.#director && !this.#director.past.known) void this.#director.past.find().then(() => this.requestUpdate());
    }
    if (c.state !== "live") this.#setLatency(undefined);
    send(this, "sluice-condition", c);
  }

  #mode(mode: Mode): void {
    this.dataset.mode = mode;
    if (this.#captions) this.tracks = this.#captions.tracks();
    send(this, "sluice-mode", { mode, away: this.away });
    this.requestUpdate();
  }

  #frame(mode: Mode, times: FrameTimes): void {
    const d = this.#director;
    d?.frame(mode, times);
    if (!d || mode !== d.mode || this.#stage?.held) return;
    if (!this.pictured) this.pictured = true;
    if (d.capture === undefined) delete this.dataset.captureMs;
    else this.dataset.captureMs = String(Math.round(d.capture));
    const now = performance.now();
    if (now - this.#readout < readoutPause) return;
    this.#readout = now;
    if (this.away && (this.#target === undefined || Math.abs((d.capture ?? 0) - this.#target) < 3000)) this.#target = undefined;
    this.#setLatency(d.latency);
    this.requestUpdate();
  }

  #setLatency(value: number | undefined): void {
    this.latency = value === undefined ? undefined : Math.round(value);
    if (this.latency === undefined) delete this.dataset.latencyMs;
    else this.dataset.latencyMs = String(this.latency);
    this.dataset.latencyFrom = this.#director?.latencyFrom ?? "";
  }

  #sample(s: WatchSample): void {
    this.samples = [...this.samples, s].slice(-remembered);
    if (s.latency === undefined) this.#setLatency(undefined); // nothing was shown for a second
    send(this, "sluice-sample", s);
  }

  // Asked only when somebody is there who may want to go back.
  #wonder(): void {
    const past = this.#director?.past;
    if (this.recorded || !past?.known) return;
    void past.look().then(() => this.requestUpdate());
  }

  #say(text: string): void {
    this.note = text;
    clearTimeout(this.#noteTimer);
    this.#noteTimer = setTimeout(() => (this.note = ""), noteTime);
  }

  #plays(e: Event): void {
    if (e.target !== this.media) return;
    this.paused = false;
    this.ended = false;
    if (this.media && (this.recorded || this.away)) this.media.playbackRate = this.speed;
  }

  #rests(e: Event): void {
    if (e.target !== this.media) return;
    this.paused = true;
    this.ended = this.recorded && this.media!.ended;
  }

  #moves(e: Event): void {
    if (e.target !== this.media || !this.recorded) return;
    this.#target = undefined;
    this.requestUpdate();
  }

  #tapped(): void {
    if (this.opened) return this.close();
    if (this.state !== "live" && !this.pictured) return;
    if (this.muted && !this.recorded) this.toggleMute();
    else if (matchMedia("(hover: none)").matches && this.quiet) this.#wake();
    else this.toggle();
  }

  #wake(): void {
    this.quiet = false;
    clearTimeout(this.#quietTimer);
    this.#quietTimer = setTimeout(() => (this.quiet = true), quietAfter);
  }

  #step(by: 1 | -1): void {
    if (this.recorded) return this.seekBy((by * step) / 2); // in a film arrows seek
    const shown = this.samples.at(-1);
    const active = this.layers.filter((l) => l.active);
    if (!this.selectable || active.length < 2) return;
    const at = active.findIndex((l) => (this.chosen ? l.key === this.chosen : l.current || l.height === shown?.height));
    const next = active[Math.min(active.length - 1, Math.max(0, at - by))];
    if (next && next.key !== this.chosen) this.choose(next);
  }

  #key(event: KeyboardEvent): void {
    const command = commandOf(event);
    if (!command || (command === "close" && !this.opened)) return;
    const acts: Record<Command, () => void> = {
      play: () => this.toggle(), mute: () => this.toggleMute(), fullscreen: () => this.toggleFullscreen(),
      louder: () => this.setVolume(this.volume + 0.1), quieter: () => this.setVolume(this.volume - 0.1),
      better: () => this.#step(1), smaller: () => this.#step(-1), back: () => this.seekBy(-step), forward: () => this.seekBy(step),
      captions: () => this.#captions?.toggle(), stats: () => this.toggleStats(), pip: () => this.togglePip(), help: () => this.open("help"), close: () => this.close(),
    };
    event.preventDefault();
    this.#wake();
    acts[command]();
  }
}
