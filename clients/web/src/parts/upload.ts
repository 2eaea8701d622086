// <sluice-upload>: a button to upload films, and how far each has come. Promises that
// what arrived is not sent again: pause, a broken network, a closed page only cost time.
// Owned by the catalogue page.

import { type Asset, controls, icon, type SluiceError, tokens, Uploading } from "@sluice/sdk";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { t } from "../text";

interface Row {
  file: File;
  sending: Uploading;
  progress: number;
  state: "waiting" | "sending" | "paused" | "failed" | "done";
  error?: SluiceError;
}

// More at once gain nothing on one connection, and the server takes eight of one person.
const atOnce = 3;

/** SluiceUpload sends files, to stand under a stream's rights; it tells "uploaded" of each that became an asset. */
export class SluiceUpload extends LitElement {
  static override properties = { token: {}, stream: {}, rows: { state: true } };
  static override styles = [
    tokens,
    controls,
    css`
      :host {
        display: contents;
      }
      ul {
        grid-column: 1 / -1;
        flex-basis: 100%;
        list-style: none;
        margin: 0;
        padding: 0;
        display: grid;
        gap: var(--s-2);
      }
      li {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto auto;
        align-items: center;
        gap: 0 var(--s-2);
        padding: var(--s-2) var(--s-4);
        border: 1px solid var(--s-line);
        border-radius: var(--s-radius);
        background: var(--s-surface);
        font-size: 0.875rem;
      }
      .name {
        overflow: hidden;
        text-overflow: ellipsis;
        white-space: nowrap;
      }
      progress {
        grid-column: 1 / -1;
        width: 100%;
        height: 6px;
        accent-color: var(--s-accent);
      }
      .why {
        grid-column: 1 / -1;
        color: var(--s-red);
      }
      .tool {
        border-color: transparent;
        background: transparent;
        padding: 0 var(--s-2);
        font-weight: 400;
      }
    `,
  ];
  declare token: string;
  declare stream: string;
  declare rows: Row[];

  constructor() {
    super();
    Object.assign(this, { token: "", stream: "", rows: [] });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const r of this.rows) if (r.state === "sending") r.sending.pause();
    this.rows = [];
  }

  protected override render(): TemplateResult {
    return html`
      <button class="button" @click=${() => this.#input.click()}>${icon("upload", 20)}${t("recordings.upload")}</button>
      <input type="file" accept="video/*,audio/*,.mkv,.ts,.mov" multiple hidden @change=${() => this.#chosen()} />
      ${this.rows.length ? html`<ul>${repeat(this.rows, (r) => r.file, (r) => this.#row(r))}</ul>` : nothing}
      <span class="sr" role="status">${this.rows.find((r) => r.state === "done") ? t("recordings.upload.done", { name: this.rows.findLast((r) => r.state === "done")!.file.name }) : ""}</span>
    `;
  }

  #row(r: Row): TemplateResult {
    const name = r.file.name;
    const words = r.state === "failed" ? t("recordings.upload.failed", { name }) : r.state === "done" ? t("recordings.upload.done", { name }) : t("recordings.uploading", { name });
    const percent = r.state === "paused" ? t("recordings.upload.paused") : r.state === "waiting" ? t("recordings.upload.waiting") : `${Math.floor(r.progress * 100)} %`;
    return html`<li>
      <span class="name" title=${words}>${words}</span>
      <span>${r.state === "done" ? "" : percent}</span>
      <span>
        ${r.state === "sending" ? html`<button class="button tool" @click=${() => this.#pause(r)}>${icon("pause", 18)}${t("recordings.upload.pause")}</button>` : nothing}
        ${r.state === "paused" || r.state === "failed" ? html`<button class="button tool" @click=${() => this.#send(r.file)}>${t("recordings.upload.again")}</button>` : nothing}
        <button class="button tool" aria-label="${t(r.state === "done" ? "hide" : "cancel")}: ${name}" @click=${() => this.#drop(r)}>${icon("close", 18)}</button>
      </span>
      ${r.state === "done" ? nothing : html`<progress max="1" .value=${r.progress} aria-label=${words}></progress>`}
      ${r.state === "failed" && r.error?.detail ? html`<span class="why" role="alert">${r.error.detail}</span>` : nothing}
    </li>`;
  }

  get #input(): HTMLInputElement {
    return this.renderRoot.querySelector("input")!;
  }

  #chosen(): void {
    for (const file of this.#input.files ?? []) this.#send(file);
    this.#input.value = "";
  }

  #send(file: File): void {
    const sending = new Uploading({ api: location.origin, token: this.token || undefined }, file, memory(), this.stream || undefined);
    const row: Row = { file, sending, progress: 0, state: "waiting" };
    this.rows = [...this.rows.filter((r) => r.file !== file), row];
    sending.on("progress", (p) => this.#change(row, { progress: p }));
    sending.on("failed", (error) => {
      this.#change(row, { state: "failed", error });
      this.#next();
    });
    sending.on("done", (asset) => {
      this.#change(row, { state: "done", progress: 1 });
      this.#next();
      this.dispatchEvent(new CustomEvent<Asset>("uploaded", { detail: asset, bubbles: true, composed: true }));
    });
    this.#next();
  }

  // next begins what waits, as far as there is room.
  #next(): void {
    let room = atOnce - this.rows.filter((r) => r.state === "sending").length;
    for (const r of this.rows) {
      if (r.state !== "waiting" || room-- <= 0) continue;
      this.#change(r, { state: "sending" });
      void r.sending.start(); // tells its end by an event
    }
  }

  #pause(r: Row): void {
    r.sending.pause();
    this.#change(r, { state: "paused" });
    this.#next();
  }

  #drop(r: Row): void {
    if (r.state !== "done") r.sending.cancel();
    this.rows = this.rows.filter((x) => x !== r);
    this.#next();
  }

  #change(r: Row, what: Partial<Row>): void {
    Object.assign(r, what);
    this.rows = [...this.rows];
  }
}

function memory(): Storage | undefined {
  try {
    return localStorage;
  } catch {
    return undefined;
  }
}

customElements.define("sluice-upload", SluiceUpload);
