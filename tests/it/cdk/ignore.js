// Reads [{mode, patterns, paths}] from stdin and prints what `aws-cdk-lib` makes of each path:
// whether the file is left out, and whether the directory is as a whole, `x` for yes; `null` for
// patterns that it does not take.
const { IgnoreStrategy } = require('aws-cdk-lib/core');
const { readFileSync } = require('fs');

const mark = (ignored) => (ignored ? 'x' : '-');

function decide({ mode, patterns, paths }) {
  try {
    const strategy = IgnoreStrategy.fromCopyOptions({ ignoreMode: mode, exclude: patterns }, '/r');
    return paths
      .map((path) => `/r/${path}`)
      .map((path) => mark(strategy.ignores(path)) + mark(strategy.completelyIgnores(path)))
      .join(' ');
  } catch {
    return null;
  }
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(decide)));
