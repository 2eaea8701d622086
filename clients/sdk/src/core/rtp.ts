// What a transceiver is told before the offer: header extensions, codec order,
// simulcast encodings. Decisions are pure functions; a browser that lacks a
// call is left as it is. Owned by the core.

/** absCaptureTime carries when a frame was captured, so that latency can be measured. */
export const absCaptureTime = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";

const wanted = [absCaptureTime, "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"];

interface Negotiable {
  getHeaderExtensionsToNegotiate?(): { uri: string; direction: RTCRtpTransceiverDirection }[];
  setHeaderExtensionsToNegotiate?(extensions: { uri: string; direction: RTCRtpTransceiverDirection }[]): void;
}

/** offerExtensions turns on the extensions that browsers know but do not offer by themselves (WebRTC Extensions section 5.2). */
export function offerExtensions(transceiver: RTCRtpTransceiver): void {
  const t = transceiver as unknown as Negotiable;
  try {
    const all = t.getHeaderExtensionsToNegotiate?.();
    if (!all) return;
    t.setHeaderExtensionsToNegotiate?.(all.map((e) => (wanted.includes(e.uri) ? { ...e, direction: "sendrecv" as const } : e)));
  } catch {
    // Without them everything works but the capture time.
  }
}

/** VideoCodec is a codec that a publisher may choose. */
export type VideoCodec = "H264" | "AV1" | "VP9" | "VP8";

/** videoCodecs is the order of preference: H264 plays everywhere and can be recorded, VP8 comes last as no HLS carries it. */
export const videoCodecs: readonly VideoCodec[] = ["H264", "AV1", "VP9", "VP8"];

/** codecOrder puts the first choice in front, then the others by preference; helpers (rtx, red, ulpfec) keep their place at the end. */
export function codecOrder<C extends { mimeType: string }>(capabilities: C[], first: VideoCodec): C[] {
  const order = [first, ...videoCodecs.filter((c) => c !== first)].map((c) => `video/${c.toLowerCase()}`);
  const rank = (c: C) => {
    const i = order.indexOf(c.mimeType.toLowerCase());
    return i < 0 ? order.length : i;
  };
  return capabilities.map((c, i) => ({ c, i })).sort((a, b) => rank(a.c) - rank(b.c) || a.i - b.i).map(({ c }) => c);
}

/** supportedCodecs lists what this browser can send, most wanted first. */
export function supportedCodecs(): VideoCodec[] {
  const known = globalThis.RTCRtpSender?.getCapabilities?.("video")?.codecs ?? [];
  return videoCodecs.filter((c) => known.some((k) => k.mimeType.toLowerCase() === `video/${c.toLowerCase()}`));
}

/** EncodingChoice is what a publisher wants of the encoder. */
export interface EncodingChoice {
  codec: VideoCodec;
  /** bitrate of the full picture in bit/s. */
  bitrate: number;
  simulcast: boolean;
  frameRate?: number;
}

// A quarter of the side has a sixteenth of the pixels; small pictures need more bits per pixel, so they get about twice that share.
const layers = [
  { rid: "q", scaleResolutionDownBy: 4, share: 0.1, least: 100_000 },
  { rid: "h", scaleResolutionDownBy: 2, share: 0.3, least: 250_000 },
  { rid: "f", scaleResolutionDownBy: 1, share: 1, least: 0 },
];

/** encodings returns one encoding, or three from quarter to full size (RFC 8853). */
export function encodings(choice: EncodingChoice): RTCRtpEncodingParameters[] {
  const common: RTCRtpEncodingParameters = { active: true, ...(choice.frameRate ? { maxFramerate: choice.frameRate } : {}) };
  if (!choice.simulcast) return [{ ...common, maxBitrate: choice.bitrate }];
  // Chromium takes several VP9 or AV1 encodings for one SVC stream unless each says that it has a single spatial layer.
  const mode = choice.codec === "VP9" || choice.codec === "AV1" ? { scalabilityMode: "L1T1" } : {};
  return layers.map(({ rid, scaleResolutionDownBy, share, least }) => ({
    ...common,
    ...mode,
    rid,
    scaleResolutionDownBy,
    maxBitrate: Math.min(choice.bitrate, Math.max(least, Math.round(choice.bitrate * share))),
  }));
}

/** total is what all encodings together may send, in bit/s. */
export function total(choice: EncodingChoice): number {
  return encodings(choice).reduce((sum, e) => sum + (e.maxBitrate ?? 0), 0);
}
