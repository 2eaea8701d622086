import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readTracks } from "../src/core/renditions";
import { hlang } from "../src/core/sdp";
import { findSound, readSounds, titleOf } from "../src/core/sounds";
import { WhepSession } from "../src/core/whep";
import { WhipSession } from "../src/core/whip";
import { FakePC, type FakeServer, FakeStream, install } from "./fakes";

const en = { index: 0, id: "audio", name: "", language: "en", current: true };
const es = { index: 1, id: "audio-es", name: "", language: "es", current: false };

describe("languages to listen to", () => {
  it("are read from the server's event, and nonsense is none", () => {
    expect(readSounds('[{"name":"audio","language":"en","current":true},{"name":"audio-es","language":"es"}]')).toEqual([en, es]);
    expect(readSounds('[{"name":"audio-2"}]')).toEqual([{ index: 0, id: "audio-2", name: "", language: "", current: false }]);
    for (const data of ["", "x", "{}", "null", "[null, 3, {}]"]) expect(readSounds(data)).toEqual([]);
  });

  it("have the same id by HLS, where AAC counts as what it is made of", () => {
    const track = (name: string, lang: string, id: string) => ({ name, lang, url: `https://x/live/babel/t5abcde000000001/${id}/media.m3u8?token=y` });
    const hls = { audioTracks: [track("en", "en", "audio-aac"), track("es", "es", "audio-es-aac")], audioTrack: 1, subtitleTracks: [], subtitleTrack: -1, subtitleDisplay: false };
    const { audio } = readTracks(hls as never);
    expect(audio.map((a) => [a.id, a.current])).toEqual([["audio", false], ["audio-es", true]]);
  });

  it("are found by id, and by language as far as it goes", () => {
    for (const [wish, found] of [["audio-es", es], ["es", es], ["es-MX", es], ["EN", en], ["fr", undefined], ["", undefined], ["audio-3", undefined]] as const) {
      expect(findSound([en, es], wish)).toEqual(found);
    }
  });

  it("are called as their speakers do, or by the title that they have", () => {
    const title = (name: string, language: string) => titleOf({ index: 1, name, language, current: false });
    expect(title("", "es")).toBe("Español");
    expect(title("es", "es")).toBe("Español");
    expect(title("Español 3", "es")).toBe("Español 3");
    expect(title("Commentary", "en")).toBe("Commentary");
    expect(title("audio-2", "")).toBe("2");
    expect(title("", "_")).toBe("_");
  });
});

describe("sessions with several languages", () => {
  let server: FakeServer;
  beforeEach(() => {
    vi.useFakeTimers();
    server = install();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("ask for one at the POST, and for another while they play", async () => {
    server.joins("/whep/demo");
    server.routes["POST /whep/demo/s1/layers"] = () => new Response("{}");
    const session = new WhepSession({ url: "http://sluice.test/whep/demo", audio: "es-MX,en" });
    await session.open();
    expect(server.saw("POST /whep/demo")[0]!.query).toBe("?audio=es-MX%2Cen");
    await session.listen("audio-es");
    await session.listen("");
    expect(server.saw("POST /whep/demo/s1/layers").map((a) => a.body)).toEqual(['{"audio":"audio-es"}', '{"audio":""}']);
  });

  it("publish up to four, each with its language", async () => {
    server.joins("/whip/demo");
    const track = (kind: string) => ({ kind });
    const media = new FakeStream(["audio", "video", "audio", "audio", "audio", "audio"].map(track)) as unknown as MediaStream;
    const session = new WhipSession({ url: "http://sluice.test/whip/demo", media, languages: ["en", "es"], codec: "H264", bitrate: 1_000_000, simulcast: false, width: 1280, height: 720, frameRate: 30 } as never);
    await session.open();
    expect(FakePC.last.transceivers.map((t) => t.kind)).toEqual(["audio", "audio", "audio", "audio", "video"]);
    const [post] = server.saw("POST /whip/demo");
    expect(post!.body).toContain("a=mid:0\r\na=hlang-send:en\r\n");
    expect(FakePC.last.localDescription!.sdp).not.toContain("hlang");
  });

  it("say a language of audio m-lines alone, in their order", () => {
    const sdp = "v=0\r\nm=audio 9 X 1\r\na=mid:0\r\nm=video 9 X 2\r\na=mid:1\r\nm=audio 9 X 1\r\na=mid:2\r\nm=audio 9 X 1\r\na=mid:3\r\n";
    expect(hlang(sdp, ["en", "", "es"])).toBe(sdp.replace("a=mid:0\r\n", "a=mid:0\r\na=hlang-send:en\r\n").replace("a=mid:3\r\n", "a=mid:3\r\na=hlang-send:es\r\n"));
    expect(hlang(sdp, [])).toBe(sdp);
  });
});
