// <sluice-watch-page>: the picture first, then its name and who else watches.
// Promises that statistics open beside the picture and move nothing above them.
// Owned by the app.

import { assets, type Condition, controls, icon, type SluicePlayer, tokens } from "@sluice/sdk";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { copyText } from "../parts/copy";
import { pageStyle } from "../style";
import { t } from "../text";

/** SluiceWatchPage lays out watching. */
export class SluiceWatchPage extends LitElement {
  static override properties = { stream: {}, token: {}, viewers: { state: true }, stats: { state: true }, copied: { state: true }, recording: { state: true } };
  static override styles = [
    tokens,
    controls,
    pageStyle,
    css`
      .wrap {
        padding-top: 0;
      }
      .layout {
        display: grid;
        gap: var(--s-4);
        grid-template-columns: minmax(0, 1fr);
      }
      .stage {
        /* The whole picture and its title fit the window, whatever its height. */
        width: min(100%, calc((100dvh - 172px) * 16 / 9));
        min-width: min(100%, 480px);
        margin: 0 auto;
      }
      .title {
        display: flex;
        flex-wrap: wrap;
        align-items: center;
        gap: var(--s-1) var(--s-4);
        padding-top: var(--s-3);
      }
      h1 {
        flex: 1 1 200px;
        font-size: 1.25rem;
      }
      .viewers {
        display: inline-flex;
        align-items: center;
        gap: var(--s-1);
        color: var(--s-dim);
        min-width: 9ch;
        min-height: var(--s-touch);
      }
      .acts {
        display: flex;
        gap: var(--s-2);
      }
      aside h2 {
        margin-bottom: var(--s-2);
      }
      @media (min-width: 1100px) {
        .layout.with {
          grid-template-columns: minmax(0, 1fr) 340px;
          align-items: start;
        }
      }
      @media (max-width: 480px) {
        .wrap {
          padding: 0 0 var(--s-8);
        }
        .title,
        aside.panel {
          margin: 0 var(--s-3);
        }
        sluice-player {
          border-radius: 0;
        }
      }
    `,
  ];
  declare stream: string;
  declare token: string;
  declare viewers: number | undefined;
  declare stats: boolean;
  declare copied: boolean;
  /** recording is the asset of what has ended, once it is known. */
  declare recording: string;

  protected override willUpdate(changed: PropertyValues): void {
    if (!changed.has("stream")) return;
    document.title = `${this.stream} · Sluice`;
    this.viewers = undefined;
    this.recording = "";
  }

  protected override render(): TemplateResult {
    return html`<div class="wrap">
      <div class="layout ${this.stats ? "with" : ""}">
        <div class="stage">
          <sluice-player keys="page" src="/whep/${this.stream}" .token=${this.token}
            @sluice-condition=${(e: CustomEvent<Condition>) => this.#condition(e.detail)}
            @sluice-viewers=${(e: CustomEvent<number>) => (this.viewers = e.detail)}
            @sluice-stats=${(e: CustomEvent) => this.#stats(e)}>
            <button slot="refused" class="button primary" @click=${() => this.dispatchEvent(new CustomEvent("want-token", { bubbles: true, composed: true }))}>${icon("key", 20)}${t("watch.token")}</button>
            ${this.recording ? html`<a slot="ended" class="button primary" href="/recordings/${this.recording}">${t("watch.recording")}</a>` : nothing}
          </sluice-player>
          <div class="title">
            <h1>${this.stream}</h1>
            <span class="viewers">${this.viewers === undefined ? nothing : html`${icon("people", 20)}${t("watch.viewers", { n: this.viewers })}`}</span>
            <div class="acts">
              <button class="button" @click=${() => void this.#copy()}>${icon(this.copied ? "check" : "share", 20)}${this.copied ? t("copied") : t("watch.share")}</button>
              <button class="button" aria-pressed=${this.stats ? "true" : "false"} @click=${() => (this.stats = !this.stats)}>${icon("stats", 20)}${t("watch.stats")}</button>
            </div>
          </div>
        </div>
        ${this.stats ? html`<aside class="panel" aria-label=${t("watch.stats")}><h2>${t("watch.stats")}</h2><sluice-stats .player=${this.#player}></sluice-stats></aside>` : nothing}
      </div>
    </div>`;
  }

  get #player(): SluicePlayer | null {
    return this.renderRoot.querySelector("sluice-player");
  }

  #condition({ state }: Condition): void {
    if (state === "ended" || state === "refused") this.viewers = undefined;
    if (state === "ended") void this.#find();
    else this.recording = "";
  }

  async #find(): Promise<void> {
    const { stream } = this;
    const page = await assets({ api: location.origin, token: this.token || undefined }, { stream, limit: 1 }).catch(() => undefined);
    if (stream === this.stream) this.recording = page?.assets[0]?.playable ? page.assets[0].id : "";
  }

  #stats(event: CustomEvent): void {
    if (this.#player?.fullscreen) return; // there the player shows them itself
    event.preventDefault();
    this.stats = !this.stats;
  }

  async #copy(): Promise<void> {
    await copyText(`${location.origin}/watch/${this.stream}`);
    this.copied = true;
    setTimeout(() => (this.copied = false), 2000);
  }
}

customElements.define("sluice-watch-page", SluiceWatchPage);
