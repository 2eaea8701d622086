// <sluice-publisher src="…/whip/{stream}" stream="…">: preview, choices and one
// button. Promises that devices are released when it leaves the page, and its
// state in the state attribute. Owned by the page.

import { html, LitElement, type PropertyValues, type TemplateResult } from "lit";
import {
  Capture, type CaptureProblem, type Devices, listDevices, Publishing, type PublishSample, type PublishState, secure, type SluiceError, type StreamStatus, total,
} from "../core";
import { t } from "../text";
import { send } from "./events";
import { publisherStyle } from "./publisher-style";
import { deviceChoice, notice, pictureChoice, sourceChoice, stage } from "./publisher-view";
import { load, save, type Settings } from "./settings";
import { controls, tokens } from "./tokens";

/** SluicePublisher publishes one stream by WHIP. */
export class SluicePublisher extends LitElement {
  static override properties = {
    src: {}, stream: {}, token: {}, server: {}, secureUrl: { attribute: "secure-url" }, state: { reflect: true },
    settings: { state: true }, devices: { state: true }, capture: { state: true }, problem: { state: true }, error: { state: true },
    sample: { state: true }, status: { state: true }, opening: { state: true },
  };
  static override styles = [tokens, controls, publisherStyle];

  /** src is the WHIP endpoint. */
  declare src: string;
  declare stream: string;
  declare token: string;
  /** server is the root of the API; the origin of src if empty. */
  declare server: string;
  /** secureUrl is where this page has a camera, if this is not the place. */
  declare secureUrl: string;
  declare state: PublishState;
  declare settings: Settings;
  declare devices: Devices;
  declare capture: Capture | undefined;
  declare problem: CaptureProblem | undefined;
  declare error: SluiceError | undefined;
  declare sample: PublishSample | undefined;
  declare status: StreamStatus | undefined;
  declare opening: boolean;
  #publishing: Publishing | undefined;
  #life: AbortController | undefined;
  #turn = 0; // rises with each preview, so that an older one finds itself out of date

  constructor() {
    super();
    Object.assign(this, { src: "", stream: "", token: "", server: "", secureUrl: "", state: "idle", settings: load(), devices: { cameras: [], microphones: [] }, opening: false });
  }

  /** onAir tells whether a session is up or coming up. */
  get onAir(): boolean {
    return this.state === "starting" || this.state === "live" || this.state === "reconnecting";
  }

  /** onAirFor is since when it is live, in milliseconds. */
  get onAirFor(): number {
    const since = this.#publishing?.since;
    return since ? performance.timeOrigin + performance.now() - since : 0;
  }

  /** publishing is the core at work. */
  get publishing(): Publishing | undefined {
    return this.#publishing;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    const { signal } = (this.#life = new AbortController());
    navigator.mediaDevices?.addEventListener?.("devicechange", () => void this.#list(), { signal });
    if (!secure()) this.problem = "insecure";
    else void this.#arrive();
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#life?.abort();
    this.stop();
    this.#release();
  }

  /** change takes a choice over; on air only what can change without a new session. */
  change(part: Partial<Settings>): void {
    this.settings = { ...this.settings, ...part };
    save(this.settings);
    if (part.bitrate && this.onAir) void this.#publishing?.setBitrate(part.bitrate);
    const reopen = part.source !== undefined || part.camera !== undefined || part.microphone !== undefined || part.height !== undefined;
    if (!reopen || (!this.capture && !this.opening)) return;
    // A screen is chosen in the browser's own dialog, which only opens on a press.
    if (part.source !== undefined && part.source !== "camera") this.#release();
    else void this.preview();
  }

  /** preview opens the devices; it returns whether there is a picture now. */
  async preview(): Promise<boolean> {
    const turn = ++this.#turn;
    const before = this.capture;
    this.opening = true;
    try {
      const capture = await Capture.open(this.settings);
      capture.ended(() => capture === this.capture && (this.stop(), this.#release()));
      // Meanwhile the person chose something else, or left.
      if (turn !== this.#turn || !this.isConnected) return capture.close(), false;
      for (const track of capture.media.getTracks()) await this.#publishing?.replace(track);
      this.capture = capture;
      this.problem = undefined;
      before?.close();
      void this.#list();
      return true;
    } catch (error) {
      if (turn !== this.#turn) return false;
      this.problem = (error as SluiceError).detail as CaptureProblem;
      if (!this.onAir) this.#release();
      return false;
    } finally {
      if (turn === this.#turn) this.opening = false;
    }
  }

  /** goLive publishes; it opens the devices first if need be. */
  async goLive(): Promise<void> {
    if (this.onAir || (!this.capture && !(await this.preview())) || !this.capture) return;
    const url = new URL(this.src, location.href).href;
    const { codec, bitrate, simulcast, frameRate, source } = this.settings;
    const publishing = new Publishing({
      url, api: new URL(this.server || "/", url).href, stream: this.stream, token: this.token || undefined,
      media: this.capture.media, screen: source !== "camera", codec, bitrate, simulcast, frameRate,
    });
    this.#publishing = publishing;
    this.sample = undefined;
    this.status = undefined;
    publishing.on("state", ({ state, error }) => publishing === this.#publishing && this.#told(state, error));
    publishing.on("sample", (s) => ((this.sample = s), send(this, "sluice-publish-sample", s)));
    publishing.on("status", (s) => ((this.status = s), send(this, "sluice-status", s)));
    publishing.start();
  }

  /** stop goes off air; the preview stays. */
  stop(): void {
    const publishing = this.#publishing;
    publishing?.stop();
    this.#publishing = undefined;
  }

  protected override updated(changed: PropertyValues): void {
    if (!changed.has("capture")) return;
    const video = this.renderRoot.querySelector("video")!;
    video.srcObject = this.capture?.media ?? null;
    if (this.capture) void video.play().catch(() => undefined); // shown by autoplay later
  }

  protected override render(): TemplateResult {
    return html`<div class="grid">
      ${stage(this)}
      <form @submit=${(e: Event) => e.preventDefault()} aria-label=${t("pub.goLive")}>
        ${this.#button()} ${notice(this)} ${sourceChoice(this)} ${deviceChoice(this)} ${pictureChoice(this)}
      </form>
      <div class="below">
        <sluice-uplink ?live=${this.state === "live"} .sample=${this.sample} .status=${this.status} .bitrate=${this.settings.bitrate} .wanted=${total(this.settings)}
          @lower=${(e: CustomEvent<number>) => this.change({ bitrate: e.detail })}></sluice-uplink>
        <slot></slot>
      </div>
    </div>`;
  }

  #button(): TemplateResult {
    if (this.onAir) return html`<button type="button" class="button danger go" @click=${() => this.stop()}>${this.state === "starting" ? t("pub.starting") + " · " : ""}${t("pub.stop")}</button>`;
    return html`<button type="button" class="button primary go" ?disabled=${this.problem === "insecure" || this.opening} @click=${() => void this.goLive()}>${t("pub.goLive")}</button>`;
  }

  #told(state: PublishState, error?: SluiceError): void {
    this.state = state;
    this.error = error;
    send(this, "sluice-publish", { state, error });
  }

  #release(): void {
    this.#turn++; // what is being opened is not wanted any more
    this.opening = false;
    this.capture?.close();
    this.capture = undefined;
  }

  async #list(): Promise<void> {
    this.devices = await listDevices();
  }

  // Whoever allowed camera and microphone before sees the preview at once.
  async #arrive(): Promise<void> {
    await this.#list();
    const allowed = async (name: string) => (await navigator.permissions?.query({ name: name as PermissionName }).catch(() => undefined))?.state === "granted";
    if (this.settings.source === "camera" && (await allowed("camera")) && (await allowed("microphone")) && !this.capture && this.isConnected) await this.preview();
  }
}
