import * as cdk from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import { Construct } from 'constructs';

const TOKEN = String.raw`\$\{Token\[[^\]]+\]\}`;
const ECR = new RegExp(
  `^(?<account>\\d{12}|${TOKEN})\\.dkr[.-]ecr(?:-fips)?\\.(?<region>[a-z0-9-]+|${TOKEN})\\.[^/]+/(?<name>[^:@]+)`,
);

/** A repository of Amazon ECR, as a reference of an image names it. */
export interface EcrReference {
  readonly arn: string;
  readonly name: string;
  readonly account: string;
  readonly region: string;
}

/** The repository of ECR that a reference names. Parts of the reference may be tokens. */
export function ecrReference(scope: Construct, reference: string): EcrReference | undefined {
  const parts = ECR.exec(withoutScheme(reference))?.groups;
  if (!parts) {
    return undefined;
  }
  const { account, region, name } = parts;
  const resource = { service: 'ecr', resource: 'repository', resourceName: name };
  const arn = cdk.Stack.of(scope).formatArn({ ...resource, account, region });
  return { arn, name, account, region };
}

/** The same of a repository. */
export function ofRepository(repository: ecr.IRepository): EcrReference {
  const { repositoryArn: arn, repositoryName: name, env } = repository;
  return { arn, name, account: env.account, region: env.region };
}

/** The registry's host, as the provider's rules have it. `undefined` where a token hides it. */
export function registryOf(scope: Construct, reference: string): string | undefined {
  if (ecrReference(scope, reference)) {
    return 'ecr';
  }
  const [first, ...rest] = withoutScheme(reference).split('/');
  if (cdk.Token.isUnresolved(first)) {
    return undefined;
  }
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return isHost ? first : 'docker.io';
}

export function withoutScheme(reference: string): string {
  return reference.replace(/^docker:\/\//, '');
}
