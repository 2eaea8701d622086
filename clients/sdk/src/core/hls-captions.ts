// A guest of hls.js: its reader of captions in the pictures, mended. Promises that a row
// is read to its end when it goes on in the next part. Pure but for what it extends.

import type Hls from "hls.js";
import type { FragLoadingData, HlsConfig } from "hls.js";

/** Reader is what is used of the reader: where it is, and what it does before something is loaded. */
interface Reader {
  lastSn: number;
  lastPartIndex: number;
  onFragLoading(event: string, data: Pick<FragLoadingData, "frag" | "part">): void;
}

/**
 * captionsOverParts is hls.js's reader, which (1.7.4, onFragLoading) forgets the row that is being written at each part
 * but a segment's first: it takes for contiguous what has the number of the segment before and one more, and the parts
 * of one segment have the same. With parts that are shorter than a row lasts, no row was ever shown.
 */
export function captionsOverParts(reader: HlsConfig["timelineController"]): HlsConfig["timelineController"] {
  if (!reader) return reader;
  const Base = reader as unknown as new (hls: Hls) => Reader;
  return class extends Base {
    override onFragLoading(event: string, data: Pick<FragLoadingData, "frag" | "part">): void {
      const { frag, part } = data;
      if (frag.type === "main" && frag.sn === this.lastSn && part?.index === this.lastPartIndex + 1) this.lastSn--; // as if the segment before it had been the last
      super.onFragLoading(event, data);
    }
  } as unknown as HlsConfig["timelineController"];
}
