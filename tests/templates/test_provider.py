"""What the provider's template makes of its parameters."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from rendering import ROOT, TEMPLATES, as_list, granted, load, render, shown, statements
from samples import sample_parameters

PROVIDER = TEMPLATES / "template.yaml"
ECR = "arn:aws:ecr:eu-west-1:123456789012:repository"
KEY = "arn:aws:kms:eu-west-1:123456789012:key"
IAM = "arn:aws:iam::123456789012"

# Actions that AWS allows on every resource or on none.
TAKES_NO_RESOURCE = {
    "ecr:GetAuthorizationToken": "a token is for all registries that its bearer may use",
    "ecr-public:GetAuthorizationToken": "the same for ECR Public",
    "sts:GetServiceBearerToken": "the token itself; a condition names the service",
    "ec2:DescribeNetworkInterfaces": "a list, of which EC2 has no part to name",
    "ec2:DescribeSubnets": "the same",
    "xray:PutTelemetryRecords": "X-Ray has no resource to write to",
    "xray:PutTraceSegments": "the same",
}

LEAST = {
    ("ecr:GetAuthorizationToken", "*"),
    ("lambda:InvokeFunction", "Provider.Arn"),
    ("logs:CreateLogStream", "LogGroup.Arn"),
    ("logs:PutLogEvents", "LogGroup.Arn"),
    ("sqs:DeleteMessage", "FailedEvents.Arn"),
    ("sqs:GetQueueAttributes", "FailedEvents.Arn"),
    ("sqs:ReceiveMessage", "FailedEvents.Arn"),
    ("sqs:SendMessage", "FailedEvents.Arn"),
}
PULL = ["BatchGetImage", "GetDownloadUrlForLayer"]
PUSH = PULL + [
    "BatchCheckLayerAvailability",
    "CompleteLayerUpload",
    "InitiateLayerUpload",
    "PutImage",
    "UploadLayerPart",
]
CREATE = [
    "CreateRepository",
    "DescribeRepositories",
    "GetLifecyclePolicy",
    "PutLifecyclePolicy",
    "TagResource",
]
POLICY = ["DeleteRepositoryPolicy", "GetRepositoryPolicy", "SetRepositoryPolicy"]
NETWORK = [
    "AssignPrivateIpAddresses",
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
    "UnassignPrivateIpAddresses",
]
VPC = {"SubnetIds": "subnet-0aaaaaaa,subnet-0bbbbbbb", "SecurityGroupIds": "sg-0ccccccc"}


def on(service, actions, *resources):
    return {(f"{service}:{action}", resource) for action in actions for resource in resources}


# Parameters, and what they allow beside what the function has without any.
ALLOWED = {
    "nothing": ({}, set()),
    "pushes": (
        {"RepositoryArns": f"{ECR}/app,{ECR}/team/*"},
        on("ecr", PUSH, f"{ECR}/app", f"{ECR}/team/*"),
    ),
    "tarballs": (
        {"SourceObjectArns": "arn:aws:s3:::staging/images/*"},
        on("s3", ["GetObject", "GetObjectVersion"], "arn:aws:s3:::staging/images/*"),
    ),
    "encrypted tarballs": (
        {"SourceKeyArns": f"{KEY}/1"},
        on("kms", ["Decrypt"], f"{KEY}/1"),
    ),
    "copies": ({"SourceRepositoryArns": f"{ECR}/base/*"}, on("ecr", PULL, f"{ECR}/base/*")),
    "pull-through cache": (
        {"PullThroughRepositoryArns": f"{ECR}/docker-hub/*"},
        on("ecr", ["BatchImportUpstreamImage", "CreateRepository"], f"{ECR}/docker-hub/*"),
    ),
    "quota of ECR Public": (
        {"EcrPublicQuota": "true"},
        {("ecr-public:GetAuthorizationToken", "*"), ("sts:GetServiceBearerToken", "*")},
    ),
    "web servers": ({"HttpsSourceHosts": "files.example.com"}, set()),
    "secrets": (
        {"SecretArns": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-abcdef"},
        on(
            "secretsmanager",
            ["GetSecretValue"],
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-abcdef",
        ),
    ),
    "encrypted secrets": ({"SecretKeyArns": f"{KEY}/2"}, on("kms", ["Decrypt"], f"{KEY}/2")),
    "roles": (
        {"RoleArns": "arn:aws:iam::210987654321:role/images"},
        on("sts", ["AssumeRole"], "arn:aws:iam::210987654321:role/images"),
    ),
    "removal": (
        {"RepositoryArns": f"{ECR}/app", "RemovesImages": "true"},
        on("ecr", PUSH + ["BatchDeleteImage", "DescribeImages"], f"{ECR}/app"),
    ),
    "removal of nothing": ({"RemovesImages": "true"}, set()),
    "creation": (
        {"RepositoryArns": f"{ECR}/app", "CreatesRepositories": "true"},
        on("ecr", PUSH + CREATE, f"{ECR}/app"),
    ),
    "creation of nothing": ({"CreatesRepositories": "true"}, set()),
    "encrypted repositories": (
        {"RepositoryKeyArns": f"{KEY}/4"},
        on("kms", ["CreateGrant", "DescribeKey", "RetireGrant"], f"{KEY}/4"),
    ),
    "policies": (
        {"PolicyRepositoryArns": f"{ECR}/app"},
        on("ecr", POLICY, f"{ECR}/app"),
    ),
    "network": (
        VPC,
        on("ec2", ["DescribeNetworkInterfaces", "DescribeSubnets"], "*")
        | on(
            "ec2",
            NETWORK,
            "Fn::Sub:arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:*/*",
        ),
    ),
    "traces": (
        {"Tracing": "true"},
        on("xray", ["PutTelemetryRecords", "PutTraceSegments"], "*"),
    ),
    "registries": (
        {
            "SourceRegistries": "ecr,quay.io",
            "DestinationRegistries": "ecr,registry.example.com",
            "TokenRealms": "registry.example.com=auth.example.com",
            "SecretRegistries": "team/hub=docker.io",
            "PolicyStatements": "any",
        },
        set(),
    ),
    "regions": ({"Regions": "eu-west-1,us-east-1"}, set()),
    "a boundary": ({"PermissionsBoundaryArn": f"{IAM}:policy/boundary"}, set()),
    "another machine": (
        {"Architecture": "x86_64", "MemorySize": "1769", "Timeout": "300"}
        | {"ReservedConcurrency": "5"},
        set(),
    ),
    "encrypted logs": ({"LogKeyArn": f"{KEY}/3", "LogRetentionInDays": "30"}, set()),
    "metrics": ({"Monitoring": "metrics"}, set()),
    "alarms": (
        {"Monitoring": "alarms", "AlarmTopicArn": "arn:aws:sns:eu-west-1:123456789012:pages"},
        set(),
    ),
    "dashboard": ({"Monitoring": "dashboard"}, set()),
}
ROLE_OF_ANOTHER = {
    "ExecutionRoleArn": f"{IAM}:role/service/images",
    "RepositoryArns": f"{ECR}/app",
    "SourceObjectArns": "arn:aws:s3:::staging/*",
    "Tracing": "true",
    **VPC,
}


def every_set():
    for name, (parameters, _) in ALLOWED.items():
        yield name, parameters
    yield "everything", {key: v for given, _ in ALLOWED.values() for key, v in given.items()}
    yield "role of another", ROLE_OF_ANOTHER


class Permissions(unittest.TestCase):
    def test_parameters_allow_what_they_say_and_nothing_else(self):
        for name, (parameters, expected) in ALLOWED.items():
            with self.subTest(name):
                self.assertEqual(granted(render(PROVIDER, parameters)), LEAST | expected)

    def test_everything_on_is_the_sum(self):
        together = dict(every_set())["everything"] | {"RepositoryArns": f"{ECR}/app"}
        expected = LEAST.union(*(allowed for _, allowed in ALLOWED.values()))
        expected = {pair for pair in expected if pair[1] != f"{ECR}/team/*"}
        self.assertEqual(granted(render(PROVIDER, together)), expected)

    def test_no_statement_is_about_everything(self):
        seen = set()
        for path in [PROVIDER, *TEMPLATES.glob("examples/*.yaml")]:
            for name, parameters in parameter_sets(path):
                for resource, statement in statements(render(path, parameters)):
                    if statement["Effect"] != "Allow":
                        continue
                    with self.subTest(template=path.name, parameters=name, resource=resource):
                        seen |= self.check_statement(statement)
        self.assertEqual(seen, set(TAKES_NO_RESOURCE), "each exception is still one")

    def check_statement(self, statement):
        self.assertNotIn("NotAction", statement)
        self.assertNotIn("NotResource", statement)
        actions = as_list(statement["Action"])
        for action in actions:
            self.assertNotIn("*", action)
        if not any(shown(one) == "*" for one in as_list(statement["Resource"])):
            return set()
        for action in actions:
            self.assertIn(action, TAKES_NO_RESOURCE)
        return set(actions)

    def test_a_role_of_another_is_used_and_not_touched(self):
        rendered = render(PROVIDER, ROLE_OF_ANOTHER)
        self.assertEqual(list(statements(rendered)), [])
        [function] = rendered.resources("AWS::Lambda::Function").values()
        self.assertEqual(function["Role"], ROLE_OF_ANOTHER["ExecutionRoleArn"])
        outputs = rendered.template["Outputs"]
        self.assertEqual(outputs["RoleArn"]["Value"], ROLE_OF_ANOTHER["ExecutionRoleArn"])

    def test_tokens_are_for_the_regions_that_are_named(self):
        self.assertEqual(self.token_regions({}), {"Ref": "AWS::Region"})
        regions = {"Regions": "eu-west-1,us-east-1"}
        self.assertEqual(self.token_regions(regions), ["eu-west-1", "us-east-1"])

    def token_regions(self, parameters):
        for _, statement in statements(render(PROVIDER, parameters)):
            if statement["Action"] == "ecr:GetAuthorizationToken":
                return statement["Condition"]["StringEquals"]["aws:RequestedRegion"]

    def test_keys_serve_one_service(self):
        for parameters, service in [
            ({"SourceKeyArns": f"{KEY}/1"}, "s3"),
            ({"SecretKeyArns": f"{KEY}/1"}, "secretsmanager"),
            ({"RepositoryKeyArns": f"{KEY}/1"}, "ecr"),
        ]:
            for _, statement in statements(render(PROVIDER, parameters)):
                if "kms:" in str(statement["Action"]):
                    via = statement["Condition"]["StringLike"]["kms:ViaService"]
                    self.assertEqual(via, {"Fn::Sub": f"{service}.*.${{AWS::URLSuffix}}"})

    def test_the_program_cannot_use_what_lambda_needs_for_the_network(self):
        denied = [one for _, one in statements(render(PROVIDER, VPC)) if one["Effect"] == "Deny"]
        [statement] = denied
        allowed = [action for action, _ in granted(render(PROVIDER, VPC)) if "ec2:" in action]
        self.assertEqual(sorted(statement["Action"]), sorted(allowed))
        of_function = {"ArnEquals": {"lambda:SourceFunctionArn": {"Fn::GetAtt": ["Provider", "Arn"]}}}
        self.assertEqual(statement["Condition"], of_function)

    def test_a_boundary_bounds_the_role(self):
        [role] = render(PROVIDER, ALLOWED["a boundary"][0]).resources("AWS::IAM::Role").values()
        self.assertEqual(role["PermissionsBoundary"], f"{IAM}:policy/boundary")
        [role] = render(PROVIDER).resources("AWS::IAM::Role").values()
        self.assertNotIn("PermissionsBoundary", role)


class TheFunction(unittest.TestCase):
    def function(self, parameters=None):
        [function] = render(PROVIDER, parameters).resources("AWS::Lambda::Function").values()
        return function

    def test_by_default_it_runs_on_arm_without_a_network_of_its_own(self):
        function = self.function()
        self.assertEqual(function["Architectures"], ["arm64"])
        self.assertEqual(function["Runtime"], "provided.al2023")
        self.assertEqual(function["TracingConfig"], {"Mode": "PassThrough"})
        for absent in ("VpcConfig", "ReservedConcurrentExecutions"):
            self.assertNotIn(absent, function)

    def test_parameters_are_its_settings(self):
        function = self.function(dict(every_set())["everything"])
        self.assertEqual(function["Architectures"], ["x86_64"])
        self.assertEqual(function["MemorySize"], "1769")
        variables = function["Environment"]["Variables"]
        self.assertEqual(variables["LONGSHORE_POLICY_STATEMENTS"], "any")
        for name in (
            "SOURCE_REGISTRIES",
            "DESTINATION_REGISTRIES",
            "TOKEN_REALMS",
            "SECRET_REGISTRIES",
        ):
            self.assertIn(f"LONGSHORE_{name}", variables)
        self.assertEqual(function["ReservedConcurrentExecutions"], "5")
        self.assertEqual(function["TracingConfig"], {"Mode": "Active"})
        subnets = ["subnet-0aaaaaaa", "subnet-0bbbbbbb"]
        self.assertEqual(function["VpcConfig"]["SubnetIds"], subnets)

    def test_the_record_of_an_event_that_failed_comes_back_to_the_function(self):
        rendered = render(PROVIDER)
        failed_events = {"Fn::GetAtt": ["FailedEvents", "Arn"]}
        [config] = rendered.resources("AWS::Lambda::EventInvokeConfig").values()
        self.assertEqual(config["MaximumRetryAttempts"], 0)
        self.assertEqual(config["DestinationConfig"], {"OnFailure": {"Destination": failed_events}})
        [mapping] = rendered.resources("AWS::Lambda::EventSourceMapping").values()
        self.assertEqual(
            mapping,
            {
                "FunctionName": {"Fn::GetAtt": ["Provider", "Arn"]},
                "EventSourceArn": failed_events,
                "BatchSize": 1,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
            },
        )
        queue = rendered.resources("AWS::SQS::Queue")["FailedEvents"]
        [function] = rendered.resources("AWS::Lambda::Function").values()
        self.assertEqual(queue["VisibilityTimeout"], function["Timeout"])

    def test_a_record_without_an_answer_is_kept_and_told(self):
        rendered = render(PROVIDER)
        queues = rendered.resources("AWS::SQS::Queue")
        self.assertEqual(set(queues), {"FailedEvents", "DeadLetters"})
        redrive = queues["FailedEvents"]["RedrivePolicy"]
        self.assertEqual(redrive["deadLetterTargetArn"], {"Fn::GetAtt": ["DeadLetters", "Arn"]})
        # All of them while the address of the answer is good.
        tries = redrive["maxReceiveCount"] * int(queues["FailedEvents"]["VisibilityTimeout"])
        self.assertLess(tries, queues["FailedEvents"]["MessageRetentionPeriod"])
        for queue in queues.values():
            self.assertTrue(queue["SqsManagedSseEnabled"])
        alarm = rendered.resources("AWS::CloudWatch::Alarm")["DeadLetterAlarm"]
        self.assertEqual(alarm["Dimensions"][0]["Value"], {"Fn::GetAtt": ["DeadLetters", "QueueName"]})

    def test_the_service_token_is_exported_and_a_parameter(self):
        rendered = render(PROVIDER)
        [name] = rendered.resources("AWS::Lambda::Function")
        token = {"Fn::GetAtt": [name, "Arn"]}
        export = rendered.template["Outputs"]["ServiceToken"]
        self.assertEqual(export["Value"], token)
        self.assertEqual(export["Export"]["Name"], {"Fn::Sub": "${AWS::StackName}-ServiceToken"})
        [parameter] = rendered.resources("AWS::SSM::Parameter").values()
        self.assertEqual(parameter["Value"], token)


class Monitoring(unittest.TestCase):
    def test_each_step_adds_to_the_one_before(self):
        first = {"DeadLetterAlarm"}
        all_alarms = first | {"ErrorAlarm", "FailureAlarm", "SlownessAlarm", "ThrottleAlarm"}
        for step, alarms, dashboards, metrics in [
            ("none", first, 0, "0"),
            ("metrics", first, 0, "1"),
            ("alarms", all_alarms, 0, "1"),
            ("dashboard", all_alarms, 1, "1"),
        ]:
            with self.subTest(step):
                rendered = render(PROVIDER, {"Monitoring": step})
                self.assertEqual(set(rendered.resources("AWS::CloudWatch::Alarm")), alarms)
                made = rendered.resources("AWS::CloudWatch::Dashboard")
                self.assertEqual(len(made), dashboards)
                [function] = rendered.resources("AWS::Lambda::Function").values()
                variables = function["Environment"]["Variables"]
                self.assertEqual(variables["LONGSHORE_METRICS"], metrics)

    def test_the_topic_hears_of_every_alarm(self):
        topic = "arn:aws:sns:eu-west-1:123456789012:pages"
        parameters = {"Monitoring": "alarms", "AlarmTopicArn": topic}
        for alarm in render(PROVIDER, parameters).resources("AWS::CloudWatch::Alarm").values():
            self.assertEqual(alarm["AlarmActions"], [topic])
        for alarm in render(PROVIDER).resources("AWS::CloudWatch::Alarm").values():
            self.assertNotIn("AlarmActions", alarm)

    def test_the_dashboard_is_json_without_overlap(self):
        rendered = render(PROVIDER, {"Monitoring": "dashboard"})
        [dashboard] = rendered.resources("AWS::CloudWatch::Dashboard").values()
        taken = set()
        for widget in json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]:
            for x in range(widget["x"], widget["x"] + widget["width"]):
                self.assertLess(x, 24)
                for y in range(widget["y"], widget["y"] + widget["height"]):
                    self.assertNotIn((x, y), taken)
                    taken.add((x, y))


class TheTemplate(unittest.TestCase):
    def test_every_condition_is_seen_both_ways(self):
        seen = {}
        for _, parameters in every_set():
            for name, holds in render(PROVIDER, parameters).conditions.items():
                seen.setdefault(name, set()).add(holds)
        for name, values in seen.items():
            self.assertEqual(values, {True, False}, name)

    def test_every_parameter_is_set_and_has_its_place_in_the_console(self):
        declared = load(PROVIDER)
        parameters = set(declared["Parameters"])
        used = {name for _, given in every_set() for name in given}
        self.assertEqual(used, parameters)
        interface = declared["Metadata"]["AWS::CloudFormation::Interface"]
        grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
        self.assertEqual(sorted(grouped), sorted(parameters))

    def test_half_a_network_is_refused(self):
        self.assertEqual(render(PROVIDER, VPC).refused, [])
        for half in VPC:
            self.assertEqual(len(render(PROVIDER, {half: VPC[half]}).refused), 1, half)

    def test_parameters_are_checked(self):
        for name, value in [
            ("RepositoryArns", "team/app"),
            ("SourceObjectArns", "arn:aws:s3:::bucket"),
            ("RoleArns", f"{IAM}:user/someone"),
            ("Regions", "Ireland"),
            ("Monitoring", "full"),
        ]:
            with self.assertRaises(AssertionError, msg=name):
                render(PROVIDER, {name: value})

    def test_linters_take_what_each_set_of_parameters_makes(self):
        with tempfile.TemporaryDirectory() as folder:
            for path in [PROVIDER, *TEMPLATES.glob("examples/*.yaml")]:
                for name, parameters in parameter_sets(path):
                    text = json.dumps(render(path, parameters).template, indent=1)
                    name = f"{path.stem}-{name.replace(' ', '-')}.json"
                    pathlib.Path(folder, name).write_text(text)
            rendered = sorted(map(str, pathlib.Path(folder).iterdir()))
            linter = pathlib.Path(sys.executable).with_name("cfn-lint")
            rules = ["--append-rules", ROOT / "docs/schema"]
            command = [linter, *rules, "--", *rendered]
            run = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


def parameter_sets(path):
    if path == PROVIDER:
        return every_set()
    return [("sample", sample_parameters(path))]


if __name__ == "__main__":
    unittest.main()
