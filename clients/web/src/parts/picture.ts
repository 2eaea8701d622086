// <sluice-picture>: a picture that may need a token, from memory. Promises that what
// stands behind it shows until it is there, and that no token gets into an address.
// Owned by a page.

import { request } from "@sluice/sdk";
import { css, html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";

/** SluicePicture shows src, again every so many milliseconds if refresh is set. */
export class SluicePicture extends LitElement {
  static override properties = { src: {}, token: {}, refresh: { type: Number }, url: { state: true } };
  static override styles = css`
    :host {
      display: block;
      position: absolute;
      inset: 0;
    }
    img {
      width: 100%;
      height: 100%;
      object-fit: cover;
      display: block;
    }
  `;
  declare src: string;
  declare token: string;
  declare refresh: number;
  declare url: string;
  #life = new AbortController();

  constructor() {
    super();
    Object.assign(this, { src: "", token: "", refresh: 0, url: "" });
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) this.#begin();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#life.abort();
    this.#show("");
  }

  protected override updated(changed: PropertyValues): void {
    if (changed.has("src") || changed.has("token")) this.#begin();
  }

  protected override render(): TemplateResult | typeof nothing {
    return this.url ? html`<img src=${this.url} alt="" @error=${() => this.#show("")} />` : nothing;
  }

  #begin(): void {
    this.#life.abort();
    const { signal } = (this.#life = new AbortController());
    void this.#keep(signal); // ends with the signal
  }

  async #keep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.src) {
      if (document.visibilityState !== "hidden") await this.#load(signal);
      if (!this.refresh) return;
      await new Promise((done) => setTimeout(done, this.refresh));
    }
  }

  async #load(signal: AbortSignal): Promise<void> {
    try {
      const res = await request(new URL(this.src, location.href).href, { token: this.token || undefined, signal });
      const blob = await res.blob();
      if (!signal.aborted) this.#show(URL.createObjectURL(blob));
    } catch {
      // There is none, or not now: what stands behind it is enough.
    }
  }

  #show(url: string): void {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = url;
  }
}

customElements.define("sluice-picture", SluicePicture);
