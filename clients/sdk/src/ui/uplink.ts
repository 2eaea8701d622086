// <sluice-uplink>: one plain verdict on the way up, and what helps.
// Promises a place that is there before the first number, so that nothing moves.
// Owned by the publisher.

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import { type Finding, judge, type PublishSample, type StreamStatus, type Verdict } from "../core";
import { t } from "../text";
import * as format from "./format";
import { controls, tokens } from "./tokens";

/** SluiceUplink says how a publisher's uplink is. */
export class SluiceUplink extends LitElement {
  static override properties = { live: { type: Boolean }, sample: { attribute: false }, status: { attribute: false }, bitrate: { type: Number }, wanted: { type: Number } };
  static override styles = [
    tokens,
    controls,
    css`
      :host {
        display: block;
        border: 1px solid var(--s-line);
        border-radius: var(--s-radius);
        background: var(--s-surface);
        padding: var(--s-3) var(--s-4);
        min-height: 84px;
      }
      h3 {
        display: flex;
        align-items: center;
        gap: var(--s-2);
        font-size: 1rem;
      }
      i {
        width: 10px;
        height: 10px;
        border-radius: 50%;
        background: var(--s-edge);
      }
      .good i {
        background: var(--s-good);
      }
      .fair i {
        background: var(--s-warn);
      }
      .bad i {
        background: var(--s-red);
      }
      ul {
        list-style: none;
        margin: var(--s-2) 0 0;
        padding: 0;
        display: grid;
        gap: var(--s-2);
      }
      li b {
        font-weight: 600;
      }
      .button {
        margin-top: var(--s-2);
      }
      .layers {
        display: flex;
        flex-wrap: wrap;
        gap: var(--s-1) var(--s-4);
        margin-top: var(--s-2);
        font-size: 0.875rem;
        color: var(--s-dim);
      }
    `,
  ];
  declare live: boolean;
  declare sample: PublishSample | undefined;
  declare status: StreamStatus | undefined;
  declare bitrate: number;
  declare wanted: number;

  constructor() {
    super();
    Object.assign(this, { live: false, bitrate: 0, wanted: 0 });
  }

  protected override render(): TemplateResult {
    if (!this.live) return html`<h3><i></i>${t("uplink")}</h3><p class="help">${t("uplink.off")}</p>`;
    const findings = this.status?.publisher?.health ?? [];
    const verdict = judge(this.sample, this.wanted, this.bitrate, findings, this.status?.publisher?.loss);
    // What the verdict says already is not said twice.
    const more = findings.filter((f) => verdict.code !== "loss" || f.code !== "uplink_loss");
    return html`<div class=${verdict.level}>
      <h3><i></i>${t("uplink")}</h3>
      <p role="status">${this.#text(verdict)}</p>
      ${more.length ? html`<ul>${more.map((f) => this.#finding(f))}</ul>` : nothing}
      ${verdict.lower ? html`<button class="button" @click=${() => this.#lower(verdict.lower!)}>${t("uplink.lower", { bitrate: format.bitrate(verdict.lower) })}</button>` : nothing}
      ${this.#layers()}
    </div>`;
  }

  #text({ code, values }: Verdict): string {
    return t(`uplink.${code}`, { loss: format.percent(values.loss), rtt: Math.round(values.rtt), bitrate: format.bitrate(values.bitrate) });
  }

  #finding(f: Finding): TemplateResult {
    return html`<li data-code=${f.code}><b>${format.sentence(f.text)}</b> <span>${format.sentence(f.advice)}</span></li>`;
  }

  #layers(): TemplateResult | typeof nothing {
    const layers = this.sample?.layers.filter((l) => l.width > 0) ?? [];
    if (!layers.length) return nothing;
    return html`<p class="layers" aria-label=${t("uplink.layers")}>
      ${layers.map((l) => html`<span>${format.size(l.width, l.height)} ${l.paused ? t("uplink.rests") : format.bitrate(l.bitrate)}</span>`)}
    </p>`;
  }

  #lower(bitrate: number): void {
    this.dispatchEvent(new CustomEvent("lower", { detail: bitrate }));
  }
}
