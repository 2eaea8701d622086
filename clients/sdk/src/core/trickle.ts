// Sends candidates to the servers that want them; ICE-lite ones learn our
// addresses from our checks. Promises that no candidate is sent twice and that a
// refusal disturbs nothing. Owned by one WHIP or WHEP session.

import type { Resource } from "./resource";

/** Trickle collects what the browser gathers until there is somebody to tell. */
export class Trickle {
  #pc: RTCPeerConnection;
  #resource: Resource | undefined;
  #candidates: string[] = [];
  #gathered = false;

  constructor(pc: RTCPeerConnection) {
    this.#pc = pc;
    pc.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate?.candidate) this.#candidates.push(candidate.candidate);
      else this.#gathered = true;
      this.#flush();
    });
  }

  /** answered is called when the answer is set: candidates may go from now on. */
  answered(resource: Resource): void {
    this.#resource = resource;
    this.#flush();
  }

  /** restart forgets the candidates of the ICE session before. */
  restart(): void {
    this.#resource = undefined;
    this.#candidates = [];
    this.#gathered = false;
  }

  #flush(): void {
    const sdp = this.#pc.localDescription?.sdp;
    if (!sdp || !this.#resource || (!this.#candidates.length && !this.#gathered)) return;
    void this.#resource.trickle(sdp, this.#candidates.splice(0), this.#gathered).catch(() => undefined);
  }
}
