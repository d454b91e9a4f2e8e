// What each construct makes, and exactly what it lets the function do.
const assert = require('node:assert/strict');
const { test } = require('node:test');
const cdk = require('aws-cdk-lib');
const { Template } = require('aws-cdk-lib/assertions');
const ecr = require('aws-cdk-lib/aws-ecr');
const { Platform } = require('aws-cdk-lib/aws-ecr-assets');
const iam = require('aws-cdk-lib/aws-iam');
const kms = require('aws-cdk-lib/aws-kms');
const s3 = require('aws-cdk-lib/aws-s3');
const secretsmanager = require('aws-cdk-lib/aws-secretsmanager');
const longshore = require('..');
const {
  PULL, PUSH, TOKEN, WRITE_POLICY, allow, allowed, file, newStack, only, repositoryArn,
} = require('./support');

const IMAGE = 'public.ecr.aws/docker/library/busybox:1.37';
const HOME = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';
const known = (stack, name) => ecr.Repository.fromRepositoryName(stack, name, name);
const environment = (stack) => only(stack, 'AWS::Lambda::Function').Properties.Environment.Variables;
const properties = (stack) => {
  const { ServiceToken, ServiceTimeout, ...others } = only(stack, 'Custom::ECRImage').Properties;
  return others;
};

test('a copy goes to a repository of its own', () => {
  const stack = newStack();
  new longshore.RegistryImage(stack, 'Image', { image: IMAGE, tags: ['1.37'] });
  const [repository] = Object.keys(Template.fromStack(stack).findResources('AWS::ECR::Repository'));
  const arn = { 'Fn::GetAtt': [repository, 'Arn'] };
  assert.deepEqual(allowed(stack), [allow(PUSH, arn), TOKEN]);
  assert.equal(properties(stack).Source, IMAGE);
  assert.deepEqual(properties(stack).Tags, ['1.37']);
  assert.equal(environment(stack).LONGSHORE_SOURCE_REGISTRIES, 'ecr,public.ecr.aws');
  assert.equal(environment(stack).LONGSHORE_DESTINATION_REGISTRIES, 'ecr');
});

test('the image waits for the permission of the function', () => {
  const stack = newStack();
  new longshore.RegistryImage(stack, 'Image', { image: IMAGE });
  const policies = Template.fromStack(stack).findResources('AWS::IAM::Policy');
  const [policy] = Object.entries(policies).find(([, one]) =>
    JSON.stringify(one).includes('ecr:PutImage'),
  );
  assert.ok(only(stack, 'Custom::ECRImage').DependsOn.includes(policy));
});

test('a source in ECR is read from its repository only', () => {
  const stack = newStack();
  new longshore.RegistryImage(stack, 'Image', {
    image: '210987654321.dkr.ecr.us-east-1.amazonaws.com/base@sha256:' + '0'.repeat(64),
    repository: known(stack, 'app'),
  });
  assert.deepEqual(allowed(stack), [
    allow(PULL, repositoryArn('base', 'us-east-1', '210987654321')),
    allow(['ecr:GetAuthorizationToken'], '*', {
      StringEquals: { 'aws:RequestedRegion': 'us-east-1' },
    }),
    allow(PUSH, repositoryArn('app')),
    TOKEN,
  ]);
});

test('a tarball is an asset that the function reads, and nothing beside it', () => {
  const stack = newStack();
  const image = new longshore.TarballImage(stack, 'Image', {
    tarballFile: file('app.tar', 'an archive'),
    selector: 'app:1.0',
    repository: known(stack, 'app'),
  });
  const bucket = 'cdk-hnb659fds-assets-123456789012-eu-west-1';
  const object = `${bucket}/${image.assetHash}.tar`;
  assert.deepEqual(allowed(stack), [
    allow(['s3:GetObject'], {
      'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, `:s3:::${object}`]],
    }),
    allow(PUSH, repositoryArn('app')),
    TOKEN,
  ]);
  assert.equal(properties(stack).Source, `s3://${object}#app:1.0`);
  assert.deepEqual(properties(stack).Tags, [image.assetHash]);
});

test('an object of a version, encrypted with a key', () => {
  const stack = newStack();
  const key = kms.Key.fromKeyArn(stack, 'Key', 'arn:aws:kms:eu-west-1:123456789012:key/1');
  const bucket = s3.Bucket.fromBucketAttributes(stack, 'Bucket', {
    bucketName: 'staging',
    encryptionKey: key,
  });
  new longshore.EcrImage(stack, 'Image', {
    source: longshore.ImageSource.fromBucket(bucket, 'a b/c.tar', { versionId: 'v1' }),
    repository: known(stack, 'app'),
  });
  const [object, decryption] = allowed(stack);
  assert.equal(object.Action, 's3:GetObjectVersion');
  assert.deepEqual(decryption, allow(['kms:Decrypt'], key.keyArn, {
    StringLike: { 'kms:ViaService': { 'Fn::Join': ['', ['s3.*.', { Ref: 'AWS::URLSuffix' }]] } },
  }));
  assert.equal(properties(stack).Source, 's3://staging/a%20b/c.tar?versionId=v1');
});

test('an archive on a web server takes nothing but its host', () => {
  const stack = newStack();
  new longshore.EcrImage(stack, 'Image', {
    source: longshore.ImageSource.fromUrl('https://files.example.com/app.tar'),
    repository: known(stack, 'app'),
  });
  assert.deepEqual(allowed(stack), [allow(PUSH, repositoryArn('app')), TOKEN]);
  assert.equal(environment(stack).LONGSHORE_HTTPS_SOURCES, 'files.example.com');
});

test('a secret is read for its own registry', () => {
  const stack = newStack();
  const arn = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:quay-AbCdEf';
  new longshore.RegistryImage(stack, 'Image', {
    image: 'quay.io/team/app:1',
    sourceCredentials: secretsmanager.Secret.fromSecretCompleteArn(stack, 'Secret', arn),
    repository: known(stack, 'app'),
  });
  assert.deepEqual(allowed(stack)[0], allow(['secretsmanager:GetSecretValue'], arn));
  assert.equal(environment(stack).LONGSHORE_SECRET_REGISTRIES, `${arn}=quay.io`);
  assert.equal(properties(stack).SourceCredentials, arn);
});

test('where roles are assumed, the function may do nothing else', () => {
  const stack = newStack();
  const role = (id) => iam.Role.fromRoleArn(stack, id, `arn:aws:iam::210987654321:role/${id}`);
  new longshore.RegistryImage(stack, 'Image', {
    image: '210987654321.dkr.ecr.eu-west-1.amazonaws.com/base:1',
    destination: '210987654321.dkr.ecr.eu-west-1.amazonaws.com/app',
    sourceRole: role('reader'),
    destinationRole: role('writer'),
    destinationExternalId: 'id',
  });
  assert.deepEqual(allowed(stack), [
    allow(['sts:AssumeRole'], 'arn:aws:iam::210987654321:role/reader'),
    allow(['sts:AssumeRole'], 'arn:aws:iam::210987654321:role/writer'),
  ]);
});

test('several destinations, each with its permission', () => {
  const stack = newStack();
  new longshore.RegistryImage(stack, 'Image', {
    image: IMAGE,
    repository: known(stack, 'app'),
    destinations: [
      { repository: known(stack, 'other'), tags: ['x'] },
      { uri: 'registry.example.com/app' },
    ],
  });
  assert.deepEqual(allowed(stack).filter((one) => one.Action.includes('ecr:PutImage')), [
    allow(PUSH, repositoryArn('app')),
    allow(PUSH, repositoryArn('other')),
  ]);
  assert.equal(environment(stack).LONGSHORE_DESTINATION_REGISTRIES, 'ecr,registry.example.com');
  assert.equal(properties(stack).Destinations.length, 2);
});

test('removal and creation take their actions, and only then', () => {
  const stack = newStack();
  new longshore.RegistryImage(stack, 'Image', {
    image: IMAGE,
    destination: `${HOME}/app:1`,
    removalPolicy: cdk.RemovalPolicy.DESTROY,
    createRepository: { tags: { team: 'a' } },
  });
  const arn = repositoryArn('app');
  assert.deepEqual(allowed(stack).slice(2), [
    allow(['ecr:BatchDeleteImage', 'ecr:DescribeImages'], arn),
    allow(['ecr:CreateRepository', 'ecr:DescribeRepositories', 'ecr:TagResource'], arn),
  ]);
  assert.equal(properties(stack).RemovalPolicy, 'delete');
  assert.deepEqual(properties(stack).CreateRepository, { Tags: { team: 'a' } });
});

test('everything that the resource knows has its property', () => {
  const stack = newStack();
  new longshore.RegistryImage(stack, 'Image', {
    image: IMAGE,
    repository: known(stack, 'app'),
    platforms: [Platform.LINUX_AMD64, Platform.LINUX_ARM64],
    platformTags: { 'linux/arm64': 'arm' },
    attestations: longshore.Attestations.DROP,
    referrers: longshore.Referrers.COPY,
    compression: longshore.Compression.ZSTD,
    createRepository: {},
    refresh: '2',
    reuseFrom: [longshore.ImageSource.fromEcrRepository(known(stack, 'base'), '1')],
    maxConcurrency: 8,
    maxAttempts: 3,
    serviceTimeout: cdk.Duration.minutes(20),
    pullAccess: { principals: ['210987654321'], services: [{ service: 'lambda.amazonaws.com' }] },
  });
  const { Source, Destination, ReuseFrom, ...others } = properties(stack);
  assert.ok(Source && Destination && ReuseFrom);
  assert.deepEqual(others, {
    Platforms: ['linux/amd64', 'linux/arm64'],
    PlatformTags: { 'linux/arm64': 'arm' },
    Attestations: 'drop',
    Referrers: 'copy',
    Compression: 'zstd',
    CreateRepository: true,
    Refresh: '2',
    MaxConcurrency: 8,
    Retry: 3,
    PullAccess: { Principals: ['210987654321'], Services: [{ Service: 'lambda.amazonaws.com' }] },
  });
  assert.equal(only(stack, 'Custom::ECRImage').Properties.ServiceTimeout, '1200');
  assert.deepEqual(allowed(stack).at(-1), allow(WRITE_POLICY, repositoryArn('app')));
});

test('a pull policy writes the policy of its repository only', () => {
  const stack = newStack();
  new longshore.EcrPullPolicy(stack, 'Policy', {
    repository: known(stack, 'app'),
    organizations: ['o-a1b2c3d4e5'],
  });
  assert.deepEqual(allowed(stack), [allow(WRITE_POLICY, repositoryArn('app'))]);
  const made = only(stack, 'Custom::ECRPullPolicy').Properties;
  assert.deepEqual(made.Repository, repositoryArn('app'));
  assert.deepEqual(made.Organizations, ['o-a1b2c3d4e5']);
});

test('a shared provider is left as it is, unless its role is known', () => {
  const stack = newStack();
  const shared = longshore.LongshoreProvider.fromExport(stack, 'Shared');
  new longshore.RegistryImage(stack, 'Image', { image: IMAGE, provider: shared });
  assert.deepEqual(allowed(stack), []);
  Template.fromStack(stack).resourceCountIs('AWS::Lambda::Function', 0);
  const token = only(stack, 'Custom::ECRImage').Properties.ServiceToken;
  assert.deepEqual(token, { 'Fn::ImportValue': 'longshore-ServiceToken' });
});

test('what is wrong is said with the path of the construct', () => {
  for (const [props, expected] of [
    [{ repository: true, destination: `${HOME}/app` }, /exclude each other/],
    [{ platforms: [Platform.custom('linux/quantum')] }, /"linux\/quantum" is no known platform/],
    [{ tags: ['not a tag'] }, /"not a tag" is no tag/],
    [{ maxConcurrency: 33 }, /maxConcurrency: expected a whole number from 1 to 32, got 33/],
    [{ destination: `${HOME}/app@sha256:0` }, /has no digest/],
    [{ destinations: [{}] }, /either a repository or a uri/],
    [{ sourceExternalId: 'id' }, /needs sourceRole/],
    [{ image: 's3://bucket/key' }, /expected the reference of an image, got "s3:/],
    [{ removalPolicy: cdk.RemovalPolicy.SNAPSHOT }, /expected RETAIN or DESTROY/],
  ]) {
    const stack = newStack();
    const repository = props.repository && known(stack, 'app');
    const make = () => new longshore.RegistryImage(stack, 'Image', { image: IMAGE, ...props, repository });
    assert.throws(make, (error) => {
      assert.match(error.message, /^Stack\/Image: /);
      assert.match(error.message, expected);
      return true;
    });
  }
  const stack = newStack();
  const missing = () => new longshore.TarballImage(stack, 'Image', { tarballFile: 'missing.tar' });
  assert.throws(missing, /^Error: Stack\/Image: there is no file missing.tar$/);
});

test('a policy that lets nobody pull is refused', () => {
  const stack = newStack();
  new longshore.EcrPullPolicy(stack, 'Policy', { repository: known(stack, 'app') });
  assert.throws(() => Template.fromStack(stack), /nobody may pull/);
});

test('tokens pass', () => {
  const stack = newStack();
  const text = (id) => new cdk.CfnParameter(stack, id).valueAsString;
  new longshore.RegistryImage(stack, 'Image', {
    image: text('Source'),
    repository: known(stack, 'app'),
    tags: [text('Tag')],
    platforms: [Platform.custom(text('Platform'))],
  });
  assert.deepEqual(properties(stack).Tags, [{ Ref: 'Tag' }]);
  assert.equal(environment(stack).LONGSHORE_SOURCE_REGISTRIES, 'any,ecr');
});
