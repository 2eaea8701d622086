// One recording as a card, in the looks of a live one. Promises a fixed height.
// Pure; owned by the catalogue page.

import { type Asset, format, icon } from "@sluice/sdk";
import { html, nothing, type TemplateResult } from "lit";
import { t } from "../text";
import "./picture";

/** day writes when something began, as the reader's language has it. */
export function day(time: string): string {
  return new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** mark says what is not yet as it shall be; empty for what is ready. */
export function mark(a: Asset): string {
  if (a.state === "ready") return "";
  const percent = a.progress === undefined ? "" : ` ${Math.round(a.progress * 100)} %`;
  return t(`asset.${a.state}`) + percent;
}

/** assetCard shows one. */
export function assetCard(a: Asset, token: string): TemplateResult {
  const said = mark(a);
  return html`<a class="card" href="/recordings/${a.id}" aria-label=${t("asset.open", { title: a.title })}>
    <div class="tile">
      <span aria-hidden="true">${icon("film", 40)}</span>
      ${a.thumbnail ? html`<sluice-picture .src=${a.thumbnail} .token=${token} .refresh=${a.state === "recording" ? 10_000 : 0}></sluice-picture>` : nothing}
      ${said ? html`<span class="mark ${a.state === "recording" ? "" : "calm"}">${said}</span>` : nothing}
      ${a.duration > 0 ? html`<span class="kind">${format.clock(a.duration * 1000)}</span>` : nothing}
    </div>
    <div class="text">
      <div class="name">${a.title}</div>
      <div class="facts">
        <span>${day(a.started)}</span>
        <span>${t("asset.views", { n: a.views })}</span>
      </div>
    </div>
  </a>`;
}
