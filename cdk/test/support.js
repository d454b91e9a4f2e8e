// An app with one stack, and what its template says.
const { App, Stack } = require('aws-cdk-lib');
const { Template } = require('aws-cdk-lib/assertions');
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const env = { account: '123456789012', region: 'eu-west-1' };
const PUSH = [
  'ecr:BatchCheckLayerAvailability',
  'ecr:BatchGetImage',
  'ecr:CompleteLayerUpload',
  'ecr:GetDownloadUrlForLayer',
  'ecr:InitiateLayerUpload',
  'ecr:PutImage',
  'ecr:UploadLayerPart',
];
const PULL = ['ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'];
const WRITE_POLICY = [
  'ecr:DeleteRepositoryPolicy',
  'ecr:GetRepositoryPolicy',
  'ecr:SetRepositoryPolicy',
];

const folder = mkdtempSync(join(tmpdir(), 'longshore-cdk-'));
process.on('exit', () => rmSync(folder, { recursive: true }));
let apps = 0;

function newStack() {
  const outdir = join(folder, `out${apps++}`);
  return new Stack(new App({ outdir, analyticsReporting: false }), 'Stack', { env });
}

/** A file in a folder that goes when the tests end. */
function file(name, content) {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** The only resource of a type. */
function only(stack, type) {
  const found = Object.values(Template.fromStack(stack).findResources(type));
  if (found.length !== 1) {
    throw new Error(`expected one ${type}, got ${found.length}`);
  }
  return found[0];
}

/** What the images of a stack let its provider do, beside what every provider needs. */
function allowed(stack) {
  const policies = Object.values(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
  const statements = policies.flatMap((one) => one.Properties.PolicyDocument.Statement);
  const services = /^(logs|sqs|lambda):/;
  return statements.filter((one) => !services.test([one.Action].flat()[0]));
}

/** A statement as a template has it. */
function allow(Action, Resource, Condition) {
  const actions = Action.length === 1 ? Action[0] : Action;
  return { Action: actions, Effect: 'Allow', Resource, ...(Condition && { Condition }) };
}

const TOKEN = allow(['ecr:GetAuthorizationToken'], '*', {
  StringEquals: { 'aws:RequestedRegion': env.region },
});

const repositoryArn = (name, region = env.region, account = env.account) => ({
  'Fn::Join': ['', ['arn:', { Ref: 'AWS::Partition' }, `:ecr:${region}:${account}:repository/${name}`]],
});

module.exports = {
  PULL, PUSH, TOKEN, WRITE_POLICY, allow, allowed, env, file, folder, newStack, only, repositoryArn,
};
