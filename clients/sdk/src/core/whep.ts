// One WHEP session: the offer, the answer, what arrives, and its end.
// Promises that close() frees both sides, and that it never retries by itself:
// that is for who opened it. Owned by a viewing.

import { Emitter } from "./emitter";
import { fromFailure, SluiceError } from "./errors";
import { request } from "./http";
import { unreached, useRelays } from "./relay";
import { Resource } from "./resource";
import { offerExtensions } from "./rtp";
import { stereo } from "./sdp";
import { type ServerEvent, subscribe } from "./sse";
import { Trickle } from "./trickle";

const eventsRel = "urn:ietf:params:whep:ext:core:server-sent-events";
const layerRel = "urn:ietf:params:whep:ext:core:layer";
const events = ["active", "inactive", "layers", "viewercount", "reconnect"];
const ownEvents = ["audio"]; // Sluice's: asked for where the server names them

/** WatchConfig says what to watch. */
export interface WatchConfig {
  url: string;
  token?: string;
  signal?: AbortSignal;
  iceServers?: RTCIceServer[];
  /** iceTransportPolicy "relay" uses nothing but relays. */
  iceTransportPolicy?: RTCIceTransportPolicy;
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
export interface WhepEvents {
  connection: RTCPeerConnectionState;
  event: ServerEvent;
  gone: SluiceError;
}

/** WhepSession receives one stream. */
export class WhepSession extends Emitter<WhepEvents> {
  readonly pc: RTCPeerConnection;
  readonly stream = new MediaStream();
  #resource: Resource | undefined;
  #config: WatchConfig;
  #end = new AbortController();
  #trickle: Trickle;

  constructor(config: WatchConfig) {
    super();
    this.#config = config;
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: config.iceServers ?? [], iceTransportPolicy: config.iceTransportPolicy ?? "all" });
    this.pc.addEventListener("connectionstatechange", () => this.emit("connection", this.pc.connectionState));
    this.#trickle = new Trickle(this.pc);
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
    return this.#resource?.link(layerRel) !== undefined;
  }

  /** hasEvents tells whether the server announces what happens to the stream. */
  get hasEvents(): boolean {
    return this.#resource?.link(eventsRel) !== undefined;
  }

  /** resumable tells whether an ICE restart can be tried. */
  get resumable(): boolean {
    return this.#resource !== undefined && !this.#end.signal.aborted;
  }

  /** open posts at once, without waiting for candidates: an ICE-lite server learns them from our checks. */
  async open(): Promise<void> {
    try {
      const offer = await this.#offer();
      const relayed = this.#config.iceTransportPolicy === "relay";
      if (!relayed) await this.#begin(offer); // candidates are gathered while the offer is on its way
      const { token, signal } = this.#config;
      this.#resource = await Resource.post({ url: this.#address(), token, side: "watch" }, stereo(offer.sdp ?? ""), signal);
      if (this.#end.signal.aborted) {
        this.#resource.remove();
        throw new SluiceError("aborted");
      }
      const relays = useRelays(this.pc, this.#resource, this.#config.iceServers);
      if (relayed) await this.#begin(offer); // only now is known what to gather
      await this.pc.setRemoteDescription({ type: "answer", sdp: this.#resource.answer });
      this.#trickle.answered(this.#resource);
      this.#listen();
      if (relays && !relayed) void this.#fallback(); // ends with the session
    } catch (cause) {
      this.close();
      throw fromFailure(cause);
    }
  }

  /** restart replaces the ICE session and keeps the media session (RFC 9725 section 4.3.3). */
  async restart(): Promise<void> {
    if (!this.#resource) throw new SluiceError("missing");
    try {
      this.#trickle.restart();
      const offer = await this.#offer(true);
      const answer = await this.#resource.restart(stereo(offer.sdp ?? ""), this.#end.signal);
      useRelays(this.pc, this.#resource, this.#config.iceServers);
      await this.#begin(offer); // after the answer: its relays are fresh
      await this.pc.setRemoteDescription({ type: "answer", sdp: answer });
      this.#trickle.answered(this.#resource);
    } catch (cause) {
      if (this.pc.signalingState === "have-local-offer") await this.pc.setLocalDescription({ type: "rollback" }).catch(() => undefined);
      throw fromFailure(cause);
    }
  }

  /** choose asks for a layer; an empty choice is automatic. */
  async choose(choice: LayerChoice): Promise<void> {
    const link = this.#resource?.link(layerRel);
    if (!link) throw new SluiceError("unsupported", { detail: "this server offers no choice of layers" });
    const headers = { "Content-Type": "application/json" };
    await request(link.url, { method: "POST", body: JSON.stringify(choice), headers, token: this.#config.token, signal: this.#end.signal });
  }

  /** listen turns to another audio track, "" being the first; the picture stays as it is. */
  async listen(audio: string): Promise<void> {
    await this.choose({ audio });
  }

  /** close ends both sides. */
  close(): void {
    this.#end.abort();
    this.pc.close();
    this.#resource?.remove();
  }

  // Direct ways come first; where none leads anywhere, a restart tries the relays that the answer named.
  async #fallback(): Promise<void> {
    if (await unreached(this.pc, this.#end.signal)) await this.restart().catch(() => undefined);
  }

  #address(): string {
    const { url, audio } = this.#config;
    if (!audio) return url;
    const address = new URL(url);
    address.searchParams.set("audio", audio);
    return address.href;
  }

  #offer(iceRestart = false): Promise<RTCSessionDescriptionInit> {
    return this.pc.createOffer({ iceRestart });
  }

  async #begin(offer: RTCSessionDescriptionInit): Promise<void> {
    try {
      await this.pc.setLocalDescription({ type: "offer", sdp: stereo(offer.sdp ?? "") });
    } catch {
      await this.pc.setLocalDescription(offer); // a browser that takes no changed offer plays mono
    }
  }

  #listen(): void {
    const link = this.#resource?.link(eventsRel);
    if (!link) return;
    const offered = link.params.events?.split(",").map((e) => e.trim());
    void subscribe({
      url: link.url,
      events: offered ? [...events, ...ownEvents].filter((e) => offered.includes(e)) : events,
      token: this.#config.token,
      signal: this.#end.signal,
      onEvent: (event) => this.emit("event", event),
      onGone: (error) => this.emit("gone", error),
    });
  }
}
