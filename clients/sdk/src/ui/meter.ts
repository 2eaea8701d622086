// <sluice-meter>: how loud a track is. Promises one animation frame loop while a
// track is set, none else. Owned by the publisher.

import { css, html, LitElement, type PropertyValues, type TemplateResult } from "lit";
import { Ballistics, Listener } from "../core";
import { t } from "../text";
import { tokens } from "./tokens";

// The last 6 dB before clipping are shown as too loud.
const loud = -6;

/** SluiceMeter shows the level of an audio track. */
export class SluiceMeter extends LitElement {
  static override properties = { track: { attribute: false } };
  static override styles = [
    tokens,
    css`
      :host {
        display: block;
      }
      div {
        height: 8px;
        border-radius: 4px;
        overflow: hidden;
        background: var(--s-sunken);
        box-shadow: inset 0 0 0 1px var(--s-line);
      }
      span {
        display: block;
        height: 100%;
        background: var(--s-good);
        transform: scaleX(0);
        transform-origin: left;
      }
      span.loud {
        background: var(--s-warn);
      }
    `,
  ];
  declare track: MediaStreamTrack | undefined;
  #listener: Listener | undefined;
  #frame = 0;

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#stop();
  }

  protected override updated(changed: PropertyValues): void {
    if (!changed.has("track")) return;
    this.#stop();
    if (this.track) this.#listen(this.track);
  }

  protected override render(): TemplateResult {
    return html`<div role="meter" aria-label=${t("pub.level")} aria-valuemin="-60" aria-valuemax="0" aria-valuenow="-60"><span></span></div>`;
  }

  #listen(track: MediaStreamTrack): void {
    const listener = (this.#listener = new Listener(track));
    const ballistics = new Ballistics();
    const meter = this.renderRoot.querySelector("div")!;
    const bar = this.renderRoot.querySelector("span")!;
    const draw = (now: number) => {
      const db = ballistics.next(listener.peak(), now);
      bar.style.transform = `scaleX(${(1 + db / 60).toFixed(3)})`;
      bar.classList.toggle("loud", db > loud);
      meter.setAttribute("aria-valuenow", String(Math.round(db)));
      this.#frame = requestAnimationFrame(draw);
    };
    this.#frame = requestAnimationFrame(draw);
  }

  #stop(): void {
    cancelAnimationFrame(this.#frame);
    this.#listener?.close();
    this.#listener = undefined;
  }
}
