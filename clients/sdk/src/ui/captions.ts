// Captions over the picture, whichever way it comes: by HLS as its subtitles, by
// WebRTC as the server's events. Promises that the reader's language stays chosen
// when the way changes and for the next time. Owned by a player.

import { css, html, nothing, type TemplateResult } from "lit";
import { type HlsPlayback, LiveCaptions, type Mode, type Track, type Tracks } from "../core";

// How often the text is looked at: nobody sees a fifth of a second.
const tick = 200;
// More lines than this hide the picture: the newest are shown.
const most = 4;
const key = "sluice.captions";

/** CaptionWays is what captions come from. */
export interface CaptionWays {
  /** url is where a live stream's captions are told; empty for assets. */
  url: string;
  token?: string;
  offset(): number | undefined;
  mode(): Mode;
  playback(): HlsPlayback | undefined;
  /** changed is called when there is something else to show. */
  changed(): void;
}

/** Captions are those of one player while it plays. */
export class Captions {
  /** lines are what is to be read now. */
  lines: string[] = [];
  #ways: CaptionWays;
  #live: LiveCaptions | undefined;
  #tracks: Tracks = { audio: [], subtitles: [] };
  #language = load();
  #last = this.#language; // what the key turns on again
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(ways: CaptionWays) {
    this.#ways = ways;
  }

  start(): void {
    const { url, token, offset } = this.#ways;
    if (url) {
      this.#live = new LiveCaptions({ url, token, offset });
      this.#live.on("languages", () => this.#ways.changed());
      this.#live.start();
    }
    this.#timer = setInterval(() => this.#look(), tick);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#live?.stop();
    this.lines = [];
  }

  /** tracks are those of HLS with the languages that there are now, whatever the way. */
  tracks(of: Tracks = this.#tracks): Tracks {
    this.#tracks = of;
    return { audio: of.audio, subtitles: this.#subtitles() };
  }

  /** follow chooses again what was chosen, in a playback that has just told its tracks. */
  follow(): void {
    const at = this.#tracks.subtitles.findIndex((s) => same(s.language, this.#language));
    const now = this.#tracks.subtitles.findIndex((s) => s.current);
    if (at !== now) this.#ways.playback()?.chooseSubtitle(at);
  }

  /** choose takes an index of the subtitles, -1 for none. */
  choose(index: number): void {
    const one = this.#subtitles().find((s) => s.index === index);
    this.#language = one?.language ?? "";
    if (one) this.#last = this.#language;
    save(this.#language);
    if (this.#ways.mode() === "hls") this.#ways.playback()?.chooseSubtitle(index);
    this.#look();
    this.#ways.changed();
  }

  /** language is the one that is chosen; empty for none. */
  get language(): string {
    return this.#language;
  }

  /** toggle turns them off, or on in the language of before, the reader's, or the first. */
  toggle(): void {
    const all = this.#subtitles();
    if (all.some((s) => s.current)) return this.choose(-1);
    const wanted = [this.#last, ...navigator.languages, ...navigator.languages.map((l) => l.split("-")[0]!)];
    const one = wanted.map((w) => all.find((s) => same(s.language, w))).find((s) => s) ?? all[0];
    if (one) this.choose(one.index);
  }

  #subtitles(): Track[] {
    const named = (name: string, language: string) => languageName(language) || name || language;
    const current = (language: string) => this.#language !== "" && same(language, this.#language);
    if (this.#ways.mode() === "hls") return this.#tracks.subtitles.map((s) => ({ ...s, name: named(s.name, s.language) }));
    return (this.#live?.languages ?? []).map((language, index) => ({ index, language, name: named("", language), current: current(language) }));
  }

  #look(): void {
    const texts = !this.#language ? [] : this.#ways.mode() === "hls" ? (this.#ways.playback()?.subtitleText ?? []) : (this.#live?.at(this.#language) ?? []);
    const lines = texts.flatMap((text) => text.split("\n")).slice(-most);
    if (lines.join("\n") === this.lines.join("\n")) return;
    this.lines = lines;
    this.#ways.changed();
  }
}

/** captionLayer shows what is to be read, above the controls. Screen readers hear the sound: for them it is no news. */
export function captionLayer(lines: string[], lang: string): TemplateResult | typeof nothing {
  if (!lines.length) return nothing;
  return html`<div class="captions" lang=${lang || nothing} dir="auto">${lines.map((line) => html`<span>${line}</span>`)}</div>`;
}

/** captionStyle is light on dark in both themes, and as large as the picture allows. */
export const captionStyle = css`
  .captions {
    position: absolute;
    z-index: 3;
    left: 5%;
    right: 5%;
    bottom: calc(var(--s-touch) + var(--s-8) + var(--s-2));
    display: grid;
    justify-items: center;
    gap: 2px;
    pointer-events: none;
    font-size: clamp(0.9375rem, 3.4cqi, 2.25rem);
    line-height: 1.35;
    font-weight: 500;
    text-align: center;
  }
  .quiet .captions {
    bottom: 6%;
  }
  .captions span {
    padding: 0 0.45em;
    border-radius: 4px;
    background: rgb(0 0 0 / 0.8);
    color: #fff;
    overflow-wrap: anywhere;
  }
`;

// What its speakers call a language; nothing where the browser does not know.
function languageName(tag: string): string {
  try {
    const name = new Intl.DisplayNames([tag], { type: "language", fallback: "none" }).of(tag);
    return name && tag !== "und" ? name[0]!.toLocaleUpperCase(tag) + name.slice(1) : "";
  } catch {
    return "";
  }
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function load(): string {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return ""; // no storage: they are off at first
  }
}

function save(language: string): void {
  try {
    localStorage.setItem(key, language);
  } catch {
    // Private windows may refuse; then it is asked again next time.
  }
}
