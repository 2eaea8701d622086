// What the server says of its streams: GET /v1/streams[/{stream}].
// Promises types that follow the API, and lists that are never null. Owned by
// the core; the pages' list and the publisher's uplink verdict read it.

import { request } from "./http";

/** Finding is one thing that is wrong with a publisher, in the server's plain words. */
export interface Finding {
  code: string;
  text: string;
  advice: string;
  level?: string;
}

/** LayerStatus is one encoding as it flows now. */
export interface LayerStatus {
  rid?: string;
  width?: number;
  height?: number;
  bitrate?: number;
  fps?: number;
  active: boolean;
  /** wanted tells that some viewer has use for it, paused that it rests until one has. */
  wanted?: boolean;
  paused?: boolean;
}

/** TrackStatus is one track of a publisher. */
export interface TrackStatus {
  kind: "audio" | "video";
  codec: string;
  profile?: string;
  layers: LayerStatus[];
  lost?: number;
  repaired?: number;
  key_interval_s?: number;
}

/** PublisherStatus is the ingest side of a stream. */
export interface PublisherStatus {
  transport: string;
  rtt_ms: number;
  bitrate: number;
  loss: number;
  tracks: TrackStatus[];
  health: Finding[];
}

/** StreamStatus is one stream. */
export interface StreamStatus {
  stream: string;
  live: boolean;
  epoch?: number;
  since?: string;
  public: boolean;
  viewers: number;
  publisher?: PublisherStatus;
}

/** Server is where to ask and as whom. */
export interface Server {
  api: string;
  token?: string;
  signal?: AbortSignal;
}

/** streams lists what the token may play, public streams always. */
export async function streams(server: Server): Promise<StreamStatus[]> {
  const body: unknown = await (await ask(server, "/v1/streams")).json();
  const list = Array.isArray(body) ? body : (body as { streams?: unknown } | null)?.streams;
  return Array.isArray(list) ? list.map(tidy) : [];
}

/** stream tells of one stream. */
export async function stream(server: Server, id: string): Promise<StreamStatus> {
  return tidy(await (await ask(server, `/v1/streams/${encodeURIComponent(id)}`)).json());
}

/** largest returns the biggest active layer of the video track, for a card or a title. */
export function largest(status: StreamStatus): { codec: string; layer: LayerStatus | undefined } | undefined {
  const video = status.publisher?.tracks.find((t) => t.kind === "video");
  if (!video) return undefined;
  const size = (l: LayerStatus) => (l.width ?? 0) * (l.height ?? 0);
  const active = video.layers.filter((l) => l.active);
  return { codec: video.codec, layer: active.sort((a, b) => size(b) - size(a))[0] };
}

function ask(server: Server, path: string): Promise<Response> {
  return request(new URL(path, server.api).href, { token: server.token, signal: server.signal });
}

/** Go writes an empty list as null. */
function tidy(s: StreamStatus): StreamStatus {
  const p = s.publisher;
  if (!p) return s;
  const tracks = (p.tracks ?? []).map((t) => ({ ...t, layers: t.layers ?? [] }));
  return { ...s, publisher: { ...p, tracks, health: p.health ?? [] } };
}
