// Bundles the page into dist/: `npm run build`, or `make ide`. Nothing in it is fetched from elsewhere when it runs.
import { build } from "esbuild";
import { copyFile, rm } from "node:fs/promises";

await rm("dist", { recursive: true, force: true });
await build({
  entryPoints: {
    ide: "main.jsx",
    // Monaco checks in workers of its own, each a file of its own.
    "editor.worker": "monaco-editor/esm/vs/editor/editor.worker.js",
    "json.worker": "monaco-editor/esm/vs/language/json/json.worker.js",
    "graphql.worker": "monaco-graphql/esm/graphql.worker.js",
  },
  outdir: "dist",
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  jsx: "automatic",
  define: { "process.env.NODE_ENV": '"production"' },
  loader: { ".ttf": "file", ".woff2": "file", ".woff": "file" },
  legalComments: "linked",
  logLevel: "warning",
});
await copyFile("index.html", "dist/index.html");
