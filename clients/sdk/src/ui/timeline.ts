// <sluice-timeline>: the bar to seek on, with what a place shows before it is gone to.
// Promises a slider to keyboards and screen readers, and one event per decision:
// "seek" when the finger or the mouse lets go. Owned by the player.

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { type Still, stillAt } from "../core";
import { t } from "../text";
import * as format from "./format";
import { tokens } from "./tokens";

/** Sheets gives the large pictures of a storyboard. */
export interface Sheets {
  stills: readonly Still[];
  sheet(url: string): Promise<CanvasImageSource | undefined>;
}

// Steps of the keys, in milliseconds.
const [small, large] = [5000, 60_000];

/** SluiceTimeline shows where one is, and goes elsewhere. Times are milliseconds. */
export class SluiceTimeline extends LitElement {
  static override properties = {
    from: { type: Number }, to: { type: Number }, at: { type: Number }, ahead: { type: Number }, live: { type: Boolean }, sheets: { attribute: false },
    pointed: { state: true }, dragging: { state: true },
  };
  static override styles = [
    tokens,
    css`
      :host {
        display: block;
        position: relative;
        color: #fff;
        --s-accent: #7ab4ff;
      }
      .slider {
        position: relative;
        height: 24px;
        cursor: pointer;
        touch-action: none;
        border-radius: 4px;
      }
      .rail,
      .rail > span {
        position: absolute;
        left: 0;
        right: 0;
        height: 4px;
        border-radius: 2px;
        transform-origin: left;
      }
      .rail {
        top: 10px;
        background: rgb(255 255 255 / 0.3);
        overflow: hidden;
      }
      .slider:hover .rail,
      .slider:focus-visible .rail,
      .dragging .rail {
        top: 9px;
        height: 6px;
      }
      .rail > span {
        top: 0;
        height: 100%;
        border-radius: 0;
      }
      .ahead {
        background: rgb(255 255 255 / 0.35);
        transform: scaleX(var(--ahead, 0));
      }
      .done {
        background: var(--s-accent);
        transform: scaleX(var(--at, 0));
      }
      .live .done {
        background: #e5405a;
      }
      .knob {
        position: absolute;
        top: 5px;
        left: calc(var(--at, 0) * (100% - 14px));
        width: 14px;
        height: 14px;
        border-radius: 50%;
        background: #fff;
        box-shadow: 0 0 4px rgb(0 0 0 / 0.5);
      }
      .tip {
        position: absolute;
        bottom: 30px;
        left: clamp(84px, calc(var(--point, 0) * 100%), calc(100% - 84px));
        transform: translateX(-50%);
        display: grid;
        justify-items: center;
        gap: 4px;
        padding: 4px;
        border-radius: 6px;
        background: rgb(10 12 16 / 0.88);
        font-size: 0.8125rem;
        line-height: 20px;
        white-space: nowrap;
        pointer-events: none;
      }
      .tip span {
        padding: 0 4px;
      }
      .tip .dim {
        color: #b6bfcc;
      }
      canvas {
        display: block;
        width: 160px;
        border-radius: 4px;
        background: #000;
      }
      @media (pointer: coarse) {
        .slider {
          height: 44px;
        }
        .rail,
        .slider:hover .rail,
        .slider:focus-visible .rail {
          top: 20px;
          height: 4px;
        }
        .knob {
          top: 13px;
          width: 18px;
          height: 18px;
        }
        .tip {
          bottom: 46px;
        }
      }
    `,
  ];
  declare from: number;
  declare to: number;
  declare at: number;
  /** ahead is up to where there is something to play already. */
  declare ahead: number;
  /** live tells that times are Unix milliseconds and that the right end is now. */
  declare live: boolean;
  declare sheets: Sheets | undefined;
  declare pointed: number | undefined;
  declare dragging: boolean;
  #drawn: Still | undefined;

  constructor() {
    super();
    Object.assign(this, { from: 0, to: 0, at: 0, ahead: 0, live: false, dragging: false });
  }

  protected override render(): TemplateResult {
    const shown = this.dragging ? this.pointed! : this.at;
    return html`<div class="slider ${this.dragging ? "dragging" : ""} ${this.live && this.#edge(shown) ? "live" : ""}" role="slider" tabindex="0" aria-label=${t("seek")}
        aria-valuemin="0" aria-valuemax=${Math.round((this.to - this.from) / 1000)} aria-valuenow=${Math.round((shown - this.from) / 1000)} aria-valuetext=${this.#said(shown)}
        @keydown=${(e: KeyboardEvent) => this.#key(e)} @pointerdown=${(e: PointerEvent) => this.#down(e)} @pointermove=${(e: PointerEvent) => this.#point(e)}
        @pointerup=${(e: PointerEvent) => this.#up(e)} @pointercancel=${() => this.#leave()} @pointerleave=${() => this.dragging || this.#leave()}>
        <div class="rail"><span class="ahead"></span><span class="done"></span></div>
        <div class="knob"></div>
      </div>
      ${this.pointed === undefined ? nothing : this.#tip(this.pointed)}`;
  }

  protected override updated(): void {
    const part = (ms: number) => String(this.to > this.from ? Math.min(1, Math.max(0, (ms - this.from) / (this.to - this.from))) : Number(this.live));
    // By the object model: the Content-Security-Policy forbids style attributes.
    this.style.setProperty("--at", part(this.dragging ? this.pointed! : this.at));
    this.style.setProperty("--ahead", part(this.ahead));
    if (this.pointed !== undefined) this.style.setProperty("--point", part(this.pointed));
    void this.#draw();
  }

  #tip(ms: number): TemplateResult {
    const wall = new Date(ms).toLocaleTimeString();
    const words = this.live ? html`<span>${this.#edge(ms) ? t("seek.live") : `−${format.clock(this.to - ms)}`} <span class="dim">${wall}</span></span>` : html`<span>${format.clock(ms - this.from)}</span>`;
    const still = this.sheets && stillAt(this.sheets.stills, ms - this.from);
    return html`<div class="tip">${still ? html`<canvas width=${still.width} height=${still.height}></canvas>` : nothing}${words}</div>`;
  }

  async #draw(): Promise<void> {
    const still = this.pointed === undefined ? undefined : this.sheets && stillAt(this.sheets.stills, this.pointed - this.from);
    if (still === this.#drawn) return;
    this.#drawn = still;
    const picture = still && (await this.sheets?.sheet(still.sheet));
    if (!still || !picture || still !== this.#drawn) return;
    const { x, y, width, height } = still;
    this.renderRoot.querySelector("canvas")?.getContext("2d")?.drawImage(picture, x, y, width, height, 0, 0, width, height);
  }

  // The last seconds are live: nobody means two seconds ago when pointing at the end.
  #edge(ms: number): boolean {
    return this.to - ms < Math.max(3000, (this.to - this.from) / 200);
  }

  #said(ms: number): string {
    if (!this.live) return t("seek.at", { at: format.clock(ms - this.from), duration: format.clock(this.to - this.from) });
    return this.#edge(ms) ? t("seek.live") : t("seek.behind", { time: format.clock(this.to - ms), clock: new Date(ms).toLocaleTimeString() });
  }

  #under(e: PointerEvent): number {
    const { left, width } = this.getBoundingClientRect();
    return this.from + Math.min(1, Math.max(0, (e.clientX - left) / (width || 1))) * (this.to - this.from);
  }

  #down(e: PointerEvent): void {
    if (e.button !== 0) return;
    (e.currentTarget as Element).setPointerCapture?.(e.pointerId);
    this.pointed = this.#under(e);
    this.dragging = true;
  }

  #point(e: PointerEvent): void {
    if (this.dragging || e.pointerType === "mouse") this.pointed = this.#under(e);
  }

  #up(e: PointerEvent): void {
    if (!this.dragging) return;
    this.dragging = false;
    this.#seek(this.#under(e));
    if (e.pointerType !== "mouse") this.#leave();
  }

  #leave(): void {
    this.dragging = false;
    this.pointed = undefined;
  }

  #key(e: KeyboardEvent): void {
    const steps: Record<string, number> = { ArrowLeft: -small, ArrowDown: -small, ArrowRight: small, ArrowUp: small, PageDown: -large, PageUp: large, Home: -Infinity, End: Infinity };
    const step = steps[e.key];
    if (step === undefined || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    this.#seek(Math.min(this.to, Math.max(this.from, this.at + step)));
  }

  #seek(to: number): void {
    const live = this.live && this.#edge(to);
    this.dispatchEvent(new CustomEvent("seek", { detail: { to, live } }));
  }
}
