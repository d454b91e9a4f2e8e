// Synthesises an app with every kind of asset to the directory that is named first. What its
// assets are made of is in the directory that is named second: `image` with a Dockerfile,
// `image.tar`, `files` and `file.txt`.
const { App, Stack, Stage } = require('aws-cdk-lib/core');
const { DockerImageAsset, Platform, TarballImageAsset } = require('aws-cdk-lib/aws-ecr-assets');
const { Asset } = require('aws-cdk-lib/aws-s3-assets');
const { join } = require('path');

const [outdir, directory] = process.argv.slice(2);
const env = { account: '123456789012', region: 'eu-west-1' };
const app = new App({ outdir });
const stack = new Stack(app, 'Images', { env });
const image = (name, props) =>
  new DockerImageAsset(stack, name, { directory: join(directory, 'image'), ...props });

image('Plain');
image('Arguments', { buildArgs: { GREETING: 'hello' }, displayName: 'Image with arguments' });
image('Target', { target: 'first' });
image('Platform', { platform: Platform.LINUX_ARM64 });
image('Exclude', { exclude: ['docs', '*.md'] });
new TarballImageAsset(stack, 'Tarball', { tarballFile: join(directory, 'image.tar') });

const files = new Stack(new Stage(app, 'Stage', { env }), 'Files');
new Asset(files, 'Directory', { path: join(directory, 'files') });
new Asset(files, 'File', { path: join(directory, 'file.txt') });
image('Same');
app.synth();
