// A tiny server and a peer connection without a network. They do what the tests
// need of WHIP and WHEP, and write down what they were asked.

import { vi } from "vitest";

export const offerSdp = [
  "v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1",
  "m=audio 9 UDP/TLS/RTP/SAVPF 111 0", "a=mid:0", "a=ice-ufrag:ours", "a=ice-pwd:ourpassword", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1",
  "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:1", "a=ice-ufrag:ours", "a=ice-pwd:ourpassword", "a=rtpmap:96 H264/90000", "a=fmtp:96 profile-level-id=42e01f", "",
].join("\r\n");

export const answerSdp = [
  "v=0", "o=- 7 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite", "a=group:BUNDLE 0 1",
  "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0", "a=ice-ufrag:theirs", "a=ice-pwd:theirpassword", "a=candidate:1 1 udp 1 127.0.0.1 8189 typ host", "a=end-of-candidates",
  "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:1", "a=ice-ufrag:theirs", "a=ice-pwd:theirpassword", "",
].join("\r\n");

export const restartFragment = "a=ice-lite\r\na=ice-ufrag:newer\r\na=ice-pwd:newpassword\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:2 1 udp 1 127.0.0.1 8189 typ host\r\n";

/** Asked is one request that the server saw. */
export interface Asked {
  method: string;
  path: string;
  query: string;
  headers: Headers;
  body: string;
  keepalive: boolean;
}

type Reply = Response | Promise<Response>;

/** FakeServer answers by "METHOD /path"; what is not named is 404. */
export class FakeServer {
  asked: Asked[] = [];
  routes: Record<string, (asked: Asked) => Reply> = {};

  constructor() {
    vi.stubGlobal("fetch", (input: string, init: RequestInit = {}) => this.#answer(input, init));
  }

  /** saw lists the requests of that name, in order. */
  saw(name: string): Asked[] {
    return this.asked.filter((a) => `${a.method} ${a.path}` === name);
  }

  /** joins answers POST with a session under path/s1, s2, …; link adds the WHEP extensions. */
  joins(path: string, extensions = true): void {
    let n = 0;
    this.routes[`POST ${path}`] = () => {
      const session = `${path}/s${++n}`;
      const headers = new Headers({ Location: session, ETag: `"e${n}"`, "Content-Type": "application/sdp" });
      if (path.startsWith("/whip/")) headers.append("Link", `<${session}/events>; rel="urn:sluice:whip:ext:server-sent-events"; events="encodings"`);
      if (extensions) {
        headers.append("Link", `<${session}/events>; rel="urn:ietf:params:whep:ext:core:server-sent-events"; events="active,inactive,layers,viewercount,reconnect"`);
        headers.append("Link", `<${session}/layers>; rel="urn:ietf:params:whep:ext:core:layer"`);
      }
      this.routes[`DELETE ${session}`] = () => new Response(null, { status: 200 });
      return new Response(answerSdp, { status: 201, headers });
    };
  }

  /** feed opens an event stream for a session; the returned function sends an event, end breaks the stream. */
  feed(session: string): { send(name: string, data: unknown): void; end(): void } {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const waiting: Uint8Array[] = [];
    this.routes[`POST ${session}/events`] = () => new Response(null, { status: 201, headers: { Location: `${session}/events/f1` } });
    this.routes[`GET ${session}/events/f1`] = () => {
      const body = new ReadableStream<Uint8Array>({
        start(c) {
          controller = c;
          for (const w of waiting.splice(0)) c.enqueue(w);
        },
      });
      return new Response(body, { status: 200, headers: { "Content-Type": "text/event-stream" } });
    };
    return {
      send: (name, data) => {
        const bytes = new TextEncoder().encode(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
        if (controller) controller.enqueue(bytes);
        else waiting.push(bytes);
      },
      end: () => {
        delete this.routes[`GET ${session}/events/f1`];
        controller?.close();
      },
    };
  }

  #answer(input: string, init: RequestInit): Promise<Response> {
    const url = new URL(input, "http://sluice.test");
    const asked: Asked = { method: init.method ?? "GET", path: url.pathname, query: url.search, headers: new Headers(init.headers), body: String(init.body ?? ""), keepalive: init.keepalive === true };
    this.asked.push(asked);
    const route = this.routes[`${asked.method} ${asked.path}`];
    const reply = Promise.resolve(route ? route(asked) : new Response(null, { status: 404 }));
    const { signal } = init;
    if (!signal) return reply;
    return new Promise((done, fail) => {
      const abort = () => fail(new DOMException("aborted", "AbortError"));
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort, { once: true });
      reply.then(done, fail);
    });
  }
}

/** FakePC is a peer connection whose network is the test. */
export class FakePC extends EventTarget {
  static all: FakePC[] = [];
  connectionState: RTCPeerConnectionState = "new";
  signalingState: RTCSignalingState = "stable";
  localDescription: RTCSessionDescriptionInit | null = null;
  remoteDescription: RTCSessionDescriptionInit | null = null;
  transceivers: FakeTransceiver[] = [];
  stats = new Map<string, Record<string, unknown>>();
  configuration: RTCConfiguration;
  restarts = 0;

  constructor(configuration: RTCConfiguration = {}) {
    super();
    this.configuration = configuration;
    FakePC.all.push(this);
  }

  /** last is the newest one. */
  static get last(): FakePC {
    return FakePC.all.at(-1)!;
  }

  /** become changes the connection's state as a network would. */
  become(state: RTCPeerConnectionState): void {
    this.connectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  }

  addTransceiver(what: string | { kind: string }, init: RTCRtpTransceiverInit = {}): FakeTransceiver {
    const t = new FakeTransceiver(typeof what === "string" ? what : what.kind, what, init);
    this.transceivers.push(t);
    return t;
  }
  getReceivers() {
    return this.transceivers.map((t) => t.receiver);
  }
  getSenders() {
    return this.transceivers.map((t) => t.sender);
  }
  getConfiguration() {
    return this.configuration;
  }
  setConfiguration(c: RTCConfiguration) {
    this.configuration = c;
  }
  async createOffer(o: RTCOfferOptions = {}) {
    if (o.iceRestart) this.restarts++;
    return { type: "offer" as const, sdp: offerSdp };
  }
  async setLocalDescription(d: RTCSessionDescriptionInit) {
    if (d.type !== "rollback") this.localDescription = d;
    this.signalingState = d.type === "rollback" ? "stable" : "have-local-offer";
  }
  async setRemoteDescription(d: RTCSessionDescriptionInit) {
    this.remoteDescription = d;
    this.signalingState = "stable";
  }
  async getStats() {
    return this.stats;
  }
  close() {
    this.connectionState = "closed"; // no event, as browsers do it
    this.signalingState = "closed";
  }
}

/** FakeTransceiver remembers what was set on it. */
export class FakeTransceiver {
  receiver: { track: { kind: string }; jitterBufferTarget: number | null; getSynchronizationSources(): unknown[] };
  sender: { track: unknown; parameters: Record<string, unknown>; getParameters(): unknown; setParameters(p: Record<string, unknown>): Promise<void>; replaceTrack(t: unknown): Promise<void> };
  codecs: { mimeType: string }[] = [];
  extensions = [
    { uri: "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time", direction: "stopped" },
    { uri: "urn:ietf:params:rtp-hdrext:sdes:mid", direction: "sendrecv" },
  ];

  constructor(
    readonly kind: string,
    track: unknown,
    readonly init: RTCRtpTransceiverInit,
  ) {
    this.receiver = { track: { kind }, jitterBufferTarget: null, getSynchronizationSources: () => [] };
    const sender = {
      track,
      parameters: { encodings: init.sendEncodings ?? [] } as Record<string, unknown>,
      getParameters: () => structuredClone(sender.parameters),
      setParameters: async (p: Record<string, unknown>) => void (sender.parameters = p),
      replaceTrack: async (t: unknown) => void (sender.track = t),
    };
    this.sender = sender;
  }
  getHeaderExtensionsToNegotiate() {
    return this.extensions;
  }
  setHeaderExtensionsToNegotiate(e: { uri: string; direction: string }[]) {
    this.extensions = e;
  }
  setCodecPreferences(c: { mimeType: string }[]) {
    this.codecs = c;
  }
}

/** FakeStream is a MediaStream of anything that has a kind. */
export class FakeStream {
  tracks: { kind: string }[];
  constructor(tracks: { kind: string }[] = []) {
    this.tracks = [...tracks];
  }
  addTrack(t: { kind: string }) {
    this.tracks.push(t);
  }
  getTracks() {
    return this.tracks;
  }
  getAudioTracks() {
    return this.tracks.filter((t) => t.kind === "audio");
  }
  getVideoTracks() {
    return this.tracks.filter((t) => t.kind === "video");
  }
}

/** install puts the fakes in place of the browser's own, and returns the server. */
export function install(): FakeServer {
  FakePC.all = [];
  vi.stubGlobal("RTCPeerConnection", FakePC);
  vi.stubGlobal("MediaStream", FakeStream);
  vi.stubGlobal("RTCRtpSender", {
    getCapabilities: () => ({ codecs: ["video/VP8", "video/rtx", "video/H264", "video/AV1", "video/VP9"].map((mimeType) => ({ mimeType, clockRate: 90000 })) }),
  });
  return new FakeServer();
}

/** settle lets promises that are due run, without the clock. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 30; i++) await Promise.resolve();
  await vi.advanceTimersByTimeAsync(0);
}
