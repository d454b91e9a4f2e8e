// The function behind the images of a stack.
const assert = require('node:assert/strict');
const { test } = require('node:test');
const cdk = require('aws-cdk-lib');
const { Template } = require('aws-cdk-lib/assertions');
const ec2 = require('aws-cdk-lib/aws-ec2');
const iam = require('aws-cdk-lib/aws-iam');
const lambda = require('aws-cdk-lib/aws-lambda');
const { AwsSolutionsChecks } = require('cdk-nag');
const { LongshoreProvider, RegistryImage, TarballImage, EcrPullPolicy } = require('..');
const { env, file, newStack, only } = require('./support');

const IMAGE = 'public.ecr.aws/docker/library/busybox:1.37';

test('a stack has one function for all its images', () => {
  const stack = newStack();
  new RegistryImage(stack, 'One', { image: IMAGE });
  new RegistryImage(new cdk.Stack(stack, 'Other', { env }), 'Image', { image: IMAGE });
  new RegistryImage(stack, 'Two', { image: IMAGE });
  Template.fromStack(stack).resourceCountIs('AWS::Lambda::Function', 1);
});

test('the function is set up as that of the template of SAM', () => {
  const stack = newStack();
  new LongshoreProvider(stack, 'Provider', { metrics: true, tokenRealms: ['a.example=b.example'] });
  const { Properties: made } = only(stack, 'AWS::Lambda::Function');
  assert.deepEqual(made.Architectures, ['arm64']);
  assert.equal(made.Runtime, 'provided.al2023');
  assert.equal(made.MemorySize, 3008);
  assert.equal(made.Timeout, 900);
  assert.deepEqual(made.Environment.Variables, {
    LONGSHORE_HTTPS_SOURCES: '',
    LONGSHORE_SOURCE_REGISTRIES: 'ecr',
    LONGSHORE_DESTINATION_REGISTRIES: 'ecr',
    LONGSHORE_POLICY_STATEMENTS: 'pull',
    LONGSHORE_TOKEN_REALMS: 'a.example=b.example',
    LONGSHORE_SECRET_REGISTRIES: '',
    LONGSHORE_METRICS: '1',
  });
  const { Properties: config } = only(stack, 'AWS::Lambda::EventInvokeConfig');
  assert.equal(config.MaximumRetryAttempts, 0);
  assert.ok(config.DestinationConfig.OnFailure.Destination);
  const { Properties: mapping } = only(stack, 'AWS::Lambda::EventSourceMapping');
  assert.equal(mapping.BatchSize, 1);
  assert.deepEqual(mapping.FunctionResponseTypes, ['ReportBatchItemFailures']);
});

test('the function may go on in another invocation of itself only', () => {
  const stack = newStack();
  const provider = new LongshoreProvider(stack, 'Provider');
  const policies = Object.values(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
  const statements = policies.flatMap((one) => one.Properties.PolicyDocument.Statement);
  const [invoke] = statements.filter((one) => one.Action === 'lambda:InvokeFunction');
  assert.deepEqual(invoke.Resource, stack.resolve(provider.serviceToken));
  assert.deepEqual(statements.filter((one) => one.Resource === '*'), []);
});

test("in a VPC, the network's permissions are not for the program", () => {
  const stack = newStack();
  const vpc = new ec2.Vpc(stack, 'Vpc', { natGateways: 0 });
  const vpcSubnets = { subnetType: ec2.SubnetType.PRIVATE_ISOLATED };
  new LongshoreProvider(stack, 'Provider', { vpc, vpcSubnets });
  const policies = Object.values(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
  const statements = policies.flatMap((one) => one.Properties.PolicyDocument.Statement);
  const network = (effect) =>
    statements
      .filter((one) => one.Effect === effect && JSON.stringify(one.Action).includes('ec2:'))
      .flatMap((one) => one.Action)
      .sort();
  assert.equal(network('Allow').length, 6);
  assert.deepEqual(network('Deny'), network('Allow'));
});

test('a role of your own gets what is used', () => {
  const stack = newStack();
  const role = new iam.Role(stack, 'Role', {
    assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
  });
  const provider = new LongshoreProvider(stack, 'Provider', { role });
  new RegistryImage(stack, 'Image', { image: IMAGE, provider });
  Template.fromStack(stack).resourceCountIs('AWS::IAM::Role', 1);
});

test('both architectures have a program', () => {
  for (const architecture of [lambda.Architecture.ARM_64, lambda.Architecture.X86_64]) {
    const stack = newStack();
    new LongshoreProvider(stack, 'Provider', { architecture });
    const made = only(stack, 'AWS::Lambda::Function').Properties;
    assert.deepEqual(made.Architectures, [architecture.name]);
  }
});

test('cdk-nag has nothing against the constructs', () => {
  const stack = newStack();
  new TarballImage(stack, 'Tarball', { tarballFile: file('nag.tar', 'an archive') });
  const image = new RegistryImage(stack, 'Image', { image: IMAGE });
  new EcrPullPolicy(stack, 'Policy', { repository: image.repository, principals: ['210987654321'] });
  cdk.Aspects.of(stack).add(new AwsSolutionsChecks({ verbose: true }));
  stack.node.root.synth({ errorOnDuplicateSynth: false });
  const found = stack.node.findAll().flatMap((one) => one.node.metadata);
  const problems = found.filter((one) => ['aws:cdk:error', 'aws:cdk:warning'].includes(one.type));
  assert.deepEqual(problems.map((one) => one.data), []);
});
