// What an HLS stream offers to choose from, in the words of the player's menus.
// Promises one entry for each picture that a viewer can tell apart. Pure; owned by
// the HLS playback.

import type Hls from "hls.js";
import type { LayerOption } from "./layers";
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
    return [{ key: `hls/${i}`, rid: l.name ?? "", width: l.width, height: l.height, bitrate: l.averageBitrate || l.bitrate, active: true, current, why: "", choice: {} }];
  });
  return options.sort((a, b) => b.width * b.height - a.width * a.height || b.bitrate - a.bitrate);
}

/** readTracks lists sounds and subtitles. */
export function readTracks(hls: Pick<Hls, "audioTracks" | "audioTrack" | "subtitleTracks" | "subtitleTrack" | "subtitleDisplay">): Tracks {
  return {
    audio: hls.audioTracks.map((a, index) => ({ index, id: soundOf(a.url ?? ""), name: a.name, language: a.lang ?? "", current: index === hls.audioTrack })),
    subtitles: hls.subtitleTracks.map((s, index) => ({ index, name: s.name, language: s.lang ?? "", current: hls.subtitleDisplay && index === hls.subtitleTrack })),
  };
}
