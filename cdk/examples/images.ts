// Every kind of image in one stack. Beside this file are `app`, a directory with a Dockerfile, and
// `app.tar`, which `docker save` writes.
import { join } from 'path';
import * as cdk from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as iam from 'aws-cdk-lib/aws-iam';
import {
  DockerImageName,
  DockerfileImage,
  ECRDeployment,
  EcrPullPolicy,
  RegistryImage,
  TarballImage,
} from 'longshore-cdk';

const app = new cdk.App();
const env = { account: '123456789012', region: 'eu-west-1' };
const stack = new cdk.Stack(app, 'Images', { env });

const built = new DockerfileImage(stack, 'Built', {
  directory: join(__dirname, 'app'),
  buildArgs: { GREETING: 'good morning' },
});

const loaded = new TarballImage(stack, 'Loaded', {
  tarballFile: join(__dirname, 'app.tar'),
  repository: new ecr.Repository(stack, 'Repository', { repositoryName: 'loaded' }),
  tags: ['1.0', 'latest'],
});

const copied = new RegistryImage(stack, 'Copied', {
  image: 'public.ecr.aws/docker/library/busybox:1.37',
  repository: ecr.Repository.fromRepositoryName(stack, 'Shared', 'shared'),
  tags: ['busybox'],
});
copied.grantPull(new iam.AccountPrincipal('210987654321'));

const deployed = new ECRDeployment(stack, 'Deployed', {
  src: new DockerImageName('public.ecr.aws/docker/library/busybox:1.37'),
  dest: new DockerImageName('123456789012.dkr.ecr.eu-west-1.amazonaws.com/deployed:1'),
});

new EcrPullPolicy(stack, 'Policy', {
  repository: loaded.repository,
  services: [{ service: 'lambda.amazonaws.com', sourceAccounts: ['210987654321'] }],
});

const task = new ecs.FargateTaskDefinition(stack, 'Task');
task.addContainer('app', {
  image: ecs.ContainerImage.fromEcrRepository(built.repository, built.imageDigest),
});

for (const [name, value] of Object.entries({ built, loaded, copied, deployed })) {
  new cdk.CfnOutput(stack, name, { value: value.imageUri });
}
