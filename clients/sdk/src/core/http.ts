// Requests to the server, with the token where it belongs: in Authorization,
// never in a URL. Promises that a failure is a SluiceError and that no request
// waits for ever. Owned by the core.

import { fromFailure, fromResponse } from "./errors";

/** Call is one request. */
export interface Call {
  method?: string;
  token?: string;
  headers?: Record<string, string>;
  body?: string;
  /** keepalive lets the request outlive the page (used for DELETE). */
  keepalive?: boolean;
  signal?: AbortSignal;
  /** timeout in milliseconds; 0 means none (event streams). */
  timeout?: number;
  side?: "publish" | "watch";
}

// A join that takes longer than this has failed as far as a person is concerned; OBS gives up after 8 s too.
const defaultTimeout = 10_000;

/** request resolves with a 2xx response, or rejects with a SluiceError. */
export async function request(url: string, call: Call = {}): Promise<Response> {
  const headers: Record<string, string> = { ...call.headers };
  if (call.token) headers.Authorization = `Bearer ${call.token}`;
  const timeout = call.timeout ?? defaultTimeout;
  const signals = [call.signal, timeout > 0 ? AbortSignal.timeout(timeout) : undefined].filter((s) => s !== undefined);
  let res: Response;
  try {
    res = await fetch(url, {
      method: call.method ?? "GET",
      headers,
      body: call.body,
      keepalive: call.keepalive,
      cache: "no-store",
      credentials: "omit",
      signal: signals.length > 1 ? AbortSignal.any(signals) : signals[0],
    });
  } catch (cause) {
    throw fromFailure(cause);
  }
  if (!res.ok) throw await fromResponse(res, call.side);
  return res;
}

/** Link is one entry of a Link header (RFC 8288). */
export interface Link {
  url: string;
  rel: string;
  params: Record<string, string>;
}

/** parseLinks reads a Link header; relative targets are resolved against base. Entries that cannot be read are left out. */
export function parseLinks(header: string | null, base: string): Link[] {
  const links: Link[] = [];
  const entry = /<([^>]*)>((?:\s*;\s*[\w*-]+\s*(?:=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))?)*)/g;
  for (const m of (header ?? "").matchAll(entry)) {
    const params: Record<string, string> = {};
    for (const p of (m[2] ?? "").matchAll(/;\s*([\w*-]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?/g)) {
      params[p[1]!.toLowerCase()] = (p[2] ?? p[3] ?? "").replace(/\\(.)/g, "$1");
    }
    const url = resolve(m[1]!, base);
    if (url) links.push({ url, rel: params.rel ?? "", params });
  }
  return links;
}

/** iceServers picks the ICE servers out of Link entries (RFC 9725 section 4.6). */
export function iceServers(links: Link[]): RTCIceServer[] {
  return links
    .filter((l) => l.rel === "ice-server")
    .map(({ url, params }) => (params.username ? { urls: url, username: params.username, credential: params.credential ?? "" } : { urls: url }));
}

function resolve(target: string, base: string): string {
  try {
    return new URL(target, base).href;
  } catch {
    return "";
  }
}
