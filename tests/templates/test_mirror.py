"""What the mirror's template makes of its parameters, and its state machine."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from rendering import TEMPLATES, as_list, granted, load, render, shown, statements

MIRROR = TEMPLATES / "mirror.yaml"
DEFINITION = TEMPLATES / "mirror.asl.json"
VALIDATOR = pathlib.Path(sys.prefix).parent / "npm/node_modules/.bin/asl-validator"

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:longshore"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:failures"
STATES = "Fn::Sub:arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}"
MACHINE = "${AWS::StackName}-mirror"
BUCKET = "Fn::Sub:${Bucket.Arn}"

# Actions that AWS allows on every resource or on none.
TAKES_NO_RESOURCE = {
    "logs:CreateLogDelivery": "a delivery has no ARN before it is there",
    "logs:DeleteLogDelivery": "the same",
    "logs:DescribeLogGroups": "a list, of which CloudWatch Logs has no part to name",
    "logs:DescribeResourcePolicies": "the same",
    "logs:GetLogDelivery": "a delivery has no ARN",
    "logs:ListLogDeliveries": "the same",
    "logs:PutResourcePolicy": "a policy of the region, not of a log group",
    "logs:UpdateLogDelivery": "a delivery has no ARN",
    "xray:GetSamplingRules": "X-Ray has no resource to read from",
    "xray:GetSamplingTargets": "the same",
    "xray:PutTelemetryRecords": "X-Ray has no resource to write to",
    "xray:PutTraceSegments": "the same",
}
LEAST = {(action, "*") for action in TAKES_NO_RESOURCE if action.startswith("logs:")} | {
    ("lambda:InvokeFunction", FUNCTION),
    ("s3:GetObject", f"{BUCKET}/runs/*/items/*"),
    ("states:StartExecution", f"{STATES}:stateMachine:{MACHINE}"),
    ("states:DescribeExecution", f"{STATES}:execution:{MACHINE}:*"),
    ("states:DescribeExecution", f"{STATES}:execution:{MACHINE}/*"),
    ("states:StopExecution", f"{STATES}:execution:{MACHINE}:*"),
    ("states:StopExecution", f"{STATES}:execution:{MACHINE}/*"),
}
# Parameters, and what they allow beside what the stack has with the function alone.
ALLOWED = {
    "nothing": ({}, set()),
    "a role of the provider": (
        {"ProviderRoleName": "longshore-Role-1"},
        {
            ("s3:GetObject", f"{BUCKET}/*"),
            ("s3:ListBucket", "Bucket.Arn"),
            ("states:ListExecutions", "Ref:StateMachine"),
            ("states:StartExecution", "Ref:StateMachine"),
            ("states:StopExecution", f"{STATES}:execution:{MACHINE}:*"),
        }
        | {
            (f"s3:{action}", f"{BUCKET}/{prefix}/*")
            for action in ("DeleteObject", "PutObject")
            for prefix in ("mirrors", "runs")
        },
    ),
    "a schedule": (
        {
            "ScheduleExpression": "cron(0 3 * * ? *)",
            "ScheduleTimezone": "Europe/Berlin",
            "ScheduledList": "s3://lists/fleet.yaml",
            "ScheduledMirror": "fleet",
        },
        {("states:StartExecution", "Ref:StateMachine")},
    ),
    "a topic of failures": ({"FailureTopicArn": TOPIC}, {("sns:Publish", TOPIC)}),
    "a boundary": ({"PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary"}, set()),
    "encrypted logs": (
        {
            "LogKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1",
            "LogRetentionInDays": "30",
            "RunsKeptInDays": "14",
        },
        set(),
    ),
    "alarms": ({"Monitoring": "alarms", "AlarmTopicArn": TOPIC}, set()),
    "dashboard": ({"Monitoring": "dashboard"}, set()),
    "traces": (
        {"Tracing": "true"},
        {(action, "*") for action in TAKES_NO_RESOURCE if action.startswith("xray:")},
    ),
}
ANOTHER_BUS = {"EventBusName": "images"}


def rendered(given=None):
    return render(MIRROR, {"ProviderFunctionArn": FUNCTION} | (given or {}))


def every_set():
    for name, (parameters, _) in ALLOWED.items():
        yield name, parameters
    yield "another bus", ANOTHER_BUS


def events_to(bus):
    name = "Fn::Sub:arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:event-bus/"
    return {("events:PutEvents", name + bus)}


class Permissions(unittest.TestCase):
    def test_parameters_allow_what_they_say_and_nothing_else(self):
        for name, (parameters, expected) in ALLOWED.items():
            with self.subTest(name):
                least = LEAST | events_to("default")
                self.assertEqual(granted(rendered(parameters)), least | expected)
        self.assertEqual(granted(rendered(ANOTHER_BUS)), LEAST | events_to("images"))

    def test_no_statement_is_about_everything(self):
        seen = set()
        for name, parameters in every_set():
            for resource, statement in statements(rendered(parameters)):
                with self.subTest(parameters=name, resource=resource):
                    self.assertEqual(statement["Effect"], "Allow")
                    actions = as_list(statement["Action"])
                    self.assertFalse([action for action in actions if "*" in action])
                    if "*" in map(shown, as_list(statement["Resource"])):
                        seen |= set(actions)
        self.assertEqual(seen, set(TAKES_NO_RESOURCE))

    def test_roles_trust_one_service_of_this_account(self):
        roles = rendered(ALLOWED["a schedule"][0]).resources("AWS::IAM::Role")
        self.assertEqual(set(roles), {"Role", "ScheduleRole"})
        for role in roles.values():
            [statement] = role["AssumeRolePolicyDocument"]["Statement"]
            account = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
            self.assertEqual(statement["Condition"], account)

    def test_a_boundary_bounds_every_role(self):
        bounded = ALLOWED["a boundary"][0] | ALLOWED["a schedule"][0]
        for role in rendered(bounded).resources("AWS::IAM::Role").values():
            self.assertEqual(role["PermissionsBoundary"], bounded["PermissionsBoundaryArn"])

    def test_the_machine_and_its_role_agree_on_its_name(self):
        [machine] = rendered().resources("AWS::StepFunctions::StateMachine").values()
        self.assertEqual(machine["StateMachineName"], {"Fn::Sub": MACHINE})


class TheBucket(unittest.TestCase):
    def test_it_is_encrypted_private_and_kept(self):
        template = rendered().template["Resources"]["Bucket"]
        self.assertEqual(template["DeletionPolicy"], "Retain")
        bucket = template["Properties"]
        self.assertTrue(all(bucket["PublicAccessBlockConfiguration"].values()))
        [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        self.assertEqual(rule["ServerSideEncryptionByDefault"], {"SSEAlgorithm": "AES256"})

    def test_runs_go_and_what_a_mirror_wrote_is_remembered(self):
        bucket = rendered({"RunsKeptInDays": "14"}).resources("AWS::S3::Bucket")["Bucket"]
        expiring = {
            rule["Prefix"]: rule["ExpirationInDays"]
            for rule in bucket["LifecycleConfiguration"]["Rules"]
            if "ExpirationInDays" in rule
        }
        self.assertEqual(expiring, {"runs/": "14"})


class Ends(unittest.TestCase):
    def test_a_run_without_a_report_is_told_to_the_function(self):
        [rule] = rendered().resources("AWS::Events::Rule").values()
        detail = rule["EventPattern"]["detail"]
        self.assertEqual(detail["stateMachineArn"], [{"Ref": "StateMachine"}])
        self.assertEqual(detail["status"], ["ABORTED", "FAILED", "TIMED_OUT"])
        [target] = rule["Targets"]
        self.assertEqual(target["Arn"], FUNCTION)
        transformer = target["InputTransformer"]
        text = transformer["InputTemplate"]["Fn::Sub"].replace("${Bucket}", "bucket")
        event = {"name": "run-1", "status": "ABORTED"}
        for name, path in transformer["InputPathsMap"].items():
            # EventBridge quotes texts in a template that is JSON.
            value = json.dumps(event[path.removeprefix("$.detail.")])
            text = text.replace(f"<{name}>", value)
        self.assertEqual(
            json.loads(text),
            {
                "LongshoreVersion": 1,
                "Operation": "ended",
                "Run": {"Bucket": "bucket", "Id": "run-1", "Input": {}},
                "Status": "ABORTED",
            },
        )
        [permission] = rendered().resources("AWS::Lambda::Permission").values()
        self.assertEqual(permission["SourceArn"], {"Fn::GetAtt": ["EndedRule", "Arn"]})

    def test_what_the_function_could_not_be_told_is_kept_and_alarms(self):
        template = rendered()
        [target] = template.resources("AWS::Events::Rule")["EndedRule"]["Targets"]
        letters = {"Fn::GetAtt": ["EndedDeadLetters", "Arn"]}
        self.assertEqual(target["DeadLetterConfig"], {"Arn": letters})
        # The address of an answer is good for two hours.
        self.assertLessEqual(target["RetryPolicy"]["MaximumEventAgeInSeconds"], 7200)
        [policy] = template.resources("AWS::SQS::QueuePolicy").values()
        [statement] = policy["PolicyDocument"]["Statement"]
        self.assertEqual(statement["Resource"], letters)
        self.assertEqual(set(template.resources("AWS::CloudWatch::Alarm")), {"EndedAlarm"})


class Schedule(unittest.TestCase):
    def test_there_is_none_by_default(self):
        self.assertEqual(rendered().resources("AWS::Scheduler::Schedule"), {})

    def test_it_starts_runs_of_the_list(self):
        parameters = ALLOWED["a schedule"][0]
        [schedule] = rendered(parameters).resources("AWS::Scheduler::Schedule").values()
        self.assertEqual(schedule["ScheduleExpressionTimezone"], "Europe/Berlin")
        given = json.loads(schedule["Target"]["Input"])
        self.assertEqual(given, {"Mirror": "fleet", "List": "s3://lists/fleet.yaml"})

    def test_it_needs_a_list(self):
        parameters = dict(ALLOWED["a schedule"][0])
        self.assertEqual(rendered(parameters).refused, [])
        del parameters["ScheduledList"]
        self.assertEqual(len(rendered(parameters).refused), 1)


class TheStateMachine(unittest.TestCase):
    def definition(self):
        text = DEFINITION.read_text()
        [machine] = rendered().resources("AWS::StepFunctions::StateMachine").values()
        names = set(machine["DefinitionSubstitutions"])
        values = {"Partition": "aws", "Function": FUNCTION, "FailureTopic": ""}
        for name in names:
            self.assertIn(f"${{{name}}}", text, "each substitution is used")
            text = text.replace(f"${{{name}}}", values.get(name, name.lower()))
        self.assertNotIn("${", text)
        return json.loads(text)

    def states(self, of=None):
        """Every state of the machine, also those within others, by its name."""
        for name, state in (of or self.definition())["States"].items():
            yield name, state
            if "ItemProcessor" in state:
                yield from self.states(state["ItemProcessor"])

    def test_its_definition_is_deployed_from_the_file_that_is_tested(self):
        machine = load(MIRROR)["Resources"]["StateMachine"]["Properties"]
        self.assertEqual(TEMPLATES / machine["DefinitionUri"], DEFINITION)

    def test_a_schema_of_the_language_takes_it(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(self.definition(), file)
            file.flush()
            command = [VALIDATOR, "--json-path", file.name]
            run = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_every_task_has_an_end_and_is_tried_again(self):
        tasks = [(name, state) for name, state in self.states() if state["Type"] == "Task"]
        self.assertEqual(len(tasks), 7)
        for name, task in tasks:
            with self.subTest(name):
                # The function's own time is 900 seconds at most.
                self.assertLessEqual(task["TimeoutSeconds"], 960)
                for retry in task["Retry"]:
                    self.assertEqual(retry["JitterStrategy"], "FULL")
                    self.assertLessEqual(retry["MaxDelaySeconds"], 300)
                self.assertEqual(task["Catch"][-1]["ErrorEquals"], ["States.ALL"])

    def test_what_does_not_pass_is_not_tried_again(self):
        tasks = dict(self.states())
        retried = {
            error for retry in tasks["Copy"]["Retry"] for error in retry["ErrorEquals"]
        }
        ours = {error for error in retried if error.startswith("Longshore.")}
        passing = {"Throttled", "Unavailable", "Unreachable", "Stopped"}
        self.assertEqual(ours, {f"Longshore.{name}" for name in passing})
        self.assertNotIn("States.ALL", retried)

    def test_no_item_fails_its_map(self):
        [group] = self.definition()["States"]["Groups"]["ItemProcessor"]["States"].values()
        item = group["ItemProcessor"]["States"]
        self.assertNotIn("Fail", {state["Type"] for state in item.values()})
        for name, state in item.items():
            if state.get("End"):
                # {}, so that the results of a page fit into what a state may return.
                self.assertIsNone(state["OutputPath"], name)


class TheTemplate(unittest.TestCase):
    def test_every_condition_is_seen_both_ways(self):
        seen = {}
        for _, parameters in every_set():
            for name, holds in rendered(parameters).conditions.items():
                seen.setdefault(name, set()).add(holds)
        for name, values in seen.items():
            self.assertEqual(values, {True, False}, name)

    def test_every_parameter_is_set_and_has_its_place_in_the_console(self):
        declared = load(MIRROR)
        parameters = set(declared["Parameters"])
        used = {name for _, given in every_set() for name in given} | {"ProviderFunctionArn"}
        self.assertEqual(used, parameters)
        interface = declared["Metadata"]["AWS::CloudFormation::Interface"]
        grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
        self.assertEqual(sorted(grouped), sorted(parameters))

    def test_the_provider_has_an_output_for_each_of_its_parameters(self):
        outputs = load(TEMPLATES / "template.yaml")["Outputs"]
        self.assertEqual(outputs["RoleName"]["Value"], {"Ref": "Role"})
        self.assertIn("ServiceToken", outputs)

    def test_parameters_are_checked(self):
        for name, value in [
            ("ProviderFunctionArn", f"{FUNCTION}:live"),
            ("ScheduleExpression", "every day"),
            ("ScheduledList", "list.yaml"),
            ("ScheduledMirror", "a b"),
            ("Monitoring", "full"),
        ]:
            with self.assertRaises(AssertionError, msg=name):
                rendered({name: value})

    def test_alarms_and_dashboard_are_on_demand(self):
        alarms = rendered({"Monitoring": "alarms"})
        self.assertIn("RunAlarm", alarms.resources("AWS::CloudWatch::Alarm"))
        self.assertEqual(alarms.resources("AWS::CloudWatch::Dashboard"), {})
        [dashboard] = (
            rendered({"Monitoring": "dashboard"}).resources("AWS::CloudWatch::Dashboard").values()
        )
        json.loads(dashboard["DashboardBody"]["Fn::Sub"])

    def test_linters_take_what_each_set_of_parameters_makes(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, parameters in every_set():
                text = json.dumps(rendered(parameters).template, indent=1)
                pathlib.Path(folder, f"{name.replace(' ', '-')}.json").write_text(text)
            files = sorted(map(str, pathlib.Path(folder).iterdir()))
            linter = pathlib.Path(sys.executable).with_name("cfn-lint")
            run = subprocess.run([linter, "--", *files], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main()
