// What the player draws over the picture, one function per part.
// Pure templates: they show a player and call its methods. Owned by the player.

import { html, nothing, type TemplateResult } from "lit";
import type { LayerOption } from "../core";
import { has, type Key, t } from "../text";
import * as format from "./format";
import { icon, type IconName } from "./icons";
import type { SluicePlayer } from "./player";

// LIVE and the measured latency; it keeps its width while the number changes.
function badge(p: SluicePlayer): TemplateResult {
  const ms = p.latency;
  return html`<span class="badge" title=${t("latencyHelp")}>
    <span class="mark">${t("live")}</span>
    ${ms === undefined ? nothing : html`<span class="ms" aria-label=${t("latency", { ms })}>${ms} ms</span>`}
  </span>`;
}

/** bar is the row of controls at the lower edge. */
export function bar(p: SluicePlayer): TemplateResult {
  return html`<div class="bar" @click=${(e: Event) => e.stopPropagation()}>
    ${tool(p.paused ? "play" : "pause", p.paused ? "play" : "pause", () => p.toggle())}
    ${tool(p.muted ? "muted" : "sound", p.muted ? "unmute" : "mute", () => p.toggleMute())}
    <input type="range" min="0" max="1" step="0.05" aria-label=${t("volume")} .value=${String(p.muted ? 0 : p.volume)}
      @input=${(e: InputEvent) => p.setVolume(Number((e.target as HTMLInputElement).value))} />
    <span class="spacer"></span>
    ${p.layers.length > 1 && p.selectable ? tool("layers", "quality", () => p.open("layers"), { expanded: p.opened === "layers", id: "layers" }) : nothing}
    ${tool("stats", "stats", () => p.toggleStats(), { cls: "roomy" })}
    ${tool("keyboard", "keys", () => p.open("help"), { cls: "wide", expanded: p.opened === "help" })}
    ${document.pictureInPictureEnabled ? tool("pip", "pip", () => p.togglePip(), { cls: "wide" }) : nothing}
    ${tool(p.fullscreen ? "shrink" : "fullscreen", p.fullscreen ? "leaveFullscreen" : "fullscreen", () => p.toggleFullscreen())}
  </div>`;
}

function tool(name: IconName, label: Key, act: () => void, o: { cls?: string; expanded?: boolean; id?: string } = {}): TemplateResult {
  const expanded = o.expanded === undefined ? nothing : String(o.expanded);
  return html`<button id=${o.id ?? nothing} class="tool ${o.cls ?? ""}" aria-label=${t(label)} title=${t(label)} aria-expanded=${expanded} @click=${act}>${icon(name)}</button>`;
}

/** top is what stays on a live picture: the one tap that a muted start leaves to do, and LIVE. */
export function top(p: SluicePlayer): TemplateResult {
  return html`<div class="top">${p.muted ? sound(p) : nothing}<span class="spacer"></span>${badge(p)}</div>`;
}

function sound(p: SluicePlayer): TemplateResult {
  return html`<button class="sound" @click=${(e: Event) => (e.stopPropagation(), p.toggleMute())}>${icon("muted")}${t("tapForSound")}</button>`;
}

/** layerMenu lists what may be chosen. */
export function layerMenu(p: SluicePlayer): TemplateResult {
  const now = p.layers.find((l) => l.current) ?? p.samples.at(-1);
  const shown = format.size(now?.width ?? 0, now?.height ?? 0);
  const automatic = shown && !p.chosen ? t("automaticNow", { now: shown }) : t("automatic");
  return html`<div class="menu" role="menu" aria-label=${t("quality")} @keydown=${(e: KeyboardEvent) => walk(e)} @click=${(e: Event) => e.stopPropagation()}>
    ${item(p, automatic, "", undefined)}
    ${p.chosen ? nothing : why(p)}
    ${p.layers.map((l) => item(p, format.size(l.width, l.height) || l.rid, l.active ? rate(l) : t("layerOff"), l))}
  </div>`;
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

function item(p: SluicePlayer, name: string, rate: string, layer: LayerOption | undefined): TemplateResult {
  const checked = (layer?.key ?? "") === p.chosen;
  return html`<button role="menuitemradio" aria-checked=${checked} ?disabled=${layer ? !layer.active : false} @click=${() => p.choose(layer)}>
    ${checked ? icon("check", 20) : html`<span></span>`}<span>${name}</span> <span class="rate">${rate}</span>
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

const keyList: [string[], Key][] = [
  [["Space", "K"], "key.play"],
  [["M"], "key.mute"],
  [["F"], "key.fullscreen"],
  [["↑", "↓"], "key.volume"],
  [["←", "→"], "key.layer"],
  [["S"], "key.stats"],
  [["P"], "key.pip"],
  [["?"], "key.help"],
];

/** help lists the keys. */
export function help(p: SluicePlayer): TemplateResult {
  const list = html`<dl class="keys">${keyList.map(([keys, name]) => html`<dt>${keys.map((k) => html`<kbd>${k}</kbd> `)}</dt><dd>${t(name)}</dd>`)}</dl>`;
  return sheet(p, t("keys"), list);
}

/** sheet is a small window on the picture. */
export function sheet(p: SluicePlayer, title: string, content: unknown): TemplateResult {
  return html`<section class="sheet" role="dialog" aria-label=${title} @click=${(e: Event) => e.stopPropagation()}>
    <header>${title}<button class="tool" aria-label=${t("close")} @click=${() => p.close()}>${icon("close")}</button></header>
    ${content}
  </section>`;
}

/** card says what is going on while there is no live picture. */
export function card(p: SluicePlayer): TemplateResult | typeof nothing {
  const { state, error, reason } = p.condition;
  if (state === "live") return nothing;
  // With a picture to keep, a thin bar is enough.
  if (state === "reconnecting" && p.pictured) return html`<div class="thin"></div><div class="top"><span class="badge">${t("state.reconnecting")}</span></div>`;
  const { title, line } = words(p);
  const busy = ["loading", "waiting", "reconnecting"].includes(state);
  const again = ["refused", "ended"].includes(state);
  return html`<div class="card ${p.pictured ? "over" : ""}">
    ${busy ? html`<span class="breath"></span>` : nothing}
    <h2>${title}</h2>
    <p>${line}</p>
    ${reason && state === "ended" ? html`<p>${format.sentence(reason)}</p>` : nothing}
    ${again || state === "idle" ? html`<div class="acts">${state === "refused" ? html`<slot name="refused"></slot>` : nothing}${act(p)}</div>` : nothing}
    ${error && (error.status || error.trace) ? trace(p) : nothing}
  </div>`;
}

function act(p: SluicePlayer): TemplateResult {
  if (p.state === "idle") return html`<button class="button" @click=${() => p.start()}>${t("play")}</button>`;
  return html`<button class="button" @click=${() => p.retry()}>${t("tryAgain")}</button>`;
}

function trace(p: SluicePlayer): TemplateResult {
  const { error } = p.condition;
  const line = [error?.status || "", error?.trace, error?.detail].filter(Boolean).join(" · ");
  return html`<button class="trace" title=${t("copyTrace")} @click=${() => void navigator.clipboard?.writeText(line)}>${line} ${icon("copy", 16)}</button>`;
}

/** words are the state's title and line; the live region reads them out. */
export function words(p: SluicePlayer): { title: string; line: string } {
  const { state, error } = p.condition;
  const keyed = (key: string) => ({ title: has(key) ? t(key) : "", line: has(`${key}.line`) ? t(`${key}.line` as Key) : "" });
  if (error && (state === "refused" || (state === "reconnecting" && !p.pictured))) return keyed(`why.${error.why}`);
  if (state === "waiting" && p.pictured) return keyed("state.waiting.left");
  return keyed(`state.${state}`);
}
