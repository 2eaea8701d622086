// What an HLS stream offers to choose from, in the words of the player's menus.
// Promises one entry for each picture that a viewer can tell apart. Pure; owned by
// the HLS playback.

import type Hls from "hls.js";
import type { LayerOption } from "./layers";
import { renditionOf } from "./listing";
import { soundOf } from "./sounds";

/** Track is one sound or one language of subtitles. */
export interface Track {
  index: number;
  /** id of a sound is the same by WebRTC and by HLS. */
  id?: string;
  name: string;
  language: string;
  current: boolean;
}

/** Tracks are what is there besides the picture. */
export interface Tracks {
  audio: Track[];
  subtitles: Track[];
}

type Levels = Pick<Hls, "levels" | "currentLevel" | "audioTracks" | "audioTrack">;

/** readLevels lists the pictures, the largest first; of those that differ in sound alone the one with the sound in use. */
export function readLevels(hls: Levels): LayerOption[] {
  const group = hls.audioTracks[hls.audioTrack]?.groupId;
  const sounds = (l: Levels["levels"][number]) => !group || !l.audioGroups?.length || l.audioGroups.includes(group);
  const playing = hls.levels[hls.currentLevel];
  const options = hls.levels.flatMap((l, i): LayerOption[] => {
    if (!sounds(l) || (!l.width && hls.levels.some((other) => other.width))) return [];
    const current = l === playing || (playing !== undefined && !sounds(playing) && l.height === playing.height && l.videoCodec === playing.videoCodec);
    return [{ key: keyOf(l, i), rid: l.name ?? "", width: l.width, height: l.height, bitrate: l.averageBitrate || l.bitrate, active: true, current, why: "", choice: {} }];
  });
  return options.sort((a, b) => b.width * b.height - a.width * a.height || b.bitrate - a.bitrate);
}

/** levelOf is the index of what a key names, with the sound in use; -1 where there is no such picture any more. */
export function levelOf(hls: Levels, key: string): number {
  const group = hls.audioTracks[hls.audioTrack]?.groupId;
  const named = hls.levels.flatMap((l, i) => (keyOf(l, i) === key ? [i] : []));
  return named.find((i) => group && hls.levels[i]!.audioGroups?.includes(group)) ?? named[0] ?? -1;
}

// A picture has the same key whenever the entry playlist is read, whatever comes before it there.
const keyOf = (l: Levels["levels"][number], index: number) => `hls/${renditionOf(l.url?.[0] ?? "") || index}`;

/**
 * spareLevels are those that differ from others in the codec of the sound alone, the last first. One codec is enough: the
 * one that was published, where it can be played. The other is made while somebody asks for it, and until it is there it
 * is a gap; hls.js (1.7.4) takes it for a way around gaps of pictures, and then waits for it.
 */
export function spareLevels(levels: readonly Pick<Hls["levels"][number], "audioCodec" | "videoCodec" | "width" | "height">[]): number[] {
  const published = (l: (typeof levels)[number]) => /^opus/i.test(l.audioCodec ?? "");
  const alike = (a: (typeof levels)[number], b: (typeof levels)[number]) => a.width === b.width && a.height === b.height && a.videoCodec === b.videoCodec;
  const spare = levels.flatMap((l, i) => (l.audioCodec && !published(l) && levels.some((other) => published(other) && alike(l, other)) ? [i] : []));
  return spare.reverse();
}

/** hasPictures tells whether there are any among them. */
export function hasPictures(levels: readonly Pick<Hls["levels"][number], "videoCodec" | "width">[]): boolean {
  return levels.some((l) => l.width > 0 || Boolean(l.videoCodec));
}

/** smallerLevel is the index of the next smaller picture than the one that is loaded, with the same sound; undefined where there is none. */
export function smallerLevel(hls: Pick<Hls, "levels" | "loadLevel">): number | undefined {
  const area = (l: Hls["levels"][number]) => l.width * l.height;
  const now = hls.levels[hls.loadLevel];
  const smaller = hls.levels.map((level, index) => ({ level, index })).filter(({ level }) => now && area(level) < area(now) && level.audioGroups?.[0] === now.audioGroups?.[0]);
  return smaller.sort((a, b) => area(b.level) - area(a.level))[0]?.index;
}

/** Closed are captions in the pictures: the channels of CEA-608 that the playlist names, and the one to be read. */
export interface Closed {
  channels: readonly string[];
  shown: string;
}

/** closedOf reads the channels; hls.js (1.7.4) knows none of CEA-708. */
export function closedOf(captions: readonly { instreamId?: string }[] = []): string[] {
  return captions.map((c) => c.instreamId ?? "").filter((id) => /^CC[1-4]$/.test(id));
}

/** readTracks lists sounds and subtitles; behind these captions in the pictures, whose language nobody knows. */
export function readTracks(hls: Pick<Hls, "audioTracks" | "audioTrack" | "subtitleTracks" | "subtitleTrack">, closed: Closed = { channels: [], shown: "" }): Tracks {
  return {
    audio: hls.audioTracks.map((a, index) => ({ index, id: soundOf(a.url ?? ""), name: a.name, language: a.lang ?? "", current: index === hls.audioTrack })),
    subtitles: [
      ...hls.subtitleTracks.map((s, index) => ({ index, name: s.name, language: s.lang ?? "", current: index === hls.subtitleTrack })),
      ...closed.channels.map((id, i) => ({ index: hls.subtitleTracks.length + i, name: id, language: `x-${id.toLowerCase()}`, current: id === closed.shown })),
    ],
  };
}

/** cuesOf is what an element's text tracks have to read now; of captions in the pictures those of one channel, which hls.js keeps hidden and fills whether they are read or not. */
export function cuesOf(video: HTMLVideoElement, channel = ""): string[] {
  const texts: string[] = [];
  for (const track of Array.from(video.textTracks ?? [])) {
    if (track.mode === "disabled" || (track.kind === "captions" && track.label !== channel)) continue;
    const cues = Array.from(track.activeCues ?? []) as VTTCue[];
    if (track.kind === "captions") cues.sort((a, b) => Number(a.line) - Number(b.line)); // a cue for each row, and the upper ones are older
    for (const cue of cues) texts.push(cue.getCueAsHTML().textContent ?? "");
  }
  return [...new Set(texts)].filter((text) => text.trim() !== "");
}
