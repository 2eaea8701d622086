// Captions of a live stream as they come: GET /v1/streams/{stream}/captions.
// Promises that each is shown as soon as it is there and meant to be, and not longer
// than it should be. Owned by whoever shows them.

import { Emitter } from "./emitter";
import { listen, pause } from "./sse";
import { localNow } from "./time";

/** CaptionSource says whose captions. */
export interface CaptionSource {
  /** url is the stream's: /v1/streams/{stream}/captions. */
  url: string;
  token?: string;
  /** offset is what to add to localNow() to get the server's time, once it is known. */
  offset?: () => number | undefined;
}

/** CaptionEvents are what a listener tells. */
export interface CaptionEvents {
  /** languages that there have been, as tags of RFC 5646. */
  languages: string[];
}

interface Line {
  language: string;
  text: string;
  from: number; // localNow()
  to: number;
  start: number; // as the server says
}

// What is over, or more than anybody reads at once, is not kept.
const kept = 50;
// Whoever comes in the middle of a line still has to read it.
const least = 1000;
// A server that does not answer is asked again after this.
const patience = 10_000;

/** LiveCaptions listens. */
export class LiveCaptions extends Emitter<CaptionEvents> {
  languages: string[] = [];
  #source: CaptionSource;
  #lines: Line[] = [];
  #life = new AbortController();

  constructor(source: CaptionSource) {
    super();
    this.#source = source;
  }

  /** start listens until stop. */
  start(): void {
    void this.#run(this.#life.signal); // ends with the signal
  }

  stop(): void {
    this.#life.abort();
  }

  /** at is what is to be read now, a text for each line of it. */
  at(language: string, now = localNow()): string[] {
    return this.#lines.filter((l) => l.language === language && l.from <= now && now < l.to).map((l) => l.text);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { url, token } = this.#source;
    while (!signal.aborted) {
      let gone = false;
      await listen({ url, token, signal, onEvent: (e) => this.#take(e.name, e.data), onGone: (error) => (gone = !error.retry) });
      if (gone) return; // this server has none, or not for us
      await pause(patience, signal);
    }
  }

  #take(name: string, data: string): void {
    try {
      const value = JSON.parse(data) as unknown;
      if (name === "languages" && Array.isArray(value)) {
        this.languages = value.map(String);
        this.emit("languages", this.languages);
      } else if (name === "caption") this.#add(value as { language: string; text: string; start: number; end: number });
    } catch {
      // Not ours: the next one may be.
    }
  }

  #add(c: { language: string; text: string; start: number; end: number }): void {
    const now = localNow();
    const offset = this.#source.offset?.();
    const ahead = offset === undefined ? 0 : Math.max(0, c.start - now - offset);
    const left = offset === undefined ? c.end - c.start : c.end - now - offset - ahead;
    this.#lines = this.#lines.filter((l) => l.to > now).slice(-kept);
    if (this.#lines.some((l) => l.language === c.language && l.start === c.start && l.text === c.text)) return; // told again after a break
    this.#lines.push({ language: c.language, text: c.text, start: c.start, from: now + ahead, to: now + ahead + Math.max(left, least) });
  }
}
