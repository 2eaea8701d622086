// What opens to choose from: pictures, speed, captions, sound tracks.
// Pure templates: they show a player and call its methods. Owned by the player.

import { html, nothing, type TemplateResult } from "lit";
import { type LayerOption, titleOf, type Track } from "../core";
import { t } from "../text";
import * as format from "./format";
import { icon } from "./icons";
import type { SluicePlayer } from "./player";

/** layerMenu lists the pictures that may be chosen. */
export function layerMenu(p: SluicePlayer): TemplateResult {
  const now = p.layers.find((l) => l.current) ?? p.samples.at(-1);
  const shown = format.size(now?.width ?? 0, now?.height ?? 0);
  const automatic = shown && !p.chosen ? t("automaticNow", { now: shown }) : t("automatic");
  return menu(t("quality"), html`
    ${layer(p, automatic, "", undefined)}
    ${p.chosen ? nothing : why(p)}
    ${p.layers.map((l) => layer(p, format.size(l.width, l.height) || l.rid, l.active ? rate(l) : t("layerOff"), l))}`);
}

/** speeds are what may be chosen. */
export const speeds = [0.5, 0.75, 1, 1.25, 1.5, 2];

/** speedMenu lists them. */
export function speedMenu(p: SluicePlayer): TemplateResult {
  return menu(t("speed"), speeds.map((s) => item({ name: s === 1 ? t("normal") : `${s}×`, checked: s === p.speed, act: () => p.setSpeed(s) })));
}

/** subtitleMenu lists languages to read. */
export function subtitleMenu(p: SluicePlayer): TemplateResult {
  const { subtitles } = p.tracks;
  const off = item({ name: t("captions.off"), checked: !subtitles.some((s) => s.current), act: () => p.chooseTrack("captions", -1) });
  return menu(t("captions"), html`${off}${subtitles.map((s) => item({ name: named(s), checked: s.current, act: () => p.chooseTrack("captions", s.index) }))}`);
}

/** soundMenu lists languages to hear. */
export function soundMenu(p: SluicePlayer): TemplateResult {
  return menu(t("sounds"), p.sounds.map((a) => item({ name: titleOf(a), checked: a.current, act: () => p.listen(a) })));
}

function named(track: Track): string {
  return track.name || track.language || String(track.index + 1);
}

function menu(label: string, content: unknown): TemplateResult {
  return html`<div class="menu" role="menu" aria-label=${label} @keydown=${(e: KeyboardEvent) => walk(e)} @click=${(e: Event) => e.stopPropagation()}>${content}</div>`;
}

// why says what stands behind an automatic choice: "link 0.9 Mbit/s".
function why(p: SluicePlayer): TemplateResult | typeof nothing {
  const words = p.layers.find((l) => l.current)?.why;
  return words ? html`<p class="why" role="note">${words}</p>` : nothing;
}

// A layer that began just now has no rate yet: servers then send a number of a few bits, as 0 would mean "not sent".
function rate(l: LayerOption): string {
  return l.bitrate < 1000 ? "" : format.bitrate(l.bitrate);
}

function layer(p: SluicePlayer, name: string, rate: string, l: LayerOption | undefined): TemplateResult {
  return item({ name, rate, checked: (l?.key ?? "") === p.chosen, disabled: l ? !l.active : false, act: () => p.choose(l) });
}

function item(i: { name: string; rate?: string; checked: boolean; disabled?: boolean; act(): void }): TemplateResult {
  return html`<button role="menuitemradio" aria-checked=${i.checked} ?disabled=${i.disabled === true} @click=${() => i.act()}>
    ${i.checked ? icon("check", 20) : html`<span></span>`}<span>${i.name}</span> <span class="rate">${i.rate ?? ""}</span>
  </button>`;
}

function walk(event: KeyboardEvent): void {
  const items = [...(event.currentTarget as Element).querySelectorAll<HTMLButtonElement>("button:not(:disabled)")];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const at = items.indexOf((event.target as Element).closest("button")!);
  items[(at + step + items.length) % items.length]?.focus();
}
