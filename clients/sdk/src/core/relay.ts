// Relays that a server names in its answers (RFC 9725 section 4.6): kept for the
// next gathering of candidates, and turned to when nothing else connects, as
// each costs the server traffic. Owned by the session that uses it.

import { iceServers } from "./http";
import type { Resource } from "./resource";
import { pause } from "./sse";

// Direct checks that lead anywhere have done so by then, also over TCP; the server waits longer for a first one.
const patience = 2500;

/** useRelays configures what the resource names beside our own servers, and tells whether there was any. */
export function useRelays(pc: RTCPeerConnection, resource: Resource, own: RTCIceServer[] = []): boolean {
  const relays = iceServers(resource.links);
  if (relays.length) pc.setConfiguration({ ...pc.getConfiguration(), iceServers: [...own, ...relays] });
  return relays.length > 0;
}

/** unreached resolves after some seconds, with true when the server has not been reached by then. */
export async function unreached(pc: RTCPeerConnection, signal: AbortSignal): Promise<boolean> {
  await pause(patience, signal);
  return !signal.aborted && (pc.iceConnectionState === "new" || pc.iceConnectionState === "checking");
}
