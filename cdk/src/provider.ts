import { existsSync } from 'fs';
import { join } from 'path';
import * as cdk from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as destinations from 'aws-cdk-lib/aws-lambda-destinations';
import * as sources from 'aws-cdk-lib/aws-lambda-event-sources';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as sqs from 'aws-cdk-lib/aws-sqs';
import { Construct, IConstruct } from 'constructs';
import * as permissions from './private/permissions';

/** What a host is allowed for. */
export enum HostUse {
  /** Images are copied from this registry. */
  SOURCE = 'SOURCE_REGISTRIES',
  /** Images are pushed to this registry. */
  DESTINATION = 'DESTINATION_REGISTRIES',
  /** Archives are read from this web server. */
  HTTPS = 'HTTPS_SOURCES',
}

/** What the policies of repositories may grant. */
export enum PolicyStatements {
  /** Actions that pull or look, by their names. */
  PULL = 'pull',
  /** Every action of ECR, also by `NotAction` and `NotPrincipal`. */
  ANY = 'any',
}

/** The function behind Longshore's resources. */
export interface ILongshoreProvider extends IConstruct {
  /** The ARN that custom resources name. */
  readonly serviceToken: string;

  /** Allows the function something. A shared provider whose role is not known is left as it is. */
  addToRolePolicy(statement: iam.PolicyStatement): iam.AddToPrincipalPolicyResult;

  /** Lets the function reach a host: `docker.io`, for instance, or the words `ecr` and `any`. */
  allowHost(use: HostUse, host: string): void;

  /** Binds a secret to the registry that it is for, so that no other is sent it. */
  allowSecret(secretArn: string, registry: string): void;
}

/** Properties of `LongshoreProvider`. */
export interface LongshoreProviderProps {
  /**
   * Of the function, not of the images.
   *
   * @default lambda.Architecture.ARM_64
   */
  readonly architecture?: lambda.Architecture;

  /**
   * MiB. Sets the share of CPU, which is what compression takes; memory in use does not grow with
   * the image.
   *
   * @default 3008
   */
  readonly memorySize?: number;

  /**
   * How long one invocation lasts at most. Work that takes longer goes on in another.
   *
   * @default cdk.Duration.minutes(15)
   */
  readonly timeout?: cdk.Duration;

  /**
   * Most images that are deployed at once; others wait.
   *
   * @default - as many as the account has room for
   */
  readonly reservedConcurrentExecutions?: number;

  /**
   * A role for the function. What is used is added to it, where it can be changed.
   *
   * @default - one is made
   */
  readonly role?: iam.IRole;

  /**
   * How long the function's log is kept.
   *
   * @default logs.RetentionDays.THREE_MONTHS
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * What the policies of repositories may grant.
   *
   * @default PolicyStatements.PULL
   */
  readonly policyStatements?: PolicyStatements;

  /**
   * Token servers on other hosts that may have a registry's credentials, as
   * `registry.example.com=gitlab.example.com`. Those of public registries are known.
   *
   * @default - none
   */
  readonly tokenRealms?: string[];

  /**
   * Whether images are pulled from public.ecr.aws with the account's quota, rather than the
   * smaller one of whoever has the same address.
   *
   * @default false
   */
  readonly ecrPublicQuota?: boolean;

  /**
   * Whether each deployment's figures become metrics of CloudWatch.
   *
   * @default false
   */
  readonly metrics?: boolean;

  /**
   * Whether invocations are traced by X-Ray.
   *
   * @default - as Lambda decides: PassThrough
   */
  readonly tracing?: lambda.Tracing;

  /**
   * The function's network, with a way to ECR, S3 and the registries that it copies from.
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
   * Security groups that let HTTPS out.
   *
   * @default - one is made
   */
  readonly securityGroups?: ec2.ISecurityGroup[];
}

const SINGLETON = 'LongshoreProvider';

/**
 * The function that deploys images, with a role that grows with what the images of the stack use.
 *
 * A stack needs none of its own making: images find or make the one of their stack. Where the
 * function needs settings, make one and give it to the images as `provider`.
 */
export class LongshoreProvider extends Construct implements ILongshoreProvider, iam.IGrantable {
  /** The provider of a stack. The first call makes it. */
  public static getOrCreate(scope: Construct): LongshoreProvider {
    const stack = cdk.Stack.of(scope);
    const found = stack.node.tryFindChild(SINGLETON) as LongshoreProvider | undefined;
    return found ?? new LongshoreProvider(stack, SINGLETON);
  }

  /**
   * A provider that is shared. With its role, what is used is added to the role; otherwise the
   * provider's own stack has to allow it.
   */
  public static fromServiceToken(
    scope: Construct,
    id: string,
    serviceToken: string,
    role?: iam.IRole,
  ): ILongshoreProvider {
    return new SharedProvider(scope, id, serviceToken, role);
  }

  /**
   * The provider of a stack that was deployed from Longshore's template, by its exports.
   *
   * @param stackName the name of that stack, `longshore` by default
   */
  public static fromExport(scope: Construct, id: string, stackName?: string): ILongshoreProvider {
    const token = cdk.Fn.importValue(`${stackName ?? 'longshore'}-ServiceToken`);
    return new SharedProvider(scope, id, token);
  }

  public readonly serviceToken: string;
  /** The function. */
  public readonly function: lambda.Function;
  /** The function's role. */
  public readonly role: iam.IRole;
  /** Where the function logs. */
  public readonly logGroup: logs.LogGroup;
  /** Records of invocations that crashed. The function takes them and answers `FAILED`. */
  public readonly failedEvents: sqs.Queue;
  /** Records that the function could not answer either. Each is a stack that waits. */
  public readonly deadLetters: sqs.Queue;
  public readonly grantPrincipal: iam.IPrincipal;

  private readonly hosts = new Map<string, Set<string>>();

  constructor(scope: Construct, id: string, props: LongshoreProviderProps = {}) {
    super(scope, id);
    const timeout = props.timeout ?? cdk.Duration.minutes(15);
    this.logGroup = new logs.LogGroup(this, 'LogGroup', {
      retention: props.logRetention ?? logs.RetentionDays.THREE_MONTHS,
      removalPolicy: cdk.RemovalPolicy.DESTROY,
    });
    this.deadLetters = new sqs.Queue(this, 'DeadLetters', {
      retentionPeriod: cdk.Duration.days(14),
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
    });
    this.failedEvents = new sqs.Queue(this, 'FailedEvents', {
      // The address of an answer is good for two hours.
      retentionPeriod: cdk.Duration.hours(2),
      visibilityTimeout: timeout,
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: 5 },
    });
    this.role = props.role ?? this.makeRole(props);
    this.grantPrincipal = this.role;
    this.function = this.makeFunction(props, timeout);
    this.serviceToken = this.function.functionArn;
    this.allowItself(props);
    if (props.ecrPublicQuota) {
      permissions.publicQuota().forEach((statement) => this.addToRolePolicy(statement));
    }
  }

  public addToRolePolicy(statement: iam.PolicyStatement): iam.AddToPrincipalPolicyResult {
    return this.role.addToPrincipalPolicy(statement);
  }

  public allowHost(use: HostUse, host: string): void {
    this.remember(use, host);
  }

  public allowSecret(secretArn: string, registry: string): void {
    this.remember('SECRET_REGISTRIES', `${secretArn}=${registry}`);
  }

  /** Beside the role's own policy: the function needs that one, and this one the function. */
  private allowItself(props: LongshoreProviderProps) {
    const arn = this.function.functionArn;
    const statements = [permissions.invoke(arn)];
    if (props.vpc && !props.role) {
      statements.push(permissions.networkGuard(arn));
    }
    new iam.Policy(this, 'Continuation', { roles: [this.role], statements });
  }

  private remember(variable: string, value: string) {
    const known = this.hosts.get(variable) ?? new Set();
    this.hosts.set(variable, known.add(value));
  }

  private remembered(variable: string, always: string[] = []) {
    return cdk.Lazy.string({
      produce: () => [...new Set([...always, ...(this.hosts.get(variable) ?? [])])].sort().join(','),
    });
  }

  private makeRole(props: LongshoreProviderProps) {
    const role = new iam.Role(this, 'Role', {
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      description: 'Of the function that deploys images of containers',
    });
    role.addToPrincipalPolicy(
      new iam.PolicyStatement({
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [this.logGroup.logGroupArn],
      }),
    );
    if (props.vpc) {
      permissions.network(this).forEach((statement) => role.addToPrincipalPolicy(statement));
    }
    explainStar(role);
    return role;
  }

  private makeFunction(props: LongshoreProviderProps, timeout: cdk.Duration) {
    const architecture = props.architecture ?? lambda.Architecture.ARM_64;
    const made = new lambda.Function(this, 'Function', {
      description: 'Custom::ECRImage and Custom::ECRPullPolicy, container images into Amazon ECR',
      code: lambda.Code.fromAsset(providerZip(architecture)),
      handler: 'bootstrap',
      runtime: lambda.Runtime.PROVIDED_AL2023,
      architecture,
      memorySize: props.memorySize ?? 3008,
      timeout,
      reservedConcurrentExecutions: props.reservedConcurrentExecutions,
      role: this.role,
      logGroup: this.logGroup,
      tracing: props.tracing,
      vpc: props.vpc,
      vpcSubnets: props.vpcSubnets,
      securityGroups: props.securityGroups,
      // The record of a crash is answered; the work is not begun again.
      retryAttempts: 0,
      onFailure: new destinations.SqsDestination(this.failedEvents),
      environment: {
        LONGSHORE_HTTPS_SOURCES: this.remembered(HostUse.HTTPS),
        LONGSHORE_SOURCE_REGISTRIES: this.remembered(HostUse.SOURCE, ['ecr']),
        LONGSHORE_DESTINATION_REGISTRIES: this.remembered(HostUse.DESTINATION, ['ecr']),
        LONGSHORE_POLICY_STATEMENTS: props.policyStatements ?? PolicyStatements.PULL,
        LONGSHORE_TOKEN_REALMS: (props.tokenRealms ?? []).join(','),
        LONGSHORE_SECRET_REGISTRIES: this.remembered('SECRET_REGISTRIES'),
        LONGSHORE_METRICS: props.metrics ? '1' : '0',
      },
    });
    made.addEventSource(
      new sources.SqsEventSource(this.failedEvents, { batchSize: 1, reportBatchItemFailures: true }),
    );
    return made;
  }
}

/** For `cdk-nag`, as its `NagSuppressions` would write it. */
function explainStar(role: iam.Role) {
  const policy = role.node.findChild('DefaultPolicy').node.defaultChild as cdk.CfnResource;
  const reason =
    'ecr:GetAuthorizationToken, those of ECR Public and those that describe a network take no resource';
  const rule = { id: 'AwsSolutions-IAM5', reason, applies_to: ['Resource::*'] };
  policy.addMetadata('cdk_nag', { rules_to_suppress: [rule] });
}

class SharedProvider extends Construct implements ILongshoreProvider {
  constructor(
    scope: Construct,
    id: string,
    public readonly serviceToken: string,
    private readonly role?: iam.IRole,
  ) {
    super(scope, id);
  }

  public addToRolePolicy(statement: iam.PolicyStatement): iam.AddToPrincipalPolicyResult {
    return this.role?.addToPrincipalPolicy(statement) ?? { statementAdded: false };
  }

  public allowHost() {}

  public allowSecret() {}
}

/**
 * The function's program in this package.
 *
 * @internal
 */
export function providerZip(architecture: lambda.Architecture): string {
  const zip = join(__dirname, `../assets/longshore-${architecture.name}.zip`);
  if (!existsSync(zip)) {
    throw new Error(`${zip} is missing: the release of longshore-cdk has it, a checkout does not`);
  }
  return zip;
}
