import { describe, expect, it } from "vitest";
import { Standstill } from "../src/core/standstill";

/** Looks each second for so long at what a script tells of each second, and returns what was to be done, and when. */
function watch(seconds: number, script: (s: number) => { at: number; edge?: number | undefined; plays?: boolean; frames?: number | undefined; held?: number; fresh?: boolean }, standstill = new Standstill()) {
  const done: [number, string][] = [];
  for (let s = 0; s < seconds; s++) {
    const remedy = standstill.look({ now: s * 1000, plays: true, edge: s + 100, ...script(s) });
    if (remedy) done.push([s, remedy]);
  }
  return done;
}

describe("a picture that stands still", () => {
  it("is let alone while it moves, also slowly", () => {
    expect(watch(600, (s) => ({ at: s }))).toEqual([]);
    expect(watch(600, (s) => ({ at: Math.floor(s / 3) }))).toEqual([]);
  });

  it("gets the smallest remedy first, then larger ones, then ever more seldom", () => {
    expect(watch(200, () => ({ at: 7 }))).toEqual([[3, "layer"], [6, "seek"], [11, "reload"], [26, "reload"], [56, "reload"], [116, "reload"], [176, "reload"]]);
  });

  it("is let alone where nothing new came: then there is nothing to play", () => {
    expect(watch(600, () => ({ at: 7, edge: 9 }))).toEqual([]);
    expect(watch(600, () => ({ at: 7, edge: undefined }))).toEqual([]);
  });

  it("is let alone while it is paused, and gets its time after", () => {
    expect(watch(600, () => ({ at: 7, plays: false }))).toEqual([]);
    expect(watch(26, (s) => ({ at: 7, plays: s >= 20 }))).toEqual([[22, "layer"], [25, "seek"]]);
  });

  it("begins with the smallest again once it moved for a while, not because it was sought in", () => {
    const healed = watch(30, (s) => ({ at: s < 6 ? 7 : s < 16 ? s : 16 }));
    expect(healed).toEqual([[3, "layer"], [19, "layer"], [22, "seek"], [27, "reload"]]);
    const sought = watch(20, (s) => ({ at: s < 7 ? 7 : 50 }));
    expect(sought).toEqual([[3, "layer"], [6, "seek"], [12, "reload"]]);
  });

  it("counts a new playlist from its beginning", () => {
    const standstill = new Standstill();
    watch(4, () => ({ at: 7 }), standstill);
    standstill.anew(4000);
    expect(standstill.look({ now: 5000, at: 0, edge: 3, plays: true })).toBeUndefined();
    expect(standstill.look({ now: 7000, at: 0, edge: 5, plays: true })).toBeUndefined();
    expect(standstill.look({ now: 8000, at: 0, edge: 6, plays: true })).toBe("seek");
  });
});

describe("a playlist that is just begun", () => {
  it("is let alone while parts come, however slowly, and gets its time after the last", () => {
    expect(watch(20, (s) => ({ at: 0, fresh: true, held: Math.floor(s / 5) / 2 }))).toEqual([]);
    expect(watch(30, (s) => ({ at: 0, fresh: true, held: Math.min(Math.floor(s / 5) / 2, 1) }))).toEqual([[16, "layer"], [22, "seek"], [28, "reload"]]);
  });

  it("is helped where nothing comes, where only one of picture and sound does, and where it has enough", () => {
    expect(watch(20, () => ({ at: 0, fresh: true, held: 0 }))).toEqual([[6, "layer"], [12, "seek"], [18, "reload"]]);
    expect(watch(11, (s) => ({ at: 0, fresh: true, held: s }))).toEqual([[8, "layer"]]);
  });
});

describe("a picture that waits for parts", () => {
  it("is let alone while they come slowly", () => {
    expect(watch(60, (s) => ({ at: Math.floor(s / 8), held: 10 + Math.floor(s / 2) / 4 }))).toEqual([]);
  });

  it("is helped soon where none come, and where there are enough", () => {
    expect(watch(12, (s) => ({ at: Math.min(s, 5), held: 10 + Math.min(s, 6) / 4 }))).toEqual([[9, "layer"]]);
    expect(watch(12, (s) => ({ at: Math.min(s, 5), held: 10 + s }))).toEqual([[10, "layer"]]);
  });
});

describe("time that goes on without a picture", () => {
  it("is begun anew soon where the first picture does not come, then ever more seldom", () => {
    const blind = watch(220, (s) => ({ at: s, frames: 0 }));
    expect(blind).toEqual([[4, "blind"], [12, "blind"], [28, "blind"], [60, "blind"], [120, "blind"], [180, "blind"]]);
  });

  it("is begun anew where pictures stop, not where one stands for some seconds", () => {
    expect(watch(60, (s) => ({ at: s, frames: 1 + Math.floor(s / 7) }))).toEqual([]);
    expect(watch(30, (s) => ({ at: s, frames: Math.min(s, 10) * 15 }))).toEqual([[19, "blind"]]);
  });

  it("is none where no pictures are to be expected, where it is paused, or where time stands still, too", () => {
    expect(watch(60, (s) => ({ at: s }))).toEqual([]);
    expect(watch(60, (s) => ({ at: s, frames: 0, plays: false }))).toEqual([]);
    expect(watch(5, () => ({ at: 7, frames: 0 }))).toEqual([[3, "layer"]]);
  });

  it("is soon seen again once pictures came, also in a new playlist", () => {
    const standstill = new Standstill();
    expect(watch(13, (s) => ({ at: s, frames: 0 }), standstill)).toEqual([[4, "blind"], [12, "blind"]]);
    standstill.anew(0);
    watch(3, (s) => ({ at: s, frames: s }), standstill);
    standstill.anew(0);
    expect(watch(8, (s) => ({ at: s, frames: 0 }), standstill)).toEqual([[4, "blind"]]);
  });
});
