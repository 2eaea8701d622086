// <sluice-app>: the header, the token dialog, and the page that the path names.
// Promises that a page gets the token as a property and never reads the address
// itself. Owned by the document.

import { controls, icon, tokens } from "@sluice/sdk";
import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import "./pages/home";
import "./pages/publish";
import "./pages/recording";
import "./pages/recordings";
import "./pages/watch";
import { intercept, type Route, routeOf } from "./router";
import { pageStyle } from "./style";
import { t } from "./text";
import { apply, next, theme, type Theme } from "./theme";
import * as tokenStore from "./token";

const themeIcon = { auto: "auto", light: "sun", dark: "moon" } as const;

/** SluiceApp is the site. */
export class SluiceApp extends LitElement {
  static override properties = { route: { state: true }, token: { state: true }, theme: { state: true } };
  static override styles = [
    tokens,
    controls,
    pageStyle,
    css`
      header {
        display: flex;
        align-items: center;
        gap: var(--s-2);
        max-width: 1280px;
        margin: 0 auto;
        padding: var(--s-2) var(--s-4);
      }
      .brand {
        display: inline-flex;
        align-items: center;
        gap: var(--s-2);
        min-height: var(--s-touch);
        font-weight: 700;
        font-size: 1.125rem;
        color: var(--s-text);
        text-decoration: none;
        margin-right: auto;
      }
      .tool {
        border-color: transparent;
        background: transparent;
        padding: 0 var(--s-2);
        font-weight: 400;
        white-space: nowrap;
      }
      .tool[aria-current="page"] {
        background: var(--s-sunken);
      }
      .set {
        color: var(--s-accent);
      }
      dialog {
        width: min(440px, calc(100vw - 32px));
        padding: var(--s-6);
        border: 1px solid var(--s-line);
        border-radius: 12px;
        background: var(--s-surface);
        color: var(--s-text);
      }
      dialog::backdrop {
        background: rgb(10 12 16 / 0.5);
      }
      form {
        display: grid;
        gap: var(--s-3);
      }
      .row {
        display: flex;
        flex-wrap: wrap;
        gap: var(--s-2);
        justify-content: flex-end;
      }
      .row .left {
        margin-right: auto;
      }
      .skip:not(:focus) {
        position: absolute;
        clip-path: inset(50%);
        width: 1px;
        height: 1px;
      }
      main:focus {
        outline: none;
      }
      @media (max-width: 359px) {
        header a.tool svg {
          display: none;
        }
      }
      @media (max-width: 480px) {
        header {
          padding: var(--s-1) var(--s-3);
          gap: 0;
        }
        .word {
          position: absolute;
          width: 1px;
          height: 1px;
          overflow: hidden;
          clip-path: inset(50%);
        }
      }
    `,
  ];
  declare route: Route;
  declare token: string;
  declare theme: Theme;
  #life: AbortController | undefined;

  constructor() {
    super();
    this.theme = theme();
    apply(this.theme);
    this.route = routeOf(location.pathname);
    this.token = "";
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const { signal } = (this.#life = new AbortController());
    tokenStore.adopt();
    this.token = tokenStore.token();
    for (const name of ["popstate", "hashchange"]) window.addEventListener(name, () => this.#moved(), { signal });
    this.addEventListener("click", intercept, { signal });
    this.addEventListener("want-token", () => this.#ask(), { signal });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#life?.abort();
  }

  protected override render(): TemplateResult {
    return html`
      <a class="skip button" href="#main" @click=${(e: Event) => (e.preventDefault(), this.#focusMain())}>${t("app.skip")}</a>
      <header>
        <a class="brand" href="/" aria-label=${t("app.home")}><img src=${new URL("./icon.svg", import.meta.url).href} width="28" height="28" alt="" />Sluice</a>
        <a class="button tool" href="/recordings" aria-current=${this.route.page === "recordings" ? "page" : "false"}>${icon("film", 20)}${t("recordings")}</a>
        <button class="button tool ${this.token ? "set" : ""}" @click=${() => this.#ask()}>${icon("key", 20)}<span class="word">${this.token ? t("token.set") : t("token")}</span></button>
        <button class="button tool" aria-label=${t(`theme.${this.theme}`)} title=${t(`theme.${this.theme}`)} @click=${() => (this.theme = next(this.theme))}>${icon(themeIcon[this.theme], 20)}</button>
      </header>
      <main id="main" tabindex="-1">${this.#page()}</main>
      ${this.#dialog()}
    `;
  }

  #page(): TemplateResult {
    const r = this.route;
    switch (r.page) {
      case "home":
        return html`<sluice-home .token=${this.token}></sluice-home>`;
      case "publish":
        return html`<sluice-publish-page .token=${this.token} .stream=${r.stream}></sluice-publish-page>`;
      case "recordings":
        return html`<sluice-recordings .token=${this.token}></sluice-recordings>`;
      case "recording":
        return html`<sluice-recording-page .token=${this.token} .asset=${r.asset}></sluice-recording-page>`;
      case "watch":
        return html`<sluice-watch-page .token=${this.token} .stream=${r.stream}></sluice-watch-page>`;
    }
    return html`<div class="wrap"><h1>${t("missing")}</h1><p>${t("missing.line")}</p><p><a href="/">${t("missing.home")}</a></p></div>`;
  }

  #dialog(): TemplateResult {
    return html`<dialog aria-labelledby="token-title">
      <form method="dialog" @submit=${() => this.#save()}>
        <h2 id="token-title">${t("token")}</h2>
        <p class="help">${t("token.line")}</p>
        <label for="token">${t("token.paste")}</label>
        <input id="token" type="password" autocomplete="off" spellcheck="false" />
        <div class="row">
          ${this.token ? html`<button class="button left" type="button" @click=${() => this.#forget()}>${t("token.remove")}</button>` : nothing}
          <button class="button" type="button" @click=${() => this.#close()}>${t("cancel")}</button>
          <button class="button primary" type="submit">${t("token.save")}</button>
        </div>
      </form>
    </dialog>`;
  }

  #moved(): void {
    tokenStore.adopt();
    this.token = tokenStore.token();
    const before = this.route;
    this.route = routeOf(location.pathname);
    if (JSON.stringify(before) === JSON.stringify(this.route)) return;
    scrollTo(0, 0);
    this.#focusMain();
  }

  #focusMain(): void {
    this.renderRoot.querySelector("main")?.focus();
  }

  #ask(): void {
    const dialog = this.renderRoot.querySelector("dialog");
    if (dialog && !dialog.open) dialog.showModal();
  }

  #close(): void {
    this.renderRoot.querySelector("dialog")?.close();
  }

  #save(): void {
    const input = this.renderRoot.querySelector<HTMLInputElement>("#token")!;
    // People paste whole links as well as tokens.
    const pasted = /[#&]token=([^&\s]+)/.exec(input.value)?.[1] ?? input.value;
    if (pasted.trim()) tokenStore.remember(decodeURIComponent(pasted));
    input.value = "";
    this.token = tokenStore.token();
  }

  #forget(): void {
    tokenStore.forget();
    this.token = tokenStore.token();
    this.#close();
  }
}

customElements.define("sluice-app", SluiceApp);
