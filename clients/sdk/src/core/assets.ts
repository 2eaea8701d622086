// The catalogue of recordings, uploads and clips: /v1/assets. Promises types that
// follow the API and lists that are never null. Owned by the core; the pages show it.

import { request } from "./http";
import { pause } from "./sse";
import type { Server } from "./status";

/** AssetState is what may be done with an asset. */
export type AssetState = "recording" | "processing" | "ready" | "failed";

/** Asset is one film. Durations are seconds, times RFC 3339. */
export interface Asset {
  id: string;
  stream: string;
  kind: "recording" | "upload" | "clip";
  title: string;
  description: string;
  public: boolean;
  state: AssetState;
  /** reason says why it failed, or what could not be made of it. */
  reason?: string;
  /** progress is from 0 to 1, of work that goes on. */
  progress?: number;
  started: string;
  ended?: string;
  duration: number;
  size: number;
  codecs: string[];
  width?: number;
  height?: number;
  complete: boolean;
  /** missing is for how many seconds some rendition has a hole. */
  missing?: number;
  playable: boolean;
  export?: string;
  thumbnail?: string;
  storyboard?: string;
  views: number;
  parent?: string;
  /** editable tells that the token may change it. */
  editable?: boolean;
  version: number;
}

/** AssetQuery says which of them. */
export interface AssetQuery {
  words?: string;
  stream?: string;
  sort?: string;
  limit?: number;
  cursor?: string;
}

/** AssetPage is a part of a list; next is empty at its end. */
export interface AssetPage {
  assets: Asset[];
  next: string;
  /** uploadTo is a stream under which the token may upload; empty when there is none. */
  uploadTo: string;
}

/** assets lists what the token may play, public ones always. */
export async function assets(server: Server, query: AssetQuery = {}): Promise<AssetPage> {
  const { words, ...rest } = query;
  const params = new URLSearchParams(Object.entries({ q: words, ...rest }).flatMap(([k, v]) => (v === undefined || v === "" ? [] : [[k, String(v)]])));
  const body = (await (await ask(server, `/v1/assets?${params}`)).json()) as { assets?: Asset[] | null; next?: string; upload_to?: string };
  return { assets: body.assets ?? [], next: body.next ?? "", uploadTo: body.upload_to ?? "" };
}

/** asset tells of one. */
export async function asset(server: Server, id: string): Promise<Asset> {
  return (await ask(server, pathOf(id))).json() as Promise<Asset>;
}

/** changeAsset changes what is named, if nobody else has changed it meanwhile. */
export async function changeAsset(server: Server, a: Pick<Asset, "id" | "version">, change: Partial<Pick<Asset, "title" | "description" | "public">>): Promise<Asset> {
  return (await send(server, "PATCH", pathOf(a.id), { ...change, version: a.version })).json() as Promise<Asset>;
}

/** deleteAsset deletes it with all its files. */
export async function deleteAsset(server: Server, id: string): Promise<void> {
  await send(server, "DELETE", pathOf(id));
}

/** clipAsset makes a new asset of a range, in seconds; it is cut at key frames, and the answer says where. */
export async function clipAsset(server: Server, id: string, clip: { start: number; end: number; title: string }): Promise<Asset & { start: number; end: number }> {
  return (await send(server, "POST", `${pathOf(id)}/clips`, clip)).json() as Promise<Asset & { start: number; end: number }>;
}

/** viewAsset counts a view; the server counts a viewer once in half an hour. */
export async function viewAsset(server: Server, id: string): Promise<void> {
  await send(server, "POST", `${pathOf(id)}/views`);
}

/** exportAsset has the file made, tells of the progress from 0 to 1, and resolves with the address to download it from. */
export async function exportAsset(server: Server, a: Pick<Asset, "id" | "export">, progress: (part: number) => void): Promise<string> {
  const url = new URL(a.export ?? `${pathOf(a.id)}/export.mp4`, server.api);
  for (;;) {
    // One byte tells whether it is there; the browser downloads the rest itself.
    const res = await request(url.href, { token: server.token, signal: server.signal, headers: { Range: "bytes=0-0" }, timeout: 40_000 });
    if (res.status !== 202) {
      void res.body?.cancel();
      break;
    }
    progress(Number(((await res.json()) as { progress?: number }).progress ?? 0));
    await pause(1000, server.signal);
  }
  if (server.token) url.searchParams.set("token", server.token); // a download carries no header
  return url.href;
}

function pathOf(id: string): string {
  return `/v1/assets/${encodeURIComponent(id)}`;
}

function ask(server: Server, path: string): Promise<Response> {
  return request(new URL(path, server.api).href, { token: server.token, signal: server.signal });
}

function send(server: Server, method: string, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
  return request(new URL(path, server.api).href, { method, token: server.token, signal: server.signal, headers, body: body === undefined ? undefined : JSON.stringify(body) });
}
