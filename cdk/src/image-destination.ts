import * as cdk from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';

/** One more destination of an image. */
export interface ImageDestination {
  /**
   * The repository.
   *
   * @default - the one of `uri`
   */
  readonly repository?: ecr.IRepository;

  /**
   * `<registry>/<repository>[:tag]`, in place of `repository`.
   *
   * @default - that of `repository`
   */
  readonly uri?: string;

  /**
   * More tags for the image there, beside those that it has everywhere.
   *
   * @default - none
   */
  readonly tags?: string[];

  /**
   * The role that is assumed for this destination.
   *
   * @default - the function's own
   */
  readonly role?: iam.IRole;

  /**
   * The external ID that the role asks for.
   *
   * @default - none
   */
  readonly externalId?: string;

  /**
   * The registry's credentials. ECR needs none.
   *
   * @default - none
   */
  readonly credentials?: secretsmanager.ISecret;
}

/** How a destination repository that is missing is created. */
export interface RepositoryCreation {
  /**
   * Whether tags can be moved.
   *
   * @default ecr.TagMutability.MUTABLE
   */
  readonly imageTagMutability?: ecr.TagMutability;

  /**
   * Up to 5 tags, with `*` as wildcard, to which the opposite applies.
   *
   * @default - none
   */
  readonly imageTagMutabilityExclusionFilters?: string[];

  /**
   * Whether images are scanned when they are pushed.
   *
   * @default false
   */
  readonly imageScanOnPush?: boolean;

  /**
   * With which keys images are encrypted: `ecr.RepositoryEncryption.KMS`, for instance.
   *
   * @default - ECR's own
   */
  readonly encryption?: ecr.RepositoryEncryption;

  /**
   * The key of KMS.
   *
   * @default - ECR's own
   */
  readonly encryptionKey?: kms.IKey;

  /**
   * The repository's own tags.
   *
   * @default - none
   */
  readonly tags?: { [name: string]: string };

  /**
   * Which images expire: ECR's lifecycle policy, as JSON.
   *
   * @default - none
   */
  readonly lifecyclePolicyText?: string;
}

/**
 * As the resource writes it.
 *
 * @internal
 */
export function creation(made: RepositoryCreation) {
  if (Object.keys(made).length === 0) {
    return true;
  }
  return {
    ImageTagMutability: made.imageTagMutability,
    ImageTagMutabilityExclusionFilters: made.imageTagMutabilityExclusionFilters,
    ScanOnPush: made.imageScanOnPush,
    EncryptionType: made.encryption?.value,
    KmsKey: made.encryptionKey?.keyArn,
    Tags: made.tags,
    LifecyclePolicyText: made.lifecyclePolicyText,
  };
}

/**
 * A tag in the reference of a destination.
 *
 * @internal
 */
export function hasTag(uri: string): boolean {
  return cdk.Token.isUnresolved(uri) || uri.split('/').slice(1).join('/').includes(':');
}
