import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const local = (path: string) => fileURLToPath(new URL(path, import.meta.url));
// Where `npm run dev` finds a running server.
const server = "http://localhost:8080";

export default defineConfig({
  resolve: { alias: { "@sluice/sdk": local("../sdk/src/index.ts") } },
  build: {
    outDir: local("../dist/site"),
    emptyOutDir: true,
    // light-dark(), :has() and container queries are used as they are: lowering them would break the theme switch.
    target: ["chrome123", "firefox121", "safari17.5"],
    cssMinify: false,
    modulePreload: { polyfill: false }, // the polyfill is an inline script, which our Content-Security-Policy forbids
    chunkSizeWarningLimit: 700, // hls.js, which only those load who need it
    assetsInlineLimit: 0, // data: URLs of scripts and workers are forbidden as well
  },
  server: { proxy: { "/v1": server, "/whip": server, "/whep": server } },
});
