// Server-sent events over fetch, since EventSource cannot send Authorization.
// Promises events in order, a new try after a break with Last-Event-ID (HTML
// living standard section 9.2), and a word when the stream is gone for good.

import { fromFailure, SluiceError } from "./errors";
import { request } from "./http";

/** ServerEvent is one event as it came. */
export interface ServerEvent {
  name: string;
  data: string;
  id: string;
}

/** EventParser cuts a text stream into events; it may be fed any pieces. */
export class EventParser {
  #rest = "";
  #name = "";
  #data: string[] = [];
  #id = "";
  /** retry is the pause before a new try that the server asked for, in milliseconds. */
  retry = 2000;

  /** feed takes the next piece and returns the events that it completes. */
  feed(piece: string): ServerEvent[] {
    const events: ServerEvent[] = [];
    this.#rest += piece;
    // A CR at the end may be half of a CRLF: it waits for the next piece.
    for (let m; (m = /\r\n|\n|\r(?!$)/.exec(this.#rest)); ) {
      const line = this.#rest.slice(0, m.index);
      this.#rest = this.#rest.slice(m.index + m[0].length);
      if (line === "") this.#dispatch(events);
      else this.#field(line);
    }
    return events;
  }

  #dispatch(events: ServerEvent[]): void {
    if (this.#data.length) events.push({ name: this.#name || "message", data: this.#data.join("\n"), id: this.#id });
    this.#name = "";
    this.#data = [];
  }

  #field(line: string): void {
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment: keeps the connection open
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#name = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
  }
}

/** Subscription says what to listen to and whom to tell. */
export interface Subscription {
  /** url is the target of the event extension's Link. */
  url: string;
  events: string[];
  token?: string;
  signal: AbortSignal;
  onEvent(event: ServerEvent): void;
  /** onGone is called when the session or its event stream no longer exists. */
  onGone(error: SluiceError): void;
}

// After so many breaks in a row without an event the server is taken to have forgotten us.
const maxBreaks = 5;

/**
 * subscribe creates the event stream and reads it until the signal aborts or the stream is gone. A server that
 * announces events and then gives none is left at that: the connection itself tells what matters most.
 */
export async function subscribe(s: Subscription): Promise<void> {
  const url = await create(s).catch(() => undefined);
  if (!url) return;
  try {
    await follow(s, url);
  } catch (cause) {
    const error = fromFailure(cause);
    if (error.why !== "aborted") s.onGone(error);
  }
}

/** listen reads an event stream that is there already, until the signal aborts or the stream is gone. */
export async function listen(s: Omit<Subscription, "events">): Promise<void> {
  try {
    await follow(s, s.url);
  } catch (cause) {
    const error = fromFailure(cause);
    if (error.why !== "aborted") s.onGone(error);
  }
}

async function create(s: Subscription): Promise<string> {
  const headers = { "Content-Type": "application/json" };
  const res = await request(s.url, { method: "POST", body: JSON.stringify(s.events), headers, token: s.token, signal: s.signal });
  return new URL(res.headers.get("Location") ?? "", res.url || s.url).href;
}

async function follow(s: Omit<Subscription, "events">, url: string): Promise<void> {
  const parser = new EventParser();
  let last = "";
  let breaks = 0;
  for (;;) {
    try {
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (last) headers["Last-Event-ID"] = last;
      const res = await request(url, { headers, token: s.token, signal: s.signal, timeout: 0 });
      for await (const event of read(res, parser)) {
        breaks = 0;
        last = event.id || last;
        s.onEvent(event);
      }
    } catch (cause) {
      const error = fromFailure(cause);
      if (s.signal.aborted || !error.retry || breaks >= maxBreaks) throw error;
    }
    if (s.signal.aborted) return;
    if (++breaks > maxBreaks) throw new SluiceError("missing", { detail: "the event stream broke too often" });
    await pause(parser.retry, s.signal);
  }
}

async function* read(res: Response, parser: EventParser): AsyncGenerator<ServerEvent> {
  if (!res.body) return;
  const reader = res.body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}

/** pause resolves after ms, or as soon as the signal aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal?.aborted) return done();
    const timer = setTimeout(finish, ms);
    function finish() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      done();
    }
    signal?.addEventListener("abort", finish, { once: true });
  });
}
