// The few changes that a browser's SDP needs, as pure functions on text.
// They promise to leave every line alone that they do not name, and CRLF line
// ends as RFC 8866 wants them. Owned by the core.

/** Fragment is the part of an SDP that an ICE PATCH carries (RFC 8840). */
export interface Fragment {
  ufrag: string;
  pwd: string;
  candidates: string[];
}

/** lines splits SDP text, whatever its line ends. */
export function lines(sdp: string): string[] {
  return sdp.split(/\r?\n/).filter((l) => l !== "");
}

function join(all: string[]): string {
  return all.join("\r\n") + "\r\n";
}

/** stereo asks for two Opus channels: browsers decode to mono unless their own fmtp says stereo=1 (RFC 7587 section 6.1). */
export function stereo(sdp: string, sends = false): string {
  const all = lines(sdp);
  const opus = new Set(all.map((l) => /^a=rtpmap:(\d+) opus\/48000/i.exec(l)?.[1]).filter((pt) => pt !== undefined));
  const add = sends ? ["stereo=1", "sprop-stereo=1"] : ["stereo=1"];
  return join(
    all.map((l) => {
      const m = /^a=fmtp:(\d+) (.*)$/.exec(l);
      if (!m || !opus.has(m[1]!)) return l;
      const has = new Set(m[2]!.split(";").map((p) => p.split("=")[0]!.trim()));
      const more = add.filter((p) => !has.has(p.split("=")[0]!));
      return more.length ? `${l};${more.join(";")}` : l;
    }),
  );
}

/**
 * chosenFirst moves a video codec to the front of its m-line. An answer lists what the server takes in the server's order,
 * and browsers send the first of them: a person's choice among them comes before that (RFC 3264 section 6.1 allows any).
 */
export function chosenFirst(answer: string, codec: string): string {
  const all = lines(answer);
  const mime = ` ${codec.toLowerCase()}/90000`;
  const pt = (l: string) => /^a=(?:rtpmap|fmtp):(\d+)/.exec(l)?.[1] ?? "";
  const chosen = new Set(all.filter((l) => l.startsWith("a=rtpmap:") && l.toLowerCase().endsWith(mime)).map(pt));
  return join(
    all.map((l) => {
      if (!l.startsWith("m=video ")) return l;
      const [head, pts] = [l.split(" ").slice(0, 3), l.split(" ").slice(3)];
      return [...head, ...pts.filter((p) => chosen.has(p)), ...pts.filter((p) => !chosen.has(p))].join(" ");
    }),
  );
}

/** hlang says of each audio m-line in turn which language it has (RFC 8373); "" says nothing. */
export function hlang(sdp: string, languages: string[]): string {
  let place = -1;
  let audio = false;
  return join(
    lines(sdp).flatMap((l) => {
      if (l.startsWith("m=")) audio = l.startsWith("m=audio ");
      if (l.startsWith("m=audio ")) place++;
      // Behind the mid, which each m-line of a bundle has: attributes follow m= and c= (RFC 8866 section 5).
      return audio && l.startsWith("a=mid:") && languages[place] ? [l, `a=hlang-send:${languages[place]}`] : [l];
    }),
  );
}

/** fragmentOf reads ufrag, pwd and candidates; the first of each counts, as all m-lines are bundled. */
export function fragmentOf(sdp: string): Fragment {
  const f: Fragment = { ufrag: "", pwd: "", candidates: [] };
  for (const l of lines(sdp)) {
    if (l.startsWith("a=ice-ufrag:")) f.ufrag ||= l.slice(12);
    else if (l.startsWith("a=ice-pwd:")) f.pwd ||= l.slice(10);
    else if (l.startsWith("a=candidate:") && !f.candidates.includes(l)) f.candidates.push(l);
  }
  return f;
}

/** patchOf writes the body of a trickle or restart PATCH: credentials, the bundle-tagged m-line, candidates. */
export function patchOf(sdp: string, candidates: string[], end: boolean): string {
  const f = fragmentOf(sdp);
  const all = lines(sdp);
  const media = all.find((l) => l.startsWith("m=")) ?? "m=audio 9 UDP/TLS/RTP/SAVPF 0";
  const mid = all.find((l) => l.startsWith("a=mid:")) ?? "a=mid:0";
  // RFC 8840 section 9: the payload type list has no meaning here, so one is enough.
  const m = media.split(" ").slice(0, 4).join(" ");
  const out = [`a=ice-ufrag:${f.ufrag}`, `a=ice-pwd:${f.pwd}`, m, mid, ...candidates.map((c) => (c.startsWith("a=") ? c : `a=${c}`))];
  if (end) out.push("a=end-of-candidates");
  return join(out);
}

/**
 * restarted makes the answer to an ICE restart: the answer that is in force, with the credentials and
 * candidates of the fragment, and a higher version in its o= line (RFC 9725 section 4.3.3).
 */
export function restarted(answer: string, fragment: string): string {
  const f = fragmentOf(fragment);
  const out: string[] = [];
  let first = true; // candidates go to the bundle-tagged m-line, which is the first
  let inMedia = false;
  const flush = () => {
    if (inMedia && first) {
      out.push(...f.candidates);
      first = false;
    }
  };
  for (const l of lines(answer)) {
    if (l.startsWith("m=")) {
      flush();
      inMedia = true;
    }
    if (l.startsWith("o=")) out.push(bump(l));
    else if (l.startsWith("a=ice-ufrag:")) out.push(`a=ice-ufrag:${f.ufrag}`);
    else if (l.startsWith("a=ice-pwd:")) out.push(`a=ice-pwd:${f.pwd}`);
    else if (!l.startsWith("a=candidate:") && l !== "a=end-of-candidates") out.push(l);
  }
  flush();
  return join(out);
}

/** takesTrickle tells whether an answerer needs our candidates: an ICE-lite one never does. */
export function takesTrickle(answer: string): boolean {
  const all = lines(answer);
  return !all.includes("a=ice-lite") && all.some((l) => l.startsWith("a=ice-options:") && l.includes("trickle"));
}

function bump(origin: string): string {
  const parts = origin.split(" ");
  parts[2] = String(BigInt(/^\d+$/.test(parts[2] ?? "") ? parts[2]! : "0") + 1n);
  return parts.join(" ");
}
