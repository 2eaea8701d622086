// One stream or asset by HLS in one video element: LL-HLS by hls.js wherever there
// is Media Source, the browser's own HLS elsewhere. Promises that each frame's
// capture time is known where the playlist has dates, and that it goes on after
// whatever passes. Owned by a director.

import type Hls from "hls.js";
import type { ErrorData, HlsConfig as Settings, LevelDetails } from "hls.js";
import { Emitter } from "./emitter";
import type { Condition } from "./condition";
import { SluiceError } from "./errors";
import { captionsOverParts } from "./hls-captions";
import { hlsError } from "./hls-error";
import { type FrameTimes, plausible } from "./latency";
import type { LayerOption } from "./layers";
import { captureAt, mediaAt, pastGap, type Piece, type Span, type Stretch } from "./program";
import { Listing } from "./listing";
import { type Closed, closedOf, cuesOf, hasPictures, levelOf, readLevels, readTracks, smallerLevel, spareLevels, type Tracks } from "./renditions";
import { pause } from "./sse";
import { type Remedy, Standstill } from "./standstill";
import type { WatchSample } from "./stats";
import { HlsStats } from "./hls-stats";
import { localNow } from "./time";

/** HlsSource says what to play, and in which element. */
export interface HlsSource {
  url: string;
  video: HTMLVideoElement;
  token?: string;
  /** live tells that it goes on; else it is an asset, from beginning to end. */
  live: boolean;
  /** at is the capture time to begin with, time the place on the media timeline, in seconds; the live edge or the beginning if both are absent. */
  at?: number;
  time?: number;
  /** near is how far from at the first picture may be, in milliseconds. */
  near?: number;
  /** offset is what to add to localNow() to get the server's time, once it is known. */
  offset?: () => number | undefined;
}

/** HlsEvents are what a playback tells. */
export interface HlsEvents {
  condition: Condition;
  layers: LayerOption[];
  tracks: Tracks;
  sample: WatchSample;
}

/** hasMediaSource tells whether hls.js can play here. Chromium's canPlayType answers "maybe" to HLS, plays it late and knows no dates: it is not asked. */
export function hasMediaSource(): boolean {
  return "ManagedMediaSource" in globalThis || "MediaSource" in globalThis;
}

const pauses = [0, 1000, 2000, 4000, 8000, 15_000];
// A stream that is not there is asked for this often; one whose publisher is away for a moment, that often.
const patience = 3000;
const shortPatience = 1500;
// Repairs of one decoder that follow each other faster lead nowhere.
const repairPause = 5000;
const tick = 1000;
// Seeks are exact but for a frame; the first pictures after a start may be some later.
const near = 1500;
const askings = 3;
// Where no low latency is offered, players stay so far behind.
const usualDelay = 3;
// A picture that stands still for so long, in milliseconds, at a gap will not go on by itself: hls.js (1.7.4) loads what is
// before the gap again and again, or waits for it. So far into what follows, in seconds, there is a picture.
const stuck = 1500;
const inside = 0.05;
// More pieces than these have to be buffered before they count.
const firstParcels = 6;
// So far ahead, in seconds, is gone where a viewer of the past got stuck.
const nudge = 1;

/** HlsPlayback plays. */
export class HlsPlayback extends Emitter<HlsEvents> {
  condition: Condition = { state: "idle" };
  /** away tells that a viewer went back in time: then nothing hurries to the live edge. */
  away = false;
  /** capture is when the frame on the screen was captured, lag how many milliseconds ago. */
  capture: number | undefined;
  lag: number | undefined;
  #source: HlsSource;
  #hls: Hls | undefined;
  #life = new AbortController();
  #turn = 0;
  #tries = 0;
  #repairedAt = -Infinity;
  #placed = false;
  #awaited: number | undefined; // the capture time that was asked for, until it is on the screen
  #asked = 0;
  #shown = false;
  #begun = false; // something was shown of the playlist in use
  #chosen = ""; // the key of a layer, also when the playlist is begun anew
  #steered = false; // somebody else sets the pace
  #buffered = 0; // of the playlist in use, in seconds
  #parcels = 0; // pieces that came of it
  #standstill = new Standstill();
  #listing = new Listing();
  #stats: HlsStats;
  #closed: Closed = { channels: [], shown: "" };

  constructor(source: HlsSource) {
    super();
    this.#source = source;
    this.#stats = new HlsStats(source.video);
  }

  /** details is the playlist in use. */
  get details(): LevelDetails | undefined {
    return this.#hls?.latestLevelDetails ?? undefined;
  }

  /** span is what can be played, by capture time. */
  get span(): Span | undefined {
    const pieces = this.#pieces();
    const [first, last] = [pieces[0], pieces.at(-1)];
    if (!first?.programDateTime || !last?.programDateTime) return undefined;
    return { from: first.programDateTime, to: last.programDateTime + last.duration * 1000 };
  }

  /** selectable tells whether there is a choice of layers. */
  get selectable(): boolean {
    return (this.#hls?.levels.length ?? 0) > 1;
  }

  /** start plays, and keeps at it until stop. */
  start(): void {
    const { signal } = this.#life;
    const { video } = this.#source;
    video.addEventListener("playing", () => this.#flows(), { signal });
    video.addEventListener("timeupdate", () => this.#moved(), { signal });
    video.addEventListener("waiting", () => this.#troubled(), { signal });
    video.addEventListener("seeked", () => this.#flows(), { signal });
    video.addEventListener("ended", () => this.#ended(), { signal });
    this.#set({ state: "loading" });
    void this.#open(); // ends with the signal
    void this.#watch(signal); // ends with the signal
  }

  /** stop leaves for good, and the element empty. */
  stop(): void {
    this.#turn++;
    this.#life.abort();
    this.#hls?.destroy();
    this.#hls = undefined;
    const { video } = this.#source;
    video.playbackRate = 1;
    video.removeAttribute("src");
    video.load();
    this.#set({ state: "idle" });
  }

  /** retry tries at once. */
  retry(): void {
    this.#tries = 0;
    this.#set({ state: this.#shown ? "reconnecting" : "loading" });
    void this.#open();
  }

  /** seek goes to what was captured then. */
  seek(capture: number): void {
    if (this.#awaited !== undefined) this.#awaited = capture;
    const to = mediaAt(this.#pieces(), capture);
    if (to !== undefined) this.#source.video.currentTime = to;
  }

  /** toLive goes to where the live edge is played. */
  toLive(): void {
    this.away = false;
    this.#steered = true;
    this.rate = 1; // the hurry is for who is live
    const { video } = this.#source;
    const to = this.#hls ? this.#hls.liveSyncPosition : video.seekable.length ? video.seekable.end(0) - usualDelay : undefined;
    if (to !== null && to !== undefined) video.currentTime = to;
    if (video.paused) void video.play().catch(() => undefined);
  }

  /** rate sets the speed; 1 leaves the pace to the player itself, which hurries when it is late. */
  set rate(rate: number) {
    const { video, live } = this.#source;
    const own = rate === 1;
    if (own && !this.#steered) return;
    this.#steered = !own;
    if (this.#hls) this.#hls.config.maxLiveSyncPlaybackRate = own && live && !this.away ? catchUp : 1;
    video.playbackRate = rate;
  }

  /** choose plays that layer from the next segment on, undefined for automatic. */
  choose(option: LayerOption | undefined): void {
    this.#chosen = option?.key ?? "";
    if (this.#hls) this.#hls.nextLevel = levelOf(this.#hls, this.#chosen);
  }

  /** tell says again what there is to choose from. */
  tell(): void {
    if (!this.#hls) return;
    this.emit("layers", readLevels(this.#hls));
    this.#tellTracks();
  }

  /** chooseAudio and chooseSubtitle take an index of what "tracks" told; -1 turns subtitles off. */
  chooseAudio(index: number): void {
    if (this.#hls) this.#hls.audioTrack = index;
  }
  chooseSubtitle(index: number): void {
    if (!this.#hls) return;
    this.#hls.subtitleDisplay = false; // read by subtitleText: who shows it knows where there is room
    const plain = this.#hls.subtitleTracks.length;
    this.#closed = { ...this.#closed, shown: this.#closed.channels[index - plain] ?? "" };
    this.#hls.subtitleTrack = index < plain ? index : -1;
    this.#tellTracks();
  }

  /** subtitleText is what is to be read now, a text for each line of it. */
  get subtitleText(): string[] {
    return cuesOf(this.#source.video, this.#closed.shown);
  }

  /** frame is told of each frame on the screen. */
  frame(times: FrameTimes): void {
    const { video, offset } = this.#source;
    this.capture = this.#captureOf(times.mediaTime ?? video.currentTime);
    if (!this.#arrives()) return;
    const clock = offset?.();
    const shown = performance.timeOrigin + (times.expectedDisplayTime || times.presentationTime);
    this.lag = this.capture === undefined || clock === undefined ? undefined : shown + clock - this.capture;
    this.#flows();
  }

  /** arrived tells that what was asked for is on the screen, no longer something else on the way to it. */
  get arrived(): boolean {
    return this.#awaited === undefined;
  }

  /** latency is the lag as a number to show; undefined while a viewer is away from live. */
  get latency(): number | undefined {
    return this.away || this.lag === undefined ? undefined : plausible(this.lag);
  }

  // hls.js may take the live edge for the beginning although it was told another one; it is told again then.
  #arrives(): boolean {
    if (this.#awaited === undefined) return true;
    const there = this.capture === undefined || Math.abs(this.capture - this.#awaited) < (this.#source.near ?? near);
    if (there || this.#asked >= askings) this.#awaited = undefined;
    else if (!this.#source.video.seeking) {
      this.#asked++;
      this.seek(this.#awaited);
    }
    return this.arrived;
  }

  #captureOf(mediaTime: number): number | undefined {
    const { video } = this.#source;
    if (this.#hls) return captureAt(this.#pieces(), mediaTime);
    const start = (video as HTMLVideoElement & { getStartDate?(): Date }).getStartDate?.().getTime();
    return start ? start + mediaTime * 1000 : undefined;
  }

  #pieces(): Piece[] {
    const details = this.details;
    return details ? (details.fragmentHint ? [...details.fragments, details.fragmentHint] : details.fragments) : [];
  }

  async #open(): Promise<void> {
    const turn = ++this.#turn;
    const plays = !this.#source.video.paused; // a new source pauses the element
    this.#hls?.destroy();
    this.#hls = undefined;
    this.#placed = this.#begun = false;
    this.#buffered = this.#parcels = 0;
    this.#awaited = undefined;
    this.#standstill.anew(localNow());
    if (!hasMediaSource()) return this.#native();
    try {
      const { default: Player } = await import("hls.js");
      if (turn !== this.#turn || this.#life.signal.aborted) return;
      const asked = plays || !this.#source.video.paused; // also meanwhile
      this.#adopt(new Player({ ...this.#settings(), timelineController: captionsOverParts(Player.DefaultConfig.timelineController) }), Player.Events);
      if (asked) void this.#source.video.play().catch(() => undefined);
    } catch (cause) {
      if (turn === this.#turn) this.#failed(new SluiceError("network", { cause }));
    }
  }

  #settings(): Partial<Settings> {
    const { token, live, time } = this.#source;
    const own = new URL(this.#source.url).origin;
    const authorized = (url: string) => token !== undefined && new URL(url, own).origin === own; // to nobody else
    return {
      enableWorker: false, // our Content-Security-Policy forbids workers made of blobs
      lowLatencyMode: true,
      startPosition: time ?? (live ? -1 : 0), // a recording that still goes on is watched from its beginning, too
      backBufferLength: 30,
      maxLiveSyncPlaybackRate: live && !this.away ? catchUp : 1,
      capLevelToPlayerSize: true,
      xhrSetup: (xhr: XMLHttpRequest, url: string) => void (authorized(url) && xhr.setRequestHeader("Authorization", `Bearer ${token}`)),
      fetchSetup: (context: { url: string }, init: RequestInit) => {
        const headers = new Headers(init.headers);
        if (authorized(context.url)) headers.set("Authorization", `Bearer ${token}`);
        return new Request(context.url, { ...init, headers });
      },
      emeEnabled: true, // playlists of what is protected name keys; no others ask for any
      drmSystems: { "org.w3.clearkey": { licenseUrl: licenceFor(this.#source.url) } },
      licenseXhrSetup: (xhr: XMLHttpRequest, url: string) => {
        xhr.open("POST", url, true);
        if (authorized(url)) xhr.setRequestHeader("Authorization", `Bearer ${token}`);
      },
    };
  }

  #adopt(hls: Hls, events: typeof Hls.Events): void {
    this.#hls = hls;
    const layers = () => this.emit("layers", readLevels(hls));
    hls.on(events.MANIFEST_LOADED, (_, data) => this.#listing.read([...data.levels, ...data.audioTracks].map(({ url }) => url)));
    hls.on(events.MANIFEST_PARSED, () => {
      spareLevels(hls.levels).forEach((i) => hls.removeLevel(i));
      if (this.#chosen) hls.loadLevel = levelOf(hls, this.#chosen);
    });
    hls.on(events.MANIFEST_LOADED, (_, data) => {
      this.#closed = { channels: closedOf(data.captions), shown: "" };
      if (this.#closed.channels.length) this.#tellTracks();
    });
    hls.on(events.ERROR, (_, data) => this.#trouble(data));
    hls.on(events.LEVEL_LOADED, (_, data) => this.#place(data.details));
    for (const name of [events.MANIFEST_PARSED, events.LEVEL_SWITCHED, events.AUDIO_TRACK_SWITCHED] as const) hls.on(name, layers);
    for (const name of [events.AUDIO_TRACKS_UPDATED, events.SUBTITLE_TRACKS_UPDATED, events.AUDIO_TRACK_SWITCHED] as const) hls.on(name, () => this.#tellTracks());
    hls.on(events.BUFFER_APPENDED, (_, { timeRanges }) => (this.#buffered = least(timeRanges)));
    hls.on(events.FRAG_LOADED, (_, data) => {
      this.#parcels++;
      this.#stats.loaded((data.payload as ArrayBuffer).byteLength, localNow());
    });
    hls.loadSource(this.#source.url);
    hls.attachMedia(this.#source.video);
  }

  // Only with the first playlist is known where in it a capture time lies.
  #place(details: LevelDetails): void {
    const { at } = this.#source;
    if (this.#placed || at === undefined || !this.#hls) return;
    this.#placed = true;
    const to = mediaAt(details.fragments, at);
    if (to === undefined) return;
    const edge = this.#hls.liveSyncPosition;
    if (details.live && !this.away && edge !== null && to > edge) return; // not there yet: the live edge comes to it
    [this.#awaited, this.#asked] = [captureAt(details.fragments, to), 0];
    this.#hls.startLoad(to);
  }

  #native(): void {
    const { video, url, token, time } = this.#source;
    const address = new URL(url);
    if (token) address.searchParams.set("token", token); // no header can be set there
    video.src = address.href;
    const { signal } = this.#life;
    video.addEventListener("error", () => this.#failed(new SluiceError(video.error?.code === 2 ? "network" : "media", { detail: video.error?.message })), { signal, once: true });
    if (time !== undefined) video.addEventListener("loadedmetadata", () => (video.currentTime = time), { signal, once: true });
  }

  #trouble(data: ErrorData): void {
    if (this.#nothingYet(data)) {
      this.#set({ state: "waiting" });
      return void this.#later(shortPatience);
    }
    if (!data.fatal) return;
    const error = hlsError(data);
    if (data.type === "mediaError" && localNow() - this.#repairedAt > repairPause) {
      this.#repairedAt = localNow();
      this.#troubled();
      return this.#hls?.recoverMediaError();
    }
    this.#failed(error);
  }

  // Where a viewer begins there is a gap in every layer: the publisher is away for a moment, or has just come back. hls.js
  // would start behind the gap, and wait for sound from before it for ever (1.7.4: the sound waits for the timestamps of a
  // picture with the same discontinuity number, and there is none).
  #nothingYet({ details, frag, errorAction }: ErrorData): boolean {
    const all = details === "fragGap" && frag?.type === "main" && errorAction?.nextAutoLevel === undefined;
    if (!all || this.#begun || this.away || !this.#source.live || !this.#hls) return false;
    this.#hls.stopLoad(); // else it would say so again and again
    return true;
  }

  #failed(error: SluiceError): void {
    const { live } = this.#source;
    const absent = error.why === "missing" || error.why === "not-live";
    if (absent ? !live : !error.retry) {
      this.#hls?.destroy();
      this.#hls = undefined;
      return this.#set({ state: "refused", error });
    }
    // A stream that was there and is not any more has ended; its playlists may live a moment longer.
    if (absent) this.#set({ state: this.#shown ? "ended" : "waiting", error });
    else if (globalThis.navigator?.onLine === false) this.#set({ state: "offline", error });
    else this.#set({ state: "reconnecting", error });
    const after = absent ? patience : Math.max(error.retryAfter, pauses[Math.min(this.#tries++, pauses.length - 1)]!);
    void this.#later(after * (1 + 0.2 * Math.random()));
  }

  async #later(ms: number): Promise<void> {
    const turn = ++this.#turn;
    await pause(ms, this.#life.signal);
    if (turn !== this.#turn || this.#life.signal.aborted) return;
    // Where it was: a new playlist begins at the live edge by itself, an asset at its beginning.
    if (this.#shown) Object.assign(this.#source, { at: this.away ? this.capture : undefined, time: this.#source.live ? undefined : this.#source.video.currentTime });
    void this.#open();
  }

  async #watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await pause(tick, signal);
      if (signal.aborted) continue;
      this.#look();
      if (!this.#shown) continue;
      const level = this.#hls?.levels[this.#hls.currentLevel];
      this.emit("sample", this.#stats.sample(localNow(), { latency: this.latency, codec: level?.codecs ?? "", transport: "HLS" }));
    }
  }

  // hls.js waits for good for what never comes in some cases; what is asked of it then is what a person would do.
  #look(): void {
    const { live, video } = this.#source;
    const { details } = this;
    if (!this.#hls || !details) return;
    const plays = !video.paused && !video.ended && globalThis.document?.visibilityState !== "hidden";
    const remedy = this.#standstill.look({ now: localNow(), at: video.currentTime, edge: details.edge, plays, frames: this.#frames(this.#hls), held: this.#held, fresh: !this.#begun });
    if (remedy === "blind" || (live && plays && this.#begun && this.#listing.look(localNow(), reportsOf(details)))) return this.#anew();
    const past = this.#standstill.still < stuck || !this.#shown ? undefined : pastGap(this.#stretches(details), video.currentTime, details.targetduration);
    if (past !== undefined) video.currentTime = live && !this.away ? Math.max(past + inside, this.#hls.liveSyncPosition ?? 0) : past + inside;
    else if (remedy && live) this.#mend(this.#hls, remedy);
  }

  // Nothing is buffered before both picture and sound have come: the first pieces are as good.
  get #held(): number {
    return this.#buffered + Math.min(this.#parcels, firstParcels) / 10;
  }

  // A recording may have a picture that stands for minutes: there only the first is missed.
  #frames(hls: Hls): number | undefined {
    const { live, video } = this.#source;
    const frames = video.getVideoPlaybackQuality?.().totalVideoFrames;
    return hasPictures(hls.levels) && !video.seeking && (live || frames === 0) ? frames : undefined;
  }

  #anew(): void {
    this.#troubled();
    void this.#later(0);
  }

  // The segment that is being made counts once it has something.
  #stretches({ fragments, fragmentHint, partList }: LevelDetails): Stretch[] {
    const media = partList?.some((p) => p.fragment === fragmentHint && !p.gap);
    return fragmentHint && media ? [...fragments, fragmentHint] : fragments;
  }

  #mend(hls: Hls, remedy: Remedy): void {
    const { video } = this.#source;
    const other = smallerLevel(hls);
    if (remedy === "reload") return this.#anew();
    this.#troubled();
    if (remedy === "layer" && other !== undefined) {
      hls.stopLoad();
      this.#chosen = "";
      hls.loadLevel = -1; // also a layer that was chosen: better another picture than none
      hls.nextAutoLevel = other;
      hls.startLoad(video.currentTime || -1);
    } else {
      const to = this.away ? video.currentTime + nudge : (hls.liveSyncPosition ?? undefined);
      if (to !== undefined) video.currentTime = to;
    }
  }

  // Sound alone has no frames.
  #moved(): void {
    const { video } = this.#source;
    if (video.videoWidth === 0 && video.readyState >= 3) this.frame({ expectedDisplayTime: performance.now(), presentationTime: performance.now(), mediaTime: video.currentTime });
  }

  #flows(): void {
    if (this.#source.video.readyState < 2 || !this.arrived) return;
    this.#shown = this.#begun = true;
    this.#tries = 0;
    this.#set({ state: this.#source.live && !this.away ? "live" : "playing" });
  }

  #troubled(): void {
    if (this.condition.state === "live" || this.condition.state === "playing") this.#set({ state: "reconnecting" });
  }

  #ended(): void {
    if (!this.#source.live) return; // an asset rests on its last picture
    this.#set({ state: "ended" });
    void this.#later(patience);
  }

  #tellTracks(): void {
    if (this.#hls) this.emit("tracks", readTracks(this.#hls, this.#closed));
  }

  #set(condition: Condition): void {
    if (this.condition.state === condition.state && this.condition.error === condition.error) return;
    this.condition = condition;
    this.emit("condition", condition);
  }
}

// Whoever fell behind comes back within some seconds, and hears nothing of it.
const catchUp = 1.08;

// Beside the playlist, and with the token of a link that plays it.
function licenceFor(playlist: string): string {
  const url = new URL("licence", playlist);
  const token = new URL(playlist).searchParams.get("token");
  if (token) url.searchParams.set("token", token);
  return url.href;
}

const reportsOf = (details: LevelDetails): string[] => (details.renditionReports ?? []).flatMap((r) => r.URI ?? []);

// The least that is buffered of pictures or of sound, in seconds.
function least(ranges: Partial<Record<string, TimeRanges>>): number {
  const all = Object.values(ranges).map((r) => {
    let seconds = 0;
    for (let i = 0; r && i < r.length; i++) seconds += r.end(i) - r.start(i);
    return seconds;
  });
  return all.length ? Math.min(...all) : 0;
}
