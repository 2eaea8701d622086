import { describe, expect, it } from "vitest";
import { chosenFirst, fragmentOf, lines, patchOf, restarted, stereo, takesTrickle } from "../src/core/sdp";
import { answerSdp, offerSdp, restartFragment } from "./fakes";

describe("stereo", () => {
  it("is asked for in the Opus fmtp alone", () => {
    const before = lines(offerSdp);
    const after = lines(stereo(offerSdp));
    const changed = after.filter((l, i) => l !== before[i]);
    expect(changed).toEqual(["a=fmtp:111 minptime=10;useinbandfec=1;stereo=1"]);
  });

  it("is said of what is sent, too", () => {
    expect(stereo(offerSdp, true)).toContain("a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1\r\n");
  });

  it("is not asked for twice, and its name inside another is no stereo", () => {
    const twice = stereo(stereo(offerSdp));
    expect(twice.match(/stereo=1/g)).toHaveLength(1);
    expect(stereo("a=rtpmap:96 opus/48000/2\r\na=fmtp:96 sprop-stereo=1\r\n")).toContain("sprop-stereo=1;stereo=1");
  });

  it("finds Opus under any number, in any case", () => {
    expect(stereo("a=rtpmap:97 OPUS/48000/2\na=fmtp:97 useinbandfec=1\n")).toBe("a=rtpmap:97 OPUS/48000/2\r\na=fmtp:97 useinbandfec=1;stereo=1\r\n");
  });
});

describe("the chosen codec", () => {
  const answer = (pts: string) => `m=audio 9 UDP/TLS/RTP/SAVPF 96 111\r\nm=video 9 UDP/TLS/RTP/SAVPF ${pts}\r\na=rtpmap:102 H264/90000\r\na=rtpmap:103 rtx/90000\r\na=rtpmap:45 AV1/90000\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:108 H264/90000\r\n`;

  it("is what a browser sends, though the server would rather have another", () => {
    expect(chosenFirst(answer("102 103 45 96 108"), "VP8")).toBe(answer("96 102 103 45 108"));
    expect(chosenFirst(answer("45 96 102 103 108"), "H264")).toBe(answer("102 108 45 96 103"));
  });

  it("changes nothing where the server does not take it", () => {
    expect(chosenFirst(answer("102 103 45 96 108"), "VP9")).toBe(answer("102 103 45 96 108"));
    expect(chosenFirst(answer("102 103"), "VP8")).toBe(answer("102 103"));
  });
});

describe("the PATCH of an ICE restart", () => {
  it("carries credentials, the tagged m-line and its mid", () => {
    expect(lines(patchOf(offerSdp, [], false))).toEqual(["a=ice-ufrag:ours", "a=ice-pwd:ourpassword", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0"]);
  });

  it("carries candidates with or without their a=, and the end", () => {
    const body = lines(patchOf(offerSdp, ["candidate:1 1 udp 1 10.0.0.1 1 typ host", "a=candidate:2 1 udp 1 10.0.0.2 1 typ host"], true));
    expect(body.slice(4)).toEqual(["a=candidate:1 1 udp 1 10.0.0.1 1 typ host", "a=candidate:2 1 udp 1 10.0.0.2 1 typ host", "a=end-of-candidates"]);
  });
});

describe("the answer after a restart", () => {
  const sdp = restarted(answerSdp, restartFragment);

  it("has the new credentials in every m-line and none of the old", () => {
    expect(sdp.match(/a=ice-ufrag:newer/g)).toHaveLength(2);
    expect(sdp.match(/a=ice-pwd:newpassword/g)).toHaveLength(2);
    expect(sdp).not.toContain("theirs");
  });

  it("has the new candidate once, in the tagged m-line", () => {
    const all = lines(sdp);
    expect(all.filter((l) => l.startsWith("a=candidate:"))).toEqual(["a=candidate:2 1 udp 1 127.0.0.1 8189 typ host"]);
    expect(all.findIndex((l) => l.startsWith("a=candidate:"))).toBeLessThan(all.findIndex((l) => l.startsWith("m=video")));
  });

  it("rises in version and keeps all else", () => {
    expect(sdp).toContain("o=- 7 2 IN IP4 127.0.0.1\r\n");
    expect(sdp).toContain("a=ice-lite\r\n");
    expect(sdp.endsWith("\r\n")).toBe(true);
  });

  it("takes several candidates as lines of their own", () => {
    const two = restartFragment + "a=candidate:3 1 udp 1 127.0.0.1 9 typ host\r\n";
    expect(fragmentOf(restarted(answerSdp, two)).candidates).toHaveLength(2);
  });
});

it("an ICE-lite server is not sent candidates, a full one that trickles is", () => {
  expect(takesTrickle(answerSdp)).toBe(false);
  expect(takesTrickle(answerSdp.replace("a=ice-lite", "a=ice-options:ice2 trickle"))).toBe(true);
  expect(takesTrickle(answerSdp.replace("a=ice-lite\r\n", ""))).toBe(false);
});
