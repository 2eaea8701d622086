// The pages' translator. Promises the reader's language where there is a
// catalogue, English else. Owned by the pages.

import { type Message, translator } from "@sluice/sdk";
import { en } from "./en";

/** Key names a text of the pages. */
export type Key = keyof typeof en;

const catalogues: { en: Record<Key, Message> } & Record<string, Partial<Record<Key, Message>>> = { en };

/** t gives a text. */
export const t = translator<Key>(catalogues);
