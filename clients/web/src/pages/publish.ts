// <sluice-publish-page>: the publisher, where viewers go, and what to tell an
// encoder. Promises that the publisher's token is in no link that it hands out.
// Owned by the app.

import { controls, icon, type StreamStatus, tokens } from "@sluice/sdk";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { encoderPanel } from "../parts/encoder";
import "../parts/qr";
import { secureUrl } from "../server";
import { pageStyle } from "../style";
import { t } from "../text";

/** SluicePublishPage lays out publishing. */
export class SluicePublishPage extends LitElement {
  static override properties = { stream: {}, token: {}, status: { state: true }, secure: { state: true } };
  static override styles = [
    tokens,
    controls,
    pageStyle,
    css`
      h1 {
        margin-bottom: var(--s-4);
      }
      .share {
        display: grid;
        gap: var(--s-4);
        grid-template-columns: minmax(0, 1fr) auto;
        align-items: start;
      }
      .stack {
        display: grid;
        gap: var(--s-3);
        grid-template-columns: minmax(0, 1fr);
      }
      summary {
        display: flex;
        align-items: center;
        min-height: var(--s-touch);
        font-weight: 600;
        cursor: pointer;
        gap: var(--s-2);
        justify-content: space-between;
        list-style: none;
      }
      summary::-webkit-details-marker {
        display: none;
      }
      summary::after {
        content: "";
        width: 8px;
        height: 8px;
        margin: 0 4px;
        border: solid var(--s-dim);
        border-width: 0 2px 2px 0;
        transform: rotate(45deg);
      }
      details[open] summary::after {
        transform: rotate(225deg);
      }
      details .stack {
        padding: var(--s-2) 0;
      }
      details.panel {
        padding: var(--s-1) var(--s-4);
      }
      h3 {
        font-size: 1rem;
      }
      code {
        font: 0.875rem ui-monospace, Menlo, Consolas, monospace;
        overflow-wrap: anywhere;
      }
      @media (max-width: 560px) {
        .share {
          grid-template-columns: minmax(0, 1fr);
        }
      }
    `,
  ];
  declare stream: string;
  declare token: string;
  declare status: StreamStatus | undefined;
  declare secure: string;

  override connectedCallback(): void {
    super.connectedCallback();
    void secureUrl().then((url) => (this.secure = url));
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("stream")) document.title = `${t("publish.doc")} ${this.stream} · Sluice`;
  }

  protected override render(): TemplateResult {
    return html`<div class="wrap">
      <h1>${t("publish.title", { stream: this.stream })}</h1>
      <sluice-publisher src="/whip/${this.stream}" .stream=${this.stream} .token=${this.token} .secureUrl=${this.secure ?? ""}
        @sluice-status=${(e: CustomEvent<StreamStatus>) => (this.status = e.detail)}>
        <button slot="refused" class="button" @click=${() => this.dispatchEvent(new CustomEvent("want-token", { bubbles: true, composed: true }))}>${icon("key", 20)}${t("token.paste")}</button>
        ${this.#share()}
        <details class="panel">
          <summary>${t("publish.encoder")}</summary>
          <div class="stack">${encoderPanel(location.origin, this.stream, this.token)}</div>
        </details>
      </sluice-publisher>
    </div>`;
  }

  #share(): TemplateResult {
    const link = `${location.origin}/watch/${this.stream}`;
    const command = html`<code>sluice token --play ${this.stream}</code>`;
    const [before, after] = t("publish.notPublic").split("{command}");
    return html`<section class="panel share" aria-labelledby="share">
      <div class="stack">
        <h2 id="share">${t("publish.share")}</h2>
        <sluice-copy label=${t("publish.link")} .value=${link}></sluice-copy>
        <div><button class="button" @click=${() => this.#open()}>${icon("play", 20)}${t("publish.open")}</button></div>
        ${this.status && !this.status.public ? html`<p class="help">${before}${command}${after}</p>` : nothing}
      </div>
      <sluice-qr .value=${link} label=${t("publish.qr")}></sluice-qr>
    </section>`;
  }

  // A window that we open ourselves inherits this tab's session storage, and so the token, without a link that holds it.
  #open(): void {
    window.open(`/watch/${this.stream}`, "_blank");
  }
}

customElements.define("sluice-publish-page", SluicePublishPage);
