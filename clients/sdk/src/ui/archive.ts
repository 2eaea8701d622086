// How far back a live stream can be gone: read from its playlists, only when somebody
// may want to know. Promises few and small requests: one for the stream, one for the
// span each minute at most. Owned by a director.

import { localNow, request, smallestVariant, type Span, spanOf } from "../core";

const fresh = 60_000;

/** Archive knows the span that is kept of a stream. */
export class Archive {
  /** url is the playlist that reaches back all the way; empty where there is none. */
  readonly url: string;
  span: Span | undefined;
  #token: string | undefined;
  #signal: AbortSignal;
  #variant: string | undefined;
  #askedAt = -Infinity;

  constructor(live: string, token: string | undefined, signal: AbortSignal) {
    this.#token = token;
    this.#signal = signal;
    const url = live ? new URL(live) : undefined;
    url?.searchParams.set("dvr", "1");
    this.url = url?.href ?? "";
  }

  /** known tells whether there is anything to go back to. */
  get known(): boolean {
    return this.#variant !== undefined;
  }

  /** find asks whether there is anything. */
  async find(): Promise<boolean> {
    if (this.known || !this.url) return this.known;
    const text = await this.#get(this.url);
    this.#variant = text === undefined ? undefined : smallestVariant(text, this.url);
    return this.known;
  }

  /** look asks for the span, if what is known is old. */
  async look(): Promise<void> {
    if (!this.#variant || localNow() - this.#askedAt < fresh) return;
    this.#askedAt = localNow();
    const text = await this.#get(this.#variant);
    if (text === undefined) this.forget(); // another incarnation has other addresses
    else this.span = spanOf(text) ?? this.span;
  }

  /** forget drops what is known. */
  forget(): void {
    this.span = undefined;
    this.#variant = undefined;
    this.#askedAt = -Infinity;
  }

  async #get(url: string): Promise<string | undefined> {
    try {
      return await (await request(url, { token: this.#token, signal: this.#signal })).text();
    } catch {
      return undefined;
    }
  }
}
