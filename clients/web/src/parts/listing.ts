// What pages that list cards share: their head, and what stands in while there is
// nothing to list. Promises that a row of the head is as high as a button, whatever
// stands in it. Pure; owned by the home page and the catalogue.

import { icon, type IconName, type SluiceError } from "@sluice/sdk";
import { css, html, nothing, type TemplateResult } from "lit";
import { type Key, t } from "../text";
import { cardStyle } from "./card";
import { noticeStyle } from "./notice";

export const listingStyle = [
  cardStyle,
  noticeStyle,
  css`
    .head {
      display: flex;
      flex-wrap: wrap;
      gap: var(--s-3);
      align-items: end;
      margin-bottom: var(--s-6);
    }
    .head h1 {
      display: grid;
      align-items: center;
      min-height: var(--s-touch);
      margin-right: auto;
    }
    @media (max-width: 480px) {
      .head h1,
      .head form {
        flex-basis: 100%;
        max-width: none;
      }
    }
  `,
];

/** want asks the app for a token. */
export function want(from: EventTarget): void {
  from.dispatchEvent(new CustomEvent("want-token", { bubbles: true, composed: true }));
}

/** skeleton stands in for cards that are not known yet. */
export function skeleton(cards: number): TemplateResult {
  return html`<ul class="cards" aria-hidden="true">${Array.from({ length: cards }, () => html`<li><div class="card ghost"><div class="tile"></div><div class="text"></div></div></li>`)}</ul>`;
}

/** none says that there is nothing, and what could be done; hidden is what a token may show. */
export function none(o: { icon: IconName; what: Key; line: Key; act?: TemplateResult | typeof nothing; hidden: Key; token: string; from: EventTarget }): TemplateResult {
  return html`<section class="panel none">
    ${icon(o.icon, 40)}
    <h2>${t(o.what)}</h2>
    <p>${t(o.line)}</p>
    ${o.act ?? nothing}
    ${o.token ? nothing : html`<p>${t(o.hidden)}</p><button class="button" @click=${() => want(o.from)}>${icon("key", 20)}${t("home.enterToken")}</button>`}
  </section>`;
}

/** notice says why a list could not be had; missing is what a 404 means there. */
export function notice(error: SluiceError | undefined, from: EventTarget, missing: "home.unreachable" | "recordings.unavailable" = "home.unreachable"): TemplateResult | typeof nothing {
  if (!error) return nothing;
  const denied = error.why === "unauthorized" || error.why === "forbidden";
  const key = denied ? "home.denied" : error.why === "missing" ? missing : "home.unreachable";
  return html`<section class="panel notice" role="alert">
    <h2>${t(key)}</h2>
    <p>${t(`${key}.line`)}</p>
    ${denied ? html`<button class="button" @click=${() => want(from)}>${t("home.enterToken")}</button>` : nothing}
  </section>`;
}
