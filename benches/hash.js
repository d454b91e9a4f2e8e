// Prints the asset hash of the directory that is named, and the milliseconds that
// `DockerImageAsset` took for it, once `aws-cdk-lib` was loaded.
const { App, Stack } = require('aws-cdk-lib/core');
const { DockerImageAsset } = require('aws-cdk-lib/aws-ecr-assets');

const app = new App({
  outdir: process.argv[3],
  // The hash alone: no copy of the directory.
  context: { 'aws:cdk:disable-asset-staging': true },
});
const stack = new Stack(app, 'Stack');
const begin = process.hrtime.bigint();
const { assetHash } = new DockerImageAsset(stack, 'Image', { directory: process.argv[2] });
console.log(JSON.stringify({ hash: assetHash, ms: Number(process.hrtime.bigint() - begin) / 1e6 }));
