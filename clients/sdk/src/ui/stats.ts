// <sluice-stats>: one minute of numbers of a player, each with a small chart.
// Promises fixed heights, so that nothing moves while numbers change. It listens
// to a player given as property, or named by the for attribute.

import { css, html, LitElement, nothing, type TemplateResult } from "lit";
import type { WatchSample } from "../core";
import { type Key, t } from "../text";
import { path, type Points, scale } from "./chart";
import * as format from "./format";
import { tokens } from "./tokens";

interface Row {
  name: Key;
  least: number;
  pick(s: WatchSample): number | undefined;
  show(v: number | undefined): string;
}

const ms = { least: 50, show: format.milliseconds };
const rows: Row[] = [
  { name: "stat.bitrate", least: 500_000, pick: (s) => s.bitrate, show: (v) => (v === undefined ? "–" : format.bitrate(v)) },
  { name: "stat.loss", least: 0.02, pick: (s) => s.loss, show: (v) => (v === undefined ? "–" : format.percent(v)) },
  { name: "stat.rtt", pick: (s) => s.rtt, ...ms },
  { name: "stat.buffer", pick: (s) => s.buffer, ...ms },
  { name: "stat.latency", pick: (s) => s.latency, ...ms, least: 200 },
];
const slots = 60;
const box = { width: 120, height: 32, slots };

/** SluiceStats shows what a player measures. */
export class SluiceStats extends LitElement {
  static override properties = { for: {}, player: { attribute: false }, samples: { state: true } };
  static override styles = [
    tokens,
    css`
      :host {
        display: block;
      }
      dl {
        margin: 0;
        display: grid;
        gap: var(--s-1) 0;
      }
      .row {
        display: grid;
        grid-template-columns: minmax(84px, 1fr) minmax(48px, 120px) 84px;
        gap: var(--s-3);
        align-items: center;
        min-height: 40px;
      }
      .plain {
        grid-template-columns: 1fr auto;
        min-height: 28px;
      }
      dt {
        white-space: nowrap;
        color: var(--s-dim);
        font-size: 0.875rem;
      }
      dd {
        margin: 0;
        text-align: right;
        font-size: 0.875rem;
        white-space: nowrap;
      }
      dd.value {
        font-weight: 600;
      }
      svg {
        width: 100%;
        height: 32px;
        display: block;
        overflow: visible;
      }
      .line {
        fill: none;
        stroke: var(--s-accent);
        stroke-width: 1.5;
        stroke-linejoin: round;
        vector-effect: non-scaling-stroke;
      }
      .base {
        stroke: var(--s-line);
        vector-effect: non-scaling-stroke;
      }
      hr {
        border: 0;
        border-top: 1px solid var(--s-line);
        margin: var(--s-2) 0;
      }
      p {
        font-size: 0.875rem;
        color: var(--s-dim);
        padding-bottom: var(--s-2);
      }
    `,
  ];

  declare for: string;
  declare player: HTMLElement | undefined;
  declare samples: WatchSample[];
  #heard: HTMLElement | undefined;

  constructor() {
    super();
    this.for = "";
    this.samples = [];
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#hear(undefined);
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.requestUpdate();
  }

  protected override willUpdate(): void {
    if (!this.isConnected) return;
    const named = this.for ? (this.getRootNode() as Document | ShadowRoot).getElementById?.(this.for) : undefined;
    this.#hear(this.player ?? named ?? undefined);
  }

  protected override render(): TemplateResult {
    const last = this.samples.at(-1);
    return html`
      ${last ? nothing : html`<p>${t("stat.waiting")}</p>`}
      <dl>
        ${rows.map((r) => this.#row(r, last))}
        <hr />
        ${this.#plain("stat.picture", last?.width ? `${last.width} × ${last.height}, ${Math.round(last.fps ?? 0)} fps` : "–")}
        ${this.#plain("stat.codec", last?.codec || "–")} ${this.#plain("stat.transport", last?.transport.toUpperCase() || "–")}
        ${this.#plain("stat.frames", String(last?.frames ?? "–"))} ${this.#plain("stat.dropped", String(last?.dropped ?? "–"))}
        ${this.#plain("stat.freezes", String(last?.freezes ?? "–"))} ${this.#plain("stat.source", this.#source())}
      </dl>
    `;
  }

  #row(r: Row, last: WatchSample | undefined): TemplateResult {
    const points: Points = this.samples.map((s) => r.pick(s));
    const d = path(points, { ...box, top: scale(points, r.least) });
    const name = t(r.name);
    return html`<div class="row">
      <dt>${name}</dt>
      <dd aria-hidden="true">
        <svg viewBox="0 0 ${box.width} ${box.height}" preserveAspectRatio="none" role="img" aria-label=${t("stat.chart", { name })}>
          <line class="base" x1="0" x2=${box.width} y1=${box.height} y2=${box.height} />
          <path class="line" d=${d} />
        </svg>
      </dd>
      <dd class="value">${r.show(last && r.pick(last))}</dd>
    </div>`;
  }

  #plain(name: Key, value: string): TemplateResult {
    return html`<div class="row plain">
      <dt>${t(name)}</dt>
      <dd>${value}</dd>
    </div>`;
  }

  #source(): string {
    const from = this.player?.dataset.latencyFrom;
    return from === "frame" || from === "source" || from === "stats" || from === "date" ? t(`stat.source.${from}`) : "–";
  }

  #hear(player: HTMLElement | undefined): void {
    if (player === this.#heard) return;
    this.#heard?.removeEventListener("sluice-sample", this.#take);
    player?.addEventListener("sluice-sample", this.#take);
    this.#heard = player;
    const past = (player as { samples?: WatchSample[] } | undefined)?.samples;
    this.samples = past ? [...past] : [];
  }

  #take = (event: CustomEvent<WatchSample>): void => {
    this.samples = [...this.samples, event.detail].slice(-slots);
  };
}
