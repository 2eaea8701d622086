// The pictures of a storyboard, fetched when they are looked at: with the token in
// the header, and shown from memory. Promises each sheet once. Owned by a player.

import { parseStoryboard, request, type Still } from "../core";
import type { Sheets } from "./timeline";

/** loadSheets reads a storyboard; undefined where there is none. */
export async function loadSheets(url: string, token: string | undefined, signal: AbortSignal): Promise<Sheets | undefined> {
  try {
    const stills: Still[] = parseStoryboard(await (await request(url, { token, signal })).text(), url);
    const kept = new Map<string, Promise<ImageBitmap | undefined>>();
    const sheet = (address: string) => {
      const picture = kept.get(address) ?? load(address, new URL(address).origin === new URL(url).origin ? token : undefined, signal);
      kept.set(address, picture);
      return picture;
    };
    return stills.length ? { stills, sheet } : undefined;
  } catch {
    return undefined; // a film without a storyboard is a film
  }
}

async function load(url: string, token: string | undefined, signal: AbortSignal): Promise<ImageBitmap | undefined> {
  try {
    return await createImageBitmap(await (await request(url, { token, signal })).blob());
  } catch {
    return undefined;
  }
}
