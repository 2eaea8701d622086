// <sluice-recording-page>: one recording, and what may be done with it. Promises that
// nothing is deleted without being asked, and that what somebody else changed
// meanwhile is not written over. Owned by the app.

import {
  type Asset, asset, changeAsset, clipAsset, type Condition, controls, deleteAsset, exportAsset, format, fromFailure, icon, type Server, type SluiceError, type SluicePlayer, tokens, viewAsset,
} from "@sluice/sdk";
import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { day, mark } from "../parts/asset-card";
import "../parts/clip";
import type { Range } from "../parts/clip";
import { copyText } from "../parts/copy";
import { noticeStyle } from "../parts/notice";
import { navigate } from "../router";
import { pageStyle } from "../style";
import { t } from "../text";
import { recordingStyle } from "./recording-style";

const refresh = 3000; // while it is being prepared

/** whole tells that a film is one file and no playlist: VP8, which only WebM carries. */
const whole = (a: Asset): boolean => a.export?.endsWith(".webm") ?? false;

/** SluiceRecordingPage lays out a recording. */
export class SluiceRecordingPage extends LitElement {
  static override properties = {
    asset: {}, token: {}, found: { state: true }, error: { state: true }, editing: { state: true }, clipping: { state: true }, clip: { state: true }, said: { state: true },
    making: { state: true }, copied: { state: true }, film: { state: true }, busy: { state: true }, stats: { state: true },
  };
  static override styles = [tokens, controls, pageStyle, noticeStyle, recordingStyle];
  declare asset: string;
  declare token: string;
  declare found: Asset | undefined;
  declare error: SluiceError | undefined;
  declare editing: boolean;
  declare clipping: boolean;
  declare clip: Asset | undefined;
  /** said is what went wrong with the last thing that was tried. */
  declare said: string;
  /** making is how much of the file to download is made, from 0 to 1. */
  declare making: number | undefined;
  declare copied: boolean;
  /** film is the address of a whole file, of what no playlist carries. */
  declare film: string | undefined;
  declare busy: boolean;
  declare stats: boolean;
  #life = new AbortController();
  #seen = false;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#life.abort();
  }

  protected override willUpdate(changed: PropertyValues): void {
    if (!changed.has("asset") && !changed.has("token")) return;
    this.#life.abort();
    this.#life = new AbortController();
    if (changed.has("asset")) Object.assign(this, { found: undefined, clip: undefined, clipping: false, editing: false, said: "", making: undefined, film: undefined });
    this.error = undefined;
    this.#seen = false;
    void this.#follow(this.#life.signal); // ends with the signal
  }

  protected override render(): TemplateResult {
    if (this.error && !this.found) return this.#refused(this.error);
    const a = this.found;
    return html`<div class="wrap"><div class="stage">
      ${a ? this.#picture(a) : html`<div class="hole" aria-hidden="true"></div>`}
      ${a ? this.#below(a) : html`<div class="title"><span class="sr" role="status">${t("asset.loading")}</span></div>`}
    </div></div>`;
  }

  #picture(a: Asset): TemplateResult {
    if (a.playable && whole(a)) {
      return html`<video controls playsinline aria-label=${a.title} src=${this.film ?? nothing} @playing=${() => this.#plays()}></video>`;
    }
    if (a.playable) {
      return html`<sluice-player keys="page" .asset=${a.id} .token=${this.token} .storyboard=${a.storyboard ?? ""}
        @sluice-condition=${(e: CustomEvent<Condition>) => e.detail.state === "playing" && this.#plays()} @sluice-stats=${(e: CustomEvent) => this.#stats(e)}></sluice-player>`;
    }
    const failed = a.state === "failed";
    return html`<div class="hole"><div>
      <h2>${failed ? t("asset.notPlayable") : mark(a)}</h2>
      <p>${failed ? (a.reason ? format.sentence(a.reason) : t("asset.notPlayable.line")) : t("asset.soon")}</p>
      ${a.progress === undefined || failed ? nothing : html`<progress max="1" .value=${a.progress} aria-label=${mark(a)}></progress>`}
    </div></div>`;
  }

  #below(a: Asset): TemplateResult {
    const may = a.editable === true;
    return html`
      ${this.editing ? this.#editor(a) : html`<div class="title"><h1>${a.title}</h1>${may ? html`<button class="button tool" aria-label=${t("asset.rename")} title=${t("asset.rename")} @click=${() => (this.editing = true)}>${icon("pencil", 20)}</button>` : nothing}</div>`}
      <p class="facts">${this.#facts(a).map((f) => html`<span>${f}</span>`)}</p>
      ${a.state === "recording" ? html`<p><a href="/watch/${a.stream}">${t("asset.live")}</a></p>` : nothing}
      ${a.parent ? html`<p><a href="/recordings/${a.parent}">${t("asset.parent")}</a></p>` : nothing}
      <div class="acts">
        <button class="button" @click=${() => void this.#copy()}>${icon(this.copied ? "check" : "share", 20)}${this.copied ? t("copied") : t("asset.share")}</button>
        ${a.export ? html`<button class="button" ?disabled=${this.making !== undefined} @click=${() => void this.#download(a)}>${icon("download", 20)}${t("asset.download")}</button>` : nothing}
        ${may && a.state === "ready" ? html`<button class="button" aria-expanded=${this.clipping ? "true" : "false"} @click=${() => (this.clipping = !this.clipping)}>${icon("scissors", 20)}${t("asset.clip")}</button>` : nothing}
        ${may ? html`<label class="switch"><input type="checkbox" .checked=${a.public} ?disabled=${this.busy} @change=${(e: Event) => void this.#change(a, { public: (e.target as HTMLInputElement).checked })} />${t("asset.public")}</label>` : nothing}
        ${may && a.state !== "recording" ? html`<button class="button end" @click=${() => this.#dialog.showModal()}>${icon("bin", 20)}${t("asset.delete")}</button>` : nothing}
      </div>
      ${this.making === undefined ? nothing : html`<p class="making" role="status"><progress max="1" .value=${this.making}></progress>${t("asset.download.making", { percent: Math.round(this.making * 100) })}</p>`}
      ${this.said ? html`<p class="said" role="alert">${this.said}</p>` : nothing}
      ${a.public ? nothing : html`<p class="help">${t("asset.share.private")}</p>`}
      ${a.missing && a.missing >= 0.5 ? html`<p class="help">${t("asset.missing", { n: Math.round(a.missing) })}</p>` : nothing}
      ${this.clipping ? html`<section class="panel" aria-label=${t("asset.clip")}><sluice-clip .here=${() => this.#player?.media?.currentTime ?? 0} ?busy=${this.busy} @clip=${(e: CustomEvent<Range>) => void this.#clip(a, e.detail)}></sluice-clip></section>` : nothing}
      ${this.clip ? html`<p role="status">${t("asset.clip.done")} <a href="/recordings/${this.clip.id}">${this.clip.title}</a></p>` : nothing}
      ${this.stats ? html`<section class="panel" aria-label=${t("watch.stats")}><h2>${t("watch.stats")}</h2><sluice-stats .player=${this.#player}></sluice-stats></section>` : nothing}
      ${a.description ? html`<p class="description">${a.description}</p>` : nothing}
      <p><a href="/recordings">${t("asset.back")}</a></p>
      ${may ? this.#question(a) : nothing}`;
  }

  #question(a: Asset): TemplateResult {
    return html`<dialog aria-labelledby="delete-title">
      <h2 id="delete-title">${t("asset.delete.title")}</h2>
      <p>${t("asset.delete.line", { title: a.title })}</p>
      <div class="row">
        <button class="button" autofocus @click=${() => this.#dialog.close()}>${t("asset.delete.keep")}</button>
        <button class="button danger" ?disabled=${this.busy} @click=${() => void this.#delete(a)}>${t("asset.delete")}</button>
      </div>
    </dialog>`;
  }

  #editor(a: Asset): TemplateResult {
    const save = (e: Event) => {
      e.preventDefault();
      const title = this.renderRoot.querySelector<HTMLInputElement>("#name")!.value.trim();
      if (title && title !== a.title) void this.#change(a, { title }).then((done) => (this.editing = !done));
      else this.editing = false;
    };
    return html`<form class="title" @submit=${save} @keydown=${(e: KeyboardEvent) => e.key === "Escape" && (this.editing = false)}>
      <input id="name" type="text" maxlength="200" aria-label=${t("asset.title")} .value=${a.title} />
      <button class="button primary" ?disabled=${this.busy}>${t("asset.save")}</button>
      <button class="button" type="button" @click=${() => (this.editing = false)}>${t("cancel")}</button>
    </form>`;
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has("editing") && this.editing) this.renderRoot.querySelector<HTMLInputElement>("#name")?.select();
    if (changed.has("found") && this.found) document.title = `${this.found.title} · Sluice`;
  }

  #facts(a: Asset): string[] {
    const size = format.size(a.width ?? 0, a.height ?? 0);
    const recording = a.state === "recording" ? mark(a) : t(`asset.kind.${a.kind}`);
    return [`${recording} ${day(a.started)}`, a.duration > 0 ? format.clock(a.duration * 1000) : "", size, a.size ? format.bytes(a.size) : "", t("asset.views", { n: a.views }), a.public ? "" : t("asset.private")].filter(Boolean);
  }

  #refused(error: SluiceError): TemplateResult {
    const denied = error.why === "unauthorized" || error.why === "forbidden";
    const key = denied ? "asset.refused" : error.why === "missing" ? "asset.gone" : "home.unreachable";
    return html`<div class="wrap"><section class="panel none" role="alert">
      ${icon(denied ? "key" : "film", 40)}
      <h1>${t(key)}</h1>
      <p>${t(`${key}.line`)}</p>
      ${denied ? html`<button class="button primary" @click=${() => this.dispatchEvent(new CustomEvent("want-token", { bubbles: true, composed: true }))}>${icon("key", 20)}${t("home.enterToken")}</button>` : nothing}
      <p><a href="/recordings">${t("asset.back")}</a></p>
    </section></div>`;
  }

  get #server(): Server {
    return { api: location.origin, token: this.token || undefined, signal: this.#life.signal };
  }

  get #player(): SluicePlayer | null {
    return this.renderRoot.querySelector("sluice-player");
  }

  get #dialog(): HTMLDialogElement {
    return this.renderRoot.querySelector("dialog")!;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#load();
      const settled = this.found ? this.found.state === "ready" || this.found.state === "failed" : this.error && !this.error.retry;
      if (settled && this.found && whole(this.found)) await this.#fetch(this.found);
      if (settled) return;
      await new Promise((done) => setTimeout(done, refresh));
    }
  }

  /** fetch has the whole film made, and plays it from there. */
  async #fetch(a: Asset): Promise<void> {
    await this.#try(async () => void (this.film = await exportAsset(this.#server, a, (part) => (this.making = part))), t("asset.download.failed"));
    this.making = undefined;
  }

  async #load(): Promise<void> {
    try {
      this.found = await asset(this.#server, this.asset);
      this.error = undefined;
    } catch (cause) {
      const error = fromFailure(cause);
      if (error.why !== "aborted") this.error = error;
    }
  }

  #plays(): void {
    if (this.#seen || !this.found) return;
    this.#seen = true;
    void viewAsset(this.#server, this.found.id).catch(() => undefined); // a view more or less
  }

  #stats(event: CustomEvent): void {
    if (this.#player?.fullscreen) return; // there the player shows them itself
    event.preventDefault();
    this.stats = !this.stats;
  }

  async #try(act: () => Promise<void>, sorry: string): Promise<boolean> {
    this.said = "";
    this.busy = true;
    try {
      await act();
      return true;
    } catch (cause) {
      const error = fromFailure(cause);
      if (error.why !== "aborted") this.said = error.status === 412 ? t("asset.stale") : `${sorry}${error.detail ? `: ${format.sentence(error.detail)}` : "."}`;
      if (error.status === 412) await this.#load();
      return false;
    } finally {
      this.busy = false;
    }
  }

  #change(a: Asset, change: { title?: string; public?: boolean }): Promise<boolean> {
    return this.#try(async () => void (this.found = await changeAsset(this.#server, a, change)), t("asset.failed.change"));
  }

  async #clip(a: Asset, range: Range): Promise<void> {
    await this.#try(async () => void (this.clip = await clipAsset(this.#server, a.id, range)), t("asset.failed.change"));
    if (this.clip && !this.said) this.clipping = false;
  }

  async #delete(a: Asset): Promise<void> {
    const gone = await this.#try(() => deleteAsset(this.#server, a.id), t("asset.failed.change"));
    this.#dialog.close();
    if (gone) navigate("/recordings");
  }

  async #download(a: Asset): Promise<void> {
    this.making = 0;
    await this.#try(async () => {
      const href = await exportAsset(this.#server, a, (part) => (this.making = part));
      const name = a.title.replaceAll(":", "-").replace(/[^\p{L}\p{N} ._-]+/gu, "").slice(0, 100) || a.id;
      Object.assign(document.createElement("a"), { href, download: `${name}.${whole(a) ? "webm" : "mp4"}` }).click();
    }, t("asset.download.failed"));
    this.making = undefined;
  }

  async #copy(): Promise<void> {
    await copyText(`${location.origin}/recordings/${this.asset}`);
    this.copied = true;
    setTimeout(() => (this.copied = false), 2000);
  }
}

customElements.define("sluice-recording-page", SluiceRecordingPage);
