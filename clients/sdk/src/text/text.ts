// Texts by key, so that a language is one file. Promises that a missing
// translation shows English, never a key. Owned by whoever owns the catalogue.

/** Message is a text with {names} in it, in one or two grammatical numbers. */
export type Message = string | { one: string; other: string };

/** Values fill the {names}; {n} also picks the number. */
export type Values = Record<string, string | number>;

/** language picks the first wanted language that there is a catalogue for. */
export function language(wanted: readonly string[], known: readonly string[]): string {
  for (const w of wanted) {
    const base = w.toLowerCase().split("-")[0]!;
    if (known.includes(base)) return base;
  }
  return "en";
}

/** translator returns the function that gives texts out of the catalogues. */
export function translator<K extends string>(
  catalogues: { en: Record<K, Message> } & Record<string, Partial<Record<K, Message>>>,
  wanted: readonly string[] = globalThis.navigator?.languages ?? [],
): (key: K, values?: Values) => string {
  const lang = language(wanted, Object.keys(catalogues));
  const plural = new Intl.PluralRules(lang);
  const figures = new Intl.NumberFormat(lang, { maximumFractionDigits: 0 });
  const shown = (v: string | number) => (typeof v === "number" ? figures.format(v) : v);
  return (key, values = {}) => {
    const message: Message = catalogues[lang]?.[key] ?? catalogues.en[key];
    const text = typeof message === "string" ? message : plural.select(Number(values.n)) === "one" ? message.one : message.other;
    return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? shown(values[name]!) : whole));
  };
}
