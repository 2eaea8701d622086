// <sluice-clip>: from when to when a clip shall be, with the player at hand. Promises
// to say what cannot be read, and tells "clip" when both times can. Owned by the
// recording page.

import { controls, format, tokens } from "@sluice/sdk";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { t } from "../text";

/** Range is a clip to be made, in seconds. */
export interface Range {
  start: number;
  end: number;
  title: string;
}

/** seconds reads "1:05", "1:02:05" or "65"; undefined for anything else. */
export function seconds(text: string): number | undefined {
  if (!/^(\d+:)?(\d{1,2}:)?\d+([.,]\d+)?$/.test(text.trim())) return undefined;
  return text.trim().replace(",", ".").split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** SluiceClip asks for a range; here() is where the player is, in seconds. */
export class SluiceClip extends LitElement {
  static override properties = { here: { attribute: false }, busy: { type: Boolean }, bad: { state: true } };
  static override styles = [
    tokens,
    controls,
    css`
      form {
        display: grid;
        gap: var(--s-3);
        grid-template-columns: repeat(2, minmax(0, 200px)) minmax(0, 1fr);
        align-items: end;
      }
      .time {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        gap: var(--s-1);
      }
      .time label,
      p {
        grid-column: 1 / -1;
      }
      .bad {
        color: var(--s-red);
        font-size: 0.875rem;
      }
      .make {
        grid-column: 1 / -1;
        justify-self: start;
      }
      @media (max-width: 640px) {
        form {
          grid-template-columns: 1fr 1fr;
        }
        .title {
          grid-column: 1 / -1;
        }
      }
    `,
  ];
  declare here: () => number;
  declare busy: boolean;
  declare bad: boolean;

  protected override render(): TemplateResult {
    return html`<form @submit=${(e: Event) => this.#make(e)} novalidate>
      ${this.#time("from")} ${this.#time("to")}
      <div class="title"><label for="title">${t("asset.title")}</label><input id="title" type="text" maxlength="200" autocomplete="off" /></div>
      <p class="help">${t("asset.clip.line")}</p>
      ${this.bad ? html`<p class="bad" role="alert">${t("asset.clip.bad")}</p>` : nothing}
      <button class="button primary make" ?disabled=${this.busy}>${t("asset.clip.make")}</button>
    </form>`;
  }

  #time(which: "from" | "to"): TemplateResult {
    return html`<div class="time">
      <label for=${which}>${t(`asset.clip.${which}`)}</label>
      <input id=${which} type="text" inputmode="numeric" autocomplete="off" placeholder="0:00" @input=${() => (this.bad = false)} />
      <button class="button" type="button" aria-label="${t(`asset.clip.${which}`)}: ${t("asset.clip.here")}" @click=${() => (this.#input(which).value = format.clock(this.here() * 1000))}>${t("asset.clip.here")}</button>
    </div>`;
  }

  #input(id: string): HTMLInputElement {
    return this.renderRoot.querySelector<HTMLInputElement>(`#${id}`)!;
  }

  #make(event: Event): void {
    event.preventDefault();
    const [start, end] = [seconds(this.#input("from").value), seconds(this.#input("to").value)];
    this.bad = start === undefined || end === undefined || end <= start;
    if (!this.bad) this.dispatchEvent(new CustomEvent<Range>("clip", { detail: { start: start!, end: end!, title: this.#input("title").value.trim() } }));
  }
}

customElements.define("sluice-clip", SluiceClip);
