// <sluice-player src="…/whep/{stream}">: one live stream, played at once and
// muted, with all its states, controls and keys. Promises its state in the state
// attribute and the measured latency in data-latency-ms. Owned by the page.

import { html, LitElement, nothing, type PropertyValues, type TemplateResult } from "lit";
import { type Condition, type FrameTimes, type LayerOption, Viewing, type WatchSample } from "../core";
import { t } from "../text";
import { send } from "./events";
import { type Command, commandOf } from "./keys";
import { menuStyle } from "./menu-style";
import { playerStyle } from "./player-style";
import { bar, card, help, layerMenu, sheet, top, words } from "./player-view";
import { Screen } from "./screen";
import { controls, tokens } from "./tokens";

// A number that changes faster than twice a second cannot be read.
const readoutPause = 500;
// Controls step back after this, as a film does not want them.
const quietAfter = 3000;
const remembered = 60; // samples, one a second

/** SluicePlayer plays one stream by WHEP. */
export class SluicePlayer extends LitElement {
  static override properties = {
    src: {}, token: {}, server: {}, keys: {}, manual: { type: Boolean }, state: { reflect: true },
    condition: { state: true }, layers: { state: true }, chosen: { state: true }, latency: { state: true }, opened: { state: true },
    paused: { state: true }, muted: { type: Boolean, reflect: true }, volume: { state: true }, quiet: { state: true }, fullscreen: { state: true }, pictured: { state: true },
  };
  static override styles = [tokens, controls, playerStyle, menuStyle];

  /** src is the WHEP endpoint. */
  declare src: string;
  declare token: string;
  /** server is the root of the API; the origin of src if empty. */
  declare server: string;
  /** keys="page" listens to keys of the whole page. */
  declare keys: string;
  /** manual leaves the start to a press of play. */
  declare manual: boolean;
  declare state: string;
  declare condition: Condition;
  declare layers: LayerOption[];
  declare chosen: string;
  declare latency: number | undefined;
  declare opened: "" | "layers" | "help" | "stats";
  declare paused: boolean;
  declare muted: boolean;
  declare volume: number;
  declare quiet: boolean;
  declare fullscreen: boolean;
  declare pictured: boolean;
  /** samples are the last minute's, one a second. */
  samples: WatchSample[] = [];
  #viewing: Viewing | undefined;
  #screen: Screen | undefined;
  #readout = 0;
  #quietTimer: ReturnType<typeof setTimeout> | undefined;
  #life: AbortController | undefined;

  constructor() {
    super();
    Object.assign(this, { src: "", token: "", server: "", keys: "", manual: false, state: "idle", condition: { state: "idle" }, layers: [], chosen: "" });
    Object.assign(this, { opened: "", paused: false, muted: true, volume: 1, quiet: false, fullscreen: false, pictured: false });
  }

  /** selectable tells whether a layer may be chosen. */
  get selectable(): boolean {
    return this.#viewing?.session?.selectable === true;
  }

  /** viewing is the core at work, for those who want to look inside. */
  get viewing(): Viewing | undefined {
    return this.#viewing;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const { signal } = (this.#life = new AbortController());
    (this.keys === "page" ? document : this).addEventListener("keydown", (e) => this.#key(e as KeyboardEvent), { signal });
    this.addEventListener("pointermove", () => this.#wake(), { signal });
    document.addEventListener("fullscreenchange", () => (this.fullscreen = document.fullscreenElement === this), { signal });
    window.addEventListener("pagehide", () => this.stop(), { signal });
    window.addEventListener("pageshow", (e) => e.persisted && this.start(), { signal });
    if (this.hasUpdated && !this.manual) this.start();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#life?.abort();
    this.stop();
  }

  /** start begins to watch. */
  start(): void {
    this.stop();
    if (!this.src) return;
    const url = new URL(this.src, location.href).href;
    const viewing = new Viewing({ url, api: new URL(this.server || "/", url).href, token: this.token || undefined });
    this.#viewing = viewing;
    viewing.on("condition", (c) => this.#condition(c));
    viewing.on("stream", async (s) => {
      if ((await this.#screen?.show(s)) === false) this.paused = true; // the play button then does it
    });
    viewing.on("layers", (l) => ((this.layers = l), send(this, "sluice-layers", l)));
    viewing.on("viewers", (n) => send(this, "sluice-viewers", n));
    viewing.on("sample", (s) => this.#sample(s));
    viewing.start();
  }

  /** stop leaves the stream. */
  stop(): void {
    this.#viewing?.stop();
    this.#viewing = undefined;
    this.#setLatency(undefined);
  }

  retry(): void {
    if (this.#viewing) this.#viewing.retry();
    else this.start();
  }

  toggle(): void {
    if (!this.#viewing) this.start();
    else if (this.#screen?.video.paused) void this.#screen.play();
    else this.#screen?.video.pause();
  }

  toggleMute(): void {
    this.muted = !this.muted;
    if (!this.muted && this.volume === 0) this.volume = 0.5;
    void this.#screen?.play();
  }

  setVolume(v: number): void {
    this.volume = Math.min(1, Math.max(0, v));
    this.muted = this.volume === 0;
  }

  toggleFullscreen(): void {
    const video = this.#screen?.video as (HTMLVideoElement & { webkitEnterFullscreen?(): void }) | undefined;
    if (document.fullscreenElement === this) void document.exitFullscreen();
    else if (typeof this.requestFullscreen === "function") void this.requestFullscreen().catch(() => undefined);
    else video?.webkitEnterFullscreen?.(); // phones that let only a video fill the screen
  }

  togglePip(): void {
    if (document.pictureInPictureElement) void document.exitPictureInPicture();
    else void this.#screen?.video.requestPictureInPicture?.().catch(() => undefined); // refused before the first frame
  }

  toggleStats(): void {
    const open = this.opened !== "stats";
    // In full screen a page has nowhere else to show them.
    if (!send(this, "sluice-stats", { open }) && !this.fullscreen) return;
    this.opened = open ? "stats" : "";
  }

  open(what: "layers" | "help"): void {
    this.opened = this.opened === what ? "" : what;
    const first = '[role="menuitemradio"][aria-checked="true"], .sheet button';
    if (this.opened) void this.updateComplete.then(() => this.renderRoot.querySelector<HTMLElement>(first)?.focus());
  }

  close(): void {
    const back = this.opened === "layers" ? this.renderRoot.querySelector<HTMLElement>("#layers") : null;
    this.opened = "";
    back?.focus();
  }

  choose(layer: LayerOption | undefined): void {
    const before = this.chosen;
    this.chosen = layer?.key ?? "";
    this.close();
    void this.#viewing?.choose(layer).catch(() => (this.chosen = before));
  }

  protected override firstUpdated(): void {
    const find = this.renderRoot.querySelector.bind(this.renderRoot);
    this.#screen = new Screen(find("video")!, find("canvas")!, (times) => this.#frame(times));
  }

  protected override updated(changed: PropertyValues): void {
    Object.assign(this.#screen!.video, { muted: this.muted, volume: this.volume });
    if ((changed.has("src") || changed.has("token")) && (this.#viewing || !this.manual)) this.start();
  }

  protected override render(): TemplateResult {
    const { title, line } = words(this);
    const live = this.state === "live";
    return html`
      <div class=${this.quiet && live && !this.opened && !this.paused ? "quiet" : ""} @click=${() => this.#tapped()} role="group" aria-label=${t("player")}>
        <video playsinline aria-label=${t("picture", { stream: this.src.split("/").pop() ?? "" })} .muted=${true} @playing=${() => (this.paused = false)} @pause=${() => (this.paused = true)}></video>
        <canvas class="still" hidden></canvas>
        ${card(this)}
        ${live ? top(this) : nothing}
        ${live || (this.pictured && ["waiting", "reconnecting", "offline"].includes(this.state)) ? bar(this) : nothing}
        ${this.opened === "layers" ? layerMenu(this) : nothing}
        ${this.opened === "help" ? help(this) : nothing}
        ${this.opened === "stats" ? sheet(this, t("stats"), html`<sluice-stats .player=${this}></sluice-stats>`) : nothing}
      </div>
      <div class="sr" role="status" aria-live="polite">${title}. ${line}</div>
    `;
  }

  #condition(c: Condition): void {
    this.condition = c;
    this.state = c.state;
    if (c.state === "ended") this.#screen?.hold();
    if (c.state === "live") this.#wake();
    else this.#setLatency(undefined);
    send(this, "sluice-condition", c);
  }

  #frame(times: FrameTimes): void {
    this.#viewing?.frame(times);
    if (!this.pictured) this.pictured = true;
    const now = performance.now();
    if (now - this.#readout < readoutPause) return;
    this.#readout = now;
    this.#setLatency(this.#viewing?.latency.value);
  }

  #setLatency(value: number | undefined): void {
    this.latency = value === undefined ? undefined : Math.round(value);
    if (this.latency === undefined) delete this.dataset.latencyMs;
    else this.dataset.latencyMs = String(this.latency);
    this.dataset.latencyFrom = this.#viewing?.latency.from ?? "";
  }

  #sample(s: WatchSample): void {
    this.samples = [...this.samples, s].slice(-remembered);
    if (s.latency === undefined) this.#setLatency(undefined); // nothing was shown for a second
    send(this, "sluice-sample", s);
  }

  #tapped(): void {
    if (this.opened) return this.close();
    if (this.state !== "live" && !this.pictured) return;
    if (this.muted) this.toggleMute();
    else if (matchMedia("(hover: none)").matches && this.quiet) this.#wake();
    else this.toggle();
  }

  #wake(): void {
    this.quiet = false;
    clearTimeout(this.#quietTimer);
    this.#quietTimer = setTimeout(() => (this.quiet = true), quietAfter);
  }

  #step(by: 1 | -1): void {
    const shown = this.samples.at(-1);
    const active = this.layers.filter((l) => l.active);
    if (!this.selectable || active.length < 2) return;
    const at = active.findIndex((l) => (this.chosen ? l.key === this.chosen : l.current || l.height === shown?.height));
    const next = active[Math.min(active.length - 1, Math.max(0, at - by))];
    if (next && next.key !== this.chosen) this.choose(next);
  }

  #key(event: KeyboardEvent): void {
    const command = commandOf(event);
    if (!command || (command === "close" && !this.opened)) return;
    const acts: Record<Command, () => void> = {
      play: () => this.toggle(), mute: () => this.toggleMute(), fullscreen: () => this.toggleFullscreen(),
      louder: () => this.setVolume(this.volume + 0.1), quieter: () => this.setVolume(this.volume - 0.1),
      better: () => this.#step(1), smaller: () => this.#step(-1),
      stats: () => this.toggleStats(), pip: () => this.togglePip(), help: () => this.open("help"), close: () => this.close(),
    };
    event.preventDefault();
    this.#wake();
    acts[command]();
  }
}
