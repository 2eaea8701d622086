// <sluice-home>: what is live now, and the way to go live.
// Promises that cards keep their places while the list is refreshed: known ones
// stay, new ones come last, gone ones leave. Owned by the app.

import { controls, fromFailure, type SluiceError, type StreamStatus, streams, tokens } from "@sluice/sdk";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { card } from "../parts/card";
import { listingStyle, none, notice, skeleton } from "../parts/listing";
import { navigate, validStream } from "../router";
import { pageStyle } from "../style";
import { t } from "../text";

const refresh = 2000;

/** merge keeps the order of the cards that are there, and appends what is new by age. */
export function merge(before: StreamStatus[], now: StreamStatus[]): StreamStatus[] {
  const live = new Map(now.filter((s) => s.live).map((s) => [s.stream, s]));
  const kept = before.flatMap((s) => live.get(s.stream) ?? []);
  const known = new Set(kept.map((s) => s.stream));
  const fresh = [...live.values()].filter((s) => !known.has(s.stream));
  fresh.sort((a, b) => (a.since ?? "").localeCompare(b.since ?? "") || a.stream.localeCompare(b.stream));
  return [...kept, ...fresh];
}

/** SluiceHome lists streams. */
export class SluiceHome extends LitElement {
  static override properties = { token: {}, list: { state: true }, error: { state: true }, loaded: { state: true }, bad: { state: true } };
  static override styles = [
    tokens,
    controls,
    pageStyle,
    listingStyle,
    css`
      form {
        display: grid;
        grid-template-columns: minmax(0, 1fr) auto;
        gap: var(--s-1) var(--s-2);
        width: min(100%, 400px);
      }
      form label,
      form .bad {
        grid-column: 1 / -1;
      }
      .bad {
        color: var(--s-red);
        font-size: 0.875rem;
      }
    `,
  ];
  declare token: string;
  declare list: StreamStatus[];
  declare error: SluiceError | undefined;
  declare loaded: boolean;
  declare bad: boolean;
  #life = new AbortController();

  constructor() {
    super();
    Object.assign(this, { token: "", list: [], loaded: false, bad: false });
  }

  override connectedCallback(): void {
    super.connectedCallback();
    document.title = "Sluice";
    this.#life = new AbortController();
    void this.#refresh(this.#life.signal); // ends with the signal
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#life.abort();
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (changed.has("token") && this.hasUpdated) void this.#load(this.#life.signal);
  }

  protected override render(): TemplateResult {
    return html`<div class="wrap">
      <div class="head">
        <h1>${t("home.title")}</h1>
        <form @submit=${(e: Event) => this.#go(e)} novalidate>
          <label for="name">${t("home.name")}</label>
          <input id="name" type="text" autocomplete="off" autocapitalize="off" spellcheck="false" maxlength="128" placeholder="my-stream" aria-invalid=${this.bad ? "true" : "false"} aria-describedby="bad" @input=${() => (this.bad = false)} />
          <button class="button primary">${t("home.golive")}</button>
          <span id="bad" class="bad" role="alert">${this.bad ? t("home.name.bad") : nothing}</span>
        </form>
      </div>
      ${notice(this.error, this)}
      ${this.list.length ? this.#cards() : this.error ? nothing : this.loaded ? this.#none() : skeleton(3)}
      <div class="sr" role="status">${this.loaded ? t("home.viewers", { n: this.list.reduce((n, s) => n + s.viewers, 0) }) : t("home.loading")}</div>
    </div>`;
  }

  #cards(): TemplateResult {
    return html`<ul class="cards">${repeat(this.list, (s) => s.stream, (s) => html`<li>${card(s, Date.now(), this.token)}</li>`)}</ul>`;
  }

  #none(): TemplateResult {
    return none({ icon: "camera", what: "home.empty", line: "home.empty.line", hidden: "home.hidden", token: this.token, from: this });
  }

  #go(event: Event): void {
    event.preventDefault();
    const input = this.renderRoot.querySelector<HTMLInputElement>("#name")!;
    const name = input.value.trim();
    this.bad = !validStream(name);
    if (this.bad) input.focus();
    else navigate(`/publish/${name}`);
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Nobody looks at a hidden page.
      if (document.visibilityState !== "hidden") await this.#load(signal);
      await new Promise((done) => setTimeout(done, refresh));
    }
  }

  async #load(signal: AbortSignal): Promise<void> {
    try {
      const now = await streams({ api: location.origin, token: this.token || undefined, signal });
      this.list = merge(this.list, now);
      this.error = undefined;
      this.loaded = true;
    } catch (cause) {
      const error = fromFailure(cause);
      if (error.why === "aborted") return;
      this.error = error;
      this.loaded = true;
    }
  }
}

customElements.define("sluice-home", SluiceHome);
