import * as cdk from 'aws-cdk-lib';
import * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import * as permissions from './private/permissions';
import { ILongshoreProvider, LongshoreProvider } from './provider';

/** A service of AWS that pulls, and on whose behalf. */
export interface PullingService {
  /** Such as `lambda.amazonaws.com`. */
  readonly service: string;

  /**
   * The resources for which it pulls. ARNs may have `*` and `?` in them.
   *
   * @default - any
   */
  readonly sourceArns?: string[];

  /**
   * The accounts for which it pulls.
   *
   * @default - any
   */
  readonly sourceAccounts?: string[];
}

/** Who may pull, by a repository's policy. */
export interface PullAccess {
  /**
   * Accounts by their IDs; accounts, roles and users by their ARNs.
   *
   * @default - none
   */
  readonly principals?: string[];

  /**
   * Services of AWS.
   *
   * @default - none
   */
  readonly services?: PullingService[];

  /**
   * Organizations by their IDs, or parts of them by their paths.
   *
   * @default - none
   */
  readonly organizations?: string[];

  /**
   * Complete statements, without a resource.
   *
   * @default - none
   */
  readonly statements?: iam.PolicyStatement[];

  /**
   * What principals, services and organizations may do.
   *
   * @default - what a pull needs
   */
  readonly actions?: string[];
}

/** Properties of `EcrPullPolicy`. */
export interface EcrPullPolicyProps extends PullAccess {
  /** The repository, which may be one that the stack does not own. */
  readonly repository: ecr.IRepository;

  /**
   * The role that is assumed to write the policy, such as one in the repository's account.
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
   * The function.
   *
   * @default - that of the stack
   */
  readonly provider?: ILongshoreProvider;
}

/** Lets others pull from a repository, beside what is in its policy already. */
export class EcrPullPolicy extends Construct {
  /** The repository's whole policy; empty where it is longer than 2400 bytes. */
  public readonly policyText: string;

  private readonly statements: iam.PolicyStatement[];

  constructor(scope: Construct, id: string, props: EcrPullPolicyProps) {
    super(scope, id);
    const { repository, role } = props;
    this.statements = [...(props.statements ?? [])];
    const provider = props.provider ?? LongshoreProvider.getOrCreate(this);
    const write = permissions.writePolicy(repository.repositoryArn);
    const allowed = role
      ? [role.addToPrincipalPolicy(write), provider.addToRolePolicy(permissions.assume(role))]
      : [provider.addToRolePolicy(write)];
    const resource = new cdk.CustomResource(this, 'Resource', {
      resourceType: 'Custom::ECRPullPolicy',
      serviceToken: provider.serviceToken,
      serviceTimeout: cdk.Duration.minutes(16),
      properties: {
        Repository: repository.repositoryArn,
        ...pullAccess(props, this.statements),
        RoleArn: role?.roleArn,
        ExternalId: props.externalId,
      },
    });
    for (const { policyDependable } of allowed) {
      if (policyDependable) {
        resource.node.addDependency(policyDependable);
      }
    }
    this.policyText = resource.getAttString('PolicyText');
    this.node.addValidation({ validate: () => this.problems(props) });
  }

  /** Adds a complete statement. */
  public addToResourcePolicy(statement: iam.PolicyStatement): iam.AddToResourcePolicyResult {
    this.statements.push(statement);
    return { statementAdded: true, policyDependable: this };
  }

  private problems(props: PullAccess) {
    const granted = [props.principals, props.services, props.organizations, this.statements];
    const grants = granted.some((list) => list && list.length > 0);
    const missing = 'principals, services, organizations or statements are needed: nobody may pull';
    return grants ? [] : [missing];
  }
}

/**
 * As the resources write it. Statements may be added later.
 *
 * @internal
 */
export function pullAccess(access: PullAccess, statements: iam.PolicyStatement[]) {
  return {
    Principals: access.principals,
    Services: access.services?.map((one) => ({
      Service: one.service,
      SourceArns: one.sourceArns,
      SourceAccounts: one.sourceAccounts,
    })),
    Organizations: access.organizations,
    Statements: cdk.Lazy.any(
      { produce: () => statements.map((statement) => statement.toStatementJson()) },
      { omitEmptyArray: true },
    ),
    Actions: access.actions,
  };
}
