// A sparkline of the last minute, scaled to what it shows.
// Pure: values in, an SVG path out. Owned by the statistics.

/** Points are the values of one minute, oldest first; undefined leaves a gap. */
export type Points = (number | undefined)[];

/** scale is the top of the chart: the largest value, rounded up to 1, 2 or 5 times a power of ten so that it seldom changes. */
export function scale(points: Points, least: number): number {
  const top = Math.max(least, ...points.map((p) => p ?? 0));
  const power = 10 ** Math.floor(Math.log10(top));
  return [1, 2, 5, 10].map((k) => k * power).find((v) => v >= top * 0.999) ?? top;
}

/** path draws the points into a box, right-aligned over slots places. */
export function path(points: Points, box: { width: number; height: number; slots: number; top: number }): string {
  const { width, height, slots, top } = box;
  const step = width / (slots - 1);
  const start = slots - points.length;
  let pen = "M";
  let d = "";
  points.forEach((p, i) => {
    if (p === undefined) {
      pen = "M";
      return;
    }
    const x = ((start + i) * step).toFixed(1);
    const y = (height - (Math.min(p, top) / top) * height).toFixed(1);
    d += `${pen}${x} ${y}`;
    pen = "L";
  });
  return d;
}
