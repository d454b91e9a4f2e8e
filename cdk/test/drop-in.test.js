// An app for cdk-ecr-deployment, with another import: its template differs by the function's code
// and role, and by nothing else.
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Template } = require('aws-cdk-lib/assertions');
const iam = require('aws-cdk-lib/aws-iam');
const original = require('cdk-ecr-deployment');
const dropIn = require('..');
const { PULL, PUSH, TOKEN, allow, allowed, newStack, repositoryArn } = require('./support');

const REGISTRY = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';

/** The ways that the construct is used. */
function deployAll(stack, { ECRDeployment, DockerImageName, S3ArchiveName }) {
  const deploy = (id, src, more = {}) => {
    const dest = new DockerImageName(`${REGISTRY}/${id.toLowerCase()}:1`);
    return new ECRDeployment(stack, id, { src, dest, ...more });
  };
  deploy('Plain', new DockerImageName('nginx:1.27'));
  deploy('Public', new DockerImageName('public.ecr.aws/nginx/nginx'));
  deploy('Text', new DockerImageName('javacs3/nginx:latest', 'user:password'));
  deploy('Secret', new DockerImageName('javacs3/nginx:latest', 'docker-hub')).addToPrincipalPolicy(
    new iam.PolicyStatement({ actions: ['secretsmanager:GetSecretValue'], resources: ['*'] }),
  );
  deploy('Architecture', new DockerImageName('nginx:1.27'), { imageArch: ['arm64'] });
  deploy('Index', new DockerImageName('nginx:1.27'), {
    copyImageIndex: true,
    archImageTags: { amd64: '1-amd64' },
    retryConfigs: { numAttempts: 8, baseDelay: 2, maxDelay: 30 },
  });
  deploy('Archive', new S3ArchiveName('bucket/nginx.tar', 'nginx:latest'));
  deploy('Larger', new DockerImageName('nginx:1.27'), { memoryLimit: 2048 });
}

function template(library) {
  const stack = newStack();
  deployAll(stack, library);
  return Template.fromStack(stack).toJSON();
}

test('an existing app changes by its import line only', () => {
  const before = template(original);
  const after = template(dropIn);
  assert.deepEqual(Object.keys(after.Resources), Object.keys(before.Resources));
  const changed = [];
  for (const [id, resource] of Object.entries(before.Resources)) {
    const other = after.Resources[id];
    for (const name of Object.keys({ ...resource.Properties, ...other.Properties })) {
      const [old, now] = [resource.Properties[name], other.Properties[name]];
      if (JSON.stringify(old) !== JSON.stringify(now)) {
        changed.push(`${resource.Type} ${name}`);
      }
    }
    const outside = ({ Properties, ...rest }) => rest;
    assert.deepEqual(outside(other), outside(resource), id);
  }
  assert.deepEqual([...new Set(changed)].sort(), [
    'AWS::IAM::Policy PolicyDocument',
    'AWS::Lambda::Function Code',
  ]);
});

test('the role may do what the copies take, no longer everything', () => {
  const stack = newStack();
  new dropIn.ECRDeployment(stack, 'Image', {
    src: new dropIn.DockerImageName(`${REGISTRY}/base:1`),
    dest: new dropIn.DockerImageName(`${REGISTRY}/app:1`),
  });
  new dropIn.ECRDeployment(stack, 'Archive', {
    src: new dropIn.S3ArchiveName('bucket/folder/app.tar', 'app:1'),
    dest: new dropIn.DockerImageName(`${REGISTRY}/other`),
  });
  assert.deepEqual(allowed(stack), [
    allow(PULL, repositoryArn('base')),
    allow(PUSH, repositoryArn('app')),
    TOKEN,
    allow(['s3:GetObject'], {
      'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, ':s3:::bucket/folder/app.tar']],
    }),
    allow(PUSH, repositoryArn('other')),
  ]);
});

test('the image can be named by its digest', () => {
  const stack = newStack();
  const made = new dropIn.ECRDeployment(stack, 'Image', {
    src: new dropIn.DockerImageName('nginx:1.27'),
    dest: new dropIn.DockerImageName(`${REGISTRY}/app:1`),
  });
  for (const [value, attribute] of [[made.imageUri, 'ImageUri'], [made.digest, 'ImageDigest']]) {
    const [, name] = stack.resolve(value)['Fn::GetAtt'];
    assert.equal(name, attribute);
  }
});

test('what cdk-ecr-deployment refuses is refused', () => {
  for (const props of [
    { imageArch: ['arm64'], copyImageIndex: true },
    { archImageTags: { arm64: '1' } },
    { imageArch: [] },
  ]) {
    const make = ({ ECRDeployment, DockerImageName }) => () =>
      new ECRDeployment(newStack(), 'Image', {
        src: new DockerImageName('nginx'),
        dest: new DockerImageName(`${REGISTRY}/app`),
        ...props,
      });
    assert.throws(make(original));
    assert.throws(make(dropIn), /^Error: Stack\/Image: /);
  }
});
