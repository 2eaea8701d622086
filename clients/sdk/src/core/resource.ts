// One WHIP or WHEP resource: the POST that makes it, the PATCHes that keep it,
// the DELETE that ends it (RFC 9725 section 4). It promises that a resource that
// was made is deleted once. Owned by the session that posted it.

import { SluiceError } from "./errors";
import { type Link, parseLinks, request } from "./http";
import { patchOf, restarted, takesTrickle } from "./sdp";

/** Endpoint is where to POST, and who we are. */
export interface Endpoint {
  url: string;
  token?: string;
  side: "publish" | "watch";
}

const fragmentType = "application/trickle-ice-sdpfrag";

/** Resource is a session on the server, seen from the client. */
export class Resource {
  readonly url: string;
  links: Link[];
  #etag: string;
  #answer: string;
  #gone = false;
  #endpoint: Endpoint;

  private constructor(endpoint: Endpoint, res: Response, answer: string) {
    const base = res.url || endpoint.url;
    this.#endpoint = endpoint;
    this.url = new URL(res.headers.get("Location")!, base).href;
    this.links = parseLinks(res.headers.get("Link"), base);
    this.#etag = res.headers.get("ETag") ?? "";
    this.#answer = answer;
  }

  /** post sends the offer and returns the resource; the answer is in answer. */
  static async post(endpoint: Endpoint, offer: string, signal?: AbortSignal): Promise<Resource> {
    const headers = { "Content-Type": "application/sdp", Accept: "application/sdp" };
    const res = await request(endpoint.url, { method: "POST", body: offer, headers, signal, token: endpoint.token, side: endpoint.side });
    const answer = await res.text();
    if (!res.headers.get("Location")) throw new SluiceError("server", { status: res.status, detail: "the server named no session (Location)" });
    return new Resource(endpoint, res, answer);
  }

  /** answer is the SDP that is in force. */
  get answer(): string {
    return this.#answer;
  }

  /** etag is the entity-tag of the ICE session that is in force. */
  get etag(): string {
    return this.#etag;
  }

  /** link returns the target of the first Link with that relation. */
  link(rel: string): Link | undefined {
    return this.links.find((l) => l.rel === rel);
  }

  /** trickle sends candidates, where the server wants them at all. */
  async trickle(offer: string, candidates: string[], end: boolean): Promise<void> {
    if (this.#gone || !takesTrickle(this.#answer)) return;
    const headers: Record<string, string> = { "Content-Type": fragmentType };
    if (this.#etag) headers["If-Match"] = this.#etag;
    try {
      await this.#patch(patchOf(offer, candidates, end), headers);
    } catch (error) {
      // 405 and 501 mean that it takes no trickle; it then lives by the candidates of the offer.
      if (!(error instanceof SluiceError) || ![405, 422, 501].includes(error.status)) throw error;
    }
  }

  /** restart asks for new ICE credentials and returns the answer to set. */
  async restart(offer: string, signal?: AbortSignal): Promise<string> {
    const res = await this.#patch(patchOf(offer, [], false), { "Content-Type": fragmentType, "If-Match": "*" }, signal);
    const fragment = await res.text();
    if (!fragment.includes("a=ice-ufrag:")) throw new SluiceError("server", { status: res.status, detail: "the restart was answered without credentials" });
    this.#etag = res.headers.get("ETag") ?? this.#etag;
    // Credentials of relays have their time: the answer to a restart brings fresh ones.
    const fresh = parseLinks(res.headers.get("Link"), this.url).filter((l) => l.rel === "ice-server");
    if (fresh.length) this.links = [...this.links.filter((l) => l.rel !== "ice-server"), ...fresh];
    this.#answer = restarted(this.#answer, fragment);
    return this.#answer;
  }

  /** remove ends the session. The request outlives the page; its outcome does not matter to us. */
  remove(): void {
    if (this.#gone) return;
    this.#gone = true;
    const { token, side } = this.#endpoint;
    void request(this.url, { method: "DELETE", keepalive: true, token, side }).catch(() => undefined);
  }

  #patch(body: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
    const { token, side } = this.#endpoint;
    return request(this.url, { method: "PATCH", body, headers, signal, token, side });
  }
}
