import * as cdk from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';

/** What a push takes. */
export function push(repositoryArn: string) {
  return allow(repositoryArn, [
    'ecr:BatchCheckLayerAvailability',
    'ecr:BatchGetImage',
    'ecr:CompleteLayerUpload',
    'ecr:GetDownloadUrlForLayer',
    'ecr:InitiateLayerUpload',
    'ecr:PutImage',
    'ecr:UploadLayerPart',
  ]);
}

export function pull(repositoryArn: string) {
  return allow(repositoryArn, ['ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer']);
}

/** The token of a registry. The action takes no resource. */
export function token(region: string) {
  return allow('*', ['ecr:GetAuthorizationToken'], {
    StringEquals: { 'aws:RequestedRegion': region },
  });
}

/** Pulls from ECR Public with the account's quota. The actions take no resource. */
export function publicQuota() {
  return [
    allow('*', ['ecr-public:GetAuthorizationToken']),
    allow('*', ['sts:GetServiceBearerToken'], {
      StringEquals: { 'sts:AWSServiceName': 'ecr-public.amazonaws.com' },
    }),
  ];
}

export function readObject(objectArn: string, ofVersion: boolean) {
  return allow(objectArn, [ofVersion ? 's3:GetObjectVersion' : 's3:GetObject']);
}

export function decrypt(keyArn: string, service: string) {
  return allow(keyArn, ['kms:Decrypt'], viaService(service));
}

export function readSecret(secret: secretsmanager.ISecret) {
  const arn = secret.secretFullArn ?? `${secret.secretArn}-??????`;
  const statements = [allow(arn, ['secretsmanager:GetSecretValue'])];
  if (secret.encryptionKey) {
    statements.push(decrypt(secret.encryptionKey.keyArn, 'secretsmanager'));
  }
  return statements;
}

export function assume(role: iam.IRole) {
  return allow(role.roleArn, ['sts:AssumeRole']);
}

export function remove(repositoryArn: string) {
  return allow(repositoryArn, ['ecr:BatchDeleteImage', 'ecr:DescribeImages']);
}

export function create(repositoryArn: string, hasLifecycle: boolean, hasTags: boolean) {
  return allow(repositoryArn, [
    'ecr:CreateRepository',
    'ecr:DescribeRepositories',
    ...(hasLifecycle ? ['ecr:GetLifecyclePolicy', 'ecr:PutLifecyclePolicy'] : []),
    ...(hasTags ? ['ecr:TagResource'] : []),
  ]);
}

export function encryptRepository(key: kms.IKey) {
  const actions = ['kms:CreateGrant', 'kms:DescribeKey', 'kms:RetireGrant'];
  return allow(key.keyArn, actions, viaService('ecr'));
}

export function writePolicy(repositoryArn: string) {
  return allow(repositoryArn, [
    'ecr:DeleteRepositoryPolicy',
    'ecr:GetRepositoryPolicy',
    'ecr:SetRepositoryPolicy',
  ]);
}

/** Work that takes longer than one invocation goes on in another. */
export function invoke(functionArn: string) {
  return allow(functionArn, ['lambda:InvokeFunction']);
}

const INTERFACES = [
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:UnassignPrivateIpAddresses',
];
const LOOKS = ['ec2:DescribeNetworkInterfaces', 'ec2:DescribeSubnets'];

/** What Lambda asks for in a VPC. Those that look take no resource. */
export function network(scope: Construct) {
  const all = { service: 'ec2', resource: '*', resourceName: '*' };
  return [allow(cdk.Stack.of(scope).formatArn(all), INTERFACES), allow('*', LOOKS)];
}

/** The network's permissions are for Lambda, not for the function's program. */
export function networkGuard(functionArn: string) {
  return new iam.PolicyStatement({
    effect: iam.Effect.DENY,
    actions: [...INTERFACES, ...LOOKS],
    resources: ['*'],
    conditions: { ArnEquals: { 'lambda:SourceFunctionArn': functionArn } },
  });
}

function viaService(service: string) {
  return { StringLike: { 'kms:ViaService': `${service}.*.${cdk.Aws.URL_SUFFIX}` } };
}

function allow(resource: string, actions: string[], conditions?: Record<string, unknown>) {
  return new iam.PolicyStatement({ actions, resources: [resource], conditions });
}
