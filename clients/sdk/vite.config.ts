import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const local = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Three ES modules: the core without dependencies, the elements with Lit inside, and both in one for a plain <script type="module">.
export default defineConfig({
  base: "./",
  build: {
    outDir: local("dist"),
    emptyOutDir: true,
    chunkSizeWarningLimit: 800, // hls.js, which only those load who need it
    target: ["chrome123", "firefox121", "safari17.5"],
    lib: {
      entry: { index: local("src/index.ts"), core: local("src/core/index.ts") },
      formats: ["es"],
    },
  },
});
