// The pages and their paths. Promises that a link within the site changes the
// page without loading it again, and that back and forward work. Owned by the app.

/** Route is a page and what its path names. */
export type Route = { page: "home" } | { page: "publish" | "watch"; stream: string } | { page: "recordings" } | { page: "recording"; asset: string } | { page: "missing" };

const name = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

/** validStream tells whether s can be the name of a stream. */
export function validStream(s: string): boolean {
  return s.length <= 128 && name.test(s);
}

/** routeOf reads a path. */
export function routeOf(path: string): Route {
  if (path === "/" || path === "") return { page: "home" };
  if (/^\/recordings\/?$/.test(path)) return { page: "recordings" };
  const asset = /^\/recordings\/([a-z0-9]{1,64})\/?$/.exec(path);
  if (asset) return { page: "recording", asset: asset[1]! };
  const m = /^\/(publish|watch)\/([^/]+)\/?$/.exec(path);
  if (m && validStream(m[2]!)) return { page: m[1] as "publish" | "watch", stream: m[2]! };
  return { page: "missing" };
}

/** navigate goes to a path of this site. */
export function navigate(path: string): void {
  history.pushState(null, "", path);
  dispatchEvent(new PopStateEvent("popstate"));
}

/** intercept makes plain clicks on links of this site navigations; others are the browser's. */
export function intercept(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.composedPath().find((e): e is HTMLAnchorElement => e instanceof HTMLAnchorElement && e.href !== "");
  if (!link || link.target || link.origin !== location.origin || routeOf(link.pathname).page === "missing") return;
  event.preventDefault();
  navigate(link.pathname + link.hash);
}
