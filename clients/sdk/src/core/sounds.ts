// Which languages there are to listen to, and what to call them.
// Promises that one audio track has the same id by WebRTC and by HLS, and a name that
// its speakers know. Pure; owned by the core.

import type { Track } from "./renditions";

/** readSounds reads the data of an audio event; what cannot be read is left out. */
export function readSounds(data: string): Track[] {
  let list: unknown;
  try {
    list = JSON.parse(data);
  } catch {
    return [];
  }
  if (!Array.isArray(list)) return [];
  return (list as Partial<Record<"name" | "language" | "current", unknown>>[])
    .filter((s) => typeof s?.name === "string")
    .map((s, index) => ({ index, id: String(s.name), name: "", language: typeof s.language === "string" ? s.language : "", current: s.current === true }));
}

/** soundOf is the id of an audio rendition by the address of its playlist: AAC counts as what it is made of. */
export function soundOf(url: string): string {
  return (url.split(/[?#]/)[0]!.split("/").at(-2) ?? "").replace(/-aac$/, "");
}

/** findSound returns the track that a wish names: its id, or else its language or a wider one. */
export function findSound(sounds: Track[], wish: string): Track | undefined {
  if (!wish) return undefined;
  const speaks = (tag: string) => sounds.find((s) => s.language.toLowerCase() === tag);
  let found = sounds.find((s) => s.id === wish);
  for (let tag = wish.toLowerCase(); tag && !found; tag = tag.includes("-") ? tag.slice(0, tag.lastIndexOf("-")) : "") found = speaks(tag);
  return found;
}

/** titleOf calls a track by its title, else by its language as its speakers call it, else by its place. */
export function titleOf({ name, language, index }: Track): string {
  if (name && name !== language && !/^audio(-|$)/.test(name)) return name;
  return language ? inWords(language) : String(index + 1);
}

function inWords(language: string): string {
  try {
    const words = new Intl.DisplayNames(language, { type: "language" }).of(language) ?? language;
    return words.charAt(0).toLocaleUpperCase(language) + words.slice(1);
  } catch {
    return language; // no tag that the browser knows
  }
}
