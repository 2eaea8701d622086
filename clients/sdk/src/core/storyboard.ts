// A storyboard: small pictures of a film in a few large ones, named by WebVTT cues
// ("sheet.jpg#xywh=…", Media Fragments 4.2.2). Promises that what cannot be read is
// left out. Pure; owned by the core.

/** Still is one small picture: from when to when, in milliseconds, and where on which sheet. */
export interface Still {
  from: number;
  to: number;
  sheet: string;
  x: number;
  y: number;
  width: number;
  height: number;
}

/** parseStoryboard reads WebVTT; addresses are resolved against base. */
export function parseStoryboard(vtt: string, base: string): Still[] {
  const stills: Still[] = [];
  for (const block of vtt.split(/\r?\n\r?\n/)) {
    const [, from, to] = /([\d:.]+)\s+-->\s+([\d:.]+)/.exec(block) ?? [];
    const [, address, x, y, width, height] = /^(\S+)#xywh=(?:pixel:)?(\d+),(\d+),(\d+),(\d+)\s*$/m.exec(block) ?? [];
    if (!from || !to || !address || !URL.canParse(address, base)) continue;
    stills.push({ from: milliseconds(from), to: milliseconds(to), sheet: new URL(address, base).href, x: Number(x), y: Number(y), width: Number(width), height: Number(height) });
  }
  return stills.sort((a, b) => a.from - b.from);
}

/** stillAt returns the picture of that time, the last one beyond the end. */
export function stillAt(stills: readonly Still[], ms: number): Still | undefined {
  return stills.findLast((s) => s.from <= ms) ?? stills[0];
}

function milliseconds(time: string): number {
  return time.split(":").reduce((sum, part) => sum * 60 + Number(part), 0) * 1000;
}
