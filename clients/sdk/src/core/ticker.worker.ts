// A timer that keeps its pace while the page is hidden: browsers slow page timers
// to one a second, and whoever shares a screen has the page hidden. It promises a
// message per interval after each start. Owned by the composition that made it.

let timer: ReturnType<typeof setInterval> | undefined;

self.onmessage = ({ data }: MessageEvent<number>) => {
  clearInterval(timer);
  timer = data > 0 ? setInterval(() => self.postMessage(0), data) : undefined;
};
