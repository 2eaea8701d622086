// The server's clock, learned from GET /v1/time.
// Promises an offset from the sample with the shortest round trip, whose error
// is at most half of that trip (RFC 5905's reasoning). Owned by one viewing.

import { request } from "./http";
import { pause } from "./sse";

/** localNow is the page's clock in Unix milliseconds: monotonic, and the one that frame metadata uses. */
export function localNow(): number {
  return performance.timeOrigin + performance.now();
}

interface Sample {
  offset: number;
  rtt: number;
  at: number;
}

// Browser clocks drift by up to 50 ppm against the server: 30 ms in ten minutes, so a sample older than that counts no more.
const maxAge = 600_000;

/** ClockFilter keeps the best of the recent samples. Pure: it is told the times. */
export class ClockFilter {
  #samples: Sample[] = [];

  /** add takes one exchange: local time when sent and received, server time in between. */
  add(sent: number, server: number, received: number): void {
    const rtt = received - sent;
    if (rtt < 0 || !Number.isFinite(server)) return;
    this.#samples = this.#samples.filter((s) => received - s.at < maxAge);
    this.#samples.push({ offset: server - (sent + received) / 2, rtt, at: received });
  }

  /** best is the sample with the shortest round trip, or undefined while there is none. */
  get best(): Sample | undefined {
    return this.#samples.reduce<Sample | undefined>((a, b) => (a && a.rtt <= b.rtt ? a : b), undefined);
  }
}

/** ServerClock asks a few times at the start and now and then after. */
export class ServerClock {
  #filter = new ClockFilter();
  #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** offset is what to add to localNow() to get the server's time; undefined until known. */
  get offset(): number | undefined {
    return this.#filter.best?.offset;
  }

  /** error is the most by which offset may be wrong, in milliseconds. */
  get error(): number {
    return (this.#filter.best?.rtt ?? Infinity) / 2;
  }

  /** run samples until the signal aborts: six at once (the first pays for the connection), then two a minute. */
  async run(signal: AbortSignal): Promise<void> {
    for (let i = 0; !signal.aborted; i++) {
      await this.#sample(signal);
      await pause(i < 6 ? 150 : 30_000, signal);
    }
  }

  async #sample(signal: AbortSignal): Promise<void> {
    try {
      const sent = localNow();
      const res = await request(this.#url, { signal, timeout: 5000 });
      const received = localNow();
      const body = (await res.json()) as { unix_ms?: number };
      this.#filter.add(sent, Number(body.unix_ms), received);
    } catch {
      // No clock is no reason to stop: latency is then shown only where the browser knows it itself.
    }
  }
}
