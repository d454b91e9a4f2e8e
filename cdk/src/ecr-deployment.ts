import * as cdk from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import * as permissions from './private/permissions';
import { ecrReference, registryOf } from './private/reference';
import { providerZip } from './provider';

/** An image's name, as `cdk-ecr-deployment` has it. */
export interface IImageName {
  /** `docker://<image>` or `s3://<bucket>/<key>[:<image>]`. */
  readonly uri: string;

  /** `user:password`, or the name or ARN of a secret in Secrets Manager. */
  creds?: string;
}

/** An image in a registry. */
export class DockerImageName implements IImageName {
  /**
   * @param name such as `DockerImageAsset.imageUri`
   * @param creds `user:password`, or the name or ARN of a secret in Secrets Manager
   */
  constructor(
    private readonly name: string,
    public creds?: string,
  ) {}

  public get uri(): string {
    return `docker://${this.name}`;
  }
}

/** An image in an archive in a bucket. */
export class S3ArchiveName implements IImageName {
  private readonly name: string;

  /**
   * @param p the bucket and the key, as `bucket/key`
   * @param ref the image in the archive, such as `app:latest`
   * @param creds `user:password`, or the name or ARN of a secret in Secrets Manager
   */
  constructor(
    p: string,
    ref?: string,
    public creds?: string,
  ) {
    this.name = ref ? `${p}:${ref}` : p;
  }

  public get uri(): string {
    return `s3://${this.name}`;
  }
}

/** Properties of `ECRDeployment`, those of `cdk-ecr-deployment`. */
export interface ECRDeploymentProps {
  /** Where the image comes from. */
  readonly src: IImageName;

  /** Where the image goes to. */
  readonly dest: IImageName;

  /**
   * The architecture that is taken of an index: exactly one.
   *
   * @default ['amd64']
   */
  readonly imageArch?: string[];

  /**
   * Whether an index is copied whole.
   *
   * @default false
   */
  readonly copyImageIndex?: boolean;

  /**
   * Tags for single architectures of an index that is copied whole.
   *
   * @default - none
   */
  readonly archImageTags?: { [architecture: string]: string };

  /**
   * `numAttempts`, `baseDelay` and `maxDelay`.
   *
   * @default - 6 attempts of each request
   */
  readonly retryConfigs?: { [fields: string]: number };

  /**
   * MiB of the function.
   *
   * @default 512
   */
  readonly memoryLimit?: number;

  /**
   * The function's role.
   *
   * @default - one is made
   */
  readonly role?: iam.IRole;

  /**
   * The function's network.
   *
   * @default - no VPC
   */
  readonly vpc?: ec2.IVpc;

  /**
   * Where in the VPC.
   *
   * @default - the VPC's default strategy
   */
  readonly vpcSubnets?: ec2.SubnetSelection;

  /**
   * The function's security groups in the VPC.
   *
   * @default - one is made
   */
  readonly securityGroups?: ec2.SecurityGroup[];
}

// Those of cdk-ecr-deployment: an existing stack keeps its function.
const PURPOSE = 'Custom::CDKECRDeployment';
const SINGLETON = 'bd07c930-edb9-4112-a20f-03f096f53666';

/**
 * An image that is brought to a registry, in the place of the construct of `cdk-ecr-deployment`:
 * its names, its properties and its resources, with another function.
 */
export class ECRDeployment extends Construct {
  /** The image by its digest: `<registry>/<repository>@sha256:…`. */
  public readonly imageUri: string;
  /** `sha256:…` of the image or index. */
  public readonly digest: string;

  private readonly handler: lambda.SingletonFunction;

  constructor(scope: Construct, id: string, props: ECRDeploymentProps) {
    super(scope, id);
    this.check(props);
    this.handler = this.makeHandler(props);
    this.statements(props).forEach((statement) => this.addToPrincipalPolicy(statement));
    this.allowDestination(props.dest.uri);
    const resource = new cdk.CustomResource(this, 'CustomResource', {
      serviceToken: this.handler.functionArn,
      resourceType: PURPOSE,
      properties: {
        SrcImage: props.src.uri,
        SrcCreds: props.src.creds,
        DestImage: props.dest.uri,
        DestCreds: props.dest.creds,
        ImageArch: props.imageArch?.[0] || undefined,
        CopyImageIndex: props.copyImageIndex || undefined,
        ArchImageTags: props.archImageTags && JSON.stringify(props.archImageTags),
        RetryConfigs: props.retryConfigs && JSON.stringify(props.retryConfigs),
      },
    });
    this.imageUri = resource.getAttString('ImageUri');
    this.digest = resource.getAttString('ImageDigest');
  }

  /** Allows the function something more, such as to read a secret. */
  public addToPrincipalPolicy(statement: iam.PolicyStatement): iam.AddToPrincipalPolicyResult {
    return this.handler.role!.addToPrincipalPolicy(statement);
  }

  private check(props: ECRDeploymentProps) {
    const { imageArch, copyImageIndex, archImageTags, memoryLimit } = props;
    const problem =
      (imageArch && copyImageIndex && 'imageArch and copyImageIndex cannot both be set') ||
      (!copyImageIndex && archImageTags && 'archImageTags needs copyImageIndex to be true') ||
      (imageArch &&
        imageArch.length !== 1 &&
        `imageArch: expected exactly one, got ${JSON.stringify(imageArch)}`) ||
      (cdk.Token.isUnresolved(memoryLimit) &&
        'memoryLimit cannot be a token: the function is found by it');
    if (problem) {
      throw new Error(`${this.node.path}: ${problem}`);
    }
  }

  private makeHandler(props: ECRDeploymentProps) {
    const memorySize = props.memoryLimit ?? 512;
    return new lambda.SingletonFunction(this, 'CustomResourceHandler', {
      uuid: memorySize ? `${SINGLETON}-${memorySize}MiB` : SINGLETON,
      code: lambda.Code.fromAsset(providerZip(lambda.Architecture.X86_64)),
      runtime: lambda.Runtime.PROVIDED_AL2023,
      handler: 'bootstrap',
      lambdaPurpose: PURPOSE,
      description: 'Custom resource handler for copying Docker images between docker registries.',
      timeout: cdk.Duration.minutes(15),
      role: props.role,
      memorySize,
      vpc: props.vpc,
      vpcSubnets: props.vpcSubnets,
      securityGroups: props.securityGroups,
    });
  }

  /** What the copy takes. A name that is hidden by a token stands for all. */
  private statements({ src, dest }: ECRDeploymentProps): iam.PolicyStatement[] {
    const images = [src, dest].filter((one) => !isArchive(one));
    const known = images.map((one) => ecrReference(this, one.uri));
    const regions = new Set(known.flatMap((one) => (one ? [one.region] : [])));
    const usesPublic = images.some((one) => one.uri.includes('public.ecr.aws'));
    return [
      ...(isArchive(src)
        ? [permissions.readObject(this.objectArn(src.uri), false)]
        : this.arnOf(src).map(permissions.pull)),
      ...this.arnOf(dest).map(permissions.push),
      ...[...regions].map(permissions.token),
      ...(usesPublic ? permissions.publicQuota() : []),
    ];
  }

  private arnOf(image: IImageName): string[] {
    const known = ecrReference(this, image.uri);
    if (known) {
      return [known.arn];
    }
    return registryOf(this, image.uri) === undefined ? ['*'] : [];
  }

  private objectArn(uri: string) {
    const [bucket, ...key] = uri.slice('s3://'.length).split('/');
    const name = key.join('/');
    // A key ends at its first colon, unless that is one of a token.
    const object = cdk.Token.isUnresolved(name) ? name : name.split(':')[0];
    return `arn:${cdk.Aws.PARTITION}:s3:::${bucket}/${object}`;
  }

  /** cdk-ecr-deployment pushes to every registry; Longshore to ECR, unless it is told. */
  private allowDestination(uri: string) {
    if (registryOf(this, uri) !== 'ecr') {
      this.handler.addEnvironment('LONGSHORE_DESTINATION_REGISTRIES', 'any');
    }
  }
}

function isArchive(image: IImageName) {
  return image.uri.startsWith('s3://');
}
