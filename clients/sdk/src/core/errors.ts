// What can go wrong between a page and the server, in one type.
// It promises a stable reason to branch and translate on, whether trying again
// can help, and the server's own words and trace id. Owned by the core.

/** Why names the reason of a failure; texts and decisions hang on it. */
export type Why =
  | "unauthorized" // 401: no token, or one that is not valid any more
  | "forbidden" // 403: the token does not allow this
  | "missing" // 404, 410: no such stream or session
  | "not-live" // 409 to a viewer: nobody publishes now
  | "taken" // 409 to a publisher: somebody else publishes
  | "unsupported" // 406, 415, 422: no common codec, or a feature is missing
  | "bad-request" // other 4xx
  | "too-many" // 429
  | "busy" // 503
  | "server" // other 5xx
  | "network" // no answer came
  | "media" // the answer came but media does not flow
  | "browser" // this browser lacks what is needed
  | "aborted"; // we gave up ourselves

const retryable: ReadonlySet<Why> = new Set(["not-live", "too-many", "busy", "server", "network", "media"]);

/** SluiceError is what every promise of the core rejects with. */
export class SluiceError extends Error {
  readonly why: Why;
  readonly status: number;
  readonly detail: string;
  readonly trace: string;
  /** retryAfter is in milliseconds; 0 when the server named no time. */
  readonly retryAfter: number;

  constructor(why: Why, init: { status?: number; detail?: string; trace?: string; retryAfter?: number; cause?: unknown } = {}) {
    super(init.detail || why, { cause: init.cause });
    this.name = "SluiceError";
    this.why = why;
    this.status = init.status ?? 0;
    this.detail = init.detail ?? "";
    this.trace = init.trace ?? "";
    this.retryAfter = init.retryAfter ?? 0;
  }

  /** retry tells whether the same request may succeed later. */
  get retry(): boolean {
    return retryable.has(this.why);
  }
}

/** whyOf maps an HTTP status to a reason; 409 means different things to the two ends. */
export function whyOf(status: number, side: "publish" | "watch" = "watch"): Why {
  switch (status) {
    case 401:
      return "unauthorized";
    case 403:
      return "forbidden";
    case 404:
    case 410:
      return "missing";
    case 409:
      return side === "publish" ? "taken" : "not-live";
    case 406:
    case 415:
    case 422:
      return "unsupported";
    case 429:
      return "too-many";
    case 503:
      return "busy";
  }
  return status >= 500 ? "server" : "bad-request";
}

/** retryAfterOf reads Retry-After (RFC 9110 section 10.2.3), seconds or a date, as milliseconds. */
export function retryAfterOf(header: string | null, now: number): number {
  if (!header) return 0;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(header);
  return Number.isNaN(date) ? 0 : Math.max(0, date - now);
}

/** fromResponse reads a failed response, and its RFC 9457 problem where there is one. */
export async function fromResponse(res: Response, side: "publish" | "watch" = "watch"): Promise<SluiceError> {
  let detail = "";
  let trace = "";
  if (/\bjson\b/.test(res.headers.get("Content-Type") ?? "")) {
    const problem: unknown = await res.json().catch(() => null);
    if (problem && typeof problem === "object") {
      const p = problem as Record<string, unknown>;
      detail = text(p.detail) || text(p.title);
      trace = text(p.instance);
    }
  }
  const retryAfter = retryAfterOf(res.headers.get("Retry-After"), Date.now());
  return new SluiceError(whyOf(res.status, side), { status: res.status, detail, trace, retryAfter });
}

/** fromFailure wraps whatever was thrown. */
export function fromFailure(cause: unknown): SluiceError {
  if (cause instanceof SluiceError) return cause;
  const name = (cause as { name?: string } | null)?.name;
  if (name === "AbortError") return new SluiceError("aborted", { cause });
  if (cause instanceof TypeError || name === "TimeoutError") return new SluiceError("network", { cause });
  return new SluiceError("media", { cause, detail: cause instanceof Error ? cause.message : String(cause) });
}

function text(v: unknown): string {
  return typeof v === "string" ? v : "";
}
