// The components' own translator. Promises the reader's language where there is
// a catalogue, English else. Owned by the components.

import { en } from "./en";
import { type Message, translator } from "./text";

/** Key names a text of the components. */
export type Key = keyof typeof en;

/** catalogues by language; a new language is one more line here. */
export const catalogues: { en: Record<Key, Message> } & Record<string, Partial<Record<Key, Message>>> = { en };

/** t gives a text. */
export const t = translator<Key>(catalogues);

/** has tells whether there is a text of that name, for keys that are put together. */
export function has(key: string): key is Key {
  return key in en;
}

export { language, type Message, translator, type Values } from "./text";
