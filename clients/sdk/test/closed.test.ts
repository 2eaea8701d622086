import { describe, expect, it } from "vitest";
import { closedOf, cuesOf, readTracks } from "../src/core/renditions";

const track = (kind: string, label: string, mode: string, text: string) => ({ kind, label, mode, activeCues: [{ getCueAsHTML: () => ({ textContent: text }) }] });
const video = (...textTracks: object[]) => ({ textTracks }) as unknown as HTMLVideoElement;

describe("captions in the pictures", () => {
  it("are the channels that hls.js knows", () => {
    expect(closedOf([{ instreamId: "CC1" }, { instreamId: "SERVICE1" }, {}, { instreamId: "CC3" }])).toEqual(["CC1", "CC3"]);
    expect(closedOf()).toEqual([]);
  });

  it("are listed behind the languages", () => {
    const hls = { audioTracks: [], audioTrack: -1, subtitleTracks: [{ name: "Deutsch", lang: "de" }], subtitleTrack: -1 };
    const { subtitles } = readTracks(hls as never, { channels: ["CC1", "CC3"], shown: "CC3" });
    expect(subtitles.map((s) => [s.index, s.name, s.language, s.current])).toEqual([[0, "Deutsch", "de", false], [1, "CC1", "x-cc1", false], [2, "CC3", "x-cc3", true]]);
  });

  it("are read when they are chosen, and only then", () => {
    const both = video(track("captions", "CC1", "hidden", "HELLO"), track("subtitles", "Deutsch", "disabled", "Hallo"));
    expect(cuesOf(both)).toEqual([]);
    expect(cuesOf(both, "CC1")).toEqual(["HELLO"]);
    const rows = [{ line: 14, getCueAsHTML: () => ({ textContent: "below" }) }, { line: 13, getCueAsHTML: () => ({ textContent: "above" }) }];
    expect(cuesOf(video({ ...track("captions", "CC1", "hidden", ""), activeCues: rows }), "CC1")).toEqual(["above", "below"]);
    expect(cuesOf(video(track("subtitles", "Deutsch", "hidden", "Hallo")), "CC1")).toEqual(["Hallo"]);
  });
});
