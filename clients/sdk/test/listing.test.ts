import { describe, expect, it } from "vitest";
import { Listing } from "../src/core/listing";

const entry = (...ids: string[]) => ids.map((id) => `https://x.test/live/a/0touojl07jpps8l0/${id}/media.m3u8?dvr=1`);
const reports = (...ids: string[]) => ids.map((id) => `../${id}/media.m3u8?dvr=1`);

/** look looks each second for so long, and returns when the entry playlist was to be read again. */
function look(listing: Listing, seconds: number, script: (s: number) => string[]): number[] {
  return Array.from({ length: seconds }, (_, s) => s).filter((s) => listing.look(s * 1000, reports(...script(s))));
}

describe("an entry playlist that was read too early", () => {
  it("is read again when there is a picture that it did not name, once caches have a newer one", () => {
    const listing = new Listing();
    listing.read(entry("audio-aac"));
    expect(look(listing, 8, (s) => (s < 2 ? ["audio"] : ["audio", "video-h", "video-q"]))).toEqual([5]);
    listing.read(entry("audio-aac", "audio", "video-h", "video-q"));
    expect(look(listing, 600, () => ["audio", "video-h", "video-q"])).toEqual([]);
  });

  it("is read again for a layer, and for a step of a ladder, not for sound or text", () => {
    const listing = new Listing();
    listing.read(entry("audio", "video-q"));
    expect(look(listing, 60, () => ["audio-aac", "audio-de", "captions-en", "video-q"])).toEqual([]);
    expect(look(listing, 4, () => ["audio", "h264-360p"])).toEqual([3]);
  });

  it("is asked for ever more seldom where it does not help, and soon again once it did", () => {
    const listing = new Listing();
    listing.read(entry("audio"));
    expect(look(listing, 200, () => ["video"])).toEqual([3, 13, 43, 103, 163]);
    listing.read(entry("audio", "video"));
    expect(look(listing, 4, () => ["video", "video-h"])).toEqual([3]);
  });

  it("is no matter before it was read, nor while what is missing comes and goes", () => {
    const listing = new Listing();
    expect(look(listing, 10, () => ["video"])).toEqual([]);
    listing.read(entry("audio"));
    expect(look(listing, 10, (s) => (s % 2 ? ["video"] : []))).toEqual([]);
  });
});
