// <sluice-copy>: a text to take away, with its name. Promises that a secret is
// hidden until asked for, and that copying is said aloud. Owned by a page.

import { controls, icon, tokens } from "@sluice/sdk";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { t } from "../text";

// Long enough to read one word.
const thanks = 2000;

/** SluiceCopy is a field to copy from. */
export class SluiceCopy extends LitElement {
  static override properties = { label: {}, value: {}, secret: { type: Boolean }, shown: { state: true }, copied: { state: true } };
  static override styles = [
    tokens,
    controls,
    css`
      :host {
        display: block;
        min-width: 0;
      }
      .box {
        display: flex;
        align-items: stretch;
        border: 1px solid var(--s-line);
        border-radius: var(--s-radius);
        background: var(--s-sunken);
        overflow: hidden;
        margin-top: var(--s-1);
      }
      code {
        flex: 1;
        min-width: 0;
        padding: 10px var(--s-3);
        font: 0.875rem/1.6 ui-monospace, "SF Mono", Menlo, Consolas, monospace;
        overflow-wrap: anywhere;
        max-height: 9.6em;
        overflow-y: auto;
      }
      .button {
        border: 0;
        border-radius: 0;
        border-left: 1px solid var(--s-line);
        background: transparent;
        padding: 0 var(--s-3);
        font-size: 0.875rem;
        outline-offset: -2px;
      }
      .copy {
        min-width: 96px;
      }
    `,
  ];
  declare label: string;
  declare value: string;
  declare secret: boolean;
  declare shown: boolean;
  declare copied: boolean;

  constructor() {
    super();
    Object.assign(this, { label: "", value: "", secret: false, shown: false, copied: false });
  }

  protected override render(): TemplateResult {
    const hidden = this.secret && !this.shown;
    return html`<span class="label">${this.label}</span>
      <div class="box">
        <code>${hidden ? "•".repeat(8) : this.value}</code>
        ${this.secret ? html`<button class="button" aria-pressed=${this.shown} @click=${() => (this.shown = !this.shown)}>${this.shown ? t("hide") : t("show")}</button>` : nothing}
        <button class="button copy" aria-label="${t("copy")}: ${this.label}" @click=${() => void this.#copy()}>${icon(this.copied ? "check" : "copy", 18)}${this.copied ? t("copied") : t("copy")}</button>
      </div>
      <span class="sr" role="status">${this.copied ? t("copied") : ""}</span>`;
  }

  async #copy(): Promise<void> {
    await copyText(this.value, this.renderRoot);
    this.copied = true;
    setTimeout(() => (this.copied = false), thanks);
  }
}

/** copyText copies; on plain http, where there is no clipboard API, by an old way. */
export async function copyText(text: string, near: Node = document.body): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    near.appendChild(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

customElements.define("sluice-copy", SluiceCopy);
