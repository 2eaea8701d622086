// What a viewer sees when one picture takes over from another: each frame in front, and how the first after the swap follows
// the last before it.

import { eventually } from "./house.mjs";

/** keep writes down each frame in front: when it was shown and captured; and for how long the page itself stood still. */
export const keep = (p) => {
  window.shown = [];
  window.stops = [];
  let last = performance.now();
  const turn = (now) => {
    if (now - last > 100) window.stops.push([last, now]);
    last = now;
    requestAnimationFrame(turn);
  };
  requestAnimationFrame(turn);
  const told = new MessageChannel();
  const seen = [];
  told.port1.onmessage = () => {
    const [video, at] = seen.shift();
    if (video === p.media && p.director.capture) window.shown.push([at, p.director.capture, p.director.mode]);
  };
  for (const video of p.shadowRoot.querySelectorAll("video")) {
    const look = (_, frame) => {
      // The player's own callback may come later: it is asked when all have been called.
      seen.push([video, frame.expectedDisplayTime]);
      told.port2.postMessage(0);
      video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
  }
};

/**
 * seam is how the first picture after the swap follows the last one before it: by how many milliseconds of capture, how many
 * of display, and for how many the machine showed nothing at all.
 */
export async function seam(player, to) {
  const seen = await eventually("frames after the swap", async () => {
    const { shown, stops } = await player.evaluate(() => ({ shown: window.shown, stops: window.stops }));
    const at = shown.findIndex(([, , mode], i) => mode === to && i > 0 && shown[i - 1][2] !== to);
    if (at < 1) return undefined;
    const last = shown[at - 1];
    const first = shown[at];
    const stood = first && stops.filter(([from, until]) => until > last[0] - 100 && from < first[0] + 100).reduce((sum, [from, until]) => sum + until - from, 0);
    return first && { captured: Math.round(first[1] - last[1]), shown: Math.round(first[0] - last[0]), stood: Math.round(stood), around: shown.slice(Math.max(0, at - 6), at + 4).map(([t, c, m]) => [Math.round(t), Math.round(c % 100000), m]) };
  });
  console.log(`to ${to}: ${JSON.stringify(seen)}`);
  return seen;
}

const frame = (fps) => 1000 / fps;

/** follows tells whether nothing was missed or seen twice: one picture again, or one missed; and as many as fall into a time in which the machine showed nothing. */
export const follows = ({ captured, stood }, fps) => captured > -2 * frame(fps) && captured < 3 * frame(fps) + stood;

/** is waits until a player is in that state, by that way. */
export const is = (player, state, mode, within) => eventually(`${state} by ${mode}`, async () => (await player.getAttribute("state")) === state && (await player.getAttribute("data-mode")) === mode, within);
