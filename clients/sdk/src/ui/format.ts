// Numbers as people read them. Promises widths that hardly change from one
// value to the next, so that nothing jumps. Pure; owned by the components.

/** bitrate writes bit/s: "850 kbit/s", "2.5 Mbit/s". */
export function bitrate(bps: number): string {
  if (bps < 999_500) return `${Math.round(bps / 1000)} kbit/s`;
  const m = bps / 1_000_000;
  return `${m < 9.95 ? m.toFixed(1) : Math.round(m)} Mbit/s`;
}

/** percent writes a ratio: "0.4 %", "6 %"; tenths count only below one. */
export function percent(ratio: number): string {
  const p = ratio * 100;
  return `${p < 0.95 && p > 0 ? p.toFixed(1) : Math.round(p)} %`;
}

/** milliseconds writes a duration of up to some seconds: "38 ms". */
export function milliseconds(ms: number | undefined): string {
  return ms === undefined ? "–" : `${Math.round(ms)} ms`;
}

/** age writes how long something lasts: "40 s", "12 min", "2 h 05 min", "3 d". */
export function age(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h < 48) return `${h} h ${String(min % 60).padStart(2, "0")} min`;
  return `${Math.floor(h / 24)} d`;
}

/** clock writes a place in a film or its length: "0:07", "1:02:03". */
export function clock(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n: number) => String(n).padStart(2, "0");
  const [h, min] = [Math.floor(s / 3600), Math.floor(s / 60) % 60];
  return h ? `${h}:${two(min)}:${two(s % 60)}` : `${min}:${two(s % 60)}`;
}

/** bytes writes a size: "820 KB", "1.4 GB". */
export function bytes(n: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let i = 0;
  for (; n >= 999.5 && i < units.length - 1; i++) n /= 1000;
  return `${n < 9.95 && i > 0 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

/** latency writes a delay: "120 ms", "2.3 s". */
export function latency(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** size names a picture by its shorter side, as people do: "720p". */
export function size(width: number, height: number): string {
  const short = Math.min(width, height);
  return short > 0 ? `${short}p` : "";
}

/** sentence makes one of a part of a log line, as the server's findings and reasons are. */
export function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return !begun || /[.!?:]$/.test(begun) ? begun : `${begun}.`;
}
