// Whether an entry playlist has grown since it was read: hls.js reads it once, and
// what it did not name then is never played. Media playlists name what else there
// is (EXT-X-RENDITION-REPORT, RFC 8216bis section 4.4.5.4). The decision only, told
// the time. Owned by an HLS playback.

// An entry playlist lives in caches for so long, in milliseconds; beginning anew
// sooner would read the same. Where that did not help, something is at odds, and
// hurry does not help either.
const waits: readonly number[] = [3000, 10_000, 30_000, 60_000];

/** Listing compares what is listed with what there is. */
export class Listing {
  #listed: ReadonlySet<string> | undefined;
  #since: number | undefined; // when more was seen first, or something was done
  #done = 0; // times in a row

  /** read is told the addresses that an entry playlist names. */
  read(urls: Iterable<string>): void {
    const listed = new Set(Array.from(urls, renditionOf));
    const grown = [...listed].some((id) => !this.#listed?.has(id));
    if (grown) this.#done = 0;
    this.#listed = listed;
    this.#since = undefined;
  }

  /** look is told the addresses that a media playlist reports; true: the entry playlist is to be read again. */
  look(now: number, reported: Iterable<string>): boolean {
    const listed = this.#listed;
    const more = listed !== undefined && Array.from(reported, renditionOf).some((id) => isPicture(id) && !listed.has(id));
    if (!more) {
      this.#since = undefined;
      return false;
    }
    this.#since ??= now;
    if (now - this.#since < waits[Math.min(this.#done, waits.length - 1)]!) return false;
    this.#since = now;
    this.#done++;
    return true;
  }
}

/** renditionOf is the id in the address of a media playlist, which stands before its file's name. */
export function renditionOf(url: string): string {
  return url.split(/[?#]/)[0]!.split("/").at(-2) ?? "";
}

// Sounds that come later are made of others, or are languages for the menu: no reason to break off what plays.
function isPicture(id: string): boolean {
  return /^(video|h264-)/.test(id);
}
