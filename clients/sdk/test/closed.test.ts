import Hls from "hls.js";
import { describe, expect, it } from "vitest";
import { captionsOverParts } from "../src/core/hls-captions";
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

  it("go on from part to part, and begin anew where something is left out", () => {
    const Reader = captionsOverParts(Hls.DefaultConfig.timelineController) as unknown as new (hls: object) => { onFragLoading(event: string, data: object): void; cea608Parser1: object; cea608Parser2: object; enabled: boolean };
    const reader = new Reader({ config: Hls.DefaultConfig, on: () => undefined, off: () => undefined });
    let forgot = 0;
    reader.enabled = true;
    reader.cea608Parser1 = { reset: () => forgot++ };
    reader.cea608Parser2 = { reset: () => undefined };
    const load = (sn: number, index?: number, type = "main", cc = 0) => {
      forgot = 0;
      reader.onFragLoading("hlsFragLoading", { frag: { sn, cc, type }, part: index === undefined ? null : { index } });
      return forgot;
    };
    expect(load(7)).toBe(1); // nothing was before it
    expect([load(8, 0), load(8, 1), load(8, 2), load(9, 0), load(9, 1)]).toEqual([0, 0, 0, 0, 0]);
    expect(load(9, 3)).toBe(1); // a part is left out
    expect(load(9, 4)).toBe(0);
    expect(load(3, 1, "audio")).toBe(0);
    expect(load(9, 4)).toBe(1); // once more
    expect(load(10)).toBe(0);
    expect(load(12)).toBe(1);
    expect(load(13, 0, "main", 1)).toBe(1); // a discontinuity
    expect(load(13, 1, "main", 1)).toBe(0);
  });
});
