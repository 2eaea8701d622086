import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { WhepSession } from "../src/core/whep";
import { type PublishConfig, WhipSession } from "../src/core/whip";
import { answerSdp, FakePC, type FakeServer, FakeStream, install, restartFragment, settle } from "./fakes";

let server: FakeServer;
beforeEach(() => {
  vi.useFakeTimers();
  server = install();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a WHEP session", () => {
  const url = "http://sluice.test/whep/demo";
  const open = async () => {
    const session = new WhepSession({ url, token: "t" });
    await session.open();
    return session;
  };

  it("posts a recvonly offer with stereo at once, and sets the answer", async () => {
    server.joins("/whep/demo");
    await open();
    const [post] = server.saw("POST /whep/demo");
    expect(post!.headers.get("Content-Type")).toBe("application/sdp");
    expect(post!.headers.get("Authorization")).toBe("Bearer t");
    expect(post!.body).toContain("stereo=1");
    expect(FakePC.last.localDescription!.sdp).toBe(post!.body);
    expect(FakePC.last.remoteDescription!.sdp).toBe(answerSdp);
    expect(FakePC.last.transceivers.map((t) => [t.kind, t.init.direction])).toEqual([["audio", "recvonly"], ["video", "recvonly"]]);
  });

  it("asks for capture times and for no more delay than needed", async () => {
    server.joins("/whep/demo");
    await open();
    for (const t of FakePC.last.transceivers) {
      expect(t.extensions[0]!.direction).toBe("sendrecv");
      expect(t.receiver.jitterBufferTarget).toBe(0);
    }
  });

  it("sends an ICE-lite server no candidates, a full one in one PATCH with the tag", async () => {
    server.joins("/whep/demo");
    await open();
    FakePC.last.dispatchEvent(Object.assign(new Event("icecandidate"), { candidate: null }));
    await settle();
    expect(server.asked.filter((a) => a.method === "PATCH")).toEqual([]);

    server.routes["POST /whep/full"] = () => new Response(answerSdp.replace("a=ice-lite", "a=ice-options:trickle"), { status: 201, headers: { Location: "/whep/full/s1", ETag: '"e1"' } });
    server.routes["PATCH /whep/full/s1"] = () => new Response(null, { status: 204 });
    const session = new WhepSession({ url: "http://sluice.test/whep/full" });
    FakePC.last.dispatchEvent(Object.assign(new Event("icecandidate"), { candidate: { candidate: "candidate:1 1 udp 1 10.0.0.1 1 typ host" } }));
    await session.open();
    await settle();
    const [patch] = server.saw("PATCH /whep/full/s1");
    expect(patch!.headers.get("If-Match")).toBe('"e1"');
    expect(patch!.body).toContain("a=candidate:1 1 udp 1 10.0.0.1 1 typ host");
  });

  it("chooses a layer at the address that the answer named", async () => {
    server.joins("/whep/demo");
    server.routes["POST /whep/demo/s1/layers"] = () => new Response("{}");
    const session = await open();
    expect(session.selectable).toBe(true);
    await session.choose({ mediaId: "1", rid: "h" });
    await session.choose({});
    expect(server.saw("POST /whep/demo/s1/layers").map((a) => a.body)).toEqual(['{"mediaId":"1","rid":"h"}', "{}"]);
  });

  it("restarts ICE with If-Match: *, keeps the media and takes the new tag", async () => {
    server.joins("/whep/demo");
    server.routes["PATCH /whep/demo/s1"] = () => new Response(restartFragment, { status: 200, headers: { ETag: '"e9"' } });
    const session = await open();
    await session.restart();
    const [patch] = server.saw("PATCH /whep/demo/s1");
    expect(patch!.headers.get("If-Match")).toBe("*");
    expect(patch!.headers.get("Content-Type")).toBe("application/trickle-ice-sdpfrag");
    expect(FakePC.last.restarts).toBe(1);
    expect(FakePC.last.remoteDescription!.sdp).toContain("a=ice-ufrag:newer");
  });

  it("whose restart is refused goes back to where it was", async () => {
    server.joins("/whep/demo");
    server.routes["PATCH /whep/demo/s1"] = () => new Response(null, { status: 404 });
    const session = await open();
    await expect(session.restart()).rejects.toMatchObject({ why: "missing" });
    expect(FakePC.last.signalingState).toBe("stable");
  });

  it("that is refused leaves no connection, one that is closed is deleted once", async () => {
    server.routes["POST /whep/demo"] = () => new Response(null, { status: 401 });
    await expect(open()).rejects.toMatchObject({ why: "unauthorized" });
    expect(FakePC.last.connectionState).toBe("closed");
    server.joins("/whep/demo");
    const session = await open();
    session.close();
    session.close();
    const deleted = server.saw("DELETE /whep/demo/s1");
    expect(deleted).toHaveLength(1);
    expect(deleted[0]).toMatchObject({ keepalive: true });
    expect(deleted[0]!.headers.get("Authorization")).toBe("Bearer t");
  });

  it("that is closed while its POST is on the way is deleted as well", async () => {
    server.joins("/whep/demo");
    const join = server.routes["POST /whep/demo"]!;
    let answer = () => {};
    server.routes["POST /whep/demo"] = (a) => new Promise((done) => (answer = () => done(join(a) as Response)));
    const session = new WhepSession({ url });
    const opened = expect(session.open()).rejects.toMatchObject({ why: "aborted" });
    await settle();
    session.close();
    answer();
    await opened;
    expect(server.saw("DELETE /whep/demo/s1")).toHaveLength(1);
  });

  it("keeps relays that the answer names for the next restart", async () => {
    server.routes["POST /whep/demo"] = () => new Response(answerSdp, { status: 201, headers: { Location: "/whep/demo/s1", Link: '<turn:t.example>; rel="ice-server"; username="u"; credential="p"' } });
    await open();
    expect(FakePC.last.configuration.iceServers).toEqual([{ urls: "turn:t.example", username: "u", credential: "p" }]);
  });

  it("turns to relays when nothing else connects, with fresh credentials, and not before", async () => {
    vi.useFakeTimers();
    server.joins("/whep/demo");
    const link = (u: string) => `<turn:t.example>; rel="ice-server"; username="${u}"; credential="p"`;
    server.routes["POST /whep/demo"] = () => new Response(answerSdp, { status: 201, headers: { Location: "/whep/demo/s1", Link: link("first") } });
    server.routes["PATCH /whep/demo/s1"] = () => new Response("a=ice-ufrag:new1\r\na=ice-pwd:newpasswordnewpassword12\r\n", { status: 200, headers: { Link: link("second") } });
    try {
      const reached = await open();
      Object.assign(FakePC.last, { iceConnectionState: "connected" });
      await vi.advanceTimersByTimeAsync(5000);
      expect(server.saw("PATCH /whep/demo/s1")).toHaveLength(0);
      reached.close();
      await open();
      Object.assign(FakePC.last, { iceConnectionState: "checking" });
      await vi.advanceTimersByTimeAsync(2000);
      expect(server.saw("PATCH /whep/demo/s1")).toHaveLength(0);
      await vi.advanceTimersByTimeAsync(1000);
      expect(server.saw("PATCH /whep/demo/s1")).toHaveLength(1);
      expect(FakePC.last.configuration.iceServers).toEqual([{ urls: "turn:t.example", username: "second", credential: "p" }]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("that may use relays only gathers when it knows them", async () => {
    let gathered: unknown = "nothing";
    server.routes["POST /whep/demo"] = () => {
      gathered = FakePC.last.localDescription;
      return new Response(answerSdp, { status: 201, headers: { Location: "/whep/demo/s1", Link: '<turn:t.example>; rel="ice-server"; username="u"; credential="p"' } });
    };
    await new WhepSession({ url, iceTransportPolicy: "relay" }).open();
    expect(gathered).toBeNull();
    expect(FakePC.last.localDescription?.sdp).toBeTruthy();
    expect(FakePC.last.configuration).toMatchObject({ iceTransportPolicy: "relay", iceServers: [{ urls: "turn:t.example" }] });
  });

  it("without a Location is no session", async () => {
    server.routes["POST /whep/demo"] = () => new Response(answerSdp, { status: 201 });
    await expect(open()).rejects.toMatchObject({ why: "server" });
  });
});

describe("a WHIP session", () => {
  const track = (kind: string, settings = {}) => ({ kind, contentHint: "", getSettings: () => settings });
  const config = (part: Partial<PublishConfig> = {}): PublishConfig => ({
    url: "http://sluice.test/whip/demo", token: "t", codec: "H264", bitrate: 2_500_000, simulcast: true,
    media: new FakeStream([track("audio"), track("video")]) as unknown as MediaStream, ...part,
  });
  const open = async (part: Partial<PublishConfig> = {}) => {
    server.joins("/whip/demo", false);
    const session = new WhipSession(config(part));
    await session.open();
    return session;
  };

  it("sends three layers of the chosen codec, by sendonly transceivers", async () => {
    await open();
    const [audio, video] = FakePC.last.transceivers;
    expect([audio!.init.direction, video!.init.direction]).toEqual(["sendonly", "sendonly"]);
    expect(video!.init.sendEncodings!.map((e) => e.rid)).toEqual(["q", "h", "f"]);
    expect(video!.codecs.map((c) => c.mimeType)).toEqual(["video/H264", "video/AV1", "video/VP9", "video/VP8", "video/rtx"]);
  });

  it("hints what the picture is: text stays sharp, a camera keeps moving", async () => {
    const session = await open({ screen: true });
    const { track: shown, parameters } = FakePC.last.transceivers[1]!.sender;
    expect((shown as { contentHint: string }).contentHint).toBe("detail");
    expect(parameters.degradationPreference).toBe("maintain-resolution");
    session.stop();
    await open();
    expect((FakePC.last.transceivers[1]!.sender.track as { contentHint: string }).contentHint).toBe("motion");
  });

  it("declares stereo where the source has two channels, only there", async () => {
    await open();
    await open({ media: new FakeStream([track("audio", { channelCount: 2 }), track("video")]) as unknown as MediaStream });
    expect(server.saw("POST /whip/demo").map((a) => a.body.includes("sprop-stereo=1"))).toEqual([false, true]);
  });

  it("works in a browser that does not know scalabilityMode", async () => {
    const real = FakePC.prototype.addTransceiver;
    vi.spyOn(FakePC.prototype, "addTransceiver").mockImplementation(function (this: FakePC, what, init) {
      if (init?.sendEncodings?.some((e) => "scalabilityMode" in e)) throw new DOMException("", "OperationError");
      return real.call(this, what, init);
    });
    await open({ codec: "VP9" });
    expect(FakePC.last.transceivers[1]!.init.sendEncodings).toHaveLength(3);
  });

  it("changes its bitrate on air, in the same proportions", async () => {
    const session = await open();
    await session.setBitrate(1_200_000);
    const { encodings } = FakePC.last.transceivers[1]!.sender.parameters as { encodings: RTCRtpEncodingParameters[] };
    expect(encodings.map((e) => e.maxBitrate)).toEqual([120_000, 360_000, 1_200_000]);
  });

  it("sends the layers that the server says are wanted, and all of them when it says no more", async () => {
    const feed = server.feed("/whip/demo/s1");
    const session = await open();
    await settle();
    expect(server.saw("POST /whip/demo/s1/events")[0]!.body).toBe('["encodings"]');
    const { sender } = FakePC.last.transceivers[1]!;
    const active = () => (sender.parameters as { encodings: RTCRtpEncodingParameters[] }).encodings.map((e) => e.active);
    const set = vi.spyOn(sender, "setParameters");
    const tell = async (f: unknown) => (feed.send("encodings", [{ rid: "q", active: true }, { rid: "h", active: true }, { rid: "f", active: f }, null, { rid: 7 }]), settle());
    await tell(true);
    expect(set).not.toHaveBeenCalled();
    await tell(false);
    expect(active()).toEqual([true, true, false]);
    await session.setBitrate(1_200_000);
    expect(active()).toEqual([true, true, false]);
    await tell(true);
    expect(active()).toEqual([true, true, true]);
    await tell(false);
    feed.end();
    await vi.advanceTimersByTimeAsync(60_000);
    await settle();
    expect(active()).toEqual([true, true, true]);
    session.stop();
  });

  it("asks for no such events where there is one layer", async () => {
    await open({ simulcast: false });
    await settle();
    expect(server.saw("POST /whip/demo/s1/events")).toEqual([]);
  });

  it("swaps a camera without a new session", async () => {
    const session = await open();
    const other = track("video");
    await session.replace(other as unknown as MediaStreamTrack);
    expect(FakePC.last.transceivers[1]!.sender.track).toBe(other);
    expect(server.saw("POST /whip/demo")).toHaveLength(1);
  });

  it("deletes itself with keepalive at stop", async () => {
    const session = await open();
    session.stop();
    expect(server.saw("DELETE /whip/demo/s1")).toMatchObject([{ keepalive: true }]);
    expect(FakePC.last.connectionState).toBe("closed");
  });

  it("tells a taken stream from one that is not live", async () => {
    server.routes["POST /whip/demo"] = () => new Response(null, { status: 409 });
    await expect(new WhipSession(config()).open()).rejects.toMatchObject({ why: "taken", retry: false });
  });
});
