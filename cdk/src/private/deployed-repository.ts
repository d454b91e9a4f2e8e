import * as cdk from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { EcrReference } from './reference';

/** What the repository of a deployed image asks of the image. */
export interface DeployedImage {
  readonly imageUri: string;
  readonly imageDigest: string;
  addToResourcePolicy(statement: iam.PolicyStatement): iam.AddToResourcePolicyResult;
}

/**
 * The repository that an image was deployed to. Whoever asks it for the image's digest gets the
 * image's URI, and so waits for the deployment.
 */
export class DeployedRepository extends ecr.RepositoryBase {
  public readonly repositoryName: string;
  public readonly repositoryArn: string;

  constructor(
    scope: Construct,
    id: string,
    private readonly image: DeployedImage,
    { arn, name, account, region }: EcrReference,
  ) {
    super(scope, id, { account, region });
    this.repositoryName = name;
    this.repositoryArn = arn;
  }

  public repositoryUriForTagOrDigest(tagOrDigest?: string): string {
    return tagOrDigest === this.image.imageDigest
      ? this.image.imageUri
      : super.repositoryUriForTagOrDigest(tagOrDigest);
  }

  public addToResourcePolicy(statement: iam.PolicyStatement): iam.AddToResourcePolicyResult {
    return this.image.addToResourcePolicy(statement);
  }
}

/** Whether the repository's policy is one of the app's resources. */
export function isOwned(repository: ecr.IRepository): boolean {
  const resource = repository.node.defaultChild;
  return resource !== undefined && cdk.CfnResource.isCfnResource(resource);
}
