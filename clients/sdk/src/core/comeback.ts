// Whether an ended stream is live again. Promises to look now and then until it
// is, or until nobody wants to know. Owned by a viewing that has ended.

import { pause } from "./sse";
import { type Server, stream } from "./status";

/** Comeback says which stream, and since when it has been gone. */
export interface Comeback extends Server {
  id: string;
  /** left is when the publisher was seen to be gone, in the server's Unix milliseconds. */
  left: number;
  signal: AbortSignal;
  /** wanted turns false when something else happened meanwhile. */
  wanted(): boolean;
}

const lookAgain = 5000;
// The server's clock is known within this.
const tolerance = 1000;

/**
 * comeback resolves to true when a new publisher came. A stream that went on all the while ended for this viewer
 * alone, by somebody's order: that is respected.
 */
export async function comeback(c: Comeback): Promise<boolean> {
  for (;;) {
    await pause(lookAgain, c.signal);
    if (c.signal.aborted || !c.wanted()) return false;
    const status = await stream(c, c.id).catch(() => undefined);
    if (!c.wanted()) return false;
    if (status?.live && (status.since === undefined || Date.parse(status.since) > c.left - tolerance)) return true;
  }
}
