// From the sources of a plugin to a component: bundled by esbuild, wrapped together with its engine by componentize-js.
//
//   node build.mjs PROJECT WIT WORK OUT
//
// PROJECT  the folder with package.json: `main` is the entry, `millrace.world` the world, and the dependency
//          `@millrace/plugin` says where the SDK is
// WIT      the folder of the plugin interface
// WORK     a folder for what comes up on the way
// OUT      the component
//
// This file stands beside the node_modules that package-lock.json pins.

import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";

import { componentize } from "@bytecodealliance/componentize-js";
import { build } from "esbuild";

// Nothing of WASI: the component imports what its world names and nothing else.
const WASI = ["stdio", "random", "clocks", "http", "fetch-event"];

async function main([project, wit, work, out]) {
  if (out === undefined) throw new Error("usage: node build.mjs PROJECT WIT WORK OUT");
  const [folder, target] = [resolve(project), resolve(out)];
  const description = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const world = description.millrace?.world;
  if (typeof world !== "string") throw new Error('package.json does not name a world: "millrace": { "world": "…" }');
  const entry = join(folder, description.main ?? "src/plugin.js");
  await mkdir(work, { recursive: true });
  await rm(join(work, "wit"), { recursive: true, force: true });
  await cp(wit, join(work, "wit"), { recursive: true });
  // componentize-js takes no other paths than those below the current folder.
  process.chdir(work);
  await bundle(entry, folder, sdk(folder, description));
  const { component } = await componentize({
    sourcePath: "plugin.js",
    witPath: "wit",
    worldName: world,
    disableFeatures: WASI,
  });
  await writeFile(target, component);
}

/** Where the SDK is, which no `npm install` has to link for a build. */
function sdk(folder, { dependencies = {}, devDependencies = {} }) {
  const place = dependencies["@millrace/plugin"] ?? devDependencies["@millrace/plugin"];
  if (place === undefined) throw new Error('package.json does not depend on "@millrace/plugin"');
  if (place.startsWith("file:")) return resolve(folder, place.slice("file:".length));
  return join(folder, "node_modules/@millrace/plugin");
}

async function bundle(entry, folder, sdkFolder) {
  if (!existsSync(join(sdkFolder, "package.json"))) throw new Error(`there is no SDK in ${sdkFolder}`);
  const { exports } = JSON.parse(await readFile(join(sdkFolder, "package.json"), "utf8"));
  const resolveSdk = {
    name: "millrace",
    setup({ onResolve }) {
      onResolve({ filter: /^@millrace\/plugin(\/|$)/ }, ({ path }) => {
        const place = exports[`.${path.slice("@millrace/plugin".length)}`];
        if (place === undefined) return { errors: [{ text: `the SDK has no "${path}"` }] };
        return { path: join(sdkFolder, place.default) };
      });
      onResolve({ filter: /^millrace:/ }, () => ({ external: true }));
    },
  };
  await build({
    entryPoints: [entry],
    absWorkingDir: folder,
    outfile: resolve("plugin.js"),
    bundle: true,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["millrace"],
    target: "es2024",
    // Names in the stack of an error are those of the sources.
    keepNames: false,
    minify: false,
    treeShaking: true,
    legalComments: "none",
    logLevel: "error",
    plugins: [resolveSdk],
  });
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // esbuild has shown its errors, with the place, by itself.
  if (error?.errors === undefined) console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
