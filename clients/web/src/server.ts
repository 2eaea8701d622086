// What the server says of itself: GET /v1/server. Promises an answer, empty where
// the server has none. Owned by the pages.

/** secureUrl is the https address of this very page, or "" when the server has none, or this page is secure already. */
export async function secureUrl(): Promise<string> {
  if (globalThis.isSecureContext) return "";
  try {
    const body = (await (await fetch("/v1/server", { cache: "no-store" })).json()) as { https?: unknown };
    return httpsAddress(body.https, location);
  } catch {
    return "";
  }
}

/** httpsAddress reads the https field: an address (":8443", "host:8443", "https://host") of this server; true alone names no port. */
export function httpsAddress(https: unknown, page: { hostname: string; pathname: string }): string {
  if (typeof https !== "string" || https === "") return "";
  const address = https.replace(/^https:\/\//, "").replace(/\/$/, "");
  const [, host = "", port = ""] = /^(\[[^\]]*\]|[^:]*)(:\d+)?$/.exec(address) ?? [];
  const anyHost = ["", "0.0.0.0", "[::]"].includes(host);
  return `https://${anyHost ? page.hostname : host}${port === ":443" ? "" : port}${page.pathname}`;
}
