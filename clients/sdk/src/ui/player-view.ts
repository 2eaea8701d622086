// What the player draws over the picture, one function per part.
// Pure templates: they show a player and call its methods. Owned by the player.

import { html, nothing, type TemplateResult } from "lit";
import { has, type Key, t } from "../text";
import * as format from "./format";
import { icon, type IconName } from "./icons";
import type { SluicePlayer } from "./player";

// LIVE and the measured latency, or how far behind; it keeps its width while the number changes.
function badge(p: SluicePlayer): TemplateResult | typeof nothing {
  if (p.recorded) return nothing;
  if (p.away) {
    const time = format.clock((p.span?.to ?? 0) - p.at);
    return html`<span class="badge" title=${t("behind", { time })}><span class="mark past">−${time}</span></span>`;
  }
  const ms = p.latency;
  return html`<span class="badge" title=${t("latencyHelp")}>
    <span class="mark">${t("live")}</span>
    ${ms === undefined ? nothing : html`<span class="ms" aria-label=${t("latency", { ms })}>${format.latency(ms)}</span>`}
  </span>`;
}

/** bar is the row of controls at the lower edge, and the timeline above it where there is one to go back on. */
export function bar(p: SluicePlayer): TemplateResult {
  const { subtitles } = p.tracks;
  const past = p.recorded || p.away;
  const play = p.ended ? tool("again", "again", () => p.toggle()) : tool(p.paused ? "play" : "pause", p.paused ? "play" : "pause", () => p.toggle());
  return html`<div class="bar" @click=${(e: Event) => e.stopPropagation()}>
    ${timeline(p)}
    <div class="row">
      ${play}
      ${tool(p.muted ? "muted" : "sound", p.muted ? "unmute" : "mute", () => p.toggleMute())}
      <input type="range" min="0" max="1" step="0.05" aria-label=${t("volume")} .value=${String(p.muted ? 0 : p.volume)}
        @input=${(e: InputEvent) => p.setVolume(Number((e.target as HTMLInputElement).value))} />
      ${where(p)}
      <span class="spacer"></span>
      ${past ? html`<button id="speed" class="tool text" aria-label=${`${t("speed")}: ${p.speed}×`} title=${t("speed")} aria-expanded=${p.opened === "speed"} @click=${() => p.open("speed")}>${p.speed}×</button>` : nothing}
      ${p.sounds.length > 1 ? tool("audio", "sounds", () => p.open("sounds"), { expanded: p.opened === "sounds", id: "sounds" }) : nothing}
      ${subtitles.length ? tool("captions", "captions", () => p.open("captions"), { expanded: p.opened === "captions", id: "captions" }) : nothing}
      ${p.layers.length > 1 && p.selectable ? tool("layers", "quality", () => p.open("layers"), { expanded: p.opened === "layers", id: "layers" }) : nothing}
      ${tool("stats", "stats", () => p.toggleStats(), { cls: past ? "wide" : "roomy" })}
      ${tool("keyboard", "keys", () => p.open("help"), { cls: "wide", expanded: p.opened === "help", id: "help" })}
      ${document.pictureInPictureEnabled ? tool("pip", "pip", () => p.togglePip(), { cls: "wide" }) : nothing}
      ${tool(p.fullscreen ? "shrink" : "fullscreen", p.fullscreen ? "leaveFullscreen" : "fullscreen", () => p.toggleFullscreen())}
    </div>
  </div>`;
}

function timeline(p: SluicePlayer): TemplateResult | typeof nothing {
  const { span } = p;
  if (!span) return nothing;
  const seek = (e: CustomEvent<{ to: number; live: boolean }>) => (e.detail.live ? p.toLive() : p.seek(e.detail.to));
  return html`<sluice-timeline .from=${span.from} .to=${span.to} .at=${p.at} .ahead=${p.recorded ? ahead(p.media) : span.from} .live=${!p.recorded} .sheets=${p.sheets} @seek=${seek}></sluice-timeline>`;
}

function ahead(media: HTMLVideoElement | undefined): number {
  const buffered = media?.buffered;
  for (let i = 0; buffered && i < buffered.length; i++) if (buffered.start(i) <= media.currentTime + 0.5 && buffered.end(i) >= media.currentTime) return buffered.end(i) * 1000;
  return 0;
}

// Where in the film, or the way home to live.
function where(p: SluicePlayer): TemplateResult | typeof nothing {
  const { span } = p;
  if (!span) return nothing;
  if (p.recorded) return html`<span class="time">${format.clock(p.at)} <span class="dim">/ ${format.clock(span.to)}</span></span>`;
  return html`<button class="tool text home ${p.away ? "" : "on"}" aria-label=${t(p.away ? "toLive" : "atLive")} title=${t(p.away ? "toLive" : "atLive")} ?disabled=${!p.away} @click=${() => p.toLive()}><span class="dot"></span>${t("live")}</button>`;
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

const keyList: [string[], Key][] = [
  [["Space", "K"], "key.play"],
  [["M"], "key.mute"],
  [["F"], "key.fullscreen"],
  [["↑", "↓"], "key.volume"],
  [["←", "→"], "key.layer"],
  [["J", "L"], "key.seek"],
  [["C"], "key.captions"],
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
  if (state === "live" || state === "playing") return nothing;
  // With a picture to keep, a thin bar is enough; while HLS loads there is nothing to say of the connection.
  const calm = p.dataset.mode === "hls" && !error;
  if (state === "reconnecting" && p.pictured) return html`<div class="thin"></div><div class="top">${calm || p.away ? nothing : html`<span class="badge">${t("state.reconnecting")}</span>`}<span class="spacer"></span>${p.away ? badge(p) : nothing}</div>`;
  const { title, line } = words(p);
  const busy = ["loading", "waiting", "reconnecting"].includes(state);
  const again = ["refused", "ended"].includes(state);
  return html`<div class="card ${p.pictured ? "over" : ""}">
    ${busy ? html`<span class="breath"></span>` : nothing}
    <h2>${title}</h2>
    <p>${line}</p>
    ${reason && state === "ended" ? html`<p>${format.sentence(reason)}</p>` : nothing}
    ${again || state === "idle" ? html`<div class="acts">${["refused", "ended"].includes(state) ? html`<slot name=${state}></slot>` : nothing}${act(p)}</div>` : nothing}
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
  const asset = p.recorded ? ".asset" : "";
  const keyed = (key: string): { title: string; line: string } => (asset && has(key + asset) ? plain(key + asset) : plain(key));
  const plain = (key: string) => ({ title: has(key) ? t(key) : "", line: has(`${key}.line`) ? t(`${key}.line` as Key) : "" });
  if (error && (state === "refused" || (state === "reconnecting" && !p.pictured))) return keyed(`why.${error.why}`);
  if (state === "waiting" && p.pictured) return keyed("state.waiting.left");
  return keyed(`state.${state}`);
}
