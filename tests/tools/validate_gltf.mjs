// node validate_gltf.mjs NODE_MODULES FILE…: print Khronos' findings, one JSON list for all files.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [modules, ...files] = process.argv.slice(2);
const validator = createRequire(modules + "/")("gltf-validator");

const reports = [];
for (const file of files) {
  const report = await validator.validateBytes(new Uint8Array(readFileSync(file)), { maxIssues: 0 });
  reports.push({ file, issues: report.issues, info: report.info });
}
console.log(JSON.stringify(reports));
