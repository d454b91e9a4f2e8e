// Reads [{directory, props, context}] from stdin and prints the `assetHash` of a
// `DockerImageAsset` with each, or of the construct that is named by its module and its name. Each
// is synthesised in an app of its own, which writes to `cdk.out`; `refused` where `aws-cdk-lib`
// does so. Maps are lists of pairs, to keep their order.
const { App, AssetStaging, Stack } = require('aws-cdk-lib/core');
const { NetworkMode, Platform } = require('aws-cdk-lib/aws-ecr-assets');
const { mkdtempSync, readFileSync, rmSync } = require('fs');
const { tmpdir } = require('os');
const { join } = require('path');

const [path = 'aws-cdk-lib/aws-ecr-assets', construct = 'DockerImageAsset'] = process.argv.slice(2);
const Construct = require(path)[construct];

const work = mkdtempSync(join(tmpdir(), 'cdk-'));
// It remembers fingerprints of files by inode and time: start without.
process.env.HOME = work;

const conversions = {
  buildArgs: Object.fromEntries,
  buildContexts: Object.fromEntries,
  buildSecrets: Object.fromEntries,
  networkMode: NetworkMode.custom,
  platform: Platform.custom,
};

function hash({ directory, props, context }) {
  AssetStaging.clearAssetHashCache();
  process.chdir(mkdtempSync(join(work, 'app-')));
  const stack = new Stack(new App({ outdir: 'cdk.out', context: context ?? {} }), 'Stack');
  const converted = Object.entries(props).map(([name, value]) => [
    name,
    conversions[name] ? conversions[name](value) : value,
  ]);
  try {
    return new Construct(stack, 'Image', { directory, ...Object.fromEntries(converted) }).assetHash;
  } catch {
    return 'refused';
  }
}

const hashes = JSON.parse(readFileSync(0, 'utf8')).map(hash);
process.chdir('/');
rmSync(work, { recursive: true });
console.log(JSON.stringify(hashes));
