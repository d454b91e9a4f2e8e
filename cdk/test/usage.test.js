// Images in the places that run images: by their digest, and so after their deployment.
const assert = require('node:assert/strict');
const { test } = require('node:test');
const { Template } = require('aws-cdk-lib/assertions');
const batch = require('aws-cdk-lib/aws-batch');
const apprunner = require('aws-cdk-lib/aws-apprunner');
const codebuild = require('aws-cdk-lib/aws-codebuild');
const ecr = require('aws-cdk-lib/aws-ecr');
const ecs = require('aws-cdk-lib/aws-ecs');
const eks = require('aws-cdk-lib/aws-eks');
const iam = require('aws-cdk-lib/aws-iam');
const lambda = require('aws-cdk-lib/aws-lambda');
const cdk = require('aws-cdk-lib');
const { RegistryImage } = require('..');
const { allow, newStack, only, repositoryArn } = require('./support');

const PULLS = ['ecr:BatchCheckLayerAvailability', 'ecr:GetDownloadUrlForLayer', 'ecr:BatchGetImage'];

function make(more = {}) {
  const stack = newStack();
  const repository = ecr.Repository.fromRepositoryName(stack, 'Repository', 'app');
  const props = { image: 'quay.io/team/app:1', repository, ...more };
  const image = new RegistryImage(stack, 'Image', props);
  const [id] = Object.keys(Template.fromStack(newCopy(stack)).findResources('Custom::ECRImage'));
  return { stack, image, uri: { Ref: id } };
}

/** A template ends a stack: that of another one tells the names. */
function newCopy(stack) {
  const copy = newStack();
  const repository = ecr.Repository.fromRepositoryName(copy, 'Repository', 'app');
  new RegistryImage(copy, 'Image', { image: 'quay.io/team/app:1', repository });
  return copy;
}

function statementsOf(stack, role) {
  const id = stack.getLogicalId(role.node.defaultChild);
  const policies = Object.values(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
  return policies
    .filter((one) => one.Properties.Roles.some(({ Ref }) => Ref === id))
    .flatMap((one) => one.Properties.PolicyDocument.Statement);
}

test('a task of ECS runs it and may pull it', () => {
  const { stack, image, uri } = make();
  const task = new ecs.FargateTaskDefinition(stack, 'Task');
  const container = ecs.ContainerImage.fromEcrRepository(image.repository, image.imageDigest);
  task.addContainer('app', { image: container });
  const { Properties } = only(stack, 'AWS::ECS::TaskDefinition');
  assert.deepEqual(Properties.ContainerDefinitions[0].Image, uri);
  assert.deepEqual(statementsOf(stack, task.executionRole), [
    allow(PULLS, repositoryArn('app')),
    allow(['ecr:GetAuthorizationToken'], '*'),
  ]);
});

test('a function runs it, and Lambda may pull it by the policy of the repository', () => {
  const { stack, image, uri } = make();
  new lambda.DockerImageFunction(stack, 'Function', {
    code: lambda.DockerImageCode.fromEcr(image.repository, { tagOrDigest: image.imageDigest }),
  });
  const functions = Object.values(Template.fromStack(stack).findResources('AWS::Lambda::Function'));
  const [made] = functions.filter((one) => one.Properties.PackageType === 'Image');
  assert.deepEqual(made.Properties.Code, { ImageUri: uri });
  const { PullAccess } = only(stack, 'Custom::ECRImage').Properties;
  assert.deepEqual(PullAccess, {
    Statements: [
      { Action: PULLS, Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' } },
    ],
  });
});

test('a build of CodeBuild, a job of Batch and a service of App Runner run it', () => {
  const { stack, image, uri } = make();
  const buildImage = codebuild.LinuxBuildImage.fromEcrRepository(image.repository, image.imageDigest);
  new codebuild.Project(stack, 'Project', {
    environment: { buildImage },
    buildSpec: codebuild.BuildSpec.fromObject({ version: '0.2' }),
  });
  new batch.EcsJobDefinition(stack, 'Job', {
    container: new batch.EcsFargateContainerDefinition(stack, 'Container', {
      image: ecs.ContainerImage.fromEcrRepository(image.repository, image.imageDigest),
      memory: cdk.Size.mebibytes(512),
      cpu: 0.25,
    }),
  });
  new apprunner.CfnService(stack, 'Service', {
    sourceConfiguration: {
      imageRepository: { imageIdentifier: image.imageUri, imageRepositoryType: 'ECR' },
    },
  });
  const of = (type) => only(stack, type).Properties;
  assert.deepEqual(of('AWS::CodeBuild::Project').Environment.Image, uri);
  assert.deepEqual(of('AWS::Batch::JobDefinition').ContainerProperties.Image, uri);
  const { ImageRepository } = of('AWS::AppRunner::Service').SourceConfiguration;
  assert.deepEqual(ImageRepository.ImageIdentifier, uri);
});

test('a manifest of Kubernetes names it', () => {
  const { stack, image, uri } = make();
  const layer = 'arn:aws:lambda:eu-west-1:123456789012:layer:kubectl:1';
  const cluster = eks.Cluster.fromClusterAttributes(stack, 'Cluster', {
    clusterName: 'cluster',
    kubectlRoleArn: 'arn:aws:iam::123456789012:role/kubectl',
    kubectlLayer: lambda.LayerVersion.fromLayerVersionArn(stack, 'Kubectl', layer),
  });
  cluster.addManifest('Pod', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'app' },
    spec: { containers: [{ name: 'app', image: image.imageUri }] },
  });
  const { Manifest } = only(stack, 'Custom::AWSCDK-EKS-KubernetesResource').Properties;
  const [, parts] = Manifest['Fn::Join'];
  assert.deepEqual(parts[1], uri);
  assert.ok(parts[0].endsWith('"image":"'), parts[0]);
});

test('a role of the account pulls by its own policy', () => {
  const { stack, image } = make();
  const role = new iam.Role(stack, 'Role', { assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com') });
  image.grantPull(role);
  assert.deepEqual(statementsOf(stack, role)[0], allow(PULLS, repositoryArn('app')));
  assert.equal(only(stack, 'Custom::ECRImage').Properties.PullAccess, undefined);
});

test("another account pulls by the repository's policy", () => {
  const { stack, image } = make();
  image.grantPull(new iam.AccountPrincipal('210987654321'));
  const { PullAccess } = only(stack, 'Custom::ECRImage').Properties;
  assert.equal(PullAccess.Statements.length, 1);
  assert.match(JSON.stringify(PullAccess.Statements[0].Principal), /210987654321:root/);
});

test("a repository of the stack's own has the statement in its template", () => {
  const stack = newStack();
  const image = new RegistryImage(stack, 'Image', { image: 'quay.io/team/app:1' });
  image.grantPull(new iam.ServicePrincipal('lambda.amazonaws.com'));
  assert.ok(only(stack, 'AWS::ECR::Repository').Properties.RepositoryPolicyText);
  assert.equal(only(stack, 'Custom::ECRImage').Properties.PullAccess, undefined);
});
