import * as cdk from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import { Platform } from 'aws-cdk-lib/aws-ecr-assets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { PullAccess, pullAccess } from './ecr-pull-policy';
import { ImageDestination, RepositoryCreation, creation, hasTag } from './image-destination';
import { ImageSource, ImageSourceConfig } from './image-source';
import { problemOfNumber, problemOfPlatforms, problemOfTags } from './private/checks';
import { DeployedRepository, isOwned } from './private/deployed-repository';
import * as permissions from './private/permissions';
import { ecrReference, ofRepository, registryOf } from './private/reference';
import { HostUse, ILongshoreProvider, LongshoreProvider } from './provider';

/** What becomes of BuildKit's attestations in an index. */
export enum Attestations {
  /** They are copied. */
  KEEP = 'keep',
  /** The index is a new one without them. */
  DROP = 'drop',
}

/** What becomes of signatures, SBOMs and other manifests whose subject is the image. */
export enum Referrers {
  /** They are left where they are. */
  NONE = 'none',
  /** They are copied too. */
  COPY = 'copy',
}

/** How layers that an archive holds uncompressed are compressed. */
export enum Compression {
  /** Fast and small enough. */
  GZIP = 'gzip',
  /** A few percent smaller, at several times the processor time. */
  GZIP_SMALL = 'gzip-small',
  /** Zstandard, which older runtimes do not read. */
  ZSTD = 'zstd',
  /** Not at all. */
  NONE = 'none',
}

/** What all images can be told. */
export interface EcrImageOptions {
  /**
   * The repository that the image goes to.
   *
   * @default - one is made, unless `destination` names another
   */
  readonly repository?: ecr.IRepository;

  /**
   * `<registry>/<repository>[:tag]`, in place of `repository`.
   *
   * @default - that of `repository`
   */
  readonly destination?: string;

  /**
   * The image's tags.
   *
   * @default - the hash of the asset, for an image that is one; else none
   */
  readonly tags?: string[];

  /**
   * Tags for single platforms of an index, by platforms such as `linux/arm64`.
   *
   * @default - none
   */
  readonly platformTags?: { [platform: string]: string };

  /**
   * More destinations of the same image, in any accounts and regions: at most 16.
   *
   * @default - none
   */
  readonly destinations?: ImageDestination[];

  /**
   * What becomes of BuildKit's attestations in an index.
   *
   * @default Attestations.KEEP
   */
  readonly attestations?: Attestations;

  /**
   * Whether signatures, SBOMs and the like are copied too.
   *
   * @default Referrers.NONE
   */
  readonly referrers?: Referrers;

  /**
   * How layers that an archive holds uncompressed are compressed.
   *
   * @default Compression.GZIP
   */
  readonly compression?: Compression;

  /**
   * The credentials of the source's registry: `user:password`, or JSON with `username` and
   * `password`. ECR needs none.
   *
   * @default - none
   */
  readonly sourceCredentials?: secretsmanager.ISecret;

  /**
   * The role that is assumed for the source. What it needs is added to it, where the app can.
   *
   * @default - the function's own
   */
  readonly sourceRole?: iam.IRole;

  /**
   * The external ID that the source's role asks for.
   *
   * @default - none
   */
  readonly sourceExternalId?: string;

  /**
   * The credentials of the destination's registry. ECR needs none.
   *
   * @default - none
   */
  readonly destinationCredentials?: secretsmanager.ISecret;

  /**
   * The role that is assumed for the destination, such as one in the repository's account. What it
   * needs is added to it, where the app can.
   *
   * @default - the function's own
   */
  readonly destinationRole?: iam.IRole;

  /**
   * The external ID that the destination's role asks for.
   *
   * @default - none
   */
  readonly destinationExternalId?: string;

  /**
   * How a destination repository is created that is missing when the image is deployed.
   *
   * @default - it is not created
   */
  readonly createRepository?: RepositoryCreation;

  /**
   * Who may pull, beside those of `grantPull`, by the policy of the repository.
   *
   * Where the app itself gives the repository a policy, by `repository.addToResourcePolicy`, add
   * them there: CloudFormation would replace what this writes.
   *
   * @default - nobody but those of `grantPull`
   */
  readonly pullAccess?: PullAccess;

  /**
   * What becomes of the image when the resource goes: `RETAIN` or `DESTROY`.
   *
   * @default cdk.RemovalPolicy.RETAIN
   */
  readonly removalPolicy?: cdk.RemovalPolicy;

  /**
   * Any text. Another one makes CloudFormation ask again, so that a moving tag is resolved again.
   *
   * @default - none
   */
  readonly refresh?: string;

  /**
   * Images in registries that share layers with this one. What they have is not sent again.
   *
   * @default - none
   */
  readonly reuseFrom?: ImageSource[];

  /**
   * Blobs that are copied at once, from 1 to 32.
   *
   * @default - 4 of an archive; of an image in a registry 4 at first, and up to 16 while that brings
   * more bytes a second
   */
  readonly maxConcurrency?: number;

  /**
   * Attempts of each request to a registry, from 1 to 20.
   *
   * @default 6
   */
  readonly maxAttempts?: number;

  /**
   * How long CloudFormation waits for the image.
   *
   * @default cdk.Duration.hours(1)
   */
  readonly serviceTimeout?: cdk.Duration;

  /**
   * The function.
   *
   * @default - that of the stack
   */
  readonly provider?: ILongshoreProvider;
}

/** Properties of `EcrImage`. */
export interface EcrImageProps extends EcrImageOptions {
  /** Where the image comes from. */
  readonly source: ImageSource;

  /**
   * The platforms that are taken of an index. One is that image itself; several are a new index.
   *
   * @default - the image as it is, under its own digest
   */
  readonly platforms?: Platform[];
}

/** An image in a repository of Amazon ECR, brought there by the stack. */
export class EcrImage extends Construct {
  /** The image by its digest: `<registry>/<repository>@sha256:…`. */
  public readonly imageUri: string;
  /** The image by its first tag. Without tags, the same as `imageUri`. */
  public readonly imageTagUri: string;
  /** `sha256:…` of the manifest or index. */
  public readonly imageDigest: string;

  private readonly resource: cdk.CustomResource;
  private readonly provider: ILongshoreProvider;
  private readonly statements: iam.PolicyStatement[];
  private readonly given?: ecr.IRepository;
  private readonly deployed?: ecr.IRepository;
  private readonly destinationRole?: iam.IRole;
  private readonly arns: { arn: string; role?: iam.IRole }[] = [];
  private readonly allowed: iam.AddToPrincipalPolicyResult[] = [];
  private writesPolicy = false;

  constructor(scope: Construct, id: string, props: EcrImageProps) {
    super(scope, id);
    this.check(props);
    this.provider = props.provider ?? LongshoreProvider.getOrCreate(this);
    this.statements = [...(props.pullAccess?.statements ?? [])];
    this.destinationRole = props.destinationRole;
    const source = props.source.bind(this);
    this.given = props.repository ?? this.makeRepository(props);
    this.allowSource(props, source);
    this.allowDestinations(props);
    this.resource = new cdk.CustomResource(this, 'Resource', {
      resourceType: 'Custom::ECRImage',
      serviceToken: this.provider.serviceToken,
      serviceTimeout: props.serviceTimeout ?? cdk.Duration.hours(1),
      properties: this.properties(props, source),
    });
    this.allowed.splice(0).forEach((result) => this.waitFor(result));
    if (props.pullAccess) {
      this.allowPolicy();
    }
    this.imageUri = this.resource.ref;
    this.imageTagUri = this.resource.getAttString('ImageTagUri');
    this.imageDigest = this.resource.getAttString('ImageDigest');
    const known = this.given
      ? ofRepository(this.given)
      : ecrReference(this, props.destination ?? '');
    this.deployed = known && new DeployedRepository(this, 'Deployed', this, known);
  }

  /** The repository that the image goes to. Its URI for `imageDigest` waits for the image. */
  public get repository(): ecr.IRepository {
    if (!this.deployed) {
      throw new Error(`${this.node.path}: the destination is no repository of Amazon ECR`);
    }
    return this.deployed;
  }

  /**
   * Lets somebody pull: a principal of the account by its own policy, another account's and a
   * service by that of the repository.
   */
  public grantPull(grantee: iam.IGrantable): iam.Grant {
    return this.repository.grantPull(grantee);
  }

  /** Adds a statement to the policy of the repository, also of one that the stack does not own. */
  public addToResourcePolicy(statement: iam.PolicyStatement): iam.AddToResourcePolicyResult {
    if (this.given && isOwned(this.given)) {
      return this.given.addToResourcePolicy(statement);
    }
    this.allowPolicy();
    this.statements.push(statement);
    return { statementAdded: true, policyDependable: this.resource };
  }

  /** An attribute of the resource, such as `SizeInBytes` or `Destinations.1.ImageUri`. */
  public getAttString(attribute: string): string {
    return this.resource.getAttString(attribute);
  }

  private check(props: EcrImageProps) {
    const { destinations = [] } = props;
    const problems = [
      props.repository && props.destination && 'repository and destination exclude each other',
      ...destinations.map((one) => {
        const isOne = (one.repository === undefined) !== (one.uri === undefined);
        return isOne ? undefined : 'each of the destinations has either a repository or a uri';
      }),
      destinations.length > 16 && `at most 16 destinations, got ${destinations.length}`,
      props.destination?.includes('@') && "the destination has no digest: that is the source's",
      props.removalPolicy !== undefined &&
        !['retain', 'destroy'].includes(props.removalPolicy) &&
        'removalPolicy: expected RETAIN or DESTROY',
      problemOfPlatforms(props.platforms),
      problemOfPlatforms(Object.keys(props.platformTags ?? {}).map((one) => Platform.custom(one))),
      problemOfTags([
        ...(props.tags ?? []),
        ...destinations.flatMap((one) => one.tags ?? []),
        ...Object.values(props.platformTags ?? {}),
      ]),
      problemOfNumber('maxConcurrency', props.maxConcurrency, 32),
      problemOfNumber('maxAttempts', props.maxAttempts, 20),
      problemOfNumber('serviceTimeout', props.serviceTimeout?.toSeconds(), 3600),
      props.sourceExternalId && !props.sourceRole && 'sourceExternalId needs sourceRole',
      props.destinationExternalId &&
        !props.destinationRole &&
        'destinationExternalId needs destinationRole',
    ].filter(Boolean);
    if (problems.length > 0) {
      throw new Error(`${this.node.path}: ${problems.join('; ')}`);
    }
  }

  private makeRepository(props: EcrImageProps): ecr.IRepository | undefined {
    return props.destination === undefined ? new ecr.Repository(this, 'Repository') : undefined;
  }

  private allowSource(props: EcrImageProps, source: ImageSourceConfig) {
    if (source.registry) {
      this.provider.allowHost(HostUse.SOURCE, source.registry);
    }
    if (source.httpsHost) {
      this.provider.allowHost(HostUse.HTTPS, source.httpsHost);
    }
    source.statements?.forEach((statement) => this.allow(statement, props.sourceRole));
    this.allowRole(props.sourceRole);
    this.allowSecret(props.sourceCredentials, source.registry, props.sourceRole);
  }

  private allowDestinations(props: EcrImageProps) {
    const { destinationRole: role, destinationCredentials: credentials } = props;
    const first = { repository: this.given, uri: props.destination, role, credentials };
    for (const one of [first, ...(props.destinations ?? [])]) {
      this.allowDestination(props, one);
    }
    for (const source of props.reuseFrom ?? []) {
      const { registry, statements } = source.bind(this);
      if (!registry) {
        throw new Error(`${this.node.path}: reuseFrom: expected images in registries`);
      }
      statements?.forEach((statement) => this.allow(statement, role));
    }
  }

  private allowDestination(props: EcrImageProps, destination: ImageDestination) {
    const { repository, uri, role, credentials } = destination;
    const registry = repository ? 'ecr' : registryOf(this, uri ?? '');
    this.provider.allowHost(HostUse.DESTINATION, registry ?? 'any');
    this.allowRole(role);
    this.allowSecret(credentials, registry, role);
    const known = repository ? ofRepository(repository) : ecrReference(this, uri ?? '');
    if (!known) {
      return;
    }
    this.arns.push({ arn: known.arn, role });
    this.allow(permissions.push(known.arn), role);
    this.allow(permissions.token(known.region), role);
    if (props.removalPolicy === cdk.RemovalPolicy.DESTROY) {
      this.allow(permissions.remove(known.arn), role);
    }
    const made = props.createRepository;
    if (made) {
      const { lifecyclePolicyText, tags, encryptionKey } = made;
      this.allow(permissions.create(known.arn, Boolean(lifecyclePolicyText), Boolean(tags)), role);
      if (encryptionKey) {
        this.allow(permissions.encryptRepository(encryptionKey), role);
      }
    }
  }

  /** Allows the role that is assumed, or else the function. */
  private allow(statement: iam.PolicyStatement, role?: iam.IRole) {
    const result = role
      ? role.addToPrincipalPolicy(statement)
      : this.provider.addToRolePolicy(statement);
    this.allowed.push(result);
  }

  private allowRole(role?: iam.IRole) {
    if (role) {
      this.allow(permissions.assume(role));
    }
  }

  private allowSecret(secret?: secretsmanager.ISecret, registry?: string, role?: iam.IRole) {
    if (!secret) {
      return;
    }
    permissions.readSecret(secret).forEach((statement) => this.allow(statement, role));
    if (registry && registry !== 'any') {
      this.provider.allowSecret(secret.secretArn, registry);
    }
  }

  private allowPolicy() {
    if (this.writesPolicy) {
      return;
    }
    this.writesPolicy = true;
    for (const { arn, role } of this.arns) {
      this.allow(permissions.writePolicy(arn), role);
    }
    this.allowed.splice(0).forEach((result) => this.waitFor(result));
  }

  private waitFor({ policyDependable }: iam.AddToPrincipalPolicyResult) {
    if (policyDependable) {
      this.resource.node.addDependency(policyDependable);
    }
  }

  private properties(props: EcrImageProps, source: ImageSourceConfig) {
    const isTagged = props.destination !== undefined && hasTag(props.destination);
    const ofAsset = source.assetHash && !isTagged ? [source.assetHash] : undefined;
    return {
      Source: source.uri,
      Destination: props.destination ?? this.given?.repositoryUri,
      Destinations: props.destinations?.map((one) => ({
        Destination: one.uri ?? one.repository?.repositoryUri,
        Tags: one.tags,
        RoleArn: one.role?.roleArn,
        ExternalId: one.externalId,
        Credentials: one.credentials?.secretArn,
      })),
      Tags: props.tags ?? ofAsset,
      Platforms: props.platforms?.map((one) => one.platform),
      PlatformTags: props.platformTags,
      Attestations: props.attestations,
      Referrers: props.referrers,
      Compression: props.compression,
      SourceCredentials: props.sourceCredentials?.secretArn,
      SourceRoleArn: props.sourceRole?.roleArn,
      SourceExternalId: props.sourceExternalId,
      DestinationCredentials: props.destinationCredentials?.secretArn,
      DestinationRoleArn: this.destinationRole?.roleArn,
      DestinationExternalId: props.destinationExternalId,
      CreateRepository: props.createRepository && creation(props.createRepository),
      PullAccess: cdk.Lazy.any({
        produce: () =>
          this.writesPolicy ? pullAccess(props.pullAccess ?? {}, this.statements) : undefined,
      }),
      RemovalPolicy: props.removalPolicy === cdk.RemovalPolicy.DESTROY ? 'delete' : undefined,
      Refresh: props.refresh,
      ReuseFrom: props.reuseFrom?.map((one) => one.bind(this).uri),
      MaxConcurrency: props.maxConcurrency,
      Retry: props.maxAttempts,
    };
  }
}
