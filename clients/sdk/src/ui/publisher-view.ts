// The form of the publisher, one function per part.
// Pure templates: they show a publisher and call its methods. Owned by the publisher.

import { html, nothing, type TemplateResult } from "lit";
import { type Source, supportedCodecs, total, videoCodecs } from "../core";
import { has, type Key, t } from "../text";
import * as format from "./format";
import { icon } from "./icons";
import type { SluicePublisher } from "./publisher";
import { bitrates, heights } from "./settings";

const sources: Source[] = ["camera", "screen", "both"];

/** sourceChoice is camera, screen or both. */
export function sourceChoice(p: SluicePublisher): TemplateResult {
  return html`<fieldset ?disabled=${p.onAir}>
    <legend>${t("pub.source")}</legend>
    <div class="sources">
      ${sources.map(
        (s) => html`<label class="source">
          <input class="sr" type="radio" name="source" value=${s} .checked=${p.settings.source === s} @change=${() => p.change({ source: s })} />
          ${icon(s)}<span>${t(`pub.${s}`)}</span>
        </label>`,
      )}
    </div>
  </fieldset>`;
}

/** deviceChoice is which camera and microphone, with its level. */
export function deviceChoice(p: SluicePublisher): TemplateResult {
  const camera = p.settings.source !== "screen";
  return html`<fieldset>
    ${camera ? devices("camera", "pub.cameraDevice", p.devices.cameras, p) : nothing}
    ${devices("microphone", "pub.micDevice", p.devices.microphones, p)}
    <sluice-meter .track=${p.capture?.media.getAudioTracks()[0]}></sluice-meter>
  </fieldset>`;
}

function devices(which: "camera" | "microphone", label: Key, list: MediaDeviceInfo[], p: SluicePublisher): TemplateResult {
  const chosen = list.some((d) => d.deviceId === p.settings[which]) ? p.settings[which] : "";
  return html`<div class="field">
    <label for=${which}>${t(label)}</label>
    <select id=${which} @change=${(e: Event) => p.change({ [which]: value(e) })}>
      <option value="" ?selected=${!chosen}>${t("pub.deviceDefault")}</option>
      ${list.map((d, i) => html`<option value=${d.deviceId} ?selected=${d.deviceId === chosen}>${d.label || `${t(label)} ${i + 1}`}</option>`)}
    </select>
  </div>`;
}

/** pictureChoice is codec, size, bitrate and layers. */
export function pictureChoice(p: SluicePublisher): TemplateResult {
  const s = p.settings;
  const known = supportedCodecs();
  const codecs = videoCodecs.filter((c) => known.includes(c) || c === s.codec);
  return html`<details>
    <summary>${t("pub.settings")}<span>${s.height}p · ${format.bitrate(s.bitrate)}</span></summary>
    <fieldset>
      <div class="pair">
        ${pick("codec", "pub.codec", codecs.map((c) => [c, c]), s.codec, p.onAir, (v) => p.change({ codec: v as typeof s.codec }))}
        ${pick("height", "pub.size", heights.map((h) => [String(h), `${h}p`]), String(s.height), p.onAir, (v) => p.change({ height: Number(v) }))}
      </div>
      <p class="help">${t("pub.codec.help")}</p>
      ${pick("bitrate", "pub.bitrate", bitrateOptions(s.bitrate), String(s.bitrate), false, (v) => p.change({ bitrate: Number(v) }))}
      <label class="switch"><input id="simulcast" type="checkbox" .checked=${s.simulcast} ?disabled=${p.onAir} @change=${(e: Event) => p.change({ simulcast: (e.target as HTMLInputElement).checked })} />${t("pub.simulcast")}</label>
      <p class="help">${t("pub.simulcast.help")} ${s.simulcast ? t("pub.bitrate.total", { total: format.bitrate(total(s)) }) + "." : nothing}</p>
    </fieldset>
  </details>`;
}

function bitrateOptions(now: number): [string, string][] {
  const all = bitrates.includes(now) ? bitrates : [...bitrates, now].sort((a, b) => a - b);
  return all.map((b) => [String(b), format.bitrate(b)]);
}

function pick(id: string, label: Key, options: [string, string][], chosen: string, disabled: boolean, act: (v: string) => void): TemplateResult {
  return html`<div class="field">
    <label for=${id}>${t(label)}</label>
    <select id=${id} ?disabled=${disabled} @change=${(e: Event) => act(value(e))}>
      ${options.map(([v, name]) => html`<option value=${v} ?selected=${v === chosen}>${name}</option>`)}
    </select>
  </div>`;
}

/** stage is the preview, or what stands in its place. */
export function stage(p: SluicePublisher): TemplateResult {
  const { source } = p.settings;
  return html`<div class="stage">
    <video class=${source === "camera" ? "mirror" : ""} playsinline .muted=${true} autoplay aria-label=${t("pub.preview")} ?hidden=${!p.capture}></video>
    ${p.capture ? nothing : p.problem ? problem(p) : empty(p)}
    ${p.state === "live" ? html`<span class="badge"><b>${t("live")}</b>${t("pub.viewers", { n: p.status?.viewers ?? 0 })} · ${format.age(p.onAirFor)}</span>` : nothing}
    ${p.state === "idle" && p.capture ? html`<span class="badge">${t("pub.offAir")}</span>` : nothing}
  </div>`;
}

function empty(p: SluicePublisher): TemplateResult {
  const { source } = p.settings;
  return html`<div class="empty">
    <h2>${t("pub.noPreview")}</h2>
    <p>${t("pub.noPreview.line")}</p>
    <button class="button" type="button" @click=${() => p.preview()}>${icon(source)}${t(`pub.open.${source}`)}</button>
  </div>`;
}

function problem(p: SluicePublisher): TemplateResult {
  const advice = p.secureUrl ? t("problem.insecure.open", { url: p.secureUrl }) : t("problem.insecure.how");
  const line = t(`problem.${p.problem}.line` as Key, { advice });
  return html`<div class="empty" role="alert">
    <h2>${t(`problem.${p.problem}` as Key)}</h2>
    <p>${line}</p>
    ${p.problem === "insecure"
      ? p.secureUrl ? html`<a class="button" href=${p.secureUrl}>${p.secureUrl}</a>` : nothing
      : html`<button class="button" type="button" @click=${() => p.preview()}>${t("tryAgain")}</button>`}
  </div>`;
}

/** notice says what stands between the publisher and being live. */
export function notice(p: SluicePublisher): TemplateResult | typeof nothing {
  if (p.state === "reconnecting") return html`<div class="notice" role="status">${t("pub.reconnecting")}</div>`;
  if (!p.error || (p.state !== "refused" && p.state !== "starting")) return nothing;
  const key = `why.${p.error.why}`;
  const trace = [p.error.status || "", p.error.trace].filter(Boolean).join(" · ");
  return html`<div class="notice bad" role="alert">
    <h3>${has(key) ? t(key) : ""}</h3>
    <p>${has(`${key}.line`) ? t(`${key}.line` as Key) : ""}</p>
    ${p.error.detail ? html`<p class="help">${format.sentence(p.error.detail)}</p>` : nothing}
    <slot name="refused"></slot>
    ${p.error.why === "taken" ? html`<button class="button" type="button" @click=${() => p.goLive()}>${t("pub.takeBack")}</button>` : nothing}
    ${trace ? html`<p class="trace">${trace}</p>` : nothing}
  </div>`;
}

function value(e: Event): string {
  return (e.target as HTMLSelectElement).value;
}
