// What a WHIP and a WHEP session have in common: a connection that is offered to a server,
// comes again after a break, and ends. Promises that end() frees both sides, and that it never
// retries by itself. Owned by the one or the other, who says what is offered.

import { Emitter } from "./emitter";
import { fromFailure, SluiceError } from "./errors";
import { unreached, useRelays } from "./relay";
import type { Resource } from "./resource";
import { Trickle } from "./trickle";

/** SessionConfig says where, as whom, and by which ways. */
export interface SessionConfig {
  url: string;
  token?: string;
  signal?: AbortSignal;
  iceServers?: RTCIceServer[];
  /** iceTransportPolicy "relay" uses nothing but relays. */
  iceTransportPolicy?: RTCIceTransportPolicy;
}

/** SessionEvents are what every session tells. */
export interface SessionEvents {
  connection: RTCPeerConnectionState;
}

/** Session is a connection and its resource on the server. */
export abstract class Session<M extends SessionEvents> extends Emitter<M> {
  readonly pc: RTCPeerConnection;
  protected resource: Resource | undefined;
  #ways: Pick<SessionConfig, "signal" | "iceServers" | "iceTransportPolicy">;
  #life = new AbortController();
  #trickle: Trickle;

  constructor({ signal, iceServers, iceTransportPolicy }: SessionConfig) {
    super();
    this.#ways = { signal, iceServers, iceTransportPolicy };
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: iceServers ?? [], iceTransportPolicy: iceTransportPolicy ?? "all" });
    this.pc.addEventListener("connectionstatechange", () => this.emit("connection", this.pc.connectionState as M["connection"]));
    this.#trickle = new Trickle(this.pc);
  }

  /** resumable tells whether an ICE restart can be tried. */
  get resumable(): boolean {
    return this.resource !== undefined && !this.life.aborted;
  }

  /** open posts at once, without waiting for candidates: an ICE-lite server learns them from our checks. */
  async open(): Promise<void> {
    try {
      const offer = await this.#offer();
      const { signal, iceServers, iceTransportPolicy } = this.#ways;
      const relayed = iceTransportPolicy === "relay";
      if (!relayed) await this.begin(offer); // candidates are gathered while the offer is on its way
      this.resource = await this.post(this.shape(offer), signal);
      if (this.life.aborted) {
        this.resource.remove();
        throw new SluiceError("aborted");
      }
      const relays = useRelays(this.pc, this.resource, iceServers);
      if (relayed) await this.begin(offer); // only now is known what to gather
      await this.accept(this.resource.answer, true);
      this.#trickle.answered(this.resource);
      this.heed();
      if (relays && !relayed) void this.#fallback(); // ends with the session
    } catch (cause) {
      this.end();
      throw fromFailure(cause);
    }
  }

  /** restart replaces the ICE session and keeps the media session (RFC 9725 section 4.3.3). */
  async restart(): Promise<void> {
    if (!this.resource) throw new SluiceError("missing");
    try {
      this.#trickle.restart();
      const offer = await this.#offer(true);
      const answer = await this.resource.restart(this.shape(offer), this.life);
      useRelays(this.pc, this.resource, this.#ways.iceServers);
      await this.begin(offer); // after the answer: its relays are fresh
      await this.accept(answer, false);
      this.#trickle.answered(this.resource);
    } catch (cause) {
      if (this.pc.signalingState === "have-local-offer") await this.pc.setLocalDescription({ type: "rollback" }).catch(() => undefined);
      throw fromFailure(cause);
    }
  }

  /** life is aborted when the session ends. */
  protected get life(): AbortSignal {
    return this.#life.signal;
  }

  /** post makes the resource. */
  protected abstract post(sdp: string, signal?: AbortSignal): Promise<Resource>;

  /** shape makes of the browser's offer what is sent. */
  protected abstract shape(sdp: string): string;

  /** heed subscribes to what the server tells, if it does. */
  protected abstract heed(): void;

  /** begin has candidates gathered. */
  protected begin(sdp: string): Promise<void> {
    return this.pc.setLocalDescription({ type: "offer", sdp: this.shape(sdp) });
  }

  /** accept takes an answer; first: there was none before. */
  protected accept(sdp: string, _first: boolean): Promise<void> {
    return this.pc.setRemoteDescription({ type: "answer", sdp });
  }

  /** end ends both sides; the DELETE outlives the page. */
  protected end(): void {
    this.#life.abort();
    this.resource?.remove();
    this.pc.close();
  }

  // Direct ways come first; where none leads anywhere, a restart tries the relays that the answer named.
  async #fallback(): Promise<void> {
    if (await unreached(this.pc, this.life)) await this.restart().catch(() => undefined);
  }

  async #offer(iceRestart = false): Promise<string> {
    return (await this.pc.createOffer({ iceRestart })).sdp ?? "";
  }
}
