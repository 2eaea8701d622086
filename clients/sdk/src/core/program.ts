// When what a playlist names was captured: EXT-X-PROGRAM-DATE-TIME is the capture
// time of a segment's first picture, in the server's clock. Promises the same
// answer both ways, to the millisecond. Pure; told pieces of a playlist.

/** Piece is one segment on the media timeline: start and duration in seconds, its date in Unix milliseconds. */
export interface Piece {
  start: number;
  duration: number;
  programDateTime: number | null;
}

/** Span is a stretch of capture time, in Unix milliseconds of the server's clock. */
export interface Span {
  from: number;
  to: number;
}

/** captureAt returns when what lies at that media time was captured; undefined where the playlist has no dates. */
export function captureAt(pieces: readonly Piece[], mediaTime: number): number | undefined {
  const piece = pieces[lastWhere(pieces, (p) => p.start <= mediaTime + tiny)] ?? pieces[0];
  if (!piece || !piece.programDateTime) return undefined;
  return piece.programDateTime + (mediaTime - piece.start) * 1000;
}

/** mediaAt returns the media time of what was captured then; in a hole that of what follows it, outside that of the nearer end. */
export function mediaAt(pieces: readonly Piece[], capture: number): number | undefined {
  const first = pieces[0];
  if (!first?.programDateTime) return undefined;
  const at = lastWhere(pieces, (p) => (p.programDateTime ?? 0) <= capture);
  const piece = pieces[at];
  if (!piece?.programDateTime) return first.start;
  const into = (capture - piece.programDateTime) / 1000;
  if (into <= piece.duration) return piece.start + into;
  const next = pieces[at + 1];
  return next ? next.start : piece.start + piece.duration;
}

// Media times come from decoders in microseconds, starts of segments as sums of decimals.
const tiny = 1e-4;

/** lastWhere is the last index at which a condition that turns from true to false still holds, -1 if nowhere. */
function lastWhere(pieces: readonly Piece[], holds: (p: Piece) => boolean): number {
  let [low, high] = [-1, pieces.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (holds(pieces[middle]!)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Stretch is a piece as hls.js keeps it: what the playlist says of it is in its tags. */
export interface Stretch {
  start: number;
  duration: number;
  tagList: readonly (readonly string[])[];
}

/**
 * pastGap returns where there is media again after the gap that a playback stands at: the place is in the gap, or so little
 * before it, in seconds, that the rest of its segment may be missing, too. Undefined where there is no gap, or nothing after it.
 */
export function pastGap(stretches: readonly Stretch[], at: number, before: number): number | undefined {
  const gap = (s: Stretch) => s.tagList.some(([tag]) => tag === "GAP");
  const first = stretches.findIndex((s) => s.start + s.duration > at + tiny && gap(s));
  if (first < 0 || stretches[first]!.start > at + before) return undefined;
  const next = stretches.slice(first).find((s) => s.duration > 0 && !gap(s));
  return next && next.start > at ? next.start : undefined;
}

/** smallestVariant returns the address of the variant that asks for the least, undefined where the text is no multivariant playlist. */
export function smallestVariant(multivariant: string, base: string): string | undefined {
  const lines = multivariant.split(/\r?\n/);
  let least = Infinity;
  let uri: string | undefined;
  lines.forEach((line, i) => {
    const bandwidth = Number(/^#EXT-X-STREAM-INF:(?:.*,)?BANDWIDTH=(\d+)/.exec(line)?.[1] ?? NaN);
    const next = lines.slice(i + 1).find((l) => l && !l.startsWith("#"));
    if (bandwidth < least && next) [least, uri] = [bandwidth, next];
  });
  return uri === undefined ? undefined : new URL(uri, base).href;
}

/** spanOf reads from when to when a media playlist reaches; undefined where it has no dates. */
export function spanOf(playlist: string): Span | undefined {
  let span: Span | undefined;
  for (const line of playlist.split(/\r?\n/)) {
    const date = line.startsWith("#EXT-X-PROGRAM-DATE-TIME:") ? Date.parse(line.slice(25)) : NaN;
    if (!Number.isNaN(date)) span = { from: span?.from ?? date, to: date };
    const duration = /^#EXTINF:([\d.]+)/.exec(line);
    if (duration && span) span.to += Number(duration[1]) * 1000;
  }
  return span && span.to > span.from ? span : undefined;
}
