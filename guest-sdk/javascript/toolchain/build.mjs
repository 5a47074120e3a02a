// From the sources of a plugin to a component: bundled by esbuild, wrapped together with its engine by componentize-js.
//
//   node build.mjs PROJECT WORK OUT
//
// PROJECT  the folder with package.json: `main` is the entry, and the dependency `@millrace/plugin` says where the SDK is; the
//          plugin interface is in `wit` there, or where it is in the repository
// WORK     a folder for what comes up on the way
// OUT      the component
//
// The world is made of what the bundle imports and exports, so the component asks for the capabilities that the plugin uses
// and for no others. This file stands beside the node_modules that package-lock.json pins.

import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";

import { componentize } from "@bytecodealliance/componentize-js";
import { build } from "esbuild";

const EXPORTS = ["lifecycle", "interceptor", "source", "sink", "codec", "handover"];

// Nothing of WASI: the component imports what its world names and nothing else.
const WASI = ["stdio", "random", "clocks", "http", "fetch-event"];

async function main([project, work, out]) {
  if (out === undefined) throw new Error("usage: node build.mjs PROJECT WORK OUT");
  const [folder, target] = [resolve(project), resolve(out)];
  const description = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const entry = join(folder, description.main ?? "src/plugin.js");
  const sdkFolder = sdk(folder, description);
  const wit = ["wit", "../../wit"].map((place) => join(sdkFolder, place)).find((place) => existsSync(place));
  if (wit === undefined) throw new Error(`there is no plugin interface in ${join(sdkFolder, "wit")}`);
  await mkdir(work, { recursive: true });
  await rm(join(work, "wit"), { recursive: true, force: true });
  await cp(wit, join(work, "wit"), { recursive: true });
  // componentize-js takes no other paths than those below the current folder.
  process.chdir(work);
  const output = await bundle(entry, folder, sdkFolder);
  await writeFile("wit/built.wit", world(output));
  const { component } = await componentize({
    sourcePath: "plugin.js",
    witPath: "wit",
    worldName: "built",
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

/** The world of a bundle, in the language of the interface. */
function world({ imports, exports }) {
  const roles = exports.filter((name) => EXPORTS.includes(name));
  if (!roles.includes("lifecycle") || roles.length < 2) {
    throw new Error("the plugin exports no role: export const { lifecycle, interceptor } = plugin({ … })");
  }
  const wanted = imports.map(({ path }) => path.match(/^millrace:plugin\/(.+)@0\.1\.0$/)?.[1]).filter(Boolean);
  const lines = [...new Set(wanted)].sort().map((name) => `  import ${name};`);
  lines.push(...roles.sort().map((name) => `  export ${name};`));
  return `package millrace:plugin@0.1.0;\n\nworld built {\n${lines.join("\n")}\n}\n`;
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
        return { path: join(sdkFolder, place.default), sideEffects: false };
      });
      onResolve({ filter: /^millrace:/ }, () => ({ external: true, sideEffects: false }));
    },
  };
  const { metafile } = await build({
    entryPoints: [entry],
    absWorkingDir: folder,
    outfile: resolve("plugin.js"),
    bundle: true,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["millrace"],
    target: "es2024",
    // The stack of an error names what the sources name.
    minify: false,
    metafile: true,
    treeShaking: true,
    legalComments: "none",
    logLevel: "error",
    plugins: [resolveSdk],
  });
  const [output] = Object.values(metafile.outputs);
  return output;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  // esbuild has shown its errors, with the place, by itself.
  if (error?.errors === undefined) console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
