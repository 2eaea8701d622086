// <sluice-recordings>: the catalogue. Promises that what is typed is searched for once,
// and that cards stay where they are while more come. Owned by the app.

import { type Asset, type AssetPage, assets, controls, fromFailure, icon, type SluiceError, tokens } from "@sluice/sdk";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { assetCard } from "../parts/asset-card";
import { listingStyle, none, notice, skeleton } from "../parts/listing";
import "../parts/upload";
import { pageStyle } from "../style";
import { t } from "../text";

const many = 24; // fills rows of two, three and four
const most = 200; // of one request
// A person pauses so long between words.
const typing = 300;
// What is being recorded or prepared changes.
const refresh = 5000;
const orders = ["-started", "started", "title", "-duration", "-views"] as const;

// Pictures come some seconds after a recording is ready.
const pictured = 120_000;

/** changing tells whether something is still to be expected of an asset; now in Unix milliseconds. */
export function changing(a: Asset, now: number): boolean {
  return a.state === "recording" || a.state === "processing" || (a.state === "ready" && !a.thumbnail && now - Date.parse(a.ended ?? a.started) < pictured);
}

/** SluiceRecordings lists assets. */
export class SluiceRecordings extends LitElement {
  static override properties = { token: {}, list: { state: true }, next: { state: true }, error: { state: true }, loaded: { state: true }, uploadTo: { state: true }, more: { state: true }, words: { state: true }, order: { state: true } };
  static override styles = [
    tokens,
    controls,
    pageStyle,
    listingStyle,
    css`
      form {
        position: relative;
        flex: 1 1 200px;
        max-width: 340px;
      }
      form svg {
        position: absolute;
        left: var(--s-3);
        top: 12px;
        color: var(--s-dim);
        pointer-events: none;
      }
      form input[type="text"] {
        padding-left: 40px;
      }
      select {
        width: auto;
      }
      .end {
        display: grid;
        justify-items: center;
        padding-top: var(--s-6);
      }
      @media (max-width: 480px) {
        select {
          flex: 1;
        }
      }
    `,
  ];
  declare token: string;
  declare list: Asset[];
  declare next: string;
  declare error: SluiceError | undefined;
  declare loaded: boolean;
  declare uploadTo: string;
  declare more: boolean;
  declare words: string;
  declare order: (typeof orders)[number];
  #life = new AbortController();
  #asked = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    super();
    Object.assign(this, { token: "", list: [], next: "", loaded: false, uploadTo: "", more: false, words: "", order: "-started" });
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = `${t("recordings")} · Sluice`;
    this.#life = new AbortController();
    void this.#refresh(this.#life.signal); // ends with the signal
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#life.abort();
    this.#asked.abort();
    clearTimeout(this.#timer);
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("token") || changed.has("order")) void this.#load();
  }

  protected override render(): TemplateResult {
    return html`<div class="wrap">
      <div class="head">
        <h1>${t("recordings")}</h1>
        <form role="search" @submit=${(e: Event) => e.preventDefault()}>
          ${icon("search", 20)}
          <input type="text" inputmode="search" enterkeyhint="search" autocomplete="off" maxlength="100" aria-label=${t("recordings.search")} placeholder=${t("recordings.search")} .value=${this.words} @input=${(e: InputEvent) => this.#typed((e.target as HTMLInputElement).value)} />
        </form>
        <select aria-label=${t("recordings.sort")} @change=${(e: Event) => (this.order = (e.target as HTMLSelectElement).value as typeof this.order)}>
          ${orders.map((o) => html`<option value=${o} ?selected=${o === this.order}>${t(`recordings.sort.${o}`)}</option>`)}
        </select>
        ${this.uploadTo ? html`<sluice-upload .token=${this.token} .stream=${this.uploadTo} @uploaded=${() => void this.#load(true)}></sluice-upload>` : nothing}
      </div>
      ${notice(this.error, this, "recordings.unavailable")}
      ${this.list.length ? this.#cards() : this.error ? nothing : this.loaded ? this.#none() : skeleton(6)}
      <div class="sr" role="status">${this.loaded ? t("recordings.found", { n: this.list.length }) : t("recordings.loading")}</div>
    </div>`;
  }

  #cards(): TemplateResult {
    return html`<ul class="cards">${repeat(this.list, (a) => a.id, (a) => html`<li>${assetCard(a, this.token)}</li>`)}</ul>
      ${this.next ? html`<div class="end"><button class="button" ?disabled=${this.more} @click=${() => void this.#more()}>${t("recordings.more")}</button></div>` : nothing}`;
  }

  #none(): TemplateResult {
    const empty = { hidden: "recordings.hidden", token: this.token, from: this } as const;
    const line = this.uploadTo ? "recordings.empty.upload" : "recordings.empty.line";
    if (!this.words.trim()) return none({ icon: "film", what: "recordings.empty", line, ...empty });
    const act = html`<button class="button" @click=${() => this.#typed("", 0)}>${t("recordings.clear")}</button>`;
    return none({ icon: "search", what: "recordings.none", line: "recordings.none.line", act, ...empty });
  }

  #typed(words: string, after = typing): void {
    this.words = words;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#load(), after);
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await new Promise((done) => setTimeout(done, refresh));
      const moves = this.error !== undefined || this.list.some((a) => changing(a, Date.now()));
      if (!signal.aborted && moves && document.visibilityState !== "hidden") await this.#load(true);
    }
  }

  // quiet keeps what is there, also how much of it.
  async #load(quiet = false): Promise<void> {
    const page = await this.#ask({ limit: quiet ? Math.min(most, Math.max(many, this.list.length)) : many });
    if (!page) return;
    // Beyond what one request gives, the list stays as it was.
    if (quiet && this.list.length > most) this.list = [...page.assets, ...this.list.slice(most)];
    else [this.list, this.next] = [page.assets, page.next];
  }

  async #more(): Promise<void> {
    this.more = true;
    const page = await this.#ask({ limit: many, cursor: this.next });
    this.more = false;
    if (!page) return;
    const known = new Set(this.list.map((a) => a.id));
    this.list = [...this.list, ...page.assets.filter((a) => !known.has(a.id))];
    this.next = page.next;
  }

  async #ask(query: { limit: number; cursor?: string }): Promise<AssetPage | undefined> {
    this.#asked.abort(); // only the newest question counts
    const { signal } = (this.#asked = new AbortController());
    try {
      const page = await assets({ api: location.origin, token: this.token || undefined, signal }, { words: this.words.trim(), sort: this.order, ...query });
      this.error = undefined;
      this.loaded = true;
      this.uploadTo = page.uploadTo;
      return page;
    } catch (cause) {
      const error = fromFailure(cause);
      if (error.why === "aborted") return undefined;
      this.error = error;
      this.loaded = true;
      if (error.why === "unauthorized" || error.why === "missing") [this.list, this.uploadTo] = [[], ""];
      return undefined;
    }
  }
}

customElements.define("sluice-recordings", SluiceRecordings);
