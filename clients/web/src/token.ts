// The token of this tab: out of the link's fragment, or pasted.
// Promises that it leaves the address bar at once (screens are shared), stays in
// sessionStorage, and goes nowhere but into Authorization. Owned by the app.

const key = "sluice.token";

/** adopt takes #token= out of the address and keeps it, for this path and as the tab's latest. */
export function adopt(): void {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get("token");
  if (token === null) return;
  fragment.delete("token");
  const rest = fragment.toString();
  history.replaceState(history.state, "", location.pathname + location.search + (rest ? `#${rest}` : ""));
  if (token) remember(token);
}

/** remember keeps a token, for this path and as the tab's latest. */
export function remember(token: string): void {
  write(key, token.trim());
  write(`${key}:${location.pathname}`, token.trim());
}

/** forget drops the token of this path and the tab's latest. */
export function forget(): void {
  write(key, "");
  write(`${key}:${location.pathname}`, "");
}

/** token is the one that came with this path, else the tab's latest. */
export function token(): string {
  return read(`${key}:${location.pathname}`) || read(key);
}

function read(name: string): string {
  try {
    return sessionStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

function write(name: string, value: string): void {
  try {
    if (value) sessionStorage.setItem(name, value);
    else sessionStorage.removeItem(name);
  } catch {
    // Without storage the token lives as long as the page that was given it.
  }
}
