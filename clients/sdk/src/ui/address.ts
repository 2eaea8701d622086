// Where a player finds what it plays, from its attributes. Pure; owned by the player.

/** Addresses are what there is: a WHEP endpoint, an HLS playlist, or both of one stream. */
export interface Addresses {
  whep: string;
  hls: string;
  /** asset tells that it has a beginning and an end. */
  asset: boolean;
  storyboard: string;
  /** api is the root of the server. */
  api: string;
  /** name is what to call it. */
  name: string;
}

/** Attributes are the player's. */
export interface Attributes {
  src: string;
  hls: string;
  asset: string;
  storyboard: string;
  server: string;
}

/** addresses reads attributes; undefined where they name nothing. */
export function addresses(a: Attributes, page: string): Addresses | undefined {
  const absolute = (url: string, base: string) => (url ? new URL(url, base).href : "");
  const src = absolute(a.src, page);
  const api = absolute(a.server || "/", src || page);
  const storyboard = absolute(a.storyboard, page);
  if (a.asset) {
    const id = encodeURIComponent(a.asset);
    const own = new URL(`/v1/assets/${id}/storyboard.vtt`, api).href;
    return { whep: "", hls: new URL(`/videos/${id}/index.m3u8`, api).href, asset: true, storyboard: storyboard || own, api, name: a.asset };
  }
  if (!src) return undefined;
  const { pathname } = new URL(src);
  if (pathname.endsWith(".m3u8")) {
    const live = pathname.startsWith("/live/");
    return { whep: "", hls: src, asset: !live, storyboard, api, name: pathname.split("/").at(-2) ?? "" };
  }
  const name = pathname.split("/").pop() ?? "";
  const own = /^\/whep\/[^/]+$/.test(pathname) ? new URL(`/live/${name}/index.m3u8`, api).href : "";
  return { whep: src, hls: absolute(a.hls, page) || own, asset: false, storyboard: "", api, name };
}
