// The player of the loss matrix that joins by WHEP, as any page would.
//
//   node loadtest/matrix/chromium.mjs [clients folder]

import { launch, obey, post } from "./browser.mjs";

const page = await launch(process.argv[2]);
await obey(page, {
  view: async (m) => {
    const offer = await page.evaluate((id) => window.offerToWatch(id), m.id);
    await page.evaluate(([id, answer]) => window.accept(id, answer), [m.id, await post(m, offer)]);
  },
});
