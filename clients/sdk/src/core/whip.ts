// One WHIP session: a MediaStream goes up under one stream name (RFC 9725).
// Promises simulcast and codec as chosen, that stop() frees both sides, and that
// it never retries by itself. Owned by a publishing.

import { eventsRel, readEncodings, switchEncodings } from "./encodings";
import { Resource } from "./resource";
import { codecOrder, type EncodingChoice, encodings, offerExtensions } from "./rtp";
import { chosenFirst, hlang, stereo } from "./sdp";
import { Session, type SessionConfig, type SessionEvents } from "./session";
import { subscribe } from "./sse";

/** PublishConfig says what to publish, where and how. */
export interface PublishConfig extends EncodingChoice, SessionConfig {
  /** media has one picture and up to four audio tracks: a language each. */
  media: MediaStream;
  /** languages of the audio tracks in turn (RFC 5646). */
  languages?: string[];
  /** screen keeps text sharp at the cost of frames; a camera keeps moving. */
  screen?: boolean;
}

/** WhipEvents are what a session tells. */
export type WhipEvents = SessionEvents;

// Opus is transparent to most ears at this rate in stereo; speech needs less and the encoder then sends less.
const audioBitrate = 128_000;
// What the server takes of one stream.
const mostSounds = 4;

/** WhipSession sends one stream. */
export class WhipSession extends Session<WhipEvents> {
  #config: PublishConfig;
  #tuned: Promise<unknown> = Promise.resolve(); // one change of the sender's parameters at a time

  constructor(config: PublishConfig) {
    super(config);
    this.#config = config;
    const video = config.media.getVideoTracks()[0];
    for (const audio of config.media.getAudioTracks().slice(0, mostSounds)) this.#addAudio(audio);
    if (video) this.#addVideo(video);
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
    this.end();
  }

  protected override post(sdp: string, signal?: AbortSignal): Promise<Resource> {
    const { url, token, languages } = this.#config;
    return Resource.post({ url, token, side: "publish" }, hlang(sdp, languages ?? []), signal);
  }

  protected override shape(sdp: string): string {
    const two = this.#config.media.getAudioTracks()[0]?.getSettings?.().channelCount === 2;
    return two ? stereo(sdp, true) : sdp;
  }

  protected override async accept(answer: string, first: boolean): Promise<void> {
    await super.accept(chosenFirst(answer, this.#config.codec), first);
    if (first) await this.#prefer();
  }

  // The server tells which layers anybody watches; the others need not be encoded. When it tells no more, all are sent.
  protected override heed(): void {
    const link = this.resource?.link(eventsRel);
    if (!link || encodings(this.#config).length < 2) return;
    const send = (data: string) => void this.#tune((p) => switchEncodings(p.encodings, readEncodings(data))).catch(() => undefined); // a saving, not a need
    void subscribe({
      url: link.url,
      events: ["encodings"],
      token: this.#config.token,
      signal: this.life,
      onEvent: ({ name, data }) => name === "encodings" && send(data),
      onGone: () => send(""),
    });
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

  async #prefer(): Promise<void> {
    await this.#tune((parameters: RTCRtpSendParameters & { degradationPreference?: string }) => {
      parameters.degradationPreference = this.#config.screen ? "maintain-resolution" : "balanced";
    }).catch(() => undefined); // a wish, not a need
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
}
