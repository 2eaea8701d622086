// One WHEP session: the offer, the answer, what arrives, and its end.
// Promises that close() frees both sides, and that it never retries by itself:
// that is for who opened it. Owned by a viewing.

import { SluiceError } from "./errors";
import { request } from "./http";
import { Resource } from "./resource";
import { offerExtensions } from "./rtp";
import { stereo } from "./sdp";
import { Session, type SessionConfig, type SessionEvents } from "./session";
import { type ServerEvent, subscribe } from "./sse";

const eventsRel = "urn:ietf:params:whep:ext:core:server-sent-events";
const layerRel = "urn:ietf:params:whep:ext:core:layer";
const events = ["active", "inactive", "layers", "viewercount", "reconnect"];
const ownEvents = ["audio"]; // Sluice's: asked for where the server names them

/** WatchConfig says what to watch. */
export interface WatchConfig extends SessionConfig {
  /** hold is how many milliseconds the jitter buffer holds back, up to 4000. */
  hold?: number;
  /** audio is the track to listen to: its id, or languages ("es-MX,en"); the first if absent. */
  audio?: string;
}

/** LayerChoice is the body of the layer extension; empty means automatic. */
export interface LayerChoice {
  mediaId?: string;
  rid?: string;
  spatialLayerId?: number;
  temporalLayerId?: number;
  maxWidth?: number;
  maxHeight?: number;
  /** audio is Sluice's: alone it leaves the picture as it is, and without it the sound stays. */
  audio?: string;
}

/** WhepEvents are what a session tells. */
export interface WhepEvents extends SessionEvents {
  event: ServerEvent;
  gone: SluiceError;
}

/** WhepSession receives one stream. */
export class WhepSession extends Session<WhepEvents> {
  readonly stream = new MediaStream();
  #config: WatchConfig;

  constructor(config: WatchConfig) {
    super(config);
    this.#config = config;
    for (const kind of ["audio", "video"] as const) {
      const transceiver = this.pc.addTransceiver(kind, { direction: "recvonly" });
      offerExtensions(transceiver);
      this.stream.addTrack(transceiver.receiver.track);
    }
    // The server sends at the pace of the capture: no more is kept back than the network's jitter asks for, if nobody wishes more.
    this.hold(config.hold ?? 0);
  }

  /** hold holds pictures and sound back by so many milliseconds after capture; browsers come to it slowly. */
  hold(ms: number): void {
    for (const receiver of this.pc.getReceivers()) if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = ms;
  }

  /** receiver returns the receiver of that kind. */
  receiver(kind: "audio" | "video"): RTCRtpReceiver | undefined {
    return this.pc.getReceivers().find((r) => r.track.kind === kind);
  }

  /** selectable tells whether the server lets viewers choose a layer. */
  get selectable(): boolean {
    return this.resource?.link(layerRel) !== undefined;
  }

  /** hasEvents tells whether the server announces what happens to the stream. */
  get hasEvents(): boolean {
    return this.resource?.link(eventsRel) !== undefined;
  }

  /** choose asks for a layer; an empty choice is automatic. */
  async choose(choice: LayerChoice): Promise<void> {
    const link = this.resource?.link(layerRel);
    if (!link) throw new SluiceError("unsupported", { detail: "this server offers no choice of layers" });
    const headers = { "Content-Type": "application/json" };
    await request(link.url, { method: "POST", body: JSON.stringify(choice), headers, token: this.#config.token, signal: this.life });
  }

  /** listen turns to another audio track, "" being the first; the picture stays as it is. */
  async listen(audio: string): Promise<void> {
    await this.choose({ audio });
  }

  /** close ends both sides. */
  close(): void {
    this.end();
  }

  protected override post(sdp: string, signal?: AbortSignal): Promise<Resource> {
    return Resource.post({ url: this.#address(), token: this.#config.token, side: "watch" }, sdp, signal);
  }

  protected override shape(sdp: string): string {
    return stereo(sdp);
  }

  protected override async begin(sdp: string): Promise<void> {
    try {
      await super.begin(sdp);
    } catch {
      await this.pc.setLocalDescription({ type: "offer", sdp }); // a browser that takes no changed offer plays mono
    }
  }

  #address(): string {
    const { url, audio } = this.#config;
    if (!audio) return url;
    const address = new URL(url);
    address.searchParams.set("audio", audio);
    return address.href;
  }

  protected override heed(): void {
    const link = this.resource?.link(eventsRel);
    if (!link) return;
    const offered = link.params.events?.split(",").map((e) => e.trim());
    void subscribe({
      url: link.url,
      events: offered ? [...events, ...ownEvents].filter((e) => offered.includes(e)) : events,
      token: this.#config.token,
      signal: this.life,
      onEvent: (event) => this.emit("event", event),
      onGone: (error) => this.emit("gone", error),
    });
  }
}
