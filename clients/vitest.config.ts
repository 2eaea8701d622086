import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const local = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: { alias: { "@sluice/sdk": local("sdk/src/index.ts") } },
  test: {
    include: ["sdk/test/**/*.test.ts", "web/test/**/*.test.ts"],
    environment: "happy-dom",
    environmentOptions: { happyDOM: { url: "http://sluice.test/watch/demo" } },
    restoreMocks: true,
    unstubGlobals: true,
    // Two cores are enough for all of it, and other work goes on beside.
    maxWorkers: 2,
  },
});
