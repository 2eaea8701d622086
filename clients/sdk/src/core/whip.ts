// One WHIP session: a MediaStream goes up under one stream name (RFC 9725).
// Promises simulcast and codec as chosen, that stop() frees both sides, and that
// it never retries by itself. Owned by a publishing.

import { Emitter } from "./emitter";
import { eventsRel, readEncodings, switchEncodings } from "./encodings";
import { fromFailure, SluiceError } from "./errors";
import { unreached, useRelays } from "./relay";
import { Resource } from "./resource";
import { codecOrder, type EncodingChoice, encodings, offerExtensions } from "./rtp";
import { chosenFirst, hlang, stereo } from "./sdp";
import { subscribe } from "./sse";
import { Trickle } from "./trickle";

/** PublishConfig says what to publish, where and how. */
export interface PublishConfig extends EncodingChoice {
  url: string;
  token?: string;
  /** media has one picture and up to four audio tracks: a language each. */
  media: MediaStream;
  /** languages of the audio tracks in turn (RFC 5646). */
  languages?: string[];
  /** screen keeps text sharp at the cost of frames; a camera keeps moving. */
  screen?: boolean;
  signal?: AbortSignal;
  iceServers?: RTCIceServer[];
  /** iceTransportPolicy "relay" uses nothing but relays. */
  iceTransportPolicy?: RTCIceTransportPolicy;
}

/** WhipEvents are what a session tells. */
export interface WhipEvents {
  connection: RTCPeerConnectionState;
}

// Opus is transparent to most ears at this rate in stereo; speech needs less and the encoder then sends less.
const audioBitrate = 128_000;
// What the server takes of one stream.
const mostSounds = 4;

/** WhipSession sends one stream. */
export class WhipSession extends Emitter<WhipEvents> {
  readonly pc: RTCPeerConnection;
  #resource: Resource | undefined;
  #config: PublishConfig;
  #end = new AbortController();
  #trickle: Trickle;
  #tuned: Promise<unknown> = Promise.resolve(); // one change of the sender's parameters at a time

  constructor(config: PublishConfig) {
    super();
    this.#config = config;
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: config.iceServers ?? [], iceTransportPolicy: config.iceTransportPolicy ?? "all" });
    this.pc.addEventListener("connectionstatechange", () => this.emit("connection", this.pc.connectionState));
    this.#trickle = new Trickle(this.pc);
    const video = config.media.getVideoTracks()[0];
    for (const audio of config.media.getAudioTracks().slice(0, mostSounds)) this.#addAudio(audio);
    if (video) this.#addVideo(video);
  }

  /** resumable tells whether an ICE restart can be tried. */
  get resumable(): boolean {
    return this.#resource !== undefined && !this.#end.signal.aborted;
  }

  /** open posts the offer and sets the answer. */
  async open(): Promise<void> {
    try {
      const offer = await this.#offer();
      const relayed = this.#config.iceTransportPolicy === "relay";
      if (!relayed) await this.#begin(offer); // candidates are gathered while the offer is on its way
      const { url, token, signal } = this.#config;
      this.#resource = await Resource.post({ url, token, side: "publish" }, hlang(offer, this.#config.languages ?? []), signal);
      if (this.#end.signal.aborted) {
        this.#resource.remove();
        throw new SluiceError("aborted");
      }
      const relays = useRelays(this.pc, this.#resource, this.#config.iceServers);
      if (relayed) await this.#begin(offer); // only now is known what to gather
      await this.#accept(this.#resource.answer);
      await this.#prefer();
      this.#trickle.answered(this.#resource);
      this.#listen();
      if (relays && !relayed) void this.#fallback(); // ends with the session
    } catch (cause) {
      this.stop();
      throw fromFailure(cause);
    }
  }

  /** restart replaces the ICE session and keeps the media session. */
  async restart(): Promise<void> {
    if (!this.#resource) throw new SluiceError("missing");
    try {
      this.#trickle.restart();
      const offer = await this.#offer(true);
      const answer = await this.#resource.restart(offer, this.#end.signal);
      useRelays(this.pc, this.#resource, this.#config.iceServers);
      await this.#begin(offer); // after the answer: its relays are fresh
      await this.#accept(answer);
      this.#trickle.answered(this.#resource);
    } catch (cause) {
      if (this.pc.signalingState === "have-local-offer") await this.pc.setLocalDescription({ type: "rollback" }).catch(() => undefined);
      throw fromFailure(cause);
    }
  }

  /** setBitrate changes the full picture's bitrate while on air. */
  async setBitrate(bitrate: number): Promise<void> {
    this.#config = { ...this.#config, bitrate };
    await this.#tune((parameters) => {
      const limits = encodings(this.#config);
      parameters.encodings.forEach((e, i) => (e.maxBitrate = limits[i]?.maxBitrate));
    });
  }

  /** replace swaps a track (another camera, or another microphone for the first audio track) without a new session. */
  async replace(track: MediaStreamTrack): Promise<void> {
    this.#hint(track);
    await this.pc.getSenders().find((s) => s.track?.kind === track.kind)?.replaceTrack(track);
  }

  /** stop ends both sides; the DELETE outlives the page. */
  stop(): void {
    this.#end.abort();
    this.#resource?.remove();
    this.pc.close();
  }

  #addAudio(track: MediaStreamTrack): void {
    const init: RTCRtpTransceiverInit = { direction: "sendonly", streams: [this.#config.media], sendEncodings: [{ maxBitrate: audioBitrate }] };
    offerExtensions(this.pc.addTransceiver(track, init));
  }

  #addVideo(track: MediaStreamTrack): void {
    this.#hint(track);
    const init: RTCRtpTransceiverInit = { direction: "sendonly", streams: [this.#config.media], sendEncodings: encodings(this.#config) };
    let transceiver: RTCRtpTransceiver;
    try {
      transceiver = this.pc.addTransceiver(track, init);
    } catch {
      // An older browser that does not know scalabilityMode for this codec.
      const plain = encodings(this.#config).map(({ scalabilityMode: _, ...e }: RTCRtpEncodingParameters & { scalabilityMode?: string }) => e);
      transceiver = this.pc.addTransceiver(track, { ...init, sendEncodings: plain });
    }
    offerExtensions(transceiver);
    const known = RTCRtpSender.getCapabilities?.("video")?.codecs;
    if (known?.length) transceiver.setCodecPreferences?.(codecOrder(known, this.#config.codec));
  }

  #hint(track: MediaStreamTrack): void {
    if (track.kind === "video" && "contentHint" in track) track.contentHint = this.#config.screen ? "detail" : "motion";
  }

  #accept(answer: string): Promise<void> {
    return this.pc.setRemoteDescription({ type: "answer", sdp: chosenFirst(answer, this.#config.codec) });
  }

  async #prefer(): Promise<void> {
    await this.#tune((parameters: RTCRtpSendParameters & { degradationPreference?: string }) => {
      parameters.degradationPreference = this.#config.screen ? "maintain-resolution" : "balanced";
    }).catch(() => undefined); // a wish, not a need
  }

  // The server tells which layers anybody watches; the others need not be encoded. When it tells no more, all are sent.
  #listen(): void {
    const link = this.#resource?.link(eventsRel);
    if (!link || encodings(this.#config).length < 2) return;
    const send = (data: string) => void this.#tune((p) => switchEncodings(p.encodings, readEncodings(data))).catch(() => undefined); // a saving, not a need
    void subscribe({
      url: link.url,
      events: ["encodings"],
      token: this.#config.token,
      signal: this.#end.signal,
      onEvent: ({ name, data }) => name === "encodings" && send(data),
      onGone: () => send(""),
    });
  }

  // Parameters must be set before they are read again, or the browser refuses them. What changes nothing is not set.
  #tune(change: (parameters: RTCRtpSendParameters) => boolean | void): Promise<void> {
    const turn = this.#tuned.then(async () => {
      const sender = this.#videoSender();
      const parameters = sender?.getParameters();
      if (parameters && change(parameters) !== false) await sender!.setParameters(parameters);
    });
    this.#tuned = turn.catch(() => undefined);
    return turn;
  }

  #videoSender(): RTCRtpSender | undefined {
    return this.pc.getSenders().find((s) => s.track?.kind === "video");
  }

  // Direct ways come first; where none leads anywhere, a restart tries the relays that the answer named.
  async #fallback(): Promise<void> {
    if (await unreached(this.pc, this.#end.signal)) await this.restart().catch(() => undefined);
  }

  async #offer(iceRestart = false): Promise<string> {
    const offer = await this.pc.createOffer({ iceRestart });
    const two = this.#config.media.getAudioTracks()[0]?.getSettings?.().channelCount === 2;
    const sdp = two ? stereo(offer.sdp ?? "", true) : (offer.sdp ?? "");
    return sdp;
  }

  #begin(sdp: string): Promise<void> {
    return this.pc.setLocalDescription({ type: "offer", sdp });
  }
}
