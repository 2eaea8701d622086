// What hls.js says of a failure, in our words. Promises the server's own detail and
// trace where there are any. Pure; owned by the HLS playback.

import type { ErrorData } from "hls.js";
import { retryAfterOf, SluiceError, type Why, whyOf } from "./errors";
import { parseObject } from "./layers";

/** hlsError reads a failure. */
export function hlsError(data: Pick<ErrorData, "type" | "details" | "response" | "networkDetails" | "error">): SluiceError {
  const xhr = data.networkDetails as Partial<XMLHttpRequest> | null | undefined;
  const status = data.response?.code ?? 0;
  if (status >= 400) {
    const problem = parseObject(body(xhr));
    const text = (v: unknown) => (typeof v === "string" ? v : "");
    const retryAfter = retryAfterOf(xhr?.getResponseHeader?.("Retry-After") ?? null, Date.now());
    return new SluiceError(whyOf(status), { status, detail: text(problem.detail) || text(problem.title), trace: text(problem.instance), retryAfter });
  }
  return new SluiceError(why(data), { detail: data.details, cause: data.error });
}

function why(data: Pick<ErrorData, "type" | "details">): Why {
  if (data.type === "networkError") return "network";
  // What cannot be decoded here will not be later.
  if (data.details === "manifestIncompatibleCodecsError" || data.details === "bufferAddCodecError" || data.details === "bufferIncompatibleCodecsError") return "unsupported";
  return "media";
}

// The text of an answer that was asked for as bytes is not to be had.
function body(xhr: Partial<XMLHttpRequest> | null | undefined): string {
  try {
    return xhr?.responseText ?? "";
  } catch {
    return "";
  }
}
