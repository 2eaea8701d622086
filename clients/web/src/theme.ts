// Light, dark, or as the system has it. Promises that the choice is kept on this
// device. Owned by the app.

/** Theme is what can be chosen. */
export type Theme = "auto" | "light" | "dark";

const order: Theme[] = ["auto", "light", "dark"];
const key = "sluice.theme";

/** theme is what was chosen last. */
export function theme(): Theme {
  try {
    const stored = localStorage.getItem(key) as Theme | null;
    return stored && order.includes(stored) ? stored : "auto";
  } catch {
    return "auto";
  }
}

/** apply puts a theme on the page. */
export function apply(t: Theme): void {
  if (t === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = t;
}

/** next chooses the one after, keeps and applies it. */
export function next(t: Theme): Theme {
  const after = order[(order.indexOf(t) + 1) % order.length]!;
  try {
    localStorage.setItem(key, after);
  } catch {
    // Then it holds for this page only.
  }
  apply(after);
  return after;
}
