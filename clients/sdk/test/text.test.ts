import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { en as pages } from "../../web/src/text/en";
import { en } from "../src/text/en";
import { language, translator } from "../src/text/text";
import { age, bitrate, percent, sentence, size } from "../src/ui/format";

function sources(folder: string): string {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((f) => f.endsWith(".ts") && !f.includes("text"))
    .map((f) => readFileSync(join(folder, f), "utf8"))
    .join("\n");
}

describe("the catalogue", () => {
  // Keys that are put together from a part and a state.
  const composed = /^(state|why|problem|pub\.open|uplink|stat\.source|theme|key|recordings\.sort|asset\.kind)\.|^pub\.(camera|screen|both)$|^asset\.(recording|processing|failed|clip\.from|clip\.to)$/;
  // A title and the line beneath it are named together.
  const named = (k: string, code: string) => code.includes(`"${k}"`) || (k.endsWith(".line") && code.includes(`"${k.slice(0, -5)}"`));

  it.each([
    ["of the components", en, "sdk/src"],
    ["of the pages", pages, "web/src"],
  ])("%s has no text that nothing shows", (_, catalogue, folder) => {
    const code = sources(folder);
    const unused = Object.keys(catalogue).filter((k) => !composed.test(k) && !named(k, code));
    expect(unused).toEqual([]);
  });

  it("has a title and a line for every state and every reason", () => {
    for (const key of Object.keys(en).filter((k) => /^(state|why|problem)\.[\w-]+$/.test(k) && !["state.live", "state.refused"].includes(k))) expect(en).toHaveProperty([`${key}.line`]);
  });
});

describe("a translator", () => {
  const catalogues = { en: { hi: "Hi {who}", n: { one: "{n} viewer", other: "{n} viewers" } }, de: { hi: "Hallo {who}" } };

  it("takes the reader's language, and English where a text is missing", () => {
    const t = translator<"hi" | "n">(catalogues, ["de-CH", "fr"]);
    expect(t("hi", { who: "Ana" })).toBe("Hallo Ana");
    expect(t("n", { n: 1 })).toBe("1 viewer");
    expect(language(["fr", "nl"], ["en", "de"])).toBe("en");
  });

  it("knows one from many, groups figures, and leaves unknown names alone", () => {
    const t = translator<"hi" | "n">(catalogues, ["en"]);
    expect([t("n", { n: 0 }), t("n", { n: 1 }), t("n", { n: 1204 })]).toEqual(["0 viewers", "1 viewer", "1,204 viewers"]);
    expect(t("hi")).toBe("Hi {who}");
  });
});

it("numbers are written as people read them", () => {
  expect([0, 850_000, 999_600, 2_450_000, 12_300_000].map(bitrate)).toEqual(["0 kbit/s", "850 kbit/s", "1.0 Mbit/s", "2.5 Mbit/s", "12 Mbit/s"]);
  expect([0, 0.004, 0.0996, 0.12].map(percent)).toEqual(["0 %", "0.4 %", "10 %", "12 %"]);
  expect([-5, 59_999, 60_000, 7_500_000, 260_000_000].map(age)).toEqual(["0 s", "59 s", "1 min", "2 h 05 min", "3 d"]);
  expect([size(1280, 720), size(720, 1280), size(0, 0)]).toEqual(["720p", "720p", ""]);
  expect([sentence("no key frame for 8 s"), sentence("Stop!"), sentence("")]).toEqual(["No key frame for 8 s.", "Stop!", ""]);
});
