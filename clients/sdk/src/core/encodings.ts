// The encodings event of a WHIP session: which layers of the picture anybody
// watches. Promises to read any data without a throw, and to switch only the
// layers that it names. Pure; owned by a WhipSession.

/** eventsRel is the relation of a publisher's event stream; it is Sluice's own. */
export const eventsRel = "urn:sluice:whip:ext:server-sent-events";

/** readEncodings reads the event's data: whether each layer shall be sent, by its rid. */
export function readEncodings(data: string): Map<string, boolean> {
  let list: unknown;
  try {
    list = JSON.parse(data);
  } catch {
    list = undefined;
  }
  const wanted = new Map<string, boolean>();
  for (const e of Array.isArray(list) ? (list as ({ rid?: unknown; active?: unknown } | null)[]) : []) {
    if (typeof e?.rid === "string" && typeof e.active === "boolean") wanted.set(e.rid, e.active);
  }
  return wanted;
}

/** switchEncodings sets what is to be sent and returns whether that changes anything. A layer that is not named is sent. */
export function switchEncodings(encodings: RTCRtpEncodingParameters[], wanted: Map<string, boolean>): boolean {
  let changed = false;
  for (const e of encodings) {
    const active = !e.rid || (wanted.get(e.rid) ?? true);
    changed ||= (e.active ?? true) !== active;
    e.active = active;
  }
  return changed;
}
