// `DockerfileImage` is named as `DockerImageAsset` is, and built by `longshore build`.
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { App, AssetStaging, Stack, Stage } = require('aws-cdk-lib');
const { DockerImageAsset, NetworkMode, Platform } = require('aws-cdk-lib/aws-ecr-assets');
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const { dirname, join } = require('node:path');
const { DockerfileImage, LongshoreProvider } = require('..');
const { PUSH, TOKEN, allow, allowed, env, folder, newStack, only } = require('./support');

// It remembers fingerprints of files by inode and time: start without.
process.env.HOME = folder;

/** The directory `plain` of the table of hashes. */
const plain = join(folder, 'plain');
for (const [name, content] of Object.entries({
  'Dockerfile': 'FROM scratch\nCOPY . /\n',
  'docker/Dockerfile.dev': 'FROM scratch\n',
  'README.md': '# Plain\n',
  'src/main.rs': 'fn main() {}\n',
  'src/lib/mod.rs': '',
  'src/lib/README.md': '# Lib\n',
  'a/b/c/d/e/f': 'deep',
  '.hidden/file': 'hidden',
  'cdk.out/manifest.json': '{}',
  '.is_custom_resource': '',
})) {
  mkdirSync(dirname(join(plain, name)), { recursive: true });
  writeFileSync(join(plain, name), content);
}
mkdirSync(join(plain, 'empty/emptier'), { recursive: true });

const conversions = {
  buildArgs: Object.fromEntries,
  buildContexts: Object.fromEntries,
  buildSecrets: Object.fromEntries,
  networkMode: NetworkMode.custom,
  platform: Platform.custom,
};

/** The hash, or `refused`, in an app of its own that writes to `cdk.out`. */
function hash(construct, { props, context }) {
  AssetStaging.clearAssetHashCache();
  const place = join(folder, `app${apps++}`);
  mkdirSync(place);
  process.chdir(place);
  const app = new App({ outdir: 'cdk.out', context: context ?? {}, analyticsReporting: false });
  const converted = Object.entries(props).map(([name, value]) => [
    name,
    conversions[name] ? conversions[name](value) : value,
  ]);
  try {
    const all = { directory: plain, ...Object.fromEntries(converted) };
    return new construct(new Stack(app, 'Stack'), 'Image', all).assetHash;
  } catch {
    return 'refused';
  }
}

let apps = 0;
const fixtures = join(__dirname, '../../tests/fixtures/assets/hashes.json');
const table = JSON.parse(readFileSync(fixtures)).filter((one) => one.directory === 'plain');

test('the hash is that of DockerImageAsset, over the table of option sets', () => {
  assert.ok(table.length > 50, `${table.length} option sets`);
  for (const one of table) {
    // Another property that it knows, which is deprecated and has no meaning here.
    const expected = one.props.repositoryName ? hash(DockerImageAsset, one) : one.hash;
    assert.equal(hash(DockerfileImage, one), expected, JSON.stringify(one));
    assert.equal(hash(DockerImageAsset, one), expected, JSON.stringify(one));
  }
});

test('several platforms are in the hash as longshore has them', () => {
  const both = (construct, props) => hash(construct, { props });
  const joined = both(DockerImageAsset, { platform: 'linux/amd64,linux/arm64' });
  const platforms = [Platform.LINUX_AMD64, Platform.LINUX_ARM64];
  assert.equal(both(DockerfileImage, { platforms }), joined);
});

/** The asset that a command makes. */
function executable(stack) {
  const { directory } = Stage.of(stack).synth();
  const path = join(directory, `${stack.artifactId}.assets.json`);
  const files = Object.values(JSON.parse(readFileSync(path)).files);
  return files.find((one) => one.source.executable);
}

test('the archive is a file that longshore builds where it is missing', () => {
  const stack = newStack();
  const image = new DockerfileImage(stack, 'Image', {
    directory: plain,
    file: 'docker/Dockerfile.dev',
    target: 'server',
    buildArgs: { A: 'b c' },
    buildSecrets: { token: 'src=token.txt' },
    buildSsh: 'default',
    buildContexts: { docs: 'docs' },
    networkMode: NetworkMode.HOST,
    platforms: [Platform.LINUX_AMD64, Platform.LINUX_ARM64],
    outputs: ['type=tar,dest=out.tar'],
    extraHash: 'more',
    cacheFrom: [{ type: 'registry', params: { ref: 'host/cache' } }],
    cacheTo: { type: 'inline' },
    cacheDisabled: true,
    displayName: 'The image',
  });
  const made = executable(stack);
  assert.equal(made.displayName, 'The image');
  const [destination] = Object.values(made.destinations);
  assert.equal(destination.objectKey, image.assetHash);
  const [shell, flag, , , inOutput, ...others] = made.source.executable;
  assert.deepEqual([shell, flag, inOutput], ['sh', '-c', `asset.${image.assetHash}`]);
  assert.deepEqual(others.slice(2), [
    '--file=docker/Dockerfile.dev',
    '--target=server',
    '--build-arg=A=b c',
    '--build-context=docs=docs',
    '--build-secret=id=token,src=token.txt',
    '--build-ssh=default',
    '--network=host',
    '--platform=linux/amd64',
    '--platform=linux/arm64',
    '--output=type=tar,dest=out.tar',
    '--extra-hash=more',
    '--cache-from=type=registry,ref=host/cache',
    '--cache-to=type=inline',
    '--no-cache',
  ]);
});

test('the function reads the archive, and nothing beside it', () => {
  const stack = newStack();
  const image = new DockerfileImage(stack, 'Image', { directory: plain });
  const object = `cdk-hnb659fds-assets-123456789012-eu-west-1/${image.assetHash}`;
  const [read, push, token] = allowed(stack);
  assert.deepEqual(read, allow(['s3:GetObject'], {
    'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, `:s3:::${object}`]],
  }));
  assert.deepEqual(push.Action, PUSH);
  assert.deepEqual(token, TOKEN);
  const { Source, Tags } = only(stack, 'Custom::ECRImage').Properties;
  assert.equal(Source, `s3://${object}`);
  assert.deepEqual(Tags, [image.assetHash]);
});

test('a stage of an app finds its directory', () => {
  const app = new App({ outdir: join(folder, 'staged'), analyticsReporting: false });
  const stack = new Stack(new Stage(app, 'Stage', { env }), 'Stack');
  new LongshoreProvider(stack, 'LongshoreProvider');
  new DockerfileImage(stack, 'Image', { directory: plain });
  const command = executable(stack).source.executable;
  const [inOutput, , absolute] = command.slice(4);
  assert.match(inOutput, /^assembly-Stage\/asset\./);
  assert.ok(readFileSync(join(absolute, 'Dockerfile')));
});

test('what is wrong is said with the path of the construct', () => {
  for (const [props, expected] of [
    [{ directory: 'nowhere' }, /Cannot find image directory/],
    [{ directory: join(plain, 'src') }, /Cannot find file at .*Dockerfile/],
    [{ directory: plain, platform: Platform.custom('linux/quantum') }, /no known platform/],
    [{ directory: plain, platform: Platform.LINUX_AMD64, platforms: [] }, /exclude each other/],
  ]) {
    const make = () => new DockerfileImage(newStack(), 'Image', props);
    assert.throws(make, (error) => {
      assert.match(error.message, /^Stack\/Image: /);
      assert.match(error.message, expected);
      return true;
    });
  }
});
